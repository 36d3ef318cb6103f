//! The TLS agent through its own door: clients on one side, the port's end of each pair on the other.

mod engine;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::DEADLINE;
use engine::certificates::{Authority, client, read_to_end};
use hairtrigger::agent::Agent;
use hairtrigger::limits::{
    TLS_FAREWELL_DEADLINE, TLS_HANDSHAKE_DEADLINE, TLS_HANDSHAKES_PER_ADDRESS_MAX, TLS_TIMER_INTERVAL,
};
use hairtrigger::soup::arrival::{Arrival, arrivals};
use hairtrigger::sys::clock::Clock;
use hairtrigger::sys::stream::Stream;
use hairtrigger::tls::agent::{TlsAgent, TlsCounts, TlsSettings};
use hairtrigger::tls::settings::{Identity, IdentitySettings};

/// An agent, its authority, and where its arrivals come out.
struct House {
    agent: TlsAgent,
    address: SocketAddr,
    arrivals: Receiver<Arrival>,
    authority: Authority,
    folder: tempfile::TempDir,
    now: u64,
}

impl House {
    fn new(sessions_max: usize) -> House {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("root");
        let files = authority.sign(folder.path(), "server", "server", &["localhost"]);
        let settings =
            IdentitySettings { certificate: files.certificate, key: files.key, ..IdentitySettings::default() };
        let identity = Identity::load(&settings).unwrap();
        let (sender, arrivals) = arrivals();
        let doors = vec![("127.0.0.1:0".parse().unwrap(), sender)];
        // Nobody reloads: the other end is gone.
        let reloads = channel().1;
        let agent = TlsAgent::open(TlsSettings { sessions_max, identity, reloads, doors }).unwrap();
        let address = agent.local_addrs().next().unwrap();
        House { agent, address, arrivals, authority, folder, now: 1 << 40 }
    }

    fn step(&mut self) {
        self.now += 20_000;
        self.agent.do_work(self.now);
    }

    fn step_until(&mut self, what: &str, is_so: impl Fn(&TlsCounts) -> bool) {
        let start = Instant::now();
        while !is_so(&self.agent.counts()) {
            assert!(start.elapsed() < DEADLINE, "never {what}: {:?}", self.agent.counts());
            // The clock stands still: no deadline passes because the machine is slow.
            if self.agent.do_work(self.now) == 0 {
                std::thread::yield_now();
            }
        }
    }

    /// Connects, and steps until that was seen.
    fn connect(&mut self) -> TcpStream {
        let before = self.agent.counts();
        let socket = TcpStream::connect(self.address).unwrap();
        let taken = |counts: &TlsCounts| counts.connections + counts.connections_refused;
        self.step_until("accepted", |counts| taken(counts) > taken(&before));
        socket
    }

    /// Goes on by itself.
    fn run(self) -> Running {
        let House { mut agent, address, arrivals, authority, folder, .. } = self;
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let clock = Clock::machine();
            while stopped.try_recv().is_err() {
                if agent.do_work(clock.now()) == 0 {
                    std::thread::yield_now();
                }
            }
            while !agent.close(clock.now()) {
                std::thread::yield_now();
            }
            agent
        });
        Running { address, arrivals, authority, folder, stop, thread }
    }
}

/// The same on a thread of its own.
struct Running {
    address: SocketAddr,
    arrivals: Receiver<Arrival>,
    authority: Authority,
    folder: tempfile::TempDir,
    stop: Sender<()>,
    thread: JoinHandle<TlsAgent>,
}

impl Running {
    /// A client of the project's own, and the port's end.
    fn connect(&self) -> (std::os::unix::net::UnixStream, Stream) {
        let ca = self.authority.file(self.folder.path(), "ca.pem");
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        let secured = client(&ca, None).secure(socket, "localhost").unwrap();
        secured.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let arrival = self.arrivals.recv_timeout(DEADLINE).unwrap();
        assert_eq!((arrival.address.to_string(), arrival.account), ("127.0.0.1".into(), None));
        (secured.stream, arrival.stream)
    }
}

