//! A whole engine, its feed and a client of both ports that shares no code with it: `python_client.py`, written from
//! PROTOCOL.md and the SoupBinTCP specification.
//!
//! ```text
//!  python_client.py --- SoupBinTCP ---> Engine <--- MoldUDP64, both lines --- Feed
//!         '--- "print SYMBOL PRICE" on standard output ---------------------->'
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use hairtrigger::config::Config;
use hairtrigger::engine::Engine;
use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::feed::moldudp64::Header;
use hairtrigger::model::Symbol;

/// An engine of two shards on free ports, its files in `folder`.
fn config(folder: &Path) -> Config {
    let text = format!(
        r#"
        [feed]
        line_a = {{ address = "127.0.0.1:0" }}
        line_b = {{ address = "127.0.0.1:0" }}
        date = "2026-01-30"
        silence = "1h"
        session_silence = "1h"
        [control]
        listen = "127.0.0.1:0"
        sessions_max = 32
        [gateway]
        listen = "127.0.0.1:0"
        sessions_max = 32
        directory = {:?}
        segment_size = "8MiB"
        retention_size = "32MiB"
        [clients]
        login_deadline = "2s"
        [stats]
        file = {:?}
        [limits]
        rules_max = 65536
        account_rules_max = 65536
        orders_max = 1024
        levels_max = 1024
        symbols_max = 1024
        policies_max = 4
        [topology]
        shards = 2
        idle = "park"
        [[accounts]]
        name = "demo"
        logins = [{{ user = "demo", password = "secret" }}]
        [[accounts]]
        name = "other"
        logins = [{{ user = "other", password = "secret" }}]
        rules_max = 3
        [[accounts]]
        name = "audit"
        logins = [{{ user = "copy", password = "secret" }}]
        drop_copy = true
        "#,
        folder.join("alerts"),
        folder.join("stats"),
    );
    Config::parse(&text, Path::new("python_client.toml")).expect("the text above is a config")
}

/// A day of prints, one message a packet, the same on both lines.
struct Feed {
    socket: UdpSocket,
    lines: [SocketAddr; 2],
    sequence: u64,
    locates: BTreeMap<Symbol, u16>,
}

impl Feed {
    fn new(engine: &Engine) -> Feed {
        let lines = [engine.addresses.line_a.unwrap(), engine.addresses.line_b.unwrap()];
        Feed { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), lines, sequence: 1, locates: BTreeMap::new() }
    }

    /// Sends a message, stamped 10:00 and as many microseconds as messages went before.
    fn send(&mut self, locate: u16, message: impl FnOnce(Head) -> Vec<u8>) {
        let header = Header { session: *b"S000000001", sequence: self.sequence, count: 1 };
        let message = message(Head { locate, tracking: 0, ts: 36_000_000_000_000 + self.sequence * 1_000 });
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        let packet = [&header.bytes()[..], &length, &message].concat();
        for line in self.lines {
            self.socket.send_to(&packet, line).unwrap();
        }
        self.sequence += 1;
    }

    /// A print of one share; names the symbol first where the feed has not yet. `price` in 1e-9 of the currency unit.
    fn print(&mut self, symbol: Symbol, price: u64) {
        let next = 1 + self.locates.len() as u16;
        let locate = *self.locates.entry(symbol).or_insert(next);
        if locate == next {
            self.send(locate, |head| encode::directory(head, symbol).to_vec());
        }
        let (price4, match_number) = ((price / 100_000) as u32, self.sequence);
        self.send(locate, |head| encode::trade(head, 1, symbol, price4, match_number).to_vec());
    }
}

/// Says whether the script can run here. Where `CI` is set it must.
fn has_python() -> bool {
    let found =
        Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "python3 is missing");
    if !found {
        eprintln!("skipped: python3 is missing");
    }
    found
}

#[test]
fn a_client_written_from_the_documents_alone() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(&config(folder.path())).unwrap();
    let mut feed = Feed::new(&engine);
    let ports = [engine.addresses.control, engine.addresses.gateway].map(|address| address.port().to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_client.py");
    let mut client = Command::new("python3")
        .args(["-B", script])
        .args(ports)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let mut engine = Some(engine);
    let mut said = vec![];
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["print", symbol, price] => feed.print(symbol.parse().unwrap(), price.parse().unwrap()),
            ["stop"] => engine.take().expect("it is stopped once").stop(),
            _ => said.push(line),
        }
    }
    let ended = client.wait().unwrap();
    assert!(ended.success(), "{}", said.join("\n"));
    assert_eq!(said.last().map(String::as_str), Some("done"), "{}", said.join("\n"));
    println!("{}", said.join("\n"));
}
