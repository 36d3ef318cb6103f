//! A journal that is written, crashes at every operation, is read and goes on; one test for each row of the table.

use super::*;
use crate::journal::record::Entry;
use crate::journal::samples::change;
use crate::journal::storage::simulated::{Crash, Disk};
use crate::journal::writer::{Durability, Settings, Writer};

const SEED: u32 = 77;
/// Small, so that the script below has several segments.
const SEGMENT_SIZE: u64 = 700;

fn entry(sequence: u64) -> Entry {
    Entry::Change(*b"demo  ", change(sequence, !sequence.is_multiple_of(4)))
}

/// All records, whose entries must be those of their sequences, and what was found.
fn read(disk: &Disk) -> Result<(u64, Scanned), ScanError> {
    let mut next = 1;
    let scanned = scan(disk, SEED, |record| {
        assert_eq!(record.sequence, next);
        assert!(record.entry == Entry::End || record.entry == entry(next), "{record:?}");
        next += 1;
    })?;
    assert_eq!(scanned.position.next_sequence, next);
    Ok((next - 1, scanned))
}

fn begin(disk: &Disk, durability: Durability) -> io::Result<Writer<Disk>> {
    let (_, found) = read(disk).expect("no crash damages a journal");
    let settings = Settings { durability, segment_size: SEGMENT_SIZE, boot: [1; 16] };
    Writer::begin(disk.clone(), found.position, settings, 9)
}

/// Writes batches until the disk fails. Returns the sequence acknowledged last; `acknowledged` were before.
fn go_on(disk: &Disk, durability: Durability, batches: &[usize], mut acknowledged: u64) -> u64 {
    let mut script = || {
        let mut writer = begin(disk, durability)?;
        // What a start has found, it has synced.
        acknowledged = writer.position().next_sequence - 1;
        for count in batches {
            let from = writer.position().next_sequence;
            acknowledged = writer.commit((from..from + *count as u64).map(entry), 9)?;
        }
        io::Result::Ok(())
    };
    let _ = script();
    acknowledged
}

fn run(disk: &Disk, durability: Durability, batches: &[usize]) -> u64 {
    go_on(disk, durability, batches, 0)
}

const BATCHES: [usize; 7] = [1, 3, 1, 7, 2, 4, 1];

fn written(durability: Durability) -> Disk {
    let disk = Disk::default();
    assert_eq!(run(&disk, durability, &BATCHES), 19);
    disk
}

#[test]
fn no_segments() {
    let (count, found) = read(&Disk::default()).unwrap();
    assert_eq!((count, found.position, found.segments), (0, Position { next_sequence: 1, chain: SEED }, 0));
}

#[test]
fn whole() {
    let disk = written(Durability::Sync);
    let (count, found) = read(&disk).unwrap();
    assert_eq!((count, found.torn, found.is_closed), (19, 0, false));
    assert!(found.segments > 3);
    let mut writer = begin(&disk, Durability::Sync).unwrap();
    writer.close(9).unwrap();
    assert!(writer.commit(std::iter::once(entry(1)), 9).is_err(), "closed");
    let (count, found) = read(&disk).unwrap();
    assert_eq!((count, found.is_closed), (20, true));
}

/// The heart of it: a crash at every write, sync, rename and so on, and then a second one at every operation of the next run.
#[test]
fn every_acknowledged_record_survives_a_crash_at_every_operation() {
    let operations = written(Durability::Sync).operations();
    let mut crashes = 0;
    for at in 0..operations {
        for (crash, seeds) in [(Crash::Kill, 1), (Crash::Power, 6)] {
            for seed in 0..seeds {
                let disk = Disk::default();
                disk.crash_at(at);
                let acknowledged = run(&disk, Durability::Sync, &BATCHES);
                let found = disk.after(crash, seed);
                let (count, _) = read(&found).unwrap_or_else(|error| panic!("{crash:?} at {at}, {seed}: {error}"));
                assert!(count >= acknowledged, "{crash:?} at {at}, {seed}: {count} of {acknowledged}");
                let second = (at * 7 + seed as usize) % 12;
                found.crash_at(second);
                let acknowledged = go_on(&found, Durability::Sync, &[2, 5], acknowledged);
                let (count, _) = read(&found.after(Crash::Power, seed)).unwrap();
                assert!(count >= acknowledged, "then at {second}");
                crashes += 2;
            }
        }
    }
    assert!(crashes > 400, "{crashes}");
}

#[test]
fn without_syncs_a_kill_loses_nothing_and_a_power_cut_leaves_a_prefix() {
    let operations = written(Durability::Process).operations();
    for at in 0..operations {
        let disk = Disk::default();
        disk.crash_at(at);
        let acknowledged = run(&disk, Durability::Process, &BATCHES);
        let killed = disk.after(Crash::Kill, 0);
        assert!(read(&killed).unwrap().0 >= acknowledged);
        // A start after the kill makes sure of what the kernel still had.
        drop(begin(&killed, Durability::Process).unwrap());
        assert!(read(&killed.after(Crash::Power, 1)).unwrap().0 >= acknowledged);
        for seed in 0..4 {
            read(&disk.after(Crash::Power, seed)).unwrap();
        }
    }
}

