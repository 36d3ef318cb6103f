//! Joining, ends and changes of session, silence.

use super::*;

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
fn an_end_that_messages_follow_was_none() {
    let mut bench = Bench::at_100();
    bench.offer(Line::A, &end_of(S1, 100));
    bench.send(Line::A, 100, 101);
    bench.offer(Line::B, &packet(S2, 1, 2));
    bench.offer(Line::A, &end_of(S1, 101));
    assert_eq!(bench.consumer.out, [Out::End(100), Out::Message(100, content(100)), Out::End(101)]);
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
fn a_short_history_that_nobody_has_leaves_the_feed_current() {
    let mut bench = Bench::new(ArbiterSettings { servers: 1, join: Join::At(1), ..Default::default() });
    bench.send(Line::A, 5, 5);
    bench.wait(50 * MS);
    assert_eq!(bench.numbers(), (vec![], vec![(1, 5)]));
    assert!(bench.arbiter.is_current());
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
