//! A shard: the world of some symbols. Orders, books, last prices, rules; events and commands in, alerts and outcomes out.
//!
//! Pure: it knows no ring, thread or clock, and `replay` drives it as the engine does. The contract is `replay`'s:
//!
//! ```text
//!  event --> feed time --> expiries --> orders, book --> last, bid, ask, mid --> triggers --> firing --> alerts
//!                                                                                   ^
//!  command -----------------> rules, ladders ---------------------------------------'
//! ```
//!
//! - One message: the book is updated first, then the signals are evaluated in the order `last`, `bid`, `ask`, `mid`.
//! - The work of one step is bounded by a budget of ladder entries. What exceeds it becomes a job ([`super::held`]): the
//!   symbol's later events and commands wait, other symbols go on.
//! - A rule past its expiry neither fires nor holds its key, whether or not the sweep that tells its end has come to it.
//!
//! Its parts: this file takes events in; `market` applies them; `books` builds the books that rules ask for; `commands` sets
//! and removes; `firing` works off what a value reached; `walk` lists and removes all of a user; `standings` tells where
//! symbols stand.

use super::book::Levels;
use super::books::Builds;
use super::held::{Held, Moment, Work};
use super::ladder::{Ladder, Pool};
use super::orders::Orders;
use super::rules::{AccountBounds, RuleLimits, Rules};
use super::standings::Standings;
use super::symbols::{LADDERS, NONE, Symbols};
use super::walk::Walks;
use crate::limits::{BOOK_PLACES_PER_CYCLE, HELD_MAX, LOCATES, STORM_SLICE};
use crate::model::{Action, Alert, AlertKind, Applied, Command, MarketEvent, Nanos, RuleCommand, event_flag};
use crate::sys::clock::Stamp;
use crate::sys::memory::{prefetch, prefetch_all};

/// Where a shard's words go.
pub trait Outputs {
    /// Tells the alert side.
    fn alert(&mut self, alert: &Alert);
    /// Answers a command.
    fn applied(&mut self, applied: &Applied);
    /// False while outcomes wait to be taken: then no walk makes more of them.
    fn takes_walks(&self) -> bool {
        true
    }
    /// UTC now, asked only when something fires; 0 offline.
    fn now(&self) -> Nanos;
}

crate::counts! {
    /// What a shard counted.
    pub struct ShardCounts {
        /// Market events taken.
        events,
        /// Messages that gave a `last`.
        prints,
        /// Messages about an order that is not there.
        unknown_orders,
        /// Orders that found no room: the book is suspect from then on.
        orders_refused,
        /// Symbols of the feed that found no room.
        symbols_refused,
        /// Orders alive.
        orders_live,
        /// Books built from the orders.
        books_built,
        /// Rules alive.
        rules_live,
        /// Commands carried out or refused.
        commands,
        /// Alerts fired.
        alerts,
        /// Messages whose firing took more than one step.
        storms,
        /// Work waiting behind storms and for books, at most.
        held_high_water,
    }
}

/// What a shard can hold.
#[derive(Clone, Debug)]
pub struct ShardLimits {
    /// Of rules.
    pub rules: RuleLimits,
    /// Symbols that rules may name beyond those of the feed.
    pub symbols_max: usize,
    /// Living orders.
    pub orders_max: usize,
    /// Price levels of all books.
    pub levels_max: usize,
}

impl ShardLimits {
    /// Offline: begins small, grows as needed, refuses nothing.
    pub fn growing() -> ShardLimits {
        let rules = RuleLimits { rules_max: 1 << 12, account_rules_max: vec![], policies_max: 64, fixed: false };
        ShardLimits { rules, symbols_max: super::rules::SYMBOLS_MAX, orders_max: 1 << 10, levels_max: usize::MAX >> 8 }
    }
}

/// One shard.
pub struct Shard {
    pub(super) symbols: Symbols,
    pub(super) orders: Orders,
    pub(super) levels: Levels,
    pub(super) pool: Pool<u32>,
    pub(super) rules: Rules,
    /// Rules by expiry, the next to expire at the hot end.
    pub(super) expiries: Ladder,
    pub(super) next_expiry: Nanos,
    /// See [`Shard::follow_journal`].
    pub(super) follows_journal: bool,
    pub(super) held: Held,
    pub(super) walks: Walks,
    pub(super) standings: Standings,
    pub(super) builds: Builds,
    /// Symbols that have a book.
    pub(super) books_kept: usize,
    /// The shard as it is now.
    pub(super) moment: Moment,
    pub(super) session: [u8; 10],
    /// Ladder entries that may still be worked off in this step.
    pub(super) budget: usize,
    /// Places of the order table at which may still be looked for books in this step.
    pub(super) places_left: usize,
    /// Those of every step.
    pub(super) places_per_step: usize,
    pub(super) counts: ShardCounts,
    /// `ts_match` of what is being fired.
    pub(super) stamp: Stamp,
}

