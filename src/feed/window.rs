//! The reorder window: messages that cannot go on yet, each in the slot of its number.
//!
//! A slot is found by `sequence % REORDER_WINDOW`, so copies, overlaps and other packet boundaries on the other line
//! need no thought. All held numbers lie within one window's length of each other: the caller keeps that, from its
//! next number expected. Memory is fixed, and written once at start so that no later store faults.

use crate::limits::{MESSAGE_KEPT_MAX, REORDER_WINDOW};
use crate::model::Nanos;

/// A number that no message has: [`Header::read`](super::moldudp64::Header::read) refuses what would reach it.
const EMPTY: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Slot {
    sequence: u64,
    ts_recv: Nanos,
    size: u8,
    bytes: [u8; MESSAGE_KEPT_MAX],
}

/// See the head of this file.
pub struct Window {
    slots: Box<[Slot]>,
    held: usize,
    /// No held number is below it.
    lowest: u64,
    /// One above the highest number put in since the window was last empty.
    reach: u64,
}

impl Default for Window {
    fn default() -> Window {
        let empty = Slot { sequence: EMPTY, ts_recv: 0, size: 0, bytes: [0; MESSAGE_KEPT_MAX] };
        Window { slots: vec![empty; REORDER_WINDOW].into_boxed_slice(), held: 0, lowest: 0, reach: 0 }
    }
}

impl Window {
    /// Messages held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// One above the highest number held; 0 when nothing is.
    pub fn reach(&self) -> u64 {
        if self.held == 0 { 0 } else { self.reach }
    }

    /// True when message `sequence` is held.
    #[inline]
    pub fn has(&self, sequence: u64) -> bool {
        self.held > 0 && self.slots[slot(sequence)].sequence == sequence
    }

    /// Holds a message that is not held yet; of one longer than [`MESSAGE_KEPT_MAX`] that much.
    pub fn insert(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) {
        let slot = &mut self.slots[slot(sequence)];
        debug_assert_eq!(slot.sequence, EMPTY, "two messages within the window share a slot");
        let kept = &message[..message.len().min(MESSAGE_KEPT_MAX)];
        (slot.sequence, slot.ts_recv, slot.size) = (sequence, ts_recv, kept.len() as u8);
        slot.bytes[..kept.len()].copy_from_slice(kept);
        let alone = self.held == 0;
        self.lowest = if alone { sequence } else { self.lowest.min(sequence) };
        self.reach = if alone { sequence + 1 } else { self.reach.max(sequence + 1) };
        self.held += 1;
    }

    /// When message `sequence` was received, and its bytes; `None` when it is not held.
    pub fn get(&self, sequence: u64) -> Option<(Nanos, &[u8])> {
        let slot = &self.slots[slot(sequence)];
        (self.has(sequence)).then(|| (slot.ts_recv, &slot.bytes[..usize::from(slot.size)]))
    }

    /// Frees the slot of a held message.
    pub fn remove(&mut self, sequence: u64) {
        debug_assert!(self.has(sequence));
        self.slots[slot(sequence)].sequence = EMPTY;
        self.held -= 1;
        if sequence == self.lowest {
            self.lowest += 1;
        }
    }

    /// The lowest number held and when it was received. Looks at each slot once in a pass of the window, whatever the
    /// number of calls.
    pub fn first(&mut self) -> Option<(u64, Nanos)> {
        if self.held == 0 {
            return None;
        }
        while !self.has(self.lowest) {
            self.lowest += 1;
        }
        Some((self.lowest, self.slots[slot(self.lowest)].ts_recv))
    }
}

#[inline]
fn slot(sequence: u64) -> usize {
    sequence as usize % REORDER_WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_by_number_and_finds_the_lowest() {
        let mut window = Window::default();
        let base = u64::MAX - 3 * REORDER_WINDOW as u64 / 2;
        assert_eq!((window.first(), window.has(base), window.reach()), (None, false, 0));
        window.insert(base + 9, 7, b"nine");
        window.insert(base + 4, 8, b"");
        assert_eq!((window.first(), window.reach(), window.held()), (Some((base + 4, 8)), base + 10, 2));
        assert_eq!((window.get(base + 4), window.get(base + 5)), (Some((8, &b""[..])), None));
        assert!(!window.has(base + 4 + REORDER_WINDOW as u64));
        window.remove(base + 4);
        assert_eq!((window.first(), window.get(base + 9)), (Some((base + 9, 7)), Some((7, &b"nine"[..]))));
        window.remove(base + 9);
        assert_eq!((window.first(), window.held()), (None, 0));
    }

    #[test]
    fn an_overlong_message_keeps_a_size_that_no_type_has() {
        let mut window = Window::default();
        window.insert(1, 0, &[b'I'; 900]);
        assert_eq!(window.get(1).map(|(_, bytes)| bytes.len()), Some(crate::limits::ITCH_SIZE_MAX + 1));
    }
}
