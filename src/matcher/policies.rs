//! Policies: the few different (rearm, cooldown, max_fires) that many rules share, each kept once.

use super::hash::Hasher;
use super::index::Index;
use crate::model::Nanos;

/// How a rule repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How far beyond the threshold the signal must come back, 1e-9.
    pub rearm: i64,
    /// The least time between two alerts.
    pub cooldown: Nanos,
    /// Alerts after which the rule ends; 0: no bound.
    pub max_fires: u32,
}

/// The policies of a shard.
pub struct Policies {
    policies: Vec<(Policy, u32)>,
    free: Vec<u32>,
    index: Index,
    hasher: Hasher,
    count_max: usize,
}

impl Policies {
    /// At most `count_max` different ones, reserved at once; without `fixed` any number.
    pub fn new(count_max: usize, fixed: bool) -> Policies {
        let reserved = if fixed { count_max } else { 0 };
        Policies {
            policies: Vec::with_capacity(reserved),
            free: Vec::with_capacity(reserved),
            index: Index::new(count_max, !fixed),
            hasher: Hasher::random(),
            count_max: if fixed { count_max } else { usize::MAX },
        }
    }

    /// The policy of this number.
    #[inline]
    pub fn get(&self, number: u32) -> &Policy {
        &self.policies[number as usize].0
    }

    /// The number of a policy, one rule more using it. `None`: it is new and there is no room.
    pub fn take(&mut self, policy: Policy) -> Option<u32> {
        let hash = hash(&self.hasher, &policy);
        if let Some(number) = self.index.find(hash, |number| *self.get(number) == policy) {
            self.policies[number as usize].1 += 1;
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => {
                self.policies[number as usize] = (policy, 1);
                number
            }
            None if self.policies.len() < self.count_max => {
                self.policies.push((policy, 1));
                (self.policies.len() - 1) as u32
            }
            None => return None,
        };
        let (policies, hasher) = (&self.policies, &self.hasher);
        self.index.insert(hash, number, |number| self::hash(hasher, &policies[number as usize].0));
        Some(number)
    }

    /// One rule less uses it; a policy that none uses is forgotten.
    pub fn give_back(&mut self, number: u32) {
        let (policy, users) = &mut self.policies[number as usize];
        *users -= 1;
        if *users == 0 {
            self.index.remove(hash(&self.hasher, policy), number);
            self.free.push(number);
        }
    }
}

fn hash(hasher: &Hasher, policy: &Policy) -> u64 {
    hasher.hash(policy.rearm as u64 ^ u64::from(policy.max_fires).rotate_left(40), policy.cooldown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_policies_are_one_and_a_forgotten_one_makes_room() {
        let mut policies = Policies::new(2, true);
        let policy = |rearm| Policy { rearm, cooldown: 5, max_fires: 1 };
        let (a, b) = (policies.take(policy(1)).unwrap(), policies.take(policy(2)).unwrap());
        assert_eq!(policies.take(policy(1)), Some(a));
        assert_eq!(policies.take(policy(3)), None);
        policies.give_back(a);
        assert_eq!(policies.take(policy(3)), None, "one rule still uses it");
        policies.give_back(a);
        let c = policies.take(policy(3)).unwrap();
        assert_eq!((policies.get(b).rearm, policies.get(c).rearm), (2, 3));
    }
}
