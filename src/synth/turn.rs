//! One turn of the continuous market: a stock, a kind of message, the order that it is about.

use super::book::Order;
use super::random::Random;
use super::{Day, put, wire};
use crate::feed::itch::encode;
use crate::model::{Nanos, Side};

/// What happens in a turn, as far as the book allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    AddNamed,
    Delete,
    Replace,
    Execute,
    ExecuteAtPrice,
    Cancel,
    Trade,
}

/// Turns in 1,000 of each kind, as on Nasdaq; what is left of 1,000 adds.
const MIX: [(u32, Kind); 7] = [
    (433, Kind::Delete),
    (56, Kind::Replace),
    (26, Kind::Execute),
    (20, Kind::Cancel),
    (10, Kind::AddNamed),
    (5, Kind::Trade),
    (1, Kind::ExecuteAtPrice),
];

/// The kind of each draw from 1,024: [`MIX`], and adds behind it.
const KINDS: [Kind; 1_024] = {
    let mut kinds = [Kind::Add; 1_024];
    let (mut at, mut row) = (0, 0);
    while row < MIX.len() {
        let end = at + MIX[row].0 * 1_024 / 1_000;
        // The rarest would round to nothing.
        let end = if end == at { at + 1 } else { end };
        while at < end {
            kinds[at as usize] = MIX[row].1;
            at += 1;
        }
        row += 1;
    }
    kinds
};

/// Who enters named orders and makes markets.
const MPIDS: [[u8; 4]; 8] = [*b"GSCO", *b"CDRG", *b"VIRT", *b"JPMS", *b"MSCO", *b"NITE", *b"TMBR", *b"UBSS"];

/// One of them.
pub fn mpid(random: &mut Random) -> &'static [u8; 4] {
    &MPIDS[random.below(MPIDS.len() as u32) as usize]
}

impl Day {
    /// One message of the continuous market.
    #[inline]
    pub(super) fn turn(&mut self, ts: Nanos, out: &mut wire::Buffer) -> usize {
        if self.random.below(8) < 5 {
            self.latest = self.activity.draw(&mut self.random);
        }
        let stock = &mut self.stocks[self.latest];
        stock.walk(&mut self.random);
        let mut kind = KINDS[(self.random.bits() >> 54) as usize];
        if stock.halted && matches!(kind, Kind::Execute | Kind::ExecuteAtPrice | Kind::Trade) {
            kind = Kind::Add;
        }
        if kind == Kind::Trade {
            return self.trade(ts, out);
        }
        // A price that has passed resting orders is worked off before anything else goes or trades.
        let passed = stock.passed();
        let mut side = passed.unwrap_or(if self.random.one_in(2) { Side::Bid } else { Side::Ask });
        if matches!(kind, Kind::Add | Kind::AddNamed) {
            if !stock.is_full(side) {
                return self.add(side, kind == Kind::AddNamed, ts, out);
            }
            kind = Kind::Delete;
        }
        if stock.half(side).len() == 0 {
            side = opposite(side);
        }
        let half = stock.half(side);
        let at_touch = passed.is_some() || matches!(kind, Kind::Execute | Kind::ExecuteAtPrice);
        match if at_touch { half.best() } else { half.pick(&mut self.random) } {
            Some(index) => self.change(kind, side, index, ts, out),
            None => self.add(side, false, ts, out),
        }
    }

    fn add(&mut self, side: Side, named: bool, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let head = self.head(self.stocks[self.latest].locate, ts);
        let stock = &mut self.stocks[self.latest];
        let reference = self.numbers.next_reference(&mut self.random);
        let (shares, price) = (size(&mut self.random), stock.quote(side, &mut self.random));
        stock.half(side).add(Order { reference, price, shares });
        if named {
            let mpid = *mpid(&mut self.random);
            put(out, &encode::add_with_mpid(head, reference, side, shares, stock.symbol, price, mpid))
        } else {
            put(out, &encode::add(head, reference, side, shares, stock.symbol, price))
        }
    }

    /// A trade against an order that is not displayed.
    fn trade(&mut self, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let locate = self.stocks[self.latest].locate;
        let (head, number) = (self.head(locate, ts), self.numbers.next_print(locate, &mut self.random));
        let stock = &self.stocks[self.latest];
        let (shares, price) = (size(&mut self.random), stock.hidden_price(&mut self.random));
        put(out, &encode::trade(head, shares, stock.symbol, price, number))
    }

    /// Something becomes of the order at `index` of a side.
    fn change(&mut self, kind: Kind, side: Side, index: usize, ts: Nanos, out: &mut wire::Buffer) -> usize {
        let locate = self.stocks[self.latest].locate;
        let head = self.head(locate, ts);
        let (stock, random) = (&mut self.stocks[self.latest], &mut self.random);
        let order = stock.half(side).at(index);
        match kind {
            Kind::Execute => {
                let shares = part(order.shares, random);
                stock.half(side).take(index, shares);
                let number = self.numbers.next_print(locate, random);
                put(out, &encode::execute(head, order.reference, shares, number))
            }
            Kind::ExecuteAtPrice => {
                let shares = part(order.shares, random);
                stock.half(side).take(index, shares);
                let printable = random.one_in(2);
                let number =
                    if printable { self.numbers.next_print(locate, random) } else { self.numbers.next_match(random) };
                let price = stock.hidden_price(random);
                put(out, &encode::execute_at_price(head, order.reference, shares, number, printable, price))
            }
            Kind::Cancel if order.shares > 1 => {
                let shares = 1 + random.below(order.shares - 1);
                stock.half(side).take(index, shares);
                put(out, &encode::cancel(head, order.reference, shares))
            }
            Kind::Replace => {
                stock.half(side).remove(index);
                let reference = self.numbers.next_reference(random);
                let price = stock.quote(side, random);
                let shares = if random.one_in(2) { order.shares } else { size(random) };
                stock.half(side).add(Order { reference, price, shares });
                put(out, &encode::replace(head, order.reference, reference, shares, price))
            }
            _ => {
                stock.half(side).remove(index);
                put(out, &encode::delete(head, order.reference))
            }
        }
    }
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Bid => Side::Ask,
        Side::Ask => Side::Bid,
    }
}

/// Shares of a new order: mostly a round lot, sometimes several, an odd lot, or a lot of them.
#[inline]
fn size(random: &mut Random) -> u32 {
    match random.below(64) {
        0..34 => 100,
        34..46 => 100 * (2 + random.below(8)),
        46..61 => 1 + random.below(99),
        61..63 => 1_000 * (1 + random.below(10)),
        _ => 10_000 + random.below(90_000),
    }
}

/// Shares of an execution: all of them three times in four. Never more, never 0.
#[inline]
fn part(shares: u32, random: &mut Random) -> u32 {
    if random.one_in(4) { 1 + random.below(shares) } else { shares }
}
