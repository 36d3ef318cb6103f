//! The whole run once more by the naive `replay`: what the journal has of commands, at the places that were told, over all messages of
//! the feed. What all lives together have logged must be its rows.
//!
//! Not compared are keys for which the documents promise less: those with a set that a crash took back after the log had told of it
//! (its owner was told "replaced", and the earlier rule stays), and those whose `wait` or `reject` rule had seen no value when
//! a life ended (whether it had seen one later is not written down), and those of which a power cut has taken a message.

use std::collections::{BTreeMap, BTreeSet};

use hairtrigger::gateway::wire::{Kind, RuleMessage};
use hairtrigger::model::{ChangeKind, OnSet, Reason, RuleState, Symbol, flag};

use super::ACCOUNTS;
use super::effects::{Effective, effective};
use super::ledger::{Key, Ledger, key, key_of};
use super::network::{place_of, session_of};
use super::translate::day_time;
use crate::naive::itch;
use crate::naive::rules as naive_rules;
use crate::naive::world::World;

/// A row of an events file, in parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    key: Key,
    text: String,
}

/// What a comparison came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Compared {
    pub rows: usize,
    pub keys_left_out: usize,
}

/// Compares; panics with the first difference. `STORY` in the environment, a key as a failure shows it, tells that key's story.
pub fn compare(
    ledger: &Ledger,
    messages: &[(u64, &[u8])],
    log: &[RuleMessage],
    lives: usize,
    lost: &BTreeSet<Key>,
) -> Compared {
    let left_out = &left_out(ledger, log, lives) | lost;
    if let Ok(wanted) = std::env::var("STORY") {
        let keys: BTreeSet<Key> = log.iter().map(key_of).filter(|key| format!("{key:?}") == wanted).collect();
        keys.into_iter().for_each(|key| eprintln!("{}", ledger.story(key, log)));
    }
    let commands = effective(ledger, log);
    let expected = expected(&commands, messages, log, &left_out);
    let told = told(log, &commands);
    let of = |rows: Vec<Row>| -> Vec<Row> { rows.into_iter().filter(|row| !left_out.contains(&row.key)).collect() };
    let (expected, told) = (of(expected), of(told));
    if let Some(at) = (0..expected.len().max(told.len())).find(|at| expected.get(*at) != told.get(*at)) {
        let around = |rows: &[Row]| {
            let from = at.saturating_sub(2).min(rows.len());
            rows[from..rows.len().min(at + 3)].iter().map(|row| format!("\n    {}", row.text)).collect::<String>()
        };
        let (around_expected, around_told) = (around(&expected), around(&told));
        let keys: BTreeSet<Key> = [expected.get(at), told.get(at)].into_iter().flatten().map(|row| row.key).collect();
        let stories: String = keys.into_iter().map(|key| ledger.story(key, log)).collect();
        let latest = messages.iter().filter_map(|(n, m)| Some((itch::check(m).ok()?.ts(), n))).max();
        eprintln!("the latest stamp and its message: {latest:?}");
        panic!("row {at} differs\n  expected:{around_expected}\n  told:{around_told}{stories}");
    }
    Compared { rows: told.len(), keys_left_out: left_out.len() }
}

fn left_out(ledger: &Ledger, log: &[RuleMessage], lives: usize) -> BTreeSet<Key> {
    let (mut sets, mut ordinals, mut out) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (life, change) in &ledger.changes {
        let key = key(usize::from(change.key.account), &change.key);
        ordinals.insert((key, change.ordinal));
        if let ChangeKind::Set(spec, state) = change.kind {
            sets.insert((key, change.version));
            if state == RuleState::Unknown && spec.on_set != OnSet::Fire && *life + 1 < lives {
                out.insert(key);
            }
        }
    }
    for message in log {
        let key = key_of(message);
        let is_replaced = message.kind == Kind::Ended && message.reason == Reason::Replaced;
        if !sets.contains(&(key, message.version)) || is_replaced && !ordinals.contains(&(key, message.ordinal)) {
            out.insert(key);
        }
    }
    out
}

