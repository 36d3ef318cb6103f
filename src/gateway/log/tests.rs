//! The alert log against the disk: segments, rotation, retention, what is full.

use super::super::marks::Mark;
use super::super::preparer::Shape;
use super::*;
use crate::soup::login::SessionId;

/// No power of two: offsets have holes then.
const SIZE: usize = limits::SEGMENT_SIZE_MIN as usize + 3 * 4_096;

const NAMES: [Name; 3] = [*b"first ", *b"second", *b"third "];
const RUN: Run = Run { boot: [7; 16], ts: 1_000 };

fn shape(directory: &tempfile::TempDir) -> Shape {
    Shape { directory: directory.path().into(), segment_size: SIZE, session: SessionId(*b"0000000001") }
}

/// A log in its first segment, and a retention of so many bytes.
struct Bench {
    log: AlertLog,
    shape: Shape,
    retention: u64,
}

impl Bench {
    fn new(directory: &tempfile::TempDir, retention: usize, accounts: &[Name]) -> Bench {
        let (shape, retention) = (shape(directory), retention.max(3 * SIZE) as u64);
        let log = AlertLog::new(shape.create(0).unwrap(), accounts, retention - SIZE as u64, RUN);
        Bench { log, shape, retention }
    }

    /// Prepares and removes segments as the agent does.
    fn keep(&mut self) {
        let log = &mut self.log;
        let is_full = log.size() + if log.wanted().is_some() { SIZE as u64 } else { 0 } > self.retention;
        let gone = if log.is_index_low() { log.shed() } else { is_full.then(|| log.retire()).flatten() };
        gone.into_iter().for_each(|segment| segment.remove().unwrap());
        if let Some(ordinal) = log.wanted() {
            log.provide(self.shape.create(ordinal).unwrap());
        }
    }

    /// Appends message `n` to this audience.
    fn append(&mut self, audience: Audience, n: u64) -> u64 {
        self.keep();
        assert!(self.log.room() > 0);
        let message = message(audience, n);
        self.log.append(audience, 5, message.len(), |out| out.copy_from_slice(&message)).unwrap()
    }
}

/// Message n: its number as text, padded to lengths that differ, with the account's name where it stands in messages.
fn message(audience: Audience, n: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = format!("{n:0width$}", width = 115 + n as usize % 30).into();
    if let Audience::Account(account) = audience {
        bytes[5..11].copy_from_slice(&NAMES[usize::from(account)]);
    }
    bytes
}

fn read_all(log: &AlertLog, stream: usize, from: u64) -> Vec<Vec<u8>> {
    let (mut cursor, mut seen) = (log.cursor(stream, from), vec![]);
    loop {
        let mut slices = [IoSlice::new(&[]); 7];
        let count = log.gather(cursor, &mut slices).unwrap();
        seen.extend(slices[..count].iter().map(|slice| slice[3..].to_vec()));
        log.step(&mut cursor, count).unwrap();
        if count == 0 {
            assert_eq!(cursor.sequence, log.next(stream));
            return seen;
        }
    }
}

fn audience(n: u64) -> Audience {
    match n % 10 {
        0 => Audience::Everyone,
        1 => Audience::Nobody,
        k => Audience::Account((k % 2) as AccountId),
    }
}

#[test]
fn streams_over_many_segments_are_what_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(&directory, 10 * SIZE, &NAMES[..2]);
    let mut streams: [Vec<(u64, Vec<u8>)>; 3] = Default::default();
    for n in 1..=20_000 {
        let offset = bench.append(audience(n), n);
        let told: &[usize] = match audience(n) {
            Audience::Everyone => &[0, 1, 2],
            Audience::Account(0) => &[0, 1],
            Audience::Account(_) => &[0, 2],
            Audience::Nobody => &[],
        };
        told.iter().for_each(|stream| streams[*stream].push((offset, message(audience(n), n))));
    }
    bench.keep();
    let log = &bench.log;
    let segments = log.segments().len();
    assert_eq!((segments, std::fs::read_dir(directory.path()).unwrap().count()), (9, 10), "the retention holds");
    assert!(log.start() > HEADER_SIZE as u64);
    for (stream, all) in streams.iter().enumerate() {
        let oldest = log.oldest(stream) as usize;
        assert_eq!(log.next(stream) as usize, all.len() + 1);
        let kept = &all[oldest - 1..];
        assert_eq!(read_all(log, stream, oldest as u64), kept.iter().map(|(_, m)| m.clone()).collect::<Vec<_>>());
        assert!(kept.len() > 500 && all[oldest - 2].0 < log.start());
    }
}

#[test]
fn a_walk_from_the_start_meets_every_record_and_ends_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(&directory, 100 * SIZE, &NAMES[..2]);
    let offsets: Vec<u64> = (1..=3_000).map(|n| bench.append(audience(n), n)).collect();
    let is_mark = |record: &Record<'_>| Mark::read(record.message()).is_some();
    let walked: Vec<_> = bench.log.records().filter(|(_, record)| !is_mark(record)).map(|(offset, _)| offset).collect();
    assert_eq!(walked, offsets);
    let marks = bench.log.records().filter(|(_, record)| is_mark(record)).count();
    assert_eq!(marks, 2 * bench.log.segments().len(), "each segment says where it stands");
}

#[test]
fn without_a_next_segment_it_is_nearly_full_then_full_and_goes_on_when_one_comes() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(&directory, 0, &NAMES[..1]);
    let (log, shape) = (&mut bench.log, &bench.shape);
    let mut count = 0;
    while log.room() > 0 {
        let half = log.end() as usize > SIZE / 2;
        assert_eq!(log.nearly_full(), half);
        assert!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |out| out.fill(1)).is_some());
        count += 1;
    }
    assert_eq!(count, (SIZE - HEADER_SIZE - marks::head_size(1) - CLOSING_SIZE) / RECORD_SIZE_MAX);
    assert_eq!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |_| ()), None);
    assert_eq!(log.next(1), count as u64 + 1);
    log.provide(shape.create(log.wanted().unwrap()).unwrap());
    assert!(!log.nearly_full() && log.room() > 0);
    assert!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |out| out.fill(2)).is_some());
    assert_eq!(read_all(log, 1, 1).len(), count + 1);
}

#[test]
fn a_cursor_behind_the_retention_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(&directory, 0, &NAMES[..1]);
    let cursor = bench.log.cursor(1, 1);
    assert_eq!(bench.log.gather(cursor, &mut [IoSlice::new(&[])]), Ok(0));
    while bench.log.start() == HEADER_SIZE as u64 {
        bench.append(Audience::Account(0), 7);
    }
    assert_eq!(bench.log.gather(cursor, &mut [IoSlice::new(&[])]), Err(Lagged));
}

#[test]
fn announcements_to_many_accounts_use_up_the_indexes_and_the_log_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<Name> = (0..300).map(|n| format!("{n:<6}").into_bytes().try_into().unwrap()).collect();
    let mut bench = Bench::new(&directory, 0, &names);
    for n in 1..=5_000 {
        bench.append(Audience::Everyone, n);
    }
    let log = &bench.log;
    assert_eq!(log.next(300), 5_001);
    let oldest = log.oldest(300);
    let wanted: Vec<_> = (oldest..=5_000).map(|n| message(Audience::Everyone, n)).collect();
    assert_eq!(read_all(log, 300, oldest), wanted);
}
