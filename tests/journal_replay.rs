//! A recorded feed and the journal give again what the engine told, and the journal's rules come back as a rules file.

mod engine;
mod naive;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::alerts::{Reader, difference, log_rows};
use engine::feed::{Feed, binary_file, server_of, settings, synthetic};
use engine::rules::{Rows, ask, read};
use engine::{PASSWORD, Shape, config};
use hairtrigger::archive::{Archive, logged};
use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::config::midnight_utc;
use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::engine::Engine;
use hairtrigger::feed::recording::Recording;
use hairtrigger::gateway::history;
use hairtrigger::gateway::record::{self, Next};
use hairtrigger::gateway::segment::HEADER_SIZE;
use hairtrigger::gateway::wire::RuleMessage;
use hairtrigger::journal::compaction::{self, LogRead};
use hairtrigger::journal::recovery::Logged;
use hairtrigger::journal::storage::Directory;
use hairtrigger::model::{
    Change, ChangeKind, Comparison, Listed, LogPosition, Price, RuleKey, RuleSpec, RuleState, Signal,
};
use hairtrigger::publish::{Messages, Rates, Settings};
use hairtrigger::replay;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use naive::generate::Random;

const ACCOUNTS: [&str; 2] = ["demo", "alpha"];
const USERS: u64 = 40;
const BATCHES: u64 = 60;
/// One test at a time: a child that is not yet another program holds the locks of its parent's engines.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const DAY: DayParams = DayParams { seed: 31, messages: 60_000, symbols: 80 };

/// Rules around the day's prices: new ones, replacements, removals, and now and then all of a user.
struct Traders {
    clients: Vec<Client>,
    asks: Vec<Ask>,
    next: usize,
    id: u64,
}

impl Traders {
    fn connect(address: SocketAddr, folder: &Path, seed: u64) -> Traders {
        let login = |account: &str| Login::new(account, PASSWORD).expect("a login");
        let clients = ACCOUNTS.map(|account| Client::connect(address, &login(account)).expect("the rule port")).into();
        let mut source = RuleRows::new(Day::new(DAY).prices(), USERS, seed);
        let mut row = || {
            let mut line = String::new();
            source.next_into(&mut line);
            line
        };
        let rows = Rows { header: RULES_HEADER.into(), rows: (0..3_000).map(|_| row()).collect() };
        let mut asks: Vec<Ask> = read(&rows.csv_before_all(), folder).rows.iter().map(ask).collect();
        let mut random = Random(seed);
        for at in 100..asks.len() {
            let earlier = match asks[random.below(at as u64) as usize] {
                Ask::Set(key, _) | Ask::Remove(key, _) => key,
                _ => continue,
            };
            match (random.below(16), asks[at]) {
                (0, _) => asks[at] = Ask::Remove(earlier, 1),
                (1..4, Ask::Set(_, spec)) => asks[at] = Ask::Set(earlier, spec),
                (4, _) if random.once_in(6) => asks[at] = Ask::RemoveUser { user: earlier.user },
                _ => (),
            }
        }
        Traders { clients, asks, next: 0, id: 0 }
    }

    /// Sends so many requests, and waits for their answers.
    fn trade(&mut self, count: usize) {
        let sent = self.send(count);
        self.receive(sent);
    }

    /// Sends so many requests, by both accounts in turn.
    fn send(&mut self, count: usize) -> usize {
        for ask in self.asks.iter().skip(self.next).take(count) {
            self.id += 1;
            let account = usize::from(self.id.is_multiple_of(3));
            let request = Request { id: self.id, ask: *ask };
            self.clients[account].writer.send_unsequenced(request.encode().bytes()).expect("the rule port");
        }
        let sent = count.min(self.asks.len() - self.next);
        self.next += sent;
        self.clients.iter_mut().for_each(|client| client.writer.flush().expect("the rule port"));
        sent
    }

    /// Waits for the answers to the last `sent` requests.
    fn receive(&mut self, sent: usize) {
        for id in self.id - sent as u64 + 1..=self.id {
            let client = &mut self.clients[usize::from(id.is_multiple_of(3))];
            while !matches!(client.receive().expect("the rule port"), Event::Sequenced(..)) {}
        }
    }
}

