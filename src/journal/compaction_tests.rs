//! A journal with a log beside it, snapshots at any time and crashes at every operation: what a start finds is what was told.

use super::*;
use crate::journal::record::Entry;
use crate::journal::recovery::What;
use crate::journal::restart;
use crate::journal::snapshot::SnapshotError;
use crate::journal::storage::simulated::{Crash, Disk};
use crate::journal::writer::{Durability, Settings as WriterSettings, Writer};
use crate::model::{
    Change, ChangeKind, Comparison, Fire, Price, RestoredRule, RuleKey, RuleSpec, RuleState, Signal, Symbol,
};
use std::sync::Mutex;

const DEMO: [u8; 6] = *b"demo  ";
const SEGMENT_SIZE: u64 = 900;

/// A log in memory: its positions are counts, and it may have lost its beginning.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Vec<Logged>, u64)>>);

impl Memory {
    /// A version is never given twice: a set that was lost comes again only here, and has fired already.
    fn push_once(&self, logged: Logged) {
        let is_new = !self.0.lock().unwrap().0.contains(&logged);
        is_new.then(|| self.push(logged));
    }

    fn push(&self, logged: Logged) {
        self.0.lock().unwrap().0.push(logged);
    }

    fn lose(&self, count: u64) {
        self.0.lock().unwrap().1 = count;
    }
}

impl Log for Memory {
    fn read(&mut self, from: LogPosition, each: &mut dyn FnMut(&Logged)) -> io::Result<LogRead> {
        let log = self.0.lock().unwrap();
        let start = from.offset.max(log.1) as usize;
        log.0.iter().skip(start).for_each(each);
        let position = LogPosition { session: 1, segment: 0, offset: log.0.len() as u64 };
        Ok(LogRead { position, is_whole: from.offset >= log.1 })
    }

    fn unread_size(&self, from: LogPosition) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64 - from.offset)
    }
}

fn spec() -> RuleSpec {
    RuleSpec { fire: Fire::Repeat, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(50)) }
}

fn key(n: u64) -> RuleKey {
    RuleKey { user: n % 5, symbol: Symbol(n % 3), slot: 0, account: 0 }
}

/// The version of the set number `n`, which is the `n / 3`th of its symbol.
fn version(n: u64) -> u64 {
    n / 3 + 1
}

fn set(n: u64) -> Entry {
    let kind = ChangeKind::Set(spec(), RuleState::Clear);
    let (key, version) = (key(n), version(n));
    let change = Change {
        ordinal: n,
        feed_sequence: n,
        feed_time: n,
        feed_session: *b"0123456789",
        shard: 0,
        key,
        version,
        kind,
    };
    Entry::Change(DEMO, change)
}

fn fired(n: u64) -> Logged {
    let (feed_session, signal, what) = (*b"0123456789", Signal::Last, What::Fired { last: false });
    Logged {
        price: None,
        account: DEMO,
        key: key(n),
        version: version(n),
        signal,
        ordinal: 0,
        feed_session,
        feed_sequence: n,
        ts_event: n,
        what,
    }
}

fn begin(disk: &Disk) -> Result<Writer<Disk>, CompactionError> {
    let mut storage = disk.clone();
    let found = restart::read(&mut storage, 5, false)?;
    let settings = WriterSettings { durability: Durability::Sync, segment_size: SEGMENT_SIZE, boot: [1; 16] };
    Ok(Writer::begin(storage, found.scanned.position, settings, 9)?)
}

/// Writes sets `from..to`, each of which fires once before it is in the journal; every `each`th is followed by a snapshot.
/// Returns how many were acknowledged.
fn run(disk: &Disk, log: &Memory, (from, to): (u64, u64), each: u64, history_size: u64) -> u64 {
    let mut acknowledged = from;
    let mut script = || {
        let mut writer = begin(disk)?;
        for n in from..to {
            log.push_once(fired(n));
            writer.commit(std::iter::once(set(n)), 9)?;
            acknowledged = n + 1;
            if n % each == each - 1 {
                compact(&mut disk.clone(), &mut log.clone(), 9, || true)?;
                prune(&mut disk.clone(), history_size)?;
            }
        }
        Ok::<(), CompactionError>(())
    };
    let _ = script();
    acknowledged
}

