//! Marks: what the log writes down for itself, so that it can go on after its process has ended. In nobody's stream.
//!
//! | mark | bytes | where | what it says |
//! |---|---|---|---|
//! | `O` opened | boot id (16), time (8) | at the start of each segment and of each run | the boot of the machine in which what follows was written |
//! | `T` table of streams | first (2), then for each account its name (6) and its stream's next number (8) | behind each `O` that begins a segment: all of them; where a run brings accounts that the session has not seen: those | account n of the log is the n-th that was ever named |
//! | `C` closed | time (8) | at a stop in order | all before it was on disk when it was written |
//!
//! Numbers are big-endian, as in the messages. An account has its place in the table for as long as the session lasts, also
//! when it leaves the config: a record's account is such a place, and says the same after any change of the config.

use super::log::AlertLog;
use super::record::{Audience, Record};
use super::wire::MESSAGE_SIZE_MAX;
use crate::model::Nanos;

/// An account's name, padded.
pub type Name = [u8; 6];
/// A boot of the machine.
pub type BootId = [u8; 16];

const ENTRY_SIZE: usize = 14;
const ENTRIES_MAX: usize = (MESSAGE_SIZE_MAX - 3) / ENTRY_SIZE;

/// A mark as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark<'a> {
    /// A run goes on from here.
    Opened {
        /// In this boot of the machine,
        boot: BootId,
        /// at this time.
        ts: Nanos,
    },
    /// Accounts, the first of which has this place.
    Table {
        /// Place of the first.
        first: usize,
        /// See [`Mark::accounts`].
        entries: &'a [u8],
    },
    /// Closed in order.
    Closed,
}

impl<'a> Mark<'a> {
    /// Reads a record's message. `None`: it is no mark, or none of this version.
    pub fn read(message: &'a [u8]) -> Option<Mark<'a>> {
        match message.split_first()? {
            (b'O', rest) => {
                let (boot, ts) = rest.split_first_chunk()?;
                Some(Mark::Opened { boot: *boot, ts: u64::from_be_bytes(ts.try_into().ok()?) })
            }
            (b'T', rest) => {
                let (first, entries) = rest.split_first_chunk()?;
                let first = usize::from(u16::from_be_bytes(*first));
                entries.len().is_multiple_of(ENTRY_SIZE).then_some(Mark::Table { first, entries })
            }
            (b'C', rest) => (rest.len() == 8).then_some(Mark::Closed),
            _ => None,
        }
    }

    /// The accounts of a table's entries: name, and the next number of the stream.
    pub fn accounts(entries: &'a [u8]) -> impl Iterator<Item = (Name, u64)> {
        entries.as_chunks::<ENTRY_SIZE>().0.iter().map(|entry| {
            let (mut name, mut next) = ([0; 6], [0; 8]);
            name.copy_from_slice(&entry[..6]);
            next.copy_from_slice(&entry[6..]);
            (name, u64::from_be_bytes(next))
        })
    }
}

/// Bytes that the marks at the start of a segment take with so many accounts.
pub const fn head_size(accounts: usize) -> usize {
    let (whole, rest) = (accounts / ENTRIES_MAX, accounts % ENTRIES_MAX);
    let last = if rest == 0 { 0 } else { Record::size(3 + rest * ENTRY_SIZE) };
    Record::size(1 + 16 + 8) + whole * Record::size(3 + ENTRIES_MAX * ENTRY_SIZE) + last
}

/// Appends `O`.
pub fn open(log: &mut AlertLog, boot: &BootId, ts: Nanos) -> Option<u64> {
    log.append(Audience::Nobody, 0, 25, |out| {
        out[0] = b'O';
        out[1..17].copy_from_slice(boot);
        out[17..].copy_from_slice(&ts.to_be_bytes());
    })
}

/// Appends `C`.
pub fn close(log: &mut AlertLog, ts: Nanos) -> Option<u64> {
    log.append(Audience::Nobody, 0, 9, |out| {
        out[0] = b'C';
        out[1..].copy_from_slice(&ts.to_be_bytes());
    })
}

/// Appends `T` for the accounts from this place on, as often as that takes. They must fit: see [`head_size`].
pub fn table(log: &mut AlertLog, from: usize) -> Option<()> {
    let mut first = from;
    while first < log.accounts().len() {
        let count = (log.accounts().len() - first).min(ENTRIES_MAX);
        let mut entries = [[0; ENTRY_SIZE]; ENTRIES_MAX];
        for (place, entry) in (first..first + count).zip(&mut entries) {
            entry[..6].copy_from_slice(&log.accounts()[place]);
            entry[6..].copy_from_slice(&log.next(1 + place).to_be_bytes());
        }
        log.append(Audience::Nobody, 0, 3 + count * ENTRY_SIZE, |out| {
            out[0] = b'T';
            out[1..3].copy_from_slice(&(first as u16).to_be_bytes());
            out[3..].copy_from_slice(entries[..count].as_flattened());
        })?;
        first += count;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::log::Run;
    use super::super::segment::{HEADER_SIZE, Segment};
    use super::*;
    use crate::soup::login::SessionId;

    #[test]
    fn a_segment_begins_with_the_boot_the_time_and_every_account() {
        for count in [0, 1, 9, 10, 11, 20, 25] {
            let directory = tempfile::tempdir().unwrap();
            let names: Vec<Name> = (0..count).map(|n| format!("{n:<6}").into_bytes().try_into().unwrap()).collect();
            let first = Segment::create(directory.path(), 0, 1 << 16, &SessionId(*b"0000000001")).unwrap();
            let log = AlertLog::new(first, &names, 1 << 20, Run { boot: [7; 16], ts: 8 });
            assert_eq!(log.end() as usize, HEADER_SIZE + head_size(count), "{count}");
            let mut found = vec![];
            for (_, record) in log.records() {
                match Mark::read(record.message()).unwrap() {
                    Mark::Opened { boot, ts } => assert_eq!((boot, ts, found.len()), ([7; 16], 8, 0)),
                    Mark::Table { first, entries } => {
                        assert_eq!(first, found.len());
                        found.extend(Mark::accounts(entries));
                    }
                    Mark::Closed => panic!("nobody closed it"),
                }
            }
            assert_eq!(found, names.iter().map(|name| (*name, 1)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_mark_is_none() {
        for bytes in [&b""[..], b"O", b"C", b"T", b"T0", b"T00x", b"A", b"C123456789"] {
            assert_eq!(Mark::read(bytes), None, "{bytes:?}");
        }
    }
}
