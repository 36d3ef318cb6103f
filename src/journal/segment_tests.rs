//! Segments: what is written is read, and no damage goes unseen.

use proptest::prelude::*;

use super::*;
use crate::journal::record::{self, Entry};
use crate::journal::samples::change;

const HEADER: Header = Header { first_sequence: 41, seed: 0xfeed_f00d, created: 5, boot: [6; 16] };

/// A segment of batches with so many records each, every batch synced before the next; closed in order or not.
fn segment(batches: &[usize], closed: bool) -> (Vec<u8>, Vec<Record>) {
    let (mut bytes, mut records, mut chain) = (HEADER.bytes().to_vec(), vec![], HEADER.seed);
    let mut sequence = HEADER.first_sequence;
    let mut durable = sequence - 1;
    for count in batches.iter().copied().chain(closed.then_some(0)) {
        for _ in 0..count.max(1) {
            let entry = if count == 0 {
                Entry::End
            } else {
                Entry::Change(*b"demo  ", change(sequence, !sequence.is_multiple_of(3)))
            };
            let record = Record { sequence, durable, entry };
            chain = record::write(&mut bytes, chain, &record);
            records.push(record);
            sequence += 1;
        }
        durable = sequence - 1;
    }
    (bytes, records)
}

fn read(bytes: &[u8]) -> (Vec<Record>, End) {
    let mut reader = Reader::new(bytes).unwrap();
    let records: Vec<_> = reader.by_ref().collect();
    assert_eq!(reader.next_sequence(), HEADER.first_sequence + records.len() as u64);
    (records, reader.end().unwrap())
}

#[test]
fn what_was_written_is_read_back() {
    let (bytes, records) = segment(&[1, 3, 2], true);
    assert_eq!(read(&bytes), (records, End::Whole));
    assert_eq!(read(&HEADER.bytes()), (vec![], End::Whole));
    assert_eq!(Header::read(&bytes), Ok(HEADER));
}

#[test]
fn every_flipped_bit_of_a_header_is_detected_and_a_newer_version_is_named() {
    let bytes = HEADER.bytes();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::read(&damaged), Err(HeaderError::Damaged), "bit {bit}");
    }
    let mut newer = bytes;
    newer[8] = 3;
    let crc = checksum(&newer);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Header::read(&newer), Err(HeaderError::Newer(3)));
}

#[test]
fn every_flipped_bit_of_a_closed_segment_is_damage_but_in_its_end() {
    let (bytes, records) = segment(&[2, 1], true);
    for bit in HEADER_SIZE * 8..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (left, end) = read(&damaged);
        assert!(records.starts_with(&left) && left.len() < records.len(), "bit {bit}");
        if left.len() < records.len() - 1 {
            assert!(matches!(end, End::Damage(_)), "bit {bit}: {end:?}");
        } else {
            assert_eq!(end, End::TornTail(record::HEADER_SIZE));
        }
    }
}

#[test]
fn every_truncation_leaves_a_prefix_and_says_torn_tail() {
    let (bytes, records) = segment(&[1, 2, 1], true);
    for size in HEADER_SIZE..bytes.len() {
        let (left, end) = read(&bytes[..size]);
        assert!(records.starts_with(&left));
        assert!(matches!(end, End::Whole | End::TornTail(_)), "{size}: {end:?}");
        let used: usize = (0..left.len())
            .map(|n| if records[n].sequence % 3 != 0 { record::SET_SIZE } else { record::REMOVED_SIZE })
            .sum();
        assert_eq!(end == End::Whole, HEADER_SIZE + used == size, "{size}");
    }
}

/// The disk wrote the later sectors of the last batch and not the first: none of it was acknowledged.
#[test]
fn a_batch_that_is_torn_in_its_front_is_a_torn_tail() {
    let (mut bytes, records) = segment(&[2, 6], false);
    let batch = HEADER_SIZE + record::SET_SIZE + record::REMOVED_SIZE;
    bytes[batch..batch + 200].fill(0);
    let end = End::TornTail(bytes.len() - batch);
    assert_eq!(read(&bytes), (records[..2].to_vec(), end));
}

#[test]
fn records_of_another_place_do_not_continue_a_chain() {
    let (bytes, records) = segment(&[1, 1, 1], false);
    let first = if records[0].sequence % 3 != 0 { record::SET_SIZE } else { record::REMOVED_SIZE };
    let mut cut = bytes[..HEADER_SIZE].to_vec();
    cut.extend_from_slice(&bytes[HEADER_SIZE + first..]);
    assert_eq!(read(&cut), (vec![], End::Damage(HEADER_SIZE)));
}

proptest! {
    #[test]
    fn any_damage_leaves_a_prefix(
        batches in prop::collection::vec(1usize..5, 1..5), closed: bool,
        from in 0usize..3_000, noise in prop::collection::vec(any::<u8>(), 1..64), cut in 0usize..200,
    ) {
        let (mut bytes, records) = segment(&batches, closed);
        let from = HEADER_SIZE + from % (bytes.len() - HEADER_SIZE);
        for (byte, noise) in bytes[from..].iter_mut().zip(&noise) {
            *byte ^= noise;
        }
        bytes.truncate(bytes.len().saturating_sub(cut).max(HEADER_SIZE));
        let (left, _) = read(&bytes);
        prop_assert!(records.starts_with(&left));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut whole = HEADER.bytes().to_vec();
        whole.extend_from_slice(&bytes);
        prop_assert_eq!(read(&whole).0, vec![]);
        let _ = Reader::new(&bytes);
    }
}
