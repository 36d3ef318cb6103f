//! The engine's stages between two sockets, without the sockets: a message's bytes in at the partition, its alert in the log.
//!
//! ```text
//!  message > partition > market ring > matcher agent > alert ring > gateway agent > alert log
//! ```
//!
//! The feed is that of `tick_to_alert`: two repeat rules a symbol, `above 100` and `below 100`, and prints that jump from one side
//! to the other fire one of the two each. Nobody is connected, so the gateway writes to no socket.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hairtrigger::agent::Agent;
use hairtrigger::door::Door;
use hairtrigger::feed::downstream::Downstream;
use hairtrigger::feed::itch::encode::{Head, trade};
use hairtrigger::gateway::agent::GatewayAgent;
use hairtrigger::gateway::settings::GatewaySettings;
use hairtrigger::limits::{ALERT_RING, APPLIED_RING, MARKET_RING, RULE_RING};
use hairtrigger::matcher::agent::{MatcherAgent, MatcherRings};
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::model::{
    Action, Alert, AlertKind, Applied, Command, Comparison, Fire, MarketEvent, Nanos, OnSet, Outcome, Price,
    RuleCommand, RuleKey, RuleSpec, Signal,
};
use hairtrigger::partition::{Partition, Shards};
use hairtrigger::ring::{Receiver, Sender, ring};
use hairtrigger::sys::aside::Aside;
use hairtrigger::sys::clock::Clock;
use hdrhistogram::Histogram;

use super::histogram;
use super::rules::name_of;

/// Prices in 1e-4: on the threshold, above and below.
const PRICES: [u32; 3] = [1_000_000, 1_010_000, 990_000];
/// Where a print has its match number.
const MATCH_NUMBER: std::ops::Range<usize> = 36..44;

/// The one shard as the partition sees it.
pub struct Market(Sender<MarketEvent>);

impl Shards for Market {
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn send(&mut self, _: usize, event: &MarketEvent) -> bool {
        self.0.send(*event)
    }
}

/// The prints: each symbol's three, ready but for the match number.
pub struct Prints {
    messages: Vec<[[u8; 44]; 3]>,
    /// Of each symbol, which of its prints came last.
    last: Vec<u8>,
    /// One in so many fires.
    mix: u64,
    count: u64,
}

impl Prints {
    /// The next one; its number in the feed.
    #[inline]
    pub fn next(&mut self) -> (u64, &[u8]) {
        // Symbols far from each other: a real feed does not come in the order of its symbols either.
        let symbol = (self.count.wrapping_mul(0x9e37_79b9) >> 7) as usize % self.messages.len();
        if self.count.is_multiple_of(self.mix) {
            self.last[symbol] = if self.last[symbol] == 1 { 2 } else { 1 };
        }
        self.count += 1;
        self.message(symbol, usize::from(self.last[symbol]), self.count + self.messages.len() as u64)
    }

    #[inline]
    fn message(&mut self, symbol: usize, price: usize, sequence: u64) -> (u64, &[u8]) {
        let message = &mut self.messages[symbol][price];
        message[MATCH_NUMBER].copy_from_slice(&sequence.to_be_bytes());
        (sequence, message)
    }
}

/// All stages of one run, for one thread or for three.
pub struct Pipeline {
    /// What comes.
    pub prints: Prints,
    /// Takes it.
    pub partition: Partition<Market>,
    /// Matches.
    pub matcher: MatcherAgent,
    /// Logs.
    pub gateway: GatewayAgent,
    /// From `ts_recv` to `ts_log`, in ns.
    pub latency: Arc<Mutex<Histogram<u64>>>,
    /// The other ends of the shard's rings: a ring without its other end is not what is measured.
    pub ends: (Sender<RuleCommand>, Receiver<Applied>),
}

