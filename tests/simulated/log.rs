//! The alert log as it lies on disk, read by the pictures in `gateway::segment` and `gateway::record` and checked: checksums, numbers
//! without a hole, streams that count what they should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hairtrigger::gateway::wire::{Message, RuleMessage};

use super::ACCOUNTS;

/// Stream of a drop copy.
pub const DROP_COPY: usize = usize::MAX;

/// A session's streams: by account (or [`DROP_COPY`]) the messages in order.
pub type Streams = BTreeMap<usize, Vec<Vec<u8>>>;

/// All that the log holds.
#[derive(Default)]
pub struct AlertLog {
    /// Rule messages of all sessions, internal ones too, in log order.
    pub messages: Vec<RuleMessage>,
    /// By session id.
    pub sessions: BTreeMap<[u8; 10], Streams>,
}

/// The stream that an account's logins read.
pub fn stream_of(account: usize) -> usize {
    if ACCOUNTS[account] == super::DROP_COPY { DROP_COPY } else { account }
}

/// Reads the log in `directory`, of so many accounts.
pub fn read(directory: &Path, accounts: usize) -> AlertLog {
    let mut log = AlertLog::default();
    let is_session = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 10);
    for session in sorted(directory).into_iter().filter(is_session) {
        for segment in sorted(&session).into_iter().filter(|path| path.extension().is_some_and(|e| e == "segment")) {
            let bytes = std::fs::read(segment).expect("a segment");
            log.take_segment(&bytes, accounts);
        }
    }
    log
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a folder of our own");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl AlertLog {
    fn take_segment(&mut self, bytes: &[u8], accounts: usize) {
        assert_eq!(&bytes[..8], b"HTALERTS");
        let streams = self.sessions.entry(*bytes[32..].first_chunk().expect("a session id")).or_default();
        let mut at = 64;
        loop {
            let length = little(&bytes[at..at + 4]) as usize;
            if length == 0 || length == 0xffff_ffff {
                return;
            }
            let record = &bytes[at..at + length];
            assert_eq!(u64::from(crc32c::crc32c(&record[8..])), little(&record[4..8]), "a record is damaged");
            let (number, sequence, account) =
                (little(&record[8..16]), little(&record[16..24]), little(&record[24..26]));
            let message = &record[35..];
            let mut push = |stream: usize| {
                let stream = streams.entry(stream).or_default();
                stream.push(message.to_vec());
                stream.len() as u64
            };
            match record[28] {
                0 => (),
                1 => assert_eq!((push(DROP_COPY), push(account as usize)), (number, sequence), "numbers have a hole"),
                _ => {
                    assert_eq!(push(DROP_COPY), number, "numbers have a hole");
                    (0..accounts).for_each(|account| _ = push(account));
                }
            }
            if let Some(Message::Rule(message)) = Message::read(message) {
                self.messages.push(message);
            }
            at += length.next_multiple_of(8);
        }
    }
}
