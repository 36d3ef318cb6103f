//! Records: how the alert log's bytes are laid out, and how they are read back.
//!
//! ```text
//!  segment: | header (64) | record | record | ... | 0xFFFFFFFF (closed) or 0 (nothing more yet) |
//!
//!  record:   0        4        8          16           24        26       28         29      32
//!           +--------+--------+----------+------------+---------+--------+----------+-------+=========+....+
//!           | length | CRC32C | number   | sequence   | account | locate | audience | 0 (3) | packet  | 0  |
//!           +--------+--------+----------+------------+---------+--------+----------+-------+=========+....+
//! ```
//!
//! The record's own numbers are little-endian. `length` counts header and packet, without the padding to 8; it is
//! written last, so a record is there as a whole or not at all. The CRC32C covers what follows it, up to the length.
//! `number` is the message's sequence number in a drop copy's stream (of an internal record: that of the next one that
//! is sent), `sequence` that in its account's stream (0 when it goes to everyone or nobody); `account` is its place among
//! the log's accounts ([`super::marks`]). `packet` is the ready Sequenced Data packet. Everything that the indexes hold can
//! be rebuilt from this: see [`super::log::opened`].

use crate::model::AccountId;
use crate::soup::packet::{self, kind};

/// Size of a record's header.
pub const HEADER_SIZE: usize = 32;
/// The length that says: this segment is closed, the log goes on in the next.
pub const CLOSED: u32 = u32::MAX;
/// Room kept at the end of a segment for the closing mark.
pub const CLOSING_SIZE: usize = 8;

/// Who is to see a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody: the log must know it.
    Nobody,
    /// This account, and drop copies.
    Account(AccountId),
    /// Every account.
    Everyone,
}

/// A record as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its message's number in a drop copy's stream.
    pub number: u64,
    /// Its number in its account's stream, or 0.
    pub sequence: u64,
    /// Who is to see it.
    pub audience: Audience,
    /// The feed's number for its symbol.
    pub locate: u16,
    /// The Sequenced Data packet.
    pub packet: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes that a record with a message of this size takes, padding included.
    #[inline]
    pub const fn size(message_size: usize) -> usize {
        (HEADER_SIZE + packet::HEADER_SIZE + message_size).next_multiple_of(8)
    }

    /// The message in the packet.
    pub fn message(&self) -> &'a [u8] {
        self.packet.get(packet::HEADER_SIZE..).unwrap_or(&[])
    }

    /// Reads the record at the start of `bytes`, trusting it: for what this process wrote. `None` where none begins.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<Record<'a>> {
        let length = length(bytes)?;
        let record = bytes.get(..length)?;
        let (header, packet) = record.split_first_chunk::<HEADER_SIZE>()?;
        let account = u16::from_le_bytes([header[24], header[25]]);
        let audience = match header[28] {
            0 => Audience::Nobody,
            1 => Audience::Account(account),
            2 => Audience::Everyone,
            _ => return None,
        };
        Some(Record {
            number: u64_at(header, 8),
            sequence: u64_at(header, 16),
            audience,
            locate: u16::from_le_bytes([header[26], header[27]]),
            packet,
        })
    }

    /// Writes a record over the start of `bytes`, whose message `write` brings. The length comes last.
    ///
    /// # Panics
    /// When `bytes` is shorter than [`Record::size`] of the message: the log looks before it calls.
    #[inline]
    pub fn write(
        bytes: &mut [u8],
        (number, sequence, audience, locate): (u64, u64, Audience, u16),
        message_size: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let length = HEADER_SIZE + packet::HEADER_SIZE + message_size;
        let (audience, account) = match audience {
            Audience::Nobody => (0, 0),
            Audience::Account(account) => (1, account),
            Audience::Everyone => (2, 0),
        };
        let record = &mut bytes[..length];
        record[8..16].copy_from_slice(&number.to_le_bytes());
        record[16..24].copy_from_slice(&sequence.to_le_bytes());
        record[24..26].copy_from_slice(&account.to_le_bytes());
        record[26..28].copy_from_slice(&locate.to_le_bytes());
        record[28..32].copy_from_slice(&[audience, 0, 0, 0]);
        record[32..35].copy_from_slice(&packet::header(kind::SEQUENCED, message_size));
        write(&mut record[35..]);
        let crc = crc32c::crc32c(&record[8..]);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        // What another process (or this one after a crash) finds: no length before all that it counts.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
        record[..4].copy_from_slice(&(length as u32).to_le_bytes());
    }
}

