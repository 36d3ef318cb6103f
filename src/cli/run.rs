//! `hairtrigger run`: the engine, until it is told to stop.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hairtrigger::config::{Config, StallAction};
use hairtrigger::engine::{Engine, Watchdog};
use hairtrigger::sys::supervisor::Supervisor;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing_subscriber::EnvFilter;

/// How often a signal, the end of a thread, or an agent that stands still is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Arguments of `run`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// The config file
    #[arg(long, group = "what")]
    config: Option<PathBuf>,
    /// Print a commented config that works as it stands, with every key, and end
    #[arg(long, group = "what")]
    print_config: bool,
    /// Start with what is whole of a damaged journal; what lies behind the damage is kept beside it, and is lost to the engine
    #[arg(long, requires = "config")]
    cut_damaged_journal: bool,
    /// Begin with a recorded file of the day so far, for books and last prices: BinaryFILE or a capture, plain or gzipped, also
    /// one that is still being written: it is read on until it meets the live feed, and ends when nothing comes for 100 ms. What lies
    /// between its end and the live feed is asked for, else announced as a gap
    #[arg(long, requires = "config", value_name = "FILE")]
    warm_up: Option<PathBuf>,
}

/// Runs it. SIGINT and SIGTERM stop it from the source to the sink: what was read is matched, what was fired is sent. SIGHUP
/// reads the config again.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let Some(path) = args.config else {
        io::stdout().write_all(Config::example().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut config = Config::load(&path)?;
    log_to_stderr();
    config.journal.cuts_damage = args.cut_damaged_journal;
    config.feed.warm_up = args.warm_up;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let reread = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&reread))?;
    let mut engine = Engine::start(&config)?;
    say(&started(&engine));
    let supervisor = Supervisor::of_this_process();
    supervisor.ready();
    let mut watchdog = Watchdog::new(&engine, config.watchdog.stalled_after);
    while !stop.load(Ordering::Relaxed) && engine.is_whole() {
        if reread.swap(false, Ordering::Relaxed) {
            say(&reload(&mut engine, &path, &config));
        }
        std::thread::sleep(POLL);
        if watchdog.look(&engine) && config.watchdog.action == StallAction::Abort {
            eprintln!("hairtrigger: an agent stands still, and the config says abort");
            std::process::abort();
        }
        if engine.is_log_exhausted() {
            // What the shards hold back was never numbered or sent: after a restart their rules are there, and fire.
            eprintln!(
                "hairtrigger: the alert log in {} is full and its next segment cannot be made. The engine ends",
                config.gateway.directory.display()
            );
            return Ok(ExitCode::FAILURE);
        }
        supervisor.alive();
    }
    supervisor.stopping();
    let whole = engine.is_whole();
    say(if whole { "stopping" } else { "stopping: a thread has ended" });
    engine.stop();
    say("stopped");
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the config again, for what may change while the engine runs. Returns what came of it.
fn reload(engine: &mut Engine, path: &Path, config: &Config) -> String {
    let new = Config::load(path).map_err(|error| error.to_string());
    let reloaded = new.and_then(|mut new| {
        new.journal.cuts_damage = config.journal.cuts_damage;
        engine.reload(&new).map_err(|error| error.to_string())
    });
    reloaded.map_or_else(|error| format!("config not taken, nothing has changed: {error}"), |done| done.to_string())
}

/// Sends the engine's events to standard error, from `info` on or as `RUST_LOG` says. A standard error that nobody reads is no
/// reason to stop.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let events =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    events.log_internal_errors(false).init();
}

/// Writes a line to standard output. Whoever read it may be gone: that is no reason to stop, least of all without having
/// sent what was fired.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What is said at start.
fn started(engine: &Engine) -> String {
    let sockets: String = engine.granted.iter().map(|socket| format!("feed: {socket}\n")).collect();
    let memory: String = engine.memory_refused.iter().map(|refused| format!("memory: {refused}\n")).collect();
    let tls = [("rules", engine.addresses.control_tls), ("alerts", engine.addresses.gateway_tls)];
    let tls: String = tls.iter().filter_map(|(what, at)| at.map(|at| format!("{what} with TLS: {at}\n"))).collect();
    let notes: String = engine.notes.iter().map(|note| format!("{note}\n")).collect();
    format!(
        "hairtrigger {}\n{}\n{}\n{sockets}{memory}{notes}rules: {}    alerts: {}\n{tls}stats: {}\nrunning; stop with Ctrl-C or SIGTERM",
        env!("CARGO_PKG_VERSION"),
        engine.plan,
        engine.recovery,
        engine.addresses.control,
        engine.addresses.gateway,
        engine.stats_file.display(),
    )
}
