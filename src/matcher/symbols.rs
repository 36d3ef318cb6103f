//! The symbols of a shard: their numbers, and what the shard knows of each.

use super::book::{Book, Levels};
use super::index::Index;
use super::ladder::{Ladder, Pool};
use crate::limits::LOCATES;
use crate::model::{Comparison, Price, RestoredSymbol, Side, Signal, Symbol};
use crate::sys::memory::reserved;

/// No symbol, no job.
pub const NONE: u32 = u32::MAX;
/// No price: no feed has it.
const NO_PRICE: i64 = i64::MIN;
/// Ladders of a symbol: for each signal the falling side, then the rising one; the order of firing.
pub const LADDERS: usize = 8;

/// Where a rule's entry stands: in which ladder of its symbol, under which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Of [`LADDERS`].
    pub ladder: usize,
    /// The entry is reached by a value that, turned to the ladder's side, is not greater.
    pub key: i64,
}

impl Rung {
    /// The rung on which a rule waits to fire.
    ///
    /// A falling key is the greatest value that fires, a rising one the complement of the smallest; so on both sides the
    /// greatest key is the nearest, and `at_or_*` is 1e-9 nearer than its strict twin.
    #[inline]
    pub fn fire(signal: Signal, comparison: Comparison, threshold: i64) -> Rung {
        let falling = 2 * signal as usize;
        match comparison {
            Comparison::Below => Rung { ladder: falling, key: threshold.saturating_sub(1) },
            Comparison::AtOrBelow => Rung { ladder: falling, key: threshold },
            Comparison::Above => Rung { ladder: falling + 1, key: !threshold.saturating_add(1) },
            Comparison::AtOrAbove => Rung { ladder: falling + 1, key: !threshold },
        }
    }

    /// The rung on which a met rule waits to clear: on the other side, `rearm` beyond the first value that does not fire.
    #[inline]
    pub fn rearm(self, rearm: i64) -> Rung {
        let key = if self.ladder & 1 == 0 {
            !self.key.saturating_add(1).saturating_add(rearm)
        } else {
            (!self.key).saturating_sub(1).saturating_sub(rearm)
        };
        Rung { ladder: self.ladder ^ 1, key }
    }

    /// True when a value of the signal reaches this rung.
    #[inline]
    pub fn is_reached(self, value: i64) -> bool {
        self.key >= turn(self.ladder, value)
    }
}

/// A value as the keys of this ladder are compared with it.
#[inline]
pub fn turn(ladder: usize, value: i64) -> i64 {
    if ladder & 1 == 0 { value } else { !value }
}

/// What a shard knows of a symbol. The first line is all that a print which fires nothing reads; a message about an order
/// reads it too, and the second line when a rule watches the book.
#[repr(C, align(64))]
pub struct SymbolState {
    /// The displayed book.
    pub book: Book,
    /// The gap count up to which `after_gap` was told.
    pub epoch: u32,
    /// Its place among the jobs while it is being fired, else [`NONE`].
    pub job: u32,
    /// Price of the last print, [`NO_PRICE`] before the first.
    last: i64,
    /// Bit per signal: not updated since the last unfilled gap.
    pub after_gap: u8,
    /// Some rule watches bid, ask or mid: then it has a book.
    pub watches_book: bool,
    /// The feed named it in this session.
    pub is_known: bool,
    /// Its book is kept. Without it, bid, ask and mid have no value and no rule watches them.
    pub has_book: bool,
    /// Its book is being built: it is held.
    pub is_building: bool,
    /// Per ladder the key that is reached next: `i64::MIN` none, `i64::MAX` at any value.
    pub triggers: [i64; LADDERS],
    /// Best price of each side, [`NO_PRICE`] where there is none: read without touching the book.
    best: [i64; 2],
    /// Its ladders.
    pub ladders: [Ladder; LADDERS],
    /// Accepted sets so far.
    pub version: u64,
    /// Per signal: rules of a later version have not seen a value yet.
    pub evaluated: [u64; 4],
    /// Its name.
    pub name: Symbol,
}

// The triggers of `last` are the end of the first line; all others, and what they are compared with, fill the second.
const _: () =
    assert!(std::mem::offset_of!(SymbolState, triggers) == 48 && std::mem::offset_of!(SymbolState, best) == 112);

impl SymbolState {
    fn new(name: Symbol) -> SymbolState {
        SymbolState {
            book: Book::default(),
            epoch: 0,
            job: NONE,
            last: NO_PRICE,
            after_gap: 0,
            watches_book: false,
            is_known: false,
            has_book: false,
            is_building: false,
            triggers: [i64::MIN; LADDERS],
            best: [NO_PRICE; 2],
            ladders: [Ladder::default(); LADDERS],
            version: 0,
            evaluated: [0; 4],
            name,
        }
    }

    /// Notes the price of a print.
    #[inline]
    pub fn note_last(&mut self, price: i64) {
        self.last = price;
    }

