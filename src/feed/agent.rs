//! Reads datagrams of both lines and of the re-request server, and lets the arbiter put them in order.
//!
//! A duty cycle reads each line once: one datagram, so that what follows from it waits for no other; or, from a line that had
//! one in each of the last cycles and so has more, a batch. It takes the lines' datagrams in turn, so that neither runs ahead of the
//! other by more than a batch; then gives out what became due, asks the re-request server, and tells feed time. A
//! batch is stamped with the clock right after it was read. A datagram that the arbiter refuses stays in the batch, and that
//! socket is not read until it was taken. An error of a socket is counted and ends its turn, nothing else.
//!
//! **An interface that goes away.** Reading says nothing of it: there is just nothing to be read. So a multicast line that is quiet joins
//! its group once more each second:
//!
//! | what happened | the join says | then |
//! |---|---|---|
//! | nothing; or the link is down, which forgets nobody | it is a member | nothing |
//! | the interface, or its address, is away | ENODEV | it is counted |
//! | the interface was made anew | joined | it is counted, and the line is heard again |
//! | so, for the 20th time | ENOBUFS: the kernel counts the memberships of interfaces that are gone (`igmp_max_memberships`) | so, with a new socket |

mod recall;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use super::arbiter::Arbiter;
use super::batch::Batch;
use super::counts::{ArbiterCounts, SocketCounts};
use super::downstream::Downstream;
use super::settings::{ArbiterSettings, Line};
use super::socket::{self, LineSettings};
use crate::agent::Agent;
use crate::limits::{
    DATAGRAMS_PER_CYCLE, FEED_TIME_INTERVAL, KERNEL_DROPS_INTERVAL, REJOIN_INTERVAL, REREQUEST_LISTEN,
};
use crate::model::Nanos;
use crate::sys::clock::Clock;

/// A line that had a datagram in so many cycles in a row is behind: batches from then on.
const HITS_TO_BATCH: u32 = 2;

/// What the feed listens to. Session, join and times are in `arbiter`; its `servers` is set from `rerequest`.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// Line A.
    pub line_a: Option<LineSettings>,
    /// Line B.
    pub line_b: Option<LineSettings>,
    /// Re-request servers, asked in this order.
    pub rerequest: Vec<SocketAddrV4>,
    /// Waiting, joining, sessions.
    pub arbiter: ArbiterSettings,
    /// Bytes of receive buffer asked for per socket.
    pub receive_buffer: usize,
}

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {what} ({address}): {source}")]
pub struct OpenError {
    /// `line A`, `line B` or `re-request`.
    pub what: &'static str,
    /// What it was to be bound to; for re-requests the first server.
    pub address: SocketAddrV4,
    /// The system's reason.
    pub source: io::Error,
}

/// What the kernel granted for one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Whose socket.
    pub line: Line,
    /// What it is bound to.
    pub address: SocketAddr,
    /// Bytes, in the kernel's count: see [`socket::granted`].
    pub receive_buffer: usize,
}

impl std::fmt::Display for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.line {
            Line::A => "line A",
            Line::B => "line B",
            Line::Rerequest | Line::File => "re-requests",
        };
        write!(f, "{what} on {}, receive buffer {} bytes granted", self.address, self.receive_buffer)
    }
}

/// See the head of this file.
pub struct FeedAgent<D> {
    receivers: Vec<Receiver>,
    rerequest: Option<UdpSocket>,
    servers: Vec<SocketAddrV4>,
    arbiter: Arbiter,
    down: D,
    clock: Clock,
    counts: SocketCounts,
    heartbeats_told: u64,
    time_told: Nanos,
    drops_read: Nanos,
    /// Until then the re-request socket is read.
    listen_until: Nanos,
    recall: Option<Box<recall::Recall>>,
    /// Bytes asked for per socket.
    receive_buffer: usize,
}

