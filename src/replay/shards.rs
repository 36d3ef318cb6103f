//! The shards of a replay: one on the caller's thread, or several on a thread each.

use std::sync::mpsc::sync_channel;

use super::script::Script;
use super::told::{Collected, HandedIn};
use super::worker::Worker;
use crate::limits::{REPLAY_BATCHES_AHEAD, SHARDS_MAX};
use crate::matcher::ahead::Ahead;
use crate::matcher::shard::{Shard, ShardCounts, ShardLimits};
use crate::model::{MarketEvent, Refusal, RuleCommand};
use crate::partition::Shards;

/// The shards.
pub struct ReplayShards {
    place: Place,
}

enum Place {
    Here(Box<ReplayShard>),
    Threads(Vec<Worker>),
}

/// A shard, what is on its way into it, and what it told.
pub struct ReplayShard {
    shard: Box<Shard>,
    ahead: Ahead,
    out: Collected,
}

impl ReplayShards {
    /// `count` shards, 1 to [`SHARDS_MAX`], with the rules that stand before the first message; and where they hand in what
    /// they tell.
    /// # Errors
    /// When one cannot hold them.
    pub fn new(count: usize, script: &Script) -> Result<(ReplayShards, Vec<HandedIn>), Refusal> {
        let count = count.clamp(1, SHARDS_MAX);
        let mut shards: Vec<_> = (0..count).map(|_| Box::new(Shard::new(ShardLimits::growing()))).collect();
        for past in &script.symbols {
            shards[past.symbol.shard(count)].restore_symbol(past)?;
        }
        for rule in &script.rules {
            shards[rule.key.symbol.shard(count)].restore(rule)?;
        }
        if script.is_journal {
            shards.iter_mut().for_each(|shard| shard.follow_journal(script.session));
        }
        let (mut shards, told): (Vec<_>, _) = shards
            .into_iter()
            .map(|shard| {
                let (to_merge, told) = sync_channel(REPLAY_BATCHES_AHEAD);
                let out = Collected::new(script.is_journal, to_merge);
                (ReplayShard { shard, ahead: Ahead::default(), out }, told)
            })
            .unzip();
        let place = match shards.pop() {
            Some(one) if shards.is_empty() => Place::Here(Box::new(one)),
            last => Place::Threads(shards.into_iter().chain(last).map(Worker::start).collect()),
        };
        Ok((ReplayShards { place }, told))
    }

    /// Gives a command to a shard; a set with the version that it is given, where a journal says that.
    pub fn command(&mut self, shard: usize, command: &RuleCommand, version: Option<u64>) {
        match &mut self.place {
            Place::Here(one) => one.command(command, version),
            Place::Threads(workers) => workers[shard].command(command, version),
        }
    }

    /// The journal that was followed is at its end: what has expired is told now.
    pub fn end_journal(&mut self) {
        match &mut self.place {
            Place::Here(one) => one.end_journal(),
            Place::Threads(workers) => workers.iter_mut().for_each(Worker::end_journal),
        }
    }

    /// Has all shards hand in what they tell of what they were given so far, each in its order.
    pub fn hand_in(&mut self) {
        match &mut self.place {
            Place::Here(one) => one.hand_in(),
            Place::Threads(workers) => workers.iter_mut().for_each(Worker::hand_in),
        }
    }

    /// Ends the shards. Returns the sum of their counts.
    pub fn finish(self) -> ShardCounts {
        match self.place {
            Place::Here(one) => one.finish(),
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
            Place::Here(_) => 1,
            Place::Threads(workers) => workers.len(),
        }
    }

    #[inline]
    fn send(&mut self, shard: usize, event: &MarketEvent) -> bool {
        match &mut self.place {
            Place::Here(one) => one.event(event),
            Place::Threads(workers) => workers[shard].event(event),
        }
        true
    }
}

impl ReplayShard {
    #[inline]
    pub(super) fn event(&mut self, event: &MarketEvent) {
        self.ahead.push(event, &mut self.shard, &mut self.out);
    }

    pub(super) fn command(&mut self, command: &RuleCommand, version: Option<u64>) {
        self.flush();
        if let Some((key, version)) = command.command.key().zip(version) {
            self.shard.next_version(key.symbol, version);
        }
        self.shard.command(command, &mut self.out);
    }

    pub(super) fn end_journal(&mut self) {
        self.flush();
        self.shard.end_journal(&mut self.out);
    }

    pub(super) fn hand_in(&mut self) {
        self.flush();
        self.out.hand_in();
    }

    pub(super) fn finish(mut self) -> ShardCounts {
        self.flush();
        self.shard.counts()
    }

    fn flush(&mut self) {
        self.ahead.flush(&mut self.shard, &mut self.out);
    }
}
