//! Who may come in and how much they may do, through both ports of a running engine.

mod clients;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clients::{call, config, config_text, connect_from, first_packet, hashed, is_accepted, is_refused, list, log_in};
use clients::{login_packet, plain, set};
use hairtrigger::control::wire::{Ask, Code};
use hairtrigger::engine::Engine;
use hairtrigger::limits::BACKOFF_FREE_FAILURES;
use hairtrigger::soup::packet::kind;

fn start(folder: &Path, control: &str, clients: &str, limits: &str, accounts: &str) -> (Engine, [SocketAddr; 2]) {
    let config = config(folder, control, clients, limits, accounts);
    let engine = Engine::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let ports = [engine.addresses.control, engine.addresses.gateway];
    (engine, ports)
}

fn accounts() -> String {
    plain("open", "secret") + &hashed("hashed", "secret")
}

#[test]
fn passwords_open_both_ports_hashed_or_not_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, ports) = start(folder.path(), "", "", "", &accounts());
    assert!(engine.notes.iter().any(|note| note.starts_with("accounts: 1 passwords stand in the config")));
    for port in ports {
        for (user, password) in [("open", "secret"), ("hashed", "SECRET"), ("HASHED", "secret")] {
            log_in(port, user, password).unwrap();
        }
    }
    // Each from an address of its own: else the last would be held off.
    let wrong = [("open", "secreu"), ("hashed", "s"), ("nobody", "secret"), ("hashed", "opensecret")];
    for (host, (user, password)) in (10..).zip(wrong) {
        for port in ports {
            let mut stream = connect_from(host, port);
            stream.write_all(&login_packet(user, password)).unwrap();
            assert_eq!(first_packet(&mut stream), Some(kind::REJECTED), "{user}");
            assert_eq!(first_packet(&mut stream), None, "and the close");
        }
    }
    engine.stop();
}

#[test]
fn an_address_that_guesses_is_held_off_on_both_ports_and_others_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, [rules, alerts]) = start(folder.path(), "", "", "", &accounts());
    for _ in 0..=BACKOFF_FREE_FAILURES {
        assert!(!is_accepted(&mut connect_from(2, rules), "hashed", "guess"));
    }
    // The wait is a second at least by now: the right password does not help, here or there.
    for port in [rules, alerts] {
        assert!(!is_accepted(&mut connect_from(2, port), "hashed", "secret"));
        assert!(is_accepted(&mut connect_from(3, port), "hashed", "secret"));
    }
    engine.stop();
}

#[test]
fn an_address_has_its_share_of_connections_and_pushes_out_only_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, ports) = start(folder.path(), "", "sessions_per_address_max = 2", "", &accounts());
    for port in ports {
        // Without a login the oldest goes.
        let mut waiting: Vec<TcpStream> = (0..3).map(|_| connect_from(2, port)).collect();
        assert_eq!(first_packet(&mut waiting[0]), None);
        // With logins nobody goes, and the next stays outside.
        assert!(is_accepted(&mut waiting[1], "open", "secret") && is_accepted(&mut waiting[2], "hashed", "secret"));
        assert_eq!(first_packet(&mut connect_from(2, port)), None);
        // Another address is not concerned.
        assert!(is_accepted(&mut connect_from(3, port), "hashed", "secret"));
    }
    engine.stop();
}

#[test]
fn a_full_port_has_a_place_for_whoever_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, [rules, _]) = start(folder.path(), "sessions_max = 8", "", "", &accounts());
    let mut first = log_in(rules, "open", "secret").unwrap();
    let flood: Vec<TcpStream> = (0..100).map(|_| connect_from(2, rules)).collect();
    let mut other = connect_from(3, rules);
    let more: Vec<TcpStream> = (0..100).map(|_| connect_from(2, rules)).collect();
    assert!(is_accepted(&mut other, "hashed", "secret"), "the flood pushes out its own");
    assert_eq!(set(&mut first, 1), Ok(()));
    drop((flood, more));
    engine.stop();
}

