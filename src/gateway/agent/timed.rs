//! A client's socket whose write calls are timed now and then.
//!
//! Cost: two readings of the clock, one of them before the write, for one send in [`limits::SENDS_PER_TIMING`]; for all
//! others a branch.

use std::io::{self, IoSlice, Write};

use crate::limits;
use crate::model::Nanos;
use crate::sys::clock::Clock;

/// What one timed write call showed, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTimes {
    /// From the newest `ts_log` of this duty cycle to the call; `None` when nothing was logged in it, as where a client catches up.
    pub since_log: Option<Nanos>,
    /// How long the call took.
    pub call: Nanos,
}

/// Which sends are timed.
#[derive(Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// The socket of the next send.
    #[inline]
    pub(super) fn socket<'a, W>(&mut self, socket: &'a mut W, clock: &'a Clock) -> Timed<'a, W> {
        self.0 = (self.0 + 1) % limits::SENDS_PER_TIMING;
        Timed { socket, clock: (self.0 == 0).then_some(clock), times: None }
    }
}

/// See the head of this file.
pub(super) struct Timed<'a, W> {
    socket: &'a mut W,
    clock: Option<&'a Clock>,
    times: Option<(Nanos, Nanos)>,
}

impl<W: Write> Timed<'_, W> {
    /// What was seen of the last call, if it was timed. `ts_logged`: the newest `ts_log` of this cycle, 0 for none.
    #[inline]
    pub(super) fn seen(&self, ts_logged: Nanos) -> Option<WriteTimes> {
        let (begun, ended) = self.times?;
        let since_log = (ts_logged > 0).then(|| begun.saturating_sub(ts_logged));
        Some(WriteTimes { since_log, call: ended.saturating_sub(begun) })
    }

    #[inline]
    fn call(&mut self, write: impl FnOnce(&mut W) -> io::Result<usize>) -> io::Result<usize> {
        let Some(clock) = self.clock else { return write(self.socket) };
        let begun = clock.now();
        let result = write(self.socket);
        self.times = Some((begun, clock.now()));
        result
    }
}

impl<W: Write> Write for Timed<'_, W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|socket| socket.write(bytes))
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(|socket| socket.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
