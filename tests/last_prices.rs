//! What an engine knows of prices after a restart: the last ones of the session that goes on, and which rules had seen one.

mod engine;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Instant;

use engine::alerts::Reader;
use engine::process::Running;
use engine::{DEADLINE, DROP_COPY, PASSWORD, Shape, config, config_text};
use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Code, Request};
use hairtrigger::engine::Engine;
use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::journal::record::Entry;
use hairtrigger::journal::scan;
use hairtrigger::journal::storage::Directory;
use hairtrigger::model::{Comparison, Fire, OnSet, Price, Reason, RuleKey, RuleSpec, RuleState, Signal, Symbol, flag};

const SESSION: [u8; 10] = *b"LAST000001";
const NEXT: [u8; 10] = *b"LAST000002";
/// Symbols by locate, from 1 on.
const SYMBOLS: [&str; 3] = ["GME", "AAPL", "SPY"];

/// Dollars.
fn dollars(price: i64) -> Price {
    Price(price * 1_000_000_000)
}

fn symbol(locate: u16) -> Symbol {
    SYMBOLS[usize::from(locate) - 1].parse().expect("a symbol")
}

/// The feed and the rule client of one engine.
struct Desk {
    socket: UdpSocket,
    line: SocketAddr,
    client: Client,
    id: u64,
}

impl Desk {
    fn connect(line: SocketAddr, control: SocketAddr) -> Desk {
        let login = Login::new("demo", PASSWORD).expect("a login");
        let client = Client::connect(control, &login).expect("the rule port");
        Desk { socket: UdpSocket::bind("127.0.0.1:0").expect("loopback"), line, client, id: 0 }
    }

    fn of(engine: &Engine) -> Desk {
        Desk::connect(engine.addresses.line_a.expect("it has one"), engine.addresses.control)
    }

    /// One print in one datagram, and waits until the shard has seen it.
    fn print(&mut self, session: [u8; 10], sequence: u64, locate: u16, price: u32) {
        let head = Head { locate, tracking: 0, ts: 36_000_000_000_000 + sequence };
        let message = encode::trade(head, 1, symbol(locate), price * 10_000, sequence);
        let length = (message.len() as u16).to_be_bytes();
        let datagram = [&session[..], &sequence.to_be_bytes(), &1u16.to_be_bytes(), &length, &message].concat();
        self.socket.send_to(&datagram, self.line).expect("loopback");
        let start = Instant::now();
        let nobody = RuleKey { user: 99, symbol: symbol(locate), slot: 0, account: 0 };
        loop {
            let Body::Refused { place, .. } = self.ask(Ask::Remove(nobody, 0)) else { panic!("there is none") };
            if (place.session, place.sequence) == (session, sequence + 1) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "message {sequence} does not come: {place:?}");
        }
    }

    fn ask(&mut self, ask: Ask) -> Body {
        self.id += 1;
        self.client.writer.send_unsequenced(Request { id: self.id, ask }.encode().bytes()).expect("the rule port");
        self.client.writer.flush().expect("the rule port");
        loop {
            if let Event::Sequenced(_, message) = self.client.receive().expect("the rule port") {
                return Answer::read(message).expect("an answer").body;
            }
        }
    }

    /// Sets a rule of the symbol on its last price that stays when it has fired.
    fn set(&mut self, locate: u16, slot: u32, comparison: Comparison, threshold: i64, on_set: OnSet) -> Body {
        let spec = RuleSpec::new(Signal::Last, comparison, dollars(threshold));
        let key = RuleKey { user: 1, symbol: symbol(locate), slot, account: 0 };
        self.ask(Ask::Set(key, RuleSpec { fire: Fire::Repeat, on_set, ..spec }))
    }
}

/// Where a rule stood when it was set, and the value that it was judged by.
fn judged(body: Body) -> (RuleState, Option<Price>) {
    let Body::SetDone { state, value, .. } = body else { panic!("{body:?}") };
    (state, value)
}

fn shape(accounts: &[String]) -> Shape<'_> {
    Shape { shards: 1, lines: 1, rerequest: None, accounts }
}

fn start(folder: &Path) -> Engine {
    Engine::start(&config(shape(&["demo".into()]), folder)).unwrap_or_else(|error| panic!("{error}"))
}

/// A day in which GME came to 40 dollars, and a rule below 30 has seen it and never done anything; then an orderly stop.
fn first_run(folder: &Path) {
    let engine = start(folder);
    let mut desk = Desk::of(&engine);
    assert_eq!(judged(desk.set(1, 1, Comparison::Below, 30, OnSet::Fire)), (RuleState::Unknown, None));
    desk.print(SESSION, 1, 1, 50);
    desk.print(SESSION, 2, 1, 40);
    drop(desk);
    engine.stop();
}

