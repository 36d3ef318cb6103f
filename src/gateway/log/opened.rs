//! A log of an earlier run, opened: its indexes are built from its records, and how it ends is found out.
//!
//! | case | what is found | end |
//! |---|---|---|
//! | `killed` | behind the last record nothing begins | open |
//! | `killed_in_the_middle_of_a_record` | behind it lies a record without its length: nobody has seen it | open |
//! | `killed_in_the_middle_of_a_rotation` | the last segment is not closed, and one behind it may have been begun: it is none of the log | open |
//! | `closed_in_order` | the last record says so, and behind it is nothing | closed |
//! | `closed_in_order_and_gone_on_behind_it` | so it does, and the next segment was begun: by a later run, of which a power cut has taken the closing mark | open |
//! | `damaged_record` | a CRC32C, a number or a name is wrong | damaged |
//! | `garbage_behind_the_end` | more than one record without its length | damaged |
//! | `missing_segment` | a segment is closed, and the next one does not go on from there | damaged |
//! | `cut_file` | a segment has not the size that it was created with | damaged |
//!
//! What stands before the end is whole in any case. Segments may be missing at the front: the retention has taken them, and
//! the marks at the start of each segment say where the streams stood. [`is_sure`] says when a log may go on.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::{AlertLog, RECORD_SIZE_MAX, Run, TOUCHED_MAX, first_offset, place, stream_of};
use crate::gateway::index::Indexes;
use crate::gateway::log::DROP_COPY;
use crate::gateway::marks::{BootId, Mark};
use crate::gateway::record::{self, Audience, Next, Record};
use crate::gateway::segment::{self, Access, HEADER_SIZE, Segment, SegmentError};
use crate::limits::STREAMS_MAX;
use crate::soup::login::SessionId;

/// Numbers are below this: what adds one to them never overflows.
const NUMBER_END: u64 = 1 << 62;

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As a kill leaves it: nothing is missing if the machine has gone on since.
    Open,
    /// As a stop in order leaves it: nothing is missing.
    Closed,
    /// Something may be missing.
    Damaged,
}

/// A log of an earlier run.
pub struct Opened {
    /// What is whole of it.
    pub log: AlertLog,
    /// How it ends.
    pub end: End,
    /// The boot of the machine in which it was written last.
    pub boot: BootId,
}

/// True when a log that ends so, written last in the boot `written`, lacks nothing that anybody was told now, in this boot:
///
/// | end | boot | |
/// |---|---|---|
/// | closed | any | sure |
/// | open | the same | sure |
/// | open | another, or not known | not sure: what was not on disk is lost |
/// | damaged | any | not sure |
pub fn is_sure(end: End, written: &BootId, now: &BootId) -> bool {
    match end {
        End::Closed => true,
        End::Open => written == now && *now != BootId::default(),
        End::Damaged => false,
    }
}

/// Opens the log in `directory`. `None` when not even its first segment was begun. Nothing is changed.
///
/// # Errors
/// What the system says, or another version of the format. What is damaged is no error: see [`End`].
pub fn open(directory: &Path, session: &SessionId, access: Access) -> Result<Option<Opened>, SegmentError> {
    let mut reading = Reading { end: End::Damaged, boot: BootId::default(), was_closed: false };
    let mut log: Option<AlertLog> = None;
    let mut paths = segments(directory)?.into_iter();
    while let Some(path) = paths.next() {
        let mut segment = match Segment::open(&path, session, access) {
            Err(SegmentError::Header) => break,
            opened => opened?,
        };
        let number = segment.first_number();
        if number == 0 {
            break;
        }
        let goes_on =
            log.as_ref().is_none_or(|log| log.wanted() == Some(segment.ordinal()) && log.next(DROP_COPY) == number);
        if !goes_on || number >= NUMBER_END {
            break;
        }
        let log = log.get_or_insert_with(|| AlertLog::empty(number));
        reading.end = End::Damaged;
        let is_closed = reading.segment(log, &mut segment);
        log.segment_size = segment.bytes().len();
        log.size += segment.bytes().len() as u64;
        log.segments.push_back(segment);
        if !is_closed {
            if reading.end == End::Closed && paths.next().map_or(Ok(false), |next| segment::is_begun(&next))? {
                reading.end = End::Open;
            }
            break;
        }
    }
    Ok(log.map(|log| Opened { log, end: reading.end, boot: reading.boot }))
}

