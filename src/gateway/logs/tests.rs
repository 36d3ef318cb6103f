//! All logs against plain vectors, over kills, stops, boots of the machine and changes of the config; and every damage.

use std::collections::BTreeMap;
use std::io::IoSlice;

use proptest::prelude::*;

use super::super::log::opened::End;
use super::super::log::{DROP_COPY, stream_of};
use super::super::record::Audience;
use super::*;

const SIZE: usize = limits::SEGMENT_SIZE_MIN as usize;
const NAMES: [Name; 5] = [*b"a     ", *b"b     ", *b"c     ", *b"d     ", *b"audit "];
const HOUR: Nanos = 3_600_000_000_000;

fn retention(segments: usize) -> Retention {
    Retention { size: (segments * SIZE) as u64, time: 1_000 * HOUR }
}

fn run(boot: u8, ts: Nanos) -> Run {
    Run { boot: [boot; 16], ts }
}

fn open(root: &Path, retention: Retention, accounts: &[Name], run: Run) -> Logs {
    Logs::open(root, SIZE, retention, accounts, run).unwrap_or_else(|error| panic!("{error}"))
}

/// Keeps the logs as the agent does, until nothing is left to do.
fn keep(logs: &mut Logs, now: Nanos) {
    loop {
        let retired = logs.retired(now);
        let is_done = retired.is_none() && logs.current().wanted().is_none();
        match retired {
            Some(Retired::Segment(segment)) => segment.remove().unwrap(),
            Some(Retired::Session(kept)) => fs::remove_dir_all(&kept.directory).unwrap(),
            None => (),
        }
        let shape = logs.shape();
        let log = logs.current_mut();
        log.set_time(now);
        if let Some(ordinal) = log.wanted() {
            log.provide(shape.create(ordinal).unwrap());
        }
        if is_done {
            return;
        }
    }
}

/// Message n, with the account's name where messages have it.
fn message(name: &Name, n: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = format!("{n:0width$}", width = 40 + n as usize * 7 % 100).into();
    bytes[5..11].copy_from_slice(name);
    bytes
}

fn append(logs: &mut Logs, audience: Audience, bytes: &[u8]) {
    let log = logs.current_mut();
    log.append(audience, 0, bytes.len(), |out| out.copy_from_slice(bytes)).expect("room");
}

fn read(log: &AlertLog, stream: usize) -> (u64, Vec<Vec<u8>>) {
    let first = log.oldest(stream);
    let (mut cursor, mut seen) = (log.cursor(stream, first), vec![]);
    loop {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = log.gather(cursor, &mut slices).unwrap();
        if count == 0 {
            return (first, seen);
        }
        seen.extend(slices[..count].iter().map(|slice| slice[3..].to_vec()));
        log.step(&mut cursor, count).unwrap();
    }
}

/// What a session's streams must be: the drop copy's under a blank name.
#[derive(Clone, Default)]
struct Naive {
    session: String,
    streams: BTreeMap<Name, Vec<Vec<u8>>>,
}

const DROP: Name = *b"      ";

impl Naive {
    fn join(&mut self, accounts: &[Name]) {
        for name in accounts.iter().chain(&[DROP]) {
            self.streams.entry(*name).or_default();
        }
    }

    fn check(&self, log: &AlertLog) {
        for (name, all) in &self.streams {
            let stream = if *name == DROP { DROP_COPY } else { stream_of(log.account(name).expect("it has a stream")) };
            let (oldest, kept) = read(log, stream);
            assert_eq!(log.next(stream) as usize, all.len() + 1, "{name:?} of {}", self.session);
            assert!(kept == all[oldest as usize - 1..], "{name:?} of {} from {oldest}", self.session);
        }
    }
}

