//! Which changes are of a day, and where.

use super::*;
use crate::journal::recovery::What;
use crate::model::{ChangeKind, Comparison, Price, RuleSpec, RuleState, Signal, Standing, Symbol};

const ACCOUNT: AccountName = *b"demo  ";

fn session(name: &str) -> [u8; 10] {
    let mut id = [b' '; 10];
    id[..name.len()].copy_from_slice(name.as_bytes());
    id
}

fn key(symbol: &str, slot: u32) -> RuleKey {
    RuleKey { user: 1, symbol: symbol.parse::<Symbol>().unwrap(), slot, account: 0 }
}

/// A set of rule `ordinal` of a symbol in a session.
fn set(ordinal: u64, symbol: &str, of: &str, feed_sequence: u64) -> (u64, AccountName, Change) {
    let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(1));
    let change = Change {
        ordinal,
        feed_sequence,
        feed_time: feed_sequence * 1_000,
        feed_session: session(of),
        shard: 0,
        key: key(symbol, ordinal as u32),
        version: ordinal,
        kind: ChangeKind::Set(spec, RuleState::Clear),
    };
    (ordinal, ACCOUNT, change)
}

fn archive(changes: &[(u64, &str, &str, u64)]) -> Archive {
    let changes = changes.iter().map(|(ordinal, symbol, of, at)| set(*ordinal, symbol, of, *at)).collect();
    Archive { changes, ..Archive::default() }
}

/// Ordinals of what stood before, and ordinal and place of the changes.
fn shown(day: &Day) -> (Vec<u64>, Vec<(u64, u64)>) {
    let mut before: Vec<u64> = day.before.rules.iter().map(|rule| rule.version).collect();
    before.sort();
    (before, day.changes.iter().map(|placed| (placed.change.ordinal, placed.at)).collect())
}

const TWO_DAYS: [(u64, &str, &str, u64); 7] = [
    (1, "A", "", 1),
    (2, "A", "S1", 5),
    (3, "B", "S1", 3),
    (4, "A", "", 1),
    (5, "A", "S2", 9),
    (6, "B", "S2", 9),
    (7, "B", "", 1),
];

#[test]
fn the_last_session_is_taken_with_what_was_set_right_before_it() {
    let day = archive(&TWO_DAYS).day(None);
    assert_eq!((day.session, shown(&day)), (session("S2"), (vec![1, 2, 3], vec![(4, 1), (5, 9), (6, 9), (7, 9)])));
    assert_eq!((day.sessions, day.accounts), (vec![session("S1"), session("S2")], vec!["demo".to_string()]));
}

#[test]
fn an_earlier_session_has_nothing_of_a_later_one_and_is_in_the_order_of_the_feed() {
    let day = archive(&TWO_DAYS).day(Some(session("S1")));
    assert_eq!(shown(&day), (vec![], vec![(1, 1), (3, 3), (2, 5)]));
    assert_eq!(day.feed_time, Some(1_000));
}

#[test]
fn a_session_that_is_not_named_comes_behind_all_that_are() {
    let day = archive(&TWO_DAYS).day(Some(session("S9")));
    assert_eq!(shown(&day), (vec![1, 2, 3, 4, 5, 6], vec![(7, 1)]));
    let none = archive(&[(1, "A", "", 1), (2, "A", "", 1)]).day(Some(session("S9")));
    assert_eq!(shown(&none), (vec![], vec![(1, 1), (2, 1)]));
}

#[test]
fn after_a_restart_no_symbol_goes_back() {
    let restarted = [
        (1, "A", "S", 50),
        (2, "B", "S", 90),
        (3, "A", "", 1),
        (4, "A", "S", 20),
        (5, "B", "S", 95),
        (6, "A", "S", 96),
    ];
    let day = archive(&restarted).day(None);
    assert_eq!(shown(&day).1, [(1, 50), (2, 90), (3, 90), (4, 90), (5, 95), (6, 96)]);
}

#[test]
fn what_fired_before_the_day_does_not_stand_before_it_and_what_fired_in_it_does() {
    let mut archive = archive(&TWO_DAYS);
    let fired = |ordinal: u64, of: &str| Logged {
        price: None,
        account: ACCOUNT,
        key: key(if ordinal == 3 { "B" } else { "A" }, ordinal as u32),
        version: ordinal,
        signal: Signal::Last,
        ordinal: 0,
        feed_session: session(of),
        feed_sequence: 7,
        ts_event: 7_000,
        what: What::Fired { last: true },
    };
    archive.logged = vec![fired(3, "S1"), fired(1, "S2")];
    assert_eq!(shown(&archive.day(None)).0, [1, 2]);
    let (_, now) = archive.current();
    assert_eq!(now.rules.iter().map(|rule| rule.version).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
}

#[test]
fn what_rules_had_seen_before_a_day_is_known_and_no_last_price() {
    let mut archive = archive(&TWO_DAYS[..4]);
    for (_, _, change) in &mut archive.changes {
        let ChangeKind::Set(spec, _) = change.kind else { panic!("a set") };
        change.kind = ChangeKind::Set(spec, RuleState::Unknown);
    }
    let stood = |record: u64, of: &str, seen: u64| {
        let symbol = "A".parse().unwrap();
        let last = Some(Price(60));
        let place = (11 * record, 90_000, session(of));
        let (feed_sequence, feed_time, feed_session) = place;
        (
            record,
            Standing { symbol, feed_sequence, feed_time, feed_session, shard: 0, last, evaluated: [seen, 0, 0, 0] },
        )
    };
    archive.standings = vec![stood(3, "S1", 1), stood(9, "S2", 4)];
    let states = |day: &Day| -> Vec<(u64, RuleState)> {
        day.before.rules.iter().map(|rule| (rule.version, rule.state)).collect()
    };
    let next = archive.day(Some(session("S2")));
    assert_eq!(states(&next)[..2], [(1, RuleState::Clear), (2, RuleState::Unknown)]);
    assert!(next.before.symbols.iter().all(|symbol| symbol.last.is_none()));
    assert_eq!(archive.current().1.rules[1].state, RuleState::Clear);
}
