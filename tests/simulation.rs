//! A few seeds of the simulation, some always the same and one that is new each time. `tools/simulate` runs many.
//!
//! To run one again: `SEED=7 cargo test --test simulation one_seed -- --nocapture`; `MESSAGES`, `ASKS`, `LIVES` and `SHARDS` make it
//! smaller, `KILL` or `POWER` end the first life at an operation of the journal's disk.

mod naive;
mod simulated;

use hairtrigger::journal::storage::simulated::Crash;
use simulated::{Knobs, Report, run};

/// Its run makes snapshots.
const SCRIPT: u64 = 6;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Says how to run it again before it runs: a failed test shows it.
fn run_and_say(knobs: Knobs) -> Report {
    println!("{} cargo test --test simulation one_seed", knobs.words());
    let folder = tempfile::tempdir().expect("a folder");
    let report = run(knobs, folder.path());
    println!("{report:?}");
    report
}

#[test]
fn the_same_seeds_as_ever_keep_every_word() {
    let mut all = Report::default();
    for seed in 0..12 {
        all.add(&run_and_say(Knobs::of(seed)));
    }
    assert!(all.rows > 300 && all.kills > 3 && all.acknowledged > 300, "{all:?} says too little");
}

#[test]
fn a_seed_says_everything() {
    let [first, second] = [3, 3].map(|seed| run_and_say(Knobs::of(seed)));
    assert!(first == second && first.digest != run_and_say(Knobs::of(4)).digest);
}

/// A scripted run with snapshots and what they make superfluous: a kill and a power cut at every operation of the disk.
#[test]
fn a_crash_at_every_operation_of_the_disk_loses_nothing() {
    let script = |crash| Knobs { messages: 40, asks: 60, shards: Some(2), crash: Some(crash), ..Knobs::of(SCRIPT) };
    let whole = run_and_say(script((Crash::Kill, usize::MAX)));
    assert!(whole.operations > 20 && whole.snapshots > 0 && whole.pruned > 0, "{whole:?} says too little");
    let points = (0..whole.operations as usize).flat_map(|at| [(Crash::Kill, at), (Crash::Power, at)]);
    let mut all = Report::default();
    points.for_each(|point| all.add(&run_and_say(script(point))));
    println!("{} crash points, {} answers, {} events compared", all.kills + all.power_cuts, all.acknowledged, all.rows);
}

/// The seed of the environment, or a new one.
#[test]
fn one_seed_keeps_every_word() {
    let new =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    run_and_say(Knobs::read(new(), from_environment));
}
