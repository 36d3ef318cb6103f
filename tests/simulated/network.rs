//! The market's side: a feed that goes out on two bad lines, and a server that sends again what it is asked for.
//!
//! The messages are those of one session of the feed, or of two: then the second begins once the engine has all of the first, with
//! numbers from 1 and other locates.
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

const SESSIONS: [&str; 2] = ["SIM0000001", "SIM0000002"];
/// The count of a packet that ends a session.
const END_OF_SESSION: u16 = 0xffff;

/// Where a message or command stands among all of both sessions. Before the feed is heard it is in the first.
pub fn place_of(session: &[u8; 10], sequence: u64) -> u64 {
    (u64::from(session == SESSIONS[1].as_bytes()) << 32) + sequence
}

/// Which session such a place is in.
pub fn session_of(place: u64) -> usize {
    (place >> 32) as usize
}

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
    /// How many of them are in the first session, where there are two.
    change: Option<usize>,
    /// The session that goes on: 0 or 1.
    session: usize,
    /// The first message that the engine that lives can hear.
    heard_from: usize,
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
    pub fn new(mut messages: Vec<Vec<u8>>, lost: Vec<Range<usize>>, change: Option<usize>, rates: Rates) -> Network {
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
        // One within a loss would have its last messages missing for ever.
        let change = change.filter(|at| lost.iter().all(|lost| *at <= lost.start || *at > lost.end));
        if let Some(at) = change {
            move_locates(&mut messages, at);
            order_stamps(&mut messages, at);
        }
        Network {
            messages,
            change,
            session: 0,
            heard_from: 0,
            lost,
            given_up: 0,
            rates,
            socket,
            server,
            fence,
            lines: [vec![], vec![]],
            published: 0,
        }
    }

    /// Where messages are asked for again.
    pub fn server(&self) -> SocketAddr {
        self.server.local_addr().expect("it is bound")
    }

    /// The first message of the session that goes on.
    fn session_start(&self) -> usize {
        if self.session == 0 { 0 } else { self.change.unwrap_or(0) }
    }

    /// A packet of the session that goes on, with these messages from `published` on.
    fn packet(&self, first: usize, count: u16, blocks: &[Vec<u8>]) -> Vec<u8> {
        moldudp64(SESSIONS[self.session], (first - self.session_start()) as u64 + 1, count, blocks)
    }

    /// True when the engine has so many messages behind it, all of the session, and another one follows below `limit`.
    pub fn is_session_over(&self, got: u64, limit: usize) -> bool {
        let is_last = self.session == 0 && self.change == Some(self.published) && self.published < limit;
        is_last && self.coming(self.published) == got
    }

    /// The end of a session, on both lines.
    pub fn end_session(&mut self) {
        let end = self.packet(self.published, END_OF_SESSION, &[]);
        self.lines.iter_mut().for_each(|line| line.push(end.clone()));
    }

    /// The next one begins.
    pub fn begin_session(&mut self) {
        self.session += 1;
    }

    /// True when two sessions have been.
    pub fn has_changed(&self) -> bool {
        self.session > 0
    }

    /// All messages, without those that never come, each with its place.
    pub fn messages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let comes = |at: usize| self.lost.iter().all(|lost| !lost.contains(&at));
        let change = self.change.unwrap_or(usize::MAX);
        let place = move |at: usize| {
            let (session, first) = if at < change { (0, 0) } else { (1, change) };
            place_of(SESSIONS[session].as_bytes().first_chunk().expect("ten bytes"), (at - first) as u64 + 1)
        };
        (0..).zip(&self.messages).filter(move |(at, _)| comes(*at)).map(move |(at, bytes)| (place(at), &bytes[..]))
    }

    /// Messages, with those that never come.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// How many of the first so many the engine that lives can hear, with those that never come.
    pub fn coming(&self, of: usize) -> u64 {
        of.saturating_sub(self.heard_from) as u64
    }

    /// How many of these never come.
    pub fn missing(&self) -> u64 {
        let (from, of) = (self.heard_from, self.published);
        self.lost.iter().map(|lost| lost.end.min(of).saturating_sub(lost.start.max(from)) as u64).sum()
    }

    /// The engine has so many messages behind it: true when those that never come are all that it waits for.
    pub fn is_waited_for_in_vain(&mut self, got: u64) -> bool {
        let until = self.heard_from + got as usize;
        self.given_up = self.given_up.max(self.lost.iter().filter(|lost| lost.end <= until).count());
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
        self.hear_again();
        self.lines = [vec![], vec![]];
    }

    /// An engine that starts hears the session that goes on, from its first message.
    pub fn hear_again(&mut self) {
        self.heard_from = self.session_start();
        self.given_up = self.lost.iter().filter(|lost| lost.end <= self.heard_from).count();
    }

    /// Publishes the next packet if there are messages below `limit`.
    pub fn publish(&mut self, random: &mut Random, limit: usize) {
        let is_other = self.session == 0 && self.change == Some(self.published);
        let lost = self.lost.iter().find(|lost| lost.start == self.published && lost.start < limit && !is_other);
        if let Some(lost) = lost {
            self.published = lost.end;
        }
        let next = self.lost.iter().map(|lost| lost.start).find(|start| *start >= self.published);
        let session_end = self.change.filter(|_| self.session == 0).unwrap_or(self.messages.len());
        let until = limit.min(session_end).min(next.unwrap_or(usize::MAX));
        let count = until.saturating_sub(self.published).min(1 + random.below(5) as usize);
        if count == 0 {
            return;
        }
        let blocks = &self.messages[self.published..self.published + count];
        let packet = self.packet(self.published, count as u16, blocks);
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
        let heartbeat = self.packet(self.published, 0, &[]);
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
        if request[..10] != *SESSIONS[self.session].as_bytes() {
            return;
        }
        let (first, wanted) = (self.session_start() + number(10..18) - 1, number(18..20));
        // Of what it is asked for it sends what it has.
        let end = (first + wanted).min(self.published);
        let first = self.lost.iter().find(|lost| lost.contains(&first)).map_or(first, |lost| lost.end);
        let next = self.lost.iter().map(|lost| lost.start).find(|start| *start >= first);
        let count = end.min(next.unwrap_or(usize::MAX)).saturating_sub(first).min(20);
        if count > 0 {
            let blocks = &self.messages[first..first + count];
            let _ = self.server.send_to(&self.packet(first, count as u16, blocks), from);
            self.settle();
        }
    }

    /// True when nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.lines.iter().all(Vec::is_empty)
    }
}

