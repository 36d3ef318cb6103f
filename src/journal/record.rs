//! Records: how a change, or where a symbol stands, lies in the journal, byte by byte.
//!
//! ```text
//!   0        4        8          12     13    16         24        32
//!  +--------+--------+----------+------+-----+----------+---------+======+
//!  | length | CRC32C | previous | kind | 0   | sequence | durable | body |
//!  +--------+--------+----------+------+-----+----------+---------+======+
//! ```
//!
//! Little-endian throughout; lengths are multiples of 8, header included. The CRC32C covers the length and all that follows
//! the CRC. `previous` is the CRC32C of the record before (of a segment's first: the seed in its header), so records form a
//! chain: none can be lost, moved or taken from elsewhere unseen. `durable` is the sequence up to which the journal was on
//! disk when this record was written: what follows a broken record tells by it whether that one had been acknowledged.
//!
//! | kind | | body |
//! |---|---|---|
//! | 1 | set | 72 bytes as removed, then 48: threshold, rearm, cooldown, expires_at, tag (8 each), max_fires (4), signal, comparison, fire, on_set (1 each) |
//! | 2 | removed | ordinal, feed sequence, feed time (8 each), feed session (10), shard (2), slot (4), user, symbol, version (8 each), account name (6), state (1; 0 when removed), 0 (1) |
//! | 3 | end | nothing: the journal was closed in order |
//! | 4 | standing | symbol, feed sequence, feed time (8 each), feed session (10), shard (2), 1 when there is a last (1), 0 (3), last (8; 0 when there is none), evaluated (4 times 8) |
//!
//! A segment of version 1 has no standings.

pub use crate::model::AccountName;
use crate::model::{
    Change, ChangeKind, Comparison, Fire, OnSet, Price, RuleKey, RuleSpec, RuleState, Signal, Standing, Symbol,
};

/// Size of a record's header.
pub const HEADER_SIZE: usize = 32;
/// Size of a record that says that a rule was removed.
pub const REMOVED_SIZE: usize = HEADER_SIZE + 72;
/// Size of a record that says that a rule was set: the longest.
pub const SET_SIZE: usize = REMOVED_SIZE + 48;
/// Size of a record that says where a symbol stands.
pub const STANDING_SIZE: usize = HEADER_SIZE + 80;

const SET: u8 = 1;
const REMOVED: u8 = 2;
const END: u8 = 3;
const STANDING: u8 = 4;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A change of a rule of this account. The account's number in the change's key means nothing on disk: it is 0 when read.
    Change(AccountName, Change),
    /// Where a symbol stands.
    Standing(Standing),
    /// The journal was closed in order.
    End,
}

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the journal, from 1.
    pub sequence: u64,
    /// The journal was on disk up to this sequence when the record was written.
    pub durable: u64,
    /// What it says.
    pub entry: Entry,
}

/// What a record's frame says before its body is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Size of the record.
    pub length: usize,
    /// Its CRC32C: the next record's `previous`.
    pub crc: u32,
    /// The CRC32C of the record before it.
    pub previous: u32,
    /// Its place in the journal.
    pub sequence: u64,
    /// See [`Record::durable`].
    pub durable: u64,
    kind: u8,
    body: &'a [u8],
}

/// Appends a record to `out` and returns its CRC32C, the next one's `previous`.
pub fn write(out: &mut Vec<u8>, previous: u32, record: &Record) -> u32 {
    let start = out.len();
    let (kind, length) = match &record.entry {
        Entry::Change(_, Change { kind: ChangeKind::Set(..), .. }) => (SET, SET_SIZE),
        Entry::Change(..) => (REMOVED, REMOVED_SIZE),
        Entry::Standing(_) => (STANDING, STANDING_SIZE),
        Entry::End => (END, HEADER_SIZE),
    };
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&previous.to_le_bytes());
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&record.sequence.to_le_bytes());
    out.extend_from_slice(&record.durable.to_le_bytes());
    match &record.entry {
        Entry::Change(account, change) => write_change(out, account, change),
        Entry::Standing(standing) => write_standing(out, standing),
        Entry::End => (),
    }
    debug_assert_eq!(out.len() - start, length);
    let crc = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    crc
}

