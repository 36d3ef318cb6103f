//! One life of an engine: built by the engine's own wiring, its agents and workers stepped by hand, ended in order or not.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hairtrigger::agent::Agent;
use hairtrigger::config::{Config, midnight_utc};
use hairtrigger::engine::build::{self, Arrivals, Built, RingSizes, Surroundings};
use hairtrigger::engine::{Addresses, EngineError, stop_order};
use hairtrigger::journal::storage::simulated::Disk;
use hairtrigger::plan::Role;
use hairtrigger::soup::arrival::arrivals;
use hairtrigger::stats::StatsReader;
use hairtrigger::sys::aside::{Aside, Stepped};
use hairtrigger::sys::clock::Clock;
use hairtrigger::sys::lock::DirectoryLock;

use super::doorway::Doorway;
use super::{ACCOUNTS, DROP_COPY, PASSWORD, SECOND_LOGIN};

const DATE: &str = "2020-01-30";
const ZONE: &str = "America/New_York";

/// The feed's place among the agents.
pub const FEED: usize = 0;
/// How long it waits for a message that does not come.
pub const GAP_DEADLINE: u64 = 50_000_000_000;

/// What the feed's stamps count from, in UTC nanoseconds.
pub fn midnight() -> u64 {
    midnight_utc(DATE.parse().expect("a date"), ZONE).expect("a zone")
}

/// Where an engine lives: what stays from life to life.
pub struct Place {
    pub folder: PathBuf,
    pub shards: usize,
    pub rings: RingSizes,
    /// Who sends again what both lines have lost, if anybody does.
    pub rerequest: Option<SocketAddr>,
    /// How long the feed waits for the other line, in us.
    pub other_line_wait: u64,
    pub journal_segment: u64,
    /// Journal behind the last snapshot that makes one due, and what is kept of older ones.
    pub snapshot_size: u64,
    pub history_size: u64,
}

impl Place {
    /// The alert log's directory.
    pub fn alerts(&self) -> PathBuf {
        self.folder.join("alerts")
    }

    fn config(&self) -> Config {
        let servers = self.rerequest.map_or(String::new(), |server| format!("\"{server}\""));
        let mut text = format!("[feed]\nrerequest = [{servers}]\ndate = \"{DATE}\"\n");
        let _ = writeln!(text, "other_line_wait = \"{}us\"", self.other_line_wait);
        text.push_str(
            "line_a = { address = \"127.0.0.1:0\" }\nline_b = { address = \"127.0.0.1:0\" }\njoin = 1\n\
             gap_deadline = \"50s\"\ngap_hold_max = \"1h\"\nrerequest_retry = \"400us\"\n\
             rerequest_tries_max = 1000\nsilence = \"1h\"\nsession_silence = \"1h\"\n\
             [clients]\nsilence_deadline = \"60s\"\nlogin_deadline = \"60s\"\nhalf_packet_deadline = \"60s\"\n\
             [limits]\nrules_max = 512\naccount_rules_max = 512\nsymbols_max = 32\norders_max = 1024\nlevels_max = 1024\n\
             policies_max = 256\n",
        );
        let _ = write!(
            text,
            "[topology]\nshards = {}\n[control]\nlisten = \"127.0.0.1:0\"\nsessions_max = 8\nrequests_in_flight_max = 64\nanswers_kept = 2048\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nsessions_max = 8\ndirectory = {:?}\nsegment_size = \"64KiB\"\n\
             retention_size = \"64MiB\"\n[stats]\nfile = {:?}\n",
            self.shards,
            self.alerts(),
            self.folder.join("stats"),
        );
        for account in ACCOUNTS {
            let _ = write!(text, "[[accounts]]\nname = \"{account}\"\ndrop_copy = {}\n", account == DROP_COPY);
            let users = [account].into_iter().chain((account == ACCOUNTS[0]).then_some(SECOND_LOGIN));
            let logins = users.map(|user| format!("{{ user = \"{user}\", password = \"{PASSWORD}\" }}"));
            let _ = writeln!(text, "logins = [{}]", logins.collect::<Vec<_>>().join(", "));
        }
        let mut config = Config::parse(&text, Path::new("simulated.toml")).unwrap_or_else(|error| panic!("{error}"));
        // Smaller than a user may have it: so a short run has many.
        config.journal.segment_size = self.journal_segment;
        config.journal.snapshot_size = self.snapshot_size;
        config.journal.history_size = self.history_size;
        config
    }
}

