//! A synthetic but realistic ITCH day: the full mix of messages of thousands of symbols, by seed.
//!
//! ```text
//!   agenda: spins, events, crosses, halts ...   due at its time --+
//!                                                                  +--> the earlier one --> message
//!   stamps --> activity: which stock --> its book: what happens --+
//! ```
//!
//! Pure and integers only: the same parameters give the same bytes on every machine. A message never names an unknown
//! order and never executes more than an order has; stamps never go back; no book is ever crossed by a new order.
//! Memory is bounded by the symbols: at most 512 live orders each, a quarter of a million in all for 8,000.
//!
//! Not here: orders that survive the night, the opening and closing auctions' own executions of displayed orders.

mod activity;
mod agenda;
mod book;
mod hours;
mod names;
mod numbers;
mod random;
mod rules;
mod stock;
#[cfg(test)]
mod tests;
mod turn;
mod wire;

use crate::feed::itch::encode::{self, Head};
use crate::limits::ITCH_SIZE_MAX;
use crate::model::{Nanos, Symbol};

use activity::Activity;
use agenda::{Item, SPIN, agenda};
use hours::Stamps;
use numbers::Numbers;
use stock::Stock;

pub use random::Random;
pub use rules::{RULES_HEADER, RuleRows};

/// The least messages of a day: all 23 types have their place.
pub const MESSAGES_MIN: u64 = 1_000;

/// What day to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayParams {
    /// Everything random follows from it.
    pub seed: u64,
    /// Messages in all; fewer than [`MESSAGES_MIN`] count as that.
    pub messages: u64,
    /// Symbols; no more than leaves half of the messages to orders, at least one.
    pub symbols: u16,
}

impl Default for DayParams {
    fn default() -> DayParams {
        DayParams { seed: 1, messages: 1_000_000, symbols: 8_000 }
    }
}

/// A day on its way, message by message.
#[derive(Clone, Debug)]
pub struct Day {
    random: Random,
    stocks: Vec<Stock>,
    activity: Activity,
    agenda: std::iter::Peekable<std::vec::IntoIter<(Nanos, Item)>>,
    stamps: Stamps,
    /// The stamp of the next turn, drawn ahead.
    next_turn: Option<Nanos>,
    numbers: Numbers,
    /// The stock of the latest turn: activity comes in bursts.
    latest: usize,
}

impl Day {
    /// The day of these parameters.
    pub fn new(params: DayParams) -> Day {
        let messages = params.messages.max(MESSAGES_MIN);
        let symbols = u64::from(params.symbols).clamp(1, messages / (2 * SPIN)) as u16;
        let mut random = Random::new(params.seed);
        let activity = Activity::new(u32::from(symbols));
        let stocks = stocks(symbols, messages, &activity, &mut random);
        let agenda = agenda(u32::from(symbols), messages, &mut random);
        let mut stamps = Stamps::new(messages - agenda.len() as u64);
        let next_turn = stamps.next(&mut random);
        let agenda = agenda.into_iter().peekable();
        Day { random, stocks, activity, agenda, stamps, next_turn, numbers: Numbers::new(), latest: 0 }
    }

