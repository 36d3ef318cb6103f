//! The shards of a replay: one on the caller's thread, or several behind rings.

use std::sync::mpsc;
use std::thread::JoinHandle;

use super::script::Script;
use crate::limits::{MARKET_RING, SHARDS_MAX};
use crate::matcher::ahead::Ahead;
use crate::matcher::shard::{Outputs, Shard, ShardCounts, ShardLimits};
use crate::model::{Action, Alert, AlertKind, Applied, MarketEvent, Nanos, Outcome, Refusal, RuleCommand, RuleState};
use crate::partition::Shards;
use crate::ring::{Receiver, Sender, ring};

/// One thing that a shard told.
#[derive(Clone, Copy)]
pub enum Told {
    /// An alert, or the end of a rule, or a broken print.
    Alert(Alert),
    /// A refusal of a command.
    Refused {
        /// The command.
        ordinal: u64,
        /// Why.
        refusal: Refusal,
        /// Feed time then.
        feed_time: Nanos,
    },
    /// A command was carried out. Told only where a journal says what must have become of it.
    Done {
        /// The command.
        ordinal: u64,
        /// The rule's version.
        version: u64,
        /// Where it stands, if it was set.
        state: Option<RuleState>,
    },
}

impl Told {
    /// The message that caused it, or else the command.
    pub fn cause(&self) -> Cause {
        match self {
            Told::Alert(alert) if alert.ordinal == 0 => Cause::Message(alert.sequence),
            Told::Alert(Alert { ordinal, .. }) | Told::Refused { ordinal, .. } | Told::Done { ordinal, .. } => {
                Cause::Command(*ordinal)
            }
        }
    }
}

/// What caused something.
pub enum Cause {
    /// The message of this sequence.
    Message(u64),
    /// The command of this ordinal.
    Command(u64),
}

/// What a shard told since it was last asked.
#[derive(Default)]
struct Collected {
    told: Vec<Told>,
    follows_journal: bool,
}

impl Outputs for Collected {
    fn alert(&mut self, alert: &Alert) {
        if !matches!(alert.kind, AlertKind::Met | AlertKind::Rearmed) {
            self.told.push(Told::Alert(*alert));
        }
    }

    fn applied(&mut self, applied: &Applied) {
        let Applied { ordinal, feed_time, .. } = *applied;
        let done = |version, state| self.follows_journal.then_some(Told::Done { ordinal, version, state });
        let told = match applied.outcome {
            Outcome::Refused(refusal) => Some(Told::Refused { ordinal, refusal, feed_time }),
            Outcome::Set { version, state, .. } => done(version, Some(state)),
            Outcome::Removed { version } => done(version, None),
            _ => None,
        };
        self.told.extend(told);
    }

    fn now(&self) -> Nanos {
        0
    }
}

/// What goes to a shard's thread.
#[derive(Clone, Copy)]
enum Work {
    Event(MarketEvent),
    Command(RuleCommand),
    /// The journal that was followed is at its end.
    EndJournal,
    /// Hand in what was told.
    Collect,
    /// Hand in the counts, and end.
    Finish,
}

/// The shards.
pub struct ReplayShards {
    place: Place,
}

enum Place {
    /// On the caller's thread.
    Here(Box<Shard>, Collected, Box<Ahead>),
    /// On a thread each.
    Threads(Vec<Worker>),
}

struct Worker {
    ring: Sender<Work>,
    told: mpsc::Receiver<Vec<Told>>,
    thread: JoinHandle<ShardCounts>,
}

impl ReplayShards {
    /// `count` shards, 1 to [`SHARDS_MAX`], with the rules that stand before the first message.
    /// # Errors
    /// When one cannot hold them.
    pub fn new(count: usize, script: &Script) -> Result<ReplayShards, Refusal> {
        let count = count.clamp(1, SHARDS_MAX);
        let mut shards: Vec<_> = (0..count).map(|_| Box::new(Shard::new(ShardLimits::growing()))).collect();
        for past in &script.symbols {
            shards[past.symbol.shard(count)].restore_symbol(past)?;
        }
        for rule in &script.rules {
            shards[rule.key.symbol.shard(count)].restore(rule)?;
        }
        let follows_journal = script.is_journal;
        if follows_journal {
            shards.iter_mut().for_each(|shard| shard.follow_journal(script.session));
        }
        let collected = || Collected { told: vec![], follows_journal };
        let place = match (shards.pop(), shards.is_empty()) {
            (Some(one), true) => Place::Here(one, collected(), Box::default()),
            (last, _) => {
                Place::Threads(shards.into_iter().chain(last).map(|one| Worker::start(one, collected())).collect())
            }
        };
        Ok(ReplayShards { place })
    }

