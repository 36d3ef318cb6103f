//! What a market event does in its symbol: orders, then the book if it has one, then the signals in their order.

use super::held::{Firing, Moment};
use super::orders::Order;
use super::shard::{Outputs, Shard};
use crate::model::{Action, Alert, AlertKind, MarketEvent, RuleKey, Side, Signal, event_flag};

impl Shard {
    /// Applies an event of a symbol that is not being fired. Not inlined: [`Self::event`] stays small, so that a quiet print
    /// saves no registers.
    #[inline(never)]
    pub(super) fn apply(&mut self, symbol: u32, event: &MarketEvent, moment: Moment, out: &mut impl Outputs) {
        let (locate, reference) = (event.locate, event.order_ref);
        match event.action {
            Action::Add => {
                self.replace_order(symbol, event, reference, event.side);
                self.touched(symbol, event, moment, out);
            }
            Action::Execute | Action::ExecuteAtPrice => match self.orders.reduce(locate, reference, event.size) {
                None => self.counts.unknown_orders += 1,
                Some(order) => {
                    self.reduce_level(symbol, &order, event.size);
                    let own = (event.action == Action::Execute).then_some(order.price);
                    let print = own.or_else(|| (event.flags & event_flag::PRINTABLE != 0).then_some(event.price));
                    self.update(symbol, event, moment, print, true, out);
                }
            },
            Action::Cancel => match self.orders.reduce(locate, reference, event.size) {
                None => self.counts.unknown_orders += 1,
                Some(order) => {
                    self.reduce_level(symbol, &order, event.size);
                    self.touched(symbol, event, moment, out);
                }
            },
            Action::Delete => match self.orders.remove(locate, reference) {
                None => self.counts.unknown_orders += 1,
                Some(order) => {
                    self.reduce_level(symbol, &order, order.size);
                    self.touched(symbol, event, moment, out);
                }
            },
            Action::Replace => match self.orders.remove(locate, reference) {
                None => self.counts.unknown_orders += 1,
                Some(order) => {
                    self.reduce_level(symbol, &order, order.size);
                    self.replace_order(symbol, event, event.second_ref, order.side);
                    self.touched(symbol, event, moment, out);
                }
            },
            Action::Trade => self.update(symbol, event, moment, Some(event.price), false, out),
            Action::Cross if event.size > 0 => self.update(symbol, event, moment, Some(event.price), false, out),
            Action::Break => out.alert(&Alert {
                key: RuleKey { symbol: self.symbols.get(symbol).name, ..RuleKey::NONE },
                sequence: event.sequence,
                ts_event: event.ts_event,
                ts_recv: event.ts_recv,
                match_number: event.second_ref,
                locate,
                ..Alert::new(AlertKind::Broken)
            }),
            _ => (),
        }
    }

    /// Puts the event's order under `reference`, in the place of one that lives there.
    #[inline]
    fn replace_order(&mut self, symbol: u32, event: &MarketEvent, reference: u64, side: Side) {
        if event.size == 0 {
            if let Some(old) = self.orders.remove(event.locate, reference) {
                self.reduce_level(symbol, &old, old.size);
            }
            return;
        }
        let order = Order { price: event.price, size: event.size, locate: event.locate, side, in_book: false };
        let Ok((old, order)) = self.orders.put(reference, order) else { return self.refuse_order() };
        let state = self.symbols.get_mut(symbol);
        let levels = &mut self.levels;
        let fits = !state.has_book || {
            order.in_book = state.book.add(levels, side, order.price, order.size).is_ok();
            order.in_book
        };
        if state.has_book {
            state.note_best(levels, side);
        }
        if let Some(old) = old {
            self.reduce_level(symbol, &old, old.size);
        }
        if !fits {
            self.refuse_order();
        }
    }

    #[cold]
    fn refuse_order(&mut self) {
        self.counts.orders_refused += 1;
        self.moment.book_suspect = true;
    }

    #[inline]
    fn reduce_level(&mut self, symbol: u32, order: &Order, size: u32) {
        if !order.in_book {
            return;
        }
        let state = self.symbols.get_mut(symbol);
        state.book.reduce(&mut self.levels, order.side, order.price, size.min(order.size));
        state.note_best(&self.levels, order.side);
    }

    /// Evaluates the signals of a symbol whose book was touched without a print, if anyone looks at them.
    #[inline]
    fn touched(&mut self, symbol: u32, event: &MarketEvent, moment: Moment, out: &mut impl Outputs) {
        let state = self.symbols.get(symbol);
        if state.watches_book || state.after_gap > 1 || state.epoch != moment.epoch {
            self.update(symbol, event, moment, None, true, out);
        }
    }

    /// Evaluates the signals of a symbol after one message: `last` when it printed, the others when its book was touched.
    #[inline]
    fn update(
        &mut self,
        symbol: u32,
        event: &MarketEvent,
        moment: Moment,
        print: Option<i64>,
        book: bool,
        out: &mut impl Outputs,
    ) {
        let state = self.symbols.get_mut(symbol);
        let (mut values, mut updated, mut reached) = ([0; 4], 0u8, 0u8);
        if let Some(price) = print {
            self.counts.prints += 1;
            state.note_last(price);
            values[0] = price;
            updated = 1;
            reached = u8::from(state.is_triggered(0, price));
        }
        if state.epoch != moment.epoch {
            state.epoch = moment.epoch;
            state.after_gap = 0b1111;
        }
        if book && !state.watches_book {
            // No rule has missed anything that nobody looked at.
            state.after_gap &= 1;
        } else if book {
            for signal in [Signal::Bid, Signal::Ask, Signal::Mid] {
                if let Some(value) = state.value(signal) {
                    let signal = signal as usize;
                    values[signal] = value;
                    updated |= 1 << signal;
                    reached |= u8::from(state.is_triggered(signal, value)) << signal;
                }
            }
        }
        let after_gap = state.after_gap & updated;
        state.after_gap &= !updated;
        // What an earlier run has seen fires nothing again: the feed is read from its start once more after a restart.
        if reached != 0 && !self.symbols.is_settled(symbol, event.sequence) {
            self.fire(symbol, Firing { event: *event, moment, values, reached, after_gap, ladder: 0 }, out);
        }
    }
}
