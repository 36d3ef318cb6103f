//! Packets, impairments, answers, captures and the publisher on loopback sockets.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::impair::{ALWAYS, Impairment, LineCounts};
use super::packetizer::Packetizer;
use super::*;
use crate::agent::Agent;
use crate::feed::itch::encode::{self, Head};
use crate::feed::moldudp64::{Blocks, END_OF_SESSION, Header};
use crate::feed::recording::Recording;
use crate::limits::ITCH_SIZE_MAX;
use crate::model::Nanos;
use crate::synth::{Day, DayParams};
use crate::sys::clock::Clock;

const SESSION: [u8; 10] = *b"SYNTHETIC1";
const PACKET_SIZE: usize = 1_400;

/// The messages of a small day, numbered from 1, without those that `keep` leaves out.
fn day(keep: impl Fn(u64) -> bool) -> BTreeMap<u64, Vec<u8>> {
    let (mut day, mut buffer) = (Day::new(DayParams { seed: 4, messages: 5_000, symbols: 20 }), [0; ITCH_SIZE_MAX]);
    let all = std::iter::from_fn(|| day.next_into(&mut buffer).map(<[u8]>::to_vec));
    (1..).zip(all).filter(|(sequence, _)| keep(*sequence)).collect()
}

fn messages(day: &BTreeMap<u64, Vec<u8>>) -> Messages {
    let mut messages = Messages::default();
    assert!(day.iter().all(|(sequence, message)| messages.push(*sequence, message)));
    messages
}

/// Reads a packet into `seen`; what was there must be the same.
fn read(packet: &[u8], seen: &mut BTreeMap<u64, Vec<u8>>) -> Header {
    let header = Header::read(packet).unwrap();
    assert_eq!(header.session, SESSION);
    let mut blocks = Blocks::new(&header, packet);
    for (sequence, message) in (header.sequence..).zip(blocks.by_ref()) {
        assert!(seen.insert(sequence, message.to_vec()).is_none_or(|earlier| earlier == message));
    }
    assert!(!blocks.is_cut() && blocks.rest().is_empty());
    header
}

fn settings(pace: Pace) -> Settings {
    Settings {
        session: SESSION,
        lines: vec![],
        rerequest: None,
        interface: Ipv4Addr::LOCALHOST,
        pace,
        packet_size: PACKET_SIZE,
        linger: 300_000_000,
        record_times: true,
    }
}

const PACES: [Pace; 4] =
    [Pace::Max, Pace::Rate(1_000_000), Pace::Original { speed: 1_000 }, Pace::Original { speed: 100_000_000 }];

#[test]
fn packets_hold_every_message_once_within_their_size_and_end_at_gaps() {
    let day = day(|sequence| sequence > 3 && !(100..250).contains(&sequence));
    let messages = messages(&day);
    for pace in PACES {
        let (mut packetizer, mut seen, mut buffer) = (Packetizer::new(pace, PACKET_SIZE), BTreeMap::new(), vec![]);
        let (mut last_due, mut next) = (0, 4);
        while let Some((packet, due)) = packetizer.next(&messages) {
            messages.write(SESSION, &packet, &mut buffer);
            assert!(buffer.len() == packet.size() && buffer.len() <= PACKET_SIZE && due >= last_due);
            let header = read(&buffer, &mut seen);
            assert_eq!(header.sequence, if next == 100 { 250 } else { next });
            (last_due, next) = (due, header.sequence + u64::from(header.count));
        }
        assert_eq!(seen, day, "{pace:?}");
    }
}

#[test]
fn a_packet_spans_no_more_than_the_flush_time() {
    let messages = messages(&day(|_| true));
    let mut packetizer = Packetizer::new(Pace::Rate(1_000_000), PACKET_SIZE);
    let (first, due) = packetizer.next(&messages).unwrap();
    assert_eq!((first.count(), due), (11, 10_000));
    let mut packetizer = Packetizer::new(Pace::Rate(1_000), PACKET_SIZE);
    assert_eq!(packetizer.next(&messages).map(|(packet, due)| (packet.count(), due)), Some((1, 0)));
    assert_eq!(packetizer.next(&messages).map(|(packet, due)| (packet.count(), due)), Some((1, 1_000_000)));
    let mut packetizer = Packetizer::new(Pace::Max, 100);
    let mut packet = || packetizer.next(&messages).map(|(packet, _)| (packet.count(), packet.size()));
    // S and R; a second R would make 102 bytes.
    assert_eq!((packet(), packet()), (Some((2, 20 + 14 + 41)), Some((1, 20 + 41))));
}

