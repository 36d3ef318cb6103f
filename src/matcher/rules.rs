//! The rules of a shard: 40 bytes each, found by key, with a cold record of 32 bytes for those that repeat or expire.
//!
//! A rule's number is its place in the table and stays the same while it lives; ladders and index hold numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::hash::Hasher;
use super::index::Index;
use super::policies::{Policies, Policy};
use crate::model::{AccountId, Comparison, Fire, NEVER, Nanos, OnSet, Price, Refusal, RuleSpec, Signal};
use crate::sys::memory::{prefetch, prefetch_all, reserved};

/// Symbols that a shard can number in a rule's 20 bits.
pub const SYMBOLS_MAX: usize = 1 << 20;
/// No rule.
const NONE: u32 = u32::MAX;

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The user.
    pub user: u64,
    /// The tag; of a rule with a cold record, that record's number.
    tag: u64,
    /// The threshold, 1e-9.
    pub threshold: i64,
    /// The version in the upper 48 bits, the account in the lower 16.
    version_account: u64,
    /// The user's slot; of a free place, the next free one.
    pub slot: u32,
    /// symbol 20 | signal 2 | comparison 2 | fire 1 | on_set 2 | met 1 | cold 1 | live 1 | unsure 1, from the lowest bit on.
    bits: u32,
}

const _: () = assert!(size_of::<Rule>() == 40 && size_of::<Cold>() == 32);

const MET: u32 = 1 << 27;
const COLD: u32 = 1 << 28;
const LIVE: u32 = 1 << 29;
const UNSURE: u32 = 1 << 30;

impl Rule {
    /// Its ordinal among the sets of its symbol.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version_account >> 16
    }

    /// Who owns it.
    #[inline]
    pub fn account(&self) -> AccountId {
        self.version_account as AccountId
    }

    /// The shard's number of its symbol.
    #[inline]
    pub fn symbol(&self) -> u32 {
        self.bits & (SYMBOLS_MAX as u32 - 1)
    }

    /// What it watches.
    #[inline]
    pub fn signal(&self) -> Signal {
        Signal::ALL[(self.bits >> 20 & 3) as usize]
    }

    /// How it compares.
    #[inline]
    pub fn comparison(&self) -> Comparison {
        Comparison::ALL[(self.bits >> 22 & 3) as usize]
    }

    /// What becomes of it when it fires.
    #[inline]
    pub fn fire(&self) -> Fire {
        if self.bits >> 24 & 1 == 0 { Fire::Once } else { Fire::Repeat }
    }

    /// What if it holds already.
    #[inline]
    pub fn on_set(&self) -> OnSet {
        match self.bits >> 25 & 3 {
            0 => OnSet::Fire,
            1 => OnSet::Wait,
            _ => OnSet::Reject,
        }
    }

    /// Its condition was true and has been told: it waits to clear.
    #[inline]
    pub fn is_met(&self) -> bool {
        self.bits & MET != 0
    }

    /// It was put back after a crash, and may have fired before without a trace.
    #[inline]
    pub fn is_unsure(&self) -> bool {
        self.bits & UNSURE != 0
    }

    #[inline]
    fn cold(&self) -> Option<usize> {
        (self.bits & COLD != 0).then_some(self.tag as usize)
    }

    fn bits(symbol: u32, spec: &RuleSpec) -> u32 {
        symbol
            | (spec.signal as u32) << 20
            | (spec.comparison as u32) << 22
            | (spec.fire as u32) << 24
            | (spec.on_set as u32) << 25
            | LIVE
    }
}

/// What only some rules have.
#[derive(Clone, Copy)]
struct Cold {
    tag: u64,
    expires_at: Nanos,
    /// No alert before this time; 0 before the first alert.
    quiet_until: Nanos,
    fires: u32,
    /// Number of its policy; of a free record, the next free one.
    policy: u32,
}

/// A key within a shard: the symbol as the shard numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalKey {
    /// The user.
    pub user: u64,
    /// The shard's number of the symbol.
    pub symbol: u32,
    /// The user's slot.
    pub slot: u32,
    /// The account.
    pub account: AccountId,
}

impl LocalKey {
    #[inline]
    fn hash(&self, hasher: &Hasher) -> u64 {
        let place = u64::from(self.symbol) << 32 | u64::from(self.slot);
        hasher.hash(self.user ^ u64::from(self.account).rotate_right(16), place)
    }

