//! The feed agent over real loopback sockets, stepped by hand, time simulated.

use std::net::Ipv4Addr;

use super::super::moldudp64::Header;
use super::*;

const SESSION: [u8; 10] = *b"SESSION001";
const MS: Nanos = 1_000_000;
/// Loopback delivers at once; this many cycles without the expected result are a failure.
const CYCLES_MAX: usize = 10_000;

#[derive(Default)]
struct Consumer {
    refuses: bool,
    messages: Vec<(u64, Nanos)>,
    gaps: Vec<(u64, u64)>,
    heartbeats: Vec<Nanos>,
    silences: Vec<bool>,
}

impl Downstream for Consumer {
    fn message(&mut self, sequence: u64, ts_recv: Nanos, message: &[u8]) -> bool {
        assert_eq!(message, sequence.to_be_bytes());
        self.messages.extend((!self.refuses).then_some((sequence, ts_recv)));
        !self.refuses
    }
    fn gap(&mut self, from: u64, to: u64) -> bool {
        self.gaps.push((from, to));
        true
    }
    fn session(&mut self, _: [u8; 10], first: bool) -> bool {
        first
    }
    fn end_of_session(&mut self, _: u64) -> bool {
        true
    }
    fn silent(&mut self, silent: bool) -> bool {
        self.silences.push(silent);
        true
    }
    fn heartbeat(&mut self, now: Nanos) -> bool {
        self.heartbeats.push(now);
        true
    }
}

fn packet(from: u64, to: u64) -> Vec<u8> {
    let header = Header { session: SESSION, sequence: from, count: (to - from) as u16 };
    let blocks = (from..to).flat_map(|sequence| [&[0, 8][..], &sequence.to_be_bytes()].concat());
    header.bytes().into_iter().chain(blocks).collect()
}

struct Bench {
    agent: FeedAgent<Consumer>,
    clock: Clock,
    sender: UdpSocket,
}

impl Bench {
    fn new(servers: &[&UdpSocket]) -> Bench {
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let line = LineSettings { address: loopback, interface: Ipv4Addr::LOCALHOST, source: None };
        let settings = FeedSettings {
            line_a: Some(line),
            line_b: Some(line),
            rerequest: servers.iter().map(|server| v4(server)).collect(),
            arbiter: ArbiterSettings::default(),
            receive_buffer: 1 << 20,
        };
        let clock = Clock::simulated(1_000 * MS);
        let agent = FeedAgent::open(&settings, clock.clone(), Consumer::default()).unwrap();
        Bench { agent, clock, sender: local() }
    }

    fn send(&self, line: Line, from: u64, to: u64) {
        self.sender.send_to(&packet(from, to), self.agent.address(line).unwrap()).unwrap();
    }

    fn step(&mut self) -> usize {
        self.agent.do_work(self.clock.now())
    }

    fn until(&mut self, mut done: impl FnMut(&mut Bench) -> bool) {
        for _ in 0..CYCLES_MAX {
            self.step();
            if done(self) {
                return;
            }
        }
        panic!("not done after {CYCLES_MAX} cycles: {:?}", self.agent.counts());
    }

    fn sequences(&self) -> Vec<u64> {
        self.agent.downstream().messages.iter().map(|(sequence, _)| *sequence).collect()
    }
}

fn local() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn v4(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address}"),
    }
}

#[test]
fn both_lines_lose_and_a_server_that_answers_in_part_fills_the_rest() {
    let server = local();
    let mut bench = Bench::new(&[&server]);
    for from in (1..1_000).step_by(3) {
        for (line, lost) in [(Line::A, 5), (Line::B, 7)] {
            if from == 1 || from % lost != 0 {
                bench.send(line, from, from + 3);
            }
        }
        bench.step();
        bench.clock.advance(MS / 100);
    }
    bench.send(Line::A, 1_000, 1_000);
    bench.until(|bench| {
        let mut request = [0; 64];
        while let Ok((size, from)) = server.recv_from(&mut request) {
            let wanted = Header::read(&request[..size]).unwrap();
            assert!(size == 20 && wanted.session == SESSION && wanted.count <= 3);
            server.send_to(&packet(wanted.sequence, wanted.sequence + 1), from).unwrap();
        }
        bench.clock.advance(MS / 10);
        bench.agent.downstream().messages.len() == 999
    });
    assert_eq!(bench.sequences(), (1..1_000).collect::<Vec<_>>());
    let (counts, sockets) = (bench.agent.counts(), bench.agent.socket_counts());
    // What neither line brought: packets that begin at a multiple of 35, of those at 1, 4, 7 ...
    assert_eq!(counts.recovered, 3 * (1..1_000).step_by(3).filter(|from| from % 35 == 0).count() as u64);
    assert_eq!((counts.gaps, sockets.socket_errors, sockets.line_a_kernel_drops), (0, 0, 0));
    assert!(bench.agent.report().all(|granted| granted.receive_buffer > 0));
}

#[test]
fn servers_that_are_gone_cost_the_deadline_and_nothing_else() {
    let mut bench = {
        let (gone, also_gone) = (local(), local());
        Bench::new(&[&gone, &also_gone])
    };
    bench.send(Line::A, 1, 3);
    bench.send(Line::B, 5, 7);
    bench.until(|bench| {
        bench.clock.advance(MS);
        !bench.agent.downstream().gaps.is_empty()
    });
    assert!(bench.clock.now() <= 1_060 * MS);
    bench.send(Line::A, 7, 9);
    bench.until(|bench| bench.agent.downstream().messages.len() == 6);
    assert_eq!((bench.sequences(), &bench.agent.downstream().gaps), (vec![1, 2, 5, 6, 7, 8], &vec![(3, 5)]));
    assert_eq!(bench.agent.counts().requests, 4);
}

