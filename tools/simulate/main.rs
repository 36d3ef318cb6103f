//! Runs many seeds of the simulation (`tests/simulated`), on as many cores as there are, and says which failed and how to run
//! them again.
//!
//! ```text
//! simulate --seeds 10000                 from seed 0 on, at most --minutes, every failure reported
//! simulate --from 7 --seeds 1 --twice    one seed, twice: equal digests say that it reproduces
//! simulate --crash-points --seeds 20     a kill and a power cut at every operation of the journal's disk in each seed's first life
//! ```
//!
//! A release build ends at a panic; so each core has a process of its own ([`workers`]), and another one when it ends.

#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/simulated/mod.rs"]
mod simulated;
mod workers;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use hairtrigger::journal::storage::simulated::Crash;
use hairtrigger::sys::affinity;

use simulated::{Knobs, Report};
use workers::Worker;

/// Many seeds of the simulation.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// No seed is begun after so many minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Runs at a time, a process and a core each. Default: as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Messages of the feed.
    #[arg(long)]
    messages: Option<u64>,
    /// Commands of the clients.
    #[arg(long)]
    asks: Option<u64>,
    /// Starts of the engine. Default: 1 to 4, by the seed.
    #[arg(long)]
    lives: Option<u64>,
    /// Shards. Default: 1 to 4, by the seed.
    #[arg(long)]
    shards: Option<u64>,
    /// Runs each seed twice, in two processes, and compares.
    #[arg(long)]
    twice: bool,
    /// Runs each seed once for every operation of the journal's disk in its first life, with a kill there, and once with a power cut.
    #[arg(long)]
    crash_points: bool,
    /// Where the runs lie. Default: in memory, where there is such a place.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What a process of its own is begun with: it runs what it is given.
    #[arg(long, hide = true)]
    core: Option<usize>,
}

impl Arguments {
    /// What is to be run.
    fn runs(&self, core: usize) -> VecDeque<Knobs> {
        let seeds = (self.from..self.from + self.seeds).map(|seed| {
            let Knobs { messages, asks, .. } = Knobs::of(seed);
            let (messages, asks) = (self.messages.unwrap_or(messages), self.asks.unwrap_or(asks));
            Knobs { messages, asks, lives: self.lives, shards: self.shards, ..Knobs::of(seed) }
        });
        if !self.crash_points {
            return seeds.collect();
        }
        let mut worker = None;
        let points = seeds.flat_map(|knobs| {
            let at = move |crash, at| Knobs { crash: Some((crash, at)), ..knobs };
            let whole = Worker::run(&mut worker, core, &self.folder(), &at(Crash::Kill, usize::MAX));
            let operations = whole.map_or(0, |report| report.operations as usize);
            (0..operations).flat_map(move |n| [at(Crash::Kill, n), at(Crash::Power, n)])
        });
        points.collect()
    }

    fn folder(&self) -> PathBuf {
        let shared = Path::new("/dev/shm");
        let root = || if shared.is_dir() { shared.into() } else { std::env::temp_dir() };
        self.folder.clone().unwrap_or_else(root)
    }
}

/// What all runs came to.
#[derive(Default)]
struct Outcome {
    left: VecDeque<Knobs>,
    done: u64,
    all: Report,
    failed: Vec<String>,
    differing: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        workers::run_given(core, &arguments.folder());
        return ExitCode::SUCCESS;
    }
    let cores = affinity::allowed().expect("the cores that it may use");
    let start = Instant::now();
    let outcome = Mutex::new(Outcome { left: arguments.runs(cores[0]), ..Outcome::default() });
    let threads = arguments.threads.unwrap_or(cores.len());
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (arguments, outcome, core) = (&arguments, &outcome, cores[number % cores.len()]);
            scope.spawn(move || run_some(arguments, core, start, outcome));
        }
    });
    let Outcome { done, all, failed, differing, .. } = outcome.into_inner().expect("nobody panicked");
    let (from, seconds) = (arguments.from, start.elapsed().as_secs_f64());
    println!("{done} runs from seed {from} in {seconds:.1} s, {threads} at a time: {all}");
    for (runs, what) in [(&failed, "failed"), (&differing, "came out differently the second time")] {
        println!("{} {what}", runs.len());
        runs.iter().for_each(|run| println!("    {run} cargo test --test simulation one_seed -- --nocapture"));
    }
    ExitCode::from(u8::from(!failed.is_empty() || !differing.is_empty()))
}

/// Runs what is left on one core until none is left.
fn run_some(arguments: &Arguments, core: usize, start: Instant, outcome: &Mutex<Outcome>) {
    let (mut workers, root) = ([None, None], arguments.folder());
    let limit = Duration::from_secs(60 * arguments.minutes);
    let outcome = || outcome.lock().expect("nobody panicked");
    while start.elapsed() < limit {
        let Some(knobs) = outcome().left.pop_front() else { return };
        let times = 1 + usize::from(arguments.twice);
        let one = |worker| Worker::run(worker, core, &root, &knobs);
        let reports: Vec<_> = workers[..times].iter_mut().map(one).collect();
        let mut outcome = outcome();
        outcome.done += 1;
        match reports[..] {
            [Some(first), ref rest @ ..] => {
                outcome.all.add(&first);
                if rest.iter().any(|other| *other != Some(first)) {
                    outcome.differing.push(knobs.words());
                }
            }
            _ => {
                eprintln!("FAILED: {}", knobs.words());
                outcome.failed.push(knobs.words());
            }
        }
        if outcome.done % 100 == 0 {
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{} runs, {} failed, {seconds:.0} s", outcome.done, outcome.failed.len());
        }
    }
}
