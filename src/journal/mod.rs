//! The journal: every change of the rules, on disk before it is acknowledged.
//!
//! ```text
//!   record    one change in bytes, chained to the one before     storage   files as the journal needs them
//!   segment   one file of records, and where it ends             writer    batches to segments, each synced
//!   scan      all segments of a journal, as one chain            agent     rings on one side, the disk's thread on the other
//!   recovery  from journal and alert log to the rules that are put back
//! ```

pub mod agent;
pub mod record;
pub mod recovery;
#[cfg(test)]
mod samples;
pub mod scan;
pub mod segment;
pub mod storage;
pub mod writer;
