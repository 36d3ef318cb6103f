//! The storm on the wire: one print fires a million rules of one symbol; how many alerts a second come to the socket, and what do the alerts of
//! other symbols notice?
//!
//! The storm's rules belong to an account of their own, so its alerts come by a connection of their own and the other stream has no
//! backlog of theirs. Prints of the other symbols go on meanwhile, each firing a rule: those due between the storm's print and its last
//! alert are its neighbours, those before are calm. On two cores the tool reads both streams on the core that also sends, and the engine
//! does everything on the other: a neighbour's latency has that in it, as the alerts a second have.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::thread;

use hairtrigger::soup::packet::{HEADER_SIZE, PAYLOAD_SIZE_MAX, Packet, kind};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::alerts::{Alerts, histogram};
use crate::churn::log_in;
use crate::drive::{Run, drive};
use crate::feed::Feed;
use crate::machine::{self, Jitter};
use crate::report::{self, Figure, Record, jitter_line, percentiles, row};
use crate::rules::{LOGIN, STORM_LOGIN, load, load_storm};
use crate::schedule::{Schedule, Shape};
use crate::setup::{Running, SETTLE, Setup};

const BUFFER_SIZE: usize = 1 << 20;
/// Rules that stand beside those of the storm and those of its neighbours.
const QUIET: u64 = 1_000;
/// When the storm's print is due, as a part of the run.
const AT: f64 = 0.5;

/// Options of this mode.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Rules that the print fires
    #[arg(long, default_value_t = 1_000_000)]
    alerts: u64,
    /// Events a second of the other symbols, each of which fires a rule
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
}

/// What the rounds showed.
#[derive(Default)]
struct Seen {
    rounds: Vec<Round>,
    calm: Option<Histogram<u64>>,
    beside: Option<Histogram<u64>>,
    jitter: Jitter,
    steal: u64,
}

/// One storm; times in ns.
struct Round {
    alerts: u64,
    first_after: u64,
    last_after: u64,
}

/// Carries this mode out.
pub fn run(setup: &Setup, args: &Args) -> Result<(), Box<dyn Error>> {
    if args.alerts == 0 || args.rate == 0 {
        return Err("expected alerts and events from 1".into());
    }
    let running = setup.engine(args.alerts + QUIET, None)?;
    load(running.engine.control, setup.common.symbols, QUIET)?;
    let mut feed = setup.opened(&running.engine, 1)?;
    let mut seen = Seen::default();
    for _ in 0..setup.common.rounds {
        round(setup, args, &running, &mut feed, &mut seen)?;
    }
    running.end()?;
    print!("{}{}", report::head(), seen.lines(args));
    match &setup.common.out {
        Some(out) => report::write(out, &setup.machine, &seen.record(args, &setup.machine)),
        None => Ok(()),
    }
}

fn round(
    setup: &Setup,
    args: &Args,
    running: &Running,
    feed: &mut Feed,
    seen: &mut Seen,
) -> Result<(), Box<dyn Error>> {
    let engine = &running.engine;
    // The storm before left this symbol's price below its rules: a first print puts it back.
    feed.open()?;
    thread::sleep(SETTLE);
    load_storm(engine.control, setup.common.symbols, args.alerts)?;
    engine.pause();
    seen.jitter.add(&setup.jitter());
    engine.resume();
    let stolen = machine::steal(&setup.used());
    let schedule = Schedule::new(&Shape::Steady(args.rate), setup.common.seconds);
    let storm_at = schedule.measured_from + ((schedule.due.len() - schedule.measured_from) as f64 * AT) as usize;
    feed.storm_at = Some(feed.sent() + storm_at as u64);
    let mut alerts = Alerts::new(log_in(engine.alerts, LOGIN)?)?;
    alerts.keep();
    let mut storm = StormReader::new(log_in(engine.alerts, STORM_LOGIN)?, args.alerts)?;
    thread::sleep(SETTLE);
    let (cores, is_stamped) = (setup.cores, false);
    let storm_of = Some(&mut storm);
    drive(Run { feed, alerts: &mut alerts, churn: None, storm: storm_of, schedule: &schedule, cores, is_stamped })?;
    seen.steal += machine::steal(&setup.used()) - stolen;
    let due = schedule.due[storm_at];
    let (calm, beside) = (seen.calm.get_or_insert_with(histogram), seen.beside.get_or_insert_with(histogram));
    for alert in alerts.stamped() {
        let event_due = schedule.due[alert.event];
        let late = alert.read.saturating_sub(event_due);
        match event_due {
            before if before < due => calm.saturating_record(late),
            during if during <= storm.last => beside.saturating_record(late),
            _ => (),
        }
    }
    let [first_after, last_after] = [storm.first, storm.last].map(|at| at.saturating_sub(due));
    seen.rounds.push(Round { alerts: storm.count, first_after, last_after });
    Ok(())
}

