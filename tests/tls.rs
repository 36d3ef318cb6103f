//! The engine with TLS on both ports, as clients see it: who comes in, what they get, and what a reload changes.

mod engine;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use engine::alerts::Reader;
use engine::certificates::{Authority, Files, client, read_to_end};
use engine::feed::{Feed, settings, synthetic};
use engine::process::Running;
use engine::{DROP_COPY, PASSWORD, Shape, config_text};
use hairtrigger::client::{Client, ClientError, Event, Request};
use hairtrigger::config::Config;
use hairtrigger::engine::Engine;
use hairtrigger::publish::Rates;
use hairtrigger::soup::login::{Credentials, Login, SessionId};
use hairtrigger::soup::packet::Reject;
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use hairtrigger::tls::client::ClientTls;

/// Files, and the text of a config with TLS whose section begins with `asked`.
struct House {
    folder: tempfile::TempDir,
    root: Authority,
    root_file: PathBuf,
    clients: Authority,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, clients) = (Authority::new("root"), Authority::new("root of clients"));
        root.sign(folder.path(), "server", "engine", &["localhost", "127.0.0.1"]);
        clients.file(folder.path(), "clients.pem");
        let root_file = root.file(folder.path(), "root.pem");
        House { folder, root, root_file, clients }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Accounts `demo`, `other` and the drop copy, each with a certificate named like it. `asked`: who shows certificates.
    fn config_text(&self, asked: &str) -> String {
        let accounts = ["demo", "other"].map(String::from);
        let shape = Shape { shards: 1, lines: 1, rerequest: None, accounts: &accounts };
        let mut text = config_text(shape, self.path());
        if asked != "none" {
            for name in ["demo", "other", DROP_COPY] {
                let account = format!("name = \"{name}\"\n");
                text = text.replace(&account, &format!("{account}certificates = [\"{name}.desk\"]\n"));
            }
        }
        let ca = if asked == "none" {
            String::new()
        } else {
            format!("client_ca = {:?}\n", self.path().join("clients.pem"))
        };
        let listen = "control_listen = \"127.0.0.1:0\"\ngateway_listen = \"127.0.0.1:0\"";
        let (certificate, key) = (self.path().join("server.pem"), self.path().join("server.key"));
        text + &format!(
            "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n{listen}\nclient_certificates = \"{asked}\"\n{ca}"
        )
    }

    fn config(&self, asked: &str) -> Config {
        Config::parse(&self.config_text(asked), Path::new("test.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn start(&self, asked: &str) -> Engine {
        Engine::start(&self.config(asked)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A certificate for an account's clients: the name is a common name, or one of the other names.
    fn own(&self, name: &str) -> Files {
        match name {
            "demo" => self.clients.sign(self.path(), name, "demo.desk", &[]),
            _ => self.clients.sign(self.path(), name, "a desk", &[&format!("{name}.desk")]),
        }
    }

    fn client(&self, own: Option<&Files>) -> ClientTls {
        client(&self.root_file, own)
    }
}

fn ports(engine: &Engine) -> [SocketAddr; 2] {
    [engine.addresses.control_tls, engine.addresses.gateway_tls].map(|address| address.expect("it is configured"))
}

/// How a login on a port ends.
fn log_in(port: SocketAddr, user: &str, tls: &ClientTls) -> Result<Client, ClientError> {
    Client::connect_tls(&port.to_string(), &Request::new(user, PASSWORD).expect("a login"), tls)
}

fn outcome(result: Result<Client, ClientError>) -> String {
    match result {
        Ok(_) => "in".into(),
        Err(ClientError::Refused(Reject::NotAuthorized)) => "not authorized".into(),
        Err(ClientError::Tls(error)) => error.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn a_certificate_restricts_the_connection_to_its_account() {
    let house = House::new();
    let (demo, other) = (house.own("demo"), house.own("other"));
    let unknown = house.clients.sign(house.path(), "unknown", "nobody.desk", &["demo.desk.example"]);
    let two = house.clients.sign(house.path(), "two", "demo.desk", &["other.desk"]);
    let forged = Authority::new("root of clients").sign(house.path(), "forged", "demo.desk", &[]);
    let no_certificate = "received fatal alert: CertificateRequired";
    let denied = "received fatal alert: AccessDenied";
    // Who is asked, what is shown, whose login, and how it ends.
    let table: &[(&str, Option<&Files>, &str, &str)] = &[
        ("none", None, "demo", "in"),
        ("none", Some(&demo), "other", "in"),
        ("optional", None, "demo", "in"),
        ("optional", Some(&demo), "demo", "in"),
        ("optional", Some(&demo), "other", "not authorized"),
        ("optional", Some(&unknown), "demo", denied),
        ("required", None, "demo", no_certificate),
        ("required", Some(&demo), "demo", "in"),
        ("required", Some(&other), "other", "in"),
        ("required", Some(&other), "demo", "not authorized"),
        ("required", Some(&demo), DROP_COPY, "not authorized"),
        ("required", Some(&unknown), "demo", denied),
        ("required", Some(&two), "demo", denied),
        ("required", Some(&forged), "demo", "received fatal alert: DecryptError"),
    ];
    for asked in ["none", "optional", "required"] {
        let engine = house.start(asked);
        for (_, own, user, expected) in table.iter().filter(|row| row.0 == asked) {
            let tls = house.client(*own);
            for port in ports(&engine) {
                let shown = own.map(|files| files.certificate.file_name());
                assert_eq!(&outcome(log_in(port, user, &tls)), expected, "{asked}, {shown:?}, {user}");
            }
        }
        engine.stop();
    }
}

#[test]
fn a_client_that_does_not_trust_the_engine_says_so_and_goes() {
    let house = House::new();
    let engine = house.start("none");
    let stranger = Authority::new("stranger").file(house.path(), "stranger.pem");
    let untrusting = client(&stranger, None);
    for port in ports(&engine) {
        assert!(outcome(log_in(port, "demo", &untrusting)).contains("UnknownIssuer"));
        assert!(Client::connect(port, &Request::new("demo", PASSWORD).expect("a login")).is_err(), "plain text");
    }
    engine.stop();
}

/// The stop sends what is owed, the last words of each port, and then the end of TLS.
#[test]
fn a_stop_says_its_last_words_and_then_ends_tls() {
    let house = House::new();
    let engine = house.start("none");
    let mut clients = ports(&engine).map(|port| house.root.bare_client(port));
    for client in &mut clients {
        let credentials = Credentials::new("demo", PASSWORD).expect("a login");
        let login = Login { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None };
        client.write_all(&login.packet()).expect("loopback");
        // Login Accepted: only then is there a session to end.
        let mut accepted = [0; 33];
        client.read_exact(&mut accepted).expect("an answer");
        assert_eq!(accepted[2], b'A');
    }
    let readers = clients.map(|mut client| std::thread::spawn(move || read_to_end(&mut client)));
    engine.stop();
    // Answers end with the process, alerts go on after it.
    for (reader, words) in readers.into_iter().zip(["\0\x01Z", "come back with this session and your next number"]) {
        let (said, is_end) = reader.join().expect("it does not panic");
        assert!(said.ends_with(words.as_bytes()), "{}", said.escape_ascii());
        assert!(is_end, "without close_notify");
    }
}

#[test]
fn a_reload_serves_the_new_certificate_to_new_connections_and_old_ones_go_on() {
    let house = House::new();
    let mut engine = house.start("none");
    let [control, gateway] = ports(&engine);
    let before = house.client(None);
    let mut old = log_in(gateway, "demo", &before).expect("it is in");
    let renewed = Authority::new("renewed");
    let after = client(&renewed.file(house.path(), "renewed.pem"), None);

    // A key of another certificate changes nothing.
    renewed.sign(house.path(), "server", "engine", &["localhost"]);
    std::fs::copy(house.own("demo").key, house.path().join("server.key")).expect("a folder of our own");
    let error = engine.reload(&house.config("none")).expect_err("they do not fit").to_string();
    assert!(error.contains("server.pem"), "{error}");
    std::fs::write(house.path().join("server.key"), "no key").expect("a folder of our own");
    let error = engine.reload(&house.config("none")).expect_err("no key").to_string();
    assert!(error.contains("server.key: expected a private key in PEM"), "{error}");
    assert_eq!(outcome(log_in(control, "other", &before)), "in");

    renewed.sign(house.path(), "server", "engine", &["localhost"]);
    engine.reload(&house.config("none")).expect("they fit");
    // It is taken over at the agent's next look.
    let start = Instant::now();
    while outcome(log_in(control, "demo", &after)) != "in" {
        assert!(start.elapsed() < engine::DEADLINE, "the new certificate is not served");
    }
    assert!(outcome(log_in(control, "demo", &before)).contains("UnknownIssuer"));
    // The old connection lives: it hears heartbeats until the engine stops, and is told.
    let end = std::thread::spawn(move || {
        loop {
            match old.receive().expect("the old connection") {
                Event::Debug(text) => return text.starts_with(b"the engine stops"),
                _ => continue,
            }
        }
    });
    engine.stop();
    assert!(end.join().expect("it does not panic"));
}

/// The command's own clients: rules are loaded over TLS, and the stream over TLS is that of plain TCP, to the last message.
#[test]
fn rules_and_alerts_over_tls_through_the_command() {
    let house = House::new();
    let own = house.own("demo");
    let path = house.path().join("config.toml");
    std::fs::write(&path, house.config_text("optional")).expect("a folder of our own");
    let running = Running::start(&path);
    let tls_port = |what: &str| -> String {
        let line = running.said.iter().find_map(|line| line.strip_prefix(what));
        line.unwrap_or_else(|| panic!("{what}: {:?}", running.said)).to_string()
    };
    let (control, gateway) = (tls_port("rules with TLS: "), tls_port("alerts with TLS: "));
    let day = DayParams { seed: 3, messages: 20_000, symbols: 50 };
    let mut source = RuleRows::new(Day::new(day).prices(), 60, 5);
    let mut csv = format!("{RULES_HEADER}\n");
    for _ in 0..2_000 {
        source.next_into(&mut csv);
        csv.push('\n');
    }
    let rules = house.path().join("rules.csv");
    std::fs::write(&rules, csv).expect("a folder of our own");

    let command = |words: &[&str], port: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        command.args(words).args(["--address", port, "--login", "demo", "--password", PASSWORD, "--tls"]);
        command.arg("--ca").arg(&house.root_file).arg("--certificate").arg(&own.certificate).arg("--key").arg(&own.key);
        let output = command.output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8(output.stdout).expect("text")
    };
    let file = rules.to_str().expect("text");
    command(&["rules", "load", file, "--date", "2020-01-30"], &control);
    assert_eq!(command(&["rules", "list"], &control).lines().last(), Some("2000 rules"));

    let mut plain = Reader::connect(running.gateway);
    let mut feed =
        Feed::new(&synthetic(day), &settings(&[running.line], Rates::default()), None, &house.path().join("stats"));
    feed.finish();
    let fired = feed.count("log", "alerts");
    plain.wait_for(fired as usize);
    let watched = command(&["watch", "--json", "--count", &fired.to_string()], &gateway);
    let tls =
        Reader::over(log_in(gateway.parse().expect("an address"), "demo", &house.client(Some(&own))).expect("in"));
    running.terminate();
    let (plain, tls) = (plain.finish(), tls.finish());
    assert!(plain.rules.len() > 200, "{} alerts say too little", plain.rules.len());
    assert_eq!(plain.rules, tls.rules);
    let last = watched.lines().last().expect("alerts");
    assert!(last.starts_with('{') && watched.lines().count() as u64 == fired, "{last}");
    assert!(feed.count("links", "handshakes") >= 4 && feed.count("links", "bytes_sent") > 0);
}

/// SIGHUP reads the files again; what cannot be used is reported, and the engine goes on.
#[test]
fn sighup_reads_the_certificates_again() {
    let house = House::new();
    let path = house.path().join("config.toml");
    std::fs::write(&path, house.config_text("none")).expect("a folder of our own");
    let running = Running::start(&path);
    let gateway = running.said.iter().find_map(|line| line.strip_prefix("alerts with TLS: ")).expect("an address");
    let gateway = gateway.parse().expect("an address");
    let renewed = Authority::new("renewed");
    let after = client(&renewed.file(house.path(), "renewed.pem"), None);
    assert!(outcome(log_in(gateway, "demo", &after)).contains("UnknownIssuer"));
    renewed.sign(house.path(), "server", "engine", &["localhost"]);
    running.hang_up();
    let start = Instant::now();
    while outcome(log_in(gateway, "demo", &after)) != "in" {
        assert!(start.elapsed() < engine::DEADLINE, "the new certificate is not served");
    }
}
