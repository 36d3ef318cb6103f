//! Where the time of an alert goes: stage by stage, from stamps of this program, of the kernel and of the engine.
//!
//! ```text
//!  intended - sent - kernel sends - ts_recv - ts_match - ts_log - (write call) - kernel has it for the client - read
//!       tool           SO_TIMESTAMPING     the alert's own        histograms         SO_TIMESTAMPING            tool
//! ```
//!
//! Taken in a round of its own, since asking the kernel for each datagram's stamp is a system call that the other rounds
//! need not bear. `ts_log` to write call and the call itself are of the engine's own histograms, one send in eight. The relay stamps its
//! alerts in the same places: its `ts_log` is right before its write call.

use std::fmt::Write as _;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::alerts::histogram;
use crate::report::{PERCENTILES, percentiles};
use crate::stamps::Wall;

/// What the sender knows of an event.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The send call, in ns from the start.
    pub call: u64,
    /// When the kernel sent it, in ns since 1970.
    pub kernel: Option<u64>,
}

/// What the reader knows of an alert.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The event that caused it.
    pub event: usize,
    /// Its stamps, in ns since 1970.
    pub ts_recv: u64,
    /// See above.
    pub ts_match: u64,
    /// See above.
    pub ts_log: u64,
    /// When the kernel had it for the client, in ns since 1970.
    pub kernel: Option<u64>,
    /// When it was read, in ns from the start.
    pub read: u64,
}

const NAMES: [&str; 9] = [
    "intended > send call",
    "send call > kernel sends",
    "kernel sends > ts_recv",
    "ts_recv > ts_match",
    "ts_match > ts_log",
    "ts_log > write call",
    "write call",
    "ts_log > kernel has it for the client",
    "kernel has it > read",
];
const TO_WRITE: usize = 5;
const WRITE: usize = 6;

/// The stages of one side.
pub struct Stages(Vec<Histogram<u64>>);

impl Stages {
    /// From what was sent and what was read. `start`: of the run; `kernel`: the wall clock now; `stamper`: the wall clock when the
    /// stamping program tied its own clock to it.
    pub fn of(sent: &[Sent], read: &[Read], due: &[u64], start: Instant, kernel: &Wall, stamper: &Wall) -> Stages {
        let mut stages: Vec<Histogram<u64>> = NAMES.iter().map(|_| histogram()).collect();
        let mut record = |stage: usize, from: i64, to: i64| {
            stages[stage].saturating_record(u64::try_from(to - from).unwrap_or(0));
        };
        for alert in read {
            let (Some(sent), Some(due)) = (sent.get(alert.event), due.get(alert.event)) else { continue };
            let [recv, matched, logged] =
                [alert.ts_recv, alert.ts_match, alert.ts_log].map(|stamp| stamper.since(start, stamp));
            record(0, *due as i64, sent.call as i64);
            if let Some(kernel) = sent.kernel.map(|stamp| kernel.since(start, stamp)) {
                record(1, sent.call as i64, kernel);
                record(2, kernel, recv);
            }
            record(3, recv, matched);
            record(4, matched, logged);
            if let Some(kernel) = alert.kernel.map(|stamp| kernel.since(start, stamp)) {
                record(7, logged, kernel);
                record(8, kernel, alert.read as i64);
            }
        }
        Stages(stages)
    }

    /// With what the writer itself has measured: from the log to the write call, and the call.
    pub fn with_writes(mut self, to_write: Histogram<u64>, write: Histogram<u64>) -> Stages {
        (self.0[TO_WRITE], self.0[WRITE]) = (to_write, write);
        self
    }

    /// For the summary; times in ns. A stage that nobody stamped is left out.
    pub fn json(&self) -> Value {
        let seen = NAMES.iter().zip(&self.0).filter(|(_, histogram)| !histogram.is_empty());
        seen.map(|(name, histogram)| ((*name).to_string(), percentiles(histogram)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The table of both sides, times in us.
pub fn lines(shape: &str, relay: &Stages, engine: &Stages) -> String {
    let mut text = format!("stages of {shape}, us");
    // Writing to a String cannot fail, here and below.
    let _ = write!(text, "{:<1$}", "", 46usize.saturating_sub(text.len()));
    PERCENTILES.iter().for_each(|(_, name)| _ = write!(text, " {name:>9}"));
    text.push_str("       max\n");
    for (stage, name) in NAMES.iter().enumerate() {
        for (side, stages) in [("relay", relay), ("engine", engine)] {
            let histogram = &stages.0[stage];
            let _ = write!(text, "  {name:<37} {side:<6}");
            if histogram.is_empty() {
                text.push_str("  not stamped\n");
                continue;
            }
            let at = |percentile| histogram.value_at_percentile(percentile) as f64 / 1_000.0;
            PERCENTILES.iter().for_each(|(percentile, _)| _ = write!(text, " {:>9.2}", at(*percentile)));
            let _ = writeln!(text, " {:>9.2}", histogram.max() as f64 / 1_000.0);
        }
    }
    text
}

/// For the summary.
pub fn json(relay: &Stages, engine: &Stages) -> Value {
    json!({ "relay": relay.json(), "engine": engine.json() })
}
