//! The arbiter against a naive model, over random loss, copies, reordering, packet boundaries and a random server.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::settings::Join;
use super::tests::{Consumer, MS, Out, S1, content, packet};
use super::*;

/// One packet on its way: line B or A, from, size, and the step at which it arrives.
type Sent = (bool, u64, u64, u64);

/// Cuts `1..=total` into packets for one line, loses some, sends some twice, delays some.
fn line(is_b: bool, total: u64) -> impl Strategy<Value = Vec<Sent>> {
    let one = (1..6u64, 0..10u8, prop_oneof![8 => Just(0u64), 2 => 0..40u64]);
    proptest::collection::vec(one, total as usize).prop_map(move |cuts| {
        let (mut from, mut sent) = (1, vec![]);
        for (size, fate, delay) in cuts {
            let to = (from + size).min(total + 1);
            if to > from && fate != 0 {
                sent.push((is_b, from, to, from + delay));
                sent.extend((fate == 1).then_some((is_b, from, to, from + delay + 7)));
            }
            from = to;
        }
        sent
    })
}

fn both_lines(total: u64) -> impl Strategy<Value = Vec<Sent>> {
    (line(false, total), line(true, total)).prop_map(|(a, b)| {
        let mut sent = [a, b].concat();
        sent.sort_by_key(|(.., at)| *at);
        sent
    })
}

/// The naive model of a feed joined at 1 where time stands still until all has arrived: what was received, and the holes.
fn model(sent: &[Sent]) -> Vec<Out> {
    let received: BTreeSet<u64> = sent.iter().flat_map(|(_, from, to, _)| *from..*to).collect();
    let (mut out, mut next) = (vec![Out::Session(S1, true)], 1);
    for sequence in received {
        out.extend((sequence > next).then_some(Out::Gap(next, sequence)));
        out.push(Out::Message(sequence, content(sequence)));
        next = sequence + 1;
    }
    out
}

/// Holds for whatever comes out: strictly rising, nothing twice, nothing left out silently, contents true.
fn assert_whole(out: &[Out]) -> u64 {
    let mut next = 1;
    for out in out {
        match out {
            Out::Message(sequence, bytes) => {
                assert_eq!((*sequence, bytes), (next, &content(next)));
                next += 1;
            }
            Out::Gap(from, to) => {
                assert!(*from == next && to > from);
                next = *to;
            }
            _ => {}
        }
    }
    next
}

fn join_at_1(servers: usize) -> Arbiter {
    Arbiter::new(ArbiterSettings { join: Join::At(1), servers, ..Default::default() })
}

fn side(is_b: bool) -> Line {
    if is_b { Line::B } else { Line::A }
}

