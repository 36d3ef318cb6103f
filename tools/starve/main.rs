//! Starves an engine: 1,000 clients of which 100 never read and 100 send a byte a second, then 10,000 connections that never log
//! in, and says what valid logins and the others' alerts wait for it:
//!
//! ```text
//!   starve bystanders, from 127.1.x.y --TCP--> [ hairtrigger run ] <--TCP-- valid logins, one each 50 ms on each port   } this
//!   starve attack,     from 127.2.x.y --TCP-->    ^                --TCP--> two readers that are measured, from 127.0.0.1 } process
//!                                                 '---UDP--- prints, 500 a second
//! ```
//!
//! | phase | clients | who |
//! |---|---|---|
//! | calm | | nobody else |
//! | others | 800 | that behave well: "the same run without them" |
//! | crowd | 1,000 | all behave well |
//! | filling | 1,000 | 100 never read, 100 send a byte a second; 8 MB wait for each who never reads, and fill its socket |
//! | starved | 1,000 | the same, later |
//! | attacked | 1,000 | the same, with 10,000 half-open connections of 100 addresses; who is cut connects again |
//!
//! Latency of alerts counts from when a print was due to when its alert was read, once all are there; a login from its connect
//! to Login Accepted, from when the first of the others comes. "queue full" counts connects that found no place in the kernel's
//! queue of a listener, any program's: the client's kernel tries again after a second. Not included: rule clients that do not
//! read their answers, and TLS. Exit status 1: a valid login took 100 ms or longer or failed, or a client that behaved well was
//! cut.
//!
//! Canonical, on a quiet machine: `cargo build --release && target/release/starve`.
//!
//!     starve [--scale 1] [--seconds 10] [--prints 500] [--addresses 100] [--per-second 5000] [--sessions 8192] [--idle yield]

mod crowd;
#[path = "../common/engine.rs"]
mod engine;
mod market;
mod measure;
mod others;
mod people;
mod phases;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand};
use crowd::{Crowd, Member};
use engine::Engine;
use hairtrigger::sys::descriptors;
use market::Market;
use measure::Measured;
use people::{Bystanders, READERS, VISITOR};
use phases::{Phase, Stage};

/// Starves an engine, and says what others notice of it.
#[derive(Parser)]
#[command(name = "starve", args_conflicts_with_subcommands = true, after_help = CANONICAL)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Times as many clients and half-open connections
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Length of a phase
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Prints a second
    #[arg(long, default_value_t = 500)]
    prints: u64,
    /// Addresses that the half-open connections come from
    #[arg(long, default_value_t = 100)]
    addresses: usize,
    /// Half-open connections opened each second
    #[arg(long, default_value_t = 5_000)]
    per_second: u64,
    /// Connections that each port of the engine takes
    #[arg(long, default_value_t = 8_192)]
    sessions: usize,
    /// Idle strategy of the engine
    #[arg(long, default_value = "yield")]
    idle: String,
    /// A login may take any time
    #[arg(long)]
    any_time: bool,
    /// The program; default: `hairtrigger` beside this one
    #[arg(long)]
    engine: Option<PathBuf>,
}

/// What this program is when it starts itself.
#[derive(Subcommand)]
enum Part {
    /// Clients that log in
    Bystanders {
        #[command(flatten)]
        who: Bystanders,
        #[arg(num_args = 2)]
        ports: Vec<SocketAddr>,
    },
    /// Connections that never do
    Attack {
        #[arg(long)]
        half_open: usize,
        #[arg(long)]
        addresses: usize,
        #[arg(long)]
        per_second: u64,
        #[arg(num_args = 2)]
        ports: Vec<SocketAddr>,
    },
}

const CANONICAL: &str =
    "The canonical run takes some two minutes on a machine that does nothing else, in a release build whose
