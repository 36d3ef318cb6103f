//! The whole engine in one thread under a seeded scheduler, killed and started again, against the naive `replay`.
//!
//! ```text
//!   network: lines A and B (loss, duplication, reordering), re-request server
//!      |  kernel loopback                                         ^ kernel loopback
//!      v                                                          v
//!   feed, matchers, gateway, control, journal: the engine's own wiring, a duty cycle at a time, short rings
//!      |                                                          |
//!   journal on a simulated disk: crashes at an operation, tears   desks and readers: a few bytes at a time, stalls, resets,
//!   and loses what was not synced, fails to sync, is full         resumed sessions
//! ```
//!
//! One seed says everything: which actor moves next and by how much the clock, what goes wrong on lines, disk and connections,
//! when the engine is killed. Sockets are the kernel's: loopback delivers within the call that sends.
//!
//! What is checked: [`ledger`] at every start and at the end (all that was acknowledged is there, and of the rest a prefix), [`log`] (no
//! number twice, none missing), what every client read (the bytes of the log under that number), [`oracle`] at the end (all alerts of
//! all lives are those of `replay`: none lost, none twice, in order), and that everything drains when it is left alone.

#![allow(dead_code)] // the test and the tool use a part of it each

pub mod clients;
pub mod house;
pub mod ledger;
pub mod link;
pub mod log;
pub mod network;
pub mod oracle;

use std::path::Path;

use hairtrigger::engine::build::RingSizes;
use hairtrigger::journal::storage::simulated::{Crash, Disk};
use hairtrigger::sys::clock::Clock;

use crate::naive::generate::{RULES_HEADER, Random, Size};
use crate::naive::ground::Ground;
use crate::naive::rules;
use clients::{Desk, Reader};
use house::{House, Place, midnight};
use ledger::{Asked, Ledger};
use network::{Network, Rates};

/// The accounts; the last one is the drop copy's.
pub const ACCOUNTS: [&str; 4] = ["demo", "a", "zz9", DROP_COPY];
/// The account that sees all alerts.
pub const DROP_COPY: &str = "audit";
/// The password of every login.
pub const PASSWORD: &str = "secret";

/// How large a run is. What is not given comes from the seed.
#[derive(Debug, Clone, Copy)]
pub struct Knobs {
    pub seed: u64,
    pub messages: u64,
    pub asks: u64,
    /// Starts of the engine.
    pub lives: Option<u64>,
    pub shards: Option<u64>,
}

impl Knobs {
    pub fn of(seed: u64) -> Knobs {
        Knobs { seed, messages: 250, asks: 90, lives: None, shards: None }
    }

    /// The words that reproduce a run.
    pub fn words(&self) -> String {
        let Knobs { seed, messages, asks, lives, shards } = self;
        let given = |name: &str, value: &Option<u64>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        format!("SEED={seed} MESSAGES={messages} ASKS={asks}{}{}", given("LIVES", lives), given("SHARDS", shards))
    }
}

/// What a run came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    pub steps: u64,
    pub lives: u64,
    pub kills: u64,
    pub power_cuts: u64,
    pub disk_failures: u64,
    pub acknowledged: u64,
    pub rows: u64,
    pub keys_left_out: u64,
    pub reconnects: u64,
    /// Of all that was told and answered: equal for equal seeds, if the machine delivers as it should.
    pub digest: u64,
}

