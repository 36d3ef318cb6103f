//! What do a set and a remove cost, and how bad is the worst, with a million to a hundred million rules held? How much memory
//! is a rule?
//!
//! Canonical: 1 million and 10 million rules over 8,000 symbols; then rules drawn at random are removed and set again at
//! another threshold, each timed alone (the clock's own cost is in it and stated). `--rules 100000000` needs about 6.5 GB.
//! Bytes a rule are resident memory after less before, tables reserved for just so many.
//!
//!     cargo bench --bench set_remove [-- --rules N,N] [--samples N]

mod common;

use std::time::Instant;

use common::rules::Loaded;
use common::{Args, Stopwatch, clock_ns, histogram, quantiles, resident};

fn main() {
    let args = Args::read();
    let samples = args.number("samples", 2_000_000, 1_000);
    println!("the clock: {} ns", clock_ns());
    for rules in args.numbers("rules", &[1_000_000, 10_000_000], &[10_000]) {
        let empty = resident();
        let mut loaded = Loaded::new(rules + 1);
        let watch = Stopwatch::start();
        loaded.fill(rules);
        let (elapsed, on_core) = watch.per(rules);
        let bytes = resident().saturating_sub(empty) as f64 / rules as f64;
        println!("{rules} rules: {elapsed:.0} ns/set in bulk, {on_core:.0} on a core; {bytes:.1} bytes a rule");
        let (mut removes, mut sets) = (histogram(), histogram());
        for _ in 0..samples {
            let user = loaded.below(rules) as u64;
            let (remove, set) = (loaded.remove_of(user), loaded.set_of(user));
            for (command, seen) in [(&remove, &mut removes), (&set, &mut sets)] {
                let start = Instant::now();
                loaded.command(command);
                seen.saturating_record(start.elapsed().as_nanos() as u64);
            }
        }
        assert_eq!(loaded.out.refused, 0, "every rule is there when it is removed");
        println!("  set     ns  mean {:.0}  {}", sets.mean(), quantiles(&sets));
        println!("  remove  ns  mean {:.0}  {}", removes.mean(), quantiles(&removes));
    }
}
