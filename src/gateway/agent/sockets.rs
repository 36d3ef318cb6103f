//! The agent's sockets: who comes, what they say, what they are owed, and when they go.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::Duration;

use super::super::logs::Logs;
use super::super::session::{Client, Ending, Flow};
use super::{GatewayAgent, LISTENER};
use crate::door::Address;
use crate::limits;
use crate::model::{AccountId, Nanos};
use crate::soup::arrival::Arrival;
use crate::soup::packet::Reject;
use crate::soup::server::{Input, Violation};
use crate::sys::stream::Stream;

/// A client and its socket.
pub(super) struct Peer {
    pub(super) socket: Stream,
    pub(super) client: Client,
    /// Which of all connections it is: see [`crate::door::Knock`].
    pub(super) serial: u64,
    pub(super) address: Address,
    /// The account that its certificate proves, if it has one.
    pub(super) proven: Option<AccountId>,
    pub(super) login: Option<u32>,
    /// It may have said more than was read.
    is_readable: bool,
    /// Its socket was full, and has not said yet that it takes more.
    is_blocked: bool,
    /// Our side has ended.
    is_half_closed: bool,
}

impl Peer {
    pub(super) fn new(arrival: Arrival, serial: u64, client: Client) -> Peer {
        Peer {
            socket: arrival.stream,
            client,
            serial,
            address: arrival.address.into(),
            proven: arrival.account,
            login: None,
            is_readable: true,
            is_blocked: false,
            is_half_closed: false,
        }
    }

    /// True when it may have said more, and that is to be read now: not while its login waits for its answer.
    fn is_to_be_read(&self) -> bool {
        self.is_readable && (self.client.ending != Ending::No || !self.client.connection.is_waiting())
    }

    /// True when something is to be sent, be it the end of our side, and its socket may take it.
    #[inline]
    fn is_owed(&self, logs: &Logs) -> bool {
        let is_ending = self.client.ending != Ending::No;
        let is_behind = !is_ending && self.client.is_behind(logs);
        !self.is_blocked && (is_behind || !self.client.is_flushed() || (is_ending && !self.is_half_closed))
    }
}

impl GatewayAgent {
    /// Looks at those who were woken: reads what they may have said, sends what they are owed.
    pub(super) fn serve(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        // Each that was woken once at most, and of those that want something a bounded number.
        for _ in 0..self.waking.count() {
            if work >= limits::CONNECTIONS_PER_CYCLE {
                break;
            }
            let Some(place) = self.waking.next() else { break };
            if self.peers[place].as_ref().is_some_and(Peer::is_to_be_read) {
                work += 1;
                self.read(place, now);
            }
            if self.peers[place].as_ref().is_some_and(|peer| peer.is_owed(&self.logs)) {
                work += self.send(place, now);
            }
        }
        work
    }

    pub(super) fn send(&mut self, place: usize, now: Nanos) -> usize {
        let Some(peer) = &mut self.peers[place] else { return 0 };
        if peer.is_blocked {
            return 0;
        }
        let mut socket = self.timing.socket(&mut peer.socket, &self.clock);
        let flow = peer.client.send(&self.logs, &mut socket, now);
        if let Some(times) = socket.seen(self.ts_logged) {
            (self.on_written)(times);
        }
        match flow {
            Flow::More => self.waking.wake(place),
            Flow::Blocked => peer.is_blocked = true,
            Flow::Gone => self.close_now(place),
            Flow::Lagged => self.cut_lagged(place, now),
            Flow::CaughtUp => self.half_close(place),
        }
        1
    }

    fn cut_lagged(&mut self, place: usize, now: Nanos) {
        if let Some(peer) = &mut self.peers[place] {
            self.counts.lagged += 1;
            self.waking.wake(place);
            peer.client.cut("behind the retention of the alert log", now);
        }
    }

    /// Ends our side of a client that is being closed and has got all.
    fn half_close(&mut self, place: usize) {
        if let Some(peer) = &mut self.peers[place]
            && peer.client.ending != Ending::No
            && !peer.is_half_closed
        {
            peer.is_half_closed = true;
            if peer.socket.shutdown(Shutdown::Write).is_err() {
                self.close_now(place);
            }
        }
    }

