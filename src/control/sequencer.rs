//! The sequencer: gives each command its ordinal, routes it by its symbol to the shard that owns it, remembers what is
//! in flight, and makes answers of outcomes. Pure: rings are closures here.
//!
//! ```text
//!  request --offer--> [ordinal, symbol.shard(n)] --> rule ring of the shard
//!                           |  table: ordinal -> login, request id
//!  answer <--applied-- [match by ordinal] <--------- applied ring of the shard
//! ```
//!
//! Ordinals count from 1 without a hole: one is taken only by a command that its ring took.
//!
//! A **walk** is a request that more than one shard answers, or one shard more than once: RemoveUser goes to all shards
//! and the counts are summed; a list goes from shard to shard until it has its limit. While a walk of a login is in
//! flight the login's later requests wait: else a set sent after a RemoveUser could reach a shard before it and be
//! removed by it. So a login has one walk at most. Other logins go on.
//!
//! A list's cursor on the wire: the shard in the top 16 bits, below them the shard's own cursor + 1. 0 is the start.
//! Commands carry no feed time: the newest that is known here comes from *some* shard, and would let another expire
//! rules before it has seen messages that were stamped earlier.

mod table;
#[cfg(test)]
mod tests;

use super::wire::{Answer, Ask, Body, Code, Field, Place, Request};
use crate::model::{AccountId, Applied, Change, ChangeKind, Command, Outcome, RuleCommand};
use table::{Entry, Table};

/// A login's number: its position among the configured logins.
pub type LoginId = u32;

/// Bits of a wire cursor that belong to the shard.
const CURSOR_BITS: u32 = 48;

/// What became of a request that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is in flight.
    Taken,
    /// Not now: its shard has no room, or the login has a walk in flight. Offer it again.
    Busy,
    /// Never: answer this.
    Refused(Code, Field),
}

/// An answer on its way to a login's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Whose request it answers.
    pub login: LoginId,
    /// The answer.
    pub answer: Answer,
    /// True for the last answer of its request.
    pub is_last: bool,
}

/// A walk in flight.
#[derive(Clone, Copy, Debug)]
struct Walk {
    id: u64,
    account: AccountId,
    ask: Ask,
    /// The next shard that gets a command.
    shard: usize,
    /// For a list: where in that shard.
    cursor: u64,
    /// Commands in the shards' hands.
    in_flight: usize,
    /// Rules listed, or removed, so far.
    count: u64,
    place: Place,
    /// True while a command is to be sent.
    sends: bool,
}

/// The sequencer of `shards` rings.
pub struct Sequencer {
    ordinal_next: u64,
    in_flight: Vec<usize>,
    in_flight_max: usize,
    table: Table,
    /// By login.
    walks: Vec<Option<Walk>>,
    /// Logins whose walk has a command to send.
    sending: Vec<LoginId>,
    /// Outcomes of no known ordinal: a fault of the engine, never of a client.
    unmatched: u64,
}

impl Sequencer {
    /// For so many shards with at most `in_flight_max` commands each in flight, and so many logins.
    pub fn new(shards: usize, in_flight_max: usize, logins: usize) -> Sequencer {
        Sequencer {
            ordinal_next: 1,
            in_flight: vec![0; shards],
            in_flight_max,
            table: Table::new(shards * in_flight_max),
            walks: vec![None; logins],
            sending: Vec::with_capacity(logins),
            unmatched: 0,
        }
    }

    /// Goes on behind this ordinal: that of the newest command of an earlier run.
    pub fn go_on(&mut self, ordinal: u64) {
        self.ordinal_next = self.ordinal_next.max(ordinal + 1);
    }

    /// Knows so many logins from now on; never fewer than before.
    pub fn know_logins(&mut self, logins: usize) {
        self.walks.resize(logins.max(self.walks.len()), None);
    }

    /// Takes a request of a login, if there is room. `send` puts a command on a shard's ring, false when that is full.
    pub fn offer(
        &mut self,
        login: LoginId,
        account: AccountId,
        request: &Request,
        send: &mut impl FnMut(usize, RuleCommand) -> bool,
    ) -> Offer {
        if self.is_walking(login) {
            return Offer::Busy;
        }
        let (shard, command) = match request.ask {
            Ask::Set(key, spec) => (key.symbol.shard(self.in_flight.len()), Command::Set(key, spec)),
            Ask::Remove(key, tag) => (key.symbol.shard(self.in_flight.len()), Command::Remove(key, tag)),
            Ask::RemoveUser { .. } => return self.start_walk(login, account, request, (0, 0), send),
            Ask::List { cursor, .. } => match self.read_cursor(cursor) {
                Some(start) => return self.start_walk(login, account, request, start, send),
                None => return Offer::Refused(Code::BadValue, Field::Cursor),
            },
        };
        if self.send(shard, Entry { login, id: request.id, command }, send) { Offer::Taken } else { Offer::Busy }
    }

