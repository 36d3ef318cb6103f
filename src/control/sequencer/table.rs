//! What is in flight: ordinal -> entry, of fixed capacity.
//!
//! Shards answer out of order, and one whose symbol is being fired may answer very late, so a plain window over the
//! ordinals would make all wait for the oldest. Here: slots from a free list, chained from buckets by ordinal.

use super::LoginId;
use crate::model::{Command, RuleKey};

const NONE: u32 = u32::MAX;

/// Who waits for a command's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub login: LoginId,
    pub id: u64,
    /// What was sent.
    pub command: Command,
}

#[derive(Clone, Copy)]
struct Slot {
    ordinal: u64,
    entry: Entry,
    /// In its bucket's chain, or in the free list.
    next: u32,
}

/// The table.
pub struct Table {
    slots: Vec<Slot>,
    buckets: Vec<u32>,
    free: u32,
    count: usize,
}

impl Table {
    /// Room for `capacity` entries, at most 2^32 - 1.
    pub fn new(capacity: usize) -> Table {
        let nobody = Entry { login: 0, id: 0, command: Command::Remove(RuleKey::NONE, 0) };
        let empty = |next| Slot { ordinal: 0, entry: nobody, next };
        let next = |slot: usize| if slot + 1 < capacity { slot as u32 + 1 } else { NONE };
        Table {
            slots: (0..capacity).map(|slot| empty(next(slot))).collect(),
            buckets: vec![NONE; capacity.next_power_of_two()],
            free: if capacity == 0 { NONE } else { 0 },
            count: 0,
        }
    }

    /// Adds an entry. The caller bounds how many there are: one beyond the capacity would be lost.
    pub fn put(&mut self, ordinal: u64, entry: Entry) {
        debug_assert!(self.free != NONE, "in flight is bounded by the capacity");
        let (bucket, place) = (self.bucket(ordinal), self.free);
        let Some(slot) = self.slots.get_mut(place as usize) else { return };
        self.free = slot.next;
        *slot = Slot { ordinal, entry, next: self.buckets[bucket] };
        self.buckets[bucket] = place;
        self.count += 1;
    }

    /// The entry of an ordinal.
    pub fn get(&self, ordinal: u64) -> Option<Entry> {
        let mut place = self.buckets[self.bucket(ordinal)];
        while let Some(slot) = self.slots.get(place as usize) {
            if slot.ordinal == ordinal {
                return Some(slot.entry);
            }
            place = slot.next;
        }
        None
    }

    /// The entry of an ordinal, which is gone after.
    pub fn take(&mut self, ordinal: u64) -> Option<Entry> {
        let bucket = self.bucket(ordinal);
        let (mut before, mut place) = (NONE, self.buckets[bucket]);
        while let Some(&slot) = self.slots.get(place as usize) {
            if slot.ordinal == ordinal {
                match self.slots.get_mut(before as usize) {
                    Some(before) => before.next = slot.next,
                    None => self.buckets[bucket] = slot.next,
                }
                self.slots[place as usize].next = self.free;
                self.free = place;
                self.count -= 1;
                return Some(slot.entry);
            }
            (before, place) = (place, slot.next);
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn bucket(&self, ordinal: u64) -> usize {
        ordinal as usize & (self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((any::<bool>(), 0u64..64), 0..400)) {
            let (mut table, mut map, mut next) = (Table::new(9), HashMap::new(), 1);
            for (puts, pick) in steps {
                if puts && map.len() < 9 {
                    let command = Command::Remove(RuleKey::NONE, pick);
                    let entry = Entry { login: pick as u32, id: next * 3, command };
                    table.put(next, entry);
                    map.insert(next, entry);
                    next += 1 + pick;
                } else {
                    let ordinal = next.saturating_sub(pick);
                    prop_assert_eq!(table.get(ordinal), map.get(&ordinal).copied());
                    prop_assert_eq!(table.take(ordinal), map.remove(&ordinal));
                }
                prop_assert_eq!(table.is_empty(), map.is_empty());
            }
            for (ordinal, entry) in map {
                prop_assert_eq!(table.take(ordinal), Some(entry));
            }
        }
    }
}
