//! Recovery: from a snapshot, the journal behind it and the alert log to the rules that are there. Pure.
//!
//! ```text
//!   snapshot ---- rules, in order ------------------------------.
//!      '--------- symbols, fates --.                            v
//!   journal behind it ------------>[ sets, fates, symbols ]-->[ merge ]--> rules, in order --> shards, or the next snapshot
//!   alert log behind it ---------->[                      ]
//! ```
//!
//! A version names one set of one rule. So all that is told of a rule but the set itself is a *fate* of its version, and sets and
//! fates need no order between them: journal and log may be read in any order, and each in parts. Memory goes with what is read
//! behind the snapshot; the snapshot's rules only pass by. The start of an engine and the making of a snapshot are the same merge.
//!
//! The journal says which rules there are; the log says what became of them. What the log tells of
//!
//! | case | the journal's rule of the key | then |
//! |---|---|---|
//! | `fired_for_the_last_time` | has this version | gone: it does not fire again |
//! | `fired_and_stays` | has this version | met, one more alert, quiet for its cooldown |
//! | `fired_when_it_was_set` | has this version | nothing: the set itself says so |
//! | `became_met`, `became_clear` | has this version | so it stands |
//! | `expired` | has this version | gone |
//! | `removed_and_not_yet_in_the_journal` | has this version | gone: the client was told so |
//! | `replaced_by_a_set_that_was_lost` | has this version | it stays: the set was never acknowledged, this one was |
//! | `an_earlier_version` | has a later version | nothing |
//! | `a_version_that_the_journal_lacks` | has an earlier one, or there is none | nothing but the counter: no version comes twice |
//!
//! of the whole:
//!
//! | case | then |
//! |---|---|
//! | `no_journal_and_no_log` | no rules |
//! | `no_log` , `a_log_that_is_not_whole` | the journal's rules, and each says in its first alert that a firing may be lost |
//! | `a_log_and_no_journal` | no rules; versions and ordinals go on behind those of the log |
//! | `an_account_that_is_gone` | its rules stay in journal and snapshot, and come back with it |
//! | `a_rule_that_had_seen_no_value` | unknown, unless a later rule of its symbol and signal is known to have seen one: then clear |
//!
//! Journal and snapshot say too where symbols stood, as their shards tell now and then and at an orderly stop:
//!
//! | case | then |
//! |---|---|
//! | `a_rule_that_had_seen_a_value_when_its_symbol_was_told` | clear, and sure |
//! | `a_rule_that_was_set_after_its_symbol_was_told` | unknown, as without |
//! | `a_last_price` | it is the last price, in this session |
//! | `a_last_price_of_another_session` than that of the last thing known to have happened | void |
//! | `a_later_print_that_the_log_tells`, an alert | its price is the last one |
//! | `a_later_print_without_a_price`, a rule that was met or cleared by it | no last price is known |
//! | `an_earlier_print_that_the_log_tells` | nothing |
//! | `a_rule_that_had_seen_no_value_beside_a_last_price` | unknown, and its shard takes no last price: while one is known every rule has seen it |
//!
//! and of a snapshot:
//!
//! | case | then |
//! |---|---|
//! | `a_snapshot_and_nothing_behind_it` | its rules, as they stood |
//! | `a_rule_of_the_snapshot_that_was_replaced`, `..._removed`, `..._fired`, `..._rearmed` | as if journal and log were whole |
//! | `a_firing_that_the_snapshot_has` | it is not counted twice: the log is read from where the snapshot left it |
//! | `a_fate_whose_set_was_not_in_the_journal_yet` | it is kept in the snapshot until the set comes |
//! | `a_log_that_lost_what_the_snapshot_lacks` | every rule says in its first alert that a firing may be lost |
//! | `a_boot_without_an_end_behind_the_snapshot` | so do all rules that were set before it |
//!
//! Known limit: of two sessions of the feed the one with the later stamps is taken for the later one. Where stamps say otherwise than the
//! feed, no last price is known, and of a third session whatever is told later takes the place of the other.
//! After a kill the last price is the last one that was told, by the shard or in an alert, and not the last one that
//! was seen; and whether a rule without any sign of a value had seen one after its symbol was told is not known: it is put back as
//! unknown, and its first alert says that this is not sure.

mod merge;

use std::collections::HashMap;
use std::ops::Deref;

use super::record::{AccountName, Entry, Record};
use super::snapshot::{NamedRule, Snapshot, SnapshotError, SymbolRow};
use crate::model::{
    Change, ChangeKind, Nanos, OnSet, Price, RestoredRule, RuleKey, RuleState, Signal, Standing, Symbol,
};

