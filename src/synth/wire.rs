//! The message types that no engine decodes, as bytes: what a whole day has besides.
//!
//! Layouts: `feed::itch` and the specification named there. Prices are in 1e-4, those of `V` in 1e-8.

use crate::feed::itch::encode::Head;
use crate::limits::ITCH_SIZE_MAX;
use crate::model::Symbol;

/// A message in the making, on the stack.
pub type Buffer = [u8; ITCH_SIZE_MAX];

/// Puts a message together and returns its size. The fields are those of the type, so they fit the longest message.
fn message(buffer: &mut Buffer, kind: u8, head: Head, fields: &[&[u8]]) -> usize {
    buffer[0] = kind;
    buffer[1..3].copy_from_slice(&head.locate.to_be_bytes());
    buffer[3..5].copy_from_slice(&head.tracking.to_be_bytes());
    buffer[5..11].copy_from_slice(&head.ts.to_be_bytes()[2..]);
    let mut at = 11;
    for field in fields {
        buffer[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    at
}

/// `Y`: the short sale price test.
pub fn reg_sho(buffer: &mut Buffer, head: Head, symbol: Symbol, action: u8) -> usize {
    message(buffer, b'Y', head, &[&symbol.bytes(), &[action]])
}

/// `L`: an active primary market maker in normal mode.
pub fn participant(buffer: &mut Buffer, head: Head, symbol: Symbol, mpid: [u8; 4]) -> usize {
    message(buffer, b'L', head, &[&mpid, &symbol.bytes(), b"YNA"])
}

/// `V`: the day's levels of the market-wide circuit breaker, 7, 13 and 20 % under `index`.
pub fn decline_levels(buffer: &mut Buffer, head: Head, index: u64) -> usize {
    let [one, two, three] = [93, 87, 80].map(|percent| (index / 100 * percent).to_be_bytes());
    message(buffer, b'V', head, &[&one, &two, &three])
}

/// `W`: a level was breached.
pub fn breach(buffer: &mut Buffer, head: Head, level: u8) -> usize {
    message(buffer, b'W', head, &[&[level]])
}

/// `K`: the anticipated release of a new issue, in seconds since midnight.
pub fn ipo(buffer: &mut Buffer, head: Head, symbol: Symbol, release_s: u32, price4: u32) -> usize {
    message(buffer, b'K', head, &[&symbol.bytes(), &release_s.to_be_bytes(), b"A", &price4.to_be_bytes()])
}

/// `J`: the collar of a reopening auction, 5 % to both sides.
pub fn collar(buffer: &mut Buffer, head: Head, symbol: Symbol, price4: u32) -> usize {
    let [price, upper, lower] = [price4, price4 + price4 / 20, price4 - price4 / 20].map(u32::to_be_bytes);
    message(buffer, b'J', head, &[&symbol.bytes(), &price, &upper, &lower, &0u32.to_be_bytes()])
}

/// `h`: halted (`H`) on one market only, or back (`T`).
pub fn operational(buffer: &mut Buffer, head: Head, symbol: Symbol, action: u8) -> usize {
    message(buffer, b'h', head, &[&symbol.bytes(), &[b'Q', action]])
}

/// What `I` says of a coming cross.
#[derive(Clone, Copy, Debug)]
pub struct Imbalance {
    /// Shares that would match.
    pub paired: u64,
    /// Shares left over.
    pub left: u64,
    /// `B`, `S`, `N` or `O`.
    pub direction: u8,
    /// Far, near and reference price in one: 1e-4.
    pub price4: u32,
    /// `O`, `C` or `H`.
    pub cross: u8,
}

/// `I`: the imbalance before a cross.
pub fn imbalance(buffer: &mut Buffer, head: Head, symbol: Symbol, it: Imbalance) -> usize {
    let price = it.price4.to_be_bytes();
    let [paired, left] = [it.paired, it.left].map(u64::to_be_bytes);
    let fields: [&[u8]; 8] =
        [&paired, &left, &[it.direction], &symbol.bytes(), &price, &price, &price, &[it.cross, b'L']];
    message(buffer, b'I', head, &fields)
}

/// `N`: retail interest.
pub fn retail(buffer: &mut Buffer, head: Head, symbol: Symbol, interest: u8) -> usize {
    message(buffer, b'N', head, &[&symbol.bytes(), &[interest]])
}

/// `O`: the price discovery of a direct listing whose near execution price, 1e-4, is of now.
pub fn listing(buffer: &mut Buffer, head: Head, symbol: Symbol, price4: u32) -> usize {
    let tenth = price4 / 10;
    let prices = [price4 - 2 * tenth, price4 + 8 * tenth, price4, price4 - tenth, price4 + tenth];
    let [lowest, highest, near, lower, upper] = prices.map(u32::to_be_bytes);
    let fields: [&[u8]; 8] = [&symbol.bytes(), b"Y", &lowest, &highest, &near, &head.ts.to_be_bytes(), &lower, &upper];
    message(buffer, b'O', head, &fields)
}