    /// Writes the next message and hands it back; `None` after the last.
    #[inline]
    pub fn next_into<'a>(&mut self, buffer: &'a mut [u8; ITCH_SIZE_MAX]) -> Option<&'a [u8]> {
        let size = match (self.agenda.peek(), self.next_turn) {
            (Some(&(due, item)), turn) if turn.is_none_or(|ts| due <= ts) => {
                self.agenda.next();
                self.keep(due, item, buffer)
            }
            (_, Some(ts)) => {
                self.next_turn = self.stamps.next(&mut self.random);
                self.turn(ts, buffer)
            }
            _ => return None,
        };
        Some(&buffer[..size])
    }

    /// The symbols, busiest first, and what they cost just now, 1e-4.
    pub fn prices(&self) -> impl ExactSizeIterator<Item = (Symbol, u32)> {
        self.stocks.iter().map(|stock| (stock.symbol, stock.price()))
    }

    fn head(&mut self, locate: u16, ts: Nanos) -> Head {
        Head { locate, tracking: self.random.below(4) as u16 * 2, ts }
    }

    /// Carries out an item of the agenda.
    fn keep(&mut self, ts: Nanos, item: Item, out: &mut wire::Buffer) -> usize {
        match item {
            Item::System(code) => put(out, &encode::system(self.head(0, ts), code)),
            Item::Levels => wire::decline_levels(out, self.head(0, ts), 450_000_000_000),
            Item::Breach(level) => wire::breach(out, self.head(0, ts), level),
            Item::Broken => self.broken(ts, out),
            Item::Cross(rank, kind) => self.cross(rank as usize, kind, ts, out),
            Item::Imbalance(rank, cross) => self.imbalance(rank as usize, cross, ts, out),
            Item::Directory(rank)
            | Item::Status(rank, ..)
            | Item::RegSho(rank, _)
            | Item::Participant(rank)
            | Item::Ipo(rank)
            | Item::Collar(rank)
            | Item::Operational(rank, _)
            | Item::Retail(rank, _)
            | Item::Listing(rank) => self.about_stock(rank as usize, item, ts, out),
        }
    }

    /// What is said of one stock and needs nothing but its name and price.
    fn about_stock(&mut self, rank: usize, item: Item, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let head = self.head(self.stocks[rank].locate, ts);
        let stock = &mut self.stocks[rank];
        let (symbol, price) = (stock.symbol, stock.price());
        match item {
            Item::Status(_, state, reason) => {
                stock.halted = state != b'T';
                if state == b'P' {
                    stock.shock(&mut self.random);
                }
                put(out, &encode::status(head, symbol, state, reason))
            }
            Item::RegSho(_, action) => wire::reg_sho(out, head, symbol, action),
            Item::Participant(_) => wire::participant(out, head, symbol, *turn::mpid(&mut self.random)),
            Item::Ipo(_) => {
                let release_s = (hours::MARKET_START + 60 * hours::MINUTE) / hours::SECOND;
                wire::ipo(out, Head { locate: 0, ..head }, symbol, release_s as u32, price)
            }
            Item::Collar(_) => wire::collar(out, head, symbol, price),
            Item::Operational(_, action) => wire::operational(out, head, symbol, action),
            Item::Retail(_, interest) => wire::retail(out, head, symbol, interest),
            Item::Listing(_) => wire::listing(out, head, symbol, price),
            _ => put(out, &encode::directory(head, symbol)),
        }
    }

    /// Everyone has its cross; where few trade, nothing was crossed, and then there is no price either.
    fn cross(&mut self, rank: usize, kind: u8, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let match_number = self.numbers.next_match(&mut self.random);
        let (head, stock) = (self.head(self.stocks[rank].locate, ts), &self.stocks[rank]);
        let empty = kind != b'H' && self.random.below(self.stocks.len() as u32) < rank as u32;
        let (shares, price) = if empty { (0, 0) } else { (100 + self.random.below(1 << 20), stock.price()) };
        put(out, &encode::cross(head, u64::from(shares), stock.symbol, price, match_number, kind))
    }

    fn imbalance(&mut self, rank: usize, cross: u8, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let (head, stock) = (self.head(self.stocks[rank].locate, ts), &self.stocks[rank]);
        let direction = b"BSNO"[self.random.below(4) as usize];
        let left = if matches!(direction, b'B' | b'S') { 1 + self.random.below(100_000) } else { 0 };
        let paired = u64::from(self.random.below(1 << 20));
        let it = wire::Imbalance { paired, left: u64::from(left), direction, price4: stock.price(), cross };
        wire::imbalance(out, head, stock.symbol, it)
    }

    /// Breaks a recent match; before there is any, an ordinary turn takes the place.
    fn broken(&mut self, ts: Nanos, out: &mut wire::Buffer) -> usize {
        match self.numbers.take_match(&mut self.random) {
            Some((locate, number)) => put(out, &encode::broken(self.head(locate, ts), number)),
            None => self.turn(ts, out),
        }
    }
}

/// The stocks by rank, with locates in the order of their names.
fn stocks(symbols: u16, messages: u64, activity: &Activity, random: &mut Random) -> Vec<Stock> {
    let mut stocks: Vec<Stock> = (0..)
        .zip(names::names(symbols))
        .map(|(rank, symbol)| Stock::new(symbol, activity.share(rank, messages), random))
        .collect();
    let mut by_name: Vec<usize> = (0..stocks.len()).collect();
    by_name.sort_by_key(|&rank| stocks[rank].symbol);
    for (locate, rank) in (1..).zip(by_name) {
        stocks[rank].locate = locate;
    }
    stocks
}

/// Copies a message to the front of the buffer and returns its size.
#[inline]
fn put<const SIZE: usize>(out: &mut wire::Buffer, message: &[u8; SIZE]) -> usize {
    const { assert!(SIZE <= ITCH_SIZE_MAX) };
    out[..SIZE].copy_from_slice(message);
    SIZE
}