pub use merge::{Merge, Recovered};

/// Of commands that an engine takes before its feed names a session.
pub const BLANK: [u8; 10] = [b' '; 10];

/// What the alert log tells of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The owner's name.
    pub account: AccountName,
    /// The rule's key; its account number means nothing.
    pub key: RuleKey,
    /// The rule's version.
    pub version: u64,
    /// What it watches.
    pub signal: Signal,
    /// The command that caused it, 0 for a message.
    pub ordinal: u64,
    /// The feed's session,
    pub feed_session: [u8; 10],
    /// and the message that caused it, 0 for an expiry.
    pub feed_sequence: u64,
    /// Stamp of the cause.
    pub ts_event: Nanos,
    /// The signal's value, where it is told: by an alert.
    pub price: Option<Price>,
    /// What happened.
    pub what: What,
}

/// What happened to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It fired, and that ended it if so.
    Fired {
        /// It ended.
        last: bool,
    },
    /// It became met without an alert.
    Met,
    /// It became clear.
    Rearmed,
    /// It ended by time.
    Expired,
    /// It was removed.
    Removed,
    /// Another rule took its place.
    Replaced,
}

/// A rule's key without the account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: AccountName,
    key: RuleKey,
}

impl Key {
    fn new(account: AccountName, key: RuleKey) -> Key {
        Key { account, key: RuleKey { account: 0, ..key } }
    }
}

/// The newest set of a key that was read behind the snapshot. Whatever rule the key had before is gone.
#[derive(Clone)]
struct Set {
    /// `None`: it fired at once, and that ended it.
    rule: Option<RestoredRule>,
    version: u64,
    /// The journal's record.
    record: u64,
}

/// What became of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// How it ended, if it did.
    pub end: Option<End>,
    /// The log tells of a successor.
    pub is_replaced: bool,
    /// Where it stands now, if that changed.
    pub state: Option<RuleState>,
    /// Alerts that it gave,
    pub fires: u32,
    /// and the stamp of the last one.
    pub ts_fired: Nanos,
}

/// How a rule ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It fired for the last time, or expired.
    Over,
    /// It was removed, as the log says.
    Removed,
    /// It was removed, as the journal says.
    Journaled,
}

impl Fate {
    /// What becomes of the rule; `None` when it has ended.
    fn seal(&self, mut rule: RestoredRule, counts: &mut Counts) -> Option<RestoredRule> {
        match self.end {
            Some(End::Over) => counts.ended += 1,
            Some(End::Removed) => counts.removed += 1,
            Some(End::Journaled) | None => (),
        }
        if self.end.is_some() {
            return None;
        }
        rule.state = self.state.unwrap_or(rule.state);
        rule.fires = rule.fires.saturating_add(self.fires);
        if self.fires > 0 {
            rule.quiet_until = quiet_until(self.ts_fired, rule.spec.cooldown);
        }
        counts.replacements_lost += u64::from(self.is_replaced);
        Some(rule)
    }
}

fn quiet_until(ts_fired: Nanos, cooldown: Nanos) -> Nanos {
    if cooldown == 0 { 0 } else { ts_fired.saturating_add(cooldown) }
}

/// Recovery under way.
#[derive(Clone, Default)]
pub struct Recovery {
    sets: HashMap<Key, Set>,
    fates: HashMap<(Symbol, u64), Fate>,
    symbols: HashMap<Symbol, SymbolRow>,
    ordinal: u64,
    counts: Counts,
}

/// What was found, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes in the journal, behind the snapshot.
    pub changes: u64,
    /// What the log told of rules, behind the snapshot.
    pub logged: u64,
    /// Rules in the snapshot.
    pub snapshot: u64,
    /// Rules that fired for the last time, or expired.
    pub ended: u64,
    /// Rules whose remove the journal lacks.
    pub removed: u64,
    /// Rules whose replacement the journal lacks: they stay.
    pub replacements_lost: u64,
    /// Versions that the log tells of and the journal lacks.
    pub unknown_versions: u64,
    /// Rules of accounts that the config does not have: they stay in the journal.
    pub dormant: u64,
}

impl Counts {
    /// Adds what another part of a merge has counted. What was read is counted once, before.
    pub fn add(&mut self, part: &Counts) {
        self.ended += part.ended;
        self.removed += part.removed;
        self.replacements_lost += part.replacements_lost;
        self.dormant += part.dormant;
    }
}