    /// True while a rule on `last` has not seen a value yet.
    fn awaits_last(&self) -> bool {
        self.triggers[0] == i64::MAX && self.triggers[1] == i64::MAX
    }

    /// Notes the best price of a side that was changed.
    #[inline]
    pub fn note_best(&mut self, levels: &Levels, side: Side) {
        self.best[side as usize] = self.book.best(levels, side).unwrap_or(NO_PRICE);
    }

    /// The value of a signal just now.
    #[inline]
    pub fn value(&self, signal: Signal) -> Option<i64> {
        let best = |side| Some(self.best[side as usize]).filter(|price| *price != NO_PRICE);
        match signal {
            Signal::Last => Some(self.last).filter(|price| *price != NO_PRICE),
            Signal::Bid => best(Side::Bid),
            Signal::Ask => best(Side::Ask),
            Signal::Mid => Some(midpoint(best(Side::Bid)?, best(Side::Ask)?)),
        }
    }

    /// True when it is not held and has missed no print in any of so many gaps.
    #[inline]
    pub fn is_calm(&self, epoch: u32) -> bool {
        self.job == NONE && self.epoch == epoch && self.after_gap & 1 << Signal::Last as u8 == 0
    }

    /// True when a value of this signal reaches some entry.
    #[inline]
    pub fn is_triggered(&self, signal: usize, value: i64) -> bool {
        self.triggers[2 * signal] >= value || self.triggers[2 * signal + 1] >= !value
    }

    /// Takes the triggers of a signal from its ladders again. While a rule has not seen a value yet, any value triggers.
    #[inline]
    pub fn refresh(&mut self, pool: &Pool<u32>, signal: usize, unseen: bool) {
        for ladder in [2 * signal, 2 * signal + 1] {
            self.triggers[ladder] = if unseen { i64::MAX } else { self.ladders[ladder].hot_key(pool) };
        }
        self.watches_book = self.triggers[2..].iter().any(|key| *key != i64::MIN);
    }
}

/// (bid + ask) / 2, exact: prices of a feed are far from the ends of i64, and even in 1e-9.
#[inline]
fn midpoint(bid: i64, ask: i64) -> i64 {
    ((i128::from(bid) + i128::from(ask)) / 2) as i64
}

/// All symbols of a shard, numbered from 0 in the order in which feed or rules first named them.
pub struct Symbols {
    states: Vec<SymbolState>,
    index: Index,
    by_locate: Box<[u32; LOCATES]>,
    count_max: usize,
    /// Of the symbols that were put back after a restart, by number.
    past: Vec<Past>,
}

/// How far an earlier run had come with a symbol.
#[derive(Clone, Copy)]
struct Past {
    session: [u8; 10],
    sequence: u64,
    /// And with another session.
    other: ([u8; 10], u64),
    /// How far, while the feed is in one of these sessions, else 0.
    settled: u64,
    /// The last price of that session that is known, and the message up to which it was the last.
    last: Option<(Price, u64)>,
}

impl Symbols {
    /// Rules may name `count_max` symbols; the feed may then still name its own.
    pub fn new(count_max: usize, fixed: bool) -> Symbols {
        let all = (count_max + LOCATES).min(super::rules::SYMBOLS_MAX);
        let count = if fixed { all } else { 0 };
        Symbols {
            states: reserved(count),
            index: Index::new(count, !fixed),
            by_locate: Box::new([NONE; LOCATES]),
            count_max: count_max.min(all),
            past: vec![],
        }
    }

    /// The symbol of a locate, or [`NONE`].
    #[inline]
    pub fn by_locate(&self, locate: u16) -> u32 {
        self.by_locate[usize::from(locate)]
    }

    /// The symbol of a locate, if there is one.
    #[inline]
    pub fn at_locate(&self, locate: u16) -> Option<&SymbolState> {
        self.states.get(self.by_locate(locate) as usize)
    }

    /// The same, to be changed.
    #[inline]
    pub fn at_locate_mut(&mut self, locate: u16) -> Option<&mut SymbolState> {
        let number = self.by_locate(locate);
        self.states.get_mut(number as usize)
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.states.len() as u32
    }

    /// The number of a name, if it has one.
    pub fn find(&self, name: Symbol) -> Option<u32> {
        self.index.find(name.hash(), |number| self.states[number as usize].name == name)
    }

    /// The number of a name that a rule bears. `None`: it is new and there is no room.
    pub fn intern(&mut self, name: Symbol) -> Option<u32> {
        self.find(name).or_else(|| (self.states.len() < self.count_max).then(|| self.push(name)))
    }

