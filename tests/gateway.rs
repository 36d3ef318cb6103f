//! The gateway through its own door: alerts into rings, a SoupBinTCP client at the other end.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hairtrigger::agent::Agent;
use hairtrigger::client::{Client, ClientError, Event, Request};
use hairtrigger::door::{Door, Member, Pass};
use hairtrigger::gateway::agent::GatewayAgent;
use hairtrigger::gateway::settings::GatewaySettings;
use hairtrigger::gateway::wire::{Message, STOPS, follows};
use hairtrigger::limits;
use hairtrigger::model::{Alert, AlertKind};
use hairtrigger::ring::{Sender, ring};
use hairtrigger::soup::login::{Credentials, SessionId};
use hairtrigger::soup::packet::Reject;
use hairtrigger::sys::aside::Aside;
use hairtrigger::sys::clock::Clock;

const SEGMENT_SIZE_MIN: usize = limits::SEGMENT_SIZE_MIN as usize;
const DEADLINE: Duration = Duration::from_secs(20);

/// A gateway that runs on a thread of its own until it is stopped, and a ring into it.
struct Bench {
    address: SocketAddr,
    ring: Sender<Alert>,
    /// True: in order; false: as a kill.
    stop: std::sync::mpsc::Sender<bool>,
    thread: std::thread::JoinHandle<GatewayAgent>,
    _directory: Arc<tempfile::TempDir>,
}

/// 400 logins of an account, with numbers from the account's on.
fn logins(name: &str, account: u16, is_drop_copy: bool) -> impl Iterator<Item = (Member, Pass)> {
    (0..400u32).map(move |n| {
        let credentials = Credentials::new(&format!("{name}{n}"), "secret").unwrap();
        let pass = Pass { account, is_drop_copy };
        (Member::plain(&credentials, 400 * u32::from(account) + n, account), pass)
    })
}

impl Bench {
    fn start(retention_size: u64) -> Bench {
        Bench::start_in(Arc::new(tempfile::tempdir().unwrap()), 1, retention_size)
    }

    /// In this directory and this boot of the machine.
    fn start_in(directory: Arc<tempfile::TempDir>, boot: u8, retention_size: u64) -> Bench {
        let all = logins("a", 0, false).chain(logins("b", 1, false)).chain(logins("all", 2, true));
        let (members, passes) = all.unzip();
        let accounts = vec![*b"a     ", *b"b     ", *b"all   "];
        let mut settings = GatewaySettings::new(([127, 0, 0, 1], 0).into(), directory.path().into(), accounts, passes);
        settings.limits.sessions_per_address_max = 0;
        (settings.segment_size, settings.retention.size) = (SEGMENT_SIZE_MIN, retention_size);
        settings.boot = [boot; 16];
        let (ring, receiver) = ring(1 << 14, Alert::new(AlertKind::Alert));
        let clock = Clock::machine();
        let mut agent =
            GatewayAgent::open(settings, Door::alone(members), vec![receiver], clock.clone(), &Aside::default())
                .unwrap();
        let address = agent.local_addr();
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let in_order = loop {
                if let Ok(in_order) = stopped.try_recv() {
                    break in_order;
                }
                if agent.do_work(clock.now()) == 0 {
                    std::thread::yield_now();
                }
            };
            while in_order && !agent.close(clock.now()) {
                std::thread::yield_now();
            }
            agent
        });
        Bench { address, ring, stop, thread, _directory: directory }
    }

    fn send(&mut self, account: u16, versions: std::ops::RangeInclusive<u64>) {
        for version in versions {
            let mut alert = Alert::new(AlertKind::Alert);
            (alert.key.account, alert.version) = (account, version);
            while !self.ring.send(alert) {
                std::thread::yield_now();
            }
        }
    }

    fn connect(&self, user: &str, from: u64) -> Result<Client, ClientError> {
        Client::connect(self.address, &Request::new(user, "secret")?.from(from))
    }

    fn stop(self) -> GatewayAgent {
        self.stop.send(true).unwrap();
        self.thread.join().unwrap()
    }

    /// Ends it as a kill does.
    fn kill(self) {
        self.stop.send(false).unwrap();
        drop(self.thread.join().unwrap());
    }
}

fn version(message: &[u8]) -> u64 {
    match Message::read(message) {
        Some(Message::Rule(rule)) => rule.version,
        other => panic!("{other:?}"),
    }
}

