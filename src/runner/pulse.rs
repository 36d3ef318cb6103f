//! Heartbeats of threads, and which of their agents stands still. Pure: whoever looks brings the time and the counts.
//!
//! An agent counts its duty cycles, and a thread steps its agents in turn: where the thread stands, the agent at work has counted
//! once more than those behind it.
//!
//! | what is seen | what it is |
//! |---|---|
//! | a count has moved | the thread runs; if it was said to stand still, it goes on |
//! | none has for so long | it stands still: said once, with the agent at work |
//! | whoever looks has not looked for half as long | the whole process stood still, or had no core: nobody is blamed, time begins anew |
//! | all agents of a thread are closed | nothing: the engine stops |

use crate::model::Nanos;

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A thread stands still.
    Stalled {
        /// Which.
        thread: usize,
        /// The agent that it is at.
        agent: usize,
        /// For how long, in ns.
        ns: Nanos,
    },
    /// It goes on.
    GoesOn {
        /// Which.
        thread: usize,
        /// The agent that it was at.
        agent: usize,
        /// How long it stood, about, in ns.
        ns: Nanos,
    },
    /// The whole process stood still so long, in ns.
    ProcessStood(Nanos),
}

/// A thread's heartbeat.
struct Pulse {
    /// Cycles of its agents, `None` of those that are closed.
    cycles: Vec<Option<u64>>,
    /// When one of them was last seen to move.
    moved: Nanos,
    /// The agent that it was said to stand at.
    stalled: Option<usize>,
}

/// The heartbeats of all threads.
pub struct Pulses {
    stalled_after: Nanos,
    looked: Nanos,
    pulses: Vec<Pulse>,
}

impl Pulses {
    /// Of threads whose agents have counted so many cycles by now.
    pub fn new(stalled_after: Nanos, now: Nanos, cycles: Vec<Vec<Option<u64>>>) -> Pulses {
        let pulse = |cycles| Pulse { cycles, moved: now, stalled: None };
        Pulses { stalled_after, looked: now, pulses: cycles.into_iter().map(pulse).collect() }
    }

    /// Looks again, several times in the time after which a thread is said to stand still. Returns what is new.
    pub fn look(&mut self, now: Nanos, cycles: Vec<Vec<Option<u64>>>) -> Vec<Notice> {
        let unseen = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        let has_stood = unseen >= self.stalled_after / 2;
        let mut notices = vec![];
        if has_stood {
            notices.push(Notice::ProcessStood(unseen));
        }
        for (thread, (pulse, cycles)) in self.pulses.iter_mut().zip(cycles).enumerate() {
            let has_moved = pulse.cycles != cycles;
            let ns = now.saturating_sub(pulse.moved);
            pulse.cycles = cycles;
            if has_moved || (has_stood && pulse.stalled.is_none()) {
                pulse.moved = now;
                notices.extend(pulse.stalled.take().map(|agent| Notice::GoesOn { thread, agent, ns }));
            } else if ns >= self.stalled_after
                && pulse.stalled.is_none()
                && let Some(agent) = at_work(&pulse.cycles)
            {
                pulse.stalled = Some(agent);
                notices.push(Notice::Stalled { thread, agent, ns });
            }
        }
        notices
    }

    /// True while a thread is said to stand still.
    pub fn is_any_stalled(&self) -> bool {
        self.pulses.iter().any(|pulse| pulse.stalled.is_some())
    }
}

/// The agent that a thread stands at: of those that have counted most, the last. `None`: all are closed.
fn at_work(cycles: &[Option<u64>]) -> Option<usize> {
    let most = cycles.iter().flatten().max()?;
    cycles.iter().rposition(|count| count.as_ref() == Some(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn pulses() -> Pulses {
        Pulses::new(100 * MS, 0, vec![vec![Some(1), Some(1), Some(0)], vec![Some(5)]])
    }

    /// Looks every 10 ms from `from` to `to`, the second thread always running; what was new.
    fn look(pulses: &mut Pulses, ms: std::ops::RangeInclusive<u64>, first: &[Option<u64>]) -> Vec<Notice> {
        let at = ms.step_by(10);
        at.flat_map(|at| pulses.look(at * MS, vec![first.to_vec(), vec![Some(5 + at)]])).collect()
    }

    #[test]
    fn a_thread_that_stands_is_named_once_with_the_agent_at_work_and_again_when_it_goes_on() {
        let mut pulses = pulses();
        let stands = [Some(8), Some(8), Some(7)];
        assert_eq!(look(&mut pulses, 10..=100, &stands), []);
        assert!(!pulses.is_any_stalled());
        let expected = Notice::Stalled { thread: 0, agent: 1, ns: 100 * MS };
        assert_eq!(look(&mut pulses, 110..=400, &stands), [expected]);
        assert!(pulses.is_any_stalled());
        let expected = Notice::GoesOn { thread: 0, agent: 1, ns: 400 * MS };
        assert_eq!(look(&mut pulses, 410..=450, &[Some(9), Some(9), Some(9)]), [expected]);
        assert!(!pulses.is_any_stalled());
    }

    #[test]
    fn agents_that_are_closed_are_not_missed() {
        let mut pulses = pulses();
        assert_eq!(look(&mut pulses, 10..=500, &[None, None, None]), []);
        assert_eq!(
            look(&mut pulses, 510..=610, &[None, Some(3), None]),
            [Notice::Stalled { thread: 0, agent: 1, ns: 100 * MS }]
        );
    }

    #[test]
    fn a_process_that_was_stopped_blames_nobody() {
        let mut pulses = pulses();
        let first = [Some(8), Some(8), Some(8)];
        assert_eq!(look(&mut pulses, 10..=90, &first), []);
        assert_eq!(look(&mut pulses, 5_000..=5_000, &first), [Notice::ProcessStood(4_910 * MS)]);
        assert_eq!(look(&mut pulses, 5_010..=5_090, &first), []);
        assert_eq!(look(&mut pulses, 5_100..=5_100, &first), [Notice::Stalled { thread: 0, agent: 2, ns: 100 * MS }]);
    }
}
