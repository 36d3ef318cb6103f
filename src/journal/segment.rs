//! A segment: one file of the journal, and the chain that its records form.
//!
//! ```text
//!   0       8         12       16      20     24               32              40        56  64
//!  +-------+---------+--------+------+------+----------------+---------------+---------+---+=========+====
//!  | magic | version | CRC32C | seed | 0    | first sequence | created (UTC) | boot id | 0 | records | torn tail
//!  +-------+---------+--------+------+------+----------------+---------------+---------+---+=========+====
//! ```
//!
//! Little-endian. `seed` is the CRC32C of the last record before the segment, so the chain runs through all segments; that
//! of a journal's first one is arbitrary. The file is named after its first sequence.
//!
//! **Where a segment ends.** Its records end at the first that is not whole, not chained or not next in sequence. What
//! follows is
//! - a *torn tail*, when nothing in it says that the journal had been on disk beyond that place: then no record there was
//!   ever acknowledged under `durability = "sync"`, and it is cut;
//! - *damage*, when a whole record behind it says so (its `durable` is at least the broken one's sequence): what was
//!   acknowledged is gone, and only a person may decide what to do.
//!
//! A last record that rots after it was synced looks like a torn tail unless the journal was closed in order.

use super::record::{Frame, HEADER_SIZE as RECORD_HEADER_SIZE, Record};
use crate::model::Nanos;

/// Size of a segment's header.
pub const HEADER_SIZE: usize = 64;
/// The version of the format that is written here. Version 1, which is read too, has no record that says where a symbol stands.
pub const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"HTJOURNL";

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Sequence of its first record.
    pub first_sequence: u64,
    /// What its first record has as `previous`.
    pub seed: u32,
    /// When it was created, UTC.
    pub created: Nanos,
    /// Which boot of the machine it was created in: what was not synced then is there as long as that lasts.
    pub boot: [u8; 16],
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No segment of a journal, or its header is damaged.
    #[error("its header is damaged, or it is no journal")]
    Damaged,
    /// A later version wrote it.
    #[error("it has format version {0}, and this program knows versions up to {VERSION}")]
    Newer(u32),
}

impl Header {
    /// The name of the segment's file.
    pub fn file_name(first_sequence: u64) -> String {
        format!("{first_sequence:020}.journal")
    }

    /// The bytes of the header.
    pub fn bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.seed.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created.to_le_bytes());
        bytes[40..56].copy_from_slice(&self.boot);
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of a segment.
    ///
    /// # Errors
    /// [`HeaderError`]. The version is believed only when the CRC32C, which every version has in the same place, is right.
    pub fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        let bytes: &[u8; HEADER_SIZE] = bytes.first_chunk().ok_or(HeaderError::Damaged)?;
        if bytes[..8] != MAGIC || u32_at(bytes, 12) != checksum(bytes) {
            return Err(HeaderError::Damaged);
        }
        match u32_at(bytes, 8) {
            1..=VERSION => {
                let boot = *bytes[40..].first_chunk().ok_or(HeaderError::Damaged)?;
                let (first_sequence, created) = (u64_at(bytes, 24), u64_at(bytes, 32));
                Ok(Header { first_sequence, seed: u32_at(bytes, 16), created, boot })
            }
            version if version > VERSION => Err(HeaderError::Newer(version)),
            _ => Err(HeaderError::Damaged),
        }
    }
}

fn checksum(bytes: &[u8; HEADER_SIZE]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn u32_at(bytes: &[u8; HEADER_SIZE], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_SIZE], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Where a segment's records end, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the file.
    Whole,
    /// With bytes that were never acknowledged: so many.
    TornTail(usize),
    /// At this place of the file, and a whole record behind it says that what stood there was on disk.
    Damage(usize),
    /// At this place of the file stands a record whose CRC32C is right and that this version does not understand.
    Unknown(usize),
}

/// The records of a segment, in order. [`Reader::end`] says why they ended.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The CRC32C of the last record.
    chain: u32,
    /// The sequence of the next record.
    next: u64,
    end: Option<End>,
}

impl<'a> Reader<'a> {
    /// A reader of a whole file's bytes.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, HeaderError> {
        let header = Header::read(bytes)?;
        Ok(Reader { bytes, at: HEADER_SIZE, chain: header.seed, next: header.first_sequence, end: None })
    }

    /// The CRC32C of the last record that was read: what the next segment has as seed.
    pub fn last_crc(&self) -> u32 {
        self.chain
    }

    /// Sequence of the record after the last that was read.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Why the records ended; `None` before they did.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Looks through what is left for a record that says that the journal had been on disk up to the broken one.
    fn judge(&self) -> End {
        let rest = &self.bytes[self.at..];
        // Records begin at multiples of 8, in every segment.
        let proves = |at: usize| {
            let found = Frame::read(&rest[at..]);
            found.is_some_and(|frame| frame.sequence > self.next && frame.durable >= self.next)
        };
        match (RECORD_HEADER_SIZE..rest.len()).step_by(8).any(proves) {
            true => End::Damage(self.at),
            false => End::TornTail(rest.len()),
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.end.is_some() {
            return None;
        }
        if self.at == self.bytes.len() {
            self.end = Some(End::Whole);
            return None;
        }
        let frame = Frame::read(&self.bytes[self.at..]);
        let Some(frame) = frame.filter(|frame| frame.previous == self.chain && frame.sequence == self.next) else {
            self.end = Some(self.judge());
            return None;
        };
        let Some(record) = frame.record() else {
            self.end = Some(End::Unknown(self.at));
            return None;
        };
        self.at += frame.length;
        self.chain = frame.crc;
        self.next = self.next.wrapping_add(1);
        Some(record)
    }
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