/// The next `count` messages: number and version of each.
fn read(client: &mut Client, count: usize) -> Vec<(u64, u64)> {
    let (mut seen, started) = (vec![], Instant::now());
    while seen.len() < count && started.elapsed() < DEADLINE {
        if let Event::Sequenced(number, message) = client.receive().unwrap() {
            seen.push((number, version(message)));
        }
    }
    seen
}

/// Reads to the end of the connection: the texts of Debug packets, and whether End of Session came.
fn read_to_end(client: &mut Client) -> (Vec<String>, bool) {
    let (mut texts, mut has_ended) = (vec![], false);
    loop {
        match client.receive() {
            Ok(Event::Debug(text)) => texts.push(String::from_utf8_lossy(text).into_owned()),
            Ok(Event::End) => has_ended = true,
            Ok(_) => {}
            Err(_) => return (texts, has_ended),
        }
    }
}

fn numbered(versions: std::ops::RangeInclusive<u64>) -> Vec<(u64, u64)> {
    versions.map(|n| (n, n)).collect()
}

#[test]
fn alerts_arrive_in_order_and_each_account_sees_its_own() {
    let mut bench = Bench::start(1 << 22);
    let mut a = bench.connect("a0", 1).unwrap();
    bench.send(0, 1..=1_000);
    bench.send(1, 1..=500);
    bench.send(0, 1_001..=1_500);
    assert_eq!(read(&mut a, 1_500), numbered(1..=1_500));
    assert_eq!(read(&mut bench.connect("b0", 1).unwrap(), 500), numbered(1..=500));
    let all = read(&mut bench.connect("all0", 1).unwrap(), 2_000);
    let wanted = (1..=1_000).chain(1..=500).chain(1_001..=1_500);
    assert_eq!(all, (1..=2_000).zip(wanted).collect::<Vec<_>>());
    let mut later = bench.connect("a1", 0).unwrap();
    assert_eq!(later.reader.next_sequence(), 1_501);
    bench.send(0, 1_501..=1_501);
    assert_eq!(read(&mut later, 1), [(1_501, 1_501)]);
    let agent = bench.stop();
    assert_eq!((agent.intake_counts().alerts, agent.counts().logins), (2_001, 4));
}

#[test]
fn a_stream_resumes_from_any_number_and_the_same_bytes_come_again() {
    let mut bench = Bench::start(1 << 22);
    bench.send(0, 1..=2_000);
    let mut first = bench.connect("a0", 1).unwrap();
    assert_eq!(read(&mut first, 2_000), numbered(1..=2_000));
    let session = first.reader.session();
    for from in [1, 2, 511, 512, 513, 514, 1_024, 1_025, 1_999, 2_000] {
        let request = Request::new("a1", "secret").unwrap().from(from).of(session);
        let mut client = Client::connect(bench.address, &request).unwrap();
        assert_eq!(read(&mut client, 2_001 - from as usize), numbered(from..=2_000));
    }
    let beyond = Request::new("a1", "secret").unwrap().from(2_002).of(session);
    let refused = |result| matches!(result, Err(ClientError::Refused(Reject::SessionNotAvailable)));
    assert!(refused(Client::connect(bench.address, &beyond)));
    assert!(refused(Client::connect(bench.address, &beyond.from(1).of_named("12345").unwrap())));
    bench.stop();
}

