//! The reader's side: snapshots of what an engine counts, or counted when it ended.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::buckets::{BUCKETS, VALUE_MAX, last_of};
use super::file::{FORMAT, MAGIC, MOMENTS, RECORDS, StatsError};
use super::record::{self, COUNTERS, HISTOGRAM, Record};
use super::words::Words;
use crate::model::Nanos;
use crate::sys::sync::atomic::{AtomicU64, Ordering};

/// Digits of the histograms handed out: finer than the buckets.
const DIGITS: u8 = 3;

/// A stats file, open to read.
#[derive(Debug)]
pub struct StatsReader {
    words: Words,
    path: PathBuf,
    file: Option<File>,
}

/// All counters and histograms at about one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The counters, in the order in which the engine made them.
    pub counters: Vec<Counters>,
    /// The histograms, likewise.
    pub histograms: Vec<NamedHistogram>,
}

/// A block of counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Whose.
    pub agent: String,
    /// Of which of its stages.
    pub block: String,
    /// Names and values.
    pub values: Vec<(String, u64)>,
}

/// A histogram of times in ns.
#[derive(Clone, Debug)]
pub struct NamedHistogram {
    /// Whose.
    pub agent: String,
    /// What was measured.
    pub block: String,
    /// Least value, exact; 0 when there is none.
    pub min: u64,
    /// Greatest value, exact.
    pub max: u64,
    /// Sum of all values, modulo 2^64.
    pub sum: u64,
    /// The values, each as the greatest of its bucket: up to 1/64 too high, never too low.
    pub histogram: Histogram<u64>,
}

impl StatsReader {
    /// Opens a file of an engine that runs or has ended.
    ///
    /// # Errors
    /// [`StatsError`]: no such file, another kind of file, another format.
    pub fn open(path: &Path) -> Result<StatsReader, StatsError> {
        let failed = |source| StatsError::File { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        // An empty file cannot be mapped.
        if size < 8 {
            return Err(StatsError::NotStats { path: path.into() });
        }
        let words = Words::read_only(&file).map_err(failed)?;
        let header = words.get();
        if header[0].load(Ordering::Acquire) != MAGIC {
            return Err(StatsError::NotStats { path: path.into() });
        }
        let Some([format, ..]) = header.get(1..RECORDS) else {
            return Err(StatsError::Damaged { path: path.into(), word: header.len() });
        };
        match format.load(Ordering::Relaxed) {
            FORMAT => Ok(StatsReader { words, path: path.into(), file: Some(file) }),
            format => Err(StatsError::Format { path: path.into(), format }),
        }
    }

    /// The counters of this very process.
    pub(super) fn of(words: Words) -> StatsReader {
        StatsReader { words, path: "(memory)".into(), file: None }
    }

    /// The engine's process id.
    pub fn pid(&self) -> u64 {
        self.words.get()[2].load(Ordering::Relaxed)
    }

    /// When the engine started, in UTC ns since 1970.
    pub fn ts_start(&self) -> Nanos {
        self.words.get()[3].load(Ordering::Relaxed)
    }

    /// True while the engine lives: it holds a lock on the file, which the kernel gives back however it ends.
    pub fn is_alive(&self) -> bool {
        let Some(file) = &self.file else { return true };
        match file.try_lock_shared() {
            Ok(()) => file.unlock().is_err(),
            Err(error) => matches!(error, TryLockError::WouldBlock),
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`StatsError::Damaged`].
    pub fn snapshot(&self) -> Result<Snapshot, StatsError> {
        let mut snapshot = Snapshot { counters: vec![], histograms: vec![] };
        let mut at = RECORDS;
        while let Some(size) = self.record(at, &mut snapshot).ok_or_else(|| self.damaged(at))? {
            at += size;
        }
        Ok(snapshot)
    }

    fn damaged(&self, word: usize) -> StatsError {
        StatsError::Damaged { path: self.path.clone(), word }
    }

    /// Reads a record into the snapshot and returns its size in words, `Some(None)` at the end, `None` when it is damaged.
    fn record(&self, at: usize, snapshot: &mut Snapshot) -> Option<Option<usize>> {
        let Some(Record { kind, size, text, values }) = record::read(self.words.get(), at)? else { return Some(None) };
        let mut names = text.split('\n').map(str::to_string);
        let (agent, block) = (names.next()?, names.next()?);
        match kind {
            COUNTERS => {
                let values = names.zip(values.iter().map(|word| word.load(Ordering::Relaxed))).collect();
                snapshot.counters.push(Counters { agent, block, values });
            }
            HISTOGRAM => snapshot.histograms.push(histogram(agent, block, values)?),
            _ => return None,
        }
        Some(Some(size))
    }
}

fn histogram(agent: String, block: String, values: &[AtomicU64]) -> Option<NamedHistogram> {
    let (moments, buckets) = values.split_at_checked(MOMENTS)?;
    if buckets.len() != BUCKETS {
        return None;
    }
    let mut histogram = Histogram::new_with_max(VALUE_MAX, DIGITS).ok()?;
    for (bucket, count) in buckets.iter().enumerate() {
        let count = count.load(Ordering::Relaxed);
        if count > 0 {
            histogram.saturating_record_n(last_of(bucket), count);
        }
    }
    let [min, max, sum] = [0, 1, 2].map(|moment: usize| moments[moment].load(Ordering::Relaxed));
    Some(NamedHistogram { agent, block, min: if max < min { 0 } else { min }, max, sum, histogram })
}

impl NamedHistogram {
    /// The value below or at which so many of 100 values are, in ns, at most the greatest.
    pub fn percentile(&self, percentile: f64) -> u64 {
        self.histogram.value_at_percentile(percentile).min(self.max)
    }
}

#[cfg(test)]
mod tests;
