//! The writer's side: the file, and the blocks that agents write to.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::Counts;
use super::buckets::{BUCKETS, bucket_of};
use super::reader::StatsReader;
use super::record::{self, COUNTERS, HISTOGRAM};
use super::words::Words;
use crate::limits::STATS_SIZE;
use crate::model::Nanos;
use crate::sys::sync::atomic::{AtomicU64, Ordering};

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"HTSTATS\0");
pub(super) const FORMAT: u64 = 1;
/// Word of the first record.
pub(super) const RECORDS: usize = 8;
/// Values of a histogram before its buckets: min, max, sum.
pub(super) const MOMENTS: usize = 3;

/// Why counters cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The system says no.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An engine that lives writes to this file.
    #[error("{}: the engine with process id {pid} writes to it; give each engine a stats.file of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// That engine's process id.
        pid: u64,
    },
    /// No counters of this program.
    #[error("{}: not a stats file of hairtrigger", path.display())]
    NotStats {
        /// The file.
        path: PathBuf,
    },
    /// A format that this program does not know.
    #[error("{}: format {format}, and this hairtrigger reads {FORMAT}; use the one that writes it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// It ends too early, or a record does not make sense.
    #[error("{}: damaged at word {word}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in words of 8 bytes.
        word: usize,
    },
    /// No room for a further block.
    #[error("no room for a further block of counters in {STATS_SIZE} bytes")]
    Full,
}

/// The file of an engine's counters and histograms. To be kept as long as the engine runs: readers take the engine for
/// gone when this is dropped. The file itself stays, to be read then.
#[derive(Debug)]
pub struct StatsFile {
    words: Words,
    /// Word of the next record.
    next: usize,
    /// Locked while this process lives: so others know whether it does.
    _lock: Option<File>,
}

/// An agent's counters.
#[derive(Debug)]
pub struct CounterBlock {
    words: Words,
    first: usize,
    count: usize,
}

/// A histogram of times in ns.
#[derive(Debug)]
pub struct HistogramBlock {
    words: Words,
    first: usize,
}

impl StatsFile {
    /// Creates the file, in place of one whose engine has ended. `now` is the start time.
    ///
    /// # Errors
    /// [`StatsError::File`]; [`StatsError::InUse`].
    pub fn create(path: &Path, now: Nanos) -> Result<StatsFile, StatsError> {
        if let Ok(reader) = StatsReader::open(path)
            && reader.is_alive()
        {
            return Err(StatsError::InUse { path: path.into(), pid: reader.pid() });
        }
        // Under another name until it is whole: a reader never sees half a file, and one that still maps the old file keeps it.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}", process::id()));
        let create = || {
            let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
            // Written, not merely extended: on a full disk this fails here, and not at a store to the mapping.
            file.write_all(&vec![0; STATS_SIZE])?;
            file.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            })?;
            let words = Words::writable(&file)?;
            let stats = StatsFile { words, next: RECORDS, _lock: Some(file) };
            stats.begin(now);
            fs::rename(&unfinished, path)?;
            Ok(stats)
        };
        create().map_err(|source| StatsError::File { path: path.into(), source })
    }

    /// Counters of this process alone: for tests, and for engines that nobody watches.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn anonymous() -> io::Result<StatsFile> {
        let stats = StatsFile { words: Words::anonymous(STATS_SIZE)?, next: RECORDS, _lock: None };
        stats.begin(0);
        Ok(stats)
    }

    /// A block for an agent's counts.
    ///
    /// # Errors
    /// [`StatsError::Full`].
    pub fn counters<C: Counts>(&mut self, agent: &str, block: &str) -> Result<CounterBlock, StatsError> {
        let count = C::NAMES.len();
        let first = self.record(COUNTERS, &[&[agent, block], C::NAMES].concat(), count, |_| ())?;
        Ok(CounterBlock { words: self.words.clone(), first, count })
    }

    /// A histogram of an agent's.
    ///
    /// # Errors
    /// [`StatsError::Full`].
    pub fn histogram(&mut self, agent: &str, block: &str) -> Result<HistogramBlock, StatsError> {
        let least = |values: &[AtomicU64]| values[0].store(u64::MAX, Ordering::Relaxed);
        let first = self.record(HISTOGRAM, &[agent, block], MOMENTS + BUCKETS, least)?;
        Ok(HistogramBlock { words: self.words.clone(), first })
    }

    /// What a reader sees now.
    pub fn reader(&self) -> StatsReader {
        StatsReader::of(self.words.clone())
    }

    fn begin(&self, now: Nanos) {
        let words = self.words.get();
        for (word, value) in words.iter().zip([0, FORMAT, process::id().into(), now]) {
            word.store(value, Ordering::Relaxed);
        }
        words[0].store(MAGIC, Ordering::Release);
    }

    /// Writes a record, and returns the word of its first value.
    fn record(
        &mut self,
        kind: u64,
        names: &[&str],
        values: usize,
        begin: impl Fn(&[AtomicU64]),
    ) -> Result<usize, StatsError> {
        let text = names.join("\n");
        let written = record::write(self.words.get(), self.next, (kind, &text), values, begin);
        let (first, end) = written.ok_or(StatsError::Full)?;
        self.next = end;
        Ok(first)
    }
}

impl CounterBlock {
    /// Makes the counts visible to readers.
    #[inline]
    pub fn publish(&mut self, counts: &impl Counts) {
        let mut words = self.words.get()[self.first..self.first + self.count].iter();
        counts.each(|value| {
            if let Some(word) = words.next() {
                word.store(value, Ordering::Relaxed);
            }
        });
    }
}

impl HistogramBlock {
    /// Counts a time, in ns.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let values = &self.words.get()[self.first..self.first + MOMENTS + BUCKETS];
        // This is the only writer, so a load and a store do what an atomic addition would.
        let update = |word: &AtomicU64, value: u64| word.store(value, Ordering::Relaxed);
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        if ns < load(&values[0]) {
            update(&values[0], ns);
        }
        if ns > load(&values[1]) {
            update(&values[1], ns);
        }
        update(&values[2], load(&values[2]).wrapping_add(ns));
        let bucket = &values[MOMENTS + bucket_of(ns)];
        update(bucket, load(bucket) + 1);
    }
}