impl Shard {
    /// An empty shard.
    pub fn new(limits: ShardLimits) -> Shard {
        let fixed = limits.rules.fixed;
        let symbols = Symbols::new(limits.symbols_max, fixed);
        let symbols_max = if fixed { limits.symbols_max + LOCATES } else { 0 };
        // Every rule has one entry in a threshold ladder, and one by its expiry if it has one.
        let (entries, ladders) = match fixed {
            true => (2 * limits.rules.rules_max, limits.rules.rules_max.min(LADDERS * symbols_max)),
            false => (usize::MAX >> 8, 0),
        };
        Shard {
            symbols,
            orders: Orders::new(limits.orders_max, !fixed),
            levels: Levels::new(limits.levels_max, 2 * symbols_max.min(limits.levels_max), fixed),
            pool: Pool::new(entries, ladders, fixed),
            rules: Rules::new(limits.rules),
            expiries: Ladder::default(),
            next_expiry: Nanos::MAX,
            follows_journal: false,
            held: Held::new(HELD_MAX, symbols_max, fixed),
            walks: Walks::default(),
            standings: Standings::new(symbols_max),
            builds: Builds::new(symbols_max),
            books_kept: 0,
            moment: Moment { feed_time: 0, sequence: 0, epoch: 0, book_suspect: false },
            session: [b' '; 10],
            budget: usize::MAX,
            places_left: usize::MAX,
            places_per_step: BOOK_PLACES_PER_CYCLE,
            counts: ShardCounts::default(),
            stamp: Stamp::default(),
        }
    }

    /// How many rules each account may have, for whoever changes it.
    pub fn account_bounds(&self) -> AccountBounds {
        self.rules.bounds()
    }

    /// What was counted so far.
    pub fn counts(&self) -> ShardCounts {
        ShardCounts { orders_live: self.orders.count() as u64, rules_live: self.rules.count() as u64, ..self.counts }
    }

    /// Events and commands that can be taken now: each may have to wait behind a storm.
    pub fn room(&self) -> usize {
        self.held.room()
    }

    /// Ladder entries that may still be worked off in this step.
    #[inline]
    pub fn firings_left(&self) -> usize {
        self.budget
    }

    /// True when nothing waits: no symbol is being fired, no book built, no walk is under way.
    pub fn is_idle(&self) -> bool {
        self.held.is_idle() && !self.held.has_barrier() && self.walks.is_empty()
    }

    /// Begins a step in which at most `budget` ladder entries are worked off, and goes on with what waits: a slice of it. The
    /// rest of the budget, about half or more, is kept for the events of this step: a storm delays no other symbol's rules.
    /// Returns the work done.
    pub fn step(&mut self, budget: usize, out: &mut impl Outputs) -> usize {
        let slice = budget.div_ceil(2).min(STORM_SLICE);
        self.budget = slice;
        self.places_left = self.places_per_step;
        let is_building = !self.builds.is_empty();
        self.sweep(out);
        self.build_books();
        self.resume(out);
        self.walk(out);
        let work = slice - self.budget;
        self.budget += budget - slice;
        work + usize::from(is_building)
    }

    /// Takes an event. [`Self::room`] is not 0.
    #[inline(always)]
    pub fn event(&mut self, event: &MarketEvent, out: &mut impl Outputs) {
        if event.action == Action::Trade && self.is_quiet(event) {
            return;
        }
        self.counts.events += 1;
        self.note(event);
        if event.ts_event > self.moment.feed_time {
            self.advance(event.ts_event, out);
        }
        if self.held.has_barrier() {
            return self.held.wait_for_all(Work::Event(*event), self.moment);
        }
        let symbol = self.symbols.by_locate(event.locate);
        if symbol == NONE || !is_about_a_symbol(event.action) {
            return self.general(event, self.moment, out);
        }
        match self.symbols.get(symbol).job {
            NONE => self.apply(symbol, event, self.moment, out),
            job => self.wait(job, Work::Event(*event)),
        }
    }

