//! A feed session out of the archive: the rules that stood before it, and every change in it with its place in the feed. Pure.
//!
//! | a change that took effect | belongs to the day of | its place |
//! |---|---|---|
//! | in the session | the session | the feed sequence that it was acknowledged with |
//! | before the engine knew a session, and the session is the next one named | the session | before all messages, or, after a restart, behind all that the runs before had reached |
//! | before that | none: it is in what stood before | |
//! | in a later session, or before it and behind the last change of this one | none | |
//!
//! Places of one symbol never go back: an engine that was restarted and read the day from its start once more took commands at
//! places that its predecessor had long passed, and what its predecessor saw there fires nothing again.

use std::collections::HashMap;

use super::Archive;
use crate::journal::record::AccountName;
use crate::journal::recovery::{BLANK, Logged, Recovered, Recovery};
use crate::model::{AccountId, Change, Nanos, Symbol};

/// A change and where it is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// It took effect before this message of the feed and after all earlier ones of its symbol.
    pub at: u64,
    /// Its account's place in [`Day::accounts`].
    pub account: AccountId,
    /// The change.
    pub change: Change,
}

/// One session of the feed.
#[derive(Clone, Debug, Default)]
pub struct Day {
    /// Its id; spaces when the journal names none.
    pub session: [u8; 10],
    /// Accounts by number.
    pub accounts: Vec<String>,
    /// What stood before its first change.
    pub before: Recovered,
    /// What changed in it, by its place.
    pub changes: Vec<Placed>,
    /// Some feed time of it, in UTC, where one is known.
    pub feed_time: Option<Nanos>,
    /// All sessions that the journal names, in their order.
    pub sessions: Vec<[u8; 10]>,
}

impl Day {
    /// True when the journal is kept only from a place within this session on: what was told before that is not given again.
    pub fn is_cut(&self) -> bool {
        self.before.symbols.iter().any(|past| past.feed_session == self.session && past.feed_session != BLANK)
    }
}

/// A session's id as text.
pub fn session_name(id: &[u8; 10]) -> String {
    String::from_utf8_lossy(id).trim_end().to_string()
}

/// Gives accounts their numbers, in the order in which they occur.
#[derive(Default)]
struct Accounts {
    names: Vec<String>,
    numbers: HashMap<AccountName, AccountId>,
}

impl Accounts {
    fn number(&mut self, name: &AccountName) -> AccountId {
        *self.numbers.entry(*name).or_insert_with(|| {
            self.names.push(String::from_utf8_lossy(name).trim_end().to_string());
            // A config has at most `limits::ACCOUNTS_MAX`; a journal that outlived more of them shares the last number.
            AccountId::try_from(self.names.len() - 1).unwrap_or(AccountId::MAX)
        })
    }

    fn recovered(&mut self, recovery: Recovery) -> Recovered {
        recovery.seal(0).gather(|name| Some(self.number(name)))
    }
}

impl Archive {
    /// The rules as they stand at its end, and the accounts' names by number.
    pub fn current(&self) -> (Vec<String>, Recovered) {
        let (mut accounts, mut recovery) = (Accounts::default(), self.base.clone());
        for (record, account, change) in &self.changes {
            accounts.number(account);
            recovery.journaled(*record, *account, change);
        }
        self.standings.iter().for_each(|(_, standing)| recovery.standing(standing));
        self.logged.iter().for_each(|logged| recovery.logged(logged));
        let recovered = accounts.recovered(recovery);
        (accounts.names, recovered)
    }

    /// The latest feed time that it knows.
    pub fn feed_time(&self) -> Option<Nanos> {
        let changes = self.changes.iter().map(|(_, _, change)| change.feed_time);
        changes.chain(self.logged.iter().map(feed_time)).max().filter(|time| *time > 0)
    }