/// From message `at` on every symbol has another locate.
fn move_locates(messages: &mut [Vec<u8>], at: usize) {
    let locate = |message: &[u8]| message.get(1..3).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let count = 1 + messages.iter().filter_map(|message| locate(message)).max().unwrap_or(0);
    for message in &mut messages[at..] {
        if let Some(locate) = locate(message) {
            message[1..3].copy_from_slice(&((locate + 1) % count).to_be_bytes());
        }
    }
}

/// From message `at` on no stamp is before one of an earlier message: an engine that starts in a session knows no time but its own,
/// and what had expired in an earlier one would not have. Stamps that no feed has are left out of the first.
fn order_stamps(messages: &mut [Vec<u8>], at: usize) {
    const UNLIKELY: [u64; 2] = [(1 << 48) - 1, 86_400_000_000_000];
    let mut latest = 0;
    for (number, message) in messages.iter_mut().enumerate().filter(|(_, message)| message.len() >= 11) {
        let ts = message[5..11].iter().fold(0, |ts, byte| ts << 8 | u64::from(*byte));
        let is_first = number < at;
        let ts = if is_first && UNLIKELY.contains(&ts) { latest } else { ts.max(if is_first { 0 } else { latest }) };
        message[5..11].copy_from_slice(&ts.to_be_bytes()[2..]);
        latest = if is_first { latest.max(ts) } else { latest };
    }
}

fn happens(random: &mut Random, once_in: u64) -> bool {
    once_in > 0 && random.once_in(once_in)
}