#[test]
fn what_a_boot_without_an_end_leaves_behind_is_doubtful_from_then_on() {
    let disk = Disk::default();
    let mut doubtful = vec![];
    for (boot, closes) in [(1, false), (1, false), (2, true), (3, false), (3, false)] {
        let mut found = read(&disk).unwrap().1;
        found.begin_boot([boot; 16]);
        doubtful.push(found.doubtful_before);
        let settings = Settings { durability: Durability::Sync, segment_size: 1 << 20, boot: [boot; 16] };
        let mut writer = Writer::begin(disk.clone(), found.position, settings, 9).unwrap();
        let next = found.position.next_sequence;
        // The end of a journal takes a sequence too, and `entry` is asked for none of those.
        writer.commit((next..next + 2).map(entry), 9).unwrap();
        if closes {
            writer.close(9).unwrap();
        }
    }
    assert_eq!(doubtful, [0, 0, 5, 5, 5]);
}

#[test]
fn torn_tail() {
    let disk = written(Durability::Sync);
    let last = disk.list().unwrap().pop().unwrap();
    disk.damage(&last, |bytes| bytes.extend_from_slice(&[3; 50]));
    let (count, found) = read(&disk).unwrap();
    assert_eq!((count, found.torn), (19, 50));
}

#[test]
fn torn_tail_cut_before() {
    let disk = written(Durability::Sync);
    let last = disk.list().unwrap().pop().unwrap();
    disk.damage(&last, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(read(&disk).unwrap().0, 18);
    run(&disk, Durability::Sync, &[2]);
    let (count, found) = read(&disk).unwrap();
    assert_eq!((count, found.torn), (20, 0));
}

#[test]
fn damage() {
    let disk = written(Durability::Sync);
    let names = disk.list().unwrap();
    // In the middle of a segment a later record betrays it, at its end the next segment does.
    disk.damage(&names[0], |bytes| bytes[100] ^= 1);
    assert!(matches!(read(&disk), Err(ScanError::Damage { at: 64, sequence: 1, .. })), "{:?}", read(&disk));
    let disk = written(Durability::Sync);
    disk.damage(&names[1], |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(matches!(read(&disk), Err(ScanError::Missing { .. })));
}

#[test]
fn damage_that_was_cut() {
    let mut disk = written(Durability::Sync);
    let names = disk.list().unwrap();
    disk.damage(&names[1], |bytes| bytes[100] ^= 1);
    let before = std::cell::Cell::new(0);
    let (found, moved) = cut(&mut disk, None, SEED, |_| before.set(before.get() + 1)).unwrap();
    assert_eq!((moved, found.position.next_sequence), (names[2..].to_vec(), before.get() + 1));
    let settings = Settings { durability: Durability::Sync, segment_size: SEGMENT_SIZE, boot: [1; 16] };
    let mut writer = Writer::begin(disk.clone(), found.position, settings, 9).unwrap();
    let next = found.position.next_sequence;
    writer.commit((next..next + 2).map(entry), 9).unwrap();
    assert_eq!(read(&disk).unwrap().0, before.get() + 2);
}

#[test]
fn missing_segment() {
    let mut disk = written(Durability::Sync);
    let names = disk.list().unwrap();
    disk.remove(&names[1]).unwrap();
    let error = read(&disk).unwrap_err();
    assert!(matches!(&error, ScanError::Missing { file, .. } if *file == names[2]), "{error}");
    disk.remove(&names[0]).unwrap();
    assert!(matches!(read(&disk), Err(ScanError::Missing { expected: 1, .. })));
}

#[test]
fn header_damaged() {
    let disk = written(Durability::Sync);
    let names = disk.list().unwrap();
    disk.damage(names.last().unwrap(), |bytes| bytes.truncate(63));
    assert!(matches!(read(&disk), Err(ScanError::Header(_, HeaderError::Damaged))));
}

#[test]
fn newer_version() {
    let disk = written(Durability::Sync);
    let names = disk.list().unwrap();
    disk.damage(&names[0], |bytes| {
        bytes[8] = 9;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    });
    let error = read(&disk).unwrap_err().to_string();
    assert!(error.contains("format version 9, and this program knows versions up to 2"), "{error}");
}

#[test]
fn a_segment_of_version_1() {
    let disk = written(Durability::Sync);
    let expected = read(&disk).unwrap();
    let names = disk.list().unwrap();
    disk.damage(&names[0], |bytes| {
        bytes[8] = 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    });
    assert_eq!(read(&disk).unwrap(), expected);
}

#[test]
fn a_sync_that_failed_is_never_repeated() {
    let operations = written(Durability::Sync).operations();
    for at in 0..operations {
        let disk = Disk::default();
        disk.sync_fails_at(at);
        let Ok(mut writer) = begin(&disk, Durability::Sync) else { continue };
        let failed = BATCHES.iter().any(|count| writer.commit((1..=*count as u64).map(entry), 9).is_err());
        let before = disk.operations();
        assert_eq!(failed, writer.commit(std::iter::empty(), 9).is_err());
        assert!(!failed || disk.operations() == before, "nothing is tried after a failure");
    }
}

#[test]
fn a_full_disk_ends_the_writer_and_what_was_acknowledged_is_there() {
    for room in (64..3_000).step_by(31) {
        let disk = Disk::default();
        disk.full_after(room);
        let acknowledged = run(&disk, Durability::Sync, &BATCHES);
        assert!(read(&disk.after(Crash::Kill, 0)).unwrap().0 >= acknowledged, "{room}");
    }
}
