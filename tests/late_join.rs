//! An engine that starts in the middle of the day: what a recorded file and the re-request server give back, and what is said
//! where nothing can.

mod engine;
mod naive;

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use engine::alerts::{Commands, Reader, Told, difference, rows};
use engine::feed::{Feed, SESSION, binary_file, head, server, settings, synthetic, tail};
use engine::rules::{Desk, Rows, read};
use engine::{Shape, config};
use flate2::Compression;
use flate2::write::GzEncoder;
use hairtrigger::control::wire::Answer;
use hairtrigger::engine::Engine;
use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::model::flag;
use hairtrigger::publish::{Messages, Rates, Settings, capture};
use hairtrigger::rules_csv::RulesFile;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use naive::real::run_files;

const DAY: DayParams = DayParams { seed: 41, messages: 40_000, symbols: 60 };
/// Where the live feed is when the engine starts.
const LIVE: u64 = 20_000;

/// Rules around the day's prices, of one account; what a first value does is always the same.
fn day_rules(count: usize) -> Rows {
    let mut source = RuleRows::new(Day::new(DAY).prices(), 60, 5);
    let column = RULES_HEADER.split(',').position(|name| name == "on_set").expect("a column");
    let mut row = || {
        let mut line = String::new();
        source.next_into(&mut line);
        let mut fields: Vec<&str> = line.trim_end().split(',').collect();
        fields[column] = "";
        fields.join(",")
    };
    Rows { header: RULES_HEADER.into(), rows: (0..count).map(|_| row()).collect() }
}

/// What an engine that joined late has told and counted.
struct Joined {
    told: Told,
    answers: Vec<Answer>,
    from_file: u64,
    recovered: u64,
    history_conflicts: u64,
    unknown_orders: u64,
}

/// How one joins.
#[derive(Clone, Copy, Default)]
struct Join<'a> {
    warm_up: Option<&'a Path>,
    has_server: bool,
    /// Rules are there from an earlier run.
    has_rules: bool,
    /// Messages in all that it takes or gives up, if not all of the day.
    total: Option<u64>,
}

fn join(folder: &Path, messages: &Arc<Messages>, file: &RulesFile, join: Join<'_>) -> Joined {
    let (server, address) = server(messages);
    let rerequest = join.has_server.then_some(address);
    let mut config = config(Shape { shards: 2, lines: 2, rerequest, accounts: &file.accounts }, folder);
    config.feed.warm_up = join.warm_up.map(Path::to_path_buf);
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let reader = Reader::connect(engine.addresses.gateway);
    let mut answers = vec![];
    if !join.has_rules {
        let mut desk = Desk::connect(engine.addresses.control, file);
        desk.load();
        answers = desk.close();
    }
    let lines = [engine.addresses.line_a, engine.addresses.line_b].map(|line| line.expect("it has two"));
    let settings = settings(&lines, Rates::default());
    let server = join.has_server.then_some(server);
    let mut feed = Feed::new(&tail(messages, LIVE), &settings, server, &engine.stats_file);
    feed.total = join.total.unwrap_or(messages.count());
    feed.finish();
    let count = |name| feed.count("arbiter", name);
    let (from_file, recovered) = (count("from_file"), count("recovered"));
    let history_conflicts = count("history_conflicts");
    let stats = engine.stats_file.clone();
    engine.stop();
    let seen = hairtrigger::stats::StatsReader::open(&stats).and_then(|stats| stats.snapshot()).expect("whole stats");
    let of_shards = seen.counters.iter().filter(|counters| counters.block == "shard").flat_map(|of| &of.values);
    let unknown_orders = of_shards.filter(|(name, _)| name == "unknown_orders").map(|(_, count)| count).sum();
    Joined { told: reader.finish(), answers, from_file, recovered, history_conflicts, unknown_orders }
}