fn check(naive: &[Naive], logs: &Logs) {
    let (current, over) = naive.split_last().expect("a session");
    assert_eq!(current.session, logs.session().to_string());
    current.check(logs.current());
    for (session, log) in logs.over() {
        let naive = over.iter().find(|naive| naive.session == session.to_string()).expect("it was there");
        naive.check(log);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many messages, whose audiences follow from this number.
    Append(u64, u64),
    /// The process ends, in order or not, the machine perhaps boots, and the config has these accounts then.
    Again { in_order: bool, boots: bool, accounts: Vec<Name> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let accounts = prop::sample::subsequence(NAMES.to_vec(), 1..=5).prop_shuffle();
    let again = (any::<bool>(), any::<bool>(), accounts).prop_map(|(in_order, boots, accounts)| Step::Again {
        in_order,
        boots,
        accounts,
    });
    let appends = (0u64..1_000, 0u64..900).prop_map(|(seed, count)| Step::Append(seed, count));
    prop::collection::vec(prop_oneof![3 => appends, 2 => again], 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Numbers go on whatever happens to process, machine and config; what is kept is what was told.
    #[test]
    fn like_vectors_over_any_ends_and_changes_of_the_config(steps in steps(), segments in 4usize..12) {
        let root = tempfile::tempdir().unwrap();
        let (mut accounts, mut boot, mut ts) = (NAMES.to_vec(), 1, 1_000 * HOUR);
        let mut logs = Some(open(root.path(), retention(segments), &accounts, run(boot, ts)));
        let mut naive = vec![Naive { session: logs.as_ref().unwrap().session().to_string(), ..Naive::default() }];
        naive[0].join(&accounts);
        let mut n = 0;
        for step in steps {
            ts += HOUR;
            match step {
                Step::Append(seed, count) => for k in 0..count {
                    n += 1;
                    let logs = logs.as_mut().unwrap();
                    keep(logs, ts);
                    let told = naive.last_mut().unwrap();
                    let name = accounts[(seed + k * k) as usize % accounts.len()];
                    let audience = match (seed + k) % 9 {
                        0 => Audience::Everyone,
                        1 => Audience::Nobody,
                        _ => Audience::Account(logs.current().account(&name).unwrap()),
                    };
                    let bytes = message(&name, n);
                    append(logs, audience, &bytes);
                    for (stream, all) in &mut told.streams {
                        let is_told = match audience {
                            Audience::Nobody => false,
                            Audience::Everyone => true,
                            Audience::Account(_) => *stream == name || *stream == DROP,
                        };
                        if is_told { all.push(bytes.clone()) }
                    }
                },
                Step::Again { in_order, boots, accounts: next } => {
                    let mut before = logs.take().unwrap();
                    if in_order { before.current_mut().close().unwrap() }
                    drop(before);
                    boot += u8::from(boots);
                    accounts = next;
                    let now = open(root.path(), retention(segments), &accounts, run(boot, ts));
                    if boots && !in_order {
                        let session = now.session().to_string();
                        prop_assert!(session > naive.last().unwrap().session);
                        naive.push(Naive { session, ..Naive::default() });
                    }
                    naive.last_mut().unwrap().join(&accounts);
                    check(&naive, &now);
                    logs = Some(now);
                }
            }
        }
        let mut logs = logs.unwrap();
        keep(&mut logs, ts);
        check(&naive, &logs);
        let size: u64 = logs.current().size() + logs.over().map(|(_, log)| log.size()).sum::<u64>();
        prop_assert!(size <= (segments * SIZE) as u64);
    }
}

/// A log of two segments and a bit, as a kill leaves it; the bytes of its last segment, where they end, and its messages.
fn after_a_kill() -> (tempfile::TempDir, PathBuf, Vec<u8>, usize, Vec<Vec<u8>>) {
    let root = tempfile::tempdir().unwrap();
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    let mut n = 0;
    while logs.current().segments().len() < 3 || n % 50 > 0 {
        keep(&mut logs, HOUR);
        append(&mut logs, Audience::Account((n % 5) as u16), &message(&NAMES[n as usize % 5], n));
        n += 1;
    }
    let end = logs.current().end() as u32 as usize;
    let all = read(logs.current(), DROP_COPY).1;
    let path = logs.shape().directory.join(format!("{:020}.segment", 2));
    drop(logs);
    let bytes = fs::read(&path).unwrap();
    (root, path, bytes, end, all)
}

fn session_of(path: &Path) -> (PathBuf, SessionId) {
    let directory = path.parent().unwrap().to_path_buf();
    let number = directory.file_name().unwrap().to_str().unwrap().parse().unwrap();
    (directory, SessionId::from_number(number))
}

/// Opens it as it is; true when it would go on in the same boot. What is left must be a prefix, and all of it if it goes on.
fn goes_on(path: &Path, all: &[Vec<u8>]) -> bool {
    let (directory, session) = session_of(path);
    let found = opened::open(&directory, &session, Access::Reader).unwrap().expect("its first segments are whole");
    let (first, kept) = read(&found.log, DROP_COPY);
    assert_eq!(first, 1);
    assert!(all.starts_with(&kept), "a prefix");
    let goes_on = opened::is_sure(found.end, &found.boot, &[1; 16]);
    assert!(!goes_on || kept.len() == all.len(), "nothing is missing of what goes on");
    goes_on
}

#[test]
fn killed() {
    let (root, path, _, end, all) = after_a_kill();
    assert!(goes_on(&path, &all));
    let logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    assert_eq!((logs.session(), read(logs.current(), DROP_COPY)), (session_of(&path).1, (1, all)));
    assert!(logs.current().end() as u32 as usize > end, "it says that a run begins");
}

#[test]
fn garbage_behind_the_end() {
    let (_root, path, mut bytes, end, all) = after_a_kill();
    bytes[end + 200] = 1;
    fs::write(&path, &bytes).unwrap();
    assert!(!goes_on(&path, &all));
}

/// Every bit of the last records, the header and what lies behind the end.
#[test]
fn damaged_record() {
    let (_root, path, bytes, end, all) = after_a_kill();
    assert!(goes_on(&path, &all));
    let mut harmless = 0;
    for place in (end - 700..end + 400).chain(24..64) {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            let goes_on = goes_on(&path, &all);
            harmless += usize::from(goes_on);
            // Behind the end is what a kill may leave of a record, and the spare bytes of the header mean nothing.
            assert!(!goes_on || place >= end || (42..64).contains(&place), "byte {place} of {end}, bit {bit}");
        }
    }
    assert!(harmless > 100);
}

/// At every byte around the end; and zeros instead of the last bytes.
#[test]
fn cut_file() {
    let (root, path, bytes, end, all) = after_a_kill();
    for size in (end - 400..end + 200).chain([0, 63, 64, 65, SIZE - 1]) {
        fs::write(&path, &bytes[..size]).unwrap();
        assert!(!goes_on(&path, &all), "{size}");
    }
    // Bytes that never reached the disk are zeros in a file of the right size: in the same boot that cannot be.
    let mut zeroed = bytes.clone();
    zeroed[end - 100..].fill(0);
    fs::write(&path, &zeroed).unwrap();
    let session = session_of(&path).1;
    let logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    assert!(logs.session().0 > session.0);
    let (over, log) = logs.over().next().unwrap();
    let (_, kept) = read(log, DROP_COPY);
    assert!(over == session && all.starts_with(&kept) && kept.len() + 3 > all.len());
}

#[test]
fn killed_in_the_middle_of_a_record() {
    let (root, path, mut bytes, end, mut all) = after_a_kill();
    bytes[end + 4..end + 100].fill(0xaa);
    fs::write(&path, &bytes).unwrap();
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    assert_eq!(logs.session(), session_of(&path).1);
    append(&mut logs, Audience::Everyone, b"short");
    all.push(b"short".to_vec());
    drop(logs);
    assert!(goes_on(&path, &all));
}

#[test]
fn killed_in_the_middle_of_a_rotation() {
    let (root, path, bytes, end, all) = after_a_kill();
    let next = path.with_file_name(format!("{:020}.segment", 3));
    let mut begun = bytes[..SIZE].to_vec();
    begun[16] = 3;
    fs::write(&next, begun).unwrap();
    let logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    assert_eq!(logs.session(), session_of(&path).1);
    assert_eq!(read(logs.current(), DROP_COPY).1, all);
    let fresh = fs::read(&next).unwrap();
    assert_eq!(fresh[24..32], [0; 8], "the one behind is a new one, not begun");
    assert!(logs.current().end() as u32 as usize > end);
}

#[test]
fn when_a_log_goes_on() {
    let same = [1; 16];
    for (end, written, now, sure) in [
        (End::Closed, same, same, true),
        (End::Closed, same, [2; 16], true),
        (End::Open, same, same, true),
        (End::Open, same, [2; 16], false),
        (End::Open, [0; 16], [0; 16], false),
        (End::Damaged, same, same, false),
    ] {
        assert_eq!(opened::is_sure(end, &written, &now), sure, "{end:?}");
    }
}

#[test]
fn closed_in_order() {
    let (root, path, ..) = after_a_kill();
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    logs.current_mut().close().unwrap();
    drop(logs);
    let (directory, session) = session_of(&path);
    let end = || opened::open(&directory, &session, Access::Reader).unwrap().unwrap().end;
    assert_eq!(end(), End::Closed);
    drop(open(root.path(), retention(8), &NAMES, run(2, HOUR)));
    assert_eq!(end(), End::Open);
    assert!(open(root.path(), retention(8), &NAMES, run(3, HOUR)).session().0 > session.0);
}

#[test]
fn closed_in_order_and_gone_on_behind_it() {
    let root = tempfile::tempdir().unwrap();
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, HOUR));
    // The mark of a stop has room in the segment, and that of the next run has not.
    while SIZE - logs.current().end() as usize > 128 {
        append(&mut logs, Audience::Everyone, b"message");
    }
    logs.current_mut().close().unwrap();
    let path = logs.shape().directory.join("00000000000000000000.segment");
    drop(logs);
    let (directory, session) = session_of(&path);
    let end = || opened::open(&directory, &session, Access::Reader).unwrap().unwrap().end;
    let closed = fs::read(&path).unwrap();
    assert_eq!(end(), End::Closed);
    let mut logs = open(root.path(), retention(8), &NAMES, run(2, HOUR));
    append(&mut logs, Audience::Everyone, b"told by the second run");
    assert_eq!((logs.session(), logs.current().segments().len()), (session, 2));
    drop(logs);
    // The power goes: of the first segment that is left which was synced.
    fs::write(&path, closed).unwrap();
    assert_eq!(end(), End::Open);
    assert!(open(root.path(), retention(8), &NAMES, run(3, HOUR)).session().0 > session.0);
}

