//! Which session the feed is in, and when another id may follow.
//!
//! | current session | packet's id | from | verdict |
//! |---|---|---|---|
//! | any | the configured one is another | any | foreign |
//! | any | current | any | ours |
//! | any | retired | any | foreign: never back |
//! | any | other | re-request server | foreign |
//! | none | any | line | begins |
//! | alive | other | line | foreign |
//! | ended, or silent for `session_silence` | other | line | begins |

use crate::limits::RETIRED_SESSIONS;
use crate::model::Nanos;

/// What a packet's id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Of the current session.
    Ours,
    /// To be dropped.
    Foreign,
    /// A session begins with it.
    Begins,
}

/// The current session and those that are over. A retired id is remembered until [`RETIRED_SESSIONS`] others have followed.
#[derive(Debug)]
pub(super) struct Sessions {
    pub current: Option<[u8; 10]>,
    configured: Option<[u8; 10]>,
    retired: [Option<[u8; 10]>; RETIRED_SESSIONS],
    retired_count: usize,
}

impl Sessions {
    pub fn new(configured: Option<[u8; 10]>) -> Sessions {
        Sessions { current: None, configured, retired: [None; RETIRED_SESSIONS], retired_count: 0 }
    }

    /// Judges `id`. `silent_for`: how long the current session has been silent; `None` once it ended.
    pub fn judge(&self, id: [u8; 10], from_line: bool, silent_for: Option<Nanos>, session_silence: Nanos) -> Verdict {
        if self.current == Some(id) {
            return Verdict::Ours;
        }
        let barred = self.configured.is_some_and(|configured| configured != id) || self.retired.contains(&Some(id));
        let alive = self.current.is_some() && silent_for.is_some_and(|silent| silent < session_silence);
        if barred || alive || !from_line { Verdict::Foreign } else { Verdict::Begins }
    }

    /// Makes `id` the current session and retires the one before. True when there was none before.
    pub fn begin(&mut self, id: [u8; 10]) -> bool {
        let before = self.current.replace(id);
        if before.is_some() && before != Some(id) {
            self.retired[self.retired_count % RETIRED_SESSIONS] = before;
            self.retired_count += 1;
        }
        before.is_none()
    }
}
