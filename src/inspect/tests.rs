//! Small feeds, one rule of the contract each.

use super::*;
use crate::feed::itch::encode::{self, Head};
use crate::model::Side::{Ask, Bid};

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn head(locate: u16) -> Head {
    Head { locate, tracking: 0, ts: 1 }
}

fn inspect(only: Option<&str>, messages: &[&[u8]]) -> Inspection {
    let mut inspection = Inspection::new(only.map(symbol));
    (1..).zip(messages).for_each(|(sequence, message)| inspection.take(sequence, message));
    inspection
}

/// Price in 1e-4 and shares of each level of SPY; asks negative.
fn book(inspection: &Inspection) -> Vec<(i64, i64)> {
    let sign = |level: &Level| if level.side == Ask { -1 } else { 1 };
    let levels = inspection.book(symbol("SPY"));
    levels.iter().map(|level| (level.price.0 / Price::ITCH_STEP, sign(level) * level.shares as i64)).collect()
}

fn add(order_ref: u64, side: crate::model::Side, shares: u32, price4: u32) -> [u8; 36] {
    encode::add(head(1), order_ref, side, shares, symbol("SPY"), price4)
}

#[test]
fn orders_come_shrink_move_and_go() {
    let inspection = inspect(
        None,
        &[
            &add(1, Bid, 100, 10_000),
            &add(2, Bid, 50, 10_000),
            &add(3, Ask, 70, 10_300),
            &add(4, Ask, 10, 10_200),
            &encode::execute(head(1), 1, 30, 1),
            &encode::cancel(head(1), 2, 50),
            &encode::replace(head(1), 3, 5, 80, 10_400),
            &encode::delete(head(1), 4),
            &add(6, Bid, 0, 9_000),
        ],
    );
    assert_eq!(book(&inspection), [(10_000, 70), (10_400, -80)]);
    assert_eq!((inspection.orders.count(), inspection.unknown_orders), (2, 0));
    assert_eq!((inspection.prints.count, inspection.prints.shares, inspection.vwap()), (1, 30, Some(1.0)));
}

#[test]
fn an_execution_beyond_an_orders_shares_prints_and_ends_it() {
    let inspection = inspect(None, &[&add(1, Bid, 100, 10_000), &encode::execute(head(1), 1, 300, 1)]);
    assert_eq!((book(&inspection), inspection.prints.shares), (vec![], 300));
}

#[test]
fn an_add_on_a_living_reference_takes_its_place() {
    let inspection = inspect(None, &[&add(1, Bid, 100, 10_000), &add(1, Ask, 5, 10_100)]);
    assert_eq!(book(&inspection), [(10_100, -5)]);
    let inspection = inspect(None, &[&add(1, Bid, 100, 10_000), &add(1, Ask, 0, 10_100)]);
    assert_eq!(book(&inspection), []);
}

#[test]
fn what_is_about_an_unknown_order_does_nothing_and_is_counted() {
    let known = add(9, Bid, 1, 1);
    let inspection = inspect(
        None,
        &[
            &encode::delete(head(2), 1),
            &known,
            &encode::execute(head(1), 1, 1, 1),
            &encode::execute_at_price(head(1), 1, 1, 1, true, 1),
            &encode::cancel(head(1), 1, 1),
            &encode::delete(head(1), 1),
            &encode::replace(head(1), 1, 2, 1, 1),
        ],
    );
    assert_eq!((inspection.unknown_orders, inspection.prints.count, inspection.orders.count()), (6, 0, 1));
}

#[test]
fn prints_are_executions_printable_ones_trades_and_crosses_with_shares() {
    let spy = symbol("SPY");
    let inspection = inspect(
        None,
        &[
            &add(1, Bid, 100, 10_000),
            &encode::execute_at_price(head(1), 1, 10, 1, false, 20_000),
            &encode::execute_at_price(head(1), 1, 10, 2, true, 30_000),
            &encode::cross(head(1), 0, spy, 0, 3, b'O'),
            &encode::cross(head(1), 20, spy, 15_000, 4, b'O'),
            &encode::trade(head(1), 0, spy, 40_000, 5),
            &encode::broken(head(1), 5),
        ],
    );
    let Prints { count, shares, first, last, lowest, highest, largest, .. } = inspection.prints;
    let sequence = |print: Option<Print>| print.unwrap().sequence;
    assert_eq!((count, shares, inspection.vwap()), (3, 30, Some(2.0)));
    assert_eq!([first, last, lowest, highest, largest].map(sequence), [3, 6, 5, 6, 5]);
    assert_eq!(book(&inspection), [(10_000, 80)]);
}

#[test]
fn a_locate_keeps_its_first_name() {
    let (spy, other) = (symbol("SPY"), symbol("OTHER"));
    let inspection = inspect(
        None,
        &[
            &encode::directory(head(1), spy),
            &encode::directory(head(1), other),
            &encode::trade(head(1), 1, other, 1, 1),
            &encode::add(head(2), 1, Bid, 5, spy, 10_000),
            &add(1, Bid, 6, 10_000),
        ],
    );
    assert_eq!((inspection.symbol_conflicts, inspection.prints.count), (1, 0));
    assert_eq!((inspection.symbols.len(), inspection.symbols[&spy]), (1, 4));
    assert_eq!(book(&inspection), [(10_000, 11)], "two locates of one symbol share its book");
}

#[test]
fn one_symbol_only() {
    let other = symbol("OTHER");
    let inspection = inspect(
        Some("SPY"),
        &[
            &add(1, Bid, 100, 10_000),
            &encode::add(head(2), 1, Bid, 5, other, 10_000),
            &encode::trade(head(2), 1, other, 1, 1),
            &encode::execute(head(1), 1, 1, 2),
            &encode::delete(head(2), 7),
        ],
    );
    assert_eq!((inspection.messages, inspection.symbols.len()), (5, 2));
    assert_eq!((inspection.prints.count, inspection.orders.count(), inspection.unknown_orders), (1, 1, 0));
}

#[test]
fn what_is_no_message_is_counted_and_says_no_time() {
    let mut late = encode::system(head(0), b'O');
    late[5..11].fill(0xff);
    let inspection = inspect(None, &[&late[..11], &[], b"?", &add(1, Bid, 1, 1), &late, &add(2, Bid, 1, 1)]);
    assert_eq!((inspection.messages, inspection.malformed, inspection.unknown_types), (6, 2, 1));
    assert_eq!((inspection.time, inspection.backward_stamps), (Some((1, (1 << 48) - 1)), 1));
    assert_eq!(inspection.types, BTreeMap::from([(b'A', 2), (b'S', 1)]));
}
