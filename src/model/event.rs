//! What a decoder makes of one message: a venue-neutral market event, one cache line.

use super::{Nanos, Symbol};

/// What happened. A second feed is a second decoder to these, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// A displayed order came: `order_ref`, `side`, `size`, `price`.
    Add,
    /// `order_ref` traded `size` at its own price; `second_ref` is the match number.
    Execute,
    /// `order_ref` traded `size` at `price`; a print only with `event_flag::PRINTABLE`; `second_ref` is the match number.
    ExecuteAtPrice,
    /// `size` of `order_ref` was cancelled.
    Cancel,
    /// `order_ref` is gone.
    Delete,
    /// `order_ref` goes on as `second_ref` with `size` and `price`.
    Replace,
    /// A trade against an order that was not displayed: `size`, `price`; `second_ref` is the match number.
    Trade,
    /// A bulk print: `size` (saturated to 32 bits), `price`; `second_ref` is the match number. No print when `size` is 0.
    Cross,
    /// The print with match number `second_ref` never counted.
    Break,
    /// The trading state of the symbol: its code in `detail`.
    Status,
    /// A system event: its code in `detail`.
    System,
    /// `locate` is the symbol whose name is in `second_ref` (see [`MarketEvent::symbol`]). Precedes its first use in a shard.
    Define,
    /// Feed time is `ts_event`, though no message of this shard says so.
    Clock,
    /// Messages `sequence` to `second_ref - 1` are lost for good.
    Gap,
    /// A new session (a day, or part of it) begins: orders, books, last prices, locates and match numbers are void.
    /// `order_ref` and `second_ref` hold the session's 10 bytes, see [`MarketEvent::session`].
    Session,
    /// The feed's session is over; `sequence` is the next number that it would have used.
    EndOfSession,
    /// The feed fell silent: neither data nor heartbeats.
    Silent,
    /// The feed speaks again.
    Resumed,
}

/// The side of an order. A side that a feed does not know as a buy is a sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// Buy.
    Bid,
    /// Sell.
    Ask,
}

/// Bits of [`MarketEvent::flags`].
pub mod event_flag {
    /// This execution at a price is a print.
    pub const PRINTABLE: u8 = 1;
    /// Of the copies of this event that went to all shards, this one is to be announced to clients.
    pub const ANNOUNCE: u8 = 2;
}

/// One thing that happened in the market. 64 bytes, one cache line; fields that an action does not name are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct MarketEvent {
    /// When it happened, as the exchange stamped it.
    pub ts_event: Nanos,
    /// When its datagram was read; 0 in `replay`.
    pub ts_recv: Nanos,
    /// The number of the message in its feed.
    pub sequence: u64,
    /// The order that it is about.
    pub order_ref: u64,
    /// The new order, the match number, the name or the end of a range: see [`Action`].
    pub second_ref: u64,
    /// Price in 1e-9.
    pub price: i64,
    /// Shares.
    pub size: u32,
    /// The feed's number for the symbol, valid within its session. 0: about no single symbol.
    pub locate: u16,
    /// What happened.
    pub action: Action,
    /// Of the order.
    pub side: Side,
    /// See [`event_flag`].
    pub flags: u8,
    /// A code of the feed: see [`Action`].
    pub detail: u8,
}

const _: () = assert!(size_of::<MarketEvent>() == 64 && align_of::<MarketEvent>() == 64);

impl MarketEvent {
    /// An event of which nothing but the action is said.
    pub const fn new(action: Action) -> MarketEvent {
        MarketEvent {
            ts_event: 0,
            ts_recv: 0,
            sequence: 0,
            order_ref: 0,
            second_ref: 0,
            price: 0,
            size: 0,
            locate: 0,
            action,
            side: Side::Bid,
            flags: 0,
            detail: 0,
        }
    }

    /// The name that a `Define` brings.
    pub const fn symbol(&self) -> Symbol {
        Symbol(self.second_ref)
    }

    /// The session id that a `Session` brings: 10 bytes, the first 8 in `order_ref`, the last 2 in `second_ref`, big-endian.
    pub fn session(&self) -> [u8; 10] {
        let mut id = [0; 10];
        id[..8].copy_from_slice(&self.order_ref.to_be_bytes());
        id[8..].copy_from_slice(&(self.second_ref as u16).to_be_bytes());
        id
    }

    /// Puts a session id where [`Self::session`] finds it.
    pub fn with_session(mut self, id: [u8; 10]) -> MarketEvent {
        let [a, b, c, d, e, f, g, h, i, j] = id;
        self.order_ref = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        self.second_ref = u64::from(u16::from_be_bytes([i, j]));
        self
    }
}
