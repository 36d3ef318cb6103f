//! The feed of a demo, and what its symbols cost: what rules are made around.

use std::collections::HashMap;
use std::path::Path;

use crate::feed::itch;
use crate::feed::recording::{Recording, RecordingError};
use crate::inspect::Inspection;
use crate::limits::ITCH_SIZE_MAX;
use crate::model::{Action, Price, Symbol};
use crate::publish::Messages;
use crate::synth::{Day, DayParams};

/// Messages and prices.
pub struct Market {
    /// What is published.
    pub messages: Messages,
    /// Symbols, busiest first, and a price of each, 1e-4.
    pub prices: Vec<(Symbol, u32)>,
}

impl Market {
    /// A synthetic day of so many messages.
    pub fn generated(params: DayParams) -> Market {
        let mut day = Day::new(params);
        let prices = day.prices().collect();
        let (mut messages, mut buffer) = (Messages::default(), [0; ITCH_SIZE_MAX]);
        let mut sequence = 1;
        while let Some(message) = day.next_into(&mut buffer) {
            messages.push(sequence, message);
            sequence += 1;
        }
        Market { messages, prices }
    }

    /// The first `limit` messages of a recorded feed. A symbol's price is that of its first print, or else of its first order.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn recorded(path: &Path, limit: u64) -> Result<Market, RecordingError> {
        let mut recording = Recording::open(path)?;
        let mut messages = Messages::default();
        let mut seen = Seen::default();
        while messages.count() < limit {
            let Some((sequence, message)) = recording.next() else { break };
            messages.push(sequence, message);
            seen.take(sequence, message);
        }
        Ok(Market { messages, prices: seen.prices() })
    }
}

/// What a pass over a recorded feed finds.
#[derive(Default)]
struct Seen {
    inspection: Inspection,
    /// By locate.
    symbols: HashMap<u16, Stock>,
}

#[derive(Default)]
struct Stock {
    symbol: Option<Symbol>,
    messages: u64,
    first_order: Option<Price>,
    first_print: Option<Price>,
}

impl Seen {
    fn take(&mut self, sequence: u64, message: &[u8]) {
        let prints = self.inspection.prints.count;
        self.inspection.take(sequence, message);
        let Ok((event, symbol)) = itch::decode(message) else { return };
        let stock = self.symbols.entry(event.locate).or_default();
        stock.messages += 1;
        stock.symbol = stock.symbol.or(symbol);
        if event.action == Action::Add {
            stock.first_order.get_or_insert(Price(event.price));
        }
        if let Some(print) = self.inspection.prints.last.filter(|_| self.inspection.prints.count > prints) {
            stock.first_print.get_or_insert(print.price);
        }
    }

    fn prices(self) -> Vec<(Symbol, u32)> {
        let mut stocks: Vec<Stock> = self.symbols.into_values().collect();
        stocks.sort_by_key(|stock| (std::cmp::Reverse(stock.messages), stock.symbol));
        let price_of = |stock: &Stock| {
            let price = stock.first_print.or(stock.first_order)?;
            let price4 = u32::try_from(price.0 / Price::ITCH_STEP).ok().filter(|price4| *price4 > 0)?;
            Some((stock.symbol.filter(|symbol| symbol.is_valid())?, price4))
        };
        stocks.iter().filter_map(price_of).collect()
    }
}