fn write_change(out: &mut Vec<u8>, account: &AccountName, change: &Change) {
    out.extend_from_slice(&change.ordinal.to_le_bytes());
    out.extend_from_slice(&change.feed_sequence.to_le_bytes());
    out.extend_from_slice(&change.feed_time.to_le_bytes());
    out.extend_from_slice(&change.feed_session);
    out.extend_from_slice(&change.shard.to_le_bytes());
    out.extend_from_slice(&change.key.slot.to_le_bytes());
    out.extend_from_slice(&change.key.user.to_le_bytes());
    out.extend_from_slice(&change.key.symbol.bytes());
    out.extend_from_slice(&change.version.to_le_bytes());
    out.extend_from_slice(account);
    let ChangeKind::Set(spec, state) = &change.kind else { return out.extend_from_slice(&[0, 0]) };
    out.extend_from_slice(&[*state as u8, 0]);
    out.extend_from_slice(&spec.threshold.0.to_le_bytes());
    out.extend_from_slice(&spec.rearm.0.to_le_bytes());
    out.extend_from_slice(&spec.cooldown.to_le_bytes());
    out.extend_from_slice(&spec.expires_at.to_le_bytes());
    out.extend_from_slice(&spec.tag.to_le_bytes());
    out.extend_from_slice(&spec.max_fires.to_le_bytes());
    out.extend_from_slice(&[spec.signal as u8, spec.comparison as u8, spec.fire as u8, spec.on_set as u8]);
}

fn write_standing(out: &mut Vec<u8>, standing: &Standing) {
    out.extend_from_slice(&standing.symbol.bytes());
    out.extend_from_slice(&standing.feed_sequence.to_le_bytes());
    out.extend_from_slice(&standing.feed_time.to_le_bytes());
    out.extend_from_slice(&standing.feed_session);
    out.extend_from_slice(&standing.shard.to_le_bytes());
    out.extend_from_slice(&[u8::from(standing.last.is_some()), 0, 0, 0]);
    out.extend_from_slice(&standing.last.map_or(0, |price| price.0).to_le_bytes());
    standing.evaluated.iter().for_each(|version| out.extend_from_slice(&version.to_le_bytes()));
}

/// The CRC32C of a whole record: its length, and all that follows its CRC.
fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

impl<'a> Frame<'a> {
    /// Reads the record at the start of `bytes`. `None`: none of a known length begins there, or its CRC32C is wrong.
    pub fn read(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        if !matches!(length, HEADER_SIZE | REMOVED_SIZE | STANDING_SIZE | SET_SIZE) {
            return None;
        }
        let record = bytes.get(..length)?;
        let mut fields = Fields(record.get(4..)?);
        let crc = fields.u32()?;
        if checksum(record) != crc {
            return None;
        }
        let previous = fields.u32()?;
        let kind = fields.u32()?;
        let (sequence, durable) = (fields.u64()?, fields.u64()?);
        let kind = u8::try_from(kind).unwrap_or(0);
        Some(Frame { length, crc, previous, sequence, durable, kind, body: fields.0 })
    }

    /// What the record says. `None`: its CRC32C is right, and it says nothing that this version knows.
    pub fn record(&self) -> Option<Record> {
        let mut fields = Fields(self.body);
        let entry = match self.kind {
            SET | REMOVED => read_change(&mut fields, self.kind)?,
            STANDING => Entry::Standing(read_standing(&mut fields)?),
            END => Entry::End,
            _ => return None,
        };
        fields.0.is_empty().then_some(Record { sequence: self.sequence, durable: self.durable, entry })
    }
}

