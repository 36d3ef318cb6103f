//! Feeds to measure with: a generated day piece by piece, or a file that fits in memory; and what is done with them.

use std::collections::BTreeSet;
use std::hint::black_box;

use hairtrigger::feed::downstream::Downstream;
use hairtrigger::feed::itch::decode;
use hairtrigger::limits::{ITCH_SIZE_MAX, LOCATES};
use hairtrigger::matcher::ahead::Ahead;
use hairtrigger::matcher::book::{Book, Levels};
use hairtrigger::matcher::orders::{Order, Orders};
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::model::{
    Action, Command, Comparison, MarketEvent, Price, RuleCommand, RuleKey, RuleSpec, Side, Signal, Symbol,
};
use hairtrigger::partition::{Partition, Shards};
use hairtrigger::synth::{Day, DayParams};

use super::Counted;

/// Messages of which is fetched at once what they will touch.
const GROUP: usize = 32;

/// Messages, each behind its length in two bytes, big-endian: a BinaryFILE.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// How many.
    pub count: usize,
}

impl Messages {
    /// Those of a BinaryFILE.
    pub fn of_file(bytes: Vec<u8>) -> Messages {
        let mut messages = Messages { bytes, count: 0 };
        messages.count = messages.iter().count();
        messages
    }

    /// The next `count` of a day, in the place of what was there.
    pub fn refill(&mut self, day: &mut Day, count: usize) {
        self.bytes.clear();
        self.count = 0;
        let mut buffer = [0; ITCH_SIZE_MAX];
        while self.count < count
            && let Some(message) = day.next_into(&mut buffer)
        {
            self.bytes.extend((message.len() as u16).to_be_bytes());
            self.bytes.extend(message);
            self.count += 1;
        }
    }

    /// Those that they name.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        let names: BTreeSet<u64> = self.iter().filter_map(|message| Some(decode(message).ok()?.1?.0)).collect();
        names.into_iter().map(Symbol)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (size, behind) = rest.split_first_chunk()?;
            let (message, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
            rest = behind;
            (!message.is_empty()).then_some(message)
        })
    }
}

/// A day of so many messages of 8,000 symbols.
pub fn day(messages: usize) -> Day {
    Day::new(DayParams { seed: 1, messages: messages as u64, symbols: 8_000 })
}

/// What is done with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decoded.
    Decode,
    /// And its order tracked.
    Orders,
    /// The same, looking ahead in groups.
    OrdersAhead,
    /// And the book kept.
    Books,
    /// The same, looking ahead in groups.
    BooksAhead,
    /// All that a shard does with it, from the partition on, without rules: so without books.
    Shard,
    /// With a rule on the bid of every hundredth symbol, by activity.
    ShardSome,
    /// With one of each: books for all.
    ShardAll,
}

impl Stage {
    /// All, each with more than the one before.
    pub const ALL: [Stage; 8] = [
        Stage::Decode,
        Stage::Orders,
        Stage::OrdersAhead,
        Stage::Books,
        Stage::BooksAhead,
        Stage::Shard,
        Stage::ShardSome,
        Stage::ShardAll,
    ];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Orders => "decode, orders",
            Stage::OrdersAhead => "decode, orders, ahead",
            Stage::Books => "decode, orders, books",
            Stage::BooksAhead => "decode, orders, books, ahead",
            Stage::Shard => "partition, shard (no rules)",
            Stage::ShardSome => "shard, 1 % with bid rules",
            Stage::ShardAll => "shard, all with bid rules",
        }
    }
}

/// One shard on this thread, as in `replay`.
pub struct Here {
    shard: Shard,
    ahead: Ahead,
    out: Counted,
}

impl Here {
    /// Sets a rule on the bid of a symbol, which no bid reaches.
    fn watch(&mut self, symbol: Symbol) {
        let spec = RuleSpec::new(Signal::Bid, Comparison::Above, Price(i64::MAX - 1));
        let command = Command::Set(RuleKey { symbol, ..RuleKey::NONE }, spec);
        self.shard.command(&RuleCommand { ordinal: 1, feed_time: 0, command }, &mut self.out);
        assert_eq!(self.out.refused, 0);
    }
}

impl Shards for Here {
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn send(&mut self, _: usize, event: &MarketEvent) -> bool {
        self.ahead.push(event, &mut self.shard, &mut self.out);
        true
    }
}

/// The state of one stage.
pub struct Track {
    stage: Stage,
    orders: Orders,
    levels: Levels,
    books: Vec<Book>,
    partition: Partition<Here>,
    sequence: u64,
}

impl Track {
    /// With room for so many orders, of these symbols.
    pub fn new(stage: Stage, orders_max: usize, symbols: impl Iterator<Item = Symbol>) -> Track {
        let rules = RuleLimits { rules_max: 1 << 14, account_rules_max: vec![], policies_max: 1, fixed: true };
        let limits = ShardLimits { rules, symbols_max: 1 << 14, orders_max, levels_max: 1 << 20 };
        let mut here = Here { shard: Shard::new(limits), ahead: Ahead::default(), out: Counted::default() };
        let every = match stage {
            Stage::ShardAll => 1,
            Stage::ShardSome => 100,
            _ => usize::MAX,
        };
        symbols.step_by(every).take(if every == usize::MAX { 0 } else { usize::MAX }).for_each(|name| here.watch(name));
        Track {
            stage,
            orders: Orders::new(orders_max, false),
            levels: Levels::new(1 << 20, 1 << 14, true),
            books: vec![Book::default(); LOCATES],
            partition: Partition::new(here, Box::new(|_| 0)),
            sequence: 0,
        }
    }

