//! What `publish` sends, read by somebody else: `tshark`'s dissector of MoldUDP64.
//!
//! Runs where `tshark` (Debian package `tshark`) is installed; in CI (`CI` set) it has to be. Its dissector of ITCH knows
//! versions 2 and 3 only, so the messages are compared as bytes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hairtrigger::feed::recording::Recording;

/// Ports of the lines of a capture that names none.
const PORTS: [u16; 2] = [26_400, 26_401];

fn is_installed() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "CI runs without tshark: install the package");
    if !found {
        eprintln!("skipped: tshark is not installed");
    }
    found
}

fn hairtrigger(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_hairtrigger")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The lines that tshark prints of a capture whose ports carry MoldUDP64.
fn tshark(capture: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture);
    for port in PORTS {
        command.args(["-d", &format!("udp.port=={port},moldudp64")]);
    }
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A generated day of 20,000 messages in a capture of both lines.
fn captured(folder: &Path, args: &[&str]) -> (std::path::PathBuf, std::path::PathBuf) {
    let (feed, capture) = (folder.join("day.itch"), folder.join("day.pcap"));
    let (feed_text, capture_text) = (feed.to_str().unwrap(), capture.to_str().unwrap());
    hairtrigger(&["generate", "--out", feed_text, "--messages", "20000", "--symbols", "100"]);
    hairtrigger(&[&["publish", feed_text, "--pcap", capture_text, "--session", "TEST"], args].concat());
    (feed, capture)
}

#[test]
fn no_packet_is_malformed_at_any_pace() {
    if !is_installed() {
        return;
    }
    let impaired = ["--loss", "1%", "--duplicate", "1%", "--reorder", "1%"];
    for pace in [&["--max"][..], &["--rate", "1000000"], &["--speed", "100"]] {
        let folder = tempfile::tempdir().unwrap();
        let (_, capture) = captured(folder.path(), &[pace, &impaired].concat());
        // Level 4 and above are notes, warnings and errors; an end of session bears a comment.
        let wrong = tshark(&capture, &["-Y", "_ws.malformed || !moldudp64 || _ws.expert.severity >= 0x00400000"]);
        assert_eq!(wrong, [""; 0], "{pace:?}");
        let ends = tshark(&capture, &["-Y", "moldudp64.count == 65535", "-T", "fields", "-e", "moldudp64.sequence"]);
        assert_eq!(ends, ["20001", "20001"], "{pace:?}");
    }
}

#[test]
fn the_messages_that_it_sees_are_those_of_the_feed() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (feed, capture) = captured(folder.path(), &["--rate", "1000000"]);
    let fields = ["-e", "moldudp64.session", "-e", "moldudp64.msgseq", "-e", "moldudp64.msgdata"];
    for port in PORTS {
        let filter = format!("udp.dstport == {port} && moldudp64.msgdata");
        let mut seen = BTreeMap::new();
        for line in tshark(&capture, &[&["-Y", &filter, "-T", "fields"], &fields[..]].concat()) {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!(columns[0].trim_end(), "TEST");
            for (sequence, message) in columns[1].split(',').zip(columns[2].split(',')) {
                seen.insert(sequence.parse::<u64>().unwrap(), message.to_owned());
            }
        }
        let mut recording = Recording::open(&feed).unwrap();
        while let Some((sequence, message)) = recording.next() {
            let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(seen.remove(&sequence), Some(hex), "{sequence}");
        }
        assert!(seen.is_empty());
    }
}