#[test]
fn after_an_orderly_stop_rules_are_judged_by_the_last_price_of_the_session_that_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    first_run(folder.path());
    let engine = start(folder.path());
    assert_eq!((engine.recovery.rules, engine.recovery.unsure), (1, 0), "{}", engine.recovery);
    let reader = Reader::connect(engine.addresses.gateway);
    let mut desk = Desk::of(&engine);
    // Messages 3 and 4 were sent while there was no engine.
    desk.print(SESSION, 5, 2, 7);
    let refused = desk.set(1, 2, Comparison::Below, 45, OnSet::Reject);
    assert!(matches!(refused, Body::Refused { code: Code::AlreadyTrue, .. }), "{refused:?}");
    let value = Some(dollars(40));
    assert_eq!(judged(desk.set(1, 3, Comparison::Below, 45, OnSet::Wait)), (RuleState::Met, value));
    assert_eq!(judged(desk.set(1, 4, Comparison::Above, 45, OnSet::Reject)), (RuleState::Clear, value));
    desk.print(SESSION, 6, 1, 50);
    desk.print(SESSION, 7, 1, 20);
    drop(desk);
    engine.stop();
    let alerts = reader.finish().rules;
    let of_slot = |slot| -> Vec<(u64, Reason, u8)> {
        let fired = |it: &&RuleMessage| it.slot == slot && it.kind == Kind::Alert;
        alerts.iter().filter(fired).map(|it| (it.sequence, it.reason, it.flags & !flag::BOOK_SUSPECT)).collect()
    };
    assert_eq!(of_slot(1), [(7, Reason::Cross, flag::BY_PRINT)], "it had seen a value before, and that is sure");
    assert_eq!(of_slot(3), [(7, Reason::Cross, flag::BY_PRINT)]);
    assert_eq!(of_slot(4), [(6, Reason::Cross, flag::BY_PRINT | flag::AFTER_GAP)], "messages were missed");
}

#[test]
fn in_another_session_no_last_price_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    first_run(folder.path());
    let engine = start(folder.path());
    assert_eq!(engine.recovery.unsure, 0, "what it has seen it has seen: {}", engine.recovery);
    let mut desk = Desk::of(&engine);
    desk.print(NEXT, 1, 2, 7);
    assert_eq!(judged(desk.set(1, 2, Comparison::Below, 45, OnSet::Reject)), (RuleState::Unknown, None));
    drop(desk);
    engine.stop();
    // And that is written down: nor is it known when the next session is gone through again.
    let engine = start(folder.path());
    let mut desk = Desk::of(&engine);
    desk.print(NEXT, 2, 1, 60);
    assert_eq!(judged(desk.set(1, 3, Comparison::Below, 65, OnSet::Wait)), (RuleState::Met, Some(dollars(60))));
    drop(desk);
    engine.stop();
}

/// Waits until the journal in `folder` says that symbols stand at these last prices.
fn wait_for_standings(folder: &Path, prices: &[(u16, i64)]) {
    let (storage, begun) = (Directory::existing(&folder.join("journal")), Instant::now());
    loop {
        let mut told = HashMap::new();
        scan::scan(&storage, 0, |record| {
            if let Entry::Standing(standing) = record.entry {
                told.insert(standing.symbol, standing.last);
            }
        })
        .expect("a journal");
        if prices.iter().all(|(locate, price)| told.get(&symbol(*locate)) == Some(&Some(dollars(*price)))) {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "nobody tells it: {told:?}");
        std::thread::yield_now();
    }
}

#[test]
fn after_a_kill_the_last_price_is_the_last_one_that_the_shard_or_an_alert_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config_text(shape(&["demo".into()]), folder.path())).expect("a folder of our own");
    let running = Running::start(&path);
    let mut audit =
        Client::connect(running.gateway, &Login::new(DROP_COPY, PASSWORD).expect("a login")).expect("the alert port");
    let mut desk = Desk::connect(running.line, running.control);
    for locate in [1, 2] {
        desk.set(locate, 1, Comparison::Below, 36, OnSet::Fire);
    }
    desk.print(SESSION, 1, 1, 40);
    desk.print(SESSION, 2, 2, 70);
    wait_for_standings(folder.path(), &[(1, 40), (2, 70)]);
    desk.print(SESSION, 3, 1, 35);
    let is_alert = |event: Event<'_>| matches!(event, Event::Sequenced(_, message) if message[0] == Kind::Alert as u8);
    while !is_alert(audit.receive().expect("the alert port")) {}
    running.kill();
    drop((desk, audit));

    let running = Running::start(&path);
    assert!(!running.said.iter().any(|line| line.contains("a firing may be lost")), "{:?}", running.said);
    let mut desk = Desk::connect(running.line, running.control);
    desk.print(SESSION, 4, 3, 1);
    for (locate, price) in [(1, 35), (2, 70)] {
        let value = Some(dollars(price));
        assert_eq!(judged(desk.set(locate, 2, Comparison::Below, 80, OnSet::Wait)), (RuleState::Met, value));
    }
}