#[test]
fn a_message_longer_than_the_packet_size_goes_alone() {
    let mut messages = Messages::default();
    assert!(messages.push(1, &[b'?'; 3_000]) && messages.push(2, b"!") && !messages.push(2, b"!"));
    assert!(!messages.push(3, &[0; 65_500]) && messages.push(4, b"!"));
    let mut packetizer = Packetizer::new(Pace::Max, PACKET_SIZE);
    let sequences: Vec<_> = std::iter::from_fn(|| packetizer.next(&messages))
        .map(|(packet, _)| (packet.sequence, packet.count()))
        .collect();
    assert_eq!(sequences, [(1, 1), (2, 1), (4, 1)]);
}

fn impaired(rates: Rates, seed: u64) -> (Vec<u32>, LineCounts) {
    let (mut impairment, mut out, mut counts) = (Impairment::new(rates, seed), VecDeque::new(), LineCounts::default());
    (0..20_000).for_each(|packet| impairment.pass(packet, &mut counts, &mut out));
    impairment.flush(&mut out);
    (out.into(), counts)
}

#[test]
fn impairment_is_seeded_and_nothing_is_lost_but_what_is_counted() {
    let rates = Rates { loss: 10_000, duplicate: 20_000, reorder: 30_000 };
    let (out, counts) = impaired(rates, 1);
    assert_eq!((&out, counts), (&impaired(rates, 1).0, impaired(rates, 1).1));
    assert_ne!(out, impaired(rates, 2).0);
    assert_eq!(out.len() as u64, counts.packets - counts.lost + counts.duplicated);
    for (count, rate) in [(counts.lost, 200), (counts.duplicated, 400), (counts.reordered, 600)] {
        assert!((rate * 7 / 10..rate * 13 / 10).contains(&count), "{counts:?}");
    }
    let different: std::collections::HashSet<_> = out.iter().collect();
    assert_eq!(different.len() as u64, counts.packets - counts.lost);
    assert!(out.windows(2).filter(|pair| pair[0] > pair[1]).count() > 300);
}

#[test]
fn impairments_of_rate_0_and_1_do_nothing_and_everything() {
    let straight: Vec<u32> = (0..20_000).collect();
    assert_eq!(impaired(Rates::default(), 1).0, straight);
    assert!(impaired(Rates { loss: ALWAYS, ..Rates::default() }, 1).0.is_empty());
    assert_eq!(impaired(Rates { duplicate: ALWAYS, ..Rates::default() }, 1).0.len(), 40_000);
    let mut reordered = impaired(Rates { reorder: ALWAYS, ..Rates::default() }, 1).0;
    assert_ne!(reordered, straight);
    reordered.sort();
    assert_eq!(reordered, straight);
}

#[test]
fn a_request_is_answered_with_what_was_sent_and_fits_and_else_with_silence() {
    let day = day(|sequence| !(100..250).contains(&sequence));
    let (messages, mut buffer) = (messages(&day), vec![]);
    let mut ask = |session, sequence, count, sent| {
        let request = Header { session, sequence, count }.bytes();
        let packet = rerequest::answer(&messages, SESSION, sent, &request, PACKET_SIZE)?;
        messages.write(SESSION, &packet, &mut buffer);
        let (mut seen, size) = (BTreeMap::new(), buffer.len());
        let header = read(&buffer, &mut seen);
        assert!(size <= PACKET_SIZE && seen.iter().all(|(sequence, message)| day[sequence] == *message));
        Some((header.sequence, header.count))
    };
    assert_eq!(ask(SESSION, 7, 3, 5_000), Some((7, 3)));
    assert_eq!(ask(SESSION, 95, 1_000, 5_000), Some((95, 5)), "up to the gap");
    assert_eq!(ask(SESSION, 5_000, 9, 5_000), Some((5_000, 1)), "up to the end");
    assert_eq!(ask(SESSION, 40, 9, 42), Some((40, 3)), "up to what was sent");
    let (first, count) = ask(SESSION, 1_000, 65_534, 5_000).unwrap();
    assert!(first == 1_000 && (20..100).contains(&count), "what fits");
    for (session, sequence, count, sent) in [
        (*b"SOMETHING ", 7, 3, 5_000),
        (SESSION, 0, 3, 5_000),
        (SESSION, 7, 0, 5_000),
        (SESSION, 100, 9, 5_000),
        (SESSION, 249, 9, 5_000),
        (SESSION, 5_001, 1, 5_000),
        (SESSION, u64::MAX - 9, 9, 5_000),
        (SESSION, 43, 9, 42),
    ] {
        assert_eq!(ask(session, sequence, count, sent), None, "{sequence} {count}");
    }
    assert_eq!(rerequest::answer(&messages, SESSION, 9, &[0; 19], PACKET_SIZE), None);
}

