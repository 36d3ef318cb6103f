//! One test for each row of the tables, bearing its name.

use super::*;
use crate::journal::snapshot::{Covers, SnapshotWriter};
use crate::journal::storage::Storage;
use crate::journal::storage::simulated::Disk;
use crate::journal::writer::Position;
use crate::model::{AccountId, Comparison, Fire, LogPosition, RestoredSymbol, RuleSpec};

#[path = "recovery_history_tests.rs"]
mod histories;

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
    let (account, key, feed_session, price) = (DEMO, key(), SESSION, None);
    Logged { account, key, version, signal, ordinal, feed_session, feed_sequence, ts_event, price, what }
}

fn number(name: &AccountName) -> Option<AccountId> {
    (*name == DEMO).then_some(4)
}

/// What is put back.
#[derive(Debug, Default, PartialEq)]
struct PutBack {
    rules: Vec<RestoredRule>,
    symbols: Vec<SymbolRow>,
    ordinal: u64,
    counts: Counts,
}

/// What a snapshot has of it, if one is there, and then what was read behind it.
fn put_back(snapshot: Option<&Snapshot<Vec<u8>>>, recovery: Recovery, sure_from: u64) -> PutBack {
    let merge = recovery.seal(sure_from);
    let (mut rules, mut counts) = (vec![], merge.counts());
    let part = merge.rules(
        snapshot,
        |_| true,
        |named| -> Result<(), SnapshotError> {
            match merge.restored_rule(named, number) {
                Some(rule) => rules.push(rule),
                None => counts.dormant += 1,
            }
            Ok(())
        },
    );
    counts.add(&part.unwrap());
    PutBack { rules, symbols: merge.symbols(), ordinal: merge.ordinal(), counts }
}

/// The journal's changes of the account `demo`, then the log.
fn recover(changes: &[Change], logged: &[Logged], is_log_whole: bool) -> PutBack {
    let mut recovery = Recovery::default();
    (1..).zip(changes).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
    logged.iter().for_each(|logged| recovery.logged(logged));
    put_back(None, recovery, if is_log_whole { 0 } else { u64::MAX })
}

/// As [`recover`], with where the symbol stood, told behind all changes.
fn recover_standing(changes: &[Change], standings: &[Standing], logged: &[Logged]) -> (PutBack, RestoredSymbol) {
    let mut recovery = Recovery::default();
    (1..).zip(changes).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
    for standing in standings {
        recovery.record(&Record { sequence: 99, durable: 98, entry: Entry::Standing(*standing) });
    }
    logged.iter().for_each(|logged| recovery.logged(logged));
    let found = put_back(None, recovery, 0);
    let symbol = Merge::restored_symbol(&found.symbols[0]);
    (found, symbol)
}

/// GME stood at 60 up to message 400, when rules up to version 3 had seen a last price.
fn standing() -> Standing {
    Standing {
        symbol: GME,
        feed_sequence: 401,
        feed_time: 1_900,
        feed_session: SESSION,
        shard: 0,
        last: Some(Price(60)),
        evaluated: [3, 0, 0, 0],
    }
}

const UNKNOWN: RuleState = RuleState::Unknown;

#[test]
fn a_rule_that_had_seen_a_value_when_its_symbol_was_told() {
    let (found, _) = recover_standing(&[set(3, UNKNOWN)], &[standing()], &[]);
    assert_eq!((found.rules[0].state, found.rules[0].is_sure), (CLEAR, true));
}

#[test]
fn a_rule_that_was_set_after_its_symbol_was_told() {
    let (found, _) = recover_standing(&[set(4, UNKNOWN)], &[standing()], &[]);
    assert_eq!((found.rules[0].state, found.rules[0].is_sure), (UNKNOWN, false));
}

#[test]
fn a_last_price() {
    let (_, symbol) = recover_standing(&[set(3, CLEAR)], &[standing()], &[]);
    assert_eq!((symbol.last, symbol.feed_session), (Some((Price(60), 400)), SESSION));
    assert_eq!(symbol.feed_sequence, 30, "what is settled does not go on with it");
    let later = Standing { feed_sequence: 501, last: Some(Price(70)), ..standing() };
    assert_eq!(recover_standing(&[], &[standing(), later], &[]).1.last, Some((Price(70), 500)));
    assert_eq!(recover_standing(&[], &[later, standing()], &[]).1.last, Some((Price(70), 500)), "a day read again");
    let none = Standing { last: None, ..later };
    assert_eq!(recover_standing(&[], &[standing(), none], &[]).1.last, Some((Price(60), 400)), "a gap came");
}

