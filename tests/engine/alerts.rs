//! The drop copy: what it was told, as the rows of an events file.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use hairtrigger::client::{Client, ClientError, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Body};
use hairtrigger::gateway::wire::{Announcement, Kind, Message, RuleMessage, STOPS};
use hairtrigger::model::{Reason, flag};
use hairtrigger::rules_csv::{Op, RulesFile};

use super::rules::place;
use super::{DEADLINE, DROP_COPY, PASSWORD, midnight};

/// All that a client was told.
#[derive(Default)]
pub struct Told {
    pub rules: Vec<RuleMessage>,
    pub announcements: Vec<Announcement>,
}

/// A client that reads on a thread of its own, until the engine stops.
pub struct Reader {
    messages: Receiver<Message>,
    /// True when the engine said that it stops.
    thread: JoinHandle<bool>,
    told: Told,
}

impl Reader {
    /// A drop copy, from the first message on.
    pub fn connect(address: SocketAddr) -> Reader {
        Reader::connect_as(DROP_COPY, address)
    }

    /// The same for the login of this name.
    pub fn connect_as(user: &str, address: SocketAddr) -> Reader {
        Reader::over(Client::connect(address, &Login::new(user, PASSWORD).expect("a login")).expect("the alert port"))
    }

    /// The same for a client that is logged in.
    pub fn over(mut client: Client) -> Reader {
        let (sender, messages) = channel();
        let thread = std::thread::spawn(move || {
            let mut stops = false;
            loop {
                match client.receive() {
                    Ok(Event::Sequenced(_, message)) => {
                        let message = Message::read(message).expect("a message of the alert stream");
                        if sender.send(message).is_err() {
                            return false;
                        }
                    }
                    Ok(Event::Debug(text)) => stops = text == STOPS.as_bytes(),
                    Err(ClientError::Closed) if stops => return true,
                    Ok(_) => (),
                    Err(error) => panic!("the alert stream broke off: {error}"),
                }
            }
        });
        Reader { messages, thread, told: Told::default() }
    }

    /// Waits until so many messages about rules have come; gives up at the deadline, so that the rows can be compared.
    pub fn wait_for(&mut self, rules: usize) {
        let start = Instant::now();
        while self.told.rules.len() < rules {
            let left = DEADLINE.saturating_sub(start.elapsed());
            let Ok(message) = self.messages.recv_timeout(left) else { return };
            self.told.add(message);
        }
    }

    /// All there was, once the engine has stopped.
    pub fn finish(mut self) -> Told {
        self.messages.iter().for_each(|message| self.told.add(message));
        assert!(self.thread.join().expect("the reader does not panic"), "the engine did not say that it stops");
        self.told
    }
}

impl Told {
    fn add(&mut self, message: Message) {
        match message {
            Message::Rule(message) => self.rules.push(message),
            Message::Announcement(announcement) => self.announcements.push(announcement),
        }
    }

    /// The announced gaps, first to one beyond the last.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let gaps = self.announcements.iter().filter(|it| it.kind == Kind::Gap);
        gaps.map(|gap| (gap.sequence, gap.end)).collect()
    }
}

/// What commands of a test are ordered by: their `at`, and what feed time was then.
pub struct Commands<'a> {
    pub file: &'a RulesFile,
    pub answers: &'a [Answer],
    pub at: &'a [u64],
    /// Since midnight, by row.
    pub feed_time: &'a [u64],
}

/// The rows of `replay` without their header: all that was told, and what was refused, in the order of the contract.
pub fn rows(told: &[RuleMessage], commands: &Commands<'_>) -> Vec<String> {
    let is_expired = |it: &&RuleMessage| it.kind == Kind::Ended && it.reason == Reason::Expired;
    let (mut expired, told): (Vec<_>, Vec<_>) = told.iter().partition(is_expired);
    let mut rows: Vec<((u64, u64), String)> = told.into_iter().map(|it| commands.told(it)).collect();
    rows.extend(commands.answers.iter().filter_map(|answer| commands.refused(answer)));
    rows.sort_by_key(|(order, _)| *order);
    expired.sort_by_key(|it| (it.ts_event, account(it), it.user, it.symbol, it.slot, it.version));
    let expired = expired.into_iter().map(|it| row(it, 0, it.ts_event - midnight()));
    rows.into_iter().map(|(_, row)| row).chain(expired).collect()
}

