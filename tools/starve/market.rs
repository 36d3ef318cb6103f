//! The market and its rules: three symbols whose prices change sides with every print, and for each account rules that fire
//! each time.
//!
//! | symbol | account | prints | alerts of a print |
//! |---|---|---|---|
//! | MEAS | `meas`: the clients that are measured | 20 of 25 | 1 |
//! | CROWD | `crowd`: those that read, and the slow ones | 1 of 25 | 1 |
//! | HEAP | `heap`: those that never read | 4 of 25 | 1 |
//! | BULK | `heap` | before all others, once | 64: so that there is more to send to them than a socket takes |

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hairtrigger::client::{Client, Event, Request as Login};
use hairtrigger::control::wire::{Answer, Ask, Body, Request};
use hairtrigger::feed::itch::encode::{self, Head};
use hairtrigger::feed::moldudp64::Header;
use hairtrigger::model::{Comparison, Fire, Price, RuleKey, RuleSpec, Signal, Symbol};

use crate::{Fault, PASSWORD};

/// Where the rules wait, in 1e-4 dollars.
const PRICE: u32 = 1_000_000;
/// How far a print is on either side.
const AWAY: u32 = 10_000;
/// The symbols' names, and their places here.
const NAMES: [&str; 4] = ["MEAS", "CROWD", "HEAP", "BULK"];
const MEAS: usize = 0;
const CROWD: usize = 1;
const HEAP: usize = 2;
const BULK: usize = 3;
/// Rules on either side of BULK.
const BULK_RULES: u32 = 64;
/// Time between two prints of BULK.
const BULK_PACE: Duration = Duration::from_millis(1);
/// 09:30, in ns since midnight.
const OPEN: u64 = 34_200_000_000_000;

/// When each print is due.
pub struct Clock {
    start: Instant,
    first: u64,
    interval: Duration,
}

impl Clock {
    /// How late it is for the print of this sequence; `None` for one that had no time of its own.
    pub fn lateness(&self, sequence: u64) -> Option<Duration> {
        Some(self.start.elapsed().saturating_sub(self.due(sequence.checked_sub(self.first)?)))
    }

    fn due(&self, number: u64) -> Duration {
        Duration::from_nanos(number * self.interval.as_nanos() as u64)
    }
}

/// Sets the rules of a user's account on a symbol: so many on either side.
fn set(rules: SocketAddr, user: &str, symbol: Symbol, count: u32) -> Result<(), Fault> {
    let mut client = Client::connect(rules, &Login::new(user, PASSWORD)?)?;
    for number in 0..2 * count {
        let side = if number % 2 == 0 { Comparison::Below } else { Comparison::Above };
        let price = Price(i64::from(PRICE) * 100_000);
        let spec = RuleSpec { fire: Fire::Repeat, ..RuleSpec::new(Signal::Last, side, price) };
        let key = RuleKey { user: 0, symbol, slot: number, account: 0 };
        client.writer.send_unsequenced(Request { id: u64::from(number), ask: Ask::Set(key, spec) }.encode().bytes())?;
    }
    let mut answers = 0;
    while answers < 2 * count {
        let Event::Sequenced(_, message) = client.receive()? else { continue };
        match Answer::read(message).ok_or("an answer that cannot be read")?.body {
            Body::SetDone { .. } => answers += 1,
            other => return Err(format!("a set was answered with {other:?}").into()),
        }
    }
    Ok(client.writer.log_out()?)
}

/// The sender's side of the feed.
pub struct Market {
    socket: UdpSocket,
    line: SocketAddr,
    sequence: u64,
    symbols: [Symbol; 4],
    /// Prints of each so far.
    prints: [u32; 4],
}

impl Market {
    /// Nothing was printed yet.
    pub fn new(line: SocketAddr) -> Result<Market, Fault> {
        let symbols = NAMES.map(|name| name.parse().expect("a short name of letters"));
        Ok(Market { socket: UdpSocket::bind("127.0.0.1:0")?, line, sequence: 1, symbols, prints: [0; 4] })
    }

    /// Sets all rules, each as a user of its account.
    pub fn set_rules(&self, rules: SocketAddr, [meas, crowd, heap]: [&str; 3]) -> Result<(), Fault> {
        let users = [(meas, MEAS, 1), (crowd, CROWD, 1), (heap, HEAP, 1), (heap, BULK, BULK_RULES)];
        users.into_iter().try_for_each(|(user, symbol, count)| set(rules, user, self.symbols[symbol], count))
    }

    /// Gives those that never read so many prints' alerts to leave unread.
    pub fn heap_up(&mut self, prints: u64) {
        for _ in 0..prints {
            self.print(BULK);
            std::thread::sleep(BULK_PACE);
        }
    }

    /// The clock of all prints from now on.
    pub fn clock(&self, prints_per_second: u64) -> Clock {
        let interval = Duration::from_secs(1) / u32::try_from(prints_per_second).unwrap_or(u32::MAX).max(1);
        Clock { start: Instant::now(), first: self.sequence, interval }
    }

    /// Prints when it is due, until told to stop.
    pub fn run(mut self, clock: &Clock, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let number = self.sequence - clock.first;
            std::thread::sleep(clock.due(number).saturating_sub(clock.start.elapsed()));
            self.print(match number % 25 {
                24 => CROWD,
                4 | 9 | 14 | 19 => HEAP,
                _ => MEAS,
            });
        }
    }

    /// A MoldUDP64 packet with one Trade (`P`).
    fn print(&mut self, symbol: usize) {
        let sequence = self.sequence;
        let price = if self.prints[symbol].is_multiple_of(2) { PRICE - AWAY } else { PRICE + AWAY };
        let head = Head { locate: symbol as u16 + 1, tracking: 0, ts: OPEN + sequence };
        let trade = encode::trade(head, 100, self.symbols[symbol], price, sequence);
        let mut packet = Header { session: *b"STARVE    ", sequence, count: 1 }.bytes().to_vec();
        packet.extend((trade.len() as u16).to_be_bytes());
        packet.extend(trade);
        // A datagram that does not leave is one that was lost: its alert does not come, and those behind it come late.
        let _ = self.socket.send_to(&packet, self.line);
        (self.sequence, self.prints[symbol]) = (sequence + 1, self.prints[symbol] + 1);
    }
}
