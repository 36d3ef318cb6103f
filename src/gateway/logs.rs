//! All alert logs that are kept: the current session's, and those of sessions that are over.
//!
//! | the newest log there is | then |
//! |---|---|
//! | none | a new session begins |
//! | lacks nothing that anybody was told ([`opened::is_sure`]) | its session goes on behind its last record |
//! | may lack something | it is over; a new session begins |
//! | has more accounts, with the config's, than may be ([`limits::STREAMS_MAX`], or a quarter of a segment) | likewise |
//!
//! A new session's id is greater than all before, those whose logs are gone included as long as the clock is not set back.
//! A log that is over is read only. The retention, by size and by time, is that of all of them together: the oldest
//! segment goes first.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::log::opened::{self, Opened};
use super::log::{AlertLog, DROP_COPY, Run};
use super::marks::{self, BootId, Name};
use super::preparer::Shape;
use super::segment::{self, Access, Segment, SegmentError};
use crate::limits;
use crate::model::Nanos;
use crate::soup::login::SessionId;

/// Session ids have ten digits.
const SESSIONS: u64 = 10_000_000_000;

/// A log with its session.
pub struct Kept {
    session: SessionId,
    pub(super) directory: PathBuf,
    log: AlertLog,
}

/// What is past the retention: to be unmapped and deleted.
pub enum Retired {
    /// The oldest segment of a log.
    Segment(Segment),
    /// All that is left of a session.
    Session(Box<Kept>),
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of segments in all, the prepared one included; the current session keeps three at least.
    pub size: u64,
    /// What is older goes, in ns.
    pub time: Nanos,
}

/// The logs.
pub struct Logs {
    /// Over, oldest first.
    over: VecDeque<Box<Kept>>,
    over_size: u64,
    current: Kept,
    /// Logs that have gone since the start.
    gone: usize,
    retention: Retention,
    segment_size: u64,
}

impl Logs {
    /// Opens what there is below `root`, goes on with the newest session or begins a new one. Segments that are made have
    /// `segment_size` bytes.
    ///
    /// # Errors
    /// What the system says, or a log of another version of the format.
    pub fn open(
        root: &Path,
        segment_size: usize,
        retention: Retention,
        accounts: &[Name],
        run: Run,
    ) -> Result<Logs, SegmentError> {
        fs::create_dir_all(root)?;
        let (mut over, mut newest) = (VecDeque::new(), None);
        for (number, directory) in sessions(root)? {
            let session = SessionId::from_number(number);
            newest = Some((number, None));
            match opened::open(&directory, &session, Access::Owner)? {
                Some(Opened { log, end, boot }) => {
                    newest = Some((number, Some((end, boot))));
                    over.push_back(Box::new(Kept { session, directory, log }));
                }
                None => clear(&directory)?,
            }
        }
        let index_size = retention.size.max(3 * segment_size as u64) - segment_size as u64;
        let goes_on = over.pop_back_if(|last: &mut Box<Kept>| {
            let (end, boot) = newest.and_then(|(_, how)| how).unwrap_or((opened::End::Damaged, BootId::default()));
            opened::is_sure(end, &boot, &run.boot) && fits(&last.log, accounts, segment_size)
        });
        let mut current = match goes_on {
            Some(kept) => {
                let mut kept = *kept;
                let shape = Shape { directory: kept.directory.clone(), segment_size, session: kept.session };
                kept.log.go_on(&kept.directory)?;
                // Whatever room the active one has: the marks of this run must fit.
                kept.log.provide(shape.create(kept.log.wanted().unwrap_or(0))?);
                kept.log.begin_run(accounts, index_size, run);
                tracing::info!(session = %kept.session, next = kept.log.next(DROP_COPY), "the alert session goes on");
                kept
            }
            None => {
                let earlier = newest.map_or(0, |(number, _)| number + 1);
                let session = SessionId::from_number((run.ts / 100_000_000 % SESSIONS).max(earlier));
                let directory = root.join(session.to_string());
                fs::create_dir_all(&directory)?;
                fs::File::open(root)?.sync_all()?;
                let shape = Shape { directory: directory.clone(), segment_size, session };
                let log = AlertLog::new(shape.create(0)?, accounts, index_size, run);
                match newest {
                    None => tracing::info!(%session, "a first alert session begins"),
                    Some((_, how)) => tracing::warn!(
                        %session,
                        earlier = ?how.map(|(end, _)| end),
                        "a new alert session begins: the earlier one may lack what clients were told, or has too many accounts"
                    ),
                }
                Kept { session, directory, log }
            }
        };
        // There is one ahead before anybody is served: an engine that has just started refuses no rules.
        if let Some(ordinal) = current.log.wanted() {
            let shape = Shape { directory: current.directory.clone(), segment_size, session: current.session };
            current.log.provide(shape.create(ordinal)?);
        }
        // After a power cut no earlier stop in order may be found behind which this run has told something.
        current.log.sync_active()?;
        current.log.set_time(run.ts);
        let over_size = over.iter().map(|kept| kept.log.size()).sum();
        Ok(Logs { over, over_size, current, gone: 0, retention, segment_size: segment_size as u64 })
    }

