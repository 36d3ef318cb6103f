//! What counts as right: alerts as (rule, tick), summed so that their order does not matter, and the oracle's own tally.

use std::collections::{BTreeSet, HashMap};

use super::input::{Change, Input};
use hairtrigger::model::{Alert, AlertKind};

/// Alerts counted and summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The wrapping sum of `mix(mix(rule) + tick index)`.
    pub sum: u64,
}

/// SplitMix64's finalizer.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Tally {
    /// Adds an alert of `rule` at the tick of this index.
    #[inline]
    pub fn add(&mut self, rule: u64, tick: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mix(mix(rule).wrapping_add(tick)));
    }

    /// Adds what a shard told, if it is an alert: its tag is the rule, its sequence the tick's index + 1.
    #[inline]
    pub fn add_alert(&mut self, alert: &Alert) {
        if alert.kind == AlertKind::Alert {
            self.add(alert.tag, alert.sequence - 1);
        }
    }

    /// Both together.
    pub fn plus(self, other: Tally) -> Tally {
        Tally { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// The thresholds of one symbol and side.
type Side = BTreeSet<(i64, u64)>;

/// The tally that is due: ordered sets of thresholds, nothing of the engine.
pub fn oracle(input: &Input) -> Tally {
    let mut below = vec![Side::new(); input.symbols];
    let mut above = vec![Side::new(); input.symbols];
    let mut living: HashMap<u64, Change> = HashMap::new();
    let mut tally = Tally::default();
    let mut changes = input.rules.iter().chain(&input.changes).peekable();
    for (index, tick) in (0u64..).zip(input.ticks()) {
        while let Some(change) = changes.next_if(|change| change.at <= index) {
            let gone = if change.is_remove { change.rule } else { change.replaces };
            if let Some(old) = living.remove(&gone) {
                let sides = if old.above { &mut above } else { &mut below };
                sides[old.symbol as usize].remove(&(old.threshold, gone));
            }
            if !change.is_remove {
                let sides = if change.above { &mut above } else { &mut below };
                sides[change.symbol as usize].insert((change.threshold, change.rule));
                living.insert(change.rule, *change);
            }
        }
        let (falling, rising) = (&mut below[tick.symbol as usize], &mut above[tick.symbol as usize]);
        while let Some((_, rule)) = falling.last().filter(|(threshold, _)| tick.price < *threshold).copied() {
            falling.pop_last();
            living.remove(&rule);
            tally.add(rule, index);
        }
        while let Some((_, rule)) = rising.first().filter(|(threshold, _)| tick.price > *threshold).copied() {
            rising.pop_first();
            living.remove(&rule);
            tally.add(rule, index);
        }
    }
    tally
}
