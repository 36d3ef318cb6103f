//! Living orders: (locate, reference) to price, size and side.
//!
//! Open addressing with linear probing, at most 3/4 full; a removed entry's followers move up, so there are no
//! tombstones and a table that lived a day is as quick as a new one. 24 bytes a place.
//!
//! ```text
//!   places   0 ................................ homes - 1 | BEYOND more, the last always free
//!            entries move down only <----                   a search never comes back to 0
//! ```
//!
//! A search does not wrap around: behind the last home lie places enough for the longest run there ever is. So an entry
//! only ever moves to a lower place, and who looks at all places from the last down to the first (`books`) misses none,
//! whatever is put and removed meanwhile; one that it meets twice bears a mark ([`Order::in_book`]).
//!
//! Tried and dropped, each alternately with this, ns a message decoded and tracked, a generated day of 10 million messages and
//! 8,000 symbols, whose look-ups were fetched ahead (28 to 31): places of 32 bytes (28 to 31, and 36 to 49 against 42 to 61 when nothing
//! is fetched ahead); 16 bytes, for which price and reference would have to fit 32 and 46 bits (20 to 28); eight neighbouring
//! references to neighbouring places (32 to 39); and pages by reference, each freed with its last order (47 to 52, 133 MiB where the
//! table takes 24, and a look-up has the directory's line to wait for too). What is left is no miss: with
//! 50 symbols, all in cache, it is 23, of which the decoding is 8.
//!
//! Live the capacity is fixed (`orders_live_max`): one order more is refused and counted, and prices that come from
//! orders are flagged. Offline the table grows.

use super::hash::Hasher;
use crate::model::Side;
use crate::sys::memory::{prefetch, reserved};

/// A living order. `size` is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its price, 1e-9.
    pub price: i64,
    /// Shares that are left.
    pub size: u32,
    /// The feed's number of its symbol, which is half of its key.
    pub locate: u16,
    /// Of the book.
    pub side: Side,
    /// Its shares are counted in its symbol's book.
    pub in_book: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    reference: u64,
    order: Order,
}

const _: () = assert!(size_of::<Entry>() == 24);

impl Entry {
    #[inline]
    fn is_of(&self, locate: u16, reference: u64) -> bool {
        self.reference == reference && self.order.locate == locate
    }
}

/// A free place: its size is 0, which no living order's is.
const FREE: Entry =
    Entry { reference: 0, order: Order { price: 0, size: 0, locate: 0, side: Side::Bid, in_book: false } };

/// Places behind the last home. Runs of a table 3/4 full shorten by a factor e every 30 places or so: one that reaches so
/// far is not to be expected in the life of any table, and an order that would make it so is refused like one too many.
const BEYOND: usize = 1_024;

/// The table is as full as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrdersFull;

/// What [`Orders::put`] has done: the order that lived under the reference before, and the new one where it lies.
pub type Put<'o> = (Option<Order>, &'o mut Order);

/// The order table of a shard.
pub struct Orders {
    entries: Vec<Entry>,
    /// Homes - 1.
    mask: usize,
    count: usize,
    count_max: usize,
    grows: bool,
    hasher: Hasher,
}

impl Orders {
    /// A table for `count_max` orders; with `grows` it takes more and enlarges itself.
    pub fn new(count_max: usize, grows: bool) -> Orders {
        let homes = (count_max.max(8) * 4 / 3 + 1).next_power_of_two();
        Orders {
            entries: free_places(homes),
            mask: homes - 1,
            count: 0,
            count_max: if grows { homes / 4 * 3 } else { count_max },
            grows,
            hasher: Hasher::random(),
        }
    }

    /// Orders alive.
    pub fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn home(&self, locate: u16, reference: u64) -> usize {
        self.hasher.quick(reference, u64::from(locate)) as usize & self.mask
    }

    /// The place of an order, or the free one where it would be.
    #[inline]
    fn find(&self, locate: u16, reference: u64) -> usize {
        let mut at = self.home(locate, reference);
        loop {
            let entry = &self.entries[at];
            if entry.order.size == 0 || entry.is_of(locate, reference) {
                return at;
            }
            at += 1;
        }
    }

    /// How many places there are. It changes only when the table grows; all entries may have moved anywhere then.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// The order at a place.
    #[inline]
    pub fn at(&mut self, place: usize) -> Option<&mut Order> {
        Some(&mut self.entries[place].order).filter(|order| order.size > 0)
    }

    /// A living order.
    #[inline]
    pub fn get(&self, locate: u16, reference: u64) -> Option<Order> {
        let order = self.entries[self.find(locate, reference)].order;
        (order.size > 0).then_some(order)
    }

    /// Has the place where an order's search begins fetched.
    #[inline]
    pub fn prefetch(&self, locate: u16, reference: u64) {
        prefetch(&self.entries[self.home(locate, reference)]);
    }

