//! Walks: list an account's rules, or remove all of a user, in slices over the table of rules.
//!
//! There is no index by user: it would cost every rule memory, for commands that are rare. A walk looks at
//! [`WALK_PER_CYCLE`] places a step; a rule lives at one place all its life, so one that is there all the time is met
//! exactly once. Rules set behind the walk's back may or may not be met; whoever sends the walk holds back its own.

use std::collections::VecDeque;

use super::shard::{Outputs, Shard};
use super::symbols::NONE;
use crate::limits::{WALK_PER_CYCLE, WALKS_MAX};
use crate::model::{Command, Listed, Outcome, Reason, RuleCommand};

/// Walks under way, in the order in which they came; the first one is worked on.
pub struct Walks {
    waiting: VecDeque<Walk>,
}

struct Walk {
    command: RuleCommand,
    place: usize,
    count: u64,
}

impl Default for Walks {
    fn default() -> Walks {
        Walks { waiting: VecDeque::with_capacity(WALKS_MAX) }
    }
}

impl Walks {
    /// True when none is under way.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Shard {
    /// Walks that can still be taken.
    pub fn walk_room(&self) -> usize {
        WALKS_MAX - self.walks.waiting.len()
    }

    pub(super) fn begin_walk(&mut self, command: &RuleCommand) {
        let place = match command.command {
            Command::List { cursor, .. } => usize::try_from(cursor).unwrap_or(usize::MAX),
            _ => 0,
        };
        self.counts.commands += 1;
        self.walks.waiting.push_back(Walk { command: *command, place, count: 0 });
    }

    /// Goes on with the first walk, [`WALK_PER_CYCLE`] places at most and within the budget.
    pub(super) fn walk(&mut self, out: &mut impl Outputs) {
        if !out.takes_walks() {
            return;
        }
        let Some(mut walk) = self.walks.waiting.pop_front() else { return };
        let end = walk.place.saturating_add(WALK_PER_CYCLE).min(self.rules.places());
        while walk.place < end && self.budget > 0 && !walk.is_full() {
            if !self.visit(&mut walk, out) {
                break;
            }
            walk.place += 1;
        }
        let ended = walk.place >= self.rules.places();
        if !ended && !walk.is_full() {
            return self.walks.waiting.push_front(walk);
        }
        let outcome = match walk.command.command {
            Command::RemoveUser { .. } => Outcome::UserRemoved { count: walk.count },
            _ => Outcome::ListEnd { cursor: (!ended).then_some(walk.place as u64) },
        };
        self.answer(walk.command.ordinal, self.moment, outcome, out);
    }

    /// Looks at one place. False: the rule there must wait until its symbol has been fired.
    fn visit(&mut self, walk: &mut Walk, out: &mut impl Outputs) -> bool {
        let Some(rule) = self.rules.at(walk.place) else { return true };
        let (account, user) = match walk.command.command {
            Command::RemoveUser { account, user } => (account, Some(user)),
            Command::List { account, user, .. } => (account, user),
            _ => return true,
        };
        let number = walk.place as u32;
        if rule.account() != account || user.is_some_and(|user| user != rule.user) {
            return true;
        }
        if self.held.has_barrier() || self.symbols.get(rule.symbol()).job != NONE {
            return false;
        }
        if self.rules.expires_at(rule) <= self.moment.feed_time {
            return true;
        }
        self.budget -= 1;
        walk.count += 1;
        if matches!(walk.command.command, Command::RemoveUser { .. }) {
            let (key, version) = (self.key_of(rule), rule.version());
            self.end(number, Reason::Removed, walk.command.ordinal, self.moment, out);
            self.answer(walk.command.ordinal, self.moment, Outcome::UserRuleRemoved { key, version }, out);
        } else {
            let listed = Listed {
                key: self.key_of(rule),
                spec: self.rules.spec(rule),
                version: rule.version(),
                fires: self.rules.fires(rule),
                state: self.state_of(number),
            };
            self.answer(walk.command.ordinal, self.moment, Outcome::Listed(listed), out);
        }
        true
    }
}

impl Walk {
    fn is_full(&self) -> bool {
        matches!(self.command.command, Command::List { limit, .. } if self.count >= u64::from(limit))
    }
}
