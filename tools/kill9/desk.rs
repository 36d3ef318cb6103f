//! The rule client: what it was promised, and whether that holds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hairtrigger::client::{Client, ClientError, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Code, Request};
use hairtrigger::limits::LIST_MAX;
use hairtrigger::model::{Comparison, Price, RuleKey, RuleSpec, RuleState, Signal};

use crate::prints::{PRICE, SYMBOLS, name_of};
use crate::stream::{Reading, Version};
use crate::{Fault, Random};

/// Users that set rules; few, so that they replace and remove their own rules all the time.
const USERS: u64 = 40;
/// Requests under way at most.
const PIPELINED_MAX: usize = 64;
/// How long the stream may take to tell the end of a rule that is gone.
const END_WAIT_MAX: Duration = Duration::from_secs(20);

/// What is known of a key.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The version of the last acknowledged set that no acknowledged remove has followed.
    version: Option<u64>,
    /// A request was lost with its connection: it may hold or not.
    is_unsure: bool,
}

/// The client.
#[derive(Default)]
pub struct Desk {
    client: Option<Client>,
    known: HashMap<RuleKey, Known>,
    /// Requests without an answer, by id.
    asked: HashMap<u64, RuleKey>,
    next_id: u64,
    /// Acknowledged sets.
    pub sets: u64,
    /// Acknowledged removes.
    pub removes: u64,
}

impl Desk {
    /// Connects, lists all rules, and compares them with what was acknowledged.
    pub fn check(&mut self, rules: SocketAddr, reading: &Reading) -> Result<(), Fault> {
        for (_, key) in self.asked.drain() {
            self.known.entry(key).or_default().is_unsure = true;
        }
        let ended_before = reading.ended();
        let mut client = Client::connect(rules, &Login::new("demo", "secret")?)?;
        let listed = list(&mut client)?;
        self.client = Some(client);
        let mut gone = vec![];
        for (key, known) in &mut self.known {
            let found = listed.get(key).copied();
            let fault = |what: &str| -> Result<(), Fault> {
                Err(format!("{key:?}: {what}; acknowledged {:?}, listed {found:?}", known.version).into())
            };
            match (known.version, found) {
                (_, Some(version)) if ended_before.contains(&(key.symbol.0, version)) => {
                    fault("its end was told before it was listed")?;
                }
                (Some(acknowledged), Some(found)) if found < acknowledged => fault("a set is lost")?,
                (acknowledged, found @ Some(_)) if acknowledged != found && !known.is_unsure => {
                    fault("nobody asked for this version")?;
                }
                // It has fired: then the stream tells it. An unsure one may have been removed.
                (Some(version), None) if !known.is_unsure => gone.push((key.symbol.0, version)),
                _ => (),
            }
            *known = Known { version: found, is_unsure: false };
        }
        match listed.keys().find(|key| !self.known.contains_key(key)) {
            Some(key) => Err(format!("{key:?} is listed, and was never asked for").into()),
            None => wait_for_ends(reading, &gone),
        }
    }

    /// Sets and removes at random until the connection breaks.
    pub fn work(&mut self, random: &mut Random) -> Result<(), Fault> {
        let mut client = self.client.take().ok_or("no connection")?;
        loop {
            while self.asked.len() < PIPELINED_MAX {
                let (id, key) = (self.next_id, key_of(random));
                let ask = if random.below(4) == 0 { Ask::Remove(key, id) } else { Ask::Set(key, spec_of(random, id)) };
                (self.next_id, _) = (id + 1, self.asked.insert(id, key));
                if client.writer.send_unsequenced(Request { id, ask }.encode().bytes()).is_err() {
                    return Ok(());
                }
            }
            match client.receive() {
                Ok(Event::Sequenced(_, message)) => {
                    let answer = Answer::read(message).ok_or("an answer that cannot be read")?;
                    self.answered(&answer)?;
                }
                Err(ClientError::Closed | ClientError::Io(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(_) => (),
            }
        }
    }

    fn answered(&mut self, answer: &Answer) -> Result<(), Fault> {
        let key = self.asked.remove(&answer.id).ok_or("an answer to nothing")?;
        let known = self.known.entry(key).or_default();
        match answer.body {
            Body::SetDone { version, state, .. } => {
                self.sets += 1;
                known.version = (state != RuleState::Fired).then_some(version);
            }
            Body::RemoveDone { .. } => {
                self.removes += 1;
                known.version = None;
            }
            Body::Refused { code: Code::UnknownKey, .. } => known.version = None,
            // Right after a start the log's next segment may not be there yet: nothing was done.
            Body::Refused { code: Code::LogFull, .. } => (),
            ref other => return Err(format!("{key:?}: {other:?}").into()),
        }
        Ok(())
    }
}

/// All rules of the account: their versions by key.
fn list(client: &mut Client) -> Result<HashMap<RuleKey, u64>, Fault> {
    let (mut listed, mut cursor) = (HashMap::new(), 0);
    loop {
        let ask = Ask::List { user: None, limit: LIST_MAX, cursor };
        client.writer.send_unsequenced(Request { id: u64::MAX, ask }.encode().bytes())?;
        cursor = loop {
            let Event::Sequenced(_, message) = client.receive()? else { continue };
            match Answer::read(message).ok_or("an answer that cannot be read")?.body {
                Body::Rule(rule) => _ = listed.insert(RuleKey { account: 0, ..rule.key }, rule.version),
                Body::ListDone { cursor, .. } => break cursor,
                other => return Err(format!("a list was answered with {other:?}").into()),
            }
        };
        if cursor == 0 {
            return Ok(listed);
        }
    }
}

fn wait_for_ends(reading: &Reading, gone: &[Version]) -> Result<(), Fault> {
    let start = Instant::now();
    loop {
        let ended = reading.ended();
        match gone.iter().find(|version| !ended.contains(version)) {
            None => return Ok(()),
            Some(version) if start.elapsed() > END_WAIT_MAX => {
                let symbol = hairtrigger::model::Symbol(version.0);
                return Err(format!("{symbol} version {} is lost: not listed, and no end was told", version.1).into());
            }
            Some(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn key_of(random: &mut Random) -> RuleKey {
    RuleKey {
        user: random.below(USERS),
        symbol: name_of(random.below(SYMBOLS)),
        slot: random.below(3) as u32,
        account: 0,
    }
}

/// A rule that fires once, at a price that the market may reach within some lives.
fn spec_of(random: &mut Random, tag: u64) -> RuleSpec {
    let away = random.below(PRICE as u64) as i64 - PRICE / 2;
    let comparison = if random.below(2) == 0 { Comparison::Below } else { Comparison::Above };
    let threshold = Price((PRICE + away) * 100_000);
    RuleSpec { tag, ..RuleSpec::new(Signal::Last, comparison, threshold) }
}