    fn read(&mut self, place: usize, now: Nanos) {
        for _ in 0..limits::READS_PER_CYCLE {
            let Some(peer) = self.peers[place].as_mut().filter(|peer| peer.is_to_be_read()) else { return };
            let mut ignored = [0; limits::SOUP_BUFFER_SIZE_MIN];
            let is_ending = peer.client.ending != Ending::No;
            let space = if is_ending { &mut ignored[..] } else { peer.client.connection.space() };
            match peer.socket.read(space) {
                Ok(0) => return self.close_now(place),
                Ok(_) if is_ending => {}
                Ok(count) => {
                    self.counts.bytes_received += count as u64;
                    peer.client.connection.received(count, now);
                    self.listen(place, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    peer.is_readable = false;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.close_now(place),
            }
        }
        self.waking.wake(place);
    }

    /// Acts on what a client said.
    pub(super) fn listen(&mut self, place: usize, now: Nanos) {
        loop {
            let Some(peer) = &mut self.peers[place] else { return };
            if peer.client.ending != Ending::No {
                return;
            }
            match peer.client.connection.input() {
                Ok(None) => return,
                Ok(Some(Input::Login(login))) => self.knock(place, login),
                Ok(Some(Input::Unsequenced(_))) => {
                    self.counts.violations += 1;
                    self.waking.wake(place);
                    peer.client.cut("this port takes no messages", now);
                }
                Ok(Some(Input::Logout)) => return self.close_now(place),
                Err(violation) => match violation.reject() {
                    Some(reason) => self.refuse(place, reason, now),
                    None => {
                        self.counts.violations += 1;
                        peer.client.cut(&violation.to_string(), now);
                        self.waking.wake(place);
                    }
                },
            }
        }
    }

    pub(super) fn refuse(&mut self, place: usize, reason: Reject, now: Nanos) {
        self.counts.logins_refused += 1;
        self.waking.wake(place);
        if let Some(peer) = &mut self.peers[place] {
            peer.client.reject(reason, now);
        }
    }

    pub(super) fn look_at_sockets(&mut self, now: Nanos) -> usize {
        self.ts_polled = now;
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return 0;
        }
        let (mut work, mut is_knocked) = (0, self.ts_accept.is_some_and(|ts| now >= ts));
        for event in &self.events {
            work += 1;
            if event.token() == LISTENER {
                is_knocked = true;
            } else if let Some(Some(peer)) = self.peers.get_mut(event.token().0) {
                peer.is_readable |= event.is_readable() || event.is_error() || event.is_read_closed();
                peer.is_blocked &= !event.is_writable();
                self.waking.wake(event.token().0);
            }
        }
        if is_knocked {
            work += self.accept_some(now);
        }
        work + self.take_arrivals(now)
    }

    pub(super) fn look_at_deadlines(&mut self, now: Nanos) {
        self.ts_deadlines = now;
        for place in 0..self.places_used {
            let Some(peer) = &mut self.peers[place] else { continue };
            match peer.client.ending {
                Ending::Since(since) if now.saturating_sub(since) >= limits::LINGER => self.close_now(place),
                Ending::Since(_) => {}
                // One whose socket is full does not find out by sending.
                Ending::No if peer.client.is_lagged(&self.logs) => self.cut_lagged(place, now),
                Ending::No => match peer.client.connection.overdue(now) {
                    // What has come and was not read yet is read first: then it may not be silent at all. A login that is
                    // late stays late, whatever comes behind it.
                    Some(violation) if peer.is_readable && violation != Violation::LoginLate => {}
                    Some(violation) => {
                        self.counts.violations += 1;
                        peer.client.cut(&violation.to_string(), now);
                        self.waking.wake(place);
                    }
                    None => peer.client.beat(&self.logs, now),
                },
            }
            if self.peers[place].as_ref().is_some_and(|peer| peer.is_owed(&self.logs)) {
                self.waking.wake(place);
            }
        }
    }
}
