//! The alert log as it lies on disk, read by the pictures in `gateway::segment` and `gateway::record` and checked: checksums, numbers
//! without a hole, streams that count what they should, and broken prints: what a `B` names is an alert of that very print.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hairtrigger::gateway::wire::{Kind, Message, RuleMessage};

use super::ACCOUNTS;
use super::ledger::{Key, key_of};
use super::network::place_of;

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
    /// Messages of the feed that were announced to be lost, by place.
    pub gaps: BTreeSet<(u64, u64)>,
    /// Sessions that end with a broken record.
    pub broken: BTreeSet<[u8; 10]>,
}

/// The stream that an account's logins read.
pub fn stream_of(account: usize) -> usize {
    if ACCOUNTS[account] == super::DROP_COPY { DROP_COPY } else { account }
}

/// Reads the log in `directory`, of so many accounts, each session as far as it is whole.
pub fn read(directory: &Path, accounts: usize) -> AlertLog {
    let mut log = AlertLog::default();
    let mut ended: Option<PathBuf> = None;
    for path in segments(directory) {
        let session = path.parent().map(Path::to_path_buf);
        if ended != session && !log.take_segment(&path, accounts) {
            ended = session;
        }
    }
    log
}

/// The files of all segments, by session.
pub fn segments(directory: &Path) -> Vec<PathBuf> {
    let is_session = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 10);
    let all = sorted(directory).into_iter().filter(is_session).flat_map(|session| sorted(&session));
    all.filter(|path| path.extension().is_some_and(|extension| extension == "segment")).collect()
}

/// The rules of the messages that are in `before` and not in `after`, which is a part of it.
pub fn lost(before: &AlertLog, after: &AlertLog) -> Vec<Key> {
    let mut left = after.messages.iter().peekable();
    before.messages.iter().filter(|message| left.next_if_eq(message).is_none()).map(key_of).collect()
}

/// The alert that a `B` names bears the match number of the broken print, in the same session of the feed.
fn check_bust(streams: &Streams, bust: &RuleMessage) {
    if bust.kind != Kind::Busted {
        return;
    }
    let named = streams[&DROP_COPY].get(bust.drop_copy_number as usize - 1).and_then(|bytes| Message::read(bytes));
    let Some(Message::Rule(alert)) = named else { panic!("{bust:?} names no alert") };
    let print = |it: &RuleMessage| (it.feed_session, it.match_number, it.symbol, it.version, it.account);
    assert!(alert.kind == Kind::Alert && print(&alert) == print(bust), "{bust:?} names {alert:?}");
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
    /// Takes what is whole of it. False: the session ends in it.
    fn take_segment(&mut self, path: &Path, accounts: usize) -> bool {
        let bytes = std::fs::read(path).expect("a segment");
        if bytes[..8] != *b"HTALERTS" || bytes[24..32] == [0; 8] {
            return false;
        }
        let session = *bytes[32..].first_chunk().expect("a session id");
        let streams = self.sessions.entry(session).or_default();
        let mut at = 64;
        loop {
            let length = little(&bytes[at..at + 4]) as usize;
            if length == 0xffff_ffff {
                return true;
            }
            let record = bytes.get(at..at + length).filter(|record| record.len() >= 35);
            let Some(record) = record.filter(|it| u64::from(crc32c::crc32c(&it[8..])) == little(&it[4..8])) else {
                self.broken.extend((length != 0).then_some(session));
                return false;
            };
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
            match Message::read(message) {
                Some(Message::Rule(message)) => {
                    check_bust(streams, &message);
                    self.messages.push(message);
                }
                Some(Message::Announcement(said)) if said.kind == Kind::Gap => {
                    let place = |sequence| place_of(&said.feed_session, sequence);
                    self.gaps.insert((place(said.sequence), place(said.end)));
                }
                _ => (),
            }
            at += length.next_multiple_of(8);
        }
    }
}
