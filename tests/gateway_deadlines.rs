//! The gateway's deadlines, stepped by hand on a simulated clock: who is told what, and who is closed when.

use std::io::{Read, Write};
use std::net::TcpStream;

use hairtrigger::agent::Agent;
use hairtrigger::door::{Door, Member, Pass};
use hairtrigger::gateway::agent::GatewayAgent;
use hairtrigger::gateway::settings::GatewaySettings;
use hairtrigger::gateway::wire::STOPS;
use hairtrigger::limits;
use hairtrigger::model::Nanos;
use hairtrigger::soup::login::Credentials;
use hairtrigger::sys::aside::Aside;
use hairtrigger::sys::clock::Clock;

const LOGIN: &[u8; 49] = b"\0\x2fLdemo  secret                                 1";
const SECOND: Nanos = 1_000_000_000;

struct Bench {
    clock: Clock,
    agent: GatewayAgent,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::alone(vec![Member::plain(&Credentials::new("demo", "secret").unwrap(), 0, 0)]);
        let (accounts, logins) = (vec![*b"demo  "], vec![Pass { account: 0, is_drop_copy: false }]);
        let mut settings = GatewaySettings::new(([127, 0, 0, 1], 0).into(), directory.path().into(), accounts, logins);
        (settings.segment_size, settings.retention.size) = (limits::SEGMENT_SIZE_MIN as usize, 0);
        settings.sessions_max = 2;
        let clock = Clock::simulated(1_700_000_000 * SECOND);
        let agent = GatewayAgent::open(settings, door, vec![], clock.clone(), &Aside::default()).unwrap();
        Bench { clock, agent, _directory: directory }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.agent.local_addr()).unwrap()
    }

    /// Steps, hardly moving the clock, until it is so. The kernel's loopback is all that is waited for.
    fn until(&mut self, mut is_so: impl FnMut(&GatewayAgent) -> bool) {
        while !is_so(&self.agent) {
            self.clock.advance(limits::POLL_INTERVAL);
            self.agent.do_work(self.clock.now());
        }
    }

    /// Lets time pass in steps of 10 ms.
    fn pass(&mut self, time: Nanos) {
        for _ in 0..time / limits::DEADLINE_INTERVAL {
            self.clock.advance(limits::DEADLINE_INTERVAL);
            self.agent.do_work(self.clock.now());
            self.agent.do_work(self.clock.now());
        }
    }
}

fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = vec![];
    socket.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn who_does_not_log_in_is_closed_and_who_is_silent_is_told_and_cut() {
    let mut bench = Bench::new();
    let (mut talker, mute) = (bench.connect(), bench.connect());
    talker.write_all(LOGIN).unwrap();
    bench.until(|agent| agent.counts().logins == 1 && agent.counts().connections == 2);

    // Both places are taken: the newcomer gets that of the one who has not logged in.
    let newcomer = bench.connect();
    bench.until(|agent| agent.counts().evicted == 1 && agent.counts().connections == 3);
    assert!(rest(mute).is_empty());
    let mute = newcomer;

    bench.pass(4 * SECOND);
    assert_eq!(bench.agent.counts().violations, 0);
    bench.pass(2 * SECOND);
    assert_eq!(bench.agent.counts().violations, 1);
    assert!(rest(mute).is_empty());

    bench.pass(8 * SECOND);
    assert_eq!(bench.agent.counts().violations, 1);
    bench.pass(2 * SECOND);
    assert_eq!(bench.agent.counts().violations, 2);
    let bytes = rest(talker);
    let told = b"\0\x1a+no heartbeat for too long";
    let beats = &bytes[33..bytes.len() - told.len()];
    assert!(bytes.starts_with(b"\0\x1fA") && bytes.ends_with(told), "{}", bytes.escape_ascii());
    assert!((13..=15).contains(&(beats.len() / 3)) && beats.chunks(3).all(|beat| beat == b"\0\x01H"));
    bench.until(|agent| agent.peer_count() == 0);
}

#[test]
fn a_half_packet_is_cut_after_its_deadline_and_a_heartbeat_keeps_a_client() {
    let mut bench = Bench::new();
    let mut client = bench.connect();
    client.write_all(LOGIN).unwrap();
    bench.until(|agent| agent.counts().logins == 1);
    let mut sent = LOGIN.len() as u64;
    for _ in 0..5 {
        bench.pass(10 * SECOND);
        client.write_all(b"\0\x01R").unwrap();
        sent += 3;
        bench.until(|agent| agent.counts().bytes_received == sent);
    }
    client.write_all(b"\0\x09+half").unwrap();
    bench.until(|agent| agent.counts().bytes_received == sent + 7);
    bench.pass(4 * SECOND);
    assert_eq!(bench.agent.counts().violations, 0);
    bench.pass(2 * SECOND);
    assert_eq!(bench.agent.counts().violations, 1);
    assert!(rest(client).ends_with(b"\0\x1d+a packet did not end in time"));
}

#[test]
fn a_client_that_never_closes_does_not_hold_up_the_stop() {
    let mut bench = Bench::new();
    let (mut client, _mute) = (bench.connect(), bench.connect());
    client.write_all(LOGIN).unwrap();
    bench.until(|agent| agent.counts().logins == 1 && agent.peer_count() == 2);
    let started = bench.clock.now();
    while !bench.agent.close(bench.clock.now()) {
        bench.clock.advance(limits::DEADLINE_INTERVAL);
    }
    assert!(bench.clock.now() - started <= limits::CLOSE_DEADLINE);
    assert!(rest(client).ends_with(STOPS.as_bytes()));
}
