//! What a running engine takes over from a config that was read again, without a restart. Either all of it can be used and is
//! taken over, or nothing changes.

use std::sync::mpsc::Sender;

use super::settings;
use crate::config::Config;
use crate::tls::settings::{Identity, TlsError};

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Certificates or keys.
    #[error("tls: {0}")]
    Certificates(#[from] TlsError),
    /// TLS is there in one of the configs only.
    #[error("tls: the section [tls] came or went: that needs a restart")]
    Tls,
}

/// The ways on which agents are given what was reloaded.
pub struct Reloads {
    /// The names of the accounts, by number. A config that was read again may have them in another order.
    pub(super) accounts: Vec<String>,
    pub(super) identities: Option<Sender<Identity>>,
}

impl Reloads {
    /// Takes over certificates, keys, and which certificate stands for which account: for handshakes from now on.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub fn take_over(&self, config: &Config) -> Result<(), ReloadError> {
        match (&self.identities, settings::identity(config, &self.accounts)) {
            (None, None) => {}
            (Some(identities), Some(settings)) => {
                let identity = Identity::load(&settings)?;
                // The agent is gone only when the engine stops.
                let _ = identities.send(identity);
            }
            _ => return Err(ReloadError::Tls),
        }
        Ok(())
    }
}