impl Report {
    /// Adds up.
    pub fn add(&mut self, other: &Report) {
        let Report {
            steps,
            lives,
            kills,
            power_cuts,
            disk_failures,
            acknowledged,
            rows,
            keys_left_out,
            reconnects,
            ..
        } = self;
        for (sum, more) in [
            (steps, other.steps),
            (lives, other.lives),
            (kills, other.kills),
            (power_cuts, other.power_cuts),
            (disk_failures, other.disk_failures),
            (acknowledged, other.acknowledged),
            (rows, other.rows),
            (keys_left_out, other.keys_left_out),
            (reconnects, other.reconnects),
        ] {
            *sum += more;
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report {
            steps,
            lives,
            kills,
            power_cuts,
            disk_failures,
            acknowledged,
            rows,
            keys_left_out,
            reconnects,
            ..
        } = self;
        write!(
            f,
            "{steps} steps, {lives} starts, {kills} kills, {power_cuts} power cuts, {disk_failures} failures of the disk, \
             {acknowledged} answers, {rows} events compared, {keys_left_out} keys left out, {reconnects} connections"
        )
    }
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    /// After so many steps.
    Crash(Crash, u64),
    /// At the disk's operation so many from now, or after so many steps.
    AtOperation(Crash, usize, u64),
    /// A sync fails, or the disk is full.
    DiskFails(bool, usize, u64),
}

struct Simulation {
    knobs: Knobs,
    random: Random,
    clock: Clock,
    place: Place,
    network: Network,
    desks: Vec<Desk>,
    readers: Vec<Reader>,
    disk: Disk,
    ledger: Ledger,
    life: usize,
    /// Boots of the machine: power cuts so far.
    boot: u8,
    /// By actor: how often its turn comes, 0 while it stalls.
    weights: Vec<u64>,
    stall: Option<(usize, u64)>,
    report: Report,
}

/// Runs a seed in a folder of its own. Panics where the engine breaks its word.
pub fn run(knobs: Knobs, folder: &Path) -> Report {
    let mut random = Random(knobs.seed);
    let lives = knobs.lives.unwrap_or(1 + random.below(4)) as usize;
    let mut simulation = Simulation::new(knobs, random, folder);
    for life in 0..lives {
        simulation.life = life;
        simulation.live(life + 1 == lives, lives);
    }
    simulation.check_end(lives)
}

impl Simulation {
    fn new(knobs: Knobs, mut random: Random, folder: &Path) -> Simulation {
        let ground = Ground::new(&mut random);
        let size = Size { messages: knobs.messages, rules: knobs.asks };
        let messages = ground.messages(&mut random, size.messages);
        let rows = ground.rules(&mut random, size, 1).join("\n");
        let commands = rules::read(format!("{RULES_HEADER}\n{rows}").as_bytes()).expect("generated rules");
        let mut desks: Vec<Desk> = (0..ACCOUNTS.len() - 1).map(Desk::new).collect();
        let mut ledger = Ledger::default();
        for (id, command) in (1..).zip(&commands) {
            let Some((account, ask)) = oracle::ask(command, id) else { continue };
            desks[account].queue.push_back((id, ask));
            ledger.asked.insert(id, Asked { account, ask, life: None, answer: None });
        }
        let bad = random.below(3);
        let rates = match bad {
            0 => Rates { loss: 0, duplicate: 0, reorder: 0, server_loss: 0 },
            1 => Rates { loss: 10, duplicate: 10, reorder: 10, server_loss: 0 },
            _ => Rates { loss: 3, duplicate: 4, reorder: 3, server_loss: 4 },
        };
        let network = Network::new(messages, rates);
        let slots = |random: &mut Random| 1 << random.pick(&[1, 2, 4, 8]);
        let rings = RingSizes {
            market: slots(&mut random),
            rules: slots(&mut random),
            applied: slots(&mut random),
            alerts: slots(&mut random),
            journal: slots(&mut random),
        };
        let place = Place {
            folder: folder.into(),
            shards: knobs.shards.unwrap_or(1 + random.below(4)) as usize,
            rings,
            rerequest: network.server(),
            journal_segment: random.pick(&[4_096, 65_536]),
        };
        Simulation {
            knobs,
            clock: Clock::simulated(midnight() + 34_200_000_000_000),
            place,
            network,
            desks,
            readers: (0..ACCOUNTS.len()).map(Reader::new).collect(),
            disk: Disk::default(),
            ledger,
            life: 0,
            boot: 0,
            weights: vec![],
            stall: None,
            report: Report::default(),
            random,
        }
    }