fn read_change(fields: &mut Fields, kind: u8) -> Option<Entry> {
    let (ordinal, feed_sequence, feed_time) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let feed_session = fields.array()?;
    let shard = u16::from_le_bytes(fields.array()?);
    let (slot, user) = (fields.u32()?, fields.u64()?);
    let symbol = Symbol::from_bytes(fields.array()?);
    let version = fields.u64()?;
    let account = fields.array()?;
    let [state, zero] = fields.array()?;
    let kind = match kind {
        SET => ChangeKind::Set(read_spec(fields)?, state_of(state)?),
        _ if state == 0 => ChangeKind::Removed,
        _ => return None,
    };
    let key = RuleKey { user, symbol, slot, account: 0 };
    let change = Change { ordinal, feed_sequence, feed_time, feed_session, shard, key, version, kind };
    (zero == 0).then_some(Entry::Change(account, change))
}

fn read_standing(fields: &mut Fields) -> Option<Standing> {
    let symbol = Symbol::from_bytes(fields.array()?);
    let (feed_sequence, feed_time) = (fields.u64()?, fields.u64()?);
    let feed_session = fields.array()?;
    let shard = u16::from_le_bytes(fields.array()?);
    let last = match (fields.array()?, fields.u64()? as i64) {
        ([1, 0, 0, 0], price) => Some(Price(price)),
        ([0, 0, 0, 0], 0) => None,
        _ => return None,
    };
    let evaluated = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    Some(Standing { symbol, feed_sequence, feed_time, feed_session, shard, last, evaluated })
}

fn read_spec(fields: &mut Fields) -> Option<RuleSpec> {
    let (threshold, rearm) = (fields.u64()? as i64, fields.u64()? as i64);
    let (cooldown, expires_at, tag, max_fires) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u32()?);
    let [signal, comparison, fire, on_set] = fields.array()?;
    Some(RuleSpec {
        threshold: Price(threshold),
        rearm: Price(rearm),
        cooldown,
        expires_at,
        tag,
        max_fires,
        signal: *Signal::ALL.get(usize::from(signal))?,
        comparison: *Comparison::ALL.get(usize::from(comparison))?,
        fire: *[Fire::Once, Fire::Repeat].get(usize::from(fire))?,
        on_set: *[OnSet::Fire, OnSet::Wait, OnSet::Reject].get(usize::from(on_set))?,
    })
}

fn state_of(code: u8) -> Option<RuleState> {
    [RuleState::Unknown, RuleState::Clear, RuleState::Met, RuleState::Fired].get(usize::from(code)).copied()
}

/// Fields one behind the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples::{change, standing};

    #[test]
    fn what_was_written_is_read_back() {
        let mut bytes = vec![];
        let entries = [
            Entry::Change(*b"demo  ", change(1, true)),
            Entry::Change(*b"x     ", change(u64::MAX, false)),
            Entry::Standing(standing(3)),
            Entry::Standing(standing(4)),
            Entry::End,
        ];
        let (mut previous, mut at) = (7, 0);
        for (entry, sequence) in entries.into_iter().zip(5..) {
            let record = Record { sequence, durable: 4, entry };
            let before = previous;
            previous = write(&mut bytes, before, &record);
            let frame = Frame::read(&bytes[at..]).unwrap();
            assert_eq!((frame.record(), frame.previous, frame.crc), (Some(record), before, previous));
            at += frame.length;
        }
        assert_eq!(at, SET_SIZE + REMOVED_SIZE + 2 * STANDING_SIZE + HEADER_SIZE);
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let changes = [change(3, true), change(9, false)].map(|change| Entry::Change(*b"demo  ", change));
        for entry in changes.into_iter().chain([Entry::Standing(standing(5)), Entry::End]) {
            let mut bytes = vec![];
            write(&mut bytes, 1, &Record { sequence: 2, durable: 1, entry });
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Frame::read(&bytes), None, "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
