//! Rules and their states, and the rows that they give.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::decimal;
use super::itch::Message;
use super::market::{Effect, Market, Symbol};
use super::rules::{Command, Key, OnSet, Signal, Spec, When};

/// "## State of a rule"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Clear,
    Met,
}

#[derive(Debug, Clone)]
struct Rule {
    key: Key,
    spec: Spec,
    version: u64,
    tag: u64,
    state: State,
    alerts: u64,
    last_alert: Option<u64>,
}

/// An alert of `last` that a print caused.
struct Sent {
    locate: u16,
    match_number: u64,
    rule: Rule,
    price: i128,
    named: bool,
}

/// What is left of a rule by one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fires(&'static str),
    Becomes(State),
}

/// All rules over all symbols.
#[derive(Default)]
pub struct World {
    pub market: Market,
    /// "the largest stamp of the well-formed messages so far (0 before the first)"
    pub feed_time: u64,
    /// Live ones, in the order in which they were set.
    rules: Vec<Rule>,
    expired: Vec<Rule>,
    versions: BTreeMap<String, u64>,
    sent: Vec<Sent>,
    pub alerts: u64,
    pub rows: String,
}

/// "Bounds: `below t` is `< t`, `at_or_below t` is `< t + 1e-9`, likewise above."
fn bound(spec: &Spec) -> i128 {
    match spec.when {
        When::Below | When::Above => spec.threshold,
        When::AtOrBelow => spec.threshold + 1,
        When::AtOrAbove => spec.threshold - 1,
    }
}

fn is_below(spec: &Spec) -> bool {
    matches!(spec.when, When::Below | When::AtOrBelow)
}

fn holds(spec: &Spec, value: i128) -> bool {
    if is_below(spec) { value < bound(spec) } else { value > bound(spec) }
}

/// "for `below t` a value >= t + rearm, for `above t` a value <= t - rearm (`at_or_*`: with the inclusive bound moved
/// by 1e-9 likewise)"
fn beyond(spec: &Spec, value: i128) -> bool {
    if is_below(spec) { value >= bound(spec) + spec.rearm } else { value <= bound(spec) - spec.rearm }
}

/// "nearest threshold first (below-type by falling bound, then above-type by rising bound)"
fn rank(spec: &Spec) -> (u8, i128) {
    if is_below(spec) { (0, -bound(spec)) } else { (1, bound(spec)) }
}

/// The table of "State of a rule", a line for a line. `None`: nothing happens.
fn verdict(rule: &Rule, value: i128, ts: u64) -> Option<Verdict> {
    match rule.state {
        State::Unknown if holds(&rule.spec, value) => Some(match rule.spec.on_set {
            OnSet::Fire => Verdict::Fires("initial"),
            OnSet::Wait | OnSet::Reject => Verdict::Becomes(State::Met),
        }),
        State::Unknown => Some(Verdict::Becomes(State::Clear)),
        State::Clear if holds(&rule.spec, value) => Some(match rule.last_alert {
            // "less than `cooldown_ns` has passed since its last alert"; "a stamp before the last alert: nothing has
            // passed"
            Some(last) if ts.saturating_sub(last) < rule.spec.cooldown_ns => Verdict::Becomes(State::Met),
            _ => Verdict::Fires("cross"),
        }),
        State::Clear => None,
        State::Met if beyond(&rule.spec, value) => Some(Verdict::Becomes(State::Clear)),
        State::Met => None,
    }
}

