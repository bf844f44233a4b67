//! The proxy's server: connections in, requests to a service.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service;
use tower_tps::wire::ErrorFormat;

use super::request_body::{RequestBody, Unread};
use super::tls::Certificate;
use super::upstream::{Hop, Kind, UpstreamBody, failed};

/// How long a client may take for its TLS handshake, and for the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How many streams one connection may have at once.
const STREAMS: u32 = 1024;

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Server<S> {
    app: S,
    certificate: Option<Certificate>,
    max_request: u64,
}

/// The connections that are open when no more are taken.
pub(crate) struct Connections {
    open: JoinSet<()>,
    graceful: GracefulShutdown,
}

impl<S, B> Server<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Sends requests of up to `max_request` bytes to `app`.
    pub(crate) fn new(app: S, max_request: u64) -> Self {
        Self { app, certificate: None, max_request }
    }

    /// Serves by TLS, if there is a certificate.
    pub(super) fn with_tls(self, certificate: Option<Certificate>) -> Self {
        Self { certificate, ..self }
    }

    /// Takes connections until `stop` is there.
    pub(crate) async fn accept_until(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Connections {
        let (mut open, graceful) = (JoinSet::new(), GracefulShutdown::new());
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Connections { open, graceful },
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => {
                        open.spawn(self.clone().connection(stream, client, graceful.watcher()));
                    }
                    // Out of descriptors, most likely: some will come back.
                    Err(error) => {
                        eprintln!("tps: cannot take a connection: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = open.join_next() => {}
            }
        }
    }

    async fn connection(self, stream: TcpStream, client: SocketAddr, watcher: Watcher) {
        // A token must not wait for the next one; where that cannot be set it does, nothing worse.
        let _ = stream.set_nodelay(true);
        let Some(certificate) = &self.certificate else {
            return self.serve(stream, Hop { client, is_tls: false }, watcher).await;
        };
        // Whoever fails in this is no client, and is told by TLS itself.
        if let Ok(Ok(stream)) = timeout(HEAD, certificate.acceptor().accept(stream)).await {
            self.serve(stream, Hop { client, is_tls: true }, watcher).await;
        }
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        hop: Hop,
        watcher: Watcher,
    ) {
        let service = service_fn(move |request| self.clone().answer(request, hop));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        // How a connection ends is its client's to see; the records have the rest.
        let _ = watcher.watch(connection).await;
    }

    async fn answer(
        mut self,
        request: Request<Incoming>,
        hop: Hop,
    ) -> Result<Response<Either<B, UpstreamBody>>, Infallible> {
        let (mut parts, body) = request.into_parts();
        // Nobody has arrived until all this is right.
        let format = ErrorFormat::of_path(parts.uri.path());
        let refused = |kind, why: &str| Ok(failed(kind, format, why).map(Either::Right));
        if parts.method == Method::CONNECT {
            return refused(Kind::Request, "CONNECT is for proxies that clients choose");
        }
        let body = match RequestBody::read(body, self.max_request).await {
            Ok(body) => body,
            Err(Unread::Broken(error)) => return refused(Kind::Request, &error.to_string()),
            Err(Unread::TooLarge) => return refused(Kind::RequestTooLarge, "its body is too large"),
            Err(Unread::Silent) => return refused(Kind::RequestTimeout, "its body did not come in time"),
        };
        parts.extensions.insert(hop);
        Ok(self.app.call(Request::from_parts(parts, body)).await?.map(Either::Left))
    }
}

impl Connections {
    /// Lets what is under way go on for `limit`, then cuts it off.
    pub(crate) async fn drain(mut self, limit: Duration) {
        // What did not end in time is ended by dropping it.
        let _ = timeout(limit, self.graceful.shutdown()).await;
        self.open.shutdown().await;
    }
}
