//! Two readers of the alert stream: one that measures, and one that comes and goes.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use hairtrigger::client::{Client, ClientError, Event, Request};
use hairtrigger::gateway::wire::{Kind, Message, STOPS};
use hdrhistogram::Histogram;

use crate::market::Clock;
use crate::{Fault, STOP};

/// Messages after which the visitor leaves.
const VISIT: usize = 1_000;

/// What was measured since it was last taken: ns.
pub type Measured = Arc<Mutex<Histogram<u64>>>;

/// An empty histogram of ns up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are constants that it takes")
}

/// Reads on a thread of its own, until the engine stops.
pub fn measure<'s>(scope: &'s Scope<'s, '_>, alerts: SocketAddr, clock: &'s Clock) -> Result<Measured, Fault> {
    let mut client = Client::connect(alerts, &Request::new("demo", "secret")?)?;
    let measured = Arc::new(Mutex::new(histogram()));
    let theirs = Arc::clone(&measured);
    scope.spawn(move || {
        loop {
            match client.receive() {
                Ok(Event::Sequenced(_, bytes)) => {
                    let Some(Message::Rule(alert)) = Message::read(bytes) else { continue };
                    // An alert that a set caused has no packet that was due.
                    if alert.kind == Kind::Alert && alert.ts_recv != 0 {
                        let late = clock.lateness(alert.sequence).as_nanos() as u64;
                        theirs.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late);
                    }
                }
                Ok(Event::Debug(text)) if text == STOPS.as_bytes() => return,
                Ok(_) => (),
                Err(error) => panic!("the measuring reader was cut off: {error}"),
            }
        }
    });
    Ok(measured)
}

/// Connects by another login, reads some messages and goes, again and again, each time from where it left.
pub fn come_and_go(alerts: SocketAddr) -> Result<(), Fault> {
    let mut next = 1;
    while !STOP.load(Ordering::Relaxed) {
        let mut client = Client::connect(alerts, &Request::new("guest", "secret")?.from(next))?;
        let mut read = 0;
        while read < VISIT && !STOP.load(Ordering::Relaxed) {
            match client.receive() {
                Ok(Event::Sequenced(..)) => read += 1,
                Ok(Event::End) | Err(ClientError::Closed) => return Ok(()),
                Ok(_) => (),
                Err(error) => return Err(error.into()),
            }
        }
        next = client.reader.next_sequence();
        client.writer.log_out()?;
    }
    Ok(())
}
