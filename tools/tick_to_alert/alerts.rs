//! The receiving end: packets off the alert stream, and how late each alert is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use hairtrigger::soup::packet::{CLIENT_HEARTBEAT, HEADER_SIZE, PAYLOAD_SIZE_MAX, Packet, kind};
use hdrhistogram::Histogram;

use crate::schedule::Schedule;

/// Where an alert has the number of the message that caused it,
pub const SEQUENCE: usize = 73;
/// and when its datagram was read, it was matched, and it was logged.
const TS_RECV: usize = 105;
const TS_MATCH: usize = 113;
const TS_LOG: usize = 121;
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
}

/// A connection that alerts come by.
pub struct Alerts {
    stream: TcpStream,
    buffer: Vec<u8>,
    end: usize,
    /// Number of the schedule's first event in the feed.
    pub first: u64,
    /// What came since [`Alerts::begin`].
    pub arrived: Arrived,
}

impl Alerts {
    /// Reads from a stream that is logged in.
    pub fn new(stream: TcpStream) -> io::Result<Alerts> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let arrived = Arrived { total: histogram(), to_match: histogram(), to_log: histogram(), count: 0 };
        Ok(Alerts { stream, buffer: vec![0; BUFFER_SIZE], end: 0, first: 0, arrived })
    }

    /// Tells the server that its client lives.
    pub fn beat(&mut self) -> io::Result<()> {
        self.stream.write_all(&CLIENT_HEARTBEAT)
    }

    /// Reads once, if something is there; `clock` gives ns since the start. Returns whether something came.
    #[inline]
    pub fn read(&mut self, schedule: &Schedule, clock: impl Fn() -> u64) -> io::Result<bool> {
        match self.stream.read(&mut self.buffer[self.end..]) {
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
                self.arrived.add(&self.buffer[payload], self.first, schedule, now);
            }
            front += size;
        }
        self.buffer.copy_within(front..self.end, 0);
        self.end -= front;
        Ok(true)
    }
}

impl Arrived {
    #[inline]
    fn add(&mut self, message: &[u8], first: u64, schedule: &Schedule, now: u64) {
        let field =
            |at: usize| message.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, u64::from_be_bytes);
        if message.first() != Some(&b'A') {
            return;
        }
        let Some(event) = field(SEQUENCE).checked_sub(first).map(|event| event as usize) else { return };
        let Some(due) = schedule.due.get(event) else { return };
        self.count += 1;
        if event >= schedule.measured_from {
            self.total.saturating_record(now.saturating_sub(*due));
            self.to_match.saturating_record(field(TS_MATCH).saturating_sub(field(TS_RECV)));
            self.to_log.saturating_record(field(TS_LOG).saturating_sub(field(TS_MATCH)));
        }
    }
}
