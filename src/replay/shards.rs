//! The shards of a replay: one on the caller's thread, or several behind rings.

use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::limits::{MARKET_RING, SHARDS_MAX};
use crate::matcher::ahead::Ahead;
use crate::matcher::shard::{Outputs, Shard, ShardCounts, ShardLimits};
use crate::model::{Action, Alert, AlertKind, Applied, MarketEvent, Nanos, Outcome, Refusal, RuleCommand};
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
}

impl Told {
    /// The message that caused it, or else the command.
    pub fn cause(&self) -> Cause {
        match self {
            Told::Alert(alert) if alert.ordinal == 0 => Cause::Message(alert.sequence),
            Told::Alert(Alert { ordinal, .. }) | Told::Refused { ordinal, .. } => Cause::Command(*ordinal),
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
struct Collected(Vec<Told>);

impl Outputs for Collected {
    fn alert(&mut self, alert: &Alert) {
        if !matches!(alert.kind, AlertKind::Met | AlertKind::Rearmed) {
            self.0.push(Told::Alert(*alert));
        }
    }

    fn applied(&mut self, applied: &Applied) {
        if let Outcome::Refused(refusal) = applied.outcome {
            let Applied { ordinal, feed_time, .. } = *applied;
            self.0.push(Told::Refused { ordinal, refusal, feed_time });
        }
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
    /// `count` empty shards, 1 to [`SHARDS_MAX`].
    pub fn new(count: usize) -> ReplayShards {
        let shard = || Box::new(Shard::new(ShardLimits::growing()));
        let place = match count {
            1 => Place::Here(shard(), Collected::default(), Box::default()),
            _ => Place::Threads((0..count.clamp(1, SHARDS_MAX)).map(|_| Worker::start(shard())).collect()),
        };
        ReplayShards { place }
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
                std::mem::take(&mut told.0)
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
    fn start(mut shard: Box<Shard>) -> Worker {
        let (sender, mut receiver) = ring(MARKET_RING, Work::Event(MarketEvent::new(Action::Clock)));
        let (told, collected) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut out, mut ahead) = (Collected::default(), Ahead::default());
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
            // Whoever asked may be gone: then nobody wants it.
            Work::Collect => drop(told.send(std::mem::take(&mut out.0))),
            Work::Finish => goes_on = false,
        }
    });
    if taken == 0 {
        std::thread::yield_now();
    }
    goes_on
}
