//! The control agent: clients' sockets on one side, the shards' rule and applied rings on the other.
//!
//! ```text
//!  sockets --read--> soup --> wire --> session (room? rate?) --> sequencer --> rule rings
//!  sockets <-write-- answer streams <------ sequencer <-------------------- applied rings
//!                        ^ release                | changes
//!                        '------- journaling <----'---> the journal
//! ```
//!
//! One cycle: take outcomes, ask for readiness, serve connections, now and then look at deadlines. All bounded; a
//! connection whose request cannot be taken yet is not read from any more, and no other waits for it, except for the
//! same full shard. Readiness comes edge by edge, so it is remembered per connection until a call would block.

mod admission;
mod connection;
mod journaling;
mod serve;
mod standings;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::sequencer::Sequencer;
use super::session::{Bounds, Login};
use crate::agent::Agent;
use crate::counts;
use crate::door::census::Census;
use crate::door::{ClientLimits, Door, Pass};
use crate::limits::{
    APPLIED_PER_CYCLE, CONNECTIONS_PER_CYCLE, CONTROL_POLL_INTERVAL, CONTROL_TIMER_INTERVAL, FAREWELL_DEADLINE,
    RULE_RING,
};
use crate::model::{Applied, Journaled, Nanos, RuleCommand};
use crate::ring::{Receiver, Sender};
use crate::soup::arrival::Arrival;
use crate::soup::login::SessionId;
use crate::soup::packet::SERVER_HEARTBEAT;
use crate::sys::listener;
use connection::{Connection, Ending, Farewell};
use journaling::Journaling;
use standings::Standings;

const LISTENER: Token = Token(0);
/// Cycles after which readiness is asked for though the clock stood still, as a test's may.
const CYCLES_PER_POLL: u32 = 64;

/// What the agent is given at start.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The answer streams' session id, new at each start.
    pub session: SessionId,
    /// The logins by number.
    pub logins: Vec<Pass>,
    /// Connections at once.
    pub sessions_max: usize,
    /// Bytes of answers kept for each login; raised to `limits::CONTROL_RING_SIZE_MIN` and to a power of two.
    pub answer_ring_size: usize,
    /// Requests of one login in flight.
    pub requests_in_flight_max: usize,
    /// What may change while it runs.
    pub limits: ClientLimits,
    /// Connections have only the first so many descriptors of the process.
    pub descriptors_max: usize,
}

counts! {
    /// What the control agent counts.
    pub struct ControlCounts {
        /// Connections accepted.
        connections,
        /// Connections now.
        connections_open,
        /// Connections closed at once for want of a place.
        connections_refused,
        /// Connections without a login closed because a later one wanted their place.
        connections_evicted,
        /// Accepts that failed.
        accept_failures,
        /// Logins accepted.
        logins,
        /// Logins rejected.
        logins_rejected,
        /// Of these, logins that were not looked at since too many wrong ones came from their address.
        logins_held_off,
        /// Connections cut since their login is in the config no more.
        removed,
        /// Connections replaced by a later one of the same login.
        replaced,
        /// Connections cut for what they sent or did not send.
        cut,
        /// Requests that went to a shard.
        requests,
        /// Requests refused before any shard.
        refused,
        /// Answers given.
        answers,
        /// Times a request had to wait for a shard's ring or for the login's walk.
        waits_shard,
        /// Times a request had to wait until answers were read.
        waits_room,
        /// Answers that wait for the journal.
        answers_held,
        /// Commands in flight.
        in_flight,
        /// The newest command's ordinal.
        ordinal,
        /// Outcomes of no known command.
        unmatched,
    }
}

/// The agent.
pub struct ControlAgent {
    settings: ControlSettings,
    local_addr: SocketAddr,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// Connections that another agent has accepted.
    arrivals: Option<mpsc::Receiver<Arrival>>,
    is_accepting: bool,
    ts_accept: Nanos,
    door: Door,
    census: Census,
    logins: Vec<Login>,
    /// By login: the connection that it has.
    connected: Vec<Option<usize>>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections with something to do.
    queue: VecDeque<usize>,
    sequencer: Sequencer,
    commands: Vec<Sender<RuleCommand>>,
    applied: Vec<Receiver<Applied>>,
    journaling: Journaling,
    standings: Standings,
    /// Up while the alert log is nearly full: no new rules.
    log_full: Arc<AtomicBool>,
    counts: ControlCounts,
    ts_poll: Nanos,
    cycles: u32,
    ts_timer: Nanos,
    /// Set when the agent is being closed: when it gives up.
    ts_close: Option<Nanos>,
    has_said_end: bool,
}

impl ControlSettings {
    fn bounds(&self) -> Bounds {
        Bounds { in_flight_max: self.requests_in_flight_max, per_second_max: self.limits.requests_per_second_max }
    }

