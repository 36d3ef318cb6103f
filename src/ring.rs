//! A ring: one producer, one consumer, fixed slots of `Copy` values, never blocking. A thin cover over `disruptor`.
//!
//! `disruptor`'s own calls have two edges that this keeps from everyone else: `publish` on a full ring spins for
//! ever when the consumer is gone, so only `try_publish` is used; and a guard acknowledges *all* that was
//! taken when it drops, so [`Receiver::drain`] hands out every value that it takes.

use disruptor::{BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier};

use crate::sys::memory::prefetch_next;

/// The producing end.
pub struct Sender<T>(SingleProducer<T, SingleConsumerBarrier>);

/// The consuming end.
pub struct Receiver<T>(EventPoller<T, SingleProducerBarrier>);

/// A ring of `slots` (a power of two) values.
pub fn ring<T: Copy + Send + Sync + 'static>(slots: usize, empty: T) -> (Sender<T>, Receiver<T>) {
    let builder = disruptor::build_single_producer(slots, || empty, BusySpin);
    let (poller, builder) = builder.new_event_poller();
    (Sender(builder.build()), Receiver(poller))
}

impl<T: Copy> Sender<T> {
    /// Puts a value on the ring; false, and nothing done, when it is full. The next slot is fetched meanwhile: where values are
    /// far apart in time it lies in no cache any more, and who writes it would wait.
    #[inline]
    #[must_use]
    pub fn send(&mut self, value: T) -> bool {
        let write = |slot: &mut T| {
            *slot = value;
            prefetch_next(slot);
        };
        self.0.try_publish(write).is_ok()
    }
}

impl<T: Copy> Receiver<T> {
    /// Takes at most `limit` values and hands each of them to `each`. Returns how many.
    #[inline]
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(&T)) -> usize {
        let Ok(mut guard) = self.0.take(limit as u64) else { return 0 };
        let values = &mut guard;
        let count = values.len();
        values.for_each(&mut each);
        count
    }

    /// True when there is nothing to take.
    pub fn is_empty(&self) -> bool {
        !self.0.has_available()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_a_drained_one_takes_again() {
        let (mut sender, mut receiver) = ring(4, 0u32);
        assert!((1..=4).all(|n| sender.send(n)));
        assert!(!sender.send(5));
        let mut seen = vec![];
        assert_eq!(receiver.drain(3, |n| seen.push(*n)), 3);
        assert!(sender.send(5));
        assert_eq!(receiver.drain(9, |n| seen.push(*n)), 2);
        assert_eq!((seen, receiver.is_empty()), (vec![1, 2, 3, 4, 5], true));
    }

    #[test]
    fn what_was_sent_before_the_producer_went_is_still_there() {
        let (mut sender, mut receiver) = ring(4, 0u32);
        assert!(sender.send(1) && sender.send(2));
        drop(sender);
        assert_eq!(receiver.drain(9, |_| ()), 2);
        assert_eq!(receiver.drain(9, |_| ()), 0);
    }
}
