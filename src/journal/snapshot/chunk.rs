//! What a chunk's archive is: `rkyv` values, little-endian, without alignment, so that they are read wherever they lie.
//!
//! Rules are by symbol and version, a run for each symbol. What most rules do not have (rearm, cooldown, expiry, alerts given)
//! stands beside them, for those that do: a plain rule takes 40 bytes.
//!
//! An archive is validated as a whole before anything of it is read; codes that no version of the format has are damage.

// The derived code validates bytes with `unsafe` of rkyv's own. None is written here.
#![allow(unsafe_code)]

use std::collections::HashMap;

use rkyv::rancor::{Failure, Panic};
use rkyv::util::AlignedVec;
use rkyv::{Archive, Serialize};

use super::{FateRow, NamedRule, SymbolRow};
use crate::journal::record::AccountName;
use crate::journal::recovery::{End, Fate};
use crate::model::{Comparison, Fire, NEVER, OnSet, Price, RestoredRule, RuleKey, RuleSpec, RuleState, Signal, Symbol};

#[derive(Archive, Serialize)]
struct Symbols {
    rows: Vec<SymbolEntry>,
}

#[derive(Archive, Serialize)]
struct SymbolEntry {
    symbol: u64,
    version: u64,
    journaled: u64,
    evaluated: [u64; 4],
    feed_time: u64,
    feed_sequence: u64,
    last: i64,
    last_sequence: u64,
    other_sequence: u64,
    feed_session: [u8; 10],
    other_session: [u8; 10],
    last_session: [u8; 10],
}

#[derive(Archive, Serialize)]
struct Fates {
    rows: Vec<FateEntry>,
}

#[derive(Archive, Serialize)]
struct FateEntry {
    symbol: u64,
    version: u64,
    ts_fired: u64,
    fires: u32,
    /// 0 none, 1 over, 2 removed, 3 removed as the journal says.
    end: u8,
    /// 0 unchanged, else 1 + state.
    state: u8,
    is_replaced: u8,
}

#[derive(Archive, Serialize, Default)]
struct Rules {
    accounts: Vec<[u8; 6]>,
    runs: Vec<Run>,
    rules: Vec<RuleEntry>,
    extras: Vec<Extra>,
}

/// So many rules are of this symbol.
#[derive(Archive, Serialize)]
struct Run {
    symbol: u64,
    count: u32,
}

#[derive(Archive, Serialize)]
struct RuleEntry {
    user: u64,
    version: u64,
    threshold: i64,
    tag: u64,
    slot: u32,
    /// Among the chunk's accounts.
    account: u16,
    /// signal 2 | comparison 2 | fire 1 | on_set 2 | state 2 | sure 1 | extra 1, from the lowest bit on.
    bits: u16,
}

const SURE: u16 = 1 << 9;
const EXTRA: u16 = 1 << 10;

/// Of the next rule with the bit `extra`.
#[derive(Archive, Serialize)]
struct Extra {
    rearm: i64,
    cooldown: u64,
    expires_at: u64,
    quiet_until: u64,
    max_fires: u32,
    fires: u32,
}

/// The archive of some symbols.
pub fn symbols(rows: &[SymbolRow]) -> AlignedVec {
    let entry = |row: &SymbolRow| SymbolEntry {
        symbol: row.symbol.0,
        version: row.version,
        journaled: row.journaled,
        evaluated: row.evaluated,
        feed_time: row.feed_time,
        feed_sequence: row.feed_sequence,
        last: row.last.0,
        last_sequence: row.last_sequence,
        other_sequence: row.other_sequence,
        feed_session: row.feed_session,
        other_session: row.other_session,
        last_session: row.last_session,
    };
    archive(&Symbols { rows: rows.iter().map(entry).collect() })
}