/// An engine that lives.
pub struct House {
    agents: Vec<Option<(Role, Box<dyn Agent>)>>,
    workers: Vec<Stepped>,
    shards: usize,
    pub addresses: Addresses,
    /// The ways in: of rule clients, and of alert clients.
    pub doors: (Doorway, Doorway),
    pub rules_recovered: usize,
    has_failed: Arc<AtomicBool>,
    stats: StatsReader,
    _kept: ([DirectoryLock; 2], hairtrigger::stats::StatsFile),
}

impl House {
    /// Builds it upon what earlier lives have left.
    pub fn build(place: &Place, clock: &Clock, disk: &Disk, boot: u8) -> Result<House, EngineError> {
        let config = place.config();
        let has_failed = Arc::<AtomicBool>::default();
        let aside = Aside::stepped();
        let ((rule_door, rule_clients), (alert_door, alert_clients)) = (arrivals(), arrivals());
        let surroundings = Surroundings {
            clock: clock.clone(),
            journal: disk.clone(),
            boot: [boot; 16],
            aside: aside.clone(),
            journal_failed: Box::new({
                let has_failed = Arc::clone(&has_failed);
                move |_| has_failed.store(true, Ordering::Relaxed)
            }),
            rings: place.rings,
            arrivals: Some(Arrivals { control: rule_clients, gateway: alert_clients }),
        };
        let Built { agents, addresses, recovery, locks, stats, .. } =
            build::build(&config, place.shards, surroundings)?;
        Ok(House {
            agents: agents.into_iter().map(Some).collect(),
            workers: aside.take(),
            shards: place.shards,
            addresses,
            doors: (rule_door, alert_door),
            rules_recovered: recovery.rules,
            has_failed,
            stats: StatsReader::open(&config.stats.file)?,
            _kept: (locks, stats),
        })
    }

    /// Agents and workers.
    pub fn actors(&self) -> usize {
        self.agents.len() + self.workers.len()
    }

    /// One duty cycle of one agent, or one task of one worker. Returns the work done.
    pub fn step(&mut self, actor: usize, now: u64) -> usize {
        match self.agents.get_mut(actor) {
            Some(agent) => agent.as_mut().map_or(0, |(_, agent)| agent.do_work(now)),
            None => usize::from(self.workers[actor - self.agents.len()].step()),
        }
    }

    /// True for the worker that makes snapshots.
    pub fn makes_snapshots(&self, actor: usize) -> bool {
        actor >= self.agents.len() && self.workers[actor - self.agents.len()].name() == "snapshots"
    }

    /// The journal could not be written: production's process would have ended.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Messages that the feed has given to the shards or given up.
    pub fn messages(&self) -> u64 {
        self.count("feed", "arbiter", "messages") + self.given_up()
    }

    /// Messages that it has given up.
    pub fn given_up(&self) -> u64 {
        self.count("feed", "arbiter", "gap_messages")
    }

    pub fn count(&self, agent: &str, block: &str, name: &str) -> u64 {
        let seen = self.stats.snapshot().expect("whole stats");
        let counters = seen.counters.iter().find(|counters| counters.agent == agent && counters.block == block);
        let value = counters.and_then(|counters| counters.values.iter().find(|(of, _)| of == name));
        value.unwrap_or_else(|| panic!("nothing counts {name} of {block}")).1
    }

    /// Ends it in the engine's own order; `meanwhile` steps all that goes on beside whoever stops just then, and says that
    /// it took too long.
    pub fn stop(mut self, clock: &Clock, mut meanwhile: impl FnMut(&mut House, Role)) {
        for (role, drains) in stop_order(self.shards) {
            let is_its =
                |agent: &Option<(Role, Box<dyn Agent>)>| agent.as_ref().is_some_and(|(other, _)| *other == role);
            let Some(place) = self.agents.iter().position(is_its) else { continue };
            loop {
                let (_, agent) = self.agents[place].as_mut().expect("it is not closed yet");
                let now = clock.now();
                if (!drains || agent.do_work(now) == 0) && agent.close(now) {
                    self.agents[place] = None;
                    break;
                }
                meanwhile(&mut self, role);
            }
        }
    }
}
