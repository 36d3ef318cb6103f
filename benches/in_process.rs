//! Without sockets: how long from `ts_recv` to `ts_log`, which is just before the write call, and what does a hop over a ring cost?
//!
//! Canonical: prints of 1,000 symbols, 1,000,000 a second for five seconds in an open loop, one in ten of which fires a rule, and
//! then every one. `ts_recv` is when a print was *due*, so a stage that is late shows. On one thread (feed, matcher and gateway in turn,
//! as in the engine on two cores), and where there are three cores or more on one each. A hop: two threads on two cores send a value
//! there and back over two rings, and half of that is one. The machine's jitter on the cores used, right before, is beside each.
//!
//!     cargo bench --bench in_process [-- --rate N] [--seconds N] [--mix N,N] [--symbols N] [--cores N,N,N]

mod common;
#[path = "../tools/tick_to_alert/machine.rs"]
#[allow(dead_code, unused_imports)]
mod machine;

use std::hint::spin_loop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::fused::Pipeline;
use common::{Args, histogram, quantiles};
use hairtrigger::agent::Agent;
use hairtrigger::feed::downstream::Downstream;
use hairtrigger::limits::EVENTS_PER_CYCLE;
use hairtrigger::ring::ring;
use hairtrigger::sys::affinity::{allowed, pin_current};
use hairtrigger::sys::clock::Clock;
use hdrhistogram::Histogram;
use machine::Jitter;

/// Goals of DESIGN section 10, ns at p50 and p99.
const GOALS: [(f64, u64); 2] = [(0.5, 300), (0.99, 1_000)];

/// What a run is of.
#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    events: u64,
    mix: u64,
    symbols: usize,
}

fn main() {
    let args = Args::read();
    let rate = args.number("rate", 1_000_000, 100_000) as u64;
    let events = rate * args.number("seconds", 5, 1) as u64;
    let events = if args.is_bench() { events } else { 2_000 };
    let symbols = args.number("symbols", 1_000, 50);
    let allowed = allowed().unwrap_or_default();
    let cores = args.numbers("cores", &allowed, &allowed);
    println!("{}", machine::describe(&cores));
    println!("{rate} events/s, {symbols} symbols; ns from ts_recv (when it was due) to ts_log");
    for mix in args.numbers("mix", &[10, 1], &[2]) {
        let load = Load { rate, events, mix: mix as u64, symbols };
        fused(&args, load, cores.last().copied());
        match cores[..] {
            [.., feed, matcher, gateway] => apart(&args, load, [feed, matcher, gateway]),
            _ => println!("  1 in {mix} fires, a core each: not measured, for want of three cores"),
        }
    }
    if let [.., one, other] = cores[..] {
        hop(&args, [one, other]);
    } else {
        println!("  a hop over a ring: not measured, for want of two cores");
    }
}

/// A folder for the alert log, in memory where there is one.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { PathBuf::from(memory) } else { std::env::temp_dir() };
    tempfile::tempdir_in(root).expect("a folder for the alert log")
}

/// One thread, on this core.
fn fused(args: &Args, load: Load, core: Option<usize>) {
    let jitter = jitter(args, &core.into_iter().collect::<Vec<_>>());
    let folder = folder();
    let run = move |directory: &Path| {
        let clock = Clock::machine();
        let mut pipeline = Pipeline::new(load.symbols, load.mix, directory, &clock);
        // Not before: the worker that prepares the log's segments would be on this core too.
        core.inspect(|core| pin_current(*core).expect("the core is in the mask"));
        let start = clock.now();
        let (mut sent, mut lost) = (0, 0);
        while sent < load.events {
            let now = clock.now();
            // The first is due at the start itself.
            let due = ((now - start) * load.rate / 1_000_000_000 + 1).min(load.events);
            for _ in 0..(due - sent).min(EVENTS_PER_CYCLE as u64) {
                lost += u64::from(!pipeline.print(start + sent * 1_000_000_000 / load.rate));
                sent += 1;
            }
            pipeline.step(now);
        }
        while pipeline.step(clock.now()) > 0 {}
        report("one thread", load, lost, &pipeline.latency.lock().expect("nobody panicked"));
    };
    thread::scope(|scope| scope.spawn(|| run(folder.path())).join()).expect("the run does not panic");
    println!("    jitter of its core, ns: {}", words(&jitter));
}

