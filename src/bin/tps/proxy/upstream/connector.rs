//! What connects to upstreams: TCP, and TLS where the address asks for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::BoxError;
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;

use super::Protocol;
use crate::args::UpstreamHttp;
use crate::failure::Failure;

/// After how long a silent connection is asked by TCP whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// It gives up after the time for connecting.
pub(crate) type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// What connects without TLS.
pub(crate) fn plain() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // One that has vanished without a word is found out in the end.
    connector.set_keepalive(Some(KEEPALIVE));
    connector
}

/// What connects to an upstream by its protocol, within that time. Errors about its
/// files begin with `place`.
pub(super) fn of(protocol: &Protocol, limit: Duration, place: &str) -> Result<Connector, Failure> {
    let mut tcp = plain();
    tcp.enforce_http(false);
    let tls = ClientConfig::builder().with_root_certificates(roots(protocol.ca.as_deref(), place)?);
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth()).https_or_http();
    let connector = match protocol.http {
        UpstreamHttp::Auto => builder.enable_all_versions().wrap_connector(tcp),
        UpstreamHttp::One => builder.enable_http1().wrap_connector(tcp),
        UpstreamHttp::Two => builder.enable_http2().wrap_connector(tcp),
    };
    Ok(BoxCloneSyncService::new(Timeout::new(connector, limit)))
}

/// The system's, and those of the file.
fn roots(ca: Option<&Path>, place: &str) -> Result<Arc<RootCertStore>, Failure> {
    let mut roots = RootCertStore::empty();
    // What the system has and cannot be read is not trusted; an upstream that
    // needs it fails in its handshake, and says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(path) = ca else { return Ok(Arc::new(roots)) };
    let wrong = |why: String| {
        Failure::usage(format!("{place}ca {}", path.display()), why, "give a file of certificates in PEM")
    };
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(wrong(io::Error::other("no certificate is in it").to_string()));
    }
    Ok(Arc::new(roots))
}