#[test]
fn answers_of_strangers_are_dropped() {
    let server = local();
    let mut bench = Bench::new(&[&server]);
    bench.send(Line::A, 1, 2);
    bench.send(Line::A, 3, 4);
    bench.send(Line::Rerequest, 2, 3);
    bench.until(|bench| bench.agent.counts().gaps_opened == 1);
    assert_eq!(bench.agent.socket_counts().stranger_datagrams, 0, "who has asked nothing listens to nobody");
    bench.clock.advance(3 * MS);
    bench.until(|bench| bench.agent.socket_counts().stranger_datagrams == 1);
    assert_eq!(bench.sequences(), [1]);
}

#[test]
fn what_a_consumer_refuses_waits_in_the_window_then_in_the_socket() {
    let mut bench = Bench::new(&[]);
    bench.agent.downstream_mut().refuses = true;
    let mut next = 1;
    while bench.agent.counts().stalled_packets == 0 {
        bench.send(Line::A, next, next + 1_000);
        next += 1_000;
        bench.step();
    }
    bench.send(Line::A, next, next + 1_000);
    for _ in 0..200 {
        bench.step();
        bench.clock.advance(MS);
    }
    assert_eq!(bench.agent.socket_counts().datagrams, next / 1_000);
    bench.agent.downstream_mut().refuses = false;
    bench.until(|bench| bench.agent.downstream().messages.len() as u64 == next + 999);
    assert_eq!(bench.sequences(), (1..next + 1_000).collect::<Vec<_>>());
    // The stamp is that of the datagram, not of its way on.
    assert_eq!(bench.agent.downstream().messages[0].1, 1_000 * MS);
}

#[test]
fn a_line_is_read_one_datagram_a_cycle_until_it_is_behind() {
    let mut bench = Bench::new(&[]);
    (1..=40).for_each(|number| bench.send(Line::A, number, number + 1));
    let mut read = || {
        bench.step();
        bench.agent.socket_counts().datagrams
    };
    assert_eq!([(); 6].map(|()| read()), [1, 2, 18, 34, 40, 40]);
    assert_eq!(bench.sequences(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn feed_time_is_told_at_heartbeats_and_each_interval_but_not_over_a_gap() {
    let server = local();
    let mut bench = Bench::new(&[&server]);
    bench.send(Line::A, 1, 2);
    bench.step();
    bench.send(Line::A, 2, 2);
    bench.until(|bench| bench.agent.downstream().heartbeats.len() == 2);
    bench.clock.advance(FEED_TIME_INTERVAL);
    bench.step();
    bench.send(Line::A, 3, 3);
    bench.until(|bench| bench.agent.counts().gaps_opened == 1);
    bench.clock.advance(40 * MS);
    bench.step();
    assert_eq!(bench.agent.downstream().heartbeats, [1_000 * MS, 1_000 * MS, 1_100 * MS]);
}

#[test]
fn an_address_that_is_not_ours_is_an_error_that_names_it() {
    let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9);
    let line = LineSettings { address, interface: Ipv4Addr::LOCALHOST, source: None };
    let arbiter = ArbiterSettings::default();
    let settings = FeedSettings { line_a: None, line_b: Some(line), rerequest: vec![], arbiter, receive_buffer: 4_096 };
    let error = FeedAgent::open(&settings, Clock::simulated(0), Consumer::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot listen on line B (192.0.2.1:9): "), "{error}");
}

/// The membership goes as it does with the interface: the kernel drops it. Then it is quiet, and then the group is joined again.
#[test]
fn a_line_whose_group_was_lost_joins_it_again() {
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 73, 20), 0);
    let any = LineSettings { address: group, interface: Ipv4Addr::LOCALHOST, source: None };
    let settings = FeedSettings {
        line_a: Some(any),
        line_b: None,
        rerequest: vec![],
        arbiter: ArbiterSettings::default(),
        receive_buffer: 1 << 20,
    };
    let clock = Clock::simulated(1_000 * MS);
    let agent = FeedAgent::open(&settings, clock.clone(), Consumer::default()).unwrap();
    let sender = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    sender.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    let mut bench = Bench { agent, clock, sender: sender.into() };
    bench.send(Line::A, 1, 2);
    bench.until(|bench| bench.sequences() == [1]);
    let lost = socket2::SockRef::from(&bench.agent.receivers[0].socket);
    lost.leave_multicast_v4(group.ip(), &Ipv4Addr::LOCALHOST).unwrap();
    bench.send(Line::A, 2, 3);
    (0..100).for_each(|_| _ = bench.step());
    assert_eq!(bench.sequences(), [1], "nobody hears the group");
    bench.clock.advance(3_000 * MS);
    bench.until(|bench| bench.agent.downstream().silences == [true]);
    let counts = *bench.agent.socket_counts();
    assert_eq!((counts.rejoins, counts.rejoin_failures), (1, 0));
    bench.send(Line::A, 2, 3);
    bench.until(|bench| bench.sequences() == [1, 2]);
    assert_eq!(bench.agent.downstream().silences, [true, false]);
    bench.clock.advance(3_000 * MS);
    (0..100).for_each(|_| _ = bench.step());
    assert_eq!(bench.agent.socket_counts().rejoins, 1, "it is a member");
}
