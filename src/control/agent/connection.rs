//! One client's socket: what was read and not understood yet, what is to be written, and how it ends.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use crate::control::sequencer::LoginId;
use crate::control::session::Login;
use crate::control::wire::{Malformed, Request};
use crate::door::Address;
use crate::limits::{
    CONTROL_MESSAGE_SIZE_MAX, FAREWELL_DEADLINE, SOUP_BUFFER_SIZE_MIN, STALLED_DEADLINE, WRITE_SIZE_PER_CYCLE,
};
use crate::model::{AccountId, Nanos};
use crate::soup::arrival::Arrival;
use crate::soup::buffer::Buffer;
use crate::soup::packet::{END_OF_SESSION, kind};
use crate::soup::server::{self, Deadlines};
use crate::sys::stream::Stream;

/// A request that was read and could not be taken yet.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub request: Result<Request, Malformed>,
    /// Counted against the login's rate already.
    pub is_admitted: bool,
}

/// How far a connection is with its end.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It goes on.
    No,
    /// Answers up to this position, then a last packet, are still owed.
    Owing { until: u64, last: Option<Farewell> },
    /// All is written: what the client may still send is read and thrown away until it closes too. Closing at
    /// once with unread bytes would reset the connection, and the client might not get to read what it was sent.
    Draining,
}

/// The last packet of a connection.
#[derive(Clone, Debug)]
pub enum Farewell {
    /// Why it is cut, for people.
    Debug(String),
    /// The session is over: the engine stops.
    EndOfSession,
}

/// A connection.
pub struct Connection {
    pub socket: Stream,
    /// Which of all connections it is: see [`crate::door::Knock`].
    pub serial: u64,
    pub address: Address,
    /// The account that its certificate proves, if it has one.
    pub proven: Option<AccountId>,
    pub soup: server::Connection,
    /// Packets that are not in the answer stream. Filled only between two packets of the stream.
    pub out: Buffer,
    pub login: Option<LoginId>,
    /// How far the login's answers were sent here.
    pub sent: u64,
    pub held: Option<Held>,
    pub is_readable: bool,
    /// Its client has ended its side, or the socket is broken.
    pub has_ended: bool,
    pub is_writable: bool,
    pub is_queued: bool,
    /// Its input stands still for want of room.
    pub is_stopped: bool,
    pub ending: Ending,
    /// When an ending connection is closed whatever it still owes.
    pub ts_end: Nanos,
    /// When output last went, or there was none.
    ts_flowing: Nanos,
}

impl Connection {
    pub fn new(arrival: Arrival, serial: u64, deadlines: Deadlines, now: Nanos) -> Connection {
        Connection {
            socket: arrival.stream,
            serial,
            address: arrival.address.into(),
            proven: arrival.account,
            soup: server::Connection::new(deadlines, CONTROL_MESSAGE_SIZE_MAX, now),
            out: Buffer::new(SOUP_BUFFER_SIZE_MIN),
            login: None,
            sent: 0,
            held: None,
            is_readable: true,
            has_ended: false,
            is_writable: true,
            is_queued: false,
            is_stopped: false,
            ending: Ending::No,
            ts_end: Nanos::MAX,
            ts_flowing: now,
        }
    }

    /// Reads once. `Ok(true)`: something came. Errors mean that the connection is over; so does its end.
    pub fn read(&mut self, now: Nanos) -> io::Result<bool> {
        if let Ending::Draining = self.ending {
            let mut scrap = [0; SOUP_BUFFER_SIZE_MIN];
            return Ok(self.read_to(Into::Scrap(&mut scrap))? > 0);
        }
        let count = self.read_to(Into::Soup)?;
        self.soup.received(count, now);
        Ok(count > 0)
    }

