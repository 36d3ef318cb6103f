//! The client's end, for the command's own clients: a handshake, then plain bytes over a pair whose other end a thread serves.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mio::{Events, Poll, Token};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection};

use super::link::{Link, LinkError};
use super::relay::Relay;
use super::settings::{TlsError, certificates, key, provider, roots};
use crate::limits;

const LINK: Token = Token(0);
const INNER: Token = Token(1);

/// What a client trusts, and what it shows.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// Who may have signed the engine's certificate, PEM.
    pub ca: PathBuf,
    /// The client's own certificate with those between it and a root, PEM, and its private key, PEM.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that the engine's certificate must be for. Default: the host that is connected to.
    pub server_name: Option<String>,
}

/// A client's side of TLS, made ready.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

/// A connection on which plain bytes go in and out.
#[derive(Debug)]
pub struct Secured {
    /// The plain bytes.
    pub stream: UnixStream,
    /// Why it ended, when TLS was the reason.
    pub failure: Arc<OnceLock<rustls::Error>>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(settings: &ClientSettings) -> Result<ClientTls, TlsError> {
        let unfit = |source| TlsError::Unfit { path: settings.ca.clone(), source };
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(unfit)?;
        let builder = builder.with_root_certificates(roots(&settings.ca)?);
        let config = match &settings.own {
            None => builder.with_no_client_auth(),
            Some((certificate, own_key)) => {
                let unfit = |source| TlsError::Unfit { path: certificate.clone(), source };
                builder.with_client_auth_cert(certificates(certificate)?, key(own_key)?).map_err(unfit)?
            }
        };
        Ok(ClientTls { config: Arc::new(config), server_name: settings.server_name.clone() })
    }

    /// Shakes hands over a connected socket, within its own timeouts. `host` is what was connected to.
    ///
    /// # Errors
    /// What the system says; of kind `InvalidData` what TLS says.
    pub fn secure(&self, mut socket: TcpStream, host: &str) -> io::Result<Secured> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_string())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, TlsError::ServerName(name.to_string())))?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        socket.set_nonblocking(true)?;
        let link = Link::new(tls, mio::net::TcpStream::from_std(socket));
        let (stream, inner) = UnixStream::pair()?;
        inner.set_nonblocking(true)?;
        let mut relay = Relay::new(link, mio::net::UnixStream::from_std(inner));
        let failure = Arc::new(OnceLock::new());
        let told = Arc::clone(&failure);
        std::thread::Builder::new().name("tls".into()).spawn(move || {
            if let Err(LinkError::Tls(error)) = serve(&mut relay) {
                // The first reason counts, and there is but one.
                let _ = told.set(error);
            }
        })?;
        Ok(Secured { stream, failure })
    }
}

/// Moves bytes until both ends were passed on, or the link breaks. The pair is closed later, when the reason is told.
fn serve(relay: &mut Relay) -> Result<(), LinkError> {
    let mut poll = Poll::new()?;
    relay.link().register(poll.registry(), LINK)?;
    relay.register(poll.registry(), INNER)?;
    let mut events = Events::with_capacity(8);
    let mut scratch = vec![0; limits::TLS_SCRATCH_SIZE];
    loop {
        while relay.step(&mut scratch)?.work > 0 {}
        if relay.is_over() {
            return Ok(());
        }
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            if event.token() == LINK { relay.link().ready(event) } else { relay.ready(event) }
        }
    }
}
