//! Order references and match numbers, and the matches that may still be broken.

use super::random::Random;

/// Matches that are remembered.
const RECENT: usize = 256;

/// Gives numbers that are unique within the day.
#[derive(Clone, Debug)]
pub struct Numbers {
    reference: u64,
    /// A reference that was given on arrival and comes out later than its followers.
    late: u64,
    match_number: u64,
    /// Locate and number; a number of 0 is none.
    recent: [(u16, u64); RECENT],
    prints: usize,
}

impl Numbers {
    /// Nothing given yet.
    pub const fn new() -> Numbers {
        Numbers { reference: 8, late: 4, match_number: 16_000, recent: [(0, 0); RECENT], prints: 0 }
    }

    /// A new order's reference: rising, but one in 64 comes late.
    #[inline]
    pub const fn next_reference(&mut self, random: &mut Random) -> u64 {
        self.reference += 1 + random.below(8) as u64;
        let mut reference = self.reference;
        if random.one_in(64) {
            std::mem::swap(&mut reference, &mut self.late);
        }
        reference
    }

    /// A match number.
    #[inline]
    pub const fn next_match(&mut self, random: &mut Random) -> u64 {
        self.match_number += 1 + random.below(3) as u64;
        self.match_number
    }

    /// A match that is a print of this locate; it may be broken later.
    #[inline]
    pub const fn next_print(&mut self, locate: u16, random: &mut Random) -> u64 {
        let number = self.next_match(random);
        self.recent[self.prints % RECENT] = (locate, number);
        self.prints += 1;
        number
    }

    /// A recent print, locate and number, to be broken: each once.
    pub fn take_match(&mut self, random: &mut Random) -> Option<(u16, u64)> {
        let known = self.prints.min(RECENT) as u32;
        let place = &mut self.recent[random.below(known) as usize];
        let taken = std::mem::take(place);
        (taken.1 != 0).then_some(taken)
    }
}
