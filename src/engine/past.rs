//! What earlier runs have left, before anything new begins: locks, snapshot, journal and alert logs read, a new segment begun.
//! The snapshot's rules are not gathered anywhere: they pass from the mapped file into the shards, all shards at once.

mod log;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread::ScopedJoinHandle;

use super::settings;
use crate::config::Config;
use crate::gateway::segment::SegmentError;
use crate::journal::compaction::{self, Snapshots};
use crate::journal::record::AccountName;
use crate::journal::recovery::{Counts, Merge};
use crate::journal::restart::{self, Found};
use crate::journal::scan::ScanError;
use crate::journal::snapshot::{Snapshot, SnapshotError};
use crate::journal::storage::Storage;
use crate::journal::writer::{Settings, Writer};
use crate::matcher::shard::Shard;
use crate::model::{AccountId, LogPosition, Nanos, Refusal, Symbol};
use crate::sys::aside::Aside;
use crate::sys::clock::Clock;
use crate::sys::lock::{DirectoryLock, LockError};

use log::AlertLog;

/// Why an engine cannot go on from what earlier runs have left. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// Another engine, or the system.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A directory.
    #[error("{directory}: {source}", directory = .0.display(), source = .1)]
    System(PathBuf, io::Error),
    /// The alert log.
    #[error("alert log in {directory}: {source}", directory = .0.display(), source = .1)]
    Log(PathBuf, SegmentError),
    /// The journal.
    #[error(
        "journal in {}: {error}. Nothing was changed. `hairtrigger journal inspect {}` shows what is there; \
         `hairtrigger run --cut-damaged-journal` starts with what is whole before that place",
        directory.display(), directory.display()
    )]
    Journal {
        /// Where it is.
        directory: PathBuf,
        /// What is wrong with it.
        error: ScanError,
    },
    /// The snapshot, though every bit of it is as it was written.
    #[error("the newest snapshot of the journal: {0}, or another program wrote it")]
    Snapshot(#[from] SnapshotError),
    /// The limits are too small for the rules that there are.
    #[error(
        "{refusal}: up to {rules} rules and {symbols} symbols are in the journal; the config's limits, or the account's \
         rules_max, are too small for them"
    )]
    Limits {
        /// What a shard said.
        refusal: Refusal,
        /// Rules in all, at most.
        rules: u64,
        /// Symbols in all.
        symbols: usize,
    },
}

/// What is there.
pub(super) struct Past<S: Storage> {
    pub locks: [DirectoryLock; 2],
    pub rules: PastRules<S::Bytes>,
    pub writer: Writer<S>,
    pub report: Report,
}

/// The rules that are there, on their way into the shards.
pub(super) struct PastRules<B> {
    snapshot: Option<Snapshot<B>>,
    merge: Merge,
    names: Vec<AccountName>,
}

