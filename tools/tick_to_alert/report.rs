//! What comes out: a table, a summary in JSON, percentile files that HdrHistogram's plotter reads.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::alerts::{Arrived, histogram};
use crate::drive::Outcome;
use crate::machine::{self, Jitter};
use crate::plot;
use crate::ratio::stage_lines;
use crate::stages::{self, Stages};

/// Percentiles of the table.
pub const PERCENTILES: [(f64, &str); 5] =
    [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (99.99, "p99.99")];

/// What the ratio is to be at most, from DESIGN section 10: percentile, its name, goal. There is none for the greatest.
pub const GOALS: [(f64, &str, f64); 3] = [(50.0, "p50", 1.10), (99.0, "p99", 1.25), (99.9, "p99.9", 1.5)];

/// One side of a comparison: all rounds together.
pub struct Side {
    /// From the intended send to the read, in ns.
    pub total: Histogram<u64>,
    /// From the read of the datagram to the match, as the engine stamped it,
    pub to_match: Histogram<u64>,
    /// and from there to the log.
    pub to_log: Histogram<u64>,
    /// Of all rounds.
    pub outcome: Outcome,
    /// How long its threads waited for a core, in ns.
    pub run_delay: u64,
    /// Each round's p50 and p99, in ns.
    pub rounds: Vec<(u64, u64)>,
}

impl Default for Side {
    fn default() -> Side {
        let (total, to_match, to_log) = (histogram(), histogram(), histogram());
        Side { total, to_match, to_log, outcome: Outcome::default(), run_delay: 0, rounds: vec![] }
    }
}

impl Side {
    /// Adds a round.
    pub fn add(&mut self, arrived: &Arrived, outcome: Outcome, run_delay: u64) {
        // Histograms of the same precision always add up.
        let _ = self.total.add(&arrived.total);
        let _ = self.to_match.add(&arrived.to_match);
        let _ = self.to_log.add(&arrived.to_log);
        self.outcome.sent += outcome.sent;
        self.outcome.expected += outcome.expected;
        self.outcome.arrived += outcome.arrived;
        self.outcome.sender_late = self.outcome.sender_late.max(outcome.sender_late);
        self.run_delay += run_delay;
        let of = |percentile| arrived.total.value_at_percentile(percentile);
        self.rounds.push((of(50.0), of(99.0)));
    }

    /// True when it keeps up: nothing is lost, and the sender was not held up.
    pub fn keeps_up(&self) -> bool {
        self.outcome.arrived == self.outcome.expected && self.total.value_at_quantile(0.5) < 10_000_000
    }

    fn json(&self) -> Value {
        let Outcome { sent, expected, arrived, sender_late } = self.outcome;
        json!({
            "latency": percentiles(&self.total), "recv_to_match": percentiles(&self.to_match),
            "match_to_log": percentiles(&self.to_log), "sent": sent, "alerts_expected": expected,
            "alerts": arrived, "sender_late": sender_late, "run_delay": self.run_delay, "keeps_up": self.keeps_up(),
            "rounds_p50_p99": self.rounds,
        })
    }
}

/// A step of the table.
pub struct Step {
    /// Rate or shape.
    pub shape: String,
    /// Rules that stand.
    pub rules: u64,
    /// Sets a second meanwhile.
    pub churn: u64,
    /// The relay,
    pub relay: Side,
    /// and the engine.
    pub engine: Side,
    /// On the cores used, right before each run.
    pub jitter: Jitter,
    /// Stolen meanwhile, in ticks of 10 ms.
    pub steal: u64,
    /// From a set to its answer, where rules changed.
    pub sets: Option<Histogram<u64>>,
    /// Where the time goes, relay and engine, where that was asked.
    pub stages: Option<(Stages, Stages)>,
}

/// A histogram for the summary.
pub fn percentiles(histogram: &Histogram<u64>) -> Value {
    let mut object = json!({ "count": histogram.len(), "max": histogram.max(), "min": histogram.min() });
    for (percentile, name) in PERCENTILES {
        object[name] = json!(histogram.value_at_percentile(percentile));
    }
    object
}

impl Step {
    /// The ratio of a percentile, engine to relay.
    pub fn ratio(&self, percentile: f64) -> f64 {
        let of = |side: &Side| side.total.value_at_percentile(percentile) as f64;
        of(&self.engine) / of(&self.relay).max(1.0)
    }