    /// One life, from a start to its end.
    fn live(&mut self, is_last: bool, lives: usize) {
        let mut house = self.start();
        self.report.lives += 1;
        if self.life > 0 {
            self.catch_up(&mut house);
            self.check_rules(&mut house);
        }
        let share = |all: usize| all * (self.life + 1) / lives;
        let publish_until = share(self.network.messages().len());
        let end = if is_last { End::Stop } else { self.end() };
        self.trace(&house, &format!("ends by {end:?}"));
        let operations = self.disk.operations();
        let steps = match end {
            End::Stop => u64::MAX,
            End::Crash(_, steps) => steps,
            End::AtOperation(_, after, steps) => {
                self.disk.crash_at(operations + after);
                steps
            }
            End::DiskFails(true, after, steps) => {
                self.disk.full_after(after * 100);
                steps
            }
            End::DiskFails(false, after, steps) => {
                // Any operation; it fails if it is a sync.
                self.disk.sync_fails_at(operations + after);
                steps
            }
        };
        let queued_at_end: Vec<usize> = self
            .desks
            .iter()
            .map(|desk| if is_last { 0 } else { desk.queue.len() * (lives - self.life - 1) / (lives - self.life) })
            .collect();
        let mut step = 0;
        while step < steps && !house.has_failed() {
            self.step(&mut house, publish_until, Some(&queued_at_end));
            step += 1;
            if end == End::Stop && step % 64 == 0 && self.is_done(&house, publish_until, &queued_at_end) {
                break;
            }
            assert!(step < 400_000, "it does not come to rest: {}", self.describe(&house));
        }
        self.trace(&house, "ends now");
        match end {
            End::Stop if !house.has_failed() => {
                self.read_all(&mut house);
                self.stop(house);
            }
            _ => self.crash(house, end),
        }
    }

    fn end(&mut self) -> End {
        let random = &mut self.random;
        let steps = 200 + random.below(6_000);
        let operations = random.below(60) as usize;
        match random.below(8) {
            0 => End::Stop,
            1..=3 => End::Crash(Crash::Kill, steps),
            4 => End::Crash(Crash::Power, steps),
            5 => End::AtOperation(Crash::Kill, operations, steps),
            6 => End::AtOperation(Crash::Power, operations, steps),
            _ => End::DiskFails(random.once_in(2), operations, steps),
        }
    }

    /// Starts an engine, also when the disk crashes in the middle of it.
    fn start(&mut self) -> House {
        if self.life > 0 {
            self.ledger.check_journal(&self.disk, self.life - 1, false);
        }
        for attempt in 0.. {
            if attempt < 2 && self.random.once_in(6) {
                self.disk.crash_at(self.disk.operations() + self.random.below(8) as usize);
            }
            match House::build(&self.place, &self.clock, &self.disk, self.boot) {
                Ok(house) => {
                    self.disk.crash_at(usize::MAX);
                    self.weights = self.temperament(house.actors());
                    self.stall = None;
                    return house;
                }
                Err(error) => {
                    assert!(attempt < 2 && error.to_string().contains("crashed"), "it does not start: {error}");
                    let crash = self.random.pick(&[Crash::Kill, Crash::Power]);
                    self.boot += u8::from(crash == Crash::Power);
                    self.disk = self.disk.after(crash, self.random.next());
                    self.ledger.check_journal(&self.disk, self.life, true);
                }
            }
        }
        unreachable!("the loop has no end")
    }

    fn temperament(&mut self, actors: usize) -> Vec<u64> {
        // Behind the house's actors: the network's three, then clients.
        let all = actors + 3 + self.desks.len() + self.readers.len();
        (0..all).map(|_| self.random.pick(&[1, 4, 4, 12])).collect()
    }

    /// One step of one actor.
    fn step(&mut self, house: &mut House, publish_until: usize, queued_at_end: Option<&[usize]>) -> bool {
        self.report.steps += 1;
        self.clock.advance(self.random.below(20_000));
        let now = self.clock.now();
        let actor = self.choose();
        let engine = house.actors();
        if actor < engine {
            let work = house.step(actor, now);
            return work > 0;
        }
        let to = [house.addresses.line_a, house.addresses.line_b];
        let random = &mut self.random;
        match actor - engine {
            0 if random.once_in(8) => self.network.beat(),
            0 => self.network.publish(random, publish_until),
            1 => self.network.deliver(random, to),
            2 => self.network.serve(random),
            client => self.step_client(client - 3, house, now, queued_at_end),
        }
        false
    }