impl World {
    /// One row of the rules file. "`sequence`, `ts_event`: [...] for a command, its `at` as written and the feed
    /// time".
    pub fn command(&mut self, command: &Command) {
        let (at, ts) = (command.at, self.feed_time);
        let old = self.rules.iter().position(|r| r.key == command.key);
        let Some(spec) = &command.set else {
            match old {
                Some(i) => {
                    let rule = self.rules.remove(i);
                    self.row(at, ts, "ended", "removed", false, &rule, None);
                }
                // "in a rejected `remove` its tag, and the other three empty"; "In a `rejected` row 0."
                None => {
                    let Key { account, user, symbol, slot } = &command.key;
                    let tag = command.tag;
                    let _ = writeln!(
                        self.rows,
                        "{at},{ts},rejected,unknown_key,0,{account},{user},{symbol},{slot},0,{tag},,,,"
                    );
                }
            }
            return;
        };
        let mut rule = Rule {
            key: command.key.clone(),
            spec: spec.clone(),
            version: 0,
            tag: command.tag,
            state: State::Unknown,
            alerts: 0,
            last_alert: None,
        };
        // "A `set` whose expiry is at or before feed time is rejected with `expired`, which goes before
        // `already_true`."
        if spec.expires_at.is_some_and(|expiry| expiry <= ts) {
            return self.row(at, ts, "rejected", "expired", false, &rule, None);
        }
        let value = self.market.value(&command.key.padded(), spec.signal);
        // "`reject`: the command is rejected with `already_true` when the condition holds"
        if spec.on_set == OnSet::Reject && value.is_some_and(|v| holds(spec, v)) {
            return self.row(at, ts, "rejected", "already_true", false, &rule, None);
        }
        // "A `set` that replaces and fires at once: `ended,replaced`, then `alert,initial`."
        if let Some(i) = old {
            let old = self.rules.remove(i);
            self.row(at, ts, "ended", "replaced", false, &old, None);
        }
        // "the ordinal of the accepted `set` among all accepted sets of its symbol, from 1"
        let version = self.versions.entry(command.key.symbol.clone()).or_insert(0);
        *version += 1;
        rule.version = *version;
        // "a replacement is a new rule and goes to the end of the order of setting"
        self.rules.push(rule);
        // "At `set` with a known value the first two rows apply at once"
        if let Some(value) = value {
            let i = self.rules.len() - 1;
            match verdict(&self.rules[i], value, ts) {
                Some(Verdict::Becomes(state)) => self.rules[i].state = state,
                // "`initial` alerts of a `set` that found the price there, are not busted": nothing is kept of it.
                Some(Verdict::Fires(reason)) => {
                    self.fire(i, reason, value, at, ts, None);
                    self.rules.retain(|r| !ended(r));
                }
                None => {}
            }
        }
    }

    /// A command as a live engine carried it out: its shard knew this feed time, and gave a set this version. Shards differ in what they
    /// know of feed time, so `has_expired` says of which versions of the key it had told that they have; and a set that a crash took
    /// back may have used up a version.
    pub fn command_live(
        &mut self,
        command: &Command,
        feed_time: u64,
        version: Option<u64>,
        has_expired: impl Fn(u64) -> bool,
    ) {
        let shared = std::mem::replace(&mut self.feed_time, feed_time);
        let is_its = |rule: &Rule, expired| rule.key == command.key && has_expired(rule.version) == expired;
        if let Some(i) = self.expired.iter().position(|rule| is_its(rule, false)) {
            let rule = self.expired.remove(i);
            self.rules.push(rule);
        }
        if let Some(i) = self.rules.iter().position(|rule| is_its(rule, true)) {
            let rule = self.rules.remove(i);
            self.expired.push(rule);
        }
        if let Some(version) = version {
            let next = self.versions.entry(command.key.symbol.clone()).or_insert(0);
            assert!(version > *next, "version {version} of {} comes twice", command.key.symbol);
            *next = version - 1;
        }
        self.command(command);
        self.feed_time = shared;
    }

    /// A new session of the feed: locates, books, last prices and match numbers are void, rules keep their states.
    pub fn begin_session(&mut self) {
        self.market = Market::default();
        self.sent.clear();
    }

    /// A well-formed message.
    pub fn message(&mut self, sequence: u64, m: &Message<'_>) -> Effect {
        // "A rule has expired as soon as feed time, the present message included, is at or after `expires_at`"
        self.feed_time = self.feed_time.max(m.ts());
        self.expire();
        if m.kind() == b'B' {
            self.bust(sequence, m);
        }
        // "Within one message the book is updated first, then `last`, `bid`, `ask`, `mid` are evaluated in this order."
        let effect = self.market.apply(m);
        if let Some(symbol) = effect.symbol {
            if let Some((price, match_number)) = effect.print {
                self.update(symbol, Signal::Last, price, sequence, m.ts(), Some((m.locate(), match_number)));
            }
            for signal in [Signal::Bid, Signal::Ask, Signal::Mid] {
                // "where that side is not empty"
                let value = if effect.book { self.market.value(&symbol, signal) } else { None };
                if let Some(value) = value {
                    self.update(symbol, signal, value, sequence, m.ts(), None);
                }
            }
        }
        effect
    }

