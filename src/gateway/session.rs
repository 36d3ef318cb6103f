//! One client: its login, its cursor in the log, and what it is owed. Knows no socket: it writes to what it is given.
//!
//! What goes out: first the bytes in `outgoing` (login answers, heartbeats, the rest of a packet that was cut by a
//! short write), then packets straight out of the mapped log. So the cursor always stands between packets, and so does
//! everything that is put into `outgoing` while it is empty or behind what is there.

use std::io::{self, IoSlice, Write};

use super::index::{Cursor, Lagged};
use super::log::{AlertLog, DROP_COPY, stream_of};
use super::logs::Logs;
use super::marks::Name;
use super::wire;
use crate::limits::{GATEWAY_PAYLOAD_SIZE_MAX, PACKETS_PER_SEND, SOUP_BUFFER_SIZE_MIN};
use crate::model::Nanos;
use crate::soup::buffer::Buffer;
use crate::soup::login::{Login, SessionId};
use crate::soup::packet::{self, Reject, kind};
use crate::soup::server::{Connection, Deadlines};

/// Where a client's sending stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing is left to send.
    CaughtUp,
    /// There is more.
    More,
    /// Its socket takes nothing now.
    Blocked,
    /// What it wants next is past the retention.
    Lagged,
    /// Its socket is broken.
    Gone,
}

/// Where a client stands with the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    No,
    /// Only what is in `outgoing` is still sent; since when.
    Since(Nanos),
}

/// One client.
pub struct Client {
    /// The protocol's side.
    pub connection: Connection,
    /// Whether it is being closed.
    pub ending: Ending,
    outgoing: Buffer,
    /// The number of the log that it reads, and where it stands in it.
    cursor: Option<(usize, Cursor)>,
}

impl Client {
    /// A client that connected at `now`. It may send nothing but logins, heartbeats and logouts.
    pub fn new(deadlines: Deadlines, now: Nanos) -> Client {
        Client {
            connection: Connection::new(deadlines, GATEWAY_PAYLOAD_SIZE_MAX, now),
            ending: Ending::No,
            outgoing: Buffer::new(SOUP_BUFFER_SIZE_MIN),
            cursor: None,
        }
    }

    /// Answers a login whose credentials were good: it reads the stream of this account, or the drop copy's, from where it
    /// asked, in the session that it asked for.
    ///
    /// # Errors
    /// When it asked for what is not there; it is not answered yet then.
    pub fn accept(&mut self, login: &Login, logs: &Logs, account: Option<&Name>, now: Nanos) -> Result<(), Reject> {
        let gone = Reject::SessionNotAvailable;
        let number = logs.find(&login.session).ok_or(gone)?;
        let (log, session) = logs.get(number).zip(logs.session_of(number)).ok_or(gone)?;
        // A session that is over knows no account that came later.
        let stream = account.map_or(Some(DROP_COPY), |name| log.account(name).map(stream_of)).ok_or(gone)?;
        let (oldest, next) = (log.oldest(stream), log.next(stream));
        // Where a power cut took the end of a session clients have seen more of it than is left: that is no contradiction.
        let start = match login.sequence {
            sequence if sequence > next && logs.is_over(number) => sequence,
            _ => login.start(&session, oldest, next)?,
        };
        self.connection.accept(login, now);
        self.cursor = Some((number, log.cursor(stream, start.min(next))));
        let _ = self.outgoing.push(&packet::accepted(&session, start));
        Ok(())
    }

    /// Answers a login that was not good; to be followed by the close.
    pub fn reject(&mut self, reason: Reject, now: Nanos) {
        let _ = self.outgoing.push(&packet::rejected(reason));
        self.ending = Ending::Since(now);
    }

    /// Begins the close. A client that is logged in is told why, when there is room for it.
    pub fn cut(&mut self, why: &str, now: Nanos) {
        if self.connection.is_logged_in() && self.ending == Ending::No {
            let _ = self.outgoing.push_packet(kind::DEBUG, why.as_bytes());
        }
        self.ending = Ending::Since(now);
    }

    /// The stream of the current log that it reads, if it reads that.
    pub fn stream(&self, logs: &Logs) -> Option<usize> {
        self.cursor.filter(|(number, _)| !logs.is_over(*number)).map(|(_, cursor)| cursor.index)
    }

