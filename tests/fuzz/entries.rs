//! Everything that parses bytes from outside, each as a function of bytes that may be anything. It panics when it finds a fault.
//!
//! Two run them: `tests/fuzz.rs` with seeded mutations of valid inputs, on any toolchain, and `tools/fuzz` with a fuzzer that sees
//! which branches an input takes. Where there is a naive decoder (`tests/naive`) the two are compared.

use std::cell::RefCell;
use std::path::Path;

use hairtrigger::config::Config;
use hairtrigger::control::wire::{Answer, Request};
use hairtrigger::feed::arbiter::Arbiter;
use hairtrigger::feed::downstream::Downstream;
use hairtrigger::feed::itch::{self, ItchError};
use hairtrigger::feed::moldudp64::{Blocks, HEADER_SIZE, Header};
use hairtrigger::feed::settings::{ArbiterSettings, Line};
use hairtrigger::gateway::record;
use hairtrigger::gateway::wire::{MESSAGE_SIZE_MAX, Message};
use hairtrigger::journal::record::write as write_record;
use hairtrigger::journal::segment::{HEADER_SIZE as SEGMENT_HEADER_SIZE, Reader};
use hairtrigger::journal::snapshot::{FateRow, NamedRule, Snapshot, SnapshotError, SnapshotWriter, SymbolRow};
use hairtrigger::journal::storage::Storage;
use hairtrigger::journal::storage::simulated::Disk;
use hairtrigger::replay;
use hairtrigger::soup::server::{Connection, Deadlines, Input};
use hairtrigger::tls::name;

use crate::{naive, seal};

/// A fuzz target.
pub type Entry = fn(&[u8]);

/// All of them by name.
pub const ENTRIES: &[(&str, Entry)] = &[
    ("itch", one_message),
    ("moldudp64", packet),
    ("arbiter", lines),
    ("soup", soup),
    ("control", control),
    ("alerts", alerts),
    ("journal", journal),
    ("snapshot", snapshot),
    ("certificate", certificate),
    ("config", config),
    ("rules", rules),
    ("feed", feed),
];

/// Longest input that is looked at: what is longer finds nothing that a shorter one does not.
const SIZE_MAX: usize = 1 << 13;

/// Runs the target of this name.
#[allow(dead_code)] // only the fuzzer names its target
pub fn run(name: &str, bytes: &[u8]) {
    let (_, entry) = ENTRIES.iter().find(|(known, _)| *known == name).expect("each binary is named after a target");
    if bytes.len() <= SIZE_MAX {
        entry(bytes);
    }
}

/// One ITCH message: taken or refused as the naive decoder does, with the same stamp, locate, stock and price.
fn one_message(bytes: &[u8]) {
    let naive = naive::itch::check(bytes);
    match itch::decode(bytes) {
        Err(ItchError::UnknownType) => assert_eq!(naive.err(), Some(naive::itch::Skipped::UnknownType)),
        Err(ItchError::WrongLength) => assert_eq!(naive.err(), Some(naive::itch::Skipped::Malformed)),
        Ok((event, name)) => {
            let naive = naive.unwrap_or_else(|why| panic!("taken, and naively {why:?}"));
            assert_eq!((event.ts_event, event.locate), (naive.ts(), naive.locate()));
            let price_at = match naive.kind() {
                b'A' | b'F' | b'P' | b'C' => Some(32),
                b'U' => Some(31),
                b'Q' => Some(27),
                _ => None,
            };
            if let Some(at) = price_at {
                assert_eq!(i128::from(event.price), naive.price(at));
            }
            let stock = naive::encode::symbol_offset(naive.kind()).map(|at| naive.symbol(at));
            assert!(name.is_none() || name == itch::stock(bytes), "the name that binds is the stock field");
            assert!(stock.is_none() || stock == itch::stock(bytes).map(|name| name.bytes()));
        }
    }
}

/// One MoldUDP64 packet: its blocks lie one behind the other within it.
fn packet(bytes: &[u8]) {
    let Some(header) = Header::read(bytes) else { return };
    assert_eq!(header.bytes(), bytes[..HEADER_SIZE]);
    let mut blocks = Blocks::new(&header, bytes);
    let (mut count, mut at) = (0, HEADER_SIZE);
    for block in blocks.by_ref() {
        at += 2 + block.len();
        count += 1;
    }
    assert!(count == header.messages() || blocks.is_cut());
    assert_eq!(at + blocks.rest().len(), bytes.len());
}

