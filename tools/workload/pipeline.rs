//! The engine's own stages in process: a feed side, rings, shards, rings, an alert side.
//!
//! ```text
//!           market ring, rule ring                 alert ring
//!  ticks --------------------------> MatcherAgent ------------> tally, latency      1 core:  all on one thread
//!  changes  <-- applied ring ------       per shard                                 2 cores: feed and shards | alert side
//!                                                                                   more:    feed | shard each | alert side
//! ```
//!
//! Events and commands reach a shard through two rings, whose order among each other is free. A change must stand between two
//! given ticks here, so it is fenced: the feed waits until the shard has taken all ticks before it, and then for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Instant;

use hairtrigger::agent::Agent;
use hairtrigger::limits::{ALERT_RING, ALERTS_PER_CYCLE, APPLIED_RING, EVENTS_PER_CYCLE, MARKET_RING, RULE_RING};
use hairtrigger::matcher::agent::{MatcherAgent, MatcherRings};
use hairtrigger::model::{Action, Alert, AlertKind, Applied, Command, MarketEvent, Outcome, Refusal, RuleCommand};
use hairtrigger::ring::{Receiver, Sender, ring};
use hairtrigger::sys::clock::Clock;

use super::input::{Input, define, name_of};
use super::latency::{AlertSide, Lane, Seen};
use super::{Run, core_of, new_shard, on_core};

/// Runs all ticks as fast as they go; the first `warmup` of them are not timed.
pub fn throughput(input: &Input, shards: usize, cores: &[usize], warmup: usize) -> Run {
    std::thread::scope(|scope| {
        let mut pipe = Pipe::new(scope, input, shards, cores, AlertSide::new(Clock::machine(), u64::MAX));
        let mut changes = input.changes.iter().zip(input.rules.len() as u64 + 1..).peekable();
        let (mut start, mut before) = (Instant::now(), on_core());
        for (index, tick) in input.ticks().enumerate() {
            if index == warmup {
                (start, before) = (Instant::now(), on_core());
            }
            while let Some((change, ordinal)) = changes.next_if(|(change, _)| change.at as usize <= index) {
                pipe.change(change.symbol, &change.command(ordinal));
            }
            pipe.tick(tick.symbol, &tick.event(index, 0));
            if index % EVENTS_PER_CYCLE == 0 {
                pipe.poll();
            }
        }
        let seen = pipe.finish();
        let on_core = on_core().saturating_sub(before);
        Run { ticks: input.ticks().len() - warmup, elapsed: start.elapsed(), on_core, tally: seen.tally }
    })
}

/// The feed's end of a shard.
struct Door {
    market: Sender<MarketEvent>,
    rules: Sender<RuleCommand>,
    applied: Receiver<Applied>,
    /// Events sent.
    sent: u64,
    /// Events that the shard has taken.
    taken: Arc<AtomicU64>,
}

/// All stages of one run.
pub struct Pipe<'scope> {
    doors: Vec<Door>,
    /// Shard of each symbol.
    shard_of: Vec<usize>,
    /// Agents on this thread.
    here: Vec<(MatcherAgent, Arc<AtomicU64>)>,
    /// Shards on threads of their own.
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    /// The alert side on this thread, or on its own.
    alerts: Result<Alerts, ScopedJoinHandle<'scope, Seen>>,
    /// The feed has ended; then the shards have.
    feed_ended: Arc<AtomicBool>,
    shards_ended: Arc<AtomicBool>,
}

/// The receiving ends of the alert rings, and what is noted of what they bring.
struct Alerts {
    rings: Vec<Receiver<Alert>>,
    side: AlertSide,
}

impl Alerts {
    fn drain(&mut self) -> usize {
        let Alerts { rings, side } = self;
        rings.iter_mut().map(|ring| ring.drain(ALERTS_PER_CYCLE, |alert| side.take(alert))).sum()
    }
}