    /// True for a print that fires nothing, ends no gap and lets nothing expire, while nothing waits that it would have to wait
    /// behind; it is noted then. The rest of [`Self::event`] would do the same with four times the instructions.
    #[inline(always)]
    fn is_quiet(&mut self, event: &MarketEvent) -> bool {
        let Some(state) = self.symbols.at_locate_mut(event.locate) else { return false };
        let quiet = !state.is_triggered(0, event.price)
            && state.is_calm(self.moment.epoch)
            && event.ts_event < self.next_expiry
            && !self.held.has_barrier();
        if quiet {
            state.note_last(event.price);
            self.moment.sequence = self.moment.sequence.max(event.sequence);
            self.moment.feed_time = self.moment.feed_time.max(event.ts_event);
            self.counts.events += 1;
            self.counts.prints += 1;
        }
        quiet
    }

    /// Has fetched what an event that comes soon will begin with: its order's place and its symbol's first line.
    #[inline]
    pub(super) fn prefetch(&self, event: &MarketEvent) {
        if changes_book(event.action) {
            self.orders.prefetch(event.locate, event.order_ref);
            if event.action == Action::Replace {
                self.orders.prefetch(event.locate, event.second_ref);
            }
        }
        let symbol = self.symbols.by_locate(event.locate);
        if symbol != NONE {
            prefetch(self.symbols.get(symbol));
        }
    }

    /// True while some symbol has a book.
    #[inline]
    pub(super) fn keeps_books(&self) -> bool {
        self.books_kept > 0
    }

    /// Has fetched what it goes on with, when [`Self::prefetch`] has had its effect: the side of the book; with `levels`,
    /// when that too is there, the best levels of it.
    #[inline]
    pub(super) fn prefetch_book(&self, event: &MarketEvent, levels: bool) {
        let symbol = self.symbols.by_locate(event.locate);
        if symbol == NONE || !changes_book(event.action) || !self.symbols.get(symbol).has_book {
            return;
        }
        let side = match event.action {
            Action::Add => Some(event.side),
            _ => self.orders.peek_side(event.locate, event.order_ref),
        };
        if let Some(side) = side {
            self.symbols.get(symbol).book.prefetch(&self.levels, side, levels);
        }
    }

    /// True for a print with a price of its own that reaches some rule on `last`, as things stand. Has the rest of its symbol fetched,
    /// of which [`Self::prefetch`] has fetched the first line.
    #[inline]
    pub(super) fn prefetch_fired(&self, event: &MarketEvent) -> bool {
        if !matches!(event.action, Action::Trade | Action::Cross | Action::ExecuteAtPrice) {
            return false;
        }
        let state = self.symbols.at_locate(event.locate).filter(|state| state.is_triggered(0, event.price));
        state.inspect(|state| prefetch_all(*state)).is_some()
    }

    /// Takes a command. [`Self::room`] is not 0, nor [`Self::walk_room`] if it is a walk.
    pub fn command(&mut self, command: &RuleCommand, out: &mut impl Outputs) {
        if self.follows_journal {
            return self.carry_out(command, Moment { feed_time: command.feed_time, ..self.moment }, out);
        }
        if command.feed_time > self.moment.feed_time {
            self.advance(command.feed_time, out);
        }
        if let Command::Tell { cursor, all } = command.command {
            return self.tell(cursor, all, out);
        }
        let Some(key) = command.command.key() else { return self.begin_walk(command) };
        if self.held.has_barrier() {
            return self.held.wait_for_all(Work::Command(*command), self.moment);
        }
        let job = self.symbols.find(key.symbol).map_or(NONE, |symbol| self.symbols.get(symbol).job);
        match job {
            NONE => self.carry_out(command, self.moment, out),
            job => self.wait(job, Work::Command(*command)),
        }
    }

    #[cold]
    fn wait(&mut self, job: u32, work: Work) {
        self.held.wait(job, work, self.moment);
        self.counts.held_high_water = self.counts.held_high_water.max((HELD_MAX - self.held.room()) as u64);
    }

    #[inline]
    fn advance(&mut self, feed_time: Nanos, out: &mut impl Outputs) {
        self.moment.feed_time = feed_time;
        if feed_time >= self.next_expiry {
            self.sweep(out);
        }
    }

    /// Notes what an event changes for all that comes after it, though it may itself have to wait.
    #[inline]
    fn note(&mut self, event: &MarketEvent) {
        use Action::{EndOfSession, Gap, Resumed, Session, Silent};
        if !matches!(event.action, Session | Gap | EndOfSession | Silent | Resumed) {
            self.moment.sequence = self.moment.sequence.max(event.sequence);
        } else {
            self.note_rare(event);
        }
    }