    /// Forgets all orders and books.
    pub fn begin_day(&mut self) {
        self.orders.clear();
        self.levels.clear();
        self.books.fill(Book::default());
        self.sequence = 0;
        self.partition.session(*b"         1", false);
    }

    /// Takes messages.
    pub fn take(&mut self, messages: &Messages) {
        match self.stage {
            Stage::Decode => messages.iter().for_each(|message| _ = black_box(decode(message))),
            Stage::Orders => messages.iter().for_each(|message| self.track(message, false)),
            Stage::Books => messages.iter().for_each(|message| self.track(message, true)),
            Stage::OrdersAhead => self.track_groups(messages, false),
            Stage::BooksAhead => self.track_groups(messages, true),
            _ => messages.iter().for_each(|message| self.route(message)),
        }
    }

    /// Takes one.
    #[inline]
    pub fn take_one(&mut self, message: &[u8]) {
        match self.stage {
            Stage::Decode => _ = black_box(decode(message)),
            Stage::Orders | Stage::OrdersAhead => self.track(message, false),
            Stage::Books | Stage::BooksAhead => self.track(message, true),
            _ => self.route(message),
        }
    }

    /// Orders alive: so that a run cannot be of nothing.
    pub fn orders_live(&self) -> usize {
        self.orders.count() + self.partition.shards.shard.counts().orders_live as usize
    }

    #[inline]
    fn route(&mut self, message: &[u8]) {
        self.sequence += 1;
        black_box(self.partition.message(self.sequence, 0, message));
    }

    /// Takes messages in groups: what all of a group will touch is fetched before.
    fn track_groups(&mut self, messages: &Messages, books: bool) {
        let (mut ahead, mut messages) = (messages.iter(), messages.iter());
        loop {
            let mut orders = [(0, 0); GROUP];
            let mut count = 0;
            for (order, message) in orders.iter_mut().zip(&mut ahead) {
                // They stand in the same place in all messages about orders; in others something else does.
                *order = order_of(message).unwrap_or_default();
                self.orders.prefetch(order.0, order.1);
                count += 1;
            }
            if books {
                self.fetch_books(&orders[..count]);
            }
            messages.by_ref().take(count).for_each(|message| self.track(message, books));
            if count < GROUP {
                break;
            }
        }
    }

    /// Both sides of each order's book: a new order's side is only in its message.
    fn fetch_books(&self, orders: &[(u16, u64)]) {
        for levels in [false, true] {
            for (locate, _) in orders {
                let book = &self.books[usize::from(*locate)];
                [Side::Bid, Side::Ask].into_iter().for_each(|side| book.prefetch(&self.levels, side, levels));
            }
        }
    }

    #[inline]
    fn track(&mut self, message: &[u8], books: bool) {
        let Ok((event, _)) = decode(message) else { return };
        let book = &mut self.books[usize::from(event.locate)];
        match event.action {
            Action::Add => {
                let (price, size, locate, side) = (event.price, event.size, event.locate, event.side);
                let order = Order { price, size, locate, side, in_book: books };
                Self::add(&mut self.orders, &mut self.levels, book, event.order_ref, order, books);
            }
            Action::Execute | Action::ExecuteAtPrice | Action::Cancel => {
                if let Some(order) = self.orders.reduce(event.locate, event.order_ref, event.size)
                    && books
                {
                    book.reduce(&mut self.levels, order.side, order.price, event.size.min(order.size));
                }
            }
            Action::Delete | Action::Replace => {
                let Some(old) = self.orders.remove(event.locate, event.order_ref) else { return };
                if books {
                    book.reduce(&mut self.levels, old.side, old.price, old.size);
                }
                if event.action == Action::Replace {
                    let order = Order { price: event.price, size: event.size, ..old };
                    Self::add(&mut self.orders, &mut self.levels, book, event.second_ref, order, books);
                }
            }
            _ => (),
        }
        if books {
            black_box(book.best(&self.levels, Side::Bid));
        }
    }

    #[inline]
    fn add(orders: &mut Orders, levels: &mut Levels, book: &mut Book, reference: u64, order: Order, books: bool) {
        if order.size > 0 && orders.put(reference, order).is_ok() && books {
            book.add(levels, order.side, order.price, order.size).expect("the pool is made for the day");
        }
    }
}

/// The locate and the reference of a message about an order.
#[inline]
fn order_of(message: &[u8]) -> Option<(u16, u64)> {
    let locate = message.get(1..)?.first_chunk()?;
    let reference = message.get(11..)?.first_chunk()?;
    Some((u16::from_be_bytes(*locate), u64::from_be_bytes(*reference)))
}
