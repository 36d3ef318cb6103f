//! A connection on its way to the agent of its port, from the port's own listener or from an agent that accepted for it.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::limits::ARRIVALS_MAX;
use crate::model::AccountId;
use crate::sys::stream::Stream;

/// A connection that has not said anything yet.
#[derive(Debug)]
pub struct Arrival {
    /// Its socket.
    pub stream: Stream,
    /// Where the client is, whoever accepted it.
    pub address: IpAddr,
    /// The account that a certificate has proven: only logins of that account are good here.
    pub account: Option<AccountId>,
}

impl Arrival {
    /// True when a login of this account may come in here.
    pub fn admits(account: Option<AccountId>, of_login: AccountId) -> bool {
        account.is_none_or(|proven| proven == of_login)
    }
}

/// A bounded way to hand arrivals to an agent: who hands over never waits, who takes never waits.
pub fn arrivals() -> (SyncSender<Arrival>, Receiver<Arrival>) {
    sync_channel(ARRIVALS_MAX)
}
