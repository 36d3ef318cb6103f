//! Firing: what becomes of the entries that a value reached, nearest threshold first, in slices.
//!
//! An entry is a rule that waits to fire, or a met one that waits to clear. What happens when it is reached:
//!
//! | rule | condition | becomes | told |
//! |---|---|---|---|
//! | past its expiry | | gone | ended, expired |
//! | met | | clear | (internal) rearmed |
//! | has not seen a value, `on_set` is not `fire` | | met | (internal) met |
//! | clear, less than its cooldown since its last alert | | met | (internal) met |
//! | any other, `once` or its last alert | | gone | alert, last |
//! | any other | | met | alert |

use super::held::Firing;
use super::ladder::{Ladder, Place};
use super::rules::Rule;
use super::shard::{Outputs, Shard};
use super::symbols::{LADDERS, Rung, SymbolState, turn};
use crate::limits::STORM_SLICE;
use crate::model::{Alert, AlertKind, MarketEvent, NEVER, Nanos, OnSet, Price, Reason, RuleKey, Signal, flag};
use crate::sys::clock::Stamp;
use crate::sys::memory::prefetch_all;

/// Entries that are fetched together.
const FETCHED_MAX: usize = STORM_SLICE;

/// An expiry as a key of the ladder of expiries: the nearest is the greatest. What no `i64` can hold never comes.
fn expiry_key(expires_at: Nanos) -> i64 {
    !(i64::try_from(expires_at).unwrap_or(i64::MAX))
}

impl Shard {
    /// Fires what an event reached. What exceeds the budget becomes a job.
    pub(super) fn fire(&mut self, symbol: u32, mut firing: Firing, out: &mut impl Outputs) {
        self.look_ahead_at(symbol, &firing);
        if !self.work_off(symbol, &mut firing, out) {
            self.counts.storms += 1;
            let state = self.symbols.get_mut(symbol);
            match self.held.current() {
                // It is this symbol's turn already: the event waited behind an earlier storm.
                Some((job, current)) if current == symbol && state.job == job => self.held.put_firing(job, firing),
                _ => state.job = self.held.begin(symbol, firing),
            }
        }
    }

    /// Has fetched what the first entries that were reached will touch, step by step in both ladders of each signal: rules that
    /// fire seldom lie in no cache, and one after the other they would be waited for.
    #[inline]
    fn look_ahead_at(&self, symbol: u32, firing: &Firing) {
        let state = self.symbols.get(symbol);
        prefetch_all(state);
        let is_reached = |ladder: &usize| state.triggers[*ladder] >= turn(*ladder, firing.values[*ladder / 2]);
        let signals = (0..LADDERS).filter(|ladder| firing.reached & 1 << (ladder / 2) != 0);
        let ladders = signals.filter(is_reached).map(|ladder| state.ladders[ladder]);
        let first = |ladder: Ladder| ladder.hot(&self.pool).map(|(_, number)| number);
        ladders.clone().for_each(|ladder| ladder.prefetch_short(&self.pool));
        ladders.clone().filter_map(first).for_each(|number| self.rules.prefetch(number));
        ladders.filter_map(first).for_each(|number| self.rules.prefetch_end(number));
    }

    /// The ladders on `last` which an event's price reaches, as things stand.
    #[inline]
    fn reached_by(&self, event: &MarketEvent) -> impl Iterator<Item = Ladder> {
        // A session may have ended since the event was looked at.
        let state = self.symbols.at_locate(event.locate);
        let reached = |state: &SymbolState, ladder| state.triggers[ladder] >= turn(ladder, event.price);
        state
            .into_iter()
            .flat_map(move |state| (0..2).filter(move |at| reached(state, *at)).map(|at| state.ladders[at]))
    }

    /// Has the ends of the ladders fetched which a print that waits will reach.
    #[inline]
    pub(super) fn prefetch_ladders(&self, event: &MarketEvent) {
        self.reached_by(event).for_each(|ladder| ladder.prefetch_short(&self.pool));
    }

    /// Has the rules fetched which a print that waits will reach first, when the ends of its ladders are there.
    #[inline]
    pub(super) fn prefetch_rules(&self, event: &MarketEvent) {
        let first = |ladder: Ladder| ladder.hot(&self.pool).map(|(_, number)| number);
        self.reached_by(event).filter_map(first).for_each(|number| self.rules.prefetch(number));
    }

    /// Works off reached entries until none is left (true) or the budget is used up (false).
    pub(super) fn work_off(&mut self, symbol: u32, firing: &mut Firing, out: &mut impl Outputs) -> bool {
        self.stamp = Stamp::default();
        while firing.ladder < LADDERS {
            let signal = firing.ladder / 2;
            if firing.reached & 1 << signal == 0 {
                firing.ladder += 2;
                continue;
            }
            if !self.climb(symbol, firing, out) {
                return false;
            }
            if firing.ladder & 1 == 1 {
                let state = self.symbols.get_mut(symbol);
                state.evaluated[signal] = state.version;
                state.refresh(&self.pool, signal, false);
            }
            firing.ladder += 1;
        }
        true
    }

