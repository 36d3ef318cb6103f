//! How a session begins, is joined and ends, and what is passed on beside messages: sessions, ends, silence.

use super::super::downstream::Downstream;
use super::super::moldudp64::Header;
use super::super::settings::{Join, Line};
use super::{Arbiter, WINDOW};
use crate::limits::{GAPS_PER_CYCLE, RUN_PACKETS_MIN};
use crate::model::Nanos;

impl Arbiter {
    /// True while something must be passed on before any message.
    #[inline]
    pub(super) fn owes(&self) -> bool {
        self.session_owed.is_some() || self.silent != self.silent_told
    }

    /// Passes on what comes before any message.
    #[inline]
    pub(super) fn pay<D: Downstream>(&mut self, down: &mut D) {
        if self.silent != self.silent_told && down.silent(self.silent, self.expected) {
            self.silent_told = self.silent;
        }
        if let Some((id, first)) = self.session_owed
            && self.silent == self.silent_told
            && down.session(id, first)
        {
            self.session_owed = None;
        }
    }

    /// Passes on the end of the session once all before it is given out. Where messages came behind it all the same, it is behind them.
    pub(super) fn tell_end<D: Downstream>(&mut self, down: &mut D) {
        if let Some((next, false)) = self.ended
            && self.expected >= next
            && !self.owes()
            && down.end_of_session(self.expected)
        {
            self.ended = Some((next, true));
        }
    }

    /// Gives out all that is held of the session that is over, its gaps given up. False: not done yet.
    pub(super) fn wind_up<D: Downstream>(&mut self, down: &mut D) -> bool {
        for _ in 0..GAPS_PER_CYCLE {
            self.pay(down);
            self.release(down);
            if self.owes() || self.window.has(self.expected) {
                return false;
            }
            if self.expected == self.end {
                self.tell_end(down);
                return self.ended.is_none_or(|(_, told)| told);
            }
            let to = self.window.first().map_or(self.end, |(first, _)| first);
            if !self.declare(self.expected, to, down) {
                return false;
            }
        }
        false
    }

    /// Begins the session of `header`. What came before is wound up: the window is empty.
    pub(super) fn begin(&mut self, header: &Header) {
        let first = self.sessions.begin(header.session);
        self.expected = match self.settings.join {
            Join::At(sequence) if first => sequence,
            Join::First if first => header.sequence,
            _ => 1,
        };
        self.joined = if first && self.settings.join == Join::First { 0 } else { RUN_PACKETS_MIN };
        self.catching_up = self.settings.join != Join::First;
        self.start(header.session, first);
    }

    /// Starts a number space at `expected`.
    fn start(&mut self, id: [u8; 10], first: bool) {
        self.end = self.expected;
        self.gap = None;
        self.run.clear();
        self.ended = None;
        self.session_owed = Some((id, first));
        self.counts.sessions += 1;
    }

    /// Tells the session once more before what is next: all that was given out of it is void.
    pub fn begin_again(&mut self) {
        self.session_owed = self.sessions.current.map(|id| (id, false));
        self.counts.sessions += 1;
    }

    /// A packet of known numbers. Where the join hangs on a few packets that nobody continues, and a run is believed that
    /// lies more than a window below, the join was a forgery: the session starts again with this packet, and true is returned.
    pub(super) fn rejoin<D: Downstream>(&mut self, header: &Header, line: Line, now: Nanos, down: &mut D) -> bool {
        let next = header.sequence + u64::from(header.messages());
        let firm = self.joined >= RUN_PACKETS_MIN || !line.is_live();
        if firm || next.saturating_add(WINDOW) >= self.expected {
            return false;
        }
        if !self.run.add(header.sequence, next, now, self.settings.gap_wait) || !self.wind_up(down) {
            return false;
        }
        self.expected = header.sequence;
        self.joined = RUN_PACKETS_MIN;
        self.start(header.session, false);
        self.pay(down);
        true
    }
}
