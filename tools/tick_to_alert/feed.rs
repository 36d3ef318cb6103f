//! The feed: prints that fire a known rule each, and prints that fire none, in MoldUDP64.
//!
//! Each symbol has two rules, `above 100` and `below 100`, both `repeat`. Its prints jump from 101 to 99 and back: each
//! jump fires one of the two and clears the other, for ever. A quiet print repeats the price before.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use hairtrigger::control::wire::Ask;
use hairtrigger::feed::itch::encode::{Head, trade};
use hairtrigger::feed::moldudp64::{HEADER_SIZE, Header};
use hairtrigger::model::{Comparison, Fire, OnSet, Price, RuleKey, RuleSpec, Signal, Symbol};

use crate::stamps::{self, Side};

/// Size of a print.
pub const PRINT_SIZE: usize = 44;
/// Messages of a datagram: what fits an Ethernet frame.
pub const MESSAGES_MAX: usize = 30;
/// Where a print has its number of shares: the last byte says whether it fires.
pub const SHARES_LAST: usize = 23;
/// Shares of a print that fires, and of one that does not.
pub const FIRING: u32 = 100;
const QUIET: u32 = 1;
const SESSION: [u8; 10] = *b"TICKTOALRT";
/// First stamp, in ns after midnight: 9:30.
const OPEN: u64 = 34_200_000_000_000;
/// Prices in 1e-4: between the thresholds, above and below them.
const MIDDLE: u32 = 1_000_000;
const HIGH: u32 = 1_010_000;
const LOW: u32 = 990_000;
/// and far below them: what fires a storm.
const STORM: u32 = 400_000;

/// The name of a symbol by its number.
pub fn symbol(number: usize) -> Symbol {
    let mut name = *b"T       ";
    let mut rest = number;
    for place in (1..5).rev() {
        name[place] = b'A' + (rest % 26) as u8;
        rest /= 26;
    }
    Symbol::from_bytes(name)
}

/// The rules that fire: two a symbol.
pub fn firing_rules(symbols: usize) -> Vec<Ask> {
    let rule = |symbol_number: usize, slot: u32, comparison| {
        let spec = RuleSpec::new(Signal::Last, comparison, Price(100_000_000_000));
        let key = RuleKey { user: 1, symbol: symbol(symbol_number), slot, account: 0 };
        Ask::Set(key, RuleSpec { fire: Fire::Repeat, on_set: OnSet::Wait, ..spec })
    };
    let of = |number| [rule(number, 0, Comparison::Above), rule(number, 1, Comparison::Below)];
    (0..symbols).flat_map(of).collect()
}

/// The sending end.
pub struct Feed {
    socket: UdpSocket,
    /// Number of the next message.
    pub sequence: u64,
    /// The price of each symbol's last print, in 1e-4.
    prices: Vec<u32>,
    /// One event in so many fires.
    mix: u64,
    events: u64,
    buffer: Vec<u8>,
    /// The event that is a storm's print instead.
    pub storm_at: Option<u64>,
    /// The kernel stamps what is sent.
    is_stamped: bool,
}

impl Feed {
    /// A feed of so many symbols, and one more that only a storm's print names after the opening.
    pub fn new(symbols: usize, mix: u64) -> io::Result<Feed> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let buffer = Vec::with_capacity(HEADER_SIZE + MESSAGES_MAX * (2 + PRINT_SIZE));
        Ok(Feed {
            socket,
            sequence: 1,
            prices: vec![MIDDLE; symbols + 1],
            mix,
            events: 0,
            buffer,
            storm_at: None,
            is_stamped: false,
        })
    }

    /// Sends to this address from now on.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<()> {
        self.socket.connect(to)
    }

    /// Has the kernel stamp what is sent from now on, or no longer.
    pub fn stamp(&mut self, is_stamped: bool) -> io::Result<()> {
        self.is_stamped = is_stamped;
        stamps::enable(&self.socket, if is_stamped { Side::Sent } else { Side::None })
    }

    /// When the last datagram left the kernel, where that is stamped.
    #[inline]
    pub fn left(&self) -> Option<u64> {
        if self.is_stamped { stamps::sent(&self.socket) } else { None }
    }

    /// A first print of every symbol, between the thresholds: fires nothing.
    pub fn open(&mut self) -> io::Result<()> {
        for first in (0..self.prices.len()).step_by(MESSAGES_MAX) {
            self.begin();
            for number in first..self.prices.len().min(first + MESSAGES_MAX) {
                self.push(number, QUIET, MIDDLE);
            }
            self.send()?;
        }
        Ok(())
    }

    /// Sends so many events in one datagram, at most [`MESSAGES_MAX`].
    #[inline]
    pub fn events(&mut self, count: usize) -> io::Result<()> {
        self.begin();
        for _ in 0..count {
            // Symbols far from each other: a real feed does not come in the order of its symbols either.
            let storm = self.prices.len() - 1;
            if self.storm_at == Some(self.events) {
                self.push(storm, FIRING, STORM);
                self.events += 1;
                continue;
            }
            let number = (self.events.wrapping_mul(0x9e37_79b9) >> 7) as usize % storm;
            let fires = self.events.is_multiple_of(self.mix);
            if fires {
                self.prices[number] = if self.prices[number] == HIGH { LOW } else { HIGH };
            }
            self.push(number, if fires { FIRING } else { QUIET }, self.prices[number]);
            self.events += 1;
        }
        self.send()
    }

    /// Tells how far the feed is, with no message.
    pub fn heartbeat(&mut self) -> io::Result<()> {
        self.begin();
        self.send()
    }

    /// True when the event with this place among all events fires.
    pub fn fires(&self, event: u64) -> bool {
        event.is_multiple_of(self.mix) && self.storm_at != Some(event)
    }

    /// Events sent so far.
    pub fn sent(&self) -> u64 {
        self.events
    }

    fn begin(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&Header { session: SESSION, sequence: self.sequence, count: 0 }.bytes());
    }

    #[inline]
    fn push(&mut self, number: usize, shares: u32, price4: u32) {
        let in_packet = (self.buffer.len() - HEADER_SIZE) / (2 + PRINT_SIZE);
        let match_number = self.sequence + in_packet as u64;
        let head = Head { locate: number as u16 + 1, tracking: 0, ts: OPEN + match_number };
        self.buffer.extend_from_slice(&(PRINT_SIZE as u16).to_be_bytes());
        self.buffer.extend_from_slice(&trade(head, shares, symbol(number), price4, match_number));
    }

    #[inline]
    fn send(&mut self) -> io::Result<()> {
        let count = (self.buffer.len() - HEADER_SIZE) / (2 + PRINT_SIZE);
        self.buffer[HEADER_SIZE - 2..HEADER_SIZE].copy_from_slice(&(count as u16).to_be_bytes());
        self.sequence += count as u64;
        match self.socket.send(&self.buffer) {
            // Nobody listens, or the receiver's buffer is full: lost, as on a real line.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            sent => sent.map(drop),
        }
    }
}