    fn expire(&mut self) {
        let feed_time = self.feed_time;
        let (expired, live) =
            self.rules.drain(..).partition(|r: &Rule| r.spec.expires_at.is_some_and(|e| feed_time >= e));
        self.rules = live;
        self.expired.extend::<Vec<Rule>>(expired);
    }

    /// A value of a signal: every rule of the symbol is looked at.
    fn update(
        &mut self,
        symbol: Symbol,
        signal: Signal,
        value: i128,
        sequence: u64,
        ts: u64,
        print: Option<(u16, u64)>,
    ) {
        let mut firing = Vec::new();
        for (i, rule) in self.rules.iter_mut().enumerate() {
            if rule.spec.signal != signal || rule.key.padded() != symbol {
                continue;
            }
            match verdict(rule, value, ts) {
                Some(Verdict::Becomes(state)) => rule.state = state,
                Some(Verdict::Fires(reason)) => firing.push((i, reason)),
                None => {}
            }
        }
        // "nearest threshold first [...], whether `cross` or `initial`; then the order in which the rules were set":
        // the sort is stable and `rules` is in that order.
        firing.sort_by_key(|(i, _)| rank(&self.rules[*i].spec));
        for (i, reason) in firing {
            self.fire(i, reason, value, sequence, ts, print);
        }
        self.rules.retain(|r| !ended(r));
    }

    /// "After an alert: `once` ends; `repeat` becomes met, or ends at `max_fires`."
    fn fire(&mut self, i: usize, reason: &str, value: i128, sequence: u64, ts: u64, print: Option<(u16, u64)>) {
        let rule = &mut self.rules[i];
        rule.state = State::Met;
        rule.last_alert = Some(ts);
        rule.alerts += 1;
        let rule = rule.clone();
        self.alerts += 1;
        self.row(sequence, ts, "alert", reason, ended(&rule), &rule, Some(value));
        if let Some((locate, match_number)) = print {
            self.sent.push(Sent { locate, match_number, rule, price: value, named: false });
        }
    }

    /// "A B message names a match number within its locate: `busted` rows for the `last` alerts that this print itself
    /// caused, in the order in which they were sent"; "an alert is named once".
    fn bust(&mut self, sequence: u64, m: &Message<'_>) {
        let mut sent = std::mem::take(&mut self.sent);
        for alert in &mut sent {
            if alert.locate == m.locate() && alert.match_number == m.int(11, 8) && !alert.named {
                alert.named = true;
                self.row(sequence, m.ts(), "busted", "broken_trade", false, &alert.rule, Some(alert.price));
            }
        }
        self.sent = sent;
    }

    /// "For `expired`: sequence 0 and `ts_event` = the expiry; such rows come last, ordered by (`ts_event`, account,
    /// user, symbol, slot, version)."
    pub fn end(&mut self) {
        self.expire();
        let mut expired = std::mem::take(&mut self.expired);
        expired.sort_by_key(|r| {
            let Key { account, user, symbol, slot } = r.key.clone();
            (r.spec.expires_at, account, user, symbol, slot, r.version)
        });
        for rule in expired {
            let expiry = rule.spec.expires_at.expect("only rules with an expiry expire");
            self.row(0, expiry, "ended", "expired", false, &rule, None);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn row(&mut self, sequence: u64, ts: u64, event: &str, reason: &str, last: bool, rule: &Rule, price: Option<i128>) {
        let Rule { key: Key { account, user, symbol, slot }, spec, version, tag, .. } = rule;
        let (last, signal, when) = (u8::from(last), spec.signal.name(), spec.when.name());
        let (threshold, price) = (decimal::print(spec.threshold), price.map(decimal::print).unwrap_or_default());
        let _ = writeln!(
            self.rows,
            "{sequence},{ts},{event},{reason},{last},{account},{user},{symbol},{slot},{version},{tag},{signal},{when},\
             {threshold},{price}"
        );
    }
}

/// "`last` = 1 when this alert ended the rule (`once`, or the last of `max_fires`)"; `max_fires` "0 = no bound; means
/// nothing with `once`".
fn ended(rule: &Rule) -> bool {
    let Spec { repeat, max_fires, .. } = rule.spec;
    if repeat { max_fires > 0 && rule.alerts >= max_fires } else { rule.alerts > 0 }
}