/// The connection that a storm's alerts come by.
pub struct StormReader {
    stream: TcpStream,
    buffer: Vec<u8>,
    end: usize,
    expected: u64,
    count: u64,
    /// When its first and its last alert was read, in ns from the start.
    first: u64,
    last: u64,
}

impl StormReader {
    fn new(stream: TcpStream, expected: u64) -> io::Result<StormReader> {
        stream.set_nonblocking(true)?;
        Ok(StormReader { stream, buffer: vec![0; BUFFER_SIZE], end: 0, expected, count: 0, first: 0, last: 0 })
    }

    /// Reads once, if something is there. Returns whether something came.
    pub fn read(&mut self, clock: impl Fn() -> u64) -> io::Result<bool> {
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(size) => self.end += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let (mut front, before) = (0, self.count);
        while let Some(packet) =
            Packet::first(&self.buffer[front..self.end], PAYLOAD_SIZE_MAX).map_err(io::Error::other)?
        {
            let is_alert = packet.kind == kind::SEQUENCED && self.buffer[front + HEADER_SIZE] == b'A';
            self.count += u64::from(is_alert);
            front += packet.size();
        }
        self.buffer.copy_within(front..self.end, 0);
        self.end -= front;
        if self.count > before {
            self.last = clock();
            if before == 0 {
                self.first = self.last;
            }
        }
        Ok(true)
    }

    /// True when all of it has come.
    pub fn is_over(&self) -> bool {
        self.count >= self.expected
    }
}

impl Seen {
    /// Alerts a second of each round, from the print to the last alert.
    fn rates(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.alerts as f64 * 1e9 / round.last_after.max(1) as f64).collect()
    }

    fn histograms(&self) -> [(&'static str, Histogram<u64>); 2] {
        [("calm", &self.calm), ("beside", &self.beside)].map(|(name, of)| (name, of.clone().unwrap_or_else(histogram)))
    }

    /// Their p99 in the storm to that in calm.
    fn ratio(&self) -> f64 {
        let [calm, beside] = self.histograms().map(|(_, of)| of.value_at_percentile(99.0) as f64);
        beside / calm.max(1.0)
    }

    fn lines(&self, args: &Args) -> String {
        let mut text = String::new();
        let is_met = |met: bool| if met { "met" } else { "missed" };
        for (round, rate) in self.rounds.iter().zip(self.rates()) {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(
                text,
                "storm: {} of {} alerts, the first after {:.1} us, the last after {:.1} ms: {:.2} M alerts/s (goal 5: {})",
                round.alerts,
                args.alerts,
                round.first_after as f64 / 1e3,
                round.last_after as f64 / 1e6,
                rate / 1e6,
                is_met(rate >= 5e6)
            );
        }
        for (name, histogram) in self.histograms() {
            text.push_str(&row(&format!("{} events/s", args.rate), name, &histogram));
        }
        let ratio = self.ratio();
        let _ = writeln!(text, "p99 of other symbols beside calm: {ratio:.2} (goal 2: {})", is_met(ratio <= 2.0));
        text + &jitter_line(&self.jitter, self.steal)
    }

    fn record(&self, args: &Args, machine: &Value) -> Record {
        let [(_, calm), (_, beside)] = self.histograms();
        let rounds = self.rounds.iter().zip(self.rates()).map(|(round, rate)| {
            json!({ "alerts": round.alerts, "first": round.first_after, "last": round.last_after, "alerts_per_second": rate })
        });
        Record {
            table: format!("{}{}", report::head(), self.lines(args)),
            json: json!([{
                "rounds": rounds.collect::<Value>(), "calm": percentiles(&calm), "beside": percentiles(&beside),
                "p99_ratio": self.ratio(), "jitter": self.jitter.json(), "steal_ticks": self.steal,
            }]),
            figures: vec![Figure {
                name: format!("storm-{}", args.alerts),
                foot: format!("{}, {}", machine::words(machine), self.jitter.words(self.steal)),
                curves: vec![("calm".into(), calm), ("beside".into(), beside)],
            }],
        }
    }
}
