//! Answers.

use super::fields::{Reader, Writer};
use super::request::{get_key, put_key, put_spec, read_spec};
use super::{Code, Encoded, Field, kind};
use crate::model::{Listed, Nanos, Price, RuleState};

/// Sizes by type.
pub(super) const SET_DONE_SIZE: usize = 53;
pub(super) const RULE_SIZE: usize = 90;
const REMOVE_DONE_SIZE: usize = 43;
const USER_REMOVED_SIZE: usize = 43;
const LIST_DONE_SIZE: usize = 47;
const REFUSED_SIZE: usize = 41;

/// Bits of the flags of a set's answer.
const VALUE_KNOWN: u8 = 1;
const REPLACED: u8 = 2;
const SYMBOL_UNKNOWN: u8 = 4;

/// From where in the feed an answer holds: the command took effect before message `sequence` of `session` and after
/// all earlier ones of its symbol. All spaces and 0 when no shard was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The feed's session.
    pub session: [u8; 10],
    /// The first message to which it applies.
    pub sequence: u64,
    /// Feed time then.
    pub feed_time: Nanos,
}

impl Place {
    /// Nowhere: refused before it reached a shard.
    pub const NONE: Place = Place { session: [b' '; 10], sequence: 0, feed_time: 0 };
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the request; 0 when that was too short to have one.
    pub id: u64,
    /// What happened.
    pub body: Body,
}

/// What happened. All but `Rule` have their [`Place`] behind the request id: `9 session 10 | 19 sequence 8 | 27 feed
/// time 8 | 35`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The rule is set.
    ///
    /// ```text
    ///  0  's' | 1  id 8 | 9  place 26 | 35  version 8 | 43  state 1 | 44  flags 1 | 45  value 8 | 53
    /// ```
    SetDone {
        /// From where.
        place: Place,
        /// Its ordinal among the accepted sets of its symbol.
        version: u64,
        /// Where it stands.
        state: RuleState,
        /// The signal's value just then.
        value: Option<Price>,
        /// An earlier rule of the key ended.
        replaced: bool,
        /// The feed has not named the symbol in this session.
        symbol_unknown: bool,
    },
    /// The rule is removed.
    ///
    /// ```text
    ///  0  'r' | 1  id 8 | 9  place 26 | 35  version 8 | 43
    /// ```
    RemoveDone {
        /// From where.
        place: Place,
        /// Of the rule that ended.
        version: u64,
    },
    /// The user's rules are removed.
    ///
    /// ```text
    ///  0  'x' | 1  id 8 | 9  place 26 | 35  count 8 | 43
    /// ```
    UserRemoved {
        /// From where: the latest of all shards.
        place: Place,
        /// How many.
        count: u64,
    },
    /// One rule of a list.
    ///
    /// ```text
    ///  0  'l' | 1  id 8 | 9  user 8 | 17  symbol 8 | 25  slot 4 | 29  signal ... tag as in a set | 77  version 8
    /// 85  fires 4 | 89  state 1 | 90
    /// ```
    Rule(Listed),
    /// The list ends here.
    ///
    /// ```text
    ///  0  'e' | 1  id 8 | 9  place 26 | 35  count 4 | 39  cursor 8 | 47
    /// ```
    ListDone {
        /// When: the latest of the shards asked.
        place: Place,
        /// Rules that this request listed.
        count: u32,
        /// Where the next request goes on; 0: nothing is left.
        cursor: u64,
    },
    /// Nothing was done.
    ///
    /// ```text
    ///  0  'j' | 1  id 8 | 9  place 26 | 35  code 1 | 36  field 1 | 37  retry 4 | 41
    /// ```
    Refused {
        /// Where a shard refused it; [`Place::NONE`] when it reached none.
        place: Place,
        /// Why.
        code: Code,
        /// For a bad value: of which field.
        field: Field,
        /// When to come again, in ms; 0: not said.
        retry_ms: u32,
    },
}

impl Answer {
    /// A refusal that reached no shard.
    pub const fn refused(id: u64, code: Code, field: Field, retry_ms: u32) -> Answer {
        Answer { id, body: Body::Refused { place: Place::NONE, code, field, retry_ms } }
    }