/// One engine's life: `day` with changes of rules in between, in a session of the feed and on a date. What was told, the journal's
/// folder, and the rules at the end as they were acknowledged.
fn live(folder: &Path, messages: &Arc<Messages>, session: [u8; 10], date: &str, seed: u64) -> Vec<RuleMessage> {
    let (server, address) = server_of(messages, session);
    let shape = Shape { shards: 3, lines: 2, rerequest: Some(address), accounts: &ACCOUNTS.map(str::to_string) };
    let mut config = config(shape, folder);
    config.feed.date = Some(date.parse().expect("a date"));
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let reader = Reader::connect(engine.addresses.gateway);
    let mut traders = Traders::connect(engine.addresses.control, folder, seed);
    traders.trade(400);
    let lines = [engine.addresses.line_a, engine.addresses.line_b].map(|line| line.expect("it has two"));
    let settings = Settings { session, ..settings(&lines, Rates { loss: 10_000, ..Rates::default() }) };
    let mut feed = Feed::new(messages, &settings, Some(server), &engine.stats_file);
    for batch in 1..=BATCHES {
        let sent = traders.send(40);
        feed.send(batch * messages.count() / BATCHES);
        traders.receive(sent);
    }
    feed.finish();
    drop(traders);
    engine.stop();
    reader.finish().rules
}

/// `hairtrigger` with these arguments: standard output and standard error, after success.
fn hairtrigger(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hairtrigger")).args(arguments).output().expect("it starts");
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert!(output.status.success(), "{arguments:?}: {error}");
    (out, error)
}

/// Rows whose order is free: what one command removed in several shards.
fn settled(rows: Vec<String>) -> Vec<String> {
    let mut rows = rows;
    let key = |row: &String| (row.split(',').next().unwrap_or("").to_string(), row.contains(",ended,removed,"));
    for run in rows.chunk_by_mut(|a, b| key(a) == key(b) && key(a).1) {
        run.sort();
    }
    rows
}

/// What `replay --journal` gives for these messages.
fn replayed(folder: &Path, messages: &Messages, more: &[&str]) -> Vec<String> {
    let [feed, journal, out] = ["feed", "journal", "events.csv"].map(|name| folder.join(name).display().to_string());
    std::fs::write(&feed, binary_file(messages)).expect("a folder of our own");
    let mut arguments = vec!["replay", &feed, "--journal", &journal, "--out", &out];
    arguments.extend(more);
    let (_, said) = hairtrigger(&arguments);
    assert!(said.contains("\"differences\":0"), "{said}");
    std::fs::read_to_string(&out).expect("events").lines().skip(1).map(str::to_string).collect()
}

fn kinds(rows: &[String], kind: &str) -> usize {
    rows.iter().filter(|row| row.contains(kind)).count()
}

fn midnight(date: &str) -> u64 {
    midnight_utc(date.parse().expect("a date"), "America/New_York").expect("a zone")
}

/// Two days, the second with the rules that the first has left, and days of which the journal has both.
#[test]
fn a_recorded_feed_and_the_journal_give_again_what_the_engine_told() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let days = [(*b"LIVE000001", "2020-01-30", DAY), (*b"LIVE000002", "2020-01-31", DayParams { seed: 32, ..DAY })];
    let (mut told, mut earlier) = (vec![], vec![]);
    for (number, (session, date, params)) in days.into_iter().enumerate() {
        let messages = synthetic(params);
        let told_then = live(folder.path(), &messages, session, date, 7 + number as u64);
        // The stream goes on over a restart: the first day's part of it comes again.
        let again = told_then.iter().zip(&earlier).take_while(|(now, before)| now == before).count();
        told.push((messages, log_rows(&told_then[again..], midnight(date))));
        earlier = told_then;
    }
    for ((messages, told), (session, date, _)) in told.into_iter().zip(days) {
        let session = String::from_utf8_lossy(&session).into_owned();
        let told = settled(told);
        for shards in ["1", "3", "4"] {
            let rows = replayed(folder.path(), &messages, &["--session", &session, "--shards", shards]);
            let difference = difference(&told, &settled(rows));
            assert!(difference.is_empty(), "{date}, {shards} shards: {difference}");
        }
        for kind in ["alert,cross,0", "alert,cross,1", "alert,initial,1", "ended,replaced", "ended,removed"] {
            assert!(kinds(&told, kind) > 20, "{date}: {} of {kind} say too little", kinds(&told, kind));
        }
        assert!(kinds(&told, "ended,expired") > 10, "{date}: {told:?}");
    }
}

/// The alert log of a folder, for who makes snapshots.
struct Log<'f>(&'f Path);

