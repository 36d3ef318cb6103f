//! Nasdaq TotalView-ITCH 5.0: one message to one market event.
//!
//! The type byte fixes the length, so one match on it turns the slice into an array and every field is one load at a
//! fixed offset. All integers are big-endian and nothing is aligned. The header is the same for all types:
//!
//! ```text
//!  0      1          3            5              11
//!  +------+----------+------------+--------------+=========
//!  |type 1| locate 2 | tracking 2 | timestamp 6  | fields
//!  +------+----------+------------+--------------+=========
//! ```
//!
//! Source: Nasdaq, "TotalView-ITCH 5.0" (2023-04-28).

use crate::model::{Action, MarketEvent, Price, Side, Symbol, event_flag};

pub mod encode;
#[cfg(test)]
mod tests;

/// Why bytes are no message. Both take a sequence number of their feed, and neither says the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItchError {
    /// The first byte is none of the 23 types.
    #[error("not a message type of ITCH 5.0")]
    UnknownType,
    /// The length is not the type's; an empty message is of this kind too.
    #[error("a length that is not the message type's")]
    WrongLength,
}

/// What one well-formed message says, and the name that it binds its locate to (`R`, `A`, `F`, `P`, `Q`; else `None`).
///
/// `ts_event` is the stamp in ns since midnight. `sequence` and `ts_recv` are not in a message: they stay 0. Types that
/// touch no book, print, status or session become a `Clock`: of them only the time counts here.
// Always: out of line the event is written field by field and read again by halves of it, for which the loads wait.
#[inline(always)]
pub fn decode(message: &[u8]) -> Result<(MarketEvent, Option<Symbol>), ItchError> {
    let &kind = message.first().ok_or(ItchError::WrongLength)?;
    match kind {
        b'A' => Message::<36>::of(message).map(add),
        b'F' => Message::<40>::of(message).map(add),
        b'E' => Message::<31>::of(message).map(execute),
        b'C' => Message::<36>::of(message).map(execute_at_price),
        b'X' => Message::<23>::of(message).map(cancel),
        b'D' => Message::<19>::of(message).map(delete),
        b'U' => Message::<35>::of(message).map(replace),
        b'P' => Message::<44>::of(message).map(trade),
        b'Q' => Message::<40>::of(message).map(cross),
        b'B' => Message::<19>::of(message).map(broken),
        b'H' => {
            Message::<25>::of(message).map(|m| (MarketEvent { detail: m.u8::<19>(), ..m.event(Action::Status) }, None))
        }
        b'S' => {
            Message::<12>::of(message).map(|m| (MarketEvent { detail: m.u8::<11>(), ..m.event(Action::System) }, None))
        }
        b'R' => Message::<39>::of(message).map(|m| (m.event(Action::Clock), Some(m.symbol::<11>()))),
        _ => other(kind, message),
    }
}

/// Length in bytes of a message of this type; `None`: none of the 23.
#[inline]
pub const fn length_of(kind: u8) -> Option<usize> {
    Some(match kind {
        b'S' | b'W' => 12,
        b'D' | b'B' => 19,
        b'Y' | b'N' => 20,
        b'h' => 21,
        b'X' => 23,
        b'H' => 25,
        b'L' => 26,
        b'K' => 28,
        b'E' => 31,
        b'V' | b'J' | b'U' => 35,
        b'A' | b'C' => 36,
        b'R' => 39,
        b'F' | b'Q' => 40,
        b'P' => 44,
        b'O' => 48,
        b'I' => 50,
        _ => return None,
    })
}

/// The stock field of a well-formed message; `None` where the type has none, or the message is not well formed.
pub fn stock(message: &[u8]) -> Option<Symbol> {
    let &kind = message.first()?;
    if length_of(kind) != Some(message.len()) {
        return None;
    }
    let at = match kind {
        b'R' | b'H' | b'Y' | b'K' | b'J' | b'h' | b'N' | b'O' => 11,
        b'L' => 15,
        b'Q' => 19,
        b'A' | b'F' | b'P' => 24,
        b'I' => 28,
        _ => return None,
    };
    message.get(at..)?.first_chunk().map(|&bytes| Symbol::from_bytes(bytes))
}

type Decoded = (MarketEvent, Option<Symbol>);

/// `A`, `F`: the attribution at the end of `F` says nothing about the book.
#[inline]
fn add<const SIZE: usize>(m: Message<SIZE>) -> Decoded {
    let event = MarketEvent {
        order_ref: m.u64::<11>(),
        side: if m.u8::<19>() == b'B' { Side::Bid } else { Side::Ask },
        size: m.u32::<20>(),
        price: m.price::<32>(),
        ..m.event(Action::Add)
    };
    (event, Some(m.symbol::<24>()))
}

