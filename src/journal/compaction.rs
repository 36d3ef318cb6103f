//! Compaction: a new snapshot from the last one, the closed segments behind it and the alert log, beside the running engine.
//!
//! ```text
//!   100.snapshot    100.journal 180.journal 260.journal    340.journal (active)
//!        '---------------'----------'-----------'-- merge --> 340.snapshot
//!                                     alert log --'
//! ```
//!
//! Nobody is asked and nobody waits: the shards know nothing of it, the journal's thread goes on with the active segment, and this
//! one, a thread of the lowest priority, reads only what nobody writes any more (and of the alert log what is written as a whole).
//! The merge is that of a start ([`super::recovery`]): its memory goes with what lies behind the last snapshot.
//!
//! A snapshot is due once so much journal is closed behind the last one as [`Settings::snapshot_size`] says, or half of that
//! snapshot's own size, whichever is more: so all snapshots together write at most about twice what the journal writes; or
//! once the alert log has gone on so far, or so long, that its retention might take what no snapshot has.
//!
//! After it: of the older snapshots the newest one is kept behind which at least [`Settings::history_size`] bytes of journal lie up
//! to the new one, and all that is newer; what is older is removed, snapshots first. A removal that was
//! interrupted leaves segments before the oldest snapshot, which nobody reads and the next removal takes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::record::Record;
use super::recovery::{Logged, Recovery};
use super::restart;
use super::scan::{self, ScanError};
use super::segment::Header;
use super::snapshot::{self, Covers, NamedRule, Snapshot, SnapshotError, SnapshotWriter, Totals};
use super::storage::Storage;
use crate::limits::{SNAPSHOT_POLL, SNAPSHOT_RETRY};
use crate::model::{LogPosition, Nanos};
use crate::sys::aside::{Aside, Worker};
use crate::sys::clock::Clock;

/// The alert log, as far as it is needed here.
pub trait Log: Send {
    /// Hands out what the log tells of rules from a place on. What was read is on disk when this returns.
    ///
    /// # Errors
    /// What the system says.
    fn read(&mut self, from: LogPosition, each: &mut dyn FnMut(&Logged)) -> io::Result<LogRead>;

    /// Bytes of log that lie behind a place, about.
    ///
    /// # Errors
    /// What the system says.
    fn unread_size(&self, from: LogPosition) -> io::Result<u64>;
}

/// How far the log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Up to here.
    pub position: LogPosition,
    /// Nothing was missing.
    pub is_whole: bool,
}

/// When a snapshot is made, and what is kept behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of closed segments behind the last snapshot.
    pub snapshot_size: u64,
    /// Bytes of alert log behind the last snapshot,
    pub log_size: u64,
    /// or so long after it, in ns, when there is any.
    pub log_time: Nanos,
    /// Bytes of journal that are kept behind the newest snapshot.
    pub history_size: u64,
}

/// Why no snapshot was made. The journal goes on all the same.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// Journal or last snapshot cannot be used.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The last snapshot.
    #[error("the last snapshot: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The disk.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The engine stops.
    #[error("interrupted")]
    Interrupted,
}

/// True when a snapshot is to be made.
///
/// # Errors
/// [`CompactionError`].
pub fn is_due<S: Storage>(
    storage: &S,
    log: &impl Log,
    settings: &Settings,
    now: Nanos,
) -> Result<bool, CompactionError> {
    let segments = scan::segments(storage)?;
    let Some((_, oldest)) = segments.first() else { return Ok(false) };
    let (mut from, mut own_size, mut position) = (0, 0, LogPosition::default());
    let ts_last = if let Some((first, name)) = snapshot::list(storage)?.pop() {
        let bytes = storage.read(&name)?;
        let covers = Covers::read(&bytes)?;
        (from, own_size, position) = (first, bytes.len() as u64, covers.log);
        covers.created
    } else {
        let header = Header::read(&storage.read(oldest)?);
        header.map_err(|error| ScanError::Header(oldest.clone(), error))?.created
    };
    let mut closed = 0;
    for (first, name) in segments.iter().rev().skip(1) {
        if *first >= from {
            closed += storage.read(name)?.len() as u64;
        }
    }
    let enough = settings.snapshot_size.max(own_size / 2);
    let unread = log.unread_size(position)?;
    let is_old = now.saturating_sub(ts_last) >= settings.log_time;
    Ok(closed >= enough || unread >= settings.log_size || (unread > 0 && is_old))
}

