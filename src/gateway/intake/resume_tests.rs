//! What a run knows of those before it: the feed's session, the prints' alerts, a naming that was cut short.

use std::path::Path;

use super::super::super::log::Run;
use super::super::super::logs::Retention;
use super::*;
use crate::limits::SEGMENT_SIZE_MIN;
use crate::model::{Price, Symbol};
use crate::ring::{Sender, ring};

const NAMES: [[u8; 6]; 2] = [*b"first ", *b"second"];

struct Bench {
    logs: Logs,
    rings: Vec<Sender<Alert>>,
    intake: Intake,
}

impl Bench {
    fn start(root: &Path, boot: u8, shards: usize) -> Bench {
        let retention = Retention { size: 100 * SEGMENT_SIZE_MIN, time: u64::MAX };
        let run = Run { boot: [boot; 16], ts: 1 };
        let logs = Logs::open(root, SEGMENT_SIZE_MIN as usize, retention, &NAMES, run).unwrap();
        let (rings, receivers) = (0..shards).map(|_| ring(1 << 14, Alert::new(AlertKind::Alert))).unzip();
        let mut intake = Intake::new(receivers, &NAMES, logs.current(), 100);
        intake.resume(&logs);
        Bench { logs, rings, intake }
    }

    fn send(&mut self, alert: Alert) {
        let shard = alert.key.symbol.shard(self.rings.len());
        assert!(self.rings[shard].send(alert));
    }

    fn cycle(&mut self) -> usize {
        let shape = self.logs.shape();
        if let Some(ordinal) = self.logs.current().wanted() {
            self.logs.current_mut().provide(shape.create(ordinal).unwrap());
        }
        self.intake.take(self.logs.current_mut(), &mut || 77, &mut |_| ())
    }

    fn settle(&mut self) {
        while self.cycle() > 0 {}
        assert!(self.intake.is_empty());
    }

    fn messages(&self) -> Vec<Message> {
        let records = self.logs.current().records().filter(|(_, record)| record.audience != Audience::Nobody);
        records.filter_map(|(_, record)| Message::read(record.message())).collect()
    }

    fn busts(&self) -> Vec<(u64, u64)> {
        let rules = self.messages().into_iter().filter_map(|message| match message {
            Message::Rule(rule) if rule.kind == Kind::Busted => Some((rule.version, rule.alert_number)),
            _ => None,
        });
        rules.collect()
    }

    fn count(&self, kind: Kind) -> usize {
        let is_it = |message: &Message| matches!(message, Message::Announcement(said) if said.kind == kind);
        self.messages().iter().filter(|message| is_it(message)).count()
    }
}

fn of(symbol: &str, kind: AlertKind, match_number: u64, version: u64) -> Alert {
    let symbol: Symbol = symbol.parse().unwrap();
    let key = RuleKey { symbol, ..RuleKey::NONE };
    let (locate, flags) = (symbol.bytes()[0].into(), flag::BY_PRINT);
    Alert { key, locate, flags, match_number, version, price: Price(5), ..Alert::new(kind) }
}

fn session(id: &[u8; 10], symbol: &str) -> Alert {
    let tag = u64::from_be_bytes(id[..8].try_into().unwrap());
    let rest = u16::from_be_bytes([id[8], id[9]]);
    Alert { tag, ..of(symbol, AlertKind::Session, rest.into(), 0) }
}

#[test]
fn a_print_of_an_earlier_run_is_known_whatever_the_number_of_shards_and_the_session_is_not_announced_again() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), 1, 3);
    for symbol in ["A", "B", "C", "D"] {
        bench.send(session(b"S000000001", symbol));
        for version in 1..=3 {
            bench.send(of(symbol, AlertKind::Alert, 7, version));
        }
    }
    bench.settle();
    drop(bench);
    let mut bench = Bench::start(root.path(), 1, 2);
    for symbol in ["A", "B", "C", "D"] {
        bench.send(session(b"S000000001", symbol));
    }
    bench.send(of("C", AlertKind::Broken, 7, 0));
    bench.settle();
    assert_eq!((bench.count(Kind::Session), bench.busts().len()), (1, 3));
    drop(bench);
    let mut bench = Bench::start(root.path(), 1, 1);
    bench.send(of("C", AlertKind::Broken, 7, 0));
    bench.send(of("D", AlertKind::Broken, 7, 0));
    bench.settle();
    assert_eq!(
        bench.busts().iter().map(|(version, _)| *version).collect::<Vec<_>>(),
        [1, 2, 3, 1, 2, 3],
        "C once, then D"
    );
    bench.send(session(b"S000000002", "A"));
    bench.send(of("A", AlertKind::Broken, 7, 0));
    bench.settle();
    assert_eq!((bench.count(Kind::Session), bench.busts().len(), bench.count(Kind::BustedUnresolved)), (2, 6, 0));
}

#[test]
fn a_naming_that_a_kill_cuts_short_goes_on_and_names_each_alert_once() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), 1, 1);
    bench.send(session(b"S000000001", "A"));
    for version in 1..=3_000 {
        bench.send(of("A", AlertKind::Alert, 7, version));
        bench.send(of("A", AlertKind::Alert, 8, 10_000 + version));
    }
    bench.settle();
    bench.send(of("A", AlertKind::Broken, 7, 0));
    for _ in 0..3 {
        bench.cycle();
    }
    let named = bench.busts().len();
    assert!((1..3_000).contains(&named), "{named}");
    drop(bench);
    let mut bench = Bench::start(root.path(), 1, 2);
    bench.send(of("A", AlertKind::Broken, 7, 0));
    bench.settle();
    let wanted: Vec<(u64, u64)> = (1..=3_000).map(|version| (version, 2 * version)).collect();
    assert!(bench.busts() == wanted, "{:?}", bench.busts().iter().zip(&wanted).find(|(a, b)| a != b));
    assert_eq!(bench.intake.counts().busted, 3_000 - named as u64);
}

#[test]
fn what_an_earlier_session_told_cannot_be_named_in_a_later_one() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(root.path(), 1, 1);
    bench.send(session(b"S000000001", "A"));
    bench.send(of("A", AlertKind::Alert, 7, 1));
    bench.settle();
    drop(bench);
    let mut bench = Bench::start(root.path(), 2, 1);
    bench.send(session(b"S000000001", "A"));
    bench.send(of("A", AlertKind::Broken, 7, 0));
    bench.settle();
    let counts = (bench.count(Kind::Session), bench.busts().len(), bench.count(Kind::BustedUnresolved));
    assert_eq!(counts, (1, 0, 1), "the new stream is told of the session, too");
    drop(bench);
    let mut bench = Bench::start(root.path(), 2, 1);
    bench.send(of("A", AlertKind::Broken, 9, 0));
    bench.send(session(b"S000000002", "A"));
    bench.send(of("A", AlertKind::Broken, 9, 0));
    bench.settle();
    assert_eq!(bench.count(Kind::BustedUnresolved), 2, "until the feed's session changes");
}
