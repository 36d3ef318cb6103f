//! The agent's sessions: a handshake, then a relay, then gone.
//!
//! ```text
//!             handshake done: a pair, one end handed over        both ends passed on, or broken
//!  Handshake ------------------------------------------> Relay ---------------------------------> gone
//!      |  late, evicted, closed
//!      |----------------------------------------------------------------------------------------> gone
//!      |  refused                      closed, late
//!      '----------> the alert is sent -----------------------------------------------------------> gone
//! ```

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use mio::Token;
use mio::net::{TcpStream, UnixStream};
use rustls::ServerConnection;

use super::{SESSION_TOKENS, TlsAgent};
use crate::limits;
use crate::model::Nanos;
use crate::soup::arrival::Arrival;
use crate::sys::stream::Stream;
use crate::tls::link::{Link, LinkError};
use crate::tls::relay::Relay;
use crate::tls::settings::Identity;

/// A client's connection.
pub(super) struct Session {
    stage: Stage,
    address: IpAddr,
    is_queued: bool,
    ts_accepted: Nanos,
    /// When a session that is closing is closed whatever it still owes.
    ts_end: Option<Nanos>,
}

enum Stage {
    Handshake { link: Link, identity: Arc<Identity>, arrivals: SyncSender<Arrival>, is_refused: bool },
    Open { relay: Relay, arrival: Option<Handover> },
}

/// The other end of a pair, while its agent has not taken it.
struct Handover {
    arrival: Arrival,
    arrivals: SyncSender<Arrival>,
}

impl Session {
    /// One of its sockets is ready.
    pub(super) fn ready(&mut self, event: &mio::event::Event, is_inner: bool) {
        match &mut self.stage {
            Stage::Handshake { link, .. } => link.ready(event),
            Stage::Open { relay, .. } if is_inner => relay.ready(event),
            Stage::Open { relay, .. } => relay.link().ready(event),
        }
    }

    fn is_handshake(&self) -> bool {
        matches!(self.stage, Stage::Handshake { .. })
    }
}

/// Puts a session into the queue of those like it, once.
pub(super) fn wake(slot: usize, session: &mut Session, shaking: &mut VecDeque<usize>, moving: &mut VecDeque<usize>) {
    if !session.is_queued {
        session.is_queued = true;
        if session.is_handshake() { shaking } else { moving }.push_back(slot);
    }
}

fn token(slot: usize, is_inner: bool) -> Token {
    Token(SESSION_TOKENS + 2 * slot + usize::from(is_inner))
}

impl TlsAgent {
    /// A client has connected.
    pub(super) fn begin(&mut self, socket: TcpStream, address: IpAddr, door: usize, now: Nanos) {
        if self.is_crowd(address) {
            self.counts.connections_refused += 1;
            return;
        }
        if self.free.is_empty() || self.handshakes >= limits::TLS_HANDSHAKES_MAX {
            self.evict();
        }
        let Some(slot) = self.free.pop() else {
            self.counts.connections_refused += 1;
            return;
        };
        // Without it an alert could wait for the acknowledgement of the one before; a failure costs only that.
        let _ = socket.set_nodelay(true);
        let tls = ServerConnection::new(Arc::clone(&self.identity.config));
        let link = tls.map_err(LinkError::Tls).and_then(|tls| {
            let mut link = Link::new(tls, socket);
            link.register(self.poll.registry(), token(slot, false))?;
            Ok(link)
        });
        let Ok(link) = link else {
            self.counts.accept_failures += 1;
            self.free.push(slot);
            return;
        };
        let (identity, arrivals) = (Arc::clone(&self.identity), self.doors[door].arrivals.clone());
        let stage = Stage::Handshake { link, identity, arrivals, is_refused: false };
        let session = Session { stage, address, is_queued: false, ts_accepted: now, ts_end: None };
        self.counts.connections += 1;
        self.handshakes += 1;
        let session = self.sessions[slot].insert(session);
        wake(slot, session, &mut self.shaking, &mut self.moving);
    }

    fn handshakes_under_way(&self) -> impl Iterator<Item = (usize, &Session)> {
        let sessions = self.sessions.iter().enumerate().filter_map(|(slot, session)| Some((slot, session.as_ref()?)));
        sessions.filter(|(_, session)| session.is_handshake())
    }

    /// True when an address has as many handshakes under way as it may.
    fn is_crowd(&self, address: IpAddr) -> bool {
        let max = limits::TLS_HANDSHAKES_PER_ADDRESS_MAX;
        // The scan is spared while it cannot find so many.
        self.handshakes >= max && self.handshakes_under_way().filter(|(_, it)| it.address == address).count() >= max
    }

    /// Gives up the handshake that has lasted longest: places that are held without a word must not keep out those who speak.
    fn evict(&mut self) {
        let oldest = self.handshakes_under_way().min_by_key(|(_, session)| session.ts_accepted);
        if let Some((slot, _)) = oldest {
            self.counts.evicted += 1;
            self.end(slot);
        }
    }

    pub(super) fn end_handshakes(&mut self) {
        for slot in 0..self.sessions.len() {
            if self.sessions[slot].as_ref().is_some_and(Session::is_handshake) {
                self.end(slot);
            }
        }
    }

    /// Steps of handshakes, a few: each may take a millisecond.
    pub(super) fn shake_hands(&mut self, now: Nanos) -> usize {
        let count = self.shaking.len().min(limits::TLS_HANDSHAKES_PER_CYCLE);
        for _ in 0..count {
            let Some(slot) = self.shaking.pop_front() else { break };
            self.shake(slot, now);
        }
        count
    }

