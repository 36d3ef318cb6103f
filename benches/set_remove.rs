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
use hairtrigger::model::RuleCommand;
use hdrhistogram::Histogram;

/// Rules removed before they are set again.
const BATCH: usize = 1 << 16;
/// A prime that divides no usual number of rules: a batch names no rule twice.
const STRIDE: usize = 7_919;

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
        let mut left = samples;
        while left > 0 {
            let (batch, first) = (left.min(BATCH).min(rules), loaded.below(rules));
            // Far apart, and none twice: so all of a batch are removed before the first is set again, from cold memory.
            let users: Vec<u64> = (0..batch).map(|at| ((first + at * STRIDE) % rules) as u64).collect();
            for user in &users {
                let remove = loaded.remove_of(*user);
                timed(&mut loaded, &remove, &mut removes);
            }
            for user in &users {
                let set = loaded.set_of(*user);
                timed(&mut loaded, &set, &mut sets);
            }
            left -= batch;
        }
        assert_eq!(loaded.out.refused, 0, "every rule is there when it is removed");
        println!("  set     ns  mean {:.0}  {}", sets.mean(), quantiles(&sets));
        println!("  remove  ns  mean {:.0}  {}", removes.mean(), quantiles(&removes));
    }
}

fn timed(loaded: &mut Loaded, command: &RuleCommand, seen: &mut Histogram<u64>) {
    let start = Instant::now();
    loaded.command(command);
    seen.saturating_record(start.elapsed().as_nanos() as u64);
}
