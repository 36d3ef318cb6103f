//! The arbiter's cases, each by name: order, gaps, requests. Those of hostile packets and of sessions are beside it.

mod hostile;
mod sessions;

use super::super::moldudp64::{END_OF_SESSION, Header};
use super::super::settings::Join;
use super::*;

pub(super) const MS: Nanos = 1_000_000;
pub(super) const S1: [u8; 10] = *b"SESSION001";
pub(super) const S2: [u8; 10] = *b"SESSION002";

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    Message(u64, Vec<u8>),
    Gap(u64, u64),
    Session([u8; 10], bool),
    End(u64),
    Silent(bool),
}

/// A consumer that takes `room` more calls.
pub(super) struct Consumer {
    pub room: usize,
    pub out: Vec<Out>,
    pub stamps: Vec<Nanos>,
}

impl Default for Consumer {
    fn default() -> Consumer {
        Consumer { room: usize::MAX, out: vec![], stamps: vec![] }
    }
}

impl Consumer {
    fn take(&mut self, out: Out) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        self.out.push(out);
        true
    }

    /// The numbers of the messages, and gaps as (from, to), since last asked.
    fn numbers(&mut self) -> (Vec<u64>, Vec<(u64, u64)>) {
        let (mut numbers, mut gaps) = (vec![], vec![]);
        for out in self.out.drain(..) {
            match out {
                Out::Message(sequence, bytes) => {
                    assert_eq!(bytes, content(sequence));
                    numbers.push(sequence);
                }
                Out::Gap(from, to) => gaps.push((from, to)),
                _ => {}
            }
        }
        (numbers, gaps)
    }
}

impl Downstream for Consumer {
    fn message(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) -> bool {
        let taken = self.take(Out::Message(sequence, message.to_vec()));
        self.stamps.extend(taken.then_some(ts_recv));
        taken
    }
    fn gap(&mut self, from: u64, to: u64) -> bool {
        self.take(Out::Gap(from, to))
    }
    fn session(&mut self, id: [u8; 10], first: bool) -> bool {
        self.take(Out::Session(id, first))
    }
    fn end_of_session(&mut self, next: u64) -> bool {
        self.take(Out::End(next))
    }
    fn silent(&mut self, silent: bool, _: u64) -> bool {
        self.take(Out::Silent(silent))
    }
    fn heartbeat(&mut self, _: Nanos) -> bool {
        true
    }
}

/// The bytes of message `sequence`: no two lengths or contents alike nearby, some empty.
pub(super) fn content(sequence: u64) -> Vec<u8> {
    let size = (sequence % 7) as usize;
    sequence.to_be_bytes().iter().copied().cycle().skip(3).take(size * 5).collect()
}

pub(super) fn packet(session: [u8; 10], from: u64, to: u64) -> Vec<u8> {
    let mut packet = Header { session, sequence: from, count: (to - from) as u16 }.bytes().to_vec();
    for sequence in from..to {
        let message = content(sequence);
        packet.extend((message.len() as u16).to_be_bytes());
        packet.extend(message);
    }
    packet
}

fn end_of(session: [u8; 10], next: u64) -> Vec<u8> {
    Header { session, sequence: next, count: END_OF_SESSION }.bytes().to_vec()
}

struct Bench {
    arbiter: Arbiter,
    consumer: Consumer,
    now: Nanos,
}

impl Bench {
    fn new(settings: ArbiterSettings) -> Bench {
        Bench { arbiter: Arbiter::new(settings), consumer: Consumer::default(), now: 1_000 * MS }
    }

    /// A feed with one server that stands at number 100.
    fn at_100() -> Bench {
        let mut bench = Bench::new(ArbiterSettings { servers: 1, join: Join::At(100), ..Default::default() });
        bench.send(Line::A, 0, 0);
        bench.arbiter.catching_up = false;
        bench.send(Line::A, 100, 100);
        bench.consumer.out.clear();
        bench
    }

    fn offer(&mut self, line: Line, bytes: &[u8]) -> bool {
        self.arbiter.packet(line, bytes, self.now, &mut self.consumer)
    }

    fn send(&mut self, line: Line, from: u64, to: u64) {
        assert!(self.offer(line, &packet(S1, from, to)));
    }

    fn wait(&mut self, by: Nanos) {
        self.now += by;
        self.arbiter.poll(self.now, &mut self.consumer);
    }

    fn asked(&mut self) -> Option<(u64, u16)> {
        self.arbiter.request(self.now).map(|(_, header)| (header.sequence, header.count))
    }

