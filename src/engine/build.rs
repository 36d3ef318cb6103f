//! The wiring: every agent between its rings, without a thread yet. Read it next to the picture in [`super`].
//!
//! What an engine meets of its machine comes in [`Surroundings`]: production's are [`Surroundings::machine`]; a simulation brings a
//! clock that stands still, a disk that crashes where it is told to, workers that it steps itself, clients that it connects
//! itself, and short rings, and steps the agents by hand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver as Inbox, channel};

use super::past::{self, Past, PastError, Report};
use super::reload::{NEWCOMERS_WAIT, Reload};
use super::roll::{Called, Roll};
use super::settings::Ports;
use super::{Addresses, EngineError, secured, settings, watched};
use crate::agent::Agent;
use crate::config::Config;
use crate::control::agent::ControlAgent;
use crate::door::names::Names;
use crate::door::newcomers::newcomers;
use crate::door::{self, Pass};
use crate::feed::agent::{FeedAgent, Granted};
use crate::feed::history::History;
use crate::feed::settings::Line;
use crate::gateway::agent::GatewayAgent;
use crate::gateway::settings::GatewaySettings;
use crate::journal::agent::JournalAgent;
use crate::journal::storage::{Directory, Storage};
use crate::journal::writer::Durability;
use crate::limits::{ALERT_RING, APPLIED_RING, JOURNAL_RING, LOGGED_RING, MARKET_RING, RULE_RING};
use crate::matcher::agent::{MatcherAgent, MatcherRings};
use crate::matcher::shard::Shard;
use crate::model::{
    Action, Alert, AlertKind, Applied, Change, ChangeKind, Command, Journaled, MarketEvent, Outcome, RuleCommand,
    RuleKey,
};
use crate::partition::{Partition, Shards};
use crate::plan::Role;
use crate::ring::{Receiver, Sender, ring};
use crate::soup::arrival::Arrival;
use crate::soup::login::SessionId;
use crate::stats::StatsFile;
use crate::sys::aside::Aside;
use crate::sys::boot::boot_id;
use crate::sys::clock::Clock;
use crate::sys::descriptors;
use crate::sys::lock::DirectoryLock;

/// What an engine meets of its machine.
pub struct Surroundings<S> {
    /// The time, for all agents.
    pub clock: Clock,
    /// The journal's directory.
    pub journal: S,
    /// Which boot of the machine this is.
    pub boot: [u8; 16],
    /// Who does what waits for a disk.
    pub aside: Aside,
    /// Called once when the journal cannot be written: the engine must end.
    pub journal_failed: Box<dyn FnOnce(io::Error) + Send>,
    /// Slots of the rings.
    pub rings: RingSizes,
    /// Clients that come another way than by the ports.
    pub arrivals: Option<Arrivals>,
}

/// Connections that somebody else made, for each of the ports.
pub struct Arrivals {
    /// Rule clients.
    pub control: Inbox<Arrival>,
    /// Alert clients.
    pub gateway: Inbox<Arrival>,
}

/// Slots of each kind of ring: powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Market events, a ring for each shard.
    pub market: usize,
    /// Commands, a ring for each shard.
    pub rules: usize,
    /// Outcomes, a ring for each shard.
    pub applied: usize,
    /// Alerts, a ring for each shard.
    pub alerts: usize,
    /// Changes on their way to the disk.
    pub journal: usize,
}

impl Default for RingSizes {
    fn default() -> RingSizes {
        RingSizes {
            market: MARKET_RING,
            rules: RULE_RING,
            applied: APPLIED_RING,
            alerts: ALERT_RING,
            journal: JOURNAL_RING,
        }
    }
}

impl Surroundings<Directory> {
    /// This machine, and the directory that the config names.
    ///
    /// # Errors
    /// [`EngineError::Past`] when the journal's directory cannot be had.
    pub fn machine(config: &Config) -> Result<Surroundings<Directory>, EngineError> {
        let directory = config.journal_directory();
        let journal = Directory::create(&directory).map_err(|error| PastError::System(directory, error))?;
        Ok(Surroundings {
            clock: Clock::machine(),
            journal,
            boot: boot_id(),
            aside: Aside::default(),
            journal_failed: Box::new(past::journal_failed),
            rings: RingSizes::default(),
            arrivals: None,
        })
    }
}