/// Tries again while the socket is not ready.
fn patiently<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            result => return result.unwrap(),
        }
        assert!(start.elapsed() < DEADLINE);
    }
}

/// True when the other side has closed; what it said before is thrown away.
fn is_closed(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match socket.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_handshake_is_cut_at_the_deadline() {
    let mut house = House::new(8);
    let mut socket = house.connect();
    let start = house.now;
    // The beginning of a record that would hold a ClientHello.
    socket.write_all(b"\x16\x03\x01\x01\x00\x01\x00").unwrap();
    house.now = start + TLS_HANDSHAKE_DEADLINE - TLS_TIMER_INTERVAL - 1_000_000;
    (0..10).for_each(|_| house.step());
    assert!(!is_closed(&mut socket));
    assert_eq!((house.agent.counts().handshakes_open, house.agent.counts().failed_late), (1, 0));
    house.now = start + TLS_HANDSHAKE_DEADLINE + TLS_TIMER_INTERVAL;
    (0..10).for_each(|_| house.step());
    assert!(is_closed(&mut socket));
    let counts = house.agent.counts();
    assert_eq!((counts.handshakes_open, counts.failed_late, counts.connections_open), (0, 1, 0));
}

#[test]
fn what_is_not_tls_1_3_is_told_so_and_cut() {
    // A ClientHello of TLS 1.2: its version, and no list of others.
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let extensions = [0u8, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend([0, extensions.len() as u8]);
    hello.extend(extensions);
    let handshake = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let old = [&[0x16, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();
    let login = b"\0\x2fLdemo  secret                                 1";
    for (said, alert) in [(&old[..], 70), (&login[..], 50)] {
        let mut house = House::new(8);
        let mut socket = house.connect();
        socket.write_all(said).unwrap();
        house.step_until("refused", |counts| counts.failed_protocol == 1);
        let mut answer = vec![];
        socket.read_to_end(&mut answer).unwrap();
        // A fatal alert: protocol_version, decode_error.
        assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, alert]);
        drop(socket);
        house.step_until("gone", |counts| counts.connections_open == 0);
        assert!(house.arrivals.try_recv().is_err());
    }
}

#[test]
fn a_later_client_takes_the_place_of_the_oldest_handshake() {
    let mut house = House::new(2);
    let mut sockets: Vec<TcpStream> = (0..3).map(|_| house.connect()).collect();
    let counts = house.agent.counts();
    assert_eq!((counts.connections, counts.evicted, counts.handshakes_open), (3, 1, 2));
    let closed: Vec<bool> = sockets.iter_mut().map(is_closed).collect();
    assert_eq!(closed, [true, false, false]);
}

#[test]
fn one_address_holds_so_many_handshakes_and_no_more() {
    let mut house = House::new(256);
    let sockets: Vec<TcpStream> = (0..TLS_HANDSHAKES_PER_ADDRESS_MAX + 3).map(|_| house.connect()).collect();
    let counts = house.agent.counts();
    assert_eq!((counts.handshakes_open, counts.connections_refused), (TLS_HANDSHAKES_PER_ADDRESS_MAX as u64, 3));
    drop(sockets);
    house.step_until("gone", |counts| counts.handshakes_open == 0);
    assert_eq!(house.agent.counts().failed_closed, TLS_HANDSHAKES_PER_ADDRESS_MAX as u64);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_loses_nothing() {
    let running = House::new(8).run();
    let (mut slow, mut to_slow) = running.connect();
    let (mut quick, mut to_quick) = running.connect();
    // As much as goes until nothing has gone for a while: buffers are bounded.
    let (mut written, mut refusals) = (vec![], 0);
    while refusals < 2_000 {
        let piece: Vec<u8> = (0..10_000).map(|n| (n + written.len()) as u8).collect();
        match to_slow.write(&piece) {
            Ok(count) => (_, refusals) = (written.extend_from_slice(&piece[..count]), 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refusals += 1;
                // The quick one is served all the while.
                quick.write_all(b"ping").unwrap();
                let mut space = [0; 4];
                let mut seen = 0;
                while seen < 4 {
                    seen += patiently(|| to_quick.read(&mut space[seen..]));
                }
                patiently(|| to_quick.write(b"pong"));
                quick.read_exact(&mut space).unwrap();
                assert_eq!(&space, b"pong");
            }
        }
        assert!(written.len() < 64 << 20, "what is not read is kept without a bound");
    }
    drop(to_slow);
    let mut read = vec![];
    slow.read_to_end(&mut read).unwrap();
    assert!(read == written, "{} of {} bytes", read.len(), written.len());
    drop((slow, quick, to_quick));
    running.stop.send(()).unwrap();
    let counts = running.thread.join().unwrap().counts();
    assert_eq!((counts.handshakes, counts.connections_open, counts.broken), (2, 0, 0));
    assert_eq!(counts.bytes_received % 4, 0);
    assert_eq!(counts.bytes_sent, written.len() as u64 + counts.bytes_received);
}

#[test]
fn the_last_words_reach_the_client_and_then_the_end_though_its_own_were_not_read() {
    let running = House::new(8).run();
    let mut tls = running.authority.bare_client(running.address);
    tls.write_all(b"nobody reads this").unwrap();
    let mut port = running.arrivals.recv_timeout(DEADLINE).unwrap().stream;
    let (words, mut at) = (vec![7; 100_000], 0);
    while at < words.len() {
        at += patiently(|| port.write(&words[at..]));
    }
    // Closed with bytes unread, which resets a pair.
    drop(port);
    assert_eq!(read_to_end(&mut tls), (words, true));
    drop(tls);
    running.stop.send(()).unwrap();
    assert_eq!(running.thread.join().unwrap().counts().cut_late, 0);
}

#[test]
fn a_client_that_says_the_end_is_heard_and_one_that_vanishes_too() {
    let running = House::new(8).run();
    for says_so in [true, false] {
        let mut tls = running.authority.bare_client(running.address);
        tls.write_all(b"bye").unwrap();
        if says_so {
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
        let mut port = running.arrivals.recv_timeout(DEADLINE).unwrap().stream;
        if !says_so {
            drop(tls);
        }
        let (mut heard, mut space) = (vec![], [0; 64]);
        loop {
            match patiently(|| port.read(&mut space)) {
                0 => break,
                count => heard.extend_from_slice(&space[..count]),
            }
        }
        assert_eq!(heard, b"bye");
    }
    running.stop.send(()).unwrap();
    assert_eq!(running.thread.join().unwrap().counts().connections_open, 0);
}

#[test]
fn a_client_that_does_not_take_its_last_words_is_cut_at_the_deadline() {
    let mut house = House::new(8);
    let mut tls = house.authority.bare_client(house.address);
    let shaken = std::thread::spawn(move || {
        tls.flush().unwrap();
        tls
    });
    house.step_until("shaken", |counts| counts.handshakes == 1);
    let tls = shaken.join().unwrap();
    let start = house.now;
    house.step();
    // The port closes; the client neither reads nor closes.
    drop(house.arrivals.try_recv().unwrap());
    (0..100).for_each(|_| house.step());
    house.now += TLS_TIMER_INTERVAL;
    (0..2).for_each(|_| house.step());
    assert_eq!(house.agent.counts().connections_open, 1);
    house.now = start + TLS_FAREWELL_DEADLINE + 2 * TLS_TIMER_INTERVAL;
    (0..2).for_each(|_| house.step());
    assert_eq!((house.agent.counts().connections_open, house.agent.counts().cut_late), (0, 1));
    drop(tls);
}
