//! The engine at work, with everything that belongs around it, in one process and on free ports of the loopback interface.
//!
//! ```text
//!  publisher --line A--> engine --alerts--> client of the alert port: counts, measures
//!     ^   '-----line B-->   |  <--rules---- client of the rule port: sets, replaces, removes
//!     '----re-requests------'
//! ```
//!
//! Nothing is short-circuited: the clients are those of the command line, the config is one that `run` could read. At the end
//! it is counted over whether anything was lost: feed messages, alerts of the stream, send times.

mod alerts;
mod house;
mod market;
mod publishing;
mod rules;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use alerts::{AlertCounts, Latency};
pub use rules::RuleCounts;

use crate::client::{Client, ClientError, Request};
use crate::config::{DayError, midnight_utc};
use crate::engine::{Engine, EngineError};
use crate::feed::recording::RecordingError;
use crate::publish::impair::LineCounts;
use crate::rules_csv::CsvError;
use crate::stats::{Snapshot, StatsError, StatsReader};
use crate::synth::DayParams;
use crate::sys::clock::Clock;
use alerts::Alerts;
use house::{Folder, LOGIN};
use market::Market;
use publishing::Publishing;
use rules::Changes;

/// Symbols of a generated feed; of a short one fewer.
const SYMBOLS: u16 = 2_000;
/// How long what was sent may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(5);
const ARRIVAL_POLL: Duration = Duration::from_millis(5);
/// How much longer than planned the feed may last where the machine is too slow for it; then it ends early.
const OVERTIME_MAX: Duration = Duration::from_secs(3);

