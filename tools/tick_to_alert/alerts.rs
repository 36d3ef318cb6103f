//! The receiving end: packets off the alert stream, and how late each alert is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use hairtrigger::soup::packet::{CLIENT_HEARTBEAT, HEADER_SIZE, PAYLOAD_SIZE_MAX, Packet, kind};
use hdrhistogram::Histogram;

use crate::schedule::Schedule;
use crate::stages::Read as StampedRead;
use crate::stamps;

/// Where an alert has its rule's tag,
pub const TAG: usize = 39;
/// the number of the message that caused it,
pub const SEQUENCE: usize = 73;
/// that of the command that did, if it was one,
const ORDINAL: usize = 81;
/// and when its datagram was read, it was matched, and it was logged.
pub const TS_RECV: usize = 105;
/// See [`TS_RECV`].
pub const TS_MATCH: usize = 113;
/// See [`TS_RECV`].
pub const TS_LOG: usize = 121;
const BUFFER_SIZE: usize = 1 << 18;

/// Latencies in ns; what lasts longer than two minutes counts as that.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000_000, 3).expect("these bounds are allowed")
}

/// What came.
pub struct Arrived {
    /// From the intended time to the read of the alert.
    pub total: Histogram<u64>,
    /// From the read of the datagram to the match; all 0 for the relay.
    pub to_match: Histogram<u64>,
    /// From the match to the log.
    pub to_log: Histogram<u64>,
    /// Alerts, also those that are not measured.
    pub count: u64,
    /// Alerts of rules that held when they were set.
    pub initial: Vec<Initial>,
}

/// An alert that a set has caused.
#[derive(Clone, Copy, Debug)]
pub struct Initial {
    /// The rule's tag.
    pub tag: u64,
    /// When the shard carried out the set, in ns since 1970.
    pub ts_match: u64,
}

impl Default for Arrived {
    fn default() -> Arrived {
        Arrived { total: histogram(), to_match: histogram(), to_log: histogram(), count: 0, initial: vec![] }
    }
}

/// A connection that alerts come by.
pub struct Alerts {
    stream: TcpStream,
    buffer: Vec<u8>,
    end: usize,
    /// Number of the schedule's first event in the feed.
    pub first: u64,
    /// What came.
    pub arrived: Arrived,
    /// Every alert's stamps, where they are wanted.
    stamped: Option<Vec<StampedRead>>,
    /// The kernel's too.
    has_kernel_stamps: bool,
}

impl Alerts {
    /// Reads from a stream that is logged in.
    pub fn new(stream: TcpStream) -> io::Result<Alerts> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (buffer, arrived) = (vec![0; BUFFER_SIZE], Arrived::default());
        Ok(Alerts { stream, buffer, end: 0, first: 0, arrived, stamped: None, has_kernel_stamps: false })
    }

    /// Keeps the stamps of every alert from now on.
    pub fn keep(&mut self) {
        self.stamped = Some(vec![]);
    }

    /// Keeps them, and the kernel's.
    pub fn stamp(&mut self) -> io::Result<()> {
        self.keep();
        self.has_kernel_stamps = true;
        stamps::enable(&self.stream, stamps::Side::Received)
    }

    /// The stamps that were kept.
    pub fn stamped(&self) -> &[StampedRead] {
        self.stamped.as_deref().unwrap_or(&[])
    }

    /// Tells the server that its client lives.
    pub fn beat(&mut self) -> io::Result<()> {
        self.stream.write_all(&CLIENT_HEARTBEAT)
    }

    /// Reads once, if something is there; `clock` gives ns since the start. Returns whether something came.
    #[inline]
    pub fn read(&mut self, schedule: &Schedule, clock: impl Fn() -> u64) -> io::Result<bool> {
        let space = &mut self.buffer[self.end..];
        let mut kernel = None;
        let received = match self.has_kernel_stamps {
            false => self.stream.read(space),
            true => stamps::receive(&self.stream, space).map(|(size, stamp)| {
                kernel = stamp;
                size
            }),
        };
        match received {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(size) => self.end += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let now = clock();
        let mut front = 0;
        while let Some(packet) =
            Packet::first(&self.buffer[front..self.end], PAYLOAD_SIZE_MAX).map_err(io::Error::other)?
        {
            let size = packet.size();
            if packet.kind == kind::SEQUENCED {
                let payload = front + HEADER_SIZE..front + size;
                self.take(payload, schedule, now, kernel);
            }
            front += size;
        }
        self.buffer.copy_within(front..self.end, 0);
        self.end -= front;
        Ok(true)
    }
}

impl Alerts {
    #[inline]
    fn take(&mut self, payload: Range<usize>, schedule: &Schedule, now: u64, kernel: Option<u64>) {
        let message = &self.buffer[payload];
        let event = self.arrived.add(message, self.first, schedule, now);
        if let (Some(stamped), Some(event)) = (&mut self.stamped, event) {
            let [ts_recv, ts_match, ts_log] = [TS_RECV, TS_MATCH, TS_LOG].map(|at| field(message, at));
            stamped.push(StampedRead { event, ts_recv, ts_match, ts_log, kernel, read: now });
        }
    }
}

#[inline]
fn field(message: &[u8], at: usize) -> u64 {
    message.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, u64::from_be_bytes)
}

impl Arrived {
    /// Counts a message. Returns the event that caused it, if that is measured.
    #[inline]
    fn add(&mut self, message: &[u8], first: u64, schedule: &Schedule, now: u64) -> Option<usize> {
        if message.first() != Some(&b'A') {
            return None;
        }
        if field(message, ORDINAL) != 0 {
            self.initial.push(Initial { tag: field(message, TAG), ts_match: field(message, TS_MATCH) });
            return None;
        }
        let event = field(message, SEQUENCE).checked_sub(first)? as usize;
        let due = schedule.due.get(event)?;
        self.count += 1;
        if event < schedule.measured_from {
            return None;
        }
        self.total.saturating_record(now.saturating_sub(*due));
        self.to_match.saturating_record(field(message, TS_MATCH).saturating_sub(field(message, TS_RECV)));
        self.to_log.saturating_record(field(message, TS_LOG).saturating_sub(field(message, TS_MATCH)));
        Some(event)
    }
}
