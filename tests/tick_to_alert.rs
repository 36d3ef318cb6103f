//! The latency tool in small: whether it still measures, not what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairtrigger::sys::affinity::allowed;
use serde_json::Value;

/// A folder, and what the tool left in it.
struct Ran {
    folder: tempfile::TempDir,
    steps: Value,
}

impl Ran {
    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Runs the tool, all on one core, so that it runs on any machine: slow, and nothing may be lost all the same.
fn run(args: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let core = allowed().expect("the mask can be read")[0];
    let text = |path: &Path| path.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_tick_to_alert"))
        .args(args)
        .args(["--engine", env!("CARGO_BIN_EXE_hairtrigger"), "--cores", &format!("{core},{core}"), "--idle", "yield"])
        .args(["--seconds", "0.2", "--rounds", "1", "--symbols", "300"])
        .args(["--folder", &text(&folder.path().join("engine")), "--out", &text(&out)])
        .output()
        .expect("the tool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = fs::read_to_string(out.join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert!(summary["machine"]["kernel"].is_string() && summary["machine"]["cores_used"].is_array());
    Ran { folder, steps: summary["steps"].clone() }
}

#[test]
fn every_alert_comes_and_the_records_are_written() {
    let ran = run(&["--rates", "2000", "--rules", "100", "--churn", "500", "--mix", "2", "--stages"]);
    let step = &ran.steps[0];
    for side in ["relay", "engine"] {
        assert_eq!(step[side]["alerts"], step[side]["alerts_expected"], "{side}");
        assert_eq!(step[side]["latency"]["count"], 200, "{side}");
        let percentiles = ran.text(&format!("2000-rules-100-churn-{side}.hgrm"));
        assert!(percentiles.contains("#[Machine = {"), "the machine is in each file");
        let stages = &step["stages"][side];
        for stage in ["intended > send call", "kernel sends > ts_recv", "write call", "kernel has it > read"] {
            assert!(stages[stage]["count"].as_u64() > Some(0), "{side}: {stage}: {stages}");
        }
    }
    assert!(step["stages"]["engine"]["ts_log > write call"]["count"].as_u64() > Some(0));
    assert!(step["engine"]["match_to_log"]["max"].as_u64() > Some(0));
    assert!(step["set_to_answer"]["count"].as_u64() > Some(50));
    assert!(step["ratio"]["p99"].as_f64() > Some(0.0) && step["goals_met"][1]["p99"].is_boolean());
    let plot = ran.text("2000-rules-100-churn.svg");
    assert_eq!((plot.matches("<polyline").count(), plot.contains("governor")), (2, true));
    assert!(ran.text("table.txt").contains("\n| 2000 | 100 | 500 |"), "the ratios lead");
}

#[test]
fn sets_are_seen_in_force_and_acknowledged() {
    let ran = run(&["sets", "--sets", "1000", "--feed", "1000", "--rules", "100"]);
    for (step, feed) in [(0, 100), (1, 1000)] {
        let step = &ran.steps[step];
        assert_eq!((&step["feed"], &step["sets"]), (&feed.into(), &1000.into()));
        assert!(step["due"].as_u64() > Some(0), "{step}");
        for seen in ["in_force", "acknowledged"] {
            assert_eq!(step[seen]["count"], step["due"], "{seen}: {step}");
        }
    }
}

#[test]
fn a_search_for_the_limit_tells_what_held() {
    let ran = run(&["limit", "--rules", "100", "--from", "500", "--to", "900", "--halvings", "1"]);
    let step = &ran.steps[0];
    assert_eq!((&step["rate"], &step["alerts"]), (&500.into(), &step["alerts_expected"]));
    // A machine that is busy with other things may hold the sender up, but nothing else.
    let broke = step["what_broke"].as_str().unwrap_or("the sender");
    assert!(broke.starts_with("the sender"), "{step}");
    assert!(ran.text("table.txt").contains("\n| 100 | "));
}

#[test]
fn a_storm_comes_as_a_whole() {
    let ran = run(&["storm", "--alerts", "5000", "--rate", "1000"]);
    assert_eq!(ran.steps[0]["rounds"][0]["alerts"], 5000);
    assert!(ran.steps[0]["calm"]["count"].as_u64() >= Some(90));
}
