//! Any history, in any parts, against the plainest reading of journal and log.

use super::*;
use proptest::prelude::*;

/// What one shard and its journal and log may tell, in order, of a few rules of two symbols: sets, removals, and what becomes
/// of rules, also of some whose set or removal a crash has taken from the journal.
fn histories() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((0usize..6, 0u8..12, any::<u8>()), 0..80)
}

/// A history as changes and log, each in order.
fn told(history: &[(usize, u8, u8)]) -> (Vec<Change>, Vec<Logged>) {
    let (mut changes, mut logs, mut living, mut versions) = (vec![], vec![], [0u64; 6], [0u64; 2]);
    for (at, (slot, what, chance)) in (1u64..).zip(history) {
        let symbol = slot % 2;
        let key = RuleKey { slot: *slot as u32, symbol: Symbol(symbol as u64), ..key() };
        let place = |logged: Logged| Logged { key, feed_sequence: at, ts_event: at, ..logged };
        let is_lost = *chance < 16;
        match what {
            0..3 => {
                versions[symbol] += 1;
                if living[*slot] != 0 {
                    logs.push(Logged { ordinal: at, ..place(log(living[*slot], What::Replaced)) });
                }
                let state = [RuleState::Unknown, CLEAR, MET, RuleState::Fired][usize::from(*chance % 4)];
                living[*slot] = if state == RuleState::Fired { 0 } else { versions[symbol] };
                let change = set(versions[symbol], state);
                if !is_lost {
                    changes.push(Change { key, ordinal: at, feed_sequence: at, feed_time: at, ..change });
                }
            }
            _ if living[*slot] == 0 => (),
            3 => {
                let removed = Change { kind: ChangeKind::Removed, ..set(living[*slot], CLEAR) };
                logs.push(Logged { ordinal: at, ..place(log(living[*slot], What::Removed)) });
                if !is_lost {
                    changes.push(Change { key, ordinal: at, feed_sequence: at, feed_time: at, ..removed });
                }
                living[*slot] = 0;
            }
            4 | 5 => logs.push(place(log(living[*slot], What::Met))),
            6 | 7 => logs.push(place(log(living[*slot], What::Rearmed))),
            8..11 => logs.push(place(log(living[*slot], FIRED))),
            _ => {
                logs.push(place(log(living[*slot], What::Fired { last: true })));
                living[*slot] = 0;
            }
        }
    }
    (changes, logs)
}

/// The rules by the plainest reading: all of the journal into a map by key, then all of the log.
fn naive(changes: &[Change], logs: &[Logged]) -> Vec<(Symbol, u64, RuleState, u32, Nanos)> {
    let mut rules = std::collections::BTreeMap::new();
    for change in changes {
        let at = (change.key.symbol, change.key.slot);
        match change.kind {
            ChangeKind::Set(_, RuleState::Fired) => rules.retain(|key, _| *key != at),
            ChangeKind::Set(_, state) => {
                let fires = u32::from(state == MET);
                rules.insert(at, (change.version, state, fires, if fires == 1 { change.feed_time + 100 } else { 0 }));
            }
            ChangeKind::Removed if rules.get(&at).is_some_and(|rule| rule.0 == change.version) => {
                rules.retain(|key, _| *key != at)
            }
            ChangeKind::Removed => (),
        }
    }
    for logged in logs {
        let at = (logged.key.symbol, logged.key.slot);
        let Some(rule) = rules.get_mut(&at).filter(|rule| rule.0 == logged.version) else { continue };
        match logged.what {
            What::Fired { last: false } => *rule = (rule.0, MET, rule.2 + 1, logged.ts_event + 100),
            What::Met => rule.1 = MET,
            What::Rearmed => rule.1 = CLEAR,
            What::Replaced => (),
            What::Fired { last: true } | What::Expired | What::Removed => rules.retain(|key, _| *key != at),
        }
    }
    let mut left: Vec<_> = rules.iter().map(|(at, rule)| (at.0, rule.0, rule.1, rule.2, rule.3)).collect();
    left.sort_by_key(|rule| (rule.0, rule.1));
    left
}

/// What happened to a symbol in one step of a day, or of the next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A print at this price: of which the log tells nothing, an alert, or that a rule was met.
    Print(i64, Option<bool>),
    /// A rule was set.
    Set,
    /// The shard told where it stands.
    Told,
    /// The next session begins.
    Session,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let print = (1i64..9, prop::option::of(any::<bool>())).prop_map(|(price, told)| Step::Print(price, told));
    let step = prop_oneof![6 => print, 3 => Just(Step::Told), 2 => Just(Step::Set), 1 => Just(Step::Session)];
    prop::collection::vec(step, 0..30)
}

