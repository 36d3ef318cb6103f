//! What does a tick cost that fires nothing, from a thousand rules to a hundred million?
//!
//! Canonical: 1 thousand, 100 thousand and 10 million rules over 8,000 symbols; ticks of symbols drawn at random, each at a
//! price between the nearest thresholds. A run of the same loop without the shard is taken off. `--rules 1000,100000000`
//! takes others: 100 million need about 6.5 GB.
//!
//!     cargo bench --bench no_fire [-- --rules N,N] [--ticks N]

mod common;

use std::hint::black_box;

use common::rules::{CENT, Loaded, SYMBOLS, price_of};
use common::{Args, Stopwatch};

fn main() {
    let args = Args::read();
    let ticks = args.number("ticks", 100_000_000, 10_000);
    let counts = args.numbers("rules", &[1_000, 100_000, 10_000_000], &[1_000]);
    for symbols in [1_000, SYMBOLS] {
        let bare = bare(ticks, symbols);
        println!("ticks of {symbols} symbols; the loop alone takes {:.2} ns on a core", bare.1);
        for rules in &counts {
            let (elapsed, on_core) = no_fire(*rules, ticks, symbols);
            println!(
                "  {rules:>11} rules  {:6.2} ns/tick elapsed, {:6.2} on a core",
                elapsed - bare.0,
                on_core - bare.1
            );
        }
    }
}

/// A price of the symbol that reaches no threshold.
#[inline]
fn quiet_price(symbol: usize, draw: usize) -> i64 {
    price_of(symbol) + (draw & 1) as i64 * (CENT / 2)
}

fn bare(ticks: usize, symbols: usize) -> (f64, f64) {
    let mut loaded = Loaded::new(1);
    let watch = Stopwatch::start();
    for at in 0..ticks {
        let symbol = loaded.below(symbols);
        black_box(loaded.print(symbol, quiet_price(symbol, at)));
    }
    watch.per(ticks)
}

fn no_fire(rules: usize, ticks: usize, symbols: usize) -> (f64, f64) {
    let mut loaded = Loaded::new(rules);
    loaded.fill(rules);
    let told = loaded.out.alerts;
    let watch = Stopwatch::start();
    for at in 0..ticks {
        let symbol = loaded.below(symbols);
        loaded.tick(symbol, quiet_price(symbol, at));
    }
    let taken = watch.per(ticks);
    assert_eq!(loaded.out.alerts, told, "nothing fires");
    taken
}