impl Pipeline {
    /// Stages for so many symbols, whose rules are set and which have all traded once. The log goes to `directory`.
    pub fn new(symbols: usize, mix: u64, directory: &Path, clock: &Clock) -> Pipeline {
        let (market, market_end) = ring(MARKET_RING, MarketEvent::new(Action::Clock));
        let no_command = RuleCommand { ordinal: 0, feed_time: 0, command: Command::Remove(RuleKey::NONE, 0) };
        let (mut rules, rules_end) = ring(RULE_RING, no_command);
        let (alerts, alerts_end) = ring(ALERT_RING, Alert::new(AlertKind::Met));
        let outcome = Outcome::ListEnd { cursor: None };
        let no_applied =
            Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: [b' '; 10], alerts: 0, outcome };
        let (applied, mut applied_end) = ring(APPLIED_RING, no_applied);
        let limits = RuleLimits { rules_max: 2 * symbols, account_rules_max: vec![], policies_max: 16, fixed: true };
        let limits = ShardLimits { rules: limits, symbols_max: symbols + 1, orders_max: 16, levels_max: 16 };
        let rings = MatcherRings { market: market_end, rules: rules_end, alerts, applied };
        let mut matcher = MatcherAgent::new(0, Shard::new(limits), rings, clock.clone());
        for (ordinal, command) in (1..).zip(rules_of(symbols)) {
            assert!(rules.send(RuleCommand { ordinal, feed_time: 0, command }), "the ring is drained below");
            matcher.do_work(0);
            applied_end.drain(APPLIED_RING, |_| ());
        }
        let settings = GatewaySettings::new(([127, 0, 0, 1], 0).into(), directory.into(), vec![*b"a     "], vec![]);
        let nobody = Door::alone(vec![]);
        let mut gateway = GatewayAgent::open(settings, nobody, vec![alerts_end], clock.clone(), &Aside::default())
            .expect("the folder can be written");
        let latency = Arc::new(Mutex::new(histogram()));
        gateway.on_logged({
            let latency = Arc::clone(&latency);
            move |ns| latency.lock().expect("nobody panicked").saturating_record(ns)
        });
        let print = |symbol: usize| {
            let head = Head { locate: symbol as u16 + 1, tracking: 0, ts: 34_200_000_000_000 };
            PRICES.map(|price| trade(head, 100, name_of(symbol), price, 0))
        };
        let messages = (0..symbols).map(print).collect();
        let prints = Prints { messages, last: vec![0; symbols], mix, count: 0 };
        let partition = Partition::new(Market(market), Box::new(|_| 0));
        let mut pipeline = Pipeline { prints, partition, matcher, gateway, latency, ends: (rules, applied_end) };
        for symbol in 0..symbols {
            let (sequence, message) = pipeline.prints.message(symbol, 0, symbol as u64 + 1);
            assert!(pipeline.partition.message(sequence, 0, message), "the ring is drained below");
            pipeline.step(clock.now());
        }
        pipeline
    }

    /// The next print, received at `ts_recv`. False: the ring is full; the print is lost.
    #[inline]
    pub fn print(&mut self, ts_recv: Nanos) -> bool {
        let (sequence, message) = self.prints.next();
        self.partition.message(sequence, ts_recv, message)
    }

    /// A duty cycle of matcher and gateway.
    #[inline]
    pub fn step(&mut self, now: Nanos) -> usize {
        self.matcher.do_work(now) + self.gateway.do_work(now)
    }
}

fn rules_of(symbols: usize) -> impl Iterator<Item = Command> {
    let rule = |symbol: usize, slot: u32, comparison| {
        let spec = RuleSpec::new(Signal::Last, comparison, Price(100_000_000_000));
        let spec = RuleSpec { fire: Fire::Repeat, on_set: OnSet::Wait, ..spec };
        Command::Set(RuleKey { user: 1, symbol: name_of(symbol), slot, account: 0 }, spec)
    };
    (0..symbols).flat_map(move |symbol| [rule(symbol, 0, Comparison::Above), rule(symbol, 1, Comparison::Below)])
}
