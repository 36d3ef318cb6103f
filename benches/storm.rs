//! One tick reaches a million rules: how many alerts a second does the shard give, and what do the ticks of other symbols
//! notice? And a flood of sets: how many a second, and what do ticks notice?
//!
//! Canonical: ticks of 8,000 symbols in an open loop at 500,000/s into one shard, in duty cycles as its agent has them; calm for
//! three seconds; the same with a tick each half second that fires 1,000,000 rules of one symbol at once; the same with sets
//! on top, 1,000,000/s at most, each replacing a rule. Latency of a tick: from when it was due to when the shard has taken it.
//!
//!     cargo bench --bench storm [-- --rate N] [--rules N] [--sets N] [--seconds N]

mod common;

use std::time::Instant;

use common::rules::{CENT, Loaded, SYMBOLS, price_of};
use common::{Args, Counted, histogram, quantiles};
use hairtrigger::limits::{COMMANDS_PER_CYCLE, EVENTS_PER_CYCLE, FIRINGS_PER_CYCLE};
use hairtrigger::model::{Command, Comparison, Price, RuleCommand, RuleKey, RuleSpec, Signal};
use hdrhistogram::Histogram;

/// The symbol of the storm; the ticks are of the others.
const STORMY: usize = 0;
/// Storms of a run.
const STORMS: usize = 4;

fn main() {
    let args = Args::read();
    let rate = args.number("rate", 500_000, 500_000);
    let rules = args.number("rules", 1_000_000, 2_000);
    let sets = args.number("sets", 1_000_000, 1_000_000);
    let ticks = args.number("seconds", 3, 1) * rate;
    let ticks = if args.is_bench() { ticks } else { 2_000 };
    println!("{rate} ticks/s, {rules} rules fired at once or held");

    let calm = pace(&mut Loaded::new(1), ticks, rate, 0, 0).ticks;
    println!("  calm   ticks of other symbols, ns: {}", quantiles(&calm));
    let (mut fired, mut busy_ns, mut stormy) = (0, 0, histogram());
    for _ in 0..STORMS {
        let mut loaded = Loaded::new(rules + 1);
        arm(&mut loaded, rules);
        let event = loaded.print(STORMY, price_of(STORMY) / 4);
        loaded.shard.step(FIRINGS_PER_CYCLE, &mut loaded.out);
        loaded.shard.event(&event, &mut loaded.out);
        let seen = pace(&mut loaded, ticks / STORMS, rate, 0, rules as u64);
        stormy.add(&seen.storm).expect("the same bounds");
        fired += loaded.out.alerts;
        busy_ns += seen.storm_ns;
    }
    assert_eq!(fired, (STORMS * rules) as u64, "every rule of the storm fires once");
    println!("  storm  ticks of other symbols, ns: {}", quantiles(&stormy));
    println!("         {:.2} M alerts/s with these ticks beside it", fired as f64 * 1e3 / busy_ns.max(1) as f64);

    let mut loaded = Loaded::new(rules + 1);
    loaded.fill(rules);
    let seen = pace(&mut loaded, ticks, rate, sets, 0);
    assert_eq!(loaded.out.refused, 0, "every set finds room");
    println!("  flood  ticks, ns: {}", quantiles(&seen.ticks));
    println!("         {} sets/s of {sets} due, {rules} rules held", seen.sets_per_s);
}

/// Rules of one symbol between a half and a whole of its price.
fn arm(loaded: &mut Loaded, rules: usize) {
    let price = price_of(STORMY);
    for user in 0..rules as u64 {
        let threshold = price - CENT - (price / 2 / (1 << 20)) * loaded.below(1 << 20) as i64;
        let spec = RuleSpec { tag: user, ..RuleSpec::new(Signal::Last, Comparison::Below, Price(threshold)) };
        let key = RuleKey { user, symbol: common::rules::name_of(STORMY), slot: 0, account: 0 };
        loaded.command(&RuleCommand { ordinal: user + 1, feed_time: 0, command: Command::Set(key, spec) });
    }
}

/// What was seen in a run.
struct Seen {
    /// Lateness of all ticks, ns.
    ticks: Histogram<u64>,
    /// Of those during the storm.
    storm: Histogram<u64>,
    /// How long the storm took.
    storm_ns: u64,
    sets_per_s: u64,
}

/// Gives the shard ticks and sets when they are due, in duty cycles. A storm that is under way ends with `alerts`.
fn pace(loaded: &mut Loaded, ticks: usize, rate: usize, sets: usize, alerts: u64) -> Seen {
    let mut seen = Seen { ticks: histogram(), storm: histogram(), storm_ns: 0, sets_per_s: 0 };
    let (start, mut taken, mut set) = (Instant::now(), 0, 0);
    let (mut storms, mut commands) = (alerts > 0, Vec::with_capacity(COMMANDS_PER_CYCLE));
    while taken < ticks || storms {
        let now = start.elapsed().as_nanos() as u64;
        loaded.shard.step(FIRINGS_PER_CYCLE, &mut loaded.out);
        // Tick number n is due at n / rate.
        let due = (now as usize * (rate / 1_000) / 1_000_000 + 1).min(ticks.max(taken)).min(taken + EVENTS_PER_CYCLE);
        while taken < due {
            let symbol = 1 + loaded.below(SYMBOLS - 1);
            loaded.tick(symbol, price_of(symbol));
            let late = start.elapsed().as_nanos() as u64 - taken as u64 * 1_000_000 / (rate as u64 / 1_000);
            let histogram = if storms { &mut seen.storm } else { &mut seen.ticks };
            histogram.saturating_record(late);
            taken += 1;
        }
        let due = (now as usize * (sets / 1_000) / 1_000_000).min(set + COMMANDS_PER_CYCLE);
        commands.clear();
        while set < due {
            let user = loaded.below(loaded.rules as usize) as u64;
            commands.push(loaded.set_of(user));
            set += 1;
        }
        loaded.shard.look_ahead(&commands);
        commands.iter().for_each(|command| loaded.command(command));
        let Counted { alerts: fired, .. } = loaded.out;
        if storms && loaded.shard.is_idle() && fired >= alerts {
            storms = false;
            seen.storm_ns = start.elapsed().as_nanos() as u64;
        }
    }
    seen.sets_per_s = (set as f64 / start.elapsed().as_secs_f64()) as u64;
    seen
}
