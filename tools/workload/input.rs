//! The workload's files: ticks, rules and changes as the rivals read them.
//!
//! Little-endian records of a fixed size, prices in 1e-4 dollars:
//!
//! ```text
//!  tick, 16 bytes    symbol u32 | 0 u32 | price i64
//!  change, 48 bytes  rule u64 | replaces u64 | before tick u64 | threshold i64 | user u32 | symbol u32 | op u8 | side u8 | 0
//! ```

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use hairtrigger::limits::LOCATES;
use hairtrigger::model::{
    Action, Command, Comparison, MarketEvent, Nanos, Price, RuleCommand, RuleKey, RuleSpec, Signal, Symbol,
};

const TICK_SIZE: usize = 16;
const CHANGE_SIZE: usize = 48;
/// Units of 1e-9 in one of 1e-4.
const UNITS: i64 = 100_000;

/// A tick: a print of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The symbol's number.
    pub symbol: u32,
    /// 1e-4 dollars.
    pub price: i64,
}

/// A rule that is set or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The rule's id.
    pub rule: u64,
    /// The rule of the same user and symbol that it replaces, 0 for none.
    pub replaces: u64,
    /// It takes effect right before the tick of this index.
    pub at: u64,
    /// 1e-4 dollars.
    pub threshold: i64,
    /// The user.
    pub user: u32,
    /// The symbol's number.
    pub symbol: u32,
    /// False: it is set.
    pub is_remove: bool,
    /// It fires above the threshold; else below.
    pub above: bool,
}

/// The files of one workload, with all ticks that are to be run.
pub struct Input {
    ticks: Vec<u8>,
    /// Rules in force before the first tick.
    pub rules: Vec<Change>,
    /// Changes while ticks go on; empty without `--churn`.
    pub changes: Vec<Change>,
    /// Symbols are numbered below this.
    pub symbols: usize,
}

impl Input {
    /// Reads the rules, and the changes too with `churn`. The ticks come later: see [`Self::read_ticks`].
    pub fn read_rules(dir: &Path, churn: bool) -> io::Result<Input> {
        let rules = changes(&fs::read(dir.join("rules.bin"))?)?;
        let changes = if churn { changes(&fs::read(dir.join("churn.bin"))?)? } else { vec![] };
        Ok(Input { ticks: vec![], rules, changes, symbols: 0 })
    }

    /// Reads the first `limit` ticks and drops the changes that come after them.
    pub fn read_ticks(&mut self, dir: &Path, limit: Option<usize>) -> io::Result<()> {
        self.ticks = fs::read(dir.join("ticks.bin"))?;
        let count = self.ticks.len() / TICK_SIZE;
        self.ticks.truncate(limit.map_or(count, |limit| limit.min(count)) * TICK_SIZE);
        let count = self.ticks().len() as u64;
        self.changes.retain(|change| change.at < count);
        let named = self.ticks().map(|tick| tick.symbol).chain(self.rules.iter().map(|rule| rule.symbol));
        self.symbols = named.max().map_or(0, |symbol| symbol as usize + 1);
        if self.symbols >= LOCATES {
            return Err(io::Error::other("more symbols than a feed has locates"));
        }
        Ok(())
    }

    /// The same with only its first ticks, and the changes before them.
    pub fn first(&self, ticks: usize) -> Input {
        let changes = self.changes.iter().filter(|change| (change.at as usize) < ticks).copied().collect();
        let ticks = self.ticks[..ticks * TICK_SIZE].to_vec();
        Input { ticks, rules: self.rules.clone(), changes, symbols: self.symbols }
    }

    /// The ticks in order.
    #[inline]
    pub fn ticks(&self) -> impl ExactSizeIterator<Item = Tick> + Clone {
        let (records, _) = self.ticks.as_chunks::<TICK_SIZE>();
        records.iter().map(tick)
    }

    /// Some of the ticks.
    #[inline]
    pub fn ticks_in(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Tick> {
        self.ticks.as_chunks().0[range].iter().map(tick)
    }

    /// The tick of this index.
    #[inline]
    pub fn tick(&self, index: usize) -> Tick {
        tick(&self.ticks.as_chunks().0[index])
    }
}

#[inline]
fn tick(record: &[u8; TICK_SIZE]) -> Tick {
    let both = u128::from_le_bytes(*record);
    Tick { symbol: both as u32, price: (both >> 64) as i64 }
}

fn changes(file: &[u8]) -> io::Result<Vec<Change>> {
    let (records, rest) = file.as_chunks::<CHANGE_SIZE>();
    if !rest.is_empty() {
        return Err(io::Error::other("a file of changes ends inside a record"));
    }
    Ok(records.iter().map(change).collect())
}

fn change(record: &[u8; CHANGE_SIZE]) -> Change {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| record[at + i]));
    let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| record[at + i]));
    Change {
        rule: word(0),
        replaces: word(8),
        at: word(16),
        threshold: word(24) as i64,
        user: half(32),
        symbol: half(36),
        is_remove: record[40] == 1,
        above: record[41] == 1,
    }
}

/// The name that stands for a symbol's number.
pub fn name_of(symbol: u32) -> Symbol {
    let mut name = *b"S       ";
    let mut left = symbol;
    for digit in name[1..].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    Symbol::from_bytes(name)
}

/// The feed's number for a symbol: 0 is about no symbol.
#[inline]
pub fn locate_of(symbol: u32) -> u16 {
    symbol as u16 + 1
}

impl Tick {
    /// The event of the tick of this index: a print with sequence index + 1, the index + 1 also being its stamp.
    #[inline]
    pub fn event(self, index: usize, ts_recv: Nanos) -> MarketEvent {
        let sequence = index as u64 + 1;
        MarketEvent {
            ts_event: sequence,
            ts_recv,
            sequence,
            price: self.price * UNITS,
            size: 100,
            locate: locate_of(self.symbol),
            ..MarketEvent::new(Action::Trade)
        }
    }
}

/// What a shard is told before the first tick of a symbol.
pub fn define(symbol: u32) -> MarketEvent {
    MarketEvent { locate: locate_of(symbol), second_ref: name_of(symbol).0, ..MarketEvent::new(Action::Define) }
}

impl Change {
    /// The command: slot 0, tag = rule id, `once`.
    pub fn command(&self, ordinal: u64) -> RuleCommand {
        let key = RuleKey { user: u64::from(self.user), symbol: name_of(self.symbol), slot: 0, account: 0 };
        let comparison = if self.above { Comparison::Above } else { Comparison::Below };
        let spec = RuleSpec::new(Signal::Last, comparison, Price(self.threshold * UNITS));
        let command = match self.is_remove {
            true => Command::Remove(key, self.rule),
            false => Command::Set(key, RuleSpec { tag: self.rule, ..spec }),
        };
        RuleCommand { ordinal, feed_time: 0, command }
    }
}