    /// The side of an order, if it lies where its search begins: what can be told without a second miss.
    #[inline]
    pub fn peek_side(&self, locate: u16, reference: u64) -> Option<Side> {
        let entry = &self.entries[self.home(locate, reference)];
        entry.is_of(locate, reference).then_some(entry.order.side)
    }

    /// Puts an order, whose size is not 0, in the place of the one that lives under its locate and reference, if any.
    /// # Errors
    /// [`OrdersFull`], and nothing done.
    #[inline]
    pub fn put(&mut self, reference: u64, order: Order) -> Result<Put<'_>, OrdersFull> {
        debug_assert!(order.size > 0);
        let mut at = self.find(order.locate, reference);
        let old = self.entries[at].order;
        if old.size == 0 {
            while self.count >= self.count_max || at + 1 == self.entries.len() {
                if !self.grows {
                    return Err(OrdersFull);
                }
                self.grow();
                at = self.find(order.locate, reference);
            }
            self.count += 1;
        }
        let entry = &mut self.entries[at];
        *entry = Entry { reference, order };
        Ok(((old.size > 0).then_some(old), &mut entry.order))
    }

    /// Takes `size` shares off a living order; one that has none left is gone. Returns the order as it was.
    #[inline]
    pub fn reduce(&mut self, locate: u16, reference: u64, size: u32) -> Option<Order> {
        let at = self.find(locate, reference);
        let order = self.entries[at].order;
        if order.size == 0 {
            return None;
        }
        if size >= order.size {
            self.free(at);
        } else {
            self.entries[at].order.size -= size;
        }
        Some(order)
    }

    /// Takes an order away. Returns it.
    #[inline]
    pub fn remove(&mut self, locate: u16, reference: u64) -> Option<Order> {
        self.reduce(locate, reference, u32::MAX)
    }

    /// Forgets all orders.
    pub fn clear(&mut self) {
        self.entries.fill(FREE);
        self.count = 0;
    }

    /// Frees a place and moves up every follower that a search would no longer find behind the gap.
    #[inline]
    fn free(&mut self, mut gap: usize) {
        let mut at = gap;
        loop {
            at += 1;
            let entry = self.entries[at];
            if entry.order.size == 0 {
                break;
            }
            // It may move if its home is not between the gap and its place.
            if self.home(entry.order.locate, entry.reference) <= gap {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap] = FREE;
        self.count -= 1;
    }

    fn grow(&mut self) {
        let homes = (self.mask + 1) * 2;
        let old = std::mem::replace(&mut self.entries, free_places(homes));
        self.mask = homes - 1;
        self.count_max = homes / 4 * 3;
        // At most 3/8 full now: there is no run that reaches the last place.
        for entry in old.into_iter().filter(|entry| entry.order.size > 0) {
            let at = self.find(entry.order.locate, entry.reference);
            self.entries[at] = entry;
        }
    }
}

fn free_places(homes: usize) -> Vec<Entry> {
    let count = homes + BEYOND;
    let mut entries = reserved(count);
    entries.resize(count, FREE);
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((0..3u16, 0..40u64, 0..4u32, any::<bool>()), 0..600)) {
            let mut orders = Orders::new(8, true);
            let mut model: HashMap<(u16, u64), Order> = HashMap::new();
            for (locate, reference, size, add) in steps {
                let key = (locate, reference);
                if add && size > 0 {
                    let side = Side::Ask;
                    let order = Order { price: reference as i64, size: size * 2, locate, side, in_book: size == 1 };
                    prop_assert_eq!(orders.put(reference, order).map(|put| put.0), Ok(model.insert(key, order)));
                } else {
                    let before = model.get(&key).copied();
                    prop_assert_eq!(orders.reduce(locate, reference, size), before);
                    match model.get_mut(&key) {
                        Some(order) if order.size > size => order.size -= size,
                        _ => { model.remove(&key); }
                    }
                }
                prop_assert_eq!(orders.count(), model.len());
                for locate in 0..3 {
                    for reference in 0..40 {
                        prop_assert_eq!(orders.get(locate, reference), model.get(&(locate, reference)).copied());
                    }
                }
            }
        }
    }

    #[test]
    fn a_fixed_table_refuses_one_more_and_takes_again_after_a_delete() {
        let mut orders = Orders::new(100, false);
        let order = Order { price: 1, size: 1, locate: 1, side: Side::Bid, in_book: false };
        let put = |orders: &mut Orders, reference| orders.put(reference, order).map(|put| put.0);
        assert!((0..100).all(|n| put(&mut orders, n) == Ok(None)));
        assert_eq!(put(&mut orders, 100), Err(OrdersFull));
        assert_eq!(put(&mut orders, 99), Ok(Some(order)), "in the place of one that lives");
        assert_eq!(orders.remove(1, 7), Some(order));
        assert_eq!(put(&mut orders, 100), Ok(None));
    }
}
