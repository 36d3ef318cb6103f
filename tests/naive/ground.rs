//! What stands in the messages and rules of a generated world.

use super::encode::{message, put, symbol_offset, text};
use super::generate::{Random, Size};
use super::itch::KINDS;

/// What the numbers of a world are drawn from.
pub struct Ground {
    symbols: Vec<&'static str>,
    /// In 1e-4.
    prices: Vec<u64>,
    /// First stamp, and how far stamps move from one message to the next.
    start: u64,
    step: u64,
}

impl Ground {
    pub fn new(random: &mut Random) -> Ground {
        let all = ["A", "B", "ZZ", "LONGNAME", "a", "BRK.A", "", "\u{1}", "A B"];
        let symbols = (0..1 + random.below(5)).map(|_| random.pick(&all[..])).collect::<Vec<_>>();
        let grain = random.pick(&[1, 100, 5_000, 10_000]);
        let center = random.pick(&[grain * 3, 1_000_000, 3_212_000, 4_294_900_000]);
        let prices = (0..1 + random.below(7)).map(|_| center + grain * random.below(6) - 3 * grain).collect();
        let start = random.pick(&[0, 5, 34_200_000_000_000, 86_399_999_999_990]);
        let step = random.pick(&[1, 4, 1_000]);
        Ground { symbols, prices, start, step }
    }

    pub fn messages(&self, random: &mut Random, count: u64) -> Vec<Vec<u8>> {
        let mut now = self.start;
        let mut out = Vec::new();
        for _ in 0..count {
            now += random.below(self.step * 2);
            let mut ts = now;
            if random.once_in(12) {
                ts = ts.saturating_sub(random.below(self.step * 12));
            }
            if random.once_in(400) {
                ts = random.pick(&[0, (1 << 48) - 1, 86_400_000_000_000]);
            }
            out.push(self.message(random, ts));
        }
        out
    }

    fn message(&self, random: &mut Random, ts: u64) -> Vec<u8> {
        let often = b"AAAAAFEEEECCXXDDUUPPPQBBBR";
        let kind = if random.once_in(12) { random.pick(&KINDS[..]) } else { random.pick(&often[..]) };
        let n = self.symbols.len() as u64 + 1;
        let locate = random.below(n);
        let mut m = message(kind, locate as u16, ts);
        // Noise in all fields that no line below writes.
        m[11..].iter_mut().for_each(|b| *b = random.below(256) as u8);
        if let Some(offset) = symbol_offset(kind) {
            // Mostly the locate's own, so that not all is conflict.
            let own = (locate % self.symbols.len() as u64) as usize;
            let symbol = if random.once_in(25) { random.pick(&self.symbols) } else { self.symbols[own] };
            text(&mut m, offset, symbol);
        }
        let (reference, shares, number) = (random.below(9), random.pick(&[0, 1, 1, 2, 2, 3, 5]), random.below(6));
        let price = random.pick(&self.prices);
        match kind {
            b'A' | b'F' => {
                put(&mut m, 11, 8, reference);
                m[19] = random.pick(b"BBBSSSb");
                put(&mut m, 20, 4, shares);
                put(&mut m, 32, 4, price);
            }
            b'E' | b'C' => {
                put(&mut m, 11, 8, reference);
                put(&mut m, 19, 4, shares);
                put(&mut m, 23, 8, number);
                if kind == b'C' {
                    m[31] = random.pick(b"YYN ");
                    put(&mut m, 32, 4, price);
                }
            }
            b'X' => {
                put(&mut m, 11, 8, reference);
                put(&mut m, 19, 4, shares);
            }
            b'D' => put(&mut m, 11, 8, reference),
            b'U' => {
                put(&mut m, 11, 8, reference);
                put(&mut m, 19, 8, random.below(9));
                put(&mut m, 27, 4, shares);
                put(&mut m, 31, 4, price);
            }
            b'P' => {
                put(&mut m, 20, 4, shares);
                put(&mut m, 32, 4, price);
                put(&mut m, 36, 8, number);
            }
            b'Q' => {
                put(&mut m, 11, 8, random.pick(&[0, 1, u64::MAX]));
                put(&mut m, 27, 4, price);
                put(&mut m, 31, 8, number);
            }
            b'B' => put(&mut m, 11, 8, number),
            _ => {}
        }
        match random.below(120) {
            0 => m.truncate(1 + random.below(m.len() as u64 - 1) as usize),
            1 => m.push(0),
            2 => m[0] = random.pick(b"azG\0\xff"),
            _ => {}
        }
        m
    }

