//! Books on demand: a symbol has no book levels until the first rule on its bid, ask or mid comes; then they are built from the
//! order table, in slices.
//!
//! Most symbols are watched by their prints alone, and a book nobody looks at is half of what a message about an order costs.
//!
//! ```text
//!             next                        from (a free place: no entry behind it will ever lie before it)
//!   0 .... <---|..........................|.............................. places - 1
//!      1st part of the way                  2nd part, after a jump from 0 to the end
//! ```
//!
//! - One scan goes down the order table, round and round, as long as any symbol waits for its book. A symbol comes in
//!   wherever the scan is and is ready after one round: its way ends where it began. It is held meanwhile, as in a storm
//!   ([`super::held`]): its events and commands wait, so its own orders do not change, and the rule sees a right book.
//! - Other symbols' orders come and go, and may move its entries; but only down, and never across a free place. So the
//!   scan misses none, if a way begins at a free place; one that it meets twice is marked (`Order::in_book`) and counted once.
//! - When the table grows (offline only) entries move anywhere: every way begins anew.
//! - A book that is there stays until the session ends; at the next one's start those that a rule watches are there, empty.
//! - With no bound on a step (offline) each scan builds as many other books as there were before: so their number at least
//!   doubles, and rules on n symbols cost log n scans, not n.
//!
//! An order whose level finds no room is not in the book and not marked, is counted (`orders_refused`), and the book is suspect.

use std::collections::VecDeque;

use super::held::{Moment, Work};
use super::shard::Shard;
use super::symbols::NONE;
use crate::limits::PLACES_PER_BOOKED_ORDER;
use crate::model::{RuleCommand, Side};
use crate::sys::memory::reserved;

/// Places of a step that has no bound, however many it has looked at.
const UNBOUNDED: usize = usize::MAX / 2;

/// Symbols that wait for their books, and the scan that builds them.
pub struct Builds {
    /// In the order in which they came; since all ways are of one length, they end in it too.
    waiting: VecDeque<Build>,
    /// The scan has come down to this place; the next one is below.
    next: usize,
    /// Places passed since the first of those who wait came.
    passed: u64,
    /// Of the table, when the scan was last at it.
    places: usize,
}

struct Build {
    symbol: u32,
    /// Its way is over when the scan has passed so many places.
    until: u64,
}

impl Builds {
    /// With room for so many symbols at once.
    pub fn new(symbols_max: usize) -> Builds {
        Builds { waiting: reserved(symbols_max).into(), next: 0, passed: 0, places: 0 }
    }

    /// True when no symbol waits for its book.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Shard {
    /// True when the symbol has its book, or needs none to be built: there are no orders of it. Else it is begun.
    pub(super) fn keep_book(&mut self, symbol: u32) -> bool {
        let state = self.symbols.get_mut(symbol);
        if !state.has_book && !state.is_building {
            if state.is_known && self.orders.count() > 0 {
                self.begin_book(symbol);
                self.build_more();
                self.build_books();
            } else {
                state.has_book = true;
                self.books_kept += 1;
            }
        }
        self.symbols.get(symbol).has_book
    }

    /// Holds a symbol until its book is there, and lets the command go first then.
    pub(super) fn hold_for_book(&mut self, symbol: u32, command: &RuleCommand, moment: Moment) {
        let state = self.symbols.get_mut(symbol);
        match state.job {
            NONE => state.job = self.held.begin_aside(symbol),
            // It is this symbol's turn: the command waited behind a storm.
            _ => self.held.set_current_aside(),
        }
        self.held.wait_first(state.job, Work::Command(*command), moment);
    }

    /// Goes on building, as far as this step's places go.
    pub(super) fn build_books(&mut self) {
        if self.builds.places != self.orders.places() {
            self.begin_round();
        }
        while let Some(build) = self.builds.waiting.front() {
            let left = build.until - self.builds.passed;
            if left == 0 {
                self.end_book();
            } else if self.places_left == 0 {
                return;
            } else {
                if self.builds.next == 0 {
                    self.builds.next = self.builds.places;
                }
                let slice = self.builds.next.min(self.places_left).min(usize::try_from(left).unwrap_or(usize::MAX));
                self.scan(slice);
            }
        }
    }

    fn begin_book(&mut self, symbol: u32) {
        if self.builds.is_empty() || self.builds.places != self.orders.places() {
            self.begin_round();
        }
        let Builds { next, places, .. } = self.builds;
        let free = (0..=next).rev().find(|place| *place == places || self.orders.at(*place).is_none());
        // The way leads from `next` down to 0, and from the end down to what lies above the free place.
        let above = free.map_or(0, |free| free + 1).min(places);
        let until = self.builds.passed + (next + places - above) as u64;
        self.builds.waiting.push_back(Build { symbol, until });
        self.symbols.get_mut(symbol).is_building = true;
    }

    /// The first one waits, or the table has grown: the scan starts at the end, for all who wait.
    fn begin_round(&mut self) {
        let places = self.orders.places();
        self.builds.waiting.iter_mut().for_each(|build| build.until = places as u64);
        (self.builds.next, self.builds.passed, self.builds.places) = (places, 0, places);
    }

    /// Looks at the next `slice` places, or at fewer when there are many orders to be put into books.
    fn scan(&mut self, slice: usize) {
        let (from, to) = (self.builds.next, self.builds.next - slice);
        let mut spent = 0;
        let mut place = from;
        while place > to && spent < self.places_left {
            place -= 1;
            spent += 1;
            let Some(order) = self.orders.at(place) else { continue };
            let symbol = self.symbols.by_locate(order.locate);
            if order.in_book || symbol == NONE || !self.symbols.get(symbol).is_building {
                continue;
            }
            spent += PLACES_PER_BOOKED_ORDER;
            let book = &mut self.symbols.get_mut(symbol).book;
            if book.add(&mut self.levels, order.side, order.price, order.size).is_ok() {
                order.in_book = true;
            } else {
                self.counts.orders_refused += 1;
                self.moment.book_suspect = true;
            }
        }
        self.places_left = self.places_left.saturating_sub(spent);
        self.builds.passed += (from - place) as u64;
        self.builds.next = place;
    }

    /// The book of the first that waits is whole.
    fn end_book(&mut self) {
        let Some(Build { symbol, .. }) = self.builds.waiting.pop_front() else { return };
        let state = self.symbols.get_mut(symbol);
        (state.is_building, state.has_book) = (false, true);
        [Side::Bid, Side::Ask].into_iter().for_each(|side| state.note_best(&self.levels, side));
        self.held.take_up(state.job);
        self.books_kept += 1;
        self.counts.books_built += 1;
    }

    /// In a step without bounds: has other books built by the same scan.
    fn build_more(&mut self) {
        if self.places_left < UNBOUNDED {
            return;
        }
        let mut more = self.books_kept;
        for symbol in 0..self.symbols.count() {
            let state = self.symbols.get(symbol);
            if more > 0 && !state.has_book && !state.is_building {
                self.begin_book(symbol);
                more -= 1;
            }
        }
    }
}