impl<D: Downstream> FeedAgent<D> {
    /// Opens the sockets and allocates all that is ever needed.
    pub fn open(settings: &FeedSettings, clock: Clock, down: D) -> Result<FeedAgent<D>, OpenError> {
        let mut receivers = vec![];
        for (line, what, of) in [(Line::A, "line A", settings.line_a), (Line::B, "line B", settings.line_b)] {
            let Some(of) = of else { continue };
            let opened = socket::open_line(&of, settings.receive_buffer).and_then(|socket| Receiver::new(line, socket));
            let mut receiver = opened.map_err(|source| OpenError { what, address: of.address, source })?;
            receiver.group = of.address.ip().is_multicast().then_some(of);
            receivers.push(receiver);
        }
        let mut rerequest = None;
        if let Some(first) = settings.rerequest.first() {
            let failed = |source| OpenError { what: "re-request", address: *first, source };
            let socket = socket::open_rerequest(&settings.rerequest, settings.receive_buffer).map_err(failed)?;
            rerequest = Some(socket.try_clone().map_err(failed)?);
            receivers.push(Receiver::new(Line::Rerequest, socket).map_err(failed)?);
        }
        let servers = settings.rerequest.clone();
        let arbiter = Arbiter::new(ArbiterSettings { servers: servers.len(), ..settings.arbiter });
        let counts = SocketCounts::default();
        let (heartbeats_told, time_told, drops_read, listen_until) = (0, 0, 0, 0);
        Ok(FeedAgent {
            receivers,
            rerequest,
            servers,
            arbiter,
            down,
            clock,
            counts,
            heartbeats_told,
            time_told,
            drops_read,
            listen_until,
            recall: None,
            receive_buffer: settings.receive_buffer,
        })
    }

    /// What each socket is bound to and was granted.
    pub fn report(&self) -> impl Iterator<Item = Granted> + '_ {
        self.receivers.iter().map(|receiver| receiver.granted)
    }

    /// What the socket of `line` is bound to, where there is one.
    pub fn address(&self, line: Line) -> Option<SocketAddr> {
        self.report().find(|granted| granted.line == line).map(|granted| granted.address)
    }

    /// What came out of the packets.
    pub fn counts(&self) -> &ArbiterCounts {
        self.arbiter.counts()
    }

    /// What happened at the sockets.
    pub fn socket_counts(&self) -> &SocketCounts {
        &self.counts
    }

    /// Where the output goes.
    pub fn downstream(&self) -> &D {
        &self.down
    }

    /// The same, to be changed.
    pub fn downstream_mut(&mut self) -> &mut D {
        &mut self.down
    }

    /// Reads the sockets and takes their datagrams in turn. Returns the datagrams taken.
    fn read(&mut self, now: Nanos) -> usize {
        let mut waiting = 0;
        for receiver in &mut self.receivers {
            let is_heard = receiver.granted.line != Line::Rerequest || now < self.listen_until;
            if is_heard && receiver.batch.is_empty() {
                receiver.receive(&self.servers, &self.clock, &mut self.counts);
            }
            receiver.turn_over = receiver.batch.is_empty();
            waiting += usize::from(!receiver.turn_over);
        }
        let mut taken = 0;
        while waiting > 0 {
            for receiver in self.receivers.iter_mut().filter(|receiver| !receiver.turn_over) {
                let line = receiver.granted.line;
                let is_taken = receiver
                    .batch
                    .first()
                    .is_some_and(|datagram| self.arbiter.packet(line, datagram, receiver.ts_recv, &mut self.down));
                if is_taken {
                    receiver.batch.take();
                    taken += 1;
                }
                receiver.turn_over = !is_taken || receiver.batch.is_empty();
                waiting -= usize::from(receiver.turn_over);
            }
        }
        taken
    }

    /// Asks a re-request server for what is missing.
    fn ask(&mut self, now: Nanos) -> usize {
        let Some(socket) = &self.rerequest else { return 0 };
        let Some((server, request)) = self.arbiter.request(now) else { return 0 };
        self.listen_until = now + REREQUEST_LISTEN;
        // An ICMP error of an earlier request may be reported here; the arbiter asks again after a silence anyway.
        if socket.send_to(&request.bytes(), self.servers[server]).is_err() {
            self.counts.socket_errors += 1;
        }
        1
    }

    /// Tells feed time at each heartbeat and every [`FEED_TIME_INTERVAL`], but never ahead of what is held back.
    fn tell_time(&mut self, now: Nanos) {
        let heartbeats = self.arbiter.counts().heartbeats;
        let due = heartbeats != self.heartbeats_told || now.saturating_sub(self.time_told) >= FEED_TIME_INTERVAL;
        if due && self.arbiter.is_current() && self.down.heartbeat(now) {
            (self.heartbeats_told, self.time_told) = (heartbeats, now);
        }
    }

    /// Joins the groups of lines that are quiet once more: see the head of this file.
    fn rejoin(&mut self, now: Nanos) {
        for receiver in &mut self.receivers {
            let Some(line) = &receiver.group else { continue };
            if now.saturating_sub(receiver.ts_recv.max(receiver.ts_joined)) < REJOIN_INTERVAL {
                continue;
            }
            receiver.ts_joined = now;
            let joined = match socket::rejoin(&receiver.socket, line) {
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => receiver.reopen(self.receive_buffer),
                joined => joined,
            };
            match joined {
                Ok(is_new) => self.counts.rejoins += u64::from(is_new),
                Err(_) => self.counts.rejoin_failures += 1,
            }
        }
    }

    fn read_kernel_drops(&mut self, now: Nanos) {
        if now.saturating_sub(self.drops_read) < KERNEL_DROPS_INTERVAL {
            return;
        }
        self.drops_read = now;
        self.rejoin(now);
        for receiver in &self.receivers {
            let drops = socket::kernel_drops(&receiver.socket);
            match receiver.granted.line {
                Line::A => self.counts.line_a_kernel_drops = drops,
                Line::B => self.counts.line_b_kernel_drops = drops,
                Line::Rerequest | Line::File => self.counts.rerequest_kernel_drops = drops,
            }
        }
    }
}

