//! Warm-up: the feed agent reads the past of the live feed from a recorded file while the lines are heard already.
//!
//! | what is found | what follows |
//! |---|---|
//! | no packet of a line yet | it waits: the live feed says which session it is |
//! | the file names another session | it is not used |
//! | the feed begins another session meanwhile | the rest is not used |
//! | the file has what is expected | it goes through the arbiter as an answer to a re-request |
//! | it lacks what is expected and goes on later | a gap: asked for, else announced; then it is read on |
//! | it ends, in the middle of a message too, and the live feed was heard further on | it may be being written: what comes is read on |
//! | nothing came for 100 ms ([`HISTORY_WAIT`]), or it says that it is complete | what lies between its end and the live feed is a gap |
//! | it goes on where the live feed has not been | enough: the live feed goes on |
//! | it has another message under a number than a line | books and last prices are thrown away: the session begins once more here |

use super::FeedAgent;
use crate::feed::arbiter::Arbiter;
use crate::feed::downstream::Downstream;
use crate::feed::history::History;
use crate::feed::settings::Line;
use crate::limits::{HISTORY_PACKETS_PER_CYCLE, HISTORY_POLL, HISTORY_WAIT};
use crate::model::Nanos;

/// A file that is being read.
pub(super) struct Recall {
    history: History,
    /// The live feed's, once it was heard.
    session: Option<[u8; 10]>,
    /// When it had something last, and when that was looked at.
    ts_read: Nanos,
    ts_looked: Nanos,
}

/// How far a cycle brought it.
enum Step {
    /// So many packets; there may be more.
    Goes(usize),
    /// Nothing more of it, and why.
    Over(&'static str),
    /// It is none of this feed's, and how that is seen.
    Foreign(&'static str),
}

impl<D: Downstream> FeedAgent<D> {
    /// Begins with what a recorded file has: before the first duty cycle, and with a join at number 1.
    pub fn warm_up(&mut self, history: History) {
        // Nothing is given up before the file was looked at.
        self.arbiter.recall(Some(0));
        self.recall = Some(Box::new(Recall { history, session: None, ts_read: 0, ts_looked: 0 }));
    }

    /// Has the arbiter take what the file has. Returns the packets taken.
    #[cold]
    pub(super) fn recall(&mut self, now: Nanos) -> usize {
        let Some(mut recall) = self.recall.take() else { return 0 };
        let step = recall.step(&mut self.arbiter, &mut self.down, now);
        let (file, read) = (recall.history.path().display(), recall.history.read());
        let (next, damage) = (self.arbiter.expected(), recall.history.damage().unwrap_or_default());
        match step {
            Step::Goes(taken) => {
                self.recall = Some(recall);
                return taken;
            }
            Step::Over(why) => tracing::info!(%file, read, next, damage, "warm-up is over: {why}"),
            Step::Foreign(why) => tracing::error!(%file, read, next, "warm-up: the file does not fit: {why}"),
        }
        self.arbiter.recall(None);
        1
    }
}

impl Recall {
    fn step<D: Downstream>(&mut self, arbiter: &mut Arbiter, down: &mut D, now: Nanos) -> Step {
        let Recall { history, session: begun, ts_read, ts_looked } = self;
        let Some(session) = arbiter.session() else { return Step::Goes(0) };
        match *begun {
            Some(id) if id != session => return Step::Foreign("the feed has begun another session"),
            Some(_) => (),
            None => {
                if history.session().is_some_and(|id| id != session) {
                    return Step::Foreign("it is of another session than the live feed, and is not used");
                }
                *begun = Some(session);
                let id = String::from_utf8_lossy(&session).into_owned();
                let named =
                    if history.session().is_some() { "its own" } else { "the live feed's: the file names none" };
                tracing::info!(file = %history.path().display(), session = id, "warm-up begins; the session is {named}");
            }
        }
        for taken in 0..HISTORY_PACKETS_PER_CYCLE {
            let (expected, end) = (arbiter.expected(), arbiter.end());
            let Some(next) = history.next() else {
                return self.wait(arbiter, now);
            };
            (*ts_read, *ts_looked) = (now, now);
            arbiter.recall(Some(next));
            if next >= end && expected == end && end > 1 {
                return Step::Over("the file reaches the live feed");
            }
            // Behind a hole of the file what is missing comes first; and a consumer that takes nothing is not hurried.
            if next > expected || arbiter.is_stalled() {
                return Step::Goes(taken);
            }
            let Some(packet) = history.packet(session, end) else { return Step::Goes(taken) };
            if !arbiter.packet(Line::File, packet, now, down) {
                return Step::Goes(taken);
            }
            history.take();
            if arbiter.counts().history_conflicts > 0 {
                arbiter.begin_again();
                return Step::Foreign(
                    "it has other messages than the live feed under the same numbers. Books and last prices are unknown again",
                );
            }
        }
        Step::Goes(HISTORY_PACKETS_PER_CYCLE)
    }

    /// The file has no more for now.
    fn wait(&mut self, arbiter: &mut Arbiter, now: Nanos) -> Step {
        if arbiter.is_joined() {
            return Step::Over("the file is read, and what lies behind it was heard");
        }
        if now.saturating_sub(self.ts_looked) >= HISTORY_POLL {
            self.ts_looked = now;
            if !self.history.go_on() && now.saturating_sub(self.ts_read) >= HISTORY_WAIT {
                return Step::Over("the file is read, and does not reach the live feed");
            }
        }
        // Nothing is given up yet.
        arbiter.recall(Some(arbiter.expected()));
        Step::Goes(0)
    }
}
