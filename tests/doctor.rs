//! `hairtrigger doctor` as a script sees it: its exit status and its lines, on recorded hosts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn doctor(root: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairtrigger"));
    command.arg("doctor").arg("--root").arg(root).args(more).output().expect("the command runs")
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn its_exit_status_says_whether_something_costs_latency() {
    let root = tempfile::tempdir().expect("a folder");
    write(root.path(), "proc/self/status", "Cpus_allowed_list:\t0-3\n");
    write(root.path(), "sys/devices/system/cpu/isolated", "2-3\n");
    // Two isolated cores: the engine would take these.
    let well = doctor(root.path(), &[]);
    let text = String::from_utf8_lossy(&well.stdout).into_owned();
    assert!(text.starts_with("the engine's cores: 2 3\nwell    isolated"), "{text}");
    // Cores can be read, and there is no file that names those without a tick.
    assert!(text.contains("costs   nohz_full"), "{text}");
    assert_eq!(well.status.code(), Some(1));

    write(root.path(), "sys/devices/system/cpu/nohz_full", "2-3\n");
    assert_eq!(doctor(root.path(), &[]).status.code(), Some(0));
    assert_eq!(doctor(root.path(), &["--cores", "1-2"]).status.code(), Some(1));
    assert_eq!(doctor(root.path(), &["--config", "/nowhere.toml"]).status.code(), Some(2));
}

#[test]
fn json_has_an_object_a_check_with_the_command_that_changes_it() {
    let root = tempfile::tempdir().expect("a folder");
    write(root.path(), "proc/sys/net/core/rmem_max", "212992\n");
    let output = doctor(root.path(), &["--cores", "1", "--json"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |check: &str| lines.iter().find(|line| line["check"] == check).expect("the check is there");
    assert_eq!(of("receive_buffer")["state"], "costs");
    assert_eq!(of("receive_buffer")["command"], "sysctl net.core.rmem_max=8388608");
    assert_eq!(of("governor")["state"], "unseen");
    assert_eq!(output.status.code(), Some(1));
}
