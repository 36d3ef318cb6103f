//! The sequencer by hand: order, pages, what is in flight.

use super::*;
use crate::model::{Comparison, Listed, Price, Refusal, RuleKey, RuleSpec, RuleState, Signal};

type Sent = Vec<(usize, RuleCommand)>;

fn key(user: u64, symbol: &str) -> RuleKey {
    RuleKey { user, symbol: symbol.parse().unwrap(), slot: 0, account: 3 }
}

fn set(id: u64, symbol: &str) -> Request {
    Request { id, ask: Ask::Set(key(1, symbol), RuleSpec::new(Signal::Last, Comparison::Above, Price(5))) }
}

fn applied(ordinal: u64, sequence: u64, outcome: Outcome) -> Applied {
    Applied { ordinal, sequence, feed_time: sequence * 10, feed_session: *b"S000000001", alerts: 0, outcome }
}

fn place(sequence: u64) -> Place {
    Place { session: *b"S000000001", sequence, feed_time: sequence * 10 }
}

fn take(sent: &mut Sent) -> impl FnMut(usize, RuleCommand) -> bool + '_ {
    |shard, command| {
        sent.push((shard, command));
        true
    }
}

fn listed(symbol: &str) -> Outcome {
    let spec = RuleSpec::new(Signal::Last, Comparison::Above, Price(5));
    Outcome::Listed(Listed { key: key(1, symbol), spec, version: 1, fires: 0, state: RuleState::Clear })
}

#[test]
fn commands_are_numbered_from_1_without_a_hole_and_go_to_the_shard_of_their_symbol() {
    let mut sequencer = Sequencer::new(7, 100, 2);
    let mut sent = vec![];
    let mut full = |_: usize, _: RuleCommand| false;
    assert_eq!(sequencer.offer(0, 3, &set(9, "AAPL"), &mut full), Offer::Busy);
    for symbol in ["AAPL", "GME", "SPY"] {
        assert_eq!(sequencer.offer(0, 3, &set(9, symbol), &mut take(&mut sent)), Offer::Taken);
    }
    for ((shard, command), (ordinal, symbol)) in sent.iter().zip([(1, "AAPL"), (2, "GME"), (3, "SPY")]) {
        assert_eq!((command.ordinal, *shard), (ordinal, key(1, symbol).symbol.shard(7)));
    }
}

#[test]
fn outcomes_find_their_requests_in_any_order() {
    let mut sequencer = Sequencer::new(1, 100, 2);
    let mut sent = vec![];
    for login in 0..2 {
        assert_eq!(sequencer.offer(login, 3, &set(70 + u64::from(login), "GME"), &mut take(&mut sent)), Offer::Taken);
    }
    let refused = sequencer.applied(0, &applied(2, 8, Outcome::Refused(Refusal::AccountFull))).unwrap();
    let body = Body::Refused { place: place(8), code: Code::AccountFull, field: Field::None, retry_ms: 0 };
    assert_eq!(refused, Routed { login: 1, answer: Answer { id: 71, body }, is_last: true });
    assert!(!sequencer.is_idle());
    let removed = sequencer.applied(0, &applied(1, 9, Outcome::Removed { version: 4 })).unwrap();
    assert_eq!((removed.login, removed.answer.id), (0, 70));
    assert!(sequencer.is_idle() && sequencer.unmatched() == 0);
    assert_eq!(sequencer.applied(0, &applied(1, 9, Outcome::Removed { version: 4 })), None);
    assert_eq!(sequencer.unmatched(), 1);
}

#[test]
fn a_shard_that_does_not_answer_holds_up_only_its_own() {
    let mut sequencer = Sequencer::new(2, 4, 1);
    let mut sent = vec![];
    let names: Vec<String> = (0..100).map(|n| format!("S{n}")).collect();
    let of = |shard| names.iter().filter(move |name| key(1, name).symbol.shard(2) == shard);
    let mut offer = |name: &String| sequencer.offer(0, 3, &set(1, name), &mut take(&mut sent));
    let first: Vec<_> = of(0).take(6).map(&mut offer).collect();
    assert_eq!(first, [Offer::Taken, Offer::Taken, Offer::Taken, Offer::Taken, Offer::Busy, Offer::Busy]);
    assert!(of(1).take(4).map(&mut offer).all(|offer| offer == Offer::Taken));
}