    fn login(&self, pass: &Pass) -> Login {
        Login::new(pass.account, !pass.is_drop_copy, self.answer_ring_size, self.bounds())
    }
}

impl ControlAgent {
    /// Listens, and lets in whom the door lets in. `commands` and `applied` are the rings to and from the shards, in the same
    /// order.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn new(
        settings: ControlSettings,
        door: Door,
        commands: Vec<Sender<RuleCommand>>,
        applied: Vec<Receiver<Applied>>,
    ) -> io::Result<ControlAgent> {
        let poll = Poll::new()?;
        let mut listener = listener::listen(settings.listen)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(ControlAgent {
            local_addr: listener.local_addr()?,
            poll,
            events: Events::with_capacity(CONNECTIONS_PER_CYCLE),
            listener,
            arrivals: None,
            is_accepting: true,
            ts_accept: 0,
            door,
            census: Census::default(),
            logins: settings.logins.iter().map(|pass| settings.login(pass)).collect(),
            connected: vec![None; settings.logins.len()],
            connections: (0..settings.sessions_max).map(|_| None).collect(),
            free: (0..settings.sessions_max).rev().collect(),
            queue: VecDeque::with_capacity(settings.sessions_max),
            sequencer: Sequencer::new(commands.len(), RULE_RING, settings.logins.len()),
            commands,
            applied,
            journaling: Journaling::default(),
            standings: Standings::default(),
            log_full: Arc::default(),
            counts: ControlCounts::default(),
            ts_poll: 0,
            cycles: 0,
            ts_timer: 0,
            ts_close: None,
            has_said_end: false,
            settings,
        })
    }

    /// Refuses sets while this is up.
    pub fn refuse_sets_while(&mut self, log_full: Arc<AtomicBool>) {
        self.log_full = log_full;
    }

    /// Hands every change of the rules to a journal, by `changes`, and lets no answer out before `durable` has told
    /// that all changes before it are safe: that many of those sent. Both rings have the same number of slots. A change
    /// is handed over when `logged`, a ring for each shard, has told that the shard's alerts before it are in the alert log. Without
    /// `waits` answers leave at once. Ordinals go on behind `ordinal`, that of the newest command of earlier runs.
    pub fn journal(
        &mut self,
        rings: (Sender<Journaled>, Receiver<u64>, usize),
        logged: Vec<Receiver<u64>>,
        waits: bool,
        ordinal: u64,
    ) {
        self.journaling = Journaling::new(rings, logged, waits);
        self.sequencer.go_on(ordinal);
    }

    /// Asks the shards now and then, and before the end, where their symbols stand, for the journal.
    pub fn ask_for_standings(&mut self) {
        self.standings = Standings::new(self.commands.len());
    }

    /// Serves these connections too.
    pub fn also_serve(&mut self, arrivals: mpsc::Receiver<Arrival>) {
        self.arrivals = Some(arrivals);
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has counted.
    pub fn counts(&self) -> ControlCounts {
        ControlCounts {
            connections_open: (self.connections.len() - self.free.len()) as u64,
            answers_held: self.journaling.held() as u64,
            in_flight: self.sequencer.in_flight() as u64,
            ordinal: self.sequencer.ordinal(),
            unmatched: self.sequencer.unmatched(),
            ..self.counts
        }
    }

    /// Takes outcomes and turns them into answers, and releases those that were waiting for the journal.
    fn take_applied(&mut self) -> usize {
        let ControlAgent { applied, sequencer, logins, connected, connections, queue, counts, journaling, .. } = self;
        let standings = &mut self.standings;
        let mut count = journaling.poll();
        while let Some((login, mark)) = journaling.next_due() {
            logins[login as usize].answers.release(mark);
            wake(connected[login as usize], connections, queue);
        }
        for (shard, ring) in applied.iter_mut().enumerate() {
            count += ring.drain(APPLIED_PER_CYCLE.min(journaling.room()), |outcome| {
                if let Some(standing) = standings.applied(shard, outcome) {
                    let standing = standing.map(Journaled::Standing);
                    return standing.into_iter().for_each(|standing| journaling.send(standing, outcome.alerts));
                }
                // The one place between applied and answered. The answer tells the shard's state, with all changes
                // before it: so it waits for all of them, whether it makes one itself or not.
                if let Some(change) = sequencer.change(shard, outcome) {
                    journaling.send(Journaled::Change(change), outcome.alerts);
                }
                let Some(routed) = sequencer.applied(shard, outcome) else { return };
                let login = &mut logins[routed.login as usize];
                let is_walking = sequencer.is_walking(routed.login);
                login.answer(routed.answer.encode().bytes(), routed.is_last, is_walking);
                counts.answers += 1;
                if !journaling.hold(routed.login, login.answers.mark()) {
                    login.answers.release(login.answers.mark());
                    wake(connected[routed.login as usize], connections, queue);
                }
            });
        }
        count
    }

    fn poll_sockets(&mut self, now: Nanos) -> usize {
        self.cycles += 1;
        if now.saturating_sub(self.ts_poll) < CONTROL_POLL_INTERVAL && self.cycles < CYCLES_PER_POLL {
            return 0;
        }
        (self.ts_poll, self.cycles) = (now, 0);
        // An interrupted poll is asked again in the next cycle.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return 0;
        }
        let mut count = self.take_arrivals(now);
        for event in &self.events {
            count += 1;
            let Some(slot) = event.token().0.checked_sub(1) else {
                self.is_accepting = true;
                continue;
            };
            if let Some(Some(connection)) = self.connections.get_mut(slot) {
                connection.has_ended |= event.is_read_closed() || event.is_error();
                connection.is_readable |= event.is_readable() || connection.has_ended;
                connection.is_writable |= event.is_writable();
                wake(Some(slot), &mut self.connections, &mut self.queue);
            }
        }
        count
    }

    fn serve_queue(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        for _ in 0..self.queue.len().min(CONNECTIONS_PER_CYCLE) {
            let Some(slot) = self.queue.pop_front() else { break };
            work += self.serve(slot, now);
        }
        work
    }

    /// Deadlines and heartbeats.
    fn look_at_deadlines(&mut self, now: Nanos) {
        if now.saturating_sub(self.ts_timer) < CONTROL_TIMER_INTERVAL {
            return;
        }
        self.ts_timer = now;
        self.take_notice(now);
        let ControlAgent { standings, commands, .. } = self;
        standings.ask(now, &mut |shard, command| commands[shard].send(command));
        for slot in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[slot] else { continue };
            let login = connection.login.map(|login| &self.logins[login as usize]);
            if now >= connection.ts_end || connection.is_stalled(login, now) {
                self.drop_connection(slot);
                continue;
            }
            let overdue = if connection.is_stopped { None } else { connection.soup.overdue(now) };
            if let (Some(violation), Ending::No) = (overdue, &connection.ending) {
                let last = connection.soup.is_logged_in().then(|| Farewell::Debug(violation.to_string()));
                connection.end(login, last, now);
                self.counts.cut += 1;
            } else if connection.is_quiet(login) && connection.soup.heartbeat_due(now) {
                // It fits: the buffer is empty.
                let _ = connection.out.push(&SERVER_HEARTBEAT);
            } else {
                continue;
            }
            wake(Some(slot), &mut self.connections, &mut self.queue);
        }
    }

    /// Says the end to every client, once nothing is in flight any more.
    fn say_end(&mut self, now: Nanos) {
        self.has_said_end = true;
        for slot in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[slot] else { continue };
            let login = connection.login.map(|login| &self.logins[login as usize]);
            let last = connection.soup.is_logged_in().then_some(Farewell::EndOfSession);
            connection.end(login, last, now);
            wake(Some(slot), &mut self.connections, &mut self.queue);
        }
    }
}

