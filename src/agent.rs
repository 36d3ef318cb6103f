//! An agent: a duty cycle that can be stepped by hand.
//!
//! Production gives an agent a pinned thread, or a thread that it shares with others; a test gives it a simulated
//! clock and steps it. An agent never blocks, and the work of one cycle is bounded.

use crate::model::Nanos;

/// A stage with a duty cycle.
pub trait Agent: Send {
    /// Its name in tables, counters and messages: `feed`, `matcher-0`, `gateway`, `control`.
    fn name(&self) -> &str;

    /// Does a bounded amount of work and returns how much, 0 when there was none. `now` is read once a cycle.
    fn do_work(&mut self, now: Nanos) -> usize;

    /// Called again and again once everything upstream has stopped and `do_work` has nothing left, until it returns
    /// true. A stage that owes something to the outside (bytes to a socket) pays it here, within a deadline of its own.
    fn close(&mut self, now: Nanos) -> bool {
        let _ = now;
        true
    }
}
