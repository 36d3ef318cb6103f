//! The ladder against a sorted map, over sequences of operations that split, shift, join and empty its nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The naive ladder: (key, later version first) to value.
type Model = BTreeMap<(i64, std::cmp::Reverse<u64>), u32>;

struct Pair {
    pool: Pool<u32>,
    ladder: Ladder,
    model: Model,
    versions: Vec<u64>,
}

impl Pair {
    fn new() -> Pair {
        Pair { pool: Pool::new(100_000, 1, false), ladder: Ladder::default(), model: Model::new(), versions: vec![] }
    }

    fn insert(&mut self, key: i64, version: u64) {
        if self.model.contains_key(&(key, std::cmp::Reverse(version))) {
            return;
        }
        let value = self.versions.len() as u32;
        self.versions.push(version);
        let versions = &self.versions;
        self.ladder.insert(&mut self.pool, Place { key, version }, value, |v| versions[v as usize]).unwrap();
        self.model.insert((key, std::cmp::Reverse(version)), value);
    }

    fn remove(&mut self, key: i64, version: u64) {
        let versions = &self.versions;
        let removed = self.ladder.remove(&mut self.pool, Place { key, version }, |v| versions[v as usize]);
        assert_eq!(removed, self.model.remove(&(key, std::cmp::Reverse(version))));
    }

    fn pop(&mut self) {
        let expected = self.model.pop_last().map(|((key, _), value)| (key, value));
        assert_eq!(self.ladder.pop(&mut self.pool), expected);
    }

    fn check(&self) {
        let mut entries = vec![];
        self.ladder.for_each(&self.pool, |key, value| entries.push((key, value)));
        let expected: Vec<_> = self.model.iter().map(|((key, _), value)| (*key, *value)).collect();
        assert_eq!(entries, expected);
        assert_eq!(self.ladder.hot(&self.pool), expected.last().copied());
        assert_eq!(self.ladder.is_empty(), expected.is_empty());
        if expected.is_empty() {
            assert_eq!(self.pool.leaves.free.len(), self.pool.leaves.nodes.len(), "a leaf was lost");
            assert_eq!(self.pool.inners.free.len(), self.pool.inners.nodes.len(), "an inner node was lost");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(i64, u64),
    Remove(usize),
    Pop(usize),
    RemoveRange(usize, usize),
}

fn step() -> impl Strategy<Value = Vec<Step>> {
    let keys = prop_oneof![0..8i64, 0..1_000i64, any::<i64>()];
    let one = prop_oneof![
        40 => (keys, 0..5_000u64).prop_map(|(key, version)| Step::Insert(key, version)),
        10 => any::<usize>().prop_map(Step::Remove),
        2 => (0..80usize).prop_map(Step::Pop),
        1 => (any::<usize>(), 0..300usize).prop_map(|(at, count)| Step::RemoveRange(at, count)),
    ];
    proptest::collection::vec(one, 1..3_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_sorted_map(steps in step()) {
        let mut pair = Pair::new();
        let nth = |model: &Model, n: usize| model.keys().nth(n % model.len().max(1)).copied();
        for step in steps {
            match step {
                Step::Insert(key, version) => pair.insert(key, version),
                Step::Remove(n) => if let Some((key, version)) = nth(&pair.model, n) { pair.remove(key, version.0) },
                Step::Pop(count) => (0..count).for_each(|_| pair.pop()),
                Step::RemoveRange(n, count) => {
                    let Some(first) = nth(&pair.model, n) else { continue };
                    let range: Vec<_> = pair.model.range(first..).take(count).map(|(place, _)| *place).collect();
                    range.into_iter().for_each(|(key, version)| pair.remove(key, version.0));
                }
            }
        }
        pair.check();
        while !pair.model.is_empty() { pair.pop(); }
        pair.check();
    }
}

#[test]
fn many_equal_keys_pop_in_the_order_of_setting() {
    let mut pair = Pair::new();
    (1..=20_000).for_each(|version| pair.insert(7, version));
    pair.check();
    for version in (1..=20_000).step_by(3) {
        pair.remove(7, version);
    }
    pair.check();
    let mut last = 0;
    while let Some((_, value)) = pair.ladder.pop(&mut pair.pool) {
        assert!(pair.versions[value as usize] > last);
        last = pair.versions[value as usize];
    }
    assert_eq!(last, 20_000);
}

#[test]
fn leaves_are_four_fifths_full_after_random_inserts_and_joined_after_removes() {
    let mut pair = Pair::new();
    let mut x = 1u64;
    for version in 1..=50_000 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        pair.insert((x >> 20) as i64, version);
    }
    let leaves = |pair: &Pair| pair.pool.leaves.nodes.len() - pair.pool.leaves.free.len();
    let fill = 50_000.0 / (leaves(&pair) * LEAF) as f64;
    assert!(fill > 0.75, "leaves are only {fill:.2} full");
    let places: Vec<_> = pair.model.keys().copied().enumerate().filter(|(n, _)| n % 16 != 0).collect();
    places.into_iter().for_each(|(_, (key, version))| pair.remove(key, version.0));
    pair.check();
    let fill = pair.model.len() as f64 / (leaves(&pair) * LEAF) as f64;
    assert!(fill > 0.3, "leaves are only {fill:.2} full");
}

#[test]
fn a_full_pool_refuses_and_changes_nothing() {
    let mut pool = Pool::<u32>::new(100, 1, true);
    let mut ladder = Ladder::default();
    let mut held = 0;
    while ladder.insert(&mut pool, Place { key: held, version: 0 }, 1, |_| 0).is_ok() {
        held += 1;
    }
    assert!(held >= 100, "held only {held}");
    let mut count = 0;
    ladder.for_each(&pool, |_, _| count += 1);
    assert_eq!(count, held);
}