    fn numbers(&mut self) -> (Vec<u64>, Vec<(u64, u64)>) {
        self.consumer.numbers()
    }
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

#[test]
fn the_other_line_fills_a_gap_before_anyone_is_asked() {
    let mut bench = Bench::at_100();
    bench.send(Line::A, 100, 103);
    bench.send(Line::A, 105, 107);
    bench.wait(MS);
    assert_eq!(bench.asked(), None);
    assert!(!bench.arbiter.is_current());
    bench.send(Line::B, 101, 106);
    assert_eq!(bench.numbers(), (range(100, 107), vec![]));
    assert!(bench.arbiter.is_current());
    let counts = *bench.arbiter.counts();
    assert_eq!((counts.line_a_first, counts.line_b_first, counts.line_b_second, counts.recovered), (5, 2, 3, 0));
    assert_eq!(counts.missing(), (2, 2));
    assert_eq!(bench.consumer.stamps, [1000, 1000, 1000, 1001, 1001, 1000, 1000].map(|ms| ms * MS));
}

#[test]
fn a_gap_is_asked_for_the_rest_of_a_partial_answer_at_once_and_silence_after_retry_at_the_next_server() {
    let mut bench = Bench::at_100();
    bench.arbiter.settings.servers = 2;
    bench.send(Line::A, 110, 112);
    bench.wait(2 * MS);
    assert_eq!((bench.asked(), bench.asked()), (Some((100, 10)), None));
    bench.now += MS;
    bench.send(Line::Rerequest, 100, 104);
    assert_eq!(bench.asked(), Some((104, 6)));
    bench.wait(9 * MS);
    assert_eq!(bench.asked(), None);
    bench.wait(MS);
    let header = Header { session: S1, sequence: 104, count: 6 };
    assert_eq!(bench.arbiter.request(bench.now), Some((1, header)));
    bench.send(Line::Rerequest, 104, 110);
    assert_eq!((bench.numbers(), bench.arbiter.counts().recovered), ((range(100, 112), vec![]), 10));
}

#[test]
fn a_gap_that_nobody_fills_is_given_up_at_its_deadline_and_late_copies_are_duplicates() {
    let mut bench = Bench::at_100();
    bench.send(Line::A, 103, 105);
    let mut requests = 0;
    for _ in 0..49 {
        bench.wait(MS);
        requests += usize::from(bench.asked().is_some());
    }
    assert_eq!((bench.numbers(), requests), ((vec![], vec![]), 4));
    bench.wait(MS);
    assert_eq!(bench.numbers(), (range(103, 105), vec![(100, 103)]));
    bench.send(Line::B, 100, 106);
    assert_eq!(bench.numbers(), (vec![105], vec![]));
    assert_eq!((bench.arbiter.counts().duplicates, bench.arbiter.counts().gap_messages), (5, 3));
}

#[test]
fn without_a_server_the_other_lines_time_is_the_deadline() {
    let mut bench = Bench::at_100();
    bench.arbiter.settings.servers = 0;
    bench.send(Line::A, 101, 102);
    bench.wait(2 * MS - 1);
    assert_eq!((bench.asked(), bench.numbers()), (None, (vec![], vec![])));
    bench.wait(1);
    assert_eq!(bench.numbers(), (vec![101], vec![(100, 101)]));
}

#[test]
fn a_server_that_trickles_holds_the_feed_no_longer_than_held_max() {
    let mut bench = Bench::at_100();
    bench.send(Line::A, 9_000, 9_001);
    let start = bench.now;
    let mut next = 100;
    while bench.arbiter.counts().gaps == 0 && bench.now < start + 5_000 * MS {
        bench.wait(40 * MS);
        bench.send(Line::Rerequest, next, next + 1);
        next += 1;
    }
    assert_eq!(bench.now - start, 1_000 * MS);
    assert_eq!(bench.numbers(), ([range(100, next - 1), vec![9_000]].concat(), vec![(next - 1, 9_000)]));
}

#[test]
fn a_dead_server_costs_a_burst_of_gaps_one_deadline() {
    let mut bench = Bench::at_100();
    for at in [101, 103, 105, 107] {
        bench.send(Line::A, at, at + 1);
    }
    bench.wait(50 * MS);
    assert_eq!(bench.numbers(), (vec![101, 103, 105, 107], vec![(100, 101), (102, 103), (104, 105), (106, 107)]));
}

#[test]
fn an_old_heartbeat_says_nothing() {
    let mut bench = Bench::at_100();
    bench.send(Line::B, 40, 40);
    bench.wait(MS);
    assert!(bench.arbiter.is_current());
}

#[test]
fn a_consumer_that_refuses_gets_all_later_until_the_window_is_full_and_then_the_packet_is_refused() {
    let mut bench = Bench::at_100();
    bench.consumer.room = 2;
    let mut next = 100;
    while bench.offer(Line::A, &packet(S1, next, next + 50)) {
        next += 50;
        assert!(next < 200 + WINDOW, "nothing is refused");
    }
    assert!(next > 100 + WINDOW - 50 && next <= 102 + WINDOW);
    assert_eq!(bench.arbiter.counts().window_high_water, next - 102);
    bench.send(Line::B, 100, 100);
    bench.wait(200 * MS);
    bench.consumer.room = usize::MAX;
    while bench.arbiter.poll(bench.now, &mut bench.consumer) > 0 {}
    bench.send(Line::A, next, next + 50);
    assert_eq!(bench.numbers(), (range(100, next + 50), vec![]));
    assert_eq!(bench.arbiter.counts().gaps_opened, 0);
}

/// Found by the simulation: who had the end of the day so far from a server was never current, and told no shard the feed time.
#[test]
fn what_a_server_brought_is_all_there_is_when_the_line_says_so() {
    let mut bench = Bench::new(ArbiterSettings { servers: 1, join: Join::At(1), ..Default::default() });
    bench.send(Line::A, 5, 5);
    bench.send(Line::Rerequest, 1, 5);
    assert!(!bench.arbiter.is_current(), "there may be more that no line has told of");
    bench.send(Line::A, 5, 5);
    assert!(bench.arbiter.is_current());
}
