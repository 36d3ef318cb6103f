//! A snapshot: one file with all rules, their states and what is known of symbols, up to a place of the journal and one of the alert log.
//!
//! ```text
//!  file:    | header (128) | chunks of symbols | chunks of fates | chunks of rules | end (48) |
//!
//!  header:   0       8         12       16              24      28     32      48        56        64        72        80      88      128
//!           +-------+---------+--------+---------------+-------+------+-------+---------+---------+---------+---------+-------+-------+
//!           | magic | version | CRC32C | next sequence | chain | ends | boot  | ordinal | created | session | segment | bytes | 0     |
//!           +-------+---------+--------+---------------+-------+------+-------+---------+---------+---------+---------+-------+-------+
//!                                      '---- the journal up to here ---'                          '----- the log up to here --'
//!
//!  chunk:    0        4        8      12      16
//!           +--------+--------+------+-------+=========================+.........+
//!           | length | CRC32C | kind | count | archive (`length` bytes) | 0 to 16 |
//!           +--------+--------+------+-------+=========================+.........+
//!
//!  end:      a chunk of kind 4 whose archive is three u64: symbols, fates, rules in all
//! ```
//!
//! Little-endian. An archive is that of a `rkyv` value ([`chunk`]), at most [`SNAPSHOT_CHUNK`] entries, read where it lies in the
//! mapped file. Each CRC32C goes on from that of the chunk before (the first chunk's from the header's) over the whole chunk but
//! itself: no chunk can be changed, left out, moved or taken from elsewhere unseen. Counts stand at the end, since a snapshot
//! is written in one go while its rules pass by.
//!
//! A file is written under another name, synced and renamed, so what has a snapshot's name is whole. It is named after
//! the first record of the journal that it does not have; that record begins a segment whose seed is `chain`.

mod chunk;
mod writer;

use std::io;
use std::ops::Deref;

use super::record::AccountName;
use super::recovery::Fate;
use super::storage::Storage;
use super::writer::Position;
use crate::model::{LogPosition, Nanos, Price, RestoredRule, Symbol};

pub use writer::SnapshotWriter;

/// Size of a snapshot's header.
pub const HEADER_SIZE: usize = 128;
/// The version of the format that is written here.
pub const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"HTSNAPSH";
/// Size of a chunk's header, and what chunks are padded to.
const CHUNK_HEADER_SIZE: usize = 16;
const END_SIZE: usize = 24;

/// What a chunk holds.
mod kind {
    pub const SYMBOLS: u32 = 1;
    pub const FATES: u32 = 2;
    pub const RULES: u32 = 3;
    pub const END: u32 = 4;
}

/// How far a snapshot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covers {
    /// The journal goes on here.
    pub position: Position,
    /// The last record before was one that closed the journal in order.
    pub is_closed: bool,
    /// The boot of the machine that the last segment before was created in; zeros when there is none.
    pub boot: [u8; 16],
    /// The newest command's ordinal.
    pub ordinal: u64,
    /// When it was made, UTC.
    pub created: Nanos,
    /// The alert log goes on here.
    pub log: LogPosition,
}

/// How much is in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Symbols.
    pub symbols: u64,
    /// Fates whose sets were not in the journal yet.
    pub fates: u64,
    /// Rules.
    pub rules: u64,
}

/// A rule and the name of its account. The account's number in the rule's key means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedRule {
    /// The owner's name.
    pub account: AccountName,
    /// The rule.
    pub rule: RestoredRule,
}

/// What is known of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolRow {
    /// Its name.
    pub symbol: Symbol,
    /// The greatest version that was ever given,
    pub version: u64,
    /// and the greatest whose set is in the journal.
    pub journaled: u64,
    /// Per signal: rules up to this version have seen a value.
    pub evaluated: [u64; 4],
    /// Feed time of the last thing that is known to have happened to its rules,
    pub feed_time: Nanos,
    /// the feed's session,
    pub feed_session: [u8; 10],
    /// and the message; 0 for nothing.
    pub feed_sequence: u64,
    /// The session that was told of last beside that one,
    pub other_session: [u8; 10],
    /// and how far it was seen; 0 for none.
    pub other_sequence: u64,
    /// Price of the last print, i64::MIN for one that nobody has told,
    pub last: Price,
    /// the feed's session,
    pub last_session: [u8; 10],
    /// and the message up to which it was the last; 0 for none.
    pub last_sequence: u64,
}

