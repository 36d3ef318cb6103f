//! Which symbol speaks next: Zipf-like activity, one draw in constant time.
//!
//! Walker's alias method in integers (Vose, "A linear algorithm for generating random numbers with a given
//! distribution", 1991): a uniform slot, and in it one of two ranks.

use super::random::Random;

/// Flattens the head of the distribution: of 8,000 symbols the busiest has about 1.3 % of the messages.
const FLATTENING: u64 = 12;

/// How often each rank speaks; rank 0 most.
#[derive(Clone, Debug)]
pub struct Activity {
    slots: Vec<Slot>,
    total: u64,
}

/// With a chance of `own` / 2^32 the slot's own rank, else the other.
#[derive(Clone, Copy, Debug)]
struct Slot {
    own: u32,
    other: u32,
}

impl Activity {
    /// Weights 1 / (rank + 12) for `ranks` > 0 ranks.
    pub fn new(ranks: u32) -> Activity {
        let total = (0..ranks).map(weight).sum();
        let mut slots: Vec<Slot> = (0..ranks).map(|rank| Slot { own: u32::MAX, other: rank }).collect();
        let mut left: Vec<u64> = (0..ranks).map(|rank| weight(rank) * u64::from(ranks)).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = (0..ranks).partition(|&rank| left[rank as usize] < total);
        while let (Some(rank), Some(&giver)) = (small.pop(), large.last()) {
            let own = left[rank as usize];
            slots[rank as usize] = Slot { own: ((u128::from(own) << 32) / u128::from(total)) as u32, other: giver };
            left[giver as usize] -= total - own;
            if left[giver as usize] < total {
                large.pop();
                small.push(giver);
            }
        }
        Activity { slots, total }
    }

    /// A rank.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> usize {
        let bits = random.bits();
        let rank = ((bits >> 32) * self.slots.len() as u64) >> 32;
        let slot = self.slots[rank as usize];
        if bits as u32 <= slot.own { rank as usize } else { slot.other as usize }
    }

    /// How many of `messages` fall to this rank on average.
    pub fn share(&self, rank: u32, messages: u64) -> u64 {
        (u128::from(weight(rank)) * u128::from(messages) / u128::from(self.total)) as u64
    }
}

fn weight(rank: u32) -> u64 {
    (1 << 36) / (u64::from(rank) + FLATTENING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights() {
        let (activity, mut random) = (Activity::new(100), Random::new(1));
        let mut seen = [0u64; 100];
        (0..1_000_000).for_each(|_| seen[activity.draw(&mut random)] += 1);
        for (rank, &seen) in (0..).zip(&seen) {
            let expected = activity.share(rank, 1_000_000);
            assert!(seen.abs_diff(expected) * 10 < expected, "rank {rank}: {seen} of {expected}");
        }
    }
}
