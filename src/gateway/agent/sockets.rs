//! The agent's sockets: who comes, what they say, what they are owed, and when they go.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::Duration;

use mio::{Interest, Token};

use super::super::logs::Logs;
use super::super::session::{Client, Ending, Flow};
use super::{Access, GatewayAgent, LISTENER};
use crate::limits;
use crate::model::{AccountId, Nanos};
use crate::soup::arrival::Arrival;
use crate::soup::login::Login;
use crate::soup::packet::Reject;
use crate::soup::server::Input;
use crate::sys::stream::Stream;

/// A client and its socket.
pub(super) struct Peer {
    pub(super) socket: Stream,
    pub(super) client: Client,
    /// The account that its certificate proves, if it has one.
    proven: Option<AccountId>,
    login: Option<usize>,
    /// It may have said more than was read.
    is_readable: bool,
    /// Its socket was full, and has not said yet that it takes more.
    is_blocked: bool,
    /// Our side has ended.
    is_half_closed: bool,
}

impl Peer {
    /// True when something is to be sent, be it the end of our side, and its socket may take it.
    #[inline]
    fn is_owed(&self, logs: &Logs) -> bool {
        let is_ending = self.client.ending != Ending::No;
        let is_behind = !is_ending && self.client.is_behind(logs);
        !self.is_blocked && (is_behind || !self.client.is_flushed() || (is_ending && !self.is_half_closed))
    }
}

impl GatewayAgent {
    /// Sends to all who are behind, and reads from all who may have said more.
    pub(super) fn serve(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        self.has_more = false;
        for place in 0..self.places_used {
            if self.peers[place].as_ref().is_some_and(|peer| peer.is_readable) {
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
            Flow::More => self.has_more = true,
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
            self.has_more = true;
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
            let Some(peer) = &mut self.peers[place] else { return };
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
        self.has_more = true;
    }

    /// Acts on what a client said.
    fn listen(&mut self, place: usize, now: Nanos) {
        loop {
            let Some(peer) = &mut self.peers[place] else { return };
            if peer.client.ending != Ending::No {
                return;
            }
            match peer.client.connection.input() {
                Ok(None) => return,
                Ok(Some(Input::Login(login))) => self.log_in(place, &login, now),
                Ok(Some(Input::Unsequenced(_))) => {
                    self.counts.violations += 1;
                    self.has_more = true;
                    peer.client.cut("this port takes no messages", now);
                }
                Ok(Some(Input::Logout)) => return self.close_now(place),
                Err(violation) => match violation.reject() {
                    Some(reason) => self.refuse(place, reason, now),
                    None => {
                        self.counts.violations += 1;
                        peer.client.cut(&violation.to_string(), now);
                        self.has_more = true;
                    }
                },
            }
        }
    }

    fn refuse(&mut self, place: usize, reason: Reject, now: Nanos) {
        self.counts.logins_refused += 1;
        self.has_more = true;
        if let Some(peer) = &mut self.peers[place] {
            peer.client.reject(reason, now);
        }
    }

    fn log_in(&mut self, place: usize, login: &Login, now: Nanos) {
        let Some(peer) = &mut self.peers[place] else { return };
        let admits = |access: &Access| Arrival::admits(peer.proven, access.account);
        let Some(access) = self.logins.find(&login.credentials).copied().filter(admits) else {
            return self.refuse(place, Reject::NotAuthorized, now);
        };
        if let Err(reason) = peer.client.accept(login, &self.logs, access.reads.as_ref(), now) {
            return self.refuse(place, reason, now);
        }
        peer.login = Some(access.login);
        self.counts.logins += 1;
        self.has_more = true;
        if let Some(before) = self.places[access.login].replace(place)
            && let Some(peer) = &mut self.peers[before]
        {
            self.counts.replaced += 1;
            peer.client.cut("replaced by another connection of this login", now);
        }
    }

    pub(super) fn close_now(&mut self, place: usize) {
        if let Some(mut peer) = self.peers[place].take() {
            let _ = self.poll.registry().deregister(&mut peer.socket);
            self.peer_count -= 1;
            while self.places_used > 0 && self.peers[self.places_used - 1].is_none() {
                self.places_used -= 1;
            }
            self.counts.closed += 1;
            if let Some(login) = peer.login
                && self.places[login] == Some(place)
            {
                self.places[login] = None;
            }
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
            }
        }
        if is_knocked {
            work += self.accept_some(now);
        }
        work += self.take_arrivals(now);
        self.has_more |= work > 0;
        work
    }

    /// Accepts until nobody knocks. What fails or is left is tried again later: an edge-triggered listener does not
    /// say it twice, and trying at once would spin while there are no file descriptors.
    fn accept_some(&mut self, now: Nanos) -> usize {
        self.ts_accept = None;
        for count in 0..limits::ACCEPTS_PER_POLL {
            match self.listener.accept() {
                Ok((socket, address)) => {
                    let stream = Stream::Tcp(socket);
                    self.welcome(Arrival { stream, address: address.ip(), account: None }, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    self.counts.accept_failures += 1;
                    self.ts_accept = Some(now + limits::ACCEPT_RETRY);
                    return count;
                }
            }
        }
        self.ts_accept = Some(now);
        limits::ACCEPTS_PER_POLL
    }

    fn take_arrivals(&mut self, now: Nanos) -> usize {
        for count in 0..limits::ACCEPTS_PER_POLL {
            let Some(arrival) = self.arrivals.as_ref().and_then(|arrivals| arrivals.try_recv().ok()) else {
                return count;
            };
            self.welcome(arrival, now);
        }
        limits::ACCEPTS_PER_POLL
    }

    fn welcome(&mut self, arrival: Arrival, now: Nanos) {
        let Arrival { stream: mut socket, account: proven, .. } = arrival;
        if self.peer_count == self.peers.len() {
            self.evict();
        }
        let free = self.peers.iter().position(Option::is_none).filter(|_| self.ts_closing.is_none());
        let Some(place) = free else {
            self.counts.connections_refused += 1;
            return;
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut socket, Token(place), interest);
        if registered.and_then(|()| socket.set_nodelay()).is_err() {
            self.counts.connections_refused += 1;
            return;
        }
        let client = Client::new(self.settings.deadlines, now);
        let (is_readable, is_blocked, is_half_closed) = (true, false, false);
        self.peers[place] = Some(Peer { socket, client, proven, login: None, is_readable, is_blocked, is_half_closed });
        self.peer_count += 1;
        self.places_used = self.places_used.max(place + 1);
        self.counts.connections += 1;
    }

    /// Closes the connection that has been without a login for longest: places that are held without a password must
    /// not keep out those who have one.
    fn evict(&mut self) {
        let strangers = self.peers.iter().enumerate().filter_map(|(place, peer)| {
            let peer = peer.as_ref().filter(|peer| peer.login.is_none())?;
            Some((peer.client.connection.ts_accepted(), place))
        });
        if let Some((_, place)) = strangers.min() {
            self.counts.evicted += 1;
            self.close_now(place);
        }
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
                    // What has come and was not read yet is read first: then it may not be silent at all.
                    Some(_) if peer.is_readable => {}
                    Some(violation) => {
                        self.counts.violations += 1;
                        peer.client.cut(&violation.to_string(), now);
                        self.send(place, now);
                    }
                    None => peer.client.beat(&self.logs, now),
                },
            }
            self.has_more |= self.peers[place].as_ref().is_some_and(|peer| peer.is_owed(&self.logs));
        }
    }
}
