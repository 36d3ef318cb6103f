//! The messages of the alert stream: the payloads of its Sequenced Data packets.
//!
//! All numbers are big-endian; prices are signed, in 1e-9 of the currency unit; times are UTC nanoseconds since 1970;
//! text is ASCII, padded on the right with spaces. A message's type tells its size; there are no other fields.
//!
//! **Rule messages**: `A` alert, `E` ended, `B` busted. (`M` met and `R` rearmed have the same layout, stand in the log
//! only and are never sent.)
//!
//! | offset | size | field | content |
//! |---|---|---|---|
//! | 0 | 1 | type | `A` the rule fired; `E` it ended without an alert; `B` the print that caused an earlier alert was broken |
//! | 1 | 1 | reason | `A`: 1 cross, 2 initial; `E`: 3 removed, 4 replaced, 5 expired; `B`: 0 |
//! | 2 | 1 | flags | bits: 1 last (this ended the rule), 2 after_gap, 4 book_suspect, 8 by_print, 16 state_unsure |
//! | 3 | 1 | signal | 0 last, 1 bid, 2 ask, 3 mid |
//! | 4 | 1 | comparison | 0 below, 1 above, 2 at_or_below, 3 at_or_above |
//! | 5 | 6 | account | owner of the rule |
//! | 11 | 8 | user | of the rule's key |
//! | 19 | 8 | symbol | of the rule's key, text |
//! | 27 | 4 | slot | of the rule's key |
//! | 31 | 8 | version | ordinal of the set among the accepted sets of its symbol |
//! | 39 | 8 | tag | the client's |
//! | 47 | 8 | threshold | price |
//! | 55 | 8 | price | `A`: the signal's value; `B`: the broken print's price; `E`: 0 |
//! | 63 | 10 | feed session | as in MoldUDP64 |
//! | 73 | 8 | feed sequence | of the message that caused this; for a command the one from which it holds; 0 for an expiry |
//! | 81 | 8 | command ordinal | of the command that caused this; 0 for a message |
//! | 89 | 8 | match number | of the print that caused this, or that was broken; else 0 |
//! | 97 | 8 | ts_event | stamp of the message; for a command feed time; for an expiry the expiry |
//! | 105 | 8 | ts_recv | the message's datagram was read; 0 for a command |
//! | 113 | 8 | ts_match | the shard fired |
//! | 121 | 8 | ts_log | the alert log took it |
//! | 129 | 8 | alert number | `B` only: sequence number of the named alert in its account's stream |
//! | 137 | 8 | drop copy number | `B` only: its sequence number in a drop copy's stream |
//!
//! **Announcements**, the same for every account: `G` gap, `Q` feed silent, `P` feed resumed, `N` new feed session,
//! `Z` end of the feed's session, `U` busted unresolved.
//!
//! | offset | size | field | content |
//! |---|---|---|---|
//! | 0 | 1 | type | see above |
//! | 1 | 10 | feed session | the current one, spaces before the first; `N`: the new one |
//! | 11 | 8 | feed sequence | `G`: the first lost; `N`: the first of the session; `U`: of the Broken Trade; else the next expected |
//! | 19 | 8 | end | `G`: the first number after the lost ones; else 0 |
//! | 27 | 8 | symbol | `U`: of the broken print, blank when not known; else blank |
//! | 35 | 8 | match number | `U`: of the broken print: it may have fired alerts that can no longer be named; else 0 |
//! | 43 | 8 | ts_event | stamp of the message, or feed time |
//! | 51 | 8 | ts_recv | its datagram was read; 0 when there was none |
//! | 59 | 8 | ts_log | the alert log took it |

use crate::model::{Alert, AlertKind, Comparison, Nanos, Price, Reason, Signal, Symbol};
use crate::soup::login::{SESSION_SIZE, SessionId};

/// Debug text before the close when the engine stops: the session is not over.
pub const STOPS: &str = "the engine stops: come back with this session and your next number";
const FOLLOWS: &[u8] = b"the session is over, and followed by ";

