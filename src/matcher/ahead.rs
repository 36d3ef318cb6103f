//! Looking ahead: events wait a little before a shard takes them, so that what they will touch is fetched meanwhile.
//!
//! ```text
//!  push --> [ 15 14 .. | 10 .. | 5 .. | 0 ] --> Shard::event
//!             |           |       |
//!             |           |       best levels of that side
//!             |           side of the book
//!             order's place, symbol's first line
//! ```
//!
//! Orders and books of a day are far larger than any cache, and each step's address is known only from the one before.
//! Nothing is reordered: whoever pushes flushes before anything else is given to the shard.

use super::shard::{Outputs, Shard};
use crate::model::MarketEvent;

/// Events that wait. A power of two.
const AHEAD: usize = 16;
/// An event that came so many pushes ago has its symbol's first line there, and
const SIDE: usize = 5;
/// so many, the head of its side.
const LEVELS: usize = 10;

/// Events on their way into a shard, in order.
pub struct Ahead {
    waiting: [Option<MarketEvent>; AHEAD],
    /// Pushes so far.
    pushed: usize,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead { waiting: [None; AHEAD], pushed: 0 }
    }
}

impl Ahead {
    /// Takes an event in, and gives the shard the one that has waited long enough.
    #[inline]
    pub fn push(&mut self, event: &MarketEvent, shard: &mut Shard, out: &mut impl Outputs) {
        let at = self.pushed % AHEAD;
        self.pushed = self.pushed.wrapping_add(1);
        if let Some(due) = &self.waiting[at] {
            shard.event(due, out);
        }
        self.waiting[at] = Some(*event);
        shard.prefetch(event);
        if let Some(event) = &self.waiting[at.wrapping_sub(SIDE) % AHEAD] {
            shard.prefetch_book(event, false);
        }
        if let Some(event) = &self.waiting[at.wrapping_sub(LEVELS) % AHEAD] {
            shard.prefetch_book(event, true);
        }
    }

    /// Gives the shard all that wait.
    #[inline]
    pub fn flush(&mut self, shard: &mut Shard, out: &mut impl Outputs) {
        for later in 0..AHEAD {
            if let Some(event) = self.waiting[self.pushed.wrapping_add(later) % AHEAD].take() {
                shard.event(&event, out);
            }
        }
        self.pushed = 0;
    }
}