impl SymbolRow {
    /// A symbol of which nothing is known.
    pub fn new(symbol: Symbol) -> SymbolRow {
        SymbolRow {
            symbol,
            version: 0,
            journaled: 0,
            evaluated: [0; 4],
            feed_time: 0,
            feed_session: [0; 10],
            feed_sequence: 0,
            other_session: [0; 10],
            other_sequence: 0,
            last: Price(0),
            last_session: [0; 10],
            last_sequence: 0,
        }
    }
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateRow {
    /// The symbol.
    pub symbol: Symbol,
    /// The version.
    pub version: u64,
    /// What became of it.
    pub fate: Fate,
}

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// No snapshot, or its header is damaged.
    #[error("its header is damaged, or it is no snapshot")]
    Header,
    /// Another version wrote it.
    #[error("it has format version {0}, and this program knows version {VERSION}")]
    Version(u32),
    /// A chunk is damaged or missing.
    #[error("it is damaged at byte {0}")]
    Damaged(usize),
}

impl Covers {
    /// The name of the snapshot's file.
    pub fn file_name(&self) -> String {
        format!("{:020}.snapshot", self.position.next_sequence)
    }

    /// The bytes of the header.
    fn bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.position.chain.to_le_bytes());
        bytes[28..32].copy_from_slice(&u32::from(self.is_closed).to_le_bytes());
        bytes[32..48].copy_from_slice(&self.boot);
        let LogPosition { session, segment, offset } = self.log;
        let numbers = [
            (16, self.position.next_sequence),
            (48, self.ordinal),
            (56, self.created),
            (64, session),
            (72, segment),
            (80, offset),
        ];
        for (at, number) in numbers {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`]. The version is believed only when the CRC32C, which every version has in the same place, is right.
    pub fn read(bytes: &[u8]) -> Result<Covers, SnapshotError> {
        let bytes: &[u8; HEADER_SIZE] = bytes.first_chunk().ok_or(SnapshotError::Header)?;
        if bytes[..8] != MAGIC || u32_at(bytes, 12) != Some(header_checksum(bytes)) {
            return Err(SnapshotError::Header);
        }
        let number = |at| u64_at(bytes, at).ok_or(SnapshotError::Header);
        match u32_at(bytes, 8) {
            Some(VERSION) => Ok(Covers {
                position: Position {
                    next_sequence: number(16)?,
                    chain: u32_at(bytes, 24).ok_or(SnapshotError::Header)?,
                },
                is_closed: bytes[28] == 1,
                boot: *bytes[32..].first_chunk().ok_or(SnapshotError::Header)?,
                ordinal: number(48)?,
                created: number(56)?,
                log: LogPosition { session: number(64)?, segment: number(72)?, offset: number(80)? },
            }),
            Some(version) => Err(SnapshotError::Version(version)),
            None => Err(SnapshotError::Header),
        }
    }
}

fn header_checksum(bytes: &[u8; HEADER_SIZE]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A chunk as it lies in the file.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    at: usize,
    kind: u32,
    crc: u32,
    count: u32,
    archive: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

impl<'a> Chunk<'a> {
    /// Reads what stands at `at`; `previous` is the CRC32C before it, which is checked if it is given.
    fn read(bytes: &'a [u8], at: usize, previous: Option<u32>) -> Option<Chunk<'a>> {
        let (length, crc) = (u32_at(bytes, at)? as usize, u32_at(bytes, at + 4)?);
        let (kind, count) = (u32_at(bytes, at + 8)?, u32_at(bytes, at + 12)?);
        let end = (at + CHUNK_HEADER_SIZE).checked_add(length)?.checked_next_multiple_of(CHUNK_HEADER_SIZE)?;
        let whole = bytes.get(at..end)?;
        if previous.is_some_and(|previous| chunk_checksum(previous, whole) != crc) {
            return None;
        }
        Some(Chunk { at, kind, crc, count, archive: &whole[CHUNK_HEADER_SIZE..CHUNK_HEADER_SIZE + length], end })
    }
}

fn chunk_checksum(previous: u32, chunk: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(previous, &chunk[..4]), &chunk[8..])
}

/// A snapshot that was found whole.
pub struct Snapshot<B> {
    bytes: B,
    covers: Covers,
    totals: Totals,
}

impl<B: Deref<Target = [u8]>> Snapshot<B> {
    /// Checks all of a snapshot's bytes.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn open(bytes: B) -> Result<Snapshot<B>, SnapshotError> {
        let covers = Covers::read(&bytes)?;
        let mut crc = u32_at(&bytes, 12).ok_or(SnapshotError::Header)?;
        let (mut at, mut found) = (HEADER_SIZE, Totals::default());
        loop {
            let damaged = SnapshotError::Damaged(at);
            let chunk = Chunk::read(&bytes, at, Some(crc)).ok_or(damaged)?;
            (crc, at) = (chunk.crc, chunk.end);
            match chunk.kind {
                kind::SYMBOLS => found.symbols += u64::from(chunk.count),
                kind::FATES => found.fates += u64::from(chunk.count),
                kind::RULES => found.rules += u64::from(chunk.count),
                kind::END => {
                    let number = |at| u64_at(chunk.archive, at).ok_or(damaged);
                    let totals = Totals { symbols: number(0)?, fates: number(8)?, rules: number(16)? };
                    let is_whole = totals == found && at == bytes.len();
                    return if is_whole { Ok(Snapshot { bytes, covers, totals }) } else { Err(damaged) };
                }
                _ => return Err(damaged),
            }
        }
    }

    /// How far it goes.
    pub fn covers(&self) -> &Covers {
        &self.covers
    }

    /// How much is in it.
    pub fn counts(&self) -> Totals {
        self.totals
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Hands out its symbols, in order.
    ///
    /// # Errors
    /// When a chunk says what no version of this format says.
    pub fn each_symbol(&self, mut each: impl FnMut(SymbolRow)) -> Result<(), SnapshotError> {
        self.each_chunk(kind::SYMBOLS, |chunk| {
            chunk::read_symbols(chunk.archive, &mut each).ok_or(SnapshotError::Damaged(chunk.at))
        })
    }

    /// Hands out its fates, in order.
    ///
    /// # Errors
    /// Those of [`Self::each_symbol`].
    pub fn each_fate(&self, mut each: impl FnMut(FateRow)) -> Result<(), SnapshotError> {
        self.each_chunk(kind::FATES, |chunk| {
            chunk::read_fates(chunk.archive, &mut each).ok_or(SnapshotError::Damaged(chunk.at))
        })
    }

    /// Hands out the rules of the symbols that `takes` takes, by symbol and version.
    ///
    /// # Errors
    /// Those of [`Self::each_symbol`], and what `each` says.
    pub fn each_rule<E: From<SnapshotError>>(
        &self,
        takes: &impl Fn(Symbol) -> bool,
        mut each: impl FnMut(&NamedRule) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_chunk(kind::RULES, |chunk| {
            chunk::read_rules(chunk.archive, takes, &mut each).unwrap_or(Err(SnapshotError::Damaged(chunk.at).into()))
        })
    }

    fn each_chunk<E: From<SnapshotError>>(
        &self,
        kind: u32,
        mut each: impl FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = HEADER_SIZE;
        while let Some(chunk) = Chunk::read(&self.bytes, at, None) {
            if chunk.kind == kind {
                each(chunk)?;
            }
            at = chunk.end;
        }
        Ok(())
    }
}

/// The first record that each snapshot of a journal does not have, in order: its file's name says it.
///
/// # Errors
/// What the system says.
pub fn list<S: Storage>(storage: &S) -> io::Result<Vec<(u64, String)>> {
    let number = |name: String| Some((name.strip_suffix(".snapshot")?.parse().ok()?, name));
    Ok(storage.list()?.into_iter().filter_map(number).collect())
}

#[cfg(test)]
#[path = "snapshot/tests.rs"]
mod tests;
