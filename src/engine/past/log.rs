//! What the alert log tells of rules, as the journal's house wants to hear it. The two houses do not know each other.

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::logged;
use crate::gateway::history;
use crate::gateway::segment::SegmentError;
use crate::journal::compaction::{Log, LogRead};
use crate::journal::recovery::Logged;
use crate::model::LogPosition;

/// Reads the alert log from a place on.
pub fn read(directory: &Path, from: LogPosition, each: &mut dyn FnMut(&Logged)) -> Result<LogRead, SegmentError> {
    let found = history::read(directory, from, |message| {
        if let Some(logged) = logged(message) {
            each(&logged);
        }
    })?;
    Ok(LogRead { position: found.position, is_whole: found.is_whole })
}

/// The alert log, for who makes snapshots.
pub struct AlertLog(pub PathBuf);

impl Log for AlertLog {
    fn read(&mut self, from: LogPosition, each: &mut dyn FnMut(&Logged)) -> io::Result<LogRead> {
        let read = read(&self.0, from, each).map_err(io::Error::other)?;
        history::sync(&self.0, from)?;
        Ok(read)
    }

    fn unread_size(&self, from: LogPosition) -> io::Result<u64> {
        history::unread_size(&self.0, from)
    }
}
