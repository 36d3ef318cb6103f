//! Displayed orders in a hash map, and books added up from all of them.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Price, Side, Symbol};

/// How a feed names an order: locate and reference.
type Key = (u16, u64);

struct Order {
    symbol: Symbol,
    side: Side,
    price: i64,
    shares: u32,
}

/// The orders that are in a book.
#[derive(Default)]
pub struct Orders(HashMap<Key, Order>);

/// A price level of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Of the orders in it.
    pub side: Side,
    /// Of the orders in it.
    pub price: Price,
    /// Of all orders in it.
    pub shares: u64,
}

impl Orders {
    /// How many orders live.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A new order takes the place of one with its key; one of no shares is in no book.
    pub(super) fn add(&mut self, key: Key, symbol: Symbol, side: Side, price: i64, shares: u32) {
        self.0.remove(&key);
        if shares > 0 {
            self.0.insert(key, Order { symbol, side, price, shares });
        }
    }

    /// Takes shares away, and the order with the last of them. The order's price; `None`: it is not there.
    pub(super) fn reduce(&mut self, key: Key, shares: u32) -> Option<i64> {
        let order = self.0.get_mut(&key)?;
        let price = order.price;
        order.shares = order.shares.saturating_sub(shares);
        if order.shares == 0 {
            self.0.remove(&key);
        }
        Some(price)
    }

    /// Ends an order. Its price; `None`: it is not there.
    pub(super) fn remove(&mut self, key: Key) -> Option<i64> {
        self.0.remove(&key).map(|order| order.price)
    }

    /// Goes on with an order under another reference. Its old price; `None`: it is not there.
    pub(super) fn replace(&mut self, key: Key, new_ref: u64, price: i64, shares: u32) -> Option<i64> {
        let old = self.0.remove(&key)?;
        self.add((key.0, new_ref), old.symbol, old.side, price, shares);
        Some(old.price)
    }

    pub(super) fn book(&self, symbol: Symbol) -> Vec<Level> {
        let mut levels = BTreeMap::<(bool, i64), u64>::new();
        for order in self.0.values().filter(|order| order.symbol == symbol) {
            *levels.entry((order.side == Side::Ask, order.price)).or_default() += u64::from(order.shares);
        }
        let side = |is_ask| if is_ask { Side::Ask } else { Side::Bid };
        levels.iter().map(|(&(ask, price), &shares)| Level { side: side(ask), price: Price(price), shares }).collect()
    }
}
