//! The arbiter's cases, each by name.

use super::super::moldudp64::{END_OF_SESSION, Header};
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
    fn silent(&mut self, silent: bool) -> bool {
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
fn a_heartbeat_or_an_end_ahead_of_what_is_expected_is_a_gap() {
    for end in [packet(S1, 104, 104), end_of(S1, 104)] {
        let mut bench = Bench::at_100();
        assert!(bench.offer(Line::A, &end));
        bench.wait(2 * MS);
        assert_eq!(bench.asked(), Some((100, 4)));
        bench.wait(48 * MS);
        assert_eq!(bench.numbers(), (vec![], vec![(100, 104)]));
        bench.send(Line::A, 104, 105);
        assert_eq!(bench.numbers(), (vec![104], vec![]));
    }
}

#[test]
fn an_old_heartbeat_says_nothing() {
    let mut bench = Bench::at_100();
    bench.send(Line::B, 40, 40);
    bench.wait(MS);
    assert!(bench.arbiter.is_current());
}

#[test]
fn the_end_is_passed_on_once_behind_all_that_came_before_it() {
    let mut bench = Bench::at_100();
    bench.offer(Line::A, &end_of(S1, 102));
    bench.offer(Line::B, &end_of(S1, 102));
    assert_eq!(bench.consumer.out, []);
    bench.send(Line::B, 100, 102);
    bench.offer(Line::B, &end_of(S1, 102));
    let messages = [100, 101].map(|n| Out::Message(n, content(n)));
    assert_eq!(bench.consumer.out, [&messages[..], &[Out::End(102)]].concat());
}

#[test]
fn a_cut_block_loses_the_rest_of_its_packet_and_trailing_bytes_nothing() {
    let mut bench = Bench::at_100();
    let whole = packet(S1, 100, 105);
    assert!(bench.offer(Line::A, &whole[..whole.len() - 1]));
    assert_eq!(bench.numbers(), (range(100, 104), vec![]));
    bench.wait(50 * MS);
    assert_eq!(bench.numbers(), (vec![], vec![(104, 105)]));
    assert!(bench.offer(Line::A, &[packet(S1, 105, 106), vec![0; 9]].concat()));
    assert_eq!(bench.numbers(), (vec![105], vec![]));
    assert_eq!((bench.arbiter.counts().malformed_packets, bench.arbiter.counts().trailing_packets), (1, 1));
}

#[test]
fn short_packets_and_packets_without_their_blocks_are_counted_and_nothing_else() {
    let mut bench = Bench::at_100();
    let header = |sequence, count| Header { session: S1, sequence, count }.bytes().to_vec();
    for bytes in [vec![], vec![7; 19], header(100, 3), header(u64::MAX, 1), header(u64::MAX - 9, END_OF_SESSION)] {
        assert!(bench.offer(Line::A, &bytes));
    }
    bench.wait(3_000 * MS - 1);
    assert_eq!((bench.consumer.out.len(), bench.arbiter.counts().malformed_packets), (0, 5));
    assert!(bench.arbiter.is_current());
}

#[test]
fn one_forged_number_far_ahead_moves_nothing_and_asks_nothing() {
    for forged in [packet(S1, 1 << 60, (1 << 60) + 3), packet(S1, u64::MAX - 9, u64::MAX - 9), end_of(S1, 1 << 40)] {
        let mut bench = Bench::at_100();
        bench.offer(Line::A, &forged);
        for at in 0..200 {
            bench.wait(MS);
            assert_eq!(bench.asked(), None);
            if at % 60 == 30 {
                bench.offer(Line::B, &forged);
            }
        }
        bench.send(Line::A, 100, 101);
        assert_eq!(bench.numbers(), (vec![100], vec![]));
        bench.offer(Line::A, &packet(S2, 1, 2));
        assert_eq!(bench.arbiter.counts().foreign_packets, 1);
    }
}

#[test]
fn a_forged_run_is_disproved_by_a_line_that_brings_what_is_expected() {
    let mut bench = Bench::at_100();
    for n in 0..20 {
        bench.send(Line::B, (1 << 50) + n, (1 << 50) + n + 1);
    }
    bench.wait(40 * MS);
    bench.send(Line::A, 100, 101);
    bench.wait(400 * MS);
    bench.send(Line::A, 101, 102);
    assert_eq!(bench.numbers(), (vec![100, 101], vec![]));
}

#[test]
fn a_true_jump_beyond_the_window_is_believed_after_a_run_and_waited_for() {
    let mut bench = Bench::at_100();
    bench.send(Line::A, 102, 103);
    let far = 101 + 2 * WINDOW;
    bench.send(Line::B, 1 << 61, (1 << 61) + 1);
    for n in 0..160 {
        bench.send(Line::A, far + n, far + n + 1);
        bench.wait(MS);
    }
    let (numbers, gaps) = bench.numbers();
    assert_eq!(gaps[0], (100, 102));
    assert_eq!((gaps.len(), gaps[1].0, numbers[0]), (2, 103, 102));
    assert_eq!(numbers[1..], range(gaps[1].1, far + 160));
    assert!(gaps[1].1 > far && gaps[1].1 < far + 160);
}

#[test]
fn a_forged_first_packet_does_not_lock_the_join() {
    let mut bench = Bench::new(ArbiterSettings::default());
    bench.send(Line::A, 1 << 60, (1 << 60) + 1);
    for n in 0..20 {
        bench.send(Line::A, 5 + n, 6 + n);
    }
    let begun = |first| Out::Session(S1, first);
    let expected = [begun(true), Out::Message(1 << 60, content(1 << 60)), begun(false)];
    assert_eq!(bench.consumer.out[..3], expected);
    bench.consumer.out.drain(..3);
    assert_eq!(bench.numbers(), (range(5 + u64::from(RUN_PACKETS_MIN) - 1, 25), vec![]));
}

#[test]
fn numbers_up_to_the_last_one_of_64_bits() {
    let mut bench = Bench::new(ArbiterSettings::default());
    let top = u64::MAX - 12;
    bench.send(Line::A, top, top + 4);
    bench.send(Line::A, top + 8, top + 12);
    bench.send(Line::B, top + 4, top + 8);
    assert_eq!(bench.numbers(), (range(top, top + 12), vec![]));
    bench.send(Line::A, u64::MAX, u64::MAX);
    assert!(bench.arbiter.is_current());
}

#[test]
fn history_is_asked_for_as_long_as_answers_come_while_the_lines_run_on() {
    let mut bench = Bench::new(ArbiterSettings { servers: 1, join: Join::At(1), ..Default::default() });
    let mut live = 150_000;
    let mut asked_max = 0;
    while bench.arbiter.catching_up || bench.arbiter.expected() < 2 {
        bench.send(Line::A, live, live + 5);
        live += 5;
        bench.wait(30 * MS);
        if let Some((from, count)) = bench.asked() {
            asked_max = asked_max.max(count);
            let to = (from + u64::from(count)).min(from + 3_000);
            bench.send(Line::Rerequest, from, to);
        }
    }
    assert!(bench.now > 2_000 * MS);
    bench.send(Line::A, live, live + 5);
    assert_eq!(asked_max, REREQUEST_COUNT_MAX);
    assert_eq!(bench.numbers(), (range(1, live + 5), vec![]));
}

#[test]
fn history_that_nobody_has_is_a_gap() {
    let mut bench = Bench::new(ArbiterSettings { servers: 1, join: Join::At(1), ..Default::default() });
    for n in 0..200 {
        bench.send(Line::A, 500_000 + n, 500_001 + n);
        bench.wait(MS);
    }
    let (numbers, gaps) = bench.numbers();
    assert_eq!((gaps.len(), gaps[0].0, gaps[0].1), (1, 1, numbers[0]));
    assert_eq!(numbers, range(numbers[0], 500_200));
}

#[test]
fn a_foreign_session_is_dropped_while_the_current_one_lives_and_a_retired_one_for_ever() {
    let mut bench = Bench::at_100();
    bench.offer(Line::B, &packet(S2, 1, 3));
    bench.send(Line::A, 102, 103);
    bench.offer(Line::A, &end_of(S1, 103));
    bench.offer(Line::Rerequest, &packet(S2, 1, 3));
    assert_eq!((bench.consumer.out.len(), bench.arbiter.counts().foreign_packets), (0, 2));
    bench.offer(Line::B, &packet(S2, 1, 3));
    let message = |n| Out::Message(n, content(n));
    let switch = [Out::Gap(100, 102), message(102), Out::End(103), Out::Session(S2, false), message(1), message(2)];
    assert_eq!(bench.consumer.out, switch);
    bench.send(Line::A, 103, 104);
    bench.now += 60_000 * MS;
    bench.send(Line::A, 104, 105);
    assert_eq!((bench.consumer.out.len(), bench.arbiter.counts().foreign_packets), (6, 4));
}

#[test]
fn a_session_that_fell_silent_gives_way_and_the_new_one_lacks_its_beginning() {
    let mut bench = Bench::at_100();
    bench.wait(9_999 * MS);
    bench.offer(Line::A, &packet(S2, 3, 4));
    bench.wait(MS);
    bench.offer(Line::A, &packet(S2, 3, 4));
    bench.wait(50 * MS);
    let begun = [Out::Silent(true), Out::Silent(false), Out::Session(S2, false)];
    assert_eq!(bench.consumer.out, [&begun[..], &[Out::Gap(1, 3), Out::Message(3, content(3))]].concat());
}

#[test]
fn a_configured_session_is_the_only_one() {
    let mut bench = Bench::new(ArbiterSettings { session: Some(S2), ..Default::default() });
    bench.send(Line::A, 1, 2);
    bench.offer(Line::A, &packet(S2, 7, 8));
    bench.offer(Line::A, &end_of(S2, 8));
    bench.send(Line::A, 2, 3);
    assert_eq!(bench.consumer.out, [Out::Session(S2, true), Out::Message(7, content(7)), Out::End(8)]);
    assert_eq!(bench.arbiter.counts().foreign_packets, 2);
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let mut bench = Bench::at_100();
    bench.wait(2_999 * MS);
    assert_eq!(bench.consumer.out, []);
    bench.wait(MS);
    bench.wait(5_000 * MS);
    bench.send(Line::Rerequest, 100, 101);
    assert_eq!(bench.consumer.out[0], Out::Silent(true));
    bench.send(Line::B, 100, 100);
    bench.send(Line::B, 101, 101);
    assert_eq!(bench.consumer.out[1..], [Out::Message(100, content(100)), Out::Silent(false)]);
}

#[test]
fn a_consumer_that_refuses_gets_all_later_until_the_window_is_full_and_then_the_packet_is_refused() {
    let mut bench = Bench::at_100();
    bench.consumer.room = 2;
    let mut next = 100;
    while bench.offer(Line::A, &packet(S1, next, next + 50)) {
        next += 50;
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

#[test]
fn an_overlong_message_that_waited_is_no_itch_message_either() {
    let mut bench = Bench::at_100();
    let long = |sequence| [&Header { session: S1, sequence, count: 1 }.bytes()[..], &[0, 60], &[b'I'; 60]].concat();
    bench.offer(Line::A, &long(101));
    bench.offer(Line::A, &long(100));
    let sizes = bench.consumer.out.iter().map(|out| match out {
        Out::Message(_, bytes) => bytes.len(),
        _ => 0,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [60, 51]);
}
