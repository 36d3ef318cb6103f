//! ITCH 5.0 messages as bytes, for those that make feeds: the types that touch books, prints, symbols and status.
//!
//! Prices are the 4-byte integers of the wire, in 1e-4 of the currency unit. Fields that no reader here looks at get
//! neutral values.

use crate::model::{Side, Symbol};

/// What stands before every message's own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The day's number of the symbol, 0 for none.
    pub locate: u16,
    /// Internal to the exchange.
    pub tracking: u16,
    /// Nanoseconds since midnight; what 48 bits cannot hold is cut off.
    pub ts: u64,
}

/// `S`: a system event.
pub fn system(head: Head, code: u8) -> [u8; 12] {
    message(b'S', head, [&[code]])
}

/// `R`: this locate is this symbol today. A live common stock with round lots of 100 on the Nasdaq Global Select Market.
pub fn directory(head: Head, symbol: Symbol) -> [u8; 39] {
    let (lot, leverage) = (100u32.to_be_bytes(), 0u32.to_be_bytes());
    message(b'R', head, [&symbol.bytes(), b"QN", &lot, b"NCZ PNN1N", &leverage, b"N"])
}

/// `H`: the trading state of the symbol, and its reason in 4 bytes.
pub fn status(head: Head, symbol: Symbol, state: u8, reason: [u8; 4]) -> [u8; 25] {
    message(b'H', head, [&symbol.bytes(), &[state], b" ", &reason])
}

/// `A`: a displayed order.
pub fn add(head: Head, order_ref: u64, side: Side, shares: u32, symbol: Symbol, price4: u32) -> [u8; 36] {
    let [order_ref, shares, price4] = [&order_ref.to_be_bytes()[..], &shares.to_be_bytes(), &price4.to_be_bytes()];
    message(b'A', head, [order_ref, &[side_code(side)], shares, &symbol.bytes(), price4])
}

/// `F`: a displayed order and who entered it.
pub fn add_with_mpid(
    head: Head,
    order_ref: u64,
    side: Side,
    shares: u32,
    symbol: Symbol,
    price4: u32,
    mpid: [u8; 4],
) -> [u8; 40] {
    let mut bytes = [0; 40];
    let (order, attribution) = bytes.split_at_mut(36);
    order.copy_from_slice(&add(head, order_ref, side, shares, symbol, price4));
    attribution.copy_from_slice(&mpid);
    bytes[0] = b'F';
    bytes
}

/// `E`: an order trades at its own price.
pub fn execute(head: Head, order_ref: u64, shares: u32, match_number: u64) -> [u8; 31] {
    message(b'E', head, [&order_ref.to_be_bytes(), &shares.to_be_bytes(), &match_number.to_be_bytes()])
}

/// `C`: an order trades at another price.
pub fn execute_at_price(
    head: Head,
    order_ref: u64,
    shares: u32,
    match_number: u64,
    printable: bool,
    price4: u32,
) -> [u8; 36] {
    let [order_ref, shares] = [&order_ref.to_be_bytes()[..], &shares.to_be_bytes()];
    let printable = if printable { b"Y" } else { b"N" };
    message(b'C', head, [order_ref, shares, &match_number.to_be_bytes(), printable, &price4.to_be_bytes()])
}

/// `X`: an order shrinks.
pub fn cancel(head: Head, order_ref: u64, shares: u32) -> [u8; 23] {
    message(b'X', head, [&order_ref.to_be_bytes()[..], &shares.to_be_bytes()])
}

/// `D`: an order is gone.
pub fn delete(head: Head, order_ref: u64) -> [u8; 19] {
    message(b'D', head, [&order_ref.to_be_bytes()])
}

/// `U`: an order goes on under a new reference, with a new total size and price.
pub fn replace(head: Head, order_ref: u64, new_ref: u64, shares: u32, price4: u32) -> [u8; 35] {
    let [shares, price4] = [shares.to_be_bytes(), price4.to_be_bytes()];
    message(b'U', head, [&order_ref.to_be_bytes()[..], &new_ref.to_be_bytes(), &shares, &price4])
}

/// `P`: a trade against an order that was not displayed.
pub fn trade(head: Head, shares: u32, symbol: Symbol, price4: u32, match_number: u64) -> [u8; 44] {
    let [order_ref, shares] = [&0u64.to_be_bytes()[..], &shares.to_be_bytes()];
    message(b'P', head, [order_ref, b"B", shares, &symbol.bytes(), &price4.to_be_bytes(), &match_number.to_be_bytes()])
}

/// `Q`: a cross, of the type `O` (open), `C` (close) or `H` (after a halt).
pub fn cross(head: Head, shares: u64, symbol: Symbol, price4: u32, match_number: u64, cross_type: u8) -> [u8; 40] {
    let [shares, number] = [shares.to_be_bytes(), match_number.to_be_bytes()];
    message(b'Q', head, [&shares, &symbol.bytes(), &price4.to_be_bytes(), &number, &[cross_type]])
}

/// `B`: the execution of this match number never counted.
pub fn broken(head: Head, match_number: u64) -> [u8; 19] {
    message(b'B', head, [&match_number.to_be_bytes()])
}

/// A message of a type that has no function here: its fields are `fill`, all bytes alike.
/// `None`: not one of the 23 types.
pub fn filled(kind: u8, head: Head, fill: u8) -> Option<Vec<u8>> {
    let mut bytes = vec![fill; super::length_of(kind)?];
    bytes[..11].copy_from_slice(&header(kind, head));
    Some(bytes)
}

fn side_code(side: Side) -> u8 {
    match side {
        Side::Bid => b'B',
        Side::Ask => b'S',
    }
}

fn header(kind: u8, head: Head) -> [u8; 11] {
    let mut bytes = [kind; 11];
    bytes[1..3].copy_from_slice(&head.locate.to_be_bytes());
    bytes[3..5].copy_from_slice(&head.tracking.to_be_bytes());
    bytes[5..].copy_from_slice(&head.ts.to_be_bytes()[2..]);
    bytes
}

/// Puts the fields behind the header. Their sizes add up to `SIZE`: the functions above have fixed ones, and a test
/// calls each of them.
#[inline]
fn message<const SIZE: usize, const FIELDS: usize>(kind: u8, head: Head, fields: [&[u8]; FIELDS]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let (start, mut rest) = bytes.split_at_mut(11);
    start.copy_from_slice(&header(kind, head));
    for field in fields {
        let (place, after) = rest.split_at_mut(field.len());
        place.copy_from_slice(field);
        rest = after;
    }
    debug_assert!(rest.is_empty());
    bytes
}