/// All rules that a start finds, and whether each is sure.
fn found(disk: &Disk, log: &Memory) -> Result<Vec<RestoredRule>, CompactionError> {
    let mut found = restart::read(&mut disk.clone(), 5, false)?;
    let from = found.snapshot.as_ref().map_or(LogPosition::default(), |snapshot| snapshot.covers().log);
    let read = log.clone().read(from, &mut |logged| found.recovery.logged(logged))?;
    let merge = found.recovery.seal(if read.is_whole { 0 } else { u64::MAX });
    let mut rules = vec![];
    merge.rules(
        found.snapshot.as_ref(),
        |_| true,
        |named| {
            rules.push(named.rule);
            Ok::<(), SnapshotError>(())
        },
    )?;
    Ok(rules)
}

/// The rules after `count` sets: the newest of each key, fired once.
fn expected(count: u64) -> Vec<(Symbol, u64, u32)> {
    let newest = (0..count).filter(|n| (n + 1..count).all(|later| key(later) != key(*n)));
    let mut rules: Vec<_> = newest.map(|n| (key(n).symbol, version(n), 1)).collect();
    rules.sort();
    rules
}

fn rows(rules: &[RestoredRule]) -> Vec<(Symbol, u64, u32)> {
    rules.iter().map(|rule| (rule.key.symbol, rule.version, rule.fires)).collect()
}

fn snapshots(disk: &Disk) -> Vec<u64> {
    snapshot::list(disk).unwrap().into_iter().map(|(first, _)| first).collect()
}

#[test]
fn snapshots_bound_what_is_read_and_old_files_go() {
    let (disk, log) = (Disk::default(), Memory::default());
    assert_eq!(run(&disk, &log, (0, 60), 7, 0), 60);
    assert_eq!(rows(&found(&disk, &log).unwrap()), expected(60));
    assert_eq!(snapshots(&disk).len(), 1);
    let first = scan::segments(&disk).unwrap()[0].0;
    assert_eq!(first, snapshots(&disk)[0], "the journal goes on from the snapshot");
    let behind = restart::read(&mut disk.clone(), 5, false).unwrap().recovery.seal(0).counts();
    assert!(behind.changes < 15 && behind.snapshot > 10, "{behind:?}");
}

#[test]
fn history_is_kept_from_a_snapshot_on() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 60), 7, 3_000);
    let kept = snapshots(&disk);
    let (oldest, newest) = (kept[0], kept[kept.len() - 1]);
    let segments = scan::segments(&disk).unwrap();
    assert_eq!(segments[0].0, oldest, "what is kept goes on from a snapshot");
    let between = segments.iter().filter(|(first, _)| (oldest..newest).contains(first));
    let size: usize = between.map(|(_, name)| disk.read(name).unwrap().len()).sum();
    assert!((3_000..5_000).contains(&size), "{size}");
    run(&Disk::default(), &log, (0, 60), 7, u64::MAX);
}

#[test]
fn nothing_is_removed_before_there_is_enough_history() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 60), 7, 1 << 30);
    assert_eq!((scan::segments(&disk).unwrap()[0].0, snapshots(&disk).len()), (1, 8));
}

