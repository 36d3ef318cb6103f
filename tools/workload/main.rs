//! Runs the rivals' workload through the engine's stages, in process, checks every alert against the oracle, and prints what
//! it measured beside the rivals' figures as one JSON object.
//!
//! ```text
//!   ticks.bin, rules.bin, churn.bin --> input --+--> fused:    feed and shard on one thread, one thread a core
//!                                               +--> pipeline: feed | rings | shards | rings | alert side
//!                                               +--> oracle:   the count and checksum that are due
//! ```
//!
//! Nothing here crosses a socket: compare it with a rival in process. Latency counts from when a tick was due.

mod fused;
mod input;
mod latency;
mod pipeline;
mod report;
mod rivals;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::sys::affinity;
use input::Input;
use tally::Tally;

/// Runs a workload of ticks, rules and changes, and prints what it measured as JSON.
#[derive(Debug, Parser)]
#[command(name = "workload")]
pub struct Args {
    /// Folder of ticks.bin, rules.bin and churn.bin.
    dir: PathBuf,
    /// Run only the first N ticks.
    #[arg(long, value_name = "N")]
    ticks: Option<usize>,
    /// Make the changes of churn.bin.
    #[arg(long)]
    churn: bool,
    /// Measure latency in an open loop at this many ticks a second; may be given several times.
    #[arg(long, value_name = "TICKS/S")]
    rate: Vec<u64>,
    /// Length of each latency run.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    seconds: u64,
    /// Part of each latency run that is not measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    warmup: u64,
    /// Shards of the pipeline; default: one, or one for each core beyond the second.
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Use at most this many cores.
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// Measure throughput so many times.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
}

/// One run at full speed.
pub struct Run {
    /// Ticks that were timed.
    pub ticks: usize,
    /// In this time.
    pub elapsed: Duration,
    /// Of it the busiest thread of the feed side had a core: less than `elapsed` on a machine that others use too.
    pub on_core: Duration,
    /// Over all ticks.
    pub tally: Tally,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(exact) if exact => ExitCode::SUCCESS,
        Ok(_) => {
            eprintln!("workload: other alerts than the oracle's");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("workload: {}: {error}", args.dir.display());
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> std::io::Result<bool> {
    let mut cores = affinity::allowed()?;
    cores.truncate(args.cores.unwrap_or(cores.len()).max(1));
    let mut input = Input::read_rules(&args.dir, args.churn)?;
    let memory = report::memory(&input);
    input.read_ticks(&args.dir, args.ticks)?;
    let report = report::report(args, &input, &cores, memory);
    println!("{}", serde_json::to_string_pretty(&report.json)?);
    Ok(report.exact)
}

/// A shard with room for all rules of the workload, reserved at once as in the engine.
pub fn new_shard(input: &Input) -> Shard {
    let rules_max = input.rules.len() + input.changes.len();
    let rules = RuleLimits { rules_max, account_rules_max: vec![], policies_max: 1, fixed: true };
    Shard::new(ShardLimits { rules, symbols_max: 1 << 16, orders_max: 1, levels_max: 1 })
}

/// Pins this thread to one of the cores, if there are several. Where that is refused it runs where the system puts it.
pub fn core_of(cores: &[usize], number: usize) {
    if let Some(core) = cores.get(number)
        && let Err(error) = affinity::pin_current(*core)
    {
        eprintln!("workload: {error}");
    }
}

/// How long the calling thread has had a core; the kernel brings it up to date every few ms. 0 where it does not tell.
pub fn on_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0))
}
