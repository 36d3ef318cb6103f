//! Rules: their keys, what they say, the commands that change them, and what became of a command.

use super::{Nanos, Price, Symbol};

/// An account's number within the engine: its position among the accounts of the config. 0 is a valid account.
pub type AccountId = u16;

/// What a rule watches. The order is the order in which signals are evaluated after one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Signal {
    /// Price of the last print.
    Last,
    /// Best displayed bid.
    Bid,
    /// Best displayed ask.
    Ask,
    /// (bid + ask) / 2.
    Mid,
}

impl Signal {
    /// All, in the order of evaluation.
    pub const ALL: [Signal; 4] = [Signal::Last, Signal::Bid, Signal::Ask, Signal::Mid];

    /// The name in files, answers and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Last => "last",
            Signal::Bid => "bid",
            Signal::Ask => "ask",
            Signal::Mid => "mid",
        }
    }
}

/// How signal and threshold are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Comparison {
    /// signal < threshold
    Below,
    /// signal > threshold
    Above,
    /// signal <= threshold
    AtOrBelow,
    /// signal >= threshold
    AtOrAbove,
}

impl Comparison {
    /// All, in the order of their codes.
    pub const ALL: [Comparison; 4] =
        [Comparison::Below, Comparison::Above, Comparison::AtOrBelow, Comparison::AtOrAbove];

    /// The name in files, answers and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Comparison::Below => "below",
            Comparison::Above => "above",
            Comparison::AtOrBelow => "at_or_below",
            Comparison::AtOrAbove => "at_or_above",
        }
    }
}

/// What becomes of a rule when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fire {
    /// It is removed.
    Once,
    /// It waits for the signal to come back, then for the next crossing.
    Repeat,
}

impl Fire {
    /// The name in files, answers and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Fire::Once => "once",
            Fire::Repeat => "repeat",
        }
    }
}

/// What happens when the condition holds already at set time, or at the first value seen after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OnSet {
    /// It fires, reason `initial`.
    Fire,
    /// It must clear first.
    Wait,
    /// The set is refused; at a first value seen later it must clear first.
    Reject,
}

impl OnSet {
    /// The name in files, answers and tables.
    pub const fn name(self) -> &'static str {
        match self {
            OnSet::Fire => "fire",
            OnSet::Wait => "wait",
            OnSet::Reject => "reject",
        }
    }
}

/// What names a rule. The symbol is part of it, so the key alone names the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct RuleKey {
    /// The user, a number that the account chose.
    pub user: u64,
    /// The symbol.
    pub symbol: Symbol,
    /// Which of the user's rules on this symbol.
    pub slot: u32,
    /// The account that owns it.
    pub account: AccountId,
}

impl RuleKey {
    /// No rule.
    pub const NONE: RuleKey = RuleKey { user: 0, symbol: Symbol::BLANK, slot: 0, account: 0 };
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// The price that is compared with.
    pub threshold: Price,
    /// How far beyond the threshold the signal must come back before the rule is clear again; >= 0.
    pub rearm: Price,
    /// The least time between two alerts; 0: none.
    pub cooldown: Nanos,
    /// Feed time from which it does not fire any more; [`super::NEVER`]: none.
    pub expires_at: Nanos,
    /// Handed back in every event of the rule.
    pub tag: u64,
    /// Alerts after which a `repeat` rule ends; 0: no bound.
    pub max_fires: u32,
    /// What it watches.
    pub signal: Signal,
    /// How it compares.
    pub comparison: Comparison,
    /// What becomes of it when it fires.
    pub fire: Fire,
    /// What if it holds already.
    pub on_set: OnSet,
}

impl RuleSpec {
    /// `signal comparison threshold`, everything else at its default.
    pub const fn new(signal: Signal, comparison: Comparison, threshold: Price) -> RuleSpec {
        RuleSpec {
            threshold,
            rearm: Price(0),
            cooldown: 0,
            expires_at: super::NEVER,
            tag: 0,
            max_fires: 0,
            signal,
            comparison,
            fire: Fire::Once,
            on_set: OnSet::Fire,
        }
    }
}

/// Where a rule stands with its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RuleState {
    /// No value of the signal since it was set, and none then.
    Unknown,
    /// The condition is false: the next crossing fires.
    Clear,
    /// The condition was true and has been told: it must clear first.
    Met,
    /// It fired when it was set, and that ended it.
    Fired,
}