#[test]
fn a_last_price_of_another_session() {
    let next = Change { feed_session: *b"S000000002", feed_sequence: 1, feed_time: 5_000, ..set(4, UNKNOWN) };
    let voided = Standing { feed_session: *b"S000000002", feed_time: 5_000, last: None, ..standing() };
    for (changes, standings) in [(vec![next], vec![standing()]), (vec![], vec![standing(), voided])] {
        let (_, symbol) = recover_standing(&changes, &standings, &[]);
        assert_eq!((symbol.last, symbol.feed_session), (None, *b"S000000002"));
    }
}

/// Stamps may lie, as where a configured date gives two days the same one: what has fired in either session must not fire again.
#[test]
fn two_sessions_whose_stamps_do_not_tell_their_order() {
    let next = *b"S000000002";
    let early = |feed_time| Change { feed_session: next, feed_sequence: 70, feed_time, ..set(4, UNKNOWN) };
    for (feed_time, latest) in [(1, SESSION), (5_000, next)] {
        let fired = Logged { feed_session: next, feed_sequence: 80, ts_event: feed_time, ..log(4, What::Met) };
        let (_, symbol) =
            recover_standing(&[set(3, CLEAR), early(feed_time)], &[standing()], &[log(3, What::Met), fired]);
        let of_next = if latest == next { symbol.feed_sequence } else { symbol.other.1 };
        let of_first = if latest == next { symbol.other.1 } else { symbol.feed_sequence };
        assert_eq!((symbol.feed_session, of_first, of_next), (latest, 500, 80));
        // What the next engine takes before it hears the feed is of neither.
        let unheard = Change { feed_session: BLANK, feed_sequence: 1, feed_time: 0, ..set(5, UNKNOWN) };
        let changes = [set(3, CLEAR), early(feed_time), unheard];
        let (_, again) = recover_standing(&changes, &[standing()], &[log(3, What::Met)]);
        assert_eq!([again.feed_session, again.other.0].iter().filter(|of| [SESSION, next].contains(*of)).count(), 2);
    }
}

#[test]
fn a_later_print_that_the_log_tells() {
    let fired = Logged { price: Some(Price(40)), ..log(3, What::Fired { last: false }) };
    let (_, symbol) = recover_standing(&[set(3, CLEAR)], &[standing()], &[fired]);
    assert_eq!(symbol.last, Some((Price(40), 500)));
    let of_bid = Logged { signal: Signal::Bid, ..fired };
    assert_eq!(recover_standing(&[set(3, CLEAR)], &[standing()], &[of_bid]).1.last, Some((Price(60), 400)));
}

#[test]
fn a_later_print_without_a_price() {
    let (found, symbol) = recover_standing(&[set(3, CLEAR)], &[standing()], &[log(3, What::Met)]);
    assert_eq!((symbol.last, found.rules[0].state), (None, MET));
}

#[test]
fn an_earlier_print_that_the_log_tells() {
    let fired = Logged { price: Some(Price(40)), feed_sequence: 399, ..log(3, What::Fired { last: false }) };
    assert_eq!(recover_standing(&[set(3, CLEAR)], &[standing()], &[fired]).1.last, Some((Price(60), 400)));
}

#[test]
fn a_rule_that_had_seen_no_value_beside_a_last_price() {
    let fired = Logged { price: Some(Price(40)), ..log(3, What::Fired { last: false }) };
    let (found, symbol) = recover_standing(&[set(3, CLEAR), other(4)], &[], &[fired]);
    let states: Vec<(u64, RuleState)> = found.rules.iter().map(|rule| (rule.version, rule.state)).collect();
    assert_eq!((states, symbol.last), (vec![(3, MET), (4, UNKNOWN)], Some((Price(40), 500))));
}

/// Another rule of the symbol, that had seen no value when it was set.
fn other(version: u64) -> Change {
    Change { key: RuleKey { slot: 9, ..key() }, ..set(version, UNKNOWN) }
}

