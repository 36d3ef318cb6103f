//! Agents that publish their counts: what an agent has counted goes to the mapped file when it comes to rest, and now and then
//! while it does not. Right after its work it would stand between a datagram and its alert.

use crate::agent::Agent;
use crate::control::agent::ControlAgent;
use crate::feed::agent::FeedAgent;
use crate::gateway::agent::GatewayAgent;
use crate::journal::agent::JournalAgent;
use crate::matcher::agent::MatcherAgent;
use crate::model::Nanos;
use crate::partition::{Partition, Shards};
use crate::stats::{StatsError, StatsFile};
use crate::tls::agent::TlsAgent;

/// Cycles after which counts are published in any case.
const CYCLES_MAX: u32 = 1_024;

/// An agent, and how its counts are published.
pub struct Watched<A, P> {
    agent: A,
    publish: P,
    /// Cycles since counts were published, and whether one of them did work.
    cycles: u32,
    has_worked: bool,
}

impl<A: Agent, P: FnMut(&A) + Send> Agent for Watched<A, P> {
    fn name(&self) -> &str {
        self.agent.name()
    }

    #[inline]
    fn do_work(&mut self, now: Nanos) -> usize {
        let work = self.agent.do_work(now);
        self.cycles += 1;
        if (self.has_worked && work == 0) || self.cycles >= CYCLES_MAX {
            (self.cycles, self.has_worked) = (0, false);
            (self.publish)(&self.agent);
        }
        self.has_worked |= work > 0;
        work
    }

    fn close(&mut self, now: Nanos) -> bool {
        let closed = self.agent.close(now);
        (self.publish)(&self.agent);
        closed
    }
}

fn watched<A: Agent + 'static>(agent: A, publish: impl FnMut(&A) + Send + 'static) -> Box<dyn Agent> {
    Box::new(Watched { agent, publish, cycles: 0, has_worked: false })
}

type Published = Result<Box<dyn Agent>, StatsError>;

/// The feed with its arbiter, its sockets and the partition.
pub fn feed<S: Shards + Send + 'static>(agent: FeedAgent<Partition<S>>, stats: &mut StatsFile) -> Published {
    let mut arbiter = stats.counters::<crate::feed::counts::ArbiterCounts>("feed", "arbiter")?;
    let mut sockets = stats.counters::<crate::feed::counts::SocketCounts>("feed", "sockets")?;
    let mut partition = stats.counters::<crate::partition::PartitionCounts>("feed", "partition")?;
    Ok(watched(agent, move |agent: &FeedAgent<Partition<S>>| {
        arbiter.publish(agent.counts());
        sockets.publish(agent.socket_counts());
        partition.publish(&agent.downstream().counts());
    }))
}

/// A shard.
pub fn matcher(number: usize, agent: MatcherAgent, stats: &mut StatsFile) -> Published {
    let name = format!("matcher-{number}");
    let mut shard = stats.counters::<crate::matcher::shard::ShardCounts>(&name, "shard")?;
    Ok(watched(agent, move |agent: &MatcherAgent| shard.publish(&agent.counts())))
}

/// Control.
pub fn control(agent: ControlAgent, stats: &mut StatsFile) -> Published {
    let mut counts = stats.counters::<crate::control::agent::ControlCounts>("control", "sessions")?;
    Ok(watched(agent, move |agent: &ControlAgent| counts.publish(&agent.counts())))
}

/// The journal.
pub fn journal(agent: JournalAgent, stats: &mut StatsFile) -> Published {
    let mut counts = stats.counters::<crate::journal::agent::JournalCounts>("journal", "disk")?;
    Ok(watched(agent, move |agent: &JournalAgent| counts.publish(&agent.counts())))
}

/// TLS.
pub fn tls(agent: TlsAgent, stats: &mut StatsFile) -> Published {
    let mut counts = stats.counters::<crate::tls::agent::TlsCounts>("tls", "links")?;
    Ok(watched(agent, move |agent: &TlsAgent| counts.publish(&agent.counts())))
}

/// The gateway with its intake.
pub fn gateway(agent: GatewayAgent, stats: &mut StatsFile) -> Published {
    let mut sessions = stats.counters::<crate::gateway::agent::GatewayCounts>("gateway", "sessions")?;
    let mut intake = stats.counters::<crate::gateway::intake::IntakeCounts>("gateway", "log")?;
    Ok(watched(agent, move |agent: &GatewayAgent| {
        sessions.publish(&agent.counts());
        intake.publish(&agent.intake_counts());
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Does as much work as `now` says.
    struct AsTold;

    impl Agent for AsTold {
        fn name(&self) -> &str {
            "as told"
        }
        fn do_work(&mut self, now: Nanos) -> usize {
            now as usize
        }
    }

    #[test]
    fn counts_are_published_at_rest_now_and_then_in_a_rush_and_at_the_end() {
        let published = Arc::new(AtomicU32::new(0));
        let mut agent = watched(AsTold, {
            let published = Arc::clone(&published);
            move |_: &AsTold| _ = published.fetch_add(1, Ordering::Relaxed)
        });
        let mut after = |cycles: u32, work| {
            (0..cycles).for_each(|_| _ = agent.do_work(work));
            published.load(Ordering::Relaxed)
        };
        assert_eq!((after(3, 1), after(1, 0), after(9, 0)), (0, 1, 1));
        assert_eq!((after(CYCLES_MAX, 1), after(1, 0)), (2, 3));
        agent.close(0);
        assert_eq!(published.load(Ordering::Relaxed), 4);
    }
}
