//! A gap that is open: what is missing at the number expected, how long to wait for it, when to ask for it.
//!
//! ```text
//!  opened        + line_wait                          moved + gap_wait, at most opened + held_max
//!  |---other line---|---request, again after retry, next server---|  lost
//! ```
//!
//! Who moves the gap's head decides about the time that it gets:
//!
//! | moved by | `opened` | `moved` | next request |
//! |---|---|---|---|
//! | a line: it still brings what is expected | now | now | `line_wait` from now |
//! | the re-request server, the same gap in part | stays | now | at once |
//! | the re-request server, on to the next gap | stays | now | `line_wait` from when that was known |
//! | a loss declared, servers answered within `held_max` | now | now | `line_wait` from when it was known |
//! | a loss declared, nobody answers | when it was known | as opened | `line_wait` from then |
//!
//! So a server that trickles holds the feed for `held_max` at most, and a dead one costs a burst of gaps one wait, not one each.

use super::settings::ArbiterSettings;
use crate::model::Nanos;

/// Who brought the number expected to where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mover {
    /// Line A or B, a consumer that takes again, or a loss while servers answer.
    Line,
    /// An answer to a request.
    Server,
    /// A gap was given up, and nobody answers.
    Loss,
}

/// Messages `from` to `to - 1`: missing, and not given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenGap {
    pub from: u64,
    pub to: u64,
    opened: Nanos,
    moved: Nanos,
    ask_at: Nanos,
    tries: u32,
}

impl OpenGap {
    /// The gap that stands at `from` now, `before` being the one that stood there. `known`: when what lies behind it came.
    pub fn next(
        before: Option<OpenGap>,
        (from, to): (u64, u64),
        (known, now): (Nanos, Nanos),
        by: Mover,
        settings: &ArbiterSettings,
    ) -> OpenGap {
        let wait = settings.line_wait;
        let fresh = |opened, ask_at| OpenGap { from, to, opened, moved: opened, ask_at, tries: 0 };
        match (before, by) {
            (Some(gap), _) if gap.from == from => OpenGap { to, ..gap },
            (Some(gap), Mover::Server) => {
                let ask_at = if from < gap.to { now } else { known.saturating_add(wait) };
                OpenGap { moved: now, ..fresh(gap.opened, ask_at) }
            }
            (Some(gap), Mover::Line) if from < gap.to => fresh(now, now.saturating_add(wait)),
            (None, Mover::Loss) => fresh(known, known.saturating_add(wait)),
            _ => fresh(now, known.saturating_add(wait)),
        }
    }

    /// When to give it up. Without a server nobody but the other line can fill it. While history is fetched there is
    /// no bound on the whole, only on the time without an answer.
    pub fn deadline(&self, settings: &ArbiterSettings, catching_up: bool) -> Nanos {
        let wait = if settings.servers == 0 { settings.line_wait } else { settings.gap_wait };
        let held_max = if catching_up { Nanos::MAX } else { settings.held_max };
        self.moved.saturating_add(wait).min(self.opened.saturating_add(held_max))
    }

    /// True when it is time to ask: which try it is, from 1. Counts the try.
    pub fn ask(&mut self, now: Nanos, settings: &ArbiterSettings) -> Option<u32> {
        if self.tries >= settings.tries_max || now < self.ask_at {
            return None;
        }
        self.tries += 1;
        self.ask_at = now.saturating_add(settings.retry);
        Some(self.tries)
    }
}
