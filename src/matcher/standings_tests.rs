//! What a shard tells of where its symbols stand, and what comes of it in the next one.

use super::*;

use crate::matcher::shard::ShardLimits;
use crate::model::{
    Action, Alert, AlertKind, Applied, Command, Comparison, MarketEvent, Nanos, OnSet, Refusal, RestoredSymbol,
    RuleCommand, RuleKey, RuleSpec, RuleState, Symbol, flag,
};

const SESSION: [u8; 10] = *b"S000000001";
const NEXT: [u8; 10] = *b"S000000002";

#[derive(Default)]
struct Said(Vec<Applied>, Vec<Alert>);

impl Outputs for Said {
    fn alert(&mut self, alert: &Alert) {
        self.1.push(*alert);
    }

    fn applied(&mut self, applied: &Applied) {
        self.0.push(*applied);
    }

    fn now(&self) -> Nanos {
        0
    }
}

fn shard() -> Shard {
    Shard::new(ShardLimits::growing())
}

fn session(shard: &mut Shard, id: [u8; 10], sequence: u64) {
    let session = MarketEvent { sequence, ..MarketEvent::new(Action::Session) }.with_session(id);
    shard.event(&session, &mut Said::default());
    define(shard, 1, "AA");
    define(shard, 2, "BB");
}

fn define(shard: &mut Shard, locate: u16, name: &str) {
    let define = MarketEvent { locate, second_ref: symbol(name).0, ..MarketEvent::new(Action::Define) };
    shard.event(&define, &mut Said::default());
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn print(shard: &mut Shard, locate: u16, sequence: u64, price: i64) -> Vec<Alert> {
    let mut said = Said::default();
    let print = MarketEvent { locate, sequence, ts_event: sequence, price, size: 1, ..MarketEvent::new(Action::Trade) };
    shard.event(&print, &mut said);
    said.1
}

fn ask(shard: &mut Shard, command: Command) -> Vec<Applied> {
    let mut said = Said::default();
    shard.command(&RuleCommand { ordinal: 0, feed_time: 0, command }, &mut said);
    said.0
}

/// A whole round: names, last prices and the versions that have seen one, and the place that all of it holds from.
fn told(shard: &mut Shard, all: bool) -> Vec<(Symbol, Option<i64>, u64, u64)> {
    let (mut found, mut cursor) = (vec![], Some(0));
    while let Some(from) = cursor {
        for applied in ask(shard, Command::Tell { cursor: from, all }) {
            match applied.outcome {
                Outcome::Standing { symbol, last, evaluated } => {
                    found.push((symbol, last.map(|price| price.0), evaluated[0], applied.sequence));
                }
                Outcome::Told { cursor: next } => cursor = next,
                other => panic!("{other:?}"),
            }
        }
    }
    found
}

fn set(shard: &mut Shard, slot: u32, on_set: OnSet) -> Outcome {
    let spec = RuleSpec { on_set, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(50)) };
    let key = RuleKey { user: 1, symbol: symbol("AA"), slot, account: 0 };
    ask(shard, Command::Set(key, spec))[0].outcome
}

#[test]
fn a_symbol_is_told_when_something_is_new_and_all_of_them_at_the_end() {
    let mut shard = shard();
    assert_eq!(told(&mut shard, true), [], "there is no session yet");
    session(&mut shard, SESSION, 1);
    assert_eq!(told(&mut shard, false), []);
    set(&mut shard, 0, OnSet::Wait);
    assert_eq!(told(&mut shard, false), [], "it has seen no value, as one that was never told");
    print(&mut shard, 1, 5, 60);
    assert_eq!(told(&mut shard, false), [(symbol("AA"), Some(60), 1, 6)]);
    print(&mut shard, 2, 6, 70);
    assert_eq!(told(&mut shard, false), [(symbol("BB"), Some(70), 0, 7)]);
    assert_eq!(told(&mut shard, false), []);
    assert_eq!(told(&mut shard, true), [(symbol("AA"), Some(60), 1, 7), (symbol("BB"), Some(70), 0, 7)]);
    session(&mut shard, NEXT, 1);
    assert_eq!(told(&mut shard, false), [(symbol("AA"), None, 1, 1)], "no last price; and what it has seen stays seen");
}

