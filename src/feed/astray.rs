//! Packets whose numbers lie so far from the one expected that one alone proves nothing.
//!
//! UDP is not authenticated, and a forged sequence must not move the feed. A packet that begins more than a window ahead is
//! dropped, and counts only towards a *run*: [`RUN_PACKETS_MIN`] packets, each joining on to the one before (heartbeats with
//! the run's next number too). A run of that length is believed: there is an ordinary gap up to its end, asked for
//! and waited for as any other. A line that still brings what is expected disproves it. Between two packets of a run others
//! are ignored, so one forged packet does not break a true run; a run that stands still gives way to another.

use crate::limits::RUN_PACKETS_MIN;
use crate::model::Nanos;

/// A run of packets that join on to each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    next: u64,
    packets: u32,
    moved: Nanos,
}

impl Run {
    /// Adds a packet of messages `first` to `next - 1`. `stale`: how long a run may stand still. Returns true when the run
    /// is believed and this packet is its newest.
    pub fn add(&mut self, first: u64, next: u64, now: Nanos, stale: Nanos) -> bool {
        let heartbeat = first == next && next == self.next;
        if self.packets > 0 && first <= self.next && (next > self.next || heartbeat) {
            *self = Run { next, packets: self.packets.saturating_add(1), moved: now };
            return self.packets >= RUN_PACKETS_MIN;
        }
        if self.packets == 0 || now.saturating_sub(self.moved) >= stale {
            *self = Run { next, packets: 1, moved: now };
        }
        false
    }

    /// Forgets what was seen.
    pub fn clear(&mut self) {
        *self = Run::default();
    }
}