/// What a client asks of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Set the rule of this key, replacing the one that it has.
    Set(RuleKey, RuleSpec),
    /// Remove the rule of this key. The tag is handed back when there is none.
    Remove(RuleKey, u64),
    /// Remove all rules of a user, walking the shard's rules in slices. One
    /// [`Outcome::UserRuleRemoved`] each, then [`Outcome::UserRemoved`].
    RemoveUser {
        /// The account that owns them.
        account: AccountId,
        /// The user.
        user: u64,
    },
    /// List an account's rules (of one user, or all) from `cursor` on, at most `limit` of them: one
    /// [`Outcome::Listed`] each, then [`Outcome::ListEnd`].
    List {
        /// The account that owns them.
        account: AccountId,
        /// Only this user's.
        user: Option<u64>,
        /// Where to go on: 0, or what the last `ListEnd` gave.
        cursor: u64,
        /// At most this many.
        limit: u32,
    },
    /// Control's own, never a client's, and without an ordinal: tell where the next few symbols stand, from this place of the
    /// shard's table on. One [`Outcome::Standing`] for each of which there is something to tell, then [`Outcome::Told`].
    Tell {
        /// Where to go on: 0, or what the last `Told` gave.
        cursor: u64,
        /// Of all symbols, once nothing is on its way to the shard any more; else of those of which something new is to be told.
        all: bool,
    },
}

impl Command {
    /// The key of the one rule that it is about; `None` for walks.
    #[inline]
    pub fn key(&self) -> Option<RuleKey> {
        match self {
            Command::Set(key, _) | Command::Remove(key, _) => Some(*key),
            Command::RemoveUser { .. } | Command::List { .. } | Command::Tell { .. } => None,
        }
    }
}

/// A command on its way to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct RuleCommand {
    /// Its place among all commands, from 1; the sequencer gives it.
    pub ordinal: u64,
    /// Feed time as the sender knows it; a shard that knows a later one keeps that. 0 when unknown.
    pub feed_time: Nanos,
    /// What to do.
    pub command: Command,
}

/// Why a command did nothing. The codes are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    /// There is no rule of this key.
    #[error("unknown_key")]
    UnknownKey = 1,
    /// The condition holds already and `on_set` is `reject`.
    #[error("already_true")]
    AlreadyTrue = 2,
    /// The expiry is not after feed time.
    #[error("expired")]
    Expired = 3,
    /// The shard holds as many rules as it may.
    #[error("rules_full")]
    RulesFull = 4,
    /// The shard knows as many symbols as it may.
    #[error("symbols_full")]
    SymbolsFull = 5,
    /// The account holds as many rules as it may.
    #[error("account_full")]
    AccountFull = 6,
    /// The shard knows as many different (rearm, cooldown, max_fires) as it may.
    #[error("policies_full")]
    PoliciesFull = 7,
}

/// A rule as a list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: RuleKey,
    /// What it says.
    pub spec: RuleSpec,
    /// Its ordinal among the accepted sets of its symbol.
    pub version: u64,
    /// Alerts that it has given.
    pub fires: u32,
    /// Where it stands.
    pub state: RuleState,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is set.
    Set {
        /// Its ordinal among the accepted sets of its symbol.
        version: u64,
        /// Where it stands.
        state: RuleState,
        /// The signal's value just then, if known.
        value: Option<Price>,
        /// An earlier rule of the key ended.
        replaced: bool,
        /// The feed has not named this symbol yet in this session.
        symbol_unknown: bool,
    },
    /// The rule is removed; it had this version.
    Removed {
        /// Of the rule that ended.
        version: u64,
    },
    /// Nothing was done.
    Refused(Refusal),
    /// One rule of the user is removed; [`Outcome::UserRemoved`] comes after the last.
    UserRuleRemoved {
        /// Its key.
        key: RuleKey,
        /// Its version.
        version: u64,
    },
    /// All rules of the user are removed from this shard: so many.
    UserRemoved {
        /// How many.
        count: u64,
    },
    /// One rule of a list.
    Listed(Listed),
    /// The list ends here, or goes on from this cursor.
    ListEnd {
        /// `None`: nothing is left in this shard.
        cursor: Option<u64>,
    },
    /// Where a symbol stands.
    Standing {
        /// The symbol.
        symbol: Symbol,
        /// Price of the last print of this session, if there was one.
        last: Option<Price>,
        /// Per signal: rules up to this version have seen a value.
        evaluated: [u64; 4],
    },
    /// So much for where symbols stand; it goes on from this cursor.
    Told {
        /// `None`: that was the end of the table.
        cursor: Option<u64>,
    },
}

/// A command's outcome on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Applied {
    /// The command's place among all commands.
    pub ordinal: u64,
    /// The feed sequence from which it holds: it took effect before this message and after all earlier ones of the shard.
    pub sequence: u64,
    /// Feed time when it took effect.
    pub feed_time: Nanos,
    /// The feed's session that `sequence` counts in; spaces before the first one.
    pub feed_session: [u8; 10],
    /// Alerts that the shard had told before it, those that the command caused among them.
    pub alerts: u64,
    /// What became of it.
    pub outcome: Outcome,
}

const _: () = assert!(size_of::<RuleCommand>() <= 128 && size_of::<Applied>() <= 192);
