//! What is written is read back, no flipped bit goes unseen, and no crash leaves half a snapshot.

use super::*;
use crate::journal::recovery::End;
use crate::journal::samples::change;
use crate::journal::storage::simulated::{Crash, Disk};
use crate::limits::SNAPSHOT_CHUNK;
use crate::model::{ChangeKind, NEVER, RuleKey, RuleSpec, RuleState};
use proptest::prelude::*;

/// Rule number `n`, some of them plain, of a few accounts and symbols that grow with `n`.
fn rule(n: u64) -> NamedRule {
    let ChangeKind::Set(mut spec, state) = change(n, true).kind else { panic!("a set") };
    if n.is_multiple_of(3) {
        spec = RuleSpec { rearm: Price(0), cooldown: 0, expires_at: NEVER, max_fires: 0, ..spec };
    }
    let is_plain = n.is_multiple_of(3) && !n.is_multiple_of(2);
    let key = RuleKey { user: n * 17, symbol: Symbol(n / 7), slot: n as u32, account: 0 };
    let (fires, quiet_until) = if is_plain { (0, 0) } else { (n as u32, n * 5) };
    let state = if state == RuleState::Fired { RuleState::Met } else { state };
    let is_sure = !n.is_multiple_of(5);
    let account = [b'a' + (n % 9) as u8, b'b', b' ', b' ', b' ', b' '];
    NamedRule { account, rule: RestoredRule { key, spec, version: n, state, fires, quiet_until, is_sure } }
}

fn symbol(n: u64) -> SymbolRow {
    SymbolRow {
        version: n + 1,
        journaled: n,
        evaluated: [n, n + 2, n + 3, n + 4],
        feed_time: n * 3,
        feed_session: *b"0123456789",
        feed_sequence: n * 4,
        other_session: *b"abcdefghij",
        other_sequence: n * 6,
        last: Price(-(n as i64)),
        last_session: *b"9876543210",
        last_sequence: n * 5,
        ..SymbolRow::new(Symbol(n))
    }
}

fn fate(n: u64) -> FateRow {
    let end = [None, Some(End::Over), Some(End::Removed), Some(End::Journaled)][n as usize % 4];
    let state = [None, Some(RuleState::Clear), Some(RuleState::Met)][n as usize % 3];
    let fate = Fate { end, is_replaced: n.is_multiple_of(2), state, fires: n as u32, ts_fired: n * 9 };
    FateRow { symbol: Symbol(n), version: n * 2, fate }
}

const COVERS: Covers = Covers {
    position: Position { next_sequence: 41, chain: 0xdead_beef },
    is_closed: true,
    boot: [7; 16],
    ordinal: 99,
    created: 1_234,
    log: LogPosition { session: 5, segment: 6, offset: 7_000 },
};

fn write(disk: &mut Disk, covers: &Covers, rules: u64) -> io::Result<Totals> {
    let symbols: Vec<SymbolRow> = (0..rules / 7 + 1).map(symbol).collect();
    let fates: Vec<FateRow> = (0..rules / 10).map(fate).collect();
    let mut writer = SnapshotWriter::begin(disk, covers, &symbols, &fates)?;
    for n in 0..rules {
        writer.rule(&rule(n))?;
    }
    writer.finish()
}

fn bytes(rules: u64) -> Vec<u8> {
    let mut disk = Disk::default();
    write(&mut disk, &COVERS, rules).unwrap();
    disk.read(&COVERS.file_name()).unwrap()
}

/// All that a snapshot says.
type Said = (Vec<SymbolRow>, Vec<FateRow>, Vec<NamedRule>);

fn read(snapshot: &Snapshot<Vec<u8>>, takes: impl Fn(Symbol) -> bool) -> Result<Said, SnapshotError> {
    let (mut symbols, mut fates, mut rules) = (vec![], vec![], vec![]);
    snapshot.each_symbol(|row| symbols.push(row))?;
    snapshot.each_fate(|row| fates.push(row))?;
    snapshot.each_rule(&takes, |rule| {
        rules.push(*rule);
        Ok::<(), SnapshotError>(())
    })?;
    Ok((symbols, fates, rules))
}

#[test]
fn what_was_written_is_read_back() {
    for count in [0, 1, 100, SNAPSHOT_CHUNK as u64, SNAPSHOT_CHUNK as u64 * 2 + 3] {
        let snapshot = Snapshot::open(bytes(count)).unwrap();
        let totals = Totals { symbols: count / 7 + 1, fates: count / 10, rules: count };
        assert_eq!((*snapshot.covers(), snapshot.counts()), (COVERS, totals));
        let (symbols, fates, rules) = read(&snapshot, |_| true).unwrap();
        assert!(symbols.into_iter().eq((0..totals.symbols).map(symbol)));
        assert!(fates.into_iter().eq((0..totals.fates).map(fate)));
        assert!(rules.into_iter().eq((0..count).map(rule)));
    }
}

