//! What the benches share: how they are called, clocks, memory, feeds and shards to measure with.
//!
//! `cargo bench --bench NAME` runs the canonical workload; `-- OPTION VALUE` changes it. `cargo test` runs the same code with
//! numbers so small that it takes no time: then only whether it still works is of interest.

// Each bench is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub mod feed;
pub mod fused;
pub mod rules;

use std::fs;
use std::time::{Duration, Instant};

use hairtrigger::matcher::shard::Outputs;
use hairtrigger::model::{Alert, Applied, Nanos};
use hdrhistogram::Histogram;

/// How a bench was called.
pub struct Args(Vec<String>);

impl Args {
    /// Reads them.
    pub fn read() -> Args {
        Args(std::env::args().skip(1).collect())
    }

    /// False under `cargo test`.
    pub fn is_bench(&self) -> bool {
        self.0.iter().any(|arg| arg == "--bench")
    }

    /// The text after `--name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg.strip_prefix("--") == Some(name))?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The number after `--name`; without one `canonical`, or `small` under `cargo test`.
    pub fn number(&self, name: &str, canonical: usize, small: usize) -> usize {
        let given = self.text(name).map(|text| text.replace('_', "").parse().expect("a number"));
        given.unwrap_or(if self.is_bench() { canonical } else { small })
    }

    /// The numbers after `--name`, separated by commas.
    pub fn numbers(&self, name: &str, canonical: &[usize], small: &[usize]) -> Vec<usize> {
        let default = if self.is_bench() { canonical } else { small };
        let given = self.text(name).map(|text| text.split(',').map(|n| n.replace('_', "").parse().expect("a number")));
        given.map_or(default.to_vec(), Iterator::collect)
    }
}

/// Time that passed, and time that this thread had a core: on a busy machine only the second says what the code costs.
pub struct Stopwatch {
    start: Instant,
    on_core: Duration,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch { start: Instant::now(), on_core: on_core() }
    }

    /// (elapsed, on a core) in ns for each of `count`.
    pub fn per(&self, count: usize) -> (f64, f64) {
        let (elapsed, on_core) = self.stop();
        (elapsed.as_nanos() as f64 / count as f64, on_core.as_nanos() as f64 / count as f64)
    }

    /// (elapsed, on a core).
    pub fn stop(&self) -> (Duration, Duration) {
        (self.start.elapsed(), on_core().saturating_sub(self.on_core))
    }
}

/// How long this thread has had a core; the kernel brings it up to date every few ms.
fn on_core() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0))
}

/// Bytes of this process that are in memory; 0 where the system does not tell.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// An empty histogram of nanoseconds up to a minute, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are constants that it takes")
}

/// `p50 99 p99 120 p99.9 300 max 5000` of a histogram, in its own unit.
pub fn quantiles(histogram: &Histogram<u64>) -> String {
    let at = |quantile| histogram.value_at_quantile(quantile);
    format!("p50 {} p99 {} p99.9 {} max {}", at(0.5), at(0.99), at(0.999), histogram.max())
}

/// Median cost of reading the clock twice, which is in every single timing here.
pub fn clock_ns() -> u64 {
    let mut seen = histogram();
    for _ in 0..10_000 {
        let start = Instant::now();
        seen.saturating_record(start.elapsed().as_nanos() as u64);
    }
    seen.value_at_quantile(0.5)
}

/// Takes what a shard tells and counts it.
#[derive(Default)]
pub struct Counted {
    /// Alerts, ends and all else that goes to the alert side.
    pub alerts: u64,
    /// Answers.
    pub applied: u64,
    /// Of them those that say no.
    pub refused: u64,
}

impl Outputs for Counted {
    #[inline]
    fn alert(&mut self, alert: &Alert) {
        std::hint::black_box(alert);
        self.alerts += 1;
    }

    #[inline]
    fn applied(&mut self, applied: &Applied) {
        self.applied += 1;
        self.refused += u64::from(matches!(applied.outcome, hairtrigger::model::Outcome::Refused(_)));
    }

    fn now(&self) -> Nanos {
        0
    }
}
