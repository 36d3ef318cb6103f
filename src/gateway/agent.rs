//! The gateway's agent: alert rings in, TCP clients out, the log between them.
//!
//! A cycle: take alerts and append them; send to those who read them; look at the sockets; look at the deadlines. The
//! sockets are polled at most every [`limits::POLL_INTERVAL`]: sending needs no poll (a client is known to be writable
//! until a write says otherwise), so a spinning agent spends its time on the rings and not in system calls.
//!
//! Readiness is edge-triggered: a client that was readable is read until its socket has nothing left, a few reads a
//! cycle; one whose socket was full waits for the event.
//!
//! Who is closed, and when: see `PROTOCOL.md`. A closed client gets what is in its outgoing buffer, then the end of
//! our side, and has [`limits::LINGER`] to close its own (a socket closed with unread input would reset the connection
//! and could take the last words with it).

mod admission;
mod sockets;
mod timed;
mod waking;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::intake::{Intake, IntakeCounts};
use super::log::Run;
use super::logs::Logs;
use super::marks::Name;
use super::preparer::Preparer;
use super::segment::SegmentError;
use super::session::Ending;
use super::settings::{GatewaySettings, SettingsError};
use super::wire;
use crate::agent::Agent;
use crate::counts;
use crate::door::census::Census;
use crate::door::newcomers::Newcomers;
use crate::door::{Door, Pass};
use crate::limits;
use crate::model::{Alert, Nanos};
use crate::ring::{Receiver, Sender};
use crate::soup::arrival::Arrival;
use crate::soup::login::SessionId;
use crate::sys::aside::Aside;
use crate::sys::clock::Clock;
use crate::sys::listener;

pub use timed::WriteTimes;

const LISTENER: Token = Token(usize::MAX);

counts! {
    /// What the gateway counts beside [`IntakeCounts`].
    pub struct GatewayCounts {
        /// Connections accepted.
        connections,
        /// Connections closed at once because there were too many.
        connections_refused,
        /// Accepts that failed.
        accept_failures,
        /// Logins accepted.
        logins,
        /// Logins refused.
        logins_refused,
        /// Of these, logins that were not looked at since too many wrong ones came from their address.
        logins_held_off,
        /// Clients cut since their login is in the config no more, or sees another stream.
        removed,
        /// Clients that another login of the same name replaced.
        replaced,
        /// Clients cut because they fell behind the retention.
        lagged,
        /// Connections without a login closed because a later one wanted their place.
        evicted,
        /// Clients cut for what they sent, or did not send in time.
        violations,
        /// Connections closed.
        closed,
        /// Bytes that clients sent.
        bytes_received,
        /// Segments that could not be prepared.
        segment_failures,
    }
}

