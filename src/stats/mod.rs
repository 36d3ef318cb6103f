//! Counters and histograms that others read without touching the engine.
//!
//! A pure stage counts in a plain struct made by [`counts!`](crate::counts); the agent that owns the stage copies
//! the struct to its [`CounterBlock`] when it did work. One writer a block.
//!
//! The blocks lie in a mapped file, a sequence of little-endian 64-bit words, that needs nothing else to be understood:
//!
//! ```text
//!  word 0      1        2    3         4        8                               multiples of 16
//!  +-----------+--------+----+---------+........+-------------------------------+-------+-----
//!  | magic     | format | pid| ts_start| unused | record: a block               | record| 0
//!  +-----------+--------+----+---------+........+-------------------------------+-------+-----
//!  record:  kind | words in all | first value | values | bytes of text | text ... | values ...
//!  kind:    1 counters, 2 histogram; 0: no further record
//!  text:    agent, block, and the name of each value of a counter block, with line feeds between them
//!  values:  counters: one word each; histogram: min, max, sum, then the counts of the buckets (see `buckets`)
//! ```
//!
//! Every value has one writer, which loads and stores it relaxed: a reader sees each word whole and never going back, but
//! two words of one snapshot may be a few events apart. A record's kind is stored last, with release, and loaded
//! with acquire: who sees the record sees its text.

mod buckets;
mod file;
mod reader;
mod record;
mod words;

pub use file::{CounterBlock, HistogramBlock, StatsError, StatsFile};
pub use reader::{Counters, NamedHistogram, Snapshot, StatsReader};

/// Named counts: plain `u64` fields of one struct.
pub trait Counts {
    /// The fields' names, in order.
    const NAMES: &'static [&'static str];
    /// Hands each value to `each`, in the order of the names.
    fn each(&self, each: impl FnMut(u64));
}

/// Declares a struct of `u64` counts, all public, with [`Counts`] implemented.
#[macro_export]
macro_rules! counts {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: u64),* }

        impl $crate::stats::Counts for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];
            #[inline]
            fn each(&self, mut each: impl FnMut(u64)) { $(each(self.$field);)* }
        }
    };
}
