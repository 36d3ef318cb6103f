//! A rule set over TCP: from its intended send until it is in force, and until it is acknowledged durable.
//!
//! Every set is of a rule whose condition holds already, so the shard fires it as it carries the set out: the alert's
//! `ts_match` is the moment from which the rule is in force, without the way back to the client in it. The answer to the same
//! request leaves when the journal has the change (`journal.durability` is "sync": it is on disk), so its arrival is the
//! acknowledgement. Open loop: both count from when the set was due. The clocks' distance is known to some tens of ns.
//!
//! Alone (100 prints a second, none of which fires) and under a full feed; with the journal in memory and on disk. What
//! such a set makes the shard do is an insert with nothing to insert and an alert: about what a plain set does.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::alerts::{Alerts, histogram};
use crate::churn::{Churn, log_in};
use crate::drive::{Run, drive};
use crate::feed::Feed;
use crate::machine::{self, Jitter};
use crate::report::{self, Figure, Record, jitter_line, percentiles, row};
use crate::rules::{LOGIN, initial_rule};
use crate::schedule::{Schedule, Shape};
use crate::setup::{Running, SETTLE, Setup};

/// Prints a second where sets are alone.
const ALONE: u64 = 100;
/// How long the last alerts are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// One print in so many fires.
const MIX: u64 = 100;

/// Options of this mode.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Sets a second, one step each
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    sets: Vec<u64>,
    /// Events a second of the full feed
    #[arg(long, default_value_t = 100_000)]
    feed: u64,
    /// Rules that stand
    #[arg(long, default_value_t = 100_000)]
    rules: u64,
    /// A folder on a disk for the journal; one in memory is measured in any case
    #[arg(long, value_name = "FOLDER")]
    disk: Option<PathBuf>,
}

/// One line of the table.
struct Step {
    journal: &'static str,
    sets: u64,
    feed: u64,
    /// Sets that are measured.
    due: u64,
    in_force: Histogram<u64>,
    acknowledged: Histogram<u64>,
    jitter: Jitter,
    steal: u64,
}

/// Carries this mode out.
pub fn run(setup: &Setup, args: &Args) -> Result<(), Box<dyn Error>> {
    if args.sets.contains(&0) || args.feed == 0 {
        return Err("expected sets and events from 1 a second".into());
    }
    print!("{}", report::head());
    let mut steps = vec![];
    for (journal, folder) in [("memory", None), ("disk", args.disk.as_ref())] {
        if journal == "disk" && folder.is_none() {
            continue;
        }
        let folder = folder.map(|folder| folder.join(format!("journal-{}", std::process::id())));
        let running = setup.engine(args.rules, folder.as_deref())?;
        crate::rules::load(running.engine.control, setup.common.symbols, args.rules)?;
        let mut feed = setup.opened(&running.engine, MIX)?;
        for feed_rate in [ALONE, args.feed] {
            for sets in &args.sets {
                let step = measure(setup, &running, &mut feed, (journal, *sets, feed_rate))?;
                print!("{}", step.lines());
                steps.push(step);
            }
        }
        running.end()?;
        if let Some(folder) = folder {
            fs::remove_dir_all(folder)?;
        }
    }
    match &setup.common.out {
        Some(out) => report::write(out, &setup.machine, &record(&steps, &setup.machine)),
        None => Ok(()),
    }
}