#[test]
fn a_wall_clock_that_was_set_back_between_runs_changes_no_order() {
    let root = tempfile::tempdir().unwrap();
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, 1_000 * HOUR));
    append(&mut logs, Audience::Everyone, &message(&DROP, 1));
    let first = logs.session();
    drop(logs);
    let mut logs = open(root.path(), retention(8), &NAMES, run(1, 10 * HOUR));
    append(&mut logs, Audience::Everyone, &message(&DROP, 2));
    assert_eq!((logs.session(), read(logs.current(), DROP_COPY).1.len()), (first, 2), "the session goes on");
    drop(logs);
    let mut logs = open(root.path(), retention(8), &NAMES, run(2, 10 * HOUR));
    assert_eq!(first.0[..9], SessionId::from_number(36_000_000).0[..9]);
    assert_eq!(
        logs.session(),
        SessionId::from_number(36_000_001),
        "greater than those on disk, whatever the clock says"
    );
    assert!(logs.retired(11 * HOUR).is_none(), "nothing is old");
}

#[test]
fn a_next_segment_is_there_from_the_start() {
    let root = tempfile::tempdir().unwrap();
    for boot in [1, 1, 2] {
        let logs = open(root.path(), retention(8), &NAMES, run(boot, HOUR));
        assert!(logs.current().wanted().is_none() && !logs.current().nearly_full());
    }
}

