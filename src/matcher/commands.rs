//! Set and remove: a command takes effect between two events of its symbol.

use super::held::Moment;
use super::ladder::Place;
use super::rules::LocalKey;
use super::shard::{Outputs, Shard};
use super::symbols::Rung;
use crate::limits::COMMANDS_PER_CYCLE;
use crate::model::{
    Alert, AlertKind, Applied, Command, OnSet, Outcome, Price, Reason, Refusal, RuleCommand, RuleKey, RuleSpec,
    RuleState, Signal, flag,
};

/// Commands that are looked at ahead.
pub const LOOKED_AT: usize = COMMANDS_PER_CYCLE;

impl Shard {
    /// Has fetched what commands that are carried out next will touch: their index chunks, then their records, then their
    /// leaves, each for all of them at once. Only the first [`LOOKED_AT`] are looked at.
    pub fn look_ahead(&self, commands: &[RuleCommand]) {
        if commands.len() < 2 {
            return;
        }
        let mut seen = [None; LOOKED_AT];
        for (seen, command) in seen.iter_mut().zip(commands) {
            *seen = command.command.key().and_then(|key| {
                let symbol = self.symbols.find(key.symbol)?;
                let local = LocalKey { user: key.user, symbol, slot: key.slot, account: key.account };
                Some((symbol, self.rules.prefetch_key(&local)))
            });
        }
        let mut records = [None; LOOKED_AT];
        for ((record, seen), command) in records.iter_mut().zip(&seen).zip(commands) {
            let Some((symbol, hash)) = *seen else { continue };
            *record = self.rules.prefetch_record(hash);
            if let Command::Set(_, spec) = &command.command {
                let rung = Rung::fire(spec.signal, spec.comparison, spec.threshold.0);
                self.prefetch_rung(symbol, rung);
            }
        }
        for number in records.into_iter().flatten() {
            let rule = self.rules.get(number);
            self.prefetch_rung(rule.symbol(), self.rung_of(rule));
        }
    }

    #[inline]
    fn prefetch_rung(&self, symbol: u32, rung: Rung) {
        let place = Place { key: rung.key, version: u64::MAX };
        self.symbols.get(symbol).ladders[rung.ladder].prefetch_for(&self.pool, place);
    }

    /// Carries out a set or a remove, and answers it; a set that needs a book waits until it is built.
    pub(super) fn carry_out(&mut self, command: &RuleCommand, moment: Moment, out: &mut impl Outputs) {
        if let Command::Set(key, spec) = &command.command
            && spec.signal != Signal::Last
            && let Some(symbol) = self.symbols.find(key.symbol)
            && !self.keep_book(symbol)
        {
            return self.hold_for_book(symbol, command, moment);
        }
        self.counts.commands += 1;
        let done = match &command.command {
            Command::Set(key, spec) => self.set(key, spec, command.ordinal, moment, out),
            Command::Remove(key, _) => self.remove(key, command.ordinal, moment, out),
            // These do not come here: `Shard::command` sees to them.
            Command::RemoveUser { .. } | Command::List { .. } | Command::Tell { .. } => return,
        };
        let outcome = done.unwrap_or_else(Outcome::Refused);
        self.answer(command.ordinal, moment, outcome, out);
    }

    /// Sends a command's outcome.
    pub(super) fn answer(&self, ordinal: u64, moment: Moment, outcome: Outcome, out: &mut impl Outputs) {
        out.applied(&Applied {
            ordinal,
            sequence: moment.sequence + 1,
            feed_time: moment.feed_time,
            feed_session: self.session,
            // Who sends it on counts them.
            alerts: 0,
            outcome,
        });
    }

    fn set(
        &mut self,
        key: &RuleKey,
        spec: &RuleSpec,
        ordinal: u64,
        moment: Moment,
        out: &mut impl Outputs,
    ) -> Result<Outcome, Refusal> {
        let symbol = self.symbols.intern(key.symbol).ok_or(Refusal::SymbolsFull)?;
        if spec.signal != Signal::Last {
            let has_book = self.keep_book(symbol);
            debug_assert!(has_book, "`carry_out` has seen to it, or the symbol is new");
        }
        let local = LocalKey { user: key.user, symbol, slot: key.slot, account: key.account };
        let old = self.find_living(&local, moment, out);
        if spec.expires_at <= moment.feed_time {
            return Err(Refusal::Expired);
        }
        let (value, holds) =
            self.judge(symbol, spec.signal, Rung::fire(spec.signal, spec.comparison, spec.threshold.0));
        if holds && spec.on_set == OnSet::Reject {
            return Err(Refusal::AlreadyTrue);
        }
        if let Some(refusal) = self.rules.refusal(key.account, old.is_some()) {
            return Err(refusal);
        }
        if !self.pool.has_room() {
            return Err(Refusal::RulesFull);
        }
        let version = self.symbols.get(symbol).version + 1;
        // The new record first: if it finds no room the old rule stays. For a moment the key has two.
        let number = self.rules.insert(&local, spec, version)?;
        if let Some(old) = old {
            self.end(old, Reason::Replaced, ordinal, moment, out);
        }
        self.symbols.get_mut(symbol).version = version;
        let state = self.place(symbol, number, value, holds, ordinal, moment, out);
        Ok(Outcome::Set {
            version,
            state,
            value: value.map(Price),
            replaced: old.is_some(),
            symbol_unknown: !self.symbols.get(symbol).is_known,
        })
    }

