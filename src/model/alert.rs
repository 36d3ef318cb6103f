//! What a shard tells the alert side: alerts, ends of rules, and what the log must know.

use super::{Comparison, Nanos, Price, RuleKey, Signal};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AlertKind {
    /// The rule fired.
    Alert,
    /// The rule ended without an alert.
    Ended,
    /// The print with this `locate` and `match_number` was broken: names no rule. The alert log finds those that it fired.
    Broken,
    /// Feed messages `sequence` to `match_number - 1` are lost for good.
    Gap,
    /// The feed fell silent.
    Silent,
    /// The feed speaks again.
    Resumed,
    /// A new feed session begins before `sequence`; its 10 bytes as in `MarketEvent::session`, in `tag` and `match_number`.
    Session,
    /// The feed's session is over.
    EndOfSession,
    /// Internal, in no account's stream: the rule became met without an alert (set or first seen so, or in its cooldown).
    Met,
    /// Internal, in no account's stream: the rule is clear again.
    Rearmed,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// No reason applies.
    None,
    /// The signal moved over the threshold.
    Cross,
    /// The condition held when the rule was set, or at the first value seen after.
    Initial,
    /// By a remove.
    Removed,
    /// By a new rule on its key.
    Replaced,
    /// By time.
    Expired,
}

impl Reason {
    /// The name in files, messages and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::Cross => "cross",
            Reason::Initial => "initial",
            Reason::Removed => "removed",
            Reason::Replaced => "replaced",
            Reason::Expired => "expired",
        }
    }
}

/// Bits of [`Alert::flags`].
pub mod flag {
    /// This event ended the rule.
    pub const LAST: u8 = 1;
    /// First update of this signal since an unfilled gap: an edge may have been missed.
    pub const AFTER_GAP: u8 = 2;
    /// There is an unfilled gap in this session, or orders were lost, and the price comes from the order table.
    pub const BOOK_SUSPECT: u8 = 4;
    /// This very print caused it (a `last` alert, not one found at set time): a `Broken` of its match number names it.
    pub const BY_PRINT: u8 = 8;
    /// First alert of a rule that was put back after a crash which may have taken word of its earlier alerts: it may have fired before.
    pub const STATE_UNSURE: u8 = 16;
}

/// One thing to tell, two cache lines. Fields that a kind does not name are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Alert {
    /// The rule.
    pub key: RuleKey,
    /// Its version.
    pub version: u64,
    /// Its tag.
    pub tag: u64,
    /// Its threshold.
    pub threshold: Price,
    /// The signal's value.
    pub price: Price,
    /// The feed message that caused it; for a command, the one from which that holds; for an expiry 0.
    pub sequence: u64,
    /// The command that caused it, 0 for a message.
    pub ordinal: u64,
    /// The message's stamp; for a command feed time; for an expiry the expiry.
    pub ts_event: Nanos,
    /// When the message's datagram was read; 0 for a command.
    pub ts_recv: Nanos,
    /// When the shard fired it; 0 in `replay`.
    pub ts_match: Nanos,
    /// The print's match number, or what the kind says.
    pub match_number: u64,
    /// The feed's number for the symbol.
    pub locate: u16,
    /// What is told.
    pub kind: AlertKind,
    /// Why.
    pub reason: Reason,
    /// See [`flag`].
    pub flags: u8,
    /// The rule's signal.
    pub signal: Signal,
    /// The rule's comparison.
    pub comparison: Comparison,
}

const _: () = assert!(size_of::<Alert>() == 128);

impl Alert {
    /// An alert that says nothing but its kind.
    pub const fn new(kind: AlertKind) -> Alert {
        Alert {
            key: RuleKey::NONE,
            version: 0,
            tag: 0,
            threshold: Price(0),
            price: Price(0),
            sequence: 0,
            ordinal: 0,
            ts_event: 0,
            ts_recv: 0,
            ts_match: 0,
            match_number: 0,
            locate: 0,
            kind,
            reason: Reason::None,
            flags: 0,
            signal: Signal::Last,
            comparison: Comparison::Below,
        }
    }

    /// True when this flag is up.
    pub const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
