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
//! An offset is the segment's ordinal, shifted by 32 bits, plus the place in it: it is the same in each run. Stream 0 is the
//! drop copy (all that clients see, in log order), stream 1 + a that of the log's account a: the a-th that was ever named in
//! this session ([`super::marks`]). The log starts no thread: segments are handed to it ([`AlertLog::provide`]), and its owner
//! keeps the retention ([`AlertLog::retire`]). A log of an earlier run is opened by [`opened`]; one that is over is never
//! appended to.

pub mod opened;

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use super::index::{CHUNK, Cursor, Indexes, Lagged};
use super::marks::{self, BootId, Name};
use super::record::{self, Audience, CLOSED, CLOSING_SIZE, Record};
use super::segment::{HEADER_SIZE, Segment};
use super::wire::{MESSAGE_SIZE_MAX, RULE_SIZE};
use crate::limits;
use crate::model::{AccountId, Nanos};
use crate::sys::memory::prefetch_bytes;

const RECORD_SIZE_MAX: usize = Record::size(MESSAGE_SIZE_MAX);
const SHIFT: u32 = 32;
/// Changes of audience that are told apart between two questions: those of a duty cycle, most likely.
const TOUCHED_MAX: usize = limits::ALERTS_PER_CYCLE;

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
    /// Size of the active segment.
    segment_size: usize,
    /// Size of all segments, the prepared one included.
    size: u64,
    end: u64,
    indexes: Indexes,
    accounts: Vec<Name>,
    run: Run,
    /// For whom something was appended since that was last asked.
    touched: Vec<Audience>,
}

/// Who appends: what the marks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// This boot of the machine.
    pub boot: BootId,
    /// The time, which the owner keeps about right.
    pub ts: Nanos,
}

impl AlertLog {
    /// A log that begins in `first`, for these accounts. `index_size` bytes of records are the most that it is meant to keep.
    ///
    /// # Panics
    /// When the segment is smaller than [`limits::SEGMENT_SIZE_MIN`]: the settings are checked before.
    pub fn new(mut first: Segment, accounts: &[Name], index_size: u64, run: Run) -> AlertLog {
        let size = first.bytes().len();
        assert!(size as u64 >= limits::SEGMENT_SIZE_MIN, "a segment of {size} bytes");
        first.begin(1, run.ts);
        let mut indexes = Indexes::default();
        indexes.add(1);
        let mut log = AlertLog {
            end: first_offset(&first),
            segments: VecDeque::from([first]),
            prepared: None,
            segment_size: size,
            size: size as u64,
            indexes,
            accounts: vec![],
            run,
            touched: Vec::with_capacity(TOUCHED_MAX),
        };
        log.begin_run(accounts, index_size, run);
        log
    }

    /// Begins a run: says so in the log, gives a stream to each account that has none, and reserves what that needs. There must
    /// be room for it: see [`marks::head_size`].
    pub fn begin_run(&mut self, accounts: &[Name], index_size: u64, run: Run) {
        self.run = run;
        let known = self.accounts.len();
        for name in accounts {
            if !self.accounts.contains(name) {
                self.accounts.push(*name);
                self.indexes.add(1);
            }
        }
        // Two entries a record, so many records as fit when they are alerts. Where smaller or more widely told ones
        // need more, the oldest segment goes early.
        let streams = self.indexes.count() + limits::ACCOUNTS_SPARE;
        let chunks = 2 * index_size as usize / Record::size(RULE_SIZE) / CHUNK + 5 * streams;
        self.indexes.reserve(chunks);
        self.segments.reserve(index_size as usize / self.segment_size + 4);
        marks::open(self, &run.boot, run.ts);
        marks::table(self, known);
    }

