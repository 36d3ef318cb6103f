//! A login's session: the answers that it was given, kept for a while, and what it may still ask.
//!
//! Answers live in a ring of bytes, ready Soup packets one behind the other, numbered from 1. A connection is a position
//! in it, so a client that comes back goes on from any number that is still there.
//!
//! ```text
//!        oldest kept               sent                    head          + in flight
//!  .......[S 57][S 41][S 56] ... [S 56][S 56] ... [S 56]   | room for their answers |
//!         <----- kept for resuming ----><---- not sent --->
//! ```
//!
//! An answer may stand in the stream before it may be seen: it is *released* once what it tells is on disk.
//!
//! Invariant: not sent + room reserved for what is in flight <= half of the ring, checked before a request is
//! taken. So an answer never overwrites one that was not sent, and half of the ring always holds the past. A
//! client that does not read is not read from any more, and holds up nobody else.

use super::wire::{ANSWER_SIZE_MAX, Ask, RULE_SIZE};
use crate::limits::CONTROL_RING_SIZE_MIN;
use crate::model::{AccountId, Nanos};
use crate::soup::packet::{HEADER_SIZE, header, kind};

const ANSWER_ROOM: usize = HEADER_SIZE + ANSWER_SIZE_MAX;
const RULE_ROOM: usize = HEADER_SIZE + RULE_SIZE;
const SECOND: Nanos = 1_000_000_000;

const _: () = assert!(2 * (crate::limits::LIST_MAX as usize * RULE_ROOM + ANSWER_ROOM) <= CONTROL_RING_SIZE_MIN);

/// A numbered stream of packets, of which the newest are kept. Positions are bytes since the start of the session.
#[derive(Debug)]
pub struct AnswerStream {
    ring: Box<[u8]>,
    oldest: u64,
    oldest_number: u64,
    head: u64,
    next: u64,
    /// What may be seen.
    released: Mark,
}

/// A place in a stream: behind a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where the next packet begins.
    pub position: u64,
    /// The next packet's number.
    pub number: u64,
}

impl AnswerStream {
    /// An empty stream over a ring of at least `size` bytes.
    pub fn new(size: usize) -> AnswerStream {
        let size = size.max(CONTROL_RING_SIZE_MIN).next_power_of_two();
        AnswerStream {
            ring: vec![0; size].into(),
            oldest: 0,
            oldest_number: 1,
            head: 0,
            next: 1,
            released: Mark { position: 0, number: 1 },
        }
    }

    /// Adds a message as Sequenced Data; the oldest ones make room.
    pub fn push(&mut self, message: &[u8]) {
        self.make_room(HEADER_SIZE + message.len());
        self.put(&header(kind::SEQUENCED, message.len()));
        self.put(message);
        self.next += 1;
    }

    /// Drops the oldest packets until so many bytes can come without dropping more.
    pub fn make_room(&mut self, size: usize) {
        while self.oldest < self.head && self.head - self.oldest + size as u64 > self.ring.len() as u64 {
            self.oldest += self.packet_size(self.oldest);
            self.oldest_number += 1;
        }
    }

    /// The number of the oldest packet kept; that of the next one when none is.
    pub fn oldest_number(&self) -> u64 {
        self.oldest_number
    }

    /// The number that the next packet will have.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Where the newest packet ends.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Behind the newest packet.
    pub fn mark(&self) -> Mark {
        Mark { position: self.head, number: self.next }
    }

    /// Behind the newest packet that may be seen.
    pub fn released(&self) -> Mark {
        self.released
    }

    /// All before this place may be seen.
    pub fn release(&mut self, mark: Mark) {
        self.released = mark;
    }

    /// Where packet `number` begins; the next one's begin is the head. `None`: not kept, or not yet there.
    /// Walks over what is kept: for logins only.
    pub fn position(&self, number: u64) -> Option<u64> {
        let ahead = number.checked_sub(self.oldest_number).filter(|_| number <= self.next)?;
        Some((0..ahead).fold(self.oldest, |at, _| at + self.packet_size(at)))
    }

