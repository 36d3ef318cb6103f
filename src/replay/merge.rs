//! The last stage, on a thread of its own: what all shards told is put into the one order there is, and written.

use std::io::{self, Write};

use super::events::EventsWriter;
use super::script::Script;
use super::told::{HandedIn, Told};

/// Differences from a journal that are told one by one.
const DIFFERENCES_SHOWN: usize = 10;

/// What was written and found.
#[derive(Default)]
pub struct Merged {
    /// Rows of alerts.
    pub alerts: u64,
    /// Changes that the journal has otherwise.
    pub differences: u64,
    /// The first of them, a sentence each.
    pub first_differences: Vec<String>,
}

/// Takes what `shards` hand in, batch by batch, until they have ended.
/// # Errors
/// Those of writing.
pub fn merge(shards: Vec<HandedIn>, script: &Script, writer: &mut EventsWriter<'_, impl Write>) -> io::Result<Merged> {
    let mut merged = Merged::default();
    while let Some(mut told) = batch(&shards) {
        told.sort_by_key(|told| script.order(told));
        for difference in told.iter().filter_map(|told| script.difference(told)) {
            merged.differences += 1;
            if merged.first_differences.len() < DIFFERENCES_SHOWN {
                merged.first_differences.push(difference.to_string());
            }
        }
        writer.write(&told)?;
    }
    merged.alerts = writer.finish()?;
    Ok(merged)
}

/// What all shards told in the next batch, each shard's in its order; `None` when they have ended.
fn batch(shards: &[HandedIn]) -> Option<Vec<Told>> {
    let mut told = vec![];
    for shard in shards {
        told.append(&mut shard.recv().ok()?);
    }
    Some(told)
}
