//! The journal: every change of the rules, on disk before it is acknowledged.
//!
//! ```text
//!   record    one change in bytes, chained to the one before     storage   files as the journal needs them
//!   segment   one file of records, and where it ends             writer    batches to segments, each synced
//!   scan      all segments of a journal, as one chain            agent     rings on one side, the disk's thread on the other
//!   snapshot  one file of all rules, up to a place of journal and alert log
//!   recovery  from snapshot, journal and alert log to the rules that are there
//!   restart   what a start finds                             compaction  a thread that makes snapshots and removes what is old
//! ```

pub mod agent;
pub mod compaction;
pub mod record;
pub mod recovery;
pub mod restart;
#[cfg(test)]
mod samples;
pub mod scan;
pub mod segment;
pub mod snapshot;
pub mod storage;
pub mod writer;
