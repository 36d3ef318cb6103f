//! The day against a naive order map.

use std::collections::HashMap;

use super::*;
use crate::feed::itch;
use crate::model::{Action, Side};

/// CRC32C of the small day below. It changes only when the generator does: then say so, recorded results are void.
const SMALL_DAY_CRC: u32 = 661_373_818;

fn each(params: DayParams, mut each: impl FnMut(&[u8])) {
    let (mut day, mut buffer) = (Day::new(params), [0; ITCH_SIZE_MAX]);
    while let Some(message) = day.next_into(&mut buffer) {
        each(message);
    }
}

fn checksum(seed: u64) -> u32 {
    let mut crc = 0;
    each(DayParams { seed, messages: 20_000, symbols: 300 }, |message| crc = crc32c::crc32c_append(crc, message));
    crc
}

#[test]
fn the_seed_alone_decides_every_byte() {
    assert_eq!(checksum(7), SMALL_DAY_CRC);
    assert_ne!(checksum(8), SMALL_DAY_CRC);
}

#[test]
fn a_day_has_as_many_messages_as_asked_for() {
    for messages in [0, MESSAGES_MIN, 5_000, 123_456] {
        let mut count = 0;
        each(DayParams { messages, ..DayParams::default() }, |_| count += 1);
        assert_eq!(count, messages.max(MESSAGES_MIN));
    }
}

#[test]
fn all_23_types_occur_well_formed_and_no_stamp_goes_back() {
    let (mut counts, mut feed_time) = (HashMap::new(), 0);
    each(DayParams { messages: 200_000, ..DayParams::default() }, |message| {
        let (event, _) = itch::decode(message).unwrap();
        assert!(event.ts_event >= feed_time);
        feed_time = event.ts_event;
        *counts.entry(message[0] as char).or_insert(0u64) += 1;
    });
    let mut kinds: Vec<char> = counts.into_keys().collect();
    kinds.sort();
    assert_eq!(kinds.iter().collect::<String>(), "ABCDEFHIJKLNOPQRSUVWXYh");
}

#[test]
fn the_mix_is_that_of_a_real_day() {
    let (mut counts, mut total) = ([0u64; 256], 0);
    each(DayParams { messages: 1_000_000, symbols: 2_000, seed: 3 }, |message| {
        counts[usize::from(message[0])] += 1;
        total += 1;
    });
    for (kind, least, most) in [
        (b'A', 430, 480),
        (b'D', 400, 450),
        (b'U', 45, 65),
        (b'E', 18, 32),
        (b'X', 14, 26),
        (b'F', 7, 13),
        (b'P', 3, 7),
        (b'C', 0, 3),
    ] {
        let per_mille = counts[usize::from(kind)] * 1_000 / total;
        assert!((least..=most).contains(&per_mille), "{}: {per_mille}", kind as char);
    }
    assert!(counts[usize::from(b'C')] > 500 && counts[usize::from(b'B')] > 10);
}

/// One live order of the naive map.
struct Live {
    locate: u16,
    side: Side,
    price: i64,
    shares: u32,
}

#[test]
fn no_unknown_order_no_overexecution_and_no_crossed_add() {
    let mut orders: HashMap<u64, Live> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    let mut touches: HashMap<u16, [std::collections::BTreeMap<i64, u32>; 2]> = HashMap::new();
    let (mut live_max, mut falling, mut reference_max) = (0, 0, 0);
    each(DayParams { messages: 300_000, symbols: 500, seed: 5 }, |message| {
        let (event, _) = itch::decode(message).unwrap();
        let leave = |live: &Live, touches: &mut HashMap<u16, [std::collections::BTreeMap<i64, u32>; 2]>| {
            let level = touches.get_mut(&live.locate).unwrap()[live.side as usize].get_mut(&live.price).unwrap();
            *level -= 1;
            if *level == 0 {
                touches.get_mut(&live.locate).unwrap()[live.side as usize].remove(&live.price);
            }
        };
        let mut enter = event.order_ref;
        let mut side = event.side;
        match event.action {
            Action::Add => {}
            Action::Replace | Action::Delete => {
                let live = orders.remove(&event.order_ref).expect("a known order");
                leave(&live, &mut touches);
                assert_eq!(live.locate, event.locate);
                (enter, side) = (event.second_ref, live.side);
            }
            Action::Execute | Action::ExecuteAtPrice | Action::Cancel => {
                let live = orders.get_mut(&event.order_ref).expect("a known order");
                assert!(event.size > 0 && event.size <= live.shares && live.locate == event.locate);
                live.shares -= event.size;
                if live.shares == 0 {
                    leave(&orders.remove(&event.order_ref).unwrap(), &mut touches);
                }
            }
            _ => {}
        }
        if matches!(event.action, Action::Add | Action::Replace) {
            assert!(seen.insert(enter) && event.size > 0 && event.price > 0);
            falling += u32::from(enter < reference_max);
            reference_max = reference_max.max(enter);
            let sides = touches.entry(event.locate).or_default();
            *sides[side as usize].entry(event.price).or_default() += 1;
            let (bid, ask) = (sides[0].last_key_value(), sides[1].first_key_value());
            assert!(bid.zip(ask).is_none_or(|(bid, ask)| bid.0 < ask.0), "crossed");
            orders.insert(enter, Live { locate: event.locate, side, price: event.price, shares: event.size });
            live_max = live_max.max(orders.len());
        }
    });
    assert!(falling > 100 && live_max > 1_000 && live_max < 500 * 512, "{falling} {live_max}");
}

#[test]
fn prints_move_and_stay_near_each_other() {
    let (mut day, mut buffer) = (Day::new(DayParams { messages: 400_000, symbols: 50, seed: 2 }), [0; ITCH_SIZE_MAX]);
    let mut prints: HashMap<u16, Vec<i64>> = HashMap::new();
    let mut price_of = HashMap::new();
    while let Some(message) = day.next_into(&mut buffer) {
        let (event, _) = itch::decode(message).unwrap();
        match event.action {
            Action::Add => _ = price_of.insert(event.order_ref, event.price),
            Action::Replace => _ = price_of.insert(event.second_ref, event.price),
            Action::Execute => prints.entry(event.locate).or_default().push(price_of[&event.order_ref]),
            _ => {}
        }
    }
    for (locate, prices) in prints.iter().filter(|(_, prices)| prices.len() > 200) {
        let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
        assert!(low < high, "locate {locate} stands still");
        let far = prices.windows(2).filter(|pair| (pair[0] - pair[1]).abs() * 50 > pair[0]).count();
        assert!(far * 10 < prices.len(), "locate {locate}: {far} of {} prints jump by 2 %", prices.len());
    }
}

#[test]
fn rules_have_unique_keys_and_a_field_for_every_column() {
    let day = Day::new(DayParams::default());
    let mut rows = RuleRows::new(day.prices(), 300, 1);
    let mut keys = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let mut line = String::new();
        rows.next_into(&mut line);
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), RULES_HEADER.split(',').count(), "{line}");
        assert!(fields[6].parse::<crate::model::Price>().is_ok_and(|price| price.0 > 0), "{line}");
        assert!(keys.insert((fields[1].to_owned(), fields[2].to_owned(), fields[3].to_owned())));
    }
}
