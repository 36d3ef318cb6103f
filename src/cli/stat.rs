//! `hairtrigger stat`: the counters and histograms of an engine, read from its mapped file.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use hairtrigger::config::{self, Config};
use hairtrigger::model::Nanos;
use hairtrigger::stats::{Counters, NamedHistogram, Snapshot, StatsReader};
use hairtrigger::sys::clock::Clock;
use serde_json::{Map, Value, json};

/// Percentiles shown, and their names.
const PERCENTILES: [(f64, &str); 4] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9")];

/// Arguments of `stat`.
#[derive(clap::Args)]
pub struct Args {
    /// The stats file; without it that of the config, or of an engine with a default config
    file: Option<PathBuf>,
    /// The config file of the engine
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Show them again every so many seconds, with rates, until the engine ends
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    every: Option<Duration>,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected 0.01 to 86400 seconds".into())
}

/// Who counts, and since when.
struct Engine {
    pid: u64,
    ts_start: Nanos,
    up: Duration,
    alive: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let file = match (args.file, &args.config) {
        (Some(file), _) => file,
        (None, Some(config)) => Config::load(config)?.stats.file,
        (None, None) => config::Stats::default().file,
    };
    let reader = StatsReader::open(&file)?;
    let clock = Clock::machine();
    let mut before: Option<(Snapshot, Instant)> = None;
    loop {
        let up = Duration::from_nanos(clock.now().saturating_sub(reader.ts_start()));
        let engine = Engine { pid: reader.pid(), ts_start: reader.ts_start(), up, alive: reader.is_alive() };
        let (snapshot, taken) = (reader.snapshot()?, Instant::now());
        let earlier = before.as_ref().map(|(earlier, at)| (earlier, taken - *at));
        let text = if args.json { object(&engine, &snapshot) } else { table(&engine, &snapshot, earlier) };
        if !print(&text)? {
            return Ok(ExitCode::SUCCESS);
        }
        let Some(every) = args.every.filter(|_| engine.alive) else { return Ok(ExitCode::SUCCESS) };
        before = Some((snapshot, taken));
        thread::sleep(every);
    }
}

/// False when nobody reads any more.
fn print(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// The table, with rates where an earlier snapshot is given and how long ago it was taken.
fn table(engine: &Engine, snapshot: &Snapshot, earlier: Option<(&Snapshot, Duration)>) -> String {
    let mut text = String::new();
    let state = if engine.alive { format!("up {} s", engine.up.as_secs()) } else { "gone: its last values".into() };
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "engine {} ({state})", engine.pid);
    for block in &snapshot.counters {
        let earlier = earlier.and_then(|(earlier, time)| Some((find(earlier, block)?, time)));
        let _ = writeln!(text, "\n{} {}", block.agent, block.block);
        for (index, (name, value)) in block.values.iter().enumerate() {
            let rate = earlier.map(|(earlier, time)| rate(earlier.values[index].1, *value, time)).unwrap_or_default();
            let _ = writeln!(text, "  {name:<28} {value:>20}{rate}");
        }
    }
    if !snapshot.histograms.is_empty() {
        let _ = write!(text, "\n{:<30} {:>12} {:>10}", "us", "count", "min");
        PERCENTILES.iter().for_each(|(_, name)| text.push_str(&format!(" {name:>10}")));
        let _ = writeln!(text, " {:>10}", "max");
    }
    for histogram in &snapshot.histograms {
        let name = format!("{} {}", histogram.agent, histogram.block);
        let _ = write!(text, "{name:<30} {:>12} {:>10.3}", histogram.histogram.len(), micros(histogram.min));
        let shown = PERCENTILES.iter().map(|(percentile, _)| histogram.percentile(*percentile)).chain([histogram.max]);
        shown.for_each(|ns| text.push_str(&format!(" {:>10.3}", micros(ns))));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The same block in another snapshot.
fn find<'a>(snapshot: &'a Snapshot, block: &Counters) -> Option<&'a Counters> {
    let same = |other: &&Counters| (&other.agent, &other.block) == (&block.agent, &block.block);
    snapshot.counters.iter().find(same).filter(|other| other.values.len() == block.values.len())
}

/// A counter may also be a level and fall: no rate then.
fn rate(before: u64, now: u64, time: Duration) -> String {
    match now.checked_sub(before) {
        Some(0) | None => String::new(),
        Some(more) => format!(" {:>14.1}/s", more as f64 / time.as_secs_f64().max(1e-9)),
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// One line of JSON: `ts_start` in UTC ns since 1970, times of histograms in ns.
fn object(engine: &Engine, snapshot: &Snapshot) -> String {
    let counters = snapshot.counters.iter().map(|block| {
        let values: Map<String, Value> =
            block.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({ "agent": block.agent, "block": block.block, "values": values })
    });
    let line = json!({
        "pid": engine.pid,
        "alive": engine.alive,
        "ts_start": engine.ts_start,
        "counters": counters.collect::<Value>(),
        "histograms": snapshot.histograms.iter().map(histogram_object).collect::<Value>(),
    });
    format!("{line}\n")
}

fn histogram_object(histogram: &NamedHistogram) -> Value {
    let mut object = json!({
        "agent": histogram.agent,
        "block": histogram.block,
        "count": histogram.histogram.len(),
        "min": histogram.min,
        "max": histogram.max,
        "sum": histogram.sum,
    });
    for (percentile, name) in PERCENTILES {
        object[name] = json!(histogram.percentile(percentile));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use hairtrigger::stats::StatsFile;

    hairtrigger::counts! {
        /// Counts of a test.
        pub struct Packets { packets, gaps }
    }

    const ENGINE: Engine = Engine { pid: 7, ts_start: 11, up: Duration::from_secs(90), alive: true };

    /// Snapshots before and after some work.
    fn snapshots() -> (Snapshot, Snapshot) {
        let mut stats = StatsFile::anonymous().unwrap();
        let mut counters = stats.counters::<Packets>("feed", "lines").unwrap();
        let mut histogram = stats.histogram("gateway", "tick to log").unwrap();
        let reader = stats.reader();
        counters.publish(&Packets { packets: 100, gaps: 5 });
        let before = reader.snapshot().unwrap();
        counters.publish(&Packets { packets: 300, gaps: 4 });
        histogram.record(1_500);
        (before, reader.snapshot().unwrap())
    }

    #[test]
    fn the_table_shows_rates_of_what_rose_and_microseconds() {
        let (before, after) = snapshots();
        let shown = table(&ENGINE, &after, Some((&before, Duration::from_secs(2))));
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "engine 7 (up 90 s)",
            "",
            "feed lines",
            "packets 300 100.0/s",
            "gaps 4",
            "",
            "us count min p50 p90 p99 p99.9 max",
            "gateway tick to log 1 1.500 1.500 1.500 1.500 1.500 1.500",
            "",
        ];
        assert_eq!(lines, expected);
        let gone = table(&Engine { alive: false, ..ENGINE }, &after, None);
        assert!(gone.starts_with("engine 7 (gone: its last values)\n") && !gone.contains("/s"));
    }

    #[test]
    fn json_is_one_line_with_the_same_values() {
        let line = object(&ENGINE, &snapshots().1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(value["counters"][0]["values"]["packets"], 300);
        assert_eq!((&value["histograms"][0]["p99.9"], &value["alive"]), (&json!(1_500), &json!(true)));
        assert_eq!(value["ts_start"], 11);
    }

    #[test]
    fn an_interval_is_checked() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(["0", "-1", "x", "nan", "inf"].iter().all(|text| seconds(text).is_err()));
    }
}
