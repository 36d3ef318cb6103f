//! The bytes of the rule-control messages: requests from a client (Unsequenced Data), answers from the engine
//! (Sequenced Data). `PROTOCOL.md` has the tables for the reader who writes a client; here they stand at each message.
//!
//! ```text
//!  0      1              9
//!  +------+--------------+============================+
//!  | type | request id 8 | fields, fixed for its type |     integers big-endian, prices i64 of 1e-9, times UTC ns
//!  +------+--------------+============================+
//! ```
//!
//! Requests have capital letters, their answers the same letter small. Every message has exactly the size of its type.
//! Decoding takes any bytes; what is wrong is said by a code, so a refusal on the wire *is* the error.

mod answer;
mod fields;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Body, Place};
pub use request::{Ask, Malformed, Request};

use crate::model::Refusal;

/// The longest request: a set.
pub const REQUEST_SIZE_MAX: usize = request::SET_SIZE;
/// The longest answer that is not one rule of a list: a set's.
pub const ANSWER_SIZE_MAX: usize = answer::SET_DONE_SIZE;
/// Size of the answer that shows one rule of a list.
pub const RULE_SIZE: usize = answer::RULE_SIZE;

/// Types of messages.
pub mod kind {
    /// Request: set a rule.
    pub const SET: u8 = b'S';
    /// Request: remove a rule.
    pub const REMOVE: u8 = b'R';
    /// Request: remove all rules of a user.
    pub const REMOVE_USER: u8 = b'X';
    /// Request: list the rules of a user.
    pub const LIST_USER: u8 = b'L';
    /// Request: list all rules of the account.
    pub const LIST_ALL: u8 = b'A';
    /// Answer: the rule is set.
    pub const SET_DONE: u8 = b's';
    /// Answer: the rule is removed.
    pub const REMOVE_DONE: u8 = b'r';
    /// Answer: so many rules of the user are removed.
    pub const USER_REMOVED: u8 = b'x';
    /// Answer: one rule of a list.
    pub const RULE: u8 = b'l';
    /// Answer: the list ends here, or goes on from a cursor.
    pub const LIST_DONE: u8 = b'e';
    /// Answer: nothing was done.
    pub const REFUSED: u8 = b'j';
}

/// Why a request was refused: the codes of the wire. 1 to 15 come from the rules, the others from the control side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Code {
    /// There is no rule of this key.
    #[error("unknown_key")]
    UnknownKey = Refusal::UnknownKey as u8,
    /// The condition holds already and `on_set` is `reject`.
    #[error("already_true")]
    AlreadyTrue = Refusal::AlreadyTrue as u8,
    /// The expiry is not after feed time.
    #[error("expired")]
    Expired = Refusal::Expired as u8,
    /// The shard holds as many rules as it may.
    #[error("rules_full")]
    RulesFull = Refusal::RulesFull as u8,
    /// The shard knows as many symbols as it may.
    #[error("symbols_full")]
    SymbolsFull = Refusal::SymbolsFull as u8,
    /// The account holds as many rules as it may.
    #[error("account_full")]
    AccountFull = Refusal::AccountFull as u8,
    /// The shard knows as many different (rearm, cooldown, max_fires) as it may.
    #[error("policies_full")]
    PoliciesFull = Refusal::PoliciesFull as u8,
    /// No request has this type; also an empty message.
    #[error("unknown_type")]
    UnknownType = 16,
    /// Not the size of its type.
    #[error("bad_length")]
    BadLength = 17,
    /// A field holds what it may not: see [`Field`].
    #[error("bad_value")]
    BadValue = 18,
    /// This login may not do that: a drop copy sees, it sets nothing.
    #[error("not_permitted")]
    NotPermitted = 19,
    /// More requests a second than the login may make; the answer says when to come again.
    #[error("rate")]
    Rate = 20,
    /// The alert log has no room for what new rules would fire.
    #[error("log_full")]
    LogFull = 21,
}

impl Code {
    /// All, in the order of their values.
    pub const ALL: [Code; 13] = [
        Code::UnknownKey,
        Code::AlreadyTrue,
        Code::Expired,
        Code::RulesFull,
        Code::SymbolsFull,
        Code::AccountFull,
        Code::PoliciesFull,
        Code::UnknownType,
        Code::BadLength,
        Code::BadValue,
        Code::NotPermitted,
        Code::Rate,
        Code::LogFull,
    ];

    /// From its byte.
    pub fn from_byte(byte: u8) -> Option<Code> {
        Code::ALL.into_iter().find(|code| *code as u8 == byte)
    }
}

impl From<Refusal> for Code {
    fn from(refusal: Refusal) -> Code {
        match refusal {
            Refusal::UnknownKey => Code::UnknownKey,
            Refusal::AlreadyTrue => Code::AlreadyTrue,
            Refusal::Expired => Code::Expired,
            Refusal::RulesFull => Code::RulesFull,
            Refusal::SymbolsFull => Code::SymbolsFull,
            Refusal::AccountFull => Code::AccountFull,
            Refusal::PoliciesFull => Code::PoliciesFull,
        }
    }
}

/// The field that a `bad_value` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// No field.
    None = 0,
    /// Not 1 to 8 of `!` to `~` without comma and quote, padded on the right with spaces.
    Symbol = 1,
    /// Not 0 to 3.
    Signal = 2,
    /// Not 0 to 3.
    Comparison = 3,
    /// Negative.
    Threshold = 4,
    /// Not 0 or 1.
    Fire = 5,
    /// Not 0 to 2.
    OnSet = 6,
    /// Negative.
    Rearm = 7,
    /// Not 1 to [`crate::limits::LIST_MAX`].
    Limit = 8,
    /// Not 0 and not one that a list gave.
    Cursor = 9,
}

impl Field {
    /// All, in the order of their values.
    pub const ALL: [Field; 10] = [
        Field::None,
        Field::Symbol,
        Field::Signal,
        Field::Comparison,
        Field::Threshold,
        Field::Fire,
        Field::OnSet,
        Field::Rearm,
        Field::Limit,
        Field::Cursor,
    ];

    /// Its name in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Field::None => "",
            Field::Symbol => "symbol",
            Field::Signal => "signal",
            Field::Comparison => "comparison",
            Field::Threshold => "threshold",
            Field::Fire => "fire",
            Field::OnSet => "on_set",
            Field::Rearm => "rearm",
            Field::Limit => "limit",
            Field::Cursor => "cursor",
        }
    }
}

/// One encoded message, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    bytes: [u8; RULE_SIZE],
    size: usize,
}

impl Encoded {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

const _: () = assert!(RULE_SIZE >= REQUEST_SIZE_MAX && RULE_SIZE >= ANSWER_SIZE_MAX);
