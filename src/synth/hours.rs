//! When things happen: the hours of the day, and the stamps of the messages between them.

use super::random::Random;
use crate::model::Nanos;

/// Nanoseconds of a second.
pub const SECOND: Nanos = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE: Nanos = 60 * SECOND;

/// `S O`: start of messages; the directory spins follow.
pub const MESSAGES_START: Nanos = 3 * 60 * MINUTE;
/// `S S`: orders are accepted from here on.
pub const SYSTEM_START: Nanos = 4 * 60 * MINUTE;
/// `S Q`: the market opens.
pub const MARKET_START: Nanos = (9 * 60 + 30) * MINUTE;
/// `S M`: the market closes.
pub const MARKET_END: Nanos = 16 * 60 * MINUTE;
/// `S E`: no new orders.
pub const SYSTEM_END: Nanos = 20 * 60 * MINUTE;
/// `S C`: the last message.
pub const MESSAGES_END: Nanos = SYSTEM_END + 5 * MINUTE;

const SPAN: Nanos = 30 * MINUTE;
/// Relative activity of the half hours from 04:00 to 20:00: little before the open, a U between open and close.
const ACTIVITY: [u64; 32] = [
    2, 2, 2, 2, 3, 3, 5, 8, 12, 16, 30, // 04:00 to 09:30
    260, 180, 140, 120, 105, 95, 85, 80, 80, 85, 95, 120, 220, // 09:30 to 16:00
    30, 10, 6, 4, 3, 2, 2, 2, // 16:00 to 20:00
];

/// Stamps from 04:00 to 20:00: rising, bursty, a fixed number of them in each half hour.
#[derive(Clone, Debug)]
pub struct Stamps {
    total: u64,
    given: u64,
    span: usize,
    span_left: u64,
    ts: Nanos,
}

impl Stamps {
    /// `total` stamps.
    pub fn new(total: u64) -> Stamps {
        Stamps { total, given: 0, span: 0, span_left: until(total, 1), ts: SYSTEM_START }
    }

    /// The next stamp, `None` after the last.
    #[inline]
    pub fn next(&mut self, random: &mut Random) -> Option<Nanos> {
        if self.given == self.total {
            return None;
        }
        while self.span_left == 0 {
            self.span += 1;
            self.span_left = until(self.total, self.span + 1) - self.given;
            self.ts = SYSTEM_START + SPAN * self.span as u64;
        }
        let span_end = SYSTEM_START + SPAN * (self.span as u64 + 1);
        let gap_mean = (span_end - self.ts) / (self.span_left + 1);
        self.ts += gap(gap_mean, random).min((span_end - self.ts) / 2);
        self.given += 1;
        self.span_left -= 1;
        Some(self.ts)
    }
}

/// Of 16 gaps 13 lie within a burst, at a 32nd of the mean or less; the others make up for it, with up to 8 means each.
/// What is off the mean comes right by itself: it is taken anew from what is left of the half hour.
#[inline]
fn gap(mean: Nanos, random: &mut Random) -> Nanos {
    let bits = random.bits();
    let part = (bits >> 40) & 0xFFF;
    if bits & 15 < 13 { (mean * part) >> 17 } else { (mean * (part + part.min(0x800) + 0x800)) >> 10 }
}

/// Stamps before the end of the half hour `span` - 1.
fn until(total: u64, span: usize) -> u64 {
    const ALL: u64 = {
        let (mut sum, mut i) = (0, 0);
        while i < ACTIVITY.len() {
            sum += ACTIVITY[i];
            i += 1;
        }
        sum
    };
    let so_far: u64 = ACTIVITY.iter().take(span).sum();
    (u128::from(total) * u128::from(so_far) / u128::from(ALL)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_stamps_as_asked_for_rising_within_the_day() {
        for total in [0, 1, 5, 100, 100_000] {
            let (mut stamps, mut random) = (Stamps::new(total), Random::new(3));
            let mut all = vec![];
            while let Some(ts) = stamps.next(&mut random) {
                all.push(ts);
            }
            assert_eq!(all.len() as u64, total);
            assert!(all.is_sorted() && all.iter().all(|ts| (SYSTEM_START..SYSTEM_END).contains(ts)), "{total}");
        }
    }

    #[test]
    fn most_of_it_lies_between_open_and_close() {
        let (mut stamps, mut random) = (Stamps::new(10_000), Random::new(3));
        let market = std::iter::from_fn(|| stamps.next(&mut random))
            .filter(|ts| (MARKET_START..MARKET_END).contains(ts))
            .count();
        assert!((8_500..9_800).contains(&market), "{market}");
    }
}
