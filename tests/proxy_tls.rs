//! `tps proxy` with TLS on both sides, and HTTP/2 on both sides.
#![cfg(feature = "cli")]

#[path = "support/tps.rs"]
mod tps;
#[path = "support/upstream.rs"]
mod upstream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use self::tps::{Proxy, file, lines};
use self::upstream::Upstream;

/// A certificate of its own for localhost, and its key.
struct Pair {
    cert: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn make(name: &str) -> Self {
        let pair = Self { cert: file(&format!("{name}.pem")), key: file(&format!("{name}.key")) };
        pair.renew();
        pair
    }

    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&self.cert, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.cert).unwrap()
    }

    fn server(&self, alpn: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![self.der()], key);
        let mut config = config.unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }
}

/// An upstream that speaks what it is spoken to in, and keeps the version.
async fn upstream(tls: Option<TlsAcceptor>) -> (SocketAddr, Arc<Mutex<Vec<Version>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, versions) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = versions.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, kept) = (tls.clone(), kept.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    kept.lock().unwrap().push(request.version());
                    async move {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        Ok::<_, Infallible>(Response::new(Full::new(body)))
                    }
                });
                let server = auto::Builder::new(TokioExecutor::new());
                match tls {
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let _ = server.serve_connection(TokioIo::new(stream), service).await;
                    }
                    None => {
                        let _ = server.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            });
        }
    });
    (address, versions)
}

/// Sends `body` to a proxy that is trusted by this certificate, and gives what comes
/// back and the version that was agreed on.
async fn send(proxy: &Proxy, trusted: &Path, http2: bool, body: &str) -> Result<(Version, Bytes), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let connector =
        if http2 { builder.enable_all_versions().build() } else { builder.enable_http1().build() };
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let url = proxy.clients.replace("127.0.0.1", "localhost") + "/v1/chat/completions";
    let request = Request::post(url).body(Full::from(body.to_owned())).unwrap();
    let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let version = response.version();
    Ok((version, response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes()))
}

/// A certificate serves both versions, by what the client asks for in its handshake.
#[tokio::test]
async fn clients_are_served_by_tls() {
    let (address, _) = upstream(None).await;
    let pair = Pair::make("clients");
    let flags = format!("--cap 1 --tls-cert {} --tls-key {}", pair.cert.display(), pair.key.display());
    let proxy = Proxy::start(&format!("http://{address}"), &flags);
    assert!(proxy.clients.starts_with("https://"));
    assert_eq!(send(&proxy, &pair.cert, true, "a").await.unwrap(), (Version::HTTP_2, "a".into()));
    assert_eq!(send(&proxy, &pair.cert, false, "b").await.unwrap(), (Version::HTTP_11, "b".into()));
    assert_eq!(proxy.status().await["requests"], 2);
}

/// A renewed certificate is served after SIGHUP, and the old one until then.
#[tokio::test]
async fn a_renewed_certificate_is_taken_up() {
    let (address, _) = upstream(None).await;
    let pair = Pair::make("renewed");
    let flags = format!("--cap 1 --tls-cert {} --tls-key {}", pair.cert.display(), pair.key.display());
    let proxy = Proxy::start(&format!("http://{address}"), &flags);
    let old = file("renewed-old.pem");
    std::fs::copy(&pair.cert, &old).unwrap();
    pair.renew();
    send(&proxy, &old, true, "a").await.unwrap();
    proxy.signal("-HUP");
    proxy.says("tps: reloaded").await;
    send(&proxy, &pair.cert, true, "a").await.unwrap();
    send(&proxy, &old, true, "a").await.unwrap_err();
}

/// An upstream with TLS is trusted by `--ca`, and not without; its version is what it
/// agrees on.
#[tokio::test]
async fn upstreams_are_asked_by_tls() {
    let pair = Pair::make("upstream");
    for (alpn, version) in [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11)] {
        let (address, versions) = upstream(Some(pair.server(alpn))).await;
        let url = format!("https://localhost:{}", address.port());
        let proxy = Proxy::start(&url, &format!("--cap 1 --ca {}", pair.cert.display()));
        assert_eq!(send(&proxy, &pair.cert, false, "a").await.unwrap().1, "a");
        assert_eq!(*versions.lock().unwrap(), [version]);

        let log = file("untrusted.jsonl");
        let mut proxy = Proxy::start(&url, &format!("--cap 1 --log {}", log.display()));
        let answer = send(&proxy, &pair.cert, false, "a").await.unwrap().1;
        assert!(answer.windows(9).any(|part| part == b"\"connect\""), "{answer:?}");
        assert_eq!(proxy.terminate().code(), Some(0));
        assert_eq!(lines(&log, "request")[0]["error_type"], "connect");
    }
}

/// Without TLS an upstream is spoken to in HTTP/2 if that is said, and all requests
/// then share connections.
#[tokio::test]
async fn an_upstream_is_asked_in_http2_by_prior_knowledge() {
    let (address, versions) = upstream(None).await;
    let proxy = Proxy::start(&format!("http://{address}"), "--cap 4 --upstream-http 2 --keep-alive 1");
    let cert = Pair::make("unused").cert;
    for body in ["a", "b", "c"] {
        assert_eq!(send(&proxy, &cert, false, body).await.unwrap().1, body);
    }
    assert_eq!(*versions.lock().unwrap(), [Version::HTTP_2; 3]);
    assert_eq!(proxy.status().await["connections"], 1);
}

/// A client in HTTP/2 by prior knowledge: its streams wait for slots each by itself,
/// and one that is reset leaves the queue.
#[tokio::test]
async fn a_client_speaks_http2_by_prior_knowledge() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(&upstream.url(), "--cap 1");
    let stream = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        Request::post(format!("http://tps{path}")).body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    };
    let mut first = sender.send_request(request("/tokens")).await.unwrap();
    assert_eq!(first.version(), Version::HTTP_2);
    first.frame().await.unwrap().unwrap();
    let second = tokio::spawn(sender.send_request(request("/tokens")));
    let reaches = async |depth: u64| {
        while proxy.status().await["queue_depth"] != depth {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    reaches(1).await;
    second.abort();
    reaches(0).await;
    first.frame().await.unwrap().unwrap();
}
