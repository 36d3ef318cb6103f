//! A shard between its rings.
//!
//! What the shard says goes straight to a ring; what finds that full waits in a pending queue. While an alert waits the shard takes
//! nothing; while an outcome waits it takes events, but no commands, and no walk goes on: prices do not wait for a disk. So a full
//! ring stops the shard, the shard's full market ring stops the feed, and nothing is lost or waited for in a loop.

use std::collections::VecDeque;

use super::ahead::{AHEAD, Ahead};
use super::shard::{Outputs, Shard, ShardCounts};
use crate::agent::Agent;
use crate::limits::{
    COMMANDS_PER_CYCLE, EVENTS_PER_CYCLE, FIRINGS_KEPT, FIRINGS_PER_CYCLE, PENDING_MAX, RULE_RING, STANDINGS_PER_SLICE,
};
use crate::model::{Alert, Applied, Command, MarketEvent, Nanos, RuleCommand};
use crate::ring::{Receiver, Sender};
use crate::sys::clock::Clock;
use crate::sys::memory::reserved;

/// What a cycle can tell: its budget; an event 1, a command 2 (a rule ends, another fires), a command that waited behind a storm 1,
/// since the budget is charged for the other; the end of a walk; and where a slice of the symbols stands.
const TOLD_MAX: usize = EVENTS_PER_CYCLE + 2 * COMMANDS_PER_CYCLE + 2 * FIRINGS_PER_CYCLE + 1 + STANDINGS_PER_SLICE;
const _: () = assert!(PENDING_MAX >= TOLD_MAX);
// Of two drains of the queue that looks ahead, two entries an event.
const _: () = assert!(FIRINGS_KEPT >= 2 * 2 * AHEAD);
/// Outcomes that may wait: those of commands that were taken before, as many as control has under way, and of one duty cycle.
const OUTCOMES_MAX: usize = RULE_RING + PENDING_MAX;

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
    pending_max: usize,
}

impl<T: Copy> Way<T> {
    fn new(ring: Sender<T>, pending_max: usize) -> Way<T> {
        Way { ring, pending: reserved(pending_max).into(), pending_max }
    }

    /// True when the ring is full and something waits for it.
    fn is_held_up(&self) -> bool {
        !self.pending.is_empty()
    }

    #[inline]
    fn send(&mut self, value: &T) {
        if !self.pending.is_empty() || !self.ring.send(*value) {
            debug_assert!(self.pending.len() < self.pending_max, "more was told than there was room for");
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
    fn takes_walks(&self) -> bool {
        !self.applied.is_held_up()
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
        let (alerts, applied) = (Way::new(alerts, PENDING_MAX), Way::new(applied, OUTCOMES_MAX));
        let out = Out { alerts, told: 0, applied, clock };
        let (name, commands) = (format!("matcher-{number}"), Vec::with_capacity(COMMANDS_PER_CYCLE));
        MatcherAgent { name, shard, ahead: Ahead::default(), market, rules, commands, out }
    }

    /// What the shard counted so far.
    pub fn counts(&self) -> ShardCounts {
        self.shard.counts()
    }
}

impl Agent for MatcherAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self, _now: Nanos) -> usize {
        let mut work = self.out.alerts.flush() + self.out.applied.flush();
        if self.out.alerts.is_held_up() {
            return work;
        }
        let takes_commands = !self.out.applied.is_held_up();
        let (shard, out) = (&mut self.shard, &mut self.out);
        work += shard.step(FIRINGS_PER_CYCLE, out);
        if shard.room() > EVENTS_PER_CYCLE {
            let ahead = &mut self.ahead;
            let mut taken = 0;
            // An event that found no budget left would be worked off as a storm is: by turns, a slice a cycle.
            while taken < EVENTS_PER_CYCLE && shard.firings_left() >= FIRINGS_KEPT {
                let count = self.market.drain(AHEAD, |event| ahead.push(event, shard, out));
                taken += count;
                if count < AHEAD {
                    break;
                }
            }
            ahead.flush(shard, out);
            work += taken;
        }
        if takes_commands && shard.room() > COMMANDS_PER_CYCLE && shard.walk_room() >= COMMANDS_PER_CYCLE {
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
        !self.out.alerts.is_held_up() && self.shard.is_idle() && self.market.is_empty() && self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::shard::ShardLimits;
    use crate::model::{Action, AlertKind, Comparison, Outcome, Price, RuleKey, RuleSpec, Signal, Symbol};
    use crate::ring::ring;

    struct House {
        market: Sender<MarketEvent>,
        rules: Sender<RuleCommand>,
        applied: Receiver<Applied>,
        alerts: Receiver<Alert>,
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
        let mut house = House { market, rules, applied: applied_end, alerts: alerts_end, agent };
        let symbol: Symbol = "AA".parse().unwrap();
        house.market(MarketEvent::new(Action::Session).with_session(*b"S000000001"));
        house.market(MarketEvent { locate: 1, second_ref: symbol.0, ..MarketEvent::new(Action::Define) });
        house.market(print(1));
        house
    }

    fn print(sequence: u64) -> MarketEvent {
        MarketEvent { locate: 1, sequence, price: 60, size: 1, ..MarketEvent::new(Action::Trade) }
    }

    /// Prices do not wait for who is slow to take outcomes.
    #[test]
    fn rules_fire_while_outcomes_wait_and_no_walk_or_command_goes_on() {
        const RULES: u32 = 100;
        let mut house = house();
        let key = |account, slot| RuleKey { user: 1, symbol: "AA".parse().unwrap(), slot, account };
        let spec = |threshold| RuleSpec::new(Signal::Last, Comparison::Below, Price(threshold));
        let take = |house: &mut House, what: Command| {
            assert!(house.rules.send(command(what)));
            house.agent.do_work(0);
        };
        for slot in 0..RULES {
            take(&mut house, Command::Set(key(1, slot), spec(1)));
            house.applied.drain(64, |_| ());
        }
        take(&mut house, Command::Set(key(2, 0), spec(50)));
        take(&mut house, Command::RemoveUser { account: 1, user: 1 });
        (0..10).for_each(|_| _ = house.agent.do_work(0));
        take(&mut house, Command::Set(key(3, 0), spec(1)));
        house.alerts.drain(64, |_| ());
        house.market(MarketEvent { price: 40, ..print(2) });
        house.agent.do_work(0);
        let mut fired = vec![];
        house.alerts.drain(64, |alert| fired.extend((alert.kind == AlertKind::Alert).then_some(alert.key.account)));
        assert_eq!(fired, [2]);
        let mut told = vec![];
        for _ in 0..20 {
            house.applied.drain(64, |applied| told.push(applied.outcome));
            house.agent.do_work(0);
            house.alerts.drain(64, |_| ());
        }
        let removed = told.iter().filter(|outcome| matches!(outcome, Outcome::UserRuleRemoved { .. })).count();
        assert_eq!(removed, RULES as usize);
        let ends =
            told.iter().rev().take(2).filter(|outcome| matches!(outcome, Outcome::UserRemoved { count: 100 })).count();
        assert_eq!((ends, told.len()), (1, RULES as usize + 3));
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