/// Reads them back; `None` when it is no such archive.
pub fn read_symbols(bytes: &[u8], each: &mut impl FnMut(SymbolRow)) -> Option<()> {
    let archive = rkyv::access::<ArchivedSymbols, Failure>(bytes).ok()?;
    for row in archive.rows.iter() {
        each(SymbolRow {
            symbol: Symbol(row.symbol.to_native()),
            version: row.version.to_native(),
            journaled: row.journaled.to_native(),
            evaluated: row.evaluated.map(|version| version.to_native()),
            feed_time: row.feed_time.to_native(),
            feed_sequence: row.feed_sequence.to_native(),
            last: Price(row.last.to_native()),
            last_sequence: row.last_sequence.to_native(),
            other_sequence: row.other_sequence.to_native(),
            feed_session: row.feed_session,
            other_session: row.other_session,
            last_session: row.last_session,
        });
    }
    Some(())
}

/// The archive of some fates.
pub fn fates(rows: &[FateRow]) -> AlignedVec {
    let entry = |row: &FateRow| FateEntry {
        symbol: row.symbol.0,
        version: row.version,
        ts_fired: row.fate.ts_fired,
        fires: row.fate.fires,
        end: match row.fate.end {
            None => 0,
            Some(End::Over) => 1,
            Some(End::Removed) => 2,
            Some(End::Journaled) => 3,
        },
        state: row.fate.state.map_or(0, |state| 1 + state as u8),
        is_replaced: row.fate.is_replaced.into(),
    };
    archive(&Fates { rows: rows.iter().map(entry).collect() })
}

/// Reads them back; `None` when it is no such archive.
pub fn read_fates(bytes: &[u8], each: &mut impl FnMut(FateRow)) -> Option<()> {
    let archive = rkyv::access::<ArchivedFates, Failure>(bytes).ok()?;
    for row in archive.rows.iter() {
        let fate = Fate {
            end: *[None, Some(End::Over), Some(End::Removed), Some(End::Journaled)].get(usize::from(row.end))?,
            is_replaced: row.is_replaced == 1,
            state: match row.state {
                0 => None,
                code => Some(*STATES.get(usize::from(code - 1))?),
            },
            fires: row.fires.to_native(),
            ts_fired: row.ts_fired.to_native(),
        };
        each(FateRow { symbol: Symbol(row.symbol.to_native()), version: row.version.to_native(), fate });
    }
    Some(())
}

/// The states by their codes.
const STATES: [RuleState; 4] = [RuleState::Unknown, RuleState::Clear, RuleState::Met, RuleState::Fired];

/// A chunk of rules that is being filled.
#[derive(Default)]
pub struct RuleChunk {
    rules: Rules,
    /// The numbers of its accounts.
    numbers: HashMap<AccountName, u16>,
}

impl RuleChunk {
    /// Rules in it.
    pub fn count(&self) -> usize {
        self.rules.rules.len()
    }

    /// Adds the next rule.
    pub fn push(&mut self, NamedRule { account, rule }: &NamedRule) {
        let Rules { accounts, runs, rules, extras } = &mut self.rules;
        let RestoredRule { key, spec, version, state, fires, quiet_until, is_sure } = rule;
        let account = *self.numbers.entry(*account).or_insert_with(|| {
            accounts.push(*account);
            // A chunk has no more accounts than rules, and those fit.
            (accounts.len() - 1) as u16
        });
        match runs.last_mut().filter(|run| run.symbol == key.symbol.0) {
            Some(run) => run.count += 1,
            None => runs.push(Run { symbol: key.symbol.0, count: 1 }),
        }
        let RuleSpec { rearm, cooldown, expires_at, max_fires, .. } = *spec;
        let is_plain = (rearm.0, cooldown, expires_at, *quiet_until, max_fires, *fires) == (0, 0, NEVER, 0, 0, 0);
        if !is_plain {
            extras.push(Extra {
                rearm: rearm.0,
                cooldown,
                expires_at,
                quiet_until: *quiet_until,
                max_fires,
                fires: *fires,
            });
        }
        let codes = spec.signal as u16
            | (spec.comparison as u16) << 2
            | (spec.fire as u16) << 4
            | (spec.on_set as u16) << 5
            | (*state as u16) << 7;
        let bits = codes | if *is_sure { SURE } else { 0 } | if is_plain { 0 } else { EXTRA };
        rules.push(RuleEntry {
            user: key.user,
            version: *version,
            threshold: spec.threshold.0,
            tag: spec.tag,
            slot: key.slot,
            account,
            bits,
        });
    }

