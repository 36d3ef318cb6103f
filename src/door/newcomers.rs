//! Accounts that come while the engine runs, for a stage that must prepare something before anybody may come in for them.
//!
//! ```text
//!   Introductions::introduce --- names, in order ---> Newcomers::first
//!   Introductions::has_met  <--- how many, released -- Newcomers::is_met
//! ```
//!
//! Who sees that a newcomer was met sees all that was done for it. One that cannot be met now stays the first.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::model::AccountName;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};

/// The stage's end.
pub struct Newcomers {
    names: Receiver<AccountName>,
    /// Taken from the channel, and not met yet.
    first: Option<AccountName>,
    met: Arc<AtomicUsize>,
}

/// The other end: names go, and it is known how many have been met.
pub struct Introductions {
    names: Sender<AccountName>,
    met: Arc<AtomicUsize>,
}

/// The two ends, where `known` accounts were there from the start.
pub fn newcomers(known: usize) -> (Introductions, Newcomers) {
    let ((sender, names), met) = (channel(), Arc::new(AtomicUsize::new(known)));
    (Introductions { names: sender, met: Arc::clone(&met) }, Newcomers { names, first: None, met })
}

impl Newcomers {
    /// The first who has come and was not met yet.
    pub fn first(&mut self) -> Option<AccountName> {
        self.first = self.first.or_else(|| self.names.try_recv().ok());
        self.first
    }

    /// Says that all is there for that one.
    pub fn is_met(&mut self) {
        self.first = None;
        self.met.fetch_add(1, Ordering::Release);
    }
}

impl Introductions {
    /// Sends the name of the account with the next number.
    pub fn introduce(&self, name: AccountName) {
        // A stage that has gone meets nobody, and that is seen.
        let _ = self.names.send(name);
    }

    /// True when the first `count` accounts were there from the start or have been met.
    pub fn has_met(&self, count: usize) -> bool {
        self.met.load(Ordering::Acquire) >= count
    }
}