impl Recovery {
    /// Begins with what a snapshot says of symbols, and with the fates whose sets it lacks.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn after<B: Deref<Target = [u8]>>(snapshot: &Snapshot<B>) -> Result<Recovery, SnapshotError> {
        let mut recovery = Recovery { ordinal: snapshot.covers().ordinal, ..Recovery::default() };
        recovery.counts.snapshot = snapshot.counts().rules;
        snapshot.each_symbol(|row| recovery.symbols.extend([(row.symbol, row)]))?;
        snapshot.each_fate(|row| recovery.fates.extend([((row.symbol, row.version), row.fate)]))?;
        Ok(recovery)
    }

    /// As [`Self::after`], and takes the snapshot's rules too: for who has the memory and wants no file open.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn with_rules<B: Deref<Target = [u8]>>(snapshot: &Snapshot<B>) -> Result<Recovery, SnapshotError> {
        let mut recovery = Recovery::after(snapshot)?;
        snapshot.each_rule(&|_| true, |NamedRule { account, rule }| {
            let set = Set { rule: Some(*rule), version: rule.version, record: 0 };
            recovery.sets.insert(Key::new(*account, rule.key), set);
            Ok::<(), SnapshotError>(())
        })?;
        Ok(recovery)
    }

    /// True when the log that a snapshot has taken ([`Self::with_rules`]) tells of this change already, or of a later one of its symbol.
    pub fn tells_of(&self, account: AccountName, change: &Change) -> bool {
        let Change { key, version, kind, .. } = *change;
        let Some(past) = self.symbols.get(&key.symbol) else { return false };
        match kind {
            ChangeKind::Set(..) => version <= past.version,
            ChangeKind::Removed if version <= past.journaled => {
                self.sets.get(&Key::new(account, key)).is_none_or(|set| set.version != version)
            }
            ChangeKind::Removed => self.fates.get(&(key.symbol, version)).is_some_and(|fate| fate.end.is_some()),
        }
    }

    /// Takes the journal's next record.
    pub fn record(&mut self, record: &Record) {
        match &record.entry {
            Entry::Change(account, change) => self.journaled(record.sequence, *account, change),
            Entry::Standing(standing) => self.standing(standing),
            Entry::End => (),
        }
    }

    /// Takes where a symbol stood. Its shard tells so only when all that it had told before is in the alert log.
    pub fn standing(&mut self, standing: &Standing) {
        let Standing { symbol, feed_sequence, feed_time, feed_session, last, evaluated, .. } = *standing;
        let past = self.symbols.entry(symbol).or_insert_with(|| SymbolRow::new(symbol));
        // It names the session. No message is settled by it: the day may be read from its start once more, with other rules.
        past.note(feed_time, feed_session, 1);
        if let Some(price) = last {
            past.print(feed_session, feed_sequence.saturating_sub(1), price);
        }
        for (signal, version) in Signal::ALL.into_iter().zip(evaluated) {
            past.evaluate(signal, version);
        }
    }

    /// Takes the journal's next change, from the record of this sequence.
    pub fn journaled(&mut self, record: u64, account: AccountName, change: &Change) {
        self.counts.changes += 1;
        self.ordinal = self.ordinal.max(change.ordinal);
        let (symbol, version) = (change.key.symbol, change.version);
        let past = self.symbols.entry(symbol).or_insert_with(|| SymbolRow::new(symbol));
        past.note(change.feed_time, change.feed_session, change.feed_sequence);
        let ChangeKind::Set(spec, state) = change.kind else {
            let fate = self.fates.entry((symbol, version)).or_default();
            fate.end = fate.end.or(Some(End::Journaled));
            return;
        };
        past.version = past.version.max(version);
        past.journaled = past.journaled.max(version);
        if state != RuleState::Unknown {
            past.evaluate(spec.signal, version);
        }
        let key = RuleKey { account: 0, ..change.key };
        let has_fired = state == RuleState::Met && spec.on_set == OnSet::Fire;
        let fires = u32::from(has_fired);
        let quiet_until = if has_fired { quiet_until(change.feed_time, spec.cooldown) } else { 0 };
        let rule = RestoredRule { key, spec, version, state, fires, quiet_until, is_sure: true };
        let rule = (state != RuleState::Fired).then_some(rule);
        self.sets.insert(Key::new(account, key), Set { rule, version, record });
    }

    /// Takes what the log tells next.
    pub fn logged(&mut self, logged: &Logged) {
        self.counts.logged += 1;
        self.ordinal = self.ordinal.max(logged.ordinal);
        let symbol = logged.key.symbol;
        let past = self.symbols.entry(symbol).or_insert_with(|| SymbolRow::new(symbol));
        past.version = past.version.max(logged.version);
        past.note(logged.ts_event, logged.feed_session, logged.feed_sequence);
        if logged.ordinal == 0 && !matches!(logged.what, What::Expired) {
            past.evaluate(logged.signal, logged.version);
            if logged.signal == Signal::Last {
                past.print(logged.feed_session, logged.feed_sequence, logged.price.unwrap_or(SymbolRow::NO_LAST));
            }
        }
        let fate = self.fates.entry((symbol, logged.version)).or_default();
        match logged.what {
            // The set's own record says how it stood then, and that it was quiet from then on.
            What::Fired { last: false } if logged.ordinal != 0 => (),
            What::Fired { last: false } => {
                fate.state = Some(RuleState::Met);
                fate.fires = fate.fires.saturating_add(1);
                fate.ts_fired = logged.ts_event;
            }
            What::Met => fate.state = Some(RuleState::Met),
            What::Rearmed => fate.state = Some(RuleState::Clear),
            What::Replaced => fate.is_replaced = true,
            What::Fired { last: true } | What::Expired => fate.end = Some(End::Over),
            What::Removed => fate.end = fate.end.or(Some(End::Removed)),
        }
    }

    /// All has been read. The log lacks nothing of rules that records from `sure_from` on have set; of a rule of the snapshot
    /// it does unless that is 0.
    pub fn seal(self, sure_from: u64) -> Merge {
        let Recovery { sets, fates, symbols, ordinal, mut counts } = self;
        let mut fresh = vec![];
        let mut newest = HashMap::with_capacity(sets.len());
        for (key, Set { rule, version, record }) in sets {
            newest.insert(key, version);
            let sealed = |rule: RestoredRule| RestoredRule { is_sure: rule.is_sure && record >= sure_from, ..rule };
            fresh.extend(rule.map(|rule| NamedRule { account: key.account, rule: sealed(rule) }));
        }
        fresh.sort_unstable_by_key(|named| (named.rule.key.symbol, named.rule.version));
        let journaled = |symbol: &Symbol| symbols.get(symbol).map_or(0, |past| past.journaled);
        counts.unknown_versions = fates.keys().filter(|(symbol, version)| *version > journaled(symbol)).count() as u64;
        Merge { fresh, newest, fates, symbols, ordinal, counts, is_log_whole: sure_from == 0 }
    }
}

