//! Which messages share a packet, and when it is due.

use super::messages::{Cursor, Messages, Packet, stamp};
use crate::limits::PUBLISH_FLUSH;
use crate::model::Nanos;

/// How fast a feed is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// By the messages' stamps, `speed` / 1,000 times as fast (at least 1 / 1,000).
    Original {
        /// 1,000: as recorded.
        speed: u64,
    },
    /// So many messages a second, evenly (at least 1).
    Rate(u64),
    /// As fast as it goes.
    Max,
}

/// Cuts a feed into packets. A packet ends when it is full, at a gap in the numbers, or when the next message is due
/// more than 10 us after the packet's first.
#[derive(Clone, Debug)]
pub struct Packetizer {
    pace: Pace,
    size_max: usize,
    at: Cursor,
    /// The first stamp: time 0 of [`Pace::Original`].
    origin: Option<Nanos>,
    /// Due time of the latest message; a stamp that goes back is due with it.
    due: Nanos,
}

impl Packetizer {
    /// Starts before the first message. `size_max`: bytes of a datagram's payload.
    pub fn new(pace: Pace, size_max: usize) -> Packetizer {
        Packetizer { pace, size_max, at: Cursor::default(), origin: None, due: 0 }
    }

    /// The next packet, and when it is due: ns since the start. It is due when its last message is.
    pub fn next(&mut self, messages: &Messages) -> Option<(Packet, Nanos)> {
        let (pace, mut origin) = (self.pace, self.origin);
        let (mut flush_at, mut latest) = (None, self.due);
        let mut due = |index, message: &[u8]| {
            let due = match pace {
                Pace::Original { speed } => stamp(message).map_or(0, |ts| {
                    let passed = ts.saturating_sub(*origin.get_or_insert(ts));
                    (u128::from(passed) * 1_000 / u128::from(speed.max(1))) as Nanos
                }),
                Pace::Rate(rate) => (u128::from(index) * 1_000_000_000 / u128::from(rate.max(1))) as Nanos,
                Pace::Max => 0,
            };
            let due = due.max(latest);
            let belongs = due <= *flush_at.get_or_insert(due.saturating_add(PUBLISH_FLUSH));
            if belongs {
                latest = due;
            }
            belongs
        };
        let packet = messages.packet(self.at, self.size_max, &mut due)?;
        (self.at, self.origin, self.due) = (packet.to, origin, latest);
        Some((packet, latest))
    }
}
