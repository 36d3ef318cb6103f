//! The alert log: records in global order over mapped segments, an index per stream, cursors that read.
//!
//! ```text
//!          segment 4         segment 5         segment 6 (active)      prepared
//!        +---------------+ +---------------+ +---------------+- - -+ +- - - - - - -+
//!        | R R R R R R R | | R R R R R R R | | R R R R       |     | |             |
//!        +---------------+ +---------------+ +---------------+- - -+ +- - - - - - -+
//!        ^ start                                     ^ end
//! ```
//!
//! An offset is the segment's ordinal, shifted by the bits that a place in a segment takes, plus the place. Stream 0 is the drop copy (all that clients
//! see, in log order), stream 1 + a that of account a. The log opens no file and starts no thread: segments are handed
//! to it ([`AlertLog::provide`]) and those past the retention are handed back ([`AlertLog::retired`]).

use std::collections::VecDeque;
use std::io::IoSlice;

use super::index::{CHUNK, Cursor, Indexes, Lagged};
use super::record::{self, Audience, CLOSED, CLOSING_SIZE, Record};
use super::segment::{HEADER_SIZE, Segment};
use super::wire::{MESSAGE_SIZE_MAX, RULE_SIZE};
use crate::limits;
use crate::model::AccountId;

const RECORD_SIZE_MAX: usize = Record::size(MESSAGE_SIZE_MAX);

/// The index of the drop copy's stream.
pub const DROP_COPY: usize = 0;

/// The index of an account's stream.
pub const fn stream_of(account: AccountId) -> usize {
    1 + account as usize
}

/// The log.
pub struct AlertLog {
    /// Oldest first; the last one is active. Never empty.
    segments: VecDeque<Segment>,
    prepared: Option<Segment>,
    retired: Option<Segment>,
    segments_max: usize,
    shift: u32,
    segment_size: usize,
    end: u64,
    indexes: Indexes,
}

impl AlertLog {
    /// A log that begins in `first`, whose size all segments have, for `accounts` accounts. It keeps at most
    /// `retention_size` bytes of segments, the prepared one included, but at least three segments.
    ///
    /// # Panics
    /// When the segment is smaller than [`limits::SEGMENT_SIZE_MIN`]: the settings are checked before.
    pub fn new(mut first: Segment, retention_size: u64, accounts: usize) -> AlertLog {
        let size = first.bytes().len();
        assert!(size as u64 >= limits::SEGMENT_SIZE_MIN, "a segment of {size} bytes");
        let shift = size.next_power_of_two().trailing_zeros();
        let segments_max = ((retention_size / size as u64) as usize).max(3) - 1;
        let streams = accounts + 1;
        // Two entries a record, so many records as fit when they are alerts. Where smaller or more widely told ones
        // need more, the oldest segment goes early.
        let chunks = 2 * segments_max * size / Record::size(RULE_SIZE) / CHUNK + 5 * streams;
        first.begin(1);
        AlertLog {
            end: (first.ordinal() << shift) + HEADER_SIZE as u64,
            segments: with_room(first, segments_max + 2),
            prepared: None,
            retired: None,
            segments_max,
            shift,
            segment_size: size,
            indexes: Indexes::new(streams, chunks),
        }
    }

    /// Offset of the oldest record that is kept.
    #[inline]
    pub fn start(&self) -> u64 {
        (self.segments[0].ordinal() << self.shift) + HEADER_SIZE as u64
    }

    /// Offset that the next record will have, unless it begins a new segment.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Number that the next message of this stream will get.
    #[inline]
    pub fn next(&self, stream: usize) -> u64 {
        self.indexes.next(stream)
    }

    /// Number of the oldest message of this stream that is kept; the next one's when none is.
    pub fn oldest(&self, stream: usize) -> u64 {
        self.indexes.oldest(stream, self.start())
    }

    /// A cursor at this number of the stream, which is from [`Self::oldest`] to [`Self::next`].
    pub fn cursor(&self, stream: usize, sequence: u64) -> Cursor {
        self.indexes.cursor(stream, sequence)
    }

    /// The ordinal of the segment that is to be prepared, if none is there.
    #[inline]
    pub fn wanted(&self) -> Option<u64> {
        self.prepared.is_none().then(|| self.segments[0].ordinal() + self.segments.len() as u64)
    }

    /// Takes the segment with the ordinal that was [`Self::wanted`].
    pub fn provide(&mut self, segment: Segment) {
        debug_assert_eq!(Some(segment.ordinal()), self.wanted());
        self.prepared = Some(segment);
    }

    /// True when half of the active segment is used and no next one is there: no new rules are to be taken.
    pub fn nearly_full(&self) -> bool {
        self.prepared.is_none() && self.place(self.end) > self.segment_size / 2
    }

    /// How many records are certain to fit now, of whatever size and audience. To be asked before alerts are taken:
    /// what does not fit stays in the ring.
    #[inline]
    pub fn room(&self) -> usize {
        // That many records need at most one or two chunks of each index.
        if self.indexes.free_count() < 2 * self.indexes.count() {
            return 0;
        }
        let here = (self.segment_size - self.place(self.end)).saturating_sub(CLOSING_SIZE) / RECORD_SIZE_MAX;
        let ahead = (self.segment_size - HEADER_SIZE - CLOSING_SIZE) / RECORD_SIZE_MAX;
        (here + if self.prepared.is_some() { ahead } else { 0 }).min(CHUNK)
    }

    /// Keeps the retention: hands out what is past it, once a call, to be unmapped and deleted.
    pub fn retired(&mut self) -> Option<Segment> {
        if self.retired.is_none() && self.indexes.free_count() < 2 * self.indexes.count() {
            self.shed();
        }
        self.retired.take()
    }

