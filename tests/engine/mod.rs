//! What tests put around an engine: its config on free ports of loopback, a publisher that never outruns it, clients of
//! its two ports, and what they were told as the rows of `replay`.

#![allow(dead_code)] // each test program uses a part of it

pub mod alerts;
pub mod certificates;
pub mod feed;
pub mod process;
pub mod rules;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hairtrigger::config::{Config, midnight_utc};

/// How long a test waits for what must come. It says that something is wrong, not how fast it is.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The password of every login.
pub const PASSWORD: &str = "secret";
/// The login that sees all alerts.
pub const DROP_COPY: &str = "audit";

const DATE: &str = "2020-01-30";
const ZONE: &str = "America/New_York";

/// What the feed's stamps count from, in UTC nanoseconds.
pub fn midnight() -> u64 {
    midnight_utc(DATE.parse().expect("a date"), ZONE).expect("a zone")
}

/// What an engine is to be like.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    pub shards: usize,
    pub lines: usize,
    /// Without one gaps are announced after 2 ms, with one never.
    pub rerequest: Option<SocketAddr>,
    pub accounts: &'a [String],
}

/// The text of its config; files lie in `folder`.
pub fn config_text(shape: Shape<'_>, folder: &Path) -> String {
    let mut text = String::from("[feed]\n");
    for name in ["line_a", "line_b"].iter().take(shape.lines) {
        let _ = writeln!(text, "{name} = {{ address = \"127.0.0.1:0\" }}");
    }
    let (join, deadline) = match shape.rerequest {
        Some(server) => {
            let _ = writeln!(text, "rerequest = [\"{server}\"]");
            ("1", "1h")
        }
        None => ("\"first\"", "2ms"),
    };
    let _ = write!(
        text,
        "join = {join}\ndate = \"{DATE}\"\nzone = \"{ZONE}\"\nother_line_wait = \"1ms\"\ngap_deadline = \"{deadline}\"\n\
         gap_hold_max = \"1h\"\nrerequest_retry = \"2ms\"\nrerequest_tries_max = 1000\nsilence = \"1h\"\n\
         session_silence = \"1h\"\n\
         [control]\nlisten = \"127.0.0.1:0\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\ndirectory = {folder:?}\nsegment_size = \"1MiB\"\nretention_size = \"256MiB\"\n\
         [clients]\nsilence_deadline = \"60s\"\n\
         [limits]\nrules_max = 16384\naccount_rules_max = 16384\nsymbols_max = 4096\norders_max = 65536\n\
         levels_max = 65536\npolicies_max = 8192\n\
         [topology]\nshards = {}\nidle = \"park\"\n\
         [stats]\nfile = {:?}\n",
        shape.shards,
        folder.join("stats"),
    );
    for account in shape.accounts {
        let _ = write!(text, "[[accounts]]\nname = \"{account}\"\n");
        let _ = writeln!(text, "logins = [{{ user = \"{account}\", password = \"{PASSWORD}\" }}]");
    }
    let _ = write!(text, "[[accounts]]\nname = \"{DROP_COPY}\"\ndrop_copy = true\n");
    let _ = writeln!(text, "logins = [{{ user = \"{DROP_COPY}\", password = \"{PASSWORD}\" }}]");
    text
}

/// The config.
pub fn config(shape: Shape<'_>, folder: &Path) -> Config {
    Config::parse(&config_text(shape, folder), Path::new("test.toml")).unwrap_or_else(|error| panic!("{error}"))
}
