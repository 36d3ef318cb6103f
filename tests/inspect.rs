//! `hairtrigger inspect` as a user runs it: on real feeds, whose facts are known, and on damaged ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hairtrigger::feed::binaryfile;
use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::model::Symbol;
use serde_json::{Value, json};

/// A file of real data. `None`: there is none here, which CI does not allow.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: its facts were not checked", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

fn inspect(feed: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hairtrigger")).arg("inspect").arg(feed).args(options).output().unwrap()
}

fn text(feed: &Path, options: &[&str]) -> String {
    let output = inspect(feed, options);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn object(feed: &Path, options: &[&str]) -> Value {
    serde_json::from_str(&text(feed, &[&["--json"], options].concat())).unwrap()
}

/// What stands behind each of these names must be so.
fn assert_facts(object: &Value, facts: Value) {
    for (name, fact) in facts.as_object().unwrap() {
        assert_eq!(&object[name], fact, "{name}");
    }
}

/// A feed of three trades of SPY, the second one at byte 46.
fn feed() -> Vec<u8> {
    let spy: Symbol = "SPY".parse().unwrap();
    let mut bytes = Vec::new();
    for number in 1..4 {
        let head = Head { locate: 1, tracking: 0, ts: number };
        binaryfile::write(&mut bytes, &encode::trade(head, 100, spy, 1_674_100, number)).unwrap();
    }
    bytes
}

#[test]
fn the_facts_of_a_real_feed_with_a_book() {
    let Some(feed) = real("itch/aapl-2020-01-30.itch") else { return };
    let found = object(&feed, &[]);
    let types = json!({
        "A": 4758, "D": 4083, "E": 849, "P": 240, "L": 52, "U": 7, "X": 6, "F": 2, "R": 1, "H": 1, "Y": 1
    });
    let facts = json!({
        "messages": 10_000, "types": types, "symbols": 1, "prints": 1_089, "volume": 81_556, "live_orders": 215,
        "unknown_orders": 0, "malformed": 0, "unknown_types": 0, "stamped_back": 0, "marker_missing": true,
        "first": { "sequence": 68, "ts_event": 14_411_867_450_693_u64, "price": 321.2, "shares": 100 },
        "last": { "sequence": 9976, "ts_event": 28_715_215_802_893_u64, "price": 320.2, "shares": 100 },
        "damage": null,
    });
    assert_facts(&found, facts);
    assert_eq!((&found["lowest"]["price"], &found["highest"]["price"]), (&json!(320.1), &json!(322.45)));
    // Sum of price x shares, in 1e-4.
    assert_eq!(found["vwap"].as_f64().unwrap(), 261_867_156_100.0 / 81_556.0 / 10_000.0);

    let report = text(&feed, &[]);
    for fact in ["10,000\n", "1,089\n", " 81,556 shares\n", " 321.0887686\n", "03:07:14.909934", "07:59:30.516505"] {
        assert!(report.contains(fact), "{fact} in {report}");
    }
}

#[test]
fn the_book_of_a_symbol_at_a_message() {
    let Some(feed) = real("itch/aapl-2020-01-30.itch") else { return };
    let Some(expected) = real("itch/aapl-2020-01-30.book-1001.txt") else { return };
    let expected = std::fs::read_to_string(expected).unwrap();
    assert_eq!(text(&feed, &["--symbol", "AAPL", "--at", "1001"]), expected);
    assert_ne!(text(&feed, &["--symbol", "AAPL", "--at", "1000"]), expected);

    let found = object(&feed, &["--symbol", "AAPL", "--at", "1001"]);
    assert_facts(&found, json!({ "messages": 1001, "live_orders": 80 }));
    let book = found["book"].as_array().unwrap();
    assert_eq!((book.len(), &book[34]), (64, &json!({ "side": "bid", "price": 321.5, "shares": 60 })));
    assert_eq!(book[35], json!({ "side": "ask", "price": 321.67, "shares": 4 }));
}

#[test]
fn the_facts_of_a_real_gzipped_feed() {
    let Some(feed) = real("itch/spy-2013-10-07.itch.gz") else { return };
    let found = object(&feed, &["--symbol", "SPY"]);
    let facts = json!({
        "messages": 250_605, "types": { "P": 250_601, "S": 3, "R": 1 }, "prints": 250_601, "volume": 97_062_721,
        "gzipped": true, "marker_missing": false, "stamped_back": 0, "live_orders": 0, "book": [],
        "first": { "sequence": 3, "ts_event": 14_400_464_000_000_u64, "price": 167.41, "shares": 100 },
    });
    assert_facts(&found, facts);
    assert_eq!(found["largest"]["shares"], 3_166_418);
    assert!(text(&feed, &[]).contains(" 167.9067293\n"));
}

#[test]
fn the_messages_of_real_captures() {
    let Some(feed) = real("moldudp64/Nasdaq.Equities.TotalView.Itch.v5.0/Multiple.Packets.pcap") else { return };
    let facts = json!({
        "kind": "pcap", "session": "000010059B", "messages": 39, "types": { "A": 36, "F": 2, "D": 1 },
        "unknown_orders": 1, "live_orders": 38, "damage": null,
    });
    assert_facts(&object(&feed, &[]), facts);
}

#[test]
fn damage_is_reported_with_what_was_read_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.itch");
    std::fs::write(&path, &feed()[..100]).unwrap();
    let output = inspect(&path, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let damage = json!({ "what": "the file ends inside a message", "offset": 92 });
    assert_facts(&found, json!({ "messages": 2, "prints": 2, "damage": damage }));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cut.itch: the file ends inside a message, at byte 92"));
}

#[test]
fn what_cannot_be_inspected_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed.itch");
    std::fs::write(&path, feed()).unwrap();
    let missing = folder.path().join("missing");
    for (feed, options, code, reason) in [
        (&path, &["--symbol", "GME"][..], 1, "feed.itch: no message is about GME\n"),
        (&path, &["--symbol", "SPY", "--at", "0"], 1, "no message is about SPY up to message 0\n"),
        (&path, &["--symbol", "TOOLONGXX"], 2, "expected a symbol"),
        (&path, &["--at", "5"], 2, "--symbol"),
        (&missing, &[], 1, "missing: No such file or directory"),
        (&folder.path().into(), &[], 1, "is a directory"),
    ] {
        let output = inspect(feed, options);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && told.contains(reason), "{options:?}: {told}");
        assert!(output.stdout.is_empty());
    }
    std::fs::write(&path, "a letter\n").unwrap();
    let told = String::from_utf8(inspect(&path, &[]).stderr).unwrap();
    assert!(told.contains("feed.itch is no feed: there is no well-formed ITCH 5.0 message in it"), "{told}");
}