/// What to show.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A recorded feed; `None`: a generated one.
    pub feed: Option<PathBuf>,
    /// How long the feed lasts, in s; at least 1.
    pub seconds: u64,
    /// Messages a second at most; a shorter recording is sent more slowly.
    pub rate: u64,
    /// Rules,
    pub rules: usize,
    /// and the users that own them.
    pub users: u64,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The recorded feed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The recorded feed names no price.
    #[error("{}: no symbol with a price in its first {messages} messages", path.display())]
    NoPrices {
        /// The file.
        path: PathBuf,
        /// How far it was read.
        messages: u64,
    },
    /// A folder for temporary files, or a socket.
    #[error("demo: {0}")]
    Io(#[from] std::io::Error),
    /// The machine's clock.
    #[error("the machine's date: {0}")]
    Day(#[from] DayError),
    /// The generated rules.
    #[error(transparent)]
    Rules(#[from] CsvError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A client of its ports.
    #[error("client: {0}")]
    Client(#[from] ClientError),
    /// The stats file.
    #[error(transparent)]
    Stats(#[from] StatsError),
}

/// Where things stand.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Since the feed began.
    pub elapsed: Duration,
    /// Messages of the feed,
    pub total: u64,
    /// those sent,
    pub sent: u64,
    /// and those that the engine has taken in order.
    pub received: u64,
    /// Messages that line A did not bring; and line B.
    pub missing: (u64, u64),
    /// Gaps seen,
    pub gaps_opened: u64,
    /// and given up.
    pub gaps: u64,
    /// Messages that a re-request brought.
    pub rerequested: u64,
    /// Rules that live.
    pub rules_live: u64,
    /// What the rule port answered.
    pub rules: RuleCounts,
    /// What the alert port sent,
    pub alerts: AlertCounts,
    /// and how long it took.
    pub latency: Latency,
    /// Alerts that the shards have fired.
    pub fired: u64,
    /// Messages that stand in the alert log for the account.
    pub logged: u64,
}

/// What was shown.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where things stood at the end.
    pub now: Now,
    /// What each line did.
    pub lines: Vec<LineCounts>,
    /// Re-requests that came to the publisher, and those answered.
    pub requests: (u64, u64),
    /// What should not have happened; empty: nothing was lost.
    pub faults: Vec<String>,
}

/// A running demo.
pub struct Demo {
    // Declared before the folder, dropped before it.
    stats: StatsReader,
    engine: Engine,
    publishing: Publishing,
    changes: Changes,
    alerts: Alerts,
    total: u64,
    start: Instant,
    end_max: Instant,
    _folder: Folder,
}

impl Demo {
    /// Starts the engine, sets the rules, and begins to publish.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn start(settings: &Settings) -> Result<Demo, DemoError> {
        let clock = Clock::machine();
        let market = market(settings)?;
        let total = market.messages.count();
        let rate = total.div_ceil(settings.seconds.max(1)).clamp(1, settings.rate);
        let mut publisher = publishing::open(market.messages, rate, &clock)?;
        let folder = Folder::new(clock.now())?;
        let config = house::config(&folder, publisher.rerequest_address(), clock.now())?;
        let engine = Engine::start(&config)?;
        for (line, address) in [engine.addresses.line_a, engine.addresses.line_b].into_iter().enumerate() {
            if let Some(std::net::SocketAddr::V4(address)) = address {
                publisher.redirect(line, address);
            }
        }
        let login = Request::new(LOGIN.0, LOGIN.1)?;
        let client = Client::connect(engine.addresses.gateway, &login)?;
        let alerts = Alerts::follow(client, publisher.sent_times(), clock.clone());
        let midnight = config.feed.date.map_or(Ok(0), |date| midnight_utc(date, &config.feed.zone))?;
        let rules = rules::around(&market.prices, settings.rules, settings.users, midnight)?;
        let changes = Changes::start(Client::connect(engine.addresses.control, &login)?, rules)?;
        let stats = StatsReader::open(&engine.stats_file)?;
        let publishing = Publishing::start(publisher, clock);
        let start = Instant::now();
        let end_max = start + Duration::from_secs(settings.seconds) + OVERTIME_MAX;
        Ok(Demo { stats, engine, publishing, changes, alerts, total, start, end_max, _folder: folder })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where things stand.
    ///
    /// # Errors
    /// [`DemoError::Stats`].
    pub fn now(&self) -> Result<Now, DemoError> {
        let (alerts, latency) = self.alerts.now();
        let (elapsed, total, sent) = (self.start.elapsed(), self.total, self.publishing.sent());
        let now = Now { elapsed, total, sent, rules: self.changes.counts(), alerts, latency, ..Now::default() };
        Ok(now.with(&self.stats.snapshot()?))
    }

    /// True when there is nothing more to show: all is sent, the time is over, or something has ended by itself.
    pub fn is_over(&self) -> bool {
        let is_broken = !self.engine.is_whole() || self.alerts.is_over();
        is_broken || self.publishing.is_sent() || Instant::now() > self.end_max
    }

    /// Ends the feed, waits for what is on its way, and stops everything from the source to the sink. Then it counts over
    /// whether anything was lost.
    ///
    /// # Errors
    /// [`DemoError::Stats`].
    pub fn finish(self) -> Result<Summary, DemoError> {
        self.publishing.cut();
        let deadline = Instant::now() + ARRIVAL_MAX;
        while self.engine.is_whole() && !self.has_arrived()? && Instant::now() < deadline {
            std::thread::sleep(ARRIVAL_POLL);
        }
        let (elapsed, total) = (self.start.elapsed(), self.total);
        let is_whole = self.engine.is_whole();
        let (rules, changed) = self.changes.finish();
        self.engine.stop();
        let publisher = self.publishing.finish();
        let (alerts, latency, read) = self.alerts.finish();
        let sent = publisher.as_ref().map_or(0, |publisher| publisher.sent());
        let now = Now { elapsed, total, sent, rules, alerts, latency, ..Now::default() };
        let now = now.with(&self.stats.snapshot()?);
        let mut faults = now.faults();
        let mut add = |is_so: bool, fault: &str| faults.extend(is_so.then(|| fault.to_string()));
        add(!is_whole, "a thread of the engine ended by itself");
        add(publisher.is_none(), "the publisher's thread panicked");
        for (client, result) in [("rule", changed), ("alert", read)] {
            add(result.is_err(), &result.err().map(|error| format!("{client} client: {error}")).unwrap_or_default());
        }
        let lines = publisher.as_ref().map(|publisher| publisher.line_counts().collect()).unwrap_or_default();
        let requests = publisher.map_or((0, 0), |publisher| publisher.requests());
        Ok(Summary { now, lines, requests, faults })
    }

    fn has_arrived(&self) -> Result<bool, DemoError> {
        Ok(self.publishing.is_sent() && self.now()?.received >= self.publishing.sent())
    }
}

fn market(settings: &Settings) -> Result<Market, DemoError> {
    let messages = settings.rate * settings.seconds.max(1);
    let Some(path) = &settings.feed else {
        return Ok(Market::generated(DayParams { seed: 1, messages, symbols: SYMBOLS }));
    };
    let market = Market::recorded(path, messages)?;
    if market.prices.is_empty() {
        return Err(DemoError::NoPrices { path: path.clone(), messages: market.messages.count() });
    }
    Ok(market)
}

impl Now {
    /// With what the engine counts.
    fn with(self, snapshot: &Snapshot) -> Now {
        // Shards count each for itself: `matcher-0`, `matcher-1`.
        let sum = |agent: &str, of: &str, name: &str| -> u64 {
            let blocks = snapshot.counters.iter().filter(|block| block.agent.starts_with(agent) && block.block == of);
            blocks.flat_map(|block| &block.values).filter(|(other, _)| other == name).map(|(_, value)| value).sum()
        };
        let feed = |name| sum("feed", "arbiter", name);
        let arrived = feed("line_a_first") + feed("line_b_first") + feed("recovered");
        let missing = |first, second| arrived.saturating_sub(feed(first) + feed(second));
        Now {
            received: feed("messages"),
            missing: (missing("line_a_first", "line_a_second"), missing("line_b_first", "line_b_second")),
            gaps_opened: feed("gaps_opened"),
            gaps: feed("gaps"),
            rerequested: feed("recovered"),
            rules_live: sum("matcher", "shard", "rules_live"),
            fired: sum("matcher", "shard", "alerts"),
            logged: ["alerts", "announcements", "busted"].map(|name| sum("gateway", "log", name)).iter().sum(),
            ..self
        }
    }

    /// What should not have happened by the end, in words.
    fn faults(&self) -> Vec<String> {
        let AlertCounts { messages, alerts, unreadable, unmeasured, gap_messages, .. } = self.alerts;
        let mut faults = vec![];
        let mut add = |is_so: bool, fault: String| faults.extend(is_so.then_some(fault));
        add(self.received != self.sent, format!("{} of {} messages arrived", self.received, self.sent));
        add(self.gaps > 0, format!("{} gaps were given up: {gap_messages} messages", self.gaps));
        add(alerts != self.fired, format!("{} alerts were fired, {alerts} were read", self.fired));
        add(messages != self.logged, format!("{} messages were logged, {messages} were read", self.logged));
        add(unreadable > 0, format!("{unreadable} messages of the alert stream cannot be read"));
        add(unmeasured > 0, format!("{unmeasured} alerts are about messages that were never sent"));
        add(self.rules.wrong > 0, format!("{} rule requests were refused for no good reason", self.rules.wrong));
        faults
    }
}