#[test]
fn missing_segment() {
    let (root, path, mut bytes, _, all) = after_a_kill();
    fs::remove_file(path.with_file_name(format!("{:020}.segment", 1))).unwrap();
    assert!(!goes_on(&path, &all));
    // The first one is of a later version of the format.
    bytes[8] += 1;
    fs::write(path.with_file_name(format!("{:020}.segment", 0)), &bytes).unwrap();
    let Err(error) = Logs::open(root.path(), SIZE, retention(8), &NAMES, run(1, HOUR)) else { panic!("it was opened") };
    assert!(error.to_string().contains("format version 3"), "{error}");
}

#[test]
fn too_many_accounts_for_one_session_begin_another() {
    let root = tempfile::tempdir().unwrap();
    let names =
        |of: char| -> Vec<Name> { (0..600).map(|n| format!("{of}{n:<5}").into_bytes().try_into().unwrap()).collect() };
    let first = open(root.path(), retention(8), &names('a'), run(1, HOUR)).session();
    assert_eq!(open(root.path(), retention(8), &names('a')[..5], run(1, HOUR)).session(), first);
    let logs = open(root.path(), retention(8), &names('b'), run(1, HOUR));
    assert!(logs.session().0 > first.0 && logs.current().accounts() == names('b'));
    assert_eq!(logs.over().next().unwrap().1.accounts(), names('a'));
}