proptest! {
    #[test]
    fn what_either_line_brought_comes_out_once_in_order_and_the_rest_is_gaps(
        sent in both_lines(120),
        rooms in proptest::collection::vec(0..9usize, 40),
    ) {
        let (mut arbiter, mut consumer) = (join_at_1(0), Consumer::default());
        for (at, (is_b, from, to, _)) in sent.iter().enumerate() {
            consumer.room = rooms[at % rooms.len()];
            let taken = arbiter.packet(side(*is_b), &packet(S1, *from, *to), MS, &mut consumer);
            prop_assert!(taken);
        }
        for step in 0..400 {
            consumer.room = 1 + rooms[step % rooms.len()];
            arbiter.poll(MS * (2 + 3 * step as u64), &mut consumer);
        }
        prop_assert_eq!(&consumer.out, &model(&sent));
        let counts = arbiter.counts();
        let brought = counts.line_a_first + counts.line_a_second + counts.line_b_first + counts.line_b_second;
        prop_assert_eq!(brought, sent.iter().map(|(_, from, to, _)| to - from).sum::<u64>());
        prop_assert_eq!(counts.line_a_first + counts.line_b_first, counts.messages);
    }

    /// A server that answers in part, late, twice or not at all, and forgets some numbers for good.
    #[test]
    fn a_server_fills_what_it_has_and_only_what_nobody_has_is_lost(
        sent in both_lines(150),
        fates in proptest::collection::vec((0..8u8, 1..9u64, 1..5u64), 60),
        forgotten in proptest::collection::btree_set(4..150u64, 0..4),
    ) {
        // The first three messages come from the server alone: it is known to answer.
        let sent: Vec<Sent> = sent.into_iter().filter(|(_, from, ..)| *from > 3).collect();
        let (mut arbiter, mut consumer) = (join_at_1(1), Consumer::default());
        let (mut sent, mut answers, mut asked) = (sent.into_iter().peekable(), vec![], 0);
        let mut received = BTreeSet::new();
        for step in 0..3_000u64 {
            let now = MS + step * MS / 2;
            while let Some((is_b, from, to, _)) = sent.next_if(|(.., at)| *at <= step) {
                received.extend(from..to);
                arbiter.packet(side(is_b), &packet(S1, from, to), now, &mut consumer);
            }
            if step > 200 {
                arbiter.packet(Line::A, &packet(S1, 151, 151), now, &mut consumer);
            }
            answers.retain(|(at, from, to)| {
                if *at <= step {
                    arbiter.packet(Line::Rerequest, &packet(S1, *from, *to), now, &mut consumer);
                }
                *at > step
            });
            arbiter.poll(now, &mut consumer);
            if let Some((0, header)) = arbiter.request(now) {
                let (fate, size, delay) = fates[asked % fates.len()];
                asked += 1;
                let (from, end) = (header.sequence, header.sequence + u64::from(header.count));
                let forgets = (from..end).find(|sequence| forgotten.contains(sequence)).unwrap_or(151);
                let to = (from + size).min(forgets).min(151);
                // Never silent more than twice in a row, so tries suffice.
                if to > from && (fate > 1 || asked % 3 == 0) {
                    answers.push((step + delay, from, to));
                    answers.extend((fate == 2).then_some((step + delay + 3, from, to)));
                }
            }
        }
        prop_assert_eq!(assert_whole(&consumer.out), 151);
        for out in &consumer.out {
            if let Out::Gap(from, to) = out {
                prop_assert!(forgotten.contains(from), "gap of {from}..{to}");
            }
        }
        let lost = |sequence: &u64| !consumer.out.iter().any(|out| matches!(out, Out::Message(s, _) if s == sequence));
        prop_assert!(!received.iter().any(lost), "received and not given out");
    }

    /// Any bytes on any line, at any time, with a consumer that refuses at will: no panic, and the promise holds.
    #[test]
    fn hostile_packets_never_break_the_order(
        packets in proptest::collection::vec(
            (
                0..3u8,
                prop_oneof![Just(S1), Just(*b"SESSION002"), Just(*b"SESSION003")],
                prop_oneof![4 => 0..60u64, 2 => 65_500..65_700u64, 1 => 200_000..200_009u64, 1 => any::<u64>()],
                prop_oneof![6 => 0..5u16, 1 => any::<u16>(), 1 => Just(END_OF_SESSION)],
                proptest::collection::vec(any::<u8>().prop_map(|byte| byte % 3), 0..40),
                (0..200 * MS, 0..30usize),
            ),
            1..120,
        ),
        servers in 0..3usize,
        join in prop_oneof![Just(Join::First), Just(Join::At(1)), any::<u64>().prop_map(Join::At)],
    ) {
        let settings = ArbiterSettings { join, servers, session_silence: 300 * MS, ..Default::default() };
        let (mut arbiter, mut consumer, mut now) = (Arbiter::new(settings), Consumer::default(), 0);
        for (line, session, sequence, count, body, (wait, room)) in packets {
            (now, consumer.room) = (now + wait, room);
            let bytes = [&Header { session, sequence, count }.bytes()[..], &body].concat();
            let line = [Line::A, Line::B, Line::Rerequest][usize::from(line)];
            arbiter.packet(line, &bytes, now, &mut consumer);
            arbiter.poll(now, &mut consumer);
            if let Some((server, header)) = arbiter.request(now) {
                prop_assert!(server < servers && header.count > 0 && header.count != END_OF_SESSION);
            }
        }
        let mut next = None;
        for out in &consumer.out {
            let (from, to) = match out {
                Out::Session(..) => { next = None; continue }
                Out::Message(sequence, _) => (*sequence, sequence + 1),
                Out::Gap(from, to) => (*from, *to),
                Out::End(_) | Out::Silent(_) => continue,
            };
            prop_assert!(next.is_none_or(|next| next == from) && to > from);
            next = Some(to);
        }
    }

    #[test]
    fn any_bytes_never_panic(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20)) {
        let (mut arbiter, mut consumer) = (join_at_1(1), Consumer::default());
        for (step, bytes) in packets.iter().enumerate() {
            arbiter.packet(Line::A, bytes, step as u64 * MS, &mut consumer);
            arbiter.poll(step as u64 * 10 * MS, &mut consumer);
        }
    }
}
