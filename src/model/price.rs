//! A price: a signed integer of 1e-9 of the currency unit.

use std::fmt;
use std::str::FromStr;

/// A price in units of 1e-9 of the currency unit. 100 dollars are `Price(100_000_000_000)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(pub i64);

impl Price {
    /// Units in one unit of currency.
    pub const ONE: i64 = 1_000_000_000;
    /// Units in one step of an ITCH price(4).
    pub const ITCH_STEP: i64 = 100_000;

    /// From the 4-byte integer with 4 implied decimals of an ITCH message. Cannot overflow.
    #[inline]
    pub const fn from_itch(price4: u32) -> Price {
        Price(price4 as i64 * Self::ITCH_STEP)
    }
}

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not digits with an optional point and 1 to 9 digits after it.
    #[error("expected a decimal such as 100 or 99.9875: digits, at most 9 of them after the point, no sign")]
    Malformed,
    /// Larger than the greatest `i64` of 1e-9.
    #[error("expected a decimal of at most 9223372036.854775807")]
    TooLarge,
}

impl FromStr for Price {
    type Err = PriceError;

    /// Reads `digits[.digits]`: at least one digit before the point, 1 to 9 after it, no sign, no exponent.
    fn from_str(text: &str) -> Result<Price, PriceError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if (1..=9).contains(&fraction.len()) => (whole, fraction),
            Some(_) => return Err(PriceError::Malformed),
            None => (text, ""),
        };
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(PriceError::Malformed);
        }
        let padding = (fraction.len()..9).map(|_| b'0');
        whole
            .bytes()
            .chain(fraction.bytes())
            .chain(padding)
            .try_fold(0i64, |units, digit| units.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
            .map(Price)
            .ok_or(PriceError::TooLarge)
    }
}

impl fmt::Display for Price {
    /// The shortest exact decimal: `100`, `99.9875`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let (whole, mut fraction) = (units / Self::ONE as u64, units % Self::ONE as u64);
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let mut digits = 9;
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_the_shortest_exact_decimal() {
        for (text, units, printed) in [
            ("0", 0, "0"),
            ("100", 100_000_000_000, "100"),
            ("99.9875", 99_987_500_000, "99.9875"),
            ("007.10", 7_100_000_000, "7.1"),
            ("0.000000001", 1, "0.000000001"),
            ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
        ] {
            assert_eq!(text.parse(), Ok(Price(units)), "{text}");
            assert_eq!(Price(units).to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_is_no_price() {
        for text in ["", ".5", "1.", "1.0000000001", "-1", "+1", "1e3", " 1", "1,5", "1.-5", "١"] {
            assert_eq!(text.parse::<Price>(), Err(PriceError::Malformed), "{text}");
        }
        for text in ["9223372036.854775808", "99999999999", "18446744073709551616"] {
            assert_eq!(text.parse::<Price>(), Err(PriceError::TooLarge), "{text}");
        }
    }
}