fn expected(
    commands: &[Effective],
    messages: &[(u64, &[u8])],
    log: &[RuleMessage],
    left_out: &BTreeSet<Key>,
) -> Vec<Row> {
    let expired = log.iter().filter(|it| it.kind == Kind::Ended && it.reason == Reason::Expired);
    let expired: BTreeSet<(u64, u64)> = expired.map(|it| (it.symbol.0, it.version)).collect();
    let mut world = World::default();
    let mut commands = commands.iter().peekable();
    let mut session = 0;
    for &(place, bytes) in messages {
        if session_of(place) != session {
            session = session_of(place);
            while let Some(effective) = commands.next_if(|command| session_of(command.at) < session) {
                carry_out(&mut world, effective, &expired, left_out);
            }
            world.begin_session();
        }
        while let Some(effective) = commands.next_if(|command| command.at <= place) {
            carry_out(&mut world, effective, &expired, left_out);
        }
        if let Ok(message) = itch::check(bytes) {
            world.message(place, &message);
        }
    }
    commands.for_each(|effective| carry_out(&mut world, effective, &expired, left_out));
    world.end();
    let symbols = |text: &str| text.parse::<Symbol>().expect("a symbol").0;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        let account = ACCOUNTS.iter().position(|account| *account == fields[5]).expect("an account");
        let text = line.replace("alert,initial", "alert,cross");
        Row { key: (account, number(6), symbols(fields[7]), number(8) as u32), text }
    };
    let is_told = |line: &&str| !line.contains(",rejected,") && !line.contains(",busted,");
    world.rows.lines().filter(is_told).map(row).collect()
}

/// What it comes to must be what was answered.
fn carry_out(world: &mut World, effective: &Effective, expired: &BTreeSet<(u64, u64)>, left_out: &BTreeSet<Key>) {
    let before = world.rows.len();
    let command = naive_rules::Command { at: effective.at, ..effective.command.clone() };
    // A set that was refused has left the rule of its key alone, whatever became of it later.
    let is_refused_set = effective.refused.is_some() && command.set.is_some();
    let has_expired = |version| !is_refused_set && expired.contains(&(effective.key.2, version));
    world.command_live(&command, effective.feed_time, effective.version, has_expired);
    let rows = &world.rows[before..];
    let refused = rows.split_once(",rejected,").map(|(_, rest)| rest.split(',').next().expect("a reason"));
    let Effective { at, refused: wanted, .. } = effective;
    let is_left_out = left_out.contains(&effective.key);
    assert!(
        is_left_out || refused == *wanted,
        "{refused:?} and not {wanted:?} at {at}: {:?} {command:?}",
        effective.key
    );
}

/// What the log tells, in the order of the contract; what a command caused where that took effect.
fn told(log: &[RuleMessage], commands: &[Effective]) -> Vec<Row> {
    let places: BTreeMap<(Key, u64), u64> = commands.iter().filter_map(|it| Some((it.of_log()?, it.at))).collect();
    let place = |it: &RuleMessage| {
        let told = place_of(&it.feed_session, it.sequence);
        places.get(&(key_of(it), it.ordinal)).copied().unwrap_or(told).max(told)
    };
    let is_row = |it: &&RuleMessage| matches!(it.kind, Kind::Alert | Kind::Ended);
    let is_expired = |it: &&RuleMessage| it.kind == Kind::Ended && it.reason == Reason::Expired;
    let (mut expired, mut rows): (Vec<&RuleMessage>, Vec<&RuleMessage>) =
        log.iter().filter(is_row).partition(is_expired);
    rows.sort_by_key(|it| (place(it), if it.ordinal == 0 { u64::MAX } else { it.ordinal }));
    expired
        .sort_by_key(|it| (it.ts_event, ACCOUNTS[key_of(it).0], it.user, it.symbol.to_string(), it.slot, it.version));
    rows.into_iter().chain(expired).map(|it| row(it, place(it))).collect()
}

fn row(it: &RuleMessage, place: u64) -> Row {
    let (event, reason) = match it.kind {
        Kind::Alert => ("alert", "cross"),
        _ => ("ended", it.reason.name()),
    };
    let is_expired = it.reason == Reason::Expired;
    let (sequence, ts) = (if is_expired { 0 } else { place }, day_time(it.ts_event));
    let last = u8::from(it.flags & flag::LAST != 0);
    let price = if it.kind == Kind::Ended { String::new() } else { it.price.to_string() };
    let key = key_of(it);
    let (account, signal, when) = (ACCOUNTS[key.0], it.signal.name(), it.comparison.name());
    let text = format!(
        "{sequence},{ts},{event},{reason},{last},{account},{},{},{},{},{},{signal},{when},{},{price}",
        it.user, it.symbol, it.slot, it.version, it.tag, it.threshold
    );
    Row { key, text }
}
