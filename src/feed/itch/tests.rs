//! The decoder against real messages, an independent decoder's reading of them, the encoder and arbitrary bytes.

use proptest::prelude::*;
use serde_json::Value;

use super::encode::Head;
use super::*;

/// Reads two hexadecimal digits a byte; blanks are skipped.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn blank(action: Action, locate: u16, ts_event: u64) -> MarketEvent {
    MarketEvent { locate, ts_event, ..MarketEvent::new(action) }
}

#[test]
fn real_messages() {
    let delete = bytes("44 0dbd 0000 1f1aced85ad8 0000000001668bd6");
    let event = MarketEvent { order_ref: 23_497_686, ..blank(Action::Delete, 3517, 34_199_999_896_280) };
    assert_eq!(decode(&delete), Ok((event, None)));

    let add = bytes("41 000d 0000 0d18eaab3613 000000000000dbf1 53 0000012c 4141504c20202020 003131c0");
    let event = MarketEvent {
        order_ref: 56_305,
        side: Side::Ask,
        size: 300,
        price: 322_400_000_000,
        ..blank(Action::Add, 13, 14_400_667_465_235)
    };
    assert_eq!(decode(&add), Ok((event, Some(symbol("AAPL")))));
    assert_eq!(stock(&add), Some(symbol("AAPL")));

    let trade =
        bytes("50 000d 0002 0d1b863d6d45 0000000000000000 42 00000064 4141504c20202020 003102e0 00000000000045cf");
    let event = MarketEvent {
        size: 100,
        price: 321_200_000_000,
        second_ref: 17_871,
        ..blank(Action::Trade, 13, 14_411_867_450_693)
    };
    assert_eq!(decode(&trade), Ok((event, Some(symbol("AAPL")))));

    let replace = bytes("55 000d 0000 1a1cb763e0a1 00000000003e0ca1 00000000003e0ca9 00000064 0030daa4");
    let event = MarketEvent {
        order_ref: 4_066_465,
        second_ref: 4_066_473,
        size: 100,
        price: 320_170_000_000,
        ..blank(Action::Replace, 13, 0x1a1c_b763_e0a1)
    };
    assert_eq!(decode(&replace), Ok((event, None)));
    assert_eq!(stock(&replace), None);
}

/// What the fields that another decoder found must become.
fn expected(fields: &Value) -> (MarketEvent, Option<Symbol>) {
    let number = |name: &str| fields[name].as_u64().unwrap_or_else(|| panic!("{name} in {fields}"));
    let code = |name: &str| fields[name].as_str().unwrap().as_bytes()[0];
    let price = || (number("price") * 100_000) as i64;
    let shares = || number("shares") as u32;
    let name = || Some(symbol(fields["stock"].as_str().unwrap().trim_end()));
    let base = |action| blank(action, number("locate") as u16, number("ts"));
    let side = || if code("side") == b'B' { Side::Bid } else { Side::Ask };
    match code("type") {
        b'A' | b'F' => {
            let base = base(Action::Add);
            let event = MarketEvent { order_ref: number("ref"), side: side(), size: shares(), price: price(), ..base };
            (event, name())
        }
        b'E' => {
            let base = base(Action::Execute);
            (MarketEvent { order_ref: number("ref"), size: shares(), second_ref: number("match"), ..base }, None)
        }
        b'C' => {
            let base = MarketEvent { flags: u8::from(code("printable") == b'Y'), ..base(Action::ExecuteAtPrice) };
            let base = MarketEvent { second_ref: number("match"), ..base };
            (MarketEvent { order_ref: number("ref"), size: shares(), price: price(), ..base }, None)
        }
        b'X' => (MarketEvent { order_ref: number("ref"), size: shares(), ..base(Action::Cancel) }, None),
        b'D' => (MarketEvent { order_ref: number("ref"), ..base(Action::Delete) }, None),
        b'U' => {
            let base = MarketEvent { size: shares(), price: price(), ..base(Action::Replace) };
            (MarketEvent { order_ref: number("orig_ref"), second_ref: number("new_ref"), ..base }, None)
        }
        kind @ (b'P' | b'Q') => {
            let base = base(if kind == b'P' { Action::Trade } else { Action::Cross });
            (MarketEvent { size: shares(), price: price(), second_ref: number("match"), ..base }, name())
        }
        b'H' => (MarketEvent { detail: code("state"), ..base(Action::Status) }, None),
        b'S' => (MarketEvent { detail: code("event"), ..base(Action::System) }, None),
        _ => (base(Action::Clock), None),
    }
}

#[test]
fn every_captured_message_as_an_independent_decoder_reads_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/moldudp64/nasdaq.golden.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        assert!(std::env::var_os("CI").is_none(), "{path} is missing: the captured messages were not checked");
        eprintln!("skipped: {path} is missing");
        return;
    };
    for line in text.lines() {
        let golden: Value = serde_json::from_str(line).unwrap();
        let message = bytes(golden["hex"].as_str().unwrap());
        assert_eq!(decode(&message), Ok(expected(&golden["fields"])), "{line}");
        let name = golden["fields"]["stock"].as_str().map(|text| symbol(text.trim_end()));
        assert_eq!(stock(&message), name, "{line}");
    }
    assert_eq!(text.lines().count(), 117);
}