/// The length of the record at the start of `bytes`; `None` where none begins.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    (length != CLOSED && length as usize >= HEADER_SIZE).then_some(length as usize)
}

/// How far it is from the record at the start of `bytes` to the next; `None` where none begins.
#[inline]
pub fn stride(bytes: &[u8]) -> Option<usize> {
    length(bytes).map(|length| length.next_multiple_of(8))
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole record, and how far it is to what follows.
    Record(Record<'a>, usize),
    /// The closing mark: the log goes on in the next segment.
    Closed,
    /// Nothing yet.
    Nothing,
    /// Something that is not whole, or whose CRC32C or padding is wrong.
    Broken,
}

/// What stands at the start of `bytes`, with nothing taken for granted.
pub fn next(bytes: &[u8]) -> Next<'_> {
    let whole = || {
        let body = bytes.get(8..length(bytes)?)?;
        let crc = u32::from_le_bytes(*bytes.get(4..)?.first_chunk::<4>()?);
        let padding = bytes.get(length(bytes)?..stride(bytes)?)?;
        let is_right = crc32c::crc32c(body) == crc && padding.iter().all(|byte| *byte == 0);
        Some(Next::Record(Record::read(bytes).filter(|_| is_right)?, stride(bytes)?))
    };
    match bytes.first_chunk::<4>().map(|length| u32::from_le_bytes(*length)) {
        Some(CLOSED) => Next::Closed,
        Some(0) => Next::Nothing,
        _ => whole().unwrap_or(Next::Broken),
    }
}

/// The whole records of a segment's bytes behind its header, in order, each with its offset in `bytes`. Ends at the
/// first one that is not whole or whose CRC32C is wrong.
pub fn scan(bytes: &[u8]) -> impl Iterator<Item = (usize, Record<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || match next(bytes.get(at..)?) {
        Next::Record(record, stride) => {
            let found = (at, record);
            at += stride;
            Some(found)
        }
        _ => None,
    })
}

fn u64_at(header: &[u8; HEADER_SIZE], offset: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[offset..offset + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two_records() -> Vec<u8> {
        let mut bytes = vec![0; Record::size(5) + Record::size(2) + CLOSING_SIZE];
        Record::write(&mut bytes, (1, 1, Audience::Account(7), 9), 5, |out| out.copy_from_slice(b"first"));
        let rest = &mut bytes[Record::size(5)..];
        Record::write(rest, (2, 0, Audience::Everyone, 0), 2, |out| out.copy_from_slice(b"no"));
        bytes
    }

    #[test]
    fn what_was_written_is_read_back_in_order() {
        let bytes = two_records();
        let records: Vec<_> = scan(&bytes).collect();
        let first =
            Record { number: 1, sequence: 1, audience: Audience::Account(7), locate: 9, packet: b"\0\x06Sfirst" };
        assert_eq!(records[0], (0, first));
        assert_eq!((records[1].0, records[1].1.message(), records.len()), (Record::size(5), &b"no"[..], 2));
    }

    proptest! {
        /// A scan over damaged bytes gives a prefix of what was there, and does not panic.
        #[test]
        fn damage_ends_a_scan(place in 0usize..88, value: u8) {
            let (bytes, mut damaged) = (two_records(), two_records());
            damaged[place] = value;
            let whole: Vec<_> = scan(&bytes).collect();
            let left: Vec<_> = scan(&damaged).collect();
            prop_assert!(whole.starts_with(&left));
        }
    }
}
