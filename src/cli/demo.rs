//! `hairtrigger demo`.

mod screen;
mod words;

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hairtrigger::demo::{Demo, DemoError, Settings};
use screen::Screen;
use signal_hook::consts::{SIGINT, SIGTERM};

/// How often a signal or the end is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Publish this recorded feed instead of a generated one: BinaryFILE or pcap, plain or gzipped
    #[arg(long, value_name = "FILE")]
    feed: Option<PathBuf>,
    /// How long the feed lasts
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Messages a second; a recording that is short is sent more slowly
    #[arg(long, value_name = "MSGS_PER_S", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    rate: u64,
    /// Rules to set
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rules: u32,
    /// Users that own them
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
}

/// Runs it. Ends with a failure when something was lost.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second one ends the process at once.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let Args { feed, seconds, rate, rules, users } = args;
    let settings = Settings { feed, seconds, rate, rules: rules as usize, users };
    let mut screen = Screen::new(std::io::stdout().is_terminal());
    screen.say(&words::beginning(&settings));
    let demo = Demo::start(&settings)?;
    screen.say(&words::started(&demo));
    let summary = follow(demo, &mut screen, &stop)?.finish()?;
    screen.say(&words::summary(&settings, &summary, stop.load(Ordering::Relaxed)));
    Ok(if summary.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows where things stand until the end, or until it is told to stop.
fn follow(demo: Demo, screen: &mut Screen, stop: &AtomicBool) -> Result<Demo, DemoError> {
    let mut shown = Instant::now();
    while !stop.load(Ordering::Relaxed) && !demo.is_over() {
        std::thread::sleep(POLL);
        if shown.elapsed() >= screen.interval() {
            shown += screen.interval();
            screen.show(demo.now()?);
        }
    }
    screen.show_last(demo.now()?);
    Ok(demo)
}