/// An engine that is whole and does not move yet.
pub struct Built {
    /// Its agents. Any order of steps is right.
    pub agents: Vec<(Role, Box<dyn Agent>)>,
    /// Where it is reached.
    pub addresses: Addresses,
    /// What the kernel granted for the feed's sockets.
    pub granted: Vec<Granted>,
    /// What was there from earlier runs.
    pub recovery: Report,
    /// What people should know.
    pub notes: Vec<String>,
    /// The ends that tell it what has changed in the config.
    pub reload: Reload,
    /// Keep other engines away.
    pub locks: [DirectoryLock; 2],
    /// Readers see by it that the engine lives.
    pub stats: StatsFile,
    /// Up once the alert log can take nothing more: the engine must end.
    pub log_exhausted: Arc<AtomicBool>,
}

/// The market rings, as the partition sees them.
struct MarketRings(Vec<Sender<MarketEvent>>);

impl Shards for MarketRings {
    fn count(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn send(&mut self, shard: usize, event: &MarketEvent) -> bool {
        self.0[shard].send(*event)
    }
}

/// Both ends of one kind of ring, for every shard.
fn rings<T: Copy + Send + Sync + 'static>(shards: usize, slots: usize, empty: T) -> (Vec<Sender<T>>, Vec<Receiver<T>>) {
    (0..shards).map(|_| ring(slots, empty)).unzip()
}