    /// The current session's log.
    #[inline]
    pub fn current(&self) -> &AlertLog {
        &self.current.log
    }

    /// The current session's log, to be appended to.
    #[inline]
    pub fn current_mut(&mut self) -> &mut AlertLog {
        &mut self.current.log
    }

    /// The current session.
    pub fn session(&self) -> SessionId {
        self.current.session
    }

    /// What the current session's segments look like.
    pub fn shape(&self) -> Shape {
        let Kept { session, directory, .. } = &self.current;
        Shape { directory: directory.clone(), segment_size: self.segment_size as usize, session: *session }
    }

    /// The logs of sessions that are over, oldest first.
    pub fn over(&self) -> impl Iterator<Item = (SessionId, &AlertLog)> {
        self.over.iter().map(|kept| (kept.session, &kept.log))
    }

    /// The number of this session's log, which it keeps while it is there; blank is the current session.
    pub fn find(&self, session: &SessionId) -> Option<usize> {
        let wanted = session.0.trim_ascii();
        let is_it = |kept: &Kept| wanted == kept.session.0.trim_ascii();
        match wanted.is_empty() || is_it(&self.current) {
            true => Some(self.gone + self.over.len()),
            false => self.over.iter().position(|kept| is_it(kept)).map(|place| self.gone + place),
        }
    }

    /// The log with this number; `None` when it is gone.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&AlertLog> {
        self.kept(number).map(|kept| &kept.log)
    }

    /// The session with this number.
    pub fn session_of(&self, number: usize) -> Option<SessionId> {
        self.kept(number).map(|kept| kept.session)
    }

    /// True when the session with this number is over.
    #[inline]
    pub fn is_over(&self, number: usize) -> bool {
        number < self.gone + self.over.len()
    }

    #[inline]
    fn kept(&self, number: usize) -> Option<&Kept> {
        let place = number.checked_sub(self.gone)?;
        if place == self.over.len() { Some(&self.current) } else { self.over.get(place).map(|kept| &**kept) }
    }

    /// What is past the retention, one thing a call.
    #[inline]
    pub fn retired(&mut self, now: Nanos) -> Option<Retired> {
        if self.current.log.is_index_low() {
            return self.current.log.shed().map(Retired::Segment);
        }
        let size = self.over_size + self.current.log.size() + if self.wants_segment() { self.segment_size } else { 0 };
        let is_old = self.oldest_over_since().is_some_and(|ts| ts.saturating_add(self.retention.time) <= now);
        if is_old || size > self.retention.size { self.retire(is_old) } else { None }
    }

    fn wants_segment(&self) -> bool {
        self.current.log.wanted().is_some()
    }

    /// When the oldest segment got its last record, at the latest; `None`: it may get more, or that is not known.
    fn oldest_over_since(&self) -> Option<Nanos> {
        let first = self.over.front().map_or(&self.current, |kept| kept);
        let following = self.over.get(1).map_or(&self.current, |kept| kept);
        let next = match first.log.segments().get(1) {
            Some(next) => next,
            None if self.over.is_empty() => return None,
            None => following.log.segments().front()?,
        };
        Some(next.ts_begun()).filter(|ts| *ts > 0)
    }

    #[cold]
    fn retire(&mut self, is_old: bool) -> Option<Retired> {
        let Some(oldest) = self.over.front_mut() else {
            let is_more = self.current.log.segments().len() > if is_old { 1 } else { 2 };
            return if is_more { self.current.log.retire().map(Retired::Segment) } else { None };
        };
        let before = oldest.log.size();
        match oldest.log.retire() {
            Some(segment) => {
                self.over_size -= before - oldest.log.size();
                Some(Retired::Segment(segment))
            }
            None => {
                self.over_size -= before;
                self.gone += 1;
                self.over.pop_front().map(Retired::Session)
            }
        }
    }
}

/// The directories of sessions below `root`, oldest first: each has ten digits as its name.
///
/// # Errors
/// What the system says.
pub fn sessions(root: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut found = vec![];
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if let Ok(number) = name.parse()
            && name.len() == 10
            && path.is_dir()
        {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// True when the log's accounts and these are not too many for one session.
fn fits(log: &AlertLog, accounts: &[Name], segment_size: usize) -> bool {
    let new = accounts.iter().filter(|name| log.account(name).is_none()).count();
    let count = log.accounts().len() + new;
    count <= limits::STREAMS_MAX && marks::head_size(count) <= segment_size / 4
}

/// Removes segments that were prepared and never begun, and the directory if nothing else was there.
fn clear(directory: &Path) -> io::Result<()> {
    for path in opened::segments(directory)? {
        if !segment::is_begun(&path)? {
            fs::remove_file(path)?;
        }
    }
    if fs::remove_dir(directory).is_err() {
        tracing::warn!(directory = %directory.display(), "nothing of this session's alert log can be read; it is left as it is");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
