//! What lies between applied and answered: changes go to the journal, answers wait until the disk has them.
//!
//! Changes are numbered from 1 in the order in which they are sent; the journal tells up to which number they are safe. An
//! answer waits for the last change that was sent before it, and for every answer before it.
//!
//! A change goes to the journal only when the alert log has all that its shard had told before: what the journal says has been seen
//! up to a place of the feed fires nothing again after a restart, so an alert from before that place must not be lost with a ring.

use std::collections::VecDeque;

use crate::control::sequencer::LoginId;
use crate::control::session::Mark;
use crate::limits::ANSWERS_HELD_MAX;
use crate::model::Journaled;
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
    rings: Option<(Sender<Journaled>, Receiver<u64>)>,
    slots: usize,
    waits: bool,
    sent: u64,
    safe: u64,
    held: VecDeque<Held>,
    /// By shard: alerts that are logged.
    logged: Vec<(Receiver<u64>, u64)>,
    /// Changes that wait for so many alerts of their shard.
    waiting: VecDeque<(Journaled, u64)>,
}

impl Journaling {
    pub fn new(
        (changes, safe, slots): (Sender<Journaled>, Receiver<u64>, usize),
        logged: Vec<Receiver<u64>>,
        waits: bool,
    ) -> Journaling {
        let (held, waiting) = (VecDeque::with_capacity(ANSWERS_HELD_MAX), VecDeque::with_capacity(slots));
        let logged = logged.into_iter().map(|ring| (ring, 0)).collect();
        Journaling { rings: Some((changes, safe)), slots, waits, sent: 0, safe: 0, held, logged, waiting }
    }

    /// Learns how far the journal and the alert log are. Returns how often they had told something.
    pub fn poll(&mut self) -> usize {
        let Some((_, told)) = &mut self.rings else { return 0 };
        let safe = &mut self.safe;
        let mut count = told.drain(usize::MAX, |number| *safe = (*safe).max(*number));
        for (ring, logged) in &mut self.logged {
            count += ring.drain(usize::MAX, |number| *logged = *number);
        }
        while let Some((change, alerts)) = self.waiting.front().copied()
            && self.is_logged(&change, alerts)
        {
            self.waiting.pop_front();
            self.put(change);
        }
        count
    }

    fn is_logged(&self, change: &Journaled, alerts: u64) -> bool {
        let shard = match change {
            Journaled::Change(change) => change.shard,
            Journaled::Standing(standing) => standing.shard,
        };
        self.logged.get(usize::from(shard)).is_none_or(|(_, logged)| *logged >= alerts)
    }

    /// Outcomes that may be taken: each may send a change and hold an answer.
    pub fn room(&self) -> usize {
        if self.rings.is_none() {
            return usize::MAX;
        }
        let on_the_way = (self.sent - self.safe) as usize;
        (self.slots - on_the_way).min(ANSWERS_HELD_MAX - self.held.len())
    }

    /// Sends a change, or where a symbol stands, once `alerts` of its shard are logged. There is [`Self::room`].
    pub fn send(&mut self, change: Journaled, alerts: u64) {
        if self.rings.is_none() {
            return;
        }
        self.sent += 1;
        if self.waiting.is_empty() && self.is_logged(&change, alerts) {
            self.put(change);
        } else {
            self.waiting.push_back((change, alerts));
        }
    }

    fn put(&mut self, change: Journaled) {
        let Some((changes, _)) = &mut self.rings else { return };
        let is_sent = changes.send(change);
        // A change that is lost here would be acknowledged and not be on disk.
        assert!(is_sent, "the ring has a slot for every change that is not safe yet, and `room` was asked");
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

    /// True when nothing waits, neither change nor answer.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.waiting.is_empty()
    }

    /// Answers that wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, ChangeKind, RuleKey};
    use crate::ring::ring;

    fn change(ordinal: u64, shard: u16) -> Journaled {
        Journaled::Change(Change {
            ordinal,
            feed_sequence: 0,
            feed_time: 0,
            feed_session: [b' '; 10],
            shard,
            key: RuleKey::NONE,
            version: 0,
            kind: ChangeKind::Removed,
        })
    }

    /// Found by the simulation: the journal had seen a place of the feed whose alerts were lost with a ring, and so never fired.
    #[test]
    fn a_change_goes_to_the_journal_once_the_alerts_before_it_are_logged() {
        let (changes, mut taken) = ring(4, change(0, 0));
        let (_safe, told) = ring(4, 0);
        let (mut logged, rings): (Vec<_>, Vec<_>) = (0..2).map(|_| ring(4, 0)).unzip();
        let mut journaling = Journaling::new((changes, told, 4), rings, true);
        let mut journaled = |journaling: &mut Journaling| {
            journaling.poll();
            let mut ordinals = vec![];
            taken.drain(4, |change| match change {
                Journaled::Change(change) => ordinals.push(change.ordinal),
                Journaled::Standing(_) => panic!("nobody told it"),
            });
            ordinals
        };
        journaling.send(change(1, 0), 0);
        assert_eq!(journaled(&mut journaling), [1]);
        journaling.send(change(2, 0), 3);
        journaling.send(change(3, 1), 0);
        assert_eq!((journaling.room(), journaling.is_idle()), (1, false), "they have their places");
        assert!(logged[1].send(9) && logged[0].send(2));
        assert!(journaled(&mut journaling).is_empty(), "nor does a later change overtake");
        assert!(logged[0].send(3));
        assert_eq!((journaled(&mut journaling), journaling.is_idle()), (vec![2, 3], true));
    }
}
