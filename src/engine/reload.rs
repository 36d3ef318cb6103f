//! The config read anew while the engine runs: who may come in, and what clients may do. Everything else needs a restart.
//!
//! Ways of what has changed, each in order, so that nobody is ever asked for what it has not been told:
//!
//! ```text
//!   accounts' names -----------------> journal               (looked at when an unknown number comes)
//!                   -----------------> gateway               (on its timer; each gets a stream, and that is waited for)
//!   rules of an account ------------> shards                 (a word each, read at a set)
//!   passes and limits --------------> control, gateway       (looked at on their timers, and at each verdict)
//!   users and what proves them -----> the door's checker
//!   certificates -------------------> TLS                    (for handshakes from then on)
//! ```
//!
//! An account that the gateway cannot take in (its log has no room) keeps its number and waits: it may come in by a later reload,
//! which waits for the accounts of its own config only.
//!
//! Known limit: rules that the journal has of an account which was not in the config at start wait there for a restart, also
//! when the account comes back before; that is said then. A rule that is set meanwhile on the key of one that waits replaces it.
//! Putting them in force here was thought through and left: the moment at which they begin to hold would have to be a record of the
//! journal, or no replay of that day could tell the same; and a rule that comes into a shard with orders may have to wait for its book,
//! so a restore would be one more kind of command, with its own refusals in the middle of an account. A restart needs none of that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::roll::{Called, Roll};
use super::settings;
use crate::config::{Account, Config, Login};
use crate::door::Reception;
use crate::door::newcomers::Introductions;
use crate::matcher::rules::AccountBounds;
use crate::model::AccountName;
use crate::tls::settings::{Identity, TlsError};

/// How long the gateway may take to meet new accounts, and how often that is looked at.
pub const NEWCOMERS_WAIT: Duration = Duration::from_secs(5);
const NEWCOMERS_POLL: Duration = Duration::from_millis(1);

/// Why a config is not taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Certificates or keys.
    #[error("tls: {0}")]
    Certificates(#[from] TlsError),
    /// TLS is there in one of the configs only.
    #[error("tls: the section [tls] came or went: that needs a restart")]
    Tls,
    /// More accounts than there is room for.
    #[error(
        "{count} accounts so far, with those removed: there is room for {max}. Restart the engine, and raise \
         limits.accounts_spare"
    )]
    Accounts {
        /// Accounts since the start.
        count: usize,
        /// Accounts that there may be.
        max: usize,
    },
    /// The gateway does not take the new accounts in.
    #[error("the alert log has no room for the new accounts now: read the config again later, or without them")]
    Log,
}

/// What a reload has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What holds from now on.
    pub changes: Vec<String>,
    /// What is different in the file and holds after a restart.
    pub restart: Vec<String>,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            f.write_str("config read: nothing to change")?;
        }
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{}config: {change}", if at > 0 { "\n" } else { "" })?;
        }
        self.restart.iter().try_for_each(|what| write!(f, "\nconfig: {what} differs: needs a restart"))
    }
}

/// The ends that tell a running engine.
pub struct Reload {
    /// What holds.
    pub config: Config,
    /// Numbers that were given out.
    pub roll: Roll,
    /// To the door and the ports.
    pub reception: Reception,
    /// Names of new accounts, to the alert log,
    pub to_log: Introductions,
    /// which may take so long to meet them,
    pub newcomers_wait: Duration,
    /// and to the journal.
    pub to_journal: Sender<AccountName>,
    /// Of each shard.
    pub bounds: Vec<AccountBounds>,
    /// To TLS, where it is.
    pub identities: Option<Sender<Identity>>,
    /// How many rules wait in the journal for their accounts, by name.
    pub dormant: BTreeMap<AccountName, u64>,
}