/// What was found, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where the journal is.
    pub directory: PathBuf,
    /// Rules put back.
    pub rules: usize,
    /// Of those, rules of which a firing may have been lost.
    pub unsure: usize,
    /// What journal and log said.
    pub counts: Counts,
    /// The rules of accounts that the config does not have, by the account's name.
    pub dormant: BTreeMap<AccountName, u64>,
    /// Bytes at the journal's end that were never acknowledged, and are left behind.
    pub torn: usize,
    /// Snapshots and segments that were moved out of the way of what is whole.
    pub cut: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        write!(f, "journal: {}: {} rules put back", self.directory.display(), self.rules)?;
        let Counts { snapshot, changes, logged, .. } = counts;
        write!(f, " (snapshot of {snapshot} rules, then {changes} changes, {logged} log records)")?;
        for (count, what) in [
            (self.unsure as u64, "rules of which a firing may be lost: their first alert says so"),
            (counts.replacements_lost, "rules that stay because what replaced them was never acknowledged"),
            (counts.dormant, "rules of accounts that the config does not have: they wait in the journal"),
            (self.torn as u64, "bytes of a torn tail left behind: never acknowledged"),
            (self.cut.len() as u64, "damaged files, and what lies behind them, moved out of the way (*.cut)"),
        ] {
            if count > 0 {
                write!(f, "\njournal: {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Reads what is there and begins a new segment of the journal.
pub(super) fn open<S: Storage>(
    config: &Config,
    mut storage: S,
    boot: [u8; 16],
    now: Nanos,
) -> Result<Past<S>, PastError> {
    let (alerts, directory) = (&config.gateway.directory, config.journal_directory());
    let locks = [DirectoryLock::take(alerts)?, DirectoryLock::take(&directory)?];
    let failed = |error| PastError::System(directory.clone(), error);
    let Found { snapshot, mut scanned, mut recovery, cut } =
        restart::read(&mut storage, now as u32, config.journal.cuts_damage)
            .map_err(|error| PastError::Journal { directory: directory.clone(), error })?;
    scanned.begin_boot(boot);
    let from = snapshot.as_ref().map_or(LogPosition::default(), |snapshot| snapshot.covers().log);
    let log = log::read(alerts, from, &mut |logged| recovery.logged(logged));
    let log = log.map_err(|error| PastError::Log(alerts.clone(), error))?;
    let merge = recovery.seal(if log.is_whole { scanned.doubtful_before } else { u64::MAX });
    let settings = Settings { durability: config.journal.durability, segment_size: config.journal.segment_size, boot };
    let writer = Writer::begin(storage, scanned.position, settings, now).map_err(failed)?;
    let (counts, dormant) = (merge.counts(), BTreeMap::new());
    let report = Report { rules: 0, unsure: 0, counts, dormant, torn: scanned.torn, cut, directory };
    Ok(Past { locks, rules: PastRules { snapshot, merge, names: account_names(config) }, writer, report })
}

/// Begins the worker that makes snapshots in `storage`, another hand on the journal's directory.
pub(super) fn begin_snapshots<S: Storage + 'static>(
    config: &Config,
    storage: S,
    clock: (Clock, &Aside),
) -> io::Result<Snapshots> {
    let (log_size, log_time) = (config.gateway.retention_size / 4, config.gateway.retention_time / 4);
    let (snapshot_size, history_size) = (config.journal.snapshot_size, config.journal.history_size);
    let settings = compaction::Settings { snapshot_size, log_size, log_time, history_size };
    Snapshots::begin(storage, AlertLog(config.gateway.directory.clone()), settings, clock)
}

/// The accounts' names by number, padded.
pub(super) fn account_names(config: &Config) -> Vec<AccountName> {
    config.accounts.iter().map(|account| settings::padded(&account.name)).collect()
}

impl<B: Deref<Target = [u8]> + Sync> PastRules<B> {
    /// The newest command's ordinal.
    pub fn ordinal(&self) -> u64 {
        self.merge.ordinal()
    }

    /// Puts the rules back into their shards, and notes in the report how many there are.
    pub fn restore(&self, shards: &mut [Shard], report: &mut Report) -> Result<(), PastError> {
        let count = shards.len();
        let restored: Vec<Result<Part, PastError>> = std::thread::scope(|scope| {
            let begin = |(number, shard)| scope.spawn(move || self.restore_shard(shard, number, count));
            let begun: Vec<_> = shards.iter_mut().enumerate().map(begin).collect();
            // A panic is the engine's own fault, and stays one.
            let ended = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            begun.into_iter().map(ended).collect()
        });
        for part in restored {
            let part = part?;
            report.rules += part.rules;
            report.unsure += part.unsure;
            report.counts.add(&part.counts);
            for (name, count) in part.dormant {
                *report.dormant.entry(name).or_default() += count;
            }
        }
        Ok(())
    }

    /// Puts back what is of one shard.
    fn restore_shard(&self, shard: &mut Shard, number: usize, count: usize) -> Result<Part, PastError> {
        let PastRules { snapshot, merge, names } = self;
        let numbers: HashMap<&AccountName, AccountId> = names.iter().zip(0..).collect();
        let symbols = merge.symbols();
        let counts = merge.counts();
        let failed = |refusal| {
            let (rules, symbols) = (counts.snapshot + counts.changes, symbols.len());
            PastError::Limits { refusal, rules, symbols }
        };
        for row in symbols.iter().filter(|row| row.symbol.shard(count) == number) {
            shard.restore_symbol(&Merge::restored_symbol(row)).map_err(failed)?;
        }
        let mut part = Part::default();
        let takes = |symbol: Symbol| symbol.shard(count) == number;
        let counts = merge.rules(snapshot.as_ref(), takes, |named| {
            let account = |name: &AccountName| numbers.get(name).copied();
            let Some(rule) = merge.restored_rule(named, account) else {
                part.counts.dormant += 1;
                *part.dormant.entry(named.account).or_default() += 1;
                return Ok(());
            };
            part.rules += 1;
            part.unsure += usize::from(!rule.is_sure);
            shard.restore(&rule).map_err(failed)
        })?;
        part.counts.add(&counts);
        Ok(part)
    }
}

/// What was put back into one shard.
#[derive(Default)]
struct Part {
    rules: usize,
    unsure: usize,
    counts: Counts,
    dormant: BTreeMap<AccountName, u64>,
}

/// The end of an engine whose journal cannot be written: what is not on disk must not be acknowledged, and after a failed sync
/// nobody knows what is on disk.
pub(super) fn journal_failed(error: io::Error) {
    tracing::error!(%error, "the journal cannot be written");
    eprintln!("hairtrigger: the journal cannot be written: {error}. The engine ends; nothing more is acknowledged");
    std::process::abort();
}
