//! Rules around the prices of a synthetic day, as rows of the rules file that `replay` and `rules load` read.

use std::fmt::Write;

use super::activity::Activity;
use super::random::Random;
use crate::model::{Price, Symbol};

/// The columns of the rows.
pub const RULES_HEADER: &str =
    "account,user,symbol,slot,signal,when,threshold,fire,on_set,rearm,cooldown_ns,max_fires,expires_at,tag";

/// Makes rows: unique keys, thresholds dense near the price and some far away.
#[derive(Clone, Debug)]
pub struct RuleRows {
    random: Random,
    activity: Activity,
    prices: Vec<(Symbol, u32)>,
    users: u64,
    made: u64,
}

impl RuleRows {
    /// Rules of `users` (at least 1) around these prices (1e-4), the busiest symbols first; there must be at least one.
    pub fn new(prices: impl Iterator<Item = (Symbol, u32)>, users: u64, seed: u64) -> RuleRows {
        let prices: Vec<_> = prices.collect();
        let activity = Activity::new(prices.len() as u32);
        // Another stream than that of the day with the same seed.
        RuleRows { random: Random::new(seed ^ 0x72_756c_6573), activity, prices, users: users.max(1), made: 0 }
    }

    /// Writes the next row, without a line end, behind what `line` holds.
    pub fn next_into(&mut self, line: &mut String) {
        let (symbol, price) = self.prices[self.activity.draw(&mut self.random)];
        let random = &mut self.random;
        // Users take turns and a turn is a slot, so no key comes twice.
        let (user, slot) = (1 + self.made % self.users, self.made / self.users);
        self.made += 1;
        let signal = ["last", "last", "last", "last", "last", "bid", "ask", "mid"][random.below(8) as usize];
        let above = random.one_in(2);
        let comparison = match (above, random.one_in(4)) {
            (false, false) => "below",
            (false, true) => "at_or_below",
            (true, false) => "above",
            (true, true) => "at_or_above",
        };
        let threshold = threshold(price, above, random);
        // Writing to a String cannot fail.
        let _ = write!(line, "demo,{user},{symbol},{slot},{signal},{comparison},{threshold},");
        options(price, random, line);
        let _ = write!(line, ",{}", self.made);
    }
}

/// Five in eight within 2 % of the price, most of the others within 25 %; every eighth on a round number. Mostly on the
/// side where the condition is still false.
fn threshold(price: u32, above: bool, random: &mut Random) -> Price {
    let tick = if price >= 10_000 { 100 } else { 1 };
    let range = match random.below(16) {
        0..10 => price / 50,
        10..15 => price / 4,
        _ => price / 2,
    };
    let away = random.below(range + 1).min(random.below(range + 1));
    let price4 = if above != random.one_in(16) { price + away } else { price - away };
    let step = if random.one_in(8) { round_step(price) } else { tick };
    Price::from_itch((price4 / step * step).max(1))
}

/// The step of the round numbers that people choose: about a twentieth of the price.
fn round_step(price: u32) -> u32 {
    [5_000_000, 1_000_000, 100_000, 50_000, 10_000, 1_000, 100, 10]
        .into_iter()
        .find(|step| step * 20 <= price)
        .unwrap_or(1)
}

/// `fire` to `expires_at`: mostly defaults.
fn options(price: u32, random: &mut Random, line: &mut String) {
    let repeat = random.one_in(4);
    let on_set = match random.below(16) {
        0..3 => "wait",
        3 => "reject",
        _ => "",
    };
    let _ = write!(line, "{},{on_set},", if repeat { "repeat" } else { "" });
    if repeat && random.one_in(2) {
        let _ = write!(line, "{}", Price::from_itch(price / 1_000));
    }
    line.push(',');
    if repeat && random.one_in(2) {
        let _ = write!(line, "{}", 1_000_000_000 * u64::from(1 + random.below(600)));
    }
    line.push(',');
    if repeat && random.one_in(4) {
        let _ = write!(line, "{}", 1 + random.below(100));
    }
    line.push(',');
    if random.one_in(16) {
        let _ = write!(line, "{:02}:{:02}:00", 10 + random.below(6), random.below(60));
    }
}
