//! The data path allocates nothing after start: a million messages from the feed's sockets to an alert client's socket,
//! with rules coming and going over the rule port all the time. Every agent is stepped on this thread, under an allocator
//! that counts what this thread does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hairtrigger::agent::Agent;
use hairtrigger::control::agent::{ControlAgent, ControlSettings};
use hairtrigger::control::wire::{Ask, Request};
use hairtrigger::door::{ClientLimits, Door, Member, Pass};
use hairtrigger::feed::agent::{FeedAgent, FeedSettings};
use hairtrigger::feed::settings::{ArbiterSettings, Line};
use hairtrigger::feed::socket::LineSettings;
use hairtrigger::gateway::agent::GatewayAgent;
use hairtrigger::gateway::settings::GatewaySettings;
use hairtrigger::limits::{ALERT_RING, APPLIED_RING, ITCH_SIZE_MAX, MARKET_RING, RULE_RING};
use hairtrigger::matcher::agent::{MatcherAgent, MatcherRings};
use hairtrigger::matcher::rules::RuleLimits;
use hairtrigger::matcher::shard::{Shard, ShardLimits};
use hairtrigger::model::{
    Action, Alert, AlertKind, Applied, Command, MarketEvent, Outcome, RuleCommand, RuleKey, RuleSpec,
};
use hairtrigger::partition::{Partition, Shards};
use hairtrigger::publish::packetizer::Packetizer;
use hairtrigger::publish::{Messages, Pace};
use hairtrigger::ring::{Receiver, Sender, ring};
use hairtrigger::rules_csv::{self, Op};
use hairtrigger::soup::login::{Credentials, Login, SessionId};
use hairtrigger::soup::packet::{self, kind};
use hairtrigger::synth::{Day, DayParams, RULES_HEADER, RuleRows};
use hairtrigger::sys::aside::Aside;
use hairtrigger::sys::clock::Clock;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[allow(unsafe_code)]
// SAFETY: everything is handed to the system's allocator unchanged; the counter allocates nothing and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `alloc` above, that is from `System`, with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DAY: DayParams = DayParams { seed: 21, messages: 1_050_000, symbols: 500 };
/// Messages before which everything may still allocate: sockets, logins, the session's first message.
const WARM_UP: u64 = 1_000;
const RULES: usize = 4_000;
const PACKET_SIZE: usize = 1_400;
const SHARDS: usize = 2;
const DEADLINE: Duration = Duration::from_secs(60);

struct MarketRings([Sender<MarketEvent>; SHARDS]);

impl Shards for MarketRings {
    fn count(&self) -> usize {
        SHARDS
    }

    fn send(&mut self, shard: usize, event: &MarketEvent) -> bool {
        self.0[shard].send(*event)
    }
}

/// Reads a socket to its end on another thread, counting bytes.
fn reader(mut socket: TcpStream) -> (Arc<AtomicU64>, JoinHandle<()>) {
    let received = Arc::<AtomicU64>::default();
    let count = Arc::clone(&received);
    let thread = std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let size @ 1.. = socket.read(&mut bytes).expect("the engine's end stays open") {
            count.fetch_add(size as u64, Ordering::Relaxed);
        }
    });
    (received, thread)
}

/// Connects and logs in; the answer is left to who reads.
fn client(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("loopback");
    let credentials = Credentials::new("demo", "secret").expect("they fit");
    let login = Login { credentials, session: SessionId::CURRENT, sequence: 1, heartbeat_timeout_ms: None };
    socket.write_all(&login.packet()).expect("loopback");
    socket
}

/// The rules of a day, as sets.
fn rules(folder: &std::path::Path) -> Vec<(RuleKey, RuleSpec)> {
    let mut text = RULES_HEADER.to_string();
    let mut source = RuleRows::new(Day::new(DAY).prices(), 100, 9);
    for _ in 0..RULES {
        text.push('\n');
        source.next_into(&mut text);
    }
    let path = folder.join("rules.csv");
    std::fs::write(&path, text).expect("a folder of our own");
    let rows = rules_csv::read(&path).expect("it was generated so").rows;
    let set = |row: &rules_csv::Row| match row.op {
        Op::Set(spec) => Some((RuleKey { user: row.user, symbol: row.symbol, slot: row.slot, account: 0 }, spec)),
        Op::Remove { .. } => None,
    };
    rows.iter().filter_map(set).collect()
}

