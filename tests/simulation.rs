//! A few seeds of the simulation, some always the same and one that is new each time. `tools/simulate` runs many.
//!
//! To run one again: `SEED=7 cargo test --test simulation one_seed -- --nocapture`; `MESSAGES`, `ASKS`, `LIVES` and `SHARDS` make it
//! smaller.

mod naive;
mod simulated;

use simulated::{Knobs, Report, run};

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

/// The seed of the environment, or a new one.
#[test]
fn one_seed_keeps_every_word() {
    let new =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let mut knobs = Knobs::of(from_environment("SEED").unwrap_or_else(new));
    knobs.messages = from_environment("MESSAGES").unwrap_or(knobs.messages);
    knobs.asks = from_environment("ASKS").unwrap_or(knobs.asks);
    knobs.lives = from_environment("LIVES");
    knobs.shards = from_environment("SHARDS");
    run_and_say(knobs);
}
