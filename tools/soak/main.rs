//! Runs an engine for a long time under a multiple of a day's rate, with rules that come, go and fire, and clients that come and
//! go, and says whether anything grows or slows down:
//!
//! ```text
//!   market ---UDP, a packet each 100 us---> [ hairtrigger run ] ---TCP---> a reader that measures, and one that reconnects
//!                                               ^      |
//!   sets near the price, and removes ---TCP-----'      '--- /proc: memory without mapped files, descriptors; stats: what was lost
//! ```
//!
//! Latency counts from when a packet was due to when its alert was read. Exit status 1: something was lost, memory grew by more
//! than 5 % or descriptors by more than 8 between the second and the last window.
//!
//! Canonical, on a quiet machine: `cargo build --release && target/release/soak`.
//!
//!     soak [--minutes 20] [--rate 200000] [--sets 2000] [--window-seconds 300]

#[path = "../common/config.rs"]
mod config;
#[path = "../common/engine.rs"]
mod engine;
mod market;
mod readers;
mod rules;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Parser;
use engine::Engine;
use market::Clock;
use windows::Windows;

/// Runs an engine under load for long, and says whether it stays as it was.
#[derive(Parser)]
#[command(name = "soak", after_help = CANONICAL)]
struct Args {
    /// How long
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Messages a second; a day of 400 million messages in 6.5 hours has 17,000
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// Sets a second; a fifth as many removes
    #[arg(long, default_value_t = 2_000)]
    sets: u64,
    /// Length of the windows that are compared
    #[arg(long, default_value_t = 300)]
    window_seconds: u64,
    /// The program; default: `hairtrigger` beside this one
    #[arg(long)]
    engine: Option<PathBuf>,
}

const CANONICAL: &str = "The canonical run takes 20 minutes on a machine that does nothing else, in a release build:
    cargo build --release && target/release/soak";

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Whether the threads are to end.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    match engine::in_folder("soak", |folder| soak(&args, folder)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("soak: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn soak(args: &Args, folder: &Path) -> Result<bool, Fault> {
    let engine = Engine::start(args.engine.as_deref(), &config::write_config(folder, 1)?)?;
    let clock = Clock::start(args.rate);
    let mut windows = Windows::new(folder.join("stats"));
    println!("{}", Windows::HEADER);
    let (line, rules, alerts, sets, start) = (engine.line, engine.rules, engine.alerts, args.sets, Instant::now());
    let clock = &clock;
    std::thread::scope(|scope| -> Result<(), Fault> {
        let market = scope.spawn(move || market::send(line, clock));
        let churn = scope.spawn(move || rules::churn(rules, sets));
        let visitor = scope.spawn(move || readers::come_and_go(alerts));
        let measured = readers::measure(scope, alerts, clock)?;
        let end = start + Duration::from_secs_f64(args.minutes * 60.0);
        while Instant::now() < end {
            let next = (Instant::now() + Duration::from_secs(args.window_seconds)).min(end);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            println!("{}", windows.close(start.elapsed(), &measured)?);
        }
        STOP.store(true, std::sync::atomic::Ordering::Relaxed);
        for thread in [market, churn, visitor] {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        engine.terminate()
    })?;
    println!("{}", windows.verdict());
    Ok(windows.is_whole())
}
