//! The merge: what was read behind a snapshot, with the snapshot's rules passing by, to the rules that are left.

use std::collections::HashMap;
use std::ops::Deref;

use super::super::record::AccountName;
use super::super::snapshot::{FateRow, NamedRule, Snapshot, SnapshotError, SymbolRow};
use super::{Counts, Fate, Key};
use crate::model::{AccountId, RestoredRule, RestoredSymbol, RuleKey, RuleState, Symbol};

/// Rules that were gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The rules, by symbol and version.
    pub rules: Vec<RestoredRule>,
    /// The symbols that were ever named.
    pub symbols: Vec<RestoredSymbol>,
    /// The newest command's ordinal.
    pub ordinal: u64,
    /// What was found.
    pub counts: Counts,
}

/// What was read behind a snapshot, ready to be merged with its rules.
pub struct Merge {
    /// Rules that were set, by symbol and version.
    pub(super) fresh: Vec<NamedRule>,
    /// By key: the version of the newest set. Earlier rules of the key are gone.
    pub(super) newest: HashMap<Key, u64>,
    pub(super) fates: HashMap<(Symbol, u64), Fate>,
    pub(super) symbols: HashMap<Symbol, SymbolRow>,
    pub(super) ordinal: u64,
    pub(super) counts: Counts,
    pub(super) is_log_whole: bool,
}

impl Merge {
    /// The newest command's ordinal.
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// What was found so far, before the merge.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The symbols that were ever named, in order.
    pub fn symbols(&self) -> Vec<SymbolRow> {
        let mut rows: Vec<SymbolRow> = self.symbols.values().copied().collect();
        rows.sort_unstable_by_key(|row| row.symbol);
        rows
    }

    /// The fates of versions whose sets the journal does not have yet, in order: they are told again when those have come.
    pub fn fates(&self) -> Vec<FateRow> {
        let journaled = |symbol: &Symbol| self.symbols.get(symbol).map_or(0, |past| past.journaled);
        let open = self.fates.iter().filter(|((symbol, version), _)| *version > journaled(symbol));
        let mut rows: Vec<FateRow> =
            open.map(|((symbol, version), fate)| FateRow { symbol: *symbol, version: *version, fate: *fate }).collect();
        rows.sort_unstable_by_key(|row| (row.symbol, row.version));
        rows
    }

    /// Hands out all rules of the symbols that `takes` takes, by symbol and version: those of the snapshot that are still there,
    /// and those that were set behind it. Returns what was counted on the way.
    ///
    /// # Errors
    /// A snapshot that is damaged, or what `each` says.
    pub fn rules<B: Deref<Target = [u8]>, E: From<SnapshotError>>(
        &self,
        snapshot: Option<&Snapshot<B>>,
        takes: impl Fn(Symbol) -> bool,
        mut each: impl FnMut(&NamedRule) -> Result<(), E>,
    ) -> Result<Counts, E> {
        let mut counts = Counts::default();
        let mut fresh = self.fresh.iter().filter(|named| takes(named.rule.key.symbol)).peekable();
        let mut hand_out =
            |named: &NamedRule, counts: &mut Counts| self.survivor(named, counts).map_or(Ok(()), |named| each(&named));
        if let Some(snapshot) = snapshot {
            snapshot.each_rule(&takes, |named| {
                // Of one symbol, every rule that was set later has a later version.
                while let Some(earlier) = fresh.next_if(|fresh| fresh.rule.key.symbol < named.rule.key.symbol) {
                    hand_out(earlier, &mut counts)?;
                }
                let newest = self.newest.get(&Key::new(named.account, named.rule.key));
                if newest.is_some_and(|version| *version > named.rule.version) {
                    return Ok(());
                }
                let is_sure = named.rule.is_sure && self.is_log_whole;
                hand_out(&NamedRule { rule: RestoredRule { is_sure, ..named.rule }, ..*named }, &mut counts)
            })?;
        }
        for named in fresh {
            hand_out(named, &mut counts)?;
        }
        Ok(counts)
    }

    /// A rule after its fate; `None` when it has ended.
    fn survivor(&self, named: &NamedRule, counts: &mut Counts) -> Option<NamedRule> {
        let RestoredRule { key, version, .. } = named.rule;
        let fate = self.fates.get(&(key.symbol, version)).copied().unwrap_or_default();
        fate.seal(named.rule, counts).map(|rule| NamedRule { rule, ..*named })
    }

    /// All rules that were read, without those that are in a snapshot only. `account` gives the number of an account's name.
    pub fn gather(&self, mut account: impl FnMut(&AccountName) -> Option<AccountId>) -> Recovered {
        let mut counts = self.counts;
        let left: Vec<NamedRule> = self.fresh.iter().filter_map(|named| self.survivor(named, &mut counts)).collect();
        let rules: Vec<_> = left.iter().filter_map(|named| self.restored_rule(named, &mut account)).collect();
        counts.dormant = (left.len() - rules.len()) as u64;
        // Offline a day begins with its first message: nothing was printed yet.
        let before_all = |row: &SymbolRow| RestoredSymbol { last: None, ..Merge::restored_symbol(row) };
        let symbols = self.symbols().iter().map(before_all).collect();
        Recovered { rules, symbols, ordinal: self.ordinal, counts }
    }

    /// What is known of a symbol, for its shard.
    pub fn restored_symbol(row: &SymbolRow) -> RestoredSymbol {
        let SymbolRow { symbol, version, feed_session, feed_sequence, last, last_sequence, .. } = *row;
        let other = (row.other_session, row.other_sequence);
        let last = (last_sequence != 0 && last != SymbolRow::NO_LAST).then_some((last, last_sequence));
        RestoredSymbol { symbol, version, feed_session, feed_sequence, other, last }
    }

    /// A rule for its shard. `None`: the config does not have its account, whose number `account` gives.
    pub fn restored_rule(
        &self,
        named: &NamedRule,
        account: impl FnOnce(&AccountName) -> Option<AccountId>,
    ) -> Option<RestoredRule> {
        let rule = named.rule;
        let evaluated = self.symbols.get(&rule.key.symbol).map_or(0, |past| past.evaluated[rule.spec.signal as usize]);
        let state = match rule.state {
            RuleState::Unknown if rule.version <= evaluated => RuleState::Clear,
            state => state,
        };
        let key = RuleKey { account: account(&named.account)?, ..rule.key };
        Some(RestoredRule { key, state, is_sure: rule.is_sure && state != RuleState::Unknown, ..rule })
    }
}
