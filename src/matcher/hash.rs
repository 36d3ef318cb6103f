//! The hash under the order table and the rule index: a folded multiplication, keyed by the process.
//!
//! References and keys come from outside. With a key that nobody knows, nobody can choose ones that collide. What
//! is computed never depends on it: no table is read in the order of its hashes.

use std::hash::{BuildHasher, RandomState};

/// A keyed hash of two words.
#[derive(Clone, Copy)]
pub struct Hasher {
    keys: [u64; 2],
}

impl Hasher {
    /// With a key drawn from the system.
    pub fn random() -> Hasher {
        let draw = || RandomState::new().hash_one(0u64);
        // An odd multiplier loses nothing.
        Hasher { keys: [draw(), draw() | 1] }
    }

    /// The hash of `(a, b)` by one multiplication: for tables where a miss costs little.
    #[inline]
    pub fn quick(&self, a: u64, b: u64) -> u64 {
        fold(a ^ self.keys[0], b ^ self.keys[1])
    }

    /// The hash of `(a, b)`.
    #[inline]
    pub fn hash(&self, a: u64, b: u64) -> u64 {
        fold(fold(a ^ self.keys[0], self.keys[1]) ^ b, 0x9e37_79b9_7f4a_7c15 ^ self.keys[0])
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
