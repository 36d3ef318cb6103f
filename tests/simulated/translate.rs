//! Commands of the naive `replay` in the words of the wire, and back.

use hairtrigger::control::wire::Ask;
use hairtrigger::model::{Comparison, Fire, NEVER, OnSet, Price, RuleKey, RuleSpec, Signal};

use super::ACCOUNTS;
use super::house::midnight;
use crate::naive::rules::{self as naive_rules, Spec};

/// Nanoseconds since midnight, as the feed has them.
pub fn day_time(utc: u64) -> u64 {
    utc.saturating_sub(midnight())
}

fn naive_key(key: &RuleKey) -> naive_rules::Key {
    let account = ACCOUNTS[usize::from(key.account)].to_string();
    naive_rules::Key { account, user: key.user, symbol: key.symbol.to_string(), slot: key.slot.into() }
}

/// A remove, without its place.
pub fn remove(key: &RuleKey) -> naive_rules::Command {
    naive_rules::Command { at: 0, key: naive_key(key), tag: 0, set: None }
}

/// A set, without its place.
pub fn set(key: &RuleKey, spec: &RuleSpec, tag: u64) -> naive_rules::Command {
    let spec = Spec {
        signal: match spec.signal {
            Signal::Last => naive_rules::Signal::Last,
            Signal::Bid => naive_rules::Signal::Bid,
            Signal::Ask => naive_rules::Signal::Ask,
            Signal::Mid => naive_rules::Signal::Mid,
        },
        when: match spec.comparison {
            Comparison::Below => naive_rules::When::Below,
            Comparison::Above => naive_rules::When::Above,
            Comparison::AtOrBelow => naive_rules::When::AtOrBelow,
            Comparison::AtOrAbove => naive_rules::When::AtOrAbove,
        },
        threshold: spec.threshold.0.into(),
        repeat: spec.fire == Fire::Repeat,
        on_set: match spec.on_set {
            OnSet::Fire => naive_rules::OnSet::Fire,
            OnSet::Wait => naive_rules::OnSet::Wait,
            OnSet::Reject => naive_rules::OnSet::Reject,
        },
        rearm: spec.rearm.0.into(),
        cooldown_ns: spec.cooldown,
        max_fires: spec.max_fires.into(),
        expires_at: (spec.expires_at != NEVER).then(|| day_time(spec.expires_at)),
    };
    naive_rules::Command { at: 0, key: naive_key(key), tag, set: Some(spec) }
}

/// What a row of a generated rules file asks; `None`: a rule that expires at midnight, which a live engine takes before the first stamp.
pub fn ask(command: &naive_rules::Command, id: u64) -> Option<(usize, Ask)> {
    let account = ACCOUNTS.iter().position(|account| *account == command.key.account).expect("an account");
    let symbol = command.key.symbol.parse().expect("a symbol");
    let key = RuleKey { user: command.key.user, symbol, slot: command.key.slot as u32, account: 0 };
    let Some(spec) = &command.set else { return Some((account, Ask::Remove(key, id))) };
    if spec.expires_at == Some(0) {
        return None;
    }
    let spec = RuleSpec {
        threshold: Price(spec.threshold as i64),
        rearm: Price(spec.rearm as i64),
        cooldown: spec.cooldown_ns,
        expires_at: spec.expires_at.map_or(NEVER, |at| midnight() + at),
        tag: id,
        max_fires: spec.max_fires as u32,
        signal: Signal::ALL[spec.signal as usize],
        comparison: Comparison::ALL[spec.when as usize],
        fire: if spec.repeat { Fire::Repeat } else { Fire::Once },
        on_set: [OnSet::Fire, OnSet::Wait, OnSet::Reject][spec.on_set as usize],
    };
    Some((account, Ask::Set(key, spec)))
}
