//! Two lines, one order: takes packets as they come and gives messages by rising sequence.
//!
//! ```text
//!  line A ----\                       expected                    expected + window
//!  line B -----> packet: known | straight through | held in the window | astray: dropped, a run of them is believed
//!  answers ---/                        \---- gap: wait, ask, give up
//! ```
//!
//! A packet at the number expected is walked in the receive buffer, without a copy. What lies ahead is held; a packet further
//! ahead than the window is dropped (see `astray`). When the consumer refuses, the packet's rest goes to the window; when
//! that cannot take a packet any more, [`Arbiter::packet`] refuses it, its caller stops reading, the kernel drops,
//! and that is an ordinary gap.
//!
//! Invariants: sequences given out strictly rise within a session; each number from the join to the highest given out is a
//! message or inside one declared gap; every held number is in `expected .. expected + window`.
//!
//! Known limits: one request is in flight at a time, for the first gap. A forged packet inside the window is believed, as
//! UDP offers nothing to tell it by; its damage is bounded by the window and the gap's deadline.

mod life;

use super::astray::Run;
use super::counts::ArbiterCounts;
use super::downstream::Downstream;
use super::gap::{Mover, OpenGap};
use super::moldudp64::{Blocks, END_OF_SESSION, HEADER_SIZE, Header};
use super::session::{Sessions, Verdict};
use super::settings::{ArbiterSettings, Line};
use super::window::Window;
use crate::limits::{
    GAPS_PER_CYCLE, MESSAGE_KEPT_MAX, RELEASED_PER_CYCLE, REORDER_WINDOW, REREQUEST_COUNT_MAX, RUN_PACKETS_MIN,
};
use crate::model::Nanos;

const WINDOW: u64 = REORDER_WINDOW as u64;

/// See the head of this file.
pub struct Arbiter {
    settings: ArbiterSettings,
    sessions: Sessions,
    /// The next number to give out.
    expected: u64,
    /// One above the highest number that is known to exist.
    end: u64,
    window: Window,
    gap: Option<OpenGap>,
    run: Run,
    catching_up: bool,
    /// Packets that moved `expected` since a join at the first sequence seen; `RUN_PACKETS_MIN`: the join is firm.
    joined: u32,
    /// What the session's end was announced to be, and whether that was passed on.
    ended: Option<(u64, bool)>,
    /// The next number that a recorded file has. While that one is expected nobody else is asked, and nothing is given up.
    history: Option<u64>,
    /// A session that was not passed on yet, and whether it is the first.
    session_owed: Option<([u8; 10], bool)>,
    silent: bool,
    silent_told: bool,
    /// When a line last brought a packet of the current session.
    heard: Option<Nanos>,
    server: usize,
    asked_at: Option<Nanos>,
    /// When a re-request server last brought something new.
    answered_at: Option<Nanos>,
    counts: ArbiterCounts,
}

impl Arbiter {
    /// Allocates the window; nothing is allocated later.
    pub fn new(settings: ArbiterSettings) -> Arbiter {
        Arbiter {
            settings,
            sessions: Sessions::new(settings.session),
            expected: 0,
            end: 0,
            window: Window::default(),
            gap: None,
            run: Run::default(),
            catching_up: false,
            joined: 0,
            ended: None,
            history: None,
            session_owed: None,
            silent: false,
            silent_told: false,
            heard: None,
            server: 0,
            asked_at: None,
            answered_at: None,
            counts: ArbiterCounts::default(),
        }
    }

    /// Counts since start.
    pub fn counts(&self) -> &ArbiterCounts {
        &self.counts
    }

    /// The next number to give out.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// One above the highest number that is known to exist.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The session, once there is one.
    pub fn session(&self) -> Option<[u8; 10]> {
        self.sessions.current
    }

    /// True while the consumer refuses what is next.
    pub fn is_stalled(&self) -> bool {
        (self.window.has(self.expected) && !self.is_recalled()) || self.owes()
    }