    /// Binds a locate to a name that the feed brings. False: there is no room for a new name.
    pub fn define(&mut self, locate: u16, name: Symbol) -> bool {
        let number = match self.find(name) {
            Some(number) => number,
            None if self.states.len() < super::rules::SYMBOLS_MAX.min(self.count_max + LOCATES) => self.push(name),
            None => return false,
        };
        self.by_locate[usize::from(locate)] = number;
        self.get_mut(number).is_known = true;
        true
    }

    fn push(&mut self, name: Symbol) -> u32 {
        let number = self.states.len() as u32;
        self.states.push(SymbolState::new(name));
        let states = &self.states;
        self.index.insert(name.hash(), number, |number| states[number as usize].name.hash());
        number
    }

    /// A symbol.
    #[inline]
    pub fn get(&self, number: u32) -> &SymbolState {
        &self.states[number as usize]
    }

    /// A symbol.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut SymbolState {
        &mut self.states[number as usize]
    }

    /// A new session that begins here with message `sequence`: locates, books and last prices are void. In the first one after a
    /// restart those that an earlier run saw in this very session are known, `after_gap` if messages were missed since; but not
    /// where a rule waits for its first value: no message has brought it one. Returns how many symbols have a book again, an
    /// empty one: those with rules that watch it.
    pub fn begin_session(&mut self, session: [u8; 10], sequence: u64) -> usize {
        self.by_locate.fill(NONE);
        for state in &mut self.states {
            state.last = NO_PRICE;
            state.book = Book::default();
            state.best = [NO_PRICE; 2];
            state.is_known = false;
            state.has_book = state.ladders[2..].iter().any(|ladder| !ladder.is_empty());
        }
        for (past, state) in self.past.iter_mut().zip(&mut self.states) {
            let seen = [(past.session, past.sequence), past.other];
            past.settled = seen.iter().find(|(of, _)| *of == session).map_or(0, |(_, sequence)| *sequence);
            let last = past.last.take().filter(|_| past.session == session && !state.awaits_last());
            if let Some((price, seen)) = last {
                state.note_last(price.0);
                state.after_gap |= u8::from(sequence > seen + 1) << Signal::Last as u8;
            }
        }
        self.states.iter().filter(|state| state.has_book).count()
    }

    /// An earlier run is known to have seen this symbol's messages up to this one of this session, and this last price.
    pub fn restore_past(&mut self, number: u32, past: &RestoredSymbol) {
        let RestoredSymbol { feed_session: session, feed_sequence: sequence, other, last, .. } = *past;
        let number = number as usize;
        if self.past.len() <= number {
            self.past.resize(number + 1, Past { session, sequence: 0, other, settled: 0, last: None });
        }
        self.past[number] = Past { session, sequence, other, settled: 0, last };
    }

    /// True when an earlier run has seen this message of the symbol, and what came of it: it fires nothing again.
    #[inline]
    pub fn is_settled(&self, number: u32, sequence: u64) -> bool {
        self.past.get(number as usize).is_some_and(|past| sequence < past.settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The conditions as the contract has them, in i128 so that nothing wraps.
    fn holds(comparison: Comparison, threshold: i64, value: i64) -> bool {
        match comparison {
            Comparison::Below => value < threshold,
            Comparison::Above => value > threshold,
            Comparison::AtOrBelow => value <= threshold,
            Comparison::AtOrAbove => value >= threshold,
        }
    }

    fn clears(comparison: Comparison, threshold: i64, rearm: i64, value: i64) -> bool {
        let (threshold, rearm, value) = (i128::from(threshold), i128::from(rearm), i128::from(value));
        match comparison {
            Comparison::Below => value >= threshold + rearm,
            Comparison::AtOrBelow => value > threshold + rearm,
            Comparison::Above => value <= threshold - rearm,
            Comparison::AtOrAbove => value < threshold - rearm,
        }
    }

    #[test]
    fn rungs_say_what_the_comparisons_say() {
        let thresholds = [0, 1, 2, 5, 1_000, i64::MAX - 1, i64::MAX];
        let values = [0, 1, 2, 3, 4, 5, 6, 999, 1_000, 1_001, 429_496_729_500_000];
        for comparison in Comparison::ALL {
            for (threshold, value) in thresholds.iter().flat_map(|t| values.map(|v| (*t, v))) {
                let rung = Rung::fire(Signal::Bid, comparison, threshold);
                assert_eq!(
                    rung.is_reached(value),
                    holds(comparison, threshold, value),
                    "{comparison:?} {threshold} {value}"
                );
                // Nothing is above the greatest price: such a rule is never met.
                let rearms: &[i64] = if (comparison, threshold) == (Comparison::Above, i64::MAX) {
                    &[]
                } else {
                    &[0, 1, 3, 1_000, i64::MAX]
                };
                for &rearm in rearms {
                    let reached = rung.rearm(rearm).is_reached(value);
                    let expected = clears(comparison, threshold, rearm, value);
                    assert_eq!(reached, expected, "{comparison:?} {threshold} {rearm} {value}");
                }
            }
        }
    }
}
