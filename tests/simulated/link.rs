//! A SoupBinTCP client that is stepped: it connects, writes and reads a few bytes at a time, stalls, breaks off, and comes back for
//! the session and number where it was. Written from `PROTOCOL.md`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::doorway::{Doorway, connect};
use crate::naive::generate::Random;

const HEARTBEAT: u64 = 1_000_000_000;

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A sequenced message: its session, its number, its bytes.
    Message([u8; 10], u64, Vec<u8>),
    /// The session is over.
    End,
    /// The session or number asked for is not there: the next login asks for whichever there is, from its first message.
    Refused,
}

/// The client.
pub struct Link {
    user: String,
    password: &'static str,
    socket: Option<UnixStream>,
    is_logged_in: bool,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    session: Option<[u8; 10]>,
    next: u64,
    /// The session that was said to follow.
    following: Option<[u8; 10]>,
    ts_sent: u64,
    /// Connections so far.
    pub connections: u64,
}

impl Link {
    pub fn new(user: &str, password: &'static str) -> Link {
        Link {
            user: user.into(),
            password,
            socket: None,
            is_logged_in: false,
            outgoing: vec![],
            incoming: vec![],
            session: None,
            next: 1,
            following: None,
            ts_sent: 0,
            connections: 0,
        }
    }

    pub fn is_logged_in(&self) -> bool {
        self.is_logged_in
    }

    /// True when all that was to be sent is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// The message that comes next.
    pub fn position(&self) -> (Option<[u8; 10]>, u64) {
        (self.session, self.next)
    }

    /// Breaks off: what was not read is lost.
    pub fn cut(&mut self) {
        self.socket = None;
        self.is_logged_in = false;
        self.outgoing.clear();
        self.incoming.clear();
    }

    /// Has a request sent.
    pub fn send(&mut self, message: &[u8]) {
        self.outgoing.extend((message.len() as u16 + 1).to_be_bytes());
        self.outgoing.push(b'U');
        self.outgoing.extend(message);
    }

    /// A little of whatever there is to do; what the server said goes to `said`.
    pub fn step(&mut self, random: &mut Random, door: &Doorway, now: u64, said: &mut Vec<Said>) {
        if self.socket.is_none() {
            return self.connect(door, now);
        }
        if now.saturating_sub(self.ts_sent) >= HEARTBEAT && self.outgoing.is_empty() {
            self.outgoing.extend([0, 1, b'R']);
        }
        let (write_max, read_max) = (amount(random), amount(random));
        if self.write(write_max, now).and_then(|()| self.read(read_max)).is_err() {
            return self.cut();
        }
        self.take_packets(said);
    }

    fn connect(&mut self, door: &Doorway, now: u64) {
        let Some(socket) = connect(door) else { return };
        let session = self.session.map_or(" ".repeat(10), |id| String::from_utf8_lossy(&id).into_owned());
        let login = format!("{:6}{:10}{session:>10}{:>20}", self.user, self.password, self.next);
        self.outgoing = [&[0, 47, b'L'], login.as_bytes()].concat();
        self.socket = Some(socket);
        self.connections += 1;
        self.ts_sent = now;
    }

    fn write(&mut self, limit: usize, now: u64) -> std::io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let size = self.outgoing.len().min(limit);
        match socket.write(&self.outgoing[..size]) {
            Ok(0) => Ok(()),
            Ok(count) => {
                self.outgoing.drain(..count);
                self.ts_sent = now;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, limit: usize) -> std::io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let mut buffer = [0; 1 << 16];
        match socket.read(&mut buffer[..limit]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.incoming.extend(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn take_packets(&mut self, said: &mut Vec<Said>) {
        while let Some(length) = self.incoming.first_chunk::<2>() {
            let size = 2 + usize::from(u16::from_be_bytes(*length));
            if self.incoming.len() < size {
                return;
            }
            let packet: Vec<u8> = self.incoming.drain(..size).collect();
            match (packet[2], &packet[3..]) {
                (b'A', payload) => {
                    let number: u64 = String::from_utf8_lossy(&payload[10..]).trim().parse().expect("a number");
                    let session = *payload.first_chunk().expect("a session");
                    let is_same = self.session.is_none_or(|before| before == session);
                    assert!(is_same && number == self.next, "{} asked for {} and got {number}", self.user, self.next);
                    (self.session, self.is_logged_in) = (Some(session), true);
                }
                (b'J', reason) => {
                    assert_eq!(reason, b"S", "{} is refused", self.user);
                    (self.session, self.next) = (None, 1);
                    said.push(Said::Refused);
                    return self.cut();
                }
                (b'S', message) => {
                    let session = self.session.expect("logged in");
                    said.push(Said::Message(session, self.next, message.to_vec()));
                    self.next += 1;
                }
                (b'Z', _) => {
                    // Read on in the next one from its first message, where there is one.
                    if let Some(following) = self.following.take() {
                        (self.session, self.next) = (Some(following), 1);
                    }
                    said.push(Said::End);
                    return self.cut();
                }
                (b'+', text) => {
                    let id = text.strip_prefix(b"the session is over, and followed by ");
                    self.following = id.and_then(|id| id.first_chunk()).copied();
                }
                (b'H', _) => (),
                (other, _) => panic!("a server sends no {:?}", char::from(other)),
            }
        }
    }
}

/// Bytes at a time: now one, now many.
fn amount(random: &mut Random) -> usize {
    match random.below(4) {
        0 => 1 + random.below(8) as usize,
        1 => 1 + random.below(200) as usize,
        _ => 1 << 16,
    }
}