#[test]
fn remove_user_asks_every_shard_also_through_full_rings_and_sums() {
    let mut sequencer = Sequencer::new(3, 10, 1);
    let request = Request { id: 5, ask: Ask::RemoveUser { user: 7 } };
    let mut sent = vec![];
    let mut only_first = |shard, command| shard == 0 && take(&mut sent)(shard, command);
    assert_eq!(sequencer.offer(0, 3, &request, &mut only_first), Offer::Taken);
    assert_eq!(sequencer.offer(0, 3, &set(6, "GME"), &mut |_, _| true), Offer::Busy);
    assert_eq!(sequencer.applied(0, &applied(1, 20, Outcome::UserRemoved { count: 2 })), None);
    assert_eq!(sequencer.advance(&mut take(&mut sent)), 2);
    assert_eq!(sequencer.advance(&mut |_, _| true), 0);
    assert!(sent.iter().map(|(shard, _)| *shard).eq(0..3));
    assert!(sent.iter().all(|(_, c)| c.command == Command::RemoveUser { account: 3, user: 7 }));
    assert_eq!(sequencer.applied(2, &applied(3, 30, Outcome::UserRemoved { count: 1 })), None);
    let last = sequencer.applied(1, &applied(2, 25, Outcome::UserRemoved { count: 0 })).unwrap();
    assert_eq!(last.answer, Answer { id: 5, body: Body::UserRemoved { place: place(30), count: 3 } });
    assert!(last.is_last && sequencer.is_idle());
    assert_eq!(sequencer.offer(0, 3, &set(6, "GME"), &mut |_, _| true), Offer::Taken);
}

/// Runs a list against shards that hold these rules; shard cursors are positions.
fn list(sequencer: &mut Sequencer, shards: &[Vec<&str>], limit: u32, cursor: u64) -> (Vec<String>, u64) {
    let request = Request { id: 1, ask: Ask::List { user: None, limit, cursor } };
    let (mut sent, mut names) = (vec![], vec![]);
    assert_eq!(sequencer.offer(0, 3, &request, &mut take(&mut sent)), Offer::Taken);
    loop {
        let (shard, RuleCommand { ordinal, command: Command::List { cursor, limit, .. }, .. }) = sent.pop().unwrap()
        else {
            panic!("a list")
        };
        let (from, to) = (cursor as usize, (cursor as usize + limit as usize).min(shards[shard].len()));
        for name in &shards[shard][from..to] {
            let routed = sequencer.applied(shard, &applied(ordinal, 1, listed(name))).unwrap();
            let Body::Rule(rule) = routed.answer.body else { panic!("a rule") };
            assert!(!routed.is_last);
            names.push(rule.key.symbol.to_string());
        }
        let end = Outcome::ListEnd { cursor: (to < shards[shard].len()).then_some(to as u64) };
        if let Some(routed) = sequencer.applied(shard, &applied(ordinal, 1, end)) {
            let Body::ListDone { count, cursor, .. } = routed.answer.body else { panic!("an end") };
            assert_eq!(count as usize, names.len());
            return (names, cursor);
        }
        sequencer.advance(&mut take(&mut sent));
    }
}

#[test]
fn a_list_goes_from_shard_to_shard_and_pages_of_any_size_show_each_rule_once() {
    let shards = [vec!["A", "B", "C"], vec![], vec!["D"], vec!["E", "F"]];
    for limit in 1..=7 {
        let mut sequencer = Sequencer::new(4, 10, 1);
        let (mut all, mut cursor) = (vec![], 0);
        for _ in 0..20 {
            let (names, next) = list(&mut sequencer, &shards, limit, cursor);
            assert!(names.len() <= limit as usize);
            all.extend(names);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((all.concat().as_str(), cursor, sequencer.is_idle()), ("ABCDEF", 0, true), "{limit}");
    }
}

#[test]
fn a_cursor_that_no_list_gave_is_refused() {
    let mut sequencer = Sequencer::new(2, 10, 1);
    for cursor in [1 << 48, 2 << 48 | 1, u64::MAX] {
        let request = Request { id: 1, ask: Ask::List { user: None, limit: 1, cursor } };
        let offer = sequencer.offer(0, 3, &request, &mut |_, _| true);
        assert_eq!(offer, Offer::Refused(Code::BadValue, Field::Cursor), "{cursor:x}");
    }
}
