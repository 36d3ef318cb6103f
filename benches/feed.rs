//! What does one message cost: decoded, with its order tracked, with the book kept, and all the way through a shard, where
//! books are kept for no symbol, for every hundredth one, or for all?
//!
//! Canonical: a generated day of 50,000,000 messages of 8,000 symbols, made in pieces of a million between the timings; then
//! the file given with `--file PATH` (a plain BinaryFILE), run again and again. Per message type each message is timed alone,
//! and the cost of the clock taken off: nothing overlaps then, so these sum to more than the mix.
//!
//!     cargo bench --bench feed [-- --messages N] [--stage NAME] [--file FEED]

mod common;

use std::time::Instant;

use common::feed::{Messages, Stage, Track, day};
use common::{Args, Stopwatch, clock_ns};

const PIECE: usize = 1_000_000;
/// Messages of a file in all, over its runs.
const FILE_MESSAGES: usize = 5_000_000;

fn main() {
    let args = Args::read();
    let messages = args.number("messages", 50_000_000, 30_000);
    let stages = || Stage::ALL.into_iter().filter(|stage| args.text("stage").is_none_or(|name| name == stage.name()));
    println!("a generated day of {messages} messages, 8,000 symbols");
    stages().for_each(|stage| generated(stage, messages));
    for stage in stages().filter(|stage| [Stage::Orders, Stage::Shard, Stage::ShardAll].contains(stage)) {
        by_type(stage, messages.min(4 * PIECE));
    }
    if let Some(path) = args.text("file") {
        println!("{path}");
        let file = Messages::of_file(std::fs::read(path).expect("the file can be read"));
        stages().for_each(|stage| of_file(stage, &file));
    }
}

fn generated(stage: Stage, messages: usize) {
    let (mut day, mut piece) = (day(messages), Messages::default());
    let mut track = Track::new(stage, 1 << 19, day.prices().map(|(symbol, _)| symbol));
    let (mut elapsed, mut on_core, mut taken) = (0.0, 0.0, 0);
    while taken < messages {
        piece.refill(&mut day, PIECE.min(messages - taken));
        let watch = Stopwatch::start();
        track.take(&piece);
        let (a, b) = watch.stop();
        elapsed += a.as_nanos() as f64;
        on_core += b.as_nanos() as f64;
        taken += piece.count;
    }
    assert!(stage == Stage::Decode || track.orders_live() > 0, "orders are tracked");
    let (elapsed, on_core) = (elapsed / taken as f64, on_core / taken as f64);
    println!("  {:<28} {elapsed:7.2} ns/message elapsed, {on_core:7.2} on a core", stage.name());
}

fn of_file(stage: Stage, file: &Messages) {
    let mut track = Track::new(stage, 1 << 14, file.symbols());
    let mut runs: Vec<f64> = (0..FILE_MESSAGES / file.count.max(1))
        .map(|_| {
            track.begin_day();
            let start = Instant::now();
            track.take(file);
            start.elapsed().as_nanos() as f64 / file.count as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    let (best, median) = (runs[0], runs[runs.len() / 2]);
    println!("  {:<28} {median:7.2} ns/message, median of {} runs; the best {best:.2}", stage.name(), runs.len());
}

/// Nanoseconds of each message of a type, after some others that fill the tables.
fn by_type(stage: Stage, messages: usize) {
    let clock = clock_ns();
    let (mut day, mut piece) = (day(messages), Messages::default());
    let mut track = Track::new(stage, 1 << 19, day.prices().map(|(symbol, _)| symbol));
    piece.refill(&mut day, messages / 2);
    track.take(&piece);
    piece.refill(&mut day, messages / 2);
    let mut seen: Vec<_> = (0..256).map(|_| common::histogram()).collect();
    for message in piece.iter() {
        let start = Instant::now();
        track.take_one(message);
        let ns = start.elapsed().as_nanos() as u64;
        seen[usize::from(message[0])].saturating_record(ns.saturating_sub(clock));
    }
    println!("  {} by type, ns, the clock's {clock} ns taken off", stage.name());
    for (kind, seen) in (0..=u8::MAX).zip(&seen).filter(|(_, seen)| !seen.is_empty()) {
        println!("    {}  n {:<9} mean {:6.1}  {}", char::from(kind), seen.len(), seen.mean(), common::quantiles(seen));
    }
}
