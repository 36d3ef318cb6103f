//! Indexes: which record of the log is message n of a stream.
//!
//! One append-only list of log offsets per stream, in chunks from a pool that is allocated and touched at start. The
//! chunks of a list are linked in an array of their own, small enough to stay in the cache, so that finding a chunk
//! from the front (at a login only) costs nanoseconds a hop. A cursor keeps its chunk and never searches.
//!
//! Invariants: sequence numbers are from 1; chunk k of a list holds the numbers k * CHUNK + 1 to (k + 1) * CHUNK;
//! a list gives back its front chunks only when all their offsets are past the retention, and never its last chunk.

/// Offsets in a chunk.
pub const CHUNK: usize = 512;
const NONE: u32 = u32::MAX;

/// A place in a stream: the number of the next message to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The stream.
    pub index: usize,
    /// Number of the next message to read.
    pub sequence: u64,
    /// A chunk that holds `sequence`, or the one before.
    chunk: u32,
    /// The first number in that chunk; 0: none.
    base: u64,
}

/// The stream's messages from the cursor on are past the retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("behind the retention of the alert log")]
pub struct Lagged;

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    /// First number in the head chunk.
    base: u64,
    /// Number of the next message.
    next: u64,
}

/// All indexes and their pool.
pub struct Indexes {
    offsets: Vec<u64>,
    links: Vec<u32>,
    free: u32,
    free_count: usize,
    lists: Vec<List>,
}

impl Default for Indexes {
    /// No indexes, no pool.
    fn default() -> Indexes {
        Indexes { offsets: vec![], links: vec![], free: NONE, free_count: 0, lists: vec![] }
    }
}

impl Indexes {
    /// Makes the pool this large, if it is smaller. All memory is written once here, so that none of it is faulted in
    /// later.
    pub fn reserve(&mut self, chunks: usize) {
        let chunks = chunks.min(NONE as usize - 1);
        self.offsets.resize(self.offsets.len().max(chunks * CHUNK), u64::MAX);
        for chunk in self.links.len()..chunks {
            self.links.push(self.free);
            self.free = chunk as u32;
            self.free_count += 1;
        }
    }

    /// Adds an index, whose first message will have the number `next`.
    pub fn add(&mut self, next: u64) {
        let index = self.lists.len();
        self.lists.push(List { head: NONE, tail: NONE, base: next, next });
        let place = (next - 1) as usize % CHUNK;
        if place > 0 {
            // Its first chunk begins with numbers that are gone: below every offset.
            self.reserve(self.links.len() + usize::from(self.free_count == 0));
            self.add_chunk(index);
            let list = &mut self.lists[index];
            list.base = next - place as u64;
            let first = list.tail as usize * CHUNK;
            self.offsets[first..first + place].fill(0);
        }
    }

    /// How many indexes there are.
    pub fn count(&self) -> usize {
        self.lists.len()
    }

    /// Chunks in the pool.
    pub fn chunk_count(&self) -> usize {
        self.links.len()
    }

    /// Chunks in the pool that are free.
    #[inline]
    pub fn free_count(&self) -> usize {
        self.free_count
    }

    /// Number that the next message of this stream will get.
    #[inline]
    pub fn next(&self, index: usize) -> u64 {
        self.lists[index].next
    }

    /// Appends an offset and returns its number; `None` when a chunk is needed and none is free.
    #[inline]
    pub fn push(&mut self, index: usize, offset: u64) -> Option<u64> {
        let sequence = self.lists[index].next;
        let place = (sequence - 1) as usize % CHUNK;
        if place == 0 {
            self.add_chunk(index)?;
        }
        let list = &mut self.lists[index];
        self.offsets[list.tail as usize * CHUNK + place] = offset;
        list.next += 1;
        Some(sequence)
    }

    #[cold]
    fn add_chunk(&mut self, index: usize) -> Option<()> {
        let chunk = self.free;
        self.free = *self.links.get(chunk as usize)?;
        self.free_count -= 1;
        self.links[chunk as usize] = NONE;
        let list = &mut self.lists[index];
        match list.tail {
            NONE => (list.head, list.base) = (chunk, list.next),
            tail => self.links[tail as usize] = chunk,
        }
        list.tail = chunk;
        Some(())
    }

