//! The door of both ports: who may come in, who must wait, and who comes too often.
//!
//! ```text
//!  control --Knock--> +-------------------------------------------+
//!          <-Verdict- | checker, a thread of its own:             |
//!                     |  back-off per address                     |
//!  gateway --Knock--> |  remembered pair, plain password: at once |
//!          <-Verdict- |  argon2: one at a time, in order of merit |
//!                     +-------------------------------------------+
//!          <-Notice-- whoever reads the config anew
//! ```
//!
//! A port asks and goes on; the connection waits within its login deadline. One question an address at a time and
//! [`CHECKS_MAX`](crate::limits::CHECKS_MAX) in all: what is beyond waits at the port, so no address fills the checker's queue.
//! Each end is a plain value that a test steps by hand; only [`Checker::begin`] may make a thread.

pub mod backoff;
pub mod census;
mod checker;
pub mod names;
pub mod newcomers;
pub mod password;
mod port;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::Sender;

pub use checker::Checker;
pub use port::{Door, doors};

use crate::limits::SESSIONS_PER_ADDRESS_MAX;
use crate::model::AccountId;
use crate::soup::login::{Credentials, Login, USER_SIZE};
use crate::soup::server::Deadlines;
use password::Secret;

/// Where a client comes from, as far as limits go: an IPv4 address, or the /64 network of an IPv6 one, of which whoever has
/// one address has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address.to_canonical() {
            IpAddr::V4(address) => Address(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Address(address.to_bits() & !u128::from(u64::MAX)),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(address.0)).to_canonical()
    }
}

/// What a login may do once it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The account whose rules it sets and whose alerts it sees.
    pub account: AccountId,
    /// It may list, not change, and sees the alerts of all accounts.
    pub is_drop_copy: bool,
}

/// Someone who may come in, as the checker knows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The user name, folded and padded.
    pub user: [u8; USER_SIZE],
    /// What proves it.
    pub secret: Secret,
    /// The login's number, the same as long as the process lives.
    pub login: u32,
    /// Its account: a client certificate may prove one.
    pub account: AccountId,
}

impl Member {
    /// One whose password is known here.
    pub fn plain(credentials: &Credentials, login: u32, account: AccountId) -> Member {
        Member { user: credentials.user, secret: Secret::Plain(credentials.password), login, account }
    }
}

/// A login that a port wants to have checked.
#[derive(Clone, Copy, Debug)]
pub struct Knock {
    /// The port's place for the connection,
    pub place: usize,
    /// and a number that no other connection of the port ever has: the place may be somebody else's when the verdict comes.
    pub serial: u64,
    /// Where the connection comes from.
    pub address: Address,
    /// What it sent.
    pub login: Login,
    /// The account that its client certificate proves, if it has one: only that account's logins are good then.
    pub proven: Option<AccountId>,
}

/// Why somebody stays outside. Clients are told one and the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// User, password or certificate are not right.
    Wrong,
    /// Too many wrong ones came from this address: nothing was checked.
    HeldOff,
}

/// What became of a knock.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// The question.
    pub knock: Knock,
    /// The login's number.
    pub result: Result<u32, Outside>,
}

/// Limits of clients that may change while the engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections of one address at one port; 0: no bound but that of all.
    pub sessions_per_address_max: usize,
    /// Requests of one login a second; 0: no bound.
    pub requests_per_second_max: u32,
    /// How long a connection may take.
    pub deadlines: Deadlines,
}

impl Default for ClientLimits {
    fn default() -> ClientLimits {
        ClientLimits {
            sessions_per_address_max: SESSIONS_PER_ADDRESS_MAX,
            requests_per_second_max: 0,
            deadlines: Deadlines::default(),
        }
    }
}

/// What holds from now on, as a whole.
#[derive(Clone, Debug)]
pub struct Notice {
    /// By login number, and never fewer than before: what each may do; `None` for one that was taken out. The account of a
    /// number never changes.
    pub passes: Vec<Option<Pass>>,
    /// Limits of clients.
    pub limits: ClientLimits,
}

/// The way to the checker: an inquiry, and a wake-up for each.
#[derive(Clone)]
struct Inquiries {
    sender: Sender<Inquiry>,
    wake: Sender<()>,
}

impl Inquiries {
    fn send(&self, inquiry: Inquiry) {
        // A checker that has gone lets nobody in any more.
        let _ = self.sender.send(inquiry);
        let _ = self.wake.send(());
    }
}

/// What comes to the checker.
enum Inquiry {
    /// From this port.
    Knock(usize, Knock),
    /// All who may come in from now on.
    Roll(Vec<Member>),
}

/// The end that changes who may come in, for whoever reads the config anew.
pub struct Reception {
    to_checker: Inquiries,
    to_ports: Vec<Sender<Notice>>,
}

impl Reception {
    /// Tells the ports and then the checker: a port knows every login that the checker can let in.
    pub fn announce(&self, notice: &Notice, members: Vec<Member>) {
        // A port that has gone lets nobody in any more.
        for port in &self.to_ports {
            let _ = port.send(notice.clone());
        }
        self.to_checker.send(Inquiry::Roll(members));
    }
}