    /// Bytes from `at` on, at most to `until`, as far as they lie in one piece. `None`: overwritten.
    pub fn bytes(&self, at: u64, until: u64) -> Option<&[u8]> {
        if at < self.oldest {
            return None;
        }
        let from = self.place(at);
        let size = (until.min(self.head).saturating_sub(at) as usize).min(self.ring.len() - from);
        Some(&self.ring[from..from + size])
    }

    fn put(&mut self, bytes: &[u8]) {
        let at = self.place(self.head);
        let (first, rest) = bytes.split_at(bytes.len().min(self.ring.len() - at));
        self.ring[at..at + first.len()].copy_from_slice(first);
        self.ring[..rest.len()].copy_from_slice(rest);
        self.head += bytes.len() as u64;
    }

    fn packet_size(&self, at: u64) -> u64 {
        let length = [self.ring[self.place(at)], self.ring[self.place(at + 1)]];
        2 + u64::from(u16::from_be_bytes(length))
    }

    fn place(&self, at: u64) -> usize {
        at as usize & (self.ring.len() - 1)
    }
}

/// May a request be taken now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Yes,
    /// Not before answers were sent or have come.
    Wait,
    /// The login asks too much; again in so many ms.
    Rate(u32),
}

/// What a login may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests in flight.
    pub in_flight_max: usize,
    /// Requests a second, with as many at once after a pause; 0: no bound.
    pub per_second_max: u32,
}

/// A login: lives as long as the process, whether somebody is connected or not.
#[derive(Debug)]
pub struct Login {
    /// Whose rules it sets.
    pub account: AccountId,
    /// False for a drop copy: it may list, not change.
    pub may_change: bool,
    /// The config has it no more: nobody comes in. Its rules and answers stay.
    pub is_removed: bool,
    /// Its answers.
    pub answers: AnswerStream,
    /// How far they were sent to the connection that it has now.
    pub sent: u64,
    bounds: Bounds,
    in_flight: usize,
    walk_room: usize,
    /// When the request after this one would be due at exactly the allowed rate.
    ts_due: Nanos,
}

impl Login {
    /// A login without answers.
    pub fn new(account: AccountId, may_change: bool, ring_size: usize, bounds: Bounds) -> Login {
        let answers = AnswerStream::new(ring_size);
        let (sent, in_flight, walk_room, ts_due) = (0, 0, 0, 0);
        Login { account, may_change, is_removed: false, answers, sent, bounds, in_flight, walk_room, ts_due }
    }

    /// What it may have at once, from now on.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// True when there is room for the answers of this request; of one that is refused at once with `None`.
    pub fn has_room(&self, ask: Option<&Ask>) -> bool {
        let unsent = (self.answers.head() - self.sent) as usize;
        let size = self.answers.ring.len() / 2;
        self.in_flight < self.bounds.in_flight_max && unsent + self.reserved() + room(ask) <= size
    }

    /// Whether this request may be taken at `now`; counts it when it may not for its rate.
    pub fn admit(&mut self, ask: Option<&Ask>, now: Nanos) -> Admission {
        if !self.has_room(ask) {
            return Admission::Wait;
        }
        let Some(interval) = SECOND.checked_div(Nanos::from(self.bounds.per_second_max)) else {
            return Admission::Yes;
        };
        let due = self.ts_due.max(now);
        if due > now + SECOND {
            return Admission::Rate((due - now - SECOND).div_ceil(1_000_000) as u32);
        }
        self.ts_due = due + interval;
        Admission::Yes
    }

    /// A request is in flight.
    pub fn took(&mut self, ask: &Ask) {
        self.in_flight += 1;
        if ask.is_walk() {
            self.walk_room = room(Some(ask)) - ANSWER_ROOM;
        }
    }

    /// Adds an answer; `is_last` when it ends a request in flight, `is_walking` while a walk still is.
    pub fn answer(&mut self, message: &[u8], is_last: bool, is_walking: bool) {
        self.answers.push(message);
        if is_last {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.walk_room = if is_walking { self.walk_room } else { 0 };
        } else {
            self.walk_room = self.walk_room.saturating_sub(RULE_ROOM);
        }
    }