fn measure(
    setup: &Setup,
    running: &Running,
    feed: &mut Feed,
    (journal, sets, feed_rate): (&'static str, u64, u64),
) -> Result<Step, Box<dyn Error>> {
    let schedule = Schedule::new(&Shape::Steady(feed_rate), setup.common.seconds);
    let (symbols, used) = (setup.common.symbols, setup.used());
    let (mut in_force, mut acknowledged, mut jitter, mut due) = (histogram(), histogram(), Jitter::default(), 0);
    let stolen = machine::steal(&used);
    for _ in 0..setup.common.rounds {
        running.engine.pause();
        jitter.add(&setup.jitter());
        running.engine.resume();
        let mut alerts = Alerts::new(log_in(running.engine.alerts, LOGIN)?)?;
        let mut churn = Churn::new(running.engine.control, sets, move |id| initial_rule(id, symbols))?;
        churn.measured_from = schedule.due[schedule.measured_from];
        thread::sleep(SETTLE);
        let (cores, is_stamped) = (setup.cores, false);
        let churn_of = Some(&mut churn);
        let driven = drive(Run {
            feed,
            alerts: &mut alerts,
            churn: churn_of,
            storm: None,
            schedule: &schedule,
            cores,
            is_stamped,
        })?;
        // Where sets are answered late their alerts may still be on their way; what counts is stamped in them.
        let end = Instant::now() + PATIENCE;
        while alerts.arrived.initial.len() < churn.sent() && Instant::now() < end {
            alerts.read(&schedule, || 0)?;
        }
        let matched: HashMap<u64, u64> =
            alerts.arrived.initial.iter().map(|alert| (alert.tag, alert.ts_match)).collect();
        for (id, due) in churn.measured() {
            let Some(ts_match) = matched.get(&(id as u64)) else { continue };
            let matched = running.engine.wall.since(driven.start, *ts_match);
            in_force.saturating_record(u64::try_from(matched - due as i64).unwrap_or(0));
        }
        due += churn.measured().count() as u64;
        acknowledged.add(&churn.latency)?;
    }
    let steal = machine::steal(&used) - stolen;
    Ok(Step { journal, sets, feed: feed_rate, due, in_force, acknowledged, jitter, steal })
}

impl Step {
    fn name(&self) -> String {
        format!("{} sets/s, {} events/s, journal {}", self.sets, self.feed, self.journal)
    }

    fn lines(&self) -> String {
        let mut text = format!(
            "{}: {} due, {} in force, {} acknowledged\n",
            self.name(),
            self.due,
            self.in_force.len(),
            self.acknowledged.len()
        );
        text.push_str(&row("", "force", &self.in_force));
        text.push_str(&row("", "durable", &self.acknowledged));
        text + &jitter_line(&self.jitter, self.steal)
    }

    fn lead(&self) -> String {
        let us = |histogram: &Histogram<u64>| {
            let of = |percentile| histogram.value_at_percentile(percentile) as f64 / 1_000.0;
            format!("{:.1} / {:.1} / {:.1} / {:.1}", of(50.0), of(99.0), of(99.9), histogram.max() as f64 / 1_000.0)
        };
        let goal = if self.in_force.value_at_percentile(99.0) <= 25_000 { "met" } else { "**missed**" };
        let (force, durable) = (us(&self.in_force), us(&self.acknowledged));
        let jitter = format!("{:.1} / {:.1}", self.jitter.wait(99.9) as f64 / 1e3, self.jitter.max() as f64 / 1e3);
        format!("| {} | {} | {} | {force} | {goal} | {durable} | {jitter} |\n", self.sets, self.feed, self.journal)
    }

    fn json(&self) -> Value {
        json!({
            "sets": self.sets, "feed": self.feed, "due": self.due, "journal": self.journal, "in_force": percentiles(&self.in_force),
            "acknowledged": percentiles(&self.acknowledged), "jitter": self.jitter.json(), "steal_ticks": self.steal,
        })
    }
}

fn record(steps: &[Step], machine: &Value) -> Record {
    let mut table = String::from(
        "\n| sets/s | events/s | journal | in force p50 / p99 / p99.9 / max, us | p99 <= 25 us | durable | jitter p99.9 / max |\n",
    );
    table.push_str("|---|---|---|---|---|---|---|\n");
    steps.iter().for_each(|step| table.push_str(&step.lead()));
    // Writing to a String cannot fail.
    let _ = write!(table, "\n{}", report::head());
    steps.iter().for_each(|step| table.push_str(&step.lines()));
    let figure = |step: &Step| Figure {
        name: format!("sets-{}-events-{}-{}", step.sets, step.feed, step.journal),
        foot: format!("{}, {}", machine::words(machine), step.jitter.words(step.steal)),
        curves: vec![("in-force".into(), step.in_force.clone()), ("durable".into(), step.acknowledged.clone())],
    };
    Record { table, json: steps.iter().map(Step::json).collect(), figures: steps.iter().map(figure).collect() }
}
