//! The alert log against the disk: segments, rotation, retention, what is full.

use super::super::preparer::Shape;
use super::*;
use crate::soup::login::SessionId;

/// No power of two: offsets have holes then.
const SIZE: usize = limits::SEGMENT_SIZE_MIN as usize + 3 * 4_096;

fn shape(directory: &tempfile::TempDir) -> Shape {
    Shape { directory: directory.path().into(), segment_size: SIZE, session: SessionId(*b"0000000001") }
}

/// Appends `message`, preparing and removing segments as the agent does.
fn append(log: &mut AlertLog, shape: &Shape, audience: Audience, message: &[u8]) -> u64 {
    if let Some(segment) = log.retired() {
        segment.remove().unwrap();
    }
    if let Some(ordinal) = log.wanted() {
        log.provide(shape.create(ordinal).unwrap());
    }
    assert!(log.room() > 0);
    log.append(audience, 5, message.len(), |out| out.copy_from_slice(message)).unwrap()
}

/// Message n: its number as text, padded to lengths that differ.
fn message(n: u64) -> Vec<u8> {
    format!("{n:0width$}", width = 115 + n as usize % 30).into()
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
fn streams_over_many_segments_are_what_was_appended_and_rebuild_from_a_scan() {
    let directory = tempfile::tempdir().unwrap();
    let shape = shape(&directory);
    let mut log = AlertLog::new(shape.create(0).unwrap(), 10 * SIZE as u64, 2);
    let mut streams: [Vec<(u64, Vec<u8>)>; 3] = Default::default();
    for n in 1..=20_000 {
        let offset = append(&mut log, &shape, audience(n), &message(n));
        let told: &[usize] = match audience(n) {
            Audience::Everyone => &[0, 1, 2],
            Audience::Account(0) => &[0, 1],
            Audience::Account(_) => &[0, 2],
            Audience::Nobody => &[],
        };
        told.iter().for_each(|stream| streams[*stream].push((offset, message(n))));
    }
    let segments = log.bytes().count();
    assert_eq!((segments, std::fs::read_dir(directory.path()).unwrap().count()), (9, 10), "the retention holds");
    assert!(log.start() > 0);

    let mut rebuilt: [Vec<u64>; 3] = Default::default();
    for (start, bytes) in log.bytes() {
        for (at, found) in record::scan(bytes) {
            let offset = start + at as u64;
            assert_eq!(log.record(offset), Some(found));
            let account = match found.audience {
                Audience::Nobody => continue,
                Audience::Account(account) => vec![stream_of(account)],
                Audience::Everyone => vec![1, 2],
            };
            assert_eq!(found.number, log.oldest(0) + rebuilt[0].len() as u64);
            rebuilt[0].push(offset);
            for stream in account {
                if found.sequence != 0 {
                    assert_eq!(found.sequence, log.oldest(stream) + rebuilt[stream].len() as u64);
                }
                rebuilt[stream].push(offset);
            }
        }
    }
    for (stream, all) in streams.iter().enumerate() {
        let oldest = log.oldest(stream) as usize;
        assert_eq!(log.next(stream) as usize, all.len() + 1);
        let kept = &all[oldest - 1..];
        assert_eq!(read_all(&log, stream, oldest as u64), kept.iter().map(|(_, m)| m.clone()).collect::<Vec<_>>());
        assert_eq!(rebuilt[stream], kept.iter().map(|(offset, _)| *offset).collect::<Vec<_>>());
        assert!(kept.len() > 500 && all[oldest - 2].0 < log.start());
    }
}

#[test]
fn a_walk_from_the_start_meets_every_record_and_ends_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let shape = shape(&directory);
    let mut log = AlertLog::new(shape.create(0).unwrap(), 100 * SIZE as u64, 2);
    let offsets: Vec<u64> = (1..=3_000).map(|n| append(&mut log, &shape, audience(n), &message(n))).collect();
    let mut walked = vec![];
    let mut at = log.start();
    while at != log.end() {
        walked.push(at);
        at = log.following(at).unwrap();
    }
    assert_eq!(walked, offsets);
}

#[test]
fn without_a_next_segment_it_is_nearly_full_then_full_and_goes_on_when_one_comes() {
    let directory = tempfile::tempdir().unwrap();
    let shape = shape(&directory);
    let mut log = AlertLog::new(shape.create(0).unwrap(), 0, 1);
    let mut count = 0;
    while log.room() > 0 {
        let half = log.end() as usize > SIZE / 2;
        assert_eq!(log.nearly_full(), half);
        assert!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |out| out.fill(1)).is_some());
        count += 1;
    }
    assert_eq!(count, (SIZE - HEADER_SIZE - CLOSING_SIZE) / RECORD_SIZE_MAX);
    assert_eq!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |_| ()), None);
    assert_eq!(log.next(1), count as u64 + 1);
    log.provide(shape.create(log.wanted().unwrap()).unwrap());
    assert!(!log.nearly_full() && log.room() > 0);
    assert!(log.append(Audience::Account(0), 0, MESSAGE_SIZE_MAX, |out| out.fill(2)).is_some());
    assert_eq!(read_all(&log, 1, 1).len(), count + 1);
}

#[test]
fn a_cursor_behind_the_retention_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let shape = shape(&directory);
    let mut log = AlertLog::new(shape.create(0).unwrap(), 0, 1);
    let cursor = log.cursor(1, 1);
    assert_eq!(log.gather(cursor, &mut [IoSlice::new(&[])]), Ok(0));
    while log.start() == HEADER_SIZE as u64 {
        append(&mut log, &shape, Audience::Account(0), &[0; 100]);
    }
    assert_eq!(log.gather(cursor, &mut [IoSlice::new(&[])]), Err(Lagged));
}

#[test]
fn announcements_to_many_accounts_use_up_the_indexes_and_the_log_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let shape = shape(&directory);
    let mut log = AlertLog::new(shape.create(0).unwrap(), 0, 300);
    for n in 1..=5_000 {
        append(&mut log, &shape, Audience::Everyone, &message(n));
    }
    assert_eq!(log.next(300), 5_001);
    let oldest = log.oldest(300);
    assert_eq!(read_all(&log, 300, oldest), (oldest..=5_000).map(message).collect::<Vec<_>>());
}