impl Reload {
    /// Takes over what may change.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&mut self, new: &Config) -> Result<Reloaded, ReloadError> {
        let max = settings::accounts_max(&self.config);
        let known = self.roll.accounts().len();
        let added = new.accounts.iter().filter(|account| self.roll.account(&account.name).is_none()).count();
        if known + added > max {
            return Err(ReloadError::Accounts { count: known + added, max });
        }
        let identity = settings::identity(new, &self.roll.accounts_with(new)).map(|settings| Identity::load(&settings));
        if identity.is_some() != self.identities.is_some() {
            return Err(ReloadError::Tls);
        }
        let identity = identity.transpose()?;
        let mut reloaded = Reloaded { changes: changes(&self.config, new), restart: restart(&self.config, new) };
        let Called { members, notice } = self.roll.call(new);
        for name in &self.roll.accounts()[known..] {
            // A journal that has gone needs no names.
            let _ = self.to_journal.send(*name);
            self.to_log.introduce(*name);
        }
        let numbers = new.accounts.iter().filter_map(|account| self.roll.account(&account.name));
        let needed = numbers.max().map_or(0, |last| usize::from(last) + 1);
        let start = Instant::now();
        while !self.to_log.has_met(needed) {
            if start.elapsed() > self.newcomers_wait {
                return Err(ReloadError::Log);
            }
            std::thread::sleep(NEWCOMERS_POLL);
        }
        for account in &new.accounts {
            let Some(number) = self.roll.account(&account.name) else { continue };
            if let Some(count) = self.dormant.remove(&settings::padded(&account.name)) {
                let name = &account.name;
                reloaded.changes.push(format!("account {name}: {count} earlier rules of it come back with a restart"));
            }
            self.bounds.iter().for_each(|bounds| bounds.set(number, settings::rules_max(new, account)));
        }
        self.reception.announce(&notice, members);
        if let Some((identities, identity)) = self.identities.as_ref().zip(identity) {
            // The agent is gone only when the engine stops.
            let _ = identities.send(identity);
        }
        self.config = with_what_may_change(&self.config, new);
        Ok(reloaded)
    }
}

/// The old config with what may change from the new one.
fn with_what_may_change(old: &Config, new: &Config) -> Config {
    let mut config = old.clone();
    config.accounts.clone_from(&new.accounts);
    config.clients.clone_from(&new.clients);
    config.limits.account_rules_max = new.limits.account_rules_max;
    config.control.requests_per_second_max = new.control.requests_per_second_max;
    if let (Some(tls), Some(new)) = (&mut config.tls, &new.tls) {
        let fixed = (tls.control_listen, tls.gateway_listen, tls.sessions_max);
        tls.clone_from(new);
        (tls.control_listen, tls.gateway_listen, tls.sessions_max) = fixed;
    }
    config
}

/// The sections in which something differs that cannot change.
fn restart(old: &Config, new: &Config) -> Vec<String> {
    let old = &with_what_may_change(old, new);
    let sections = [
        ("[feed]", old.feed != new.feed),
        ("[control]", old.control != new.control),
        ("[gateway]", old.gateway != new.gateway),
        ("[tls]", old.tls != new.tls),
        ("[journal]", old.journal != new.journal),
        ("[limits]", old.limits != new.limits),
        ("[topology]", old.topology != new.topology),
        ("[memory]", old.memory != new.memory),
        ("[stats]", old.stats != new.stats),
    ];
    let mut named: Vec<String> =
        sections.iter().filter(|(_, differs)| *differs).map(|(section, _)| section.to_string()).collect();
    if named.is_empty() && old != new {
        named.push("another section".into());
    }
    named
}

/// What changes, a sentence each.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = vec![];
    account_changes(old, new, &mut changes);
    if new.tls.is_some() {
        changes.push("tls: certificate and key read again".into());
    }
    let (was, is) = (old.clients.deadlines(), new.clients.deadlines());
    let (control, limits) = (&new.control, &new.limits);
    let numbers = [
        (
            "clients.sessions_per_address_max",
            old.clients.sessions_per_address_max as u64,
            new.clients.sessions_per_address_max as u64,
        ),
        (
            "control.requests_per_second_max",
            old.control.requests_per_second_max.into(),
            control.requests_per_second_max.into(),
        ),
        ("limits.account_rules_max", old.limits.account_rules_max.into(), limits.account_rules_max.into()),
        ("clients.login_deadline (ns, of new connections)", was.login, is.login),
        ("clients.half_packet_deadline (ns, of new connections)", was.half_packet, is.half_packet),
        ("clients.silence_deadline (ns, of new connections)", was.silence, is.silence),
    ];
    for (key, was, is) in numbers.into_iter().filter(|(_, was, is)| was != is) {
        changes.push(format!("{key}: {is}, was {was}"));
    }
    changes
}

