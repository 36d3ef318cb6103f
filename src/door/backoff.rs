//! Back-off per address: wrong logins from it make it wait, longer each time. A table of fixed size.
//!
//! The first [`FREE`](BACKOFF_FREE_FAILURES) wrong logins cost nothing: people mistype, and many may share an address. Each
//! one after them doubles the wait. A right login forgives nothing: else whoever has one login could guess at another between
//! two of its own. Time forgives. Logins during the wait are not counted, so a client that tries once a second gets in again.

use std::collections::BTreeMap;

use super::Address;
use crate::limits::{BACKOFF_ADDRESSES_MAX, BACKOFF_FIRST, BACKOFF_FORGET, BACKOFF_FREE_FAILURES, BACKOFF_MAX};
use crate::model::Nanos;

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    ts_failed: Nanos,
    ts_free: Nanos,
}

/// Addresses that gave wrong logins. When it is full the one whose last lies furthest back is forgotten.
#[derive(Debug, Default)]
pub struct Backoff {
    records: BTreeMap<Address, Record>,
}

impl Backoff {
    /// True while logins from this address are not even looked at.
    pub fn is_held_off(&self, address: Address, now: Nanos) -> bool {
        self.records.get(&address).is_some_and(|record| now < record.ts_free)
    }

    /// Wrong logins of this address that are not forgotten.
    pub fn failures(&self, address: Address, now: Nanos) -> u32 {
        let record = self.records.get(&address).filter(|record| !record.is_forgotten(now));
        record.map_or(0, |record| record.failures)
    }

    /// A wrong login came from this address.
    pub fn failed(&mut self, address: Address, now: Nanos) {
        let failures = self.failures(address, now) + 1;
        if !self.records.contains_key(&address) && self.records.len() >= BACKOFF_ADDRESSES_MAX {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.ts_failed).map(|(address, _)| *address);
            oldest.map(|address| self.records.remove(&address));
        }
        self.records.insert(address, Record { failures, ts_failed: now, ts_free: now + wait(failures) });
    }
}

impl Record {
    fn is_forgotten(&self, now: Nanos) -> bool {
        now.saturating_sub(self.ts_failed) >= BACKOFF_FORGET
    }
}

/// The wait after so many wrong logins.
fn wait(failures: u32) -> Nanos {
    match failures.checked_sub(BACKOFF_FREE_FAILURES + 1) {
        None => 0,
        Some(doublings) => BACKOFF_FIRST.saturating_mul(1 << doublings.min(32)).min(BACKOFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const S: Nanos = 1_000_000_000;

    fn address(n: u32) -> Address {
        IpAddr::V4(Ipv4Addr::from_bits(n)).into()
    }

    #[test]
    fn the_wait_doubles_after_some_free_ones_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut now = S;
        let mut waits = vec![];
        for _ in 0..BACKOFF_FREE_FAILURES + 9 {
            backoff.failed(address(1), now);
            let start = now;
            while backoff.is_held_off(address(1), now) {
                now += S;
            }
            waits.push((now - start) / S);
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!backoff.is_held_off(address(2), 0), "other addresses are not concerned");
        assert_eq!(backoff.failures(address(1), now + BACKOFF_FORGET), 0);
        backoff.failed(address(1), now + BACKOFF_FORGET);
        assert!(!backoff.is_held_off(address(1), now + BACKOFF_FORGET));
    }

    #[test]
    fn a_full_table_forgets_whom_it_has_not_seen_for_longest() {
        let mut backoff = Backoff::default();
        let count = BACKOFF_ADDRESSES_MAX as u32;
        (0..count).for_each(|n| backoff.failed(address(n), u64::from(n)));
        backoff.failed(address(0), u64::from(count));
        backoff.failed(address(count), u64::from(count) + 1);
        assert_eq!(backoff.records.len(), BACKOFF_ADDRESSES_MAX);
        let failures = |n| backoff.failures(address(n), u64::from(count) + 2);
        assert_eq!([failures(0), failures(1), failures(2), failures(count)], [2, 0, 1, 1]);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_and_a_mapped_ipv4_is_itself() {
        let of = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(IpAddr::from(of("10.0.0.1")).to_string(), "10.0.0.1");
    }
}
