//! Where the feed's output goes, in order.

use crate::model::Nanos;

/// Takes what the arbiter puts in order. Every call may refuse with false: nothing was done, and the same is offered
/// again later; nothing else is offered in between that belongs behind it.
///
/// Within a session the sequences of [`message`](Self::message) strictly rise, and each number from the join to the
/// highest is either a message or inside one [`gap`](Self::gap).
pub trait Downstream {
    /// One message. `ts_recv` is when the datagram with its first copy was read. A message longer than any of ITCH may be
    /// cut to [`MESSAGE_KEPT_MAX`](crate::limits::MESSAGE_KEPT_MAX) bytes: no type has that size, so it stays malformed.
    fn message(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) -> bool;
    /// Messages `from` to `to - 1` are lost for good.
    fn gap(&mut self, from: u64, to: u64) -> bool;
    /// A session begins; precedes all that belongs to it. `first`: the first since start, nothing came before.
    fn session(&mut self, id: [u8; 10], first: bool) -> bool;
    /// The session is over and complete but for its gaps; `next` is the number that its next message would have had.
    fn end_of_session(&mut self, next: u64) -> bool;
    /// True: the feed fell silent, neither data nor heartbeats. False: it speaks again. `next` is the number expected next.
    fn silent(&mut self, silent: bool, next: u64) -> bool;
    /// Feed time is at least `now`: nothing received before is still held back.
    fn heartbeat(&mut self, now: Nanos) -> bool;
}
