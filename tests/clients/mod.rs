//! What tests of who may come in share: a config, logins from any address of loopback, and what the ports say.

#![allow(dead_code)] // each test program uses a part of it

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use hairtrigger::client::{Client, ClientError, Event, Request as Login};
use hairtrigger::config::Config;
use hairtrigger::control::wire::{Answer, Ask, Body, Code, Request};
use hairtrigger::door::password::Hash;
use hairtrigger::model::{Comparison, Listed, Price, RuleKey, RuleSpec, Signal};
use hairtrigger::soup::login::{Credentials, Login as LoginPacket, SessionId};
use hairtrigger::soup::packet::{Reject, kind};
use socket2::{Domain, Socket, Type};

/// How long a test waits for what must come. It says that something is wrong, not how fast it is.
const DEADLINE: Duration = Duration::from_secs(60);

/// The text of a small engine's config with these sections; files lie in `folder`.
pub fn config_text(folder: &Path, control: &str, clients: &str, limits: &str, accounts: &str) -> String {
    let bound = if limits.contains("account_rules_max") { "" } else { "account_rules_max = 4096" };
    format!(
        "feed.line_a = {{ address = \"127.0.0.1:0\" }}\n\
         [control]\nlisten = \"127.0.0.1:0\"\n{control}\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\ndirectory = {folder:?}\nsegment_size = \"1MiB\"\nretention_size = \"4MiB\"\n\
         [journal]\ndurability = \"none\"\n\
         [clients]\n{clients}\n\
         [limits]\nrules_max = 4096\nsymbols_max = 64\norders_max = 64\nlevels_max = 64\npolicies_max = 16\n{bound}\n{limits}\n\
         [topology]\nshards = 1\nidle = \"park\"\n\
         [stats]\nfile = {:?}\n{accounts}",
        folder.join("stats"),
    )
}

/// A config of that text.
pub fn config(folder: &Path, control: &str, clients: &str, limits: &str, accounts: &str) -> Config {
    parse(&config_text(folder, control, clients, limits, accounts))
}

pub fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("test.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// An account with one login of its name.
pub fn plain(name: &str, password: &str) -> String {
    format!("[[accounts]]\nname = \"{name}\"\nlogins = [{{ user = \"{name}\", password = \"{password}\" }}]\n")
}

/// The same with the password's hash.
pub fn hashed(name: &str, password: &str) -> String {
    let hash = Hash::of(&Credentials::new(name, password).expect("they fit").password);
    format!("[[accounts]]\nname = \"{name}\"\nlogins = [{{ user = \"{name}\", password_hash = \"{hash}\" }}]\n")
}

/// Logs in from 127.0.0.1.
pub fn log_in(port: SocketAddr, user: &str, password: &str) -> Result<Client, ClientError> {
    Client::connect(port, &Login::new(user, password)?)
}

/// True when the port says no, as it does to whoever does not belong.
pub fn is_refused(result: Result<Client, ClientError>) -> bool {
    match result {
        Ok(_) => false,
        Err(ClientError::Refused(Reject::NotAuthorized)) => true,
        Err(error) => panic!("{error}"),
    }
}

/// A connection from 127.0.0.`host`.
pub fn connect_from(host: u8, port: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0);
    socket.bind(&from.into()).expect("all of 127.0.0.0/8 is loopback");
    socket.connect(&port.into()).expect("the port listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// A login packet.
pub fn login_packet(user: &str, password: &str) -> Vec<u8> {
    let credentials = Credentials::new(user, password).expect("they fit");
    LoginPacket { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None }.packet().to_vec()
}

/// The type of the first packet that comes; `None` when the connection ends before.
pub fn first_packet(stream: &mut TcpStream) -> Option<u8> {
    let mut header = [0; 3];
    match stream.read_exact(&mut header) {
        Ok(()) => Some(header[2]),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
            panic!("neither an answer nor the close")
        }
        Err(_) => None,
    }
}

/// Logs in over this connection: whether it was accepted.
pub fn is_accepted(stream: &mut TcpStream, user: &str, password: &str) -> bool {
    // Whoever was closed before finds out by reading.
    let _ = stream.write_all(&login_packet(user, password));
    first_packet(stream) == Some(kind::ACCEPTED)
}

/// Waits for the close; the texts that came before.
pub fn texts_until_closed(client: &mut Client) -> Vec<String> {
    let mut texts = vec![];
    loop {
        match client.receive() {
            Ok(Event::Debug(text)) => texts.push(String::from_utf8_lossy(text).into_owned()),
            Ok(_) => {}
            Err(ClientError::Closed) => return texts,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Asks, and gives the answer that ends it with what came before.
pub fn call(client: &mut Client, id: u64, ask: Ask) -> Vec<Body> {
    client.writer.send_unsequenced(Request { id, ask }.encode().bytes()).expect("the rule port");
    let mut bodies = vec![];
    loop {
        let Event::Sequenced(_, message) = client.receive().expect("the rule port") else { continue };
        let answer = Answer::read(message).expect("an answer");
        bodies.push(answer.body);
        if answer.id == id && !matches!(answer.body, Body::Rule(_)) {
            return bodies;
        }
    }
}

/// Sets rule number `n` of the client; the code of the refusal, if it is refused, and its retry hint.
pub fn set(client: &mut Client, n: u64) -> Result<(), (Code, u32)> {
    let key = RuleKey { user: n, symbol: "GME".parse().expect("a symbol"), slot: 0, account: 0 };
    let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(1 + n as i64));
    match call(client, n, Ask::Set(key, spec)).last() {
        Some(Body::SetDone { .. }) => Ok(()),
        Some(Body::Refused { code, retry_ms, .. }) => Err((*code, *retry_ms)),
        other => panic!("{other:?}"),
    }
}

/// The account's rules.
pub fn list(client: &mut Client) -> Vec<Listed> {
    let bodies = call(client, 1 << 40, Ask::List { user: None, limit: 1_000, cursor: 0 });
    bodies.iter().filter_map(|body| if let Body::Rule(rule) = body { Some(*rule) } else { None }).collect()
}
