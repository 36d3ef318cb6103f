//! Kills a running engine with SIGKILL again and again, under load, and checks after each restart that it kept its word:
//!
//! ```text
//!   prints ---UDP---> [ hairtrigger run ] ---TCP---> a client that resumes its alert stream by session and number
//!                          ^   | kill -9, restart on the same folder
//!                          |   v
//!                     sets and removes, pipelined; after a restart the list of all rules
//! ```
//!
//! - every acknowledged set is there, unless the stream has told its end; every acknowledged remove has held;
//! - the alert stream goes on behind the last number that was read: none missing, none twice, no rule ended twice;
//! - at the end a second client reads the whole stream from 1: the same bytes.
//!
//! What it found wrong is said with the folder, which is left as it is.
//!
//!     kill9 [--kills 1000] [--seed N] [--shards N] [--engine PATH]

#[path = "../common/config.rs"]
mod config;
mod desk;
#[path = "../common/engine.rs"]
mod engine;
mod prints;
mod stream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use desk::Desk;
use engine::Engine;
use prints::Prints;
use stream::Stream;

/// Longest time that an engine lives before it is killed.
const LIFE_MAX_MS: u64 = 120;

/// Kills an engine under load and checks what it kept.
#[derive(Parser)]
#[command(name = "kill9")]
struct Args {
    /// How often
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Of everything that is random but the machine's own timing
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shards of the engine
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// The program; default: `hairtrigger` beside this one
    #[arg(long)]
    engine: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match engine::in_folder("kill9", |folder| torture(&args, folder)) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("kill9: {fault}");
            ExitCode::FAILURE
        }
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn torture(args: &Args, folder: &Path) -> Result<String, Fault> {
    let (program, config) = (args.engine.as_deref(), config::write_config(folder, args.shards)?);
    let mut random = Random(args.seed);
    let (mut desk, mut stream, mut prints) = (Desk::default(), Stream::default(), Prints::start(args.seed)?);
    let (mut starts, start) = (vec![], Instant::now());
    for kill in 0..args.kills {
        let begun = Instant::now();
        let engine = Engine::start(program, &config)?;
        starts.push(begun.elapsed());
        let in_life = |fault: Fault| -> Fault { format!("after {kill} kills: {fault}").into() };
        prints.send_to(Some(engine.line));
        let reading = stream.follow(engine.alerts)?;
        desk.check(engine.rules, &reading).map_err(in_life)?;
        let life = Duration::from_millis(random.below(LIFE_MAX_MS));
        let death = std::thread::spawn(move || {
            std::thread::sleep(life);
            drop(engine);
        });
        let worked = desk.work(&mut random);
        // No engine outlives this program, whatever was found.
        death.join().map_err(|_| "the killer panicked")?;
        worked.map_err(in_life)?;
        prints.send_to(None);
        stream = reading.finish().map_err(in_life)?;
    }
    // Once more, alive: the last check, and the whole stream for a client that has read nothing.
    let engine = Engine::start(program, &config)?;
    let reading = stream.follow(engine.alerts)?;
    desk.check(engine.rules, &reading)?;
    let whole = Stream::default().follow(engine.alerts)?;
    engine.terminate()?;
    let (stream, whole) = (reading.finish()?, whole.finish()?);
    if stream.messages != whole.messages {
        return Err("a second client reads another stream than the one that resumed".into());
    }
    starts.sort_unstable();
    let (median, slowest) = (starts[starts.len() / 2].as_millis(), starts[starts.len() - 1].as_millis());
    Ok(format!(
        "{} kills in {} s: {} acknowledged sets and {} removes, 0 lost; {} messages of the alert stream, {} of them alerts, \
         0 missing, 0 twice; a start took {median} ms in the middle and {slowest} at most",
        args.kills,
        start.elapsed().as_secs(),
        desk.sets,
        desk.removes,
        stream.messages.len(),
        stream.alerts,
    ))
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