#[test]
fn a_capture_gives_the_same_messages_again() {
    let day = day(|sequence| !(100..250).contains(&sequence));
    let to = |port| SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 1), port);
    let line =
        |port, seed| LineSettings { to: to(port), rates: Rates { loss: 0, duplicate: 50_000, reorder: 50_000 }, seed };
    for pace in PACES {
        let settings = Settings { lines: vec![line(26_400, 1), line(26_401, 2)], ..settings(pace) };
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 26_000);
        let counts = capture::write(&settings, &messages(&day), source, file.reopen().unwrap()).unwrap();
        assert!(counts.iter().all(|line| line.packets > 50 && line.duplicated > 0 && line.reordered > 0));
        let (mut recording, mut seen) = (Recording::open(file.path()).unwrap(), BTreeMap::new());
        assert_eq!(recording.session(), Some(SESSION));
        while let Some((sequence, message)) = recording.next() {
            assert!(seen.insert(sequence, message.to_vec()).is_none());
        }
        assert_eq!((seen, recording.damage()), (day.clone(), None), "{pace:?}");
    }
}

/// A listener on loopback, and where it listens.
fn listener() -> (UdpSocket, SocketAddrV4) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Only a failing test waits for so long: what is received was sent before.
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let SocketAddr::V4(address) = socket.local_addr().unwrap() else { panic!("bound to IPv4") };
    (socket, address)
}

/// Receives until there are as many headers as datagrams were sent.
fn receive(socket: &UdpSocket, sent: u64, seen: &mut BTreeMap<u64, Vec<u8>>, headers: &mut Vec<Header>) {
    let mut packet = [0; 65_535];
    while (headers.len() as u64) < sent {
        let size = socket.recv(&mut packet).unwrap();
        headers.push(read(&packet[..size], seen));
    }
}

fn line_counts(publisher: &Publisher) -> Vec<LineCounts> {
    publisher.line_counts().collect()
}

#[test]
fn both_lines_and_the_rerequest_server_stepped_by_hand() {
    let day = day(|_| true);
    let ((a, to_a), (b, to_b)) = (listener(), listener());
    let rates = Rates { loss: 100_000, duplicate: 50_000, reorder: 50_000 };
    let settings = Settings {
        lines: vec![LineSettings { to: to_a, rates, seed: 1 }, LineSettings { to: to_b, rates, seed: 2 }],
        rerequest: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..settings(Pace::Rate(10_000))
    };
    let clock = Clock::simulated(1_000_000_000_000);
    let mut publisher = Publisher::new(&settings, Arc::new(messages(&day)), clock.clone()).unwrap();
    let (mut seen, mut headers_a, mut headers_b) = (BTreeMap::new(), vec![], vec![]);
    while !publisher.is_done(clock.now()) {
        publisher.do_work(clock.now());
        let counts = line_counts(&publisher);
        receive(&a, counts[0].datagrams, &mut seen, &mut headers_a);
        receive(&b, counts[1].datagrams, &mut seen, &mut headers_b);
        clock.advance(1_000_000);
    }
    let counts = line_counts(&publisher);
    assert!(counts[0].lost > 0 && counts[1].lost > 0 && counts[0] != counts[1]);
    for (headers, counts) in [(&headers_a, &counts[0]), (&headers_b, &counts[1])] {
        let ends: Vec<&Header> = headers.iter().filter(|header| header.count == END_OF_SESSION).collect();
        assert!(ends.len() == 3 && ends.iter().all(|end| end.sequence == 5_001), "{ends:?}");
        assert_eq!(counts.datagrams, counts.packets - counts.lost + counts.duplicated + 3);
    }

    let (missing, times) = (5_000 - seen.len() as u64, publisher.sent_times());
    assert!((1..200).contains(&missing), "10 % of 10 % on average: {missing}");
    for sequence in 1..=5_000 {
        assert_eq!(times.at(sequence).is_some(), seen.contains_key(&sequence), "{sequence}");
    }
    fill(&mut publisher, &mut seen, clock.now());
    assert_eq!(seen, day);
    assert_eq!(publisher.requests().1, missing);
    assert!((1..=5_000).all(|sequence| times.at(sequence).is_some()) && times.at(5_001).is_none());
}