    /// Gives a stream to an account that comes while the run goes on; nothing is done for one that has its own. There must be
    /// [`Self::room`]. `None`: there are as many as one log can have. What is said of `begin_run` holds: the first few find
    /// their part of the pool there.
    pub fn add_account(&mut self, name: &Name) -> Option<AccountId> {
        if let Some(place) = self.account(name) {
            return Some(place);
        }
        let known = self.accounts.len();
        if known >= limits::STREAMS_MAX || marks::head_size(known + 1) > self.segment_size / 4 {
            return None;
        }
        self.accounts.push(*name);
        self.indexes.add(1);
        self.indexes.reserve(5 * self.indexes.count());
        marks::table(self, known)?;
        Some(known as AccountId)
    }

    /// The accounts that have a stream, by their place.
    pub fn accounts(&self) -> &[Name] {
        &self.accounts
    }

    /// The place of the account with this name.
    pub fn account(&self, name: &Name) -> Option<AccountId> {
        self.accounts.iter().position(|other| other == name).map(|place| place as AccountId)
    }

    /// Tells it the time, for the marks.
    #[inline]
    pub fn set_time(&mut self, now: Nanos) {
        self.run.ts = now;
    }

    /// Offset of the oldest record that is kept.
    #[inline]
    pub fn start(&self) -> u64 {
        first_offset(&self.segments[0])
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

    /// The offset of this message of the stream, if it is kept.
    pub fn offset(&self, stream: usize, sequence: u64) -> Option<u64> {
        let is_kept = (self.oldest(stream)..self.next(stream)).contains(&sequence);
        self.indexes.offset(&mut self.indexes.cursor(stream, sequence)).ok().flatten().filter(|_| is_kept)
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
        self.size += segment.bytes().len() as u64;
        self.prepared = Some(segment);
    }

    /// True when half of the active segment is used and no next one is there: no new rules are to be taken.
    pub fn nearly_full(&self) -> bool {
        self.prepared.is_none() && place(self.end) > self.segment_size / 2
    }

    /// How many records are certain to fit now, of whatever size and audience. To be asked before alerts are taken:
    /// what does not fit stays in the ring.
    #[inline]
    pub fn room(&self) -> usize {
        // That many records need at most one or two chunks of each index.
        if self.is_index_low() {
            return 0;
        }
        let here = (self.segment_size - place(self.end)).saturating_sub(CLOSING_SIZE) / RECORD_SIZE_MAX;
        let used = HEADER_SIZE + marks::head_size(self.accounts.len()) + CLOSING_SIZE;
        let ahead = self.prepared.as_ref().map_or(0, |next| (next.bytes().len() - used) / RECORD_SIZE_MAX);
        (here + ahead).min(CHUNK)
    }

    /// Size of all segments, the prepared one included, in bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its segments, oldest first, the prepared one not included.
    pub fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// Hands out the oldest segment, to be unmapped and deleted; never the active one.
    pub fn retire(&mut self) -> Option<Segment> {
        if self.segments.len() < 2 {
            return None;
        }
        let oldest = self.segments.pop_front()?;
        self.size -= oldest.bytes().len() as u64;
        self.indexes.release(self.start());
        Some(oldest)
    }

    /// True when the pool of the indexes runs out: the oldest segment is to go before its time.
    #[inline]
    pub fn is_index_low(&self) -> bool {
        self.indexes.free_count() < 2 * self.indexes.count()
    }

    /// Hands out the oldest segment. When only the active one is there, that is closed early.
    #[cold]
    pub fn shed(&mut self) -> Option<Segment> {
        if self.segments.len() < 2 {
            self.rotate()?;
        }
        self.retire()
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
        if self.indexes.free_count() < self.indexes.count() && audience != Audience::Nobody {
            return None;
        }
        if place(self.end) + record_size + CLOSING_SIZE > self.segment_size {
            self.rotate()?;
        }
        let offset = self.end;
        let number = self.indexes.next(DROP_COPY);
        let sequence = self.note(audience, offset);
        let at = place(offset);
        let active = self.segments.back_mut()?;
        let bytes = &mut active.bytes_mut()[at..];
        Record::write(bytes, (number, sequence, audience, locate), size, write);
        // The next one's place, most likely, lies in no cache yet.
        prefetch_bytes(&bytes[record_size..], RECORD_SIZE_MAX);
        self.end += record_size as u64;
        Some(offset)
    }

    /// Says for whom something was appended since the last question: each at least once, and sometimes everyone.
    pub fn take_touched(&mut self) -> impl Iterator<Item = Audience> + '_ {
        self.touched.drain(..)
    }

