//! `hairtrigger generate`: its files are feeds and rules that the rest reads.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};

use hairtrigger::feed::recording::Recording;
use hairtrigger::rules_csv;

fn generate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hairtrigger")).arg("generate").args(args).output().unwrap()
}

fn messages(path: &Path) -> Vec<Vec<u8>> {
    let (mut recording, mut messages) = (Recording::open(path).unwrap(), vec![]);
    while let Some((sequence, message)) = recording.next() {
        assert_eq!(sequence, messages.len() as u64 + 1);
        messages.push(message.to_vec());
    }
    assert!(recording.damage().is_none() && !recording.is_marker_missing());
    messages
}

#[test]
fn plain_and_gzipped_hold_the_same_day() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, named, told] = ["a.itch", "b.itch.gz", "c"].map(|name| folder.path().join(name));
    for (path, gzip) in [(&plain, None), (&named, None), (&told, Some("--gzip"))] {
        let args = ["--out", path.to_str().unwrap(), "--messages", "20000", "--seed", "9"];
        assert!(generate(&[&args[..], gzip.as_slice()].concat()).status.success());
    }
    let day = messages(&plain);
    assert_eq!((day.len(), std::fs::read(&named).unwrap()[..2].to_vec()), (20_000, vec![0x1f, 0x8b]));
    assert!(Recording::open(&told).unwrap().is_gzipped() && !Recording::open(&plain).unwrap().is_gzipped());
    assert!(messages(&named) == day && messages(&told) == day);
}

#[test]
fn the_rules_file_is_read_whole_and_has_every_kind_of_rule() {
    let folder = tempfile::tempdir().unwrap();
    let [day, rules] = ["day.itch", "rules.csv"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let args = ["--out", &day, "--messages", "1000", "--rules", "5000", "--rules-out", &rules, "--users", "70"];
    assert!(generate(&args).status.success());
    let text = std::fs::read_to_string(&rules).unwrap();
    assert_eq!(rules_csv::read(Path::new(&rules)).unwrap().rows.len(), 5_000);
    let users: HashSet<&str> = text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(users.len(), 70);
    for kind in
        [",last,", ",bid,", ",ask,", ",mid,", ",below,", ",at_or_above,", ",repeat,", ",wait,", ",reject,", ":00,"]
    {
        assert!(text.contains(kind), "{kind}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let output = generate(&["--out", "/nowhere/day.itch"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/day.itch: No such file"));
    assert_eq!(generate(&["--out", "/dev/null", "--messages", "999"]).status.code(), Some(2));
}
