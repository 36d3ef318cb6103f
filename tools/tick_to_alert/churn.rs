//! Rules that change while the feed runs: sets that replace, at a fixed rate from a schedule, and how long each takes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hairtrigger::control::wire::{Answer, Ask, Request};
use hairtrigger::soup::login::{Credentials, Login, SessionId};
use hairtrigger::soup::packet::{HEADER_SIZE, PAYLOAD_SIZE_MAX, Packet, header, kind};
use hdrhistogram::Histogram;

use crate::alerts::histogram;
use crate::rules::{LOGIN, quiet_rule};

const BUFFER_SIZE: usize = 1 << 16;
/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Logs in on a TCP port of the engine, and reads the answer.
pub fn log_in(address: SocketAddr, user: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let credentials = Credentials::new(user, user).ok_or(ErrorKind::InvalidInput)?;
    // 0: only what comes after.
    let login = Login { credentials, session: SessionId::CURRENT, sequence: 0, heartbeat_timeout_ms: None };
    stream.write_all(&login.packet())?;
    let mut answer = [0; HEADER_SIZE + 30];
    stream.read_exact(&mut answer)?;
    match answer[2] {
        kind::ACCEPTED => Ok(stream),
        _ => Err(io::Error::other("the login was refused")),
    }
}

/// A rule client that never stops.
pub struct Churn {
    stream: TcpStream,
    interval_ns: u64,
    /// The request of an id.
    ask: Box<dyn Fn(u64) -> Ask + Send>,
    /// When each set was due, by request id.
    due: Vec<u64>,
    answered: usize,
    buffer: Vec<u8>,
    end: usize,
    /// From the intended time of a set to its answer.
    pub latency: Histogram<u64>,
    /// Sets due before this, in ns from the start, are not measured.
    pub measured_from: u64,
}

impl Churn {
    /// Will make so many sets a second that replace rules among the first `rules`.
    pub fn replacing(control: SocketAddr, per_second: u64, symbols: usize, rules: u64) -> io::Result<Churn> {
        let rules = rules.max(1);
        let ask = move |id: u64| quiet_rule(id.wrapping_mul(0x9e37_79b9) % rules, symbols, id + 1);
        Churn::new(control, per_second, ask)
    }

    /// Will make so many requests a second, that of each id as `ask` says.
    pub fn new(control: SocketAddr, per_second: u64, ask: impl Fn(u64) -> Ask + Send + 'static) -> io::Result<Churn> {
        let stream = log_in(control, LOGIN)?;
        stream.set_nonblocking(true)?;
        Ok(Churn {
            stream,
            interval_ns: 1_000_000_000 / per_second,
            ask: Box::new(ask),
            due: vec![],
            answered: 0,
            buffer: vec![0; BUFFER_SIZE],
            end: 0,
            latency: histogram(),
            measured_from: 0,
        })
    }

    /// Sends what is due at `now`, unless it is to end, and reads what has come.
    #[inline]
    pub fn step(&mut self, now: u64, goes_on: bool) -> io::Result<()> {
        let sent = self.due.len() as u64;
        let due = sent * self.interval_ns;
        if goes_on && due <= now {
            let request = Request { id: sent, ask: (self.ask)(sent) }.encode();
            let mut packet = [0; 128];
            let size = HEADER_SIZE + request.bytes().len();
            packet[..HEADER_SIZE].copy_from_slice(&header(kind::UNSEQUENCED, request.bytes().len()));
            packet[HEADER_SIZE..size].copy_from_slice(request.bytes());
            // A socket that takes no more would tear a packet; at these rates it always takes one.
            self.stream.write_all(&packet[..size])?;
            self.due.push(due);
        }
        if self.answered < self.due.len() { self.read(now) } else { Ok(()) }
    }

    /// Waits for the last answers; `clock` gives ns since the start.
    pub fn finish(&mut self, clock: impl Fn() -> u64) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.answered < self.due.len() && Instant::now() < end {
            self.read(clock())?;
        }
        Ok(())
    }

    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.due.len()
    }

    /// When each set that is measured was due, by request id.
    pub fn measured(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.due.iter().copied().enumerate().filter(|(_, due)| *due >= self.measured_from)
    }

    fn read(&mut self, now: u64) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(size) => self.end += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut front = 0;
        while let Some(packet) =
            Packet::first(&self.buffer[front..self.end], PAYLOAD_SIZE_MAX).map_err(io::Error::other)?
        {
            let (size, is_answer) = (packet.size(), packet.kind == kind::SEQUENCED);
            let answer = Answer::read(&self.buffer[front + HEADER_SIZE..front + size]).filter(|_| is_answer);
            if let Some(due) = answer.and_then(|answer| self.due.get(answer.id as usize)) {
                self.answered += 1;
                if *due >= self.measured_from {
                    self.latency.saturating_record(now.saturating_sub(*due));
                }
            }
            front += size;
        }
        self.buffer.copy_within(front..self.end, 0);
        self.end -= front;
        Ok(())
    }
}
