//! Who is to be looked at: places in a queue, each once, and who is woken by what is logged.
//!
//! An alert wakes those who read its stream. Nobody looks at the others, however many are connected.

use std::collections::VecDeque;

use super::super::log::{DROP_COPY, stream_of};
use super::super::record::Audience;

/// See the head of this file.
pub(super) struct Waking {
    queue: VecDeque<usize>,
    /// By place: it is in the queue.
    is_queued: Box<[bool]>,
    /// By stream of the current log: the places that read it.
    readers: Vec<Vec<usize>>,
    /// By place: the stream that it reads.
    reads: Box<[Option<usize>]>,
}

impl Waking {
    /// For so many places.
    pub(super) fn new(places: usize) -> Waking {
        let (is_queued, reads) = (vec![false; places].into(), vec![None; places].into());
        Waking { queue: VecDeque::with_capacity(places), is_queued, readers: vec![], reads }
    }

    /// This place is to be looked at.
    #[inline]
    pub(super) fn wake(&mut self, place: usize) {
        enqueue(&mut self.queue, &mut self.is_queued, place);
    }

    /// The next place to be looked at.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        let place = self.queue.pop_front()?;
        self.is_queued[place] = false;
        Some(place)
    }

    /// Places in the queue.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.queue.len()
    }

    /// A place reads this stream of the current log.
    pub(super) fn enter(&mut self, place: usize, stream: usize) {
        if self.readers.len() <= stream {
            self.readers.resize_with(stream + 1, Vec::new);
        }
        self.readers[stream].push(place);
        self.reads[place] = Some(stream);
    }

    /// A place reads nothing any more.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(stream) = self.reads[place].take() {
            self.readers[stream].retain(|reader| *reader != place);
        }
    }

    /// Something was logged for these.
    #[inline]
    pub(super) fn wake_readers(&mut self, audience: Audience) {
        match audience {
            Audience::Nobody => {}
            // Who the alert is for comes first.
            Audience::Account(account) => {
                self.wake_stream(stream_of(account));
                self.wake_stream(DROP_COPY);
            }
            Audience::Everyone => (0..self.readers.len()).for_each(|of| self.wake_stream(of)),
        }
    }

    #[inline]
    fn wake_stream(&mut self, stream: usize) {
        let Waking { queue, is_queued, readers, .. } = self;
        readers.get(stream).into_iter().flatten().for_each(|place| enqueue(queue, is_queued, *place));
    }
}

#[inline]
fn enqueue(queue: &mut VecDeque<usize>, is_queued: &mut [bool], place: usize) {
    if !std::mem::replace(&mut is_queued[place], true) {
        queue.push_back(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn woken(waking: &mut Waking, audience: Audience) -> Vec<usize> {
        waking.wake_readers(audience);
        std::iter::from_fn(|| waking.next()).collect()
    }

    #[test]
    fn what_is_logged_wakes_those_who_read_it_and_nobody_twice() {
        let mut waking = Waking::new(5);
        for (place, stream) in [(0, stream_of(7)), (1, DROP_COPY), (2, stream_of(7)), (3, stream_of(8))] {
            waking.enter(place, stream);
        }
        waking.wake(2);
        assert_eq!(woken(&mut waking, Audience::Account(7)), [2, 0, 1]);
        assert_eq!(woken(&mut waking, Audience::Account(9)), [1]);
        assert!(woken(&mut waking, Audience::Nobody).is_empty());
        waking.leave(0);
        waking.leave(4);
        assert_eq!(woken(&mut waking, Audience::Account(7)), [2, 1]);
        assert_eq!(woken(&mut waking, Audience::Everyone), [1, 2, 3]);
        assert_eq!(waking.count(), 0);
    }
}