    /// The day of a session; without one, of the last that the journal names. One that it does not name comes behind all that it
    /// does: see [`Day::sessions`].
    pub fn day(&self, session: Option<[u8; 10]>) -> Day {
        let mut sessions: Vec<[u8; 10]> = vec![];
        for (_, _, change) in &self.changes {
            let id = change.feed_session;
            if id != BLANK && !sessions.contains(&id) {
                sessions.push(id);
            }
        }
        let session = session.or(sessions.last().copied()).unwrap_or(BLANK);
        let (start, end) = self.bounds(session);
        let (mut accounts, mut recovery) = (Accounts::default(), self.base.clone());
        for (record, account, change) in &self.changes[..start] {
            accounts.number(account);
            recovery.journaled(*record, *account, change);
        }
        let later: Vec<[u8; 10]> = sessions.iter().skip_while(|id| **id != session).copied().collect();
        let first = self.changes.get(start).map_or(u64::MAX, |(_, _, change)| change.ordinal);
        let first_record = self.changes.get(start).map_or(u64::MAX, |(record, ..)| *record);
        let is_before = |id: [u8; 10]| id != session && !later.contains(&id);
        let standings =
            self.standings.iter().filter(|(record, told)| *record < first_record && is_before(told.feed_session));
        standings.for_each(|(_, standing)| recovery.standing(standing));
        self.logged_before(session, later, first).for_each(|logged| recovery.logged(logged));
        let before = accounts.recovered(recovery);
        let of_day = &self.changes[start..end];
        let changes = place(of_day.iter().map(|(_, account, change)| (accounts.number(account), *change)));
        let of_session = |logged: &&Logged| logged.feed_session == session;
        let times = of_day.iter().map(|(_, _, change)| change.feed_time);
        let feed_time = times.chain(self.logged.iter().filter(of_session).map(feed_time)).find(|time| *time > 0);
        Day { session, accounts: accounts.names, before, changes, feed_time, sessions }
    }

    /// The first change of a session's day, and the one behind its last.
    fn bounds(&self, session: [u8; 10]) -> (usize, usize) {
        let is_in = |change: &(u64, AccountName, Change), id: [u8; 10]| change.2.feed_session == id;
        let foreign = |change: &(u64, AccountName, Change)| !is_in(change, session) && !is_in(change, BLANK);
        let first = self.changes.iter().position(|change| is_in(change, session)).unwrap_or(self.changes.len());
        let start = self.changes[..first].iter().rposition(foreign).map_or(0, |last| last + 1);
        let last = self.changes.iter().rposition(|change| is_in(change, session)).map_or(start, |last| last + 1);
        // What follows without a session belongs to the next one, if there is one.
        let end = if self.changes[last..].iter().any(foreign) { last } else { self.changes.len() };
        (start, end)
    }

    /// What the logs tell of the time before a session: of commands before its first one, and of messages before it or a later one begins.
    fn logged_before(&self, session: [u8; 10], later: Vec<[u8; 10]>, first: u64) -> impl Iterator<Item = &Logged> {
        let is_before = move |logged: &&Logged| logged.feed_session != session && !later.contains(&logged.feed_session);
        self.logged.iter().take_while(is_before).filter(move |logged| logged.ordinal < first)
    }
}

/// A feed time that a log's message tells: an expiry may lie anywhere.
fn feed_time(logged: &Logged) -> Nanos {
    if logged.feed_sequence == 0 { 0 } else { logged.ts_event }
}

/// Gives changes of one day, in the journal's order, their places.
fn place(changes: impl Iterator<Item = (AccountId, Change)>) -> Vec<Placed> {
    let (mut reached, mut of_symbols) = (0, HashMap::<Symbol, u64>::new());
    let mut placed: Vec<Placed> = changes
        .map(|(account, change)| {
            let least = if change.feed_session == BLANK { reached } else { 0 };
            let of_symbol = of_symbols.entry(change.key.symbol).or_default();
            let at = change.feed_sequence.max(least).max(*of_symbol);
            *of_symbol = at;
            reached = reached.max(at);
            Placed { at, account, change }
        })
        .collect();
    // Stable: what took effect at one place did so in the journal's order, as far as it concerns one symbol.
    placed.sort_by_key(|placed| placed.at);
    placed
}