/// The segments in a directory, by their ordinals; none where the retention has taken it.
///
/// # Errors
/// What the system says.
pub fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| segment::ordinal_of(path).is_some());
    paths.sort();
    Ok(paths)
}

struct Reading {
    end: End,
    boot: BootId,
    /// The latest record closes the log.
    was_closed: bool,
}

impl Reading {
    /// Reads a segment into the indexes; true when it was closed and the log goes on in the next.
    fn segment(&mut self, log: &mut AlertLog, segment: &mut Segment) -> bool {
        log.end = first_offset(segment);
        loop {
            let rest = segment.bytes().get(place(log.end)..).unwrap_or(&[]);
            match record::next(rest) {
                Next::Record(found, stride) => {
                    let mark = (found.audience == Audience::Nobody).then(|| Mark::read(found.message())).flatten();
                    if !log.enter(&found, mark) {
                        return false;
                    }
                    self.was_closed = mark == Some(Mark::Closed);
                    if let Some(Mark::Opened { boot, ts }) = mark {
                        self.boot = boot;
                        if place(log.end) == HEADER_SIZE {
                            segment.begun_at(ts);
                        }
                    }
                    log.end += stride as u64;
                }
                Next::Closed => return segment.is_all_there(),
                Next::Nothing => {
                    let is_empty = |rest: &[u8]| rest.iter().all(|byte| *byte == 0);
                    let behind = rest.get(RECORD_SIZE_MAX..).unwrap_or(&[]);
                    self.end = match segment.is_all_there() && is_empty(behind) {
                        false => End::Damaged,
                        true if self.was_closed && is_empty(rest) => End::Closed,
                        true => End::Open,
                    };
                    return false;
                }
                Next::Broken => return false,
            }
        }
    }
}

impl AlertLog {
    /// A log without segments whose first message has this number.
    fn empty(number: u64) -> AlertLog {
        let mut indexes = Indexes::default();
        indexes.add(number);
        AlertLog {
            segments: VecDeque::new(),
            prepared: None,
            segment_size: 0,
            size: 0,
            end: 0,
            indexes,
            accounts: vec![],
            run: Run { boot: BootId::default(), ts: 0 },
            touched: Vec::with_capacity(TOUCHED_MAX),
        }
    }

    /// Enters the record at the end, if it is the one that must come there.
    fn enter(&mut self, record: &Record<'_>, mark: Option<Mark<'_>>) -> bool {
        let sequence = match record.audience {
            Audience::Account(account) => {
                let is_its =
                    self.accounts.get(usize::from(account)).map(|name| &name[..]) == record.message().get(5..11);
                if !is_its {
                    return false;
                }
                self.next(stream_of(account))
            }
            Audience::Nobody | Audience::Everyone => 0,
        };
        if record.number != self.next(DROP_COPY) || record.sequence != sequence || record.number >= NUMBER_END {
            return false;
        }
        if let Some(Mark::Table { first, entries }) = mark {
            return self.enter_accounts(first, entries);
        }
        let count = self.indexes.count();
        if self.indexes.free_count() < count {
            self.indexes.reserve(self.indexes.chunk_count() + count.max(64));
        }
        self.note(record.audience, self.end);
        true
    }

    /// Accounts that are known must stand where they did; those that are not get a stream.
    fn enter_accounts(&mut self, first: usize, entries: &[u8]) -> bool {
        for (place, (name, next)) in (first..).zip(Mark::accounts(entries)) {
            let is_right = match self.accounts.get(place) {
                Some(known) => *known == name && self.next(1 + place) == next,
                None => {
                    let is_new = place == self.accounts.len() && place < STREAMS_MAX;
                    if is_new && (1..NUMBER_END).contains(&next) {
                        self.accounts.push(name);
                        self.indexes.add(next);
                        true
                    } else {
                        false
                    }
                }
            };
            if !is_right {
                return false;
            }
        }
        true
    }

    /// Goes on behind the last record: what earlier runs prepared or began to write behind it goes.
    ///
    /// # Errors
    /// What the system says.
    pub fn go_on(&mut self, directory: &Path) -> io::Result<()> {
        let at = place(self.end);
        let Some(active) = self.segments.back_mut() else { return Ok(()) };
        active.go_on(at)?;
        let last = active.ordinal();
        for path in segments(directory)? {
            if segment::ordinal_of(&path) > Some(last) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}
