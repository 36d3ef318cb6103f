//! One symbol of the day: its name, its price on a random walk, its live orders.

use super::book::Half;
use super::random::Random;
use crate::model::{Side, Symbol};

/// One dollar in steps of the wire.
const DOLLAR: u32 = 10_000;
/// No price falls below or rises above these: 2 cents and 150,000 dollars (the wire ends at 200,000).
const PRICE_MIN: u32 = 200;
const PRICE_MAX: u32 = 150_000 * DOLLAR;
/// Live orders of a side: between these, by the symbol's activity.
const ORDERS_MIN: u64 = 8;
const ORDERS_MAX: u64 = 256;
/// One in so many turns of a symbol its price jumps.
const JUMP_ONE_IN: u32 = 1 << 15;

/// A symbol.
#[derive(Clone, Debug)]
pub struct Stock {
    /// Its name.
    pub symbol: Symbol,
    /// The day's number for it.
    pub locate: u16,
    /// No executions while it is halted.
    pub halted: bool,
    /// The price that buyers and sellers agree on just now, 1e-4; between ticks.
    fair: u32,
    /// Largest step of the walk, in 1e-6 of the price.
    step_ppm: u32,
    /// Live orders of a side at most.
    orders_max: usize,
    bids: Half,
    asks: Half,
}

impl Stock {
    /// A symbol that is to have about `turns` turns in the day.
    pub fn new(symbol: Symbol, turns: u64, random: &mut Random) -> Stock {
        // A walk of n steps goes as far as the root of n: some 2 % a day, for a few symbols three times that.
        let day_ppm = if random.one_in(10) { 100_000 } else { 20_000 + random.below(20_000) };
        let step_ppm = (day_ppm / turns.isqrt().max(1) as u32).clamp(2, 2_000);
        Stock {
            symbol,
            locate: 0,
            halted: false,
            fair: first_price(random),
            step_ppm,
            orders_max: (turns / 16).clamp(ORDERS_MIN, ORDERS_MAX) as usize,
            bids: Half::new(Side::Bid),
            asks: Half::new(Side::Ask),
        }
    }

    /// Smallest difference of two prices here: a cent from one dollar on, 0.0001 below.
    #[inline]
    pub fn tick(&self) -> u32 {
        if self.fair >= DOLLAR { 100 } else { 1 }
    }

    /// The price on the tick at or under the fair one, 1e-4.
    #[inline]
    pub fn price(&self) -> u32 {
        self.fair - self.fair % self.tick()
    }

    /// A price between the best bid and the best ask where hidden orders trade: on the tick, or half a cent beside it.
    pub fn hidden_price(&self, random: &mut Random) -> u32 {
        self.price() + if random.one_in(4) { self.tick() / 2 } else { 0 }
    }

    /// The price moves, a little on most turns.
    #[inline]
    pub fn walk(&mut self, random: &mut Random) {
        let mut ppm = self.step_ppm;
        if random.one_in(JUMP_ONE_IN) {
            ppm = 10_000 + random.below(50_000);
        }
        let range = (u64::from(self.fair) * u64::from(ppm) / 1_000_000) as u32 + 1;
        let fair = (self.fair + random.below(2 * range + 1)).saturating_sub(range);
        self.fair = fair.clamp(PRICE_MIN, PRICE_MAX);
    }

    /// The price moves at once, by up to a tenth.
    pub fn shock(&mut self, random: &mut Random) {
        let tenth = self.fair / 10;
        self.fair = (self.fair - tenth + random.below(2 * tenth)).clamp(PRICE_MIN, PRICE_MAX);
    }

    /// The orders of a side.
    #[inline]
    pub fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// True when a side holds as many orders as it may.
    #[inline]
    pub fn is_full(&mut self, side: Side) -> bool {
        let orders_max = self.orders_max;
        self.half(side).len() >= orders_max
    }

    /// The side whose best order the price has passed: it trades or goes before all others.
    #[inline]
    pub fn passed(&mut self) -> Option<Side> {
        let (price, tick) = (self.price(), self.tick());
        if self.asks.touch().is_some_and(|ask| ask <= price) {
            Some(Side::Ask)
        } else if self.bids.touch().is_some_and(|bid| bid >= price + tick) {
            Some(Side::Bid)
        } else {
            None
        }
    }

    /// A price for a new order: at the touch or some ticks away, never through the other side.
    #[inline]
    pub fn quote(&mut self, side: Side, random: &mut Random) -> u32 {
        let (price, tick, away) = (self.price(), self.tick(), random.depth());
        match side {
            Side::Bid => {
                let free = self.asks.touch().map_or(price, |ask| ask.saturating_sub(tick));
                price.min(free).saturating_sub(away * tick).max(1)
            }
            Side::Ask => {
                let free = self.bids.touch().map_or(0, |bid| bid + tick);
                (price + tick).max(free) + away * tick
            }
        }
    }
}

/// What shares cost: few under a dollar, most between 5 and 300, some in the thousands. 1e-4, on the tick.
fn first_price(random: &mut Random) -> u32 {
    let (from, to) = match random.below(100) {
        0..3 => (1_000, DOLLAR),
        3..25 => (DOLLAR, 10 * DOLLAR),
        25..65 => (10 * DOLLAR, 50 * DOLLAR),
        65..90 => (50 * DOLLAR, 150 * DOLLAR),
        90..99 => (150 * DOLLAR, 600 * DOLLAR),
        _ => (600 * DOLLAR, 4_000 * DOLLAR),
    };
    from + random.below(to - from)
}
