//! The thread that publishes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::house::SESSION;
use crate::agent::Agent;
use crate::publish::{LineSettings, Messages, Pace, Publisher, Rates, Settings};
use crate::sys::clock::Clock;

/// On each line, parts per million: packets lost, sent twice, overtaken.
const RATES: Rates = Rates { loss: 10_000, duplicate: 5_000, reorder: 5_000 };
/// A datagram's payload.
const PACKET_SIZE: usize = 1_400;
/// How long re-requests are served after the last message, in ns: until the demo stops it, at the latest.
const LINGER: u64 = 60_000_000_000;
/// The longest sleep while nothing is due: requests are answered within it.
const IDLE_MAX: Duration = Duration::from_micros(200);

/// A publisher of both lines, not sending yet. The lines' addresses are not known before the engine has opened them.
///
/// # Errors
/// The system's.
pub fn open(messages: Messages, rate: u64, clock: &Clock) -> std::io::Result<Publisher> {
    let nowhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
    let settings = Settings {
        session: SESSION,
        lines: [1, 2].map(|seed| LineSettings { to: nowhere, rates: RATES, seed }).into(),
        rerequest: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        interface: Ipv4Addr::LOCALHOST,
        pace: Pace::Rate(rate),
        packet_size: PACKET_SIZE,
        linger: LINGER,
        record_times: true,
    };
    Publisher::new(&settings, Arc::new(messages), clock.clone())
}

/// A publisher at work.
pub struct Publishing {
    shared: Arc<Shared>,
    thread: JoinHandle<Publisher>,
}

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    is_sent: AtomicBool,
    cut: AtomicBool,
    stop: AtomicBool,
}

impl Publishing {
    /// Sends, and serves re-requests until it is stopped.
    pub fn start(mut publisher: Publisher, clock: Clock) -> Publishing {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !theirs.stop.load(Ordering::Relaxed) {
                if theirs.cut.load(Ordering::Relaxed) {
                    publisher.cut();
                }
                let now = clock.now();
                if publisher.do_work(now) == 0 {
                    let due = publisher.next_due().map(|due| Duration::from_nanos(due.saturating_sub(now)));
                    thread::sleep(due.map_or(IDLE_MAX, |due| due.min(IDLE_MAX)));
                }
                theirs.sent.store(publisher.sent(), Ordering::Relaxed);
                theirs.is_sent.store(publisher.is_sent(), Ordering::Release);
            }
            publisher
        });
        Publishing { shared, thread }
    }

    /// Messages sent so far, of which nothing waits on a line once [`Self::is_sent`].
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// True once all is sent, or it was cut.
    pub fn is_sent(&self) -> bool {
        self.shared.is_sent.load(Ordering::Acquire)
    }

    /// Ends the feed where it stands. Re-requests are served on.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
    }

    /// Stops it; `None` when it had panicked.
    pub fn finish(self) -> Option<Publisher> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()
    }
}