    fn read_to(&mut self, into: Into<'_>) -> io::Result<usize> {
        let space = match into {
            Into::Soup => self.soup.space(),
            Into::Scrap(space) => space,
        };
        if space.is_empty() {
            return Ok(0);
        }
        let size = space.len();
        match self.socket.read(space) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                // Less than there was space for: nothing is left, and what comes later is told anew. An end that has been
                // told already is not, so it is read for.
                self.is_readable &= count == size || self.has_ended;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                Ok(0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes what there is, a bounded amount. Returns how many bytes went. Errors mean that the connection is over.
    pub fn write(&mut self, login: Option<&Login>, now: Nanos) -> io::Result<usize> {
        let mut written = 0;
        while self.is_writable && written < WRITE_SIZE_PER_CYCLE {
            let count = if self.out.is_empty() { self.write_answers(login)? } else { self.write_out()? };
            if count == 0 && !self.farewell(login) {
                break;
            }
            written += count;
        }
        if written > 0 {
            self.soup.sent(now);
            self.ts_flowing = now;
        }
        Ok(written)
    }

    /// True when there is something to write.
    pub fn has_output(&self, login: Option<&Login>) -> bool {
        !self.out.is_empty() || matches!(self.ending, Ending::Owing { .. }) || self.sent < self.until(login)
    }

    /// True when the connection stands between two packets, with nothing to send.
    pub fn is_quiet(&self, login: Option<&Login>) -> bool {
        matches!(self.ending, Ending::No) && !self.has_output(login)
    }

    /// True when there is output and the client has taken none of it for too long: a peer that vanished without a word,
    /// while its own silence was not counted because its input stood still.
    pub fn is_stalled(&mut self, login: Option<&Login>, now: Nanos) -> bool {
        if !self.has_output(login) {
            self.ts_flowing = now;
        }
        now.saturating_sub(self.ts_flowing) >= STALLED_DEADLINE
    }

    /// Ends the connection once what is owed so far is sent, then with this last packet.
    pub fn end(&mut self, login: Option<&Login>, last: Option<Farewell>, now: Nanos) {
        if let Ending::No = self.ending {
            let until = login.map_or(self.sent, |login| login.answers.released().position);
            self.ending = Ending::Owing { until, last };
            self.ts_end = now + FAREWELL_DEADLINE;
            self.held = None;
        }
    }

    fn until(&self, login: Option<&Login>) -> u64 {
        match self.ending {
            Ending::Owing { until, .. } => until,
            Ending::No => login.map_or(self.sent, |login| login.answers.released().position),
            Ending::Draining => self.sent,
        }
    }

    fn write_answers(&mut self, login: Option<&Login>) -> io::Result<usize> {
        let Some(stream) = login.map(|login| &login.answers) else { return Ok(0) };
        // Only a replaced connection can lag so far; its successor has all of it.
        let bytes = stream.bytes(self.sent, self.until(login)).ok_or(io::ErrorKind::BrokenPipe)?;
        let count = if bytes.is_empty() { 0 } else { put(&mut self.socket, bytes, &mut self.is_writable)? };
        self.sent += count as u64;
        Ok(count)
    }

    fn write_out(&mut self) -> io::Result<usize> {
        let count = put(&mut self.socket, self.out.filled(), &mut self.is_writable)?;
        self.out.take(count);
        Ok(count)
    }

    /// When all that was owed is written: puts the last packet, then shuts this way. True when there is more to write.
    fn farewell(&mut self, login: Option<&Login>) -> bool {
        let is_owed = self.sent < self.until(login) || !self.out.is_empty() || !self.is_writable;
        let Ending::Owing { last, .. } = &mut self.ending else { return false };
        if is_owed {
            return false;
        }
        match last.take() {
            Some(Farewell::Debug(text)) => return self.out.push_packet(kind::DEBUG, text.as_bytes()),
            Some(Farewell::EndOfSession) => return self.out.push(&END_OF_SESSION),
            None => (),
        }
        // A socket that is gone already says so at the next read.
        let _ = self.socket.shutdown(Shutdown::Write);
        self.ending = Ending::Draining;
        self.is_readable = true;
        false
    }
}

enum Into<'a> {
    Soup,
    Scrap(&'a mut [u8]),
}

fn put(socket: &mut Stream, bytes: &[u8], is_writable: &mut bool) -> io::Result<usize> {
    match socket.write(bytes) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            *is_writable = false;
            Ok(0)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}