/// Asks for each message that is missing.
fn fill(publisher: &mut Publisher, seen: &mut BTreeMap<u64, Vec<u8>>, now: Nanos) {
    let (client, _) = listener();
    client.connect(publisher.rerequest_address().unwrap()).unwrap();
    client.send(b"no request").unwrap();
    for sequence in 1..=5_000 {
        if !seen.contains_key(&sequence) {
            client.send(&Header { session: SESSION, sequence, count: 1 }.bytes()).unwrap();
            publisher.do_work(now);
            receive(&client, 1, seen, &mut vec![]);
        }
    }
}

#[test]
fn a_quiet_feed_has_heartbeats_with_the_next_number() {
    let (line, to) = listener();
    let settings = Settings {
        lines: vec![LineSettings { to, rates: Rates::default(), seed: 0 }],
        ..settings(Pace::Original { speed: 2_000 })
    };
    let mut messages = Messages::default();
    for (sequence, ts) in [(1, 0), (2, 7_000_000_000)] {
        assert!(messages.push(sequence, &encode::system(Head { locate: 0, tracking: 0, ts }, b'S')));
    }
    let clock = Clock::simulated(50_000_000_000);
    let mut publisher = Publisher::new(&settings, Arc::new(messages), clock.clone()).unwrap();
    let (mut seen, mut headers) = (BTreeMap::new(), vec![]);
    for _ in 0..=35 {
        publisher.do_work(clock.now());
        receive(&line, line_counts(&publisher)[0].datagrams, &mut seen, &mut headers);
        clock.advance(100_000_000);
    }
    let told: Vec<_> = headers.iter().map(|header| (header.sequence, header.count)).collect();
    assert_eq!(told, [(1, 1), (2, 0), (2, 0), (2, 0), (2, 1), (3, END_OF_SESSION)]);
    assert!(publisher.is_sent());
}

#[test]
fn a_cut_feed_ends_where_it_stands_and_goes_where_it_was_redirected() {
    let (line, to) = listener();
    let (_, elsewhere) = listener();
    let settings = Settings {
        lines: vec![LineSettings { to: elsewhere, rates: Rates::default(), seed: 0 }],
        ..settings(Pace::Original { speed: 1_000 })
    };
    let mut messages = Messages::default();
    for (sequence, ts) in [(1, 0), (2, 1_000_000), (3, 2_000_000)] {
        assert!(messages.push(sequence, &encode::system(Head { locate: 0, tracking: 0, ts }, b'S')));
    }
    let start = 50_000_000_000;
    let mut publisher = Publisher::new(&settings, Arc::new(messages), Clock::simulated(start)).unwrap();
    publisher.redirect(0, to);
    publisher.do_work(start);
    publisher.cut();
    publisher.cut();
    publisher.do_work(start + 5_000_000);
    assert!(publisher.is_sent() && publisher.sent() == 1);
    let (mut seen, mut headers) = (BTreeMap::new(), vec![]);
    receive(&line, line_counts(&publisher)[0].datagrams, &mut seen, &mut headers);
    let told: Vec<_> = headers.iter().map(|header| (header.sequence, header.count)).collect();
    assert_eq!(told, [(1, 1), (2, END_OF_SESSION)]);
}