    #[inline]
    fn touch(&mut self, audience: Audience) {
        match self.touched.last() {
            Some(last) if *last == audience || *last == Audience::Everyone => {}
            Some(_) if self.touched.len() + 1 == TOUCHED_MAX => self.touched.push(Audience::Everyone),
            _ => self.touched.push(audience),
        }
    }

    /// Enters an offset in the indexes of its audience; returns its number in its account's stream.
    #[inline]
    fn note(&mut self, audience: Audience, offset: u64) -> u64 {
        // `append` has seen a free chunk for each index: no push is refused.
        match audience {
            Audience::Nobody => 0,
            Audience::Account(account) => {
                self.touch(audience);
                self.indexes.push(DROP_COPY, offset);
                self.indexes.push(stream_of(account), offset).unwrap_or(0)
            }
            Audience::Everyone => {
                self.touch(audience);
                for stream in 0..self.indexes.count() {
                    self.indexes.push(stream, offset);
                }
                0
            }
        }
    }

    /// Closes the active segment and makes the prepared one active. The closing mark comes last: without it the next segment
    /// is not part of the log.
    #[cold]
    fn rotate(&mut self) -> Option<()> {
        let mut next = self.prepared.take()?;
        next.begin(self.indexes.next(DROP_COPY), self.run.ts);
        let closed_at = place(self.end);
        self.segment_size = next.bytes().len();
        self.end = first_offset(&next);
        self.segments.push_back(next);
        let Run { boot, ts } = self.run;
        marks::open(self, &boot, ts);
        marks::table(self, 0);
        let before = self.segments.len().checked_sub(2)?;
        // What another process finds: no closing mark before all that it promises.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
        let closed = self.segments[before].bytes_mut().get_mut(closed_at..closed_at + 4)?;
        closed.copy_from_slice(&CLOSED.to_le_bytes());
        Some(())
    }

    /// For a stop in order: returns when all that is kept is on disk, and the log says so.
    ///
    /// # Errors
    /// What the system says.
    pub fn close(&mut self) -> io::Result<()> {
        self.segments.iter().try_for_each(Segment::sync)?;
        self.segments[0].sync_directory()?;
        let ts = self.run.ts;
        marks::close(self, ts);
        self.sync_active()
    }

    /// Returns when the active segment is on disk, its name too.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_active(&self) -> io::Result<()> {
        let Some(active) = self.segments.back() else { return Ok(()) };
        active.sync()?;
        active.sync_directory()
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
        Some((((next >> SHIFT) + 1) << SHIFT) + HEADER_SIZE as u64)
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
        self.segments.iter().map(move |segment| (first_offset(segment), &segment.bytes()[HEADER_SIZE..]))
    }

    /// All records that are kept, marks and internal ones included, each with its offset.
    pub fn records(&self) -> impl Iterator<Item = (u64, Record<'_>)> {
        let mut at = self.start();
        std::iter::from_fn(move || {
            let found = (at, self.record(at).filter(|_| at != self.end)?);
            at = self.following(at)?;
            Some(found)
        })
    }

    #[inline]
    fn bytes_at(&self, offset: u64) -> Option<&[u8]> {
        let segment = (offset >> SHIFT).checked_sub(self.segments[0].ordinal())?;
        self.segments.get(segment as usize)?.bytes().get(place(offset)..)
    }
}

#[inline]
fn place(offset: u64) -> usize {
    (offset & ((1 << SHIFT) - 1)) as usize
}

fn first_offset(segment: &Segment) -> u64 {
    (segment.ordinal() << SHIFT) + HEADER_SIZE as u64
}

#[cfg(test)]
mod tests;
