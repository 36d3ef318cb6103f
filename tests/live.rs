//! The engine live against `replay`: the same feed over UDP and the same rules over TCP give the same events.

mod engine;
mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use engine::alerts::{Commands, Reader, Told, account, difference, rows};
use engine::feed::{Feed, binary_file, each, recorded, server, settings, synthetic};
use engine::rules::{Desk, Rows, place, read};
use engine::{Shape, config};
use hairtrigger::engine::Engine;
use hairtrigger::feed::recording::Recording;
use hairtrigger::gateway::wire::Kind;
use hairtrigger::model::flag;
use hairtrigger::publish::messages::stamp;
use hairtrigger::publish::{Messages, Rates, capture};
use hairtrigger::rules_csv::RulesFile;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use naive::generate::{RULES_HEADER as WORLD_HEADER, Random, Size, World};
use naive::market::Market;
use naive::real::run_files;
use naive::rules::Signal;

/// One datagram in a hundred on each line is lost, one comes twice, one comes late.
const IMPAIRED: Rates = Rates { loss: 10_000, duplicate: 10_000, reorder: 10_000 };

const DAY: DayParams = DayParams { seed: 11, messages: 100_000, symbols: 300 };

/// Rules of three accounts around the day's prices, some of them replaced later, some removed.
fn day_rules(day: DayParams, count: usize) -> Rows {
    let mut source = RuleRows::new(Day::new(day).prices(), 60, 5);
    let mut random = Random(5);
    let mut rows: Vec<String> = vec![];
    for number in 0..count {
        let mut line = String::new();
        source.next_into(&mut line);
        let fields: Vec<&str> = line.splitn(5, ',').collect();
        let account = ["demo", "alpha", "zz9"][number / 100 % 3];
        let block = number as u64 % 100;
        let earlier = (block > 0 && random.once_in(6)).then(|| {
            let row = &rows[number - 1 - random.below(block) as usize];
            row.splitn(6, ',').skip(2).take(3).collect::<Vec<_>>().join(",")
        });
        let key = earlier.unwrap_or_else(|| fields[1..4].join(","));
        rows.push(match random.once_in(12) {
            true => format!("remove,{account},{key},,,,,,,,,,{number}"),
            false => format!("set,{account},{key},{}", fields[4]),
        });
    }
    Rows { header: format!("op,{RULES_HEADER}"), rows }
}

/// The rows of a rules file that begins with `at`.
fn without_at(csv: &str) -> Rows {
    let rest = |line: &str| line.split_once(',').expect("a column behind it").1.to_string();
    let mut lines = csv.lines().map(rest);
    Rows { header: lines.next().expect("a header"), rows: lines.collect() }
}

/// The rows that `replay` gives for the feed in a file.
fn replayed(folder: &Path, feed: &Path, csv: &str) -> Vec<String> {
    std::fs::write(folder.join("rules.csv"), csv).expect("a folder of our own");
    let outcome = run_files(folder, feed, 1);
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    let events = String::from_utf8(outcome.events.expect("events")).expect("text");
    events.lines().skip(1).map(str::to_string).collect()
}

/// Rows whose kind (event and reason) is this.
fn kinds(rows: &[String], kind: &str) -> usize {
    rows.iter().filter(|row| row.contains(kind)).count()
}

/// Stops the engine and takes all that the drop copy was told.
fn stop(engine: Engine, mut reader: Reader, expected: usize) -> Told {
    reader.wait_for(expected);
    engine.stop();
    reader.finish()
}

