//! `hairtrigger replay` against the oracle, byte for byte, through the command that users call.

mod naive;

use std::path::Path;
use std::process::Command;

use naive::generate::{Carrier, Random, Size, World};
use naive::real::{Outcome, describe, difference, run, run_files, shrink, world_difference};
use naive::recorded::{recorded, rules_around};
use naive::{HEADER, replay, scenario};

const SHARDS: [usize; 3] = [1, 2, 7];

#[test]
fn scenarios_written_by_hand() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut wrong = String::new();
    for s in scenario::all() {
        for shards in SHARDS {
            let real = run(dir.path(), &s.feed, s.rules.as_bytes(), shards);
            let difference = difference(&replay(&s.feed, s.rules.as_bytes()), &real);
            // The oracle agrees with the hand in a test of its own; this says it without the oracle.
            let by_hand = s.events.as_ref().map(|rows| format!("{HEADER}{rows}").into_bytes());
            if !difference.is_empty() || real.events != by_hand {
                wrong += &format!("\n== {} ({shards} shards)\n{difference}", s.name);
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn small_worlds() {
    worlds(0..300, |random| Size { messages: 1 + random.below(60), rules: random.below(25) });
}

#[test]
fn middle_worlds() {
    worlds(1_000..1_060, |random| Size { messages: 300 + random.below(700), rules: 50 + random.below(200) });
}

#[test]
fn large_worlds() {
    worlds(2_000..2_006, |random| Size { messages: 4_000 + random.below(3_000), rules: 1_000 + random.below(1_500) });
}

/// Compares, and shows a world that is as small as can be. `REPLAY_SEED` runs one seed alone.
fn worlds(seeds: std::ops::Range<u64>, size: fn(&mut Random) -> Size) {
    let dir = tempfile::tempdir().expect("a directory");
    let only: Option<u64> = std::env::var("REPLAY_SEED").ok().and_then(|s| s.parse().ok());
    for seed in seeds.filter(|s| only.is_none_or(|o| o == *s)) {
        // One shard, and in turn two or seven.
        let shards = [1, SHARDS[1 + seed as usize % 2]];
        let world = World::new(seed, size(&mut Random(seed)));
        if world_difference(dir.path(), &world, &shards).is_empty() {
            continue;
        }
        let small = shrink(world, &mut |w| !world_difference(dir.path(), w, &shards).is_empty());
        panic!("{}\n{}", describe(&small), world_difference(dir.path(), &small, &shards));
    }
}

/// A generator that no longer reaches a path would make the tests above say nothing about it.
#[test]
fn worlds_reach_every_event_and_count() {
    let mut events = std::collections::BTreeMap::<String, u64>::new();
    let mut counts = [0; 8];
    let (mut damaged, mut captures) = (0, 0);
    for seed in 1_000..1_060 {
        let size = |random: &mut Random| Size { messages: 300 + random.below(700), rules: 50 + random.below(200) };
        let world = World::new(seed, size(&mut Random(seed)));
        let Ok(replayed) = replay(&world.feed(), world.rules().as_bytes()) else { continue };
        for row in replayed.events_csv.lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            let what = [fields[2], fields[3], fields[4], fields[11]].join(",");
            *events.entry(what).or_default() += 1;
        }
        for (sum, (_, count)) in counts.iter_mut().zip(replayed.counts()) {
            *sum += count;
        }
        damaged += u64::from(replayed.error.is_some());
        captures += u64::from(world.carrier == Carrier::Capture);
    }
    for signal in ["last", "bid", "ask", "mid"] {
        for what in ["alert,cross,0", "alert,cross,1", "alert,initial,0", "alert,initial,1", "ended,removed,0"] {
            assert!(events.contains_key(&format!("{what},{signal}")), "no {what} of {signal}: {events:?}");
        }
        for what in ["ended,replaced,0", "ended,expired,0", "rejected,already_true,0", "rejected,expired,0"] {
            assert!(events.contains_key(&format!("{what},{signal}")), "no {what} of {signal}: {events:?}");
        }
    }
    assert!(events["busted,broken_trade,0,last"] > 100, "{events:?}");
    assert!(events["rejected,unknown_key,0,"] > 100, "{events:?}");
    assert!(counts.iter().all(|n| *n > 100), "{counts:?}");
    assert!(damaged > 5 && captures > 5, "{damaged} damaged, {captures} captures");
}

/// A generated day, plain and gzipped, and rules for it, in `dir`. Long enough for several blocks and batches of every shard.
fn day(dir: &Path) -> [String; 3] {
    let paths = ["day.itch", "day.itch.gz", "rules.csv"].map(|name| dir.join(name).to_str().expect("ours").to_owned());
    for out in &paths[..2] {
        let mut generate = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        let generate = generate.args(["generate", "--out", out, "--rules-out", &paths[2], "--seed", "5"]);
        let generate = generate.args(["--messages", "200000", "--symbols", "300", "--rules", "20000"]);
        assert!(generate.status().expect("the command starts").success());
    }
    paths
}

#[test]
fn a_day_is_the_same_for_every_number_of_shards() {
    let dir = tempfile::tempdir().expect("a directory");
    let [plain, packed, rules] = day(dir.path());
    // More rules before the first message than a block has places, and the others among the messages.
    let text = std::fs::read_to_string(&rules).expect("it was written");
    let (header, rows) = text.split_once('\n').expect("a header");
    let at = |n: usize| n.saturating_sub(8_000) * 16;
    let rows: String = rows.lines().enumerate().map(|(n, row)| format!("{},{row}\n", at(n))).collect();
    std::fs::write(&rules, format!("at,{header}\n{rows}")).expect("a directory of our own");
    let one = run_files(dir.path(), Path::new(&plain), 1);
    let alerts = one.events.as_ref().map_or(0, |events| events.split(|byte| *byte == b'\n').count());
    assert!(one.status == Some(0) && alerts > 5_000, "{alerts} rows: {}", one.stderr);
    let counts = |outcome: &Outcome| outcome.stderr.split(",\"elapsed_s\"").next().map(str::to_owned);
    for shards in 2..=8 {
        let several = run_files(dir.path(), Path::new(if shards % 2 == 0 { &plain } else { &packed }), shards);
        assert!(several.events == one.events, "{shards} shards: {}", several.stderr);
        assert_eq!(counts(&several), counts(&one), "{shards} shards");
    }
}

#[test]
fn a_replay_that_cannot_write_ends_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let [plain, _, rules] = day(dir.path());
    for shards in ["1", "8"] {
        let mut replay = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
        let replay = replay.args(["replay", &plain, "--rules", &rules, "--out", "/dev/full", "--shards", shards]);
        let output = replay.output().expect("the command starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains("/dev/full: No space left"), "{told}");
    }
}

#[test]
fn aapl_of_2020_01_30() {
    let Some(feed) = recorded("aapl-2020-01-30.itch") else { return };
    let rules = rules_around(20, 3_000, 10_000, 3_201_000..3_224_500, 100, 11_234_909_934_000..28_770_516_505_000);
    let prints = compare_recorded(&feed, &rules.replace("SYMBOL", "AAPL"));
    assert_eq!(prints, 1_089);
}

#[test]
fn spy_of_2013_10_07() {
    let Some(feed) = recorded("spy-2013-10-07.itch.gz") else { return };
    let rules = rules_around(21, 2_000, 250_605, 1_670_100..1_689_000, 100, 14_400_464_000_000..71_999_536_000_000);
    let prints = compare_recorded(&feed, &rules.replace("SYMBOL", "SPY"));
    assert_eq!(prints, 250_601);
}

/// Compares the two on a recorded file; the number of prints.
fn compare_recorded(feed: &Path, rules: &str) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("rules.csv"), rules).expect("a directory of our own");
    let expected = replay(&std::fs::read(feed).expect("it exists"), rules.as_bytes());
    for shards in SHARDS {
        let difference = difference(&expected, &run_files(dir.path(), feed, shards));
        assert!(difference.is_empty(), "{shards} shards: {difference}");
    }
    let replayed = expected.expect("a feed");
    assert!(replayed.alerts > 1_000, "{} alerts: the rules say too little", replayed.alerts);
    replayed.prints
}