/// All agents on this thread.
struct House {
    clock: Clock,
    feed: FeedAgent<Partition<MarketRings>>,
    matchers: Vec<MatcherAgent>,
    control: ControlAgent,
    gateway: GatewayAgent,
}

fn rings<T: Copy + Send + Sync + 'static>(slots: usize, empty: T) -> ([Sender<T>; SHARDS], Vec<Receiver<T>>) {
    let [a, b] = [ring(slots, empty), ring(slots, empty)];
    ([a.0, b.0], vec![a.1, b.1])
}

fn shard() -> Shard {
    let rules = RuleLimits { rules_max: 1 << 14, account_rules_max: vec![1 << 14], policies_max: 1 << 13, fixed: true };
    Shard::new(ShardLimits { rules, symbols_max: 1 << 10, orders_max: 1 << 18, levels_max: 1 << 17 })
}

impl House {
    fn open(folder: &std::path::Path) -> House {
        let clock = Clock::machine();
        let no_rule = RuleCommand { ordinal: 0, feed_time: 0, command: Command::Remove(RuleKey::NONE, 0) };
        let outcome = Outcome::Removed { version: 0 };
        let no_outcome = Applied { ordinal: 0, sequence: 0, feed_time: 0, feed_session: [0; 10], alerts: 0, outcome };
        let (market_in, market_out) = rings(MARKET_RING, MarketEvent::new(Action::Clock));
        let (rules_in, rules_out) = rings(RULE_RING, no_rule);
        let (alerts_in, alerts_out) = rings(ALERT_RING, Alert::new(AlertKind::Met));
        let (applied_in, applied_out) = rings(APPLIED_RING, no_outcome);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let logins = vec![Pass { account: 0, is_drop_copy: false }];
        let credentials = Credentials::new("demo", "secret").expect("they fit");
        let door = || Door::alone(vec![Member::plain(&credentials, 0, 0)]);
        let mut settings = GatewaySettings::new(any, folder.into(), vec![*b"demo  "], logins.clone());
        (settings.segment_size, settings.retention.size) = (1 << 20, 1 << 28);
        let gateway = GatewayAgent::open(settings, door(), alerts_out, clock.clone(), &Aside::default());
        let gateway = gateway.expect("a gateway");
        let settings = ControlSettings {
            listen: any,
            session: SessionId::from_number(1),
            logins,
            sessions_max: 4,
            answer_ring_size: 1 << 20,
            requests_in_flight_max: 1 << 12,
            limits: ClientLimits::default(),
            descriptors_max: usize::MAX,
        };
        let control = ControlAgent::new(settings, door(), rules_in.into(), applied_out).expect("a rule port");
        let inward = market_out.into_iter().zip(rules_out);
        let outward = alerts_in.into_iter().zip(applied_in);
        let matchers = inward.zip(outward).enumerate().map(|(number, ((market, rules), (alerts, applied)))| {
            MatcherAgent::new(number, shard(), MatcherRings { market, rules, alerts, applied }, clock.clone())
        });
        let line = LineSettings {
            address: "127.0.0.1:0".parse().expect("an address"),
            interface: Ipv4Addr::LOCALHOST,
            source: None,
        };
        let settings = FeedSettings {
            line_a: Some(line),
            line_b: Some(line),
            rerequest: vec![],
            arbiter: ArbiterSettings::default(),
            receive_buffer: 1 << 20,
        };
        let matchers = matchers.collect();
        let partition = Partition::new(MarketRings(market_in), Box::new(|_| 0));
        let feed = FeedAgent::open(&settings, clock.clone(), partition).expect("a feed");
        House { clock, feed, matchers, control, gateway }
    }

    /// Messages that went to the shards, and those that were given up.
    fn given_out(&self) -> u64 {
        self.feed.counts().messages + self.feed.counts().gap_messages
    }

    fn cycle(&mut self) -> usize {
        let now = self.clock.now();
        let matched: usize = self.matchers.iter_mut().map(|matcher| matcher.do_work(now)).sum();
        self.feed.do_work(now) + matched + self.control.do_work(now) + self.gateway.do_work(now)
    }
}

/// The feed and the rule client: packets on both lines, and a request for every few.
struct Outside {
    sender: UdpSocket,
    lines: [SocketAddr; 2],
    rules: TcpStream,
    sets: Vec<(RuleKey, RuleSpec)>,
    requests: u64,
    packets: u64,
}