    /// Sends what walks have to send. Returns how many commands went out.
    pub fn advance(&mut self, send: &mut impl FnMut(usize, RuleCommand) -> bool) -> usize {
        let (mut sent, mut index) = (0, 0);
        while let Some(&login) = self.sending.get(index) {
            sent += self.advance_walk(login, send);
            if self.walks[login as usize].is_some_and(|walk| walk.sends) {
                index += 1;
            } else {
                self.sending.swap_remove(index);
            }
        }
        sent
    }

    /// Matches an outcome of a shard to its request. `None`: there is nothing to tell the client yet.
    pub fn applied(&mut self, shard: usize, applied: &Applied) -> Option<Routed> {
        // A list's rules come under the ordinal of the list, and its end last; so do the rules that a user loses.
        let is_final = !matches!(applied.outcome, Outcome::Listed(_) | Outcome::UserRuleRemoved { .. });
        let found = if is_final { self.table.take(applied.ordinal) } else { self.table.get(applied.ordinal) };
        let Some(Entry { login, id, .. }) = found else {
            self.unmatched += 1;
            return None;
        };
        if is_final {
            self.in_flight[shard] -= 1;
        }
        let place = Place { session: applied.feed_session, sequence: applied.sequence, feed_time: applied.feed_time };
        let (body, is_last) = match applied.outcome {
            Outcome::Set { version, state, value, replaced, symbol_unknown } => {
                (Body::SetDone { place, version, state, value, replaced, symbol_unknown }, true)
            }
            Outcome::Removed { version } => (Body::RemoveDone { place, version }, true),
            Outcome::Listed(rule) => {
                self.walks[login as usize].as_mut()?.count += 1;
                (Body::Rule(rule), false)
            }
            // A refused walk command ends like one that found nothing.
            Outcome::Refused(_) if self.is_walking(login) && self.walk_is(login, id) => {
                (self.walk_step(login, place, None, 0)?, true)
            }
            Outcome::Refused(refusal) => {
                (Body::Refused { place, code: refusal.into(), field: Field::None, retry_ms: 0 }, true)
            }
            Outcome::UserRuleRemoved { .. } | Outcome::Standing { .. } | Outcome::Told { .. } => return None,
            Outcome::UserRemoved { count } => (self.walk_step(login, place, None, count)?, true),
            Outcome::ListEnd { cursor } => (self.walk_step(login, place, cursor, 0)?, true),
        };
        Some(Routed { login, answer: Answer { id, body }, is_last })
    }

    /// The change of the rules that an outcome tells, for the journal: to be asked before [`Self::applied`].
    pub fn change(&self, shard: usize, applied: &Applied) -> Option<Change> {
        let (key, version, kind) = match applied.outcome {
            Outcome::Set { version, state, .. } => match self.table.get(applied.ordinal)?.command {
                Command::Set(key, spec) => (key, version, ChangeKind::Set(spec, state)),
                _ => return None,
            },
            Outcome::Removed { version } => {
                (self.table.get(applied.ordinal)?.command.key()?, version, ChangeKind::Removed)
            }
            Outcome::UserRuleRemoved { key, version } => (key, version, ChangeKind::Removed),
            _ => return None,
        };
        Some(Change {
            ordinal: applied.ordinal,
            feed_sequence: applied.sequence,
            feed_time: applied.feed_time,
            feed_session: applied.feed_session,
            shard: shard as u16,
            key,
            version,
            kind,
        })
    }

    /// True while a walk of the login is in flight.
    pub fn is_walking(&self, login: LoginId) -> bool {
        self.walks.get(login as usize).is_some_and(Option::is_some)
    }

    /// True when every command has been answered.
    pub fn is_idle(&self) -> bool {
        self.table.is_empty() && self.sending.is_empty()
    }

