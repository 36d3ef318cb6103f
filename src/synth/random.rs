//! SplitMix64: a generator that gives the same numbers on every machine. Integers only.
//!
//! Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).

/// A seeded source of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A source that depends on the seed alone.
    pub const fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 where `bound` is 0. The bias, below `bound` / 2^32, does not matter here.
    #[inline]
    pub const fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * bound as u64) >> 32) as u32
    }

    /// True once in `n` times on average.
    #[inline]
    pub const fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// How far from the touch an order is placed, in ticks: below 16 and mostly close to 0; one in 16 ten times as far.
    #[inline]
    pub const fn depth(&mut self) -> u32 {
        let bits = self.bits();
        let near = (bits as u32 & 0xFF) * ((bits >> 8) as u32 & 0xFF) / 0x1000 * ((bits >> 16) as u32 & 0xFF) / 0x100;
        if bits >> 60 == 0 { near * 10 + 5 } else { near }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers() {
        let mut random = Random::new(1_234_567);
        let numbers = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.bits(), random.bits(), random.bits()], numbers);
        assert!((0..1_000).all(|n| random.below(n) < n.max(1)));
    }
}
