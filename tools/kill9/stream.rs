//! The alert stream as a client sees it that resumes by session and number.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hairtrigger::client::{Client, ClientError, Event, Request};
use hairtrigger::gateway::wire::{Kind, Message};
use hairtrigger::model::{Reason, flag};
use hairtrigger::soup::login::SessionId;

use crate::Fault;

/// A rule's name in its symbol: (symbol's text, version).
pub type Version = (u64, u64);
/// Rules whose end was told.
pub type Ended = Arc<Mutex<HashSet<Version>>>;

/// What was read so far.
#[derive(Default)]
pub struct Stream {
    session: Option<SessionId>,
    /// Every message as it came; number n is at n - 1.
    pub messages: Vec<Vec<u8>>,
    /// Of them those that say that a rule fired.
    pub alerts: u64,
    ended: Ended,
}

/// A stream that is being read on a thread of its own, until the connection ends.
pub struct Reading {
    thread: JoinHandle<Result<Stream, Fault>>,
    ended: Ended,
}

impl Stream {
    /// Connects and reads on from where the stream stands.
    pub fn follow(mut self, alerts: SocketAddr) -> Result<Reading, Fault> {
        let next = self.messages.len() as u64 + 1;
        let mut login = Request::new("demo", "secret")?.from(next);
        if let Some(session) = self.session {
            login = login.of(session);
        }
        let mut client = Client::connect(alerts, &login)?;
        if client.reader.next_sequence() != next {
            return Err(format!("asked for message {next}, was given {}", client.reader.next_sequence()).into());
        }
        self.session = Some(client.reader.session());
        let ended = Arc::clone(&self.ended);
        let thread = std::thread::spawn(move || {
            loop {
                match client.receive() {
                    Ok(Event::Sequenced(_, message)) => self.take(message)?,
                    Ok(Event::End) | Err(ClientError::Closed | ClientError::Io(_)) => return Ok(self),
                    Ok(_) => (),
                    Err(error) => return Err(error.into()),
                }
            }
        });
        Ok(Reading { thread, ended })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let number = self.messages.len() + 1;
        self.messages.push(bytes.to_vec());
        let Some(Message::Rule(message)) = Message::read(bytes) else { return Ok(()) };
        self.alerts += u64::from(message.kind == Kind::Alert);
        // What was replaced by a set that was not acknowledged comes back: the stream may tell that end twice.
        let is_end = match message.kind {
            Kind::Ended => message.reason != Reason::Replaced,
            Kind::Alert => message.flags & flag::LAST != 0,
            _ => false,
        };
        let version = (message.symbol.0, message.version);
        if is_end && !self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(version) {
            return Err(
                format!("message {number}: {} version {} ends a second time", message.symbol, message.version).into()
            );
        }
        Ok(())
    }
}

impl Reading {
    /// The rules whose end was told so far.
    pub fn ended(&self) -> HashSet<Version> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was read, once the connection has ended.
    pub fn finish(self) -> Result<Stream, Fault> {
        self.thread.join().map_err(|_| "the reader panicked")?
    }
}
