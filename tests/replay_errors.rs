//! What `hairtrigger replay` refuses, and what it leaves alone then.

mod naive;

use std::path::Path;

use naive::encode::binary_file;
use naive::real::{Outcome, names_number, run_files};
use naive::{NaiveError, replay, scenario};

/// A row with an error, and the column that is to be named (empty: the line as a whole). All are line 4 of their file.
const BAD_ROWS: &[(&str, &str)] = &[
    ("x,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "at"),
    ("-1,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "at"),
    ("+5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "at"),
    ("4,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "at"),
    ("18446744073709551616,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "at"),
    ("5,SET,a,1,A,0,last,below,1,once,fire,0,0,0,,0", "op"),
    ("5,set,abcdefg,1,A,0,last,below,1,once,fire,0,0,0,,0", "account"),
    ("5,set,a_b,1,A,0,last,below,1,once,fire,0,0,0,,0", "account"),
    ("5,set,a,,A,0,last,below,1,once,fire,0,0,0,,0", "user"),
    ("5,set,a, 1,A,0,last,below,1,once,fire,0,0,0,,0", "user"),
    ("5,set,a,18446744073709551616,A,0,last,below,1,once,fire,0,0,0,,0", "user"),
    ("5,set,a,1,,0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,ABCDEFGHI,0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,A B,0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,\"A,B\",0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,\"A\"\"B\",0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,A\u{e9},0,last,below,1,once,fire,0,0,0,,0", "symbol"),
    ("5,set,a,1,A,4294967296,last,below,1,once,fire,0,0,0,,0", "slot"),
    ("5,set,a,1,A,0,price,below,1,once,fire,0,0,0,,0", "signal"),
    ("5,set,a,1,A,0,last,,1,once,fire,0,0,0,,0", "when"),
    ("5,set,a,1,A,0,last,Below,1,once,fire,0,0,0,,0", "when"),
    ("5,set,a,1,A,0,last,below,,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,-1,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,1e3,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,1.,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,.5,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,1.0000000000,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,9223372036.854775808,once,fire,0,0,0,,0", "threshold"),
    ("5,set,a,1,A,0,last,below,1,twice,fire,0,0,0,,0", "fire"),
    ("5,set,a,1,A,0,last,below,1,once,ignore,0,0,0,,0", "on_set"),
    ("5,set,a,1,A,0,last,below,1,once,fire,-0.1,0,0,,0", "rearm"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,1s,0,,0", "cooldown_ns"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,4294967296,,0", "max_fires"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,24:00:00,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,9:00:00,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,09:60:00,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,09:00:60,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,09:00:00.,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,09:00:00.0000000001,0", "expires_at"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,x", "tag"),
    // "also in a column that a `remove` does not use"
    ("5,remove,a,1,A,0,,,x,,,,,,,", "threshold"),
    ("5,remove,a,1,A,0,,,,,,,,,x,", "expires_at"),
    ("5,remove,a,1,A,0,none,,,,,,,,,", "signal"),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,", ""),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0,", ""),
    (" ", ""),
    ("5,set,a,1,\"A,0,last,below,1,once,fire,0,0,0,,0", ""),
    ("5,set,a,\"1\"2,A,0,last,below,1,once,fire,0,0,0,,0", ""),
    ("5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0\r5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0", ""),
];

const COLUMNS: &str =
    "at,op,account,user,symbol,slot,signal,when,threshold,fire,on_set,rearm,cooldown_ns,max_fires,expires_at,tag\n";

/// Runs bytes as rules over a good feed, with an older events file in the place of the new one.
fn refused(dir: &Path, rules: &[u8]) -> Outcome {
    std::fs::write(dir.join("rules.csv"), rules).expect("a directory of our own");
    std::fs::write(dir.join("events.csv"), "older\n").expect("a directory of our own");
    std::fs::write(dir.join("feed"), binary_file(&[naive::encode::message(b'S', 0, 5)]))
        .expect("a directory of our own");
    run_files(dir, &dir.join("feed"), 1)
}

#[test]
fn a_bad_row_is_named_by_file_line_and_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut wrong = String::new();
    for (row, column) in BAD_ROWS {
        // The error is in line 4: a blank line and a good row stand before it.
        let rules = format!("\n{COLUMNS}5,set,a,1,A,0,last,below,1,once,fire,0,0,0,,0\n{row}\n");
        match replay(&[0, 0], rules.as_bytes()) {
            Err(NaiveError::Rules { line: 4, column: named }) if named.unwrap_or("") == *column => {}
            other => wrong += &format!("the oracle on {row:?}: {other:?}\n"),
        }
        let real = refused(dir.path(), rules.as_bytes());
        let named = real.stderr.contains("rules.csv") && names_number(&real.stderr, 4) && real.stderr.contains(column);
        if real.status != Some(2) || !named || real.events.as_deref() != Some(b"older\n") {
            wrong += &format!("{row:?}: {:?} {}", real.status, real.stderr);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_bad_file_or_header_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let good = "1,A,below,1\n";
    let files: [Vec<u8>; 11] = [
        Vec::new(),
        b"\n\r\n".to_vec(),
        format!("user,symbol,when,treshold\n{good}").into(),
        format!("user,symbol,when,threshold,user\n{good}").into(),
        format!("user,symbol,when,\n{good}").into(),
        format!("User,symbol,when,threshold\n{good}").into(),
        format!("user, symbol,when,threshold\n{good}").into(),
        format!("\u{feff}user,symbol,when,threshold\n{good}").into(),
        b"symbol,when,threshold\nA,below,1\n".to_vec(),
        b"user,symbol,when\n1,A,below\n".to_vec(),
        b"user,symbol,when,threshold\n1,A\xff,below,1\n".to_vec(),
    ];
    for rules in files {
        assert!(matches!(replay(&[0, 0], &rules), Err(NaiveError::Rules { .. })), "the oracle takes {rules:?}");
        let real = refused(dir.path(), &rules);
        let text = String::from_utf8_lossy(&rules);
        assert_eq!(real.status, Some(2), "{text:?}: {}", real.stderr);
        assert!(real.stderr.contains("rules.csv"), "{text:?}: {}", real.stderr);
        assert_eq!(real.events.as_deref(), Some(&b"older\n"[..]), "{text:?}");
    }
}

#[test]
fn what_the_rules_file_may_look_like() {
    let dir = tempfile::tempdir().expect("a directory");
    let row = "\"1\",\"A\",below,\"1.50\"";
    for rules in [
        "at,tag\n".to_string(),
        "user,symbol,when,threshold".to_string(),
        format!("\r\n\n\"user\",symbol,when,threshold\r\n\n{row}\r\n\r\n"),
        format!("user,symbol,when,threshold\n{row}"),
        "op,symbol,user\nremove,A,1\n".to_string(),
    ] {
        let feed = binary_file(&[naive::encode::message(b'S', 0, 5)]);
        let expected = replay(&feed, rules.as_bytes()).unwrap_or_else(|e| panic!("{rules:?}: {e:?}"));
        let real = refused(dir.path(), rules.as_bytes());
        assert_eq!(real.status, Some(0), "{rules:?}: {}", real.stderr);
        assert_eq!(real.events, Some(expected.events_csv.into_bytes()), "{rules:?}");
    }
}

/// By whatever name it goes.
#[test]
fn neither_the_feed_nor_the_rules_are_written_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let feed = &scenario::all().into_iter().find(|s| s.error.is_none()).expect("a feed that is whole").feed;
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("feed"), feed).expect("a directory of our own");
    std::fs::write(path("rules.csv"), "at,tag\n").expect("a directory of our own");
    for (of, is) in [("feed", &feed[..]), ("rules.csv", &b"at,tag\n"[..])] {
        std::fs::hard_link(path(of), path("events.csv")).expect("a directory of our own");
        let real = run_files(dir.path(), &path("feed"), 1);
        assert_eq!((real.status, std::fs::read(path(of)).unwrap()), (Some(1), is.to_vec()), "{}", real.stderr);
        assert!(real.stderr.contains("expected a file of its own to write to"), "{}", real.stderr);
        std::fs::remove_file(path("events.csv")).expect("a directory of our own");
    }
}

#[test]
fn no_feed_leaves_an_older_events_file_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("rules.csv"), "at,tag\n").expect("a directory of our own");
    std::fs::write(dir.path().join("events.csv"), "older\n").expect("a directory of our own");
    for s in scenario::all().iter().filter(|s| s.error == Some(None)) {
        std::fs::write(dir.path().join("feed"), &s.feed).expect("a directory of our own");
        let real = run_files(dir.path(), &dir.path().join("feed"), 1);
        assert_eq!(
            (real.status, real.events.as_deref()),
            (Some(1), Some(&b"older\n"[..])),
            "{}: {}",
            s.name,
            real.stderr
        );
    }
    let real = run_files(dir.path(), &dir.path().join("nowhere"), 1);
    assert_eq!((real.status, real.events.as_deref()), (Some(1), Some(&b"older\n"[..])), "{}", real.stderr);
    let reason = std::fs::read(dir.path().join("nowhere")).expect_err("it is not there").to_string();
    let reason = reason.split(" (").next().expect("a part");
    assert!(real.stderr.contains(reason), "{} lacks {reason}", real.stderr);
}

#[test]
fn rules_are_read_before_the_feed() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("rules.csv"), "").expect("a directory of our own");
    assert_eq!(run_files(dir.path(), &dir.path().join("nowhere"), 1).status, Some(2));
}