#[inline]
fn execute(m: Message<31>) -> Decoded {
    let event = MarketEvent {
        order_ref: m.u64::<11>(),
        size: m.u32::<19>(),
        second_ref: m.u64::<23>(),
        ..m.event(Action::Execute)
    };
    (event, None)
}

#[inline]
fn execute_at_price(m: Message<36>) -> Decoded {
    let event = MarketEvent {
        order_ref: m.u64::<11>(),
        size: m.u32::<19>(),
        second_ref: m.u64::<23>(),
        flags: if m.u8::<31>() == b'Y' { event_flag::PRINTABLE } else { 0 },
        price: m.price::<32>(),
        ..m.event(Action::ExecuteAtPrice)
    };
    (event, None)
}

#[inline]
fn cancel(m: Message<23>) -> Decoded {
    (MarketEvent { order_ref: m.u64::<11>(), size: m.u32::<19>(), ..m.event(Action::Cancel) }, None)
}

#[inline]
fn delete(m: Message<19>) -> Decoded {
    (MarketEvent { order_ref: m.u64::<11>(), ..m.event(Action::Delete) }, None)
}

#[inline]
fn replace(m: Message<35>) -> Decoded {
    let event = MarketEvent {
        order_ref: m.u64::<11>(),
        second_ref: m.u64::<19>(),
        size: m.u32::<27>(),
        price: m.price::<31>(),
        ..m.event(Action::Replace)
    };
    (event, None)
}

/// `P`: its reference is always 0 and its side always `B`, so neither is handed on.
#[inline]
fn trade(m: Message<44>) -> Decoded {
    let event = MarketEvent {
        size: m.u32::<20>(),
        price: m.price::<32>(),
        second_ref: m.u64::<36>(),
        ..m.event(Action::Trade)
    };
    (event, Some(m.symbol::<24>()))
}

/// `Q`: the only sizes of 8 bytes. What 32 bits cannot say is still a print, so it saturates and never becomes 0.
#[inline]
fn cross(m: Message<40>) -> Decoded {
    let event = MarketEvent {
        size: u32::try_from(m.u64::<11>()).unwrap_or(u32::MAX),
        price: m.price::<27>(),
        second_ref: m.u64::<31>(),
        ..m.event(Action::Cross)
    };
    (event, Some(m.symbol::<19>()))
}

#[inline]
fn broken(m: Message<19>) -> Decoded {
    (MarketEvent { second_ref: m.u64::<11>(), ..m.event(Action::Break) }, None)
}

/// The types that say nothing but the time: 12 bytes are enough to read it, since no type is shorter.
#[inline]
fn other(kind: u8, message: &[u8]) -> Result<Decoded, ItchError> {
    let size = length_of(kind).ok_or(ItchError::UnknownType)?;
    match message.first_chunk::<12>() {
        Some(header) if message.len() == size => Ok((Message(header).event(Action::Clock), None)),
        _ => Err(ItchError::WrongLength),
    }
}

/// A message of `SIZE` bytes. A field that would reach over its end does not compile.
struct Message<'a, const SIZE: usize>(&'a [u8; SIZE]);

impl<'a, const SIZE: usize> Message<'a, SIZE> {
    #[inline]
    fn of(message: &'a [u8]) -> Result<Self, ItchError> {
        message.try_into().map(Message).map_err(|_| ItchError::WrongLength)
    }

    #[inline]
    fn bytes<const AT: usize, const WIDTH: usize>(&self) -> [u8; WIDTH] {
        const { assert!(AT + WIDTH <= SIZE) };
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(&self.0[AT..AT + WIDTH]);
        bytes
    }

    #[inline]
    fn u8<const AT: usize>(&self) -> u8 {
        u8::from_be_bytes(self.bytes::<AT, 1>())
    }

    #[inline]
    fn u32<const AT: usize>(&self) -> u32 {
        u32::from_be_bytes(self.bytes::<AT, 4>())
    }

    #[inline]
    fn u64<const AT: usize>(&self) -> u64 {
        u64::from_be_bytes(self.bytes::<AT, 8>())
    }

    #[inline]
    fn price<const AT: usize>(&self) -> i64 {
        Price::from_itch(self.u32::<AT>()).0
    }

    #[inline]
    fn symbol<const AT: usize>(&self) -> Symbol {
        Symbol::from_bytes(self.bytes::<AT, 8>())
    }

    /// The header. The 6-byte stamp is loaded with the tracking number before it, which is masked off.
    #[inline]
    fn event(&self, action: Action) -> MarketEvent {
        MarketEvent {
            ts_event: self.u64::<3>() & 0xFFFF_FFFF_FFFF,
            locate: u16::from_be_bytes(self.bytes::<1, 2>()),
            ..MarketEvent::new(action)
        }
    }
}
