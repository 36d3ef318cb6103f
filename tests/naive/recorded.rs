//! Recorded market data, and rules around its prices.

use std::path::{Path, PathBuf};

use super::generate::Random;
use super::ground::time_of_day;

/// A file of market data that lies beside the repository. Where it is missing the test does nothing, except in CI, where it fails.
pub fn recorded(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/itch").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// Rules on all signals around prices (1e-4) in steps of `grain`, set, replaced and removed all over the file.
pub fn rules_around(
    seed: u64,
    count: u64,
    messages: u64,
    prices: std::ops::Range<u64>,
    grain: u64,
    day: std::ops::Range<u64>,
) -> String {
    let mut random = Random(seed);
    let mut rows = vec![0; count as usize / 2];
    rows.extend((0..count / 2).map(|_| random.below(messages + 100)));
    rows.sort_unstable();
    let mut out =
        "at,op,user,symbol,signal,when,threshold,fire,on_set,rearm,cooldown_ns,max_fires,expires_at,tag\n".to_string();
    for (tag, at) in rows.into_iter().enumerate() {
        let user = random.below(count / 2);
        if random.once_in(12) {
            out += &format!("{at},remove,{user},SYMBOL,,,,,,,,,,{tag}\n");
            continue;
        }
        let steps = (prices.end - prices.start) / grain;
        let price = prices.start + grain * random.below(steps) + random.pick(&[0, 0, 0, 1, grain / 2]);
        let expiry = random.once_in(4).then(|| time_of_day(day.start + random.below(day.end - day.start)));
        out += &format!(
            "{at},set,{user},SYMBOL,{},{},{}.{:04},{},{},{},{},{},{},{tag}\n",
            random.pick(&["last", "last", "last", "bid", "ask", "mid"]),
            random.pick(&["below", "above", "at_or_below", "at_or_above"]),
            price / 10_000,
            price % 10_000,
            random.pick(&["once", "repeat", "repeat"]),
            random.pick(&["fire", "wait", "reject"]),
            random.pick(&["", "0.01", "0.05", "0.5"]),
            random.pick(&["", "1000000", "60000000000"]),
            random.pick(&["", "2", "50"]),
            expiry.unwrap_or_default(),
        );
    }
    out
}
