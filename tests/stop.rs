//! SIGTERM in the middle of a running feed: every alert that was fired reaches a client, then the session ends.

mod engine;
mod naive;

use std::time::Instant;

use engine::alerts::{Commands, Reader, difference, rows};
use engine::feed::{Feed, binary_file, settings, synthetic};
use engine::process::Running;
use engine::rules::{Desk, Rows, read};
use engine::{DEADLINE, Shape, config_text};
use hairtrigger::publish::Rates;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use naive::real::run_files;

#[test]
fn a_stop_by_sigterm_loses_no_alert_that_was_fired() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = DayParams { seed: 13, messages: 100_000, symbols: 100 };
    let messages = synthetic(day);
    let mut source = RuleRows::new(Day::new(day).prices(), 60, 6);
    let mut next = || {
        let mut row = String::new();
        source.next_into(&mut row);
        row
    };
    let rules = Rows { header: RULES_HEADER.into(), rows: (0..5_000).map(|_| next()).collect() };
    let csv = rules.csv_before_all();
    let file = read(&csv, folder.path());
    let path = folder.path().join("config.toml");
    let shape = Shape { shards: 3, lines: 1, rerequest: None, accounts: &file.accounts };
    std::fs::write(&path, config_text(shape, folder.path())).expect("a folder of our own");

    let mut running = Running::start(&path);
    let mut desk = Desk::connect(running.control, &file);
    desk.load();
    let answers = desk.close();
    let reader = Reader::connect(running.gateway);
    let settings = settings(&[running.line], Rates::default());
    let mut feed = Feed::new(&messages, &settings, None, &folder.path().join("stats"));
    feed.send(messages.count() / 2);
    running.terminate();
    // It stops while the feed goes on: where, it alone decides.
    let start = Instant::now();
    while !running.has_ended() {
        assert!(start.elapsed() < DEADLINE, "it does not stop");
        feed.step();
    }
    let told = reader.finish();

    let matched = feed.count("arbiter", "messages");
    assert!((messages.count() / 3..messages.count()).contains(&matched), "{matched}");
    assert_eq!(feed.count("arbiter", "gaps"), 0);
    std::fs::write(folder.path().join("feed"), binary_file(&messages)).expect("a folder of our own");
    let outcome = run_files(folder.path(), &folder.path().join("feed"), 1);
    let events = String::from_utf8(outcome.events.expect("events")).expect("text");
    // Expiries stand apart: which of them are told by then is no question of messages.
    let until = |row: &&str| row.split(',').next().and_then(|at| at.parse().ok()).is_some_and(|at: u64| at <= matched);
    let is_expiry = |row: &str| row.contains(",ended,expired,");
    let expected = events.lines().skip(1).filter(until).filter(|row| !is_expiry(row)).map(str::to_string);
    let expected: Vec<String> = expected.collect();
    let none = vec![0; file.rows.len()];
    let mut rows = rows(&told.rules, &Commands { file: &file, answers: &answers, at: &none, feed_time: &none });
    rows.retain(|row| !is_expiry(row));
    assert!(expected.len() > 500, "{} events say too little", expected.len());
    let difference = difference(&expected, &rows);
    assert!(difference.is_empty(), "{difference}");
}
