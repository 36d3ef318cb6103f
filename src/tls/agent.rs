//! The TLS agent: clients' TLS connections in, arrivals at control and the gateway out, and bytes between them.
//!
//! One cycle: ask for readiness, accept, move the bytes of connections that have some, take one step of a few handshakes,
//! now and then look at deadlines. All bounded: a flood of handshakes delays what is open by a few of them a cycle.
//!
//! Who is closed, and when: a handshake that is not done [`limits::TLS_HANDSHAKE_DEADLINE`] after the connect; the handshake
//! that has lasted longest, when another client needs its place; a connection whose agent has closed, once all that it had
//! said was sent, [`limits::TLS_FAREWELL_DEADLINE`] later at most. Silent clients are the business of the agents behind.

mod sessions;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::link::LinkError;
use super::settings::Identity;
use crate::agent::Agent;
use crate::counts;
use crate::limits;
use crate::model::Nanos;
use crate::soup::arrival::Arrival;
use crate::sys::listener;
use sessions::Session;

/// Tokens from here on are sessions', two each: the client's socket and the inner one.
const SESSION_TOKENS: usize = 2;
/// Cycles after which readiness is asked for though the clock stood still, as a test's may.
const CYCLES_PER_POLL: u32 = 64;

/// What the agent is given at start.
#[derive(Debug)]
pub struct TlsSettings {
    /// Connections at once, handshakes included.
    pub sessions_max: usize,
    /// Who the engine is.
    pub identity: Identity,
    /// Where a reload puts another one.
    pub reloads: Receiver<Identity>,
    /// The ports: where to listen for clients, and where to hand them over.
    pub doors: Vec<(SocketAddr, SyncSender<Arrival>)>,
}

counts! {
    /// What the TLS agent counts.
    pub struct TlsCounts {
        /// Connections accepted.
        connections,
        /// Connections now, handshakes included.
        connections_open,
        /// Connections closed at once for want of a place.
        connections_refused,
        /// Handshakes that gave their place to a later one.
        evicted,
        /// Accepts that failed, and pairs of sockets that could not be had.
        accept_failures,
        /// Handshakes done.
        handshakes,
        /// Handshakes under way.
        handshakes_open,
        /// Handshakes that failed: not TLS 1.3, or nothing that both sides can do,
        failed_protocol,
        /// no certificate where one must be shown, or one that is not good or stands for no account,
        failed_certificate,
        /// the client did not like what it saw,
        failed_by_client,
        /// the client closed,
        failed_closed,
        /// or took too long.
        failed_late,
        /// Open connections cut for broken TLS or a broken socket.
        broken,
        /// Connections closed that did not take what they were owed in time.
        cut_late,
        /// Plain bytes from clients.
        bytes_received,
        /// Plain bytes to clients.
        bytes_sent,
        /// Certificates taken over while running.
        reloads,
    }
}

impl TlsCounts {
    fn failed(&mut self, error: &LinkError) {
        use rustls::Error;
        let counter = match error {
            LinkError::Tls(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => {
                &mut self.failed_certificate
            }
            LinkError::Tls(Error::AlertReceived(_)) => &mut self.failed_by_client,
            LinkError::Tls(_) => &mut self.failed_protocol,
            LinkError::Socket(_) | LinkError::ClosedEarly => &mut self.failed_closed,
        };
        *counter += 1;
    }
}

/// A port's listener.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    arrivals: SyncSender<Arrival>,
    is_accepting: bool,
}

/// The agent.
pub struct TlsAgent {
    poll: Poll,
    events: Events,
    doors: Vec<Door>,
    identity: Arc<Identity>,
    reloads: Receiver<Identity>,
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
    /// Handshakes with something to do,
    shaking: VecDeque<usize>,
    /// and open sessions with something to do.
    moving: VecDeque<usize>,
    handshakes: usize,
    /// Where bytes rest on their way out.
    scratch: Box<[u8]>,
    counts: TlsCounts,
    ts_poll: Nanos,
    cycles: u32,
    ts_accept: Nanos,
    ts_timer: Nanos,
    /// Set when the agent is being closed: when it gives up.
    ts_close: Option<Nanos>,
}

