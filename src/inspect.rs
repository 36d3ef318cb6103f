//! What is in a recorded feed: its messages, its prints, and a book at any point of it.
//!
//! Offline, and deliberately not the engine's code: hash maps of orders, added up when a book is asked for. It is the
//! second opinion on what the matcher makes of the same feed, and follows the same rules: a locate's symbol is its first
//! name, a message that names another is skipped, executions of unknown orders have no price.

mod orders;
mod prints;

use std::collections::{BTreeMap, HashMap};

pub use self::orders::{Level, Orders};
pub use self::prints::{Print, Prints};
use crate::feed::itch::{self, ItchError};
use crate::model::{Action, MarketEvent, Nanos, Price, Symbol, event_flag};

/// Everything that was found up to some message of a feed.
#[derive(Default)]
pub struct Inspection {
    only: Option<Symbol>,
    /// All messages, those that are no ITCH too.
    pub messages: u64,
    /// Well-formed messages by their type's byte.
    pub types: BTreeMap<u8, u64>,
    /// Messages whose length is not their type's.
    pub malformed: u64,
    /// Messages of a type that ITCH 5.0 does not have.
    pub unknown_types: u64,
    /// Messages that name another symbol than their locate has; skipped.
    pub symbol_conflicts: u64,
    /// Messages about orders that are not there. Of the one symbol, where there is one.
    pub unknown_orders: u64,
    /// The smallest and the largest stamp, ns since midnight.
    pub time: Option<(Nanos, Nanos)>,
    /// Messages stamped before the one before them.
    pub backward_stamps: u64,
    /// Of the one symbol, where there is one.
    pub prints: Prints,
    /// Of the one symbol, where there is one.
    pub orders: Orders,
    /// Messages by symbol.
    pub symbols: HashMap<Symbol, u64>,
    names: HashMap<u16, Symbol>,
    ts_previous: Nanos,
}

impl Inspection {
    /// Before the first message. With a symbol, only its prints and orders are kept.
    pub fn new(only: Option<Symbol>) -> Inspection {
        Inspection { only, ..Inspection::default() }
    }

    /// Takes the next message of the feed.
    pub fn take(&mut self, sequence: u64, message: &[u8]) {
        self.messages += 1;
        let (event, name) = match itch::decode(message) {
            Ok(decoded) => decoded,
            Err(ItchError::WrongLength) => return self.malformed += 1,
            Err(ItchError::UnknownType) => return self.unknown_types += 1,
        };
        *self.types.entry(message[0]).or_default() += 1;
        self.stamp(event.ts_event);
        let symbol = match (self.names.get(&event.locate), name) {
            (Some(&bound), Some(name)) if bound != name && event.action != Action::Clock => {
                return self.symbol_conflicts += 1;
            }
            (Some(&bound), _) => Some(bound),
            (None, name) => name,
        };
        let Some(symbol) = symbol else { return self.unnamed(event.action) };
        self.names.insert(event.locate, symbol);
        *self.symbols.entry(symbol).or_default() += 1;
        if self.only.is_none_or(|only| only == symbol) {
            self.apply(MarketEvent { sequence, ..event }, symbol);
        }
    }

    fn stamp(&mut self, ts: Nanos) {
        self.time = Some(self.time.map_or((ts, ts), |(first, last)| (first.min(ts), last.max(ts))));
        self.backward_stamps += u64::from(ts < self.ts_previous);
        self.ts_previous = ts;
    }

    /// A message under a locate without a name: what it says of an order, it says of one that never came.
    fn unnamed(&mut self, action: Action) {
        let about_order = matches!(
            action,
            Action::Execute | Action::ExecuteAtPrice | Action::Cancel | Action::Delete | Action::Replace
        );
        self.unknown_orders += u64::from(about_order && self.only.is_none());
    }

    fn apply(&mut self, event: MarketEvent, symbol: Symbol) {
        let key = (event.locate, event.order_ref);
        let order_price = match event.action {
            Action::Add => {
                self.orders.add(key, symbol, event.side, event.price, event.size);
                return;
            }
            Action::Trade => return self.prints.take(&event, event.price),
            Action::Cross if event.size > 0 => return self.prints.take(&event, event.price),
            Action::Execute | Action::ExecuteAtPrice | Action::Cancel => self.orders.reduce(key, event.size),
            Action::Delete => self.orders.remove(key),
            Action::Replace => self.orders.replace(key, event.second_ref, event.price, event.size),
            _ => return,
        };
        match (order_price, event.action) {
            (None, _) => self.unknown_orders += 1,
            (Some(price), Action::Execute) => self.prints.take(&event, price),
            (Some(_), Action::ExecuteAtPrice) if event.flags & event_flag::PRINTABLE != 0 => {
                self.prints.take(&event, event.price);
            }
            _ => {}
        }
    }

    /// The price levels of a symbol: bids rising, then asks rising.
    pub fn book(&self, symbol: Symbol) -> Vec<Level> {
        self.orders.book(symbol)
    }

    /// Volume-weighted average price of the prints, in currency units.
    pub fn vwap(&self) -> Option<f64> {
        let shares = self.prints.shares;
        (shares > 0).then(|| self.prints.notional as f64 / shares as f64 / Price::ONE as f64)
    }
}

#[cfg(test)]
mod tests;
