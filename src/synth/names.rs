//! The day's symbols, the busiest first.

use crate::model::Symbol;

/// Names that everyone knows lead the list of activity.
const KNOWN: [&str; 32] = [
    "SPY", "QQQ", "TSLA", "NVDA", "AAPL", "AMD", "MSFT", "AMZN", "GOOGL", "META", "IWM", "INTC", "GME", "PLTR", "SOFI",
    "F", "BAC", "NFLX", "MU", "COIN", "MARA", "XLF", "AVGO", "TQQQ", "SMCI", "HOOD", "UBER", "DIS", "BRK.B", "JPM",
    "XOM", "AMC",
];

/// `count` different names by falling activity: known ones, then made-up ones of three and four letters.
pub fn names(count: u16) -> Vec<Symbol> {
    let known = KNOWN.iter().filter_map(|name| name.parse().ok());
    let made_up = (0u32..).map(made_up).filter(|&name| KNOWN.iter().all(|known| known.parse() != Ok(name)));
    known.chain(made_up).take(usize::from(count)).collect()
}

/// The `n`-th made-up name. Both factors share no divisor with 26, so no name comes twice within 26^4.
fn made_up(n: u32) -> Symbol {
    let (letters, mut code) =
        if n.is_multiple_of(4) && n < 40_000 { (3, (n / 4) * 1_237 % 17_576) } else { (4, n * 7_919 % 456_976) };
    let mut bytes = *b"        ";
    for byte in &mut bytes[..letters] {
        *byte = b'A' + (code % 26) as u8;
        code /= 26;
    }
    Symbol::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_valid_and_differ() {
        let names = names(u16::MAX);
        assert!(names.iter().all(|name| name.is_valid()));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), usize::from(u16::MAX));
    }
}
