//! Who comes and goes: connections from the listener, verdicts from the door, changes of who may come in.

use std::io;

use mio::{Interest, Token};

use super::connection::{Connection, Ending, Farewell};
use super::{ControlAgent, wake};
use crate::door::census::Room;
use crate::door::{Knock, Outside, Pass};
use crate::limits::{ACCEPT_RETRY_INTERVAL, ACCEPTS_PER_CYCLE, VERDICTS_PER_CYCLE};
use crate::model::Nanos;
use crate::soup::arrival::Arrival;
use crate::soup::login::Login as LoginRequest;
use crate::soup::packet::{Reject, accepted, rejected};
use crate::sys::stream::{Stream, is_out_of_descriptors};

impl ControlAgent {
    /// Accepts what waits, a bounded number. When there is no descriptor left a stranger gives up its own; when there is no
    /// stranger either, the client stays in the kernel's queue and is tried again after a pause.
    pub(super) fn accept(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        while self.is_accepting && now >= self.ts_accept && count < ACCEPTS_PER_CYCLE {
            count += 1;
            match self.listener.accept() {
                Ok((socket, peer)) => {
                    let stream = Stream::Tcp(socket);
                    self.open(Arrival { stream, address: peer.ip(), account: None }, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_accepting = false,
                // The client that gave up before it was accepted is nobody's loss.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                }
                Err(error) => {
                    self.counts.accept_failures += 1;
                    let stranger = self.census.worst_stranger().filter(|_| is_out_of_descriptors(&error));
                    match stranger {
                        Some(slot) => self.evict(slot),
                        None => self.ts_accept = now + ACCEPT_RETRY_INTERVAL,
                    }
                }
            }
        }
        count
    }

    /// Takes connections that another agent has accepted.
    pub(super) fn take_arrivals(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        while count < ACCEPTS_PER_CYCLE {
            let Some(arrival) = self.arrivals.as_ref().and_then(|arrivals| arrivals.try_recv().ok()) else { break };
            count += 1;
            self.open(arrival, now);
        }
        count
    }

    fn open(&mut self, arrival: Arrival, now: Nanos) {
        let is_full = self.free.is_empty() || arrival.stream.is_beyond(self.settings.descriptors_max);
        let per_address_max = self.settings.limits.sessions_per_address_max;
        match self.census.room(arrival.address.into(), per_address_max, is_full) {
            Room::Free => (),
            Room::InsteadOf(slot) => self.evict(slot),
            Room::None => return self.counts.connections_refused += 1,
        }
        let Some(slot) = self.free.pop() else { return };
        // Without it an answer could wait for the acknowledgement of the one before; a failure costs only that.
        let _ = arrival.stream.set_nodelay();
        let serial = self.counts.connections + 1;
        let mut connection = Connection::new(arrival, serial, self.settings.limits.deadlines, now);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut connection.socket, Token(slot + 1), interest).is_err() {
            self.counts.accept_failures += 1;
            self.free.push(slot);
            return;
        }
        self.counts.connections = serial;
        self.census.arrive(connection.address, slot);
        self.connections[slot] = Some(connection);
        wake(Some(slot), &mut self.connections, &mut self.queue);
    }

    /// Closes a connection without a login: places that are held without a password must not keep out those who have one.
    fn evict(&mut self, slot: usize) {
        self.counts.connections_evicted += 1;
        self.drop_connection(slot);
    }

    /// Closes a connection now.
    pub(super) fn drop_connection(&mut self, slot: usize) {
        let Some(mut connection) = self.connections[slot].take() else { return };
        // The descriptor is closed with the value; that ends its registration too.
        let _ = self.poll.registry().deregister(&mut connection.socket);
        self.census.leave(connection.address, slot, connection.login.is_some());
        match connection.login {
            None => self.door.forget(connection.serial),
            Some(login) if self.connected[login as usize] == Some(slot) => self.connected[login as usize] = None,
            Some(_) => (),
        }
        self.free.push(slot);
        self.queue.retain(|queued| *queued != slot);
    }

    /// Asks the door about a login.
    pub(super) fn knock(&mut self, slot: usize, login: LoginRequest) {
        let Some(connection) = &self.connections[slot] else { return };
        let Connection { serial, address, proven, .. } = *connection;
        self.door.knock(Knock { place: slot, serial, address, login, proven });
    }

    /// Acts on what the door says.
    pub(super) fn take_verdicts(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        while count < VERDICTS_PER_CYCLE
            && let Some(verdict) = self.door.verdict(now)
        {
            count += 1;
            // Who may come in now: the door may know more logins than were known here.
            self.take_notice(now);
            let knock = &verdict.knock;
            let connection = self.connections[knock.place].as_ref().filter(|connection| {
                // The place may be somebody else's by now, or its connection past its deadline.
                connection.serial == knock.serial && matches!(connection.ending, Ending::No)
            });
            if connection.is_none() {
                continue;
            }
            self.counts.logins_held_off += u64::from(verdict.result == Err(Outside::HeldOff));
            let login = verdict.result.ok().filter(|id| self.logins.get(*id as usize).is_some_and(|l| !l.is_removed));
            self.log_in(knock.place, login, &knock.login, now);
        }
        count
    }

    /// Answers a login: of `login`, or of nobody.
    fn log_in(&mut self, slot: usize, login: Option<u32>, request: &LoginRequest, now: Nanos) {
        let session = self.settings.session;
        let start = login.ok_or(Reject::NotAuthorized).and_then(|id| {
            let login = &mut self.logins[id as usize];
            // What the answers in flight will overwrite is not there any more for one who begins to read now.
            login.answers.make_room(login.reserved());
            let (oldest, next) = (login.answers.oldest_number(), login.answers.released().number);
            let number = request.start(&session, oldest, next)?;
            let position = login.answers.position(number).ok_or(Reject::SessionNotAvailable)?;
            Ok((id, number, position))
        });
        let Some(connection) = &mut self.connections[slot] else { return };
        match start {
            Err(reject) => {
                self.counts.logins_rejected += 1;
                // It fits: nothing was sent on this connection yet.
                let _ = connection.out.push(&rejected(reject));
                connection.end(None, None, now);
            }
            Ok((id, number, position)) => {
                self.counts.logins += 1;
                connection.soup.accept(request, now);
                connection.login = Some(id);
                connection.sent = position;
                let _ = connection.out.push(&accepted(&session, number));
                self.census.enter(connection.address, slot);
                self.logins[id as usize].sent = position;
                if let Some(earlier) = self.connected[id as usize].replace(slot) {
                    self.counts.replaced += 1;
                    self.dismiss(earlier, "replaced by a later login", now);
                }
            }
        }
        wake(Some(slot), &mut self.connections, &mut self.queue);
    }

    /// Ends a connection that has done nothing wrong, and tells it why.
    fn dismiss(&mut self, slot: usize, why: &str, now: Nanos) {
        let Some(connection) = &mut self.connections[slot] else { return };
        let login = connection.login.map(|login| &self.logins[login as usize]);
        connection.end(login, Some(Farewell::Debug(why.into())), now);
        wake(Some(slot), &mut self.connections, &mut self.queue);
    }

    /// Takes over who may come in and how much they may do, if that has changed.
    pub(super) fn take_notice(&mut self, now: Nanos) {
        let Some(notice) = self.door.notice() else { return };
        self.settings.limits = notice.limits;
        let bounds = self.settings.bounds();
        self.logins.iter_mut().for_each(|login| login.bound(bounds));
        for (id, pass) in notice.passes.iter().enumerate() {
            if id == self.logins.len() {
                // One that came and went before it was seen here still has its number.
                let pass = pass.unwrap_or(Pass { account: 0, is_drop_copy: true });
                self.logins.push(self.settings.login(&pass));
                self.connected.push(None);
            }
            let login = &mut self.logins[id];
            login.is_removed = pass.is_none();
            match (pass, self.connected[id]) {
                (Some(pass), _) => (login.account, login.may_change) = (pass.account, !pass.is_drop_copy),
                (None, Some(slot)) => {
                    self.counts.removed += 1;
                    self.dismiss(slot, "this login was removed", now);
                }
                (None, None) => (),
            }
        }
        self.sequencer.know_logins(self.logins.len());
    }
}
