//! Accounts' names by number, for the stages that write names down. Accounts may be added while the engine runs.

use std::sync::mpsc::Receiver;

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
