//! The market's side: a feed that goes out on two bad lines, and a server that sends again what it is asked for.
//!
//! Some messages never come: lost on both lines, and the server does not have them. While the engine waits for them no others are lost,
//! so that it waits for nothing else.
//!
//! Loopback mostly delivers within the call that sends; on a busy machine a datagram may stay in the queue of the core that sent it.
//! So all runs on one core, and after each call a datagram to ourselves goes through the same queue: when it is here, all before
//! it have arrived.

use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use hairtrigger::sys::affinity;

use crate::naive::encode::moldudp64;
use crate::naive::generate::Random;

const SESSION: &str = "SIM0000001";

/// What goes wrong, once in so many packets; 0: never.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u64,
    /// Of requests and answers.
    pub server_loss: u64,
}

/// The lines, the server, and what is on its way.
pub struct Network {
    messages: Vec<Vec<u8>>,
    /// Which never come, in order.
    lost: Vec<Range<usize>>,
    /// How many of these the engine that lives has given up.
    given_up: usize,
    rates: Rates,
    socket: UdpSocket,
    server: UdpSocket,
    /// Sends to itself.
    fence: UdpSocket,
    lines: [Vec<Vec<u8>>; 2],
    published: usize,
}

impl Network {
    /// Pins the calling thread.
    pub fn new(messages: Vec<Vec<u8>>, lost: Vec<Range<usize>>, rates: Rates) -> Network {
        let cores = affinity::allowed().expect("a mask");
        affinity::pin_current(cores[std::process::id() as usize % cores.len()]).expect("a core of the mask");
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.set_nonblocking(true).expect("a socket of our own");
            socket
        };
        let (socket, server, fence) = (open(), open(), open());
        fence.set_nonblocking(false).expect("a socket of our own");
        fence.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket of our own");
        fence.connect(fence.local_addr().expect("it is bound")).expect("loopback");
        Network { messages, lost, given_up: 0, rates, socket, server, fence, lines: [vec![], vec![]], published: 0 }
    }

    /// Where messages are asked for again.
    pub fn server(&self) -> SocketAddr {
        self.server.local_addr().expect("it is bound")
    }

    /// All messages, without those that never come, each with its sequence.
    pub fn messages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let comes = |at: usize| self.lost.iter().all(|lost| !lost.contains(&at));
        (0..).zip(&self.messages).filter(move |(at, _)| comes(*at)).map(|(at, bytes)| (at as u64 + 1, &bytes[..]))
    }

    /// Messages, with those that never come.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// How many of the first so many come.
    pub fn coming(&self, of: usize) -> u64 {
        let lost: usize = self.lost.iter().map(|lost| lost.end.min(of).saturating_sub(lost.start)).sum();
        (of - lost) as u64
    }

    /// The engine has got so many messages: true when those that never come are all that it waits for.
    pub fn is_waited_for_in_vain(&self, got: u64) -> bool {
        let next = self.lost.get(self.given_up).filter(|lost| self.published >= lost.end);
        next.is_some_and(|lost| self.coming(lost.start) == got)
    }

    /// The engine that lives waits no longer.
    pub fn give_up(&mut self) {
        self.given_up += 1;
    }

    /// Messages that have left the exchange.
    pub fn published(&self) -> usize {
        self.published
    }

    /// All that was sent so far has arrived when this returns.
    fn settle(&self) {
        self.fence.send(&[0]).expect("loopback");
        self.fence.recv(&mut [0]).expect("loopback delivers");
    }

    /// What was on its way to or from an engine that is no more is lost.
    pub fn forget(&mut self) {
        self.settle();
        while self.server.recv(&mut [0; 64]).is_ok() {}
        self.given_up = 0;
        self.lines = [vec![], vec![]];
    }

    /// Publishes the next packet if there are messages below `limit`.
    pub fn publish(&mut self, random: &mut Random, limit: usize) {
        if let Some(lost) = self.lost.iter().find(|lost| lost.start == self.published && lost.start < limit) {
            self.published = lost.end;
        }
        let next = self.lost.iter().map(|lost| lost.start).find(|start| *start >= self.published);
        let until = limit.min(self.messages.len()).min(next.unwrap_or(usize::MAX));
        let count = until.saturating_sub(self.published).min(1 + random.below(5) as usize);
        if count == 0 {
            return;
        }
        let blocks = &self.messages[self.published..self.published + count];
        let packet = moldudp64(SESSION, self.published as u64 + 1, count as u16, blocks);
        let is_behind_a_gap = self.lost.get(self.given_up).is_some_and(|lost| lost.end <= self.published);
        self.published += count;
        for line in &mut self.lines {
            if is_behind_a_gap || !happens(random, self.rates.loss) {
                line.push(packet.clone());
                if happens(random, self.rates.duplicate) {
                    line.push(packet.clone());
                }
            }
        }
    }

    /// A heartbeat on both lines: it says which number comes next.
    pub fn beat(&mut self) {
        let heartbeat = moldudp64(SESSION, self.published as u64 + 1, 0, &[]);
        self.lines.iter_mut().for_each(|line| line.push(heartbeat.clone()));
    }

    /// Lets one datagram of each line arrive.
    pub fn deliver(&mut self, random: &mut Random, lines: [Option<SocketAddr>; 2]) {
        for (line, to) in self.lines.iter_mut().zip(lines) {
            let Some(to) = to else { continue };
            if line.is_empty() {
                continue;
            }
            let at = if happens(random, self.rates.reorder) { random.below(line.len().min(4) as u64) } else { 0 };
            let packet = line.remove(at as usize);
            // A full buffer is a lost datagram, as on any network.
            let _ = self.socket.send_to(&packet, to);
        }
        self.settle();
    }

    /// Answers the last request that came, if one did.
    pub fn serve(&mut self, random: &mut Random) {
        self.settle();
        let mut request = [0; 64];
        let mut from = None;
        while let Ok((20, sender)) = self.server.recv_from(&mut request) {
            from = Some(sender);
        }
        let Some(from) = from else { return };
        if happens(random, self.rates.server_loss) {
            return;
        }
        let number = |range: std::ops::Range<usize>| request[range].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (first, wanted) = (number(10..18) - 1, number(18..20));
        // Of what it is asked for it sends what it has.
        let end = (first + wanted).min(self.published);
        let first = self.lost.iter().find(|lost| lost.contains(&first)).map_or(first, |lost| lost.end);
        let next = self.lost.iter().map(|lost| lost.start).find(|start| *start >= first);
        let count = end.min(next.unwrap_or(usize::MAX)).saturating_sub(first).min(20);
        if count > 0 {
            let blocks = &self.messages[first..first + count];
            let _ = self.server.send_to(&moldudp64(SESSION, first as u64 + 1, count as u16, blocks), from);
            self.settle();
        }
    }

    /// True when nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.lines.iter().all(Vec::is_empty)
    }
}

fn happens(random: &mut Random, once_in: u64) -> bool {
    once_in > 0 && random.once_in(once_in)
}
