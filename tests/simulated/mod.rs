//! The whole engine in one thread under a seeded scheduler, killed and started again, against the naive `replay`.
//!
//! ```text
//!   network: lines A and B (loss, duplication, reordering), re-request server or none; some messages never come;
//!      |  the feed's session changes; UDP on loopback              ^ pairs of sockets
//!      v                                                          v
//!   feed, matchers, gateway, control, journal: the engine's own wiring, a duty cycle at a time, short rings
//!      |                                                          |
//!   journal on a simulated disk: crashes at an operation, tears   desks and readers: a few bytes at a time, stalls, resets,
//!   and loses what was not synced, fails to sync, is full;        resumed sessions; two logins of one account
//!   snapshots, and what they make superfluous goes
//!   alert log in mapped files, torn at a power cut
//! ```
//!
//! One seed says everything: which actor moves next and by how much the clock, what goes wrong on lines, disk and connections,
//! when the engine is killed. The sockets are the kernel's, and deliver within the call that sends: see [`doorway`] and [`network`].
//!
//! What is checked: [`ledger`] at every start and at the end (all that was acknowledged is there, and of the rest a prefix), [`log`] (no
//! number twice, none missing), what every client read (the bytes of the log under that number), that what the feed gave up is announced,
//! [`oracle`] at the end (all alerts of all lives are those of `replay`: none lost, none twice, in order), and that everything drains
//! when it is left alone.
//!
//! Not simulated: TCP itself, TLS, a session of the feed that ends without saying so, a full disk under the alert log, its
//! retention, a changed config, and a restart of an engine that has no re-request server.

#![allow(dead_code)] // the test and the tool use a part of it each

mod checks;
pub mod clients;
pub mod doorway;
pub mod effects;
pub mod house;
pub mod ledger;
mod life;
pub mod link;
pub mod log;
pub mod network;
pub mod oracle;
pub mod power;
mod report;
mod steps;
pub mod translate;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use hairtrigger::control::wire::Ask;
use hairtrigger::engine::build::RingSizes;
use hairtrigger::journal::storage::simulated::{Crash, Disk};
use hairtrigger::sys::clock::Clock;

use crate::naive::generate::{RULES_HEADER, Random, Size};
use crate::naive::ground::Ground;
use crate::naive::rules;
use clients::{Desk, Reader};
use house::{Place, midnight};
use ledger::{Asked, Key, Ledger};
use network::{Network, Rates};
use power::Synced;
pub use report::{Knobs, Report};

/// The accounts; the last one is the drop copy's.
pub const ACCOUNTS: [&str; 4] = ["demo", "a", "zz9", DROP_COPY];
/// The account that sees all alerts.
pub const DROP_COPY: &str = "audit";
/// A second login of the first account.
pub const SECOND_LOGIN: &str = "demo2";
/// The password of every login.
pub const PASSWORD: &str = "secret";

struct Simulation {
    /// Where the first life is to end, until it has.
    crash: Option<(Crash, usize)>,
    random: Random,
    clock: Clock,
    place: Place,
    network: Network,
    desks: Vec<Desk>,
    readers: Vec<Reader>,
    disk: Disk,
    ledger: Ledger,
    life: usize,
    /// The life may end in another way than in order.
    may_crash: bool,
    /// Boots of the machine: power cuts so far.
    boot: u8,
    /// What of the alert log is on disk,
    synced: Synced,
    /// and of whom power cuts have taken some of it.
    lost: BTreeSet<Key>,
    /// By actor: how often its turn comes, 0 while it stalls.
    weights: Vec<u64>,
    stall: Option<(usize, u64)>,
    report: Report,
}

/// Runs a seed in a folder of its own. Panics where the engine breaks its word.
pub fn run(knobs: Knobs, folder: &Path) -> Report {
    let mut random = Random(knobs.seed);
    let lives = 1 + random.below(4);
    let lives = knobs.lives.unwrap_or(if knobs.crash.is_some() { 2 } else { lives }) as usize;
    let mut simulation = Simulation::new(knobs, lives, random, folder);
    for life in 0..lives {
        simulation.life = life;
        simulation.live(life + 1 == lives, lives);
    }
    simulation.check_end(lives)
}

