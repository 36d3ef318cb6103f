//! All measurements of one call, and the JSON object that tells them.

use std::fs;

use hairtrigger::sys::clock::Clock;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::input::Input;
use super::latency::{AlertSide, Direct, Pace, Seen, open_loop};
use super::pipeline::Pipe;
use super::tally::{Tally, oracle};
use super::{Args, Run, fused, pipeline, rivals};

/// Ticks of a throughput run that are not timed, as the rivals have it; at most a quarter of all.
const WARMUP_TICKS: usize = 5_000_000;

/// What is told, and whether every run gave the oracle's alerts.
pub struct Report {
    /// The object.
    pub json: Value,
    /// True when all were right.
    pub exact: bool,
}

/// Resident memory with the rules of the input set, before any tick.
pub fn memory(input: &Input) -> Value {
    let before = resident();
    let side = AlertSide::new(Clock::simulated(0), u64::MAX);
    let direct = Direct::new(input, side);
    let after = resident();
    drop(direct);
    let bytes = after.saturating_sub(before);
    json!({
        "rules": input.rules.len(),
        "rss_mib": after as f64 / f64::from(1 << 20),
        "of_it_rules_mib": bytes as f64 / f64::from(1 << 20),
        "bytes_per_rule": bytes as f64 / input.rules.len().max(1) as f64,
    })
}

/// Bytes of this process that are in memory; 0 where the system does not tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// Runs everything that was asked for.
pub fn report(args: &Args, input: &Input, cores: &[usize], memory: Value) -> Report {
    let due = oracle(input);
    let mut exact = true;
    let mut check = |tally: Tally| {
        exact &= tally == due;
        tally == due
    };
    let shards = args.shards.unwrap_or(cores.len().saturating_sub(2).max(1));
    let count = input.ticks().len();
    let warmup = WARMUP_TICKS.min(count / 4);
    let mut throughput = vec![];
    for _ in 0..args.repeat {
        for threads in if cores.len() > 1 { vec![1, cores.len()] } else { vec![1] } {
            let run = fused::throughput(input, threads, cores, warmup);
            throughput.push(told("fused", threads, threads, &run, check(run.tally)));
        }
        let run = pipeline::throughput(input, shards, cores, warmup);
        throughput.push(told("pipeline", cores.len().min(2 + shards), shards, &run, check(run.tally)));
    }
    let mut latency = vec![];
    for rate in &args.rate {
        let pace = pace(args, *rate, count);
        let due = if pace.ticks == count { due } else { oracle(&input.first(pace.ticks)) };
        for mode in ["fused", "pipeline"] {
            let (seen, in_force) = paced(mode, input, shards, cores, pace);
            exact &= seen.tally == due;
            latency.push(json!({
                "mode": mode, "ticks_per_s": rate, "ticks": pace.ticks, "not_measured": pace.warmup,
                "tick_to_alert_us": quantiles(&seen.latency), "rule_to_effect_us": quantiles(&in_force),
                "exact": seen.tally == due,
            }));
        }
    }
    let json = json!({
        "ticks": count, "rules": input.rules.len(), "changes": input.changes.len(), "symbols": input.symbols,
        "cores": cores.len(),
        "oracle": { "alerts": due.count, "checksum": format!("{:016x}", due.sum) },
        "exact": exact,
        "memory": memory, "throughput": throughput, "latency": latency, "rivals": rivals::figures(),
    });
    Report { json, exact }
}

fn told(mode: &str, cores: usize, shards: usize, run: &Run, exact: bool) -> Value {
    let seconds = run.elapsed.as_secs_f64();
    json!({
        "mode": mode, "cores": cores, "shards": shards, "ticks_timed": run.ticks,
        "ticks_per_s": (run.ticks as f64 / seconds) as u64,
        "ns_per_tick": seconds * 1e9 / run.ticks as f64,
        "ns_per_tick_on_core": run.on_core.as_nanos() as f64 / run.ticks as f64,
        "alerts": run.tally.count, "checksum": format!("{:016x}", run.tally.sum), "exact": exact,
    })
}

fn pace(args: &Args, rate: u64, count: usize) -> Pace {
    let ticks = usize::try_from(rate * args.seconds).unwrap_or(usize::MAX).min(count);
    let warmup = usize::try_from(rate * args.warmup).unwrap_or(usize::MAX).min(ticks / 2);
    Pace { rate, ticks, warmup }
}

fn paced(mode: &str, input: &Input, shards: usize, cores: &[usize], pace: Pace) -> (Seen, Histogram<u64>) {
    let clock = Clock::machine();
    let side = AlertSide::new(clock.clone(), pace.warmup as u64);
    if mode == "fused" {
        super::core_of(cores, 0);
        let mut direct = Direct::new(input, side);
        let in_force = open_loop(&mut direct, input, pace, &clock);
        return (direct.finish(), in_force);
    }
    std::thread::scope(|scope| {
        let mut pipe = Pipe::new(scope, input, shards, cores, side);
        let in_force = open_loop(&mut pipe, input, pace, &clock);
        (pipe.finish(), in_force)
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let us = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    json!({
        "n": histogram.len(), "p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p99.9": us(0.999), "p99.99": us(0.9999),
        "max": histogram.max() as f64 / 1e3,
    })
}
