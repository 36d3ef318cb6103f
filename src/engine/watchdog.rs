//! The watchdog: looks at every agent's heartbeat, from a thread that is none of theirs, and says which one stands still.

use super::Engine;
use crate::model::Nanos;
use crate::runner::pulse::{Notice, Pulses};
use crate::stats::StatsReader;
use crate::sys::clock::Clock;

/// See the head of this file.
pub struct Watchdog {
    pulses: Pulses,
    clock: Clock,
}

impl Watchdog {
    /// Over an engine that runs. An agent that has not finished a duty cycle for `stalled_after` stands still.
    pub fn new(engine: &Engine, stalled_after: Nanos) -> Watchdog {
        let clock = Clock::machine();
        Watchdog { pulses: Pulses::new(stalled_after, clock.now(), engine.cycles()), clock }
    }

    /// Looks, and logs what is new. Several times in `stalled_after`. True while an agent stands still.
    pub fn look(&mut self, engine: &Engine) -> bool {
        for notice in self.pulses.look(self.clock.now(), engine.cycles()) {
            match notice {
                Notice::Stalled { thread, agent, ns } => {
                    let (agent, others) = engine.agents_of(thread, agent);
                    let counters = counters(engine, &agent);
                    let ms = ns / 1_000_000;
                    tracing::error!(agent, ms, others, counters, "an agent stands still, and its thread with it");
                }
                Notice::GoesOn { thread, agent, ns } => {
                    let (agent, _) = engine.agents_of(thread, agent);
                    tracing::warn!(agent, ms = ns / 1_000_000, "the agent that stood still goes on");
                }
                Notice::ProcessStood(ns) => {
                    tracing::warn!(ms = ns / 1_000_000, "the whole process was stopped, or had no core");
                }
            }
        }
        self.pulses.is_any_stalled()
    }
}

impl Engine {
    /// Duty cycles so far, by thread and agent; `None` for an agent that is closed.
    fn cycles(&self) -> Vec<Vec<Option<u64>>> {
        let of_thread = |thread: &crate::runner::Handle| {
            let agents = 0..thread.agents();
            agents.map(|agent| (!thread.is_closed(agent)).then(|| thread.cycles(agent))).collect()
        };
        self.threads.iter().map(of_thread).collect()
    }

    /// The name of an agent, and those of the others on its thread.
    fn agents_of(&self, thread: usize, agent: usize) -> (String, String) {
        let roles = &self.plan.threads[thread].roles;
        let others = roles.iter().enumerate().filter(|(other, _)| *other != agent);
        let others: Vec<String> = others.map(|(_, role)| role.to_string()).collect();
        (roles[agent].to_string(), others.join(" "))
    }
}

/// What the agent had counted, as far as it counts anything.
fn counters(engine: &Engine, agent: &str) -> String {
    let snapshot = StatsReader::open(&engine.stats_file).and_then(|reader| reader.snapshot());
    let Ok(snapshot) = snapshot else { return "not readable".into() };
    let of_agent = snapshot.counters.iter().filter(|counters| counters.agent == agent);
    let values = of_agent.flat_map(|counters| counters.values.iter().filter(|(_, value)| *value > 0));
    values.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}
