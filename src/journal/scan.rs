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
//!
//! A journal whose last segment starts at the last record of the one before it (a start that crashed before it wrote) has
//! two segments of the same first sequence: impossible, since they would have one name; the empty one is replaced.

use std::io;

use super::record::Record;
use super::segment::{End, Header, HeaderError, Reader};
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
}

/// Reads all records from the first segment on and hands each to `each`. `seed` is what a new journal's chain begins with.
///
/// # Errors
/// [`ScanError`]; `each` has had the records before.
pub fn scan<S: Storage>(storage: &S, seed: u32, each: impl FnMut(&Record)) -> Result<Scanned, ScanError> {
    let mut found = Scanned::new(seed);
    found.read(storage, each).map(|()| found)
}

/// Moves every segment behind the first damage out of the way, by renaming: what [`scan`] finds once a new segment has begun
/// is all that is whole. A person's decision: what was acknowledged is lost. Returns the files that were moved.
///
/// # Errors
/// When the system refuses.
pub fn cut<S: Storage>(
    storage: &mut S,
    seed: u32,
    each: impl FnMut(&Record),
) -> Result<(Scanned, Vec<String>), ScanError> {
    let mut found = Scanned::new(seed);
    if found.read(storage, each).is_ok() {
        return Ok((found, vec![]));
    }
    let failed = |error| ScanError::Read("the journal's directory".into(), error);
    let names = storage.list().map_err(failed)?;
    let segments = names.into_iter().filter(|name| name.ends_with(".journal"));
    let behind: Vec<String> = segments.skip(found.segments).collect();
    for name in &behind {
        storage.rename(name, &format!("{name}.cut")).map_err(failed)?;
    }
    storage.sync_directory().map_err(failed)?;
    Ok((found, behind))
}

impl Scanned {
    fn new(seed: u32) -> Scanned {
        let position = Position { next_sequence: 1, chain: seed };
        Scanned { position, torn: 0, boot: [0; 16], doubtful_before: 0, is_closed: false, segments: 0 }
    }

    /// The machine was booted since the last segment, or was not.
    pub fn begin_boot(&mut self, boot: [u8; 16]) {
        if self.segments > 0 && !self.is_closed && boot != self.boot {
            self.doubtful_before = self.position.next_sequence;
        }
        self.boot = boot;
    }

    fn read<S: Storage>(&mut self, storage: &S, mut each: impl FnMut(&Record)) -> Result<(), ScanError> {
        let names = storage.list().map_err(|error| ScanError::Read("the journal's directory".into(), error))?;
        let mut damage = None;
        for name in names.iter().filter(|name| name.ends_with(".journal")) {
            let bytes = storage.read(name).map_err(|error| ScanError::Read(name.clone(), error))?;
            let header = Header::read(&bytes).map_err(|error| ScanError::Header(name.clone(), error))?;
            let (first, expected) = (header.first_sequence, self.position.next_sequence);
            let goes_on = first == expected && (header.seed == self.position.chain || self.segments == 0);
            if Header::file_name(first) != *name || !goes_on {
                let missing = ScanError::Missing { file: name.clone(), found: first, expected };
                return Err(damage.unwrap_or(missing));
            }
            self.begin_boot(header.boot);
            damage = read_segment(name, &bytes, self, &mut each).err();
        }
        damage.map_or(Ok(()), Err)
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