/// Puts a connection into the queue, once.
fn wake(slot: Option<usize>, connections: &mut [Option<Connection>], queue: &mut VecDeque<usize>) {
    let Some(slot) = slot else { return };
    if let Some(connection) = &mut connections[slot]
        && !connection.is_queued
    {
        connection.is_queued = true;
        queue.push_back(slot);
    }
}

impl Agent for ControlAgent {
    fn name(&self) -> &str {
        "control"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let ControlAgent { sequencer, commands, .. } = self;
        let mut work = sequencer.advance(&mut |shard, command| commands[shard].send(command));
        work += self.take_applied();
        work += self.poll_sockets(now);
        if self.ts_close.is_none() {
            work += self.accept(now);
        }
        work += self.take_verdicts(now);
        work += self.serve_queue(now);
        self.look_at_deadlines(now);
        work
    }

    /// Takes no request any more, answers what is in flight, has the shards say where their symbols stand, sends what is owed and the end of the session: within
    /// [`FAREWELL_DEADLINE`], twice that at most.
    fn close(&mut self, now: Nanos) -> bool {
        let ts_close = *self.ts_close.get_or_insert(now + FAREWELL_DEADLINE);
        self.arrivals = None;
        self.do_work(now);
        let ControlAgent { standings, commands, sequencer, journaling, .. } = self;
        let is_idle = sequencer.is_idle()
            && standings.close(now, &mut |shard, command| commands[shard].send(command))
            && journaling.is_idle();
        if !self.has_said_end && (is_idle || now >= ts_close) {
            self.say_end(now);
        }
        self.has_said_end && self.free.len() == self.connections.len()
    }
}
