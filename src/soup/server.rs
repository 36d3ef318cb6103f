//! The server's side of one connection: bytes and times in; logins, messages and reasons to close out.
//!
//! ```text
//!            L                    accept()              O, violation, deadline
//!  Connected ----> LoginSeen -------------> LoggedIn ---------------------------> closed by the owner
//!      |  other packet, deadline     | the owner rejects
//!      +-----------------------------+-------------------------------------------> closed by the owner
//! ```
//!
//! The owner has the socket: it reads into [`Connection::space`], says how much came, takes what [`Connection::input`]
//! gives until that is `None`, and closes on an error. Heartbeats and debug packets are swallowed here. While a login
//! is not answered nothing behind it is read.

use super::buffer::Buffer;
use super::login::{LOGIN_410_SIZE, Login};
use super::packet::{FrameError, HEADER_SIZE, Packet, Reject, kind};
use crate::limits;
use crate::model::Nanos;

/// How long a connection may take, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From accept to the whole login.
    pub login: Nanos,
    /// From a packet's first byte to its last.
    pub half_packet: Nanos,
    /// Between two pieces from a client that is logged in. A login of 4.10 brings its own, within
    /// [`limits::SOUP_SILENCE_MIN`] and [`limits::SOUP_SILENCE_MAX`].
    pub silence: Nanos,
    /// Silence of the server after which it sends a heartbeat.
    pub heartbeat: Nanos,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            login: limits::SOUP_LOGIN_DEADLINE,
            half_packet: limits::SOUP_HALF_PACKET_DEADLINE,
            silence: limits::SOUP_SILENCE_DEADLINE,
            heartbeat: limits::SOUP_HEARTBEAT,
        }
    }
}

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// It wants in. Answer it, then [`Connection::accept`], or close.
    Login(Login),
    /// A message of the higher protocol, possibly empty.
    Unsequenced(&'a [u8]),
    /// It wants out: close at once.
    Logout,
}

/// Why a connection is to be closed. The text is what the client is told in a Debug packet, if it is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet of a bad length.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A login that cannot be read: to be answered with this.
    #[error("{0}")]
    BadLogin(Reject),
    /// Something other than a login, a debug packet or a logout before the login.
    #[error("a packet before the login")]
    NotLoggedIn,
    /// A second login on one connection.
    #[error("a second login")]
    SecondLogin,
    /// A packet of a type that no client sends.
    #[error("a packet of a type that no client sends")]
    UnknownType,
    /// No login in time.
    #[error("no login in time")]
    LoginLate,
    /// A packet began and did not end in time.
    #[error("a packet did not end in time")]
    HalfPacket,
    /// Nothing heard for too long.
    #[error("no heartbeat for too long")]
    Silent,
}

