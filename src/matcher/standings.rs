//! Where symbols stand: told to the journal in slices, beside the data path.
//!
//! A message leaves no trace but the price that it brought, so nobody notes which symbols have changed. Control asks for slices of
//! the table instead, [`STANDINGS_PER_SLICE`] symbols at a time, and what was told last is remembered here, away from what a
//! message reads. A symbol that is being fired, and all of them while a change of session waits, are between two places of the
//! feed: they are told another time.

use super::held::Moment;
use super::shard::{Outputs, Shard};
use super::symbols::{NONE, SymbolState};
use crate::limits::STANDINGS_PER_SLICE;
use crate::model::{Outcome, Price, Signal};
use crate::sys::memory::reserved;

/// What was told of a symbol.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    last: Option<Price>,
    evaluated: [u64; 4],
}

/// What was told last of each symbol, by number, in this session of the feed.
pub struct Standings {
    told: Vec<Told>,
}

impl Standings {
    /// With room for so many symbols.
    pub fn new(symbols: usize) -> Standings {
        Standings { told: reserved(symbols) }
    }

    /// Another session: all is to be told again.
    pub fn begin_session(&mut self) {
        self.told.clear();
    }
}

impl SymbolState {
    /// A last price from before a gap is not told: what was told of it before says up to which message it was the last.
    fn standing(&self, epoch: u32) -> Told {
        let is_behind_a_gap = self.epoch != epoch || self.after_gap & 1 << Signal::Last as u8 != 0;
        let last = self.value(Signal::Last).filter(|_| !is_behind_a_gap).map(Price);
        Told { last, evaluated: self.evaluated }
    }
}

impl Shard {
    /// Tells the next slice: of each symbol from `cursor` on of which there is something to tell, and with `all` something new or
    /// not. Before the feed has named a session there is nothing new.
    pub(super) fn tell(&mut self, cursor: u64, all: bool, out: &mut impl Outputs) {
        let count = u64::from(self.symbols.count());
        let (start, moment) = (cursor.min(count), self.moment);
        if self.held.has_barrier() {
            return self.put_off_telling(cursor, out);
        }
        let is_named = self.session != [b' '; 10];
        let end = if is_named { count.min(start + STANDINGS_PER_SLICE as u64) } else { count };
        if is_named {
            (start..end).for_each(|number| self.tell_one(number as u32, all, moment, out));
        }
        self.answer(0, moment, Outcome::Told { cursor: (end < count).then_some(end) }, out);
    }

    /// Tells nothing now: it is to be asked again.
    pub fn put_off_telling(&mut self, cursor: u64, out: &mut impl Outputs) {
        self.answer(0, self.moment, Outcome::Told { cursor: Some(cursor) }, out);
    }

    fn tell_one(&mut self, number: u32, all: bool, moment: Moment, out: &mut impl Outputs) {
        let state = self.symbols.get(number);
        let (standing, symbol) = (state.standing(moment.epoch), state.name);
        if state.job != NONE || standing == Told::default() {
            return;
        }
        let told = &mut self.standings.told;
        if told.len() <= number as usize {
            told.resize(number as usize + 1, Told::default());
        }
        if all || told[number as usize] != standing {
            told[number as usize] = standing;
            let Told { last, evaluated } = standing;
            self.answer(0, moment, Outcome::Standing { symbol, last, evaluated }, out);
        }
    }
}

#[cfg(test)]
#[path = "standings_tests.rs"]
mod tests;
