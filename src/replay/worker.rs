//! A shard on a thread of its own, and the blocks of work that go to it and come back empty.
//!
//! A block at a time: to hand over single events cost the reading thread more than to decode and route them.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::shards::ReplayShard;
use crate::limits::{REPLAY_BLOCK, REPLAY_BLOCKS_AHEAD};
use crate::matcher::shard::ShardCounts;
use crate::model::{MarketEvent, RuleCommand};

/// The end that gives work.
pub struct Worker {
    /// What is being filled.
    block: Block,
    work: SyncSender<Work>,
    /// Blocks that the shard has emptied.
    empty: Receiver<Block>,
    thread: JoinHandle<ShardCounts>,
}

/// What goes to a shard's thread.
enum Work {
    Block(Block),
    /// The journal that was followed is at its end.
    EndJournal,
    /// Hand in what was told.
    HandIn,
}

/// Events in order, and the commands among them.
struct Block {
    events: Vec<MarketEvent>,
    /// Each with the number of events before it, and the version that it is given.
    commands: Vec<(usize, RuleCommand, Option<u64>)>,
}

impl Block {
    fn new() -> Block {
        Block { events: Vec::with_capacity(REPLAY_BLOCK), commands: vec![] }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.commands.is_empty()
    }
}

impl Worker {
    /// Gives a shard its thread.
    pub fn start(mut shard: ReplayShard) -> Worker {
        let (work, todo) = sync_channel(REPLAY_BLOCKS_AHEAD);
        let (emptied, empty) = channel();
        let thread = std::thread::spawn(move || {
            for work in todo {
                match work {
                    Work::Block(mut block) => {
                        carry_out(&mut block, &mut shard);
                        // At the end nobody fills blocks any more.
                        drop(emptied.send(block));
                    }
                    Work::EndJournal => shard.end_journal(),
                    Work::HandIn => shard.hand_in(),
                }
            }
            shard.finish()
        });
        Worker { block: Block::new(), work, empty, thread }
    }

    /// Gives it an event.
    #[inline]
    pub fn event(&mut self, event: &MarketEvent) {
        self.block.events.push(*event);
        if self.block.events.len() == REPLAY_BLOCK {
            self.send_block();
        }
    }

    /// Gives it a command.
    pub fn command(&mut self, command: &RuleCommand, version: Option<u64>) {
        self.block.commands.push((self.block.events.len(), *command, version));
        if self.block.commands.len() == REPLAY_BLOCK {
            self.send_block();
        }
    }

    /// The journal that was followed is at its end.
    pub fn end_journal(&mut self) {
        self.send(Work::EndJournal);
    }

    /// Has it hand in what it told so far. Does not wait for it.
    pub fn hand_in(&mut self) {
        self.send(Work::HandIn);
    }

    /// Ends it, when it has done all that it was given.
    pub fn finish(mut self) -> ShardCounts {
        self.send_block();
        drop(self.work);
        self.thread.join().expect("a worker does not panic")
    }

    fn send(&mut self, work: Work) {
        if !self.block.is_empty() {
            self.send_block();
        }
        self.work.send(work).expect("a worker ends only when nothing more can come");
    }

    /// Waits while the shard has enough to do.
    #[cold]
    fn send_block(&mut self) {
        let next = self.empty.try_recv().unwrap_or_else(|_| Block::new());
        let full = std::mem::replace(&mut self.block, next);
        self.work.send(Work::Block(full)).expect("a worker ends only when nothing more can come");
    }
}

fn carry_out(block: &mut Block, shard: &mut ReplayShard) {
    let mut from = 0;
    for (at, command, version) in block.commands.drain(..) {
        block.events[from..at].iter().for_each(|event| shard.event(event));
        shard.command(&command, version);
        from = at;
    }
    block.events[from..].iter().for_each(|event| shard.event(event));
    block.events.clear();
}
