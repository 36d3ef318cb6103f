//! `tick_to_alert`: how long from a datagram's intended send to the alert read from TCP, and how much of that is the engine's.
//!
//! ```text
//!   this process                      the engine, or the relay
//!   sender --UDP, open loop---------> spins on its own core(s)
//!   reader <-------------------TCP--- writes an alert for each print that fires
//! ```
//!
//! Engine and relay take turns on the same cores with the same schedule, so the ratio of the two is the engine's part and
//! the rest is the kernel's and the machine's. What spinning threads see on these cores right before each run is the jitter.
//! On two cores sender and reader share one; from six on each agent has its own.
//!
//! | mode | shows |
//! |---|---|
//! | (none) | engine beside relay: [`ratio`], with `--stages` where the time goes: [`stages`] |
//! | `sets` | a rule set over TCP until it is in force, and until it is acknowledged: [`sets`] |
//! | `limit` | the highest rate without loss, and what breaks first beyond it: [`limit`] |
//! | `storm` | a million alerts from one print: [`storm`] |
//!
//! Not measured: the network card and its driver. Everything is loopback.

mod alerts;
mod churn;
mod drive;
mod engine;
mod feed;
mod limit;
mod machine;
mod plot;
mod ratio;
mod relay;
mod report;
mod rules;
mod schedule;
mod sets;
mod setup;
mod stages;
mod stamps;
mod stats;
mod storm;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use setup::{Common, Setup};

#[derive(Parser)]
#[command(
    about = "Latency from a datagram to the alert, engine beside relay",
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
struct Args {
    #[command(flatten)]
    ratio: ratio::Args,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// A rule set over TCP until it is in force, and until it is acknowledged
    Sets(sets::Args),
    /// The highest rate of events without loss, and what breaks first beyond it
    Limit(limit::Args),
    /// A million alerts from one print, and what other symbols notice
    Storm(storm::Args),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tick_to_alert: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let setup = Setup::new(args.common)?;
    println!("{}", setup.machine);
    match args.mode {
        None => ratio::run(&setup, &args.ratio),
        Some(Mode::Sets(args)) => sets::run(&setup, &args),
        Some(Mode::Limit(args)) => limit::run(&setup, &args),
        Some(Mode::Storm(args)) => storm::run(&setup, &args),
    }
}
