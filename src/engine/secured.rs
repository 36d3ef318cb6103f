//! TLS in front of the ports: the agent, its ways to control and the gateway, and the way on which certificates are reloaded.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};

use super::{EngineError, settings};
use crate::config::Config;
use crate::control::agent::ControlAgent;
use crate::gateway::agent::GatewayAgent;
use crate::model::AccountName;
use crate::soup::arrival::arrivals;
use crate::tls::agent::{TlsAgent, TlsSettings};
use crate::tls::settings::Identity;

/// TLS, before it has a thread.
pub struct Secured {
    pub agent: TlsAgent,
    /// Where rule clients come,
    pub control: Option<SocketAddr>,
    /// and alert clients.
    pub gateway: Option<SocketAddr>,
    /// The way to the agent for another identity.
    pub identities: Sender<Identity>,
}

/// Opens TLS where the config has it, and tells the agents of the ports whom else to serve. `accounts`: their names, by number.
///
/// # Errors
/// [`EngineError::Certificates`], [`EngineError::Tls`].
pub fn open(
    config: &Config,
    accounts: &[AccountName],
    control: &mut ControlAgent,
    gateway: &mut GatewayAgent,
) -> Result<Option<Secured>, EngineError> {
    let (Some(tls), Some(settings)) = (&config.tls, settings::identity(config, accounts)) else { return Ok(None) };
    let identity = Identity::load(&settings)?;
    let (identities, reloads) = channel();
    let mut doors = vec![];
    if let Some(listen) = tls.control_listen {
        let (sender, receiver) = arrivals();
        control.also_serve(receiver);
        doors.push((listen, sender));
    }
    if let Some(listen) = tls.gateway_listen {
        let (sender, receiver) = arrivals();
        gateway.also_serve(receiver);
        doors.push((listen, sender));
    }
    let settings = TlsSettings { sessions_max: tls.sessions_max, identity, reloads, doors };
    let agent = TlsAgent::open(settings).map_err(|(address, error)| EngineError::Tls(address, error))?;
    let mut addresses = agent.local_addrs().collect::<Vec<_>>().into_iter();
    let control = tls.control_listen.and_then(|_| addresses.next());
    let gateway = tls.gateway_listen.and_then(|_| addresses.next());
    Ok(Some(Secured { agent, control, gateway, identities }))
}
