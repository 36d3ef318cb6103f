//! What a thread does between two duty cycles that found no work.

use std::hint;
use std::thread;
use std::time::Duration;

/// Empty cycles that a parking thread spins through before it yields.
const PARK_SPINS: u32 = 64;
/// Empty cycles until it has yielded enough and sleeps.
const PARK_YIELDS: u32 = 128;
/// First sleep; each further one is twice as long.
const PARK_MIN: Duration = Duration::from_micros(50);
/// Longest sleep.
const PARK_MAX: Duration = Duration::from_millis(1);

/// An idle strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// Looks again at once. Lowest latency; needs a core of its own, always.
    Spin,
    /// Offers the core to others, then looks again. Wakes within a scheduler's turn; keeps a core busy.
    Yield,
    /// Spins, then yields, then sleeps for 50 us to 1 ms. Uses next to nothing when idle; up to 1 ms late at first.
    Park,
}

impl Idle {
    /// Its name in the config file and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Idle::Spin => "spin",
            Idle::Yield => "yield",
            Idle::Park => "park",
        }
    }
}

/// An idle strategy at work on one thread.
#[derive(Debug)]
pub struct IdleStrategy {
    idle: Idle,
    /// Cycles without work since the last one with work.
    empty_cycles: u32,
}

impl IdleStrategy {
    /// A strategy for the calling thread. A parking thread asks the kernel to wake it on time: by default
    /// a sleep may last 50 us longer, so that the kernel can wake several threads together.
    pub fn for_this_thread(idle: Idle) -> IdleStrategy {
        if idle == Idle::Park {
            timer_slack_off();
        }
        IdleStrategy { idle, empty_cycles: 0 }
    }

    /// Called after each duty cycle with the work that it did.
    #[inline]
    pub fn idle(&mut self, work: usize) {
        if work > 0 {
            self.empty_cycles = 0;
            return;
        }
        match self.idle {
            Idle::Spin => hint::spin_loop(),
            Idle::Yield => thread::yield_now(),
            Idle::Park => self.back_off(),
        }
    }

    fn back_off(&mut self) {
        let step = Step::after(self.empty_cycles);
        self.empty_cycles = self.empty_cycles.saturating_add(1);
        match step {
            Step::Spin => hint::spin_loop(),
            Step::Yield => thread::yield_now(),
            Step::Sleep(time) => thread::sleep(time),
        }
    }
}

/// One step of a parking thread's back-off.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Spin,
    Yield,
    Sleep(Duration),
}

impl Step {
    fn after(empty_cycles: u32) -> Step {
        match empty_cycles {
            0..PARK_SPINS => Step::Spin,
            PARK_SPINS..PARK_YIELDS => Step::Yield,
            cycles => Step::Sleep(PARK_MIN.saturating_mul(1 << (cycles - PARK_YIELDS).min(16)).min(PARK_MAX)),
        }
    }
}

/// Sets the calling thread's timer slack to 1 ns. Failure is no error: sleeps are then less exact.
#[allow(unsafe_code)]
fn timer_slack_off() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer, reads and writes no memory of ours, and affects this thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parking_thread_backs_off_from_spin_to_a_sleep_of_a_millisecond() {
        let micros = |n| Step::Sleep(Duration::from_micros(n));
        assert_eq!(Step::after(0), Step::Spin);
        assert_eq!(Step::after(PARK_SPINS - 1), Step::Spin);
        assert_eq!(Step::after(PARK_SPINS), Step::Yield);
        assert_eq!(Step::after(PARK_YIELDS - 1), Step::Yield);
        let sleeps: Vec<Step> = (PARK_YIELDS..PARK_YIELDS + 6).map(Step::after).collect();
        assert_eq!(sleeps, [micros(50), micros(100), micros(200), micros(400), micros(800), micros(1000)]);
        assert_eq!(Step::after(u32::MAX), micros(1000));
    }

    #[test]
    fn work_starts_the_back_off_anew_and_other_strategies_keep_none() {
        let mut park = IdleStrategy::for_this_thread(Idle::Park);
        (0..PARK_YIELDS).for_each(|_| park.idle(0));
        assert_eq!(park.empty_cycles, PARK_YIELDS);
        park.idle(1);
        assert_eq!(park.empty_cycles, 0);
        for idle in [Idle::Spin, Idle::Yield] {
            let mut strategy = IdleStrategy::for_this_thread(idle);
            strategy.idle(0);
            assert_eq!(strategy.empty_cycles, 0);
        }
    }
}
