//! The market: prices of a few symbols that walk at random, one print a datagram, numbered on through all lives of the engine.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::feed::moldudp64::Header;
use hairtrigger::model::Symbol;

use crate::{Fault, Random};

/// Symbols.
pub const SYMBOLS: u64 = 16;
/// Where every price begins, in 1e-4 dollars; it stays within half of it.
pub const PRICE: i64 = 1_000_000;
/// Prints between two looks at the clock.
const BURST: u64 = 20;

/// 09:30, in ns since midnight.
const OPEN: u64 = 34_200_000_000_000;

/// The name of a symbol's number.
pub fn name_of(symbol: u64) -> Symbol {
    format!("K{symbol}").parse().expect("a short name of letters and digits")
}

/// A thread that prints, for as long as the program runs.
pub struct Prints {
    address: Arc<Mutex<Option<SocketAddr>>>,
}

impl Prints {
    /// Starts it; it sends to nobody yet.
    pub fn start(seed: u64) -> Result<Prints, Fault> {
        let address = Arc::<Mutex<Option<SocketAddr>>>::default();
        let (theirs, socket) = (Arc::clone(&address), UdpSocket::bind("127.0.0.1:0")?);
        std::thread::spawn(move || walk(&theirs, &socket, seed));
        Ok(Prints { address })
    }

    /// Where to print from now on. What nobody receives still has its number.
    pub fn send_to(&mut self, address: Option<SocketAddr>) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

fn walk(address: &Mutex<Option<SocketAddr>>, socket: &UdpSocket, seed: u64) {
    let (mut random, mut prices, mut sequence) = (Random(seed ^ 0x7072_696e_7473), [PRICE; SYMBOLS as usize], 1);
    loop {
        let to = *address.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..BURST {
            let symbol = random.below(SYMBOLS);
            let price = &mut prices[symbol as usize];
            let step = random.below(20_001) as i64 - 10_000;
            *price = (*price + step).clamp(PRICE / 2, PRICE * 3 / 2);
            if let Some(to) = to {
                // A datagram that does not leave is one that was lost.
                let _ = socket.send_to(&packet(sequence, symbol, *price), to);
            }
            sequence += 1;
        }
        // The pace of the market; nothing waits for it.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A MoldUDP64 packet with one Trade (`P`).
fn packet(sequence: u64, symbol: u64, price: i64) -> Vec<u8> {
    let head = Head { locate: symbol as u16 + 1, tracking: 0, ts: OPEN + sequence };
    let trade = encode::trade(head, 100, name_of(symbol), price as u32, sequence);
    let mut packet = Header { session: *b"KILLNINE  ", sequence, count: 1 }.bytes().to_vec();
    packet.extend((trade.len() as u16).to_be_bytes());
    packet.extend(trade);
    packet
}
