//! What was asked, what was answered, and what the journal has: the words that the engine must keep.

use std::collections::{BTreeMap, BTreeSet};

use hairtrigger::control::wire::{Answer, Ask, Body, Place};
use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::journal::record::Entry;
use hairtrigger::journal::scan;
use hairtrigger::journal::storage::simulated::Disk;
use hairtrigger::model::{Change, ChangeKind, Listed, Reason, RuleKey, RuleState, flag};

use super::ACCOUNTS;
use super::translate::day_time;

/// A request, and what is known of it.
pub struct Asked {
    pub account: usize,
    pub ask: Ask,
    /// The life in which it was sent.
    pub life: Option<usize>,
    pub answer: Option<Answer>,
}

/// A rule's key, with the account's place in [`ACCOUNTS`].
pub type Key = (usize, u64, u64, u32);

/// See the head of this file.
#[derive(Default)]
pub struct Ledger {
    pub asked: BTreeMap<u64, Asked>,
    /// What the journal has, in its order, with the life that wrote it.
    pub changes: Vec<(usize, Change)>,
    /// Their records' sequences.
    sequences: Vec<u64>,
    records: u64,
}

pub fn key(account: usize, key: &RuleKey) -> Key {
    (account, key.user, key.symbol.0, key.slot)
}

/// The key of a message's rule.
pub fn key_of(message: &RuleMessage) -> Key {
    (account(&message.account), message.user, message.symbol.0, message.slot)
}

fn account(name: &[u8; 6]) -> usize {
    let name = String::from_utf8_lossy(name.trim_ascii_end());
    ACCOUNTS.iter().position(|account| *account == name).unwrap_or_else(|| panic!("nobody is called {name}"))
}

/// From where a set or remove holds.
pub fn place(answer: &Answer) -> Option<Place> {
    match answer.body {
        Body::SetDone { place, .. } | Body::RemoveDone { place, .. } | Body::Refused { place, .. } => Some(place),
        Body::UserRemoved { .. } | Body::Rule(_) | Body::ListDone { .. } => None,
    }
}

impl Ledger {
    /// Notes an answer: one for each request.
    pub fn answered(&mut self, account: usize, answer: &Answer) {
        let asked = self.asked.get_mut(&answer.id).unwrap_or_else(|| panic!("nobody asked for {answer:?}"));
        assert!(asked.account == account && asked.answer.is_none(), "another answer: {answer:?}");
        asked.answer = Some(*answer);
    }

    /// Reads the journal as the next start will find it, written by `life`: all that was acknowledged is there, what else is there
    /// was asked, and nothing is there behind a hole. What only a killed process had written may be gone again when a start
    /// `crashed` before it had synced it.
    pub fn check_journal(&mut self, disk: &Disk, life: usize, crashed: bool) {
        let mut found = vec![];
        let mut next = 0;
        scan::scan(&disk.unpruned(), 0, |record| {
            next = record.sequence;
            if let Entry::Change(name, change) = record.entry {
                found.push((record.sequence, account(&name), change));
            }
        })
        .unwrap_or_else(|error| panic!("the journal is refused: {error}"));
        // Records up to here were seen before: a journal only grows. What snapshots have made superfluous is read all the same.
        for (sequence, account, change) in found {
            if sequence <= self.records {
                continue;
            }
            let change = Change { key: RuleKey { account: account as u16, ..change.key }, ..change };
            self.changes.push((life, change));
            self.sequences.push(sequence);
        }
        assert!(crashed || next >= self.records, "the journal has lost {} records", self.records - next);
        let kept = self.sequences.partition_point(|sequence| *sequence <= next);
        self.changes.truncate(kept);
        self.sequences.truncate(kept);
        self.records = next;
        self.check_versions();
        self.check_asked();
        self.check_acknowledged();
    }

    /// Sets of one life of a symbol follow on each other: what is lost is lost at the end.
    fn check_versions(&self) {
        let mut last: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
        for (life, change) in &self.changes {
            if !matches!(change.kind, ChangeKind::Set(..)) {
                continue;
            }
            if let Some((before, version)) = last.insert(change.key.symbol.0, (*life, change.version)) {
                let follows = change.version == version + 1 || (*life > before && change.version > version);
                assert!(follows, "version {} comes behind {version}: {change:?}", change.version);
            }
        }
    }

    /// Every set of the journal was asked, in that life, with this spec, once.
    fn check_asked(&self) {
        let mut seen = BTreeSet::new();
        for (life, change) in &self.changes {
            let ChangeKind::Set(spec, _) = change.kind else { continue };
            let asked = self.asked.get(&spec.tag).unwrap_or_else(|| panic!("nobody asked for {change:?}"));
            let Ask::Set(key, wanted) = asked.ask else { panic!("no set: {change:?}") };
            let key = RuleKey { account: asked.account as u16, ..key };
            assert_eq!((key, wanted, asked.life), (change.key, spec, Some(*life)), "another set than was asked");
            assert!(seen.insert(spec.tag), "a set twice: {change:?}");
        }
    }