/// What an engine of so many shards tells when all rules were set before the feed came over two bad lines.
fn live(messages: &Arc<Messages>, file: &RulesFile, expected: &[String], shards: usize) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, address) = server(messages);
    let shape = Shape { shards, lines: 2, rerequest: Some(address), accounts: &file.accounts };
    let engine = Engine::start(&config(shape, folder.path())).unwrap_or_else(|error| panic!("{error}"));
    let mut desk = Desk::connect(engine.addresses.control, file);
    desk.load();
    let answers = desk.close();
    let lines = [engine.addresses.line_a, engine.addresses.line_b].map(|line| line.expect("it has two"));
    let mut feed = Feed::new(messages, &settings(&lines, IMPAIRED), Some(server), &engine.stats_file);
    feed.finish();
    assert_eq!(feed.count("arbiter", "gaps"), 0);
    let lost = feed.lines.line_counts().map(|line| line.lost);
    assert!(messages.count() < 50_000 || lost.min() > Some(100) && feed.count("arbiter", "recovered") > 0);
    let reader = Reader::connect(engine.addresses.gateway);
    let own = |user: &String| (user.clone(), Reader::connect_as(user, engine.addresses.gateway));
    let owners: Vec<_> = file.accounts.iter().map(own).collect();
    let refused = kinds(expected, ",rejected,");
    let told = stop(engine, reader, expected.len() - refused);
    for (user, reader) in owners {
        let its: Vec<_> = told.rules.iter().filter(|it| account(it) == user).collect();
        assert!(reader.finish().rules.iter().eq(its), "{user} is told what the drop copy is told of its rules");
    }
    let none = vec![0; file.rows.len()];
    rows(&told.rules, &Commands { file, answers: &answers, at: &none, feed_time: &none })
}

/// Compares live and `replay` for these numbers of shards; the rows.
fn compare(messages: &Arc<Messages>, rules: &Rows, shards: &[usize]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let feed = folder.path().join("feed");
    std::fs::write(&feed, binary_file(messages)).expect("a folder of our own");
    let csv = rules.csv_before_all();
    let expected = replayed(folder.path(), &feed, &csv);
    let file = read(&csv, folder.path());
    for &shards in shards {
        let difference = difference(&expected, &live(messages, &file, &expected, shards));
        assert!(difference.is_empty(), "{shards} shards: {difference}");
    }
    expected
}

#[test]
fn a_day_over_two_bad_lines_gives_the_events_of_replay() {
    let rows = compare(&synthetic(DAY), &day_rules(DAY, 4_000), &[1, 2, 7]);
    for kind in ["alert,cross,0", "alert,cross,1", "alert,initial,1", "ended,replaced", "ended,removed"] {
        assert!(kinds(&rows, kind) > 20, "{} of {kind} say too little", kinds(&rows, kind));
    }
    for kind in ["ended,expired", "rejected,unknown_key"] {
        assert!(kinds(&rows, kind) > 2, "{} of {kind} say too little", kinds(&rows, kind));
    }
}

#[test]
fn a_recorded_day_over_two_bad_lines_gives_the_events_of_replay() {
    let Some(path) = naive::recorded::recorded("aapl-2020-01-30.itch") else { return };
    let day = 11_234_909_934_000..28_770_516_505_000;
    let rules = naive::recorded::rules_around(22, 2_000, 10_000, 3_201_000..3_224_500, 100, day);
    let rows = compare(&recorded(&path), &without_at(&rules.replace("SYMBOL", "AAPL")), &[1, 7]);
    assert!(kinds(&rows, ",alert,") > 500, "{} alerts say too little", kinds(&rows, ",alert,"));
}

/// Small numbers, so that everything that can collide does: references, locates, match numbers, keys, stamps.
#[test]
fn small_worlds_over_two_bad_lines_give_the_events_of_replay() {
    let mut busted = 0;
    for seed in 0..6 {
        let world = World::new(seed, Size { messages: 2_000, rules: 150 });
        let mut messages = Messages::default();
        world.messages.iter().for_each(|message| assert!(messages.push(messages.next_sequence(), message)));
        let at = WORLD_HEADER.split(',').position(|column| column == "at").expect("a column");
        let expiry = WORLD_HEADER.split(',').position(|column| column == "expires_at").expect("a column");
        let rows = world.rule_rows.iter().filter_map(|row| {
            let mut fields: Vec<&str> = row.split(',').collect();
            // Before the first stamp live has no time of day that could be past it.
            let is_midnight = fields[expiry].trim_end_matches(['.', '0', ':']).is_empty() && !fields[expiry].is_empty();
            fields.remove(at);
            (!is_midnight).then(|| fields.join(","))
        });
        let rules = Rows { header: WORLD_HEADER.replacen("at,", "", 1), rows: rows.collect() };
        busted += kinds(&compare(&Arc::new(messages), &rules, &[[1, 2, 7][seed as usize % 3]]), ",busted,");
    }
    assert!(busted > 20, "{busted} busted say too little");
}