/// The heart of it: a crash at every operation of journal, snapshots and removals, then a second run with another crash.
#[test]
fn every_acknowledged_rule_survives_a_crash_at_every_operation() {
    let operations = {
        let disk = Disk::default();
        run(&disk, &Memory::default(), (0, 24), 6, 0);
        disk.operations()
    };
    assert!(operations > 100, "{operations}");
    for at in 0..operations {
        for (crash, seeds) in [(Crash::Kill, 1), (Crash::Power, 3)] {
            for seed in 0..seeds {
                let (disk, log) = (Disk::default(), Memory::default());
                disk.crash_at(at);
                let acknowledged = run(&disk, &log, (0, 24), 6, 0);
                let left = disk.after(crash, seed);
                let rules = found(&left, &log).unwrap_or_else(|error| panic!("{crash:?} at {at}, {seed}: {error}"));
                let there = (acknowledged..=24).find(|count| rows(&rules) == expected(*count));
                let there = there.unwrap_or_else(|| panic!("{crash:?} at {at}, {seed}: {rules:?}"));
                left.crash_at((at * 7 + seed as usize) % 40);
                let acknowledged = run(&left, &log, (there, there + 8), 3, 0).max(there);
                let rules = found(&left.after(Crash::Power, seed), &log).unwrap();
                assert!((acknowledged..=there + 8).any(|count| rows(&rules) == expected(count)), "then: {rules:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_costs_a_snapshot_and_nothing_else() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 20), 100, 0);
    for room in (0..1_500).step_by(50) {
        let full = disk.after(Crash::Kill, 0);
        full.full_after(room);
        let made = compact(&mut full.clone(), &mut log.clone(), 9, || true);
        assert_eq!(made.is_ok(), !snapshots(&full).is_empty());
        assert_eq!(rows(&found(&full.after(Crash::Kill, 0), &log).unwrap()), expected(20));
    }
}

#[test]
fn a_sync_that_failed_leaves_no_snapshot() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 20), 100, 0);
    for at in 0..12 {
        let ill = disk.after(Crash::Kill, 0);
        ill.sync_fails_at(at);
        let made = compact(&mut ill.clone(), &mut log.clone(), 9, || true);
        assert_eq!(made.is_ok(), !snapshots(&ill).is_empty(), "{at}");
        compact(&mut ill.clone(), &mut log.clone(), 9, || true).unwrap();
        assert_eq!(rows(&found(&ill, &log).unwrap()), expected(20));
    }
}

#[test]
fn a_stop_interrupts_it() {
    let (disk, log) = (Disk::default(), Memory::default());
    let mut writer = begin(&disk).unwrap();
    for n in 0..5_000u64 {
        let Entry::Change(account, change) = set(n) else { panic!("a set") };
        let key = RuleKey { user: n, ..change.key };
        writer.commit(std::iter::once(Entry::Change(account, Change { key, ..change })), 9).unwrap();
    }
    let made = compact(&mut disk.clone(), &mut log.clone(), 9, || false);
    assert!(matches!(made, Err(CompactionError::Interrupted)));
    assert!(snapshots(&disk).is_empty());
}

#[test]
fn what_the_log_lost_before_it_was_folded_in_makes_rules_unsure_for_good() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 20), 100, 0);
    compact(&mut disk.clone(), &mut log.clone(), 9, || true).unwrap();
    log.lose(20);
    assert!(found(&disk, &log).unwrap().iter().all(|rule| rule.is_sure), "all that was lost is in the snapshot");
    log.push(fired(18));
    log.lose(21);
    assert!(found(&disk, &log).unwrap().iter().all(|rule| !rule.is_sure));
    run(&disk, &log, (20, 30), 100, 0);
    compact(&mut disk.clone(), &mut log.clone(), 9, || true).unwrap();
    let unsure = found(&disk, &log).unwrap().iter().filter(|rule| !rule.is_sure).count();
    assert!(unsure > 0, "and the next snapshot does not forget it");
}

