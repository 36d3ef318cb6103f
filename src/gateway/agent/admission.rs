//! Who comes and goes: connections from the listener, verdicts from the door, changes of who may come in.

use std::io::ErrorKind;

use mio::{Interest, Token};

use super::GatewayAgent;
use super::sockets::Peer;
use crate::door::census::Room;
use crate::door::{Knock, Outside};
use crate::gateway::session::{Client, Ending};
use crate::limits;
use crate::model::Nanos;
use crate::soup::arrival::Arrival;
use crate::soup::login::Login;
use crate::soup::packet::Reject;
use crate::sys::stream::{Stream, is_out_of_descriptors};

impl GatewayAgent {
    /// Accepts until nobody knocks. What fails or is left is tried again later: an edge-triggered listener does not
    /// say it twice, and trying at once would spin while there are no file descriptors. When there are none a stranger
    /// gives up its own.
    pub(super) fn accept_some(&mut self, now: Nanos) -> usize {
        self.ts_accept = None;
        for count in 0..limits::ACCEPTS_PER_POLL {
            match self.listener.accept() {
                Ok((socket, peer)) => {
                    let stream = Stream::Tcp(socket);
                    self.welcome(Arrival { stream, address: peer.ip(), account: None }, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    self.counts.accept_failures += 1;
                    match self.census.worst_stranger().filter(|_| is_out_of_descriptors(&error)) {
                        Some(place) => self.evict(place),
                        None => {
                            self.ts_accept = Some(now + limits::ACCEPT_RETRY);
                            return count;
                        }
                    }
                }
            }
        }
        self.ts_accept = Some(now);
        limits::ACCEPTS_PER_POLL
    }

    /// Takes connections that another agent has accepted.
    pub(super) fn take_arrivals(&mut self, now: Nanos) -> usize {
        for count in 0..limits::ACCEPTS_PER_POLL {
            let Some(arrival) = self.arrivals.as_ref().and_then(|arrivals| arrivals.try_recv().ok()) else {
                return count;
            };
            self.welcome(arrival, now);
        }
        limits::ACCEPTS_PER_POLL
    }

    fn welcome(&mut self, arrival: Arrival, now: Nanos) {
        let is_beyond = arrival.stream.is_beyond(self.settings.descriptors_max);
        let is_full = self.peer_count == self.peers.len() || is_beyond;
        let per_address_max = self.settings.limits.sessions_per_address_max;
        let room = match self.ts_closing {
            None => self.census.room(arrival.address.into(), per_address_max, is_full),
            Some(_) => Room::None,
        };
        if let Room::InsteadOf(place) = room {
            self.evict(place);
        }
        let free = self.peers.iter().position(Option::is_none).filter(|_| room != Room::None);
        let Some(place) = free else { return self.counts.connections_refused += 1 };
        let client = Client::new(self.settings.limits.deadlines, now);
        let mut peer = Peer::new(arrival, self.counts.connections + 1, client);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut peer.socket, Token(place), interest);
        if registered.and_then(|()| peer.socket.set_nodelay()).is_err() {
            self.counts.connections_refused += 1;
            return;
        }
        self.census.arrive(peer.address, place);
        self.counts.connections = peer.serial;
        self.peers[place] = Some(peer);
        self.peer_count += 1;
        self.places_used = self.places_used.max(place + 1);
        self.waking.wake(place);
    }

    /// Closes a connection without a login: places that are held without a password must not keep out those who have one.
    fn evict(&mut self, place: usize) {
        self.counts.evicted += 1;
        self.close_now(place);
    }

    pub(super) fn close_now(&mut self, place: usize) {
        let Some(mut peer) = self.peers[place].take() else { return };
        let _ = self.poll.registry().deregister(&mut peer.socket);
        self.waking.leave(place);
        self.peer_count -= 1;
        while self.places_used > 0 && self.peers[self.places_used - 1].is_none() {
            self.places_used -= 1;
        }
        self.counts.closed += 1;
        self.census.leave(peer.address, place, peer.login.is_some());
        match peer.login {
            None => self.door.forget(peer.serial),
            Some(login) if self.places[login as usize] == Some(place) => self.places[login as usize] = None,
            Some(_) => {}
        }
    }