/// Three threads.
fn apart(args: &Args, load: Load, cores: [usize; 3]) {
    let jitter = jitter(args, &cores);
    let (folder, clock) = (folder(), Clock::machine());
    let Pipeline { mut prints, mut partition, mut matcher, mut gateway, latency, ends: _ends } =
        Pipeline::new(load.symbols, load.mix, folder.path(), &clock);
    // Each agent goes on until the one before it is over and nothing of that is left.
    let over = [AtomicBool::new(false), AtomicBool::new(false)];
    let lost = thread::scope(|scope| {
        let (feed_over, matcher_over) = (&over[0], &over[1]);
        scope.spawn(|| {
            step_until(&mut matcher, cores[1], &clock, feed_over);
            matcher_over.store(true, Ordering::Release);
        });
        scope.spawn(|| step_until(&mut gateway, cores[2], &clock, matcher_over));
        let feed = scope.spawn(|| {
            pin_current(cores[0]).expect("the core is in the mask");
            let (start, mut lost) = (clock.now(), 0);
            for sent in 0..load.events {
                let due = start + sent * 1_000_000_000 / load.rate;
                while clock.now() < due {
                    spin_loop();
                }
                let (sequence, message) = prints.next();
                lost += u64::from(!partition.message(sequence, due, message));
            }
            feed_over.store(true, Ordering::Release);
            lost
        });
        feed.join().expect("the feed does not panic")
    });
    report("a core each", load, lost, &latency.lock().expect("nobody panicked"));
    println!("    jitter of these cores, ns: {}", words(&jitter));
}

fn step_until(agent: &mut dyn Agent, core: usize, clock: &Clock, over: &AtomicBool) {
    pin_current(core).expect("the core is in the mask");
    loop {
        // Read first: what the one before sent before it was over is there then.
        let is_over = over.load(Ordering::Acquire);
        if agent.do_work(clock.now()) == 0 && is_over {
            return;
        }
    }
}

fn report(layout: &str, load: Load, lost: u64, latency: &Histogram<u64>) {
    let goals = GOALS.map(|(quantile, goal)| {
        let is_met = latency.value_at_quantile(quantile) <= goal;
        format!("p{} <= {goal}: {}", quantile * 100.0, if is_met { "met" } else { "missed" })
    });
    let count = latency.len();
    println!("  1 in {} fires, {layout}: {}; {count} alerts; {}", load.mix, quantiles(latency), goals.join(", "));
    assert!(lost > 0 || count == load.events.div_ceil(load.mix), "every alert that is due is logged");
    if lost > 0 {
        println!("    {lost} prints found the ring full and were lost: the thread cannot keep this rate");
    }
}

/// There and back between two threads.
fn hop(args: &Args, cores: [usize; 2]) {
    let jitter = jitter(args, &cores);
    let rounds = args.number("rounds", 1_000_000, 20) as u64;
    let ((mut there, mut there_end), (mut back, mut back_end)) = (ring(64, 0u64), ring(64, 0u64));
    let mut seen = histogram();
    thread::scope(|scope| {
        scope.spawn(move || {
            pin_current(cores[1]).expect("the core is in the mask");
            let mut last = 0;
            while last < rounds {
                there_end.drain(1, |value| {
                    last = *value;
                    assert!(back.send(last), "there is one value at a time");
                });
            }
        });
        scope.spawn(|| {
            pin_current(cores[0]).expect("the core is in the mask");
            for round in 1..=rounds {
                let start = Instant::now();
                assert!(there.send(round), "there is one value at a time");
                while back_end.drain(1, |_| ()) == 0 {
                    spin_loop();
                }
                seen.saturating_record(start.elapsed().as_nanos() as u64 / 2);
            }
        });
    });
    println!("  a hop over a ring, half of there and back, ns: {}", quantiles(&seen));
    println!("    jitter of these cores, ns: {}", words(&jitter));
}

fn jitter(args: &Args, cores: &[usize]) -> Jitter {
    Jitter::of(cores, Duration::from_millis(args.number("jitter-ms", 500, 1) as u64))
}

fn words(jitter: &Jitter) -> String {
    format!("p50 {} p99 {} p99.9 {} max {}", jitter.wait(50.0), jitter.wait(99.0), jitter.wait(99.9), jitter.max())
}
