//! The matcher: order tables, books, threshold ladders, rules; one world per shard.
//!
//! ```text
//!   shard      takes events and commands               agent     a shard between its rings
//!   |- symbols   names, triggers, last prices, ladders
//!   |- orders, book                                     ladder    sorted entries: thresholds, levels, expiries
//!   |- rules, index, policies                           hash      keyed, for what comes from outside
//!   |- market, firing, commands, walk, standings, books, held
//! ```

pub mod agent;
pub mod ahead;
pub mod book;
mod books;
mod commands;
mod firing;
mod hash;
mod held;
pub mod index;
pub mod ladder;
mod market;
pub mod orders;
mod policies;
mod restore;
pub mod rules;
pub mod shard;
mod standings;
mod symbols;
mod walk;