    fn check_acknowledged(&self) {
        let mut sets = BTreeMap::new();
        let mut removes = BTreeSet::new();
        for (_, change) in &self.changes {
            match change.kind {
                ChangeKind::Set(spec, state) => drop(sets.insert(spec.tag, (change, state))),
                ChangeKind::Removed => drop(removes.insert((change.key.symbol.0, change.version))),
            }
        }
        for (id, asked) in &self.asked {
            match (asked.answer.map(|answer| answer.body), asked.ask) {
                (Some(Body::SetDone { place, version, state, .. }), _) => {
                    let (change, found) = sets.get(id).unwrap_or_else(|| panic!("acknowledged set {id} is lost"));
                    let told = (version, place.sequence, place.feed_time, place.session, state);
                    let kept = (change.version, change.feed_sequence, change.feed_time, change.feed_session, *found);
                    assert_eq!(told, kept, "the answer and the journal");
                }
                (Some(Body::RemoveDone { version, .. }), Ask::Remove(key, _)) => {
                    assert!(removes.contains(&(key.symbol.0, version)), "acknowledged remove {id} is lost");
                }
                _ => (),
            }
        }
    }

    /// The rules that there must be: by key the version, from the journal's sets and what the log tells of their ends.
    pub fn living(&self, log: &[RuleMessage]) -> BTreeMap<Key, u64> {
        let mut living = BTreeMap::new();
        for (_, change) in &self.changes {
            let key = key(usize::from(change.key.account), &change.key);
            match change.kind {
                // It fired at once, and that ended it.
                ChangeKind::Set(_, RuleState::Fired) => drop(living.remove(&key)),
                ChangeKind::Set(..) => drop(living.insert(key, change.version)),
                ChangeKind::Removed => living.retain(|other, version| *other != key || *version != change.version),
            }
        }
        for message in log {
            let is_end = match message.kind {
                Kind::Alert => message.flags & flag::LAST != 0,
                Kind::Ended => message.reason != Reason::Replaced,
                _ => false,
            };
            if is_end {
                living.retain(|key, version| *key != key_of(message) || *version != message.version);
            }
        }
        living
    }

    /// A list shows the rules that there must be, as they were asked for. What the log told of their ends `before` it and `after`
    /// may differ by those that expired meanwhile.
    pub fn check_listed(
        &self,
        account: usize,
        listed: &[Listed],
        (before, after): (&[RuleMessage], &[RuleMessage]),
        taken: &BTreeSet<Key>,
    ) {
        let found: BTreeMap<Key, u64> = listed.iter().map(|rule| (key(account, &rule.key), rule.version)).collect();
        assert_eq!(found.len(), listed.len(), "a key twice");
        let (most, least) = (self.living(before), self.living(after));
        let lost: Vec<_> =
            least.iter().filter(|(key, version)| key.0 == account && found.get(key) != Some(version)).collect();
        let more: Vec<_> = found.iter().filter(|(key, version)| most.get(key) != Some(version)).collect();
        let stories = || -> String { lost.iter().chain(&more).map(|(key, _)| self.story(**key, after)).collect() };
        assert!(
            lost.is_empty() && more.is_empty(),
            "of {} are lost {lost:?}, and are there {more:?}{}",
            ACCOUNTS[account],
            stories()
        );
        for rule in listed {
            let Ask::Set(_, wanted) = self.asked[&rule.spec.tag].ask else { panic!("no set: {rule:?}") };
            assert_eq!(wanted, rule.spec, "another rule than was asked");
            // A power cut may have taken its end, and so it was there no more when they were removed.
            if taken.contains(&key(account, &rule.key)) {
                continue;
            }
            let mut later = self.asked.range(rule.spec.tag..).map(|(_, asked)| asked);
            let removes_it = Ask::RemoveUser { user: rule.key.user };
            let removed = later.any(|it| it.account == account && it.ask == removes_it && it.answer.is_some());
            assert!(!removed, "all rules of its user were removed: {rule:?}");
        }
    }

    /// All that is known of a key, for the one who looks for the reason.
    pub fn story(&self, of: Key, log: &[RuleMessage]) -> String {
        let mut out = format!("\n  the story of {of:?}:");
        for (id, asked) in &self.asked {
            let (Ask::Set(other, _) | Ask::Remove(other, _)) = asked.ask else { continue };
            if key(asked.account, &other) == of {
                out +=
                    &format!("\n    asked {id} in life {:?}: {:?}, answer {:?}", asked.life, asked.ask, asked.answer);
            }
        }
        for (life, change) in &self.changes {
            if key(usize::from(change.key.account), &change.key) == of {
                out += &format!("\n    journal of life {life}: {change:?}");
            }
        }
        for message in log.iter().filter(|message| key_of(message) == of) {
            let RuleMessage { kind, reason, flags, version, sequence, ordinal, ts_event, .. } = message;
            out += &format!(
                "\n    log {kind:?} {reason:?} flags {flags} version {version} at {sequence} by {ordinal}, {}",
                day_time(*ts_event)
            );
        }
        out
    }
}
