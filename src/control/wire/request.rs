//! Requests.

use super::fields::{Reader, Writer, comparison, fire, on_set, signal};
use super::{Code, Encoded, Field, kind};
use crate::limits::LIST_MAX;
use crate::model::{AccountId, Price, RuleKey, RuleSpec, Symbol};

/// Sizes by type.
pub(super) const SET_SIZE: usize = 77;
const REMOVE_SIZE: usize = 37;
const REMOVE_USER_SIZE: usize = 17;
const LIST_USER_SIZE: usize = 29;
const LIST_ALL_SIZE: usize = 21;
/// Type and request id.
const HEAD_SIZE: usize = 9;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's own number for it, echoed in its answers.
    pub id: u64,
    /// What it asks.
    pub ask: Ask,
}

/// What a request asks. The account is not on the wire: it is the login's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Set a rule.
    ///
    /// ```text
    ///  0  'S' | 1  id 8 | 9  user 8 | 17  symbol 8 | 25  slot 4 | 29  signal 1 | 30  comparison 1 | 31  threshold 8
    /// 39  fire 1 | 40  on_set 1 | 41  rearm 8 | 49  cooldown 8 | 57  max_fires 4 | 61  expires_at 8 | 69  tag 8 | 77
    /// ```
    Set(RuleKey, RuleSpec),
    /// Remove the rule of this key; the tag goes into the record of the command.
    ///
    /// ```text
    ///  0  'R' | 1  id 8 | 9  user 8 | 17  symbol 8 | 25  slot 4 | 29  tag 8 | 37
    /// ```
    Remove(RuleKey, u64),
    /// Remove all rules of a user.
    ///
    /// ```text
    ///  0  'X' | 1  id 8 | 9  user 8 | 17
    /// ```
    RemoveUser {
        /// The user.
        user: u64,
    },
    /// List the rules of one user, or all of the account.
    ///
    /// ```text
    ///  0  'L' | 1  id 8 | 9  user 8 | 17  limit 4 | 21  cursor 8 | 29
    ///  0  'A' | 1  id 8 | 9  limit 4 | 13  cursor 8 | 21
    /// ```
    List {
        /// Only this user's.
        user: Option<u64>,
        /// 1 to [`LIST_MAX`].
        limit: u32,
        /// 0, or what the list before gave.
        cursor: u64,
    },
}

/// A request that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The request id; 0 when the message is too short to have one.
    pub id: u64,
    /// What is wrong.
    pub code: Code,
    /// Where, for [`Code::BadValue`].
    pub field: Field,
}

impl Request {
    /// Reads a message of a login of this account.
    ///
    /// # Errors
    /// What is wrong with it, as it is answered.
    pub fn read(message: &[u8], account: AccountId) -> Result<Request, Malformed> {
        let mut head = Reader(message);
        let (kind, id) = (head.u8(), if message.len() < HEAD_SIZE { 0 } else { head.u64() });
        let malformed = |code, field| Malformed { id, code, field };
        let size = match (kind, message.is_empty()) {
            (kind::SET, _) => SET_SIZE,
            (kind::REMOVE, _) => REMOVE_SIZE,
            (kind::REMOVE_USER, _) => REMOVE_USER_SIZE,
            (kind::LIST_USER, _) => LIST_USER_SIZE,
            (kind::LIST_ALL, _) => LIST_ALL_SIZE,
            _ => return Err(malformed(Code::UnknownType, Field::None)),
        };
        if message.len() != size {
            return Err(malformed(Code::BadLength, Field::None));
        }
        let ask = Ask::read(kind, &mut head, account).map_err(|field| malformed(Code::BadValue, field))?;
        Ok(Request { id, ask })
    }

    /// As bytes.
    pub fn encode(&self) -> Encoded {
        match &self.ask {
            Ask::Set(key, spec) => put_spec(put_key(Writer::new(kind::SET, self.id), key), spec),
            Ask::Remove(key, tag) => put_key(Writer::new(kind::REMOVE, self.id), key).u64(*tag),
            Ask::RemoveUser { user } => Writer::new(kind::REMOVE_USER, self.id).u64(*user),
            Ask::List { user: Some(user), limit, cursor } => {
                Writer::new(kind::LIST_USER, self.id).u64(*user).u32(*limit).u64(*cursor)
            }
            Ask::List { user: None, limit, cursor } => Writer::new(kind::LIST_ALL, self.id).u32(*limit).u64(*cursor),
        }
        .end()
    }
}

impl Ask {
    fn read(kind: u8, fields: &mut Reader<'_>, account: AccountId) -> Result<Ask, Field> {
        Ok(match kind {
            kind::SET => Ask::Set(read_key(fields, account)?, read_spec(fields)?),
            kind::REMOVE => Ask::Remove(read_key(fields, account)?, fields.u64()),
            kind::REMOVE_USER => Ask::RemoveUser { user: fields.u64() },
            _ => {
                let user = (kind == kind::LIST_USER).then(|| fields.u64());
                let (limit, cursor) = (fields.u32(), fields.u64());
                if !(1..=LIST_MAX).contains(&limit) {
                    return Err(Field::Limit);
                }
                Ask::List { user, limit, cursor }
            }
        })
    }

    /// True for what is answered by more than one shard, or more than once.
    pub const fn is_walk(&self) -> bool {
        matches!(self, Ask::RemoveUser { .. } | Ask::List { .. })
    }
}

pub(super) fn put_key(out: Writer, key: &RuleKey) -> Writer {
    out.u64(key.user).bytes(&key.symbol.bytes()).u32(key.slot)
}

/// Any key: answers show what the rules hold.
pub(super) fn get_key(fields: &mut Reader<'_>) -> RuleKey {
    let (user, symbol) = (fields.u64(), Symbol::from_bytes(fields.bytes()));
    RuleKey { user, symbol, slot: fields.u32(), account: 0 }
}

fn read_key(fields: &mut Reader<'_>, account: AccountId) -> Result<RuleKey, Field> {
    let key = RuleKey { account, ..get_key(fields) };
    if key.symbol.is_valid() { Ok(key) } else { Err(Field::Symbol) }
}

pub(super) fn put_spec(out: Writer, spec: &RuleSpec) -> Writer {
    out.u8(spec.signal as u8)
        .u8(spec.comparison as u8)
        .i64(spec.threshold.0)
        .u8(spec.fire as u8)
        .u8(spec.on_set as u8)
        .i64(spec.rearm.0)
        .u64(spec.cooldown)
        .u32(spec.max_fires)
        .expiry(spec.expires_at)
        .u64(spec.tag)
}

/// A rule's fields, in the order of the wire; the first wrong one is the error.
pub(super) fn read_spec(fields: &mut Reader<'_>) -> Result<RuleSpec, Field> {
    let price = |units: i64, field| if units < 0 { Err(field) } else { Ok(Price(units)) };
    Ok(RuleSpec {
        signal: signal(fields.u8()).ok_or(Field::Signal)?,
        comparison: comparison(fields.u8()).ok_or(Field::Comparison)?,
        threshold: price(fields.i64(), Field::Threshold)?,
        fire: fire(fields.u8()).ok_or(Field::Fire)?,
        on_set: on_set(fields.u8()).ok_or(Field::OnSet)?,
        rearm: price(fields.i64(), Field::Rearm)?,
        cooldown: fields.u64(),
        max_fires: fields.u32(),
        expires_at: fields.expiry(),
        tag: fields.u64(),
    })
}