#[test]
fn before_the_login_only_a_login_is_read_and_only_for_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, ports) = start(folder.path(), "", "login_deadline = \"200ms\"", "", &accounts());
    for port in ports {
        for bytes in [&b"\0\0"[..], b"\xff\xffL", b"\0\x36L", b"GET / HTTP/1.1\r\n\r\n", b"\0\x02Ux", b"\0\x01R"] {
            let mut stream = connect_from(2, port);
            stream.write_all(bytes).unwrap();
            assert_eq!(first_packet(&mut stream), None, "{bytes:?}");
        }
        assert_eq!(first_packet(&mut connect_from(2, port)), None, "silence");
        // Debug packets without end, as fast as they go: never silent, and never a login.
        let mut chatty = connect_from(2, port);
        let mut reader = chatty.try_clone().unwrap();
        let writer =
            std::thread::spawn(move || while chatty.write_all(&[0, 9, b'+', 1, 2, 3, 4, 5, 6, 7, 8]).is_ok() {});
        assert_eq!(first_packet(&mut reader), None);
        writer.join().unwrap();
    }
    engine.stop();
}

#[test]
fn rules_are_bounded_for_each_account_and_in_all_and_requests_by_rate() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "account_rules_max = 3\n";
    let text = config_text(folder.path(), "requests_per_second_max = 8", "", limits, &accounts());
    let engine = Engine::start(&clients::parse(&text.replace("rules_max = 4096", "rules_max = 5"))).unwrap();
    let rules = engine.addresses.control;
    let mut client = log_in(rules, "open", "secret").unwrap();
    assert_eq!([1, 2, 3].map(|n| set(&mut client, n)), [Ok(()); 3]);
    assert_eq!(set(&mut client, 4), Err((Code::AccountFull, 0)));
    assert_eq!(set(&mut client, 3), Ok(()), "a replacement takes no room");
    let mut other = log_in(rules, "hashed", "secret").unwrap();
    assert_eq!([1, 2].map(|n| set(&mut other, n)), [Ok(()); 2]);
    assert_eq!(set(&mut other, 3), Err((Code::RulesFull, 0)));
    let refused = (0..100).find_map(|n| set(&mut other, n).err().filter(|(code, _)| *code == Code::Rate));
    assert!(refused.is_some_and(|(_, retry_ms)| retry_ms > 0), "the refusal says when to come again");
    call(&mut client, 9, Ask::RemoveUser { user: 1 });
    assert_eq!(list(&mut client).len(), 2);
    engine.stop();
}

/// `hairtrigger run` in a shell that allows so many files.
struct Limited {
    child: Child,
    ports: [SocketAddr; 2],
}

impl Limited {
    fn start(config: &Path, files: usize) -> Limited {
        let run = format!("ulimit -n {files}; exec \"$0\" run --config \"$1\"");
        let mut child = Command::new("sh")
            .args(["-c", &run, env!("CARGO_BIN_EXE_hairtrigger")])
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let said = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let said: Vec<String> = said.take_while(|line| !line.starts_with("running")).collect();
        assert!(said.iter().any(|line| line.contains("(ulimit -n)")), "{said:?}");
        let ports = said.iter().find_map(|line| line.strip_prefix("rules: ")?.split_once("    alerts: "));
        let (rules, alerts) = ports.unwrap_or_else(|| panic!("{said:?}"));
        Limited { child, ports: [rules, alerts].map(|port| port.parse().expect("an address")) }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_descriptors_the_ports_go_on_and_who_belongs_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.toml");
    std::fs::write(&path, config_text(folder.path(), "", "", "", &accounts())).unwrap();
    let mut engine = Limited::start(&path, 128);
    let [rules, alerts] = engine.ports;
    let mut early = log_in(rules, "open", "secret").unwrap();
    let flood: Vec<TcpStream> = (0..150).flat_map(|_| [connect_from(2, rules), connect_from(2, alerts)]).collect();
    for round in 1..=20 {
        assert_eq!(set(&mut early, round), Ok(()), "who is in goes on");
        for port in [rules, alerts] {
            assert!(is_accepted(&mut connect_from(3, port), "hashed", "secret"));
        }
    }
    drop(flood);
    let late: Vec<_> = (0..20).map(|_| log_in(alerts, "open", "secret").unwrap()).collect();
    assert_eq!(list(&mut early).len(), 20);
    drop(late);
    assert!(!is_refused(log_in(rules, "hashed", "secret")));
    assert!(engine.child.try_wait().unwrap().is_none(), "it runs");
}
