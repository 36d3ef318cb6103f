//! A start: the newest snapshot, the journal behind it, and what is done when one of them cannot be used.
//!
//! | case | what is found | what follows | with `--cut-damaged-journal` |
//! |---|---|---|---|
//! | `no_snapshot` | only segments, from the first on | all of them are read | |
//! | `newest_snapshot` | one or more | the newest is used, and only the segments behind it are read | |
//! | `half_a_snapshot` | a file with the name of one that was not finished | it is not looked at | |
//! | `damaged_snapshot` | the newest has a wrong bit, or its end is missing | refused | it is moved away, and the one before it is used |
//! | `newer_snapshot_version` | a later version wrote it | refused | so |
//! | `only_snapshot_damaged` | and no other is there | refused | all segments are read; if the first are gone, nothing is left |
//! | `snapshot_newer_than_journal` | no segment goes on from it | refused | its rules, and the journal goes on behind it |
//! | `missing_snapshot` | the first segments are gone, and no snapshot is there | refused | nothing is left |
//!
//! What is moved away keeps its bytes, under its name and `.cut`.

use super::record::Record;
use super::recovery::Recovery;
use super::scan::{self, ScanError, Scanned};
use super::snapshot::{self, Snapshot};
use super::storage::Storage;

/// What was there.
pub struct Found<B> {
    /// The newest snapshot.
    pub snapshot: Option<Snapshot<B>>,
    /// The journal behind it.
    pub scanned: Scanned,
    /// What both say. The alert log is to be read from where the snapshot left it.
    pub recovery: Recovery,
    /// Files that were moved out of the way.
    pub cut: Vec<String>,
}

/// Reads what there is. `seed` is what a new journal's chain begins with; `cuts` moves damage out of the way.
///
/// # Errors
/// [`ScanError`]; nothing was changed then, unless `cuts`.
pub fn read<S: Storage>(storage: &mut S, seed: u32, cuts: bool) -> Result<Found<S::Bytes>, ScanError> {
    let (snapshot, mut cut) = newest(storage, cuts)?;
    let (name, snapshot) = snapshot.unzip();
    let failed = |error| ScanError::Snapshot(name.clone().unwrap_or_default(), error);
    let mut recovery = snapshot.as_ref().map_or(Ok(Recovery::default()), Recovery::after).map_err(failed)?;
    let covers = snapshot.as_ref().map(Snapshot::covers);
    let each = |record: &Record| recovery.record(record);
    let scanned = if cuts {
        let (scanned, behind) = scan::cut(storage, covers, seed, each)?;
        cut.extend(behind);
        scanned
    } else {
        scan::scan_behind(storage, covers, seed, each)?
    };
    Ok(Found { snapshot, scanned, recovery, cut })
}

/// The oldest snapshot from which the journal goes on in all segments that are kept; `None` when it is there from its start.
/// Segments before that snapshot are what an interrupted removal has left.
///
/// # Errors
/// When that snapshot is missing or cannot be used.
pub fn oldest<S: Storage>(storage: &S) -> Result<Option<Snapshot<S::Bytes>>, ScanError> {
    let segments = scan::segments(storage)?;
    let Some((first, file)) = segments.first().cloned().filter(|(first, _)| *first != 1) else { return Ok(None) };
    let failed = |error| ScanError::Read("the journal's directory".into(), error);
    let snapshots = snapshot::list(storage).map_err(failed)?;
    let Some((_, name)) = snapshots.into_iter().find(|(up_to, _)| *up_to >= first) else {
        return Err(ScanError::Missing { file, found: first, expected: 1 });
    };
    let bytes = storage.read(&name).map_err(|error| ScanError::Read(name.clone(), error))?;
    Snapshot::open(bytes).map(Some).map_err(|error| ScanError::Snapshot(name, error))
}

/// A snapshot with its name, and what was moved out of the way.
type Newest<B> = (Option<(String, Snapshot<B>)>, Vec<String>);

/// The newest snapshot.
///
/// # Errors
/// When it cannot be used; with `cuts` it is moved out of the way then, and the one before it is looked at.
pub fn newest<S: Storage>(storage: &mut S, cuts: bool) -> Result<Newest<S::Bytes>, ScanError> {
    let failed = |error| ScanError::Read("the journal's directory".into(), error);
    let mut cut = vec![];
    for (_, name) in snapshot::list(storage).map_err(failed)?.into_iter().rev() {
        let bytes = storage.read(&name).map_err(|error| ScanError::Read(name.clone(), error))?;
        match Snapshot::open(bytes) {
            Ok(snapshot) => return Ok((Some((name, snapshot)), cut)),
            Err(error) if !cuts => return Err(ScanError::Snapshot(name, error)),
            Err(_) => {
                storage.rename(&name, &format!("{name}.cut")).map_err(failed)?;
                storage.sync_directory().map_err(failed)?;
                cut.push(name);
            }
        }
    }
    Ok((None, cut))
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