    fn choose(&mut self) -> usize {
        match &mut self.stall {
            Some((_, left)) if *left > 0 => *left -= 1,
            _ if self.random.once_in(200) => {
                let actor = self.random.below(self.weights.len() as u64) as usize;
                self.stall = Some((actor, self.random.below(600)));
            }
            _ => self.stall = None,
        }
        let stalled = self.stall.map(|(actor, _)| actor);
        let weight = |actor: usize| if Some(actor) == stalled { 0 } else { self.weights[actor] };
        let all: u64 = (0..self.weights.len()).map(weight).sum();
        let mut at = self.random.below(all);
        for actor in 0..self.weights.len() {
            if at < weight(actor) {
                return actor;
            }
            at -= weight(actor);
        }
        unreachable!("the weights add up")
    }

    fn step_client(&mut self, client: usize, house: &House, now: u64, queued_at_end: Option<&[usize]>) {
        let random = &mut self.random;
        let breaks = random.once_in(400);
        if let Some(desk) = self.desks.get_mut(client) {
            if breaks && !desk.is_listing {
                desk.link.cut();
            }
            let asks = queued_at_end.is_some_and(|end| desk.queue.len() > end[client]);
            let (asked, answers) = desk.step(random, house.addresses.control, now, asks);
            if let Some(asked) = asked {
                self.ledger.asked.get_mut(&asked).expect("it was noted").life = Some(self.life);
            }
            for answer in &answers {
                self.ledger.answered(desk.account, answer);
            }
            return;
        }
        let reader = &mut self.readers[client - self.desks.len()];
        if breaks {
            reader.link.cut();
        }
        reader.step(random, house.addresses.gateway, now);
    }

    /// True when all of this life's messages have gone through and all of its requests are answered.
    fn is_done(&self, house: &House, publish_until: usize, queued_at_end: &[usize]) -> bool {
        let fed = self.network.published() >= publish_until && house.messages() >= publish_until as u64;
        let mut desks = self.desks.iter().zip(queued_at_end);
        let asked = desks.all(|(desk, end)| desk.queue.len() <= *end && desk.is_calm());
        fed && asked
    }

    fn describe(&self, house: &House) -> String {
        let desks = self.desks.iter().map(|desk| format!("{} queued, {} open", desk.queue.len(), desk.open.len()));
        let (published, messages) = (self.network.published(), house.messages());
        format!("{published} published, {messages} matched; {}", desks.collect::<Vec<_>>().join("; "))
    }

    /// With `TRACE` in the environment: what happens, for people.
    fn trace(&self, house: &House, what: &str) {
        if std::env::var_os("TRACE").is_some() {
            let Simulation { life, place, report, .. } = self;
            let (shards, rings, steps, rules) = (place.shards, place.rings, report.steps, house.rules_recovered);
            eprintln!(
                "life {life} {what}: {shards} shards, {rings:?}, {rules} rules recovered, {steps} steps, {}",
                self.describe(house)
            );
        }
    }

    /// The feed comes once more from its start; nobody asks before it is where it was.
    fn catch_up(&mut self, house: &mut House) {
        let published = self.network.published();
        let mut steps = 0;
        while house.messages() < published as u64 {
            for _ in 0..32 {
                self.step(house, published, None);
            }
            steps += 32;
            assert!(steps < 400_000, "it does not catch up: {}", self.describe(house));
        }
        self.rest(house);
    }

    /// Steps the engine until nobody has anything to do.
    fn rest(&mut self, house: &mut House) {
        let mut idle = 0;
        for round in 0..100_000 {
            self.clock.advance(1_000);
            let now = self.clock.now();
            let work: usize = (0..house.actors()).map(|actor| house.step(actor, now)).sum();
            idle = if work == 0 { idle + 1 } else { 0 };
            if idle == 80 {
                return;
            }
            assert!(round < 99_999, "it does not come to rest");
        }
    }