    /// Asks the door about a login.
    pub(super) fn knock(&mut self, place: usize, login: Login) {
        let Some(peer) = &self.peers[place] else { return };
        let Peer { serial, address, proven, .. } = *peer;
        self.door.knock(Knock { place, serial, address, login, proven });
    }

    /// Acts on what the door says.
    pub(super) fn take_verdicts(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        while count < limits::VERDICTS_PER_CYCLE
            && let Some(verdict) = self.door.verdict(now)
        {
            count += 1;
            // Who may come in now: the door may know more logins than were known here.
            self.take_notice(now);
            let knock = &verdict.knock;
            let peer = self.peers[knock.place].as_ref();
            // The place may be somebody else's by now, or its connection past its deadline.
            if !peer.is_some_and(|peer| peer.serial == knock.serial && peer.client.ending == Ending::No) {
                continue;
            }
            self.counts.logins_held_off += u64::from(verdict.result == Err(Outside::HeldOff));
            match verdict.result {
                Ok(login) => self.log_in(knock.place, login, &knock.login, now),
                Err(_) => self.refuse(knock.place, Reject::NotAuthorized, now),
            }
        }
        count
    }

    fn log_in(&mut self, place: usize, login: u32, request: &Login, now: Nanos) {
        let pass = self.passes.get(login as usize).copied().flatten();
        let (Some(peer), Some(pass)) = (&mut self.peers[place], pass) else {
            return self.refuse(place, Reject::NotAuthorized, now);
        };
        // A drop copy reads the stream of all.
        let reads = self.names.get(usize::from(pass.account)).filter(|_| !pass.is_drop_copy);
        if let Err(reason) = peer.client.accept(request, &self.logs, reads, now) {
            return self.refuse(place, reason, now);
        }
        peer.login = Some(login);
        if let Some(stream) = peer.client.stream(&self.logs) {
            self.waking.enter(place, stream);
        }
        self.census.enter(peer.address, place);
        self.counts.logins += 1;
        self.waking.wake(place);
        if let Some(before) = self.places[login as usize].replace(place) {
            self.counts.replaced += 1;
            self.dismiss(before, "replaced by another connection of this login", now);
        }
        // What came behind the login has been read already.
        self.listen(place, now);
    }

    /// Ends a connection that has done nothing wrong, and tells it why.
    fn dismiss(&mut self, place: usize, why: &str, now: Nanos) {
        if let Some(peer) = &mut self.peers[place] {
            peer.client.cut(why, now);
            self.waking.wake(place);
        }
    }

    /// Gives accounts that have come a stream, as far as the log has room. One that gets none waits: whoever sent it sees that.
    pub(super) fn meet_newcomers(&mut self) {
        let Some(newcomers) = &mut self.newcomers else { return };
        while self.logs.current().room() > 1
            && let Some(name) = newcomers.first()
            && self.logs.current_mut().add_account(&name).is_some()
        {
            self.names.push(name);
            self.intake.name(&name, self.logs.current());
            newcomers.is_met();
        }
    }

    /// Takes over who may come in, if that has changed.
    pub(super) fn take_notice(&mut self, now: Nanos) {
        let Some(notice) = self.door.notice() else { return };
        self.settings.limits = notice.limits;
        let count = notice.passes.len().max(self.places.len());
        self.places.resize(count, None);
        self.passes.resize(count, None);
        for (login, pass) in notice.passes.into_iter().enumerate() {
            let before = std::mem::replace(&mut self.passes[login], pass);
            let goes = before != pass && before.is_some();
            if let Some(place) = self.places[login].filter(|_| goes) {
                self.counts.removed += 1;
                self.dismiss(
                    place,
                    if pass.is_none() { "this login was removed" } else { "this login's stream is another now" },
                    now,
                );
            }
        }
    }
}
