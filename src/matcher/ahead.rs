//! Looking ahead: events wait a little before a shard takes them, so that what they will touch is fetched meanwhile.
//!
//! | pushed behind it | what is done for an event |
//! |---|---|
//! | 0 | its order's place and its symbol's first line are fetched |
//! | `FIRES` | of a print that will fire something, as things stand: the rest of its symbol |
//! | `SIDE` | where books are kept: its side of the book |
//! | `LADDERS` | of such a print: the ends of the ladders that it reaches |
//! | `LEVELS` | the best levels of that side |
//! | `RULES` | of such a print: the rules that fire first |
//! | `AHEAD` | `Shard::event` |
//!
//! Orders and books of a day are far larger than any cache, and each step's address is known only from the one before.
//! Nothing is reordered: whoever pushes flushes before anything else is given to the shard.
//!
//! Tried and dropped: groups of 8, 16 and 32 events, looked at in the ring's slots without a copy, a group's fetches all before
//! its first event. Without books the same (63 to 75 ns a message of a generated day, as with this queue); with books for all
//! 137 to 206 ns where this queue takes 111 to 120: there is too little time between one stage of a group and the next.

use super::shard::{Outputs, Shard};
use crate::model::{Action, MarketEvent};

/// Events that wait. A power of two.
pub const AHEAD: usize = 16;
// Each as far behind the one that it needs as memory is away.
const FIRES: usize = 4;
const SIDE: usize = 5;
const LADDERS: usize = 8;
const LEVELS: usize = 10;
const RULES: usize = 12;

/// Events on their way into a shard, in order.
pub struct Ahead {
    waiting: [MarketEvent; AHEAD],
    /// Events given to the shard so far,
    given: usize,
    /// and pushed.
    pushed: usize,
    /// A bit for each place of `waiting`: its print will fire something, as things stand.
    firing: u32,
}

const _: () = assert!(AHEAD <= u32::BITS as usize);

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead { waiting: [const { MarketEvent::new(Action::Clock) }; AHEAD], given: 0, pushed: 0, firing: 0 }
    }
}

impl Ahead {
    /// Takes an event in, and gives the shard the one that has waited long enough.
    #[inline]
    pub fn push(&mut self, event: &MarketEvent, shard: &mut Shard, out: &mut impl Outputs) {
        if self.waiting() == AHEAD {
            self.give(shard, out);
        }
        self.waiting[self.pushed % AHEAD] = *event;
        self.pushed += 1;
        shard.prefetch(event);
        if shard.keeps_books() {
            self.prefetch_book(SIDE, false, shard);
            self.prefetch_book(LEVELS, true, shard);
        }
        self.prefetch_firing(shard);
    }

    /// Gives the shard all that wait.
    #[inline]
    pub fn flush(&mut self, shard: &mut Shard, out: &mut impl Outputs) {
        while self.waiting() > 0 {
            self.give(shard, out);
        }
    }

    #[inline]
    fn waiting(&self) -> usize {
        self.pushed - self.given
    }

    #[inline]
    fn give(&mut self, shard: &mut Shard, out: &mut impl Outputs) {
        shard.event(&self.waiting[self.given % AHEAD], out);
        self.given += 1;
    }

    /// For the event behind which `behind` others wait, if there is one.
    #[inline]
    fn prefetch_book(&self, behind: usize, levels: bool, shard: &Shard) {
        if self.waiting() > behind {
            shard.prefetch_book(&self.waiting[(self.pushed - 1 - behind) % AHEAD], levels);
        }
    }

    /// What prints that will fire go on with, step by step; next to nothing where none will.
    #[inline]
    fn prefetch_firing(&mut self, shard: &Shard) {
        let waiting = self.waiting();
        let place = |behind: usize| (self.pushed - 1 - behind) % AHEAD;
        if waiting > FIRES {
            let at = place(FIRES);
            self.firing = self.firing & !(1 << at) | u32::from(shard.prefetch_fired(&self.waiting[at])) << at;
        }
        if self.firing == 0 {
            return;
        }
        let fires = |at: usize| self.firing & 1 << at != 0;
        if waiting > LADDERS && fires(place(LADDERS)) {
            shard.prefetch_ladders(&self.waiting[place(LADDERS)]);
        }
        if waiting > RULES && fires(place(RULES)) {
            shard.prefetch_rules(&self.waiting[place(RULES)]);
        }
    }
}
