//! Rules over a recorded feed, offline and deterministic: the very shards of the engine, as fast as the machine can.
//!
//! ```text
//!  recording --> partition ----> shard 0 --.
//!  rules.csv --> by symbol ----> shard 1 --+--> merge: rows, sorted by (sequence, command) --> events.csv
//!  or a journal
//! ```
//!
//! One shard runs on the caller's thread; several have a thread each, and get their work in blocks. The merge has a thread of
//! its own, and so has the unpacking of a gzipped feed. Every so many messages all shards hand in what they told, so memory
//! does not grow with the feed. What a symbol's shard tells is in order already, and no two shards share a message or a
//! command: merging by (sequence, command ordinal) restores the one order there is.
//!
//! Cost: with many shards that of the caller's thread, which reads, decodes and routes every message.

mod events;
mod merge;
mod script;
mod shards;
mod told;
mod worker;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::archive::Day;
use crate::feed::downstream::Downstream;
use crate::feed::recording::{Damage, Recording, RecordingError};
use crate::limits::REPLAY_BATCH;
use crate::model::{Command, Nanos, Refusal, RuleCommand, RuleKey};
use crate::partition::{Partition, Shards};
use crate::rules_csv::{CsvError, Op, Row};
use events::EventsWriter;
use merge::{Merged, merge};
use script::Script;
use shards::ReplayShards;

