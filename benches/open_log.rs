//! How long does a start take to read back the alert log, for each GiB that is kept?
//!
//! Canonical: 1 GiB of alerts of 1,000 accounts in segments of 64 MiB, as a kill leaves it, in the page cache. Three things are timed:
//! what recovery reads of it, the opening itself (CRC32C, numbers, indexes), and what the intake takes over (prints).
//!
//!     cargo bench --bench open_log [-- --mib N] [--accounts N]

mod common;

use common::{Args, Stopwatch};
use hairtrigger::gateway::history;
use hairtrigger::gateway::intake::Intake;
use hairtrigger::gateway::log::Run;
use hairtrigger::gateway::logs::{Logs, Retention};
use hairtrigger::gateway::record::Audience;
use hairtrigger::gateway::wire::RuleMessage;
use hairtrigger::limits;
use hairtrigger::model::{Alert, AlertKind, LogPosition, RuleKey, flag};
use hairtrigger::ring::ring;

fn main() {
    let args = Args::read();
    let size = (args.number("mib", 1_024, 1) as u64) << 20;
    let segment_size = if size < 1 << 30 { limits::SEGMENT_SIZE_MIN } else { 64 << 20 };
    let accounts = args.number("accounts", 1_000, 100);
    let names: Vec<[u8; 6]> =
        (0..accounts).map(|n| format!("a{n:05}").into_bytes().try_into().unwrap_or_default()).collect();
    let root = tempfile::tempdir().expect("a folder");
    let retention = Retention { size: 2 * size, time: u64::MAX };
    let run = Run { boot: [1; 16], ts: 1_000_000_000 };
    let open = || Logs::open(root.path(), segment_size as usize, retention, &names, run).expect("a log");

    let mut logs = open();
    let shape = logs.shape();
    let mut count = 0;
    let mut alert = Alert { flags: flag::BY_PRINT, ..Alert::new(AlertKind::Alert) };
    alert.key = RuleKey { symbol: "AAPL".parse().expect("a symbol"), ..RuleKey::NONE };
    while logs.current().size() < size + segment_size {
        let log = logs.current_mut();
        if let Some(ordinal) = log.wanted() {
            log.provide(shape.create(ordinal).expect("room on the disk"));
        }
        let account = count % accounts;
        (alert.version, alert.match_number) = (count as u64 + 1, count as u64 / 20);
        let message = RuleMessage::of(&alert, names[account], *b"S000000001", 1);
        let written = log.append(Audience::Account(account as u16), 1, message.kind.size(), |out| message.write(out));
        count += usize::from(written.is_some());
    }
    drop(logs);

    let start = Stopwatch::start();
    let mut read = 0;
    let history = history::read(root.path(), LogPosition::default(), |_| read += 1).expect("a log");
    let recovery = start.stop();
    assert!(history.is_whole && read == count, "{history:?}");
    let start = Stopwatch::start();
    let logs = open();
    let opening = start.stop();
    assert_eq!(logs.current().next(0), count as u64 + 1);
    let (_sender, receiver) = ring(8, Alert::new(AlertKind::Alert));
    let mut intake = Intake::new(vec![receiver], &names, logs.current(), limits::BUSTS_MAX);
    let start = Stopwatch::start();
    intake.resume(&logs);
    let resuming = start.stop();
    println!("{} MiB, {count} alerts of {accounts} accounts", size >> 20);
    let gib = size as f64 / (1u64 << 30) as f64;
    for (what, (elapsed, on_core)) in [("read for recovery", recovery), ("open", opening), ("prints", resuming)] {
        let per_gib = [elapsed, on_core].map(|took| took.as_secs_f64() / gib);
        println!("  {what:<18} {:6.3} s/GiB elapsed, {:6.3} on a core", per_gib[0], per_gib[1]);
    }
}
