//! The engine's clock: UTC nanoseconds that never jump.
//!
//! The machine's clock is read as `CLOCK_MONOTONIC` plus the distance to UTC measured once at start. One number
//! serves for stamps and for deadlines; a wall clock that is set while the engine runs changes neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::limits::STAMPS_PER_READING;
use crate::model::Nanos;

/// A clock, cheap to clone; every clone shows the same time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's.
    Machine {
        /// A moment of the monotonic clock,
        origin: Instant,
        /// and what UTC was then.
        origin_utc: Nanos,
    },
    /// A test's: it stands still until it is set.
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock, tied to UTC now.
    pub fn machine() -> Clock {
        let utc = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock::Machine { origin: Instant::now(), origin_utc: utc.as_nanos() as Nanos }
    }

    /// A simulated clock at `now`.
    pub fn simulated(now: Nanos) -> Clock {
        Clock::Simulated(Arc::new(AtomicU64::new(now)))
    }

    /// UTC nanoseconds since 1970.
    #[inline]
    pub fn now(&self) -> Nanos {
        match self {
            Clock::Machine { origin, origin_utc } => origin_utc + origin.elapsed().as_nanos() as Nanos,
            Clock::Simulated(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Moves a simulated clock forward. The machine's clock cannot be moved: no effect.
    pub fn advance(&self, by: Nanos) {
        if let Clock::Simulated(now) = self {
            now.fetch_add(by, Ordering::Relaxed);
        }
    }
}

/// A stamp for what is done in a row: a reading of the clock costs 25 ns, as much as the thing stamped, so one serves for
/// [`STAMPS_PER_READING`] things. What they were taken from must be there before the first is stamped: none is stamped earlier than it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    now: Nanos,
    left: u32,
}

impl Stamp {
    /// The stamp of the next thing.
    #[inline]
    pub fn next(&mut self, now: impl FnOnce() -> Nanos) -> Nanos {
        if self.left == 0 {
            *self = Stamp { now: now(), left: STAMPS_PER_READING };
        }
        self.left -= 1;
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_serves_for_a_few_things_and_no_longer() {
        let (mut stamp, mut readings) = (Stamp::default(), 0);
        let stamps: Vec<Nanos> = (0..2 * STAMPS_PER_READING + 1)
            .map(|_| {
                stamp.next(|| {
                    readings += 1;
                    readings
                })
            })
            .collect();
        assert_eq!((stamps.first(), stamps[STAMPS_PER_READING as usize], stamps.last()), (Some(&1), 2, Some(&3)));
    }

    #[test]
    fn clones_show_the_same_time() {
        let clock = Clock::simulated(5);
        let twin = clock.clone();
        clock.advance(7);
        assert_eq!(twin.now(), 12);
        let machine = Clock::machine();
        assert!(machine.now() <= machine.now());
    }

    /// What a jump of the wall clock looks like to a clock that was tied before it: an hour's difference, which stays.
    #[test]
    fn the_wall_clock_is_asked_once() {
        const HOUR: Nanos = 3_600_000_000_000;
        let origin = Instant::now();
        for origin_utc in [HOUR, u64::MAX / 2] {
            let clock = Clock::Machine { origin, origin_utc };
            let (before, now, after) = (origin.elapsed(), clock.now(), origin.elapsed());
            let since = now - origin_utc;
            assert!((before.as_nanos()..=after.as_nanos()).contains(&u128::from(since)));
        }
    }
}
