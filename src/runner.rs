//! Threads that step agents, and the two ways to end one.
//!
//! An engine stops from the source to the sink, one agent at a time, so that nothing is lost between them:
//!
//! ```text
//!     running --close--> closing --close() is true--> closed
//!        |                  ^
//!        +--drain--> draining: do_work, and close() when it returned 0, until close() is true --> closed
//! ```
//!
//! - A source (something outside feeds it and will not stop) is told to *close*: it is not asked for work again.
//! - An agent whose upstream is closed is told to *drain*: it works until there is nothing left. An agent whose downstream
//!   is full may return 0 and still hold something: its `close` returns false then, and it is asked for work again.
//!
//! A closed agent is never called again. When all agents of a thread are closed the thread ends.

pub mod pulse;
mod shared;

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::agent::Agent;
use crate::sys::affinity::{PinError, pin_current};
use crate::sys::clock::Clock;
use crate::sys::idle::{Idle, IdleStrategy};
use shared::{Shared, Wish};

/// Why a thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The system gave no thread.
    #[error("thread {name}: {source}")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// It started, could not be pinned, and ended.
    #[error("thread {name}: {source}")]
    Pin {
        /// The thread's name.
        name: String,
        /// Why.
        source: PinError,
    },
}

/// A running thread, for the one who stops it. Dropping it stops nothing: the thread goes on.
#[derive(Debug)]
pub struct Handle {
    name: String,
    agents: Arc<[Shared]>,
    thread: JoinHandle<()>,
}

/// Starts a thread that steps `agents` in turn, pinned to `core` when there is one. Returns once it is pinned and runs.
///
/// # Errors
/// [`SpawnError`]; no thread is left then, and the agents are dropped.
pub fn spawn(
    name: &str,
    core: Option<usize>,
    idle: Idle,
    agents: Vec<Box<dyn Agent>>,
    clock: Clock,
) -> Result<Handle, SpawnError> {
    let shared: Arc<[Shared]> = agents.iter().map(|_| Shared::default()).collect();
    let theirs = Arc::clone(&shared);
    let (sender, pinned) = mpsc::channel();
    let body = move || {
        let result = core.map_or(Ok(()), pin_current);
        let go = result.is_ok();
        // The receiver waits below for exactly this message.
        let _ = sender.send(result);
        if go {
            run(agents, &theirs, idle, &clock);
        }
    };
    let failed = |source| SpawnError::Thread { name: name.into(), source };
    let thread = thread::Builder::new().name(name.into()).spawn(body).map_err(failed)?;
    match pinned.recv() {
        Ok(Ok(())) => Ok(Handle { name: name.into(), agents: shared, thread }),
        Ok(Err(source)) => Err(SpawnError::Pin { name: name.into(), source }),
        Err(_) => Err(failed(io::Error::other("it ended before it began"))),
    }
}

impl Handle {
    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells an agent to work off what is left and close. Everything upstream of it must be closed by now. No
    /// effect on an agent that is closing already.
    pub fn drain(&self, agent: usize) {
        self.agents[agent].wish(Wish::Drain);
    }

    /// Tells an agent to close without asking for more work: for a source.
    pub fn close(&self, agent: usize) {
        self.agents[agent].wish(Wish::Close);
    }

    /// True when an agent is closed. What it did before, as what it sent, is visible to the caller then.
    pub fn is_closed(&self, agent: usize) -> bool {
        self.agents[agent].is_closed()
    }

    /// Duty cycles of an agent so far: one that does not move for long is stuck.
    pub fn cycles(&self, agent: usize) -> u64 {
        self.agents[agent].cycles()
    }

    /// Number of agents.
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// True when the thread has ended: all agents are closed, or one of them panicked.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the thread ends, which it does when all its agents are closed.
    ///
    /// # Errors
    /// When an agent panicked (in a release build that ends the process).
    pub fn join(self) -> thread::Result<()> {
        self.thread.join()
    }
}

