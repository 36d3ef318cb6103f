//! What a thread and its handle share of an agent: a wish that goes one way, and a heartbeat that comes back.

use crate::agent::Agent;
use crate::model::Nanos;
use crate::sys::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const RUNNING: u8 = 0;
const CLOSED: u8 = 3;

/// What an agent is to do. A later one is never taken back by an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Work off what is left, then close.
    Drain = 1,
    /// Close without asking for more work.
    Close = 2,
}

/// Of one agent. A cache line of its own: the thread writes it every cycle.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Shared {
    state: AtomicU8,
    cycles: AtomicU64,
}

impl Shared {
    /// States only go up. Release: what the caller saw of an upstream that closed, the agent sees when it drains.
    pub fn wish(&self, wish: Wish) {
        self.state.fetch_max(wish as u8, Ordering::Release);
    }

    /// True when the agent is closed. What it did before is visible to the caller then.
    pub fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLOSED
    }

    /// Duty cycles so far.
    pub fn cycles(&self) -> u64 {
        self.cycles.load(Ordering::Relaxed)
    }

    /// One duty cycle, for the thread: the work done, `None` when the agent is closed.
    #[inline]
    pub fn step(&self, agent: &mut dyn Agent, now: Nanos) -> Option<usize> {
        let state = self.state.load(Ordering::Acquire);
        if state == CLOSED {
            return None;
        }
        // This thread is the only writer, so a load and a store do what an atomic addition would.
        self.cycles.store(self.cycles.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let work = if state == Wish::Close as u8 { 0 } else { agent.do_work(now) };
        if state != RUNNING && work == 0 && agent.close(now) {
            self.state.store(CLOSED, Ordering::Release);
        }
        Some(work)
    }
}
