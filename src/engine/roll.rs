//! The roll: which number an account and a login have. By name, and for the life of the process: whoever is taken out of the
//! config and put back is the same, and nobody gets another's number.

use crate::config::Config;
use crate::door::{Member, Notice, Pass};
use crate::model::{AccountId, AccountName};
use crate::soup::login::USER_SIZE;

use super::settings;

/// Numbers that were given out.
#[derive(Default)]
pub struct Roll {
    accounts: Vec<AccountName>,
    logins: Vec<([u8; USER_SIZE], AccountId)>,
}

/// What the config says of who may come in.
pub struct Called {
    /// For the checker.
    pub members: Vec<Member>,
    /// For the ports.
    pub notice: Notice,
}

impl Roll {
    /// Gives numbers to whoever in the config has none. At start an account's number is its position.
    pub fn call(&mut self, config: &Config) -> Called {
        let mut passes = vec![None; self.logins.len()];
        let mut members = vec![];
        for of in &config.accounts {
            let account = place_of(&mut self.accounts, settings::padded(&of.name)) as AccountId;
            for login in &of.logins {
                let number = place_of(&mut self.logins, (login.user, account));
                passes.resize(passes.len().max(number + 1), None);
                passes[number] = Some(Pass { account, is_drop_copy: of.drop_copy });
                members.push(Member { user: login.user, secret: login.secret.clone(), login: number as u32, account });
            }
        }
        Called { members, notice: Notice { passes, limits: settings::client_limits(config) } }
    }

    /// The accounts' names by number.
    pub fn accounts(&self) -> &[AccountName] {
        &self.accounts
    }

    /// The same with those that this config brings.
    pub fn accounts_with(&self, config: &Config) -> Vec<AccountName> {
        let mut accounts = self.accounts.clone();
        for of in &config.accounts {
            place_of(&mut accounts, settings::padded(&of.name));
        }
        accounts
    }

    /// The number of an account.
    pub fn account(&self, name: &str) -> Option<AccountId> {
        let name = settings::padded(name);
        self.accounts.iter().position(|known| *known == name).map(|number| number as AccountId)
    }
}

/// Where it stands; at the end, if it is new.
fn place_of<T: PartialEq>(known: &mut Vec<T>, wanted: T) -> usize {
    known.iter().position(|other| *other == wanted).unwrap_or_else(|| {
        known.push(wanted);
        known.len() - 1
    })
}
