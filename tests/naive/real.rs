//! The real replay, through the command that users call, beside the oracle; and what is left of a world in which they differ.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::generate::World;
use super::{NaiveError, Replayed, replay};

/// What a run of the command left behind.
pub struct Outcome {
    pub status: Option<i32>,
    pub stderr: String,
    /// The events file, if one was written.
    pub events: Option<Vec<u8>>,
}

/// Runs `hairtrigger replay` in `dir` over these bytes.
pub fn run(dir: &Path, feed: &[u8], rules: &[u8], shards: usize) -> Outcome {
    std::fs::write(dir.join("feed"), feed).expect("a directory of our own");
    std::fs::write(dir.join("rules.csv"), rules).expect("a directory of our own");
    let _ = std::fs::remove_file(dir.join("events.csv"));
    run_files(dir, &dir.join("feed"), shards)
}

/// Runs it over a feed that lies somewhere, with `dir/rules.csv`; an events file that is there stays there.
pub fn run_files(dir: &Path, feed: &Path, shards: usize) -> Outcome {
    // A tool that shares these modules has no such path at compile time, and does not come here.
    let output = Command::new(option_env!("CARGO_BIN_EXE_hairtrigger").unwrap_or("hairtrigger"))
        .arg("replay")
        .arg(feed)
        .arg("--rules")
        .arg(dir.join("rules.csv"))
        .arg("--out")
        .arg(dir.join("events.csv"))
        .args(["--shards", &shards.to_string()])
        .output()
        .expect("the command starts");
    Outcome {
        status: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        events: std::fs::read(dir.join("events.csv")).ok(),
    }
}

/// How the real one differs from what the oracle gave; empty: not at all.
pub fn difference(expected: &Result<Replayed, NaiveError>, real: &Outcome) -> String {
    let mut out = String::new();
    match expected {
        Ok(replayed) => {
            compare_events(&mut out, replayed.events_csv.as_bytes(), real.events.as_deref());
            compare_summary(&mut out, replayed, &real.stderr);
            let status = i32::from(replayed.error.is_some());
            if real.status != Some(status) {
                let _ = writeln!(out, "exit status {:?}, expected {status}", real.status);
            }
            if let Some((what, offset)) = replayed.error
                && !names_number(&before_summary(&real.stderr), offset)
            {
                let _ = writeln!(out, "offset {offset} ({what}) is not named");
            }
        }
        Err(error) => {
            let status = if *error == NaiveError::NoFeed { 1 } else { 2 };
            if real.status != Some(status) || real.events.is_some() {
                let written = real.events.is_some();
                let _ = writeln!(out, "exit status {:?}, events written: {written}; expected {error:?}", real.status);
            }
            if real.stderr.lines().any(|l| l.starts_with('{')) {
                out += "a summary, where nothing ran\n";
            }
        }
    }
    if !out.is_empty() {
        let _ = writeln!(out, "standard error:\n{}", real.stderr);
    }
    out
}

fn compare_events(out: &mut String, expected: &[u8], real: Option<&[u8]>) {
    let Some(real) = real else {
        *out += "no events file\n";
        return;
    };
    if real == expected {
        return;
    }
    let (expected, real) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(real));
    let (expected, real): (Vec<&str>, Vec<&str>) = (expected.split('\n').collect(), real.split('\n').collect());
    let first = expected.iter().zip(&real).position(|(a, b)| a != b).unwrap_or(expected.len().min(real.len()));
    let _ = writeln!(out, "events differ at line {} ({} and {} lines)", first + 1, expected.len(), real.len());
    for (name, rows) in [("expected", &expected), ("real", &real)] {
        for (i, row) in rows.iter().enumerate().take(first + 4).skip(first.saturating_sub(3)) {
            let _ = writeln!(out, "  {name:8} {:5} {row}", i + 1);
        }
    }
}

/// "The last line on standard error, wherever something ran, is a JSON object"
fn compare_summary(out: &mut String, expected: &Replayed, stderr: &str) {
    let last = stderr.lines().last().unwrap_or_default();
    let Ok(summary) = serde_json::from_str::<serde_json::Value>(last) else {
        *out += "the last line on standard error is no JSON\n";
        return;
    };
    for (name, count) in expected.counts() {
        if summary[name].as_u64() != Some(count) {
            let _ = writeln!(out, "{name}: {}, expected {count}", summary[name]);
        }
    }
    for name in ["elapsed_s", "messages_per_s"] {
        if !summary[name].is_number() {
            let _ = writeln!(out, "{name} is no number");
        }
    }
}

fn before_summary(stderr: &str) -> String {
    stderr.lines().filter(|l| !l.starts_with('{')).collect::<Vec<_>>().join("\n")
}

/// Whether `text` has this number as a word of its own.
pub fn names_number(text: &str, number: u64) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|word| word == number.to_string())
}

/// The difference in this world for one of the numbers of shards.
pub fn world_difference(dir: &Path, world: &World, shards: &[usize]) -> String {
    let (feed, rules) = (world.feed(), world.rules());
    let expected = replay(&feed, rules.as_bytes());
    for n in shards {
        let difference = difference(&expected, &run(dir, &feed, rules.as_bytes(), *n));
        if !difference.is_empty() {
            return format!("with {n} shards: {difference}");
        }
    }
    String::new()
}

/// A smaller world that `differs` still: ever smaller runs of messages and of rules are taken out.
pub fn shrink(mut world: World, differs: &mut dyn FnMut(&World) -> bool) -> World {
    let mut budget = 600;
    let plain = World { plain: true, ..world.clone() };
    if differs(&plain) {
        world = plain;
    }
    loop {
        let before = (world.messages.len(), world.rule_rows.len());
        shrink_list(&mut world, |w| &mut w.messages, &mut budget, differs);
        shrink_list(&mut world, |w| &mut w.rule_rows, &mut budget, differs);
        if budget == 0 || before == (world.messages.len(), world.rule_rows.len()) {
            return world;
        }
    }
}

fn shrink_list<T: Clone>(
    world: &mut World,
    list: fn(&mut World) -> &mut Vec<T>,
    budget: &mut usize,
    differs: &mut dyn FnMut(&World) -> bool,
) {
    let mut run = list(world).len() / 2;
    while run > 0 {
        // From the end, so that what is left keeps its sequence as long as it can.
        let mut end = list(world).len();
        while end > 0 && *budget > 0 {
            let start = end.saturating_sub(run);
            let mut smaller = world.clone();
            list(&mut smaller).drain(start..end);
            *budget -= 1;
            if differs(&smaller) {
                *world = smaller;
            }
            end = start;
        }
        run /= 2;
    }
}

/// A world as text.
pub fn describe(world: &World) -> String {
    let mut out =
        format!("seed {}, {:?}, first sequence {}, plain: {}\n", world.seed, world.carrier, world.base, world.plain);
    for m in &world.messages {
        let hex: String = m.iter().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(out, "  {} {hex}", m.first().map_or(' ', |b| char::from(*b)));
    }
    out + &world.rules()
}