#[test]
fn a_connection_dropped_in_the_middle_of_a_frame_resumes_without_loss_or_repetition() {
    let mut bench = Bench::start(1 << 22);
    bench.send(0, 1..=600);
    let mut seen = vec![];
    for cut in [40, 133, 200, 5_000, 17, 30_000] {
        let mut socket = TcpStream::connect(bench.address).unwrap();
        let login = format!("\0\x2fLa0    secret              {:>20}", seen.len() + 1);
        socket.write_all(login.as_bytes()).unwrap();
        let mut bytes = vec![0; 33 + cut];
        socket.read_exact(&mut bytes).unwrap();
        drop(socket);
        let mut rest = &bytes[33..];
        while rest.len() >= 132 {
            seen.push(version(&rest[3..132]));
            rest = &rest[132..];
        }
    }
    let mut client = bench.connect("a0", seen.len() as u64 + 1).unwrap();
    seen.extend(read(&mut client, 600 - seen.len()).iter().map(|(_, version)| *version));
    assert_eq!(seen, (1..=600).collect::<Vec<_>>());
    bench.stop();
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_is_cut_past_the_retention() {
    let mut bench = Bench::start(16 * SEGMENT_SIZE_MIN as u64);
    let mut lazy = bench.connect("a0", 1).unwrap();
    let mut eager = bench.connect("a1", 1).unwrap();
    // Some 17 MB: more than the lazy one's socket buffers and the retention together.
    for block in 0..130 {
        let (first, last) = (block * 1_000 + 1, (block + 1) * 1_000);
        bench.send(0, first..=last);
        assert_eq!(read(&mut eager, 1_000), numbered(first..=last));
    }
    let session = lazy.reader.session();
    let all_there_is = bench.connect("a2", 1).unwrap();
    assert!(all_there_is.reader.next_sequence() > 100_000, "without a session it begins with the oldest");
    let too_old = Client::connect(bench.address, &Request::new("a2", "secret").unwrap().from(1).of(session));
    assert!(matches!(too_old, Err(ClientError::Refused(Reject::SessionNotAvailable))));
    let mut count = 0;
    let ended = loop {
        match lazy.receive() {
            Ok(Event::Sequenced(number, message)) => {
                count += 1;
                assert_eq!((number, version(message)), (count, count));
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(count > 100 && count < 130_000, "{count} {ended}");
    assert_eq!(bench.stop().counts().lagged, 1);
}

#[test]
fn wrong_logins_are_refused_and_what_is_no_login_is_closed() {
    let bench = Bench::start(0);
    for (user, password) in [("a0", "wrong"), ("nobody", "secret")] {
        let result = Client::connect(bench.address, &Request::new(user, password).unwrap());
        assert!(matches!(result, Err(ClientError::Refused(Reject::NotAuthorized))));
    }
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0", b"\0\x01R", b"\0\x05Uabcd"] {
        let mut socket = TcpStream::connect(bench.address).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = vec![];
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    let mut chatty = bench.connect("a0", 1).unwrap();
    chatty.writer.send_unsequenced(b"hello").unwrap();
    assert_eq!(read_to_end(&mut chatty), (vec!["this port takes no messages".into()], false));
    let agent = bench.stop();
    assert_eq!((agent.counts().logins_refused, agent.counts().violations), (2, 5));
}

#[test]
fn a_second_connection_of_a_login_replaces_the_first_which_is_told() {
    let mut bench = Bench::start(0);
    let mut first = bench.connect("a0", 1).unwrap();
    let mut second = bench.connect("A0", 1).unwrap();
    let told = vec!["replaced by another connection of this login".to_string()];
    assert_eq!(read_to_end(&mut first), (told, false));
    bench.send(0, 1..=1);
    assert_eq!(read(&mut second, 1), [(1, 1)]);
    second.writer.log_out().unwrap();
    assert_eq!(read_to_end(&mut second), (vec![], false));
    let mut third = bench.connect("a0", 1).unwrap();
    assert_eq!(read(&mut third, 1), [(1, 1)]);
    assert_eq!(bench.stop().counts().replaced, 1);
}

#[test]
fn three_hundred_clients_get_every_alert() {
    let mut bench = Bench::start(1 << 22);
    let mut clients: Vec<_> = (0..300).map(|n| bench.connect(&format!("a{n}"), 1).unwrap()).collect();
    bench.send(0, 1..=200);
    for client in &mut clients {
        assert_eq!(read(client, 200), numbered(1..=200));
    }
    let agent = bench.stop();
    assert_eq!((agent.counts().logins, agent.peer_count()), (300, 0));
}

#[test]
fn a_stop_pays_everyone_before_it_closes_and_does_not_end_the_session() {
    let mut bench = Bench::start(1 << 24);
    let mut client = bench.connect("a0", 1).unwrap();
    bench.send(0, 1..=10_000);
    let reader = std::thread::spawn(move || {
        let seen: HashSet<_> = read(&mut client, 10_000).into_iter().collect();
        (seen.len(), read_to_end(&mut client))
    });
    let agent = bench.stop();
    assert_eq!(reader.join().unwrap(), (10_000, (vec![STOPS.into()], false)));
    assert_eq!(agent.counts().closed, 1);
}

/// Logs in for this session from this number on.
fn resume(bench: &Bench, user: &str, session: SessionId, from: u64) -> Result<Client, ClientError> {
    Client::connect(bench.address, &Request::new(user, "secret").unwrap().of(session).from(from))
}

#[test]
fn a_session_goes_on_after_a_kill_and_after_a_stop_also_when_the_machine_boots_then() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut bench = Bench::start_in(directory.clone(), 1, 1 << 22);
    bench.send(0, 1..=700);
    let mut client = bench.connect("a0", 1).unwrap();
    let session = client.reader.session();
    assert_eq!(read(&mut client, 700), numbered(1..=700));
    bench.kill();
    let mut bench = Bench::start_in(directory.clone(), 1, 1 << 22);
    let mut client = resume(&bench, "a0", session, 701).unwrap();
    bench.send(0, 701..=900);
    assert_eq!(read(&mut client, 200), numbered(701..=900));
    bench.stop();
    let mut bench = Bench::start_in(directory, 2, 1 << 22);
    bench.send(0, 901..=950);
    let mut client = resume(&bench, "a0", session, 1).unwrap();
    assert_eq!(read(&mut client, 950), numbered(1..=950));
    bench.stop();
}

#[test]
fn a_session_that_is_over_is_served_as_far_as_it_is_kept_then_named_its_successor_and_ended() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut bench = Bench::start_in(directory.clone(), 1, 1 << 22);
    bench.send(0, 1..=500);
    bench.send(1, 1..=20);
    let mut client = bench.connect("a0", 1).unwrap();
    let session = client.reader.session();
    assert_eq!(read(&mut client, 500), numbered(1..=500));
    bench.kill();
    let mut bench = Bench::start_in(directory.clone(), 2, 1 << 22);
    let next = bench.connect("a0", 1).unwrap().reader.session();
    assert!(next.0 > session.0, "a later boot finds a log that nobody closed: its end may be lost");
    let over = (vec![String::from_utf8(follows(&next)).unwrap()], true);
    for (user, from, first) in [("a1", 400, 400), ("a2", 501, 501), ("a3", 0, 501), ("b0", 1, 1), ("all0", 1, 1)] {
        let last = match user {
            "b0" => 20,
            "all0" => 520,
            _ => 500,
        };
        let mut client = resume(&bench, user, session, from).unwrap();
        assert_eq!((client.reader.session(), client.reader.next_sequence()), (session, first));
        let count = last + 1 - first as usize;
        assert_eq!(read(&mut client, count).len(), count);
        assert_eq!(read_to_end(&mut client), over, "{user}");
    }
    let mut saw_more = resume(&bench, "a0", session, 9_000).unwrap();
    assert_eq!(
        (saw_more.reader.next_sequence(), read_to_end(&mut saw_more)),
        (9_000, over),
        "its log lost what it told"
    );
    bench.send(0, 1..=3);
    assert_eq!(read(&mut resume(&bench, "a0", next, 1).unwrap(), 3), numbered(1..=3));
    bench.stop();
    // Three segments are the least: the session that is over goes first.
    let bench = Bench::start_in(directory, 2, 0);
    let begun = Instant::now();
    while resume(&bench, "a0", session, 1).is_ok() {
        assert!(begun.elapsed() < DEADLINE, "the retention does not take it");
    }
    assert_eq!(read(&mut resume(&bench, "a0", next, 1).unwrap(), 3), numbered(1..=3));
    bench.stop();
}

#[test]
fn announcements_reach_every_stream() {
    let mut bench = Bench::start(0);
    let mut gap = Alert::new(AlertKind::Gap);
    (gap.sequence, gap.match_number) = (10, 15);
    assert!(bench.ring.send(gap));
    for user in ["a0", "b0", "all0"] {
        let mut client = bench.connect(user, 1).unwrap();
        let message = loop {
            if let Event::Sequenced(1, message) = client.receive().unwrap() {
                break Message::read(message).unwrap();
            }
        };
        let Message::Announcement(said) = message else { panic!("{message:?}") };
        assert_eq!((said.sequence, said.end), (10, 15));
    }
    bench.stop();
}

#[test]
fn what_comes_behind_a_login_is_read_when_the_login_is_answered() {
    let bench = Bench::start(0);
    let mut socket = TcpStream::connect(bench.address).unwrap();
    socket.write_all(b"\0\x2fLa0    secret                                 1\0\x01R\0\x02Ux").unwrap();
    let mut answer = vec![];
    socket.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"\0\x1fA") && answer.ends_with(b"+this port takes no messages"));
    bench.stop();
}
