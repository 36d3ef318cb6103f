//! The market: prints of some symbols whose prices walk at random, in packets that are due every 100 us.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::feed::moldudp64::Header;
use hairtrigger::model::Symbol;

use crate::{Fault, STOP};

/// Symbols.
pub const SYMBOLS: u64 = 64;
/// Where every price begins, in 1e-4 dollars.
pub const PRICE: i64 = 1_000_000;
/// Packets a second.
const PACKETS: u64 = 10_000;
/// 09:30, in ns since midnight.
const OPEN: u64 = 34_200_000_000_000;

/// When each message is due.
pub struct Clock {
    start: Instant,
    per_packet: u64,
}

impl Clock {
    /// From now on, so many messages a second.
    pub fn start(rate: u64) -> Clock {
        Clock { start: Instant::now(), per_packet: rate.div_ceil(PACKETS).clamp(1, 30) }
    }

    /// How late it is for the message of this sequence, from 1.
    pub fn lateness(&self, sequence: u64) -> Duration {
        self.start.elapsed().saturating_sub(self.due(sequence))
    }

    fn due(&self, sequence: u64) -> Duration {
        Duration::from_nanos((sequence - 1) / self.per_packet * (1_000_000_000 / PACKETS))
    }
}

/// The name of a symbol's number.
pub fn name_of(symbol: u64) -> Symbol {
    format!("K{symbol}").parse().expect("a short name of letters and digits")
}

/// SplitMix64: from 0 to `bound` - 1.
pub fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    Symbol(*state).hash() % bound
}

/// Sends packets when they are due, until it is told to stop.
pub fn send(line: SocketAddr, clock: &Clock) -> Result<(), Fault> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let (mut random, mut prices, mut sequence, mut packet) = (7, [PRICE; SYMBOLS as usize], 1, vec![]);
    while !STOP.load(Ordering::Relaxed) {
        let due = clock.due(sequence);
        std::thread::sleep(due.saturating_sub(clock.start.elapsed()));
        packet.clear();
        packet.extend(Header { session: *b"SOAK      ", sequence, count: clock.per_packet as u16 }.bytes());
        for sequence in sequence..sequence + clock.per_packet {
            let symbol = below(&mut random, SYMBOLS);
            let price = &mut prices[symbol as usize];
            *price = (*price + below(&mut random, 401) as i64 - 200).clamp(PRICE / 2, PRICE * 3 / 2);
            let head = Head { locate: symbol as u16 + 1, tracking: 0, ts: OPEN + sequence };
            let trade = encode::trade(head, 100, name_of(symbol), *price as u32, sequence);
            packet.extend((trade.len() as u16).to_be_bytes());
            packet.extend(trade);
        }
        sequence += clock.per_packet;
        // A datagram that does not leave is one that was lost: the engine counts it.
        let _ = socket.send_to(&packet, line);
    }
    Ok(())
}
