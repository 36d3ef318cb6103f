//! Requests and answers to bytes and back, and any bytes at all.

use proptest::prelude::*;

use super::*;
use crate::limits::LIST_MAX;
use crate::model::{Comparison, Fire, Listed, OnSet, Price, RuleKey, RuleSpec, RuleState, Signal};

fn spec() -> impl Strategy<Value = RuleSpec> {
    let codes = (0usize..4, 0usize..4, any::<bool>(), 0usize..3);
    (codes, 0..i64::MAX, 0..i64::MAX, any::<u64>(), any::<u32>(), 1..u64::MAX, any::<u64>()).prop_map(
        |((signal, comparison, repeat, on_set), threshold, rearm, cooldown, max_fires, expires_at, tag)| RuleSpec {
            threshold: Price(threshold),
            rearm: Price(rearm),
            cooldown,
            expires_at,
            tag,
            max_fires,
            signal: Signal::ALL[signal],
            comparison: Comparison::ALL[comparison],
            fire: if repeat { Fire::Repeat } else { Fire::Once },
            on_set: [OnSet::Fire, OnSet::Wait, OnSet::Reject][on_set],
        },
    )
}

fn key() -> impl Strategy<Value = RuleKey> {
    (any::<u64>(), "[!#-+\\--~]{1,8}", any::<u32>()).prop_map(|(user, symbol, slot)| RuleKey {
        user,
        symbol: symbol.parse().unwrap(),
        slot,
        account: 0,
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (key(), spec()).prop_map(|(key, spec)| Ask::Set(key, spec)),
        (key(), any::<u64>()).prop_map(|(key, tag)| Ask::Remove(key, tag)),
        any::<u64>().prop_map(|user| Ask::RemoveUser { user }),
        (any::<Option<u64>>(), 1..=LIST_MAX, any::<u64>()).prop_map(|(user, limit, cursor)| Ask::List {
            user,
            limit,
            cursor
        }),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    any::<([u8; 10], u64, u64)>().prop_map(|(session, sequence, feed_time)| Place { session, sequence, feed_time })
}

fn body() -> impl Strategy<Value = Body> {
    let state = prop_oneof![Just(RuleState::Unknown), Just(RuleState::Clear), Just(RuleState::Met)];
    let value = any::<Option<i64>>().prop_map(|value| value.map(Price));
    prop_oneof![
        (place(), any::<u64>(), state.clone(), value, any::<bool>(), any::<bool>()).prop_map(
            |(place, version, state, value, replaced, symbol_unknown)| Body::SetDone {
                place,
                version,
                state,
                value,
                replaced,
                symbol_unknown
            }
        ),
        (place(), any::<u64>()).prop_map(|(place, version)| Body::RemoveDone { place, version }),
        (place(), any::<u64>()).prop_map(|(place, count)| Body::UserRemoved { place, count }),
        (key(), spec(), any::<u64>(), any::<u32>(), state)
            .prop_map(|(key, spec, version, fires, state)| Body::Rule(Listed { key, spec, version, fires, state })),
        (place(), any::<u32>(), any::<u64>()).prop_map(|(place, count, cursor)| Body::ListDone {
            place,
            count,
            cursor
        }),
        (place(), 0..Code::ALL.len(), 0..Field::ALL.len(), any::<u32>()).prop_map(|(place, code, field, retry_ms)| {
            Body::Refused { place, code: Code::ALL[code], field: Field::ALL[field], retry_ms }
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(id: u64, ask in ask(), body in body()) {
        let (request, answer) = (Request { id, ask }, Answer { id, body });
        prop_assert_eq!(Request::read(request.encode().bytes(), 0), Ok(request));
        prop_assert_eq!(Answer::read(answer.encode().bytes()), Some(answer));
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_what_is_read_is_what_was_there(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..100), kind in 0usize..12,
    ) {
        if let (Some(first), Some(kind)) = (bytes.first_mut(), b"SRXLAsrxlej".get(kind)) {
            *first = *kind;
        }
        if let Ok(request) = Request::read(&bytes, 0) {
            prop_assert_eq!(request.encode().bytes().len(), bytes.len());
            prop_assert_eq!(Request::read(request.encode().bytes(), 0), Ok(request));
        }
        if let Some(answer) = Answer::read(&bytes) {
            prop_assert_eq!(Answer::read(answer.encode().bytes()), Some(answer));
        }
    }
}

fn set() -> Vec<u8> {
    let key = RuleKey { user: 7, symbol: "GME".parse().unwrap(), slot: 1, account: 0 };
    let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(100 * Price::ONE));
    Request { id: 9, ask: Ask::Set(key, spec) }.encode().bytes().to_vec()
}

#[test]
fn each_bad_field_is_named() {
    for (at, value, field) in [
        (17, b' ', Field::Symbol),
        (18, b',', Field::Symbol),
        (29, 4, Field::Signal),
        (30, 4, Field::Comparison),
        (31, 0x80, Field::Threshold),
        (39, 2, Field::Fire),
        (40, 3, Field::OnSet),
        (41, 0x80, Field::Rearm),
    ] {
        let mut message = set();
        message[at] = value;
        assert_eq!(Request::read(&message, 0), Err(Malformed { id: 9, code: Code::BadValue, field }), "{field:?}");
    }
    for limit in [0, LIST_MAX + 1] {
        let list = Request { id: 3, ask: Ask::List { user: None, limit, cursor: 0 } };
        let refused = Malformed { id: 3, code: Code::BadValue, field: Field::Limit };
        assert_eq!(Request::read(list.encode().bytes(), 0), Err(refused));
    }
}

#[test]
fn a_wrong_size_or_type_is_refused_with_the_id_if_it_is_there() {
    let message = set();
    for size in 1..message.len() {
        let id = if size < 9 { 0 } else { 9 };
        let refused = Malformed { id, code: Code::BadLength, field: Field::None };
        assert_eq!(Request::read(&message[..size], 0), Err(refused));
    }
    let mut unknown = message;
    unknown[0] = b's';
    assert_eq!(Request::read(&unknown, 0).unwrap_err().code, Code::UnknownType);
    assert_eq!(Request::read(&[], 0), Err(Malformed { id: 0, code: Code::UnknownType, field: Field::None }));
}

#[test]
fn never_is_0_on_the_wire_and_the_greatest_value_is_never_too() {
    let mut message = set();
    assert_eq!(message[61..69], [0; 8]);
    let as_zero = Request::read(&message, 0);
    message[61..69].fill(0xff);
    assert_eq!(Request::read(&message, 0), as_zero);
}

#[test]
fn the_account_is_the_logins() {
    let Ok(Request { ask: Ask::Set(key, _), .. }) = Request::read(&set(), 12) else { panic!("a set") };
    assert_eq!(key.account, 12);
}