    /// A refusal of a request that was never in flight.
    pub fn refuse(&mut self, message: &[u8]) {
        self.answers.push(message);
    }

    /// Bytes that the answers of what is in flight may take.
    pub fn reserved(&self) -> usize {
        self.in_flight * ANSWER_ROOM + self.walk_room
    }
}

/// Bytes that a request's answers may take.
fn room(ask: Option<&Ask>) -> usize {
    match ask {
        Some(Ask::List { limit, .. }) => *limit as usize * RULE_ROOM + ANSWER_ROOM,
        _ => ANSWER_ROOM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soup::packet::Packet;

    /// All messages from `at` on, as a client would read them.
    fn read(stream: &AnswerStream, mut at: u64) -> Vec<Vec<u8>> {
        let mut bytes = vec![];
        while at < stream.head() {
            let piece = stream.bytes(at, u64::MAX).unwrap();
            bytes.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        let (mut messages, mut rest) = (vec![], &bytes[..]);
        while let Some(packet) = Packet::first(rest, 1000).unwrap() {
            messages.push(packet.payload.to_vec());
            rest = &rest[packet.size()..];
        }
        assert!(rest.is_empty());
        messages
    }

    #[test]
    fn every_number_that_is_kept_leads_to_its_message() {
        let mut stream = AnswerStream::new(0);
        let message =
            |n: u64| n.to_be_bytes()[..4 + (n % 5) as usize].iter().chain(&n.to_be_bytes()).copied().collect();
        for n in 1..=60_000u64 {
            let message: Vec<u8> = message(n);
            stream.push(&message);
        }
        let (oldest, next) = (stream.oldest_number(), stream.next_number());
        assert_eq!(next, 60_001);
        assert!(oldest > 1 && stream.head() > 2 * CONTROL_RING_SIZE_MIN as u64, "the ring went round");
        assert_eq!((stream.position(oldest - 1), stream.position(next + 1)), (None, None));
        assert_eq!(stream.position(next), Some(stream.head()));
        assert_eq!(stream.bytes(stream.position(oldest).unwrap() - 1, u64::MAX), None);
        for from in [oldest, oldest + 1, oldest + 7_000, next - 1] {
            let expected: Vec<Vec<u8>> = (from..next).map(message).collect();
            assert!(read(&stream, stream.position(from).unwrap()) == expected, "{from}");
        }
    }

    fn login(per_second_max: u32) -> Login {
        Login::new(0, true, 0, Bounds { in_flight_max: usize::MAX, per_second_max })
    }

    #[test]
    fn what_is_in_flight_never_overwrites_what_was_not_sent() {
        let mut login = login(0);
        let list = Ask::List { user: None, limit: 1_000, cursor: 0 };
        assert!(login.has_room(Some(&list)));
        login.took(&list);
        let mut taken = 0;
        while login.admit(Some(&Ask::RemoveUser { user: 1 }), 0) == Admission::Yes {
            login.in_flight += 1;
            taken += 1;
        }
        for _ in 0..1_000 {
            login.answer(&[0; RULE_SIZE], false, true);
        }
        login.answer(&[0; ANSWER_SIZE_MAX], true, false);
        for _ in 0..taken {
            login.answer(&[0; ANSWER_SIZE_MAX], true, false);
        }
        assert_eq!((login.answers.oldest_number(), login.reserved()), (1, 0));
        assert!(!login.has_room(None));
        login.sent = login.answers.head();
        assert!(login.has_room(Some(&list)));
    }

    #[test]
    fn a_rate_lets_a_second_at_once_and_then_says_when_to_come() {
        let mut login = login(10);
        let asks = |login: &mut Login, now| (0..20).map(|_| login.admit(None, now)).collect::<Vec<_>>();
        let first = asks(&mut login, SECOND);
        assert_eq!(first.iter().filter(|admission| **admission == Admission::Yes).count(), 11);
        assert_eq!(first[19], Admission::Rate(100));
        assert_eq!(login.admit(None, SECOND + 100_000_000), Admission::Yes);
        assert_eq!(login.admit(None, SECOND + 100_000_000), Admission::Rate(100));
    }
}
