//! The highest rate of events that the engine takes from UDP without losing one, and what breaks first beyond it.
//!
//! Rates double until a run loses something, then the step between is halved a few times. A run without loss is one in which every
//! alert that is due has come and no message is missing in the engine's own count. What broke is told by the engine's counters: the
//! kernel dropped datagrams (the receive buffer was full: the engine read too slowly), packets were refused because a shard's ring was
//! full (the matcher or what is behind it was too slow), or, with neither, the sender could not keep its own schedule.

use std::error::Error;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::churn::log_in;
use crate::drive::{Outcome, Run, drive};
use crate::feed::Feed;
use crate::machine::{self, Jitter};
use crate::report::{self, Figure, Record, jitter_line, row};
use crate::rules::LOGIN;
use crate::schedule::{Schedule, Shape};
use crate::setup::{Running, SETTLE, Setup};
use crate::stats::Counters;

/// A sender that is later than this at its end did not keep the rate.
const SENDER_LATE_MAX: u64 = 20_000_000;
/// The engine asks the kernel once a second what it dropped.
const COUNTING: Duration = Duration::from_millis(1_200);
/// Counters of the engine that say what broke.
const SIGNS: [&str; 6] =
    ["kernel_drops", "gap_messages", "stalled_packets", "log_waits", "far_ahead_packets", "socket_errors"];

/// Options of this mode.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Rules that stand, one search each
    #[arg(long, value_delimiter = ',', default_value = "1000,10000000")]
    rules: Vec<u64>,
    /// One event in so many fires
    #[arg(long, default_value_t = 100)]
    mix: u64,
    /// The first rate
    #[arg(long, default_value_t = 250_000)]
    from: u64,
    /// No rate beyond this is tried
    #[arg(long, default_value_t = 16_000_000)]
    to: u64,
    /// Halvings of the last step
    #[arg(long, default_value_t = 4)]
    halvings: u32,
}

/// One run at one rate.
struct Try {
    rules: u64,
    rate: u64,
    outcome: Outcome,
    arrived: hdrhistogram::Histogram<u64>,
    signs: Vec<(&'static str, u64)>,
    jitter: Jitter,
    steal: u64,
}

/// Carries this mode out.
pub fn run(setup: &Setup, args: &Args) -> Result<(), Box<dyn Error>> {
    if args.mix == 0 || args.from == 0 {
        return Err("expected a mix and a rate from 1".into());
    }
    print!("{}", report::head());
    let mut tries = vec![];
    for rules in &args.rules {
        let (running, mut feed) = setup.loaded(*rules, args.mix)?;
        search(args, |rate| {
            let one = attempt(setup, &running, &mut feed, *rules, rate)?;
            print!("{}", one.lines());
            let holds = one.what_broke().is_none();
            tries.push(one);
            Ok(holds)
        })?;
        running.end()?;
    }
    print!("{}", lead(&tries));
    match &setup.common.out {
        Some(out) => report::write(out, &setup.machine, &record(&tries, &setup.machine)),
        None => Ok(()),
    }
}

/// Doubles the rate until it does not hold, then halves the step.
fn search(args: &Args, mut holds: impl FnMut(u64) -> Result<bool, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let (mut low, mut high) = (0, args.from);
    while holds(high)? {
        (low, high) = (high, 2 * high);
        if high > args.to {
            return Ok(());
        }
    }
    for _ in 0..args.halvings {
        let middle = (low + high) / 2;
        if holds(middle)? { low = middle } else { high = middle }
    }
    Ok(())
}

fn attempt(setup: &Setup, running: &Running, feed: &mut Feed, rules: u64, rate: u64) -> Result<Try, Box<dyn Error>> {
    let engine = &running.engine;
    engine.pause();
    let (jitter, stolen) = (setup.jitter(), machine::steal(&setup.used()));
    engine.resume();
    let schedule = Schedule::new(&Shape::Steady(rate), setup.common.seconds);
    let mut alerts = Alerts::new(log_in(engine.alerts, LOGIN)?)?;
    thread::sleep(SETTLE);
    let before = Counters::read(&running.stats())?;
    let (cores, is_stamped) = (setup.cores, false);
    let driven =
        drive(Run { feed, alerts: &mut alerts, churn: None, storm: None, schedule: &schedule, cores, is_stamped })?;
    // A heartbeat shows the engine a loss at the very end; then it has time to give up what is lost and to ask the kernel.
    feed.heartbeat()?;
    thread::sleep(COUNTING);
    let after = Counters::read(&running.stats())?;
    let signs = SIGNS.map(|name| (name, after.moved(&before, name))).to_vec();
    let steal = machine::steal(&setup.used()) - stolen;
    Ok(Try { rules, rate, outcome: driven.outcome, arrived: alerts.arrived.total, signs, jitter, steal })
}

impl Try {
    fn sign(&self, name: &str) -> u64 {
        self.signs.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count)
    }