impl compaction::Log for Log<'_> {
    fn read(&mut self, from: LogPosition, each: &mut dyn FnMut(&Logged)) -> io::Result<LogRead> {
        let read = history::read(self.0, from, |message| logged(message).iter().for_each(&mut *each));
        let read = read.map_err(io::Error::other)?;
        Ok(LogRead { position: read.position, is_whole: read.is_whole })
    }

    fn unread_size(&self, from: LogPosition) -> io::Result<u64> {
        history::unread_size(self.0, from)
    }
}

/// Copies the folders with such names, and the files in them.
fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(from).expect("a folder of our own").map(|entry| entry.expect("an entry")) {
        if is_wanted(&entry.file_name().to_string_lossy()) {
            let folder = to.join(entry.file_name());
            std::fs::create_dir_all(&folder).expect("a folder of our own");
            for file in std::fs::read_dir(entry.path()).expect("a folder").map(|file| file.expect("a file")) {
                std::fs::copy(file.path(), folder.join(file.file_name())).expect("a folder of our own");
            }
        }
    }
}

/// A journal whose first day has been taken by a snapshot: the second day is still whole, and the first is said to be gone.
#[test]
fn a_day_that_was_pruned_is_named_and_the_next_is_replayed_as_before() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (synthetic(DAY), synthetic(DayParams { seed: 32, ..DAY }));
    live(folder.path(), &first, *b"LIVE000001", "2020-01-30", 7);
    let [feed, journal] = ["feed", "journal"].map(|name| folder.path().join(name).display().to_string());
    // The second engine's segment of the journal is not closed. With the alert log as it was in between, a snapshot takes exactly
    // the first day.
    let log = folder.path().join("log-of-the-first-day");
    copy(folder.path(), &log, |name| name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit()));
    live(folder.path(), &second, *b"LIVE000002", "2020-01-31", 8);
    let before = replayed(folder.path(), &second, &["--session", "LIVE000002"]);
    let mut storage = Directory::create(&folder.path().join("journal")).expect("a journal");
    compaction::compact(&mut storage, &mut Log(&log), 1, || true).expect("a journal").expect("a snapshot");
    assert!(compaction::prune(&mut storage, 0).expect("a journal") > 0);
    assert_eq!(replayed(folder.path(), &second, &["--session", "LIVE000002"]), before);
    std::fs::write(&feed, binary_file(&first)).expect("a folder of our own");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
    let replay = replay.args(["replay", &feed, "--journal", &journal, "--session", "LIVE000001"]);
    let output = replay.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let gone = ", and names no session LIVE000001, only LIVE000002: if that was before, its changes are gone";
    assert!(said.contains("the journal begins with record "), "{said}");
    assert!(!output.status.success() && said.contains(gone), "{said}");
    let later = replay.args(["--date", "2020-02-03"]).output().expect("it starts");
    assert!(later.status.success(), "a day without changes behind all that the journal has");
}

/// Leaves the first three quarters of the records in the newest segment of a log.
fn cut_log(log: &Path) {
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder of our own");
        entries.map(|entry| entry.expect("a file").path()).collect()
    };
    let mut paths: Vec<PathBuf> = files(log).iter().flat_map(|session| files(session)).collect();
    paths.sort();
    // The last file is prepared for what comes, and has nothing yet.
    let (path, mut bytes) = paths
        .iter()
        .rev()
        .map(|path| (path, std::fs::read(path).expect("a file of our own")))
        .find(|(_, bytes)| bytes.get(HEADER_SIZE..).is_some_and(|rest| matches!(record::next(rest), Next::Record(..))))
        .expect("a segment with records");
    let mut starts = vec![HEADER_SIZE];
    while let Next::Record(_, stride) = record::next(&bytes[starts[starts.len() - 1]..]) {
        starts.push(starts[starts.len() - 1] + stride);
    }
    bytes[starts[3 * starts.len() / 4]..].fill(0);
    std::fs::write(path, bytes).expect("a file of our own");
}