impl Outside {
    /// Sets rules in turn; where one is there already it is replaced, and every seventh request removes one.
    fn request(&mut self) {
        self.requests += 1;
        let (key, spec) = self.sets[self.requests as usize % self.sets.len()];
        let ask = match self.requests % 7 {
            0 => Ask::Remove(key, 0),
            _ => Ask::Set(key, spec),
        };
        let ask = if self.requests.is_multiple_of(5_003) { Ask::RemoveUser { user: key.user } } else { ask };
        let ask =
            if self.requests.is_multiple_of(3_001) { Ask::List { user: None, limit: 1_000, cursor: 0 } } else { ask };
        let request = Request { id: self.requests, ask }.encode();
        let header = packet::header(kind::UNSEQUENCED, request.bytes().len());
        self.rules.write_all(&header).and_then(|()| self.rules.write_all(request.bytes())).expect("the rule port");
    }

    /// On both lines; every 64th is lost on line A, every 1,024th on both. True when it was sent at all.
    fn packet(&mut self, bytes: &[u8]) -> bool {
        self.packets += 1;
        let lines = match (self.packets % 64, self.packets % 1_024) {
            (_, 0) => &[],
            (0, _) => &self.lines[1..],
            _ => &self.lines[..],
        };
        for line in lines {
            self.sender.send_to(bytes, line).expect("loopback");
        }
        !lines.is_empty()
    }
}

fn messages() -> Messages {
    let (mut day, mut messages, mut buffer) = (Day::new(DAY), Messages::default(), [0; ITCH_SIZE_MAX]);
    while let Some(message) = day.next_into(&mut buffer) {
        assert!(messages.push(messages.next_sequence(), message));
    }
    messages
}

#[test]
fn a_million_messages_with_rule_changes_allocate_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (messages, sets) = (messages(), rules(folder.path()));
    let mut house = House::open(folder.path());
    let (alerts, rule_port) = (client(house.gateway.local_addr()), client(house.control.local_addr()));
    let answers = rule_port.try_clone().expect("a socket");
    let (alert_bytes, alert_reader) = reader(alerts);
    let (_, answer_reader) = reader(answers);
    let start = Instant::now();
    while house.gateway.counts().logins + house.control.counts().logins < 2 {
        assert!(start.elapsed() < DEADLINE, "nobody logs in");
        house.cycle();
    }
    let lines = [Line::A, Line::B].map(|line| house.feed.address(line).expect("it has both"));
    let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let mut outside = Outside { sender, lines, rules: rule_port, sets, requests: 0, packets: 0 };

    let mut packetizer = Packetizer::new(Pace::Max, PACKET_SIZE);
    let mut buffer = Vec::with_capacity(PACKET_SIZE);
    let (mut before, mut alerts_before) = (0, 0);
    while let Some((packet, _)) = packetizer.next(&messages) {
        messages.write(*b"NOALLOC001", &packet, &mut buffer);
        let is_sent = outside.packet(&buffer);
        outside.request();
        // The packet is read before the next one is sent: no buffer overflows. A gap is given up when its time is over.
        while is_sent && house.given_out() < packet.to.index || house.control.counts().in_flight > 1_000 {
            assert!(start.elapsed() < DEADLINE, "{:?} {:?}", house.feed.counts(), house.control.counts());
            house.cycle();
        }
        if before == 0 && packet.to.index >= WARM_UP {
            before = ALLOCATIONS.with(Cell::get);
            alerts_before = house.gateway.intake_counts().alerts;
        }
    }
    while house.cycle() > 0 {}
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    let (alerts, control) = (house.gateway.intake_counts().alerts, house.control.counts());
    assert_eq!(allocations, 0);
    assert!(messages.count() - WARM_UP > 1_000_000 && alerts - alerts_before > 10_000, "{alerts} alerts");
    assert!(control.requests > 20_000 && control.refused == 0, "{control:?}");
    assert!(house.feed.counts().gaps > 20 && house.feed.counts().duplicates > 1_000_000, "{:?}", house.feed.counts());

    while !house.gateway.close(house.clock.now()) || !house.control.close(house.clock.now()) {
        assert!(start.elapsed() < DEADLINE, "it does not close");
    }
    alert_reader.join().expect("it reads to the end");
    answer_reader.join().expect("it reads to the end");
    assert!(alert_bytes.load(Ordering::Relaxed) > 132 * (alerts - alerts_before));
}