/// Makes a new snapshot. `None`: there is no journal yet. `goes_on` is asked now and then.
///
/// # Errors
/// [`CompactionError`]; the last snapshot is still there then.
pub fn compact<S: Storage>(
    storage: &mut S,
    log: &mut impl Log,
    now: Nanos,
    goes_on: impl Fn() -> bool,
) -> Result<Option<(Covers, Totals)>, CompactionError> {
    let last = restart::newest(storage, false)?.0.map(|(_, snapshot)| snapshot);
    let mut recovery = last.as_ref().map_or(Ok(Recovery::default()), Recovery::after)?;
    let covered = last.as_ref().map(Snapshot::covers);
    let each = |record: &Record| recovery.record(record);
    let Some(scanned) = scan::scan_closed(storage, covered, each)? else { return Ok(None) };
    let from = covered.map_or(LogPosition::default(), |covers| covers.log);
    let read = log.read(from, &mut |logged| recovery.logged(logged))?;
    let merge = recovery.seal(if read.is_whole { scanned.doubtful_before } else { u64::MAX });
    let covers = Covers {
        position: scanned.position,
        is_closed: scanned.is_closed,
        boot: scanned.boot,
        ordinal: merge.ordinal(),
        created: now,
        log: read.position,
    };
    let mut writer = SnapshotWriter::begin(storage, &covers, &merge.symbols(), &merge.fates())?;
    let mut count = 0u32;
    merge.rules(
        last.as_ref(),
        |_| true,
        |named: &NamedRule| {
            count = count.wrapping_add(1);
            if count.is_multiple_of(1 << 12) && !goes_on() {
                return Err(CompactionError::Interrupted);
            }
            Ok(writer.rule(named)?)
        },
    )?;
    let totals = writer.finish()?;
    Ok(Some((covers, totals)))
}

/// Removes what is neither needed nor to be kept. Returns how many files.
///
/// # Errors
/// [`CompactionError`].
pub fn prune<S: Storage>(storage: &mut S, history_size: u64) -> Result<usize, CompactionError> {
    let (snapshots, segments) = (snapshot::list(storage)?, scan::segments(storage)?);
    let (mut kept, mut upper) = (0, u64::MAX);
    let mut oldest = None;
    for (first, _) in snapshots.iter().rev() {
        for (_, name) in segments.iter().filter(|(start, _)| (*first..upper).contains(start) && upper != u64::MAX) {
            kept += storage.read(name)?.len() as u64;
        }
        (upper, oldest) = (*first, Some(*first));
        if kept >= history_size {
            break;
        }
    }
    let Some(oldest) = oldest.filter(|_| kept >= history_size) else { return Ok(0) };
    let old: Vec<&String> =
        snapshots.iter().chain(&segments).filter(|(first, _)| *first < oldest).map(|(_, name)| name).collect();
    old.iter().try_for_each(|name| storage.remove(name))?;
    if !old.is_empty() {
        storage.sync_directory()?;
    }
    Ok(old.len())
}

/// Who makes snapshots, for the journal's agent: a worker that is knocked at now and then.
pub struct Snapshots {
    tasks: Option<SyncSender<()>>,
    interrupted: Arc<AtomicBool>,
    worker: Worker,
    ts_knock: Nanos,
}

impl Snapshots {
    /// Begins the worker.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin<S: Storage + 'static>(
        mut storage: S,
        mut log: impl Log + 'static,
        settings: Settings,
        (clock, aside): (Clock, &Aside),
    ) -> io::Result<Snapshots> {
        let interrupted = Arc::<AtomicBool>::default();
        let is_interrupted = Arc::clone(&interrupted);
        let (tasks, knocks) = sync_channel(1);
        let mut ts_failed = None;
        let worker = aside.begin_low("snapshots", knocks, move |knock| {
            let goes_on = || !is_interrupted.load(Ordering::Relaxed);
            if knock.is_none() || !goes_on() {
                return false;
            }
            if ts_failed.is_none_or(|failed| clock.now() >= failed + SNAPSHOT_RETRY) {
                ts_failed = match round(&mut storage, &mut log, &settings, &clock, goes_on) {
                    Ok(()) | Err(CompactionError::Interrupted) => None,
                    Err(error) => {
                        tracing::warn!(%error, "no snapshot could be made; the journal grows");
                        Some(clock.now())
                    }
                };
            }
            true
        })?;
        Ok(Snapshots { tasks: Some(tasks), interrupted, worker, ts_knock: 0 })
    }

    /// Has it looked whether a snapshot is due, if it was not for a while.
    pub fn knock(&mut self, now: Nanos) {
        if now.saturating_sub(self.ts_knock) >= SNAPSHOT_POLL {
            self.ts_knock = now;
            if let Some(tasks) = &self.tasks {
                // Full: it is busy, and looks again after that.
                let _ = tasks.try_send(());
            }
        }
    }

    /// Has it end; a snapshot that is under way is given up. True when it has.
    pub fn close(&mut self) -> bool {
        self.interrupted.store(true, Ordering::Relaxed);
        self.tasks = None;
        self.worker.is_finished()
    }
}

/// Makes a snapshot if one is due, and removes what is not needed any more.
fn round<S: Storage>(
    storage: &mut S,
    log: &mut impl Log,
    settings: &Settings,
    clock: &Clock,
    goes_on: impl Fn() -> bool,
) -> Result<(), CompactionError> {
    let begun = clock.now();
    if !is_due(storage, log, settings, begun)? {
        return Ok(());
    }
    let Some((covers, totals)) = compact(storage, log, begun, goes_on)? else { return Ok(()) };
    let removed = prune(storage, settings.history_size)?;
    let seconds = Duration::from_nanos(clock.now().saturating_sub(begun)).as_secs_f64();
    let (rules, record) = (totals.rules, covers.position.next_sequence - 1);
    tracing::info!(rules, record, seconds, removed, "a snapshot was made");
    Ok(())
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
