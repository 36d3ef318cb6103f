//! What shards tell in a replay.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::matcher::shard::Outputs;
use crate::model::{Alert, AlertKind, Applied, Nanos, Outcome, Refusal, RuleState};

/// One thing that a shard told.
#[derive(Clone, Copy)]
pub enum Told {
    /// An alert, or the end of a rule, or a broken print.
    Alert(Alert),
    /// A refusal of a command.
    Refused {
        /// The command.
        ordinal: u64,
        /// Why.
        refusal: Refusal,
        /// Feed time then.
        feed_time: Nanos,
    },
    /// A command was carried out. Told only where a journal says what must have become of it.
    Done {
        /// The command.
        ordinal: u64,
        /// The rule's version.
        version: u64,
        /// Where it stands, if it was set.
        state: Option<RuleState>,
    },
}

impl Told {
    /// The message that caused it, or else the command.
    pub fn cause(&self) -> Cause {
        match self {
            Told::Alert(alert) if alert.ordinal == 0 => Cause::Message(alert.sequence),
            Told::Alert(Alert { ordinal, .. }) | Told::Refused { ordinal, .. } | Told::Done { ordinal, .. } => {
                Cause::Command(*ordinal)
            }
        }
    }
}

/// What caused something.
pub enum Cause {
    /// The message of this sequence.
    Message(u64),
    /// The command of this ordinal.
    Command(u64),
}

/// Where a shard hands in what it told, batch by batch.
pub type HandedIn = Receiver<Vec<Told>>;

/// What a shard told since it last handed in.
pub struct Collected {
    told: Vec<Told>,
    follows_journal: bool,
    to_merge: SyncSender<Vec<Told>>,
}

impl Collected {
    /// Nothing yet; it goes to `to_merge`.
    pub fn new(follows_journal: bool, to_merge: SyncSender<Vec<Told>>) -> Collected {
        Collected { told: vec![], follows_journal, to_merge }
    }

    /// Hands in what was told, which may be nothing. Waits while the merge is far behind.
    pub fn hand_in(&mut self) {
        // A merge that could not write is gone: then nobody wants it.
        drop(self.to_merge.send(std::mem::take(&mut self.told)));
    }
}

impl Outputs for Collected {
    fn alert(&mut self, alert: &Alert) {
        if !matches!(alert.kind, AlertKind::Met | AlertKind::Rearmed) {
            self.told.push(Told::Alert(*alert));
        }
    }

    fn applied(&mut self, applied: &Applied) {
        let Applied { ordinal, feed_time, .. } = *applied;
        let done = |version, state| self.follows_journal.then_some(Told::Done { ordinal, version, state });
        let told = match applied.outcome {
            Outcome::Refused(refusal) => Some(Told::Refused { ordinal, refusal, feed_time }),
            Outcome::Set { version, state, .. } => done(version, Some(state)),
            Outcome::Removed { version } => done(version, None),
            _ => None,
        };
        self.told.extend(told);
    }

    fn now(&self) -> Nanos {
        0
    }
}