    /// What broke first, if something did.
    fn what_broke(&self) -> Option<&'static str> {
        let Outcome { expected, arrived, sender_late, .. } = self.outcome;
        let is_lossy = arrived < expected || self.sign("gap_messages") > 0;
        match (is_lossy, self.sign("stalled_packets"), self.sign("kernel_drops")) {
            (false, ..) if sender_late > SENDER_LATE_MAX => Some("the sender: it cannot send so fast"),
            (false, ..) => None,
            (true, 1.., _) => Some("a shard's ring was full, so the feed stopped reading"),
            (true, 0, 1..) => Some("the socket's buffer was full: the feed's thread reads too slowly"),
            (true, 0, 0) => Some("alerts came too late or were lost, with no drop that the engine knows of"),
        }
    }

    fn lines(&self) -> String {
        let Outcome { expected, arrived, sender_late, .. } = self.outcome;
        let head = format!("{} rules {}", self.rate, self.rules);
        let broke = self.what_broke().unwrap_or("holds");
        let mut text = row(&head, "engine", &self.arrived);
        let signs: Vec<String> =
            self.signs.iter().filter(|(_, n)| *n > 0).map(|(name, count)| format!("{name} {count}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<26} {arrived} of {expected} alerts, sender late {:.1} us; {broke} {}",
            "",
            sender_late as f64 / 1_000.0,
            signs.join(", ")
        );
        text + &jitter_line(&self.jitter, self.steal)
    }

    fn json(&self) -> Value {
        let Outcome { sent, expected, arrived, sender_late } = self.outcome;
        json!({
            "rules": self.rules, "rate": self.rate, "sent": sent, "alerts_expected": expected, "alerts": arrived,
            "sender_late": sender_late, "what_broke": self.what_broke(), "latency": report::percentiles(&self.arrived),
            "signs": self.signs.iter().map(|(name, count)| json!({ *name: count })).collect::<Value>(),
            "jitter": self.jitter.json(), "steal_ticks": self.steal,
        })
    }
}

/// The highest rate that held and the lowest that did not, for each number of rules, in Markdown.
fn lead(tries: &[Try]) -> String {
    let mut text = String::from(
        "\n| rules | highest rate without loss, events/s | lowest with | what broke | jitter p99.9, us |\n",
    );
    text.push_str("|---|---|---|---|---|\n");
    let mut counts: Vec<u64> = tries.iter().map(|one| one.rules).collect();
    counts.dedup();
    for rules in counts {
        let of = || tries.iter().filter(|one| one.rules == rules);
        let best = of().filter(|one| one.what_broke().is_none()).map(|one| one.rate).max().unwrap_or(0);
        let worst = of().filter(|one| one.what_broke().is_some() && one.rate > best).min_by_key(|one| one.rate);
        let (rate, broke) = worst.map_or(("none tried".into(), "nothing"), |one| {
            (one.rate.to_string(), one.what_broke().unwrap_or("nothing"))
        });
        let jitter = of().map(|one| one.jitter.wait(99.9)).max().unwrap_or(0) as f64 / 1_000.0;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {rules} | {best} | {rate} | {broke} | {jitter:.1} |");
    }
    text + "\n"
}

fn record(tries: &[Try], machine: &Value) -> Record {
    let table: String = tries.iter().map(Try::lines).collect();
    let figures = tries.iter().filter(|one| one.what_broke().is_none()).map(|one| Figure {
        name: format!("{}-rules-{}", one.rate, one.rules),
        foot: format!("{}, {}", machine::words(machine), one.jitter.words(one.steal)),
        curves: vec![("engine".into(), one.arrived.clone())],
    });
    Record {
        table: format!("{}{}{table}", lead(tries), report::head()),
        json: tries.iter().map(Try::json).collect(),
        figures: figures.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_closes_in_on_the_limit() {
        let args = Args { rules: vec![], mix: 1, from: 100, to: 10_000, halvings: 4 };
        let mut best = 0;
        search(&args, |rate| {
            best = best.max(if rate <= 730 { rate } else { 0 });
            Ok(rate <= 730)
        })
        .unwrap();
        assert!((705..=730).contains(&best), "{best}");
    }
}
