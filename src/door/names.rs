//! Accounts' names by number, for the stages that write names down. Accounts may be added while the engine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::model::{AccountId, AccountName};

/// Known names, and those that come later. A name is sent before its number is given to anybody, so a number that is not
/// known is the only occasion to look: an ordinary alert or change costs an array access.
pub struct Names {
    known: Vec<AccountName>,
    more: Option<Receiver<AccountName>>,
}

impl Names {
    /// These, by number, and then those that come by `more`.
    pub fn new(known: Vec<AccountName>, more: Option<Receiver<AccountName>>) -> Names {
        Names { known, more }
    }

    /// The account's name; spaces for a number that nobody has.
    #[inline]
    pub fn of(&mut self, account: AccountId) -> AccountName {
        let number = usize::from(account);
        if number >= self.known.len() {
            self.learn();
        }
        self.known.get(number).copied().unwrap_or([b' '; 6])
    }

    #[cold]
    fn learn(&mut self) {
        if let Some(more) = &self.more {
            self.known.extend(more.try_iter());
        }
    }
}

/// Accounts that are added, for a stage that must prepare something before anybody may come in for them.
pub struct Newcomers {
    names: Receiver<AccountName>,
    met: Arc<AtomicUsize>,
}

/// The other end: names go, and it is known how many have been met.
pub struct Introductions {
    names: Sender<AccountName>,
    sent: usize,
    met: Arc<AtomicUsize>,
}

/// The two ends.
pub fn newcomers() -> (Introductions, Newcomers) {
    let ((sender, names), met) = (channel(), Arc::<AtomicUsize>::default());
    (Introductions { names: sender, sent: 0, met: Arc::clone(&met) }, Newcomers { names, met })
}

impl Newcomers {
    /// The next one, if one has come.
    pub fn next(&self) -> Option<AccountName> {
        self.names.try_recv().ok()
    }

    /// Says that all is there for one more.
    pub fn is_met(&self) {
        self.met.fetch_add(1, Ordering::Release);
    }
}

impl Introductions {
    /// Sends a name.
    pub fn introduce(&mut self, name: AccountName) {
        // A stage that has gone meets nobody, and that is seen.
        let _ = self.names.send(name);
        self.sent += 1;
    }

    /// True when all were met.
    pub fn are_met(&self) -> bool {
        self.met.load(Ordering::Acquire) == self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_known_is_looked_for_once_it_is_needed() {
        let (sender, more) = std::sync::mpsc::channel();
        let mut names = Names::new(vec![*b"zero  "], Some(more));
        assert_eq!((names.of(0), names.of(1)), (*b"zero  ", *b"      "));
        sender.send(*b"one   ").unwrap();
        sender.send(*b"two   ").unwrap();
        drop(sender);
        assert_eq!((names.of(2), names.of(1), names.of(3)), (*b"two   ", *b"one   ", *b"      "));
    }
}
