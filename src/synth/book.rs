//! The live orders of one side of one symbol.

use super::random::Random;
use crate::model::Side;

/// A live order.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its reference.
    pub reference: u64,
    /// Its price, 1e-4.
    pub price: u32,
    /// What is left of it, never 0.
    pub shares: u32,
}

/// One side. The best price is kept, and looked for again only when its last order has gone: a side holds at most a few hundred orders, so that costs less than an ordered structure would on every message.
#[derive(Clone, Debug)]
pub struct Half {
    side: Side,
    orders: Vec<Order>,
    touch: Option<u32>,
    /// Orders at the touch; while it is not known, 0.
    at_touch: u32,
}

impl Half {
    /// No orders.
    pub const fn new(side: Side) -> Half {
        Half { side, orders: Vec::new(), touch: None, at_touch: 0 }
    }

    /// How many orders live.
    #[inline]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// The best price.
    #[inline]
    pub fn touch(&mut self) -> Option<u32> {
        if self.touch.is_none() && !self.orders.is_empty() {
            let prices = self.orders.iter().map(|order| order.price);
            self.touch = match self.side {
                Side::Bid => prices.max(),
                Side::Ask => prices.min(),
            };
            self.at_touch = self.orders.iter().map(|order| u32::from(Some(order.price) == self.touch)).sum();
        }
        self.touch
    }

    /// Where the oldest known order at the best price is.
    pub fn best(&mut self) -> Option<usize> {
        let touch = self.touch()?;
        self.orders.iter().position(|order| order.price == touch)
    }

    /// Where some order is: three times in four one of the latest four, since most orders live shortly.
    #[inline]
    pub fn pick(&self, random: &mut Random) -> Option<usize> {
        let last = self.orders.len().checked_sub(1)?;
        let back = if random.one_in(4) { random.below(last as u32 + 1) } else { random.below(4) };
        Some(last.saturating_sub(back as usize))
    }

    /// An order comes.
    #[inline]
    pub fn add(&mut self, order: Order) {
        let better = |touch: u32| match self.side {
            Side::Bid => order.price > touch,
            Side::Ask => order.price < touch,
        };
        if self.orders.is_empty() || self.touch.is_some_and(better) {
            (self.touch, self.at_touch) = (Some(order.price), 0);
        }
        self.at_touch += u32::from(self.touch == Some(order.price));
        self.orders.push(order);
    }

    /// The order at `index` as it is.
    #[inline]
    pub fn at(&self, index: usize) -> Order {
        self.orders[index]
    }

    /// Takes shares from the order at `index`, all of them ends it. Not more than it has.
    #[inline]
    pub fn take(&mut self, index: usize, shares: u32) {
        let order = &mut self.orders[index];
        debug_assert!(shares <= order.shares);
        order.shares -= shares;
        if order.shares == 0 {
            self.remove(index);
        }
    }

    /// The order at `index` goes.
    #[inline]
    pub fn remove(&mut self, index: usize) -> Order {
        let order = self.orders.swap_remove(index);
        if self.touch == Some(order.price) {
            self.at_touch -= 1;
            if self.at_touch == 0 {
                self.touch = None;
            }
        }
        order
    }
}