/// A snapshot of the first part of changes and log, and the second part behind it.
fn recover_behind(first: (&[Change], &[Logged]), second: (&[Change], &[Logged]), sure_from: u64) -> PutBack {
    let disk = snapshot_of(None, first, 1, 0);
    let snapshot = opened(&disk);
    let mut recovery = Recovery::after(&snapshot).unwrap();
    let from = first.0.len() as u64 + 1;
    (from..).zip(second.0).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
    second.1.iter().for_each(|logged| recovery.logged(logged));
    put_back(Some(&snapshot), recovery, sure_from)
}

/// The disk with a snapshot that goes on from `last`.
fn snapshot_of(last: Option<&Disk>, part: (&[Change], &[Logged]), from: u64, sure_from: u64) -> Disk {
    let last = last.map(opened);
    let mut recovery = last.as_ref().map_or_else(Recovery::default, |last| Recovery::after(last).unwrap());
    (from..).zip(part.0).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
    part.1.iter().for_each(|logged| recovery.logged(logged));
    let merge = recovery.seal(sure_from);
    let position = Position { next_sequence: from + part.0.len() as u64, chain: 0 };
    let (ordinal, log) = (merge.ordinal(), LogPosition::default());
    let covers = Covers { position, is_closed: false, boot: [1; 16], ordinal, created: 0, log };
    let mut disk = Disk::default();
    let mut writer = SnapshotWriter::begin(&mut disk, &covers, &merge.symbols(), &merge.fates()).unwrap();
    let each = |named: &NamedRule| -> Result<(), SnapshotError> {
        writer.rule(named).unwrap();
        Ok(())
    };
    merge.rules(last.as_ref(), |_| true, each).unwrap();
    writer.finish().unwrap();
    disk
}

fn opened(disk: &Disk) -> Snapshot<Vec<u8>> {
    let name = disk.list().unwrap().pop().unwrap();
    Snapshot::open(disk.read(&name).unwrap()).unwrap()
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
    assert_eq!(recover(&[], &[], false), PutBack::default());
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
    let found = put_back(None, recovery, 0);
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
    let place = |found: &PutBack| (found.symbols[0].feed_session, found.symbols[0].feed_sequence);
    assert_eq!(place(&recover(&[set(3, CLEAR)], &[], true)), (SESSION, 30));
    assert_eq!(place(&recover(&[set(3, CLEAR)], &[log(3, What::Met)], true)), (SESSION, 500));
    let next_day = Change { feed_session: *b"S000000002", feed_time: 9_000, ..set(4, CLEAR) };
    assert_eq!(place(&recover(&[set(3, CLEAR), next_day], &[log(3, What::Met)], true)), (*b"S000000002", 40));
}

/// Version, state, alerts given, quiet until and sureness of the one rule that is left.
fn behind(first: (&[Change], &[Logged]), second: (&[Change], &[Logged])) -> Option<(u64, RuleState, u32, Nanos, bool)> {
    let found = recover_behind(first, second, 0).rules;
    assert!(found.len() <= 1 && found.iter().all(|rule| rule.key.account == 4 && rule.spec == repeat()));
    found.first().map(|rule| (rule.version, rule.state, rule.fires, rule.quiet_until, rule.is_sure))
}

const FIRED: What = What::Fired { last: false };

#[test]
fn a_snapshot_and_nothing_behind_it() {
    let first: (&[Change], &[Logged]) = (&[set(3, CLEAR)], &[log(3, FIRED), log(3, What::Rearmed)]);
    assert_eq!(behind(first, (&[], &[])), Some((3, CLEAR, 1, 2_100, true)));
    let found = recover_behind(first, (&[], &[]), 0);
    let row = found.symbols[0];
    assert_eq!((row.version, row.journaled, row.feed_sequence, found.ordinal), (3, 3, 500, 3));
    assert_eq!((found.counts.snapshot, found.counts.changes, found.counts.logged), (1, 0, 0));
}

#[test]
fn a_rule_of_the_snapshot_that_was_replaced() {
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[set(4, MET)], &[])), Some((4, MET, 1, 1_100, true)));
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[set(4, RuleState::Fired)], &[])), None);
}

