//! Reading a whole journal back: all segments in order, and whether they are one chain.
//!
//! | case | what is found | what follows |
//! |---|---|---|
//! | `no_segments` | nothing | a new journal begins |
//! | `whole` | every segment ends with its file and the next one goes on from there | the journal goes on |
//! | `torn_tail` | the last segment ends with bytes that were never acknowledged | they are left behind; the next segment goes on from the last whole record |
//! | `torn_tail_cut_before` | so does an earlier one, and the next segment goes on from its last whole record | a start had cut it: as whole |
//! | `damage` | a record is broken that had been on disk | refused |
//! | `damage_that_was_cut` | so it is, and the next segment goes on from the last whole record | somebody had decided so: as whole |
//! | `missing_segment` | a segment does not go on where the one before ends | refused |
//! | `header_damaged` | a file has a segment's name and no whole header | refused: headers are on disk before the name is |
//! | `newer_version` | a header or a record of a later version | refused |
//! | `a_segment_of_version_1` | a header of the version before | read as any |
//!
//! With a snapshot, which says how far it goes, only what lies behind it is read:
//!
//! | case | what is found | what follows |
//! |---|---|---|
//! | `behind_a_snapshot` | the segment that goes on from it, and so on | as above |
//! | `a_snapshot_and_no_segment_that_goes_on` | the segment is missing, or another journal's | refused |
//! | `segments_removed_and_no_snapshot` | the first segment is not the journal's first | refused: `missing_segment` |
//!
//! A journal whose last segment starts at the last record of the one before it (a start that crashed before it wrote) has
//! two segments of the same first sequence: impossible, since they would have one name; the empty one is replaced.

use std::io;

use super::record::Record;
use super::segment::{End, Header, HeaderError, Reader};
use super::snapshot::{Covers, SnapshotError};
use super::storage::Storage;
use super::writer::Position;

/// Why a journal cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The system.
    #[error("{0}: {1}")]
    Read(String, io::Error),
    /// A header.
    #[error("{0}: {1}")]
    Header(String, HeaderError),
    /// A broken record that had been on disk.
    #[error("{file}: damaged at byte {at}: record {sequence} is broken, and it had been on disk")]
    Damage {
        /// The segment.
        file: String,
        /// Where in it.
        at: usize,
        /// The first record that is lost.
        sequence: u64,
    },
    /// A record of a later version.
    #[error("{file}: record {sequence} at byte {at} is of a kind that this program does not know")]
    Unknown {
        /// The segment.
        file: String,
        /// Where in it.
        at: usize,
        /// The record.
        sequence: u64,
    },
    /// A snapshot that cannot be used.
    #[error("{0}: {1}")]
    Snapshot(String, SnapshotError),
    /// A snapshot that is newer than the journal.
    #[error("the snapshot goes up to record {expected}, and no segment goes on from there")]
    Behind {
        /// The record that was to be expected.
        expected: u64,
    },
    /// A hole.
    #[error("{file}: it begins with record {found}, and the segment before it ends before {expected}")]
    Missing {
        /// The segment behind the hole.
        file: String,
        /// Its first record.
        found: u64,
        /// The record that was to be expected.
        expected: u64,
    },
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Where the journal goes on.
    pub position: Position,
    /// Bytes behind the last whole record that were never acknowledged.
    pub torn: usize,
    /// The boot of the machine that its last segment was created in.
    pub boot: [u8; 16],
    /// Records before this sequence were written before a boot of the machine that the engine did not end in order: what was
    /// not synced then, as the alert log, may be lost.
    pub doubtful_before: u64,
    /// True when its last record says that it was closed in order.
    pub is_closed: bool,
    /// Segments read.
    pub segments: usize,
    /// A snapshot says where it began.
    is_continued: bool,
}

/// Reads all records from the first segment on and hands each to `each`. `seed` is what a new journal's chain begins with.
///
/// # Errors
/// [`ScanError`]; `each` has had the records before.
pub fn scan<S: Storage>(storage: &S, seed: u32, each: impl FnMut(&Record)) -> Result<Scanned, ScanError> {
    scan_behind(storage, None, seed, each)
}

/// Reads all records that lie behind a snapshot, if there is one.
///
/// # Errors
/// Those of [`scan`].
pub fn scan_behind<S: Storage>(
    storage: &S,
    covers: Option<&Covers>,
    seed: u32,
    each: impl FnMut(&Record),
) -> Result<Scanned, ScanError> {
    let mut found = Scanned::new(covers, seed);
    found.read(storage, u64::MAX, each).map(|()| found)
}

/// Reads all records behind a snapshot in segments that are closed: all but the last. `None`: there is no segment at all.
///
/// # Errors
/// Those of [`scan`].
pub fn scan_closed<S: Storage>(
    storage: &S,
    covers: Option<&Covers>,
    each: impl FnMut(&Record),
) -> Result<Option<Scanned>, ScanError> {
    let names = segments(storage)?;
    let Some((active, name)) = names.last() else { return Ok(None) };
    let bytes = storage.read(name).map_err(|error| ScanError::Read(name.clone(), error))?;
    let header = Header::read(&bytes).map_err(|error| ScanError::Header(name.clone(), error))?;
    let mut found = Scanned::new(covers, header.seed);
    found.read(storage, *active, each)?;
    let (found_next, expected) = (header.first_sequence, found.position.next_sequence);
    match found_next == expected && header.seed == found.position.chain {
        true => Ok(Some(found)),
        false => Err(ScanError::Missing { file: name.clone(), found: found_next, expected }),
    }
}

