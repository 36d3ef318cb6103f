//! A house for the control agent: shards that are maps, clients that are sockets stepped by hand, one clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::control::agent::{ControlAgent, ControlSettings};
use crate::control::wire::{Answer, Ask, Body, Request};
use crate::door::{ClientLimits, Door, Member, Pass};
use crate::model::{
    Applied, Command, Comparison, Listed, Outcome, Price, Refusal, RuleCommand, RuleKey, RuleSpec, RuleState, Signal,
    Symbol,
};
use crate::ring::{Receiver, Sender, ring};
use crate::soup::login::{Credentials, Login, SessionId};
use crate::soup::packet::{Packet, header, kind};

pub const SESSION: SessionId = SessionId(*b"0000000042");
pub const FEED: [u8; 10] = *b"S000000001";

/// A shard: rules by age, found by key.
pub struct Shard {
    commands: Receiver<RuleCommand>,
    applied: Sender<Applied>,
    owed: VecDeque<Applied>,
    ages: HashMap<RuleKey, u64>,
    rules: BTreeMap<u64, Listed>,
    versions: HashMap<Symbol, u64>,
    next: u64,
    pub is_stuck: bool,
}

impl Shard {
    fn step(&mut self) {
        if self.is_stuck {
            return;
        }
        let mut commands = vec![];
        if self.owed.is_empty() {
            self.commands.drain(64, |command| commands.push(*command));
        }
        for command in commands {
            for outcome in self.apply(command.command) {
                let (ordinal, feed_session) = (command.ordinal, FEED);
                self.owed.push_back(Applied {
                    ordinal,
                    sequence: ordinal + 1000,
                    feed_time: 5,
                    feed_session,
                    alerts: 0,
                    outcome,
                });
            }
        }
        while let Some(applied) = self.owed.front() {
            if !self.applied.send(*applied) {
                break;
            }
            self.owed.pop_front();
        }
    }

    fn apply(&mut self, command: Command) -> Vec<Outcome> {
        match command {
            Command::Set(key, spec) => {
                let version = self.versions.entry(key.symbol).or_default();
                *version += 1;
                let replaced = self.ages.insert(key, self.next).and_then(|age| self.rules.remove(&age)).is_some();
                let listed = Listed { key, spec, version: *version, fires: 0, state: RuleState::Clear };
                self.rules.insert(self.next, listed);
                self.next += 1;
                let (version, state) = (*version, RuleState::Clear);
                vec![Outcome::Set { version, state, value: Some(Price(7)), replaced, symbol_unknown: false }]
            }
            Command::Tell { .. } => vec![Outcome::Told { cursor: None }],
            Command::Remove(key, _) => match self.ages.remove(&key).and_then(|age| self.rules.remove(&age)) {
                Some(rule) => vec![Outcome::Removed { version: rule.version }],
                None => vec![Outcome::Refused(Refusal::UnknownKey)],
            },
            Command::RemoveUser { account, user } => {
                let before = self.rules.len();
                self.rules.retain(|_, rule| (rule.key.account, rule.key.user) != (account, user));
                self.ages.retain(|key, _| (key.account, key.user) != (account, user));
                vec![Outcome::UserRemoved { count: (before - self.rules.len()) as u64 }]
            }
            Command::List { account, user, cursor, limit } => {
                let is_asked = |rule: &Listed| rule.key.account == account && user.is_none_or(|u| u == rule.key.user);
                let mut found = self.rules.range(cursor..).filter(|(_, rule)| is_asked(rule));
                let mut outcomes: Vec<_> =
                    found.by_ref().take(limit as usize).map(|(_, rule)| Outcome::Listed(*rule)).collect();
                outcomes.push(Outcome::ListEnd { cursor: found.next().map(|(age, _)| *age) });
                outcomes
            }
        }
    }
}

/// A client: a socket that never blocks, and what came in.
pub struct Client {
    socket: TcpStream,
    unsent: Vec<u8>,
    received: Vec<u8>,
    pub packets: Vec<(u8, Vec<u8>)>,
    pub is_closed: bool,
    pub reads: bool,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Client { socket, unsent: vec![], received: vec![], packets: vec![], is_closed: false, reads: true }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    pub fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unsent)
    }

    pub fn log_in(&mut self, user: &str, session: SessionId, sequence: u64) {
        let credentials = Credentials::new(user, "secret").unwrap();
        self.send(&Login { credentials, session, sequence, heartbeat_timeout_ms: None }.packet());
    }

    pub fn message(&mut self, message: &[u8]) {
        self.send(&header(kind::UNSEQUENCED, message.len()));
        self.send(message);
    }

    pub fn ask(&mut self, id: u64, ask: Ask) {
        self.message(Request { id, ask }.encode().bytes());
    }

    pub fn step(&mut self) {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.is_closed = true,
            }
        }
        let mut buffer = [0; 1 << 16];
        while self.reads && !self.is_closed {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
        }
        let mut taken = 0;
        while let Some(packet) = Packet::first(&self.received[taken..], 10_000).unwrap() {
            taken += packet.size();
            self.packets.push((packet.kind, packet.payload.to_vec()));
        }
        self.received.drain(..taken);
    }

    pub fn answers(&self) -> Vec<Answer> {
        let sequenced = self.packets.iter().filter(|(kind, _)| *kind == kind::SEQUENCED);
        sequenced.map(|(_, message)| Answer::read(message).unwrap()).collect()
    }

    pub fn has(&self, kind: u8) -> bool {
        self.packets.iter().any(|(k, _)| *k == kind)
    }

    /// Session and next number of the login that was accepted.
    pub fn accepted(&self) -> Option<(Vec<u8>, u64)> {
        let (_, payload) = self.packets.iter().find(|(k, _)| *k == kind::ACCEPTED)?;
        let number = std::str::from_utf8(&payload[10..]).unwrap().trim().parse().unwrap();
        Some((payload[..10].to_vec(), number))
    }
}

