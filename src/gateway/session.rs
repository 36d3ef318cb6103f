//! One client: its login, its cursor in the log, and what it is owed. Knows no socket: it writes to what it is given.
//!
//! What goes out: first the bytes in `outgoing` (login answers, heartbeats, the rest of a packet that was cut by a
//! short write), then packets straight out of the mapped log. So the cursor always stands between packets, and so does
//! everything that is put into `outgoing` while it is empty or behind what is there.

use std::io::{self, IoSlice, Write};

use super::index::{Cursor, Lagged};
use super::log::AlertLog;
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
    cursor: Option<Cursor>,
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

    /// Answers a login whose credentials were good: it reads `stream` from where it asked.
    ///
    /// # Errors
    /// When it asked for what is not there; it is not answered yet then.
    pub fn accept(
        &mut self,
        login: &Login,
        session: &SessionId,
        log: &AlertLog,
        stream: usize,
        now: Nanos,
    ) -> Result<(), Reject> {
        let start = login.start(session, log.oldest(stream), log.next(stream))?;
        self.connection.accept(login, now);
        self.cursor = Some(log.cursor(stream, start));
        let _ = self.outgoing.push(&packet::accepted(session, start));
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

    /// Begins the close with End of Session.
    pub fn end_session(&mut self, now: Nanos) {
        let _ = self.outgoing.push(&packet::END_OF_SESSION);
        self.ending = Ending::Since(now);
    }

    /// True when a message is there for it that it was not sent.
    #[inline]
    pub fn is_behind(&self, log: &AlertLog) -> bool {
        self.cursor.is_some_and(|cursor| cursor.sequence < log.next(cursor.index))
    }

    /// True when what it wants next is past the retention.
    pub fn is_lagged(&self, log: &AlertLog) -> bool {
        self.cursor.is_some_and(|cursor| cursor.sequence < log.oldest(cursor.index))
    }

    /// True when nothing is left in `outgoing`.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Puts a heartbeat out if one is due and nothing else is there to send.
    pub fn beat(&mut self, log: &AlertLog, now: Nanos) {
        if self.connection.heartbeat_due(now) && self.outgoing.is_empty() && !self.is_behind(log) {
            let _ = self.outgoing.push(&packet::SERVER_HEARTBEAT);
        }
    }

    /// Sends what there is: one bounded write.
    pub fn send(&mut self, log: &AlertLog, socket: &mut impl Write, now: Nanos) -> Flow {
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
        match self.cursor {
            Some(cursor) if self.ending == Ending::No && self.is_behind(log) => {
                self.send_packets(cursor, log, socket, now).unwrap_or(Flow::Lagged)
            }
            _ => Flow::CaughtUp,
        }
    }

    fn send_packets(
        &mut self,
        mut cursor: Cursor,
        log: &AlertLog,
        socket: &mut impl Write,
        now: Nanos,
    ) -> Result<Flow, Lagged> {
        let mut slices = [IoSlice::new(&[]); PACKETS_PER_SEND];
        let count = log.gather(cursor, &mut slices)?;
        // A single packet, the usual case, needs no vector.
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
        self.cursor = Some(cursor);
        self.connection.sent(now);
        Ok(if self.is_behind(log) || !self.outgoing.is_empty() { Flow::More } else { Flow::CaughtUp })
    }
}

fn refused(error: &io::Error) -> Flow {
    match error.kind() {
        io::ErrorKind::WouldBlock => Flow::Blocked,
        io::ErrorKind::Interrupted => Flow::More,
        _ => Flow::Gone,
    }
}
