//! A shard that works in slices against one that does everything at once. (That one is held against the naive model of the
//! whole contract in `tests/replay.rs`.)

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Command, Comparison, Fire, NEVER, OnSet, Outcome, Price, Reason, RuleKey, RuleSpec, Side, Signal, Symbol,
};

#[derive(Default)]
struct Kept {
    alerts: Vec<Alert>,
    applied: Vec<Applied>,
}

impl Outputs for Kept {
    fn alert(&mut self, alert: &Alert) {
        self.alerts.push(*alert);
    }

    fn applied(&mut self, applied: &Applied) {
        self.applied.push(*applied);
    }

    fn now(&self) -> Nanos {
        0
    }
}

impl Kept {
    /// In the order of the contract. The end of an expired rule has no place in it.
    fn sorted(mut self) -> Kept {
        let place = |alert: &Alert| match (alert.reason, alert.ordinal) {
            (Reason::Expired, _) => (u64::MAX, alert.ts_event, alert.key.symbol.0, alert.version),
            (_, 0) => (alert.sequence, u64::MAX, 0, 0),
            (_, ordinal) => (alert.sequence, ordinal, 0, 0),
        };
        self.alerts.sort_by_key(place);
        self.applied.sort_by_key(|applied| applied.ordinal);
        self
    }
}

/// Two locates are of one symbol.
fn symbol(locate: u16) -> Symbol {
    ["", "AA", "BB", "CC", "AA"][usize::from(locate)].parse().unwrap()
}

fn define(shard: &mut Shard, out: &mut Kept) {
    for locate in 1..=4 {
        let define = MarketEvent { locate, second_ref: symbol(locate).0, ..MarketEvent::new(Action::Define) };
        shard.event(&define, out);
    }
}

/// Its order table begins so small that it grows.
fn new_shard() -> Shard {
    let mut shard = Shard::new(ShardLimits { orders_max: 8, ..ShardLimits::growing() });
    define(&mut shard, &mut Kept::default());
    shard
}

/// One thing that comes.
#[derive(Clone, Debug)]
enum Input {
    Event(MarketEvent),
    Command(Command),
}