    /// True when no message is missing before one that was heard.
    pub fn is_joined(&self) -> bool {
        self.expected == self.end || self.window.has(self.expected)
    }

    /// Says which number a recorded file has next, to be offered as [`Line::File`]; `None`: there is nothing more in it.
    pub fn recall(&mut self, next: Option<u64>) {
        self.history = next;
    }

    fn is_recalled(&self) -> bool {
        self.history.is_some_and(|next| next <= self.expected)
    }

    /// True when nothing is held back or missing: feed time is now.
    pub fn is_current(&self) -> bool {
        self.window.held() == 0 && self.gap.is_none() && !self.catching_up && !self.owes()
    }

    /// Takes one datagram. False: not taken, because the consumer refuses and the window cannot hold it; offer the same
    /// bytes again later, and nothing else of this line before.
    pub fn packet<D: Downstream>(&mut self, line: Line, packet: &[u8], now: Nanos, down: &mut D) -> bool {
        let Some(header) = Header::read(packet) else {
            self.counts.malformed_packets += 1;
            return true;
        };
        let count = u64::from(header.messages());
        if count > 0 && packet.len() == HEADER_SIZE {
            self.counts.malformed_packets += 1;
            return true;
        }
        let silent_for = match self.ended {
            Some(_) => None,
            None => Some(now.saturating_sub(self.heard.unwrap_or(now))),
        };
        let from_line = line.is_live();
        match self.sessions.judge(header.session, from_line, silent_for, self.settings.session_silence) {
            Verdict::Ours => {}
            Verdict::Foreign => {
                self.counts.foreign_packets += 1;
                return true;
            }
            Verdict::Begins => {
                if !self.wind_up(down) {
                    self.counts.stalled_packets += 1;
                    return false;
                }
                self.begin(&header);
            }
        }
        if from_line {
            self.heard = Some(now);
            self.silent = false;
        }
        self.pay(down);
        self.release(down);
        let taken = match count {
            0 => self.claim(&header, line, now),
            _ => self.messages(&header, packet, line, now, down),
        };
        self.counts.packets += u64::from(taken);
        self.tell_end(down);
        taken
    }

    /// Gives out what can go now, gives up what is overdue, watches silence. Once a duty cycle. Returns messages and gaps given out.
    pub fn poll<D: Downstream>(&mut self, now: Nanos, down: &mut D) -> usize {
        let before = self.counts.messages + self.counts.gaps;
        let heard = *self.heard.get_or_insert(now);
        if !self.silent && now.saturating_sub(heard) >= self.settings.silence {
            self.silent = true;
            self.counts.silences += 1;
        }
        self.pay(down);
        self.release(down);
        self.settle(Mover::Line, now);
        for _ in 0..GAPS_PER_CYCLE {
            let is_recalled = self.is_recalled();
            let overdue = self.gap.filter(|gap| !is_recalled && now >= gap.deadline(&self.settings, self.catching_up));
            if !overdue.is_some_and(|gap| self.declare(gap.from, gap.to, down)) {
                break;
            }
            self.release(down);
            self.settle(if self.server_answers(now) { Mover::Line } else { Mover::Loss }, now);
        }
        self.tell_end(down);
        (self.counts.messages + self.counts.gaps - before) as usize
    }

    /// What to ask for now, and which server (below [`ArbiterSettings::servers`]). At most one request per `request_spacing`.
    pub fn request(&mut self, now: Nanos) -> Option<(usize, Header)> {
        if self.is_recalled() {
            return None;
        }
        let (gap, session) = (self.gap.as_mut()?, self.sessions.current?);
        let spaced = self.asked_at.is_none_or(|at| now.saturating_sub(at) >= self.settings.request_spacing);
        if self.settings.servers == 0 || !spaced {
            return None;
        }
        if gap.ask(now, &self.settings)? > 1 {
            self.server = (self.server + 1) % self.settings.servers;
        }
        self.asked_at = Some(now);
        self.counts.requests += 1;
        let count = (gap.to - gap.from).min(u64::from(REREQUEST_COUNT_MAX)) as u16;
        Some((self.server, Header { session, sequence: gap.from, count }))
    }

