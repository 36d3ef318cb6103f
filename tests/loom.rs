//! What threads share by atomics of our own, in every order that they may see: the very files, compiled once more with loom's atomics
//! in the place of the standard library's.
//!
//! | shared | between | what must hold |
//! |---|---|---|
//! | `runner/shared.rs` | a thread and its handle | an agent that is told to drain sees all that one did which was seen closed |
//! | `door/newcomers.rs` | reload and gateway | who was seen met has all that was prepared for it |
//! | `stats/record.rs` | an engine and its readers | a record that is seen is seen whole |
//!
//! Not here: flags and numbers that stand for themselves (`log_full`, `interrupted`, bounds of accounts, each value of the
//! stats), rings (`disruptor`), and the alert log, whose bytes are copied and not atomic: what a reader sees too early its CRC32C
//! tells (`gateway::history`).

use hairtrigger::{agent, model};

#[path = "../src/door/newcomers.rs"]
mod newcomers;
#[path = "../src/stats/record.rs"]
#[allow(dead_code)]
mod record;
#[path = "../src/runner/shared.rs"]
#[allow(dead_code)]
mod shared;
mod sys {
    pub mod sync {
        pub use loom::sync::atomic;
    }
}

use std::sync::Arc;

use agent::Agent;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread::{spawn, yield_now};
use model::Nanos;
use newcomers::newcomers;
use shared::{Shared, Wish};

/// Runs all orders in which a thread is interrupted a few times.
fn every_order(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(body);
}

/// Does one piece of work.
struct Source(Arc<AtomicUsize>, usize);

impl Agent for Source {
    fn name(&self) -> &str {
        "source"
    }
    fn do_work(&mut self, _: Nanos) -> usize {
        let work = usize::from(self.1 == 0);
        self.1 += work;
        self.0.store(self.1, Ordering::Relaxed);
        work
    }
}

/// Takes what there is.
struct Sink(Arc<AtomicUsize>, usize);

impl Agent for Sink {
    fn name(&self) -> &str {
        "sink"
    }
    fn do_work(&mut self, _: Nanos) -> usize {
        let before = std::mem::replace(&mut self.1, self.0.load(Ordering::Relaxed));
        self.1 - before
    }
}

/// So many duty cycles that an agent which drains has done all there is, and closed.
fn run<A: Agent>(mut agent: A, shared: &Shared) -> A {
    for _ in 0..2 {
        shared.step(&mut agent, 0);
    }
    agent
}

#[test]
fn an_agent_that_drains_sees_all_that_the_closed_one_before_it_did() {
    static DRAINED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    every_order(|| {
        let (ring, [source, sink]) = (Arc::<AtomicUsize>::default(), [(); 2].map(|()| Arc::<Shared>::default()));
        source.wish(Wish::Drain);
        let threads = (Arc::clone(&source), Source(Arc::clone(&ring), 0), Arc::clone(&sink), Sink(ring, 0));
        let (of_source, from, of_sink, to) = threads;
        let first = spawn(move || run(from, &of_source).1);
        let second = spawn(move || run(to, &of_sink).1);
        yield_now();
        if source.is_closed() {
            sink.wish(Wish::Drain);
        }
        let (sent, taken) = (first.join().unwrap(), second.join().unwrap());
        if sink.is_closed() {
            DRAINED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_eq!((sent, taken), (1, 1));
        }
        assert_eq!((source.cycles(), source.is_closed()), (2, true));
    });
    assert!(DRAINED.load(std::sync::atomic::Ordering::Relaxed) > 0, "some orders close both");
}

#[test]
fn who_was_seen_met_has_all_that_was_prepared() {
    every_order(|| {
        let (introductions, mut newcomers) = newcomers(1);
        let streams = Arc::<AtomicUsize>::default();
        let made = Arc::clone(&streams);
        let gateway = spawn(move || {
            for number in 1..=2 {
                while newcomers.first().is_none() {
                    yield_now();
                }
                made.store(number, Ordering::Relaxed);
                newcomers.is_met();
            }
        });
        assert!(introductions.has_met(1) && !introductions.has_met(2));
        introductions.introduce(*b"one   ");
        introductions.introduce(*b"two   ");
        for count in [2, 3] {
            while !introductions.has_met(count) {
                yield_now();
            }
            assert!(streams.load(Ordering::Relaxed) >= count - 1);
        }
        gateway.join().unwrap();
    });
}

#[test]
fn a_record_that_is_seen_is_seen_whole() {
    every_order(|| {
        let words: Arc<[AtomicU64]> = (0..33).map(|_| AtomicU64::new(0)).collect();
        let written = Arc::clone(&words);
        let least = |values: &[AtomicU64]| values[0].store(u64::MAX, Ordering::Relaxed);
        let engine = spawn(move || record::write(&written, 0, (record::COUNTERS, "feed\nlines"), 2, least));
        if let Some(found) = record::read(&words, 0).expect("nothing is damaged") {
            assert_eq!((found.kind, found.size, found.text.as_str()), (record::COUNTERS, 32, "feed\nlines"));
            assert_eq!(found.values.len(), 2);
            assert_eq!(found.values[0].load(Ordering::Relaxed), u64::MAX);
        }
        assert_eq!(engine.join().unwrap(), Some((16, 32)));
        assert!(matches!(record::read(&words, 32), Some(None)));
    });
}
