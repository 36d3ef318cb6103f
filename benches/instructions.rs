//! How many instructions does each hot path take? The same on every machine and however busy it is, so a later change shows.
//!
//! Each path is run under callgrind with N operations and with 2 N; the difference divided by N is what one takes, whatever
//! comes before. Needs `valgrind` when run as a bench; under `cargo test` the paths are only run.
//!
//!     cargo bench --bench instructions [-- --operations N]

mod common;

use std::hint::black_box;
use std::process;

use common::Args;
use common::feed::{Messages, Stage, Track, day};
use common::fused::Pipeline;
use common::rules::{CENT, Loaded, SYMBOLS, name_of, price_of};
use hairtrigger::limits::DATAGRAMS_PER_CYCLE;
use hairtrigger::model::{Command, Comparison, Price, RuleCommand, RuleKey, RuleSpec, Signal};
use hairtrigger::sys::clock::Clock;

/// Rules held in the paths about rules.
const RULES: usize = 100_000;
const PATHS: [&str; 16] = [
    "decode",
    "decode, orders",
    "decode, orders, ahead",
    "decode, orders, books",
    "decode, orders, books, ahead",
    "partition, shard (no rules)",
    "shard, 1 % with bid rules",
    "shard, all with bid rules",
    "tick, no rule fires",
    "tick, loop alone",
    "set, new",
    "set, replaces",
    "remove",
    "alert fired",
    "print to log, fires nothing",
    "print to log, an alert",
];

fn main() {
    let args = Args::read();
    let operations = args.number("operations", 50_000, 500);
    match args.text("path") {
        Some(path) => run(path, args.number("run", 0, 0), operations),
        None if args.is_bench() => PATHS.iter().for_each(|path| count(path, operations)),
        None => PATHS.iter().for_each(|path| run(path, operations, operations)),
    }
}

fn count(path: &str, operations: usize) {
    let of = |run: usize| -> Option<u64> {
        let mut valgrind = process::Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe().ok()?);
        valgrind.args(["--path", path, "--run", &run.to_string(), "--operations", &operations.to_string()]);
        let told = String::from_utf8(valgrind.output().ok()?.stderr).ok()?;
        told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
    };
    match (of(operations), of(2 * operations)) {
        (Some(one), Some(two)) => println!("{path:<28} {:8.1} instructions", (two - one) as f64 / operations as f64),
        _ => println!("{path:<28} not measured: valgrind does not run here"),
    }
}

/// Carries out `run` operations of a path, of at most twice `operations`.
fn run(path: &str, run: usize, operations: usize) {
    let stage = Stage::ALL.into_iter().find(|stage| stage.name() == path);
    if let Some(stage) = stage {
        return messages(stage, run, operations);
    }
    if path == "alert fired" {
        return fire(run, operations);
    }
    if let Some(kind) = path.strip_prefix("print to log, ") {
        return to_log(kind == "an alert", run);
    }
    let mut loaded = Loaded::new(RULES + 2 * operations);
    loaded.fill(RULES);
    match path {
        "set, new" => loaded.fill(RULES + run),
        "set, replaces" => (0..run as u64).for_each(|user| set(&mut loaded, user)),
        "remove" => (0..run as u64).for_each(|user| remove(&mut loaded, user)),
        _ => (0..run).for_each(|at| tick(&mut loaded, at, path == "tick, no rule fires")),
    }
    black_box(&loaded.out);
}

fn messages(stage: Stage, run: usize, operations: usize) {
    // What comes before fills the books: a day's first messages are all adds.
    let mut day = day(1_000_000);
    let (mut before, mut half) = (Messages::default(), Messages::default());
    let mut track = Track::new(stage, 1 << 16, day.prices().map(|(symbol, _)| symbol));
    before.refill(&mut day, 100_000);
    track.take(&before);
    for at in 0..2 {
        half.refill(&mut day, operations);
        if run > at * operations {
            track.take(&half);
        }
    }
}

/// The fused engine between its sockets, in cycles of a batch of datagrams with one print each.
fn to_log(fires: bool, run: usize) {
    let folder = tempfile::tempdir().expect("a folder for the alert log");
    let clock = Clock::machine();
    let mut pipeline = Pipeline::new(1_000, if fires { 1 } else { u64::MAX }, folder.path(), &clock);
    for _ in 0..run / DATAGRAMS_PER_CYCLE {
        let now = clock.now();
        (0..DATAGRAMS_PER_CYCLE).for_each(|_| assert!(pipeline.print(now), "the ring is drained every cycle"));
        pipeline.step(now);
    }
}

fn set(loaded: &mut Loaded, user: u64) {
    let command = loaded.set_of(user);
    loaded.command(&command);
}

fn remove(loaded: &mut Loaded, user: u64) {
    let command = loaded.remove_of(user);
    loaded.command(&command);
}

fn tick(loaded: &mut Loaded, at: usize, to_shard: bool) {
    let symbol = loaded.below(SYMBOLS);
    let event = loaded.print(symbol, price_of(symbol) + (at & 1) as i64 * (CENT / 2));
    let event = black_box(event);
    if to_shard {
        loaded.shard.event(&event, &mut loaded.out);
    }
}

/// One tick that reaches `run` of `2 * operations` rules of one symbol, set in no order.
fn fire(run: usize, operations: usize) {
    let rules = 2 * operations;
    let mut loaded = Loaded::new(rules);
    let (price, step) = (price_of(0), price_of(0) / (2 * rules as i64));
    for user in 0..rules {
        // A prime that divides no usual number of rules: every rung once.
        let rung = 1 + (user * 7_919 % rules) as i64;
        let spec = RuleSpec::new(Signal::Last, Comparison::Below, Price(price - rung * step));
        let key = RuleKey { user: user as u64, symbol: name_of(0), slot: 0, account: 0 };
        loaded.command(&RuleCommand { ordinal: 1, feed_time: 0, command: Command::Set(key, spec) });
    }
    let before = loaded.out.alerts;
    loaded.tick(0, price - run as i64 * step - step / 2);
    assert_eq!(loaded.out.alerts - before, run as u64, "the tick reaches just these");
    black_box(&loaded.out);
}
