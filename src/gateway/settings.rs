//! What the gateway is told: addresses, sizes, accounts and their logins.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::logs::Retention;
use super::marks::{self, BootId, Name};
use crate::limits;
use crate::model::AccountId;
use crate::soup::login::{Credentials, Logins};
use crate::soup::server::Deadlines;
use crate::sys::boot::boot_id;

/// Settings of the gateway.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Below it each session has a directory for its log, named after it.
    pub directory: PathBuf,
    /// Size of a segment of the log: whole pages of 4 KiB.
    pub segment_size: usize,
    /// What is kept of all sessions.
    pub retention: Retention,
    /// This boot of the machine: in another one only a log that was closed in order goes on.
    pub boot: BootId,
    /// Prints remembered a shard, for the naming of alerts when a print is broken.
    pub prints_max: usize,
    /// Connections at a time.
    pub sessions_max: usize,
    /// How long clients may take.
    pub deadlines: Deadlines,
    /// The accounts.
    pub accounts: Vec<AccountLogin>,
}

/// An account as the gateway sees it.
#[derive(Clone, Debug)]
pub struct AccountLogin {
    /// Its name: 1 to 6 letters and digits.
    pub name: String,
    /// Its number.
    pub account: AccountId,
    /// User and password of each of its logins.
    pub logins: Vec<(String, String)>,
    /// Its logins see the alerts of all accounts.
    pub drop_copy: bool,
}

/// What contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The segment size.
    #[error("segment size {0}: expected a multiple of 4096 from {min} to {max}", min = limits::SEGMENT_SIZE_MIN, max = limits::SEGMENT_SIZE_MAX)]
    SegmentSize(usize),
    /// Accounts and segments.
    #[error("{0} accounts: their table takes more than a quarter of a segment; expected segments of {1} bytes or more")]
    Accounts(usize, usize),
    /// A name that does not fit its field.
    #[error("account name '{0}': expected 1 to 6 printable characters without space")]
    AccountName(String),
    /// An account's number.
    #[error("account number {0}: expected less than {max}", max = limits::ACCOUNTS_MAX)]
    AccountNumber(AccountId),
    /// Credentials that do not fit their fields.
    #[error("login '{0}': expected a user of 1 to 6 and a password of 1 to 10 printable characters without space")]
    Login(String),
    /// A user that is there twice.
    #[error("login '{0}' is there twice")]
    LoginTwice(String),
}

/// What a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its number among all logins.
    pub login: usize,
    /// Whose it is.
    pub account: AccountId,
    /// The account whose stream it reads; `None`: the drop copy's.
    pub reads: Option<Name>,
}

/// The accounts, made ready for use.
pub struct Tables {
    /// Who may log in.
    pub logins: Logins<Access>,
    /// How many logins there are.
    pub login_count: usize,
    /// The accounts' names by number, padded.
    pub names: Vec<Name>,
}

impl GatewaySettings {
    /// Settings for these accounts, everything else at its default.
    pub fn new(listen: SocketAddr, directory: PathBuf, accounts: Vec<AccountLogin>) -> GatewaySettings {
        GatewaySettings {
            listen,
            directory,
            segment_size: 1 << 26,
            retention: Retention { size: 1 << 30, time: limits::RETENTION_TIME },
            boot: boot_id(),
            prints_max: limits::BUSTS_MAX,
            sessions_max: limits::GATEWAY_SESSIONS_MAX,
            deadlines: Deadlines::default(),
            accounts,
        }
    }

    /// What the agent needs of the accounts.
    ///
    /// # Errors
    /// When something contradicts itself or does not fit.
    pub fn tables(&self) -> Result<Tables, SettingsError> {
        let sizes = limits::SEGMENT_SIZE_MIN..=limits::SEGMENT_SIZE_MAX;
        if !self.segment_size.is_multiple_of(4_096) || !sizes.contains(&(self.segment_size as u64)) {
            return Err(SettingsError::SegmentSize(self.segment_size));
        }
        let (mut logins, mut names) = (vec![], vec![]);
        for account in &self.accounts {
            let number = usize::from(account.account);
            if number >= limits::ACCOUNTS_MAX {
                return Err(SettingsError::AccountNumber(account.account));
            }
            names.resize(names.len().max(number + 1), [b' '; 6]);
            // A name has the form of a user; the password here is a stand-in.
            let name = Credentials::new(&account.name, "-");
            names[number] = name.ok_or_else(|| SettingsError::AccountName(account.name.clone()))?.user;
            let reads = Some(names[number]).filter(|_| !account.drop_copy);
            for (user, password) in &account.logins {
                let credentials = Credentials::new(user, password).ok_or_else(|| SettingsError::Login(user.clone()))?;
                logins.push((credentials, Access { login: logins.len(), account: account.account, reads }));
            }
        }
        let table = marks::head_size(names.len());
        if table > self.segment_size / 4 {
            return Err(SettingsError::Accounts(names.len(), 4 * table));
        }
        let count = logins.len();
        let twice = |credentials: Credentials| {
            SettingsError::LoginTwice(String::from_utf8_lossy(credentials.user.trim_ascii()).into_owned())
        };
        Ok(Tables { logins: Logins::new(logins).map_err(twice)?, login_count: count, names })
    }
}