    /// Every desk lists its rules, and they are those that there must be.
    fn check_rules(&mut self, house: &mut House) {
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        for at in 0..self.desks.len() {
            let mut steps = 0;
            let mut has_asked = false;
            while !has_asked || self.desks[at].is_listing {
                self.step(house, 0, None);
                if !has_asked && self.desks[at].link.is_logged_in() {
                    self.desks[at].list();
                    has_asked = true;
                }
                steps += 1;
                assert!(steps < 100_000, "a list has no end");
            }
            let (desk, after) = (&self.desks[at], log::read(&self.place.alerts(), ACCOUNTS.len()));
            self.ledger.check_listed(desk.account, &desk.listed, &log.messages, &after.messages);
        }
    }

    /// Left alone, every reader comes to the end of its stream.
    fn read_all(&mut self, house: &mut House) {
        self.rest(house);
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        let Some((session, streams)) = log.sessions.last_key_value() else { return };
        let mut steps = 0;
        let end =
            |reader: &Reader| streams.get(&log::stream_of(reader.account)).map_or(1, |stream| stream.len() as u64 + 1);
        while self.readers.iter().any(|reader| reader.link.position() != (Some(*session), end(reader))) {
            self.step(house, 0, None);
            steps += 1;
            assert!(steps < 100_000, "a reader does not come to the end of its stream");
        }
    }

    /// Everything stops in order; clients read what they are owed.
    fn stop(&mut self, mut house: House) {
        // All shards learn what time it is.
        let to = [house.addresses.line_a, house.addresses.line_b];
        self.network.beat();
        while !self.network.is_quiet() {
            self.network.deliver(&mut self.random, to);
            self.rest(&mut house);
        }
        let clock = self.clock.clone();
        let mut steps = 0;
        house.stop(&clock, |house| {
            for _ in 0..16 {
                self.step(house, 0, None);
            }
            steps += 1;
            assert!(steps < 20_000, "it does not stop");
        });
        self.disk = self.disk.after(Crash::Power, self.random.next());
        self.after_life();
    }

    fn crash(&mut self, house: House, end: End) {
        let crash = match end {
            End::Crash(crash, _) | End::AtOperation(crash, ..) => crash,
            End::Stop | End::DiskFails(..) => Crash::Kill,
        };
        self.report.disk_failures += u64::from(house.has_failed());
        drop(house);
        *(if crash == Crash::Kill { &mut self.report.kills } else { &mut self.report.power_cuts }) += 1;
        self.boot += u8::from(crash == Crash::Power);
        self.disk = self.disk.after(crash, self.random.next());
        self.after_life();
    }

    fn after_life(&mut self) {
        self.network.forget();
        self.desks.iter_mut().for_each(Desk::forget);
        self.readers.iter_mut().for_each(|reader| reader.link.cut());
        self.check_told();
    }

    /// What every reader was told stands in the log under the same number with the same bytes.
    fn check_told(&mut self) {
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        for reader in &self.readers {
            let stream = log::stream_of(reader.account);
            for (session, number, message) in &reader.told {
                let logged =
                    log.sessions.get(session).and_then(|streams| streams.get(&stream)?.get(*number as usize - 1));
                assert!(logged == Some(message), "number {number} was told and is not logged so");
            }
        }
    }

    fn check_end(&mut self, lives: usize) -> Report {
        self.ledger.check_journal(&self.disk, lives - 1, false);
        let log = log::read(&self.place.alerts(), ACCOUNTS.len());
        let compared = oracle::compare(&self.ledger, self.network.messages(), &log.messages, lives);
        let digest = log.messages.iter().flat_map(|message| [message.sequence, message.version, message.ts_log]);
        let digest = digest.fold(self.random.next(), |digest, n| (digest ^ n).wrapping_mul(0x100_0000_01b3));
        Report {
            acknowledged: self.ledger.asked.values().filter(|asked| asked.answer.is_some()).count() as u64,
            rows: compared.rows as u64,
            keys_left_out: compared.keys_left_out as u64,
            reconnects: self.readers.iter().map(|reader| reader.link.connections).sum(),
            digest,
            ..self.report
        }
    }
}
