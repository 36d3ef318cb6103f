//! The examples in PROTOCOL.md are what the encoders write, to the byte, and its tables have the codes of the code.

use std::collections::BTreeMap;

use hairtrigger::control::wire::{Answer, Ask, Body, Code, Field, Place, Request};
use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::model::{Comparison, Listed, Price, Reason, RuleKey, RuleSpec, RuleState, Signal, flag};
use hairtrigger::soup::login::{Credentials, Login, SessionId};
use hairtrigger::soup::packet::{accepted, header, kind};

const DOC: &str = include_str!("../PROTOCOL.md");

fn packet(kind: u8, message: &[u8]) -> Vec<u8> {
    [&header(kind, message.len())[..], message].concat()
}

fn request(id: u64, ask: Ask) -> Vec<u8> {
    packet(kind::UNSEQUENCED, Request { id, ask }.encode().bytes())
}

fn answer(id: u64, body: Body) -> Vec<u8> {
    packet(kind::SEQUENCED, Answer { id, body }.encode().bytes())
}

fn alert() -> Vec<u8> {
    let message = RuleMessage {
        kind: Kind::Alert,
        reason: Reason::Cross,
        flags: flag::LAST | flag::BY_PRINT,
        signal: Signal::Last,
        comparison: Comparison::Below,
        account: *b"demo  ",
        user: 42,
        symbol: "GME".parse().unwrap(),
        slot: 0,
        version: 1,
        tag: 7,
        threshold: Price(100 * Price::ONE),
        price: Price(99_990_000_000),
        feed_session: *b"S000000001",
        sequence: 1002,
        ordinal: 0,
        match_number: 555,
        ts_event: 1_580_394_600_000_000_002,
        ts_recv: 1_580_394_600_000_100_000,
        ts_match: 1_580_394_600_000_100_300,
        ts_log: 1_580_394_600_000_100_500,
        alert_number: 0,
        drop_copy_number: 0,
    };
    let mut bytes = vec![0; Kind::Alert.size()];
    message.write(&mut bytes);
    packet(kind::SEQUENCED, &bytes)
}

fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let key = RuleKey { user: 42, symbol: "GME".parse().unwrap(), slot: 0, account: 0 };
    let spec = RuleSpec { tag: 7, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(100 * Price::ONE)) };
    let place = Place { session: *b"S000000001", sequence: 1001, feed_time: 1_580_394_600_000_000_000 };
    let credentials = Credentials::new("demo", "secret").unwrap();
    let login = Login { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None };
    let (version, state, value) = (1, RuleState::Clear, Some(Price(101 * Price::ONE)));
    let set_done = Body::SetDone { place, version, state, value, replaced: false, symbol_unknown: false };
    let refused = Body::Refused { place: Place::NONE, code: Code::BadValue, field: Field::Signal, retry_ms: 0 };
    BTreeMap::from([
        ("login", login.packet().to_vec()),
        ("accepted", accepted(&SessionId(*b"0000000001"), 1).to_vec()),
        ("set", request(1, Ask::Set(key, spec))),
        ("set-done", answer(1, set_done)),
        ("remove", request(2, Ask::Remove(key, 7))),
        ("remove-done", answer(2, Body::RemoveDone { place, version })),
        ("remove-user", request(3, Ask::RemoveUser { user: 42 })),
        ("user-removed", answer(3, Body::UserRemoved { place, count: 5 })),
        ("list-user", request(4, Ask::List { user: Some(42), limit: 1000, cursor: 0 })),
        ("list-all", request(4, Ask::List { user: None, limit: 1000, cursor: 0 })),
        ("rule", answer(4, Body::Rule(Listed { key, spec, version, fires: 0, state }))),
        ("list-done", answer(4, Body::ListDone { place, count: 1, cursor: 0 })),
        ("refused", answer(5, refused)),
        ("alert", alert()),
    ])
}

/// The blocks fenced as `hex NAME`, as bytes.
fn blocks() -> BTreeMap<&'static str, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    for part in DOC.split("```hex ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        let digits: Vec<u8> = rest.split("```").next().unwrap().bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        assert!(blocks.insert(name, digits.chunks(2).map(byte).collect()).is_none(), "{name} twice");
    }
    blocks
}

fn hex(bytes: &[u8]) -> String {
    let row = |row: &[u8]| row.iter().map(|b| format!("{b:02x}")).collect::<String>();
    bytes.chunks(32).map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_are_what_the_encoders_write() {
    let (documented, written) = (blocks(), examples());
    let wrong = written.iter().filter(|(name, bytes)| documented.get(*name) != Some(*bytes));
    let wrong: Vec<String> = wrong.map(|(name, bytes)| format!("```hex {name}\n{}\n```", hex(bytes))).collect();
    assert!(wrong.is_empty(), "expected:\n{}", wrong.join("\n"));
    assert_eq!(documented.len(), written.len());
}

#[test]
fn the_tables_have_every_code_and_field() {
    for code in Code::ALL {
        assert!(DOC.contains(&format!("| {} | `{code}` |", code as u8)), "| {} | `{code}` |", code as u8);
    }
    for field in Field::ALL.into_iter().skip(1) {
        assert!(DOC.contains(&format!("| {} | `{}` |", field as u8, field.name())), "{}", field.name());
    }
}

#[test]
fn the_tables_of_the_alert_stream_are_those_beside_its_encoder() {
    let source = include_str!("../src/gateway/wire.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|line| line.starts_with("| "));
    assert!(rows.clone().count() > 30);
    for row in rows {
        assert!(DOC.contains(row), "{row}");
    }
}