/// Debug text before the end of a session that is over: the session that follows it are its last ten bytes.
pub fn follows(next: &SessionId) -> Vec<u8> {
    [FOLLOWS, next.bytes()].concat()
}

/// The session that a Debug text says to follow.
pub fn following(text: &[u8]) -> Option<SessionId> {
    text.strip_prefix(FOLLOWS)?.first_chunk::<SESSION_SIZE>().map(|id| SessionId(*id))
}

/// Size of `A`, `E`, `M` and `R`.
pub const RULE_SIZE: usize = 129;
/// Size of `B`.
pub const BUSTED_SIZE: usize = RULE_SIZE + 16;
/// Size of announcements.
pub const ANNOUNCEMENT_SIZE: usize = 67;
/// Size of the longest message.
pub const MESSAGE_SIZE_MAX: usize = BUSTED_SIZE;

/// A message's type; its value is the byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The rule fired.
    Alert = b'A',
    /// The rule ended without an alert.
    Ended = b'E',
    /// The print that caused an earlier alert was broken.
    Busted = b'B',
    /// In the log only: the rule became met without an alert.
    Met = b'M',
    /// In the log only: the rule is clear again.
    Rearmed = b'R',
    /// Feed messages are lost for good.
    Gap = b'G',
    /// The feed fell silent.
    Silent = b'Q',
    /// The feed speaks again.
    Resumed = b'P',
    /// A new feed session begins.
    Session = b'N',
    /// The feed's session is over.
    EndOfSession = b'Z',
    /// A print was broken that may have fired alerts which can no longer be named.
    BustedUnresolved = b'U',
}

impl Kind {
    /// All, in the order of their declaration.
    pub const ALL: [Kind; 11] = [
        Kind::Alert,
        Kind::Ended,
        Kind::Busted,
        Kind::Met,
        Kind::Rearmed,
        Kind::Gap,
        Kind::Silent,
        Kind::Resumed,
        Kind::Session,
        Kind::EndOfSession,
        Kind::BustedUnresolved,
    ];

    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Alert => "alert",
            Kind::Ended => "ended",
            Kind::Busted => "busted",
            Kind::Met => "met",
            Kind::Rearmed => "rearmed",
            Kind::Gap => "gap",
            Kind::Silent => "feed_silent",
            Kind::Resumed => "feed_resumed",
            Kind::Session => "feed_session",
            Kind::EndOfSession => "end_of_feed_session",
            Kind::BustedUnresolved => "busted_unresolved",
        }
    }

    /// Size of its messages.
    pub const fn size(self) -> usize {
        match self {
            Kind::Alert | Kind::Ended | Kind::Met | Kind::Rearmed => RULE_SIZE,
            Kind::Busted => BUSTED_SIZE,
            _ => ANNOUNCEMENT_SIZE,
        }
    }

    /// The message that tells an alert of this kind. A `Broken` that needs a message of its own is `BustedUnresolved`.
    pub const fn of(kind: AlertKind) -> Kind {
        match kind {
            AlertKind::Alert => Kind::Alert,
            AlertKind::Ended => Kind::Ended,
            AlertKind::Met => Kind::Met,
            AlertKind::Rearmed => Kind::Rearmed,
            AlertKind::Gap => Kind::Gap,
            AlertKind::Silent => Kind::Silent,
            AlertKind::Resumed => Kind::Resumed,
            AlertKind::Session => Kind::Session,
            AlertKind::EndOfSession => Kind::EndOfSession,
            AlertKind::Broken => Kind::BustedUnresolved,
        }
    }
}