/// What a capture lacks between its first message and the end of the day.
fn gaps(capture: &Path, end: u64) -> Vec<(u64, u64)> {
    let mut recording = Recording::open(capture).expect("a capture");
    let (mut next, mut gaps) = (None, vec![]);
    while let Some((sequence, _)) = recording.next() {
        gaps.extend(next.filter(|next| *next < sequence).map(|next| (next, sequence)));
        next = Some(sequence + 1);
    }
    gaps.extend(next.filter(|next| *next < end).map(|next| (next, end)));
    gaps
}

/// Of the messages of a capture: where which signal of a symbol has its first update behind a gap, and which are
/// executions at the price of an order.
fn first_updates(capture: &Path) -> (BTreeSet<(u64, usize)>, BTreeSet<u64>) {
    let feed = naive::feed::read(&std::fs::read(capture).expect("a capture")).expect("a feed");
    let (mut market, mut owed) = (Market::default(), BTreeMap::new());
    let (mut first, mut executions) = (BTreeSet::new(), BTreeSet::new());
    let (mut next, mut gaps) = (feed.messages[0].0, 0);
    for (sequence, bytes) in &feed.messages {
        gaps += u64::from(*sequence > next);
        next = sequence + 1;
        let Ok(message) = naive::itch::check(bytes) else { continue };
        let effect = market.apply(&message);
        executions.extend((message.kind() == b'E').then_some(*sequence));
        let Some(symbol) = effect.symbol else { continue };
        let (seen, signals) = owed.entry(symbol).or_insert((0, [false; 4]));
        if *seen != gaps {
            (*seen, *signals) = (gaps, [true; 4]);
        }
        for (index, signal) in [Signal::Last, Signal::Bid, Signal::Ask, Signal::Mid].into_iter().enumerate() {
            let is_touched = if signal == Signal::Last { effect.print.is_some() } else { effect.book };
            if is_touched && signals[index] && market.value(&symbol, signal).is_some() {
                signals[index] = false;
                first.insert((*sequence, index));
            }
        }
    }
    (first, executions)
}

/// Every alert bears the flags that the gaps before it call for, and no others. Returns how many bear which.
fn check_flags(told: &Told, capture: &Path, gaps: &[(u64, u64)]) -> [usize; 2] {
    let (first, executions) = first_updates(capture);
    let mut flagged = [0; 2];
    for alert in told.rules.iter().filter(|it| it.kind == Kind::Alert && it.ordinal == 0) {
        let signal = alert.signal as usize;
        let from_orders = signal > 0 || executions.contains(&alert.sequence);
        let after_gap = first.contains(&(alert.sequence, signal));
        let suspect = from_orders && gaps.iter().any(|(from, _)| *from < alert.sequence);
        let expected = [(after_gap, flag::AFTER_GAP), (suspect, flag::BOOK_SUSPECT)];
        for ((up, flag), count) in expected.into_iter().zip(&mut flagged) {
            assert_eq!(alert.flags & flag != 0, up, "flag {flag} of {alert:?}");
            *count += usize::from(up);
        }
    }
    flagged
}

/// Not reordered: what is late on the only line is lost or not, as the clock has it.
#[test]
fn one_bad_line_announces_its_gaps_and_else_tells_what_replay_tells_of_a_capture() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = DayParams { seed: 12, messages: 40_000, symbols: 50 };
    let messages = synthetic(day);
    let rules = day_rules(day, 3_000);
    let csv = rules.csv_before_all();
    let file = read(&csv, folder.path());
    let shape = Shape { shards: 2, lines: 1, rerequest: None, accounts: &file.accounts };
    let engine = Engine::start(&config(shape, folder.path())).unwrap_or_else(|error| panic!("{error}"));
    let mut desk = Desk::connect(engine.addresses.control, &file);
    desk.load();
    let answers = desk.close();
    let line = engine.addresses.line_a.expect("it has one");
    let settings = settings(&[line], Rates { reorder: 0, ..IMPAIRED });
    let pcap = folder.path().join("feed");
    let source = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    capture::write(&settings, &messages, source, File::create(&pcap).expect("a folder of our own")).expect("a capture");
    let expected = replayed(folder.path(), &pcap, &csv);
    let mut feed = Feed::new(&messages, &settings, None, &engine.stats_file);
    feed.finish();
    let refused = kinds(&expected, ",rejected,");
    let reader = Reader::connect(engine.addresses.gateway);
    let told = stop(engine, reader, expected.len() - refused);
    let gaps = gaps(&pcap, messages.next_sequence());
    assert!(gaps.len() > 50, "{gaps:?}");
    assert_eq!(told.gaps(), gaps);
    let none = vec![0; file.rows.len()];
    let rows = rows(&told.rules, &Commands { file: &file, answers: &answers, at: &none, feed_time: &none });
    let difference = difference(&expected, &rows);
    assert!(difference.is_empty(), "{difference}");
    let flagged = check_flags(&told, &pcap, &gaps);
    assert!(flagged.iter().all(|count| *count > 20), "{flagged:?}");
}