/// Builds an engine of so many shards, from the sink to the source.
///
/// # Errors
/// [`EngineError`]; nothing is left then.
pub fn build<S>(config: &Config, shards: usize, surroundings: Surroundings<S>) -> Result<Built, EngineError>
where
    S: Storage + Clone + 'static,
    S::File: 'static,
{
    let Surroundings { clock, journal: storage, boot, aside, journal_failed, rings: slots, arrivals } = surroundings;
    let beside = storage.clone();
    let Past { locks, rules: past_rules, writer, mut report } = past::open(config, storage, boot, clock.now())?;
    let mut stats = StatsFile::create(&config.stats.file, clock.now())?;

    // 0. The door of both ports: who may come in.
    let mut roll = Roll::default();
    let Called { members, notice } = roll.call(config);
    let logins: Vec<Pass> = notice.passes.into_iter().flatten().collect();
    let ([rule_door, alert_door], checker, reception) = door::doors(members);
    checker.begin(&aside, clock.clone()).map_err(EngineError::Door)?;
    let ports = Ports { logins: &logins, accounts: roll.accounts(), descriptors: descriptors::raise() };
    let ((to_journal, journaled_names), (to_log, newcomers)) = (channel(), newcomers(roll.accounts().len()));

    // 1. The gateway: alert rings in, the log, sessions out.
    let (alert_senders, alert_receivers) = rings(shards, slots.alerts, Alert::new(AlertKind::Met));
    let settings = GatewaySettings { boot, ..settings::gateway(config, &ports) };
    let mut gateway = GatewayAgent::open(settings, alert_door, alert_receivers, clock.clone(), &aside)?;
    gateway.also_name(newcomers);
    let mut recv_to_log = stats.histogram("gateway", "recv_to_log")?;
    gateway.on_logged(move |ns| recv_to_log.record(ns));
    let (mut to_write, mut write) = (stats.histogram("gateway", "log_to_write")?, stats.histogram("gateway", "write")?);
    gateway.on_written(move |times| {
        times.since_log.into_iter().for_each(|ns| to_write.record(ns));
        write.record(times.call);
    });

    let (logged_senders, logged_receivers) = rings(shards, LOGGED_RING, 0);
    gateway.tell_logged(logged_senders);

    // 2. The journal: changes in, and how many of them are safe out.
    let (change_sender, change_receiver) = ring(slots.journal, NO_CHANGE);
    let (safe_sender, safe_receiver) = ring(slots.journal, 0);
    let names = Names::new(roll.accounts().to_vec(), Some(journaled_names));
    let journal_rings = (change_receiver, safe_sender);
    let mut journal = JournalAgent::start(writer, names, journal_rings, (clock.clone(), &aside), journal_failed)
        .map_err(EngineError::Journal)?;
    let snapshots = past::begin_snapshots(config, beside, (clock.clone(), &aside)).map_err(EngineError::Journal)?;
    journal.make_snapshots(snapshots);

    // 3. Control: clients in, rule rings out, outcomes back.
    let (applied_senders, applied_receivers) = rings(shards, slots.applied, NO_OUTCOME);
    let (rule_senders, rule_receivers) = rings(shards, slots.rules, NO_COMMAND);
    let session = SessionId::from_number(clock.now() / 100_000_000);
    let settings = settings::control(config, &ports, session);
    let mut control = ControlAgent::new(settings, rule_door, rule_senders, applied_receivers)
        .map_err(|error| EngineError::Control(config.control.listen, error))?;
    control.refuse_sets_while(gateway.log_full());
    let log_exhausted = gateway.log_exhausted();
    let waits = config.journal.durability != Durability::None;
    let changes = (change_sender, safe_receiver, slots.journal);
    control.journal(changes, logged_receivers, waits, past_rules.ordinal());
    control.ask_for_standings();

    // TLS stands before control and the gateway, where it is configured.
    let secured = secured::open(config, roll.accounts(), &mut control, &mut gateway)?;
    if let Some(arrivals) = arrivals {
        control.also_serve(arrivals.control);
        gateway.also_serve(arrivals.gateway);
    }

    // 4. The shards, each between its four rings, with the rules of earlier runs.
    let (market_senders, market_receivers) = rings(shards, slots.market, MarketEvent::new(Action::Clock));
    let inward = market_receivers.into_iter().zip(rule_receivers);
    let outward = alert_senders.into_iter().zip(applied_senders);
    let rings = inward.zip(outward);
    let rings = rings.map(|((market, rules), (alerts, applied))| MatcherRings { market, rules, alerts, applied });
    let mut restored: Vec<Shard> = (0..shards).map(|_| Shard::new(settings::shard(config))).collect();
    past_rules.restore(&mut restored, &mut report)?;
    drop(past_rules);
    let bounds = restored.iter().map(Shard::account_bounds).collect();
    let with_number = restored.into_iter().zip(rings).enumerate();
    let matchers = with_number.map(|(number, (shard, rings))| MatcherAgent::new(number, shard, rings, clock.clone()));

    // 5. The partition, the feed's last stage.
    let partition = Partition::new(MarketRings(market_senders), settings::midnight_of(config));

    // 6. The feed: sockets in.
    let mut feed = FeedAgent::open(&settings::feed(config), clock.clone(), partition)?;
    if let Some(path) = &config.feed.warm_up {
        feed.warm_up(History::open(path)?);
    }

    let addresses = Addresses {
        line_a: feed.address(Line::A),
        line_b: feed.address(Line::B),
        control: control.local_addr(),
        gateway: gateway.local_addr(),
        control_tls: secured.as_ref().and_then(|tls| tls.control),
        gateway_tls: secured.as_ref().and_then(|tls| tls.gateway),
    };
    let granted = feed.report().collect();
    let mut agents: Vec<(Role, Box<dyn Agent>)> = vec![
        (Role::Feed, watched::feed(feed, &mut stats)?),
        (Role::Gateway, watched::gateway(gateway, &mut stats)?),
        (Role::Control, watched::control(control, &mut stats)?),
        (Role::Journal, watched::journal(journal, &mut stats)?),
    ];
    for (number, matcher) in matchers.enumerate() {
        agents.push((Role::Matcher(number), watched::matcher(number, matcher, &mut stats)?));
    }
    let mut identities = None;
    if let Some(tls) = secured {
        agents.push((Role::Tls, watched::tls(tls.agent, &mut stats)?));
        identities = Some(tls.identities);
    }
    let notes = settings::client_notes(config, ports.descriptors);
    let (config, newcomers_wait, dormant) = (config.clone(), NEWCOMERS_WAIT, report.dormant.clone());
    let reload = Reload { config, roll, reception, to_log, newcomers_wait, to_journal, bounds, identities, dormant };
    Ok(Built { agents, addresses, granted, recovery: report, notes, reload, locks, stats, log_exhausted })
}

const NO_CHANGE: Journaled = Journaled::Change(Change {
    ordinal: 0,
    feed_sequence: 0,
    feed_time: 0,
    feed_session: [b' '; 10],
    shard: 0,
    key: RuleKey::NONE,
    version: 0,
    kind: ChangeKind::Removed,
});
const NO_OUTCOME: Applied = Applied {
    ordinal: 0,
    sequence: 0,
    feed_time: 0,
    feed_session: [b' '; 10],
    alerts: 0,
    outcome: Outcome::ListEnd { cursor: None },
};
const NO_COMMAND: RuleCommand = RuleCommand { ordinal: 0, feed_time: 0, command: Command::Remove(RuleKey::NONE, 0) };