/// The day, its rules, and what `replay` tells of them.
struct World {
    folder: tempfile::TempDir,
    messages: Arc<Messages>,
    file: RulesFile,
    expected: Vec<String>,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let messages = synthetic(DAY);
        let csv = day_rules(2_000).csv_before_all();
        let file = read(&csv, folder.path());
        let feed = folder.path().join("day");
        std::fs::write(&feed, binary_file(&messages)).expect("a folder of our own");
        let outcome = run_files(folder.path(), &feed, 1);
        let events = String::from_utf8(outcome.events.expect("events")).expect("text");
        let expected: Vec<String> = events.lines().skip(1).map(str::to_string).collect();
        assert!(expected.len() > 700, "{} events say too little", expected.len());
        World { folder, messages, file, expected }
    }

    /// An engine's own folder.
    fn home(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path()).expect("a folder")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("a folder of our own");
        path
    }

    fn rows(&self, joined: &Joined) -> Vec<String> {
        let none = vec![0; self.file.rows.len()];
        rows(&joined.told.rules, &Commands { file: &self.file, answers: &joined.answers, at: &none, feed_time: &none })
    }

    /// Nothing is missing and nothing is different: the engine might have been there all day.
    fn assert_whole(&self, joined: &Joined) {
        let difference = difference(&self.expected, &self.rows(joined));
        assert!(difference.is_empty(), "{difference}");
        assert!(joined.told.gaps().is_empty() && joined.unknown_orders == 0);
        let flags = joined.told.rules.iter().fold(0, |flags, told| flags | told.flags);
        assert_eq!(flags & (flag::BOOK_SUSPECT | flag::AFTER_GAP), 0);
    }
}

/// A capture of messages, all of them on one line, in a session.
fn capture_of(messages: &Messages, session: [u8; 10], path: &Path) {
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2);
    let settings = Settings { session, ..settings(&[any.into()], Rates::default()) };
    let source = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    capture::write(&settings, messages, source, File::create(path).expect("a folder of our own")).expect("a capture");
}

#[test]
fn a_recorded_file_that_reaches_into_the_live_feed_gives_everything_back() {
    let world = World::new();
    let bytes = binary_file(&head(&world.messages, LIVE + 5_000));
    // As one that is still being written: it ends inside a message.
    let plain = world.write("plain", &bytes[..bytes.len() - 7]);
    let mut gzip = GzEncoder::new(vec![], Compression::fast());
    gzip.write_all(&bytes).expect("memory");
    let packed = gzip.finish().expect("memory");
    let packed = world.write("packed.gz", &packed[..packed.len() - 100]);
    let pcap = world.folder.path().join("pcap");
    capture_of(&head(&world.messages, LIVE + 5_000), SESSION, &pcap);
    for file in [plain, packed, pcap] {
        let join = Join { warm_up: Some(&file), ..Join::default() };
        let joined = self::join(world.home().path(), &world.messages, &world.file, join);
        world.assert_whole(&joined);
        assert!(joined.from_file >= LIVE - 1, "{} of {}", joined.from_file, file.display());
    }
}

