//! Putting rules back after a restart, before any event: each where it stood.

use super::rules::LocalKey;
use super::shard::{Outputs, Shard};
use crate::model::{Refusal, RestoredRule, RestoredSymbol, RuleState, Signal, Symbol};

impl Shard {
    /// Offline, after a journal: a command's feed time is what its shard knew when it was carried out, and counts for it
    /// alone. What another shard's messages told of the time is not known here, so nothing expires before a message or a
    /// command of its symbol comes upon it, or [`Self::end_journal`] does: what is told is the same.
    /// What a symbol that was put back is known to have seen of `session` fires nothing again.
    pub fn follow_journal(&mut self, session: [u8; 10]) {
        self.follows_journal = true;
        self.session = session;
        self.symbols.begin_session(session, 1);
    }

    /// The journal says that the next set of this symbol has this version. Versions between, which a kill took before they were on
    /// disk, stay skipped, as the restart did it.
    pub fn next_version(&mut self, symbol: Symbol, version: u64) {
        if let Some(symbol) = self.symbols.intern(symbol) {
            let state = self.symbols.get_mut(symbol);
            state.version = state.version.max(version.saturating_sub(1));
        }
    }

    /// Tells all rules that have expired by now.
    pub fn end_journal(&mut self, out: &mut impl Outputs) {
        self.follows_journal = false;
        self.note_next_expiry();
        self.budget = usize::MAX;
        self.sweep(out);
    }

    /// Puts back what is known of a symbol. Before its rules.
    ///
    /// # Errors
    /// [`Refusal::SymbolsFull`].
    pub fn restore_symbol(&mut self, past: &RestoredSymbol) -> Result<(), Refusal> {
        let symbol = self.symbols.intern(past.symbol).ok_or(Refusal::SymbolsFull)?;
        let state = self.symbols.get_mut(symbol);
        state.version = state.version.max(past.version);
        self.symbols.restore_past(symbol, past);
        Ok(())
    }

    /// Puts back a rule whose key has none. Rules of a symbol come in the order of their versions. No alert is told: one that
    /// holds already fires at the next value, as over night.
    ///
    /// # Errors
    /// What a set would be refused with for want of room.
    pub fn restore(&mut self, rule: &RestoredRule) -> Result<(), Refusal> {
        let symbol = self.symbols.intern(rule.key.symbol).ok_or(Refusal::SymbolsFull)?;
        if let Some(refusal) = self.rules.refusal(rule.key.account, false) {
            return Err(refusal);
        }
        if !self.pool.has_room() {
            return Err(Refusal::RulesFull);
        }
        if rule.spec.signal != Signal::Last {
            let has_book = self.keep_book(symbol);
            debug_assert!(has_book, "there is no order before the first event");
        }
        let key = LocalKey { user: rule.key.user, symbol, slot: rule.key.slot, account: rule.key.account };
        let number = self.rules.insert(&key, &rule.spec, rule.version)?;
        self.rules.restore(number, rule.fires, rule.quiet_until, rule.is_sure);
        self.schedule(number);
        self.stand(symbol, number, rule.state == RuleState::Met);
        let signal = rule.spec.signal as usize;
        let state = self.symbols.get_mut(symbol);
        state.version = state.version.max(rule.version);
        if rule.state == RuleState::Unknown {
            state.refresh(&self.pool, signal, true);
        } else {
            state.evaluated[signal] = state.evaluated[signal].max(rule.version);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
