//! The alert logs of earlier runs, read back: what they tell of rules, and whether they are whole.
//!
//! Each run has a directory named after its session, with segments numbered from 0. A log is whole when no segment is
//! missing at either side, every one but the last was closed, and behind the last record nothing has begun. (A record's
//! length is written last: a kill leaves no half record. A power cut may.)

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{self, CLOSED};
use super::segment::{self, HEADER_SIZE};
use super::wire::{Message, RuleMessage};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Logs of earlier runs.
    pub sessions: usize,
    /// Records read.
    pub records: u64,
    /// Nothing is missing that any of them was told.
    pub is_whole: bool,
}

/// Reads all logs below `directory`, oldest first, and hands every rule message to `each`, in log order.
///
/// # Errors
/// What the system says. What is damaged is no error: see [`History::is_whole`].
pub fn read(directory: &Path, mut each: impl FnMut(&RuleMessage)) -> io::Result<History> {
    let mut found = History { sessions: 0, records: 0, is_whole: true };
    for session in sorted(directory, is_session)? {
        let segments = sorted(&session, |path| path.extension().is_some_and(|extension| extension == "segment"))?;
        if segments.is_empty() {
            continue;
        }
        found.sessions += 1;
        let mut expected = Some(0);
        for path in segments {
            let bytes = fs::read(&path)?;
            // The last segment is often one that was prepared and never begun.
            let is_next = segment::ordinal(&bytes) == expected;
            found.is_whole &= is_next || expected.is_none();
            let Some(ordinal) = segment::ordinal(&bytes).filter(|_| bytes.len() > HEADER_SIZE) else {
                found.is_whole = false;
                continue;
            };
            let records = bytes.get(HEADER_SIZE..).unwrap_or(&[]);
            let is_closed = read_segment(records, &mut found, &mut each);
            expected = is_closed.then_some(ordinal + 1);
        }
    }
    Ok(found)
}

/// The number of the newest session below `directory`, if there is one.
///
/// # Errors
/// What the system says.
pub fn newest(directory: &Path) -> io::Result<Option<u64>> {
    let sessions = sorted(directory, is_session)?;
    Ok(sessions.last().and_then(|path| path.file_name()?.to_str()?.parse().ok()))
}

/// Reads one segment; true when it was closed and the log goes on in the next.
fn read_segment(records: &[u8], found: &mut History, each: &mut impl FnMut(&RuleMessage)) -> bool {
    let mut end = 0;
    for (at, record) in record::scan(records) {
        end = at + record::stride(&records[at..]).unwrap_or(0);
        found.records += 1;
        if let Some(Message::Rule(message)) = Message::read(record.message()) {
            each(&message);
        }
    }
    let length =
        records.get(end..end + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    found.is_whole &= length == 0 || length == CLOSED;
    length == CLOSED
}

/// A session's directory has ten digits as its name.
fn is_session(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit()) && path.is_dir()
}

fn sorted(directory: &Path, is_wanted: impl Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut paths = vec![];
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| is_wanted(path));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::log::AlertLog;
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
        let mut log = AlertLog::new(create(0), 1 << 30, 1);
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
        let mut versions = vec![];
        let history = super::read(root, |message| versions.push(message.version)).unwrap();
        (versions, history)
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
        assert_eq!(history, History { sessions: 3, records: 1_003, is_whole: true });
        assert_eq!(newest(root.path()).unwrap(), Some(10));
        assert_eq!(super::read(Path::new("/nowhere"), |_| ()).unwrap().sessions, 0);
        assert_eq!(newest(Path::new("/nowhere")).unwrap(), None);
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
        }
    }
}
