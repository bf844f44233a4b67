//! TLS towards clients: the certificate, read again when it is renewed.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::config::Tls;
use crate::failure::Failure;

/// What clients are served by TLS with. Clones are the same.
#[derive(Clone)]
pub(crate) struct Certificate(Arc<RwLock<Arc<ServerConfig>>>);

impl Certificate {
    /// Reads the files.
    pub(super) fn read(files: &Tls) -> Result<Self, Failure> {
        Ok(Self(Arc::new(RwLock::new(read(files)?))))
    }

    /// Takes another one's place, for the connections to come.
    pub(super) fn renew(&self, renewed: &Self) {
        let renewed = renewed.0.read().clone();
        *self.0.write() = renewed;
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.read().clone().into()
    }
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, Failure> {
    let wrong = |flag: &str, path: &Path, why: String| {
        Failure::usage(format!("{flag} {}", path.display()), why, "give a file in PEM")
    };
    let cert = |error: rustls::pki_types::pem::Error| wrong("--tls-cert", &files.cert, error.to_string());
    let chain = CertificateDer::pem_file_iter(&files.cert).map_err(cert)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(cert)?;
    if chain.is_empty() {
        return Err(wrong("--tls-cert", &files.cert, "no certificate is in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| wrong("--tls-key", &files.key, error.to_string()))?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
            let thing = format!("--tls-key {}", files.key.display());
            Failure::usage(thing, error, "give the key of that certificate")
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
