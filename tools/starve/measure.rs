//! What is measured: how long valid logins take, and how late alerts are read.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hairtrigger::client::{Client, Event, Request};
use hairtrigger::gateway::wire::{Kind, Message};
use hdrhistogram::Histogram;

use crate::market::Clock;
use crate::{Fault, PASSWORD};

/// Time between two logins on a port.
const LOGIN_PACE: Duration = Duration::from_millis(50);
/// How long a reader waits for a message before it looks whether it is over.
const PATIENCE: Duration = Duration::from_millis(100);

/// Histogram of ns that threads add to.
pub struct Shared(Mutex<Histogram<u64>>);

impl Shared {
    fn new() -> Shared {
        Shared(Mutex::new(empty()))
    }

    fn record(&self, time: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(time.as_nanos() as u64);
    }

    /// What was added since this was last called.
    pub fn take(&self) -> Histogram<u64> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), empty())
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are constants that it takes")
}

/// All that is measured.
pub struct Measured {
    /// Connect to Login Accepted: rule port, alert port.
    pub logins: [Shared; 2],
    /// From when a print was due to when its alert was read.
    pub alerts: Shared,
    /// Logins that did not succeed, and readers that were cut.
    pub failures: AtomicU64,
}

impl Measured {
    /// Nothing yet.
    pub fn new() -> Measured {
        let (logins, alerts) = ([Shared::new(), Shared::new()], Shared::new());
        Measured { logins, alerts, failures: AtomicU64::new(0) }
    }

    fn fails(&self, what: &str, error: &dyn std::error::Error) {
        eprintln!("starve: {what}: {error}");
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs in and out, again and again.
    pub fn log_in(&self, user: &str, (port, address): (usize, SocketAddr), is_over: &AtomicBool) -> Result<(), Fault> {
        let login = Request::new(user, PASSWORD)?.from(0);
        let mut due = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            due = (due + LOGIN_PACE).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            let client = Client::connect(address, &login);
            self.logins[port].record(begun.elapsed());
            match client {
                Ok(mut client) => client.writer.log_out().unwrap_or_else(|error| self.fails("a log-out", &error)),
                Err(error) => self.fails("a valid login", &error),
            }
        }
        Ok(())
    }

    /// Reads alerts from now on.
    pub fn read(&self, mut client: Client, clock: &Clock, is_over: &AtomicBool) -> Result<(), Fault> {
        client.reader.set_timeout(PATIENCE)?;
        while !is_over.load(Ordering::Relaxed) {
            match client.receive() {
                Ok(Event::Sequenced(_, bytes)) => {
                    if let Some(Message::Rule(alert)) = Message::read(bytes)
                        && alert.kind == Kind::Alert
                        && let Some(late) = clock.lateness(alert.sequence)
                    {
                        self.alerts.record(late);
                    }
                }
                Ok(_) => (),
                Err(error) => {
                    self.fails("a reader", &error);
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A login for what comes from now on.
pub fn follow(user: &str, alerts: SocketAddr) -> Result<Client, Fault> {
    Ok(Client::connect(alerts, &Request::new(user, PASSWORD)?.from(0))?)
}

/// Connections that found a queue of a listener full since the machine started, all programs' together: their clients try
/// again after a second.
pub fn listen_overflows() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?.split_whitespace(), lines.next()?.split_whitespace());
    names.zip(values).find(|(name, _)| *name == "ListenOverflows")?.1.parse().ok()
}
