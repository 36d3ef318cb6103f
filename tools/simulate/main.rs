//! Runs many seeds of the simulation (`tests/simulated`), one after the other, and says which one failed and how to run it again.
//!
//! ```text
//! simulate --seeds 10000                 from seed 0 on, at most --minutes, every failure reported
//! simulate --from 7 --seeds 1 --twice    one seed, twice: equal digests say that it reproduces
//! ```
//!
//! A release build ends at a panic, so it ends at the first failure; a build with unwinding goes on.

#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/simulated/mod.rs"]
mod simulated;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;

use simulated::{Knobs, Report, run};

/// The run of now, for the panic's message.
static NOW: Mutex<String> = Mutex::new(String::new());

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
    /// Runs each seed twice and compares.
    #[arg(long)]
    twice: bool,
    /// Where the runs lie. Default: in memory, where there is such a place.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        before(panic);
        let now = NOW.lock().map(|now| now.clone()).unwrap_or_default();
        eprintln!("FAILED: {now} cargo test --test simulation one_seed -- --nocapture");
    }));
    let shared = Path::new("/dev/shm");
    let root = arguments.folder.clone().unwrap_or(if shared.is_dir() { shared.into() } else { std::env::temp_dir() });
    let folder = root.join(format!("hairtrigger-simulate-{}", std::process::id()));
    let (start, limit) = (Instant::now(), Duration::from_secs(60 * arguments.minutes));
    let (mut all, mut done, mut failed, mut differing) = (Report::default(), 0, vec![], 0);
    for seed in arguments.from..arguments.from + arguments.seeds {
        if start.elapsed() >= limit {
            break;
        }
        let known = Knobs::of(seed);
        let knobs = Knobs {
            messages: arguments.messages.unwrap_or(known.messages),
            asks: arguments.asks.unwrap_or(known.asks),
            lives: arguments.lives,
            shards: arguments.shards,
            seed,
        };
        let reports: Vec<_> = (0..1 + u8::from(arguments.twice)).map(|_| one(knobs, &folder)).collect();
        match &reports[..] {
            [Some(first), rest @ ..] => {
                all.add(first);
                differing += u64::from(rest.iter().any(|other| other.is_none_or(|other| other.digest != first.digest)));
            }
            _ => failed.push(seed),
        }
        done += 1;
        if done % 100 == 0 {
            eprintln!("{done} seeds, {} failed, {:.0} s", failed.len(), start.elapsed().as_secs_f64());
        }
    }
    println!("{done} seeds from {} in {:.1} s: {all}", arguments.from, start.elapsed().as_secs_f64());
    if arguments.twice {
        println!("{differing} of {done} seeds came out differently the second time");
    }
    println!("{} failed{}", failed.len(), failed.iter().map(|seed| format!(" {seed}")).collect::<String>());
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// A run in a folder that is there for it alone.
fn one(knobs: Knobs, folder: &Path) -> Option<Report> {
    if let Ok(mut now) = NOW.lock() {
        *now = knobs.words();
    }
    std::fs::create_dir_all(folder).expect("a folder of our own");
    let report = catch_unwind(AssertUnwindSafe(|| run(knobs, folder))).ok();
    std::fs::remove_dir_all(folder).expect("a folder of our own");
    report
}
