//! What a stop and a kill leave behind: rules with their states, versions, and nothing told twice.

mod engine;
mod naive;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use engine::alerts::{Commands, Reader, difference, rows};
use engine::feed::{Feed, binary_file, server, settings, synthetic};
use engine::process::Running;
use engine::rules::{Desk, Rows, read};
use engine::{DEADLINE, PASSWORD, Shape, config, config_text};
use hairtrigger::client::{Client, ClientError, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::engine::Engine;
use hairtrigger::model::{Comparison, Listed, Price, RuleKey, RuleSpec, Signal};
use hairtrigger::publish::Rates;
use hairtrigger::soup::login::SessionId;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use naive::real::run_files;

/// Rules around the day's prices, of one account.
fn day_rules(day: DayParams, count: usize) -> Rows {
    let mut source = RuleRows::new(Day::new(day).prices(), 60, 5);
    let mut row = || {
        let mut line = String::new();
        source.next_into(&mut line);
        line
    };
    Rows { header: RULES_HEADER.into(), rows: (0..count).map(|_| row()).collect() }
}

fn start(folder: &Path, server: SocketAddr, accounts: &[String]) -> Engine {
    let shape = Shape { shards: 3, lines: 2, rerequest: Some(server), accounts };
    Engine::start(&config(shape, folder)).unwrap_or_else(|error| panic!("{error}"))
}

/// Three runs through one day, each with the feed from its start: together they tell what one run tells.
#[test]
fn an_engine_that_is_stopped_and_started_in_the_middle_of_the_day_tells_everything_once() {
    let day = DayParams { seed: 21, messages: 60_000, symbols: 100 };
    let messages = synthetic(day);
    let rules = day_rules(day, 3_000);
    let csv = rules.csv_before_all();
    let folder = tempfile::tempdir().expect("a folder");
    let file = read(&csv, folder.path());
    let mut told = vec![];
    let mut answers = vec![];
    for part in 1..=3 {
        let (server, address) = server(&messages);
        let engine = start(folder.path(), address, &file.accounts);
        let reader = Reader::connect(engine.addresses.gateway);
        if part == 1 {
            let mut desk = Desk::connect(engine.addresses.control, &file);
            desk.load();
            answers = desk.answers;
        } else {
            assert!(engine.recovery.rules > 100 && engine.recovery.rules < 3_000, "{}", engine.recovery);
        }
        let lines = [engine.addresses.line_a, engine.addresses.line_b].map(|line| line.expect("it has two"));
        let rates = Rates::default();
        let mut feed = Feed::new(&messages, &settings(&lines, rates), Some(server), &engine.stats_file);
        if part < 3 {
            feed.send(part * messages.count() / 3);
        } else {
            feed.finish();
        }
        engine.stop();
        // The session goes on: each part reads it from its start.
        let before = std::mem::replace(&mut told, reader.finish().rules);
        assert!(told.len() > before.len() && told.starts_with(&before), "the same again, and more");
    }
    let path = folder.path().join("feed");
    std::fs::write(&path, binary_file(&messages)).expect("a folder of our own");
    let outcome = run_files(folder.path(), &path, 1);
    let events = String::from_utf8(outcome.events.expect("events")).expect("text");
    let none = vec![0; file.rows.len()];
    let found = rows(&told, &Commands { file: &file, answers: &answers, at: &none, feed_time: &none });
    let expected: Vec<String> = events.lines().skip(1).map(str::to_string).collect();
    assert!(expected.len() > 1_000, "{} events say too little", expected.len());
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}

const SYMBOLS: [&str; 3] = ["AAPL", "GME", "SPY"];

/// Rule number `n`: every tenth replaces the one before.
fn request(n: u64) -> Request {
    let slot = n as u32 - u32::from(n % 10 == 9);
    let key = RuleKey { user: n % 7, symbol: SYMBOLS[n as usize % 3].parse().expect("a symbol"), slot, account: 0 };
    let key = if n % 10 == 9 {
        RuleKey { user: (n - 1) % 7, symbol: SYMBOLS[(n as usize - 1) % 3].parse().expect("a symbol"), ..key }
    } else {
        key
    };
    let spec = RuleSpec { tag: n, ..RuleSpec::new(Signal::Last, Comparison::Above, Price(1 + n as i64)) };
    Request { id: n, ask: Ask::Set(key, spec) }
}

fn send(client: &mut Client, request: &Request) {
    client.writer.send_unsequenced(request.encode().bytes()).expect("the rule port");
}

fn answer(client: &mut Client) -> Answer {
    loop {
        if let Event::Sequenced(_, message) = client.receive().expect("the rule port") {
            return Answer::read(message).expect("an answer");
        }
    }
}

fn list(client: &mut Client) -> Vec<Listed> {
    let (mut rules, mut cursor) = (vec![], 0);
    loop {
        send(client, &Request { id: 1 << 40, ask: Ask::List { user: None, limit: 500, cursor } });
        client.writer.flush().expect("the rule port");
        loop {
            match answer(client).body {
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

/// `kill -9` with requests on their way, again and again: what was acknowledged is there, and what else is there was asked for.
#[test]
fn no_acknowledged_rule_is_lost_by_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    kill_again_and_again(folder.path(), "", || ());
}

/// So it is when a snapshot was made meanwhile, and the journal before it was removed.
#[test]
fn no_acknowledged_rule_is_lost_by_a_kill_when_snapshots_have_taken_the_journals_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let files = |ending: &str| -> Vec<String> {
        let entries = std::fs::read_dir(&journal).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(ending)).collect()
    };
    let has_start = || files(".journal").contains(&format!("{:020}.journal", 1));
    let (mut seen, mut lives) = (std::collections::BTreeSet::new(), 0);
    let small = "[journal]\nsegment_size = \"64KiB\"\nsnapshot_size = \"64KiB\"\nhistory_size = 0\n";
    kill_again_and_again(folder.path(), small, || {
        let deadline = std::time::Instant::now() + engine::DEADLINE;
        lives += 1;
        // Most are killed when a snapshot is there and what it covers perhaps not gone yet; the last one when it is.
        while files(".snapshot").iter().all(|name| seen.contains(name)) || (lives == 4 && has_start()) {
            assert!(std::time::Instant::now() < deadline, "no snapshot, or the journal's start is still there");
            std::thread::yield_now();
        }
        seen.extend(files(".snapshot"));
    });
    assert!(seen.len() > 3, "{seen:?}");
    assert!(!has_start(), "the journal's start has come back");
    let verify = std::process::Command::new(env!("CARGO_BIN_EXE_hairtrigger"))
        .args(["journal", "verify"])
        .arg(&journal)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&verify.stdout);
    assert!(verify.status.success() && said.contains(".snapshot: "), "{said}");
}

/// Four lives, each ended by a kill after `before_kill`.
fn kill_again_and_again(folder: &Path, journal: &str, mut before_kill: impl FnMut()) {
    let path = folder.join("config.toml");
    let accounts = ["demo".to_string()];
    let shape = Shape { shards: 2, lines: 1, rerequest: None, accounts: &accounts };
    std::fs::write(&path, config_text(shape, folder) + journal).expect("a folder of our own");
    let login = Login::new("demo", PASSWORD).expect("a login");
    // By slot and user: the tags that the rule of this key may have. The last one acknowledged, and those sent after it.
    let (mut sent, mut acknowledged, mut versions) = (0u64, std::collections::BTreeSet::new(), 0);
    for round in 0..4 {
        let running = Running::start(&path);
        let mut client = Client::connect(running.control, &login).expect("the rule port");
        let found: std::collections::BTreeMap<_, _> = list(&mut client)
            .into_iter()
            .map(|rule| ((rule.key.user, rule.key.slot, rule.key.symbol.0), rule))
            .collect();
        for n in &acknowledged {
            let Ask::Set(key, spec) = request(*n).ask else { panic!("a set") };
            let rule = found.get(&(key.user, key.slot, key.symbol.0)).unwrap_or_else(|| panic!("{n} is lost: {round}"));
            let successor = if n % 10 == 8 { n + 1 } else { *n };
            assert!(rule.spec.tag == spec.tag || rule.spec.tag == successor, "{n}: {rule:?}");
            assert!(rule.spec.tag == successor || !acknowledged.contains(&successor), "{n} was replaced");
        }
        assert!(found.values().all(|rule| rule.spec.tag < sent), "nobody asked for that");
        let greatest = found.values().map(|rule| rule.version).max().unwrap_or(0);
        for _ in 0..1_000 {
            send(&mut client, &request(sent));
            sent += 1;
        }
        client.writer.flush().expect("the rule port");
        for _ in 0..250 + 125 * round {
            let Answer { id, body: Body::SetDone { version, .. } } = answer(&mut client) else { panic!("a set") };
            acknowledged.insert(id);
            versions = versions.max(version);
        }
        assert!(versions > greatest, "versions go on");
        before_kill();
        running.kill();
    }
}

/// Replaces one rule after the other for as long as the engine answers: each gives an `E`.
fn set_for_ever(control: SocketAddr, login: &Login) -> Result<(), ClientError> {
    let mut client = Client::connect(control, login)?;
    let mut n = 0;
    loop {
        for _ in 0..100 {
            let Ask::Set(key, spec) = request(10 * n).ask else { panic!("a set") };
            let ask = Ask::Set(RuleKey { slot: n as u32 % 3, ..key }, spec);
            client.writer.send_unsequenced(Request { id: n, ask }.encode().bytes())?;
            n += 1;
        }
        client.writer.flush()?;
        let mut answers = 0;
        while answers < 100 {
            match client.receive()? {
                Event::Sequenced(..) => answers += 1,
                Event::End => return Err(ClientError::Closed),
                _ => (),
            }
        }
    }
}

/// Kills and a stop under load: who comes back with session and number reads one stream without a gap and without a double, and
/// it is the one that anybody reads from its start.
#[test]
fn an_alert_stream_goes_on_over_kills_and_a_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    let accounts = ["demo".to_string()];
    let shape = Shape { shards: 2, lines: 1, rerequest: None, accounts: &accounts };
    std::fs::write(&path, config_text(shape, folder.path())).expect("a folder of our own");
    let login = Login::new("demo", PASSWORD).expect("a login");
    let (mut seen, mut session) = (vec![], SessionId::CURRENT);
    for round in 0..5 {
        let mut running = Running::start(&path);
        let resumed = login.of(session).from(seen.len() as u64 + 1);
        let mut client = Client::connect(running.gateway, &resumed).expect("its session goes on");
        assert!(round == 0 || client.reader.session() == session);
        session = client.reader.session();
        let (reached, enough) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut messages = vec![];
            loop {
                match client.receive() {
                    Ok(Event::Sequenced(_, message)) => messages.push(message.to_vec()),
                    Ok(_) => (),
                    Err(_) => return messages,
                }
                if messages.len() == 2_000 {
                    reached.send(()).expect("somebody waits");
                }
            }
        });
        let control = running.control;
        let setter = std::thread::spawn(move || set_for_ever(control, &login));
        enough.recv_timeout(DEADLINE).expect("alerts");
        if round == 3 {
            running.terminate();
            let start = Instant::now();
            while !running.has_ended() {
                assert!(start.elapsed() < DEADLINE, "it does not stop");
            }
        } else {
            running.kill();
        }
        seen.extend(reader.join().expect("the reader"));
        assert!(setter.join().expect("the setter").is_err());
    }
    let running = Running::start(&path);
    let end = Client::connect(running.gateway, &login.from(0)).expect("the alert port").reader.next_sequence();
    let read = |from: usize| {
        let mut client =
            Client::connect(running.gateway, &login.of(session).from(from as u64)).expect("the alert port");
        let mut messages = vec![];
        while client.reader.next_sequence() < end {
            if let Event::Sequenced(_, message) = client.receive().expect("the alert port") {
                messages.push(message.to_vec());
            }
        }
        messages
    };
    seen.extend(read(seen.len() + 1));
    assert!(seen.len() > 10_000 && seen.len() + 1 == end as usize);
    let whole = read(1);
    assert!(whole == seen, "{:?}", whole.iter().zip(&seen).position(|(a, b)| a != b));
}

