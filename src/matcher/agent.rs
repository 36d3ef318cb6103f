//! A shard between its rings.
//!
//! What the shard says goes straight to a ring; what finds that full waits in a pending queue, which holds what one duty cycle
//! can make, and while something waits the shard takes nothing. So a full ring stops the shard, the shard's full market ring
//! stops the feed, and nothing is lost or waited for in a loop.

use std::collections::VecDeque;

use super::ahead::Ahead;
use super::shard::{Outputs, Shard, ShardCounts};
use crate::agent::Agent;
use crate::limits::{COMMANDS_PER_CYCLE, EVENTS_PER_CYCLE, FIRINGS_PER_CYCLE, PENDING_MAX, STANDINGS_PER_SLICE};
use crate::model::{Alert, Applied, Command, MarketEvent, Nanos, RuleCommand};
use crate::ring::{Receiver, Sender};
use crate::sys::clock::Clock;
use crate::sys::memory::reserved;

/// What a cycle can tell: its budget; an event 1, a command 2 (a rule ends, another fires), a command that waited behind a storm 1,
/// since the budget is charged for the other; the end of a walk; and where a slice of the symbols stands.
const TOLD_MAX: usize = EVENTS_PER_CYCLE + 2 * COMMANDS_PER_CYCLE + 2 * FIRINGS_PER_CYCLE + 1 + STANDINGS_PER_SLICE;
const _: () = assert!(PENDING_MAX >= TOLD_MAX);

/// The rings of a shard.
pub struct MatcherRings {
    /// From the feed.
    pub market: Receiver<MarketEvent>,
    /// From control.
    pub rules: Receiver<RuleCommand>,
    /// To the gateway.
    pub alerts: Sender<Alert>,
    /// To control.
    pub applied: Sender<Applied>,
}

/// The agent of a shard.
pub struct MatcherAgent {
    name: String,
    shard: Shard,
    ahead: Ahead,
    market: Receiver<MarketEvent>,
    rules: Receiver<RuleCommand>,
    /// Taken in this cycle.
    commands: Vec<RuleCommand>,
    out: Out,
}

/// One way out of a shard: a ring, and what waits for it.
struct Way<T> {
    ring: Sender<T>,
    pending: VecDeque<T>,
}

impl<T: Copy> Way<T> {
    fn new(ring: Sender<T>) -> Way<T> {
        Way { ring, pending: reserved(PENDING_MAX).into() }
    }

    #[inline]
    fn send(&mut self, value: &T) {
        if !self.pending.is_empty() || !self.ring.send(*value) {
            debug_assert!(self.pending.len() < PENDING_MAX, "more was told than there was room for");
            self.pending.push_back(*value);
        }
    }

    fn flush(&mut self) -> usize {
        let before = self.pending.len();
        while self.pending.front().is_some_and(|value| self.ring.send(*value)) {
            self.pending.pop_front();
        }
        before - self.pending.len()
    }
}

struct Out {
    alerts: Way<Alert>,
    /// Alerts so far.
    told: u64,
    applied: Way<Applied>,
    clock: Clock,
}

impl Outputs for Out {
    #[inline]
    fn alert(&mut self, alert: &Alert) {
        self.told += 1;
        self.alerts.send(alert);
    }

    #[inline]
    fn applied(&mut self, applied: &Applied) {
        self.applied.send(&Applied { alerts: self.told, ..*applied });
    }

    #[inline]
    fn now(&self) -> Nanos {
        self.clock.now()
    }
}

impl MatcherAgent {
    /// Shard number `number` between its rings.
    pub fn new(number: usize, shard: Shard, rings: MatcherRings, clock: Clock) -> MatcherAgent {
        let MatcherRings { market, rules, alerts, applied } = rings;
        let out = Out { alerts: Way::new(alerts), told: 0, applied: Way::new(applied), clock };
        let (name, commands) = (format!("matcher-{number}"), Vec::with_capacity(COMMANDS_PER_CYCLE));
        MatcherAgent { name, shard, ahead: Ahead::default(), market, rules, commands, out }
    }

    /// What the shard counted so far.
    pub fn counts(&self) -> ShardCounts {
        self.shard.counts()
    }

    /// True when a ring is full and something waits for it.
    fn is_held_up(&self) -> bool {
        !self.out.alerts.pending.is_empty() || !self.out.applied.pending.is_empty()
    }
}

