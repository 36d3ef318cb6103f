//! The feed agent over real loopback sockets, stepped by hand, time simulated.

use std::net::Ipv4Addr;

use std::fs::{File, OpenOptions};
use std::io::Write;

use super::super::history::History;
use super::super::itch::encode::{self, Head};
use super::super::moldudp64::Header;
use super::super::settings::Join;
use super::*;
use crate::limits::HISTORY_WAIT;

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
        assert_eq!(message, self::message(sequence));
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
    fn silent(&mut self, silent: bool, _: u64) -> bool {
        self.silences.push(silent);
        true
    }
    fn heartbeat(&mut self, now: Nanos) -> bool {
        self.heartbeats.push(now);
        true
    }
}

fn message(sequence: u64) -> [u8; 19] {
    encode::delete(Head { locate: 1, tracking: 0, ts: sequence }, sequence)
}

/// Messages as packets and files have them.
fn blocks(from: u64, to: u64) -> Vec<u8> {
    (from..to).flat_map(|sequence| [&[0, 19][..], &message(sequence)].concat()).collect()
}

fn packet(from: u64, to: u64) -> Vec<u8> {
    let header = Header { session: SESSION, sequence: from, count: (to - from) as u16 };
    header.bytes().into_iter().chain(blocks(from, to)).collect()
}

fn settings(line_a: LineSettings, line_b: Option<LineSettings>) -> FeedSettings {
    let arbiter = ArbiterSettings::default();
    FeedSettings { line_a: Some(line_a), line_b, rerequest: vec![], arbiter, receive_buffer: 1 << 20 }
}

fn loopback() -> LineSettings {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    LineSettings { address, interface: Ipv4Addr::LOCALHOST, source: None }
}

struct Bench {
    agent: FeedAgent<Consumer>,
    clock: Clock,
    sender: UdpSocket,
}

impl Bench {
    fn new(servers: &[&UdpSocket]) -> Bench {
        let rerequest = servers.iter().map(|server| v4(server)).collect();
        Bench::with(&FeedSettings { rerequest, ..settings(loopback(), Some(loopback())) })
    }

    fn with(settings: &FeedSettings) -> Bench {
        let clock = Clock::simulated(1_000 * MS);
        let agent = FeedAgent::open(settings, clock.clone(), Consumer::default()).unwrap();
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
    let mut bench = Bench::with(&settings(any, None));
    socket2::SockRef::from(&bench.sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
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

/// An interface that is made anew loses its members, and the kernel counts them on: so at the 20th time a socket may join nothing.
/// The test is another process in a network namespace of its own, where it may make interfaces.
#[test]
fn a_line_is_heard_again_however_often_its_interface_goes_away() {
    const INSIDE: &str = "HAIRTRIGGER_TEST_NAMESPACE";
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);
    let ip = |arguments: &str| {
        let output = std::process::Command::new("ip").args(arguments.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    };
    let begin = || {
        ip("link add feed0 type veth peer name feed1")
            && ip(&format!("addr add {ADDRESS}/24 dev feed0"))
            && ip("link set feed0 up")
            && ip("link set feed1 up")
    };
    if std::env::var_os(INSIDE).is_none() {
        let name = "feed::agent::tests::a_line_is_heard_again_however_often_its_interface_goes_away";
        let child = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--net"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .output();
        match child {
            Ok(child) if String::from_utf8_lossy(&child.stdout).contains("test result") => {
                assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            }
            _ => eprintln!("skipped: no network namespace can be made here (unshare)"),
        }
        return;
    }
    if !(ip("link set lo up") && begin()) {
        eprintln!("skipped: no interface can be made here (ip link add ... type veth)");
        return;
    }
    for source in [None, Some(ADDRESS)] {
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 73, 21), 0);
        let mut bench = Bench::with(&settings(LineSettings { address: group, interface: ADDRESS, source }, None));
        let mut count = 0;
        for times in 0..25 {
            let sender = UdpSocket::bind((ADDRESS, 0)).unwrap();
            socket2::SockRef::from(&sender).set_multicast_if_v4(&ADDRESS).unwrap();
            bench.sender = sender;
            bench.send(Line::A, times + 1, times + 2);
            bench.until(|bench| bench.sequences().len() as u64 == times + 1);
            assert_eq!((bench.agent.socket_counts().rejoins, bench.agent.socket_counts().socket_errors), (times, 0));
            assert!(ip("link del feed0"));
            bench.clock.advance(3_000 * MS);
            bench.until(|bench| bench.agent.socket_counts().rejoin_failures > count);
            count = bench.agent.socket_counts().rejoin_failures;
            assert!(begin(), "{times}");
            bench.clock.advance(3_000 * MS);
            bench.until(|bench| bench.agent.socket_counts().rejoins > times);
        }
    }
}

/// A line that was heard from message 20 on, and a file that has reached the middle of message 10 when it is opened.
fn warming_up(folder: &tempfile::TempDir) -> (Bench, File) {
    let path = folder.path().join("feed");
    std::fs::write(&path, blocks(1, 11).split_last_chunk::<7>().unwrap().0).unwrap();
    let of_line = settings(loopback(), None);
    let arbiter = ArbiterSettings { join: Join::At(1), ..of_line.arbiter };
    let mut bench = Bench::with(&FeedSettings { arbiter, ..of_line });
    bench.agent.warm_up(History::open(&path).unwrap());
    bench.send(Line::A, 20, 22);
    bench.until(|bench| bench.sequences().len() == 9);
    (bench, OpenOptions::new().append(true).open(&path).unwrap())
}

#[test]
fn a_file_that_is_being_written_is_read_on_until_it_meets_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bench, mut file) = warming_up(&folder);
    file.write_all(blocks(1, 11).last_chunk::<7>().unwrap()).unwrap();
    for (from, to) in [(11, 12), (12, 15), (15, 20)] {
        file.write_all(&blocks(from, to)).unwrap();
        let last = if to == 20 { 22 } else { to };
        bench.until(|bench| {
            bench.clock.advance(MS);
            bench.sequences().len() as u64 == last - 1
        });
        assert_eq!(bench.agent.recall.is_some(), to < 20);
        bench.clock.advance(HISTORY_WAIT - 2 * MS);
    }
    file.write_all(&blocks(20, 30)).unwrap();
    bench.send(Line::A, 22, 23);
    bench.until(|bench| bench.sequences().len() == 22);
    assert_eq!(bench.sequences(), (1..23).collect::<Vec<_>>());
    assert_eq!((bench.agent.counts().from_file, bench.agent.downstream().gaps.len()), (19, 0));
}

#[test]
fn a_file_that_was_written_to_its_end_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bench, _) = warming_up(&folder);
    bench.clock.advance(HISTORY_WAIT - MS);
    (0..10).for_each(|_| _ = bench.step());
    assert!(bench.agent.recall.is_some() && bench.agent.downstream().gaps.is_empty());
    bench.until(|bench| {
        bench.clock.advance(MS);
        bench.sequences().len() == 11
    });
    assert_eq!(bench.agent.downstream().gaps, [(10, 20)]);
    assert!(bench.clock.now() <= 1_000 * MS + 2 * HISTORY_WAIT);
}
