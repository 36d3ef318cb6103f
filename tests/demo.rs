//! `hairtrigger demo`, run as a user runs it, with its output not on a terminal.

use std::path::Path;
use std::process::{Command, Output};

fn demo(arguments: &[&str], temporary: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
    command.arg("demo").args(arguments).env("TMPDIR", temporary).output().unwrap()
}

/// The number before a word of the summary's line that begins with `name`.
fn number(summary: &str, name: &str, word: &str) -> u64 {
    let line = summary.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {summary}"));
    let (before, _) = line.split_once(word).unwrap_or_else(|| panic!("no {word}: {line}"));
    let digits = before.trim_end().rsplit([' ', '(']).next().unwrap().replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("no number before {word}: {line}"))
}

/// Ends well, leaves nothing behind, and hands over the summary.
fn ends_well(arguments: &[&str]) -> String {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(arguments, temporary.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains('\x1b'), "escape codes: {text}");
    assert!(text.contains("\nnothing lost: "), "{text}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "something is left behind");
    let at = text.find("\nsummary, ").unwrap_or_else(|| panic!("no summary: {text}"));
    text[at..].to_string()
}

#[test]
fn a_generated_feed_fires_alerts_and_loses_nothing_on_lossy_lines() {
    let summary = ends_well(&["--seconds", "3"]);
    for (name, word) in [
        ("line A", "lost"),
        ("line B", "lost"),
        ("gaps", "opened"),
        ("gaps", "recovered"),
        ("gaps", "messages came by re-request"),
        ("rules", "replaced"),
        ("rules", "removed"),
        ("alerts", "of them at once"),
        ("latency", "alerts, datagram sent to alert read"),
    ] {
        assert!(number(&summary, name, word) > 0, "{name} {word}: {summary}");
    }
    assert!(number(&summary, "rules", "set") >= 30_000, "{summary}");
    assert_eq!(number(&summary, "gaps", "given up"), 0, "{summary}");
}

#[test]
fn a_recorded_feed_has_rules_around_its_prices() {
    let folder = tempfile::tempdir().unwrap();
    let feed = folder.path().join("day.itch.gz");
    let feed = feed.to_str().unwrap();
    let generate = ["generate", "--messages", "20000", "--symbols", "20", "--out", feed];
    assert!(Command::new(env!("CARGO_BIN_EXE_hairtrigger")).args(generate).status().unwrap().success());
    let summary = ends_well(&["--feed", feed, "--seconds", "1", "--rules", "2000"]);
    assert_eq!(number(&summary, "feed", "messages sent"), 20_000);
    assert_eq!(number(&summary, "feed", "taken in order"), 20_000);
    assert!(number(&summary, "latency", "alerts, datagram sent to alert read") > 0, "{summary}");
}
