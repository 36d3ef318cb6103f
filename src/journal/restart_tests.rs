//! One test for each row of the table, bearing its name.

use super::*;
use crate::journal::compaction::CompactionError;
use crate::journal::record::Entry;
use crate::journal::samples::change;
use crate::journal::segment::Header;
use crate::journal::snapshot::{Covers, SnapshotError, SnapshotWriter};
use crate::journal::storage::simulated::Disk;
use crate::journal::writer::{Durability, Settings, Writer};
use crate::model::LogPosition;

/// A disk with sets 1 to 30 in several segments, and snapshots before the second and the fourth segment.
fn disk() -> Disk {
    let mut disk = Disk::default();
    let settings = Settings { durability: Durability::Sync, segment_size: 700, boot: [1; 16] };
    let start = read(&mut disk, 5, false).unwrap().scanned.position;
    let mut writer = Writer::begin(disk.clone(), start, settings, 9).unwrap();
    for n in 1..=30 {
        writer.commit(std::iter::once(Entry::Change(*b"demo  ", change(n, true))), 9).unwrap();
    }
    for at in [1, 3] {
        snapshot_before(&mut disk, at);
    }
    disk
}

/// Makes a snapshot that goes up to the segment at this place.
fn snapshot_before(disk: &mut Disk, at: usize) {
    let (first, name) = scan::segments(disk).unwrap()[at].clone();
    let header = Header::read(&disk.read(&name).unwrap()).unwrap();
    let mut recovery = Recovery::default();
    (1..first).for_each(|n| recovery.journaled(n, *b"demo  ", &change(n, true)));
    let merge = recovery.seal(0);
    let position = crate::journal::writer::Position { next_sequence: first, chain: header.seed };
    let covers = Covers {
        position,
        is_closed: false,
        boot: [1; 16],
        ordinal: first - 1,
        created: 0,
        log: LogPosition::default(),
    };
    let mut writer = SnapshotWriter::begin(disk, &covers, &merge.symbols(), &merge.fates()).unwrap();
    let none: Option<&Snapshot<Vec<u8>>> = None;
    merge.rules(none, |_| true, |rule| Ok::<(), CompactionError>(writer.rule(rule)?)).unwrap();
    writer.finish().unwrap();
}

/// Changes behind the snapshot, the rules that it has, where the journal goes on, and what was moved.
fn found(disk: &Disk, cuts: bool) -> Result<(u64, u64, u64, Vec<String>), ScanError> {
    let found = read(&mut disk.clone(), 5, cuts)?;
    let counts = found.recovery.seal(0).counts();
    Ok((counts.changes, counts.snapshot, found.scanned.position.next_sequence, found.cut))
}

/// The names of the snapshots and of the segments.
fn names(disk: &Disk) -> (Vec<String>, Vec<String>) {
    let name = |(_, name)| name;
    (
        snapshot::list(disk).unwrap().into_iter().map(name).collect(),
        scan::segments(disk).unwrap().into_iter().map(name).collect(),
    )
}

/// Flips a bit in the middle.
fn damage(disk: &Disk, name: &str) {
    disk.damage(name, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
}

#[test]
fn no_snapshot() {
    let mut disk = disk();
    names(&disk).0.iter().for_each(|name| disk.remove(name).unwrap());
    assert_eq!(found(&disk, false).unwrap(), (30, 0, 31, vec![]));
}

#[test]
fn newest_snapshot() {
    let disk = disk();
    let (changes, rules, next, cut) = found(&disk, false).unwrap();
    assert!(changes < 25 && rules > 5 && changes + rules <= 30, "{changes} {rules}");
    assert_eq!((next, cut), (31, vec![]));
    // What lies before it is not looked at.
    damage(&disk, &names(&disk).1[0]);
    damage(&disk, &names(&disk).0[0]);
    assert!(found(&disk, false).is_ok());
    damage(&disk, &names(&disk).1[4]);
    assert!(matches!(found(&disk, false), Err(ScanError::Damage { .. })));
}

#[test]
fn half_a_snapshot() {
    let mut disk = disk();
    let newest = names(&disk).0.pop().unwrap();
    disk.rename(&newest, &format!("{newest}.new")).unwrap();
    disk.damage(&format!("{newest}.new"), |bytes| bytes.truncate(200));
    let (_, rules, next, _) = found(&disk, false).unwrap();
    assert!(rules > 0 && next == 31, "the one before it");
}

#[test]
fn damaged_snapshot() {
    let disk = disk();
    let newest = names(&disk).0.pop().unwrap();
    let before = found(&disk, false).unwrap();
    damage(&disk, &newest);
    let error = found(&disk, false).unwrap_err();
    assert!(matches!(&error, ScanError::Snapshot(name, SnapshotError::Damaged(_)) if *name == newest), "{error}");
    let after = found(&disk, true).unwrap();
    assert!(after.0 > before.0 && after.1 < before.1 && after.2 == 31, "{after:?}");
    assert_eq!(after.3, [newest]);
}

#[test]
fn newer_snapshot_version() {
    let disk = disk();
    let newest = names(&disk).0.pop().unwrap();
    disk.damage(&newest, |bytes| {
        bytes[8] = 9;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..128]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    });
    let error = found(&disk, false).unwrap_err();
    assert!(error.to_string().ends_with("it has format version 9, and this program knows version 2"), "{error}");
}

