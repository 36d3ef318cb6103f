//! The latency tool in small: whether it still measures, not what.

use std::fs;
use std::process::Command;

use hairtrigger::sys::affinity::allowed;

#[test]
fn every_alert_comes_and_the_records_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    // All on one core, so that it runs on any machine: slow, and nothing may be lost all the same.
    let core = allowed().expect("the mask can be read")[0];
    let output = Command::new(env!("CARGO_BIN_EXE_tick_to_alert"))
        .args(["--engine", env!("CARGO_BIN_EXE_hairtrigger"), "--cores", &format!("{core},{core}"), "--idle", "yield"])
        .args([
            "--rates",
            "2000",
            "--seconds",
            "0.2",
            "--rounds",
            "1",
            "--rules",
            "100",
            "--churn",
            "500",
            "--mix",
            "2",
        ])
        .arg("--folder")
        .arg(folder.path().join("engine"))
        .arg("--out")
        .arg(&out)
        .output()
        .expect("the tool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = fs::read_to_string(out.join("summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    let step = &summary["steps"][0];
    for side in ["relay", "engine"] {
        // 0.24 s at 2,000 a second, half of them firing; a sixth of them to warm up.
        assert_eq!((&step[side]["alerts_expected"], &step[side]["alerts"]), (&240.into(), &240.into()), "{side}");
        assert_eq!(step[side]["latency"]["count"], 200, "{side}");
        assert!(out.join(format!("2000-rules-100-churn-{side}.hgrm")).exists());
    }
    assert!(step["engine"]["match_to_log"]["max"].as_u64() > Some(0));
    assert!(step["set_to_answer"]["count"].as_u64() > Some(50));
    assert!(step["ratio"]["p99"].as_f64() > Some(0.0));
    let plot = fs::read_to_string(out.join("2000-rules-100-churn.svg")).expect("a plot");
    assert_eq!(plot.matches("<polyline").count(), 2);
}
