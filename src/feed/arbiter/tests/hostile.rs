//! Packets that are malformed, forged or astray.

use super::*;

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
    assert!(bench.offer(Line::B, &end_of(S1, (1 << 50) + 20)));
    bench.wait(40 * MS);
    bench.send(Line::A, 100, 101);
    bench.send(Line::B, (1 << 50) + 20, (1 << 50) + 21);
    bench.wait(400 * MS);
    bench.offer(Line::B, &packet(S2, 1, 2));
    bench.send(Line::A, 101, 102);
    assert_eq!(bench.numbers(), (vec![100, 101], vec![]));
    assert_eq!(bench.arbiter.counts().foreign_packets, 1);
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
