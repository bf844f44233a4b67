//! The proxy's server: connections in, requests through the pool or past it.

use std::convert::Infallible;
use std::time::Duration;

use http::{Method, Request, Response, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service;
use tower_tps::layer::ResponseBody;

use super::forward::{self, Forward, UpstreamBody};
use super::request_body::RequestBody;
use super::strict::{Handle, Strict};
use super::up_to_fault::UpToFault;

type Body = UpToFault<Either<ResponseBody<UpstreamBody>, UpstreamBody>>;

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Server<S> {
    measured: S,
    past: Forward,
}

/// The connections that are open when no more are taken.
pub(crate) struct Connections {
    open: JoinSet<()>,
    graceful: GracefulShutdown,
}

impl<S> Server<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody<UpstreamBody>>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    /// Sends POST requests through `measured`, and all others `past` it.
    pub(crate) fn new(measured: S, past: Forward) -> Self {
        Self { measured, past }
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
                    Ok((stream, _)) => self.serve(stream, &mut open, &graceful),
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

    fn serve(&self, stream: TcpStream, open: &mut JoinSet<()>, graceful: &GracefulShutdown) {
        // A token must not wait for the next one; where that cannot be set it does, nothing worse.
        let _ = stream.set_nodelay(true);
        let stream = Strict::new(stream);
        let (server, handle) = (self.clone(), stream.handle());
        let service = service_fn(move |request| {
            let (mut server, handle) = (server.clone(), handle.clone());
            async move { server.answer(request, handle).await }
        });
        let connection = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let watched = graceful.watch(connection);
        open.spawn(async move {
            // How a connection ends is its client's to see; the records have the rest.
            let _ = watched.await;
        });
    }

    async fn answer(
        &mut self,
        request: Request<Incoming>,
        connection: Handle,
    ) -> Result<Response<Body>, Infallible> {
        let connection = (request.version() < Version::HTTP_2).then_some(connection);
        let (parts, body) = request.into_parts();
        let body = match RequestBody::read(body).await {
            Ok(body) => body,
            // The client is gone, or sends what is no body: nobody has arrived.
            Err(error) => {
                let response = forward::unreadable(&error);
                return Ok(response.map(|body| UpToFault::new(Either::Right(body), connection)));
            }
        };
        let request = Request::from_parts(parts, body);
        let response = if request.method() == Method::POST {
            self.measured.call(request).await?.map(Either::Left)
        } else {
            self.past.call(request).await?.map(Either::Right)
        };
        Ok(response.map(|body| UpToFault::new(body, connection)))
    }
}

impl Connections {
    /// Lets what is under way go on for `limit`, then cuts it off.
    pub(crate) async fn drain(mut self, limit: Duration) {
        // What did not end in time is ended by dropping it.
        let _ = tokio::time::timeout(limit, self.graceful.shutdown()).await;
        self.open.shutdown().await;
    }
}
