//! Values that TOML has no type for: durations, sizes, addresses, sessions, dates. Each is a string, and a wrong one is
//! told what a right one looks like.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};

use jiff::civil::Date;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::feed::settings::Join;
use crate::model::Nanos;

const DURATION: &str = "a duration such as \"2ms\": a whole number and one of ns, us, ms, s, m, h, d";
const SIZE: &str = "a size in bytes, as a whole number or such as \"64MiB\" (KiB, MiB, GiB)";
const ADDRESS: &str = "an address and a port such as \"127.0.0.1:7401\"";
const ADDRESS_V4: &str = "an IPv4 address and a port such as \"127.0.0.1:7401\"";
const SESSION: &str = "a session: 1 to 10 printable ASCII characters";
const JOIN: &str = "\"first\", or a sequence number from 1";
const DATE: &str = "a date such as \"2026-01-30\"";

/// A string that `read` understands, or an error that says `expected`.
fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(format!("expected {expected}")))?;
    read(&text).ok_or_else(|| D::Error::custom(format!("\"{}\": expected {expected}", text.escape_default())))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
    text(deserializer, DURATION, |text| {
        scaled(
            text,
            &[
                ("ns", 1),
                ("us", 1_000),
                ("ms", 1_000_000),
                ("s", 1_000_000_000),
                ("m", 60_000_000_000),
                ("h", 3_600_000_000_000),
                ("d", 86_400_000_000_000),
            ],
        )
    })
}

/// A whole number and its unit, with or without a space between them.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Number {
        expected: SIZE,
        read: |text| scaled(text, &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]),
        number: Some,
    })
}

pub(super) fn join<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Join, D::Error> {
    deserializer.deserialize_any(Number {
        expected: JOIN,
        read: |text| (text == "first").then_some(Join::First),
        number: |number| (number > 0).then_some(Join::At(number)),
    })
}

/// A value that is a number or a string.
struct Number<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
    number: fn(u64) -> Option<T>,
}

impl<T> Number<T> {
    fn or_wrong<E: Error>(&self, value: Option<T>, given: &dyn fmt::Display) -> Result<T, E> {
        value.ok_or_else(|| E::custom(format!("{given}: expected {}", self.expected)))
    }
}

impl<T> Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.or_wrong(u64::try_from(value).ok().and_then(self.number), &value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        self.or_wrong((self.number)(value), &value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        self.or_wrong((self.read)(value), &format!("\"{}\"", value.escape_default()))
    }
}

pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    text(deserializer, ADDRESS, |text| text.parse().ok())
}

pub(super) fn some_listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    listen(deserializer).map(Some)
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddrV4, D::Error> {
    text(deserializer, ADDRESS_V4, |text| text.parse().ok())
}

pub(super) fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddrV4>, D::Error> {
    #[derive(Deserialize)]
    struct Address(#[serde(deserialize_with = "address")] SocketAddrV4);
    let addresses = Vec::<Address>::deserialize(deserializer)?;
    Ok(addresses.into_iter().map(|address| address.0).collect())
}

/// A session's 10 bytes, padded on the right with spaces.
pub(super) fn session<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 10]>, D::Error> {
    let read = |text: &str| {
        let mut bytes = [b' '; 10];
        let printable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        bytes.get_mut(..text.len()).filter(|_| printable)?.copy_from_slice(text.as_bytes());
        Some(bytes)
    };
    text(deserializer, SESSION, read).map(Some)
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    text(deserializer, DATE, |text| text.parse().ok()).map(Some)
}
