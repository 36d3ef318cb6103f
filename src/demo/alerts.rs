//! The client of the alert port: reads the account's stream and measures each alert.
//!
//! An alert's latency counts from the moment at which the publisher first sent the message that caused it (on either line,
//! or as an answer) to the moment at which the client has read the alert. One that a command caused, because its condition
//! held when it was set, has no such moment and is counted apart.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::{Client, ClientError, Event};
use crate::gateway::wire::{Kind, Message, RuleMessage, STOPS};
use crate::model::Nanos;
use crate::publish::SentTimes;
use crate::sys::clock::Clock;

/// Alerts kept to be shown.
const LATEST: usize = 6;
/// Greatest latency that is told apart: a minute.
const LATENCY_MAX: Nanos = 60_000_000_000;
/// The publisher stores a send time right after the send: it cannot be missing for longer than the publisher may stand still.
const SEND_TIME_WAIT: Duration = Duration::from_secs(1);

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Messages of the stream.
    pub messages: u64,
    /// Alerts, those below among them.
    pub alerts: u64,
    /// Alerts that a command caused.
    pub at_set: u64,
    /// Rules that ended without an alert: removed, replaced, expired.
    pub ended: u64,
    /// Alerts whose print was broken.
    pub busted: u64,
    /// Announced feed messages that are lost for good.
    pub gap_messages: u64,
    /// Messages that cannot be read.
    pub unreadable: u64,
    /// Alerts that a message caused which was never sent.
    pub unmeasured: u64,
    /// The latest alerts, the newest last.
    pub latest: VecDeque<RuleMessage>,
}

/// From the datagram sent to the alert read, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Alerts measured.
    pub count: u64,
    /// Half of them took no longer,
    pub p50: Nanos,
    /// 99 % of them,
    pub p99: Nanos,
    /// 99.9 % of them,
    pub p999: Nanos,
    /// and all.
    pub max: Nanos,
}

struct Tally {
    counts: AlertCounts,
    latency: Histogram<u64>,
}

/// The running client.
pub struct Alerts {
    tally: Arc<Mutex<Tally>>,
    thread: JoinHandle<Result<(), ClientError>>,
}

impl Alerts {
    /// Reads from a client that is logged in, on a thread of its own.
    pub fn follow(client: Client, sent_times: SentTimes, clock: Clock) -> Alerts {
        // The bounds and the 3 digits are ones that a histogram can have.
        let latency = Histogram::new_with_max(LATENCY_MAX, 3).expect("a histogram with fixed, valid bounds");
        let tally = Arc::new(Mutex::new(Tally { counts: AlertCounts::default(), latency }));
        let theirs = Arc::clone(&tally);
        let thread = thread::spawn(move || {
            let mut stream = Stream { tally: &theirs, sent_times, clock, open: vec![] };
            stream.follow(client)
        });
        Alerts { tally, thread }
    }

    /// What came so far.
    pub fn now(&self) -> (AlertCounts, Latency) {
        lock(&self.tally).read()
    }

    /// True when the stream has ended.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the stream: what came, how long it took, and what broke it, if anything did.
    pub fn finish(self) -> (AlertCounts, Latency, Result<(), ClientError>) {
        let result = self.thread.join().unwrap_or(Err(ClientError::Closed));
        let (counts, latency) = lock(&self.tally).read();
        (counts, latency, result)
    }
}

impl Tally {
    fn read(&self) -> (AlertCounts, Latency) {
        let at = |quantile| self.latency.value_at_quantile(quantile);
        let (count, max) = (self.latency.len(), self.latency.max());
        (self.counts.clone(), Latency { count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max })
    }
}

/// A panic of the other side leaves counts that are still true.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stream<'a> {
    tally: &'a Mutex<Tally>,
    sent_times: SentTimes,
    clock: Clock,
    /// Alerts whose send time is not stored yet: sequence, and when they were read.
    open: Vec<(u64, Nanos)>,
}

impl Stream<'_> {
    fn follow(&mut self, mut client: Client) -> Result<(), ClientError> {
        let mut stops = false;
        let result = loop {
            match client.receive() {
                Ok(Event::Sequenced(_, bytes)) => self.take(Message::read(bytes)),
                Ok(Event::Debug(text)) => stops = text == STOPS.as_bytes(),
                Ok(Event::Heartbeat | Event::Nothing | Event::End) => self.settle(),
                Err(ClientError::Closed) if stops => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let deadline = Instant::now() + SEND_TIME_WAIT;
        while !self.open.is_empty() && Instant::now() < deadline {
            self.settle();
            thread::sleep(Duration::from_millis(1));
        }
        lock(self.tally).counts.unmeasured = self.open.len() as u64;
        result
    }

    fn take(&mut self, message: Option<Message>) {
        let now = self.clock.now();
        let mut tally = lock(self.tally);
        let counts = &mut tally.counts;
        counts.messages += 1;
        match message {
            Some(Message::Rule(rule)) => match rule.kind {
                Kind::Alert => {
                    counts.alerts += 1;
                    counts.at_set += u64::from(rule.ordinal != 0);
                    if counts.latest.len() == LATEST {
                        counts.latest.pop_front();
                    }
                    counts.latest.push_back(rule);
                    if rule.ordinal == 0 {
                        self.open.push((rule.sequence, now));
                    }
                }
                Kind::Ended => counts.ended += 1,
                _ => counts.busted += 1,
            },
            Some(Message::Announcement(said)) if said.kind == Kind::Gap => {
                counts.gap_messages += said.end.saturating_sub(said.sequence);
            }
            Some(Message::Announcement(_)) => {}
            None => counts.unreadable += 1,
        }
        drop(tally);
        self.settle();
    }

    /// Measures the alerts whose send time is there.
    fn settle(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let (times, mut tally) = (&self.sent_times, lock(self.tally));
        self.open.retain(|&(sequence, read)| match times.at(sequence) {
            Some(sent) => {
                tally.latency.saturating_record(read.saturating_sub(sent));
                false
            }
            None => true,
        });
    }
}
