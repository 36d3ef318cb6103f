//! The open loop: sends what is due, reads what has come. On one core one thread does both in turn.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use hairtrigger::sys::affinity::pin_current;

use crate::alerts::Alerts;
use crate::churn::Churn;
use crate::feed::{Feed, MESSAGES_MAX};
use crate::schedule::Schedule;
use crate::stages::Sent;
use crate::storm::StormReader;

/// Silence after the last event's due time after which what has not come is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// From the call to the first event.
const LEAD: Duration = Duration::from_millis(20);

/// The cores of the loop: of the sender, and of the reader.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Sends.
    pub sender: usize,
    /// Reads. The same core: the same thread.
    pub reader: usize,
}

/// What a run showed beside its latencies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Events sent.
    pub sent: u64,
    /// Alerts that should have come.
    pub expected: u64,
    /// Alerts that came.
    pub arrived: u64,
    /// How late the last event left, in ns.
    pub sender_late: u64,
}

/// A moment in ns from the start, which lies ahead at first.
#[derive(Clone, Copy)]
struct Since(Instant);

impl Since {
    #[inline]
    fn now(self) -> Option<u64> {
        Some(Instant::now().checked_duration_since(self.0)?.as_nanos() as u64)
    }
}

struct Sender<'a> {
    feed: &'a mut Feed,
    schedule: &'a Schedule,
    next: usize,
    late: u64,
    /// What each event's sending showed, where that is wanted.
    sent: Option<Vec<Sent>>,
}

impl Sender<'_> {
    /// Sends what is due, at most a datagram. False when nothing is.
    #[inline]
    fn send(&mut self, since: Since) -> io::Result<bool> {
        let Some(now) = since.now() else { return Ok(false) };
        let due = self.schedule.due[self.next..].iter().take(MESSAGES_MAX).take_while(|due| **due <= now).count();
        if due == 0 {
            return Ok(false);
        }
        self.feed.events(due)?;
        if let Some(sent) = &mut self.sent {
            let one = Sent { call: now, kernel: self.feed.left() };
            sent.extend(std::iter::repeat_n(one, due));
        }
        self.next += due;
        self.late = now - self.schedule.due[self.next - 1];
        Ok(true)
    }

    fn is_done(&self) -> bool {
        self.next == self.schedule.due.len()
    }
}

/// What one run is made of.
pub struct Run<'a> {
    /// Sends,
    pub feed: &'a mut Feed,
    /// and reads.
    pub alerts: &'a mut Alerts,
    /// Changes rules meanwhile, in the sender's thread.
    pub churn: Option<&'a mut Churn>,
    /// Reads what a storm brings, in the reader's thread.
    pub storm: Option<&'a mut StormReader>,
    /// When what is sent.
    pub schedule: &'a Schedule,
    /// Where.
    pub cores: Cores,
    /// Keep what the sender knows of each event.
    pub is_stamped: bool,
}

/// What a run gave.
pub struct Driven {
    /// In numbers.
    pub outcome: Outcome,
    /// Its zero of time.
    pub start: Instant,
    /// What the sender knows of each event, where that was wanted.
    pub sent: Vec<Sent>,
}

/// Drives one schedule.
pub fn drive(run: Run<'_>) -> io::Result<Driven> {
    let Run { feed, alerts, churn, storm, schedule, cores, is_stamped } = run;
    let since = Since(Instant::now() + LEAD);
    let end = Duration::from_nanos(schedule.duration()) + LEAD + PATIENCE;
    alerts.first = feed.sequence;
    alerts.beat()?;
    let before = (feed.sent(), alerts.arrived.count);
    let fires =
        |feed: &Feed, count: usize| (0..count as u64).filter(|event| feed.fires(before.0 + event)).count() as u64;
    let expected = fires(feed, schedule.due.len());
    let sent = is_stamped.then(|| Vec::with_capacity(schedule.due.len()));
    let mut sender = Sender { feed, schedule, next: 0, late: 0, sent };
    let mut reader = Reading { alerts, storm, schedule, since, until: before.1 + expected, end: Instant::now() + end };
    thread::scope(|scope| {
        if cores.sender == cores.reader {
            return scope.spawn(|| together(&mut sender, &mut reader, churn, since, cores.sender)).join();
        }
        let sending = scope.spawn(|| send_all(&mut sender, churn, since, cores.sender));
        let reading = scope.spawn(|| {
            pin_current(cores.reader).map_err(io::Error::other)?;
            while reader.step()? {}
            Ok(())
        });
        sending.join().and_then(|sent: io::Result<()>| reading.join().map(|read| sent.and(read)))
    })
    .unwrap_or_else(|_| Err(io::Error::other("a thread of the loop panicked")))?;
    let (sent, sender_late, stamped) = (sender.next as u64, sender.late, sender.sent);
    let outcome = Outcome { sent, expected, arrived: alerts.arrived.count - before.1, sender_late };
    Ok(Driven { outcome, start: since.0, sent: stamped.unwrap_or_default() })
}

struct Reading<'a> {
    alerts: &'a mut Alerts,
    storm: Option<&'a mut StormReader>,
    schedule: &'a Schedule,
    since: Since,
    /// All have come when so many have.
    until: u64,
    /// Later nothing is waited for, unless something still comes.
    end: Instant,
}

impl Reading<'_> {
    /// False when all has come, or nothing comes any more.
    #[inline]
    fn step(&mut self) -> io::Result<bool> {
        let since = self.since;
        let clock = || since.now().unwrap_or(0);
        let mut has_read = self.alerts.read(self.schedule, clock)?;
        let mut is_over = true;
        if let Some(storm) = &mut self.storm {
            has_read |= storm.read(clock)?;
            is_over = storm.is_over();
        }
        if has_read {
            return Ok(self.alerts.arrived.count < self.until || !is_over);
        }
        Ok(Instant::now() < self.end)
    }
}

fn together(
    sender: &mut Sender<'_>,
    reader: &mut Reading<'_>,
    mut churn: Option<&mut Churn>,
    since: Since,
    core: usize,
) -> io::Result<()> {
    pin_current(core).map_err(io::Error::other)?;
    loop {
        sender.send(since)?;
        if let (Some(churn), Some(now)) = (&mut churn, since.now()) {
            churn.step(now, !sender.is_done())?;
        }
        if !reader.step()? && sender.is_done() {
            return churn.map_or(Ok(()), |churn| churn.finish(|| since.now().unwrap_or(0)));
        }
    }
}

fn send_all(sender: &mut Sender<'_>, mut churn: Option<&mut Churn>, since: Since, core: usize) -> io::Result<()> {
    pin_current(core).map_err(io::Error::other)?;
    while !sender.is_done() {
        sender.send(since)?;
        if let (Some(churn), Some(now)) = (&mut churn, since.now()) {
            churn.step(now, true)?;
        }
    }
    churn.map_or(Ok(()), |churn| churn.finish(|| since.now().unwrap_or(0)))
}
