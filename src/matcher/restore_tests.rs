//! A rule that was put back does what it would have done.

use super::*;
use crate::matcher::shard::{Outputs, ShardLimits};
use crate::model::{
    Action, Alert, AlertKind, Applied, Comparison, Fire, MarketEvent, Nanos, OnSet, Price, Reason, RuleKey, RuleSpec,
    Signal, Symbol, flag,
};

#[derive(Default)]
struct Alerts(Vec<Alert>);

impl Outputs for Alerts {
    fn alert(&mut self, alert: &Alert) {
        self.0.push(*alert);
    }

    fn applied(&mut self, _: &Applied) {}

    fn now(&self) -> Nanos {
        0
    }
}

const SESSION: [u8; 10] = *b"S000000001";

fn rule(state: RuleState) -> RestoredRule {
    let symbol: Symbol = "AA".parse().unwrap();
    let spec =
        RuleSpec { fire: Fire::Repeat, max_fires: 3, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(50)) };
    let key = RuleKey { user: 1, symbol, slot: 0, account: 0 };
    RestoredRule { key, spec, version: 7, state, fires: 1, quiet_until: 0, is_sure: true }
}

/// What a shard with this rule, known up to message `settled`, tells of prints at 60, 40, 60, 40 and 40 (messages 1 to 5).
fn told(rule: &RestoredRule, settled: u64) -> Vec<(u64, AlertKind, Reason, u8)> {
    let symbol = rule.key.symbol;
    let other = ([0; 10], 0);
    told_after(
        rule,
        &RestoredSymbol { symbol, version: 9, feed_session: SESSION, feed_sequence: settled, other, last: None },
    )
}

fn told_after(rule: &RestoredRule, past: &RestoredSymbol) -> Vec<(u64, AlertKind, Reason, u8)> {
    let mut shard = Shard::new(ShardLimits::growing());
    let symbol = rule.key.symbol;
    shard.restore_symbol(past).unwrap();
    shard.restore(rule).unwrap();
    let mut out = Alerts::default();
    let session = MarketEvent { sequence: 1, ..MarketEvent::new(Action::Session) }.with_session(SESSION);
    shard.event(&session, &mut out);
    shard.event(&MarketEvent { locate: 1, second_ref: symbol.0, ..MarketEvent::new(Action::Define) }, &mut out);
    for (sequence, price) in (1..).zip([60, 40, 60, 40, 40]) {
        let print = MarketEvent { locate: 1, sequence, price, size: 1, ..MarketEvent::new(Action::Trade) };
        shard.event(&print, &mut out);
    }
    let of_rule = out.0.iter().filter(|alert| alert.kind != AlertKind::Session);
    of_rule.map(|alert| (alert.sequence, alert.kind, alert.reason, alert.flags & !flag::BY_PRINT)).collect()
}

const FIRED: (AlertKind, Reason) = (AlertKind::Alert, Reason::Cross);

#[test]
fn a_clear_rule_fires_at_the_next_crossing_and_has_its_alerts_counted_on() {
    let rearmed = (3, AlertKind::Rearmed, Reason::None, 0);
    let expected = [(2, FIRED.0, FIRED.1, 0), rearmed, (4, FIRED.0, FIRED.1, flag::LAST)];
    assert_eq!(told(&rule(RuleState::Clear), 0), expected);
}

#[test]
fn a_met_rule_clears_first() {
    let told = told(&rule(RuleState::Met), 0);
    assert_eq!(told[0], (1, AlertKind::Rearmed, Reason::None, 0));
    assert_eq!(told[1], (2, FIRED.0, FIRED.1, 0));
}

#[test]
fn an_unknown_rule_takes_its_first_value_as_one_that_was_just_set() {
    let spec = RuleSpec { on_set: OnSet::Wait, ..rule(RuleState::Unknown).spec };
    let waits = RestoredRule { spec, ..rule(RuleState::Unknown) };
    assert_eq!(told(&waits, 0)[0], (2, FIRED.0, FIRED.1, 0), "60 is its first value, and 40 a crossing");
}

#[test]
fn what_an_earlier_run_has_seen_fires_nothing_again() {
    assert_eq!(told(&rule(RuleState::Clear), 4), [(4, FIRED.0, FIRED.1, 0)]);
    assert_eq!(told(&rule(RuleState::Met), 3)[0], (3, AlertKind::Rearmed, Reason::None, 0));
    assert_eq!(told(&rule(RuleState::Clear), 6), []);
    let symbol = rule(RuleState::Clear).key.symbol;
    let other = *b"S000000002";
    let past =
        RestoredSymbol { symbol, version: 9, feed_session: other, feed_sequence: 9, other: (SESSION, 6), last: None };
    assert_eq!(told_after(&rule(RuleState::Clear), &past), [], "nor of the session that is not the last by its stamps");
}

#[test]
fn the_first_alert_of_a_rule_that_is_not_sure_says_so_and_later_ones_do_not() {
    let unsure = RestoredRule { is_sure: false, ..rule(RuleState::Clear) };
    let flags: Vec<u8> = told(&unsure, 0).iter().filter(|told| told.1 == AlertKind::Alert).map(|told| told.3).collect();
    assert_eq!(flags, [flag::STATE_UNSURE, flag::LAST]);
}

#[test]
fn beside_a_rule_that_has_seen_no_value_a_last_price_is_not_taken() {
    for (state, expected) in [(RuleState::Unknown, None), (RuleState::Clear, Some(60))] {
        let mut shard = Shard::new(ShardLimits::growing());
        let symbol = rule(state).key.symbol;
        let last = Some((Price(60), 5));
        let past =
            RestoredSymbol { symbol, version: 9, feed_session: SESSION, feed_sequence: 1, other: ([0; 10], 0), last };
        shard.restore_symbol(&past).unwrap();
        shard.restore(&rule(state)).unwrap();
        let session = MarketEvent { sequence: 1, ..MarketEvent::new(Action::Session) }.with_session(SESSION);
        shard.event(&session, &mut Alerts::default());
        let number = shard.symbols.find(symbol).unwrap();
        assert_eq!(shard.symbols.get(number).value(Signal::Last), expected);
    }
}