    /// Gives back the chunks of which every offset is below `start`.
    pub fn release(&mut self, start: u64) {
        for list in &mut self.lists {
            while list.head != list.tail && self.offsets[list.head as usize * CHUNK + CHUNK - 1] < start {
                let chunk = list.head as usize;
                list.head = self.links[chunk];
                list.base += CHUNK as u64;
                self.links[chunk] = self.free;
                self.free = chunk as u32;
                self.free_count += 1;
            }
        }
    }

    /// Number of the oldest message of this stream whose offset is not below `start`; the next one's when there is none.
    pub fn oldest(&self, index: usize, start: u64) -> u64 {
        let list = self.lists[index];
        if list.head == NONE {
            return list.next;
        }
        let count = ((list.next - list.base) as usize).min(CHUNK);
        let first = list.head as usize * CHUNK;
        list.base + self.offsets[first..first + count].partition_point(|offset| *offset < start) as u64
    }

    /// A cursor at `sequence`, which is between [`Self::oldest`] and [`Self::next`].
    pub fn cursor(&self, index: usize, sequence: u64) -> Cursor {
        let list = self.lists[index];
        let (mut chunk, mut base) = (list.head, list.base);
        while chunk != NONE && base + (CHUNK as u64) <= sequence && self.links[chunk as usize] != NONE {
            chunk = self.links[chunk as usize];
            base += CHUNK as u64;
        }
        Cursor { index, sequence, chunk, base: if chunk == NONE { 0 } else { base } }
    }

    /// The offset of the cursor's message; `None` when it does not exist yet.
    ///
    /// # Errors
    /// [`Lagged`] when its chunk is gone. (A chunk that is still there may hold offsets that are gone.)
    #[inline]
    pub fn offset(&self, cursor: &mut Cursor) -> Result<Option<u64>, Lagged> {
        let list = &self.lists[cursor.index];
        if cursor.sequence >= list.next {
            return Ok(None);
        }
        if cursor.sequence < list.base {
            return Err(Lagged);
        }
        let place = (cursor.sequence - 1) as usize % CHUNK;
        let base = cursor.sequence - place as u64;
        if base != cursor.base {
            // The chunk before is there, or this one is the head: the head's base is at most this one's.
            cursor.chunk = if base == list.base { list.head } else { self.links[cursor.chunk as usize] };
            cursor.base = base;
        }
        Ok(Some(self.offsets[cursor.chunk as usize * CHUNK + place]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against plain vectors: pushes, releases and cursors that read as they like.
        #[test]
        fn like_vectors(steps in prop::collection::vec((0u8..10, 0usize..3, 1usize..700), 1..120)) {
            let mut indexes = Indexes::default();
            let mut naive: [Vec<u64>; 3] = Default::default();
            for (index, gone) in [0, 3 * CHUNK as u64, 700].into_iter().enumerate() {
                indexes.add(gone + 1);
                naive[index].resize(gone as usize, 0);
            }
            indexes.reserve(60);
            let mut cursors = vec![];
            let (mut offset, mut start) = (64u64, 1);
            for (what, index, count) in steps {
                match what {
                    0..5 => for _ in 0..count {
                        match indexes.push(index, offset) {
                            Some(sequence) => naive[index].push({ prop_assert_eq!(sequence as usize, naive[index].len() + 1); offset }),
                            None => { prop_assert_eq!(indexes.free_count(), 0); break }
                        }
                        offset += 8;
                    },
                    5 => { start = start.max(offset.saturating_sub(8 * count as u64 * 4)); indexes.release(start) }
                    6..8 => {
                        let oldest = indexes.oldest(index, start);
                        let gone = naive[index].iter().filter(|offset| **offset < start).count();
                        prop_assert_eq!(oldest as usize, gone + 1);
                        let span = indexes.next(index) - oldest + 1;
                        cursors.push(indexes.cursor(index, oldest + count as u64 % span));
                    }
                    _ => for cursor in &mut cursors {
                        for _ in 0..count {
                            let wanted = naive[cursor.index].get(cursor.sequence as usize - 1).copied();
                            match indexes.offset(cursor) {
                                Ok(found) => prop_assert_eq!(found, wanted),
                                Err(Lagged) => { prop_assert!(wanted.unwrap() < start); break }
                            }
                            if wanted.is_none() { break }
                            cursor.sequence += 1;
                        }
                    },
                }
            }
        }
    }
}