    /// Its archive; empty after that.
    pub fn take(&mut self) -> AlignedVec {
        self.numbers.clear();
        archive(&std::mem::take(&mut self.rules))
    }
}

/// Reads the rules of the symbols that `takes` takes; `None` when it is no such archive.
pub fn read_rules<E>(
    bytes: &[u8],
    takes: &impl Fn(Symbol) -> bool,
    each: &mut impl FnMut(&NamedRule) -> Result<(), E>,
) -> Option<Result<(), E>> {
    let archive = rkyv::access::<ArchivedRules, Failure>(bytes).ok()?;
    let (mut rules, mut extras) = (archive.rules.iter(), archive.extras.iter());
    for run in archive.runs.iter() {
        let symbol = Symbol(run.symbol.to_native());
        let is_taken = takes(symbol);
        for _ in 0..run.count.to_native() {
            let entry = rules.next()?;
            let extra = if entry.bits.to_native() & EXTRA != 0 { Some(extras.next()?) } else { None };
            if is_taken {
                let account = *archive.accounts.get(usize::from(entry.account.to_native()))?;
                let rule = NamedRule { account, rule: read_rule(symbol, entry, extra)? };
                if let Err(error) = each(&rule) {
                    return Some(Err(error));
                }
            }
        }
    }
    rules.next().is_none().then_some(Ok(()))
}

#[inline]
fn read_rule(symbol: Symbol, entry: &ArchivedRuleEntry, extra: Option<&ArchivedExtra>) -> Option<RestoredRule> {
    let bits = entry.bits.to_native();
    let code = |from: u32, width: u32| usize::from(bits >> from & ((1 << width) - 1));
    let spec = RuleSpec {
        threshold: Price(entry.threshold.to_native()),
        rearm: Price(extra.map_or(0, |extra| extra.rearm.to_native())),
        cooldown: extra.map_or(0, |extra| extra.cooldown.to_native()),
        expires_at: extra.map_or(NEVER, |extra| extra.expires_at.to_native()),
        tag: entry.tag.to_native(),
        max_fires: extra.map_or(0, |extra| extra.max_fires.to_native()),
        signal: Signal::ALL[code(0, 2)],
        comparison: Comparison::ALL[code(2, 2)],
        fire: [Fire::Once, Fire::Repeat][code(4, 1)],
        on_set: *[OnSet::Fire, OnSet::Wait, OnSet::Reject].get(code(5, 2))?,
    };
    Some(RestoredRule {
        key: RuleKey { user: entry.user.to_native(), symbol, slot: entry.slot.to_native(), account: 0 },
        spec,
        version: entry.version.to_native(),
        state: STATES[code(7, 2)],
        fires: extra.map_or(0, |extra| extra.fires.to_native()),
        quiet_until: extra.map_or(0, |extra| extra.quiet_until.to_native()),
        is_sure: bits & SURE != 0,
    })
}

fn archive<T>(value: &T) -> AlignedVec
where
    T: for<'a> Serialize<
        rkyv::rancor::Strategy<
            rkyv::ser::Serializer<AlignedVec, rkyv::ser::allocator::ArenaHandle<'a>, rkyv::ser::sharing::Share>,
            Panic,
        >,
    >,
{
    // Into memory nothing fails but the allocator; an archive of a chunk is far below the 2 GiB that its offsets can span.
    match rkyv::to_bytes::<Panic>(value) {
        Ok(bytes) => bytes,
        Err(never) => match never {},
    }
}