impl<'scope> Pipe<'scope> {
    /// Starts the stages and sets the rules.
    pub fn new(
        scope: &'scope Scope<'scope, '_>,
        input: &Input,
        shards: usize,
        cores: &[usize],
        side: AlertSide,
    ) -> Pipe<'scope> {
        core_of(cores, 0);
        let mut pipe = Pipe {
            doors: vec![],
            shard_of: (0..input.symbols as u32).map(|symbol| name_of(symbol).shard(shards)).collect(),
            here: vec![],
            threads: vec![],
            alerts: Ok(Alerts { rings: vec![], side }),
            feed_ended: Arc::default(),
            shards_ended: Arc::default(),
        };
        let mut rings = vec![];
        for number in 0..shards {
            let (agent, door, alerts) = stages(number, input);
            rings.push(alerts);
            let taken = Arc::clone(&door.taken);
            pipe.doors.push(door);
            // The feed and the alert side have a core each before any shard has.
            match cores.get(2 + number % cores.len().saturating_sub(2).max(1)) {
                None => pipe.here.push((agent, taken)),
                Some(core) => pipe.start_shard(scope, agent, taken, *core),
            }
        }
        if let Ok(alerts) = &mut pipe.alerts {
            alerts.rings = rings;
        }
        if let Some(core) = cores.get(1) {
            pipe.start_alert_side(scope, *core);
        }
        for symbol in 0..input.symbols as u32 {
            pipe.tick(symbol, &define(symbol));
        }
        for rule in &input.rules {
            pipe.change(rule.symbol, &rule.command(rule.rule));
        }
        pipe
    }

    fn start_shard(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        mut agent: MatcherAgent,
        taken: Arc<AtomicU64>,
        core: usize,
    ) {
        let ended = Arc::clone(&self.feed_ended);
        self.threads.push(scope.spawn(move || {
            core_of(&[core], 0);
            loop {
                let last = ended.load(Ordering::Acquire);
                let work = agent.do_work(0);
                taken.store(agent.counts().events, Ordering::Release);
                if work == 0 && last && agent.close(0) {
                    return;
                }
                std::hint::spin_loop();
            }
        }));
    }

    fn start_alert_side(&mut self, scope: &'scope Scope<'scope, '_>, core: usize) {
        let idle = Alerts { rings: vec![], side: AlertSide::new(Clock::simulated(0), 0) };
        let Ok(mut alerts) = std::mem::replace(&mut self.alerts, Ok(idle)) else { return };
        let ended = Arc::clone(&self.shards_ended);
        self.alerts = Err(scope.spawn(move || {
            core_of(&[core], 0);
            loop {
                let last = ended.load(Ordering::Acquire);
                if alerts.drain() == 0 && last {
                    return alerts.side.seen();
                }
                std::hint::spin_loop();
            }
        }));
    }

    /// Ends all stages in the order of the flow. Returns what the alert side saw.
    pub fn finish(mut self) -> Seen {
        self.feed_ended.store(true, Ordering::Release);
        while !self.here.iter_mut().all(|(agent, _)| agent.do_work(0) == 0 && agent.close(0)) {
            self.poll();
        }
        for thread in self.threads.drain(..) {
            thread.join().expect("a shard's thread does not panic");
        }
        self.shards_ended.store(true, Ordering::Release);
        match self.alerts {
            Err(thread) => thread.join().expect("the alert side's thread does not panic"),
            Ok(mut alerts) => {
                while alerts.drain() > 0 {}
                alerts.side.seen()
            }
        }
    }
}

impl Lane for Pipe<'_> {
    #[inline]
    fn tick(&mut self, symbol: u32, event: &MarketEvent) {
        let shard = self.shard_of[symbol as usize];
        while !self.doors[shard].market.send(*event) {
            self.poll();
        }
        self.doors[shard].sent += 1;
    }

    fn change(&mut self, symbol: u32, command: &RuleCommand) {
        let shard = self.shard_of[symbol as usize];
        while self.doors[shard].taken.load(Ordering::Acquire) < self.doors[shard].sent {
            self.poll();
        }
        while !self.doors[shard].rules.send(*command) {
            self.poll();
        }
        let mut answered = 0;
        while answered == 0 {
            self.poll();
            answered = self.doors[shard].applied.drain(1, check);
        }
    }

    #[inline]
    fn poll(&mut self) {
        for (agent, taken) in &mut self.here {
            if agent.do_work(0) > 0 {
                taken.store(agent.counts().events, Ordering::Relaxed);
            }
        }
        if let Ok(alerts) = &mut self.alerts {
            alerts.drain();
        }
    }
}

/// A remove of a rule that has fired finds none: nothing else may be refused.
fn check(applied: &Applied) {
    let fine = !matches!(applied.outcome, Outcome::Refused(refusal) if refusal != Refusal::UnknownKey);
    assert!(fine, "command {} was refused: {:?}", applied.ordinal, applied.outcome);
}

/// A shard's agent, the feed's end of its rings, and the alert side's.
fn stages(number: usize, input: &Input) -> (MatcherAgent, Door, Receiver<Alert>) {
    let nothing = RuleCommand { ordinal: 0, feed_time: 0, command: Command::RemoveUser { account: 0, user: 0 } };
    let unanswered = Applied {
        ordinal: 0,
        sequence: 0,
        feed_time: 0,
        feed_session: [b' '; 10],
        alerts: 0,
        outcome: Outcome::UserRemoved { count: 0 },
    };
    let (market, market_end) = ring(MARKET_RING, MarketEvent::new(Action::Clock));
    let (rules, rules_end) = ring(RULE_RING, nothing);
    let (alerts_end, alerts) = ring(ALERT_RING, Alert::new(AlertKind::Alert));
    let (applied_end, applied) = ring(APPLIED_RING, unanswered);
    let rings = MatcherRings { market: market_end, rules: rules_end, alerts: alerts_end, applied: applied_end };
    let agent = MatcherAgent::new(number, new_shard(input), rings, Clock::machine());
    (agent, Door { market, rules, applied, sent: 0, taken: Arc::default() }, alerts)
}
