//! The alert logs that are kept, read back for the recovery of rules: what they tell of rules, and what may be missing.
//!
//! One directory holds one session, and a session may hold several runs of the engine. The retention takes the oldest
//! segments, and sessions as a whole: then [`History::is_whole`] is false, but [`History::is_whole_from`] a later place may
//! be true.

use std::path::Path;

use super::log::opened::{self, End, Opened};
use super::logs;
use super::segment::{Access, SegmentError};
use super::wire::{Message, RuleMessage};
use crate::soup::login::SessionId;

/// In the directory of the logs: the number of the newest session that the retention has taken as a whole.
pub const GONE: &str = "gone";

/// Where a record stands among all of all sessions: later ones have greater places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of its session.
    pub session: u64,
    /// Its offset in the session's log: see [`super::log`].
    pub offset: u64,
}

/// A rule message with where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// Its place.
    pub place: Place,
    /// Its number in a drop copy's stream; of an internal one that of the next one that was sent.
    pub number: u64,
    /// What it says.
    pub message: &'a RuleMessage,
}

/// A session that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKept {
    /// Its number.
    pub session: u64,
    /// Offset of its oldest record that is kept, and the offset at which it ends.
    pub offsets: (u64, u64),
    /// It is kept from its first record on.
    pub is_from_start: bool,
    /// How it ends.
    pub end: End,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The sessions, oldest first.
    pub sessions: Vec<SessionKept>,
    /// Records read.
    pub records: u64,
    /// Nothing is missing that any of them was told.
    pub is_whole: bool,
}

impl History {
    /// True when nothing is missing from this place on (the place itself included): its session is kept from there, and it and
    /// all later ones are whole.
    pub fn is_whole_from(&self, place: Place) -> bool {
        let Some(first) = self.sessions.iter().position(|kept| kept.session == place.session) else { return false };
        let rest = &self.sessions[first..];
        rest[0].offsets.0 <= place.offset
            && rest[1..].iter().all(|kept| kept.is_from_start)
            && rest.iter().all(|kept| kept.end != End::Damaged)
    }
}

/// Reads all logs below `directory`, oldest first, and hands every rule message to `each`, in log order.
///
/// # Errors
/// What the system says, or another version of the format. What is damaged is no error: see [`History::is_whole`].
pub fn read(directory: &Path, mut each: impl FnMut(&Told<'_>)) -> Result<History, SegmentError> {
    let mut found = History { is_whole: !directory.join(GONE).exists(), ..History::default() };
    for (session, path) in logs::sessions(directory)? {
        let Some(Opened { log, end, .. }) = opened::open(&path, &SessionId::from_number(session), Access::Reader)?
        else {
            found.is_whole &= opened::segments(&path)?.iter().all(|path| logs::is_unbegun(path).unwrap_or(false));
            continue;
        };
        for (offset, record) in log.records() {
            found.records += 1;
            if let Some(Message::Rule(message)) = Message::read(record.message()) {
                each(&Told { place: Place { session, offset }, number: record.number, message: &message });
            }
        }
        let is_from_start = log.segments().front().is_some_and(|first| first.ordinal() == 0);
        found.is_whole &= is_from_start && end != End::Damaged;
        found.sessions.push(SessionKept { session, offsets: (log.start(), log.end()), is_from_start, end });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::gateway::log::{AlertLog, Run};
    use crate::gateway::record::Audience;
    use crate::gateway::segment::Segment;
    use crate::model::{Alert, AlertKind};
    use crate::soup::login::SessionId;

    const SIZE: usize = 1 << 16;

    /// A log of so many alerts with versions from 1, in the session's directory.
    fn write(root: &Path, session: u64, alerts: u64) {
        let session = SessionId::from_number(session);
        let directory = root.join(session.to_string());
        fs::create_dir_all(&directory).unwrap();
        let create = |ordinal| Segment::create(&directory, ordinal, SIZE, &session).unwrap();
        let mut log = AlertLog::new(create(0), &[*b"demo  "], 1 << 20, Run { boot: [1; 16], ts: 1 });
        for version in 1..=alerts {
            if let Some(ordinal) = log.wanted() {
                log.provide(create(ordinal));
            }
            let alert = Alert { version, ..Alert::new(AlertKind::Alert) };
            let message = RuleMessage::of(&alert, *b"demo  ", *b"S000000001", 0);
            log.append(Audience::Account(0), 0, message.kind.size(), |out| message.write(out)).unwrap();
        }
    }

    fn versions(root: &Path) -> (Vec<u64>, History) {
        let (mut versions, mut place) = (vec![], None);
        let history = super::read(root, |told| {
            assert!(place < Some(told.place), "places rise");
            place = Some(told.place);
            assert_eq!(told.number, told.message.version);
            versions.push(told.message.version);
        });
        (versions, history.unwrap())
    }

    #[test]
    fn all_sessions_are_read_in_order() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("lock"), "1").unwrap();
        write(root.path(), 8, 1_000);
        write(root.path(), 9, 0);
        write(root.path(), 10, 3);
        let (versions, history) = versions(root.path());
        let expected: Vec<u64> = (1..=1_000).chain(1..=3).collect();
        assert!(versions == expected);
        let sessions: Vec<u64> = history.sessions.iter().map(|kept| kept.session).collect();
        assert_eq!((&sessions[..], history.is_whole), (&[8, 9, 10][..], true));
        assert!(history.records > 1_003, "marks are records too");
        assert_eq!(super::read(Path::new("/nowhere"), |_| ()).unwrap().sessions, []);
        fs::write(root.path().join(GONE), "7").unwrap();
        assert!(!super::read(root.path(), |_| ()).unwrap().is_whole, "the retention has taken a session");
    }

    #[test]
    fn what_is_missing_or_damaged_is_said() {
        let segment = |root: &Path, n: usize| root.join("0000000008").join(format!("{n:020}.segment"));
        for damage in 0..4 {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), 8, 1_000);
            match damage {
                0 => fs::remove_file(segment(root.path(), 0)).unwrap(),
                1 => fs::remove_file(segment(root.path(), 1)).unwrap(),
                _ => {
                    let path = segment(root.path(), damage - 2);
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[40_000] ^= 1;
                    fs::write(&path, bytes).unwrap();
                }
            }
            let (versions, history) = versions(root.path());
            assert!(!history.is_whole && versions.len() < 1_000, "{damage}");
            let (at, is_from) = match history.sessions.first() {
                Some(first) => (Place { session: 8, offset: first.offsets.0 }, damage == 0),
                None => continue,
            };
            assert_eq!(history.is_whole_from(at), is_from, "{damage}");
            assert!(
                !history.is_whole_from(Place { session: 8, offset: 64 })
                    && !history.is_whole_from(Place { session: 7, ..at })
            );
        }
    }
}