#[test]
fn slices_are_short_and_go_through_all_symbols() {
    let mut shard = shard();
    session(&mut shard, SESSION, 1);
    for locate in 1..=200 {
        define(&mut shard, locate, &format!("S{locate}"));
        print(&mut shard, locate, u64::from(locate), 7);
    }
    let first = ask(&mut shard, Command::Tell { cursor: 0, all: true });
    assert!(first.len() <= STANDINGS_PER_SLICE + 1);
    assert_eq!(told(&mut shard, false).len() + first.len() - 1, 200);
    let end = ask(&mut shard, Command::Tell { cursor: u64::MAX, all: true });
    assert_eq!((end.len(), end[0].outcome), (1, Outcome::Told { cursor: None }));
}

#[test]
fn a_last_price_from_before_a_gap_is_not_told() {
    let mut shard = shard();
    session(&mut shard, SESSION, 1);
    print(&mut shard, 1, 5, 60);
    let gap = MarketEvent { sequence: 6, second_ref: 9, ..MarketEvent::new(Action::Gap) };
    shard.event(&gap, &mut Said::default());
    assert_eq!(told(&mut shard, true), []);
    print(&mut shard, 1, 9, 61);
    assert_eq!(told(&mut shard, true), [(symbol("AA"), Some(61), 0, 10)]);
}

/// A shard that was put back after one that had seen AA at 40 up to message 10.
fn restarted() -> Shard {
    let mut shard = shard();
    let symbol = symbol("AA");
    let last = Some((Price(40), 10));
    let past =
        RestoredSymbol { symbol, version: 3, feed_session: SESSION, feed_sequence: 5, other: ([0; 10], 0), last };
    shard.restore_symbol(&past).unwrap();
    shard
}

#[test]
fn a_set_is_judged_by_the_last_price_of_the_run_before() {
    let mut shard = restarted();
    session(&mut shard, SESSION, 11);
    assert_eq!(set(&mut shard, 0, OnSet::Reject), Outcome::Refused(Refusal::AlreadyTrue));
    let Outcome::Set { state, value, .. } = set(&mut shard, 0, OnSet::Wait) else { panic!("it is set") };
    assert_eq!((state, value), (RuleState::Met, Some(Price(40))));
}

#[test]
fn before_the_feed_has_named_its_session_no_last_price_is_known_and_not_afterwards_either_if_a_rule_waits_for_one() {
    let mut shard = restarted();
    assert!(is_unknown(set(&mut shard, 0, OnSet::Reject)));
    session(&mut shard, SESSION, 11);
    assert!(is_unknown(set(&mut shard, 1, OnSet::Reject)));
    let told = print(&mut shard, 1, 12, 30);
    assert!(told.iter().all(|alert| alert.kind == AlertKind::Met) && told.len() == 2, "its first value: {told:?}");
}

fn is_unknown(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Set { state: RuleState::Unknown, value: None, .. })
}

#[test]
fn in_another_session_no_last_price_is_known() {
    let mut shard = restarted();
    session(&mut shard, NEXT, 1);
    assert!(is_unknown(set(&mut shard, 0, OnSet::Reject)));
    assert!(print(&mut shard, 1, 2, 60).is_empty());
    let fired = print(&mut shard, 1, 3, 30);
    assert_eq!((fired.len(), fired[0].is(flag::AFTER_GAP)), (1, false));
    session(&mut shard, SESSION, 11);
    assert!(is_unknown(set(&mut shard, 1, OnSet::Reject)), "and not either when that session comes back");
}

#[test]
fn the_first_update_carries_after_gap_when_messages_were_missed() {
    for (first, is_after_gap) in [(1, false), (11, false), (12, true)] {
        let mut shard = restarted();
        session(&mut shard, SESSION, first);
        set(&mut shard, 0, OnSet::Wait);
        assert_eq!(told(&mut shard, true).len(), 1);
        print(&mut shard, 1, 20, 60);
        let fired = print(&mut shard, 1, 21, 30);
        assert_eq!((fired.len(), fired[0].kind, fired[0].is(flag::AFTER_GAP)), (1, AlertKind::Alert, false));
        let mut shard = restarted();
        session(&mut shard, SESSION, first);
        let key = RuleKey { user: 1, symbol: symbol("AA"), slot: 0, account: 0 };
        ask(&mut shard, Command::Set(key, RuleSpec::new(Signal::Last, Comparison::Above, Price(50))));
        let fired = print(&mut shard, 1, 20, 60);
        assert_eq!((fired.len(), fired[0].is(flag::AFTER_GAP)), (1, is_after_gap), "from {first}");
    }
}