/// The same of a log alone: what was refused is not in it, and places are those that the engine told. Times are since `midnight`.
pub fn log_rows(told: &[RuleMessage], midnight: u64) -> Vec<String> {
    let is_expired = |it: &&RuleMessage| it.kind == Kind::Ended && it.reason == Reason::Expired;
    let (mut expired, mut told): (Vec<_>, Vec<_>) = told.iter().partition(is_expired);
    let order = |it: &&RuleMessage| (it.sequence, if it.ordinal == 0 { u64::MAX } else { it.ordinal });
    told.sort_by_key(order);
    expired.sort_by_key(|it| (it.ts_event, account(it), it.user, it.symbol, it.slot, it.version));
    let told = told.into_iter().map(|it| row(it, it.sequence, it.ts_event.saturating_sub(midnight)));
    told.chain(expired.into_iter().map(|it| row(it, 0, it.ts_event.saturating_sub(midnight)))).collect()
}

impl Commands<'_> {
    fn told(&self, it: &RuleMessage) -> ((u64, u64), String) {
        let Some(index) = it.ordinal.checked_sub(1).map(|index| index as usize) else {
            return ((it.sequence, u64::MAX), row(it, it.sequence, it.ts_event - midnight()));
        };
        let place = place(&self.answers[index]);
        assert_eq!((it.sequence, it.ts_event), (place.sequence, place.feed_time), "the answer and the stream: {it:?}");
        ((self.at[index], it.ordinal), row(it, self.at[index], self.feed_time[index]))
    }

    fn refused(&self, answer: &Answer) -> Option<((u64, u64), String)> {
        let Body::Refused { code, .. } = answer.body else { return None };
        let index = answer.id as usize - 1;
        let (row, at, feed_time) = (&self.file.rows[index], self.at[index], self.feed_time[index]);
        let account = &self.file.accounts[usize::from(row.account)];
        let key = format!("{account},{},{},{}", row.user, row.symbol, row.slot);
        let rest = match row.op {
            Op::Set(spec) => {
                format!("{},{},{},{},", spec.tag, spec.signal.name(), spec.comparison.name(), spec.threshold)
            }
            Op::Remove { tag } => format!("{tag},,,,"),
        };
        Some(((at, answer.id), format!("{at},{feed_time},rejected,{code},0,{key},0,{rest}")))
    }
}

/// Whose rule it is about.
pub fn account(it: &RuleMessage) -> String {
    String::from_utf8_lossy(it.account.trim_ascii()).into_owned()
}

fn row(it: &RuleMessage, sequence: u64, ts_event: u64) -> String {
    let (event, reason) = match it.kind {
        Kind::Alert => ("alert", it.reason.name()),
        Kind::Ended => ("ended", it.reason.name()),
        Kind::Busted => ("busted", "broken_trade"),
        other => panic!("{other:?} is in nobody's stream"),
    };
    let last = u8::from(it.flags & flag::LAST != 0);
    let price = if it.kind == Kind::Ended { String::new() } else { it.price.to_string() };
    let key = format!("{},{},{},{},{}", account(it), it.user, it.symbol, it.slot, it.version);
    let (signal, when) = (it.signal.name(), it.comparison.name());
    format!("{sequence},{ts_event},{event},{reason},{last},{key},{},{signal},{when},{},{price}", it.tag, it.threshold)
}

/// Where two lists of rows differ first, with what stands around it; empty when they do not.
pub fn difference(expected: &[String], told: &[String]) -> String {
    let first = expected.iter().zip(told).position(|(a, b)| a != b).unwrap_or(expected.len().min(told.len()));
    if first == expected.len() && first == told.len() {
        return String::new();
    }
    let mut out = format!("row {first} of {} expected and {} told:\n", expected.len(), told.len());
    for (name, rows) in [("expected", expected), ("told", told)] {
        for row in rows.iter().skip(first.saturating_sub(2)).take(5) {
            out += &format!("  {name:8} {row}\n");
        }
    }
    out
}
