//! The upstream as a service: requests go on as they are, less what concerns
//! one connection only; a failure becomes a 502 that says which.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;
use tower_tps::layer::ErrorType;

use super::request_body::RequestBody;

/// The upstream's body, or that of a failure to ask it.
pub(crate) type UpstreamBody = Either<Incoming, Full<Bytes>>;

/// Sends requests to the upstream.
pub(crate) struct Forward<B = RequestBody, C = HttpConnector> {
    client: Client<C, B>,
    base: Uri,
}

// By hand: the body is only sent, and need not be `Clone`.
impl<B, C: Clone> Clone for Forward<B, C> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), base: self.base.clone() }
    }
}

/// What connects to an upstream in plain HTTP.
pub(crate) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

impl<B, C> Forward<B, C>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: Connect + Clone + Send + Sync + 'static,
{
    /// Keeps up to `idle` connections for the requests to come.
    pub(crate) fn new(base: Uri, idle: usize, connector: C) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(idle)
            .build(connector);
        Self { client, base }
    }

    /// The upstream's address for this one.
    fn target(&self, uri: &Uri) -> Result<Uri, http::Error> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let prefix = self.base.path().trim_end_matches('/');
        let authority = self.base.authority().map_or("", |authority| authority.as_str());
        Uri::builder().scheme("http").authority(authority).path_and_query(format!("{prefix}{path}")).build()
    }
}

impl<B, C> Service<Request<B>> for Forward<B, C>
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
        let target = match self.target(request.uri()) {
            Ok(target) => target,
            Err(error) => {
                let response = failed(StatusCode::BAD_REQUEST, "request", &error.to_string());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_11;
        strip(request.headers_mut());
        // The client sets it anew from the address.
        request.headers_mut().remove(header::HOST);
        let sent = self.client.request(request);
        Box::pin(async move {
            Ok(match sent.await {
                Ok(mut response) => {
                    strip(response.headers_mut());
                    response.map(Either::Left)
                }
                Err(error) => {
                    let kind = if error.is_connect() { "connect" } else { "upstream" };
                    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    failed(StatusCode::BAD_GATEWAY, kind, &cause)
                }
            })
        })
    }
}

/// Removes what concerns one connection only (RFC 9110, section 7.6.1).
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

/// The answer to a request whose body cannot be read.
pub(super) fn unreadable(error: &hyper::Error) -> Response<UpstreamBody> {
    failed(StatusCode::BAD_REQUEST, "request", &error.to_string())
}

fn failed(status: StatusCode, kind: &'static str, cause: &str) -> Response<UpstreamBody> {
    let body = serde_json::json!({
        "error": {"message": format!("the request cannot be passed on: {cause}"), "type": "proxy_error", "code": kind}
    });
    let mut response = Response::new(Either::Right(Full::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(ErrorType(kind));
    response
}