fn event() -> impl Strategy<Value = MarketEvent> {
    use Action::{Add, Break, Clock, Delete, Execute, Gap, Replace, Session, Trade};
    let actions = prop_oneof![
        6 => Just(Trade), 6 => Just(Add), 2 => Just(Execute), 2 => Just(Delete), 2 => Just(Replace), 1 => Just(Break),
        1 => Just(Gap), 1 => Just(Clock),
    ];
    let actions = prop_oneof![60 => actions, 1 => Just(Session)];
    (actions, 1..5u16, 0..9u64, 0..9u64, 1..9i64, 0..5u32, any::<bool>(), 0..6u64).prop_map(
        |(action, locate, order_ref, second_ref, price, size, buy, ts)| MarketEvent {
            ts_event: ts,
            order_ref,
            second_ref,
            price,
            size,
            locate,
            side: if buy { Side::Bid } else { Side::Ask },
            flags: event_flag::ANNOUNCE,
            ..MarketEvent::new(action)
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let spec = (
        (0..4usize, 0..4usize, 0..10i64, 0..3i64),
        (any::<bool>(), 0..3usize, 0..4u64, 0..3u32),
        prop_oneof![3 => Just(NEVER), 1 => 0..300u64],
    );
    (1..4u16, 0..6u64, 0..2u32, spec, 0..8u8).prop_map(|(locate, user, slot, spec, op)| {
        let ((signal, comparison, threshold, rearm), (repeat, on_set, cooldown, max_fires), expires_at) = spec;
        let key = RuleKey { user, symbol: symbol(locate), slot, account: 0 };
        let spec = RuleSpec {
            rearm: Price(rearm),
            cooldown,
            expires_at,
            max_fires,
            tag: user * 100 + threshold as u64,
            fire: if repeat { Fire::Repeat } else { Fire::Once },
            on_set: [OnSet::Fire, OnSet::Wait, OnSet::Reject][on_set],
            ..RuleSpec::new(Signal::ALL[signal], Comparison::ALL[comparison], Price(threshold))
        };
        if op == 0 { Command::Remove(key, 5) } else { Command::Set(key, spec) }
    })
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let one = prop_oneof![event().prop_map(Input::Event), command().prop_map(Input::Command)];
    proptest::collection::vec(one, 1..400)
}

/// Every book that is kept holds what the orders say, and no order is in one that is not.
fn check_books(shard: &mut Shard) {
    let mut expected: BTreeMap<(u32, bool, i64), u64> = BTreeMap::new();
    for place in 0..shard.orders.places() {
        let Some(order) = shard.orders.at(place).copied() else { continue };
        let symbol = shard.symbols.by_locate(order.locate);
        let state = shard.symbols.get(symbol);
        assert!(order.in_book == state.has_book || state.is_building, "{order:?} of {}", state.name);
        if order.in_book {
            *expected.entry((symbol, order.side == Side::Bid, order.price)).or_default() += u64::from(order.size);
        }
    }
    let mut found = BTreeMap::new();
    for symbol in 0..shard.symbols.count() {
        let state = shard.symbols.get(symbol);
        for side in [Side::Bid, Side::Ask] {
            let each = |price, shares| _ = found.insert((symbol, side == Side::Bid, price), shares);
            state.book.for_each(&shard.levels, side, each);
            let value = state.value(if side == Side::Bid { Signal::Bid } else { Signal::Ask });
            assert!(state.is_building || value == state.book.best(&shard.levels, side));
        }
    }
    assert_eq!(found, expected);
}

/// Numbers the inputs as feed and sequencer would; stamps rise slowly, and sometimes go back.
fn give(shard: &mut Shard, inputs: &[Input], mut after: impl FnMut(&mut Shard, &mut Kept)) -> Kept {
    let mut out = Kept::default();
    for (n, input) in inputs.iter().enumerate() {
        match input {
            Input::Event(event) => {
                // The sequence goes on over a session here, so that one order holds for all.
                let (sequence, ts_event) = (n as u64 + 1, n as u64 + event.ts_event);
                shard.event(&MarketEvent { sequence, ts_event, ..*event }, &mut out);
                if event.action == Action::Session {
                    define(shard, &mut out);
                }
            }
            Input::Command(command) => {
                shard.command(&RuleCommand { ordinal: n as u64 + 1, feed_time: 0, command: *command }, &mut out);
            }
        }
        after(shard, &mut out);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn slices_tell_the_same_as_one_piece(
        inputs in inputs(), budget in 1..4usize, every in 1..5usize, places in 20..600usize,
    ) {
        let whole = give(&mut new_shard(), &inputs, |shard, _| check_books(shard)).sorted();
        let mut sliced = new_shard();
        (sliced.budget, sliced.places_left, sliced.places_per_step) = (0, 0, places);
        let mut turn = 0;
        let mut out = give(&mut sliced, &inputs, |shard, out| {
            turn += 1;
            shard.budget = 0;
            if turn % every == 0 {
                shard.step(budget, out);
                shard.budget = 0;
                check_books(shard);
            }
        });
        while !sliced.held.is_idle() || sliced.held.has_barrier() {
            prop_assert!(sliced.step(budget, &mut out) > 0, "it stands still");
        }
        sliced.step(usize::MAX, &mut out);
        check_books(&mut sliced);
        let sliced = out.sorted();
        prop_assert_eq!(sliced.applied, whole.applied);
        prop_assert_eq!(sliced.alerts, whole.alerts);
    }
}

#[test]
fn a_million_rules_on_one_print_are_fired_in_slices_while_another_symbol_goes_on() {
    let (mut shard, mut out) = (new_shard(), Kept::default());
    let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(100));
    let set = |ordinal: u64, locate| {
        let key = RuleKey { user: ordinal, symbol: symbol(locate), slot: 0, account: 0 };
        RuleCommand { ordinal, feed_time: 0, command: Command::Set(key, spec) }
    };
    const STORM: u64 = 20_000;
    (1..=STORM).for_each(|ordinal| shard.command(&set(ordinal, 1), &mut out));
    shard.command(&set(STORM + 1, 2), &mut out);
    let print = |sequence, locate| MarketEvent { sequence, locate, price: 50, ..MarketEvent::new(Action::Trade) };
    shard.step(10, &mut out);
    shard.event(&print(1, 1), &mut out);
    shard.event(&print(2, 1), &mut out);
    shard.step(10, &mut out);
    shard.event(&print(3, 2), &mut out);
    let other = out.alerts.iter().position(|alert| alert.key.symbol == symbol(2)).expect("the other symbol fired");
    assert!(other < 30, "it waited behind {other} alerts");
    while !shard.held.is_idle() {
        shard.step(256, &mut out);
    }
    let fired = out.alerts.iter().filter(|alert| alert.key.symbol == symbol(1)).map(|alert| alert.key.user);
    assert!(fired.eq(1..=STORM), "not each rule once, in the order of setting");
}

#[test]
fn a_list_is_cut_into_pages_and_a_user_is_removed_in_slices() {
    let (mut shard, mut out) = (new_shard(), Kept::default());
    let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(100));
    for ordinal in 1..=100 {
        let key = RuleKey { user: ordinal % 2, symbol: symbol(1), slot: ordinal as u32, account: 0 };
        shard.command(&RuleCommand { ordinal, feed_time: 0, command: Command::Set(key, spec) }, &mut out);
    }
    let ask = |shard: &mut Shard, command| {
        let mut out = Kept::default();
        shard.command(&RuleCommand { ordinal: 1_000, feed_time: 0, command }, &mut out);
        while shard.walk_room() < crate::limits::WALKS_MAX {
            shard.step(7, &mut out);
        }
        out.applied.into_iter().map(|applied| applied.outcome).collect::<Vec<_>>()
    };
    let list = |cursor| Command::List { account: 0, user: Some(1), cursor, limit: 30 };
    let first = ask(&mut shard, list(0));
    let Some(Outcome::ListEnd { cursor: Some(cursor) }) = first.last() else { panic!("{:?}", first.last()) };
    let second = ask(&mut shard, list(*cursor));
    assert_eq!((first.len(), second.len(), second.last()), (31, 21, Some(&Outcome::ListEnd { cursor: None })));
    let removed = ask(&mut shard, Command::RemoveUser { account: 0, user: 1 });
    let Some((Outcome::UserRemoved { count: 50 }, each)) = removed.split_last() else { panic!("{removed:?}") };
    let is_users = |outcome: &Outcome| matches!(outcome, Outcome::UserRuleRemoved { key, .. } if key.user == 1);
    assert!(each.len() == 50 && each.iter().all(is_users));
    assert_eq!(ask(&mut shard, list(0)), [Outcome::ListEnd { cursor: None }]);
    assert_eq!(shard.counts().rules_live, 50);
}

#[test]
fn a_command_behind_the_end_of_the_session_holds_from_the_number_that_the_end_bears() {
    let (mut shard, mut out) = (new_shard(), Kept::default());
    let print = MarketEvent { sequence: 7, locate: 1, price: 5, size: 1, ..MarketEvent::new(Action::Trade) };
    shard.event(&print, &mut out);
    shard.event(&MarketEvent { sequence: 8, ..MarketEvent::new(Action::EndOfSession) }, &mut out);
    let key = RuleKey { symbol: symbol(1), ..RuleKey::NONE };
    shard.command(&RuleCommand { ordinal: 1, feed_time: 0, command: Command::Remove(key, 0) }, &mut out);
    assert_eq!(out.applied[0].sequence, 8);
}
