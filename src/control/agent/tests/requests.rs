//! What is asked and answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::house::{FEED, House, key, set};
use crate::control::wire::{Ask, Body, Code, Field};
use crate::limits::LOG_FULL_RETRY_MS;
use crate::model::{Price, RuleState};

fn codes(bodies: &[Body]) -> Vec<(Code, Field)> {
    let refused = |body: &Body| match body {
        Body::Refused { code, field, .. } => Some((*code, *field)),
        _ => None,
    };
    bodies.iter().filter_map(refused).collect()
}

#[test]
fn set_replace_remove() {
    let mut house = House::new(3, |_| ());
    let mut client = house.client("demo", 1);
    for (id, version) in [(70, 1), (71, 2)] {
        let [Body::SetDone { place, version: v, state, value, replaced, symbol_unknown }] =
            house.call(&mut client, id, set(1, "GME"))[..]
        else {
            panic!("one answer")
        };
        assert_eq!((v, replaced, symbol_unknown), (version, version == 2, false));
        assert_eq!((state, value), (RuleState::Clear, Some(Price(7))));
        assert_eq!((place.session, place.sequence, place.feed_time), (FEED, 1000 + version, 5));
    }
    let removed = house.call(&mut client, 72, Ask::Remove(key(1, "GME"), 0));
    assert!(matches!(removed[..], [Body::RemoveDone { version: 2, .. }]));
    let refused = house.call(&mut client, 73, Ask::Remove(key(1, "GME"), 0));
    assert_eq!(codes(&refused), [(Code::UnknownKey, Field::None)]);
}

#[test]
fn lists_page_through_all_shards_and_show_only_the_accounts_own() {
    let mut house = House::new(3, |_| ());
    let (mut client, mut other) = (house.client("demo", 1), house.client("u000", 1));
    for n in 0..25 {
        house.call(&mut client, n, set(n % 2, &format!("S{n}")));
        house.call(&mut other, n, set(0, &format!("S{n}")));
    }
    for (user, limit, expected) in [(None, 4, 25), (None, 1_000, 25), (Some(1), 5, 12), (Some(9), 5, 0)] {
        let (mut symbols, mut cursor, mut pages) = (vec![], 0, 0);
        loop {
            let bodies = house.call(&mut client, 100, Ask::List { user, limit, cursor });
            let (Body::ListDone { count, cursor: next, .. }, rules) = bodies.split_last().unwrap() else {
                panic!("an end")
            };
            assert_eq!(*count as usize, rules.len());
            assert!(rules.len() <= limit as usize);
            symbols.extend(rules.iter().map(|body| match body {
                Body::Rule(rule) if user.is_none_or(|user| user == rule.key.user) => rule.key.symbol.to_string(),
                _ => panic!("a rule of the user"),
            }));
            pages += 1;
            cursor = *next;
            if cursor == 0 {
                break;
            }
        }
        symbols.sort();
        symbols.dedup();
        assert_eq!(symbols.len(), expected, "{user:?} {limit}");
        assert!(pages <= expected / limit as usize + 1);
    }
}

#[test]
fn remove_user_and_what_follows_it_keep_their_order() {
    let mut house = House::new(3, |_| ());
    let mut client = house.client("demo", 1);
    for n in 0..20 {
        client.ask(n, set(7, &format!("S{n}")));
    }
    client.ask(50, Ask::RemoveUser { user: 7 });
    client.ask(51, set(7, "S1"));
    client.ask(52, Ask::List { user: None, limit: 10, cursor: 0 });
    let mut clients = [client];
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 24);
    let answers = clients[0].answers();
    assert!(matches!(answers[20].body, Body::UserRemoved { count: 20, .. }));
    assert!(matches!(answers[21].body, Body::SetDone { replaced: false, version: 2, .. }));
    assert!(matches!(answers[22].body, Body::Rule(_)));
    assert!(matches!(answers[23].body, Body::ListDone { count: 1, cursor: 0, .. }));
}

#[test]
fn fifty_thousand_pipelined_requests_are_all_answered_once() {
    const COUNT: u64 = 50_000;
    let mut house = House::new(2, |_| ());
    let mut client = house.client("demo", 1);
    for n in 0..COUNT {
        client.ask(n, set(n, ["GME", "AAPL", "SPY", "IBM"][(n % 4) as usize]));
    }
    let mut clients = [client];
    let is_done = |clients: &[super::house::Client]| clients[0].packets.len() as u64 > COUNT;
    house.until(&mut clients, |clients, _| is_done(clients));
    let answers = clients[0].answers();
    let mut ids: Vec<u64> = answers.iter().map(|answer| answer.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..COUNT));
    assert!(answers.iter().all(|answer| matches!(answer.body, Body::SetDone { replaced: false, .. })));
    assert_eq!(house.agent.counts().requests, COUNT);
    assert_eq!(house.agent.counts().in_flight, 0);
}