    /// A heartbeat or an end of session: it says which number comes next.
    fn claim(&mut self, header: &Header, line: Line, now: Nanos) -> bool {
        let next = header.sequence;
        self.counts.heartbeats += u64::from(header.count != END_OF_SESSION);
        if !line.is_live() {
            return true;
        }
        let near = next <= self.expected.saturating_add(WINDOW);
        if !near && !self.run.add(next, next, now, self.settings.gap_wait) {
            self.counts.far_ahead_packets += 1;
            return true;
        }
        self.end = self.end.max(next);
        if header.count == END_OF_SESSION && next >= self.end && self.ended.is_none() {
            self.ended = Some((next, false));
        }
        self.settle(Mover::Line, now);
        // The line says that there is no more than what was given out.
        self.catching_up &= self.expected != self.end;
        true
    }

    /// A packet with messages. Returns false when it cannot be taken now.
    fn messages<D: Downstream>(
        &mut self,
        header: &Header,
        packet: &[u8],
        line: Line,
        now: Nanos,
        down: &mut D,
    ) -> bool {
        let (first, next) = (header.sequence, header.sequence + u64::from(header.count));
        if next <= self.expected && !self.rejoin(header, line, now, down) {
            self.note_known(line, u64::from(header.count));
            return true;
        }
        let limit = self.expected.saturating_add(WINDOW);
        if first > limit {
            self.counts.far_ahead_packets += 1;
            let believed = line.is_live() && self.run.add(first, next, now, self.settings.gap_wait);
            self.end = if believed { self.end.max(next) } else { self.end };
            self.settle(Mover::Line, now);
            return true;
        }
        if next > limit && self.window.has(self.expected) {
            self.counts.stalled_packets += 1;
            return false;
        }
        let (before, recovered) = (self.expected, self.counts.recovered);
        self.walk(header, packet, line, now, down);
        if self.counts.recovered > recovered {
            self.answered_at = Some(now);
        }
        self.end = self.end.max(next);
        self.release(down);
        self.moved(line, before, now);
        true
    }

    /// Gives out or holds each message of a packet.
    #[inline]
    fn walk<D: Downstream>(&mut self, header: &Header, packet: &[u8], line: Line, now: Nanos, down: &mut D) {
        let (mut sequence, mut known, mut new) = (header.sequence, 0, 0);
        let mut beyond = false;
        let flows = !self.owes();
        let mut blocks = Blocks::new(header, packet);
        for message in &mut blocks {
            if sequence < self.expected || self.window.has(sequence) {
                known += 1;
                if line == Line::File && sequence >= self.expected {
                    self.compare(sequence, message);
                    if flows && sequence == self.expected {
                        self.release_next(down);
                    }
                }
            } else if flows && sequence == self.expected && down.message(sequence, now, message) {
                self.expected += 1;
                self.counts.messages += 1;
                self.counts.bytes += message.len() as u64;
                new += 1;
            } else if sequence - self.expected < WINDOW {
                self.window.insert(sequence, now, message);
                new += 1;
            } else {
                beyond = true;
            }
            sequence += 1;
        }
        self.counts.far_ahead_packets += u64::from(beyond);
        self.counts.malformed_packets += u64::from(blocks.is_cut());
        self.counts.trailing_packets += u64::from(!blocks.is_cut() && !blocks.rest().is_empty());
        self.counts.window_high_water = self.counts.window_high_water.max(self.window.held() as u64);
        self.note_new(line, new);
        self.note_known(line, known);
    }

