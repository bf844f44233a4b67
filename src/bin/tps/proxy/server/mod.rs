//! The proxy's server: connections in, requests to a service.

mod framing;
mod strict;
mod up_to_fault;
mod version;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service;
use tower_tps::wire::ErrorFormat;

use self::strict::{Handle, Strict};
use self::up_to_fault::UpToFault;
use super::request_body::{RequestBody, Unread};
use super::tls::Certificate;
use super::upstream::{Hop, Kind, UpstreamBody, failed};

/// How long a client may take for its TLS handshake, and for the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How often a client in HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);

/// How many streams one connection may have at once.
const STREAMS: u32 = 1024;

/// An answer's body: the service's, or that of a refusal before it.
type Body<B> = UpToFault<Either<B, UpstreamBody>>;

/// A connection being served.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    stopping: watch::Sender<bool>,
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
        let (mut open, stopping) = (JoinSet::new(), watch::Sender::new(false));
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Connections { open, stopping },
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => {
                        open.spawn(self.clone().connection(stream, client, stopping.subscribe()));
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

    async fn connection(self, stream: TcpStream, client: SocketAddr, stopping: watch::Receiver<bool>) {
        // In a box that is gone before it is served: connections are many, and each is to
        // be no larger than what it is doing.
        if let Some(served) = Box::pin(self.begin(stream, client, stopping)).await {
            served.await;
        }
    }

    /// Finds out what is spoken on a connection; none if nothing is.
    async fn begin(
        self,
        stream: TcpStream,
        client: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> Option<Served> {
        // A token must not wait for the next one; where that cannot be set it does, nothing worse.
        let _ = stream.set_nodelay(true);
        let Some(certificate) = &self.certificate else {
            // Nothing is under way yet that a stop would have to wait for.
            let is_http2 = tokio::select! {
                begun = timeout(HEAD, version::is_http2(&stream)) => begun.ok()?.ok()?,
                () = stopped(stopping.clone()) => return None,
            };
            return Some(self.serve(stream, is_http2, Hop { client, is_tls: false }, stopping));
        };
        // Whoever fails in this is no client, and is told by TLS itself.
        let stream = tokio::select! {
            shaken = timeout(HEAD, certificate.acceptor().accept(stream)) => shaken.ok()?.ok()?,
            () = stopped(stopping.clone()) => return None,
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Some(self.serve(stream, is_http2, Hop { client, is_tls: true }, stopping))
    }

    /// Serves a connection until it ends.
    ///
    /// By hyper's own builders, since that of hyper-util which finds the version out
    /// itself hands the first 24 bytes on apart, and the buffer that they are read to
    /// doubles with the rest.
    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_http2: bool,
        hop: Hop,
        stopping: watch::Receiver<bool>,
    ) -> Served {
        if is_http2 {
            let service = service_fn(move |request| Box::pin(self.clone().answer(request, hop, None)));
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            Box::pin(until_stopped(connection, stopping, http2::Connection::graceful_shutdown))
        } else {
            let stream = Strict::new(stream);
            let handle = stream.handle();
            // In a box, so that what a request was is gone with its answer's head.
            let service =
                service_fn(move |request| Box::pin(self.clone().answer(request, hop, Some(handle.clone()))));
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
            Box::pin(until_stopped(connection, stopping, http1::UpgradeableConnection::graceful_shutdown))
        }
    }

    /// Answers a request, over `connection` if that is its alone, as in HTTP/1.
    async fn answer(
        mut self,
        request: Request<Incoming>,
        hop: Hop,
        connection: Option<Handle>,
    ) -> Result<Response<Body<B>>, Infallible> {
        let (mut parts, body) = request.into_parts();
        let format = ErrorFormat::of_path(parts.uri.path());
        let Unread { kind, why } = match RequestBody::read(body, self.max_request).await {
            // Nobody has arrived until all this is right.
            _ if parts.method == Method::CONNECT => {
                Unread::of(Kind::Request, "CONNECT is for proxies that clients choose")
            }
            Err(unread) => unread,
            Ok(mut body) => {
                parts.extensions.insert(hop);
                let gone = body.gone();
                let response = tokio::select! {
                    response = self.app.call(Request::from_parts(parts, body)) => response?,
                    () = gone => {
                        let nobody = failed(Kind::Request, format, "its client is gone");
                        return Ok(nobody.map(|body| UpToFault::new(Either::Right(body), connection)));
                    }
                };
                if let (StatusCode::SWITCHING_PROTOCOLS, Some(connection)) = (response.status(), &connection)
                {
                    connection.switch();
                }
                return Ok(response.map(|body| UpToFault::new(Either::Left(body), connection)));
            }
        };
        Ok(failed(kind, format, &why).map(|body| UpToFault::new(Either::Right(body), connection)))
    }
}

impl Connections {
    /// Lets what is under way go on for `limit`, then cuts it off.
    pub(crate) async fn drain(mut self, limit: Duration) {
        self.stopping.send_replace(true);
        // What did not end in time is ended by dropping it.
        let _ = timeout(limit, async { while self.open.join_next().await.is_some() {} }).await;
        self.open.shutdown().await;
    }
}

/// Serves a connection to its end, which comes sooner once no more requests are taken.
async fn until_stopped<C: Future>(
    connection: C,
    stopping: watch::Receiver<bool>,
    shut_down: fn(Pin<&mut C>),
) {
    let mut connection = Box::pin(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(stopping) => shut_down(connection.as_mut()),
    }
    // How a connection ends is its client's to see; the records have the rest.
    let _ = connection.await;
}

/// Waits until no more requests are taken.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // Without a sender, the server itself is gone.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
