//! One test for each row of the tables, bearing its name.

use super::*;
use crate::model::{Comparison, Fire, Price};

const DEMO: AccountName = *b"demo  ";
const SESSION: [u8; 10] = *b"S000000001";
const GME: Symbol = Symbol(1);

fn key() -> RuleKey {
    RuleKey { user: 7, symbol: GME, slot: 2, account: 0 }
}

fn repeat() -> RuleSpec {
    RuleSpec { fire: Fire::Repeat, cooldown: 100, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(50)) }
}

fn set(version: u64, state: RuleState) -> Change {
    let kind = ChangeKind::Set(repeat(), state);
    let (feed_session, feed_sequence) = (SESSION, 10 * version);
    Change { ordinal: version, feed_sequence, feed_time: 1_000, feed_session, shard: 0, key: key(), version, kind }
}

fn log(version: u64, what: What) -> Logged {
    let (ordinal, feed_sequence, ts_event) = (0, 500, 2_000);
    let signal = Signal::Last;
    Logged { account: DEMO, key: key(), version, signal, ordinal, feed_session: SESSION, feed_sequence, ts_event, what }
}

fn number(name: &AccountName) -> Option<AccountId> {
    (*name == DEMO).then_some(4)
}

/// The journal's changes of the account `demo`, then the log.
fn recover(changes: &[Change], logged: &[Logged], is_log_whole: bool) -> Recovered {
    let mut recovery = Recovery::default();
    (1..).zip(changes).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
    logged.iter().for_each(|logged| recovery.logged(logged));
    recovery.finish(if is_log_whole { 0 } else { u64::MAX }, number)
}

/// Version, state, alerts given and quiet until, of the one rule that is left, if one is.
fn rule(changes: &[Change], logged: &[Logged]) -> Option<(u64, RuleState, u32, Nanos)> {
    let found = recover(changes, logged, true).rules;
    assert!(found.len() <= 1 && found.iter().all(|rule| rule.key.account == 4 && rule.spec == repeat()));
    found.first().map(|rule| (rule.version, rule.state, rule.fires, rule.quiet_until))
}

const CLEAR: RuleState = RuleState::Clear;
const MET: RuleState = RuleState::Met;

#[test]
fn fired_for_the_last_time() {
    assert_eq!(rule(&[set(3, CLEAR)], &[log(3, What::Fired { last: true })]), None);
    assert_eq!(rule(&[set(3, RuleState::Fired)], &[]), None);
    assert_eq!(rule(&[set(1, CLEAR), set(3, RuleState::Fired)], &[]), None, "it replaced the first and was gone");
}

#[test]
fn fired_and_stays() {
    let fired = log(3, What::Fired { last: false });
    assert_eq!(rule(&[set(3, CLEAR)], &[fired]), Some((3, MET, 1, 2_100)));
    assert_eq!(rule(&[set(3, CLEAR)], &[fired, log(3, What::Rearmed), fired]), Some((3, MET, 2, 2_100)));
}

#[test]
fn fired_when_it_was_set() {
    let by_set = Logged { ordinal: 3, ..log(3, What::Fired { last: false }) };
    assert_eq!(rule(&[set(3, MET)], &[by_set]), Some((3, MET, 1, 1_100)));
    assert_eq!(rule(&[set(3, MET)], &[by_set, log(3, What::Rearmed)]), Some((3, CLEAR, 1, 1_100)));
}

#[test]
fn became_met() {
    assert_eq!(rule(&[set(3, CLEAR)], &[log(3, What::Met)]), Some((3, MET, 0, 0)));
}

#[test]
fn became_clear() {
    assert_eq!(rule(&[set(3, CLEAR)], &[log(3, What::Met), log(3, What::Rearmed)]), Some((3, CLEAR, 0, 0)));
}

#[test]
fn expired() {
    let expired = Logged { feed_sequence: 0, ..log(3, What::Expired) };
    assert_eq!(rule(&[set(3, CLEAR)], &[expired]), None);
}

#[test]
fn removed_and_not_yet_in_the_journal() {
    let removed = Logged { ordinal: 9, ..log(3, What::Removed) };
    let found = recover(&[set(3, CLEAR)], &[removed], true);
    assert_eq!((found.rules.len(), found.ordinal, found.counts.removed), (0, 9, 1));
}