    #[inline]
    fn of(rule: &Rule) -> LocalKey {
        LocalKey { user: rule.user, symbol: rule.symbol(), slot: rule.slot, account: rule.account() }
    }
}

/// How many rules, and what about them, a shard can hold.
#[derive(Clone, Debug)]
pub struct RuleLimits {
    /// Rules in all.
    pub rules_max: usize,
    /// Rules of each account; accounts beyond these have no bound of their own.
    pub account_rules_max: Vec<u32>,
    /// Different (rearm, cooldown, max_fires).
    pub policies_max: usize,
    /// Reserve everything at once and allocate nothing later. Offline: grow as needed.
    pub fixed: bool,
}

/// How many rules each account may have: read at a set, and changed from outside while the shard runs. A word an account,
/// so whoever reads sees the old number or the new one.
#[derive(Clone, Debug)]
pub struct AccountBounds(Arc<[AtomicU32]>);

impl AccountBounds {
    fn new(bounds: &[u32]) -> AccountBounds {
        AccountBounds(bounds.iter().map(|bound| AtomicU32::new(*bound)).collect())
    }

    /// Of this account; accounts beyond those that were there at start have no bound of their own.
    fn of(&self, account: AccountId) -> u32 {
        self.0.get(usize::from(account)).map_or(u32::MAX, |bound| bound.load(Ordering::Relaxed))
    }

    /// From the next set on. Rules that are more than that stay.
    pub fn set(&self, account: AccountId, rules_max: u32) {
        if let Some(bound) = self.0.get(usize::from(account)) {
            bound.store(rules_max, Ordering::Relaxed);
        }
    }
}

/// The rules of a shard.
pub struct Rules {
    rules: Vec<Rule>,
    free: u32,
    count: usize,
    cold: Vec<Cold>,
    cold_free: u32,
    policies: Policies,
    index: Index,
    hasher: Hasher,
    by_account: Vec<u32>,
    bounds: AccountBounds,
    limits: RuleLimits,
}

impl Rules {
    /// No rules yet.
    pub fn new(limits: RuleLimits) -> Rules {
        // One more than may live: a replacement comes before the rule that it replaces goes.
        let count = if limits.fixed { limits.rules_max + 1 } else { 0 };
        Rules {
            rules: reserved(count),
            free: NONE,
            count: 0,
            cold: reserved(count),
            cold_free: NONE,
            policies: Policies::new(limits.policies_max, limits.fixed),
            index: Index::new(limits.rules_max + 1, !limits.fixed),
            hasher: Hasher::random(),
            by_account: vec![0; limits.account_rules_max.len()],
            bounds: AccountBounds::new(&limits.account_rules_max),
            limits,
        }
    }

    /// Rules alive.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Places in the table, living or free: what a walk walks over.
    pub fn places(&self) -> usize {
        self.rules.len()
    }

    /// The rule at a place, if one lives there.
    pub fn at(&self, place: usize) -> Option<&Rule> {
        self.rules.get(place).filter(|rule| rule.bits & LIVE != 0)
    }

    /// The living rule of this number.
    #[inline]
    pub fn get(&self, number: u32) -> &Rule {
        &self.rules[number as usize]
    }

    /// The number of a key's rule.
    #[inline]
    pub fn find(&self, key: &LocalKey) -> Option<u32> {
        self.index.find(key.hash(&self.hasher), |number| LocalKey::of(self.get(number)) == *key)
    }

    /// Has fetched what a search for this key begins with. Returns the key's hash, for [`Self::prefetch_record`].
    #[inline]
    pub fn prefetch_key(&self, key: &LocalKey) -> u64 {
        let hash = key.hash(&self.hasher);
        self.index.prefetch(hash);
        hash
    }