impl SymbolRow {
    /// No price: that of the last print is not known.
    const NO_LAST: Price = Price(i64::MIN);

    /// Something happened at this place of the feed. An expiry has no place. Within a session only the sequence says what is later:
    /// stamps go back. Of two sessions the later one has the later stamps, and it voids the last price. How far the other one was seen is
    /// kept too: stamps may lie (a configured date gives two days the same one), and what has fired must not fire again.
    fn note(&mut self, feed_time: Nanos, session: [u8; 10], sequence: u64) {
        if sequence == 0 {
            return;
        }
        if session == self.feed_session {
            self.feed_time = self.feed_time.max(feed_time);
            self.feed_sequence = self.feed_sequence.max(sequence);
            return;
        }
        let known = if session == self.other_session { self.other_sequence } else { 0 };
        let sequence = known.max(sequence);
        if feed_time >= self.feed_time {
            (self.other_session, self.other_sequence) = (self.feed_session, self.feed_sequence);
            (self.feed_time, self.feed_session, self.feed_sequence) = (feed_time, session, sequence);
            (self.last, self.last_session, self.last_sequence) = (Price(0), [0; 10], 0);
        } else if session != BLANK {
            (self.other_session, self.other_sequence) = (session, sequence);
        }
    }

    /// This was the last print up to this message. Only of the session of what happened last, and what is known of later counts.
    fn print(&mut self, session: [u8; 10], sequence: u64, price: Price) {
        let is_later = sequence > self.last_sequence || (sequence == self.last_sequence && price != SymbolRow::NO_LAST);
        if session == self.feed_session && sequence != 0 && is_later {
            (self.last, self.last_session, self.last_sequence) = (price, session, sequence);
        }
    }

    fn evaluate(&mut self, signal: Signal, version: u64) {
        let evaluated = &mut self.evaluated[signal as usize];
        *evaluated = (*evaluated).max(version);
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
