//! Who is connected to a port from where, and who goes first when there is no room.
//!
//! A place that is held without a login is worth less than one with: strangers go first, and of them the oldest of the
//! address that has most. So whoever opens thousands of connections pushes out its own.

use std::collections::{BTreeMap, VecDeque};

use super::Address;

#[derive(Debug, Default)]
struct Here {
    /// With a login.
    members: usize,
    /// Places of those without one, the oldest first.
    strangers: VecDeque<usize>,
}

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Free,
    /// When the connection at this place goes.
    InsteadOf(usize),
    /// No.
    None,
}

/// The connections of a port by address.
#[derive(Debug, Default)]
pub struct Census {
    by_address: BTreeMap<Address, Here>,
}

impl Census {
    /// Somebody came from this address, and has this place.
    pub fn arrive(&mut self, address: Address, place: usize) {
        self.by_address.entry(address).or_default().strangers.push_back(place);
    }

    /// The connection at this place is logged in now.
    pub fn enter(&mut self, address: Address, place: usize) {
        if let Some(here) = self.by_address.get_mut(&address) {
            here.strangers.retain(|stranger| *stranger != place);
            here.members += 1;
        }
    }

    /// The connection at this place has gone.
    pub fn leave(&mut self, address: Address, place: usize, is_member: bool) {
        let Some(here) = self.by_address.get_mut(&address) else { return };
        match is_member {
            true => here.members = here.members.saturating_sub(1),
            false => here.strangers.retain(|stranger| *stranger != place),
        }
        if here.count() == 0 {
            self.by_address.remove(&address);
        }
    }

    /// Connections from this address.
    pub fn count(&self, address: Address) -> usize {
        self.by_address.get(&address).map_or(0, Here::count)
    }

    /// Whether one more may come from this address, of which `per_address_max` may be here (0: any number), to a port that has
    /// no free place when it is full. An address beyond its share pushes out only its own.
    pub fn room(&self, address: Address, per_address_max: usize, is_full: bool) -> Room {
        let goes = match (per_address_max > 0 && self.count(address) >= per_address_max, is_full) {
            (true, _) => self.stranger_of(address),
            (false, true) => self.worst_stranger(),
            (false, false) => return Room::Free,
        };
        goes.map_or(Room::None, Room::InsteadOf)
    }

    /// The oldest stranger of this address.
    pub fn stranger_of(&self, address: Address) -> Option<usize> {
        self.by_address.get(&address).and_then(|here| here.strangers.front()).copied()
    }

    /// The stranger who goes when there is no room: the oldest of the address that has most of them.
    pub fn worst_stranger(&self) -> Option<usize> {
        let most = self.by_address.values().max_by_key(|here| here.strangers.len())?;
        most.strangers.front().copied()
    }
}

impl Here {
    fn count(&self) -> usize {
        self.members + self.strangers.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(n: u32) -> Address {
        IpAddr::V4(Ipv4Addr::from_bits(n)).into()
    }

    #[test]
    fn an_address_beyond_its_share_pushes_out_only_its_own() {
        let mut census = Census::default();
        (0..3).for_each(|place| census.arrive(address(1), place));
        census.arrive(address(2), 3);
        assert_eq!(census.room(address(2), 2, false), Room::Free);
        assert_eq!(census.room(address(2), 2, true), Room::InsteadOf(0));
        assert_eq!(census.room(address(2), 1, false), Room::InsteadOf(3));
        census.enter(address(2), 3);
        assert_eq!(census.room(address(2), 1, false), Room::None);
        assert_eq!(census.room(address(2), 0, false), Room::Free);
        (0..3).for_each(|place| census.enter(address(1), place));
        assert_eq!(census.room(address(9), 1, true), Room::None);
    }

    #[test]
    fn the_oldest_stranger_of_the_address_that_has_most_goes_first() {
        let mut census = Census::default();
        assert_eq!(census.worst_stranger(), None);
        census.arrive(address(1), 10);
        for place in 20..25 {
            census.arrive(address(2), place);
        }
        assert_eq!((census.worst_stranger(), census.stranger_of(address(1))), (Some(20), Some(10)));
        // Those with a login do not count, however many there are.
        for place in 20..25 {
            census.enter(address(2), place);
        }
        assert_eq!((census.worst_stranger(), census.count(address(2))), (Some(10), 5));
        census.leave(address(1), 10, false);
        assert_eq!((census.worst_stranger(), census.stranger_of(address(2))), (None, None));
        (20..25).for_each(|place| census.leave(address(2), place, true));
        assert!(census.by_address.is_empty(), "nothing is left of whom has gone");
    }
}