    fn shake(&mut self, slot: usize, now: Nanos) {
        let Some(session) = &mut self.sessions[slot] else { return };
        session.is_queued = false;
        let Stage::Handshake { link, is_refused, .. } = &mut session.stage else { return };
        if *is_refused {
            let is_open = link.discard(&mut self.scratch);
            let is_readable = link.is_readable();
            if !is_open {
                self.end(slot);
            } else if is_readable {
                wake(slot, session, &mut self.shaking, &mut self.moving);
            }
            return;
        }
        let stepped = link.receive().and_then(|received| Ok(received + link.send()?));
        match stepped {
            Err(error) => {
                self.counts.failed(&error);
                if !matches!(error, LinkError::Tls(_)) {
                    return self.end(slot);
                }
                link.shut();
                *is_refused = true;
                session.ts_end = Some(now + limits::TLS_REFUSAL_DEADLINE);
                wake(slot, session, &mut self.shaking, &mut self.moving);
            }
            Ok(_) if !link.is_handshaking() => self.begin_relay(slot),
            Ok(0) => {}
            Ok(_) => wake(slot, session, &mut self.shaking, &mut self.moving),
        }
    }

    /// A handshake is done: makes the pair whose other end the port's agent gets.
    fn begin_relay(&mut self, slot: usize) {
        let Some(session) = self.sessions[slot].take() else { return };
        self.handshakes -= 1;
        let Stage::Handshake { mut link, identity, arrivals, .. } = session.stage else { return };
        let account = identity.account_of(link.peer_certificates());
        let pair = UnixStream::pair();
        let Ok((inner, outer)) = pair else {
            self.counts.accept_failures += 1;
            link.deregister(self.poll.registry());
            self.free.push(slot);
            return;
        };
        let mut relay = Relay::new(link, inner);
        if relay.register(self.poll.registry(), token(slot, true)).is_err() {
            self.counts.accept_failures += 1;
            relay.deregister(self.poll.registry());
            self.free.push(slot);
            return;
        }
        self.counts.handshakes += 1;
        let arrival = Arrival { stream: Stream::Unix(outer), address: session.address, account };
        let stage = Stage::Open { relay, arrival: Some(Handover { arrival, arrivals }) };
        let session = self.sessions[slot].insert(Session { stage, ..session });
        wake(slot, session, &mut self.shaking, &mut self.moving);
    }

    /// Bytes of open sessions, a bounded number of sessions.
    pub(super) fn move_bytes(&mut self) -> usize {
        let mut work = 0;
        for _ in 0..self.moving.len().min(limits::TLS_SESSIONS_PER_CYCLE) {
            let Some(slot) = self.moving.pop_front() else { break };
            work += self.step(slot);
        }
        work
    }

    fn step(&mut self, slot: usize) -> usize {
        let Some(session) = &mut self.sessions[slot] else { return 0 };
        session.is_queued = false;
        let Stage::Open { relay, arrival } = &mut session.stage else { return 0 };
        let is_handed_over = hand_over(arrival);
        let moved = relay.step(&mut self.scratch);
        let (is_over, is_waiting) = (relay.is_over(), arrival.is_some());
        let Ok(moved) = moved else {
            self.counts.broken += 1;
            self.end(slot);
            return 1;
        };
        self.counts.bytes_received += moved.received;
        self.counts.bytes_sent += moved.sent;
        if is_over || !is_handed_over {
            self.end(slot);
        } else if moved.work > 0 || is_waiting {
            wake(slot, session, &mut self.shaking, &mut self.moving);
        }
        moved.work
    }

    /// Closes a session now.
    pub(super) fn end(&mut self, slot: usize) {
        let Some(session) = self.sessions[slot].take() else { return };
        match session.stage {
            Stage::Handshake { mut link, .. } => {
                self.handshakes -= 1;
                link.deregister(self.poll.registry());
            }
            Stage::Open { mut relay, .. } => relay.deregister(self.poll.registry()),
        }
        if session.is_queued {
            self.shaking.retain(|queued| *queued != slot);
            self.moving.retain(|queued| *queued != slot);
        }
        self.free.push(slot);
    }

    pub(super) fn look_at_deadlines(&mut self, now: Nanos) {
        for slot in 0..self.sessions.len() {
            let Some(session) = &mut self.sessions[slot] else { continue };
            let is_late = match &session.stage {
                Stage::Handshake { is_refused: true, .. } => {
                    if session.ts_end.is_some_and(|ts_end| now >= ts_end) {
                        self.end(slot);
                    }
                    continue;
                }
                Stage::Handshake { .. } => now.saturating_sub(session.ts_accepted) >= limits::TLS_HANDSHAKE_DEADLINE,
                Stage::Open { relay, .. } if relay.is_closing() => {
                    now >= *session.ts_end.get_or_insert(now + limits::TLS_FAREWELL_DEADLINE)
                }
                Stage::Open { .. } => false,
            };
            if is_late {
                let is_handshake = session.is_handshake();
                let counter = if is_handshake { &mut self.counts.failed_late } else { &mut self.counts.cut_late };
                *counter += 1;
                self.end(slot);
            }
        }
    }
}

/// Hands the other end of a pair to its agent, when it takes it. False: the agent is gone.
fn hand_over(waiting: &mut Option<Handover>) -> bool {
    let Some(Handover { arrival, arrivals }) = waiting.take() else { return true };
    match arrivals.try_send(arrival) {
        Ok(()) => true,
        Err(TrySendError::Full(arrival)) => {
            *waiting = Some(Handover { arrival, arrivals });
            true
        }
        Err(TrySendError::Disconnected(_)) => false,
    }
}
