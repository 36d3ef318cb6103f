//! A book that is built while the market runs: the first rule on a symbol's bid finds a quarter of a million orders of
//! others, and more messages of its own symbol come than can be held. The shard takes no more until the book is there,
//! nothing is lost, and what is told is what a shard tells that does all at once. Stepped by hand: the same on every run.

use hairtrigger::agent::Agent;
use hairtrigger::limits::{ALERT_RING, BOOK_PLACES_PER_CYCLE, EVENTS_PER_CYCLE, HELD_MAX, MARKET_RING};
use hairtrigger::matcher::agent::{MatcherAgent, MatcherRings};
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Outputs, Shard, ShardLimits};
use hairtrigger::model::{
    Action, Alert, AlertKind, Applied, Command, Comparison, Fire, MarketEvent, Nanos, Outcome, Price, RuleCommand,
    RuleKey, RuleSpec, RuleState, Side, Signal, Symbol,
};
use hairtrigger::ring::{Receiver, Sender, ring};
use hairtrigger::sys::clock::Clock;

/// So many that to look at their places takes twice as long as to fill what can be held.
const ORDERS_MAX: usize = 2 * (HELD_MAX / EVENTS_PER_CYCLE * BOOK_PLACES_PER_CYCLE) / 4 * 3 - 1;
const BUSY: u16 = 1;
/// Another locate of the same symbol.
const BUSY_TOO: u16 = 2;
const OTHERS: u16 = 3;
const PER_SYMBOL: u64 = 1_000;
/// Messages of the busy symbol behind its first rule.
const FLOOD: u64 = HELD_MAX as u64 + 3 * MARKET_RING as u64;

fn name(locate: u16) -> Symbol {
    if locate == BUSY_TOO { name(BUSY) } else { format!("S{locate}").parse().expect("a short name") }
}

fn limits() -> ShardLimits {
    let rules = RuleLimits { rules_max: 64, account_rules_max: vec![u32::MAX], policies_max: 16, fixed: true };
    ShardLimits { rules, symbols_max: 16, orders_max: ORDERS_MAX, levels_max: 1 << 16 }
}

fn add(locate: u16, order_ref: u64, side: Side, price: i64) -> MarketEvent {
    MarketEvent { locate, order_ref, side, price, size: 100, ..MarketEvent::new(Action::Add) }
}

fn delete(locate: u16, order_ref: u64) -> MarketEvent {
    MarketEvent { locate, order_ref, ..MarketEvent::new(Action::Delete) }
}

/// The orders that stand before the rule comes: the busy symbol's best bid is 2,000, under its second locate.
fn before() -> Vec<MarketEvent> {
    let locates = [BUSY, BUSY_TOO].into_iter().chain(OTHERS..OTHERS + 250);
    let mut events: Vec<_> = locates
        .clone()
        .map(|locate| MarketEvent { locate, second_ref: name(locate).0, ..MarketEvent::new(Action::Define) })
        .collect();
    for locate in locates {
        let top = i64::from(locate) * 1_000;
        events.extend((0..PER_SYMBOL).map(|n| add(locate, n, Side::Bid, top - n as i64)));
    }
    events
}

/// Behind the rule: bids of the busy symbol go up and down; other symbols' orders go, and come again.
fn flood() -> impl Iterator<Item = MarketEvent> {
    (0..FLOOD).map(|n| {
        let (other, reference) = (OTHERS + (n / 16 % 250) as u16, n / 4_000);
        match (n % 4, n % 16) {
            (0, _) if n > 0 => delete(BUSY, 1_000_000 + n - 3),
            (1, _) => add(BUSY, 1_000_000 + n, Side::Bid, 2_001 + (n % 512) as i64),
            (_, 3) => delete(other, reference),
            (_, 7) => add(other, reference, Side::Bid, 5),
            _ => MarketEvent { locate: BUSY_TOO, price: 7, size: 1, ..MarketEvent::new(Action::Trade) },
        }
    })
}

fn rule() -> RuleCommand {
    let spec = RuleSpec { fire: Fire::Repeat, ..RuleSpec::new(Signal::Bid, Comparison::AtOrAbove, Price(2_400)) };
    RuleCommand {
        ordinal: 1,
        feed_time: 0,
        command: Command::Set(RuleKey { symbol: name(BUSY), ..RuleKey::NONE }, spec),
    }
}

#[derive(Default)]
struct Told {
    alerts: Vec<Alert>,
    applied: Vec<Applied>,
}

