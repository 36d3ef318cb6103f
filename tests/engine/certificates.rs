//! Certificates made when they are needed, and clients of TLS.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hairtrigger::tls::client::{ClientSettings, ClientTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, or an authority's certificate, as files.
#[derive(Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root"))
    }

    /// Its certificate as a file.
    pub fn file(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.0.pem()).expect("a folder of our own");
        path
    }

    /// A certificate for a common name and other names, with its key: `name.pem` and `name.key`.
    pub fn sign(&self, folder: &Path, name: &str, common_name: &str, others: &[&str]) -> Files {
        let others: Vec<String> = others.iter().map(|it| it.to_string()).collect();
        let mut params = CertificateParams::new(others).expect("names");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let files = Files { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
        std::fs::write(&files.certificate, certificate.pem()).expect("a folder of our own");
        std::fs::write(&files.key, key.serialize_pem()).expect("a folder of our own");
        files
    }

    /// A client that trusts it, without the project's own code around `rustls`.
    pub fn bare_client(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("TLS 1.3").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        StreamOwned::new(tls, TcpStream::connect(address).expect("loopback"))
    }
}

/// A client's side: whom it trusts, and what it shows.
pub fn client(ca: &Path, own: Option<&Files>) -> ClientTls {
    let own = own.map(|files| (files.certificate.clone(), files.key.clone()));
    let settings = ClientSettings { ca: ca.into(), own, server_name: Some("localhost".into()) };
    ClientTls::load(&settings).unwrap_or_else(|error| panic!("{error}"))
}

/// All that comes until the end, and whether TLS said that it is the end.
pub fn read_to_end(stream: &mut impl Read) -> (Vec<u8>, bool) {
    let (mut all, mut space) = (vec![], [0; 4_096]);
    loop {
        match stream.read(&mut space) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&space[..count]),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return (all, false),
            Err(error) => panic!("{error}"),
        }
    }
}
