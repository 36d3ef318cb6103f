//! Feed and shard on one thread, without rings between them: one such thread for each shard.
//!
//! ```text
//!  ticks, all --[block: those of my symbols]--> shard 0 --> tally      one thread
//!  ticks, all --[block: those of my symbols]--> shard 1 --> tally      another
//! ```
//!
//! Every thread reads all ticks and takes those of its symbols, as every engine of a multicast feed does. A change is made
//! between the two ticks that it stands between: on one thread there is nothing to wait for.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use hairtrigger::limits::{EVENTS_PER_CYCLE, FIRINGS_PER_CYCLE};
use hairtrigger::matcher::shard::{Outputs, Shard};
use hairtrigger::model::{Alert, Applied, Nanos, RuleCommand};

use super::input::{Input, define, name_of};
use super::tally::Tally;
use super::{Run, core_of, new_shard, on_core};

/// Ticks that are looked through at a time.
const BLOCK: usize = 4_096;

/// Tallies what the shard tells.
#[derive(Default)]
struct Sink(Tally);

impl Outputs for Sink {
    #[inline]
    fn alert(&mut self, alert: &Alert) {
        self.0.add_alert(alert);
    }

    fn applied(&mut self, _: &Applied) {}

    fn now(&self) -> Nanos {
        0
    }
}

/// Runs all ticks as fast as they go; the first `warmup` of them are not timed. Returns ticks/s and the tally.
pub fn throughput(input: &Input, shards: usize, cores: &[usize], warmup: usize) -> Run {
    let ready = Barrier::new(shards);
    let done: Vec<(Tally, Duration, Instant, Instant)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shards)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || {
                    core_of(cores, number);
                    let mut one = Fused::new(input, number, shards);
                    ready.wait();
                    one.run(0..warmup);
                    // All threads begin the timed part together.
                    ready.wait();
                    let (start, before) = (Instant::now(), on_core());
                    one.run(warmup..input.ticks().len());
                    (one.finish(), on_core().saturating_sub(before), start, Instant::now())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread of the run does not panic")).collect()
    });
    let start = done.iter().map(|(_, _, start, _)| *start).min();
    let end = done.iter().map(|(.., end)| *end).max();
    let elapsed = start.zip(end).map(|(start, end)| end - start).unwrap_or_default();
    let tally = done.iter().fold(Tally::default(), |sum, (one, ..)| sum.plus(*one));
    let on_core = done.iter().map(|(_, on_core, ..)| *on_core).max().unwrap_or_default();
    Run { ticks: input.ticks().len() - warmup, elapsed, on_core, tally }
}

/// One thread's part.
struct Fused<'i> {
    input: &'i Input,
    shard: Shard,
    sink: Sink,
    /// By symbol: 1 if it is this shard's.
    mine: Vec<u8>,
    /// This shard's changes, with the index of the tick that each comes before.
    changes: Vec<(usize, RuleCommand)>,
    /// Of these, how many were made.
    made: usize,
    /// Indexes of this shard's ticks in the current block.
    block: Vec<u32>,
}

impl<'i> Fused<'i> {
    fn new(input: &'i Input, number: usize, shards: usize) -> Fused<'i> {
        let mine: Vec<u8> =
            (0..input.symbols as u32).map(|symbol| u8::from(name_of(symbol).shard(shards) == number)).collect();
        let (mut shard, mut sink) = (new_shard(input), Sink::default());
        for symbol in (0..input.symbols as u32).filter(|symbol| mine[*symbol as usize] == 1) {
            shard.event(&define(symbol), &mut sink);
        }
        let is_mine = |symbol: u32| mine[symbol as usize] == 1;
        for rule in input.rules.iter().filter(|rule| is_mine(rule.symbol)) {
            shard.command(&rule.command(rule.rule), &mut sink);
        }
        let changes: Vec<_> = (1u64..)
            .zip(&input.changes)
            .filter(|(_, change)| is_mine(change.symbol))
            .map(|(ordinal, change)| (change.at as usize, change.command(input.rules.len() as u64 + ordinal)))
            .collect();
        Fused { input, shard, sink, mine, changes, made: 0, block: vec![0; BLOCK + 1] }
    }

    fn run(&mut self, ticks: std::ops::Range<usize>) {
        let mut from = ticks.start;
        while from < ticks.end {
            let to = ticks.end.min(from + BLOCK);
            let count = self.select(from..to);
            for at in (0..count).step_by(EVENTS_PER_CYCLE) {
                self.cycle(at..count.min(at + EVENTS_PER_CYCLE));
            }
            from = to;
        }
    }

    /// Finds this shard's ticks among some: without a branch, which no predictor could learn.
    fn select(&mut self, ticks: std::ops::Range<usize>) -> usize {
        let mut count = 0;
        for (index, tick) in ticks.clone().zip(self.input.ticks_in(ticks)) {
            self.block[count] = index as u32;
            count += usize::from(self.mine[tick.symbol as usize]);
        }
        count
    }

    /// What an agent does in a duty cycle, with the changes in their places.
    fn cycle(&mut self, of_block: std::ops::Range<usize>) {
        self.step();
        while self.shard.room() <= EVENTS_PER_CYCLE {
            self.step();
        }
        for at in of_block {
            let index = self.block[at] as usize;
            while let Some((_, command)) = self.changes.get(self.made).filter(|(before, _)| *before <= index) {
                self.made += 1;
                self.shard.command(command, &mut self.sink);
            }
            self.shard.event(&self.input.tick(index).event(index, 0), &mut self.sink);
        }
    }

    fn step(&mut self) -> usize {
        self.shard.step(FIRINGS_PER_CYCLE, &mut self.sink)
    }

    fn finish(mut self) -> Tally {
        while !self.shard.is_idle() {
            self.step();
        }
        self.sink.0
    }
}