/// A rule message. Fields that a kind does not name are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleMessage {
    /// `Alert`, `Ended`, `Busted`, `Met` or `Rearmed`.
    pub kind: Kind,
    /// Why.
    pub reason: Reason,
    /// See [`crate::model::flag`].
    pub flags: u8,
    /// The rule's signal.
    pub signal: Signal,
    /// The rule's comparison.
    pub comparison: Comparison,
    /// The owner's name.
    pub account: [u8; 6],
    /// Of the rule's key.
    pub user: u64,
    /// Of the rule's key.
    pub symbol: Symbol,
    /// Of the rule's key.
    pub slot: u32,
    /// The rule's version.
    pub version: u64,
    /// The rule's tag.
    pub tag: u64,
    /// The rule's threshold.
    pub threshold: Price,
    /// The signal's value, or the broken print's price.
    pub price: Price,
    /// The feed's session.
    pub feed_session: [u8; 10],
    /// The feed's number for what caused this.
    pub sequence: u64,
    /// The command that caused this.
    pub ordinal: u64,
    /// The print that caused this, or that was broken.
    pub match_number: u64,
    /// Stamp of the cause.
    pub ts_event: Nanos,
    /// The datagram was read.
    pub ts_recv: Nanos,
    /// The shard fired.
    pub ts_match: Nanos,
    /// The log took it.
    pub ts_log: Nanos,
    /// `Busted`: number of the named alert in its account's stream.
    pub alert_number: u64,
    /// `Busted`: its number in a drop copy's stream.
    pub drop_copy_number: u64,
}

impl RuleMessage {
    /// What is told of this alert, whose kind is one of a rule.
    pub fn of(alert: &Alert, account: [u8; 6], feed_session: [u8; 10], ts_log: Nanos) -> RuleMessage {
        RuleMessage {
            kind: Kind::of(alert.kind),
            reason: alert.reason,
            flags: alert.flags,
            signal: alert.signal,
            comparison: alert.comparison,
            account,
            user: alert.key.user,
            symbol: alert.key.symbol,
            slot: alert.key.slot,
            version: alert.version,
            tag: alert.tag,
            threshold: alert.threshold,
            price: alert.price,
            feed_session,
            sequence: alert.sequence,
            ordinal: alert.ordinal,
            match_number: alert.match_number,
            ts_event: alert.ts_event,
            ts_recv: alert.ts_recv,
            ts_match: alert.ts_match,
            ts_log,
            alert_number: 0,
            drop_copy_number: 0,
        }
    }

    /// Writes it over `out`, which has the size of its kind.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let mut out = Writer(out);
        out.put([self.kind as u8, self.reason as u8, self.flags, self.signal as u8, self.comparison as u8]);
        out.put(self.account);
        out.put(self.user.to_be_bytes());
        out.put(self.symbol.bytes());
        out.put(self.slot.to_be_bytes());
        out.put(self.version.to_be_bytes());
        out.put(self.tag.to_be_bytes());
        out.put(self.threshold.0.to_be_bytes());
        out.put(self.price.0.to_be_bytes());
        out.put(self.feed_session);
        for number in [self.sequence, self.ordinal, self.match_number] {
            out.put(number.to_be_bytes());
        }
        for ts in [self.ts_event, self.ts_recv, self.ts_match, self.ts_log] {
            out.put(ts.to_be_bytes());
        }
        if self.kind == Kind::Busted {
            out.put(self.alert_number.to_be_bytes());
            out.put(self.drop_copy_number.to_be_bytes());
        }
    }

    fn read(kind: Kind, mut from: Reader<'_>) -> Option<RuleMessage> {
        let [reason, flags, signal, comparison] = from.take()?;
        let mut message = RuleMessage {
            kind,
            reason: reason_of(reason)?,
            flags,
            signal: *Signal::ALL.get(usize::from(signal))?,
            comparison: *Comparison::ALL.get(usize::from(comparison))?,
            account: from.take()?,
            user: from.number()?,
            symbol: Symbol::from_bytes(from.take()?),
            slot: u32::from_be_bytes(from.take()?),
            version: from.number()?,
            tag: from.number()?,
            threshold: Price(i64::from_be_bytes(from.take()?)),
            price: Price(i64::from_be_bytes(from.take()?)),
            feed_session: from.take()?,
            sequence: from.number()?,
            ordinal: from.number()?,
            match_number: from.number()?,
            ts_event: from.number()?,
            ts_recv: from.number()?,
            ts_match: from.number()?,
            ts_log: from.number()?,
            alert_number: 0,
            drop_copy_number: 0,
        };
        if kind == Kind::Busted {
            (message.alert_number, message.drop_copy_number) = (from.number()?, from.number()?);
        }
        from.0.is_empty().then_some(message)
    }
}

