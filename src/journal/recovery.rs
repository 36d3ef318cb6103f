//! Recovery: from what journal and alert log say to the rules that are put back. Pure.
//!
//! The journal is read first and as a whole, then the log. The journal says which rules there are; the log says what became of
//! them. A version names one set of one rule, so the two need no order between them. What the log tells of
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
//! and of the whole:
//!
//! | case | then |
//! |---|---|
//! | `no_journal_and_no_log` | no rules |
//! | `no_log` , `a_log_that_is_not_whole` | the journal's rules, and each says in its first alert that a firing may be lost |
//! | `a_log_and_no_journal` | no rules; versions and ordinals go on behind those of the log |
//! | `an_account_that_is_gone` | its rules stay in the journal, and come back with it |
//! | `a_rule_that_had_seen_no_value` | unknown, unless a later rule of its symbol and signal is known to have seen one: then clear |
//!
//! Known limit: whether a rule without any sign of a value had seen one is not written down. It is put back as unknown, and its
//! first alert says that this is not sure.

use std::collections::HashMap;

use super::record::AccountName;
use crate::model::{
    AccountId, Change, ChangeKind, Nanos, OnSet, RestoredRule, RestoredSymbol, RuleKey, RuleSpec, RuleState, Signal,
    Symbol,
};

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

#[derive(Clone, Copy)]
struct Rule {
    spec: RuleSpec,
    version: u64,
    state: RuleState,
    fires: u32,
    quiet_until: Nanos,
    /// The journal's record that set it.
    record: u64,
}

/// What is known of a symbol.
#[derive(Clone, Copy, Default)]
struct Past {
    version: u64,
    /// Per signal: rules up to this version have seen a value.
    evaluated: [u64; 4],
    feed_time: Nanos,
    feed_session: [u8; 10],
    feed_sequence: u64,
}

/// Recovery under way.
#[derive(Default)]
pub struct Recovery {
    rules: HashMap<Key, Rule>,
    symbols: HashMap<Symbol, Past>,
    ordinal: u64,
    counts: Counts,
}

/// What was found, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes in the journal.
    pub changes: u64,
    /// What the log told of rules.
    pub logged: u64,
    /// Rules that fired for the last time, or expired.
    pub ended: u64,
    /// Rules whose remove the journal lacks.
    pub removed: u64,
    /// Rules whose replacement the journal lacks: they stay.
    pub replacements_lost: u64,
    /// What the log told of versions that the journal lacks.
    pub unknown_versions: u64,
    /// Rules of accounts that the config does not have: they stay in the journal.
    pub dormant: u64,
}

/// What is put back.
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

impl Recovery {
    /// Takes the journal's next change, from the record of this sequence. All of them come before [`Self::logged`].
    pub fn journaled(&mut self, record: u64, account: AccountName, change: &Change) {
        self.counts.changes += 1;
        self.ordinal = self.ordinal.max(change.ordinal);
        let key = Key::new(account, change.key);
        let past = self.symbols.entry(change.key.symbol).or_default();
        past.note(change.feed_time, change.feed_session, change.feed_sequence);
        match change.kind {
            ChangeKind::Removed => {
                if self.rules.get(&key).is_some_and(|rule| rule.version == change.version) {
                    self.rules.remove(&key);
                }
            }
            ChangeKind::Set(spec, state) => {
                past.version = past.version.max(change.version);
                if state != RuleState::Unknown {
                    past.evaluate(spec.signal, change.version);
                }
                if state == RuleState::Fired {
                    self.rules.remove(&key);
                    return;
                }
                let mut rule = Rule { spec, version: change.version, state, fires: 0, quiet_until: 0, record };
                if state == RuleState::Met && spec.on_set == OnSet::Fire {
                    rule.fire(change.feed_time);
                }
                self.rules.insert(key, rule);
            }
        }
    }

    /// Takes what the log tells next.
    pub fn logged(&mut self, logged: &Logged) {
        self.counts.logged += 1;
        self.ordinal = self.ordinal.max(logged.ordinal);
        let past = self.symbols.entry(logged.key.symbol).or_default();
        past.version = past.version.max(logged.version);
        past.note(logged.ts_event, logged.feed_session, logged.feed_sequence);
        if logged.ordinal == 0 && !matches!(logged.what, What::Expired) {
            past.evaluate(logged.signal, logged.version);
        }
        let key = Key::new(logged.account, logged.key);
        let Some(rule) = self.rules.get_mut(&key).filter(|rule| rule.version <= logged.version) else { return };
        if rule.version < logged.version {
            self.counts.unknown_versions += 1;
            return;
        }
        match logged.what {
            // The set's own record says how it stood then, and that it was quiet from then on.
            What::Fired { last: false } if logged.ordinal != 0 => (),
            What::Fired { last: false } => {
                rule.state = RuleState::Met;
                rule.fire(logged.ts_event);
            }
            What::Met => rule.state = RuleState::Met,
            What::Rearmed => rule.state = RuleState::Clear,
            What::Replaced => self.counts.replacements_lost += 1,
            What::Fired { last: true } | What::Expired => {
                self.counts.ended += 1;
                self.rules.remove(&key);
            }
            What::Removed => {
                self.counts.removed += 1;
                self.rules.remove(&key);
            }
        }
    }

    /// What is to be put back. The log lacks nothing of rules that records from `sure_from` on have set. `account` gives the
    /// number of an account's name.
    pub fn finish(self, sure_from: u64, account: impl Fn(&AccountName) -> Option<AccountId>) -> Recovered {
        let Recovery { rules, symbols, ordinal, mut counts } = self;
        let mut found = Vec::with_capacity(rules.len());
        for (Key { account: name, key }, rule) in rules {
            let Some(account) = account(&name) else {
                counts.dormant += 1;
                continue;
            };
            let evaluated = symbols.get(&key.symbol).map_or(0, |past| past.evaluated[rule.spec.signal as usize]);
            let state = match rule.state {
                RuleState::Unknown if rule.version <= evaluated => RuleState::Clear,
                state => state,
            };
            found.push(RestoredRule {
                key: RuleKey { account, ..key },
                spec: rule.spec,
                version: rule.version,
                state,
                fires: rule.fires,
                quiet_until: rule.quiet_until,
                is_sure: rule.record >= sure_from && state != RuleState::Unknown,
            });
        }
        found.sort_unstable_by_key(|rule| (rule.key.symbol, rule.version));
        let restored = |(symbol, past): (Symbol, Past)| RestoredSymbol {
            symbol,
            version: past.version,
            feed_session: past.feed_session,
            feed_sequence: past.feed_sequence,
        };
        let mut symbols: Vec<_> = symbols.into_iter().map(restored).collect();
        symbols.sort_unstable_by_key(|past| past.symbol);
        Recovered { rules: found, symbols, ordinal, counts }
    }
}

impl Rule {
    /// Notes an alert at `ts_event`.
    fn fire(&mut self, ts_event: Nanos) {
        self.fires = self.fires.saturating_add(1);
        self.quiet_until = if self.spec.cooldown == 0 { 0 } else { ts_event.saturating_add(self.spec.cooldown) };
    }
}

impl Past {
    /// Something happened at this place of the feed. An expiry has no place.
    fn note(&mut self, feed_time: Nanos, session: [u8; 10], sequence: u64) {
        if sequence != 0 && (feed_time, sequence) >= (self.feed_time, self.feed_sequence) {
            (self.feed_time, self.feed_session, self.feed_sequence) = (feed_time, session, sequence);
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