    /// Has the record fetched which a key of this hash most likely has, and returns its number.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) -> Option<u32> {
        let number = self.index.guess(hash)?;
        self.prefetch(number);
        Some(number)
    }

    /// Has a record fetched.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        prefetch_all(self.get(number));
    }

    /// Has fetched what the end of this rule will touch beside its record.
    #[inline]
    pub fn prefetch_end(&self, number: u32) {
        let rule = self.get(number);
        if rule.fire() == Fire::Once {
            self.index.prefetch(LocalKey::of(rule).hash(&self.hasher));
        }
        if let Some(cold) = rule.cold() {
            prefetch(&self.cold[cold]);
        }
    }

    /// How many rules each account may have, for whoever changes it.
    pub fn bounds(&self) -> AccountBounds {
        self.bounds.clone()
    }

    /// Why a rule with this account could not be added. The rule that it replaces, if any, still counts for nothing.
    pub fn refusal(&self, account: AccountId, replaces: bool) -> Option<Refusal> {
        let of_account = self.by_account.get(usize::from(account)).copied().unwrap_or(0);
        if self.count - usize::from(replaces) >= self.limits.rules_max && self.limits.fixed {
            Some(Refusal::RulesFull)
        } else if of_account - u32::from(replaces) >= self.bounds.of(account) {
            Some(Refusal::AccountFull)
        } else {
            None
        }
    }

    /// Adds a rule whose key has none. [`Self::refusal`] has been asked.
    /// # Errors
    /// [`Refusal::PoliciesFull`], and nothing done.
    pub fn insert(&mut self, key: &LocalKey, spec: &RuleSpec, version: u64) -> Result<u32, Refusal> {
        let mut rule = Rule {
            user: key.user,
            tag: spec.tag,
            threshold: spec.threshold.0,
            version_account: version << 16 | u64::from(key.account),
            slot: key.slot,
            bits: Rule::bits(key.symbol, spec),
        };
        if let Some(cold) = self.insert_cold(spec)? {
            rule.tag = u64::from(cold);
            rule.bits |= COLD;
        }
        let number = if self.free == NONE {
            self.rules.push(rule);
            (self.rules.len() - 1) as u32
        } else {
            let number = self.free;
            self.free = self.rules[number as usize].slot;
            self.rules[number as usize] = rule;
            number
        };
        let (rules, hasher) = (&self.rules, &self.hasher);
        let hash_of = |number: u32| LocalKey::of(&rules[number as usize]).hash(hasher);
        self.index.insert(key.hash(hasher), number, hash_of);
        self.count += 1;
        let account = usize::from(key.account);
        if account >= self.by_account.len() {
            self.by_account.resize(account + 1, 0);
        }
        self.by_account[account] += 1;
        Ok(number)
    }

    fn insert_cold(&mut self, spec: &RuleSpec) -> Result<Option<u32>, Refusal> {
        let policy = Policy { rearm: spec.rearm.0, cooldown: spec.cooldown, max_fires: spec.max_fires };
        if spec.fire == Fire::Once && spec.expires_at == NEVER && policy == Policy::default() {
            return Ok(None);
        }
        let policy = self.policies.take(policy).ok_or(Refusal::PoliciesFull)?;
        let cold = Cold { tag: spec.tag, expires_at: spec.expires_at, quiet_until: 0, fires: 0, policy };
        if self.cold_free == NONE {
            self.cold.push(cold);
            return Ok(Some((self.cold.len() - 1) as u32));
        }
        let number = self.cold_free;
        self.cold_free = self.cold[number as usize].policy;
        self.cold[number as usize] = cold;
        Ok(Some(number))
    }

    /// Forgets a living rule.
    pub fn remove(&mut self, number: u32) {
        let rule = self.rules[number as usize];
        self.index.remove(LocalKey::of(&rule).hash(&self.hasher), number);
        self.by_account[usize::from(rule.account())] -= 1;
        self.count -= 1;
        if let Some(cold) = rule.cold() {
            self.policies.give_back(self.cold[cold].policy);
            self.cold[cold].policy = self.cold_free;
            self.cold_free = cold as u32;
        }
        let place = &mut self.rules[number as usize];
        place.bits = 0;
        place.slot = self.free;
        self.free = number;
    }

    /// Marks it as met, or as clear.
    #[inline]
    pub fn set_met(&mut self, number: u32, met: bool) {
        let bits = &mut self.rules[number as usize].bits;
        *bits = if met { *bits | MET } else { *bits & !MET };
    }

    /// Its tag.
    #[inline]
    pub fn tag(&self, rule: &Rule) -> u64 {
        rule.cold().map_or(rule.tag, |cold| self.cold[cold].tag)
    }

    /// When it expires, or [`NEVER`].
    #[inline]
    pub fn expires_at(&self, rule: &Rule) -> Nanos {
        rule.cold().map_or(NEVER, |cold| self.cold[cold].expires_at)
    }

    /// Until when it may not fire again.
    #[inline]
    pub fn quiet_until(&self, rule: &Rule) -> Nanos {
        rule.cold().map_or(0, |cold| self.cold[cold].quiet_until)
    }

    /// How far beyond the threshold the signal must come back, 1e-9.
    #[inline]
    pub fn rearm(&self, rule: &Rule) -> i64 {
        rule.cold().map_or(0, |cold| self.policies.get(self.cold[cold].policy).rearm)
    }

    /// Alerts that it has given.
    pub fn fires(&self, rule: &Rule) -> u32 {
        rule.cold().map_or(0, |cold| self.cold[cold].fires)
    }

    /// True when the next alert of this rule is its last.
    #[inline]
    pub fn is_last_fire(&self, rule: &Rule) -> bool {
        let Some(cold) = rule.cold().filter(|_| rule.fire() == Fire::Repeat) else { return true };
        let cold = &self.cold[cold];
        cold.fires.checked_add(1) == Some(self.policies.get(cold.policy).max_fires)
    }

    /// Puts back what a rule had behind it when the engine stopped.
    pub fn restore(&mut self, number: u32, fires: u32, quiet_until: Nanos, is_sure: bool) {
        let rule = &mut self.rules[number as usize];
        if !is_sure {
            rule.bits |= UNSURE;
        }
        if let Some(cold) = rule.cold() {
            (self.cold[cold].fires, self.cold[cold].quiet_until) = (fires, quiet_until);
        }
    }

    /// Notes an alert of a `repeat` rule at `ts_event`.
    pub fn note_fire(&mut self, number: u32, ts_event: Nanos) {
        self.rules[number as usize].bits &= !UNSURE;
        let Some(cold) = self.rules[number as usize].cold() else { return };
        let cold = &mut self.cold[cold];
        let cooldown = self.policies.get(cold.policy).cooldown;
        cold.fires = cold.fires.saturating_add(1);
        cold.quiet_until = if cooldown == 0 { 0 } else { ts_event.saturating_add(cooldown) };
    }

    /// What the rule said when it was set.
    pub fn spec(&self, rule: &Rule) -> RuleSpec {
        let policy = rule.cold().map_or(Policy::default(), |cold| *self.policies.get(self.cold[cold].policy));
        RuleSpec {
            threshold: Price(rule.threshold),
            rearm: Price(policy.rearm),
            cooldown: policy.cooldown,
            expires_at: self.expires_at(rule),
            tag: self.tag(rule),
            max_fires: policy.max_fires,
            signal: rule.signal(),
            comparison: rule.comparison(),
            fire: rule.fire(),
            on_set: rule.on_set(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Comparison, Signal};

    #[test]
    fn gives_back_what_was_set_and_reuses_places() {
        let limits = RuleLimits { rules_max: 2, account_rules_max: vec![2; 3], policies_max: 1, fixed: true };
        let mut rules = Rules::new(limits);
        let key = |user| LocalKey { user, symbol: SYMBOLS_MAX as u32 - 1, slot: u32::MAX, account: 2 };
        let plain = RuleSpec { tag: u64::MAX, ..RuleSpec::new(Signal::Mid, Comparison::AtOrAbove, Price(7)) };
        let full = RuleSpec {
            rearm: Price(5),
            cooldown: 6,
            expires_at: 8,
            max_fires: 2,
            fire: Fire::Repeat,
            on_set: OnSet::Reject,
            ..plain
        };
        let (a, b) = (rules.insert(&key(1), &plain, 1).unwrap(), rules.insert(&key(2), &full, (1 << 48) - 1).unwrap());
        assert_eq!((rules.find(&key(1)), rules.find(&key(2)), rules.find(&key(3))), (Some(a), Some(b), None));
        assert_eq!((rules.spec(rules.get(a)), rules.spec(rules.get(b))), (plain, full));
        assert_eq!((rules.get(b).version(), rules.get(b).account()), ((1 << 48) - 1, 2));
        assert_eq!(rules.refusal(2, false), Some(Refusal::RulesFull));
        assert_eq!(rules.refusal(2, true), None);
        assert!(!rules.is_last_fire(rules.get(b)));
        rules.note_fire(b, 100);
        assert_eq!((rules.is_last_fire(rules.get(b)), rules.quiet_until(rules.get(b))), (true, 106));
        rules.remove(b);
        let other = RuleSpec { rearm: Price(1), ..plain };
        assert_eq!(rules.insert(&key(3), &other, 3), Ok(b));
        assert_eq!(rules.spec(rules.get(b)), other);
        assert_eq!(rules.fires(rules.get(b)), 0);
    }
}