#[test]
fn only_the_rules_of_some_symbols_are_read() {
    let snapshot = Snapshot::open(bytes(100)).unwrap();
    let (_, _, rules) = read(&snapshot, |symbol| symbol.0 % 3 == 1).unwrap();
    assert!(rules.into_iter().eq((0..100).map(rule).filter(|named| named.rule.key.symbol.0 % 3 == 1)));
}

#[test]
fn a_plain_rule_takes_40_bytes() {
    let size = |count: u64| {
        let mut disk = Disk::default();
        let mut writer = SnapshotWriter::begin(&mut disk, &COVERS, &[], &[]).unwrap();
        (0..count).for_each(|_| writer.rule(&rule(3)).unwrap());
        writer.finish().unwrap();
        disk.read(&COVERS.file_name()).unwrap().len()
    };
    assert_eq!(size(5_000) - size(1_000), 4_000 * 40);
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let mut bytes = bytes(40);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Snapshot::open(bytes.clone()).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn no_part_can_be_missing_or_doubled() {
    let whole = bytes(40);
    for size in 0..whole.len() {
        assert!(Snapshot::open(whole[..size].to_vec()).is_err(), "{size}");
    }
    assert!(Snapshot::open([&whole[..], &[0; 16]].concat()).is_err());
    // A chunk of another snapshot, or the same one twice.
    let first = Chunk::read(&whole, HEADER_SIZE, None).unwrap();
    let twice = [&whole[..first.end], &whole[HEADER_SIZE..]].concat();
    assert_eq!(Snapshot::open(twice).err(), Some(SnapshotError::Damaged(first.end)));
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut later = bytes(3);
    later[8] = 9;
    assert_eq!(Snapshot::open(later.clone()).err(), Some(SnapshotError::Header));
    let crc = header_checksum(later.first_chunk().unwrap());
    later[12..16].copy_from_slice(&crc.to_le_bytes());
    let error = Snapshot::open(later).err().unwrap();
    assert!(error.to_string().contains("format version 9, and this program knows version 2"), "{error}");
}

/// A crash at every operation, by a kill or a power cut: the snapshot before it or the new one, each whole.
#[test]
fn every_crash_leaves_the_old_snapshot_or_the_new_one() {
    let later = Covers { position: Position { next_sequence: 50, ..COVERS.position }, ..COVERS };
    for next in [later, Covers { ordinal: 100, ..COVERS }] {
        let operations = {
            let mut disk = Disk::default();
            write(&mut disk, &COVERS, 30).unwrap();
            let before = disk.operations();
            write(&mut disk, &next, 40).unwrap();
            disk.operations() - before
        };
        assert!(operations > 8);
        for at in 0..operations {
            for (crash, seeds) in [(Crash::Kill, 1), (Crash::Power, 8)] {
                for seed in 0..seeds {
                    let mut disk = Disk::default();
                    write(&mut disk, &COVERS, 30).unwrap();
                    disk.crash_at(disk.operations() + at);
                    let done = write(&mut disk, &next, 40);
                    let mut left = disk.after(crash, seed);
                    let (_, name) = list(&left).unwrap().pop().expect("one of them");
                    let snapshot = Snapshot::open(left.read(&name).unwrap()).expect("what has the name is whole");
                    let rules = read(&snapshot, |_| true).unwrap().2.len();
                    assert!(if *snapshot.covers() == next { rules == 40 } else { rules == 30 });
                    assert!(done.is_err());
                    // The next one finds its way over what was left behind.
                    write(&mut left, &next, 40).unwrap();
                    assert!(left.list().unwrap().iter().all(|name| !name.ends_with(".new")));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..2_000) {
        let _ = Snapshot::open(noise.clone()).map(|snapshot| read(&snapshot, |_| true));
        // Chunks whose CRC32C is right and whose archives are anything.
        let mut bytes = bytes(40);
        let at = HEADER_SIZE + at % (bytes.len() - HEADER_SIZE);
        for (byte, noise) in bytes[at..].iter_mut().zip(&noise) {
            *byte ^= noise;
        }
        let mut place = HEADER_SIZE;
        let mut crc = u32_at(&bytes, 12).unwrap();
        while let Some(end) = Chunk::read(&bytes, place, None).map(|chunk| chunk.end) {
            crc = chunk_checksum(crc, &bytes[place..end]);
            bytes[place + 4..place + 8].copy_from_slice(&crc.to_le_bytes());
            place = end;
        }
        let _ = Snapshot::open(bytes).map(|snapshot| read(&snapshot, |_| true));
    }
}