#[test]
fn bad_messages_are_refused_one_by_one_and_the_connection_goes_on() {
    let mut house = House::new(1, |_| ());
    let mut client = house.client("demo", 1);
    client.message(b"");
    client.message(b"Q12345678");
    client.message(b"S1234567890");
    client.ask(5, Ask::List { user: None, limit: 9_999, cursor: 0 });
    client.ask(6, Ask::List { user: None, limit: 9, cursor: 1 << 60 });
    client.ask(7, set(1, "GME"));
    let mut clients = [client];
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 6);
    let answers = clients[0].answers();
    let ids: Vec<u64> = answers.iter().map(|answer| answer.id).collect();
    let text = u64::from_be_bytes(*b"12345678");
    assert_eq!(ids, [0, text, text, 5, 6, 7]);
    let bodies: Vec<Body> = answers.iter().map(|answer| answer.body).collect();
    let expected = [
        (Code::UnknownType, Field::None),
        (Code::UnknownType, Field::None),
        (Code::BadLength, Field::None),
        (Code::BadValue, Field::Limit),
        (Code::BadValue, Field::Cursor),
    ];
    assert_eq!(codes(&bodies), expected);
}

#[test]
fn a_drop_copy_may_list_and_not_change() {
    let mut house = House::new(1, |_| ());
    let mut client = house.client("drop", 1);
    for ask in [set(1, "GME"), Ask::Remove(key(1, "GME"), 0), Ask::RemoveUser { user: 1 }] {
        assert_eq!(codes(&house.call(&mut client, 1, ask)), [(Code::NotPermitted, Field::None)]);
    }
    let list = house.call(&mut client, 2, Ask::List { user: None, limit: 5, cursor: 0 });
    assert!(matches!(list[..], [Body::ListDone { count: 0, .. }]));
}

#[test]
fn beyond_the_rate_the_answer_says_when_to_come_again() {
    let mut house = House::new(1, |settings| settings.limits.requests_per_second_max = 2);
    let mut client = house.client("demo", 1);
    for n in 0..5 {
        client.ask(n, set(1, "GME"));
    }
    let mut clients = [client];
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 5);
    let is_rate = |body: &Body| matches!(body, Body::Refused { code: Code::Rate, retry_ms: 1..=500, .. });
    let refused = clients[0].answers().iter().filter(|answer| is_rate(&answer.body)).count();
    assert_eq!(refused, 2);
    house.now += 500_000_000;
    clients[0].ask(9, set(1, "GME"));
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 6);
    assert!(matches!(clients[0].answers()[5].body, Body::SetDone { .. }));
}

#[test]
fn while_the_alert_log_is_nearly_full_sets_are_told_when_to_come_again_and_removes_go_on() {
    let mut house = House::new(1, |_| ());
    let mut client = house.client("demo", 1);
    house.call(&mut client, 1, set(1, "GME"));
    let log_full = Arc::new(AtomicBool::new(true));
    house.agent.refuse_sets_while(Arc::clone(&log_full));
    let [Body::Refused { code: Code::LogFull, retry_ms, .. }] = house.call(&mut client, 2, set(2, "GME"))[..] else {
        panic!("the log is full")
    };
    assert_eq!(retry_ms, LOG_FULL_RETRY_MS);
    let removed = house.call(&mut client, 3, Ask::Remove(key(1, "GME"), 0));
    assert!(matches!(removed[..], [Body::RemoveDone { .. }]));
    log_full.store(false, Ordering::Relaxed);
    assert!(matches!(house.call(&mut client, 4, set(2, "GME"))[..], [Body::SetDone { .. }]));
}

#[test]
fn a_stuck_shard_holds_up_only_those_who_ask_for_it() {
    let mut house = House::new(2, |_| ());
    let (mut stuck, mut free) = (house.client("demo", 1), house.client("u000", 1));
    let names: Vec<String> = (0..).map(|n| format!("S{n}")).take(100).collect();
    let of = |shard| names.iter().find(|name| key(1, name).symbol.shard(2) == shard).unwrap();
    house.shards[0].is_stuck = true;
    for n in 0..1_000 {
        stuck.ask(n, set(n, of(0)));
        free.ask(n, set(n, of(1)));
    }
    let mut clients = [stuck, free];
    house.until(&mut clients, |clients, _| clients[1].answers().len() == 1_000);
    assert!(clients[0].answers().is_empty() && house.agent.counts().waits_shard > 0);
    house.shards[0].is_stuck = false;
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 1_000);
}
