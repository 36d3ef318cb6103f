//! Counters and histograms that others read without touching the engine.
//!
//! A pure stage counts in a plain struct made by [`counts!`](crate::counts); the agent that owns the stage copies
//! the struct to its [`CounterBlock`] when it did work. One writer a block.

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
