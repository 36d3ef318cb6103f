//! Numbers as people read them.

use hairtrigger::model::{Nanos, Price};

/// Digits in groups of three: `1,089`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time of day from ns since midnight: `09:30:00.000070384`.
pub fn time_of_day(ts: Nanos) -> String {
    let (seconds, fraction) = (ts / 1_000_000_000, ts % 1_000_000_000);
    format!("{:02}:{:02}:{:02}.{fraction:09}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A price with at least two digits after the point: `321.20`, `0.0001`.
pub fn money(price: Price) -> String {
    let text = price.to_string();
    match text.split_once('.') {
        None => text + ".00",
        Some((_, fraction)) if fraction.len() == 1 => text + "0",
        Some(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(time_of_day(34_200_000_070_384), "09:30:00.000070384");
        for (units, text) in [(216_000_000_000, "216.00"), (321_200_000_000, "321.20"), (100_000, "0.0001")] {
            assert_eq!(money(Price(units)), text);
        }
    }
}
