//! The matcher: order tables, books, threshold ladders, rules; one world per shard.

pub mod agent;
pub mod book;
pub mod index;
pub mod ladder;
pub mod orders;
pub mod rules;
pub mod shard;