/// The steps as journal and log tell them, and what is known of the last price: of the session of the last thing that is told,
/// what is told of the latest print.
fn told_of_prints(steps: &[Step]) -> (Vec<Entry>, Vec<Logged>, Option<(Price, u64)>) {
    let (mut journal, mut logs, mut last, mut day, mut version) = (vec![], vec![], None, 0u8, 0);
    let (mut known, mut known_day, mut sequence) = (None, 0, 0);
    for (time, step) in (1..).zip(steps) {
        let feed_session = [b'0' + day; 10];
        sequence += 1;
        let is_told = !matches!(step, Step::Print(_, None) | Step::Session);
        if is_told && known_day != day {
            (known, known_day) = (None, day);
        }
        match *step {
            Step::Print(price, told) => {
                last = Some(Price(price));
                let price = told.and_then(|has_price| has_price.then_some(Price(price)));
                let what = if price.is_some() { FIRED } else { What::Met };
                if told.is_some() {
                    logs.push(Logged { feed_session, feed_sequence: sequence, ts_event: time, price, ..log(1, what) });
                    known = price.map(|price| (price, sequence));
                }
            }
            Step::Set => {
                version += 1;
                let change = Change { feed_session, feed_sequence: sequence, feed_time: time, ..set(version, CLEAR) };
                journal.push(Entry::Change(DEMO, change));
            }
            Step::Told => {
                let place = Standing { feed_session, feed_sequence: sequence, feed_time: time, ..standing() };
                journal.push(Entry::Standing(Standing { last, ..place }));
                known = last.map(|price| (price, sequence - 1)).or(known);
            }
            Step::Session => (last, day, sequence) = (None, day + 1, 0),
        }
    }
    (journal, logs, known)
}

proptest! {
    /// Journal and log in either order, with a snapshot anywhere in both: the last price is what is told of the latest print.
    #[test]
    fn the_last_price_is_the_latest_that_is_told(steps in steps(), (in_journal, in_log) in (0usize..30, 0usize..30)) {
        let (journal, logs, expected) = told_of_prints(&steps);
        let (in_journal, in_log) = (in_journal.min(journal.len()), in_log.min(logs.len()));
        for log_first in [false, true] {
            let mut recovery = Recovery::default();
            let parts = [(0..in_journal, 0..in_log), (in_journal..journal.len(), in_log..logs.len())];
            for (of_journal, of_log) in parts {
                if log_first {
                    logs[of_log.clone()].iter().for_each(|logged| recovery.logged(logged));
                }
                for at in of_journal {
                    recovery.record(&Record { sequence: at as u64 + 1, durable: 0, entry: journal[at] });
                }
                if !log_first {
                    logs[of_log].iter().for_each(|logged| recovery.logged(logged));
                }
                // What a snapshot keeps of it.
                let symbols = recovery.symbols.values().map(|row| (row.symbol, *row)).collect();
                recovery = Recovery { symbols, ..Recovery::default() };
            }
            let found = recovery.symbols.get(&GME).map_or(0, |row| row.last_sequence);
            let last = recovery.symbols.get(&GME).and_then(|row| Merge::restored_symbol(row).last);
            prop_assert_eq!(last, expected, "{} {}", log_first, found);
        }
    }

    /// Any history, with snapshots taken at any places of the journal and any of the log: all says what a reading from the
    /// start says, and that is what the plainest reading says.
    #[test]
    fn snapshots_at_any_place_change_nothing(history in histories(), cuts in prop::collection::vec((0usize..90, 0usize..90), 0..5)) {
        let (changes, logs) = told(&history);
        let whole = recover(&changes, &logs, true);
        let (mut journal_at, mut log_at, mut last): (usize, usize, Option<Disk>) = (0, 0, None);
        for (journal, log) in cuts {
            let (journal, log) = (journal.clamp(journal_at, changes.len().max(journal_at)), log.clamp(log_at, logs.len().max(log_at)));
            let part = (&changes[journal_at..journal], &logs[log_at..log]);
            last = Some(snapshot_of(last.as_ref(), part, journal_at as u64 + 1, 0));
            (journal_at, log_at) = (journal, log);
        }
        let snapshot = last.as_ref().map(opened);
        let mut recovery = snapshot.as_ref().map_or_else(Recovery::default, |snapshot| Recovery::after(snapshot).unwrap());
        (1..).zip(&changes[journal_at..]).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
        logs[log_at..].iter().for_each(|logged| recovery.logged(logged));
        let found = put_back(snapshot.as_ref(), recovery, 0);
        prop_assert_eq!(&found.rules, &whole.rules);
        if let Some(snapshot) = &snapshot {
            let mut recovery = Recovery::with_rules(snapshot).unwrap();
            (1..).zip(&changes[journal_at..]).for_each(|(record, change)| recovery.journaled(record, DEMO, change));
            logs[log_at..].iter().for_each(|logged| recovery.logged(logged));
            prop_assert_eq!(recovery.seal(0).gather(number).rules, whole.rules.clone());
        }
        prop_assert_eq!(&found.symbols, &whole.symbols);
        prop_assert_eq!(found.ordinal, whole.ordinal);
        // Which of the unknown have seen a value is not the plainest reading's business.
        let known = |rule: &RestoredRule| if rule.state == RuleState::Unknown { CLEAR } else { rule.state };
        let expected: Vec<_> = naive(&changes, &logs).into_iter()
            .map(|rule| (rule.0, rule.1, if rule.2 == RuleState::Unknown { CLEAR } else { rule.2 }, rule.3, rule.4)).collect();
        let rules: Vec<_> = whole.rules.iter()
            .map(|rule| (rule.key.symbol, rule.version, known(rule), rule.fires, rule.quiet_until)).collect();
        prop_assert_eq!(rules, expected);
    }
}