/// Why a replay did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The rules file; nothing was run or written.
    #[error(transparent)]
    Rules(#[from] CsvError),
    /// The feed; nothing was run or written.
    #[error(transparent)]
    Feed(#[from] RecordingError),
    /// The rules that stood before the journal's day find no room.
    #[error("the rules that stood before the session: {0}")]
    Restore(Refusal),
    /// The events file cannot be written.
    #[error("{path}: {source}")]
    Out {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// What was done, as the last line on standard error says it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// All messages, skipped ones too.
    pub messages: u64,
    /// Messages that gave a `last`.
    pub prints: u64,
    /// Messages about orders that are not there.
    pub unknown_orders: u64,
    /// Messages that name another symbol than their locate's.
    pub symbol_conflicts: u64,
    /// Messages of a wrong length.
    pub malformed: u64,
    /// Messages of no known type.
    pub unknown_types: u64,
    /// Rows carried out or rejected.
    pub commands: u64,
    /// Rows of alerts.
    pub alerts: u64,
    /// Seconds of matching; what is written meanwhile costs none, where it finds a core and keeps up.
    pub elapsed_s: f64,
    /// Messages a second of it.
    pub messages_per_s: u64,
    /// After a journal: changes that it has otherwise than this replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<u64>,
    /// What ended the feed early; everything before was run and written.
    #[serde(skip)]
    pub damage: Option<String>,
    /// The first of the differences, a sentence each.
    #[serde(skip)]
    pub first_differences: Vec<String>,
}

/// Runs the rules of one file over the feed in another and writes what happens to a third.
/// # Errors
/// [`ReplayError`]; a feed that is damaged later on is none, see [`Summary::damage`].
pub fn run(feed: &Path, rules: &Path, out: &Path, shards: usize) -> Result<Summary, ReplayError> {
    let script = Script::of_rules(crate::rules_csv::read(rules)?);
    run_script(Recording::open(feed)?, &script, Some(out), shards)
}

/// Carries out what a journal has of a day where it was carried out then, over the recorded feed of that day, whose stamps
/// count from `midnight` in UTC nanoseconds. What is written, if it is to be, is what the engine told, apart from refusals, which no
/// journal has.
/// # Errors
/// [`ReplayError`]. What the journal has otherwise is none: see [`Summary::differences`].
pub fn run_day(
    feed: Recording,
    day: Day,
    midnight: Nanos,
    out: Option<&Path>,
    shards: usize,
) -> Result<Summary, ReplayError> {
    run_script(feed, &Script::of_day(day, midnight), out, shards)
}

fn run_script(mut feed: Recording, script: &Script, out: Option<&Path>, shards: usize) -> Result<Summary, ReplayError> {
    let (shards, told) = ReplayShards::new(shards, script).map_err(ReplayError::Restore)?;
    let fail = |source| ReplayError::Out { path: out.unwrap_or(Path::new("")).into(), source };
    let file: Box<dyn Write + Send> = match out {
        Some(path) => Box::new(File::create(path).map_err(fail)?),
        None => Box::new(io::sink()),
    };
    let out = BufWriter::with_capacity(1 << 20, file);
    let mut writer = EventsWriter::new(out, &script.file, script.midnight).map_err(fail)?;
    feed.rewind_aside();
    let replay = Replay::new(feed, script, shards);
    let (summary, merged) = std::thread::scope(|scope| {
        let merge = scope.spawn(|| merge(told, script, &mut writer));
        let summary = replay.run(|| merge.is_finished());
        (summary, merge.join().expect("the merge does not panic"))
    });
    let Merged { alerts, differences, first_differences } = merged.map_err(fail)?;
    let differences = script.is_journal.then_some(differences);
    Ok(Summary { alerts, differences, first_differences, ..summary })
}

struct Replay<'r> {
    recording: Recording,
    script: &'r Script,
    partition: Partition<ReplayShards>,
    rows_done: usize,
}

impl<'r> Replay<'r> {
    fn new(recording: Recording, script: &'r Script, shards: ReplayShards) -> Replay<'r> {
        let midnight = script.midnight;
        Replay { recording, script, partition: Partition::new(shards, Box::new(move |_| midnight)), rows_done: 0 }
    }

    /// Runs the whole feed, unless the merge ends before it: then it could not write.
    fn run(mut self, merge_has_ended: impl Fn() -> bool) -> Summary {
        let start = Instant::now();
        while self.run_batch() && !merge_has_ended() {
            self.partition.shards.hand_in();
        }
        self.partition.shards.hand_in();
        let damage = self.recording.damage().map(Damage::to_string);
        let partition = self.partition.counts();
        let shards = self.partition.shards.finish();
        let elapsed = start.elapsed();
        Summary {
            messages: partition.messages,
            prints: shards.prints,
            unknown_orders: partition.unknown_orders + shards.unknown_orders,
            symbol_conflicts: partition.symbol_conflicts,
            malformed: partition.malformed,
            unknown_types: partition.unknown_types,
            commands: self.rows_done as u64,
            elapsed_s: elapsed.as_secs_f64(),
            messages_per_s: (partition.messages as f64 / elapsed.as_secs_f64()) as u64,
            damage,
            ..Summary::default()
        }
    }

    /// Runs messages, and the rows before them. False at the end of the feed, after the remaining rows.
    fn run_batch(&mut self) -> bool {
        for _ in 0..REPLAY_BATCH {
            let Some((sequence, message)) = self.recording.next() else {
                // A rule may have expired by messages of which its shard has seen none.
                self.partition.heartbeat(0);
                run_rows(self.script, &mut self.rows_done, &mut self.partition, u64::MAX);
                if self.script.is_journal {
                    self.partition.shards.end_journal();
                }
                return false;
            };
            if self.script.file.rows.get(self.rows_done).is_some_and(|row| row.at <= sequence) {
                run_rows(self.script, &mut self.rows_done, &mut self.partition, sequence);
            }
            let routed = self.partition.route(sequence, 0, message);
            debug_assert!(routed, "a replay's shards wait until there is room");
        }
        true
    }
}

/// Carries out the rows that take effect before the message `sequence`.
fn run_rows(script: &Script, done: &mut usize, partition: &mut Partition<ReplayShards>, sequence: u64) {
    while let Some(row) = script.file.rows.get(*done).filter(|row| row.at <= sequence) {
        let (feed_time, version) = (script.feed_time(*done, partition.feed_time()), script.set_version(*done));
        *done += 1;
        let shard = row.symbol.shard(partition.shards.count());
        let command = command_of(row, *done as u64, feed_time);
        partition.shards.command(shard, &command, version);
    }
}

fn command_of(row: &Row, ordinal: u64, feed_time: u64) -> RuleCommand {
    let key = RuleKey { user: row.user, symbol: row.symbol, slot: row.slot, account: row.account };
    let command = match row.op {
        Op::Set(spec) => Command::Set(key, spec),
        Op::Remove { tag } => Command::Remove(key, tag),
    };
    RuleCommand { ordinal, feed_time, command }
}
