//! Windows of time: latency, memory, descriptors and losses of each, and what the last one is beside the first.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use hairtrigger::stats::StatsReader;

use crate::Fault;
use crate::readers::{Measured, histogram};

/// What a window showed.
struct Window {
    p99_9: u64,
    memory: u64,
    descriptors: usize,
    lost: u64,
}

/// All windows so far.
pub struct Windows {
    stats: PathBuf,
    seen: Vec<Window>,
}

impl Windows {
    /// The head of the table.
    pub const HEADER: &'static str =
        "minutes    alerts    p50 us    p99 us  p99.9 us    max us  own memory KiB  descriptors  messages lost";

    /// No windows yet, of the engine with this stats file.
    pub fn new(stats: PathBuf) -> Windows {
        Windows { stats, seen: vec![] }
    }

    /// Ends a window; its row of the table.
    pub fn close(&mut self, at: Duration, measured: &Measured) -> Result<String, Fault> {
        let latency = std::mem::replace(&mut *measured.lock().unwrap_or_else(PoisonError::into_inner), histogram());
        let stats = StatsReader::open(&self.stats)?;
        let window = Window {
            p99_9: latency.value_at_quantile(0.999),
            memory: own_memory(stats.pid())?,
            descriptors: std::fs::read_dir(format!("/proc/{}/fd", stats.pid()))?.count(),
            lost: lost(&stats)?,
        };
        let us = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let row = format!(
            "{:>7.1} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>14} {:>12} {:>14}",
            at.as_secs_f64() / 60.0,
            latency.len(),
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0),
            window.memory,
            window.descriptors,
            window.lost
        );
        self.seen.push(window);
        Ok(row)
    }

    /// True when nothing was lost and nothing grew since the second window: in the first the tables are first used.
    pub fn is_whole(&self) -> bool {
        let [.., last] = &self.seen[..] else { return false };
        let second = &self.seen[1.min(self.seen.len() - 1)];
        last.lost == 0 && last.memory <= second.memory / 20 * 21 && last.descriptors <= second.descriptors + 8
    }

    /// The last window beside the first.
    pub fn verdict(&self) -> String {
        let ([first, ..], [.., last]) = (&self.seen[..], &self.seen[..]) else { return "no window".into() };
        format!(
            "p99.9 of the last window {:.2}x that of the first; memory {:+.1} %, {:+} descriptors, {} messages lost",
            last.p99_9 as f64 / first.p99_9.max(1) as f64,
            100.0 * (last.memory as f64 / first.memory as f64 - 1.0),
            last.descriptors as i64 - first.descriptors as i64,
            last.lost
        )
    }
}

/// KiB of a process that are in memory and belong to no file: the alert log is mapped and grows up to its retention.
fn own_memory(pid: u64) -> Result<u64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Messages of the feed that the engine gave up.
fn lost(stats: &StatsReader) -> Result<u64, Fault> {
    let snapshot = stats.snapshot()?;
    let mut values = snapshot.counters.iter().flat_map(|counters| &counters.values);
    Ok(values.find(|(name, _)| name == "gap_messages").ok_or("no count of lost messages")?.1)
}