    /// As bytes.
    pub fn encode(&self) -> Encoded {
        let head = |kind, place: &Place| {
            Writer::new(kind, self.id).bytes(&place.session).u64(place.sequence).u64(place.feed_time)
        };
        match &self.body {
            Body::SetDone { place, version, state, value, replaced, symbol_unknown } => {
                let flag = |up: bool, flag: u8| if up { flag } else { 0 };
                let flags = flag(value.is_some(), VALUE_KNOWN)
                    | flag(*replaced, REPLACED)
                    | flag(*symbol_unknown, SYMBOL_UNKNOWN);
                let value = value.unwrap_or_default();
                head(kind::SET_DONE, place).u64(*version).u8(*state as u8).u8(flags).i64(value.0)
            }
            Body::RemoveDone { place, version } => head(kind::REMOVE_DONE, place).u64(*version),
            Body::UserRemoved { place, count } => head(kind::USER_REMOVED, place).u64(*count),
            Body::Rule(rule) => put_spec(put_key(Writer::new(kind::RULE, self.id), &rule.key), &rule.spec)
                .u64(rule.version)
                .u32(rule.fires)
                .u8(rule.state as u8),
            Body::ListDone { place, count, cursor } => head(kind::LIST_DONE, place).u32(*count).u64(*cursor),
            Body::Refused { place, code, field, retry_ms } => {
                head(kind::REFUSED, place).u8(*code as u8).u8(*field as u8).u32(*retry_ms)
            }
        }
        .end()
    }

    /// Reads an answer. `None`: an unknown type or code, or not the size of its type.
    pub fn read(message: &[u8]) -> Option<Answer> {
        let mut fields = Reader(message);
        let kind = fields.u8();
        let size = match kind {
            kind::SET_DONE => SET_DONE_SIZE,
            kind::REMOVE_DONE => REMOVE_DONE_SIZE,
            kind::USER_REMOVED => USER_REMOVED_SIZE,
            kind::RULE => RULE_SIZE,
            kind::LIST_DONE => LIST_DONE_SIZE,
            kind::REFUSED => REFUSED_SIZE,
            _ => return None,
        };
        if message.len() != size {
            return None;
        }
        let id = fields.u64();
        if kind == kind::RULE {
            return Some(Answer { id, body: Body::Rule(read_rule(&mut fields)?) });
        }
        let place = Place { session: fields.bytes(), sequence: fields.u64(), feed_time: fields.u64() };
        let body = match kind {
            kind::SET_DONE => read_set_done(place, &mut fields)?,
            kind::REMOVE_DONE => Body::RemoveDone { place, version: fields.u64() },
            kind::USER_REMOVED => Body::UserRemoved { place, count: fields.u64() },
            kind::LIST_DONE => Body::ListDone { place, count: fields.u32(), cursor: fields.u64() },
            _ => Body::Refused {
                place,
                code: Code::from_byte(fields.u8())?,
                field: *Field::ALL.get(usize::from(fields.u8()))?,
                retry_ms: fields.u32(),
            },
        };
        Some(Answer { id, body })
    }
}

fn read_set_done(place: Place, fields: &mut Reader<'_>) -> Option<Body> {
    let (version, state, flags, value) = (fields.u64(), state(fields.u8())?, fields.u8(), Price(fields.i64()));
    Some(Body::SetDone {
        place,
        version,
        state,
        value: (flags & VALUE_KNOWN != 0).then_some(value),
        replaced: flags & REPLACED != 0,
        symbol_unknown: flags & SYMBOL_UNKNOWN != 0,
    })
}

fn read_rule(fields: &mut Reader<'_>) -> Option<Listed> {
    Some(Listed {
        key: get_key(fields),
        spec: read_spec(fields).ok()?,
        version: fields.u64(),
        fires: fields.u32(),
        state: state(fields.u8())?,
    })
}

fn state(byte: u8) -> Option<RuleState> {
    [RuleState::Unknown, RuleState::Clear, RuleState::Met, RuleState::Fired].get(usize::from(byte)).copied()
}