#[test]
fn what_lies_between_file_and_live_feed_is_asked_for() {
    let world = World::new();
    let file = world.write("file", &binary_file(&head(&world.messages, LIVE - 4_000)));
    let join = Join { warm_up: Some(&file), has_server: true, ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    world.assert_whole(&joined);
    assert_eq!((joined.from_file, joined.recovered), (LIVE - 4_001, 4_000));
}

#[test]
fn what_lies_between_file_and_live_feed_is_announced_where_nobody_has_it() {
    let world = World::new();
    let file = world.write("file", &binary_file(&head(&world.messages, LIVE - 4_000)));
    let join = Join { warm_up: Some(&file), ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    assert_eq!((joined.told.gaps(), joined.from_file), (vec![(LIVE - 4_000, LIVE)], LIVE - 4_001));
    let before =
        |row: &&String| row.split(',').next().and_then(|at| at.parse().ok()).is_some_and(|at: u64| at < LIVE - 4_000);
    let told = self::rows_before(&world.rows(&joined), before);
    let expected = self::rows_before(&world.expected, before);
    assert!(expected.len() > 100 && expected == told, "{}", difference(&expected, &told));
    assert!(joined.told.rules.iter().any(|told| told.flags & flag::AFTER_GAP != 0));
}

/// Alerts among the rows.
fn rows_before(rows: &[String], is_before: impl Fn(&&String) -> bool) -> Vec<String> {
    rows.iter().filter(|row| row.contains(",alert,")).filter(is_before).cloned().collect()
}

#[test]
fn a_hole_in_the_file_is_a_gap_like_any_other() {
    let world = World::new();
    let mut holed = Messages::default();
    let part = head(&world.messages, LIVE + 1_000);
    for (sequence, message) in (1..).zip(engine::feed::each(&part)) {
        assert!((9_000..9_500).contains(&sequence) || holed.push(sequence, message));
    }
    let file = world.folder.path().join("pcap");
    capture_of(&holed, SESSION, &file);
    let with_server = Join { warm_up: Some(&file), has_server: true, ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, with_server);
    world.assert_whole(&joined);
    assert_eq!(joined.recovered, 500);
    let alone = Join { warm_up: Some(&file), ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, alone);
    assert_eq!(joined.told.gaps(), [(9_000, 9_500)]);
}

#[test]
fn a_file_of_another_session_is_not_used() {
    let world = World::new();
    let file = world.folder.path().join("pcap");
    capture_of(&head(&world.messages, LIVE), *b"YESTERDAY1", &file);
    let join = Join { warm_up: Some(&file), ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    assert_eq!((joined.from_file, joined.told.gaps()), (0, vec![(1, LIVE)]));
}

#[test]
fn a_file_of_another_day_is_found_out_where_it_meets_the_live_feed() {
    let world = World::new();
    let other = synthetic(DayParams { seed: 42, ..DAY });
    let file = world.write("file", &binary_file(&head(&other, LIVE + 5_000)));
    let join = Join { warm_up: Some(&file), ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    assert_eq!(joined.history_conflicts.min(1), 1);
    // From then on it is an engine that has joined in the middle of the day.
    assert!(joined.unknown_orders > 500, "{}", joined.unknown_orders);
    let alerts = joined.told.rules.iter().filter(|told| told.kind == Kind::Alert && told.sequence >= LIVE + 5_000);
    let of_book: Vec<&RuleMessage> = alerts.filter(|told| told.signal as usize > 0).collect();
    let suspect = of_book.iter().filter(|told| told.flags & flag::BOOK_SUSPECT != 0).count();
    assert!(of_book.len() > 3 && suspect == of_book.len(), "{suspect} of {}", of_book.len());
}

#[test]
fn the_re_request_server_gives_everything_back() {
    let world = World::new();
    let join = Join { has_server: true, ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    world.assert_whole(&joined);
    assert!(joined.recovered >= LIVE - 1, "{}", joined.recovered);
}

#[test]
fn without_either_unknown_orders_are_counted_and_alerts_out_of_the_book_say_so() {
    let world = World::new();
    let join = Join { total: Some(world.messages.count() - LIVE + 1), ..Join::default() };
    let joined = self::join(world.home().path(), &world.messages, &world.file, join);
    assert!(joined.unknown_orders > 500, "{}", joined.unknown_orders);
    let alerts = joined.told.rules.iter().filter(|told| told.kind == Kind::Alert);
    let (of_book, of_prints): (Vec<&RuleMessage>, Vec<_>) = alerts.partition(|told| told.signal as usize > 0);
    assert!(of_book.len() > 20 && of_prints.len() > 20);
    assert!(of_book.iter().all(|told| told.flags & flag::BOOK_SUSPECT != 0));
    // A trade that names its own price needs no order.
    assert!(of_prints.iter().any(|told| told.flags & flag::BOOK_SUSPECT == 0));
}

/// Stopped in the middle of the day and started later with a recording: what the first run told is not told again.
#[test]
fn restored_rules_fire_once_in_all() {
    let world = World::new();
    let home = world.home();
    let mut told = vec![];
    let mut config =
        config(Shape { shards: 3, lines: 1, rerequest: None, accounts: &world.file.accounts }, home.path());
    config.feed.warm_up = None;
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let reader = Reader::connect(engine.addresses.gateway);
    let mut desk = Desk::connect(engine.addresses.control, &world.file);
    desk.load();
    let answers = desk.close();
    let line = engine.addresses.line_a.expect("it has one");
    let first = head(&world.messages, LIVE - 6_000);
    let mut feed = Feed::new(&first, &settings(&[line], Rates::default()), None, &engine.stats_file);
    feed.finish();
    engine.stop();
    told.extend(reader.finish().rules);
    let before = told.len();
    let file = world.write("file", &binary_file(&head(&world.messages, LIVE + 500)));
    let join = Join { warm_up: Some(&file), has_rules: true, ..Join::default() };
    let second = self::join(home.path(), &world.messages, &world.file, join);
    // The stream goes on over a restart: the first run's part of it comes again.
    let again = second.told.rules.iter().zip(&told).take_while(|(now, before)| now == before).count();
    told.extend(second.told.rules.iter().skip(again).cloned());
    assert!(before > 100 && told.len() > before + 100, "{before} and then {}", told.len());
    let joined = Joined { told: Told { rules: told, announcements: vec![] }, answers, ..second };
    // Whether a rule had seen a value before is not written down where it made no difference.
    let same = |row: &String| row.replace("alert,initial", "alert,cross");
    let expected: Vec<String> = world.expected.iter().map(same).collect();
    let found: Vec<String> = world.rows(&joined).iter().map(same).collect();
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}