    /// The ratio of the greatest values.
    fn ratio_of_max(&self) -> f64 {
        self.engine.total.max() as f64 / self.relay.total.max().max(1) as f64
    }

    /// Each goal: its name, the ratio, and whether it is met.
    fn goals(&self) -> [(&'static str, f64, bool); 3] {
        GOALS.map(|(percentile, name, goal)| {
            let ratio = self.ratio(percentile);
            (name, ratio, ratio <= goal)
        })
    }

    /// For the summary; times in ns.
    pub fn json(&self) -> Value {
        let mut ratio = json!({});
        PERCENTILES.iter().for_each(|(percentile, name)| ratio[*name] = json!(self.ratio(*percentile)));
        json!({
            "shape": self.shape, "rules": self.rules, "churn": self.churn, "ratio": ratio,
            "relay": self.relay.json(), "engine": self.engine.json(), "jitter": self.jitter.json(),
            "steal_ticks": self.steal, "set_to_answer": self.sets.as_ref().map(percentiles),
            "goals_met": self.goals().map(|(name, _, is_met)| json!({ name: is_met })),
            "stages": self.stages.as_ref().map(|(relay, engine)| stages::json(relay, engine)),
        })
    }

    /// Its lines of the table, times in us.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        let micros = |ns: u64| format!("{:.1}", ns as f64 / 1_000.0);
        let head = format!("{} rules {}{}", self.shape, self.rules, if self.churn > 0 { " churn" } else { "" });
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{head:<26} ratio ");
        PERCENTILES.iter().for_each(|(percentile, _)| _ = write!(text, " {:>9.2}", self.ratio(*percentile)));
        let _ = writeln!(text, " {:>9.2}", self.ratio_of_max());
        for (name, side) in [("relay", &self.relay), ("engine", &self.engine)] {
            let _ = write!(text, "{:<26} {name:<6}", "");
            PERCENTILES.iter().for_each(|(percentile, _)| {
                _ = write!(text, " {:>9}", micros(side.total.value_at_percentile(*percentile)));
            });
            let Outcome { expected, arrived, sender_late, .. } = side.outcome;
            let _ = write!(text, " {:>9}  {arrived} alerts", micros(side.total.max()));
            if arrived != expected {
                let _ = write!(text, " ({} missing)", expected.saturating_sub(arrived));
            }
            let _ =
                writeln!(text, ", waited {} ms, sender late {} us", side.run_delay / 1_000_000, micros(sender_late));
        }
        for (name, histogram) in [("match", &self.engine.to_match), ("log", &self.engine.to_log)]
            .into_iter()
            .chain(self.sets.iter().map(|sets| ("set", sets)))
        {
            text.push_str(&row("", name, histogram));
        }
        text.push_str(&jitter_line(&self.jitter, self.steal));
        text + &stage_lines(self)
    }

    /// Its row of the table that a report leads with.
    fn lead(&self) -> String {
        let mut text = format!("| {} | {} | {} |", self.shape, self.rules, self.churn);
        for (_, ratio, is_met) in self.goals() {
            let _ = write!(text, " {ratio:.2} {} |", if is_met { "met" } else { "**missed**" });
        }
        let micros = |ns: u64| format!("{:.1}", ns as f64 / 1_000.0);
        let of = |side: &Side| {
            let [p50, p99, p999] =
                [50.0, 99.0, 99.9].map(|percentile| micros(side.total.value_at_percentile(percentile)));
            format!("{p50} / {p99} / {p999} / {}", micros(side.total.max()))
        };
        let jitter = format!("{} / {}", micros(self.jitter.wait(99.9)), micros(self.jitter.max()));
        let collapsed = if self.engine.keeps_up() { "" } else { ", collapsed" };
        let lost = self.engine.outcome.expected - self.engine.outcome.arrived.min(self.engine.outcome.expected);
        let (relay, engine, max) = (of(&self.relay), of(&self.engine), self.ratio_of_max());
        let _ = writeln!(text, " {max:.2} | {relay} | {engine} | {lost}{collapsed} | {jitter} |");
        text
    }
}

/// A line of the table: percentiles in us.
pub fn row(head: &str, name: &str, histogram: &Histogram<u64>) -> String {
    let mut text = format!("{head:<26} {name:<6}");
    PERCENTILES.iter().for_each(|(percentile, _)| {
        _ = write!(text, " {:>9.2}", histogram.value_at_percentile(*percentile) as f64 / 1_000.0);
    });
    let _ = writeln!(text, " {:>9.2}", histogram.max() as f64 / 1_000.0);
    text
}