#[test]
fn replaced_by_a_set_that_was_lost() {
    let replaced = Logged { ordinal: 9, ..log(3, What::Replaced) };
    let lost = log(4, What::Fired { last: true });
    let found = recover(&[set(3, CLEAR)], &[replaced, lost], true);
    assert_eq!((found.rules[0].version, found.symbols[0].version), (3, 4));
    assert_eq!((found.counts.replacements_lost, found.counts.unknown_versions), (1, 1));
}

#[test]
fn an_earlier_version() {
    let changes = [set(3, CLEAR), set(5, CLEAR)];
    let earlier = [log(3, What::Fired { last: false }), log(3, What::Replaced), log(3, What::Fired { last: true })];
    assert_eq!(rule(&changes, &earlier), Some((5, CLEAR, 0, 0)));
    let removed = Change { kind: ChangeKind::Removed, ..set(3, CLEAR) };
    assert_eq!(rule(&[set(3, CLEAR), set(5, CLEAR), removed], &[]), Some((5, CLEAR, 0, 0)));
    assert_eq!(rule(&[set(3, CLEAR), removed], &[]), None);
}

#[test]
fn a_version_that_the_journal_lacks() {
    let found = recover(&[set(3, CLEAR)], &[log(8, What::Fired { last: false })], true);
    assert_eq!((found.rules[0].version, found.rules[0].state, found.symbols[0].version), (3, CLEAR, 8));
}

#[test]
fn no_journal_and_no_log() {
    assert_eq!(recover(&[], &[], false), Recovered::default());
}

#[test]
fn no_log() {
    let found = recover(&[set(3, CLEAR)], &[], false);
    assert_eq!((found.rules.len(), found.rules[0].is_sure), (1, false));
    assert!(recover(&[set(3, CLEAR)], &[], true).rules[0].is_sure, "nothing had happened");
}

#[test]
fn a_log_that_is_not_whole() {
    let found = recover(&[set(3, CLEAR)], &[log(3, What::Met)], false);
    assert_eq!((found.rules[0].state, found.rules[0].is_sure), (MET, false));
}

#[test]
fn a_log_and_no_journal() {
    let found = recover(&[], &[Logged { ordinal: 70, ..log(6, What::Replaced) }], true);
    assert_eq!((found.rules.len(), found.symbols[0].version, found.ordinal), (0, 6, 70));
}

#[test]
fn an_account_that_is_gone() {
    let mut recovery = Recovery::default();
    recovery.journaled(1, *b"gone  ", &set(3, CLEAR));
    recovery.journaled(2, DEMO, &set(4, CLEAR));
    let found = recovery.finish(0, number);
    assert_eq!((found.rules.len(), found.rules[0].version, found.counts.dormant), (1, 4, 1));
}

#[test]
fn a_rule_that_had_seen_no_value() {
    let found = recover(&[set(3, RuleState::Unknown)], &[], true);
    assert_eq!((found.rules[0].state, found.rules[0].is_sure), (RuleState::Unknown, false));
    let other = |version, state| Change { key: RuleKey { slot: 9, ..key() }, ..set(version, state) };
    let found = recover(&[set(3, RuleState::Unknown), other(4, CLEAR)], &[], true);
    assert_eq!((found.rules[0].state, found.rules[0].is_sure), (CLEAR, true));
    let found = recover(&[other(2, CLEAR), set(3, RuleState::Unknown)], &[], true);
    assert_eq!(found.rules[1].state, RuleState::Unknown, "the signal had been known once, and was not any more");
}

#[test]
fn the_place_from_which_messages_are_new_is_the_last_one_that_is_known() {
    let place = |found: &Recovered| (found.symbols[0].feed_session, found.symbols[0].feed_sequence);
    assert_eq!(place(&recover(&[set(3, CLEAR)], &[], true)), (SESSION, 30));
    assert_eq!(place(&recover(&[set(3, CLEAR)], &[log(3, What::Met)], true)), (SESSION, 500));
    let next_day = Change { feed_session: *b"S000000002", feed_time: 9_000, ..set(4, CLEAR) };
    assert_eq!(place(&recover(&[set(3, CLEAR), next_day], &[log(3, What::Met)], true)), (*b"S000000002", 40));
}