    /// The feed is over; after a journal what has expired is told now.
    pub fn end(&mut self, follows_journal: bool) {
        match &mut self.place {
            _ if !follows_journal => (),
            Place::Here(one, told, ahead) => {
                ahead.flush(one, told);
                one.end_journal(told);
            }
            Place::Threads(workers) => workers.iter_mut().for_each(|worker| worker.send(Work::EndJournal)),
        }
    }

    /// Gives a command to a shard.
    pub fn command(&mut self, shard: usize, command: &RuleCommand) {
        match &mut self.place {
            Place::Here(one, told, ahead) => {
                ahead.flush(one, told);
                one.command(command, told);
            }
            Place::Threads(workers) => workers[shard].send(Work::Command(*command)),
        }
    }

    /// Takes all that the shards told so far, each shard's in its order.
    pub fn collect(&mut self) -> Vec<Told> {
        match &mut self.place {
            Place::Here(one, told, ahead) => {
                ahead.flush(one, told);
                std::mem::take(&mut told.told)
            }
            Place::Threads(workers) => {
                workers.iter_mut().for_each(|worker| worker.send(Work::Collect));
                workers
                    .iter()
                    .flat_map(|worker| worker.told.recv().expect("a worker ends only when it is told to"))
                    .collect()
            }
        }
    }

    /// Ends the shards. Returns the sum of their counts.
    pub fn finish(self) -> ShardCounts {
        match self.place {
            Place::Here(mut one, mut told, mut ahead) => {
                ahead.flush(&mut one, &mut told);
                one.counts()
            }
            Place::Threads(workers) => {
                workers.into_iter().map(Worker::finish).fold(ShardCounts::default(), |sum, one| ShardCounts {
                    prints: sum.prints + one.prints,
                    unknown_orders: sum.unknown_orders + one.unknown_orders,
                    ..sum
                })
            }
        }
    }
}

impl Shards for ReplayShards {
    fn count(&self) -> usize {
        match &self.place {
            Place::Here(..) => 1,
            Place::Threads(workers) => workers.len(),
        }
    }

    #[inline]
    fn send(&mut self, shard: usize, event: &MarketEvent) -> bool {
        match &mut self.place {
            Place::Here(one, told, ahead) => ahead.push(event, one, told),
            Place::Threads(workers) => workers[shard].send(Work::Event(*event)),
        }
        true
    }
}

impl Worker {
    fn start(mut shard: Box<Shard>, mut out: Collected) -> Worker {
        let (sender, mut receiver) = ring(MARKET_RING, Work::Event(MarketEvent::new(Action::Clock)));
        let (told, collected) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut ahead = Ahead::default();
            while serve(&mut shard, &mut ahead, &mut receiver, &mut out, &told) {}
            shard.counts()
        });
        Worker { ring: sender, told: collected, thread }
    }

    /// Waits until the ring has room: offline there is nothing else to do.
    fn send(&mut self, work: Work) {
        while !self.ring.send(work) {
            std::thread::yield_now();
        }
    }

    fn finish(mut self) -> ShardCounts {
        self.send(Work::Finish);
        self.thread.join().expect("a worker does not panic")
    }
}

/// Takes what is there. False when told to end.
fn serve(
    shard: &mut Shard,
    ahead: &mut Ahead,
    ring: &mut Receiver<Work>,
    out: &mut Collected,
    told: &mpsc::Sender<Vec<Told>>,
) -> bool {
    let mut goes_on = true;
    let taken = ring.drain(MARKET_RING, |work| {
        if let Work::Event(event) = work {
            return ahead.push(event, shard, out);
        }
        ahead.flush(shard, out);
        match work {
            Work::Event(_) => (),
            Work::Command(command) => shard.command(command, out),
            Work::EndJournal => shard.end_journal(out),
            // Whoever asked may be gone: then nobody wants it.
            Work::Collect => drop(told.send(std::mem::take(&mut out.told))),
            Work::Finish => goes_on = false,
        }
    });
    if taken == 0 {
        std::thread::yield_now();
    }
    goes_on
}