/// Where an agent meets the machine: why it did not come up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings contradict themselves.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The alert log could not be opened or created.
    #[error("alert log in {directory}: {error}")]
    Log {
        /// Where it is.
        directory: String,
        /// Why.
        error: SegmentError,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// The agent.
pub struct GatewayAgent {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// Connections that another agent has accepted.
    arrivals: Option<mpsc::Receiver<Arrival>>,
    address: SocketAddr,
    /// Places by token. Never grows.
    peers: Box<[Option<sockets::Peer>]>,
    /// One more than the highest place that is taken: what lies above need not be looked at.
    places_used: usize,
    peer_count: usize,
    door: Door,
    /// Accounts that come while it runs.
    newcomers: Option<Newcomers>,
    census: Census,
    /// What each login may do; `None`: it is in the config no more.
    passes: Vec<Option<Pass>>,
    /// The place of each login's client.
    places: Vec<Option<usize>>,
    /// The accounts' names by number.
    names: Vec<Name>,
    settings: GatewaySettings,
    intake: Intake,
    /// By shard: where it is told how many of its alerts are logged, and what was told last.
    logged: Vec<(Sender<u64>, u64)>,
    logs: Logs,
    preparer: Preparer,
    log_full: Arc<AtomicBool>,
    log_exhausted: Arc<AtomicBool>,
    clock: Clock,
    on_logged: Box<dyn FnMut(Nanos) + Send>,
    on_written: Box<dyn FnMut(WriteTimes) + Send>,
    timing: timed::Turn,
    /// The newest `ts_log` of this cycle; 0: none.
    ts_logged: Nanos,
    counts: GatewayCounts,
    waking: waking::Waking,
    ts_polled: Nanos,
    ts_deadlines: Nanos,
    ts_accept: Option<Nanos>,
    ts_prepare: Nanos,
    ts_closing: Option<Nanos>,
}

impl GatewayAgent {
    /// Goes on with the newest log below `settings.directory`, or begins a new one ([`super::logs`]); begins the worker that
    /// prepares its segments, and listens, letting in whom the door lets in. `rings` are the shards' alert rings.
    ///
    /// # Errors
    /// When settings, disk or address do not allow it.
    pub fn open(
        settings: GatewaySettings,
        door: Door,
        rings: Vec<Receiver<Alert>>,
        clock: Clock,
        aside: &Aside,
    ) -> Result<Self, OpenError> {
        settings.check()?;
        let in_directory = |error| OpenError::Log { directory: settings.directory.display().to_string(), error };
        let run = Run { boot: settings.boot, ts: clock.now() };
        let names = settings.accounts.clone();
        let logs = Logs::open(&settings.directory, settings.segment_size, settings.retention, &names, run);
        let logs = logs.map_err(in_directory)?;
        let preparer = Preparer::begin(logs.shape(), aside).map_err(|error| in_directory(error.into()))?;
        let mut intake = Intake::new(rings, &names, logs.current(), settings.prints_max);
        intake.resume(&logs);
        let at_address = |error| OpenError::Listen { address: settings.listen, error };
        let poll = Poll::new().map_err(at_address)?;
        let mut listener = listener::listen(settings.listen).map_err(at_address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(at_address)?;
        Ok(GatewayAgent {
            poll,
            events: Events::with_capacity(1_024),
            address: listener.local_addr().map_err(at_address)?,
            listener,
            arrivals: None,
            peers: (0..settings.sessions_max).map(|_| None).collect(),
            places_used: 0,
            peer_count: 0,
            door,
            newcomers: None,
            census: Census::default(),
            passes: settings.logins.iter().copied().map(Some).collect(),
            places: vec![None; settings.logins.len()],
            waking: waking::Waking::new(settings.sessions_max),
            names,
            intake,
            logged: vec![],
            settings,
            logs,
            preparer,
            log_full: Arc::default(),
            log_exhausted: Arc::default(),
            clock,
            on_logged: Box::new(|_| ()),
            on_written: Box::new(|_| ()),
            timing: timed::Turn::default(),
            ts_logged: 0,
            counts: GatewayCounts::default(),
            ts_polled: 0,
            ts_deadlines: 0,
            ts_accept: None,
            ts_prepare: 0,
            ts_closing: None,
        })
    }

    /// Serves these connections too.
    pub fn also_serve(&mut self, arrivals: mpsc::Receiver<Arrival>) {
        self.arrivals = Some(arrivals);
    }

    /// Gives a stream to each of these accounts when it comes.
    pub fn also_name(&mut self, newcomers: Newcomers) {
        self.newcomers = Some(newcomers);
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The session that its streams belong to.
    pub fn session(&self) -> SessionId {
        self.logs.session()
    }

    /// Up while the log is nearly full: no new rules are to be taken.
    pub fn log_full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.log_full)
    }

    /// Tells by these rings, one for each shard, how many of the shard's alerts are in the log.
    pub fn tell_logged(&mut self, rings: Vec<Sender<u64>>) {
        self.logged = rings.into_iter().map(|ring| (ring, 0)).collect();
    }

    /// Hands each alert's time from `ts_recv` to `ts_log`, in ns, to `observe`: for a histogram.
    pub fn on_logged(&mut self, observe: impl FnMut(Nanos) + Send + 'static) {
        self.on_logged = Box::new(observe);
    }

    /// Hands what timed write calls showed to `observe`: one send in [`limits::SENDS_PER_TIMING`].
    pub fn on_written(&mut self, observe: impl FnMut(WriteTimes) + Send + 'static) {
        self.on_written = Box::new(observe);
    }

    /// What was counted.
    pub fn counts(&self) -> GatewayCounts {
        self.counts
    }

    /// What the intake counted.
    pub fn intake_counts(&self) -> IntakeCounts {
        self.intake.counts()
    }

    /// Connections that are open.
    pub fn peer_count(&self) -> usize {
        self.peer_count
    }

    /// Up once the log can take nothing more and its next segment could not be made: no alert goes out any more.
    pub fn log_exhausted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.log_exhausted)
    }

    fn append(&mut self) -> usize {
        let GatewayAgent { intake, logs, waking, clock, on_logged, ts_logged, .. } = self;
        *ts_logged = 0;
        let mut stamp = || {
            *ts_logged = clock.now();
            *ts_logged
        };
        let taken = intake.take(logs.current_mut(), &mut stamp, on_logged);
        logs.current_mut().take_touched().for_each(|audience| waking.wake_readers(audience));
        for (logged, (ring, told)) in intake.logged().zip(&mut self.logged) {
            // A full ring is told later.
            if logged != *told && ring.send(logged) {
                *told = logged;
            }
        }
        taken
    }

    /// Sees to it that the log has a next segment, and that what is past the retention goes.
    fn keep_log(&mut self, now: Nanos) {
        if let Some(retired) = self.logs.retired(now) {
            self.preparer.remove(retired);
        }
        let log = self.logs.current_mut();
        log.set_time(now);
        if let Some(ordinal) = log.wanted() {
            match self.preparer.ready() {
                Some(Ok(segment)) => log.provide(segment),
                Some(Err(error)) => {
                    tracing::error!(%error, "no next segment for the alert log");
                    self.counts.segment_failures += 1;
                    self.log_exhausted.fetch_or(log.room() == 0, Ordering::Relaxed);
                    self.ts_prepare = now + limits::SEGMENT_RETRY;
                }
                None if now >= self.ts_prepare => self.preparer.ask(ordinal),
                None => {}
            }
            self.log_full.store(log.nearly_full(), Ordering::Relaxed);
        }
    }
}