impl Violation {
    /// What a client that is not logged in gets before the close, if anything.
    pub const fn reject(&self) -> Option<Reject> {
        match self {
            Violation::BadLogin(reject) => Some(*reject),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connected,
    LoginSeen,
    LoggedIn,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    incoming: Buffer,
    payload_size_max: usize,
    deadlines: Deadlines,
    state: State,
    ts_accepted: Nanos,
    ts_heard: Nanos,
    ts_sent: Nanos,
    /// When the packet began that is not whole yet.
    ts_half: Option<Nanos>,
}

impl Connection {
    /// A connection accepted at `now`, whose client may send messages of at most `payload_size_max` bytes once it is
    /// logged in. Until then its buffer is small: whoever only connects costs little.
    pub fn new(deadlines: Deadlines, payload_size_max: usize, now: Nanos) -> Connection {
        Connection {
            incoming: Buffer::new(limits::SOUP_BUFFER_SIZE_MIN),
            payload_size_max,
            deadlines,
            state: State::Connected,
            ts_accepted: now,
            ts_heard: now,
            ts_sent: now,
            ts_half: None,
        }
    }

    /// Where to read to. Never empty once [`Self::input`] gave `None`, except while a login waits for its answer.
    pub fn space(&mut self) -> &mut [u8] {
        self.incoming.space()
    }

    /// Says that `count` bytes were read to [`Self::space`].
    pub fn received(&mut self, count: usize, now: Nanos) {
        self.incoming.fill(count);
        if count > 0 {
            self.ts_heard = now;
        }
    }

    /// The next thing that the client sent; `None`: read more.
    ///
    /// # Errors
    /// A reason to close. Nothing more is to be asked of the connection then.
    pub fn input(&mut self) -> Result<Option<Input<'_>>, Violation> {
        loop {
            let size_max = if self.is_logged_in() { self.payload_size_max } else { LOGIN_410_SIZE };
            let first = match self.state {
                State::LoginSeen => None,
                _ => Packet::first(self.incoming.filled(), size_max)?.map(|packet| (packet.kind, packet.size())),
            };
            let Some((kind, size)) = first else {
                let is_half = self.state != State::LoginSeen && !self.incoming.is_empty();
                self.ts_half = is_half.then_some(self.ts_half.unwrap_or(self.ts_heard));
                return Ok(None);
            };
            self.ts_half = None;
            match (self.state, kind) {
                (_, kind::DEBUG) | (State::LoggedIn, kind::CLIENT_HEARTBEAT) => self.incoming.take(size),
                _ => return self.read(kind, size).map(Some),
            }
        }
    }

    /// The packet of `size` bytes at the front, which is neither heartbeat nor debug.
    fn read(&mut self, kind: u8, size: usize) -> Result<Input<'_>, Violation> {
        match (self.state, kind) {
            (State::LoggedIn, kind::UNSEQUENCED) => Ok(Input::Unsequenced(self.incoming.take_front(size, HEADER_SIZE))),
            (_, kind::LOGOUT) => Ok(Input::Logout),
            (State::Connected, kind::LOGIN) => {
                let login = Login::read(self.incoming.take_front(size, HEADER_SIZE)).map_err(Violation::BadLogin)?;
                self.state = State::LoginSeen;
                Ok(Input::Login(login))
            }
            (State::LoggedIn, kind::LOGIN) => Err(Violation::SecondLogin),
            (State::LoggedIn, _) => Err(Violation::UnknownType),
            _ => Err(Violation::NotLoggedIn),
        }
    }

    /// The login that was seen is good. Allocates a buffer with room for four of the longest messages.
    pub fn accept(&mut self, login: &Login, now: Nanos) {
        self.state = State::LoggedIn;
        self.incoming.grow(4 * (self.payload_size_max + HEADER_SIZE));
        self.ts_heard = now;
        if let Some(ms) = login.heartbeat_timeout_ms {
            let wanted = Nanos::from(ms) * 1_000_000;
            self.deadlines.silence = wanted.clamp(limits::SOUP_SILENCE_MIN, limits::SOUP_SILENCE_MAX);
        }
    }

    /// When it was accepted by the listener.
    pub fn ts_accepted(&self) -> Nanos {
        self.ts_accepted
    }

    /// True between [`Self::accept`] and the close.
    pub fn is_logged_in(&self) -> bool {
        self.state == State::LoggedIn
    }

    /// True while a login waits for its answer: there may be no space to read to.
    pub fn is_waiting(&self) -> bool {
        self.state == State::LoginSeen
    }

    /// The deadline that has passed, if one has. Not to be asked while the owner itself has stopped reading: see
    /// [`Self::resume`].
    pub fn overdue(&self, now: Nanos) -> Option<Violation> {
        let passed = |since: Nanos, limit: Nanos| now.saturating_sub(since) >= limit;
        if !self.is_logged_in() && passed(self.ts_accepted, self.deadlines.login) {
            return Some(Violation::LoginLate);
        }
        if self.ts_half.is_some_and(|since| passed(since, self.deadlines.half_packet)) {
            return Some(Violation::HalfPacket);
        }
        (self.is_logged_in() && passed(self.ts_heard, self.deadlines.silence)).then_some(Violation::Silent)
    }

    /// The owner reads again after it had stopped: what it did not hear meanwhile is not the client's fault.
    pub fn resume(&mut self, now: Nanos) {
        self.ts_heard = now;
        self.ts_half = self.ts_half.map(|_| now);
    }

    /// Something was sent.
    pub fn sent(&mut self, now: Nanos) {
        self.ts_sent = now;
    }

    /// True when a heartbeat is to be sent, if no packet is half sent and nothing else is there to send.
    pub fn heartbeat_due(&self, now: Nanos) -> bool {
        self.is_logged_in() && now.saturating_sub(self.ts_sent) >= self.deadlines.heartbeat
    }
}

#[cfg(test)]
mod tests;