    /// Appends a message of `size` bytes, which `write` writes. Returns its offset; `None`, and nothing done, when
    /// there is no room: see [`Self::room`].
    #[inline]
    pub fn append(
        &mut self,
        audience: Audience,
        locate: u16,
        size: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Option<u64> {
        let record_size = Record::size(size);
        if self.indexes.free_count() < self.indexes.count() {
            return None;
        }
        if self.place(self.end) + record_size + CLOSING_SIZE > self.segment_size {
            self.rotate()?;
        }
        let offset = self.end;
        let number = self.indexes.next(DROP_COPY);
        let sequence = self.note(audience, offset);
        let place = self.place(offset);
        let active = self.segments.back_mut()?;
        Record::write(&mut active.bytes_mut()[place..], (number, sequence, audience, locate), size, write);
        self.end += record_size as u64;
        Some(offset)
    }

    /// Enters an offset in the indexes of its audience; returns its number in its account's stream.
    #[inline]
    fn note(&mut self, audience: Audience, offset: u64) -> u64 {
        // `append` has seen a free chunk for each index: no push is refused.
        match audience {
            Audience::Nobody => 0,
            Audience::Account(account) => {
                self.indexes.push(DROP_COPY, offset);
                self.indexes.push(stream_of(account), offset).unwrap_or(0)
            }
            Audience::Everyone => {
                for stream in 0..self.indexes.count() {
                    self.indexes.push(stream, offset);
                }
                0
            }
        }
    }

    /// Closes the active segment and makes the prepared one active.
    #[cold]
    fn rotate(&mut self) -> Option<()> {
        let mut next = self.prepared.take()?;
        next.begin(self.indexes.next(DROP_COPY));
        let place = self.place(self.end);
        if let Some(active) = self.segments.back_mut() {
            active.bytes_mut()[place..place + 4].copy_from_slice(&CLOSED.to_le_bytes());
        }
        self.end = (next.ordinal() << self.shift) + HEADER_SIZE as u64;
        self.segments.push_back(next);
        if self.segments.len() > self.segments_max {
            self.retire();
        }
        Some(())
    }

    /// The pool of chunks runs out: the oldest segment goes before its time. When only the active one is left, that
    /// is closed early.
    #[cold]
    fn shed(&mut self) {
        if self.segments.len() > 1 || self.rotate().is_some() {
            self.retire();
        }
    }

    #[cold]
    fn retire(&mut self) {
        // None waits to be handed out: there is one rotation at most between two segments that are provided, and the
        // owner asks for what is retired before it provides.
        self.retired = self.segments.pop_front();
        self.indexes.release(self.start());
    }

    /// Returns when all that is kept is on disk: for a stop.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> std::io::Result<()> {
        self.segments.iter().try_for_each(Segment::sync)
    }

    /// The record at this offset; `None` when it is past the retention or nothing is there.
    #[inline]
    pub fn record(&self, offset: u64) -> Option<Record<'_>> {
        Record::read(self.bytes_at(offset)?)
    }

    /// The offset of the record behind the one at this offset; [`Self::end`] behind the last.
    pub fn following(&self, offset: u64) -> Option<u64> {
        let next = offset + record::stride(self.bytes_at(offset)?)? as u64;
        if next == self.end || self.record(next).is_some() {
            return Some(next);
        }
        Some((((next >> self.shift) + 1) << self.shift) + HEADER_SIZE as u64)
    }

    /// The packets from the cursor on, as many as `out` has places for, ready to be written. Returns how many.
    ///
    /// # Errors
    /// [`Lagged`] when the cursor's message is past the retention.
    pub fn gather<'a>(&'a self, mut cursor: Cursor, out: &mut [IoSlice<'a>]) -> Result<usize, Lagged> {
        for (count, place) in out.iter_mut().enumerate() {
            let Some(offset) = self.indexes.offset(&mut cursor)? else { return Ok(count) };
            *place = IoSlice::new(self.record(offset).ok_or(Lagged)?.packet);
            cursor.sequence += 1;
        }
        Ok(out.len())
    }

    /// Moves a cursor on by `count` messages that [`Self::gather`] gave.
    ///
    /// # Errors
    /// Never right after a `gather` that gave that many.
    pub fn step(&self, cursor: &mut Cursor, count: usize) -> Result<(), Lagged> {
        for _ in 0..count {
            self.indexes.offset(cursor)?;
            cursor.sequence += 1;
        }
        Ok(())
    }

    /// The bytes of all segments that are kept, behind their headers, each with the offset of its first byte.
    pub fn bytes(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let behind_header = |segment: &Segment| (segment.ordinal() << self.shift) + HEADER_SIZE as u64;
        self.segments.iter().map(move |segment| (behind_header(segment), &segment.bytes()[HEADER_SIZE..]))
    }

    #[inline]
    fn bytes_at(&self, offset: u64) -> Option<&[u8]> {
        let segment = (offset >> self.shift).checked_sub(self.segments[0].ordinal())?;
        self.segments.get(segment as usize)?.bytes().get(self.place(offset)..)
    }

    #[inline]
    fn place(&self, offset: u64) -> usize {
        (offset & ((1 << self.shift) - 1)) as usize
    }
}

/// A queue that holds `first` and never grows.
fn with_room(first: Segment, capacity: usize) -> VecDeque<Segment> {
    let mut segments = VecDeque::with_capacity(capacity);
    segments.push_back(first);
    segments
}

#[cfg(test)]
mod tests;