impl Agent for MatcherAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self, _now: Nanos) -> usize {
        let mut work = self.out.alerts.flush() + self.out.applied.flush();
        if self.is_held_up() {
            return work;
        }
        let (shard, out) = (&mut self.shard, &mut self.out);
        work += shard.step(FIRINGS_PER_CYCLE, out);
        if shard.room() > EVENTS_PER_CYCLE {
            let ahead = &mut self.ahead;
            work += self.market.drain(EVENTS_PER_CYCLE, |event| ahead.push(event, shard, out));
            ahead.flush(shard, out);
        }
        if shard.room() > COMMANDS_PER_CYCLE && shard.walk_room() >= COMMANDS_PER_CYCLE {
            let commands = &mut self.commands;
            commands.clear();
            work += self.rules.drain(COMMANDS_PER_CYCLE, |command| commands.push(*command));
            shard.look_ahead(commands);
            for command in commands.iter() {
                match command.command {
                    // The end of all: when nothing is on its way to the shard any more, and nothing waits in it.
                    Command::Tell { cursor, all: true } if !(self.market.is_empty() && shard.is_idle()) => {
                        shard.put_off_telling(cursor, out);
                    }
                    _ => shard.command(command, out),
                }
            }
        }
        work
    }

    /// Nothing is left when no symbol is being fired, no walk is under way and the alert ring took all. Control is closed by now, and
    /// may have given up before it had all outcomes: it takes no more.
    fn close(&mut self, _now: Nanos) -> bool {
        self.out.alerts.flush();
        self.out.applied.pending.clear();
        !self.is_held_up() && self.shard.is_idle() && self.market.is_empty() && self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::shard::ShardLimits;
    use crate::model::{Action, AlertKind, Outcome, RuleKey, Symbol};
    use crate::ring::ring;

    struct House {
        market: Sender<MarketEvent>,
        rules: Sender<RuleCommand>,
        applied: Receiver<Applied>,
        _alerts: Receiver<Alert>,
        agent: MatcherAgent,
    }

    fn command(command: Command) -> RuleCommand {
        RuleCommand { ordinal: 0, feed_time: 0, command }
    }

    fn house() -> House {
        let outcome = Outcome::Told { cursor: None };
        let nothing = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: [0; 10], alerts: 0, outcome };
        let (market, market_end) = ring(1 << 12, MarketEvent::new(Action::Clock));
        let (rules, rules_end) = ring(64, command(Command::Remove(RuleKey::NONE, 0)));
        let (alerts, alerts_end) = ring(64, Alert::new(AlertKind::Met));
        let (applied, applied_end) = ring(64, nothing);
        let rings = MatcherRings { market: market_end, rules: rules_end, alerts, applied };
        let agent = MatcherAgent::new(0, Shard::new(ShardLimits::growing()), rings, Clock::simulated(1));
        let mut house = House { market, rules, applied: applied_end, _alerts: alerts_end, agent };
        let symbol: Symbol = "AA".parse().unwrap();
        house.market(MarketEvent::new(Action::Session).with_session(*b"S000000001"));
        house.market(MarketEvent { locate: 1, second_ref: symbol.0, ..MarketEvent::new(Action::Define) });
        house.market(print(1));
        house
    }

    fn print(sequence: u64) -> MarketEvent {
        MarketEvent { locate: 1, sequence, price: 60, size: 1, ..MarketEvent::new(Action::Trade) }
    }

    impl House {
        fn market(&mut self, event: MarketEvent) {
            assert!(self.market.send(event));
        }

        /// Asks where symbols stand. True when it was told, false when that was put off.
        fn is_told(&mut self, all: bool) -> bool {
            assert!(self.rules.send(command(Command::Tell { cursor: 0, all })));
            self.agent.do_work(0);
            let mut told = vec![];
            self.applied.drain(64, |applied| told.push(applied.outcome));
            match told[..] {
                [Outcome::Told { cursor: Some(0) }] => false,
                [Outcome::Standing { .. }, Outcome::Told { cursor: None }] => true,
                _ => panic!("{told:?}"),
            }
        }
    }

    #[test]
    fn all_is_told_only_when_nothing_is_on_its_way() {
        let mut house = house();
        assert!(house.is_told(false));
        (2..EVENTS_PER_CYCLE as u64 + 3).for_each(|sequence| house.market(print(sequence)));
        assert!(!house.is_told(true), "a cycle does not take all of the market ring");
        assert!(house.is_told(true));
    }

    /// Found by the simulation: control gives up after its deadline, and then the shard waited for it for ever.
    #[test]
    fn what_control_has_not_taken_keeps_no_shard_from_closing() {
        let mut house = house();
        // Until outcomes have no way out, and so commands none in.
        while house.rules.send(command(Command::Remove(RuleKey::NONE, 0))) {
            house.agent.do_work(0);
        }
        assert!((0..100).any(|_| house.agent.do_work(0) == 0 && house.agent.close(0)), "it waits for control");
    }
}