#[test]
fn a_rule_of_the_snapshot_that_was_removed() {
    let removed = Change { kind: ChangeKind::Removed, ..set(3, CLEAR) };
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[removed], &[])), None);
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[], &[log(3, What::Removed)])), None);
}

#[test]
fn a_rule_of_the_snapshot_that_fired() {
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[], &[log(3, FIRED)])), Some((3, MET, 1, 2_100, true)));
    assert_eq!(behind((&[set(3, CLEAR)], &[]), (&[], &[log(3, What::Fired { last: true })])), None);
}

#[test]
fn a_rule_of_the_snapshot_that_rearmed() {
    assert_eq!(
        behind((&[set(3, CLEAR)], &[log(3, FIRED)]), (&[], &[log(3, What::Rearmed)])),
        Some((3, CLEAR, 1, 2_100, true))
    );
}

#[test]
fn a_firing_that_the_snapshot_has() {
    let second = log(3, FIRED);
    assert_eq!(behind((&[set(3, CLEAR)], &[log(3, FIRED)]), (&[], &[second])), Some((3, MET, 2, 2_100, true)));
    assert_eq!(behind((&[set(3, CLEAR)], &[log(3, FIRED)]), (&[], &[])), Some((3, MET, 1, 2_100, true)));
}

#[test]
fn a_fate_whose_set_was_not_in_the_journal_yet() {
    let early = [log(4, FIRED)];
    assert_eq!(behind((&[set(3, CLEAR)], &early), (&[set(4, CLEAR)], &[])), Some((4, MET, 1, 2_100, true)));
    let gone = [log(4, What::Fired { last: true })];
    assert_eq!(behind((&[set(3, CLEAR)], &gone), (&[set(4, CLEAR)], &[])), None);
    assert_eq!(recover_behind((&[set(3, CLEAR)], &gone), (&[], &[]), 0).symbols[0].version, 4, "it was given");
    // The set was lost with a crash; the next one has another version.
    assert_eq!(behind((&[set(3, CLEAR)], &gone), (&[set(5, CLEAR)], &[])), Some((5, CLEAR, 0, 0, true)));
}

#[test]
fn a_log_that_lost_what_the_snapshot_lacks() {
    let found = recover_behind((&[set(3, CLEAR)], &[]), (&[], &[]), u64::MAX);
    assert_eq!((found.rules[0].version, found.rules[0].is_sure), (3, false));
    // And what was once unsure stays so in the next snapshot.
    let first = snapshot_of(None, (&[set(3, CLEAR)], &[]), 1, u64::MAX);
    let second = snapshot_of(Some(&first), (&[], &[]), 2, 0);
    let snapshot = opened(&second);
    let found = put_back(Some(&snapshot), Recovery::after(&snapshot).unwrap(), 0);
    assert!(!found.rules[0].is_sure);
}

#[test]
fn a_boot_without_an_end_behind_the_snapshot() {
    let other = Change { key: RuleKey { slot: 9, ..key() }, ..set(4, CLEAR) };
    let found = recover_behind((&[set(3, CLEAR)], &[]), (&[other], &[]), 2);
    let sure: Vec<(u64, bool)> = found.rules.iter().map(|rule| (rule.version, rule.is_sure)).collect();
    assert_eq!(sure, [(3, false), (4, true)]);
}

/// Found by the simulation: a symbol's later message with an earlier stamp was taken for the older one, and fired again.
#[test]
fn a_later_message_with_an_earlier_stamp_is_later() {
    let logged = |feed_sequence, ts_event| Logged { feed_sequence, ts_event, ..log(1, What::Met) };
    let place = |changes: &[Change], logs: &[Logged]| recover(changes, logs, true).symbols[0].feed_sequence;
    assert_eq!(place(&[], &[logged(54, 207), logged(55, 182)]), 55);
    assert_eq!(place(&[set(1, CLEAR)], &[logged(158, 83)]), 158, "nor is what the journal says later by its stamp");
    let next_day = Logged { feed_session: *b"S000000002", ..logged(3, 1 << 60) };
    assert_eq!(place(&[set(1, CLEAR)], &[logged(158, 83), next_day]), 3, "of two sessions the stamps say it");
}