#[test]
fn what_is_old_goes_by_time_and_the_active_segment_stays() {
    let root = tempfile::tempdir().unwrap();
    let keeps = Retention { size: 100 * SIZE as u64, time: 10 * HOUR };
    let mut first = open(root.path(), keeps, &NAMES, run(1, HOUR));
    while first.current().segments().len() < 3 {
        keep(&mut first, HOUR);
        append(&mut first, Audience::Everyone, &message(&DROP, 1));
    }
    drop(first);
    let mut logs = open(root.path(), keeps, &NAMES, run(2, 2 * HOUR));
    keep(&mut logs, 11 * HOUR - 1);
    assert_eq!(logs.over().next().unwrap().1.segments().len(), 3);
    keep(&mut logs, 11 * HOUR);
    assert_eq!(logs.over().next().unwrap().1.segments().len(), 1, "its last record may be of the second hour");
    keep(&mut logs, 12 * HOUR);
    assert_eq!((logs.over().count(), sessions(root.path()).unwrap().len()), (0, 1));
    keep(&mut logs, 1_000 * HOUR);
    assert_eq!(logs.current().segments().len(), 1);
}

#[test]
fn a_number_stays_that_of_its_log_until_it_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let ids: Vec<SessionId> =
        (1..=3).map(|boot| open(root.path(), retention(6), &NAMES, run(boot, HOUR)).session()).collect();
    let mut logs = open(root.path(), retention(6), &NAMES, run(3, HOUR));
    let numbers = ids.iter().map(|id| logs.find(id)).collect::<Vec<_>>();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    assert_eq!((logs.find(&SessionId::CURRENT), logs.find(&SessionId(*b"      1234"))), (Some(2), None));
    logs.retention.size = 0;
    keep(&mut logs, 2 * HOUR);
    let found = (0..4).map(|number| logs.session_of(number)).collect::<Vec<_>>();
    assert_eq!(found, [None, None, Some(ids[2]), None]);
    assert!(!logs.is_over(2) && logs.get(2).is_some());
}
