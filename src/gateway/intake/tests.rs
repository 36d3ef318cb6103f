//! From alerts to records: names, sessions of the feed, broken trades.

use super::super::log::Run;
use super::super::preparer::Shape;
use super::super::record;
use super::*;
use crate::limits;
use crate::model::Price;
use crate::ring::{Sender, ring};
use crate::soup::login::SessionId;

const SEGMENT_SIZE_MIN: usize = limits::SEGMENT_SIZE_MIN as usize;

struct Bench {
    shape: Shape,
    log: AlertLog,
    retention: u64,
    rings: Vec<Sender<Alert>>,
    intake: Intake,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(retention: usize, prints_max: usize) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionId(*b"0000000001");
        let shape = Shape { directory: directory.path().into(), segment_size: SEGMENT_SIZE_MIN, session };
        let names = [*b"first ", *b"second"];
        let retention = retention.max(3 * SEGMENT_SIZE_MIN) as u64;
        let run = Run { boot: [1; 16], ts: 1 };
        let log = AlertLog::new(shape.create(0).unwrap(), &names, retention, run);
        let (rings, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| ring(1 << 14, Alert::new(AlertKind::Alert))).unzip();
        let intake = Intake::new(receivers, &names, &log, prints_max);
        Bench { shape, log, retention, rings, intake, _directory: directory }
    }

    fn cycle(&mut self) -> usize {
        if self.log.size() > self.retention {
            self.log.retire().into_iter().for_each(|segment| segment.remove().unwrap());
        }
        if let Some(ordinal) = self.log.wanted() {
            self.log.provide(self.shape.create(ordinal).unwrap());
        }
        self.intake.take(&mut self.log, &mut || 77, &mut |_| ())
    }

    fn settle(&mut self) {
        while self.cycle() > 0 {}
        assert!(self.intake.is_empty());
    }

    /// All messages that are kept, in order.
    fn messages(&self) -> Vec<Message> {
        let records = self.log.bytes().flat_map(|(_, bytes)| record::scan(bytes));
        records.filter_map(|(_, found)| Message::read(found.message())).collect()
    }
}

fn fired(match_number: u64, version: u64) -> Alert {
    let mut alert = Alert::new(AlertKind::Alert);
    alert.flags = flag::BY_PRINT | flag::LAST;
    alert.key.account = (version % 2) as u16;
    (alert.locate, alert.match_number, alert.version, alert.price) = (3, match_number, version, Price(5));
    alert
}

fn broken(match_number: u64) -> Alert {
    let mut alert = Alert::new(AlertKind::Broken);
    (alert.locate, alert.match_number, alert.sequence) = (3, match_number, 900);
    alert
}

fn busts(messages: &[Message]) -> Vec<RuleMessage> {
    let rules = messages.iter().filter_map(|message| match message {
        Message::Rule(rule) if rule.kind == Kind::Busted => Some(*rule),
        _ => None,
    });
    rules.collect()
}

#[test]
fn a_broken_print_names_each_of_its_alerts_once_in_order_and_before_what_follows() {
    let mut bench = Bench::new(100 * SEGMENT_SIZE_MIN, 100);
    for version in 1..=3_000 {
        assert!(bench.rings[0].send(fired(7 + version % 3, version)));
    }
    let mut not_by_print = fired(7, 9_000);
    not_by_print.flags = 0;
    for alert in [not_by_print, broken(7), fired(7, 9_001), broken(7), broken(7), broken(1234)] {
        assert!(bench.rings[0].send(alert));
    }
    bench.settle();
    let messages = bench.messages();
    let named: Vec<u64> = busts(&messages).iter().map(|bust| bust.version).collect();
    let wanted: Vec<u64> = (1..=3_000).filter(|version| version % 3 == 0).chain([9_001]).collect();
    assert_eq!(named, wanted);
    let later = messages.iter().position(|m| matches!(m, Message::Rule(rule) if rule.version == 9_001));
    assert_eq!(later, Some(3_001 + 1_000), "what came after the Broken Trade stands behind its busts");
    let bust = busts(&messages)[0];
    assert_eq!((bust.alert_number, bust.drop_copy_number, bust.price), (2, 3, Price(5)));
    assert_eq!((bust.sequence, bust.flags, &bust.account), (900, 0, b"second"));
    assert_eq!(bench.intake.counts().busted, 1_001);
}

