//! What the engine itself counts and measures, from its stats file.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use hairtrigger::stats::{Snapshot, StatsReader};
use hdrhistogram::Histogram;

use crate::alerts::histogram;

/// The histograms by name.
pub struct Histograms(BTreeMap<String, Histogram<u64>>);

impl Histograms {
    /// As they stand.
    pub fn read(file: &Path) -> Result<Histograms, Box<dyn Error>> {
        let of = StatsReader::open(file)?.snapshot()?.histograms.into_iter();
        Ok(Histograms(of.map(|named| (named.block, named.histogram)).collect()))
    }

    /// What came in since an earlier reading.
    pub fn since(mut self, before: &Histograms) -> Result<Histograms, Box<dyn Error>> {
        for (name, histogram) in &mut self.0 {
            if let Some(earlier) = before.0.get(name) {
                histogram.subtract(earlier)?;
            }
        }
        Ok(self)
    }

    /// The one of this name; empty where the engine has none.
    pub fn of(&self, name: &str) -> Histogram<u64> {
        let mut found = histogram();
        if let Some(named) = self.0.get(name) {
            // Its bounds are the narrower ones.
            let _ = found.add(named);
        }
        found
    }
}

/// The counters, by `agent.block.name`.
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// As they stand.
    pub fn read(file: &Path) -> Result<Counters, Box<dyn Error>> {
        let Snapshot { counters, .. } = StatsReader::open(file)?.snapshot()?;
        let named = counters.into_iter().flat_map(|block| {
            let head = format!("{}.{}", block.agent, block.block);
            block.values.into_iter().map(move |(name, value)| (format!("{head}.{name}"), value))
        });
        Ok(Counters(named.collect()))
    }

    /// How far each counter whose name ends so has moved since an earlier reading, all together.
    pub fn moved(&self, before: &Counters, ending: &str) -> u64 {
        let of = |counters: &Counters| -> u64 {
            counters.0.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, value)| value).sum()
        };
        of(self).saturating_sub(of(before))
    }
}
