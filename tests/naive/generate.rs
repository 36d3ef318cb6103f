//! Seeded worlds of small numbers: few symbols, references, prices, match numbers and stamps, so that everything that
//! can collide does.

use super::encode::{Capture, Form, binary_file, gzip, moldudp64};
use super::ground::Ground;

/// Columns of the generated rules files, in one of their orders.
pub const RULES_HEADER: &str =
    "tag,at,op,account,user,symbol,slot,signal,when,threshold,fire,on_set,rearm,cooldown_ns,max_fires,expires_at";

/// splitmix64: a seed gives the same world everywhere.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How the messages become a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    BinaryFile,
    Capture,
}

/// A feed and its rules, in parts that can be taken out one by one.
#[derive(Debug, Clone)]
pub struct World {
    pub seed: u64,
    pub carrier: Carrier,
    pub messages: Vec<Vec<u8>>,
    pub rules_header: String,
    pub rule_rows: Vec<String>,
    /// Sequence of the first message in a capture.
    pub base: u64,
    /// A whole BinaryFILE, whatever the carrier and the seed.
    pub plain: bool,
}

/// How large and how odd a world is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub messages: u64,
    pub rules: u64,
}

impl World {
    pub fn new(seed: u64, size: Size) -> World {
        let mut random = Random(seed);
        let carrier = if random.once_in(4) { Carrier::Capture } else { Carrier::BinaryFile };
        let base = match carrier {
            Carrier::BinaryFile => 1,
            Carrier::Capture => random.pick(&[0, 1, 1, 14_757_701, u64::MAX / 2]),
        };
        let market = Ground::new(&mut random);
        let messages = market.messages(&mut random, size.messages);
        let rule_rows = market.rules(&mut random, size, base);
        World { seed, carrier, messages, rules_header: RULES_HEADER.to_string(), rule_rows, base, plain: false }
    }

    pub fn rules(&self) -> String {
        let mut out = self.rules_header.clone() + "\n";
        for row in &self.rule_rows {
            out += row;
            out.push('\n');
        }
        out
    }

    /// The file. What it does beside the messages (markers, gzip, loss, damage) comes from the seed alone.
    pub fn feed(&self) -> Vec<u8> {
        if self.plain {
            return binary_file(&self.messages);
        }
        let mut random = Random(self.seed ^ 0xfeed);
        let mut file = match self.carrier {
            Carrier::BinaryFile => self.binary_file(&mut random),
            Carrier::Capture => self.capture(&mut random),
        };
        if random.once_in(6) {
            let cut = random.below(file.len() as u64 + 1) as usize;
            file.truncate(if random.once_in(2) { cut } else { file.len().saturating_sub(cut % 40) });
        }
        if random.once_in(4) { zipped(&mut random, &file) } else { file }
    }

    fn binary_file(&self, random: &mut Random) -> Vec<u8> {
        let mut file = binary_file(&self.messages);
        if random.once_in(2) {
            file.extend([0, 0]);
            if random.once_in(4) {
                file.extend(binary_file(&self.messages[..self.messages.len().min(2)]));
            }
        }
        file
    }

    fn capture(&self, random: &mut Random) -> Vec<u8> {
        let form = Form {
            little: random.once_in(2),
            nanoseconds: random.once_in(2),
            ethernet: !random.once_in(3),
            vlan_tags: random.below(3) as usize,
        };
        let mut capture = Capture::new(form);
        let mut frames = self.frames(random, &capture);
        // Reordering: a frame changes its place with one of its neighbours.
        for i in 1..frames.len() {
            if random.once_in(5) {
                frames.swap(i, i - 1 - random.below(i.min(4) as u64) as usize);
            }
        }
        for frame in frames {
            let snap = if random.once_in(20) { random.below(frame.len() as u64 + 1) as usize } else { frame.len() };
            capture.frame(&frame, snap);
        }
        capture.bytes
    }

    /// Packets of a few messages, some of them lost, some twice, some overlapping, with other traffic among them.
    fn frames(&self, random: &mut Random, capture: &Capture) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut i = 0;
        while i < self.messages.len() {
            let n = (1 + random.below(6) as usize).min(self.messages.len() - i);
            let sequence = self.base + i as u64;
            let blocks = &self.messages[i..i + n];
            let packet = moldudp64("S1", sequence, n as u16, blocks);
            if !random.once_in(12) {
                frames.push(capture.framed(&packet, 0x4000));
            }
            if random.once_in(6) {
                frames.push(capture.framed(&packet, 0));
            }
            if random.once_in(8) {
                frames.push(self.other_traffic(random, capture, sequence, blocks));
            }
            i += if random.once_in(5) { 1.max(n / 2) } else { n };
        }
        frames
    }

    fn other_traffic(&self, random: &mut Random, capture: &Capture, sequence: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
        let shifted = moldudp64("S1", sequence + 1, blocks.len() as u16, blocks);
        match random.below(9) {
            0 => capture.framed(&moldudp64("S1", sequence, 0, &[]), 0),
            1 => capture.framed(&moldudp64("S1", sequence, 0xffff, &[]), 0),
            2 => capture.framed(&moldudp64("S1", sequence, 5, &[]), 0),
            3 => capture.framed(b"no packet", 0),
            4 => capture.framed(&shifted, 0x2000),
            5 => capture.framed(&shifted, 3),
            6 => Vec::new(),
            7 => vec![0x33; 40],
            // The same numbers with other messages: they count where they come first. Counts one more than it has.
            _ => capture.framed(&moldudp64("S1", sequence + 1, blocks.len() as u16 + 1, blocks), 0),
        }
    }
}

/// One or several members, whole, cut, with a wrong checksum, or with other bytes behind them.
fn zipped(random: &mut Random, file: &[u8]) -> Vec<u8> {
    let middle = random.below(file.len() as u64 + 1) as usize;
    let mut out = if random.once_in(3) { Vec::new() } else { gzip(&file[..middle]) };
    let rest = if out.is_empty() { file } else { &file[middle..] };
    out.extend(gzip(rest));
    match random.below(8) {
        0 => out.truncate(random.below(out.len() as u64 + 1) as usize),
        1 => {
            let crc = out.len() - 8;
            out[crc] ^= 1;
        }
        2 => out.extend(b"more"),
        _ => {}
    }
    out
}