impl Agent for GatewayAgent {
    fn name(&self) -> &str {
        "gateway"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let appended = self.append();
        let mut work = appended;
        // First of all: everything else can wait for what was just logged.
        work += self.serve(now);
        self.keep_log(now);
        work += self.take_verdicts(now);
        if now.saturating_sub(self.ts_polled) >= limits::POLL_INTERVAL {
            work += self.look_at_sockets(now);
        }
        if now.saturating_sub(self.ts_deadlines) >= limits::DEADLINE_INTERVAL {
            self.meet_newcomers();
            self.take_notice(now);
            self.look_at_deadlines(now);
        }
        work
    }

    /// Sends everyone who is logged in all that was appended, then that the engine stops, and closes; whoever cannot take it
    /// within [`limits::CLOSE_DEADLINE`] is closed without. Last it closes the log: the session goes on at the next start.
    fn close(&mut self, now: Nanos) -> bool {
        let since = *self.ts_closing.get_or_insert(now);
        self.arrivals = None;
        self.do_work(now);
        if !self.intake.is_empty() && now.saturating_sub(since) < limits::CLOSE_DEADLINE {
            return false;
        }
        for place in 0..self.places_used {
            let Some(peer) = &mut self.peers[place] else { continue };
            let is_paid = peer.client.is_flushed() && !peer.client.is_behind(&self.logs);
            if now.saturating_sub(since) >= limits::CLOSE_DEADLINE || !peer.client.connection.is_logged_in() {
                self.close_now(place);
            } else if is_paid && peer.client.ending == Ending::No {
                peer.client.cut(wire::STOPS, now);
                self.send(place, now);
            }
        }
        (0..self.places_used).for_each(|place| self.waking.wake(place));
        if self.peer_count == 0
            && let Err(error) = self.logs.current_mut().close()
        {
            tracing::error!(%error, "the alert log could not be closed");
        }
        self.peer_count == 0
    }
}
