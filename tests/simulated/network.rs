//! The market's side: a feed that goes out on two bad lines, and a server that sends again what it is asked for.
//!
//! Loopback mostly delivers within the call that sends; on a busy machine a datagram may stay in the queue of the core that sent it.
//! So all runs on one core, and after each call a datagram to ourselves goes through the same queue: when it is here, all before
//! it have arrived.

use std::net::{SocketAddr, UdpSocket};
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
    pub fn new(messages: Vec<Vec<u8>>, rates: Rates) -> Network {
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
        Network { messages, rates, socket, server, fence, lines: [vec![], vec![]], published: 0 }
    }

    /// Where messages are asked for again.
    pub fn server(&self) -> SocketAddr {
        self.server.local_addr().expect("it is bound")
    }

    pub fn messages(&self) -> &[Vec<u8>] {
        &self.messages
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
        self.lines = [vec![], vec![]];
    }

    /// Publishes the next packet if there are messages below `limit`.
    pub fn publish(&mut self, random: &mut Random, limit: usize) {
        let left = limit.min(self.messages.len()).saturating_sub(self.published);
        let count = left.min(1 + random.below(5) as usize);
        if count == 0 {
            return;
        }
        let blocks = &self.messages[self.published..self.published + count];
        let packet = moldudp64(SESSION, self.published as u64 + 1, count as u16, blocks);
        self.published += count;
        for line in &mut self.lines {
            if !happens(random, self.rates.loss) {
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

    /// Answers one request, if one came.
    pub fn serve(&mut self, random: &mut Random) {
        self.settle();
        let mut request = [0; 64];
        let Ok((20, from)) = self.server.recv_from(&mut request) else { return };
        if happens(random, self.rates.server_loss) {
            return;
        }
        let number = |range: std::ops::Range<usize>| request[range].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (first, wanted) = (number(10..18) - 1, number(18..20));
        let count = wanted.min(self.published.saturating_sub(first)).min(20);
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