#[test]
fn what_is_past_the_retention_or_was_never_remembered_is_said_to_be_unresolved() {
    let mut bench = Bench::new(0, 1);
    assert!(bench.rings[0].send(fired(1, 1)) && bench.rings[0].send(fired(2, 2)));
    bench.settle();
    let start = bench.log.start();
    while bench.log.start() == start {
        assert!(bench.rings[1].send(fired(50, 50)));
        bench.settle();
    }
    assert!(bench.rings[0].send(broken(1)) && bench.rings[0].send(broken(2)));
    bench.settle();
    let counts = bench.intake.counts();
    assert_eq!((counts.busted_unresolved, counts.busted, counts.bust_overflows), (2, 0, 1));
    let unresolved = bench.messages().into_iter().filter_map(|message| match message {
        Message::Announcement(said) if said.kind == Kind::BustedUnresolved => Some(said.match_number),
        _ => None,
    });
    assert_eq!(unresolved.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_session_is_announced_once_and_holds_from_its_place_in_each_ring() {
    let mut bench = Bench::new(0, 10);
    let mut session = Alert::new(AlertKind::Session);
    session.tag = u64::from_be_bytes(*b"S0000000");
    session.match_number = u64::from(u16::from_be_bytes(*b"02"));
    assert!(bench.rings[1].send(fired(1, 1)));
    assert!(bench.rings[0].send(session) && bench.rings[0].send(fired(1, 2)));
    bench.settle();
    assert!(bench.rings[1].send(broken(1)) && bench.rings[1].send(session) && bench.rings[1].send(broken(1)));
    bench.settle();
    assert!(bench.rings[0].send(broken(1)));
    bench.settle();
    let messages = bench.messages();
    assert_eq!(busts(&messages).iter().map(|bust| bust.version).collect::<Vec<_>>(), [1, 2]);
    let sessions = messages.iter().filter(|m| matches!(m, Message::Announcement(said) if said.kind == Kind::Session));
    assert_eq!(sessions.count(), 1);
    let in_new = messages.iter().find(|m| matches!(m, Message::Rule(rule) if rule.version == 2));
    assert!(matches!(in_new, Some(Message::Rule(rule)) if &rule.feed_session == b"S000000002"));
}

#[test]
fn without_room_nothing_is_taken_and_nothing_is_lost() {
    let mut bench = Bench::new(0, 10);
    (1..=2_000).for_each(|version| assert!(bench.rings[0].send(fired(version, version))));
    while bench.intake.take(&mut bench.log, &mut || 1, &mut |_| ()) > 0 {}
    assert!(!bench.intake.is_empty() && bench.log.nearly_full());
    assert!(bench.intake.counts().log_waits > 0);
    bench.settle();
    assert_eq!((bench.log.next(0), bench.intake.counts().alerts), (2_001, 2_000));
}

#[test]
fn what_waits_behind_the_naming_of_a_broken_print_is_not_logged_yet() {
    let mut bench = Bench::new(1 << 20, 16);
    (1..=3).for_each(|version| assert!(bench.rings[0].send(fired(7, version))));
    assert!(bench.rings[0].send(broken(7)) && bench.rings[0].send(fired(8, 4)) && bench.rings[1].send(fired(9, 1)));
    bench.cycle();
    assert_eq!(bench.intake.logged().collect::<Vec<_>>(), [4, 1]);
    bench.settle();
    assert_eq!(bench.intake.logged().collect::<Vec<_>>(), [5, 1]);
}
