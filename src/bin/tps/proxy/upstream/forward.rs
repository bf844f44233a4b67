//! The upstream as a service: requests go on as they are, but for what concerns
//! one connection only; a failure becomes a response that says which.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::timeout::error::Elapsed;
use tower_service::Service;
use tower_tps::wire::ErrorFormat;

use super::failure::{Kind, failed};
use super::{headers, tunnel};
use crate::proxy::request_body::{BrokenOff, RequestBody};

/// The upstream's body, or that of a failure to ask it.
pub(crate) type UpstreamBody = Either<Incoming, Full<Bytes>>;

/// How many proxies such as this one a request may have come through: more are a loop.
const MOST_PASSES: usize = 4;

/// Sends requests to the upstream.
pub(crate) struct Forward<C, B = RequestBody> {
    // Of a client's requests hyper keeps room for many, however few there are: in a box
    // a body takes little of it.
    client: Client<C, Box<B>>,
    base: Uri,
}

// By hand: the body is only sent, and need not be `Clone`.
impl<C: Clone, B> Clone for Forward<C, B> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), base: self.base.clone() }
    }
}

impl<C, B> Forward<C, B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: Connect + Clone + Send + Sync + 'static,
{
    /// Keeps up to `idle` connections for the requests to come, and speaks HTTP/2
    /// without being asked where `http2` is so.
    pub(crate) fn new(base: Uri, connector: C, idle: usize, http2: bool) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_max_idle_per_host(idle)
            .http2_only(http2)
            .build(connector);
        Self { client, base }
    }

    /// The upstream's address for this one.
    fn target(&self, uri: &Uri) -> Result<Uri, http::Error> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let prefix = self.base.path().trim_end_matches('/');
        let scheme = self.base.scheme().cloned().unwrap_or(Scheme::HTTP);
        let authority = self.base.authority().map_or("", |authority| authority.as_str());
        Uri::builder().scheme(scheme).authority(authority).path_and_query(format!("{prefix}{path}")).build()
    }
}

impl<C, B> Service<Request<B>> for Forward<C, B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: Connect + Clone + Send + Sync + 'static,
{
    type Response = Response<UpstreamBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let format = ErrorFormat::of_path(request.uri().path());
        let target = match self.target(request.uri()) {
            Ok(target) => target,
            Err(error) => {
                let response = failed(Kind::Request, format, &error.to_string());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        if headers::passes(request.headers()) >= MOST_PASSES {
            let response = failed(Kind::Loop, format, "it has come through here before");
            return Box::pin(std::future::ready(Ok(response)));
        }
        let tunnel = tunnel::asked_for(&mut request);
        headers::request(&mut request, tunnel.is_some());
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_11;
        let sent = self.client.request(request.map(Box::new));
        Box::pin(async move {
            Ok(match sent.await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS && tunnel.is_none() => {
                    failed(Kind::Upstream, format, "it switched protocols unasked")
                }
                Ok(mut response) => {
                    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                    let version = response.version();
                    // hyper has put them where the request's were, which were more, and the
                    // client's connection keeps that as long as it lasts.
                    let mut few = HeaderMap::with_capacity(response.headers().len() + 1);
                    few.extend(std::mem::take(response.headers_mut()));
                    *response.headers_mut() = few;
                    headers::response(response.headers_mut(), version, switches);
                    if let (true, Some(client)) = (switches, tunnel) {
                        tunnel::join(client, &mut response);
                    }
                    response.map(Either::Left)
                }
                Err(error) => {
                    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    failed(kind(&error), format, &cause)
                }
            })
        })
    }
}

/// What of the way to the upstream failed.
fn kind(error: &hyper_util::client::legacy::Error) -> Kind {
    if error.is_connect() {
        let is_late = cause::<Elapsed>(error).is_some();
        return if is_late { Kind::ConnectTimeout } else { Kind::Connect };
    }
    cause::<BrokenOff>(error).map_or(Kind::Upstream, BrokenOff::kind)
}

/// What an error was caused by, if by this.
fn cause<E: Error + 'static>(error: &hyper_util::client::legacy::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