/// Packets on both lines and from a re-request server, with time between them: what comes out is one gapless sequence a session.
///
/// `line(1) dt(1) length(1) packet ...`; a length beyond the end takes the rest.
fn lines(bytes: &[u8]) {
    let settings = ArbiterSettings { servers: bytes.len() & 1, ..ArbiterSettings::default() };
    let (mut arbiter, mut out, mut now) = (Arbiter::new(settings), Sequence::default(), 1);
    let mut rest = bytes;
    while let [line, dt, length, tail @ ..] = rest {
        let (packet, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        now += u64::from(*dt) * 700_000;
        out.refusals = u32::from(line >> 6);
        let line = [Line::A, Line::B, Line::Rerequest][usize::from(*line) % 3];
        while !arbiter.packet(line, packet, now, &mut out) {}
        while arbiter.poll(now, &mut out) > 0 {}
        while arbiter.request(now).is_some() {}
    }
}

/// Checks what the arbiter promises of its output.
#[derive(Default)]
struct Sequence {
    /// The next number; `None` before the first message of the first session.
    next: Option<u64>,
    has_session: bool,
    /// Calls that are refused before the next one is taken.
    refusals: u32,
}

impl Sequence {
    fn refuses(&mut self) -> bool {
        let refuses = self.refusals > 0;
        self.refusals = self.refusals.saturating_sub(1);
        refuses
    }

    fn advance(&mut self, from: u64, to: u64) {
        assert!(self.has_session, "a message before any session");
        assert!(self.next.is_none_or(|next| next == from), "{from} where {:?} is due", self.next);
        assert!(to > from);
        self.next = Some(to);
    }
}

impl Downstream for Sequence {
    fn message(&mut self, sequence: u64, _: u64, _: &[u8]) -> bool {
        let taken = !self.refuses();
        if taken {
            self.advance(sequence, sequence + 1);
        }
        taken
    }

    fn gap(&mut self, from: u64, to: u64) -> bool {
        let taken = !self.refuses();
        if taken {
            self.advance(from, to);
        }
        taken
    }

    fn session(&mut self, _: [u8; 10], first: bool) -> bool {
        let taken = !self.refuses();
        if taken {
            (self.next, self.has_session) = (if first { None } else { Some(1) }, true);
        }
        taken
    }

    fn end_of_session(&mut self, next: u64) -> bool {
        let taken = !self.refuses();
        assert!(!taken || self.next.is_none_or(|due| due <= next), "an end before what it ends");
        taken
    }

    fn silent(&mut self, _: bool, _: u64) -> bool {
        !self.refuses()
    }

    fn heartbeat(&mut self, _: u64) -> bool {
        !self.refuses()
    }
}

/// A client's bytes on either TCP port: what they say does not depend on the pieces that they come in.
fn soup(bytes: &[u8]) {
    let whole = said(bytes, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(said(bytes, piece), whole, "in pieces of {piece}");
    }
}

fn said(mut bytes: &[u8], piece: usize) -> Vec<String> {
    let mut connection = Connection::new(Deadlines::default(), 64, 0);
    let mut said = vec![];
    loop {
        let space = connection.space();
        let count = space.len().min(piece).min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
        connection.received(count, 0);
        loop {
            let login = match connection.input() {
                Ok(None) => break,
                Ok(Some(Input::Login(login))) => login,
                Ok(Some(Input::Logout)) => {
                    said.push("logout".into());
                    return said;
                }
                Ok(Some(other)) => {
                    said.push(format!("{other:?}"));
                    continue;
                }
                Err(violation) => {
                    said.push(violation.to_string());
                    return said;
                }
            };
            said.push(format!("{login:?}"));
            connection.accept(&login, 0);
        }
        if count == 0 {
            return said;
        }
    }
}

/// Messages of the rule port: what is read and written again says the same.
fn control(bytes: &[u8]) {
    if let Ok(request) = Request::read(bytes, 3) {
        assert_eq!(Request::read(request.encode().bytes(), 3), Ok(request));
    }
    if let Some(answer) = Answer::read(bytes) {
        assert_eq!(Answer::read(answer.encode().bytes()), Some(answer));
    }
}

/// Messages of the alert port, and records of the alert log.
fn alerts(bytes: &[u8]) {
    if let Some(message) = Message::read(bytes) {
        let mut written = [0; MESSAGE_SIZE_MAX];
        let size = match &message {
            Message::Rule(message) => (message.write(&mut written[..bytes.len()]), message.kind.size()).1,
            Message::Announcement(message) => (message.write(&mut written[..bytes.len()]), message.kind.size()).1,
        };
        assert_eq!(&written[..size], bytes);
    }
    let mut end = 0;
    for (at, record) in record::scan(bytes) {
        assert_eq!(at, end, "records lie one behind the other");
        end = at + record::stride(&bytes[at..]).expect("it was read there");
        let _ = Message::read(record.message());
    }
}

/// A segment of the journal, as it is and with right checksums: written again its records are the same bytes.
fn journal(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), seal::segment(bytes)] {
        let Ok(mut reader) = Reader::new(&bytes) else { continue };
        let (mut previous, mut written) = (reader.last_crc(), vec![]);
        while let Some(record) = reader.next() {
            assert_eq!(reader.next_sequence(), record.sequence.wrapping_add(1), "sequences rise by one");
            previous = write_record(&mut written, previous, &record);
        }
        assert!(reader.end().is_some() && reader.last_crc() == previous);
        assert!(bytes[SEGMENT_HEADER_SIZE..].starts_with(&written));
    }
}

