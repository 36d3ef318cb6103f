//! Runs many seeds of the simulation (`tests/simulated`), on as many cores as there are, and says which failed and how to run
//! them again.
//!
//! ```text
//! simulate --seeds 10000                 from seed 0 on, at most --minutes, every failure reported
//! simulate --from 7 --seeds 1 --twice    one seed, twice: equal digests say that it reproduces
//! ```
//!
//! A release build ends at a panic; so each core has a process of its own ([`workers`]), and another one when it ends.

#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/simulated/mod.rs"]
mod simulated;
mod workers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
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
    /// Where the runs lie. Default: in memory, where there is such a place.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What a process of its own is begun with: it runs the seeds that it is given.
    #[arg(long, hide = true)]
    core: Option<usize>,
}

impl Arguments {
    fn knobs(&self, seed: u64) -> Knobs {
        let Knobs { messages, asks, .. } = Knobs::of(seed);
        let (messages, asks) = (self.messages.unwrap_or(messages), self.asks.unwrap_or(asks));
        Knobs { messages, asks, lives: self.lives, shards: self.shards, seed }
    }

    fn folder(&self) -> PathBuf {
        let shared = Path::new("/dev/shm");
        let root = || if shared.is_dir() { shared.into() } else { std::env::temp_dir() };
        self.folder.clone().unwrap_or_else(root)
    }
}

/// What all seeds came to.
#[derive(Default)]
struct Outcome {
    begun: u64,
    done: u64,
    all: Report,
    failed: Vec<u64>,
    differing: Vec<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        workers::run_given(core, &arguments.folder(), |seed| arguments.knobs(seed));
        return ExitCode::SUCCESS;
    }
    let cores = affinity::allowed().expect("the cores that it may use");
    let (start, outcome) = (Instant::now(), Mutex::new(Outcome::default()));
    let threads = arguments.threads.unwrap_or(cores.len());
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (arguments, outcome, core) = (&arguments, &outcome, cores[number % cores.len()]);
            scope.spawn(move || run_some(arguments, core, start, outcome));
        }
    });
    let Outcome { done, all, mut failed, mut differing, .. } = outcome.into_inner().expect("nobody panicked");
    println!(
        "{done} seeds from {} in {:.1} s, {threads} at a time: {all}",
        arguments.from,
        start.elapsed().as_secs_f64()
    );
    failed.sort_unstable();
    differing.sort_unstable();
    if arguments.twice {
        println!("{} came out differently the second time{}", differing.len(), numbers(&differing));
    }
    println!("{} failed{}", failed.len(), numbers(&failed));
    ExitCode::from(u8::from(!failed.is_empty() || !differing.is_empty()))
}

fn numbers(seeds: &[u64]) -> String {
    seeds.iter().map(|seed| format!(" {seed}")).collect()
}

/// Runs seeds on one core until none is left.
fn run_some(arguments: &Arguments, core: usize, start: Instant, outcome: &Mutex<Outcome>) {
    let (mut workers, root) = ([None, None], arguments.folder());
    let limit = Duration::from_secs(60 * arguments.minutes);
    let outcome = || outcome.lock().expect("nobody panicked");
    while start.elapsed() < limit {
        let begun = {
            let mut outcome = outcome();
            outcome.begun += 1;
            outcome.begun
        };
        if begun > arguments.seeds {
            return;
        }
        let seed = arguments.from + begun - 1;
        let times = 1 + usize::from(arguments.twice);
        let one = |worker| Worker::run(worker, core, &root, seed);
        let reports: Vec<_> = workers[..times].iter_mut().map(one).collect();
        let mut outcome = outcome();
        outcome.done += 1;
        match reports[..] {
            [Some(first), ref rest @ ..] => {
                outcome.all.add(&first);
                if rest.iter().any(|other| *other != Some(first)) {
                    outcome.differing.push(seed);
                }
            }
            _ => {
                eprintln!(
                    "FAILED: {} cargo test --test simulation one_seed -- --nocapture",
                    arguments.knobs(seed).words()
                );
                outcome.failed.push(seed);
            }
        }
        if outcome.done % 100 == 0 {
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{} seeds, {} failed, {seconds:.0} s", outcome.done, outcome.failed.len());
        }
    }
}