processes may open 20,000 files each (`ulimit -Hn`; the report says it where they may not):
    cargo build --release && target/release/starve";

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Of everybody.
const PASSWORD: &str = "secret";
/// A valid login takes less.
const LOGIN_MAX: Duration = Duration::from_millis(100);
/// Prints whose alerts heap up for those who never read: more than any socket takes.
const HEAPED_PRINTS: f64 = 1_000.0;
/// Descriptors of a process that are not connections.
const DESCRIPTORS_OWN: usize = 64;
/// Connections that bystanders open each second.
const COMERS_PER_SECOND: u64 = 1_000;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.part {
        None => engine::in_folder("starve", |folder| starve(&args, folder)),
        Some(Part::Bystanders { who, ports }) => {
            two(ports).and_then(|ports| mingle(who.members(ports)?, COMERS_PER_SECOND))
        }
        Some(Part::Attack { half_open, addresses, per_second, ports }) => {
            two(ports).and_then(|ports| mingle(people::attackers(*half_open, (*addresses).max(1), ports)?, *per_second))
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("starve: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn two(ports: &[SocketAddr]) -> Result<[SocketAddr; 2], Fault> {
    ports.try_into().map_err(|_| "expected the addresses of both ports".into())
}

/// A part: many clients, until standard input ends.
fn mingle(mut members: Vec<Member>, per_second: u64) -> Result<bool, Fault> {
    let (asked, bound) = (members.len(), descriptors::raise().saturating_sub(DESCRIPTORS_OWN));
    members.truncate(bound);
    let is_over = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&is_over);
    std::thread::spawn(move || {
        // Whatever ends it.
        let _ = std::io::stdin().read_to_end(&mut vec![]);
        theirs.store(true, Ordering::Relaxed);
    });
    let mut crowd = Crowd::new(members, per_second)?;
    crowd.run(|| is_over.load(Ordering::Relaxed))?;
    let bounded = if asked > bound { format!(" (of {asked}: the descriptors are no more)") } else { String::new() };
    println!("{}{bounded}", crowd.report());
    Ok(crowd.good_cuts() == 0)
}

fn starve(args: &Args, folder: &Path) -> Result<bool, Fault> {
    let scaled = |count: f64| (count * args.scale).ceil() as usize;
    let good = Bystanders { good: scaled(800.0), ..Bystanders::default() };
    let everyone = Bystanders { unread: scaled(100.0), slow: scaled(100.0), ..good };
    let phase = |name, bystanders| Phase { name, bystanders, half_open: 0 };
    let phases = vec![
        phase("calm", Bystanders::default()),
        phase("others", good),
        phase("crowd", Bystanders { behaved: true, ..everyone }),
        phase("filling", everyone),
        phase("starved", everyone),
        Phase { half_open: scaled(10_000.0), ..phase("attacked", everyone) },
    ];
    let engine =
        Engine::start(args.engine.as_deref(), &people::write_config(folder, &everyone, args.sessions, &args.idle)?)?;
    let ports = [engine.rules, engine.alerts];
    let mut market = Market::new(engine.line)?;
    let [reads, leaves] = everyone.users();
    market.set_rules(engine.rules, [READERS[0], &reads, &leaves])?;
    market.heap_up(scaled(HEAPED_PRINTS) as u64);
    let (clock, measured, is_over) = (market.clock(args.prints), Measured::new(), AtomicBool::new(false));
    let (clock, measured, is_over) = (&clock, &measured, &is_over);
    let first = measure::follow(READERS[0], engine.alerts)?;
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| market.run(clock, is_over));
        let mut threads = vec![scope.spawn(|| measured.read(first, clock, is_over))];
        threads.extend([0, 1].map(|port| scope.spawn(move || measured.log_in(VISITOR, (port, ports[port]), is_over))));
        let length = Duration::from_secs_f64(args.seconds);
        let (addresses, per_second) = (args.addresses, args.per_second);
        let outcome = phases::run(&Stage { ports, clock, measured, length, addresses, per_second }, phases);
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        outcome
    })?;
    engine.terminate()?;
    let (failures, longest) = (measured.failures.load(Ordering::Relaxed), outcome.longest_login());
    print!("{}", outcome.table("others", "crowd"));
    println!(
        "valid logins and measured readers that failed: {failures}; the longest login took {longest:.1?}; good clients {}",
        if outcome.is_whole { "all stayed" } else { "were cut" }
    );
    Ok(outcome.is_whole && failures == 0 && (args.any_time || longest < LOGIN_MAX))
}