/// Feed time before each message from number 1 on, and behind the last: the largest stamp so far.
fn feed_times(messages: &Messages) -> Vec<u64> {
    let mut times = vec![0];
    times.extend(each(messages).scan(0, |time: &mut u64, message| {
        *time = stamp(message).map_or(*time, |ts| ts.max(*time));
        Some(*time)
    }));
    times
}

/// What an engine acknowledges is what holds: `replay`, given the acknowledged sequences, fires the same alerts at the
/// same messages. Without expiries and cooldowns, which live count from what the shard knows of feed time.
#[test]
fn a_rule_set_while_the_feed_runs_holds_from_the_sequence_that_is_acknowledged() {
    const BATCHES: u64 = 100;
    let messages = synthetic(DAY);
    let mut rules = day_rules(DAY, 1_500);
    for row in &mut rules.rows {
        let mut fields: Vec<&str> = row.split(',').collect();
        (fields[1], fields[11], fields[13]) = ("demo", "", "");
        *row = fields.join(",");
    }
    let times = feed_times(&messages);
    for shards in [1, 7] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = read(&rules.csv_before_all(), folder.path());
        let (server, address) = server(&messages);
        let shape = Shape { shards, lines: 2, rerequest: Some(address), accounts: &file.accounts };
        let engine = Engine::start(&config(shape, folder.path())).unwrap_or_else(|error| panic!("{error}"));
        let mut desk = Desk::connect(engine.addresses.control, &file);
        let lines = [engine.addresses.line_a, engine.addresses.line_b].map(|line| line.expect("it has two"));
        let mut feed = Feed::new(&messages, &settings(&lines, IMPAIRED), Some(server), &engine.stats_file);
        for batch in 1..=BATCHES {
            desk.send(file.rows.len() / BATCHES as usize);
            feed.send(batch * messages.count() / BATCHES);
            desk.receive();
            let latest = desk.answers.iter().map(|answer| place(answer).sequence).max();
            assert!(latest <= Some(feed.lines.sent() + 1), "{latest:?} is not sent yet");
        }
        feed.finish();
        let answers = desk.close();
        let at: Vec<u64> = answers.iter().map(|answer| place(answer).sequence).collect();
        let inside = at.iter().filter(|at| (2..messages.count()).contains(at)).collect::<BTreeSet<_>>().len();
        assert!(inside > BATCHES as usize / 2, "{inside} different places say too little");
        let feed_time: Vec<u64> = at.iter().map(|at| times[*at as usize - 1]).collect();
        let path = folder.path().join("feed");
        std::fs::write(&path, binary_file(&messages)).expect("a folder of our own");
        let expected = replayed(folder.path(), &path, &rules.csv(&at));
        let refused = kinds(&expected, ",rejected,");
        let reader = Reader::connect(engine.addresses.gateway);
        let told = stop(engine, reader, expected.len() - refused);
        let commands = Commands { file: &file, answers: &answers, at: &at, feed_time: &feed_time };
        let difference = difference(&expected, &rows(&told.rules, &commands));
        assert!(difference.is_empty(), "{shards} shards: {difference}");
        assert!(kinds(&expected, "alert,cross") > 200 && kinds(&expected, "alert,initial") > 50);
    }
}
