//! The client of the rule port: sets the rules, and goes on changing some of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::DemoError;
use crate::client::{Client, ClientError, Event};
use crate::control::wire::{Answer, Ask, Body, Code, Request};
use crate::model::{NEVER, Nanos, Price, RuleKey, RuleSpec, Symbol};
use crate::rules_csv::{self, Op};
use crate::synth::{RULES_HEADER, Random, RuleRows};

/// Requests on their way at a time while the rules are set.
const BATCH: usize = 1_000;
/// Requests of a round of changes,
const CHANGES: usize = 10;
/// and the pause between two rounds.
const PAUSE: Duration = Duration::from_millis(20);

/// A rule and its key.
pub type Rule = (RuleKey, RuleSpec);

/// Rules around prices (1e-4, the busiest symbols first). The feed's day begins at `midnight`.
///
/// # Errors
/// [`DemoError::Rules`], if the rows of `generate` could not be read.
pub fn around(prices: &[(Symbol, u32)], count: usize, users: u64, midnight: Nanos) -> Result<Vec<Rule>, DemoError> {
    let mut rows = RuleRows::new(prices.iter().copied(), users, 1);
    let mut text = format!("{RULES_HEADER}\n");
    for _ in 0..count {
        rows.next_into(&mut text);
        text.push('\n');
    }
    let file = rules_csv::parse(text.as_bytes(), Path::new("generated rules"))?;
    let rule = |row: &rules_csv::Row| {
        let Op::Set(spec) = row.op else { return None };
        let expires_at = if spec.expires_at == NEVER { NEVER } else { midnight + spec.expires_at };
        let key = RuleKey { user: row.user, symbol: row.symbol, slot: row.slot, account: 0 };
        Some((key, RuleSpec { expires_at, ..spec }))
    };
    Ok(file.rows.iter().filter_map(rule).collect())
}

/// What the engine answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Rules set under a new key.
    pub set: u64,
    /// Rules that replaced another one.
    pub replaced: u64,
    /// Rules removed.
    pub removed: u64,
    /// Removes of rules that had ended, sets whose condition held already (and that forbade it), or that had expired.
    pub refused: u64,
    /// Refusals for any other reason: there should be none.
    pub wrong: u64,
}

/// The same, counted by one thread and read by others.
#[derive(Default)]
struct Shared {
    set: AtomicU64,
    replaced: AtomicU64,
    removed: AtomicU64,
    refused: AtomicU64,
    wrong: AtomicU64,
}

impl Shared {
    fn add(&self, body: &Body) {
        let counter = match body {
            Body::SetDone { replaced: false, .. } => &self.set,
            Body::SetDone { replaced: true, .. } => &self.replaced,
            Body::RemoveDone { .. } => &self.removed,
            Body::Refused { code: Code::UnknownKey | Code::AlreadyTrue | Code::Expired, .. } => &self.refused,
            _ => &self.wrong,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> RuleCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RuleCounts {
            set: read(&self.set),
            replaced: read(&self.replaced),
            removed: read(&self.removed),
            refused: read(&self.refused),
            wrong: read(&self.wrong),
        }
    }
}

/// A client that keeps changing rules.
pub struct Changes {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), ClientError>>,
}

impl Changes {
    /// Sets all rules; once it returns they hold, and a thread changes some of them until it is stopped.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn start(client: Client, rules: Vec<Rule>) -> Result<Changes, ClientError> {
        let (shared, stop) = (Arc::new(Shared::default()), Arc::new(AtomicBool::new(false)));
        let mut desk = Desk { client, next_id: 1, shared: Arc::clone(&shared) };
        for batch in rules.chunks(BATCH) {
            desk.ask(batch.iter().map(|(key, spec)| Ask::Set(*key, *spec)))?;
        }
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut random = Random::new(7);
            while !is_stopped.load(Ordering::Relaxed) && !rules.is_empty() {
                desk.ask((0..CHANGES).map(|_| change(&rules, &mut random)))?;
                thread::sleep(PAUSE);
            }
            desk.client.writer.log_out()
        });
        Ok(Changes { shared, stop, thread })
    }

    /// What the engine answered so far.
    pub fn counts(&self) -> RuleCounts {
        self.shared.counts()
    }

    /// Stops it.
    ///
    /// # Errors
    /// What broke the connection before.
    pub fn finish(self) -> (RuleCounts, Result<(), ClientError>) {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.join().unwrap_or(Err(ClientError::Closed));
        (self.shared.counts(), result)
    }
}

/// One in four removes a rule, the others move its threshold by up to 1 %.
fn change(rules: &[Rule], random: &mut Random) -> Ask {
    let (key, spec) = rules[random.below(rules.len() as u32) as usize];
    if random.one_in(4) {
        return Ask::Remove(key, spec.tag);
    }
    let moved = i64::from(random.below(201)) - 100;
    let threshold = spec.threshold.0 + spec.threshold.0 / 10_000 * moved;
    let tick = Price::ONE / 100;
    let threshold = if threshold > tick { threshold / tick * tick } else { threshold };
    Ask::Set(key, RuleSpec { threshold: Price(threshold), ..spec })
}

struct Desk {
    client: Client,
    next_id: u64,
    shared: Arc<Shared>,
}

impl Desk {
    /// Sends requests and waits for their answers.
    fn ask(&mut self, asks: impl Iterator<Item = Ask>) -> Result<(), ClientError> {
        let first = self.next_id;
        for ask in asks {
            self.client.writer.send_unsequenced(Request { id: self.next_id, ask }.encode().bytes())?;
            self.next_id += 1;
        }
        let mut owed = self.next_id - first;
        while owed > 0 {
            match self.client.receive()? {
                Event::Sequenced(_, message) => {
                    let answer = Answer::read(message).ok_or(ClientError::Unexpected)?;
                    self.shared.add(&answer.body);
                    owed -= 1;
                }
                Event::End => return Err(ClientError::Closed),
                Event::Heartbeat | Event::Nothing | Event::Debug(_) => {}
            }
        }
        Ok(())
    }
}