    /// Commands in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.iter().sum()
    }

    /// Ordinal of the newest command, 0 before the first.
    pub fn ordinal(&self) -> u64 {
        self.ordinal_next - 1
    }

    /// Outcomes that answer no command.
    pub fn unmatched(&self) -> u64 {
        self.unmatched
    }

    fn send(&mut self, shard: usize, entry: Entry, send: &mut impl FnMut(usize, RuleCommand) -> bool) -> bool {
        let ordinal = self.ordinal_next;
        let has_room = self.in_flight[shard] < self.in_flight_max;
        if !has_room || !send(shard, RuleCommand { ordinal, feed_time: 0, command: entry.command }) {
            return false;
        }
        self.table.put(ordinal, entry);
        self.ordinal_next += 1;
        self.in_flight[shard] += 1;
        true
    }

    fn start_walk(
        &mut self,
        login: LoginId,
        account: AccountId,
        request: &Request,
        (shard, cursor): (usize, u64),
        send: &mut impl FnMut(usize, RuleCommand) -> bool,
    ) -> Offer {
        let (id, ask) = (request.id, request.ask);
        let walk = Walk { id, account, ask, shard, cursor, in_flight: 0, count: 0, place: Place::NONE, sends: true };
        self.walks[login as usize] = Some(walk);
        self.advance_walk(login, send);
        if self.walks[login as usize].is_some_and(|walk| walk.sends) {
            self.sending.push(login);
        }
        Offer::Taken
    }

    /// Sends the commands that a walk has to send, as far as rings take them.
    fn advance_walk(&mut self, login: LoginId, send: &mut impl FnMut(usize, RuleCommand) -> bool) -> usize {
        let mut sent = 0;
        let Some(mut walk) = self.walks[login as usize] else { return 0 };
        while walk.sends {
            let (account, cursor) = (walk.account, walk.cursor);
            let command = match walk.ask {
                Ask::RemoveUser { user } => Command::RemoveUser { account, user },
                Ask::List { user, limit, .. } => {
                    Command::List { account, user, cursor, limit: limit.saturating_sub(walk.count as u32) }
                }
                Ask::Set(..) | Ask::Remove(..) => break,
            };
            if !self.send(walk.shard, Entry { login, id: walk.id, command }, send) {
                break;
            }
            sent += 1;
            walk.in_flight += 1;
            let is_remove = matches!(walk.ask, Ask::RemoveUser { .. });
            walk.shard += usize::from(is_remove);
            walk.sends = is_remove && walk.shard < self.in_flight.len();
        }
        self.walks[login as usize] = Some(walk);
        sent
    }

    /// One command of a walk is answered: the walk's own answer when it was the last one.
    fn walk_step(&mut self, login: LoginId, place: Place, cursor: Option<u64>, count: u64) -> Option<Body> {
        let shards = self.in_flight.len();
        let walk = self.walks[login as usize].as_mut()?;
        walk.in_flight -= 1;
        walk.count += count;
        if (place.feed_time, place.sequence) >= (walk.place.feed_time, walk.place.sequence) {
            walk.place = place;
        }
        let body = match walk.ask {
            Ask::List { limit, .. } => {
                (walk.shard, walk.cursor) = cursor.map_or((walk.shard + 1, 0), |cursor| (walk.shard, cursor));
                if walk.shard < shards && walk.count < u64::from(limit) {
                    walk.sends = true;
                    self.sending.push(login);
                    return None;
                }
                let cursor = if walk.shard < shards { wire_cursor(walk.shard, walk.cursor) } else { 0 };
                Body::ListDone { place: walk.place, count: walk.count as u32, cursor }
            }
            _ if walk.sends || walk.in_flight > 0 => return None,
            _ => Body::UserRemoved { place: walk.place, count: walk.count },
        };
        self.walks[login as usize] = None;
        Some(body)
    }

    fn walk_is(&self, login: LoginId, id: u64) -> bool {
        self.walks[login as usize].is_some_and(|walk| walk.id == id && walk.in_flight > 0)
    }

    fn read_cursor(&self, cursor: u64) -> Option<(usize, u64)> {
        let (shard, own) = ((cursor >> CURSOR_BITS) as usize, cursor & ((1 << CURSOR_BITS) - 1));
        match own.checked_sub(1) {
            None => (shard == 0).then_some((0, 0)),
            Some(own) => (shard < self.in_flight.len()).then_some((shard, own)),
        }
    }
}

/// A shard's cursor as the wire has it.
fn wire_cursor(shard: usize, own: u64) -> u64 {
    (shard as u64) << CURSOR_BITS | (own + 1) & ((1 << CURSOR_BITS) - 1)
}
