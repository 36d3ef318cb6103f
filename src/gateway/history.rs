//! The alert logs that are kept, read back for the rules: what they tell of them, and whether something is missing.
//!
//! One directory holds one session, and a session may hold several runs of the engine; its segments are numbered from 0. The
//! retention takes the oldest segments, and sessions as a whole. A reader may stop anywhere and go on later from its
//! [`LogPosition`]: what it has read is not read again, and only what went before it was read is missing.
//!
//! A start reads what lies behind the last snapshot twice: here, for the rules, and once more with all that is kept, for the indexes
//! ([`super::log::opened`]). That is about a quarter of it at most: then a snapshot is due. One pass would save it, and no code: this
//! reader is needed for the snapshots all the same, and begins at another place.
//!
//! **Beside the gateway.** A record's length is written last, and a segment is closed before the next one has a rule's message. So a reader
//! ends where a segment is neither closed nor goes on, and finds the rest the next time. Nobody waits for it: the retention may take
//! a segment or a session that was to be read next, and then that is missing, and said to be.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::log::opened;
use super::logs;
use super::record::{self, Next};
use super::segment::{self, Access, HEADER_SIZE, Segment, SegmentError};
use super::wire::{Message, RuleMessage};
use crate::model::LogPosition;
use crate::soup::login::SessionId;

/// In the directory of the logs: the number of the newest session that the retention has taken as a whole.
pub const GONE: &str = "gone";

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Sessions read.
    pub sessions: usize,
    /// Records read.
    pub records: u64,
    /// Nothing is missing that any of them was told.
    pub is_whole: bool,
    /// Where the next reader goes on.
    pub position: LogPosition,
}

/// Reads all logs below `directory` from a place on, oldest first, and hands every rule message to `each`, in log order. The
/// newest segment may be written meanwhile.
///
/// # Errors
/// What the system says, or another version of the format. What is damaged is no error: see [`History::is_whole`].
pub fn read(directory: &Path, from: LogPosition, mut each: impl FnMut(&RuleMessage)) -> Result<History, SegmentError> {
    let is_from_start = from == LogPosition::default();
    let mut found = History { sessions: 0, records: 0, is_whole: true, position: from };
    let sessions = logs::sessions(directory)?;
    // Written before a session goes: so it tells of all that were not listed, or have gone since.
    let has_any_gone = || directory.join(GONE).exists();
    found.is_whole &= !is_from_start || !has_any_gone();
    for (session, path) in sessions.into_iter().filter(|(session, _)| *session >= from.session) {
        if opened::segments(&path)?.is_empty() {
            found.is_whole &= !has_any_gone();
            continue;
        }
        // What the last reader has left must still be there.
        found.is_whole &= session == from.session || found.sessions > 0 || is_from_start;
        found.sessions += 1;
        if session > found.position.session {
            found.position = LogPosition { session, segment: 0, offset: HEADER_SIZE as u64 };
        }
        read_session(&path, &mut found, &mut each)?;
    }
    found.is_whole &= found.sessions > 0 || is_from_start;
    Ok(found)
}

