//! A storm against an alert side that stands still: a print fires 100,000 rules and nobody takes the alerts. Ring after
//! ring fills, the shard holds, the feed holds; when the alerts are taken again everything goes on, nothing is missing and
//! the order is exact. All of it is stepped by hand: the same on every run and on every machine.

use hairtrigger::agent::Agent;
use hairtrigger::feed::arbiter::Arbiter;
use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::feed::moldudp64::Header;
use hairtrigger::feed::settings::{ArbiterSettings, Join, Line};
use hairtrigger::limits::{ALERT_RING, HELD_MAX, MARKET_RING, PENDING_MAX, REORDER_WINDOW};
use hairtrigger::matcher::agent::{MatcherAgent, MatcherRings};
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::model::{
    Action, Alert, AlertKind, Applied, Command, Comparison, MarketEvent, Outcome, Price, RuleCommand, RuleKey,
    RuleSpec, Signal, Symbol,
};
use hairtrigger::partition::{Partition, Shards};
use hairtrigger::ring::{Receiver, Sender, ring};
use hairtrigger::sys::clock::Clock;

const RULES: u64 = 100_000;
/// Orders that are deleted behind the print: more than all the places where they can wait.
const FLOOD: u64 = (HELD_MAX + MARKET_RING + 2 * REORDER_WINDOW) as u64;
const SESSION: [u8; 10] = *b"STORM00001";

struct OneShard(Sender<MarketEvent>);

impl Shards for OneShard {
    fn count(&self) -> usize {
        1
    }

    fn send(&mut self, _shard: usize, event: &MarketEvent) -> bool {
        self.0.send(*event)
    }
}

/// From the feed's packets to the alert ring.
struct House {
    clock: Clock,
    arbiter: Arbiter,
    partition: Partition<OneShard>,
    rules: Sender<RuleCommand>,
    matcher: MatcherAgent,
    alerts: Receiver<Alert>,
    applied: Receiver<Applied>,
    /// Sequence of the next packet.
    next: u64,
    answers: Vec<Applied>,
}

impl House {
    fn new() -> House {
        let none = RuleCommand { ordinal: 0, feed_time: 0, command: Command::Remove(RuleKey::NONE, 0) };
        let outcome = Outcome::Removed { version: 0 };
        let nothing = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: [0; 10], alerts: 0, outcome };
        let (market_in, market) = ring(MARKET_RING, MarketEvent::new(Action::Clock));
        let (rules_in, rules) = ring(1 << 13, none);
        let (alerts, alerts_out) = ring(ALERT_RING, Alert::new(AlertKind::Met));
        let (applied, applied_out) = ring(1 << 13, nothing);
        let rule_limits =
            RuleLimits { rules_max: 1 << 17, account_rules_max: vec![u32::MAX], policies_max: 16, fixed: true };
        let limits = ShardLimits { rules: rule_limits, symbols_max: 16, orders_max: 1 << 18, levels_max: 1 << 12 };
        let clock = Clock::simulated(1);
        let rings = MatcherRings { market, rules, alerts, applied };
        let settings = ArbiterSettings { join: Join::At(1), ..ArbiterSettings::default() };
        House {
            arbiter: Arbiter::new(settings),
            partition: Partition::new(OneShard(market_in), Box::new(|_| 0)),
            rules: rules_in,
            matcher: MatcherAgent::new(0, Shard::new(limits), rings, clock.clone()),
            alerts: alerts_out,
            applied: applied_out,
            clock,
            next: 1,
            answers: vec![],
        }
    }

    /// Offers a packet of these messages; false when the feed holds. Then it is to be offered again.
    fn packet(&mut self, blocks: &[u8], count: u16) -> bool {
        let header = Header { session: SESSION, sequence: self.next, count };
        let packet = [&header.bytes()[..], blocks].concat();
        let taken = self.arbiter.packet(Line::A, &packet, self.clock.now(), &mut self.partition);
        self.next += if taken { u64::from(count) } else { 0 };
        taken
    }

    /// One cycle of feed and matcher; the answers are taken, the alerts are not.
    fn cycle(&mut self) -> usize {
        let released = self.arbiter.poll(self.clock.now(), &mut self.partition);
        let work = self.matcher.do_work(self.clock.now());
        let answers = &mut self.answers;
        released + work + self.applied.drain(usize::MAX, |applied| answers.push(*applied))
    }

    fn send(&mut self, message: &[u8]) {
        let block = [&(message.len() as u16).to_be_bytes(), message].concat();
        while !self.packet(&block, 1) {
            assert!(self.cycle() > 0, "it takes nothing more");
        }
    }

    fn command(&mut self, ordinal: u64, command: Command) {
        while !self.rules.send(RuleCommand { ordinal, feed_time: 0, command }) {
            assert!(self.cycle() > 0, "it takes nothing more");
        }
    }

    fn run_dry(&mut self) {
        while self.cycle() > 0 {}
    }
}

