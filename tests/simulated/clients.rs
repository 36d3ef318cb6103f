//! The engine's clients: a desk that asks, and readers of the alert streams.

use std::collections::VecDeque;

use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::model::Listed;

use super::doorway::Doorway;
use super::link::{Link, Said};
use super::log::{self, AlertLog};
use super::{ACCOUNTS, PASSWORD};
use crate::naive::generate::Random;

/// Requests of a desk on their way at once.
const IN_FLIGHT_MAX: usize = 12;
/// Request ids from here on are those of lists.
const LISTS: u64 = 1 << 40;

/// One login of the rule port.
pub struct Desk {
    pub account: usize,
    pub link: Link,
    /// What it is still to ask.
    pub queue: VecDeque<(u64, Ask)>,
    /// Asked and not answered, with the connection on which it went.
    pub open: Vec<(u64, u64)>,
    /// The rules that the last list showed, once it is whole.
    pub listed: Vec<Listed>,
    lists: u64,
    pub is_listing: bool,
}

impl Desk {
    pub fn new(user: &str, account: usize) -> Desk {
        Desk {
            account,
            link: Link::new(user, PASSWORD),
            queue: VecDeque::new(),
            open: vec![],
            listed: vec![],
            lists: LISTS,
            is_listing: false,
        }
    }

    /// The engine is no more: what was on its way is lost or not.
    pub fn forget(&mut self) {
        self.link.cut();
        self.open.clear();
        self.is_listing = false;
    }

    /// Asks for all rules of the account.
    pub fn list(&mut self) {
        self.listed.clear();
        self.is_listing = true;
        self.send_list(0);
    }

    fn send_list(&mut self, cursor: u64) {
        self.lists += 1;
        self.link.send(Request { id: self.lists, ask: Ask::List { user: None, limit: 7, cursor } }.encode().bytes());
    }

    /// A step; `asks`: it may ask what it has in its queue. Returns what it asked, and what was answered.
    pub fn step(&mut self, random: &mut Random, to: &Doorway, now: u64, asks: bool) -> (Option<u64>, Vec<Answer>) {
        let mut said = vec![];
        self.link.step(random, to, now, &mut said);
        let mut asked = None;
        if asks
            && self.link.is_logged_in()
            && self.in_flight() < IN_FLIGHT_MAX
            && let Some((id, ask)) = self.queue.pop_front()
        {
            self.link.send(Request { id, ask }.encode().bytes());
            self.open.push((id, self.link.connections));
            asked = Some(id);
        }
        let answers = said.into_iter().filter_map(|said| match said {
            Said::Message(_, _, message) => Answer::read(&message),
            Said::End | Said::Refused => None,
        });
        let mut of_sets = vec![];
        for answer in answers.collect::<Vec<_>>() {
            if answer.id < LISTS {
                let at = self.open.iter().position(|(id, _)| *id == answer.id);
                self.open.remove(at.unwrap_or_else(|| panic!("an answer that nobody waits for: {answer:?}")));
                of_sets.push(answer);
                continue;
            }
            assert!(answer.id <= self.lists, "nobody asked for this list");
            if answer.id < self.lists {
                // Of a list that was begun anew when its connection broke.
                continue;
            }
            match answer.body {
                Body::Rule(rule) => self.listed.push(rule),
                Body::ListDone { cursor: 0, .. } => self.is_listing = false,
                Body::ListDone { cursor, .. } => self.send_list(cursor),
                other => panic!("no answer to a list: {other:?}"),
            }
        }
        (asked, of_sets)
    }

    /// What was sent on this connection and is not answered. What was on its way when one broke may never have come.
    fn in_flight(&self) -> usize {
        self.open.iter().filter(|(_, sent_on)| *sent_on == self.link.connections).count()
    }

    /// Nothing is under way.
    pub fn is_calm(&self) -> bool {
        self.link.is_logged_in() && self.link.is_flushed() && self.in_flight() == 0
    }
}

/// Session, number, bytes.
pub type Told = ([u8; 10], u64, Vec<u8>);

/// A login of the alert port.
pub struct Reader {
    pub account: usize,
    pub link: Link,
    /// All that it was told.
    pub told: Vec<Told>,
    /// A power cut has taken some of it.
    has_lost: bool,
}

impl Reader {
    pub fn new(account: usize) -> Reader {
        Reader { account, link: Link::new(ACCOUNTS[account], PASSWORD), told: vec![], has_lost: false }
    }

    /// A power cut has left only this of the log.
    pub fn forget_lost(&mut self, log: &AlertLog) {
        let stream = log::stream_of(self.account);
        let before = self.told.len();
        self.told.retain(|(session, number, _)| {
            let kept = log.sessions.get(session).and_then(|streams| streams.get(&stream));
            *number <= kept.map_or(0, Vec::len) as u64
        });
        let is_gone = self.link.position().0.is_some_and(|session| !log.sessions.contains_key(&session));
        self.has_lost |= is_gone || self.told.len() < before;
    }

    /// A step. Returns what it was told in it.
    pub fn step(&mut self, random: &mut Random, to: &Doorway, now: u64) -> &[Told] {
        let before = self.told.len();
        let mut said = vec![];
        self.link.step(random, to, now, &mut said);
        for said in said {
            match said {
                Said::Message(session, number, message) => self.told.push((session, number, message)),
                // An engine that is back has all that it told: its session goes on, or is said to be over and read to its end.
                Said::Refused => assert!(self.has_lost, "{} is refused its place", ACCOUNTS[self.account]),
                Said::End => (),
            }
        }
        &self.told[before..]
    }
}