/// Reads the segments of one session from `found.position` on, and moves that.
fn read_session(
    directory: &Path,
    found: &mut History,
    each: &mut impl FnMut(&RuleMessage),
) -> Result<(), SegmentError> {
    let paths = opened::segments(directory)?;
    let ordinal_of = |path| segment::ordinal_of(path).unwrap_or(u64::MAX);
    let start = found.position.segment;
    found.is_whole &= paths.last().is_some_and(|last| ordinal_of(last) >= start);
    for path in paths.iter().filter(|path| ordinal_of(path) >= start) {
        let ordinal = ordinal_of(path);
        if ordinal != found.position.segment {
            found.is_whole = false;
            (found.position.segment, found.position.offset) = (ordinal, HEADER_SIZE as u64);
        }
        let mut end = read_segment(path, found, each)?;
        if end == End::Broken {
            // Half of a record may have been seen while it was written.
            end = read_segment(path, found, each)?;
        }
        match end {
            End::Closed => {
                (found.position.segment, found.position.offset) = (ordinal + 1, HEADER_SIZE as u64);
                // It may have come since the folder was read.
                found.is_whole &= path.with_file_name(segment::file_name(ordinal + 1)).exists();
            }
            End::Open => return Ok(()),
            End::Gone => found.is_whole = false,
            End::Broken => {
                found.is_whole = false;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Why the records of a segment end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The log goes on in the next one.
    Closed,
    /// Nothing more yet.
    Open,
    /// The retention has taken it.
    Gone,
    /// Something is there, and it is no record; or something is not there any more.
    Broken,
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Reads one segment from `found.position` on, and moves that.
fn read_segment(path: &Path, found: &mut History, each: &mut impl FnMut(&RuleMessage)) -> Result<End, SegmentError> {
    let session = SessionId::from_number(found.position.session);
    let segment = match Segment::open(path, &session, Access::Reader) {
        Err(SegmentError::Header) => return Ok(End::Broken),
        Err(SegmentError::System(error)) if is_gone(&error) => return Ok(End::Gone),
        opened => opened?,
    };
    loop {
        let Some(rest) = segment.bytes().get(found.position.offset as usize..) else { return Ok(End::Broken) };
        match record::next(rest) {
            Next::Record(record, stride) => {
                found.records += 1;
                found.position.offset += stride as u64;
                if let Some(Message::Rule(message)) = Message::read(record.message()) {
                    each(&message);
                }
            }
            Next::Closed => return Ok(End::Closed),
            Next::Nothing => return Ok(End::Open),
            Next::Broken => return Ok(End::Broken),
        }
    }
}

/// Bytes of segments behind the one of a place, without the one that is prepared or active: what a reader has still to read,
/// about.
///
/// # Errors
/// What the system says.
pub fn unread_size(directory: &Path, from: LogPosition) -> io::Result<u64> {
    let mut sizes = vec![];
    for (session, path) in logs::sessions(directory)? {
        for path in opened::segments(&path)? {
            if (session, segment::ordinal_of(&path)) > (from.session, Some(from.segment)) {
                let size = fs::metadata(path).map(|metadata| metadata.len());
                sizes.push(size.or_else(|error| if is_gone(&error) { Ok(0) } else { Err(error) })?);
            }
        }
    }
    sizes.pop();
    Ok(sizes.iter().sum())
}

/// Returns when all segments from a place on are on disk, and their names, so that what was read of them is not lost.
///
/// # Errors
/// What the system says.
pub fn sync(directory: &Path, from: LogPosition) -> io::Result<()> {
    for (session, directory) in logs::sessions(directory)? {
        if session < from.session {
            continue;
        }
        let is_read = |path: &PathBuf| (session, segment::ordinal_of(path)) >= (from.session, Some(from.segment));
        for path in opened::segments(&directory)?.into_iter().filter(is_read).chain([directory]) {
            match File::open(path) {
                Err(error) if is_gone(&error) => (),
                file => file?.sync_all()?,
            }
        }
    }
    Ok(())
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
        let mut versions = vec![];
        let history = super::read(root, LogPosition::default(), |message| versions.push(message.version)).unwrap();
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
        assert_eq!((history.sessions, history.is_whole), (3, true));
        assert!(history.records > 1_003, "marks are records too");
        assert_eq!(super::read(Path::new("/nowhere"), LogPosition::default(), |_| ()).unwrap().sessions, 0);
        fs::write(root.path().join(GONE), "7").unwrap();
        let gone = super::read(root.path(), LogPosition::default(), |_| ()).unwrap();
        assert!(!gone.is_whole, "the retention has taken a session");
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

    /// Beside the one who writes, with segments prepared and closed meanwhile: every record once, in order, and nothing missing.
    #[test]
    fn a_reader_goes_on_where_the_last_one_stopped() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), 7, 3);
        let session = SessionId::from_number(8);
        let directory = root.path().join(session.to_string());
        fs::create_dir_all(&directory).unwrap();
        let create = |ordinal| Segment::create(&directory, ordinal, SIZE, &session).unwrap();
        let mut log = AlertLog::new(create(0), &[*b"demo  "], 1 << 20, Run { boot: [1; 16], ts: 1 });
        let (mut position, mut versions, mut expected) = (LogPosition::default(), vec![], vec![1, 2, 3]);
        for version in 100..1_500 {
            if let Some(ordinal) = log.wanted() {
                log.provide(create(ordinal));
            }
            let alert = Alert { version, ..Alert::new(AlertKind::Alert) };
            let message = RuleMessage::of(&alert, *b"demo  ", *b"S000000001", 0);
            log.append(Audience::Account(0), 0, message.kind.size(), |out| message.write(out)).unwrap();
            expected.push(version);
            if version % 37 == 0 {
                let found = super::read(root.path(), position, |message| versions.push(message.version)).unwrap();
                assert!(found.is_whole && versions == expected, "{version}");
                let unread = unread_size(root.path(), position).unwrap();
                let behind = found.position.segment.saturating_sub(position.segment);
                let size = SIZE as u64;
                let about = unread <= behind * size && unread + size >= behind * size;
                assert!(position == LogPosition::default() || about, "{unread}: {behind}");
                position = found.position;
            }
        }
        assert_eq!(position.session, 8);
        sync(root.path(), position).unwrap();
        // The next session, and the one before it is gone: all of it was read.
        write(root.path(), 9, 2);
        fs::remove_dir_all(root.path().join(SessionId::from_number(7).to_string())).unwrap();
        versions.clear();
        let found = super::read(root.path(), position, |message| versions.push(message.version)).unwrap();
        assert!(found.is_whole && versions.ends_with(&[1, 2]), "{found:?}");
        assert_eq!((found.position.session, found.position.segment), (9, 0));
    }

    #[test]
    fn the_retention_waits_for_no_reader_and_that_one_reads_what_is_left() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), 8, 1_500);
        let directory = root.path().join("0000000008");
        let segment = |ordinal| directory.join(segment::file_name(ordinal));
        assert!(segment(3).exists());
        let mut versions = vec![];
        let found = super::read(root.path(), LogPosition::default(), |message| {
            if message.version == 1 {
                // The retention, beside the reader: the segment that is being read, and the next one.
                [0, 1].into_iter().for_each(|ordinal| fs::remove_file(segment(ordinal)).unwrap());
            }
            versions.push(message.version);
        });
        let (found, missing) = (found.unwrap(), versions.windows(2).filter(|pair| pair[1] != pair[0] + 1).count());
        assert!(!found.is_whole && missing == 1, "{found:?}");
        assert_eq!((versions.first(), versions.last()), (Some(&1), Some(&1_500)));
    }

    #[test]
    fn a_session_that_goes_beside_the_reader_is_missing_and_nothing_else_is() {
        for is_from_start in [true, false] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), 7, 3);
            let from = if is_from_start { LogPosition::default() } else { versions(root.path()).1.position };
            (8..11).for_each(|session| write(root.path(), session, session));
            let mut versions = vec![];
            let found = super::read(root.path(), from, |message| {
                if versions.is_empty() {
                    // The retention, beside the reader: the session that is being read, and others before and behind it.
                    (7..10).map(|session| SessionId::from_number(session).to_string()).for_each(|name| {
                        fs::write(root.path().join(GONE), &name).unwrap();
                        fs::remove_dir_all(root.path().join(name)).unwrap();
                    });
                }
                versions.push(message.version);
            });
            let found = found.unwrap();
            assert!(!found.is_whole && found.position.session == 10, "{found:?}");
            let first = if is_from_start { 1..=3 } else { 1..=8 };
            assert!(versions.into_iter().eq(first.chain(1..=10)));
        }
        let gone = Path::new("/nowhere");
        assert!(opened::segments(gone).unwrap().is_empty());
    }

    /// Beside a writer on a thread of its own, with no order between the two but that of the stores: see the head of this file.
    #[test]
    fn a_reader_beside_the_writer_sees_each_record_once_and_whole() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(root.path(), 8, 4_000));
            let (mut position, mut versions) = (LogPosition::default(), vec![]);
            loop {
                let is_over = writer.is_finished();
                let found = super::read(root.path(), position, |message| versions.push(message.version)).unwrap();
                // The first segment's header may not be there yet.
                assert!(found.is_whole || versions.is_empty(), "{found:?}");
                position = found.position;
                if is_over {
                    break;
                }
            }
            assert!(versions.into_iter().eq(1..=4_000));
        });
    }

    #[test]
    fn what_went_before_it_was_read_is_said() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), 8, 1_000);
        let directory = root.path().join("0000000008");
        let read_from = |segment, offset| {
            let from = LogPosition { session: 8, segment, offset };
            super::read(root.path(), from, |_| ()).unwrap().is_whole
        };
        let start = HEADER_SIZE as u64;
        assert!(read_from(1, start) && read_from(0, start));
        assert!(!read_from(1, 1 << 20), "shorter than it was");
        assert!(!read_from(9, start), "not there at all");
        fs::remove_file(directory.join(format!("{:020}.segment", 0))).unwrap();
        assert!(read_from(1, start) && !read_from(0, start));
        let other = LogPosition { session: 7, segment: 0, offset: start };
        assert!(!super::read(root.path(), other, |_| ()).unwrap().is_whole);
        fs::remove_dir_all(&directory).unwrap();
        assert!(!read_from(1, start));
    }
}