/// An announcement. Fields that a kind does not name are 0 or blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `Gap`, `Silent`, `Resumed`, `Session`, `EndOfSession` or `BustedUnresolved`.
    pub kind: Kind,
    /// The feed's session.
    pub feed_session: [u8; 10],
    /// `Gap`: the first lost. Else where the feed stands.
    pub sequence: u64,
    /// `Gap`: the first after the lost ones.
    pub end: u64,
    /// `BustedUnresolved`: of the broken print.
    pub symbol: Symbol,
    /// `BustedUnresolved`: of the broken print.
    pub match_number: u64,
    /// Stamp of the cause.
    pub ts_event: Nanos,
    /// The datagram was read.
    pub ts_recv: Nanos,
    /// The log took it.
    pub ts_log: Nanos,
}

impl Announcement {
    /// What is told of this alert, whose kind is none of a rule.
    pub fn of(alert: &Alert, feed_session: [u8; 10], ts_log: Nanos) -> Announcement {
        let kind = Kind::of(alert.kind);
        let number_for = |of| if kind == of { alert.match_number } else { 0 };
        Announcement {
            kind,
            feed_session,
            sequence: alert.sequence,
            end: number_for(Kind::Gap),
            symbol: alert.key.symbol,
            match_number: number_for(Kind::BustedUnresolved),
            ts_event: alert.ts_event,
            ts_recv: alert.ts_recv,
            ts_log,
        }
    }

    /// Writes it over `out`, which has [`ANNOUNCEMENT_SIZE`] bytes.
    pub fn write(&self, out: &mut [u8]) {
        let mut out = Writer(out);
        out.put([self.kind as u8]);
        out.put(self.feed_session);
        out.put(self.sequence.to_be_bytes());
        out.put(self.end.to_be_bytes());
        out.put(self.symbol.bytes());
        for number in [self.match_number, self.ts_event, self.ts_recv, self.ts_log] {
            out.put(number.to_be_bytes());
        }
    }

    fn read(kind: Kind, mut from: Reader<'_>) -> Option<Announcement> {
        let announcement = Announcement {
            kind,
            feed_session: from.take()?,
            sequence: from.number()?,
            end: from.number()?,
            symbol: Symbol::from_bytes(from.take()?),
            match_number: from.number()?,
            ts_event: from.number()?,
            ts_recv: from.number()?,
            ts_log: from.number()?,
        };
        from.0.is_empty().then_some(announcement)
    }
}

/// A message of the alert stream or the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// About a rule.
    Rule(RuleMessage),
    /// About the feed, to everyone.
    Announcement(Announcement),
}

impl Message {
    /// Reads a message. `None`: an unknown type or code, or not exactly the size of its type.
    pub fn read(bytes: &[u8]) -> Option<Message> {
        let (&first, rest) = bytes.split_first()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == first)?;
        match kind.size() {
            ANNOUNCEMENT_SIZE => Announcement::read(kind, Reader(rest)).map(Message::Announcement),
            _ => RuleMessage::read(kind, Reader(rest)).map(Message::Rule),
        }
    }
}

fn reason_of(code: u8) -> Option<Reason> {
    use Reason::{Cross, Expired, Initial, None, Removed, Replaced};
    [None, Cross, Initial, Removed, Replaced, Expired].into_iter().find(|reason| *reason as u8 == code)
}

/// What of the output is not written yet.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let (place, rest) = std::mem::take(&mut self.0).split_at_mut(N);
        place.copy_from_slice(&bytes);
        self.0 = rest;
    }
}

/// What of the input is not read yet.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