#[test]
fn only_snapshot_damaged() {
    let mut whole = disk();
    let (snapshots, segments) = names(&whole);
    whole.remove(&snapshots[0]).unwrap();
    damage(&whole, &snapshots[1]);
    assert!(found(&whole, false).is_err());
    assert_eq!(found(&whole, true).unwrap(), (30, 0, 31, vec![snapshots[1].clone()]));
    let mut pruned = disk();
    pruned.remove(&snapshots[0]).unwrap();
    damage(&pruned, &snapshots[1]);
    segments[..3].iter().for_each(|name| pruned.remove(name).unwrap());
    let (changes, rules, next, cut) = found(&pruned, true).unwrap();
    assert_eq!((changes, rules, next, cut.len()), (0, 0, 1, segments.len() - 3 + 1));
}

#[test]
fn snapshot_newer_than_journal() {
    let mut disk = disk();
    let (_, segments) = names(&disk);
    segments[3..].iter().for_each(|name| disk.remove(name).unwrap());
    let error = found(&disk, false).unwrap_err();
    let first: u64 = segments[3][..20].parse().unwrap();
    assert!(matches!(error, ScanError::Behind { expected } if expected == first), "{error}");
    let (changes, rules, next, _) = found(&disk, true).unwrap();
    assert!(changes == 0 && rules > 0 && next == first);
    // A segment of the right number that belongs to another journal.
    let mut stranger = self::disk();
    stranger.damage(&segments[3], |bytes| {
        let header = Header { seed: 77, ..Header::read(bytes).unwrap() }.bytes();
        bytes[..header.len()].copy_from_slice(&header);
    });
    assert!(matches!(found(&stranger, false), Err(ScanError::Missing { .. })));
    assert_eq!(found(&stranger, true).unwrap().2, first);
    // And the journal goes on behind it.
    let settings = Settings { durability: Durability::Sync, segment_size: 700, boot: [1; 16] };
    let position = read(&mut stranger, 5, false);
    assert!(matches!(position, Err(ScanError::Behind { .. })), "as long as nothing goes on");
    let position = read(&mut stranger, 5, true).unwrap().scanned.position;
    let mut writer = Writer::begin(stranger.clone(), position, settings, 9).unwrap();
    writer.commit(std::iter::once(Entry::Change(*b"demo  ", change(70, true))), 9).unwrap();
    assert_eq!(found(&stranger, false).unwrap().0, 1);
}

#[test]
fn missing_snapshot() {
    let mut disk = disk();
    let (snapshots, segments) = names(&disk);
    snapshots.iter().chain(&segments[..3]).for_each(|name| disk.remove(name).unwrap());
    let error = found(&disk, false).unwrap_err();
    assert!(matches!(error, ScanError::Missing { expected: 1, .. }), "{error}");
    let (changes, rules, next, cut) = found(&disk, true).unwrap();
    assert_eq!((changes, rules, next, cut.len()), (0, 0, 1, segments.len() - 3));
}

#[test]
fn what_is_kept_goes_on_from_a_snapshot_or_from_the_start() {
    let mut disk = disk();
    let (snapshots, segments) = names(&disk);
    assert!(oldest(&disk).unwrap().is_none());
    disk.remove(&segments[0]).unwrap();
    let covers = *oldest(&disk).unwrap().unwrap().covers();
    assert_eq!(covers.file_name(), snapshots[0]);
    let mut records = covers.position.next_sequence - 1;
    scan::scan_behind(&disk, Some(&covers), 5, |_| records += 1).unwrap();
    assert_eq!(records, 30);
    disk.remove(&segments[1]).unwrap();
    let covers = *oldest(&disk).unwrap().unwrap().covers();
    assert_eq!(covers.file_name(), snapshots[1], "an interrupted removal has left the segment before it");
    snapshots.iter().for_each(|name| disk.remove(name).unwrap());
    assert!(matches!(oldest(&disk), Err(ScanError::Missing { .. })));
}
