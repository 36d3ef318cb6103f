//! Symbols, orders and prices: section "Signals from ITCH".

use std::collections::BTreeMap;

use super::itch::Message;
use super::rules::Signal;

/// A symbol as it stands in messages, padded.
pub type Symbol = [u8; 8];

/// A displayed order; it lives only while it has shares.
#[derive(Debug, Clone)]
struct Order {
    symbol: Symbol,
    buy: bool,
    shares: u64,
    price: i128,
}

/// What a message did.
#[derive(Debug, Default)]
pub struct Effect {
    /// The symbol that it is about.
    pub symbol: Option<Symbol>,
    /// Price (1e-9) and match number of the print that it is.
    pub print: Option<(i128, u64)>,
    /// Its symbol's book is to be looked at.
    pub book: bool,
    pub unknown_order: bool,
    pub symbol_conflict: bool,
}

/// The state of all symbols.
#[derive(Debug, Default)]
pub struct Market {
    symbols: BTreeMap<u16, Symbol>,
    /// "Orders are known by (locate, reference)."
    orders: BTreeMap<(u16, u64), Order>,
    last: BTreeMap<Symbol, i128>,
}

impl Market {
    /// The signal's value at this moment. "a `bid` whose side is empty just then is unknown; `last` is known from
    /// the first print on"
    pub fn value(&self, symbol: &Symbol, signal: Signal) -> Option<i128> {
        // "Two locates of one symbol share its signals and its book."
        let side = |buy| self.orders.values().filter(move |o| o.symbol == *symbol && o.buy == buy).map(|o| o.price);
        match signal {
            Signal::Last => self.last.get(symbol).copied(),
            Signal::Bid => side(true).max(),
            Signal::Ask => side(false).min(),
            // "`mid` = (bid + ask) / 2 where both are there"; prices are multiples of 1e-4, so this is exact.
            Signal::Mid => Some((side(true).max()? + side(false).min()?) / 2),
        }
    }

    /// Updates books and last prices.
    pub fn apply(&mut self, m: &Message<'_>) -> Effect {
        match m.kind() {
            b'R' => {
                self.bind(m, 11);
                Effect::default()
            }
            b'A' | b'F' => self.add(m),
            b'E' | b'C' | b'X' | b'D' | b'U' => self.change(m),
            b'P' => self.trade(m, 24, Some((m.price(32), m.int(36, 8)))),
            // "Q with shares > 0"
            b'Q' => self.trade(m, 19, (m.int(11, 8) > 0).then(|| (m.price(27), m.int(31, 8)))),
            _ => Effect::default(),
        }
    }

    /// "A locate's symbol is the text of its first well-formed R, A, F, P or Q": `None` when this message names
    /// another one.
    fn bind(&mut self, m: &Message<'_>, offset: usize) -> Option<Symbol> {
        let named = m.symbol(offset);
        let bound = *self.symbols.entry(m.locate()).or_insert(named);
        (bound == named).then_some(bound)
    }

    fn add(&mut self, m: &Message<'_>) -> Effect {
        let Some(symbol) = self.bind(m, 24) else { return conflict() };
        // "A side other than `B` is a sell."
        let order = Order { symbol, buy: m.byte(19) == b'B', shares: m.int(20, 4), price: m.price(32) };
        self.place(m.locate(), m.int(11, 8), order);
        Effect { symbol: Some(symbol), book: true, ..Effect::default() }
    }

    /// "an add, or the new reference of a replace, on a reference that lives puts the new order in the place of the
    /// old one. An order of zero shares is not in the book."
    fn place(&mut self, locate: u16, reference: u64, order: Order) {
        self.orders.remove(&(locate, reference));
        if order.shares > 0 {
            self.orders.insert((locate, reference), order);
        }
    }

    fn trade(&mut self, m: &Message<'_>, symbol_offset: usize, print: Option<(i128, u64)>) -> Effect {
        let Some(symbol) = self.bind(m, symbol_offset) else { return conflict() };
        if let Some((price, _)) = print {
            self.last.insert(symbol, price);
        }
        Effect { symbol: Some(symbol), print, ..Effect::default() }
    }

    fn change(&mut self, m: &Message<'_>) -> Effect {
        let at = (m.locate(), m.int(11, 8));
        // "E, C, X, D, U of an order that is not there [...]: no effect, not even C's own price"
        let Some(order) = self.orders.get(&at).cloned() else {
            return Effect { unknown_order: true, ..Effect::default() };
        };
        let mut print = None;
        match m.kind() {
            b'E' => {
                // "E at the resting order's price"
                print = Some((order.price, m.int(23, 8)));
                self.reduce(at, m.int(19, 4));
            }
            b'C' => {
                // "C when printable = `Y` at its own price"
                if m.byte(31) == b'Y' {
                    print = Some((m.price(32), m.int(23, 8)));
                }
                self.reduce(at, m.int(19, 4));
            }
            b'X' => self.reduce(at, m.int(19, 4)),
            b'D' => {
                self.orders.remove(&at);
            }
            _ => {
                self.orders.remove(&at);
                let new = Order { shares: m.int(27, 4), price: m.price(31), ..order.clone() };
                self.place(m.locate(), m.int(19, 8), new);
            }
        }
        if let Some((price, _)) = print {
            self.last.insert(order.symbol, price);
        }
        Effect { symbol: Some(order.symbol), print, book: true, ..Effect::default() }
    }

    /// "An order ends at zero shares, never below: an execution beyond its shares prints and ends it."
    fn reduce(&mut self, at: (u16, u64), shares: u64) {
        let order = self.orders.get_mut(&at).expect("looked up by the caller");
        order.shares = order.shares.saturating_sub(shares);
        if order.shares == 0 {
            self.orders.remove(&at);
        }
    }
}

/// "an A, F, P or Q that names another under that locate is skipped and counted"
fn conflict() -> Effect {
    Effect { symbol_conflict: true, ..Effect::default() }
}
