//! What the gateway is told: addresses, sizes, and what its logins may do.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::logs::Retention;
use super::marks::{self, BootId, Name};
use crate::door::{ClientLimits, Pass};
use crate::limits;
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
    /// What may change while it runs.
    pub limits: ClientLimits,
    /// Connections have only the first so many descriptors of the process.
    pub descriptors_max: usize,
    /// The accounts' names by number.
    pub accounts: Vec<Name>,
    /// Accounts that may come while it runs.
    pub accounts_spare: usize,
    /// The logins by number.
    pub logins: Vec<Pass>,
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
}

impl GatewaySettings {
    /// Settings for these accounts and logins, everything else at its default.
    pub fn new(listen: SocketAddr, directory: PathBuf, accounts: Vec<Name>, logins: Vec<Pass>) -> GatewaySettings {
        GatewaySettings {
            listen,
            directory,
            segment_size: 1 << 26,
            retention: Retention { size: 1 << 30, time: limits::RETENTION_TIME },
            boot: boot_id(),
            prints_max: limits::BUSTS_MAX,
            sessions_max: limits::GATEWAY_SESSIONS_MAX,
            limits: ClientLimits::default(),
            descriptors_max: usize::MAX,
            accounts,
            accounts_spare: 0,
            logins,
        }
    }

    /// Whether the agent can work with these.
    ///
    /// # Errors
    /// When something contradicts itself or does not fit.
    pub fn check(&self) -> Result<(), SettingsError> {
        let sizes = limits::SEGMENT_SIZE_MIN..=limits::SEGMENT_SIZE_MAX;
        if !self.segment_size.is_multiple_of(4_096) || !sizes.contains(&(self.segment_size as u64)) {
            return Err(SettingsError::SegmentSize(self.segment_size));
        }
        let accounts = self.accounts.len() + self.accounts_spare;
        let table = marks::head_size(accounts);
        if table > self.segment_size / 4 {
            return Err(SettingsError::Accounts(accounts, 4 * table));
        }
        Ok(())
    }
}
