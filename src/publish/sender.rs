//! The publisher: the lines' sockets and the re-request server's, stepped by hand or by a thread.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::SockRef;

use super::impair::{Impairment, LineCounts, Rates};
use super::messages::{Messages, Packet};
use super::packetizer::{Pace, Packetizer};
use super::rerequest;
use crate::agent::Agent;
use crate::feed::moldudp64::{END_OF_SESSION, HEADER_SIZE, Header};
use crate::limits::{PUBLISH_END_OF_SESSION, PUBLISH_HEARTBEAT, PUBLISH_PACKETS_PER_CYCLE, PUBLISH_REQUESTS_PER_CYCLE};
use crate::model::Nanos;
use crate::sys::clock::Clock;

/// Asked of the kernel for each line; it may grant less.
const SEND_BUFFER_SIZE: usize = 4 << 20;
/// Hops that multicast may take.
const MULTICAST_HOPS: u32 = 1;

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct LineSettings {
    /// Group or host.
    pub to: SocketAddrV4,
    /// What goes wrong on it,
    pub rates: Rates,
    /// and when.
    pub seed: u64,
}

/// What is sent where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The session's id.
    pub session: [u8; 10],
    /// Lines A and B, or fewer.
    pub lines: Vec<LineSettings>,
    /// Where re-requests are served, if at all; port 0 lets the system choose.
    pub rerequest: Option<SocketAddr>,
    /// Address of the interface that multicast leaves by; unspecified: the system's choice.
    pub interface: Ipv4Addr,
    /// How fast.
    pub pace: Pace,
    /// Bytes of a datagram's payload at most; a single message may be longer.
    pub packet_size: usize,
    /// How long ends of session are sent and re-requests served after the last message, in ns.
    pub linger: Nanos,
    /// Keep the time at which each message first left, 8 bytes a message: see [`SentTimes`].
    pub record_times: bool,
}

/// When each message first left on any line (or in an answer). Cheap to clone, readable from other threads.
#[derive(Clone, Debug)]
pub struct SentTimes {
    messages: Arc<Messages>,
    times: Arc<[AtomicU64]>,
}

impl SentTimes {
    /// UTC ns, read right before the datagram was handed to the system. `None`: not sent yet, not there, or not recorded.
    pub fn at(&self, sequence: u64) -> Option<Nanos> {
        let index = self.messages.index_of(sequence)?;
        let ts = self.times.get(index as usize)?.load(Ordering::Relaxed);
        (ts != 0).then_some(ts)
    }

    fn record(&self, packet: &Packet, ts: Nanos) {
        let range = packet.from.index as usize..packet.to.index as usize;
        for time in self.times.get(range).unwrap_or(&[]) {
            // One writer: nothing can come between.
            if time.load(Ordering::Relaxed) == 0 {
                time.store(ts, Ordering::Relaxed);
            }
        }
    }
}

/// Sends a feed on its lines, once.
pub struct Publisher {
    session: [u8; 10],
    messages: Arc<Messages>,
    packetizer: Packetizer,
    packet_size: usize,
    linger: Nanos,
    clock: Clock,
    lines: Vec<Line>,
    rerequest: Option<UdpSocket>,
    sent_times: SentTimes,
    /// The next packet and when it is due after the start.
    next: Option<(Packet, Nanos)>,
    /// Messages to be sent in all.
    end: u64,
    start: Option<Nanos>,
    /// When something last left on the lines.
    latest: Nanos,
    /// Since when there is nothing left to send.
    ended: Option<Nanos>,
    requests: u64,
    answers: u64,
    buffer: Vec<u8>,
}

struct Line {
    socket: UdpSocket,
    to: SocketAddrV4,
    impairment: Impairment<Packet>,
    queue: VecDeque<Packet>,
    counts: LineCounts,
}

impl Publisher {
    /// Opens the sockets; sends nothing before the first step. Errors: the system's, when an address cannot be used.
    pub fn new(settings: &Settings, messages: Arc<Messages>, clock: Clock) -> io::Result<Publisher> {
        let lines = settings.lines.iter().map(|line| Line::open(line, settings.interface)).collect::<Result<_, _>>()?;
        let rerequest = settings.rerequest.map(open_rerequest).transpose()?;
        let mut packetizer = Packetizer::new(settings.pace, settings.packet_size);
        let next = packetizer.next(&messages);
        let recorded = if settings.record_times { messages.count() } else { 0 };
        let times = (0..recorded).map(|_| AtomicU64::new(0)).collect();
        Ok(Publisher {
            session: settings.session,
            packetizer,
            packet_size: settings.packet_size,
            linger: settings.linger,
            clock,
            lines,
            rerequest,
            sent_times: SentTimes { messages: Arc::clone(&messages), times },
            end: messages.count(),
            messages,
            next,
            start: None,
            latest: 0,
            ended: None,
            requests: 0,
            answers: 0,
            buffer: Vec::with_capacity(settings.packet_size),
        })
    }

    /// Ends the feed here: what is not sent yet never is.
    pub fn cut(&mut self) {
        self.end = self.sent();
        self.next = None;
    }

    /// Sends a line to another address from now on; without effect where there is no such line.
    pub fn redirect(&mut self, line: usize, to: SocketAddrV4) {
        if let Some(line) = self.lines.get_mut(line) {
            line.to = to;
        }
    }

    /// True once all is sent and the linger is over.
    pub fn is_done(&self, now: Nanos) -> bool {
        self.ended.is_some_and(|ended| now >= ended + self.linger)
    }

