//! From files to what handshakes need: the engine's certificate, whom it trusts, and who stands for which account.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};

use super::name::names;
use crate::model::AccountId;

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    None,
    /// They may. One that is shown must be good.
    Optional,
    /// They must.
    Required,
}

/// What an [`Identity`] is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The engine's certificate and those between it and a root, PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who may have signed clients' certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
    /// The accounts that names in certificates stand for.
    pub accounts: HashMap<String, AccountId>,
}

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{}: expected {expected} in PEM: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was to be in it.
        expected: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// A file without a certificate.
    #[error("{}: expected a certificate in PEM, and there is none", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// A certificate or a key, or both together.
    #[error("{}: {source}", path.display())]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// Those who may have signed clients' certificates.
    #[error("{}: {source}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: VerifierBuilderError,
    },
    /// Clients are to show certificates, and nobody may have signed them.
    #[error("client certificates need client_ca")]
    NoClientCa,
    /// A name that is neither a DNS name nor an IP address.
    #[error("\"{0}\": expected a DNS name or an IP address")]
    ServerName(String),
}

/// Who the engine is, and whom it lets in: fixed for a handshake, replaced as a whole by a reload.
#[derive(Debug)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    accounts: Accounts,
}

/// The accounts that names in certificates stand for.
type Accounts = Arc<HashMap<String, AccountId>>;

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(settings: &IdentitySettings) -> Result<Identity, TlsError> {
        let accounts = Arc::new(settings.accounts.clone());
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
        let unfit = |source| TlsError::Unfit { path: settings.certificate.clone(), source };
        let builder = builder.map_err(unfit)?;
        let builder = match verifier(settings, &accounts)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = (certificates(&settings.certificate)?, key(&settings.key)?);
        let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Identity { config: Arc::new(config), accounts })
    }

    /// The account that a verified chain of certificates stands for; `None` without a certificate.
    pub fn account_of(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<AccountId> {
        chain.and_then(|chain| account_of(&self.accounts, chain.first()?))
    }
}

/// The one account that all known names of a certificate stand for: none when they stand for two.
fn account_of(accounts: &Accounts, certificate: &CertificateDer<'_>) -> Option<AccountId> {
    let names = names(certificate);
    let mut found = names.iter().filter_map(|name| accounts.get(name).copied());
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// The one provider of algorithms.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a file, one or more.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |source| TlsError::File { path: path.into(), expected: "certificates", source };
    let found = CertificateDer::pem_file_iter(path).map_err(bad)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(bad)?;
    if found.is_empty() { Err(TlsError::NoCertificate { path: path.into() }) } else { Ok(found) }
}

/// The private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bad = |source| TlsError::File { path: path.into(), expected: "a private key", source };
    PrivateKeyDer::from_pem_file(path).map_err(bad)
}

/// The certificates of a file as roots.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Unfit { path: path.into(), source })?;
    }
    Ok(roots)
}

fn verifier(settings: &IdentitySettings, accounts: &Accounts) -> Result<Option<Arc<Known>>, TlsError> {
    if settings.client_certificates == ClientCertificates::None {
        return Ok(None);
    }
    let path = settings.client_ca.as_ref().ok_or(TlsError::NoClientCa)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider());
    let builder = match settings.client_certificates {
        ClientCertificates::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    let chain = builder.build().map_err(|source| TlsError::ClientCa { path: path.clone(), source })?;
    Ok(Some(Arc::new(Known { chain, accounts: Arc::clone(accounts) })))
}

/// Takes a client's certificate whose chain is good and which stands for an account. The others are refused in the handshake,
/// so that the client is told.
#[derive(Debug)]
struct Known {
    chain: Arc<dyn ClientCertVerifier>,
    accounts: Accounts,
}

impl ClientCertVerifier for Known {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let unknown = CertificateError::ApplicationVerificationFailure;
        account_of(&self.accounts, end_entity).map(|_| verified).ok_or(unknown.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
