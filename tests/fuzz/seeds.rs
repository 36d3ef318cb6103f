//! Valid inputs of every fuzz target, from which mutations start.

use hairtrigger::config::Config;
use hairtrigger::control::wire::{Ask, Request};
use hairtrigger::gateway::record::{Audience, Record};
use hairtrigger::gateway::wire::RuleMessage;
use hairtrigger::journal::record::{self, Entry};
use hairtrigger::journal::recovery::{End, Fate};
use hairtrigger::journal::segment::Header;
use hairtrigger::journal::snapshot::{Covers, FateRow, NamedRule, SnapshotWriter, SymbolRow};
use hairtrigger::journal::storage::Storage;
use hairtrigger::journal::storage::simulated::Disk;
use hairtrigger::journal::writer::Position;
use hairtrigger::model::{
    Alert, AlertKind, Change, ChangeKind, Comparison, LogPosition, Price, RestoredRule, RuleKey, RuleSpec, RuleState,
    Signal, Standing, Symbol,
};
use hairtrigger::soup::login::{Credentials, Login, SessionId};
use hairtrigger::soup::packet::{header, kind};
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::naive::encode::{Capture, Form, binary_file, gzip, message, moldudp64};
use crate::naive::generate::{Size, World};

/// Rules that meet what small worlds bring.
pub const RULES: &str = "user,symbol,signal,when,threshold,fire\n1,A,last,below,5,once\n1,B,bid,above,1,repeat\n\
                         2,A,mid,at_or_below,3,repeat\n2,B,ask,below,9,repeat\n3,AA,last,above,2,repeat\n";

/// A BinaryFILE of some dozens of messages.
pub fn short_day() -> Vec<u8> {
    binary_file(&World::new(1, Size { messages: 40, rules: 0 }).messages)
}

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "itch" => crate::naive::itch::KINDS.iter().map(|kind| message(*kind, 1, 2)).collect(),
        "moldudp64" => vec![packet(1, 1), packet(7, 5)],
        "arbiter" => vec![on_lines(&[(0, 1), (1, 1), (0, 3), (1, 2), (2, 2), (0, 9), (1, 4)])],
        "soup" => vec![login_and_requests()],
        "control" => requests(),
        "alerts" => alerts(),
        "journal" => vec![segment()],
        "snapshot" => vec![snapshot(0), snapshot(3), snapshot(12)],
        "certificate" => certificates(),
        "config" => vec![Config::example().into()],
        "rules" => (1..6).map(|seed| World::new(seed, Size { messages: 10, rules: 12 }).rules().into()).collect(),
        "feed" => feeds(),
        _ => panic!("{target} has no seeds"),
    }
}

fn packet(sequence: u64, count: usize) -> Vec<u8> {
    let blocks: Vec<_> = (0..count).map(|n| message(b'S', 0, n as u64)).collect();
    moldudp64("S000000001", sequence, count as u16, &blocks)
}

/// Packets of one message, each on its line.
fn on_lines(packets: &[(u8, u64)]) -> Vec<u8> {
    let one = |&(line, sequence)| {
        let packet = packet(sequence, 1);
        [&[line, 3, packet.len() as u8][..], &packet].concat()
    };
    packets.iter().flat_map(one).collect()
}

fn login_and_requests() -> Vec<u8> {
    let credentials = Credentials::new("demo", "secret").expect("they fit");
    let login = Login { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None };
    let mut bytes = login.packet().to_vec();
    bytes.extend(header(kind::CLIENT_HEARTBEAT, 0));
    bytes.extend(header(kind::UNSEQUENCED, 5));
    bytes.extend(b"hello");
    bytes.extend(header(kind::LOGOUT, 0));
    bytes
}

fn key() -> RuleKey {
    RuleKey { user: 42, symbol: "GME".parse::<Symbol>().expect("a symbol"), slot: 1, account: 3 }
}

fn spec() -> RuleSpec {
    RuleSpec { tag: 7, ..RuleSpec::new(Signal::Bid, Comparison::AtOrBelow, Price(100)) }
}

fn requests() -> Vec<Vec<u8>> {
    let asks = [Ask::Set(key(), spec()), Ask::Remove(key(), 7)];
    let mut bytes: Vec<Vec<u8>> = asks.map(|ask| Request { id: 9, ask }.encode().bytes().to_vec()).into();
    // Answers by their sizes: PROTOCOL.md.
    for (kind, size) in [(b's', 53), (b'r', 43), (b'x', 43), (b'l', 90), (b'e', 47), (b'j', 41)] {
        let mut answer = vec![0; size];
        answer[0] = kind;
        bytes.push(answer);
    }
    bytes
}