    /// Gives a new rule its state: fires it, or puts it into a ladder.
    #[allow(clippy::too_many_arguments)] // All of them are what this one decision rests upon.
    fn place(
        &mut self,
        symbol: u32,
        number: u32,
        value: Option<i64>,
        holds: bool,
        ordinal: u64,
        moment: Moment,
        out: &mut impl Outputs,
    ) -> RuleState {
        let rule = *self.rules.get(number);
        let signal = rule.signal() as usize;
        let fires = holds && rule.on_set() == OnSet::Fire;
        if fires {
            let last = self.rules.is_last_fire(&rule);
            self.counts.alerts += 1;
            out.alert(&Alert {
                price: Price(value.unwrap_or_default()),
                reason: Reason::Initial,
                flags: if last { flag::LAST } else { 0 },
                ts_match: out.now(),
                ..self.alert_of_command(number, AlertKind::Alert, ordinal, moment)
            });
            if last {
                self.rules.remove(number);
                return RuleState::Fired;
            }
            self.rules.note_fire(number, moment.feed_time);
        }
        self.schedule(number);
        self.stand(symbol, number, holds);
        let state = self.symbols.get_mut(symbol);
        match value {
            // Every rule of the signal has seen a value: also the earlier ones, whose signal was known ever since.
            Some(_) => state.evaluated[signal] = state.version,
            None => state.refresh(&self.pool, signal, true),
        }
        match (value, holds) {
            (None, _) => RuleState::Unknown,
            (Some(_), false) => RuleState::Clear,
            (Some(_), true) => RuleState::Met,
        }
    }

    fn remove(
        &mut self,
        key: &RuleKey,
        ordinal: u64,
        moment: Moment,
        out: &mut impl Outputs,
    ) -> Result<Outcome, Refusal> {
        let symbol = self.symbols.find(key.symbol).ok_or(Refusal::UnknownKey)?;
        let local = LocalKey { user: key.user, symbol, slot: key.slot, account: key.account };
        let number = self.find_living(&local, moment, out).ok_or(Refusal::UnknownKey)?;
        let version = self.rules.get(number).version();
        self.end(number, Reason::Removed, ordinal, moment, out);
        Ok(Outcome::Removed { version })
    }

    /// The rule of a key. One that has expired is told so, and its key is free.
    fn find_living(&mut self, key: &LocalKey, moment: Moment, out: &mut impl Outputs) -> Option<u32> {
        let number = self.rules.find(key)?;
        if self.rules.expires_at(self.rules.get(number)) > moment.feed_time {
            return Some(number);
        }
        self.tell_expired(number, out);
        self.leave(number);
        self.forget(number);
        None
    }

    /// Ends a rule without an alert.
    pub(super) fn end(&mut self, number: u32, reason: Reason, ordinal: u64, moment: Moment, out: &mut impl Outputs) {
        out.alert(&Alert { reason, ..self.alert_of_command(number, AlertKind::Ended, ordinal, moment) });
        self.leave(number);
        self.forget(number);
    }

    fn alert_of_command(&self, number: u32, kind: AlertKind, ordinal: u64, moment: Moment) -> Alert {
        Alert {
            sequence: moment.sequence + 1,
            ordinal,
            ts_event: moment.feed_time,
            ..self.alert_of(self.rules.get(number), kind)
        }
    }

    /// Where a living rule stands.
    pub(super) fn state_of(&self, number: u32) -> RuleState {
        let rule = self.rules.get(number);
        if rule.is_met() {
            RuleState::Met
        } else if rule.version() <= self.symbols.get(rule.symbol()).evaluated[rule.signal() as usize] {
            RuleState::Clear
        } else {
            RuleState::Unknown
        }
    }
}
