//! A symbol's displayed book: shares by price, both sides, best price at the hot end of a ladder.

use super::ladder::{Ladder, Place, Pool, PoolFull};
use crate::model::Side;

/// Both sides of a book, in a pool that all books of a shard share.
#[derive(Clone, Copy)]
pub struct Book {
    /// The ladder's greatest key of each side, [`NO_KEY`] without levels: the best price is read without touching it.
    best: [i64; 2],
    sides: [Ladder; 2],
}

/// The nodes of the books of a shard: shares at a price.
pub type Levels = Pool<u64>;

/// The key of no level: no price of a feed has it.
const NO_KEY: i64 = i64::MIN;

impl Default for Book {
    fn default() -> Book {
        Book { best: [NO_KEY; 2], sides: [Ladder::default(); 2] }
    }
}

/// Prices so turned that the best one is the greatest. Its own inverse.
#[inline]
fn turn(side: Side, price: i64) -> i64 {
    match side {
        Side::Bid => price,
        Side::Ask => !price,
    }
}

impl Book {
    /// The ladder of a side, to be loaded ahead.
    #[inline]
    pub fn ladder(&self, side: Side) -> &Ladder {
        &self.sides[side as usize]
    }

    /// The best price of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<i64> {
        let key = self.best[side as usize];
        (key != NO_KEY).then(|| turn(side, key))
    }

    /// Adds shares at a price.
    /// # Errors
    /// [`PoolFull`] when the price is new and no level is left; nothing is done then.
    #[inline]
    pub fn add(&mut self, levels: &mut Levels, side: Side, price: i64, size: u32) -> Result<(), PoolFull> {
        let key = turn(side, price);
        let ladder = &mut self.sides[side as usize];
        if let Some(shares) = ladder.get_mut(levels, key) {
            *shares += u64::from(size);
            return Ok(());
        }
        ladder.insert(levels, Place { key, version: 0 }, u64::from(size), |_| 0)?;
        let best = &mut self.best[side as usize];
        *best = key.max(*best);
        Ok(())
    }

    /// Takes shares away; a price without shares is gone.
    #[inline]
    pub fn reduce(&mut self, levels: &mut Levels, side: Side, price: i64, size: u32) {
        let key = turn(side, price);
        let ladder = &mut self.sides[side as usize];
        let Some(shares) = ladder.get_mut(levels, key) else { return };
        *shares = shares.saturating_sub(u64::from(size));
        if *shares == 0 {
            ladder.remove(levels, Place { key, version: 0 }, |_| 0);
            self.best[side as usize] = ladder.hot_key(levels);
        }
    }

    /// Hands out all levels of a side, the worst price first.
    pub fn for_each(&self, levels: &Levels, side: Side, mut each: impl FnMut(i64, u64)) {
        self.sides[side as usize].for_each(levels, |key, shares| each(turn(side, key), shares));
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
        assert_eq!((book.best(Side::Bid), book.best(Side::Ask)), (Some(9), Some(15)));
        book.reduce(&mut levels, Side::Bid, 9, 10);
        assert_eq!(book.best(Side::Bid), Some(9));
        book.reduce(&mut levels, Side::Bid, 9, 5);
        book.reduce(&mut levels, Side::Ask, 15, 10);
        assert_eq!((book.best(Side::Bid), book.best(Side::Ask)), (Some(7), Some(17)));
        let mut asks = vec![];
        book.for_each(&levels, Side::Ask, |price, shares| asks.push((price, shares)));
        assert_eq!(asks, [(19, 10), (17, 10)]);
    }
}