fn set(symbol: Symbol, user: u64, threshold: i64) -> Command {
    let key = RuleKey { user, symbol, slot: 0, account: 0 };
    Command::Set(key, RuleSpec { tag: user, ..RuleSpec::new(Signal::Last, Comparison::AtOrAbove, Price(threshold)) })
}

const PRICE: u32 = 1_000_000;
const UNIT: i64 = 100_000;

#[test]
fn a_storm_that_nobody_takes_fills_every_stage_and_loses_nothing() {
    let [storm, calm]: [Symbol; 2] = ["STORM", "CALM"].map(|name| name.parse().unwrap());
    let mut house = House::new();
    let head = |locate, ts| Head { locate, tracking: 0, ts };
    house.send(&encode::trade(head(1, 1), 1, storm, PRICE - 50_000, 1));
    house.send(&encode::trade(head(2, 1), 1, calm, PRICE, 2));
    // Thresholds rise from user to user, ten users each; whoever is later has the farther one or was set later.
    for user in 0..RULES {
        house.command(user + 1, set(storm, user, i64::from(PRICE) * UNIT - (RULES - user) as i64 / 10 * 1_000));
    }
    house.run_dry();
    let mut before = vec![];
    house.alerts.drain(ALERT_RING, |alert| before.push(alert.kind));
    assert_eq!((house.answers.len() as u64, before), (RULES, vec![AlertKind::Session]));

    house.send(&encode::trade(head(1, 2), 1, storm, PRICE, 3));
    let print = house.next - 1;
    house.run_dry();
    house.command(RULES + 1, set(storm, RULES, i64::from(PRICE - 1) * UNIT));
    house.command(RULES + 2, set(calm, 1, i64::from(2 * PRICE) * UNIT));
    house.run_dry();
    assert_eq!(house.answers.len() as u64, RULES, "with no room for alerts it takes no command");

    // The flood: prices of the storm's symbol that fire nothing, until the feed holds.
    let message = encode::trade(head(1, 3), 1, storm, PRICE - 1, 4);
    let block = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let flood = block.repeat(16);
    while house.next < print + FLOOD && (house.packet(&flood, 16) || house.cycle() > 0) {}
    assert!(house.next < print + FLOOD, "the feed does not hold");
    assert!(!house.packet(&flood, 16) && house.cycle() == 0);
    let held = house.next;

    // The alerts are taken again, the flood goes on to its end.
    let mut alerts = vec![];
    let end = print + FLOOD;
    while house.next < end
        || !house.arbiter.is_current()
        || house.cycle() + house.alerts.drain(64, |a| alerts.push(*a)) > 0
    {
        if house.next < end {
            house.packet(&flood, 16);
        }
        house.cycle();
        house.alerts.drain(64, |alert| alerts.push(*alert));
    }
    assert!(held > print + REORDER_WINDOW as u64 && house.arbiter.counts().gaps == 0);
    assert_eq!(house.arbiter.counts().messages, house.next - 1);
    assert_eq!(house.matcher.counts().prints, house.next - 1, "every message was one");
    assert!(house.matcher.close(house.clock.now()));

    let answers = &house.answers[RULES as usize..];
    let late = answers.iter().find(|answer| answer.ordinal == RULES + 1).expect("an answer");
    assert!(answers.len() == 2 && late.sequence > print && late.sequence <= held);
    let fired = alerts.iter().map(|alert| (alert.kind, alert.key.user, alert.sequence, alert.ordinal));
    let fired: Vec<_> = fired.collect();
    let mut expected: Vec<_> = (0..RULES).map(|user| (AlertKind::Alert, user, print, 0)).collect();
    expected.push((AlertKind::Alert, RULES, late.sequence, RULES + 1));
    assert!(fired == expected, "{} of {} alerts, or another order", fired.len(), expected.len());
    const { assert!(RULES as usize > ALERT_RING + PENDING_MAX) };
}
