//! Serving one connection: its requests in, its answers out.

use std::sync::atomic::Ordering;

use super::connection::{Connection, Ending, Farewell, Held};
use super::{ControlAgent, wake};
use crate::control::sequencer::Offer;
use crate::control::session::Admission;
use crate::control::wire::{Answer, Ask, Code, Field, Malformed, Request};
use crate::limits::{LOG_FULL_RETRY_MS, REQUESTS_PER_CYCLE};
use crate::model::Nanos;
use crate::soup::login::Login as LoginRequest;
use crate::soup::packet::rejected;
use crate::soup::server::{Input, Violation};

/// How a connection's input stands after a round.
enum Round {
    /// There is more to do at once.
    More,
    /// It waits for its socket.
    Idle,
    /// Its next request waits for a shard's ring: to be tried again in the next cycle.
    WaitsForShard,
    /// Its next request waits for an answer, or until answers were sent: that wakes it.
    WaitsForRoom,
}

/// What the connection's next piece of input is, apart from its buffer.
enum Next {
    Login(LoginRequest),
    Request,
    Logout,
    Nothing,
}

impl ControlAgent {
    /// A bounded amount of a connection's input and output. Returns how much was done.
    pub(super) fn serve(&mut self, slot: usize, now: Nanos) -> usize {
        let Some(connection) = &mut self.connections[slot] else { return 0 };
        connection.is_queued = false;
        let mut work = 0;
        let round = match connection.ending {
            Ending::No if self.ts_close.is_none() => self.serve_input(slot, now, &mut work),
            Ending::Draining => self.drain(slot, now),
            _ => Ok(Round::Idle),
        };
        let Some(connection) = &mut self.connections[slot] else { return work };
        let login = connection.login.map(|login| &self.logins[login as usize]);
        let written = connection.write(login, now);
        let (Ok(round), Ok(written)) = (round, written) else {
            self.drop_connection(slot);
            return work + 1;
        };
        let is_draining = matches!(connection.ending, Ending::Draining);
        let wants_write = connection.has_output(login) && connection.is_writable;
        self.note_sent(slot);
        let wants_more = match round {
            Round::More | Round::WaitsForShard => true,
            Round::WaitsForRoom => written > 0,
            Round::Idle => is_draining && self.is_readable(slot),
        };
        if wants_more || wants_write {
            wake(Some(slot), &mut self.connections, &mut self.queue);
        }
        work + written
    }

    fn is_readable(&self, slot: usize) -> bool {
        self.connections[slot].as_ref().is_some_and(|connection| connection.is_readable)
    }

    /// The login's room grows with what its own connection has sent.
    fn note_sent(&mut self, slot: usize) {
        if let Some(connection) = &self.connections[slot]
            && let Some(login) = connection.login
            && self.connected[login as usize] == Some(slot)
        {
            self.logins[login as usize].sent = connection.sent;
        }
    }

    /// Reads and throws away. An error: the client has closed too.
    fn drain(&mut self, slot: usize, now: Nanos) -> std::io::Result<Round> {
        let Some(connection) = &mut self.connections[slot] else { return Ok(Round::Idle) };
        connection.read(now)?;
        Ok(Round::Idle)
    }

    fn serve_input(&mut self, slot: usize, now: Nanos, work: &mut usize) -> std::io::Result<Round> {
        for _ in 0..REQUESTS_PER_CYCLE {
            let Some(connection) = &mut self.connections[slot] else { return Ok(Round::Idle) };
            if !matches!(connection.ending, Ending::No) {
                return Ok(Round::Idle);
            }
            if connection.held.is_none() {
                match next(connection, &self.logins) {
                    Ok(Next::Request) => (),
                    Ok(Next::Login(login)) => self.knock(slot, login),
                    Ok(Next::Logout) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(Next::Nothing) if !connection.is_readable || !connection.read(now)? => return Ok(Round::Idle),
                    Ok(Next::Nothing) => (),
                    Err(violation) => {
                        self.cut(slot, violation, now);
                        return Ok(Round::Idle);
                    }
                }
            }
            match self.offer(slot, now) {
                Round::More => *work += 1,
                waits => return Ok(waits),
            }
        }
        Ok(Round::More)
    }

