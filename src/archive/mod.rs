//! The archive: what journal and alert logs of earlier runs tell together, read from their folders. Reads only.
//!
//! ```text
//!   journal   which rules were set and removed, and where     \
//!                                                              > day: what stood before a session, and what changed in it
//!   alert log what became of them: fired, expired, met         /
//! ```

mod day;
#[cfg(test)]
mod day_tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::gateway::history;
use crate::gateway::segment::SegmentError;
use crate::gateway::wire::{Kind, RuleMessage};
use crate::journal::record::{AccountName, Entry};
use crate::journal::recovery::{Logged, Recovery, What};
use crate::journal::restart;
use crate::journal::scan::{self, ScanError};
use crate::journal::snapshot::Snapshot;
use crate::journal::storage::{Directory, Storage};
use crate::model::{Change, LogPosition, Reason, RuleKey, Standing, Symbol, flag};

pub use day::{Day, Placed, session_name};

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The journal.
    #[error("journal in {}: {error}. `hairtrigger journal inspect` shows what is there", directory.display())]
    Journal {
        /// Where it is.
        directory: PathBuf,
        /// What is wrong with it.
        error: ScanError,
    },
    /// There is no segment of a journal.
    #[error(
        "{}: there is no journal: expected its segments in this folder (00000000000000000001.journal or later ones), found none. \
         An engine's journal is in `journal` below `gateway.directory`, if the config says nothing else",
        .0.display()
    )]
    NoJournal(PathBuf),
    /// The alert logs.
    #[error("alert logs in {}: {error}", directory.display())]
    Logs {
        /// Where they are.
        directory: PathBuf,
        /// Why they cannot be read.
        error: SegmentError,
    },
}

/// All that a journal and the alert logs beside it tell.
#[derive(Default)]
pub struct Archive {
    /// The first record of the journal that is kept: 1 when it is there from its start.
    pub first: u64,
    /// What the snapshot says that the oldest segment goes on from, with what its log tells of behind that: nothing, when the journal is
    /// there from its start.
    pub base: Recovery,
    /// The journal's other changes, in its order, each with its record's sequence and its account.
    pub changes: Vec<(u64, AccountName, Change)>,
    /// Where symbols stood, as the journal tells behind that, each with its record's sequence.
    pub standings: Vec<(u64, Standing)>,
    /// What the logs tell of rules behind that, in their order.
    pub logged: Vec<Logged>,
    /// Logs that were read: without one nobody knows which rules have fired.
    pub logs: usize,
    /// False when a log is damaged or a part of it was removed.
    pub is_whole: bool,
}

impl Archive {
    /// Reads the journal in `journal` and the alert logs below `alerts`; the config puts the one into the other.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(journal: &Path, alerts: &Path) -> Result<Archive, ArchiveError> {
        let failed = |error| ArchiveError::Journal { directory: journal.into(), error };
        let storage = self::journal(journal)?;
        let mut archive = Archive::default();
        let each = |record: &crate::journal::record::Record| match record.entry {
            Entry::Change(account, change) => archive.changes.push((record.sequence, account, change)),
            Entry::Standing(standing) => archive.standings.push((record.sequence, standing)),
            Entry::End => (),
        };
        let oldest = restart::oldest(&storage).map_err(failed)?;
        let scanned = scan::scan_behind(&storage, oldest.as_ref().map(Snapshot::covers), 0, each).map_err(failed)?;
        if scanned.segments == 0 {
            return Err(ArchiveError::NoJournal(journal.into()));
        }
        let covered = oldest.as_ref().map(Snapshot::covers);
        archive.first = covered.map_or(1, |covers| covers.position.next_sequence);
        let from = covered.map_or(LogPosition::default(), |covers| covers.log);
        if let Some(snapshot) = oldest {
            let failed = |error| failed(ScanError::Snapshot(snapshot.covers().file_name(), error));
            archive.base = Recovery::with_rules(&snapshot).map_err(failed)?;
            archive.begin_where_the_log_does();
        }
        let history = history::read(alerts, from, |message| archive.logged.extend(logged(message)));
        let history = history.map_err(|error| ArchiveError::Logs { directory: alerts.into(), error })?;
        (archive.logs, archive.is_whole) = (history.sessions, history.is_whole);
        Ok(archive)
    }
}

impl Archive {
    /// A snapshot's log goes on to where it was when the snapshot was made, and its journal to the last closed segment before that. What
    /// the journal says of a symbol up to where the log was is part of what stood then: it cannot be told from what became of it.
    fn begin_where_the_log_does(&mut self) {
        let Archive { base, changes, .. } = self;
        let mut told = HashMap::<Symbol, u64>::new();
        let of_log = changes.iter().filter(|(_, account, change)| base.tells_of(*account, change));
        told.extend(of_log.map(|(record, _, change)| (change.key.symbol, *record)));
        changes.retain(|(record, account, change)| {
            let is_later = told.get(&change.key.symbol).is_none_or(|last| record > last);
            if !is_later {
                base.journaled(*record, *account, change);
            }
            is_later
        });
    }
}

/// The folder of a journal, to be read.
///
/// # Errors
/// There is neither a segment nor a snapshot in it, or no folder.
pub fn journal(directory: &Path) -> Result<Directory, ArchiveError> {
    let storage = Directory::existing(directory);
    let names = match storage.list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        names => names.map_err(|error| ArchiveError::Journal {
            directory: directory.into(),
            error: ScanError::Read("the journal's directory".into(), error),
        })?,
    };
    let is_there = names.iter().any(|name| name.ends_with(".journal") || name.ends_with(".snapshot"));
    if is_there { Ok(storage) } else { Err(ArchiveError::NoJournal(directory.into())) }
}

/// What a message of the log tells of a rule. The naming of a broken print's alerts tells nothing new.
pub fn logged(message: &RuleMessage) -> Option<Logged> {
    let what = match (message.kind, message.reason) {
        (Kind::Alert, _) => What::Fired { last: message.flags & flag::LAST != 0 },
        (Kind::Met, _) => What::Met,
        (Kind::Rearmed, _) => What::Rearmed,
        (Kind::Ended, Reason::Expired) => What::Expired,
        (Kind::Ended, Reason::Removed) => What::Removed,
        (Kind::Ended, Reason::Replaced) => What::Replaced,
        _ => return None,
    };
    Some(Logged {
        account: message.account,
        key: RuleKey { user: message.user, symbol: message.symbol, slot: message.slot, account: 0 },
        version: message.version,
        signal: message.signal,
        ordinal: message.ordinal,
        feed_session: message.feed_session,
        feed_sequence: message.sequence,
        ts_event: message.ts_event,
        price: (message.kind == Kind::Alert).then_some(message.price),
        what,
    })
}
