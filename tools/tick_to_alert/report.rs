//! What comes out: a table, a summary in JSON, percentile files that HdrHistogram's plotter reads.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::alerts::histogram;
use crate::drive::Outcome;
use crate::machine::Jitter;

/// Percentiles of the table.
pub const PERCENTILES: [(f64, &str); 5] =
    [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (99.99, "p99.99")];

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
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
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

    /// For the summary; times in ns.
    pub fn json(&self) -> Value {
        let mut ratio = json!({});
        PERCENTILES.iter().for_each(|(percentile, name)| ratio[*name] = json!(self.ratio(*percentile)));
        json!({
            "shape": self.shape, "rules": self.rules, "churn": self.churn, "ratio": ratio,
            "relay": self.relay.json(), "engine": self.engine.json(), "jitter": self.jitter.json(),
            "steal_ticks": self.steal, "set_to_answer": self.sets.as_ref().map(percentiles),
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
        let max = |side: &Side| side.total.max();
        let _ = writeln!(text, " {:>9.2}", max(&self.engine) as f64 / max(&self.relay).max(1) as f64);
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
        let within = |text: &mut String, name: &str, histogram: &Histogram<u64>| {
            let _ = write!(text, "{:<26} {name:<6}", "");
            PERCENTILES.iter().for_each(|(percentile, _)| {
                _ = write!(text, " {:>9.2}", histogram.value_at_percentile(*percentile) as f64 / 1_000.0);
            });
            let _ = writeln!(text, " {:>9.2}", histogram.max() as f64 / 1_000.0);
        };
        within(&mut text, "match", &self.engine.to_match);
        within(&mut text, "log", &self.engine.to_log);
        self.sets.iter().for_each(|histogram| within(&mut text, "set", histogram));
        let jitter = PERCENTILES.map(|(percentile, _)| format!("{:>9}", micros(self.jitter.wait(percentile))));
        let _ = write!(text, "{:<26} jitter {}", "", jitter.join(" "));
        let _ = writeln!(text, " {:>9}  stolen {} ms", micros(self.jitter.max()), self.steal * 10);
        text
    }
}

/// The table's head.
pub fn head() -> String {
    let mut text = format!("{:<26} {:<6}", "us, from intended send", "");
    PERCENTILES.iter().for_each(|(_, name)| _ = write!(text, " {name:>9}"));
    text + "       max\n"
}

/// A percentile file as HdrHistogram writes it, values in us.
pub fn hgrm(histogram: &Histogram<u64>, machine: &Value) -> String {
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
