//! Which alerts a print caused: a table of fixed size from (locate, match number) to a stretch of the log.
//!
//! Open addressing with linear probing; an entry that leaves closes its hole at once, so no tombstones gather in a
//! day. When the table is at its limit new prints are not remembered, which is counted, and from then on until the
//! next session a Broken Trade of an unknown number cannot be told from one that fired nothing.

use crate::sys::memory;

/// A print, as a Broken Trade names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// The feed's number for the symbol.
    pub locate: u16,
    /// Its match number.
    pub match_number: u64,
}

/// The stretch of the log in which the alerts of one print stand, among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Log offset of the first.
    pub first: u64,
    /// Log offset of the last.
    pub last: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    match_number: u64,
    stretch: Stretch,
    locate: u16,
    is_used: bool,
}

const EMPTY: Entry = Entry { match_number: 0, stretch: Stretch { first: 0, last: 0 }, locate: 0, is_used: false };

/// The table.
pub struct Busts {
    entries: Box<[Entry]>,
    count: usize,
    overflows: u64,
    overflowed: bool,
}

impl Busts {
    /// A table for `prints_max` prints; twice as many slots, 32 bytes each.
    pub fn new(prints_max: usize) -> Busts {
        let slots = (2 * prints_max).next_power_of_two().max(2);
        Busts { entries: vec![EMPTY; slots].into(), count: 0, overflows: 0, overflowed: false }
    }

    /// Has fetched what [`Self::note`] of this print will begin with.
    #[inline]
    pub fn prefetch(&self, print: Print) {
        memory::prefetch(&self.entries[home(print) & (self.entries.len() - 1)]);
    }

    /// The alert at `offset` was caused by this print. Offsets come in rising order.
    #[inline]
    pub fn note(&mut self, print: Print, offset: u64) {
        let slot = self.slot(print);
        let is_room = 2 * self.count < self.entries.len();
        let entry = &mut self.entries[slot];
        if entry.is_used {
            entry.stretch.last = offset;
        } else if is_room {
            let stretch = Stretch { first: offset, last: offset };
            *entry = Entry { match_number: print.match_number, locate: print.locate, stretch, is_used: true };
            self.count += 1;
        } else {
            self.overflows += 1;
            self.overflowed = true;
        }
    }

    /// Where the alerts of this print stand, which is forgotten by this.
    pub fn take(&mut self, print: Print) -> Option<Stretch> {
        let slot = self.slot(print);
        let found = self.entries[slot];
        if !found.is_used {
            return None;
        }
        self.remove(slot);
        Some(found.stretch)
    }

    /// Where the alerts of this print stand.
    pub fn get(&self, print: Print) -> Option<Stretch> {
        let entry = &self.entries[self.slot(print)];
        entry.is_used.then_some(entry.stretch)
    }

    /// Prints of this session are not known here.
    pub fn miss(&mut self) {
        self.overflowed = true;
    }

    /// A new session: match numbers begin anew.
    pub fn clear(&mut self) {
        self.entries.fill(EMPTY);
        (self.count, self.overflowed) = (0, false);
    }

    /// True when prints of this session were not remembered.
    pub fn is_incomplete(&self) -> bool {
        self.overflowed
    }

    /// Alerts whose print was not remembered, since start.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The slot that holds this print, or the empty one where it would go. There always is one: half of them are empty.
    #[inline]
    fn slot(&self, print: Print) -> usize {
        let mask = self.entries.len() - 1;
        let mut slot = home(print) & mask;
        loop {
            let entry = &self.entries[slot];
            if !entry.is_used || (entry.match_number, entry.locate) == (print.match_number, print.locate) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Empties a slot and moves up what probed past it.
    fn remove(&mut self, mut hole: usize) {
        let mask = self.entries.len() - 1;
        let mut slot = hole;
        loop {
            slot = (slot + 1) & mask;
            let entry = self.entries[slot];
            if !entry.is_used {
                break;
            }
            let home = home(Print { locate: entry.locate, match_number: entry.match_number });
            // It may move when its home is not between the hole (exclusive) and where it stands.
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = slot;
            }
        }
        self.entries[hole] = EMPTY;
        self.count -= 1;
    }
}

/// SplitMix64's finalizer: match numbers are consecutive, and many share their low bits.
#[inline]
fn home(print: Print) -> usize {
    let mut z = print.match_number ^ (u64::from(print.locate) << 48);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Against a map, with few numbers so that they collide, return and leave.
        #[test]
        fn like_a_map_until_it_is_full(steps in prop::collection::vec((0u8..8, 0u16..3, 0u64..20), 0..400)) {
            let (mut busts, mut naive) = (Busts::new(16), HashMap::new());
            for (offset, (what, locate, match_number)) in steps.into_iter().enumerate() {
                let (print, offset) = (Print { locate, match_number }, offset as u64);
                if what < 5 {
                    busts.note(print, offset);
                    if naive.len() < 16 || naive.contains_key(&(locate, match_number)) {
                        let stretch = naive.entry((locate, match_number)).or_insert(Stretch { first: offset, last: 0 });
                        stretch.last = offset;
                    } else {
                        prop_assert!(busts.is_incomplete());
                    }
                } else {
                    prop_assert_eq!(busts.take(print), naive.remove(&(locate, match_number)));
                }
            }
        }
    }

    #[test]
    fn a_session_forgets_and_overflows_are_counted() {
        let mut busts = Busts::new(1);
        let print = |match_number| Print { locate: 1, match_number };
        busts.note(print(1), 10);
        busts.note(print(2), 20);
        assert!(busts.is_incomplete());
        assert_eq!((busts.overflows(), busts.take(print(2))), (1, None));
        busts.clear();
        assert!(!busts.is_incomplete());
        assert_eq!((busts.take(print(1)), busts.overflows()), (None, 1));
    }
}
