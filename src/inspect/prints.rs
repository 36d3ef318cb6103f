//! What can be said of a series of prints.

use crate::model::{MarketEvent, Nanos, Price};

/// One print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// The message's number in the feed.
    pub sequence: u64,
    /// ns since midnight.
    pub ts_event: Nanos,
    /// What was paid.
    pub price: Price,
    /// How many changed hands.
    pub shares: u32,
}

/// All prints of a feed or of a symbol. Where several share an extreme, the first one is named. Broken trades are not
/// taken out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prints {
    /// How many.
    pub count: u64,
    /// Sum of shares.
    pub shares: u64,
    /// Sum of price times shares, in 1e-9 of the currency unit.
    pub notional: u128,
    /// In the order of the feed.
    pub first: Option<Print>,
    /// In the order of the feed.
    pub last: Option<Print>,
    /// By price.
    pub lowest: Option<Print>,
    /// By price.
    pub highest: Option<Print>,
    /// By shares.
    pub largest: Option<Print>,
}

impl Prints {
    pub(super) fn take(&mut self, event: &MarketEvent, price: i64) {
        let &MarketEvent { sequence, ts_event, size: shares, .. } = event;
        let print = Print { sequence, ts_event, price: Price(price), shares };
        self.count += 1;
        self.shares += u64::from(shares);
        // A price of ITCH is not negative.
        self.notional += u128::from(price.unsigned_abs()) * u128::from(shares);
        self.first.get_or_insert(print);
        self.last = Some(print);
        let keep = |kept: &mut Option<Print>, better: fn(&Print, &Print) -> bool| {
            if kept.is_none_or(|kept| better(&print, &kept)) {
                *kept = Some(print);
            }
        };
        keep(&mut self.lowest, |new, kept| new.price < kept.price);
        keep(&mut self.highest, |new, kept| new.price > kept.price);
        keep(&mut self.largest, |new, kept| new.shares > kept.shares);
    }
}