fn alerts() -> Vec<Vec<u8>> {
    let alert = Alert { key: key(), ..Alert::new(AlertKind::Alert) };
    let message = RuleMessage::of(&alert, *b"demo  ", *b"S000000001", 5);
    let size = message.kind.size();
    let mut plain = vec![0; size];
    message.write(&mut plain);
    let mut log = vec![0; 3 * Record::size(size)];
    for (number, record) in log.chunks_mut(Record::size(size)).take(2).enumerate() {
        Record::write(record, (number as u64 + 1, 1, Audience::Account(3), 9), size, |out| message.write(out));
    }
    vec![plain, log]
}

fn segment() -> Vec<u8> {
    let mut bytes = Header { first_sequence: 5, seed: 3, created: 1, boot: [0; 16] }.bytes().to_vec();
    let mut previous = 3;
    let kinds = [ChangeKind::Set(spec(), RuleState::Clear), ChangeKind::Removed];
    let changes = kinds.map(|kind| Change {
        ordinal: 1,
        feed_sequence: 2,
        feed_time: 3,
        feed_session: *b"S000000001",
        shard: 0,
        key: key(),
        version: 4,
        kind,
    });
    let standing = Standing {
        symbol: key().symbol,
        feed_sequence: 2,
        feed_time: 3,
        feed_session: *b"S000000001",
        shard: 0,
        last: Some(Price(4)),
        evaluated: [4; 4],
    };
    let changes = changes.map(|change| Entry::Change(*b"demo  ", change));
    let entries = changes.into_iter().chain([Entry::Standing(standing), Entry::End]);
    for (entry, sequence) in entries.zip(5..) {
        previous = record::write(&mut bytes, previous, &record::Record { sequence, durable: sequence - 1, entry });
    }
    bytes
}

/// With so many rules, every other one of them plain.
fn snapshot(rules: u32) -> Vec<u8> {
    let position = Position { next_sequence: 41, chain: 3 };
    let log = LogPosition { session: 5, segment: 6, offset: 7 };
    let covers = Covers { position, is_closed: true, boot: [0; 16], ordinal: 9, created: 1, log };
    let symbols = [SymbolRow { version: 12, journaled: 11, last: Price(4), ..SymbolRow::new(key().symbol) }];
    let fate = Fate { end: Some(End::Over), is_replaced: false, state: Some(RuleState::Met), fires: 1, ts_fired: 3 };
    let fates = [FateRow { symbol: key().symbol, version: 12, fate }];
    let mut disk = Disk::default();
    let mut writer = SnapshotWriter::begin(&mut disk, &covers, &symbols, &fates).expect("memory");
    for slot in 0..rules {
        let (key, cooldown) = (RuleKey { slot, account: 0, ..key() }, u64::from(slot % 2));
        let spec = RuleSpec { cooldown, ..spec() };
        let (version, state) = (u64::from(slot) + 1, RuleState::Clear);
        let rule = RestoredRule { key, spec, version, state, fires: 0, quiet_until: 0, is_sure: true };
        writer.rule(&NamedRule { account: *b"demo  ", rule }).expect("memory");
    }
    writer.finish().expect("memory");
    disk.read(&covers.file_name()).expect("it was written")
}

fn certificates() -> Vec<Vec<u8>> {
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).expect("DNS names");
        params.distinguished_name.push(DnType::OrganizationName, "x".repeat(200));
        params.distinguished_name.push(DnType::CommonName, "Desk 7");
        let certificate = params.self_signed(&KeyPair::generate().expect("randomness")).expect("it can be signed");
        certificate.der().to_vec()
    };
    vec![of(&[]), of(&["desk-7.example.com", "127.0.0.1"])]
}

fn feeds() -> Vec<Vec<u8>> {
    let mut feeds: Vec<_> = (1..9).map(|seed| World::new(seed, Size { messages: 30, rules: 0 }).feed()).collect();
    feeds.push(gzip(&short_day()));
    let mut capture = Capture::new(Form::default());
    capture.datagram(&packet(1, 3), 0, usize::MAX);
    feeds.push(capture.bytes);
    feeds
}