/// A snapshot's log goes on to where it was when the snapshot was made, and its journal only up to the last closed segment: so it
/// knows of the versions, and of the ends, of rules whose sets and removals come behind it.
#[test]
fn a_snapshot_whose_log_is_ahead_of_its_journal_is_no_difference() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let second = synthetic(DayParams { seed: 32, ..DAY });
    live(folder.path(), &synthetic(DAY), *b"LIVE000001", "2020-01-30", 7);
    live(folder.path(), &second, *b"LIVE000002", "2020-01-31", 8);
    let before = replayed(folder.path(), &second, &["--session", "LIVE000002"]);
    // The journal's segment of the second day is not closed, and of the alert log the snapshot has the half of that day.
    let log = folder.path().join("log-up-to-noon");
    copy(folder.path(), &log, |name| name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit()));
    cut_log(&log);
    let mut reached = 0;
    history::read(&log, LogPosition::default(), |message| {
        reached = if message.feed_session == *b"LIVE000002" { message.sequence.max(reached) } else { 0 };
    })
    .expect("a log");
    let mut storage = Directory::create(&folder.path().join("journal")).expect("a journal");
    let made = compaction::compact(&mut storage, &mut Log(&log), 1, || true).expect("a journal");
    let (_, totals) = made.expect("a snapshot");
    assert!(totals.fates > 100 && reached > 10_000, "{totals:?}, message {reached}: the log is not ahead");
    assert!(compaction::prune(&mut storage, 0).expect("a journal") > 0);
    // What the snapshot's log has told is not given again, and all else is.
    let sequence = |row: &String| row.split(',').next().and_then(|text| text.parse().ok()).unwrap_or(0u64);
    let (told, expired) = (|row: &&String| sequence(row) <= reached, |row: &&String| row.contains(",ended,expired,"));
    for shards in ["1", "3"] {
        let rows = replayed(folder.path(), &second, &["--session", "LIVE000002", "--shards", shards]);
        let all = before.iter().filter(|row| !told(row) && !expired(row)).cloned().collect::<Vec<_>>();
        let found = rows.iter().filter(|row| !told(row) && !expired(row)).cloned().collect::<Vec<_>>();
        let difference = difference(&settled(all.clone()), &settled(found));
        assert!(all.len() > 300 && difference.is_empty(), "{} rows: {difference}", all.len());
        let again = rows.iter().filter(told).count();
        assert!(again < 50, "{again} rows of what had been told");
        assert!(rows.iter().filter(expired).all(|row| before.contains(row)));
    }
}

/// A kill takes a set whose alert was told: after the restart versions go on behind it, and the journal never has it.
#[test]
fn a_version_that_no_record_of_the_journal_has_stays_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let [feed, out] = ["feed", "events.csv"].map(|name| folder.path().join(name));
    std::fs::write(&feed, binary_file(&synthetic(DayParams { messages: 100, ..DAY }))).expect("a folder of our own");
    let change = |version: u64, kind| Change {
        ordinal: version,
        feed_sequence: 1,
        feed_time: 0,
        feed_session: *b"S         ",
        shard: 0,
        key: RuleKey { user: version, symbol: "ZZZ".parse().expect("a symbol"), slot: 1, account: 0 },
        version,
        kind,
    };
    let set = |version| {
        change(version, ChangeKind::Set(RuleSpec::new(Signal::Last, Comparison::Below, Price(1)), RuleState::Unknown))
    };
    let day = |changes: &[Change]| {
        let changes = (1..).zip(changes).map(|(record, change)| (record, *b"demo  ", *change)).collect();
        Archive { changes, ..Archive::default() }.day(None)
    };
    let run = |changes: &[Change]| {
        let feed = Recording::open(&feed).expect("a feed");
        replay::run_day(feed, day(changes), 0, Some(&out), 2).expect("it runs").differences
    };
    let removed = |version| Change { ordinal: 9, ..change(version, ChangeKind::Removed) };
    assert_eq!(run(&[set(1), set(5), removed(5)]), Some(0));
    let events = std::fs::read_to_string(&out).expect("events");
    assert!(events.contains(",ended,removed,0,demo,5,ZZZ,1,5,"), "{events}");
    assert_eq!(run(&[set(5), set(1)]), Some(1), "versions never go back");
    assert_eq!(run(&[set(1), removed(2)]), Some(1), "there is no such rule");
}

/// A feed of another day than the journal's does not fit, and that is said.
#[test]
fn a_journal_that_does_not_fit_the_feed_is_said_to() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    live(folder.path(), &synthetic(DAY), *b"LIVE000001", "2020-01-30", 3);
    let feed = folder.path().join("other");
    std::fs::write(&feed, binary_file(&synthetic(DayParams { seed: 33, ..DAY }))).expect("a folder of our own");
    let journal = folder.path().join("journal");
    let output = Command::new(env!("CARGO_BIN_EXE_hairtrigger"))
        .arg("replay")
        .arg(&feed)
        .arg("--journal")
        .arg(&journal)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the journal says version"), "{said}");
}

