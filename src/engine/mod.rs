//! The engine: from a config to running threads, and back. [`build`] has the wiring.
//!
//! Built from the sink to the source, so that whoever sends has somebody to send to; stopped from the source to the
//! sink, so that nothing that was read is lost between two stages:
//!
//! ```text
//!  build  6 feed   5 partition   4 shards      3 control   2 journal   1 gateway
//!           |          |          |    ^           |  ^        |           ^
//!           '--------->'--market->|    '--rules----|  '--safe--|           |
//!                                 |-----applied--->'--changes->'           |
//!                                 '-----alerts-----------------------------'
//!  stop   1 feed                 3 shards      2 control   5 journal   4 gateway
//! ```
//!
//! Control stops before the shards: what it has in flight they still answer. The journal is the last: its end says that
//! the alert log before it is on disk as a whole. Before anything is built, [`past`] reads what earlier runs have left, and
//! the rules are put back into the shards before the feed begins.

pub mod build;
mod past;
mod reload;
mod roll;
mod secured;
mod settings;
mod watchdog;
mod watched;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::agent::Agent;
use crate::config::Config;
use crate::feed::agent::{Granted, OpenError};
use crate::feed::recording::RecordingError;
use crate::plan::{Plan, PlanError, Role};
use crate::runner::{self, Handle, SpawnError};
use crate::stats::{StatsError, StatsFile};
use crate::sys::clock::Clock;
use crate::sys::lock::DirectoryLock;
use crate::sys::memory;
use crate::sys::topology::Machine;
use crate::tls::settings::TlsError;

use build::{Built, Surroundings};
pub use past::{PastError, Report};
pub use reload::{Reload, ReloadError, Reloaded};
pub use watchdog::Watchdog;

/// How often the stop of an agent is looked for.
const STOP_POLL: Duration = Duration::from_micros(200);