    /// Works off the reached entries of one ladder.
    fn climb(&mut self, symbol: u32, firing: &Firing, out: &mut impl Outputs) -> bool {
        let value = turn(firing.ladder, firing.values[firing.ladder / 2]);
        let mut fetched = 0;
        loop {
            let ladder = &self.symbols.get(symbol).ladders[firing.ladder];
            if ladder.hot_key(&self.pool) < value {
                return true;
            }
            if self.budget == 0 {
                // Records of the next slice, while others have their turn.
                let (_, numbers) = ladder.tail(&self.pool);
                numbers.iter().rev().take(FETCHED_MAX).for_each(|number| self.rules.prefetch(*number));
                return false;
            }
            self.budget -= 1;
            if fetched == 0 {
                fetched = self.fetch(*ladder, value);
            }
            fetched -= 1;
            if let Some((_, number)) = self.symbols.get_mut(symbol).ladders[firing.ladder].pop(&mut self.pool) {
                self.reach(symbol, number, firing, out);
            }
        }
    }

    /// Has fetched what the next entries that `value` reaches will touch, and returns how many they are: records that lie
    /// anywhere are waited for together and not one after the other, which is 3/4 of what an alert of a storm costs.
    #[inline]
    fn fetch(&self, ladder: Ladder, value: i64) -> usize {
        let (keys, numbers) = ladder.tail(&self.pool);
        if keys.len() < 2 || keys[keys.len() - 2] < value {
            return 1;
        }
        let next = keys.iter().zip(numbers).rev().take(FETCHED_MAX);
        let reached = next.take_while(|(key, _)| **key >= value).count();
        numbers[numbers.len() - reached..].iter().for_each(|number| self.rules.prefetch_end(*number));
        reached
    }

    /// One entry was reached; it is out of its ladder.
    fn reach(&mut self, symbol: u32, number: u32, firing: &Firing, out: &mut impl Outputs) {
        let rule = *self.rules.get(number);
        let fresh = rule.version() > self.symbols.get(symbol).evaluated[firing.ladder / 2];
        let quiet = !fresh && firing.event.ts_event < self.rules.quiet_until(&rule);
        if self.rules.expires_at(&rule) <= firing.moment.feed_time {
            self.tell_expired(number, out);
            self.forget(number);
        } else if rule.is_met() {
            self.enter(symbol, number, false);
            self.tell_state(&rule, firing, AlertKind::Rearmed, out);
        } else if quiet || (fresh && rule.on_set() != OnSet::Fire) {
            self.enter(symbol, number, true);
            self.tell_state(&rule, firing, AlertKind::Met, out);
        } else {
            let reason = if fresh { Reason::Initial } else { Reason::Cross };
            let last = self.rules.is_last_fire(&rule);
            self.tell_fired(&rule, firing, reason, last, out);
            if last {
                self.forget(number);
            } else {
                self.rules.note_fire(number, firing.event.ts_event);
                self.enter(symbol, number, true);
            }
        }
    }

    fn tell_fired(&mut self, rule: &Rule, firing: &Firing, reason: Reason, last: bool, out: &mut impl Outputs) {
        let event = &firing.event;
        let signal = firing.ladder / 2;
        let by_print = signal == 0;
        let from_orders = !by_print || event.action == crate::model::Action::Execute;
        let flags = [
            (last, flag::LAST),
            (by_print, flag::BY_PRINT),
            (firing.after_gap & 1 << signal != 0, flag::AFTER_GAP),
            (from_orders && firing.moment.book_suspect, flag::BOOK_SUSPECT),
            (rule.is_unsure(), flag::STATE_UNSURE),
        ];
        self.counts.alerts += 1;
        let ts_match = self.stamp.next(|| out.now());
        out.alert(&Alert {
            price: Price(firing.values[signal]),
            sequence: event.sequence,
            ts_event: event.ts_event,
            ts_recv: event.ts_recv,
            ts_match,
            match_number: if by_print { event.second_ref } else { 0 },
            locate: event.locate,
            reason,
            flags: flags.iter().filter(|(up, _)| *up).fold(0, |flags, (_, flag)| flags | flag),
            ..self.alert_of(rule, AlertKind::Alert)
        });
    }

    fn tell_state(&self, rule: &Rule, firing: &Firing, kind: AlertKind, out: &mut impl Outputs) {
        out.alert(&Alert {
            sequence: firing.event.sequence,
            ts_event: firing.event.ts_event,
            ..self.alert_of(rule, kind)
        });
    }

    /// Tells that a living rule has expired.
    pub(super) fn tell_expired(&self, number: u32, out: &mut impl Outputs) {
        let rule = self.rules.get(number);
        out.alert(&Alert {
            ts_event: self.rules.expires_at(rule),
            reason: Reason::Expired,
            ..self.alert_of(rule, AlertKind::Ended)
        });
    }