/// All that a snapshot says.
type Said = (Vec<SymbolRow>, Vec<FateRow>, Vec<NamedRule>);

/// A snapshot, as it is and with right checksums: written again it says the same.
fn snapshot(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), seal::snapshot(bytes)] {
        let Ok(snapshot) = Snapshot::open(bytes) else { continue };
        let Ok(said) = all_of(&snapshot) else { continue };
        let (mut disk, (symbols, fates, rules)) = (Disk::default(), &said);
        let mut writer = SnapshotWriter::begin(&mut disk, snapshot.covers(), symbols, fates).expect("memory");
        rules.iter().for_each(|rule| writer.rule(rule).expect("memory"));
        writer.finish().expect("memory");
        let again = Snapshot::open(disk.read(&snapshot.covers().file_name()).expect("it was written"));
        let again = again.expect("what was written is whole");
        assert_eq!(again.covers(), snapshot.covers());
        assert_eq!(all_of(&again), Ok(said));
    }
}

fn all_of(snapshot: &Snapshot<Vec<u8>>) -> Result<Said, SnapshotError> {
    let (mut symbols, mut fates, mut rules) = (vec![], vec![], vec![]);
    snapshot.each_symbol(|row| symbols.push(row))?;
    snapshot.each_fate(|row| fates.push(row))?;
    snapshot.each_rule(&|_| true, |rule| {
        rules.push(*rule);
        Ok::<(), SnapshotError>(())
    })?;
    Ok((symbols, fates, rules))
}

/// A certificate: what its owner is called stands in it.
fn certificate(bytes: &[u8]) {
    for name in name::names(&bytes.into()) {
        assert!(name.is_empty() || bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name:?}");
    }
}

/// A config file: an error names its line.
fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Config::parse(&text, Path::new("engine.toml")) {
        assert!(error.to_string().starts_with("engine.toml:"), "{error}");
    }
}

/// A rules file, run over a short feed by both replays.
fn rules(bytes: &[u8]) {
    same(&crate::seeds::short_day(), bytes);
}

/// A recorded feed of any kind, with a few rules, by both replays.
fn feed(bytes: &[u8]) {
    same(bytes, crate::seeds::RULES.as_bytes());
}

/// Both replays tell the same of a feed and its rules.
fn same(feed: &[u8], rules: &[u8]) {
    thread_local! {
        static FOLDER: RefCell<tempfile::TempDir> = RefCell::new(tempfile::tempdir().expect("a folder of our own"));
    }
    let expected = naive::replay(feed, rules);
    FOLDER.with_borrow(|folder| {
        let [feed_path, rules_path, events_path] =
            ["feed", "rules.csv", "events.csv"].map(|name| folder.path().join(name));
        std::fs::write(&feed_path, feed).expect("a folder of our own");
        std::fs::write(&rules_path, rules).expect("a folder of our own");
        let real = replay::run(&feed_path, &rules_path, &events_path, 1);
        match (expected, real) {
            (Ok(expected), Ok(real)) => {
                let events = std::fs::read_to_string(&events_path).expect("it was written");
                assert_eq!(events, expected.events_csv);
                let counts = [
                    real.messages,
                    real.prints,
                    real.unknown_orders,
                    real.symbol_conflicts,
                    real.malformed,
                    real.unknown_types,
                    real.commands,
                    real.alerts,
                ];
                assert_eq!(counts, expected.counts().map(|(_, count)| count));
                assert_eq!(real.damage.is_some(), expected.error.is_some(), "{:?}, {:?}", real.damage, expected.error);
            }
            (Err(_), Err(_)) => (),
            (expected, real) => {
                panic!("naively {:?}, really {:?}", expected.err(), real.err().map(|error| error.to_string()))
            }
        }
    });
}