    /// What follows from a packet that was walked; `before` is what was expected before it.
    fn moved(&mut self, line: Line, before: u64, now: Nanos) {
        if let Some((next, _)) = self.ended
            && self.end > next
        {
            self.ended = None; // The end was none: there are messages behind it.
        }
        let by = if line.is_live() { Mover::Line } else { Mover::Server };
        if by == Mover::Line && (self.expected > before || self.window.has(self.expected)) {
            self.joined = self.joined.saturating_add(1).min(RUN_PACKETS_MIN);
            self.run.clear();
            if self.end > self.expected.saturating_add(WINDOW) {
                self.end = self.window.reach().max(self.expected);
                self.ended = self.ended.filter(|(next, _)| *next <= self.end);
            }
        }
        self.settle(by, now);
        if by == Mover::Line && self.expected > before && self.gap.is_none() {
            self.catching_up = false;
        }
    }

    /// Opens, moves or closes the gap at `expected`.
    #[inline]
    fn settle(&mut self, by: Mover, now: Nanos) {
        self.end = self.end.max(self.expected);
        if self.is_joined() {
            self.gap = None;
            return;
        }
        let (mut to, known) = self.window.first().unwrap_or((self.end, now));
        if let Some(next) = self.history.filter(|next| *next > self.expected) {
            to = to.min(next);
        }
        let gap = OpenGap::next(self.gap, (self.expected, to), (known, now), by, &self.settings);
        let is_new = self.gap.is_none_or(|before| gap.from >= before.to);
        self.counts.gaps_opened += u64::from(is_new);
        self.gap = Some(gap);
    }

    /// A file's message that a line has brought too must be the same.
    #[cold]
    fn compare(&mut self, sequence: u64, message: &[u8]) {
        let kept = &message[..message.len().min(MESSAGE_KEPT_MAX)];
        let is_other = self.window.get(sequence).is_some_and(|(_, held)| held != kept);
        self.counts.history_conflicts += u64::from(is_other);
    }

    /// Gives up messages `from` to `to - 1`; false when the consumer refuses.
    fn declare<D: Downstream>(&mut self, from: u64, to: u64, down: &mut D) -> bool {
        if self.owes() || !down.gap(from, to) {
            return false;
        }
        self.counts.gaps += 1;
        self.counts.gap_messages += to - from;
        self.expected = to;
        self.catching_up &= to < self.end;
        self.gap = None;
        true
    }

    /// True when a server was of use lately: what it lacks of one gap says nothing about the next.
    fn server_answers(&self, now: Nanos) -> bool {
        self.answered_at.is_some_and(|at| now.saturating_sub(at) < self.settings.held_max)
    }

    /// Gives out held messages as far as they follow on each other.
    #[inline]
    fn release<D: Downstream>(&mut self, down: &mut D) {
        // What a file has too is compared with it first.
        if self.window.held() == 0 || self.owes() || self.is_recalled() {
            return;
        }
        for _ in 0..RELEASED_PER_CYCLE {
            if !self.release_next(down) {
                return;
            }
        }
    }

    /// Gives out the message expected; false when it is not held, or is refused.
    #[inline]
    fn release_next<D: Downstream>(&mut self, down: &mut D) -> bool {
        let Some((ts_recv, message)) = self.window.get(self.expected) else { return false };
        if !down.message(self.expected, ts_recv, message) {
            return false;
        }
        self.counts.messages += 1;
        self.counts.bytes += message.len() as u64;
        self.window.remove(self.expected);
        self.expected += 1;
        true
    }

    #[inline]
    fn note_new(&mut self, line: Line, count: u64) {
        match line {
            Line::A => self.counts.line_a_first += count,
            Line::B => self.counts.line_b_first += count,
            Line::Rerequest => self.counts.recovered += count,
            Line::File => self.counts.from_file += count,
        }
    }

    #[inline]
    fn note_known(&mut self, line: Line, count: u64) {
        self.counts.duplicates += if line == Line::File { 0 } else { count };
        match line {
            Line::A => self.counts.line_a_second += count,
            Line::B => self.counts.line_b_second += count,
            Line::Rerequest | Line::File => {}
        }
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
