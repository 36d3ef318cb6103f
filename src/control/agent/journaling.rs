//! What lies between applied and answered: changes go to the journal, answers wait until the disk has them.
//!
//! Changes are numbered from 1 in the order in which they are sent; the journal tells up to which number they are safe. An
//! answer waits for the last change that was sent before it, and for every answer before it.

use std::collections::VecDeque;

use crate::control::sequencer::LoginId;
use crate::control::session::Mark;
use crate::limits::ANSWERS_HELD_MAX;
use crate::model::Change;
use crate::ring::{Receiver, Sender};

/// An answer that waits.
#[derive(Clone, Copy, Debug)]
struct Held {
    change: u64,
    login: LoginId,
    mark: Mark,
}

/// Without rings: no journal, and nothing waits.
#[derive(Default)]
pub struct Journaling {
    rings: Option<(Sender<Change>, Receiver<u64>)>,
    slots: usize,
    waits: bool,
    sent: u64,
    safe: u64,
    held: VecDeque<Held>,
}

impl Journaling {
    pub fn new((changes, safe, slots): (Sender<Change>, Receiver<u64>, usize), waits: bool) -> Journaling {
        let held = VecDeque::with_capacity(ANSWERS_HELD_MAX);
        Journaling { rings: Some((changes, safe)), slots, waits, sent: 0, safe: 0, held }
    }

    /// Learns how far the journal is. Returns how often it had told something.
    pub fn poll(&mut self) -> usize {
        let Some((_, told)) = &mut self.rings else { return 0 };
        let safe = &mut self.safe;
        told.drain(usize::MAX, |number| *safe = (*safe).max(*number))
    }

    /// Outcomes that may be taken: each may send a change and hold an answer.
    pub fn room(&self) -> usize {
        if self.rings.is_none() {
            return usize::MAX;
        }
        let on_the_way = (self.sent - self.safe) as usize;
        (self.slots - on_the_way).min(ANSWERS_HELD_MAX - self.held.len())
    }

    /// Sends a change. There is [`Self::room`].
    pub fn send(&mut self, change: Change) {
        let Some((changes, _)) = &mut self.rings else { return };
        let is_sent = changes.send(change);
        // A change that is lost here would be acknowledged and not be on disk.
        assert!(is_sent, "the ring has a slot for every change that is not safe yet, and `room` was asked");
        self.sent += 1;
    }

    /// Holds the answers of a login up to `mark` if they must wait; false when they may be seen at once.
    pub fn hold(&mut self, login: LoginId, mark: Mark) -> bool {
        let must_wait = self.waits && (self.safe < self.sent || !self.held.is_empty());
        if must_wait {
            self.held.push_back(Held { change: self.sent, login, mark });
        }
        must_wait
    }

    /// The first answers that need not wait any more.
    pub fn next_due(&mut self) -> Option<(LoginId, Mark)> {
        let held = self.held.pop_front_if(|held| held.change <= self.safe)?;
        Some((held.login, held.mark))
    }

    /// Answers that wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
