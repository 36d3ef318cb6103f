//! How the command's clients reach a port: plain TCP, or TLS.

use std::error::Error;
use std::path::PathBuf;

use hairtrigger::client::{Client, ClientError, Request};
use hairtrigger::tls::client::{ClientSettings, ClientTls};

/// Arguments about TLS.
#[derive(clap::Args)]
pub struct TlsArgs {
    /// Speak TLS; needs --ca
    #[arg(long, global = true)]
    tls: bool,
    /// With --tls: who signed the engine's certificate (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With --tls: a certificate of one's own (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// With --certificate: its private key (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// With --tls: the name in the engine's certificate, if it is not the host of the address
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
}

/// A way to a port.
pub struct Connect {
    address: String,
    tls: Option<ClientTls>,
}

impl TlsArgs {
    /// Reads the files.
    pub fn to(self, address: String) -> Result<Connect, Box<dyn Error>> {
        let any = self.ca.is_some() || self.certificate.is_some() || self.key.is_some() || self.server_name.is_some();
        if !self.tls {
            let tls = None;
            return if any { Err("expected --tls beside its options".into()) } else { Ok(Connect { address, tls }) };
        }
        let own = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("expected --certificate and --key, or neither".into()),
        };
        let ca = self.ca.ok_or("expected --ca FILE with --tls: who signed the engine's certificate")?;
        let settings = ClientSettings { ca, own, server_name: self.server_name };
        Ok(Connect { address, tls: Some(ClientTls::load(&settings)?) })
    }
}

impl Connect {
    /// Connects and logs in.
    pub fn connect(&self, request: &Request) -> Result<Client, ClientError> {
        match &self.tls {
            None => Client::connect(&self.address, request),
            Some(tls) => Client::connect_tls(&self.address, request, tls),
        }
    }
}