impl Simulation {
    fn new(knobs: Knobs, lives: usize, mut random: Random, folder: &Path) -> Simulation {
        let ground = Ground::new(&mut random);
        let size = Size { messages: knobs.messages, rules: knobs.asks };
        let messages = ground.messages(&mut random, size.messages);
        let rows = ground.rules(&mut random, size, 1).join("\n");
        let commands = rules::read(format!("{RULES_HEADER}\n{rows}").as_bytes()).expect("generated rules");
        let logins = [(ACCOUNTS[0], 0), (ACCOUNTS[1], 1), (ACCOUNTS[2], 2), (SECOND_LOGIN, 0)];
        let mut desks = logins.map(|(user, account)| Desk::new(user, account));
        let mut ledger = Ledger::default();
        for (id, command) in (1..).zip(&commands) {
            let Some((account, ask)) = translate::ask(command, 2 * id) else { continue };
            let user = command.key.user;
            // The first account's logins have users of their own, so that the order of a key's commands is known.
            let desk = if account == 0 && user.is_multiple_of(3) { 3 } else { account };
            let also = random.once_in(20).then_some((2 * id + 1, Ask::RemoveUser { user }));
            for (id, ask) in [(2 * id, ask)].into_iter().chain(also) {
                desks[desk].queue.push_back((id, ask));
                ledger.asked.insert(id, Asked { account, ask, life: None, answer: None });
            }
        }
        let bad = random.below(3);
        let rates = match bad {
            0 => Rates { loss: 0, duplicate: 0, reorder: 0, server_loss: 0 },
            1 => Rates { loss: 10, duplicate: 10, reorder: 10, server_loss: 0 },
            _ => Rates { loss: 3, duplicate: 4, reorder: 3, server_loss: 4 },
        };
        let lost = lost(&mut random, messages.len());
        let change = session_change(&mut Random(!knobs.seed), messages.len(), lives);
        let network = Network::new(messages, lost, change, rates);
        let slots = |random: &mut Random| 1 << random.pick(&[1, 2, 4, 8]);
        let rings = RingSizes {
            market: slots(&mut random),
            rules: slots(&mut random),
            applied: slots(&mut random),
            alerts: slots(&mut random),
            journal: slots(&mut random),
        };
        // What an engine without a server has missed nobody tells it after a restart: then it has one life.
        let has_server = lives > 1 || knobs.crash.is_some() || !knobs.seed.is_multiple_of(2);
        let place = Place {
            folder: folder.into(),
            shards: knobs.shards.unwrap_or(1 + random.below(4)) as usize,
            rings,
            rerequest: has_server.then(|| network.server()),
            other_line_wait: if has_server { 20 } else { random.pick(&[20, 5_000]) },
            journal_segment: random.pick(&[1_024, 4_096, 65_536]),
            snapshot_size: random.pick(&[1, 4_096, 1 << 20]),
            history_size: random.pick(&[0, 8_192]),
        };
        Simulation {
            crash: knobs.crash,
            clock: Clock::simulated(midnight() + 34_200_000_000_000),
            place,
            network,
            desks: desks.into(),
            readers: (0..ACCOUNTS.len()).map(Reader::new).collect(),
            disk: Disk::default(),
            ledger,
            life: 0,
            may_crash: false,
            boot: 0,
            synced: Synced::default(),
            lost: BTreeSet::new(),
            weights: vec![],
            stall: None,
            report: Report::default(),
            random,
        }
    }
}

/// Where the feed's session changes, if it does: within a life, or where one ends by plan.
fn session_change(random: &mut Random, count: usize, lives: usize) -> Option<usize> {
    let within = 1 + random.below(count as u64 - 1) as usize;
    let between = count * (1 + random.below(lives as u64) as usize) / (lives + usize::from(lives == 1));
    random.pick(&[None, Some(within), Some(between)]).filter(|at| (1..count).contains(at))
}

/// Places of messages that never come.
fn lost(random: &mut Random, count: usize) -> Vec<Range<usize>> {
    let mut lost = vec![];
    let mut from = 0;
    for _ in 0..random.pick(&[0, 0, 1, 3]) {
        from += 1 + random.below(count as u64 / 3) as usize;
        let to = from + 1 + random.below(5) as usize;
        lost.extend((to < count).then_some(from..to));
        from = to;
    }
    lost
}
