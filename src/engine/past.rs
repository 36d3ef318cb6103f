//! What earlier runs have left, before anything new begins: locks, journal and alert logs read, a new segment begun.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::config::Config;
use crate::gateway::history;
use crate::gateway::segment::SegmentError;
use crate::journal::record::{AccountName, Entry, Record};
use crate::journal::recovery::{Counts, Recovered, Recovery};
use crate::journal::scan::{self, ScanError, Scanned};
use crate::journal::storage::Storage;
use crate::journal::writer::{Settings, Writer};
use crate::matcher::shard::Shard;
use crate::model::{AccountId, Nanos, Refusal};
use crate::sys::lock::{DirectoryLock, LockError};

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
    /// The limits are too small for the rules that there are.
    #[error(
        "{refusal}: {rules} rules and {symbols} symbols are in the journal; the config's limits, or the account's rules_max, \
         are too small for them"
    )]
    Limits {
        /// What a shard said.
        refusal: Refusal,
        /// Rules in all.
        rules: usize,
        /// Symbols in all.
        symbols: usize,
    },
}

/// What is there.
pub(super) struct Past<S: Storage> {
    pub locks: [DirectoryLock; 2],
    pub recovered: Recovered,
    pub writer: Writer<S>,
    pub report: Report,
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
    /// Bytes at the journal's end that were never acknowledged, and are left behind.
    pub torn: usize,
    /// Segments behind a damage that were moved out of the way.
    pub cut: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        write!(f, "journal: {}: {} rules put back", self.directory.display(), self.rules)?;
        write!(f, " ({} changes, {} log records)", counts.changes, counts.logged)?;
        for (count, what) in [
            (self.unsure as u64, "rules of which a firing may be lost: their first alert says so"),
            (counts.replacements_lost, "rules that stay because what replaced them was never acknowledged"),
            (counts.dormant, "rules of accounts that the config does not have: they wait in the journal"),
            (self.torn as u64, "bytes of a torn tail left behind: never acknowledged"),
            (self.cut.len() as u64, "segments behind a damage moved out of the way: what they had is lost"),
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
    let mut recovery = Recovery::default();
    let (mut scanned, cut) = read_journal(config, &mut storage, &mut recovery, now as u32)
        .map_err(|error| PastError::Journal { directory: directory.clone(), error })?;
    scanned.begin_boot(boot);
    let sure_from = match read_logs(alerts, &mut recovery)? {
        true => scanned.doubtful_before,
        false => u64::MAX,
    };
    let names = account_names(config);
    let number = |name: &AccountName| names.iter().position(|other| other == name).map(|number| number as AccountId);
    let recovered = recovery.finish(sure_from, number);
    let settings = Settings { durability: config.journal.durability, segment_size: config.journal.segment_size, boot };
    let writer = Writer::begin(storage, scanned.position, settings, now).map_err(failed)?;
    let report = Report {
        rules: recovered.rules.len(),
        unsure: recovered.rules.iter().filter(|rule| !rule.is_sure).count(),
        counts: recovered.counts,
        torn: scanned.torn,
        cut,
        directory,
    };
    Ok(Past { locks, recovered, writer, report })
}

fn read_journal<S: Storage>(
    config: &Config,
    storage: &mut S,
    recovery: &mut Recovery,
    seed: u32,
) -> Result<(Scanned, Vec<String>), ScanError> {
    let each = |record: &Record| {
        if let Entry::Change(account, change) = &record.entry {
            recovery.journaled(record.sequence, *account, change);
        }
    };
    match config.journal.cuts_damage {
        true => scan::cut(storage, seed, each),
        false => scan::scan(storage, seed, each).map(|scanned| (scanned, vec![])),
    }
}

/// Reads the alert logs; true when they lack nothing.
pub(super) fn read_logs(directory: &Path, recovery: &mut Recovery) -> Result<bool, PastError> {
    let history = history::read(directory, |told| {
        if let Some(logged) = archive::logged(told.message) {
            recovery.logged(&logged);
        }
    });
    history.map(|history| history.is_whole).map_err(|error| PastError::Log(directory.into(), error))
}

/// The accounts' names by number, padded.
pub(super) fn account_names(config: &Config) -> Vec<AccountName> {
    let padded = |name: &String| {
        let mut bytes = [b' '; 6];
        // The config holds names to 6 bytes.
        bytes.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        bytes
    };
    config.accounts.iter().map(|account| padded(&account.name)).collect()
}

/// Puts rules back into their shards.
pub(super) fn restore(recovered: &Recovered, shards: &mut [Shard]) -> Result<(), PastError> {
    let count = shards.len();
    let (rules, symbols) = (recovered.rules.len(), recovered.symbols.len());
    let failed = |refusal| PastError::Limits { refusal, rules, symbols };
    for past in &recovered.symbols {
        shards[past.symbol.shard(count)].restore_symbol(past).map_err(failed)?;
    }
    for rule in &recovered.rules {
        shards[rule.key.symbol.shard(count)].restore(rule).map_err(failed)?;
    }
    Ok(())
}

/// The end of an engine whose journal cannot be written: what is not on disk must not be acknowledged, and after a failed sync
/// nobody knows what is on disk.
pub(super) fn journal_failed(error: io::Error) {
    tracing::error!(%error, "the journal cannot be written");
    eprintln!("hairtrigger: the journal cannot be written: {error}. The engine ends; nothing more is acknowledged");
    std::process::abort();
}
