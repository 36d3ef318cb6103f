//! Values that travel between the stages: plain `Copy` data, no behaviour beyond reading, printing and ordering them.
//!
//! Nothing here knows a socket, a file, a thread or a clock. Stages never import each other; what they
//! exchange is defined here.

mod alert;
mod change;
mod event;
mod price;
mod rule;
mod symbol;

pub use alert::{Alert, AlertKind, Reason, flag};
pub use change::{Change, ChangeKind, Journaled, LogPosition, RestoredRule, RestoredSymbol, Standing};
pub use event::{Action, MarketEvent, Side, event_flag};
pub use price::{Price, PriceError};
pub use rule::{
    AccountId, Applied, Command, Comparison, Fire, Listed, OnSet, Outcome, Refusal, RuleCommand, RuleKey, RuleSpec,
    RuleState, Signal,
};
pub use symbol::{Symbol, SymbolError};

/// An account's name as records and messages have it: ASCII, padded on the right with spaces. Its number is the process's
/// business, and may be another tomorrow.
pub type AccountName = [u8; 6];

/// Nanoseconds. Live: since 1970-01-01T00:00:00Z. In `replay`: since midnight of the feed's day.
pub type Nanos = u64;

/// "Never", for an expiry.
pub const NEVER: Nanos = u64::MAX;
