//! A symbol's displayed book: shares by price, both sides, best price at the hot end of a ladder.

use super::ladder::{Ladder, Pool, PoolFull};
use crate::model::Side;

/// Both sides of a book, in a pool that all books of a shard share.
#[derive(Clone, Copy, Default)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
}

/// The nodes of the books of a shard: shares at a price.
pub type Levels = Pool<u64>;

/// Prices so turned that the best one is the greatest. Its own inverse.
#[inline]
fn turn(side: Side, price: i64) -> i64 {
    match side {
        Side::Bid => price,
        Side::Ask => !price,
    }
}

impl Book {
    #[inline]
    fn side(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// The best price of a side.
    #[inline]
    pub fn best(&self, levels: &Levels, side: Side) -> Option<i64> {
        let ladder = match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        };
        ladder.hot(levels).map(|(key, _)| turn(side, key))
    }

    /// Has what a change of a side begins with fetched; with `tail`, when that is there, what it goes on with.
    #[inline]
    pub fn prefetch(&self, levels: &Levels, side: Side, tail: bool) {
        let ladder = match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        };
        if tail {
            ladder.prefetch_tail(levels);
        } else {
            ladder.prefetch_hot(levels);
        }
    }

    /// Adds shares at a price.
    /// # Errors
    /// [`PoolFull`] when the price is new and no level is left; nothing is done then.
    #[inline]
    pub fn add(&mut self, levels: &mut Levels, side: Side, price: i64, size: u32) -> Result<(), PoolFull> {
        let (ladder, key) = (self.side(side), turn(side, price));
        let spot = ladder.spot(levels, key);
        if let Some(shares) = spot.value(levels, key) {
            *shares += u64::from(size);
            return Ok(());
        }
        ladder.insert_at(levels, spot, key, u64::from(size))
    }

    /// Takes shares away; a price without shares is gone.
    #[inline]
    pub fn reduce(&mut self, levels: &mut Levels, side: Side, price: i64, size: u32) {
        let (ladder, key) = (self.side(side), turn(side, price));
        let spot = ladder.spot(levels, key);
        let Some(shares) = spot.value(levels, key) else { return };
        *shares = shares.saturating_sub(u64::from(size));
        if *shares == 0 {
            ladder.remove_at(levels, spot, key);
        }
    }

    /// Hands out all levels of a side, the worst price first.
    pub fn for_each(&self, levels: &Levels, side: Side, mut each: impl FnMut(i64, u64)) {
        let ladder = match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        };
        ladder.for_each(levels, |key, shares| each(turn(side, key), shares));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_price_is_the_highest_bid_and_the_lowest_ask() {
        let mut levels = Levels::new(100, 2, true);
        let mut book = Book::default();
        for price in [5, 9, 7] {
            book.add(&mut levels, Side::Bid, price, 10).unwrap();
            book.add(&mut levels, Side::Ask, price + 10, 10).unwrap();
        }
        book.add(&mut levels, Side::Bid, 9, 5).unwrap();
        assert_eq!((book.best(&levels, Side::Bid), book.best(&levels, Side::Ask)), (Some(9), Some(15)));
        book.reduce(&mut levels, Side::Bid, 9, 10);
        assert_eq!(book.best(&levels, Side::Bid), Some(9));
        book.reduce(&mut levels, Side::Bid, 9, 5);
        book.reduce(&mut levels, Side::Ask, 15, 10);
        assert_eq!((book.best(&levels, Side::Bid), book.best(&levels, Side::Ask)), (Some(7), Some(17)));
        let mut asks = vec![];
        book.for_each(&levels, Side::Ask, |price, shares| asks.push((price, shares)));
        assert_eq!(asks, [(19, 10), (17, 10)]);
    }
}