#[test]
fn it_is_due_by_the_journal_or_by_the_log() {
    let (disk, log) = (Disk::default(), Memory::default());
    let settings = Settings { snapshot_size: 2_000, log_size: 25, log_time: 100, history_size: 0 };
    let due = || is_due(&disk.clone(), &log, &settings, 108).unwrap();
    run(&disk, &log, (0, 9), 100, 0);
    assert!(!due());
    run(&disk, &log, (9, 18), 100, 0);
    assert!(due());
    compact(&mut disk.clone(), &mut log.clone(), 9, || true).unwrap();
    assert!(!due());
    (0..25).for_each(|_| log.push(fired(1)));
    assert!(due());
    compact(&mut disk.clone(), &mut log.clone(), 9, || true).unwrap();
    assert!(!due() && snapshots(&disk).len() == 1, "it took the place of the one before");
    let later = || is_due(&disk.clone(), &log, &settings, 109).unwrap();
    assert!(!later(), "the log has nothing new");
    log.push(fired(1));
    assert!(later() && !due());
}

#[test]
fn a_worker_makes_them_and_ends_when_it_is_told() {
    let (disk, log, aside) = (Disk::default(), Memory::default(), Aside::stepped());
    run(&disk, &log, (0, 20), 100, 0);
    let settings = Settings { snapshot_size: 1, log_size: 1, log_time: 1, history_size: 0 };
    let clock = (Clock::simulated(0), &aside);
    let mut snapshots_made = Snapshots::begin(disk.clone(), log.clone(), settings, clock).unwrap();
    let mut hand = aside.take().pop().unwrap();
    snapshots_made.knock(SNAPSHOT_POLL - 1);
    assert!(!hand.step());
    snapshots_made.knock(SNAPSHOT_POLL);
    assert!(hand.step() && snapshots(&disk).len() == 1);
    assert!(!snapshots_made.close());
    assert!(hand.step() && snapshots_made.close());
    assert_eq!(rows(&found(&disk, &log).unwrap()), expected(20));
}

/// A journal of several segments and snapshots, with the older ones kept: a start finds what was written, or says that it does not.
#[test]
fn no_flipped_bit_of_a_journal_goes_unseen() {
    let (disk, log) = (Disk::default(), Memory::default());
    run(&disk, &log, (0, 25), 6, u64::MAX);
    let (segments, kept) = (scan::segments(&disk).unwrap(), snapshots(&disk));
    assert!(segments.len() > 4 && kept.len() > 2);
    let whole = rows(&found(&disk, &log).unwrap());
    let (mut bits, mut torn) = (0, 0);
    for name in disk.list().unwrap() {
        for bit in 0..8 * disk.read(&name).unwrap().len() {
            let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
            disk.damage(&name, flip);
            torn += u64::from(is_seen(&disk, &name) == Seen::TornTail);
            // A start reads the newest snapshot and what lies behind it.
            match found(&disk, &log) {
                Ok(rules) => {
                    assert!(rows(&rules) == whole || name == segments[segments.len() - 1].1, "{name}, bit {bit}")
                }
                Err(error) => assert!(error.to_string().contains(&name) || name.ends_with("snapshot"), "{error}"),
            }
            disk.damage(&name, flip);
            bits += 1;
        }
    }
    println!(
        "{bits} bits in {} segments and {} snapshots, {torn} of them in the last batch",
        segments.len(),
        kept.len()
    );
    assert_eq!((bits > 40_000, torn), (true, LAST_BATCH_BITS));
}

/// The last record was acknowledged by nothing that is on disk: it is left behind, and said.
const LAST_BATCH_BITS: u64 = 8 * crate::journal::record::SET_SIZE as u64;

#[derive(PartialEq, Eq)]
enum Seen {
    Refused,
    TornTail,
}

/// Who reads all that is kept sees it.
fn is_seen(disk: &Disk, name: &str) -> Seen {
    if name.ends_with("snapshot") {
        assert!(Snapshot::open(disk.read(name).unwrap()).is_err(), "{name}");
        return Seen::Refused;
    }
    match scan::scan(disk, 5, |_| ()) {
        Err(_) => Seen::Refused,
        Ok(scanned) => {
            assert!(scanned.torn > 0, "{name}");
            Seen::TornTail
        }
    }
}