    /// True once every message was sent (or lost on purpose).
    pub fn is_sent(&self) -> bool {
        self.ended.is_some()
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.next.map_or(self.end, |(packet, _)| packet.from.index)
    }

    /// What each line did.
    pub fn line_counts(&self) -> impl ExactSizeIterator<Item = LineCounts> {
        self.lines.iter().map(|line| line.counts)
    }

    /// Requests that came, and those of them that were answered.
    pub fn requests(&self) -> (u64, u64) {
        (self.requests, self.answers)
    }

    /// Where re-requests are served.
    pub fn rerequest_address(&self) -> Option<SocketAddr> {
        self.rerequest.as_ref()?.local_addr().ok()
    }

    /// When which message left.
    pub fn sent_times(&self) -> SentTimes {
        self.sent_times.clone()
    }

    /// When the next packet is due; `None` when there is none.
    pub fn next_due(&self) -> Option<Nanos> {
        Some(self.start? + self.next?.1)
    }

    /// Sends what is due. A line that the system holds up holds up all: they stay together.
    fn send_due(&mut self, now: Nanos, start: Nanos) -> usize {
        for done in 0..PUBLISH_PACKETS_PER_CYCLE {
            if !self.drain() {
                return done;
            }
            let Some((packet, _)) = self.next.filter(|(_, due)| start + due <= now) else { return done };
            for line in &mut self.lines {
                line.impairment.pass(packet, &mut line.counts, &mut line.queue);
            }
            self.next = self.packetizer.next(&self.messages);
            self.latest = now;
        }
        self.drain();
        PUBLISH_PACKETS_PER_CYCLE
    }

    /// Sends what waits on the lines; false when a line cannot take more now.
    fn drain(&mut self) -> bool {
        let mut all = true;
        for line in &mut self.lines {
            while let Some(&packet) = line.queue.front() {
                self.messages.write(self.session, &packet, &mut self.buffer);
                let ts = self.clock.now();
                if !line.send(&self.buffer) {
                    all = false;
                    break;
                }
                self.sent_times.record(&packet, ts);
                line.queue.pop_front();
            }
        }
        all
    }

    /// Heartbeats while nothing is due, ends of session after the last message.
    fn send_idle(&mut self, now: Nanos) -> usize {
        if self.next.is_none() && self.ended.is_none() {
            for line in &mut self.lines {
                line.impairment.flush(&mut line.queue);
            }
            if !self.drain() {
                return 0;
            }
            self.ended = Some(now);
            // The first end of session goes out at once.
            self.latest = now.saturating_sub(PUBLISH_END_OF_SESSION);
        }
        let (interval, count) =
            if self.ended.is_some() { (PUBLISH_END_OF_SESSION, END_OF_SESSION) } else { (PUBLISH_HEARTBEAT, 0) };
        if now < self.latest + interval || self.is_done(now) {
            return 0;
        }
        self.latest = now;
        let sequence = self.messages.sequence_of(self.sent());
        let bytes = Header { session: self.session, sequence, count }.bytes();
        self.lines.iter_mut().filter_map(|line| line.send(&bytes).then_some(())).count()
    }

    /// Answers requests, silently passing over what cannot be answered.
    fn serve(&mut self) -> usize {
        let Some(socket) = &self.rerequest else { return 0 };
        let mut request = [0; HEADER_SIZE];
        for served in 0..PUBLISH_REQUESTS_PER_CYCLE {
            // Nothing there, or an ICMP error that an earlier answer caused: go on next time.
            let Ok((size, from)) = socket.recv_from(&mut request) else { return served };
            self.requests += 1;
            let sent = self.sent();
            let answer = rerequest::answer(&self.messages, self.session, sent, &request[..size], self.packet_size);
            let Some(packet) = answer else { continue };
            self.messages.write(self.session, &packet, &mut self.buffer);
            let ts = self.clock.now();
            if socket.send_to(&self.buffer, from).is_ok() {
                self.sent_times.record(&packet, ts);
                self.answers += 1;
            }
        }
        PUBLISH_REQUESTS_PER_CYCLE
    }
}

impl Agent for Publisher {
    fn name(&self) -> &str {
        "publish"
    }

    fn do_work(&mut self, now: Nanos) -> usize {
        let start = *self.start.get_or_insert(now);
        self.latest = self.latest.max(start);
        self.serve() + self.send_due(now, start) + self.send_idle(now)
    }
}

impl Line {
    fn open(settings: &LineSettings, interface: Ipv4Addr) -> io::Result<Line> {
        let LineSettings { to, rates, seed } = *settings;
        let socket = UdpSocket::bind((interface, 0))?;
        socket.set_nonblocking(true)?;
        let options = SockRef::from(&socket);
        // A smaller buffer is no reason to stop: a full one is waited for.
        let _ = options.set_send_buffer_size(SEND_BUFFER_SIZE);
        if to.ip().is_multicast() {
            options.set_multicast_if_v4(&interface)?;
            options.set_multicast_ttl_v4(MULTICAST_HOPS)?;
        }
        Ok(Line {
            socket,
            to,
            impairment: Impairment::new(rates, seed),
            queue: VecDeque::new(),
            counts: LineCounts::default(),
        })
    }

    /// False: the system cannot take it now. What it refuses for another reason is counted and gone, as on a network.
    fn send(&mut self, payload: &[u8]) -> bool {
        match self.socket.send_to(payload, self.to) {
            Ok(_) => self.counts.datagrams += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => self.counts.failed += 1,
        }
        true
    }
}

fn open_rerequest(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