    /// Offers the held request, if there is one. `More`: it is taken or refused, and no longer held.
    fn offer(&mut self, slot: usize, now: Nanos) -> Round {
        if self.journaling.room() == 0 {
            return Round::WaitsForShard;
        }
        let Some(connection) = &mut self.connections[slot] else { return Round::Idle };
        let (Some(held), Some(id)) = (connection.held, connection.login) else { return Round::More };
        let login = &mut self.logins[id as usize];
        let ask = held.request.as_ref().ok().map(|request| &request.ask);
        let admission = match held.is_admitted {
            true if login.has_room(ask) => Admission::Yes,
            true => Admission::Wait,
            false => login.admit(ask, now),
        };
        let refusal = match (admission, held.request) {
            (Admission::Wait, _) => {
                self.counts.waits_room += u64::from(!connection.is_stopped);
                connection.is_stopped = true;
                return Round::WaitsForRoom;
            }
            (Admission::Rate(ms), Ok(Request { id, .. }) | Err(Malformed { id, .. })) => {
                Answer::refused(id, Code::Rate, Field::None, ms)
            }
            (Admission::Yes, Err(Malformed { id, code, field })) => Answer::refused(id, code, field, 0),
            (Admission::Yes, Ok(request)) if !login.may_change && !matches!(request.ask, Ask::List { .. }) => {
                Answer::refused(request.id, Code::NotPermitted, Field::None, 0)
            }
            (Admission::Yes, Ok(request))
                if matches!(request.ask, Ask::Set(..)) && self.log_full.load(Ordering::Relaxed) =>
            {
                Answer::refused(request.id, Code::LogFull, Field::None, LOG_FULL_RETRY_MS)
            }
            (Admission::Yes, Ok(request)) => {
                let commands = &mut self.commands;
                let mut send = |shard: usize, command| commands[shard].send(command);
                match self.sequencer.offer(id, login.account, &request, &mut send) {
                    Offer::Taken => {
                        login.took(&request.ask);
                        self.counts.requests += 1;
                        let_go(connection, now);
                        return Round::More;
                    }
                    Offer::Busy => {
                        self.counts.waits_shard += u64::from(!connection.is_stopped);
                        connection.is_stopped = true;
                        connection.held = Some(Held { is_admitted: true, ..held });
                        let is_walk = self.sequencer.is_walking(id);
                        return if is_walk { Round::WaitsForRoom } else { Round::WaitsForShard };
                    }
                    Offer::Refused(code, field) => Answer::refused(request.id, code, field, 0),
                }
            }
        };
        login.refuse(refusal.encode().bytes());
        // A refusal waits behind the answers before it.
        if !self.journaling.hold(id, login.answers.mark()) {
            login.answers.release(login.answers.mark());
        }
        self.counts.refused += 1;
        self.counts.answers += 1;
        let_go(connection, now);
        Round::More
    }

    fn cut(&mut self, slot: usize, violation: Violation, now: Nanos) {
        let Some(connection) = &mut self.connections[slot] else { return };
        self.counts.cut += 1;
        let login = connection.login.map(|login| &self.logins[login as usize]);
        if let Some(reject) = violation.reject() {
            let _ = connection.out.push(&rejected(reject));
        }
        let last = connection.login.map(|_| Farewell::Debug(violation.to_string()));
        connection.end(login, last, now);
    }
}

/// The request is off the connection's hands, and its input moves again.
fn let_go(connection: &mut Connection, now: Nanos) {
    connection.held = None;
    if std::mem::take(&mut connection.is_stopped) {
        connection.soup.resume(now);
    }
}

/// The connection's next piece of input; a request is decoded and held.
fn next(connection: &mut Connection, logins: &[crate::control::session::Login]) -> Result<Next, Violation> {
    let account = connection.login.map_or(0, |login| logins[login as usize].account);
    Ok(match connection.soup.input()? {
        None => Next::Nothing,
        Some(Input::Login(login)) => Next::Login(login),
        Some(Input::Logout) => Next::Logout,
        Some(Input::Unsequenced(message)) => {
            connection.held = Some(Held { request: Request::read(message, account), is_admitted: false });
            Next::Request
        }
    })
}
