//! What happens at given times of the day: spins, system events, crosses, imbalances, halts and the rare types.

use super::hours::{MARKET_END, MARKET_START, MESSAGES_END, MESSAGES_START, MINUTE, SECOND, SYSTEM_END, SYSTEM_START};
use super::random::Random;
use crate::model::Nanos;

/// A stock by its rank of activity.
pub type Rank = u32;

/// One message that comes at its time.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// `S` with its code.
    System(u8),
    /// `R`.
    Directory(Rank),
    /// `H` with its state and reason.
    Status(Rank, u8, [u8; 4]),
    /// `Y` with its action.
    RegSho(Rank, u8),
    /// `L`.
    Participant(Rank),
    /// `V`.
    Levels,
    /// `W` with its level.
    Breach(u8),
    /// `K`.
    Ipo(Rank),
    /// `J`.
    Collar(Rank),
    /// `h` with its action.
    Operational(Rank, u8),
    /// `Q` with its type.
    Cross(Rank, u8),
    /// `I` with its type of cross.
    Imbalance(Rank, u8),
    /// `N` with its interest.
    Retail(Rank, u8),
    /// `O`.
    Listing(Rank),
    /// `B` of some recent match.
    Broken,
}

/// Messages per symbol that no day goes without: `R`, `H`, `Y`, `L` and two crosses.
pub const SPIN: u64 = 6;

/// The day's items by time, for `stocks` symbols and a day of `messages`. [`SPIN`] for each symbol and about one
/// message in 300 besides.
pub fn agenda(stocks: Rank, messages: u64, random: &mut Random) -> Vec<(Nanos, Item)> {
    let mut day = Agenda { items: vec![], stocks, random };
    day.session();
    day.spins();
    day.crosses();
    day.imbalances(messages / 500);
    day.halts((messages / 100_000).clamp(2, 200));
    day.rarities(messages);
    let mut items = day.items;
    // Stable: what is due at one moment stays in the order in which it was thought of.
    items.sort_by_key(|(ts, _)| *ts);
    items
}

struct Agenda<'a> {
    items: Vec<(Nanos, Item)>,
    stocks: Rank,
    random: &'a mut Random,
}

impl Agenda<'_> {
    fn at(&mut self, ts: Nanos, item: Item) {
        self.items.push((ts, item));
    }

    fn session(&mut self) {
        self.at(MESSAGES_START, Item::System(b'O'));
        self.at(SYSTEM_START, Item::System(b'S'));
        self.at(MARKET_START, Item::System(b'Q'));
        self.at(MARKET_END, Item::System(b'M'));
        self.at(SYSTEM_END, Item::System(b'E'));
        self.at(MESSAGES_END, Item::System(b'C'));
        self.at(SYSTEM_START + 180 * MINUTE, Item::Levels);
        // From 15:25 on a breach of level 1 halts nothing, so the rest of the day goes on as it is.
        self.at(MARKET_END - 29 * MINUTE, Item::Breach(b'1'));
    }

    /// Whole spins one behind the other, 1 us a message.
    fn spins(&mut self) {
        for rank in 0..self.stocks {
            let ts = MESSAGES_START + u64::from(rank) * 1_000;
            self.at(ts + SECOND, Item::Directory(rank));
            self.at(ts + 2 * SECOND, Item::Status(rank, b'T', *b"    "));
            self.at(ts + 3 * SECOND, Item::RegSho(rank, b'0'));
            self.at(ts + 4 * SECOND, Item::Participant(rank));
        }
    }

    /// An opening and a closing cross for everyone, within half a second.
    fn crosses(&mut self) {
        for rank in 0..self.stocks {
            let wait = u64::from(self.random.below(500_000_000));
            self.at(MARKET_START + 70_000 + wait, Item::Cross(rank, b'O'));
            self.at(MARKET_END + 90_000 + wait, Item::Cross(rank, b'C'));
        }
    }

    /// Before the open and before the close, on the grid of full seconds; mostly of the busy ones.
    fn imbalances(&mut self, count: u64) {
        for n in 0..count.max(4) {
            let rank = self.busy();
            let (end, cross) = if n % 2 == 0 { (MARKET_START, b'O') } else { (MARKET_END, b'C') };
            let (slots, grid) = if n % 8 < 6 { (120, SECOND) } else { (30, 10 * SECOND) };
            let before = (1 + u64::from(self.random.below(slots))) * grid;
            self.at(end - before, Item::Imbalance(rank, cross));
        }
    }

    /// By turns volatility pauses of five minutes with a collar, and news halts without.
    fn halts(&mut self, count: u64) {
        for n in 0..count {
            let rank = self.random.below(self.stocks);
            let start = MARKET_START + MINUTE + u64::from(self.random.below(370)) * MINUTE + 333 * n;
            let volatility = n % 2 == 0;
            let (state, reason) = if volatility { (b'P', *b"LUDP") } else { (b'H', *b"T1  ") };
            self.at(start, Item::Status(rank, state, reason));
            if volatility {
                self.at(start + 15_000, Item::RegSho(rank, b'1'));
                self.at(start + SECOND, Item::Collar(rank));
            }
            let (quotation, end) = (start + 4 * MINUTE, start + 5 * MINUTE);
            let resumption = if volatility { *b"T7  " } else { *b"T3  " };
            self.at(quotation, Item::Status(rank, b'Q', resumption));
            self.at(quotation + 30 * SECOND, Item::Imbalance(rank, b'H'));
            self.at(end, Item::Cross(rank, b'H'));
            self.at(end + 20_000, Item::Status(rank, b'T', resumption));
        }
    }

    fn rarities(&mut self, messages: u64) {
        let last = self.stocks - 1;
        self.at(SYSTEM_START + 240 * MINUTE, Item::Ipo(last));
        for second in 0..5 {
            self.at(MARKET_START + 75 * MINUTE + second * SECOND, Item::Listing(last / 2));
        }
        let stopped = self.random.below(self.stocks);
        self.at(MARKET_START + 120 * MINUTE, Item::Operational(stopped, b'H'));
        self.at(MARKET_START + 130 * MINUTE, Item::Operational(stopped, b'T'));
        for n in 0..(messages / 5_000).max(4) {
            let (rank, interest) = (self.busy(), b"BSAN"[(n % 4) as usize]);
            let ts = self.in_market();
            self.at(ts, Item::Retail(rank, interest));
        }
        for _ in 0..(messages / 20_000).max(2) {
            let ts = self.in_market();
            self.at(ts, Item::Broken);
        }
    }

    /// The lesser of two ranks: the busy ones more often.
    fn busy(&mut self) -> Rank {
        self.random.below(self.stocks).min(self.random.below(self.stocks))
    }

    /// Some moment from 09:40 to 15:59.
    fn in_market(&mut self) -> Nanos {
        MARKET_START + 10 * MINUTE + u64::from(self.random.below(379 * 60_000)) * 1_000_000
    }
}
