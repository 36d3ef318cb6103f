//! A feed on its way to an engine: the real publisher, whose time goes on only while the engine keeps up. So no kernel
//! buffer overflows, however busy the machine is, and what arrives is decided by the seeds alone.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hairtrigger::agent::Agent;
use hairtrigger::feed::recording::Recording;
use hairtrigger::limits::ITCH_SIZE_MAX;
use hairtrigger::publish::{LineSettings, Messages, Pace, Publisher, Rates, Settings};
use hairtrigger::stats::{Snapshot, StatsReader};
use hairtrigger::synth::{Day, DayParams};
use hairtrigger::sys::clock::Clock;

use super::DEADLINE;

pub const SESSION: [u8; 10] = *b"LIVE000001";
/// About five messages: many packets, so that many are impaired.
const PACKET_SIZE: usize = 200;
/// Messages a second of the publisher's time, and how far that goes in a step.
const RATE: u64 = 1_000_000;
const STEP: u64 = 100_000;
/// Datagrams that may be under way before time stands still: far less than the smallest buffer that a kernel grants.
const DATAGRAMS_MAX: u64 = 256;
/// Messages that may wait behind a gap before time stands still: they fit the reorder window.
const MESSAGES_MAX: u64 = 30_000;

/// A synthetic day.
pub fn synthetic(params: DayParams) -> Arc<Messages> {
    let mut day = Day::new(params);
    let (mut all, mut buffer) = (Messages::default(), [0; ITCH_SIZE_MAX]);
    while let Some(message) = day.next_into(&mut buffer) {
        assert!(all.push(all.next_sequence(), message));
    }
    Arc::new(all)
}

/// A recorded one.
pub fn recorded(path: &Path) -> Arc<Messages> {
    Arc::new(Messages::load(&mut Recording::open(path).expect("a feed"), u64::MAX))
}

/// The part of it from this number on.
pub fn tail(messages: &Messages, from: u64) -> Arc<Messages> {
    let mut rest = Messages::default();
    (1..)
        .zip(each(messages))
        .skip(from as usize - 1)
        .for_each(|(sequence, message)| assert!(rest.push(sequence, message)));
    Arc::new(rest)
}

/// The part of it before this number.
pub fn head(messages: &Messages, end: u64) -> Arc<Messages> {
    let mut part = Messages::default();
    (1..end).zip(each(messages)).for_each(|(sequence, message)| assert!(part.push(sequence, message)));
    Arc::new(part)
}

/// Its messages one by one, from number 1 on.
pub fn each(messages: &Messages) -> impl Iterator<Item = &[u8]> {
    let mut cursor = messages.cursor(0).unwrap_or_default();
    std::iter::from_fn(move || messages.advance(&mut cursor))
}

/// As a BinaryFILE.
pub fn binary_file(messages: &Messages) -> Vec<u8> {
    let block = |message: &[u8]| [&(message.len() as u16).to_be_bytes(), message].concat();
    each(messages).flat_map(block).collect()
}

/// What goes wrong on a line, in millionths, each line by its own seed.
pub fn settings(lines: &[SocketAddr], rates: Rates) -> Settings {
    let line = |(seed, to): (u64, &SocketAddr)| match to {
        SocketAddr::V4(to) => LineSettings { to: *to, rates, seed },
        SocketAddr::V6(_) => panic!("lines are IPv4"),
    };
    Settings {
        session: SESSION,
        lines: (1..).zip(lines).map(line).collect(),
        rerequest: None,
        interface: Ipv4Addr::LOCALHOST,
        pace: Pace::Rate(RATE),
        packet_size: PACKET_SIZE,
        linger: 1 << 60,
        record_times: false,
    }
}

/// The re-request server: a publisher of its own without lines, since the engine wants its address before it has lines.
/// In step with the lines it has sent what they have.
pub fn server(messages: &Arc<Messages>) -> (Publisher, SocketAddr) {
    server_of(messages, SESSION)
}

/// The same for a session.
pub fn server_of(messages: &Arc<Messages>, session: [u8; 10]) -> (Publisher, SocketAddr) {
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
    let settings = Settings { session, rerequest: Some(any), ..settings(&[], Rates::default()) };
    let server = Publisher::new(&settings, Arc::clone(messages), Clock::machine()).expect("loopback");
    let address = server.rerequest_address().expect("it serves");
    (server, address)
}

/// A feed that is being sent.
pub struct Feed {
    pub lines: Publisher,
    pub server: Option<Publisher>,
    /// Messages that the engine will have given to its shards, or given up, when it is done.
    pub total: u64,
    messages: Arc<Messages>,
    stats: StatsReader,
    now: u64,
}

impl Feed {
    /// To an engine whose stats are in this file.
    pub fn new(messages: &Arc<Messages>, settings: &Settings, server: Option<Publisher>, stats: &Path) -> Feed {
        let lines = Publisher::new(settings, Arc::clone(messages), Clock::machine()).expect("loopback");
        let stats = StatsReader::open(stats).expect("the engine's stats");
        Feed { lines, server, total: messages.count(), messages: Arc::clone(messages), stats, now: 1 << 40 }
    }

    /// What the engine counted.
    pub fn count(&self, block: &str, name: &str) -> u64 {
        count(&self.stats.snapshot().expect("whole stats"), block, name)
    }

    /// Messages that the engine gave to its shards, and that it gave up.
    fn is_done(&self) -> bool {
        self.count("arbiter", "messages") + self.count("arbiter", "gap_messages") == self.total
    }

    /// One step: time goes on if the engine keeps up, and what is due is sent.
    pub fn step(&mut self) {
        let seen = self.stats.snapshot().expect("whole stats");
        let answers = self.server.as_ref().map_or(0, |server| server.requests().1);
        let sent = self.lines.line_counts().map(|line| line.datagrams).sum::<u64>() + answers;
        let matched = count(&seen, "arbiter", "messages") + count(&seen, "arbiter", "gap_messages");
        let keeps_up =
            sent < count(&seen, "sockets", "datagrams") + DATAGRAMS_MAX && self.lines.sent() < matched + MESSAGES_MAX;
        if keeps_up {
            self.now += STEP;
        } else {
            std::thread::yield_now();
        }
        self.lines.do_work(self.now);
        self.server.as_mut().map(|server| server.do_work(self.now));
    }

    /// Goes on until so many messages were sent.
    pub fn send(&mut self, messages: u64) {
        let start = Instant::now();
        while self.lines.sent() < messages.min(self.messages.count()) {
            assert!(start.elapsed() < DEADLINE, "the engine does not take the feed: {:?}", self.stats.snapshot());
            self.step();
        }
    }

    /// Sends all, and waits until the engine has given all of it to its shards, or given it up.
    pub fn finish(&mut self) {
        self.send(u64::MAX);
        let start = Instant::now();
        while !self.lines.is_sent() || !self.is_done() {
            assert!(start.elapsed() < DEADLINE, "the engine waits for something: {:?}", self.stats.snapshot());
            self.step();
        }
    }
}

fn count(seen: &Snapshot, block: &str, name: &str) -> u64 {
    let counters = seen.counters.iter().find(|counters| counters.block == block);
    let value = counters.and_then(|counters| counters.values.iter().find(|(of, _)| of == name));
    value.unwrap_or_else(|| panic!("nothing counts {name} of {block}")).1
}