    /// An alert with all that the rule itself says.
    pub(super) fn alert_of(&self, rule: &Rule, kind: AlertKind) -> Alert {
        Alert {
            key: self.key_of(rule),
            version: rule.version(),
            tag: self.rules.tag(rule),
            threshold: Price(rule.threshold),
            signal: rule.signal(),
            comparison: rule.comparison(),
            ..Alert::new(kind)
        }
    }

    pub(super) fn key_of(&self, rule: &Rule) -> RuleKey {
        let symbol = self.symbols.get(rule.symbol()).name;
        RuleKey { user: rule.user, symbol, slot: rule.slot, account: rule.account() }
    }

    /// Where the rule's entry stands, or would stand.
    pub(super) fn rung_of(&self, rule: &Rule) -> Rung {
        let fire = Rung::fire(rule.signal(), rule.comparison(), rule.threshold);
        if rule.is_met() { fire.rearm(self.rules.rearm(rule)) } else { fire }
    }

    /// Puts a rule that has no entry where it now waits: to clear if it is met, else to fire.
    pub(super) fn stand(&mut self, symbol: u32, number: u32, met: bool) {
        let ladder = self.enter(symbol, number, met);
        self.refresh(symbol, ladder / 2);
    }

    /// The same, while what the signal reached is worked off: its triggers are taken anew at the end of that.
    fn enter(&mut self, symbol: u32, number: u32, met: bool) -> usize {
        self.rules.set_met(number, met);
        let rule = self.rules.get(number);
        let rung = self.rung_of(rule);
        let place = Place { key: rung.key, version: rule.version() };
        let rules = &self.rules;
        self.symbols.get_mut(symbol).ladders[rung.ladder]
            .insert(&mut self.pool, place, number, |number| rules.get(number).version())
            .expect("the pool has room for every rule that the table holds, and `set` asks before it adds one");
        rung.ladder
    }

    /// Takes a signal's triggers anew. While it has rules that have not seen a value they stay open.
    fn refresh(&mut self, symbol: u32, signal: usize) {
        let state = self.symbols.get_mut(symbol);
        if state.triggers[2 * signal] != i64::MAX || state.triggers[2 * signal + 1] != i64::MAX {
            state.refresh(&self.pool, signal, false);
        }
    }

    /// Notes when a rule that was just added expires.
    pub(super) fn schedule(&mut self, number: u32) {
        let expires_at = self.rules.expires_at(self.rules.get(number));
        if expires_at == NEVER {
            return;
        }
        let place = Place { key: expiry_key(expires_at), version: u64::from(number) };
        self.expiries
            .insert(&mut self.pool, place, number, u64::from)
            .expect("the pool has room for every rule's expiry, and `set` asks before it adds one");
        self.note_next_expiry();
    }

    pub(super) fn note_next_expiry(&mut self) {
        if self.follows_journal {
            return;
        }
        self.next_expiry = self.expiries.hot(&self.pool).map_or(Nanos::MAX, |(key, _)| (!key) as Nanos);
    }

    /// Takes a rule's entry out of its ladder.
    pub(super) fn leave(&mut self, number: u32) {
        let rule = *self.rules.get(number);
        let rung = self.rung_of(&rule);
        let rules = &self.rules;
        let ladder = &mut self.symbols.get_mut(rule.symbol()).ladders[rung.ladder];
        let place = Place { key: rung.key, version: rule.version() };
        let left = ladder.remove(&mut self.pool, place, |number| rules.get(number).version());
        debug_assert_eq!(left, Some(number), "a rule without an entry");
        self.refresh(rule.symbol(), rung.ladder / 2);
    }

    /// Forgets a rule that has no entry any more.
    pub(super) fn forget(&mut self, number: u32) {
        let expires_at = self.rules.expires_at(self.rules.get(number));
        if expires_at != NEVER {
            let place = Place { key: expiry_key(expires_at), version: u64::from(number) };
            self.expiries.remove(&mut self.pool, place, u64::from);
            self.note_next_expiry();
        }
        self.rules.remove(number);
    }

    /// Tells the end of rules that have expired, within the budget. It stops at a symbol that is being fired: there the
    /// moment of the message decides.
    pub(super) fn sweep(&mut self, out: &mut impl Outputs) {
        while self.moment.feed_time >= self.next_expiry && self.budget > 0 {
            let Some((_, number)) = self.expiries.hot(&self.pool) else { return };
            let symbol = self.rules.get(number).symbol();
            if self.held.has_barrier() || self.symbols.get(symbol).job != super::symbols::NONE {
                return;
            }
            self.budget -= 1;
            self.tell_expired(number, out);
            self.leave(number);
            self.forget(number);
        }
    }

    /// The value of a signal, and whether the rule's condition holds.
    pub(super) fn judge(&self, symbol: u32, signal: Signal, rung: Rung) -> (Option<i64>, bool) {
        let value = self.symbols.get(symbol).value(signal);
        (value, value.is_some_and(|value| rung.is_reached(value)))
    }
}