/// All rules of an account, as a client lists them.
fn list(address: SocketAddr, account: &str) -> Vec<Listed> {
    let mut client = Client::connect(address, &Login::new(account, PASSWORD).expect("a login")).expect("the rule port");
    let (mut rules, mut cursor) = (vec![], 0);
    loop {
        let request = Request { id: 1, ask: Ask::List { user: None, limit: 1_000, cursor } };
        client.writer.send_unsequenced(request.encode().bytes()).expect("the rule port");
        client.writer.flush().expect("the rule port");
        loop {
            let Event::Sequenced(_, message) = client.receive().expect("the rule port") else { continue };
            match Answer::read(message).expect("an answer").body {
                Body::Rule(rule) => rules.push(rule),
                Body::ListDone { cursor: 0, .. } => return rules,
                Body::ListDone { cursor: next, .. } => {
                    cursor = next;
                    break;
                }
                _ => (),
            }
        }
    }
}

/// What is exported is what a restarted engine has; the history of a day leads `replay --rules` to the same alerts by prints.
#[test]
fn the_journal_is_exported_as_rules_files() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let messages = synthetic(DAY);
    let told = log_rows(&live(folder.path(), &messages, *b"LIVE000001", "2020-01-30", 5), midnight("2020-01-30"));
    let journal = folder.path().join("journal").display().to_string();
    let (csv, said) = hairtrigger(&["journal", "export", &journal]);
    assert!(said.contains("times of day of 2020-01-30, America/New_York"), "{said}");
    let file = read(&csv, folder.path());
    let shape = Shape { shards: 2, lines: 1, rerequest: None, accounts: &ACCOUNTS.map(str::to_string) };
    let engine = Engine::start(&config(shape, folder.path())).unwrap_or_else(|error| panic!("{error}"));
    let mut found = vec![];
    for name in ACCOUNTS {
        let listed = list(engine.addresses.control, name);
        found.extend(
            listed.iter().map(|rule| format!("{name} {:?} {:?}", RuleKey { account: 0, ..rule.key }, rule.spec)),
        );
    }
    engine.stop();
    let exported = file.rows.iter().map(|row| match ask(row) {
        Ask::Set(key, spec) => format!("{} {key:?} {spec:?}", file.accounts[usize::from(row.account)]),
        other => panic!("{other:?} in rules as they stand"),
    });
    let mut exported: Vec<String> = exported.collect();
    exported.sort();
    found.sort();
    assert!(exported.len() > 300 && exported == found, "{} exported, {} found", exported.len(), found.len());

    let (history, _) = hairtrigger(&["journal", "export", &journal, "--history"]);
    let feed = folder.path().join("feed");
    std::fs::write(&feed, binary_file(&messages)).expect("a folder of our own");
    std::fs::write(folder.path().join("rules.csv"), &history).expect("a folder of our own");
    let outcome = naive::real::run_files(folder.path(), &feed, 1);
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    let events = String::from_utf8(outcome.events.expect("events")).expect("text");
    let cross = |rows: &mut dyn Iterator<Item = String>| rows.filter(|row| row.contains(",cross,")).collect::<Vec<_>>();
    let (mut expected, mut replayed) = (told.into_iter(), events.lines().map(str::to_string));
    // Where a shard knew less of feed time than all, a cooldown may count from another stamp: few, if any.
    let difference = difference(&cross(&mut expected), &cross(&mut replayed));
    assert!(difference.is_empty(), "{difference}");
}

/// No command takes a folder without a journal for one that is empty and whole.
#[test]
fn a_folder_without_a_journal_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing");
    let snapshot_only = folder.path().join("snapshot-only");
    std::fs::create_dir(&snapshot_only).expect("a folder of our own");
    std::fs::write(snapshot_only.join("00000000000000000009.snapshot"), "").expect("a folder of our own");
    let said = |directory: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        let output = command.args(arguments).arg(directory).output().expect("it starts");
        let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), out, error)
    };
    let feed = folder.path().join("feed");
    std::fs::write(&feed, [0, 0]).expect("a folder of our own");
    let replay = ["replay", &feed.display().to_string(), "--journal"];
    for directory in [folder.path(), &missing, &snapshot_only] {
        for arguments in [&["journal", "inspect"][..], &["journal", "verify"], &["journal", "export"], &replay] {
            let (status, out, error) = said(directory, arguments);
            if directory == snapshot_only && arguments[1] == "inspect" {
                assert!(status == Some(0) && out.contains("00000000000000000009.snapshot"), "{out}{error}");
                continue;
            }
            let expected =
                format!("{}: there is no journal: expected its segments in this folder", directory.display());
            assert!(status == Some(1) && out.is_empty() && error.contains(&expected), "{arguments:?}: {out}{error}");
        }
    }
}
