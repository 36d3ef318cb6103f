//! Latency in an open loop: a tick is due at t0 + index / rate, whatever happened before, and its alerts' latency counts from
//! then to the moment when the alert side holds them. What a late sender or a full ring costs is in it.

use hairtrigger::limits::{EVENTS_PER_CYCLE, FIRINGS_PER_CYCLE};
use hairtrigger::matcher::shard::{Outputs, Shard};
use hairtrigger::model::{Alert, Applied, MarketEvent, Nanos, RuleCommand};
use hairtrigger::sys::clock::Clock;
use hdrhistogram::Histogram;

use super::input::{Input, define};
use super::new_shard;
use super::tally::Tally;

/// The longest latency that is told apart, in ns: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// What ticks and changes go into.
pub trait Lane {
    /// Hands over a tick.
    fn tick(&mut self, symbol: u32, event: &MarketEvent);
    /// Makes a change, between the ticks before and after it; returns when it is in force.
    fn change(&mut self, symbol: u32, command: &RuleCommand);
    /// Lets the stages on this thread work.
    fn poll(&mut self);
}

/// An empty histogram of nanoseconds, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, 3).expect("the bounds are constants that it takes")
}

/// What came out.
pub struct Seen {
    /// All alerts.
    pub tally: Tally,
    /// Latency in ns of those after the warm-up.
    pub latency: Histogram<u64>,
}

/// Who receives alerts, and reads the clock when it holds one.
pub struct AlertSide {
    clock: Clock,
    /// The last tick's sequence that is not measured.
    warmup: u64,
    seen: Seen,
}

impl AlertSide {
    /// Measures alerts of ticks after `warmup`.
    pub fn new(clock: Clock, warmup: u64) -> AlertSide {
        AlertSide { clock, warmup, seen: Seen { tally: Tally::default(), latency: histogram() } }
    }

    /// Takes one alert.
    #[inline]
    pub fn take(&mut self, alert: &Alert) {
        if alert.ts_recv != 0 && alert.sequence > self.warmup {
            self.seen.latency.saturating_record(self.clock.now().saturating_sub(alert.ts_recv));
        }
        self.seen.tally.add_alert(alert);
    }

    /// What came.
    pub fn seen(self) -> Seen {
        self.seen
    }
}

/// At what pace, and what of it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Ticks a second.
    pub rate: u64,
    /// Ticks in all.
    pub ticks: usize,
    /// The first ones, which are not measured.
    pub warmup: usize,
}

/// Sends all ticks when they are due, and the changes right before theirs. Returns the changes' latency, due to in force.
pub fn open_loop(lane: &mut impl Lane, input: &Input, pace: Pace, clock: &Clock) -> Histogram<u64> {
    let mut in_force = histogram();
    let mut changes = input.changes.iter().zip(input.rules.len() as u64 + 1..).peekable();
    let start = clock.now() + 1_000_000;
    for (index, tick) in input.ticks_in(0..pace.ticks).enumerate() {
        let due = start + (index as u128 * 1_000_000_000 / u128::from(pace.rate)) as Nanos;
        while clock.now() < due {
            lane.poll();
        }
        while let Some((change, ordinal)) = changes.next_if(|(change, _)| change.at as usize <= index) {
            lane.change(change.symbol, &change.command(ordinal));
            if index >= pace.warmup {
                in_force.saturating_record(clock.now().saturating_sub(due));
            }
        }
        lane.tick(tick.symbol, &tick.event(index, due));
        lane.poll();
    }
    in_force
}

/// Feed side, shard and alert side on one thread, without rings.
pub struct Direct {
    shard: Shard,
    out: DirectOut,
}

struct DirectOut {
    side: AlertSide,
}

impl Outputs for DirectOut {
    #[inline]
    fn alert(&mut self, alert: &Alert) {
        self.side.take(alert);
    }

    fn applied(&mut self, _: &Applied) {}

    fn now(&self) -> Nanos {
        self.side.clock.now()
    }
}

impl Direct {
    /// One shard with the rules set.
    pub fn new(input: &Input, side: AlertSide) -> Direct {
        let mut direct = Direct { shard: new_shard(input), out: DirectOut { side } };
        for symbol in 0..input.symbols as u32 {
            direct.tick(symbol, &define(symbol));
        }
        for rule in &input.rules {
            direct.change(rule.symbol, &rule.command(rule.rule));
        }
        direct
    }

    /// Fires what is left. Returns what came out.
    pub fn finish(mut self) -> Seen {
        while !self.shard.is_idle() {
            self.poll();
        }
        self.out.side.seen()
    }
}

impl Lane for Direct {
    #[inline]
    fn tick(&mut self, _: u32, event: &MarketEvent) {
        while self.shard.room() <= EVENTS_PER_CYCLE {
            self.poll();
        }
        self.shard.event(event, &mut self.out);
    }

    fn change(&mut self, _: u32, command: &RuleCommand) {
        self.shard.command(command, &mut self.out);
    }

    #[inline]
    fn poll(&mut self) {
        self.shard.step(FIRINGS_PER_CYCLE, &mut self.out);
    }
}