fn account_changes(old: &Config, new: &Config, changes: &mut Vec<String>) {
    let by_name = |config: &Config| -> BTreeMap<String, Account> {
        config.accounts.iter().map(|account| (account.name.clone(), account.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changes.push(format!("account {name}: removed; its rules stay"));
    }
    for (name, account) in &after {
        let Some(earlier) = before.get(name) else {
            changes.push(format!("account {name}: added, with {} logins", account.logins.len()));
            continue;
        };
        if earlier.drop_copy != account.drop_copy {
            changes.push(format!("account {name}: drop_copy is {} now", account.drop_copy));
        }
        if earlier.certificates != account.certificates {
            changes.push(format!("account {name}: other certificates"));
        }
        if earlier.rules_max != account.rules_max {
            changes.push(format!("account {name}: rules_max is {} now", settings::rules_max(new, account)));
        }
        login_changes(name, &earlier.logins, &account.logins, changes);
    }
}

fn login_changes(account: &str, before: &[Login], after: &[Login], changes: &mut Vec<String>) {
    for login in before.iter().filter(|login| !after.iter().any(|other| other.user == login.user)) {
        changes.push(format!("account {account}: login {} removed", login.name()));
    }
    for login in after {
        match before.iter().find(|other| other.user == login.user) {
            None => changes.push(format!("account {account}: login {} added", login.name())),
            Some(other) if other.secret != login.secret => {
                changes.push(format!("account {account}: another password for login {}", login.name()));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::door;
    use crate::door::newcomers::{Newcomers, newcomers};

    /// With these accounts, and a password for all.
    fn config(accounts: &[&str], password: &str) -> Config {
        let mut text = "feed.line_a = { address = \"127.0.0.1:0\" }\n".to_string();
        for name in accounts {
            let login = format!("{{ user = \"{name}\", password = \"{password}\" }}");
            text += &format!("[[accounts]]\nname = \"{name}\"\nlogins = [{login}]\n");
        }
        Config::parse(&text, "engine.toml".as_ref()).unwrap()
    }

    /// An engine's ends with the account `one`, and the gateway's, which meets nobody by itself.
    fn ends() -> (Reload, Newcomers) {
        let (config, mut roll) = (config(&["one"], "a"), Roll::default());
        let (_, _, reception) = door::doors::<2>(roll.call(&config).members);
        let (to_log, gateway) = newcomers(1);
        let (to_journal, newcomers_wait) = (channel().0, Duration::ZERO);
        let (bounds, identities, dormant) = (vec![], None, BTreeMap::from([(*b"two   ", 7)]));
        (Reload { config, roll, reception, to_log, newcomers_wait, to_journal, bounds, identities, dormant }, gateway)
    }

    #[test]
    fn an_account_that_the_log_has_no_room_for_stands_in_nobodys_way_and_may_come_in_later() {
        let (mut reload, mut gateway) = ends();
        let both = config(&["one", "two"], "a");
        for _ in 0..2 {
            assert!(matches!(reload.reload(&both), Err(ReloadError::Log)));
            assert_eq!(reload.config, config(&["one"], "a"), "nothing has changed");
        }
        let reloaded = reload.reload(&config(&["one"], "b")).unwrap();
        assert_eq!(reloaded.changes, ["account one: another password for login one"]);
        assert_eq!(gateway.first(), Some(*b"two   "));
        gateway.is_met();
        assert_eq!(gateway.first(), None, "it was introduced once");
        let reloaded = reload.reload(&config(&["one", "two"], "b")).unwrap();
        let waits = "account two: 7 earlier rules of it come back with a restart";
        assert_eq!(reloaded.changes, ["account two: added, with 1 logins", waits]);
    }
}