#[test]
fn a_second_engine_on_the_same_files_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let shape = Shape { shards: 1, lines: 1, rerequest: None, accounts: &[] };
    let first = Engine::start(&config(shape, folder.path())).unwrap_or_else(|error| panic!("{error}"));
    let Err(error) = Engine::start(&config(shape, folder.path())) else { panic!("two engines") };
    assert!(error.to_string().contains("another engine uses this directory"), "{error}");
    first.stop();
}

#[test]
fn a_damaged_journal_is_refused_until_somebody_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let accounts = ["demo".to_string()];
    let shape = Shape { shards: 1, lines: 1, rerequest: None, accounts: &accounts };
    let mut config = config(shape, folder.path());
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let login = Login::new("demo", PASSWORD).expect("a login");
    let mut client = Client::connect(engine.addresses.control, &login).expect("the rule port");
    for n in 0..20 {
        send(&mut client, &request(n));
        client.writer.flush().expect("the rule port");
        answer(&mut client);
    }
    engine.stop();
    let segment = config.journal_directory().join(format!("{:020}.journal", 1));
    let mut bytes = std::fs::read(&segment).expect("the journal");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    std::fs::write(&segment, bytes).expect("a folder of our own");
    let Err(error) = Engine::start(&config) else { panic!("it started") };
    let text = error.to_string();
    assert!(text.contains("damaged at byte") && text.contains("--cut-damaged-journal"), "{text}");
    config.journal.cuts_damage = true;
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    assert!((5..18).contains(&engine.recovery.rules), "{}", engine.recovery);
    engine.stop();
    config.journal.cuts_damage = false;
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    engine.stop();
}
