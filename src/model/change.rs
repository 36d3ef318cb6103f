//! What the journal keeps: changes of the rules as they took effect, and now and then where a symbol stands.

use super::{Nanos, Price, RuleKey, RuleSpec, RuleState, Symbol};

/// A change, and where it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Change {
    /// The command's place among all commands. Several changes have one ordinal where a command removed several rules.
    pub ordinal: u64,
    /// The feed sequence from which it holds: it took effect before this message and after all earlier ones of the shard.
    pub feed_sequence: u64,
    /// Feed time when it took effect.
    pub feed_time: Nanos,
    /// The feed's session that `feed_sequence` counts in; spaces before the first one.
    pub feed_session: [u8; 10],
    /// The shard that it took effect in.
    pub shard: u16,
    /// The rule.
    pub key: RuleKey,
    /// Its version: its ordinal among the accepted sets of its symbol.
    pub version: u64,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was set, in place of an earlier one of its key if there was one, and then stood so.
    Set(RuleSpec, RuleState),
    /// It was removed.
    Removed,
}

/// Where a symbol stands in its shard: what no change and no alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub symbol: Symbol,
    /// It stands so before this message of the feed; all earlier ones of the shard have been seen.
    pub feed_sequence: u64,
    /// Feed time then.
    pub feed_time: Nanos,
    /// The feed's session that `feed_sequence` counts in.
    pub feed_session: [u8; 10],
    /// The shard.
    pub shard: u16,
    /// Price of the last print of this session, if there was one.
    pub last: Option<Price>,
    /// Per signal: rules up to this version have seen a value.
    pub evaluated: [u64; 4],
}

/// What is written to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journaled {
    /// A change of a rule.
    Change(Change),
    /// Where a symbol stands.
    Standing(Standing),
}

const _: () = assert!(size_of::<Change>() <= 192 && size_of::<Journaled>() <= 256);

/// A rule as it is put back after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredRule {
    /// Its key.
    pub key: RuleKey,
    /// What it says.
    pub spec: RuleSpec,
    /// Its version.
    pub version: u64,
    /// Where it stands: never [`RuleState::Fired`].
    pub state: RuleState,
    /// Alerts that it has given.
    pub fires: u32,
    /// No alert before this feed time.
    pub quiet_until: Nanos,
    /// False when firings may have been lost: its first alert says so.
    pub is_sure: bool,
}

/// What is known of a symbol after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredSymbol {
    /// Its name.
    pub symbol: Symbol,
    /// The greatest version that was ever given.
    pub version: u64,
    /// The feed's session of the last thing that is known to have happened to its rules,
    pub feed_session: [u8; 10],
    /// and its sequence there: messages before it have been seen, and fire nothing again.
    pub feed_sequence: u64,
    /// Another session, and how far that has been seen.
    pub other: ([u8; 10], u64),
    /// Price of the last print of that session that is known, and the message up to which it was the last.
    pub last: Option<(Price, u64)>,
}

/// A place in the alert log: behind all records before it. The default is the log's very start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The number of the session.
    pub session: u64,
    /// The segment's place among the session's, from 0.
    pub segment: u64,
    /// Bytes from the start of the segment's file.
    pub offset: u64,
}