/// The thread.
fn run(mut agents: Vec<Box<dyn Agent>>, shared: &[Shared], idle: Idle, clock: &Clock) {
    let mut strategy = IdleStrategy::for_this_thread(idle);
    loop {
        let now = clock.now();
        let (mut work, mut open) = (0, false);
        for (agent, shared) in agents.iter_mut().zip(shared) {
            if let Some(done) = shared.step(agent.as_mut(), now) {
                work += done;
                open = true;
            }
        }
        if !open {
            return;
        }
        strategy.idle(work);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::model::Nanos;
    use crate::ring::{Receiver, Sender, ring};
    use crate::sys::affinity::allowed;

    /// Sends 1, 2, 3 ... for ever: a source.
    struct Source(Sender<u64>, u64);
    /// Passes on what comes, holding one value when the ring is full.
    struct Relay(Receiver<u64>, Sender<u64>, Option<u64>);
    /// Adds up what comes; takes nothing until it is drained, so that the ring before it is full.
    struct Sink(Receiver<u64>, Arc<AtomicU64>, u32);

    impl Agent for Source {
        fn name(&self) -> &str {
            "source"
        }
        fn do_work(&mut self, _: Nanos) -> usize {
            let sent = self.0.send(self.1 + 1);
            self.1 += u64::from(sent);
            1
        }
    }

    impl Agent for Relay {
        fn name(&self) -> &str {
            "relay"
        }
        fn do_work(&mut self, _: Nanos) -> usize {
            if self.2.is_none() {
                let held = &mut self.2;
                self.0.drain(1, |value| *held = Some(*value));
            }
            let Some(value) = self.2 else { return 0 };
            if !self.1.send(value) {
                return 0;
            }
            self.2 = None;
            1
        }
        fn close(&mut self, _: Nanos) -> bool {
            self.2.is_none() && self.0.is_empty()
        }
    }

    impl Agent for Sink {
        fn name(&self) -> &str {
            "sink"
        }
        fn do_work(&mut self, _: Nanos) -> usize {
            let sum = &self.1;
            self.0.drain(1, |value| {
                sum.fetch_add(*value, Ordering::Relaxed);
            })
        }
        fn close(&mut self, _: Nanos) -> bool {
            self.2 += 1;
            self.2 == 3
        }
    }

    fn wait(what: impl Fn() -> bool) {
        while !what() {
            thread::yield_now();
        }
    }

    /// Stops source, relay and sink in that order, wherever they run, and returns what arrived and what the sink may see at most.
    fn stop_in_order(handles: Vec<Handle>, places: [(usize, usize); 3]) {
        let [source, relay, sink] = places;
        wait(|| handles.iter().all(|handle| (0..handle.agents()).all(|agent| handle.cycles(agent) > 50)));
        handles[source.0].close(source.1);
        wait(|| handles[source.0].is_closed(source.1));
        for (thread, agent) in [relay, sink] {
            handles[thread].drain(agent);
            wait(|| handles[thread].is_closed(agent));
        }
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    }

    /// Counts what the source sent when it is dropped, which is when its thread ends.
    fn agents() -> (Vec<Box<dyn Agent>>, Arc<AtomicU64>, Arc<AtomicU64>) {
        struct Counted(Source, Arc<AtomicU64>);
        impl Agent for Counted {
            fn name(&self) -> &str {
                self.0.name()
            }
            fn do_work(&mut self, now: Nanos) -> usize {
                let work = self.0.do_work(now);
                self.1.store((1..=self.0.1).sum(), Ordering::Relaxed);
                work
            }
        }
        let ((first, second), (third, fourth)) = (ring(8, 0), ring(2, 0));
        let (sent, received) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let source = Counted(Source(first, 0), Arc::clone(&sent));
        let (relay, sink) = (Relay(second, third, None), Sink(fourth, Arc::clone(&received), 0));
        (vec![Box::new(source), Box::new(relay), Box::new(sink)], sent, received)
    }

    #[test]
    fn nothing_is_lost_between_agents_of_one_thread() {
        let (agents, sent, received) = agents();
        let handle = spawn("all", None, Idle::Park, agents, Clock::simulated(0)).unwrap();
        stop_in_order(vec![handle], [(0, 0), (0, 1), (0, 2)]);
        let (sent, received) = (sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
        assert!(sent > 0);
        assert_eq!(sent, received);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let (agents, sent, received) = agents();
        let on_its_own = |agent: Box<dyn Agent>| {
            let name = agent.name().to_string();
            spawn(&name, None, Idle::Yield, vec![agent], Clock::simulated(0)).unwrap()
        };
        let handles: Vec<Handle> = agents.into_iter().map(on_its_own).collect();
        assert_eq!(handles[1].name(), "relay");
        stop_in_order(handles, [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
    }

    #[test]
    fn a_closed_agent_is_never_called_again_and_its_neighbours_go_on() {
        struct Once(bool);
        impl Agent for Once {
            fn name(&self) -> &str {
                "once"
            }
            fn do_work(&mut self, _: Nanos) -> usize {
                assert!(!self.0, "called after it was closed");
                0
            }
            fn close(&mut self, _: Nanos) -> bool {
                assert!(!self.0, "closed twice");
                self.0 = true;
                true
            }
        }
        let agents: Vec<Box<dyn Agent>> = vec![Box::new(Once(false)), Box::new(Once(false))];
        let handle = spawn("two", None, Idle::Yield, agents, Clock::simulated(0)).unwrap();
        handle.drain(0);
        wait(|| handle.is_closed(0));
        let cycles = (handle.cycles(0), handle.cycles(1));
        wait(|| handle.cycles(1) > cycles.1 + 10);
        assert_eq!((handle.cycles(0), handle.is_closed(1), handle.is_finished()), (cycles.0, false, false));
        handle.close(1);
        assert!(handle.join().is_ok());
    }

    #[test]
    fn a_thread_is_pinned_before_its_agents_run_or_does_not_start() {
        struct Where(Arc<AtomicU64>);
        impl Agent for Where {
            fn name(&self) -> &str {
                "where"
            }
            fn do_work(&mut self, _: Nanos) -> usize {
                self.0.store(allowed().unwrap().len() as u64, Ordering::Relaxed);
                0
            }
        }
        let seen = Arc::<AtomicU64>::default();
        let agent = || -> Vec<Box<dyn Agent>> { vec![Box::new(Where(Arc::clone(&seen)))] };
        let core = allowed().unwrap()[0];
        let handle = spawn("pinned", Some(core), Idle::Yield, agent(), Clock::simulated(0)).unwrap();
        handle.drain(0);
        handle.join().unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        let error = spawn("nowhere", Some(usize::MAX), Idle::Yield, agent(), Clock::simulated(0)).unwrap_err();
        assert!(error.to_string().starts_with("thread nowhere: core 18446744073709551615:"));
    }
}
