//! Decimals of 1e-9.

/// Greatest decimal: "up to 9223372036.854775807 (i64 of 1e-9)".
pub const DECIMAL_MAX: i128 = i64::MAX as i128;

/// "Decimals are digits with an optional point and 1 to 9 digits after it, no sign, no exponent".
pub fn parse(text: &str) -> Option<i128> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let whole = digits(whole)?;
    let fraction = match fraction {
        None => 0,
        Some(f) => nanos(f)?,
    };
    let value = whole.checked_mul(1_000_000_000)?.checked_add(fraction)?;
    (value <= DECIMAL_MAX).then_some(value)
}

/// A fraction of 1 to 9 digits, in 1e-9.
pub fn nanos(fraction: &str) -> Option<i128> {
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    digits(&format!("{fraction:0<9}"))
}

/// Digits only, at least one.
pub fn digits(text: &str) -> Option<i128> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.bytes().try_fold(0i128, |n, b| n.checked_mul(10)?.checked_add(i128::from(b - b'0')))
}

/// "shortest exact decimal (`100`, `99.9875`)".
pub fn print(value: i128) -> String {
    let whole = value / 1_000_000_000;
    let fraction = format!("{:09}", value % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}