/// The agent, its shards and the time.
pub struct House {
    pub agent: ControlAgent,
    pub shards: Vec<Shard>,
    pub now: u64,
}

impl House {
    /// Logins `demo` (account 1), `drop` (account 2, a drop copy) and `u000` to `u199` (accounts from 3).
    pub fn new(shards: usize, change: impl FnOnce(&mut ControlSettings)) -> House {
        let mut logins = vec![];
        let mut login = |name: &str, account, is_drop_copy| {
            logins.push(Pass { account, is_drop_copy });
            Member::plain(&Credentials::new(name, "secret").unwrap(), logins.len() as u32 - 1, account)
        };
        let mut members = vec![login("demo", 1, false), login("drop", 2, true)];
        members.extend((0..200).map(|n| login(&format!("u{n:03}"), 3 + n, false)));
        let mut settings = ControlSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            session: SESSION,
            logins,
            sessions_max: 256,
            answer_ring_size: 0,
            requests_in_flight_max: 10_000,
            limits: ClientLimits::default(),
            descriptors_max: usize::MAX,
        };
        change(&mut settings);
        let command = RuleCommand { ordinal: 0, feed_time: 0, command: Command::RemoveUser { account: 0, user: 0 } };
        let outcome = Outcome::Removed { version: 0 };
        let applied = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: FEED, alerts: 0, outcome };
        let (mut senders, mut receivers, mut made) = (vec![], vec![], vec![]);
        for _ in 0..shards {
            let (commands, taken) = ring(256, command);
            let (answers, answered) = ring(256, applied);
            senders.push(commands);
            receivers.push(answered);
            made.push(Shard {
                commands: taken,
                applied: answers,
                owed: VecDeque::new(),
                ages: HashMap::new(),
                rules: BTreeMap::new(),
                versions: HashMap::new(),
                next: 1,
                is_stuck: false,
            });
        }
        let agent = ControlAgent::new(settings, Door::alone(members), senders, receivers).unwrap();
        House { agent, shards: made, now: 1 << 60 }
    }

    pub fn step(&mut self, clients: &mut [Client]) {
        self.now += 10_000;
        self.agent.do_work(self.now);
        self.shards.iter_mut().for_each(Shard::step);
        clients.iter_mut().for_each(Client::step);
    }

    /// Steps until something holds; loopback sockets have their own pace, so the bound is real time.
    pub fn until(&mut self, clients: &mut [Client], holds: impl Fn(&[Client], &ControlAgent) -> bool) {
        let start = Instant::now();
        while !holds(clients, &self.agent) {
            self.step(clients);
            assert!(start.elapsed() < Duration::from_secs(20), "it never came: {:?}", self.agent.counts());
        }
    }

    /// A client that is logged in.
    pub fn client(&mut self, user: &str, sequence: u64) -> Client {
        let mut client = [Client::connect(self.agent.local_addr())];
        client[0].log_in(user, SessionId::CURRENT, sequence);
        self.until(&mut client, |clients, _| clients[0].accepted().is_some());
        let [client] = client;
        client
    }

    /// Sends one request and waits for the answer that ends it: what came.
    pub fn call(&mut self, client: &mut Client, id: u64, ask: Ask) -> Vec<Body> {
        let before = client.answers().len();
        client.ask(id, ask);
        let is_end = |answer: &Answer| !matches!(answer.body, Body::Rule(_));
        let clients = std::slice::from_mut(client);
        self.until(clients, |clients, _| clients[0].answers()[before..].iter().any(is_end));
        let answers = client.answers().split_off(before);
        assert!(answers.iter().all(|answer| answer.id == id));
        answers.into_iter().map(|answer| answer.body).collect()
    }

    /// Steps a while, for what must not happen.
    pub fn idle(&mut self, clients: &mut [Client], steps: usize) {
        for _ in 0..steps {
            self.step(clients);
        }
    }
}

pub fn key(user: u64, symbol: &str) -> RuleKey {
    RuleKey { user, symbol: symbol.parse().unwrap(), slot: 0, account: 0 }
}

pub fn set(user: u64, symbol: &str) -> Ask {
    Ask::Set(key(user, symbol), RuleSpec::new(Signal::Last, Comparison::Below, Price(5)))
}