    /// True when something is there for it that it was not sent: a message, or the end of a session that is over.
    #[inline]
    pub fn is_behind(&self, logs: &Logs) -> bool {
        self.cursor.is_some_and(|(number, cursor)| {
            logs.is_over(number) || logs.get(number).is_none_or(|log| cursor.sequence < log.next(cursor.index))
        })
    }

    /// True when what it wants next is past the retention.
    pub fn is_lagged(&self, logs: &Logs) -> bool {
        self.cursor.is_some_and(|(number, cursor)| {
            logs.get(number).is_none_or(|log| cursor.sequence < log.oldest(cursor.index))
        })
    }

    /// True when nothing is left in `outgoing`.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Puts a heartbeat out if one is due and nothing else is there to send.
    pub fn beat(&mut self, logs: &Logs, now: Nanos) {
        if self.connection.heartbeat_due(now) && self.outgoing.is_empty() && !self.is_behind(logs) {
            let _ = self.outgoing.push(&packet::SERVER_HEARTBEAT);
        }
    }

    /// Sends what there is: one bounded write.
    pub fn send(&mut self, logs: &Logs, socket: &mut impl Write, now: Nanos) -> Flow {
        if !self.outgoing.is_empty() {
            match socket.write(self.outgoing.filled()) {
                Ok(count) => {
                    self.outgoing.take(count);
                    self.connection.sent(now);
                }
                Err(error) => return refused(&error),
            }
            if !self.outgoing.is_empty() {
                return Flow::More;
            }
        }
        let Some((number, cursor)) = self.cursor.filter(|_| self.ending == Ending::No) else { return Flow::CaughtUp };
        let Some(log) = logs.get(number) else { return Flow::Lagged };
        if cursor.sequence < log.next(cursor.index) {
            return self.send_packets((number, cursor), log, socket, now).unwrap_or(Flow::Lagged);
        }
        match logs.session_of(number + 1) {
            Some(next) => self.end_session(next, now),
            None => Flow::CaughtUp,
        }
    }

    /// Begins the close of a session that is over: says which one follows it, then End of Session. `outgoing` is empty.
    fn end_session(&mut self, next: SessionId, now: Nanos) -> Flow {
        let _ = self.outgoing.push_packet(kind::DEBUG, &wire::follows(&next));
        let _ = self.outgoing.push(&packet::END_OF_SESSION);
        self.ending = Ending::Since(now);
        Flow::More
    }

    fn send_packets(
        &mut self,
        (number, mut cursor): (usize, Cursor),
        log: &AlertLog,
        socket: &mut impl Write,
        now: Nanos,
    ) -> Result<Flow, Lagged> {
        // A single packet, the usual case, needs no vector.
        let is_one = cursor.sequence + 1 == log.next(cursor.index);
        let mut one = [IoSlice::new(&[])];
        let mut many;
        let slices = if is_one {
            &mut one[..]
        } else {
            many = [IoSlice::new(&[]); PACKETS_PER_SEND];
            &mut many[..]
        };
        let count = log.gather(cursor, slices)?;
        let result = match &slices[..count] {
            [packet] => socket.write(packet),
            packets => socket.write_vectored(packets),
        };
        let mut written = match result {
            Ok(0) => return Ok(Flow::Gone),
            Ok(written) => written,
            Err(error) => return Ok(refused(&error)),
        };
        let mut sent = 0;
        while sent < count && written >= slices[sent].len() {
            written -= slices[sent].len();
            sent += 1;
        }
        if written > 0 {
            // The rest of the packet that was cut waits in `outgoing`, which is empty here and holds several packets.
            let _ = self.outgoing.push(&slices[sent][written..]);
            sent += 1;
        }
        log.step(&mut cursor, sent)?;
        self.cursor = Some((number, cursor));
        self.connection.sent(now);
        let is_behind = cursor.sequence < log.next(cursor.index);
        Ok(if is_behind || !self.outgoing.is_empty() { Flow::More } else { Flow::CaughtUp })
    }
}

fn refused(error: &io::Error) -> Flow {
    match error.kind() {
        io::ErrorKind::WouldBlock => Flow::Blocked,
        io::ErrorKind::Interrupted => Flow::More,
        _ => Flow::Gone,
    }
}