impl<D: Downstream + Send> Agent for FeedAgent<D> {
    fn name(&self) -> &str {
        "feed"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let read = self.read(now);
        // Datagrams are stamped during the cycle: their stamps may be later than its start.
        let now = self.receivers.iter().map(|receiver| receiver.ts_recv).fold(now, Nanos::max);
        let recalled = if self.recall.is_some() { self.recall(now) } else { 0 };
        let released = self.arbiter.poll(now, &mut self.down);
        let asked = self.ask(now);
        self.tell_time(now);
        self.read_kernel_drops(now);
        read + recalled + released + asked
    }
}

/// One socket and the datagrams that were read from it last.
struct Receiver {
    granted: Granted,
    socket: UdpSocket,
    batch: Batch,
    /// When the batch was read.
    ts_recv: Nanos,
    /// Cycles in a row that found something.
    hits: u32,
    /// Nothing more to be had from it in this duty cycle.
    turn_over: bool,
    /// The group that it is to be a member of,
    group: Option<LineSettings>,
    /// and when that was last seen to.
    ts_joined: Nanos,
}

impl Receiver {
    fn new(line: Line, socket: UdpSocket) -> io::Result<Receiver> {
        let (address, receive_buffer) = (socket.local_addr()?, socket::granted(&socket)?);
        let granted = Granted { line, address, receive_buffer };
        Ok(Receiver {
            granted,
            socket,
            batch: Batch::new(),
            ts_recv: 0,
            hits: 0,
            turn_over: false,
            group: None,
            ts_joined: 0,
        })
    }

    /// Begins anew with a socket of the same address, which has no memberships but its own. True: it has joined.
    #[cold]
    fn reopen(&mut self, receive_buffer: usize) -> io::Result<bool> {
        let (Some(group), SocketAddr::V4(address)) = (&mut self.group, self.granted.address) else { return Ok(false) };
        group.address = address;
        self.socket = socket::open_line(group, receive_buffer)?;
        Ok(true)
    }

    /// Reads one datagram, or a batch. Datagrams on the re-request socket that no server sent are dropped.
    #[inline]
    fn receive(&mut self, servers: &[SocketAddrV4], clock: &Clock, counts: &mut SocketCounts) {
        let Receiver { socket, batch, .. } = self;
        let received = match self.granted.line {
            Line::Rerequest | Line::File => batch.fill_one(|buffer| socket.recv_from(buffer)).map(|from| {
                let is_known = servers.iter().any(|server| SocketAddr::V4(*server) == from);
                if !is_known {
                    counts.stranger_datagrams += 1;
                    batch.take();
                }
                usize::from(is_known)
            }),
            Line::A | Line::B if self.hits < HITS_TO_BATCH => {
                batch.fill_one(|buffer| Ok((socket.recv(buffer)?, ()))).map(|()| 1)
            }
            Line::A | Line::B => batch.receive(socket).inspect(|count| {
                // The socket is empty now.
                if *count < DATAGRAMS_PER_CYCLE {
                    self.hits = 0;
                }
            }),
        };
        match received {
            Ok(count) => {
                counts.datagrams += count as u64;
                self.ts_recv = clock.now();
                self.hits = self.hits.saturating_add(1);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => self.hits = 0,
            Err(_) => counts.socket_errors += 1,
        }
    }
}

#[cfg(test)]
mod tests;