#[test]
fn each_type_has_one_length_and_no_other_is_decoded() {
    let head = Head { locate: 7, tracking: 0xFFFF, ts: 86_399_999_999_999 };
    let mut types = 0;
    for kind in 0..=u8::MAX {
        let Some(message) = encode::filled(kind, head, b' ') else {
            assert_eq!(decode(&[kind; 36]), Err(ItchError::UnknownType));
            continue;
        };
        types += 1;
        let (event, _) = decode(&message).unwrap();
        assert_eq!((event.ts_event, event.locate), (86_399_999_999_999, 7), "the tracking number is no time");
        for size in (1..=64).filter(|&size| size != message.len()) {
            let mut wrong = message.clone();
            wrong.resize(size, b' ');
            assert_eq!((decode(&wrong), stock(&wrong)), (Err(ItchError::WrongLength), None), "{kind} {size}");
        }
    }
    assert_eq!(types, 23);
    assert_eq!((decode(&[]), stock(&[])), (Err(ItchError::WrongLength), None));
}

#[test]
fn a_cross_of_more_than_32_bits_saturates_and_stays_a_print() {
    let head = Head { locate: 1, tracking: 0, ts: 1 };
    for (shares, size) in [(0, 0), (1, 1), (1 << 32, u32::MAX), (u64::MAX, u32::MAX)] {
        let message = encode::cross(head, shares, symbol("SPY"), 1_000_000, 5, b'O');
        assert_eq!(decode(&message).unwrap().0.size, size);
    }
}

#[test]
fn a_side_that_is_no_buy_is_a_sell_and_only_y_is_printable() {
    let head = Head { locate: 1, tracking: 0, ts: 1 };
    let mut add = encode::add(head, 1, Side::Bid, 1, symbol("SPY"), 1);
    let mut execution = encode::execute_at_price(head, 1, 1, 1, true, 1);
    for code in 0..=u8::MAX {
        (add[19], execution[31]) = (code, code);
        assert_eq!(decode(&add).unwrap().0.side == Side::Bid, code == b'B');
        assert_eq!(decode(&execution).unwrap().0.flags == event_flag::PRINTABLE, code == b'Y');
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(kind in any::<u8>(), tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let message = [&[kind], &tail[..]].concat();
        let expected = match length_of(kind) {
            None => Some(ItchError::UnknownType),
            Some(size) if size == message.len() => None,
            Some(_) => Some(ItchError::WrongLength),
        };
        prop_assert_eq!(decode(&message).err(), expected);
    }

    #[test]
    fn decodes_what_is_encoded(
        (locate, tracking, ts) in (any::<u16>(), any::<u16>(), 0u64..1 << 48),
        (order_ref, second_ref, size, price4) in (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()),
        (name, code, flag) in (any::<[u8; 8]>(), any::<u8>(), any::<bool>()),
    ) {
        let head = Head { locate, tracking, ts };
        let name = Symbol::from_bytes(name);
        let price = i64::from(price4) * 100_000;
        let side = if flag { Side::Bid } else { Side::Ask };
        let base = |action| blank(action, locate, ts);
        let check = |message: &[u8], event: MarketEvent, bound: bool| {
            assert_eq!(decode(message), Ok((event, bound.then_some(name))));
            assert_eq!(stock(message).is_some(), bound || message[0] == b'H');
        };

        let order = MarketEvent { order_ref, side, size, price, ..base(Action::Add) };
        check(&encode::add(head, order_ref, side, size, name, price4), order, true);
        check(&encode::add_with_mpid(head, order_ref, side, size, name, price4, *b"MPID"), order, true);

        let execution = MarketEvent { order_ref, size, second_ref, ..base(Action::Execute) };
        check(&encode::execute(head, order_ref, size, second_ref), execution, false);
        let flags = u8::from(flag);
        let execution = MarketEvent { action: Action::ExecuteAtPrice, price, flags, ..execution };
        check(&encode::execute_at_price(head, order_ref, size, second_ref, flag, price4), execution, false);

        let cancel = MarketEvent { order_ref, size, ..base(Action::Cancel) };
        check(&encode::cancel(head, order_ref, size), cancel, false);
        check(&encode::delete(head, order_ref), MarketEvent { order_ref, ..base(Action::Delete) }, false);
        let replace = MarketEvent { order_ref, second_ref, size, price, ..base(Action::Replace) };
        check(&encode::replace(head, order_ref, second_ref, size, price4), replace, false);

        let print = MarketEvent { second_ref, size, price, ..base(Action::Trade) };
        check(&encode::trade(head, size, name, price4, second_ref), print, true);
        let bulk = MarketEvent { action: Action::Cross, ..print };
        check(&encode::cross(head, u64::from(size), name, price4, second_ref, code), bulk, true);
        check(&encode::broken(head, second_ref), MarketEvent { second_ref, ..base(Action::Break) }, false);

        check(&encode::directory(head, name), base(Action::Clock), true);
        let status = MarketEvent { detail: code, ..base(Action::Status) };
        check(&encode::status(head, name, code, *b"LUDP"), status, false);
        check(&encode::system(head, code), MarketEvent { detail: code, ..base(Action::System) }, false);
    }
}