    pub fn rules(&self, random: &mut Random, size: Size, base: u64) -> Vec<String> {
        let mut rows = Vec::new();
        // In most worlds many rows come before the first message.
        let mut at = if random.once_in(3) { base } else { 0 };
        let early = if random.once_in(2) { size.rules / 2 } else { 0 };
        for i in 0..size.rules {
            if i >= early {
                let step = 2 * (size.messages + 4) / (size.rules - early).max(1) + 1;
                at = at.max(base.saturating_sub(1)) + random.below(step);
            }
            rows.push(self.rule(random, at, size));
        }
        if random.once_in(4) {
            rows.push(self.rule(random, u64::MAX, size));
        }
        rows
    }

    fn rule(&self, random: &mut Random, at: u64, size: Size) -> String {
        let tag = random.pick(&["", "0", "7", "18446744073709551615"]);
        let account = random.pick(&["", "demo", "DEMO", "a", "Zz9", "zz9"]);
        let user = random.pick(&["1", "2", "3", "03", "18446744073709551615"]);
        let symbol = loop {
            let symbol = random.pick(&self.symbols);
            if !symbol.is_empty() && symbol.bytes().all(|b| b > b' ') {
                break symbol;
            }
            if self.symbols.iter().all(|s| s.is_empty() || s.bytes().any(|b| b <= b' ')) || random.once_in(9) {
                break "NEVER";
            }
        };
        let slot = random.pick(&["", "0", "1", "4294967295"]);
        if random.once_in(10) {
            return format!("{tag},{at},remove,{account},{user},{symbol},{slot},,,,,,,,,");
        }
        let op = random.pick(&["", "set"]);
        let signal = random.pick(&["", "last", "last", "bid", "ask", "mid"]);
        let when = random.pick(&["below", "above", "at_or_below", "at_or_above"]);
        let threshold = self.threshold(random);
        let fire = random.pick(&["", "once", "repeat", "repeat", "repeat"]);
        let on_set = random.pick(&["", "fire", "fire", "wait", "reject"]);
        let grain = self.grain();
        let rearm = match random.below(6) {
            0 => "9223372036.854775807".to_string(),
            1 => decimal(grain),
            2 => decimal(grain / 2),
            3 => "0.000000001".to_string(),
            _ => random.pick(&["", "0", "0.0"]).to_string(),
        };
        let cooldown = match random.below(5) {
            0 => (random.below(12) * self.step).to_string(),
            1 => random.pick(&["18446744073709551615", "1", "1000000"]).to_string(),
            _ => random.pick(&["", "0"]).to_string(),
        };
        let max_fires = random.pick(&["", "0", "1", "2", "3", "4294967295"]);
        let expires_at = match random.below(4) {
            0 => time_of_day(self.start + random.below(self.step * (size.messages + 20))),
            _ => String::new(),
        };
        format!(
            "{tag},{at},{op},{account},{user},{symbol},{slot},{signal},{when},{threshold},{fire},{on_set},{rearm},\
             {cooldown},{max_fires},{expires_at}"
        )
    }

    /// Distance of two prices in 1e-9.
    fn grain(&self) -> u64 {
        let low = self.prices.iter().min().expect("a price");
        let high = self.prices.iter().max().expect("a price");
        (high - low) / 3 * 100_000
    }

    /// At a price, next to it, between two, or out of reach; in one of the ways to write it.
    fn threshold(&self, random: &mut Random) -> String {
        let at = random.pick(&self.prices) * 100_000;
        let nanos = match random.below(8) {
            0 => at + 1,
            1 => at.saturating_sub(1),
            2 => at + self.grain() / 2,
            3 => at.saturating_sub(self.grain() / 2),
            4 if random.once_in(4) => i64::MAX as u64,
            5 if random.once_in(4) => 0,
            _ => at,
        };
        let written = decimal(nanos);
        match random.below(8) {
            0 => format!("00{written}"),
            1 => format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
            _ => written,
        }
    }
}

fn decimal(nanos: u64) -> String {
    super::decimal::print(i128::from(nanos))
}

/// As the column `expires_at` has it; a time beyond the day becomes its last nanosecond.
pub fn time_of_day(ts: u64) -> String {
    let ts = ts.min(86_399_999_999_999);
    let (s, nanos) = (ts / 1_000_000_000, ts % 1_000_000_000);
    let clock = format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if nanos == 0 { clock } else { format!("{clock}.{nanos:09}") }
}