impl Outputs for Told {
    fn alert(&mut self, alert: &Alert) {
        self.alerts.push(*alert);
    }

    fn applied(&mut self, applied: &Applied) {
        self.applied.push(*applied);
    }

    fn now(&self) -> Nanos {
        1
    }
}

/// A shard between its rings, and the numbers of the messages.
struct House {
    matcher: MatcherAgent,
    market: Sender<MarketEvent>,
    rules: Sender<RuleCommand>,
    alerts: Receiver<Alert>,
    applied: Receiver<Applied>,
    sequence: u64,
    told: Told,
}

impl House {
    fn new() -> House {
        let outcome = Outcome::Removed { version: 0 };
        let nothing = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: [0; 10], alerts: 0, outcome };
        let (market, market_out) = ring(MARKET_RING, MarketEvent::new(Action::Clock));
        let (rules, rules_out) = ring(1 << 6, rule());
        let (alerts_in, alerts) = ring(ALERT_RING, Alert::new(AlertKind::Met));
        let (applied_in, applied) = ring(1 << 6, nothing);
        let rings = MatcherRings { market: market_out, rules: rules_out, alerts: alerts_in, applied: applied_in };
        let matcher = MatcherAgent::new(0, Shard::new(limits()), rings, Clock::simulated(1));
        House { matcher, market, rules, alerts, applied, sequence: 0, told: Told::default() }
    }

    /// False when the ring is full.
    fn offer(&mut self, event: &MarketEvent) -> bool {
        let sent = self.market.send(numbered(event, self.sequence + 1));
        self.sequence += u64::from(sent);
        sent
    }

    fn cycle(&mut self) -> usize {
        let work = self.matcher.do_work(1);
        let told = &mut self.told;
        work + self.alerts.drain(ALERT_RING, |alert| told.alerts.push(*alert))
            + self.applied.drain(64, |applied| told.applied.push(*applied))
    }

    fn send(&mut self, event: &MarketEvent) {
        while !self.offer(event) {
            assert!(self.cycle() > 0, "it stands still");
        }
    }
}

fn numbered(event: &MarketEvent, sequence: u64) -> MarketEvent {
    MarketEvent { sequence, ts_event: sequence, ..*event }
}

#[test]
fn a_book_is_built_behind_the_feed_and_what_overflows_waits() {
    let mut house = House::new();
    before().iter().for_each(|event| house.send(event));
    while house.cycle() > 0 {}
    let rule_at = house.sequence;
    assert!(house.rules.send(rule()));
    house.cycle();
    assert!(house.told.applied.is_empty(), "the book cannot be there yet");
    let mut cycles_full = 0;
    for event in flood() {
        while !house.offer(&event) {
            let taken = house.matcher.counts().events;
            assert!(house.cycle() > 0, "it stands still");
            cycles_full += u64::from(house.told.applied.is_empty() && house.matcher.counts().events == taken);
        }
    }
    while house.cycle() > 0 {}
    assert!(cycles_full > 10, "nothing overflowed while the book was built");
    assert!(house.matcher.close(1));
    let counts = house.matcher.counts();
    assert_eq!((counts.books_built, counts.unknown_orders, counts.orders_refused), (1, 0, 0));
    assert!(counts.held_high_water > (HELD_MAX - EVENTS_PER_CYCLE - 64) as u64, "{}", counts.held_high_water);

    let (mut whole, mut expected, mut sequence) = (Shard::new(limits()), Told::default(), 0);
    for event in before().into_iter().chain(flood()) {
        if sequence == rule_at {
            whole.command(&rule(), &mut expected);
        }
        sequence += 1;
        whole.event(&numbered(&event, sequence), &mut expected);
    }
    let answer = Outcome::Set {
        version: 1,
        state: RuleState::Clear,
        value: Some(Price(2_000)),
        replaced: false,
        symbol_unknown: false,
    };
    assert_eq!(expected.applied.iter().map(|applied| applied.outcome).collect::<Vec<_>>(), [answer]);
    assert_eq!(house.told.applied, expected.applied);
    let fired = expected.alerts.iter().filter(|alert| alert.kind == AlertKind::Alert).count();
    assert!(fired > 50, "{fired} alerts");
    assert!(
        house.told.alerts == expected.alerts,
        "{} alerts, {} expected",
        house.told.alerts.len(),
        expected.alerts.len()
    );
}