    #[cold]
    fn note_rare(&mut self, event: &MarketEvent) {
        match event.action {
            Action::Session => {
                self.moment.sequence = event.sequence.saturating_sub(1);
                // Who joins in the middle has missed orders.
                self.moment.book_suspect = event.sequence > 1;
            }
            Action::Gap => {
                self.moment.sequence = self.moment.sequence.max(event.second_ref.saturating_sub(1));
                self.moment.epoch += 1;
                self.moment.book_suspect = true;
            }
            // Its number is the next one, which no message has had.
            _ => self.moment.sequence = self.moment.sequence.max(event.sequence.saturating_sub(1)),
        }
    }

    /// What concerns no symbol, or one that the shard does not know.
    #[cold]
    fn general(&mut self, event: &MarketEvent, moment: Moment, out: &mut impl Outputs) {
        match event.action {
            Action::Define if !self.symbols.define(event.locate, event.symbol()) => self.counts.symbols_refused += 1,
            Action::Session if !self.held.is_idle() => self.held.wait_for_all(Work::Event(*event), moment),
            Action::Session => self.begin_session(event, moment, out),
            Action::Gap => self.announce(event, moment, AlertKind::Gap, out),
            Action::Silent => self.announce(event, moment, AlertKind::Silent, out),
            Action::Resumed => self.announce(event, moment, AlertKind::Resumed, out),
            Action::EndOfSession => self.announce(event, moment, AlertKind::EndOfSession, out),
            _ => (),
        }
    }

    /// Tells the alert side, by the one shard whose copy says so. A session is told by every shard: the alert log follows it
    /// ring by ring, since match numbers count in it.
    fn announce(&self, event: &MarketEvent, moment: Moment, kind: AlertKind, out: &mut impl Outputs) {
        if event.flags & event_flag::ANNOUNCE != 0 || kind == AlertKind::Session {
            out.alert(&Alert {
                sequence: event.sequence,
                tag: event.order_ref,
                match_number: event.second_ref,
                ts_event: moment.feed_time,
                ts_recv: event.ts_recv,
                ..Alert::new(kind)
            });
        }
    }

    fn begin_session(&mut self, event: &MarketEvent, moment: Moment, out: &mut impl Outputs) {
        self.session = event.session();
        self.books_kept = self.symbols.begin_session(self.session, event.sequence);
        self.standings.begin_session();
        self.orders.clear();
        self.levels.clear();
        self.announce(event, moment, AlertKind::Session, out);
    }

    /// Goes on with jobs that are not aside, and with the work that waited behind those that end.
    fn resume(&mut self, out: &mut impl Outputs) {
        while self.budget > 0 {
            let Some((job, symbol)) = self.held.current() else { break };
            if let Some(mut firing) = self.held.take_firing(job)
                && !self.work_off(symbol, &mut firing, out)
            {
                self.held.put_firing(job, firing);
                return self.held.rotate();
            }
            self.budget = self.budget.saturating_sub(1);
            match self.held.next(job) {
                Some((Work::Event(event), moment)) => self.apply(symbol, &event, moment, out),
                Some((Work::Command(command), moment)) => self.carry_out(&command, moment, out),
                None => {
                    self.symbols.get_mut(symbol).job = NONE;
                    self.held.end();
                }
            }
        }
        while self.budget > 0 && self.held.is_idle() {
            let Some((work, moment)) = self.held.next_for_all() else { break };
            self.budget -= 1;
            self.resume_general(work, moment, out);
        }
    }

    /// Takes up work that waited behind all jobs. It may make a job again: then the rest goes on waiting.
    fn resume_general(&mut self, work: Work, moment: Moment, out: &mut impl Outputs) {
        match work {
            Work::Command(command) => self.carry_out(&command, moment, out),
            Work::Event(event) => match self.symbols.by_locate(event.locate) {
                symbol if symbol != NONE && is_about_a_symbol(event.action) => self.apply(symbol, &event, moment, out),
                _ => self.general(&event, moment, out),
            },
        }
    }
}

#[inline]
fn changes_book(action: Action) -> bool {
    use Action::{Add, Cancel, Delete, Execute, ExecuteAtPrice, Replace};
    matches!(action, Add | Execute | ExecuteAtPrice | Cancel | Delete | Replace)
}

#[inline]
fn is_about_a_symbol(action: Action) -> bool {
    use Action::{Add, Break, Cancel, Cross, Delete, Execute, ExecuteAtPrice, Replace, Status, Trade};
    matches!(action, Add | Execute | ExecuteAtPrice | Cancel | Delete | Replace | Trade | Cross | Break | Status)
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