/// Moves every segment behind the first damage out of the way, by renaming: what [`scan`] finds once a new segment has begun
/// is all that is whole. A person's decision: what was acknowledged is lost. Returns the files that were moved.
///
/// # Errors
/// When the system refuses.
pub fn cut<S: Storage>(
    storage: &mut S,
    covers: Option<&Covers>,
    seed: u32,
    each: impl FnMut(&Record),
) -> Result<(Scanned, Vec<String>), ScanError> {
    let mut found = Scanned::new(covers, seed);
    if found.read(storage, u64::MAX, each).is_ok() {
        return Ok((found, vec![]));
    }
    let failed = |error| ScanError::Read("the journal's directory".into(), error);
    let from = covers.map_or(0, |covers| covers.position.next_sequence);
    let later = segments(storage)?.into_iter().filter(|(first, _)| *first >= from);
    let behind: Vec<String> = later.skip(found.segments).map(|(_, name)| name).collect();
    for name in &behind {
        storage.rename(name, &format!("{name}.cut")).map_err(failed)?;
    }
    storage.sync_directory().map_err(failed)?;
    Ok((found, behind))
}

/// The files of all segments in order, each with the first sequence that its name says.
///
/// # Errors
/// When the system refuses.
pub fn segments<S: Storage>(storage: &S) -> Result<Vec<(u64, String)>, ScanError> {
    let names = storage.list().map_err(|error| ScanError::Read("the journal's directory".into(), error))?;
    // A name that says no sequence is judged by its header, as the last.
    let number = |name: String| Some((name.strip_suffix(".journal")?.parse().unwrap_or(u64::MAX), name));
    Ok(names.into_iter().filter_map(number).collect())
}

impl Scanned {
    fn new(covers: Option<&Covers>, seed: u32) -> Scanned {
        let start = Position { next_sequence: 1, chain: seed };
        Scanned {
            position: covers.map_or(start, |covers| covers.position),
            torn: 0,
            boot: covers.map_or([0; 16], |covers| covers.boot),
            doubtful_before: 0,
            is_closed: covers.is_some_and(|covers| covers.is_closed),
            segments: 0,
            is_continued: covers.is_some(),
        }
    }

    /// The machine was booted since the last segment, or was not.
    pub fn begin_boot(&mut self, boot: [u8; 16]) {
        let has_begun = self.segments > 0 || (self.is_continued && self.boot != [0; 16]);
        if has_begun && !self.is_closed && boot != self.boot {
            self.doubtful_before = self.position.next_sequence;
        }
        self.boot = boot;
    }

    /// Reads the segments from where it stands up to the one that begins with `until`.
    fn read<S: Storage>(&mut self, storage: &S, until: u64, mut each: impl FnMut(&Record)) -> Result<(), ScanError> {
        let from = if self.is_continued { self.position.next_sequence } else { 0 };
        let mut damage = None;
        let names = segments(storage)?;
        for (_, name) in names.iter().filter(|(first, _)| *first >= from && (*first < until || until == u64::MAX)) {
            let bytes = storage.read(name).map_err(|error| ScanError::Read(name.clone(), error))?;
            let header = Header::read(&bytes).map_err(|error| ScanError::Header(name.clone(), error))?;
            let (first, expected) = (header.first_sequence, self.position.next_sequence);
            let goes_on = first == expected && (header.seed == self.position.chain || self.is_first());
            if Header::file_name(first) != *name || !goes_on {
                let missing = ScanError::Missing { file: name.clone(), found: first, expected };
                return Err(damage.unwrap_or(missing));
            }
            self.begin_boot(header.boot);
            damage = read_segment(name, &bytes, self, &mut each).err();
        }
        let is_behind = self.is_continued && until == u64::MAX && self.segments == 0;
        let behind = is_behind.then_some(ScanError::Behind { expected: from });
        damage.or(behind).map_or(Ok(()), Err)
    }

    /// The chain of a journal without a snapshot begins with anything.
    fn is_first(&self) -> bool {
        self.segments == 0 && !self.is_continued
    }
}

fn read_segment(
    name: &str,
    bytes: &[u8],
    found: &mut Scanned,
    each: &mut impl FnMut(&Record),
) -> Result<(), ScanError> {
    let mut reader = Reader::new(bytes).map_err(|error| ScanError::Header(name.into(), error))?;
    for record in reader.by_ref() {
        found.is_closed = record.entry == super::record::Entry::End;
        each(&record);
    }
    let (file, sequence) = (name.to_string(), reader.next_sequence());
    found.position = Position { next_sequence: sequence, chain: reader.last_crc() };
    found.segments += 1;
    found.torn = 0;
    match reader.end() {
        Some(End::TornTail(size)) => found.torn = size,
        Some(End::Damage(at)) => return Err(ScanError::Damage { file, at, sequence }),
        Some(End::Unknown(at)) => return Err(ScanError::Unknown { file, at, sequence }),
        Some(End::Whole) | None => (),
    }
    Ok(())
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