/// Why an engine did not start. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine cannot say which cores there are.
    #[error("cannot read this machine's cores: {0}")]
    Machine(std::io::Error),
    /// The topology cannot work.
    #[error("topology: {0}")]
    Plan(#[from] PlanError),
    /// The stats file.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// The recorded file that the feed is to begin with.
    #[error("warm-up: {0}")]
    WarmUp(#[from] RecordingError),
    /// A feed socket.
    #[error("feed: {0}")]
    Feed(#[from] OpenError),
    /// The rule port.
    #[error("control: cannot listen on {0}: {1}")]
    Control(SocketAddr, std::io::Error),
    /// The alert port or the alert log.
    #[error("gateway: {0}")]
    Gateway(#[from] crate::gateway::agent::OpenError),
    /// A TLS port.
    #[error("tls: cannot listen on {0}: {1}")]
    Tls(SocketAddr, std::io::Error),
    /// Certificates or keys.
    #[error("tls: {0}")]
    Certificates(#[from] TlsError),
    /// What earlier runs have left.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The journal's thread.
    #[error("journal: {0}")]
    Journal(std::io::Error),
    /// The thread that checks passwords.
    #[error("door: {0}")]
    Door(std::io::Error),
    /// A thread.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Where an engine is reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Line A of the feed.
    pub line_a: Option<SocketAddr>,
    /// Line B.
    pub line_b: Option<SocketAddr>,
    /// The rule port.
    pub control: SocketAddr,
    /// The alert port.
    pub gateway: SocketAddr,
    /// The rule port with TLS.
    pub control_tls: Option<SocketAddr>,
    /// The alert port with TLS.
    pub gateway_tls: Option<SocketAddr>,
}

/// A running engine. Dropping it without [`Engine::stop`] leaves its threads running until the process ends.
pub struct Engine {
    /// Where it is reached.
    pub addresses: Addresses,
    /// Which agent runs where.
    pub plan: Plan,
    /// What the kernel granted for the feed's sockets.
    pub granted: Vec<Granted>,
    /// What the kernel did not grant for memory: a sentence each.
    pub memory_refused: Vec<String>,
    /// Its counters and histograms.
    pub stats_file: PathBuf,
    /// What was there from earlier runs.
    pub recovery: Report,
    /// What people should know.
    pub notes: Vec<String>,
    reload: Reload,
    threads: Vec<Handle>,
    log_exhausted: Arc<AtomicBool>,
    _locks: [DirectoryLock; 2],
    /// Kept as long as the engine runs: readers see by it that it lives.
    _stats: StatsFile,
}

impl Engine {
    /// Starts an engine.
    /// # Errors
    /// [`EngineError`]; nothing runs then.
    pub fn start(config: &Config) -> Result<Engine, EngineError> {
        let machine = Machine::this().map_err(EngineError::Machine)?;
        let plan = Plan::new(&machine, &config.topology)?;
        let plan = if config.tls.is_some() { plan.with_tls(&machine, &config.topology)? } else { plan };
        let surroundings = Surroundings::machine(config)?;
        let clock = surroundings.clock.clone();
        let Built { agents, addresses, granted, recovery, notes, reload, locks, stats, log_exhausted } =
            build::build(config, plan.shards, surroundings)?;
        let memory_refused = prepare_memory(config.memory.lock);
        let threads = spawn(&plan, agents, &clock)?;
        let stats_file = config.stats.file.clone();
        let (_locks, _stats) = (locks, stats);
        Ok(Engine {
            addresses,
            plan,
            granted,
            memory_refused,
            stats_file,
            recovery,
            notes,
            reload,
            threads,
            log_exhausted,
            _locks,
            _stats,
        })
    }

    /// Takes over what may change while it runs: accounts and logins, and what clients may do.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&mut self, config: &Config) -> Result<Reloaded, ReloadError> {
        self.reload.reload(config)
    }

    /// Stops it from the source to the sink. What was read from the feed is matched, what was fired is logged and, as far as
    /// clients read it, sent.
    pub fn stop(self) {
        for (role, drains) in stop_order(self.plan.shards) {
            let Some((thread, agent)) = self.place_of(role) else { continue };
            if drains {
                thread.drain(agent)
            } else {
                thread.close(agent)
            }
            while !thread.is_closed(agent) && !thread.is_finished() {
                std::thread::sleep(STOP_POLL);
            }
        }
        for thread in self.threads {
            let name = thread.name().to_string();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread panicked");
            }
        }
    }

    /// True while all threads run: false when one has ended by itself, which none should.
    pub fn is_whole(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// True once the alert log can take nothing more, as its disk is full: then no alert goes out, and no stop in order is possible.
    pub fn is_log_exhausted(&self) -> bool {
        self.log_exhausted.load(Ordering::Relaxed)
    }

    fn place_of(&self, role: Role) -> Option<(&Handle, usize)> {
        let thread = self.plan.thread_of(role)?;
        let agent = self.plan.threads[thread].roles.iter().position(|other| *other == role)?;
        Some((&self.threads[thread], agent))
    }
}

/// The agents from the source to the sink, and whether each works off what is left before it closes: all but the source do.
pub fn stop_order(shards: usize) -> impl Iterator<Item = (Role, bool)> {
    let matchers = (0..shards).map(Role::Matcher);
    // TLS after both ports: it still brings their clients what they are owed.
    let last = [Role::Gateway, Role::Tls, Role::Journal];
    let order = [Role::Feed, Role::Control].into_iter().chain(matchers).chain(last);
    order.map(|role| (role, role != Role::Feed))
}

/// Locks what was reserved, if it is to be. Returns what could not be had.
fn prepare_memory(lock: bool) -> Vec<String> {
    let huge = memory::huge_pages_refusal().map(|reason| format!("no huge pages: {reason}"));
    let locked = if lock { memory::lock_all().err() } else { None };
    let locked = locked.map(|error| format!("memory is neither faulted in nor locked: {error} (see ulimit -l)"));
    huge.into_iter().chain(locked).collect()
}

/// Gives every thread of the plan its agents.
fn spawn(plan: &Plan, mut agents: Vec<(Role, Box<dyn Agent>)>, clock: &Clock) -> Result<Vec<Handle>, EngineError> {
    let mut threads = vec![];
    for planned in &plan.threads {
        let mut of_thread: Vec<Box<dyn Agent>> = vec![];
        for role in &planned.roles {
            if let Some(at) = agents.iter().position(|(other, _)| other == role) {
                of_thread.push(agents.swap_remove(at).1);
            }
        }
        let core = planned.core.map(|core| core.id);
        threads.push(runner::spawn(&planned.name(), core, planned.idle, of_thread, clock.clone())?);
    }
    debug_assert!(agents.is_empty(), "the plan has a thread for every agent");
    Ok(threads)
}
