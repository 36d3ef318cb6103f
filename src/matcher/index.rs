//! From a rule's key to its record: a table of fixed size that holds only record numbers.
//!
//! ```text
//!   chunk (one cache line):  [ 15 x (hash bits | record number + 1) | overflowed ]
//! ```
//!
//! A key's chunk follows from its hash; when that is full the next one is taken and `overflowed` of each chunk
//! passed is raised. A search ends at a chunk that nothing overflowed, a removal lowers the counts again: no
//! tombstones, no rehash, never a pause. About 5.4 bytes a rule at full capacity. Hash bits beside the number keep a
//! search from touching records that cannot be it. (After F14, Facebook's hash table.)

use crate::sys::memory::{on_huge_pages, prefetch};

/// Slots of a chunk that hold records; the 16th counts overflows.
const SLOTS: usize = 15;
/// Slots per hundred that may be used: above it chunks overflow often.
const FILL_PERCENT: usize = 80;

/// The index of a shard.
pub struct Index {
    chunks: Vec<[u32; SLOTS + 1]>,
    /// Bits of a slot that hold the record's number + 1; the others hold hash bits.
    number_mask: u32,
    count: usize,
    count_max: usize,
    grows: bool,
}

impl Index {
    /// For `count_max` records, numbered below `count_max`; with `grows` for any number below 2^31.
    pub fn new(count_max: usize, grows: bool) -> Index {
        let bits = if grows { 31 } else { usize::BITS - count_max.leading_zeros() };
        let chunks = Self::chunks_for(count_max);
        let table = vec![[0; SLOTS + 1]; chunks];
        on_huge_pages(&table);
        Index {
            chunks: table,
            number_mask: ((1u64 << bits) - 1) as u32,
            count: 0,
            count_max: if grows { Self::capacity(chunks) } else { count_max },
            grows,
        }
    }

    fn chunks_for(count: usize) -> usize {
        (count * 100).div_ceil(SLOTS * FILL_PERCENT).max(4)
    }

    fn capacity(chunks: usize) -> usize {
        chunks * SLOTS * FILL_PERCENT / 100
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.chunks.len() as u128) >> 64) as usize
    }

    fn next(&self, chunk: usize) -> usize {
        if chunk + 1 == self.chunks.len() { 0 } else { chunk + 1 }
    }

    /// The hash's low bits, where the number leaves room. The chunk comes from the high ones.
    #[inline]
    fn mark(&self, hash: u64) -> u32 {
        !self.number_mask & (hash as u32).rotate_right(8)
    }

    /// Has the chunk fetched in which a search for this hash begins.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(&self.chunks[self.home(hash)]);
    }

    /// A record that may be the one of this hash: what can be told without reading records.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let mark = self.mark(hash);
        let chunk = &self.chunks[self.home(hash)];
        let mut candidates = chunk[..SLOTS].iter().filter(|slot| **slot & !self.number_mask == mark);
        candidates.find_map(|slot| (slot & self.number_mask).checked_sub(1))
    }

    /// The record of this hash for which `is_it`.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mark = self.mark(hash);
        let mut at = self.home(hash);
        loop {
            let chunk = &self.chunks[at];
            let candidates = chunk[..SLOTS].iter().filter(|slot| **slot & !self.number_mask == mark);
            let mut numbers = candidates.filter_map(|slot| (slot & self.number_mask).checked_sub(1));
            if let Some(number) = numbers.find(|number| is_it(*number)) {
                return Some(number);
            }
            if chunk[SLOTS] == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Adds a record that is not there. The caller keeps to the capacity: there is always a slot.
    /// A growing index asks `hash_of` for the hashes of the records that it moves.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if self.count == self.count_max && self.grows {
            self.grow(hash_of);
        }
        self.count += 1;
        self.place(hash, number);
    }

    fn place(&mut self, hash: u64, number: u32) {
        let slot_value = self.mark(hash) | (number + 1);
        let mut at = self.home(hash);
        loop {
            let mask = self.number_mask;
            let chunk = &mut self.chunks[at];
            if let Some(slot) = chunk[..SLOTS].iter_mut().find(|slot| **slot & mask == 0) {
                *slot = slot_value;
                return;
            }
            chunk[SLOTS] += 1;
            at = self.next(at);
        }
    }

    /// Takes out a record that is there.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let mask = self.number_mask;
        let mut at = self.home(hash);
        for _ in 0..self.chunks.len() {
            let chunk = &mut self.chunks[at];
            if let Some(slot) = chunk[..SLOTS].iter_mut().find(|slot| **slot & mask == number + 1) {
                *slot = 0;
                self.count -= 1;
                return;
            }
            chunk[SLOTS] -= 1;
            at = self.next(at);
        }
        debug_assert!(false, "record {number} was not in the index");
    }

    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let chunks = self.chunks.len() * 2;
        let old = std::mem::replace(&mut self.chunks, vec![[0; SLOTS + 1]; chunks]);
        self.count_max = Self::capacity(chunks);
        for slot in old.iter().flat_map(|chunk| &chunk[..SLOTS]) {
            if let Some(number) = (slot & self.number_mask).checked_sub(1) {
                self.place(hash_of(number), number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Few different hashes, so that chunks overflow into each other.
    fn hash_of(number: u32) -> u64 {
        u64::from(number % 7).wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in proptest::collection::vec(0..100u32, 0..500), grows: bool) {
            let mut index = Index::new(if grows { 4 } else { 100 }, grows);
            let mut model = BTreeSet::new();
            for number in steps {
                if model.insert(number) {
                    index.insert(hash_of(number), number, hash_of);
                } else {
                    model.remove(&number);
                    index.remove(hash_of(number), number);
                }
                for number in 0..100 {
                    let found = index.find(hash_of(number), |n| n == number);
                    prop_assert_eq!(found, model.contains(&number).then_some(number));
                }
            }
            for number in model {
                index.remove(hash_of(number), number);
            }
            prop_assert!(index.chunks.iter().all(|chunk| chunk.iter().all(|slot| *slot == 0)));
        }
    }
}