impl TlsAgent {
    /// Listens.
    ///
    /// # Errors
    /// The address that cannot be listened on, and why.
    pub fn open(settings: TlsSettings) -> Result<TlsAgent, (SocketAddr, io::Error)> {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let poll = Poll::new().map_err(|error| (unspecified, error))?;
        let open = |(index, (address, arrivals)): (usize, (SocketAddr, SyncSender<Arrival>))| {
            let bound = listener::listen(address).and_then(|mut listener| {
                poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
                Ok(Door { address: listener.local_addr()?, listener, arrivals, is_accepting: true })
            });
            bound.map_err(|error| (address, error))
        };
        assert!(settings.doors.len() <= SESSION_TOKENS, "there are two ports");
        let doors = settings.doors.into_iter().enumerate().map(open).collect::<Result<_, _>>()?;
        Ok(TlsAgent {
            poll,
            events: Events::with_capacity(limits::TLS_EVENTS_PER_CYCLE),
            doors,
            identity: Arc::new(settings.identity),
            reloads: settings.reloads,
            sessions: (0..settings.sessions_max).map(|_| None).collect(),
            free: (0..settings.sessions_max).rev().collect(),
            shaking: VecDeque::with_capacity(settings.sessions_max),
            moving: VecDeque::with_capacity(settings.sessions_max),
            handshakes: 0,
            scratch: vec![0; limits::TLS_SCRATCH_SIZE].into(),
            counts: TlsCounts::default(),
            ts_poll: 0,
            cycles: 0,
            ts_accept: 0,
            ts_timer: 0,
            ts_close: None,
        })
    }

    /// Where it listens, in the order of the doors.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.doors.iter().map(|door| door.address)
    }

    /// What it has counted.
    pub fn counts(&self) -> TlsCounts {
        TlsCounts {
            connections_open: (self.sessions.len() - self.free.len()) as u64,
            handshakes_open: self.handshakes as u64,
            ..self.counts
        }
    }

    fn look_at_sockets(&mut self, now: Nanos) -> usize {
        self.cycles += 1;
        if now.saturating_sub(self.ts_poll) < limits::TLS_POLL_INTERVAL && self.cycles < CYCLES_PER_POLL {
            return 0;
        }
        (self.ts_poll, self.cycles) = (now, 0);
        // An interrupted poll is asked again in the next cycle.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return 0;
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            let token = event.token().0;
            let Some(of_session) = token.checked_sub(SESSION_TOKENS) else {
                self.doors.get_mut(token).into_iter().for_each(|door| door.is_accepting = true);
                continue;
            };
            let (slot, is_inner) = (of_session / 2, of_session % 2 == 1);
            if let Some(Some(session)) = self.sessions.get_mut(slot) {
                session.ready(event, is_inner);
                sessions::wake(slot, session, &mut self.shaking, &mut self.moving);
            }
        }
        count
    }

    /// Accepts what waits, a bounded number. A failure for want of descriptors leaves the client in the kernel's queue
    /// and is tried again after a pause: it neither ends the listener nor spins.
    fn accept(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        for index in 0..self.doors.len() {
            while self.doors[index].is_accepting && now >= self.ts_accept && count < limits::ACCEPTS_PER_CYCLE {
                match self.doors[index].listener.accept() {
                    Ok((socket, address)) => {
                        count += 1;
                        self.begin(socket, address.ip(), index, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.doors[index].is_accepting = false,
                    // The client that gave up before it was accepted is nobody's loss.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => count += 1,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                    Err(_) => {
                        self.counts.accept_failures += 1;
                        self.ts_accept = now + limits::ACCEPT_RETRY_INTERVAL;
                    }
                }
            }
        }
        count
    }

    /// Takes over what a reload has brought: for handshakes from now on.
    fn reload(&mut self) {
        if let Some(identity) = self.reloads.try_iter().last() {
            self.identity = Arc::new(identity);
            self.counts.reloads += 1;
        }
    }
}

impl Agent for TlsAgent {
    fn name(&self) -> &str {
        "tls"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let mut work = self.look_at_sockets(now);
        work += self.accept(now);
        work += self.move_bytes();
        work += self.shake_hands(now);
        if now.saturating_sub(self.ts_timer) >= limits::TLS_TIMER_INTERVAL {
            self.ts_timer = now;
            self.reload();
            self.look_at_deadlines(now);
        }
        work
    }

    /// Accepts nobody any more, gives up the handshakes, and goes on until the agents behind have closed and every client has
    /// what it is owed, and `close_notify`: within [`limits::TLS_CLOSE_DEADLINE`].
    fn close(&mut self, now: Nanos) -> bool {
        let ts_close = *self.ts_close.get_or_insert(now + limits::TLS_CLOSE_DEADLINE);
        for mut door in self.doors.drain(..) {
            let _ = self.poll.registry().deregister(&mut door.listener);
        }
        self.end_handshakes();
        self.do_work(now);
        if now >= ts_close {
            (0..self.sessions.len()).for_each(|slot| self.end(slot));
        }
        self.free.len() == self.sessions.len()
    }
}