/// What the machine itself did, in us.
pub fn jitter_line(jitter: &Jitter, steal: u64) -> String {
    let waits = PERCENTILES.map(|(percentile, _)| format!("{:>9.1}", jitter.wait(percentile) as f64 / 1_000.0));
    let max = jitter.max() as f64 / 1_000.0;
    format!("{:<26} jitter {} {max:>9.1}  stolen {} ms\n", "", waits.join(" "), steal * 10)
}

/// The table that a report leads with: ratios of engine to relay beside their goals, in Markdown.
pub fn lead(steps: &[Step]) -> String {
    let goals: Vec<String> = GOALS.iter().map(|(_, name, goal)| format!("{name} (<= {goal:.2})")).collect();
    let mut text = format!(
        "\n| events/s | rules | sets/s | {} | max | relay p50 / p99 / p99.9 / max, us | engine | lost | jitter p99.9 / max |\n",
        goals.join(" | ")
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
    steps.iter().for_each(|step| text.push_str(&step.lead()));
    text + "\n"
}

/// The table's head.
pub fn head() -> String {
    let mut text = format!("{:<26} {:<6}", "us, from intended send", "");
    PERCENTILES.iter().for_each(|(_, name)| _ = write!(text, " {name:>9}"));
    text + "       max\n"
}

/// A plot, and a percentile file for each of its curves.
pub struct Figure {
    /// For the files.
    pub name: String,
    /// What is beside the machine.
    pub foot: String,
    /// Names and values.
    pub curves: Vec<(String, Histogram<u64>)>,
}

/// All that a mode puts into a folder.
pub struct Record {
    /// For people.
    pub table: String,
    /// For programs.
    pub json: Value,
    /// To look at.
    pub figures: Vec<Figure>,
}

/// The record of engine beside relay.
pub fn record(steps: &[Step], machine: &Value) -> Record {
    let figure = |step: &Step| Figure {
        name: format!("{}-rules-{}{}", step.shape, step.rules, if step.churn > 0 { "-churn" } else { "" }),
        foot: format!("{}, {}", machine::words(machine), step.jitter.words(step.steal)),
        curves: vec![("relay".into(), step.relay.total.clone()), ("engine".into(), step.engine.total.clone())],
    };
    let table: String = steps.iter().map(Step::lines).collect();
    Record {
        table: format!("{}\n{}{table}", lead(steps), head()),
        json: steps.iter().map(Step::json).collect(),
        figures: steps.iter().map(figure).collect(),
    }
}

/// Writes a record: `table.txt`, `summary.json`, and for each figure an `.svg` and the `.hgrm` files.
pub fn write(out: &Path, machine: &Value, record: &Record) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("tick_to_alert {}", command.join(" "));
    fs::write(out.join("table.txt"), format!("{command}\n{machine}\n{}", record.table))?;
    let summary = json!({ "command": command, "machine": machine, "unit": "ns", "steps": record.json });
    fs::write(out.join("summary.json"), format!("{summary:#}\n"))?;
    for Figure { name, foot, curves } in &record.figures {
        for (curve, histogram) in curves {
            fs::write(out.join(format!("{name}-{curve}.hgrm")), hgrm(histogram, machine))?;
        }
        let borrowed: Vec<plot::Curve<'_>> = curves.iter().map(|(name, values)| (name.as_str(), values)).collect();
        fs::write(out.join(format!("{name}.svg")), plot::svg(name, foot, &borrowed))?;
    }
    Ok(())
}

/// A percentile file as HdrHistogram writes it, values in us.
fn hgrm(histogram: &Histogram<u64>, machine: &Value) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for value in histogram.iter_quantiles(5) {
        let (quantile, us) = (value.quantile_iterated_to(), value.value_iterated_to() as f64 / 1_000.0);
        let count = histogram.count_between(0, value.value_iterated_to());
        let _ = write!(text, "{us:12.3} {quantile:2.12} {count:10}");
        if quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let (mean, deviation) = (histogram.mean() / 1_000.0, histogram.stdev() / 1_000.0);
    let (max, total) = (histogram.max() as f64 / 1_000.0, histogram.len());
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {total:12}]");
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), 2048);
    let _ = writeln!(text, "#[Machine = {machine}]");
    text
}
