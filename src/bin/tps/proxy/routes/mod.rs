//! From a request to its pool: through it, or past it to the same upstream.

mod model;
mod origin;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Either;
use parking_lot::RwLock;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tower_layer::Layer;
use tower_service::Service;
use tower_tps::Pool;
use tower_tps::layer::absorb::ResponseBody;
use tower_tps::wire::ErrorFormat;

use super::config::{Admission, Headers, PoolConfig, Rule};
use super::request_body::RequestBody;
use super::upstream::{Connector, Forward, Kind, Limited, Timed, UpstreamBody, failed, take_in};

/// The body of what is measured, or of what is not.
pub(super) type Answer = Either<ResponseBody<Timed<UpstreamBody>>, UpstreamBody>;

type Answered = <Way as Service<Request<RequestBody>>>::Future;

type Way = BoxCloneSyncService<Request<RequestBody>, Response<Answer>, Infallible>;

/// All ways there are, which a reload replaces as one.
#[derive(Clone, Default)]
pub(super) struct Routes(Arc<RwLock<Arc<[Route]>>>);

/// The way to one pool.
pub(super) struct Route {
    rules: Vec<Rule>,
    headers: Headers,
    admission: Admission,
    measured: Way,
    past: Way,
}

// === impl Route ===

impl Route {
    /// The way through `pool`, as it is configured, to `base`.
    pub(super) fn new(config: &PoolConfig, pool: &Pool, base: &http::Uri, connector: Connector) -> Self {
        let (idle, http2) = (config.protocol.idle(base), config.protocol.is_http2());
        let measured = pool.connector().layer(connector.clone());
        let measured = Limited::new(Forward::new(base.clone(), measured, idle, http2), config.limits);
        let measured = pool.layer().absorb(config.absorb).layer(measured);
        let past = Forward::new(base.clone(), connector, idle, http2);
        Self {
            rules: config.rules.clone(),
            headers: config.headers.clone(),
            admission: config.admission.clone(),
            measured: Way::new(measured.map_response(|response: Response<_>| response.map(Either::Left))),
            past: Way::new(past.map_response(|response: Response<_>| response.map(Either::Right))),
        }
    }

    /// Whether this request is for it, and goes through the pool.
    fn takes(&self, request: &Parts, model: Option<&str>) -> Option<bool> {
        let by_method = request.method == Method::POST;
        if self.rules.is_empty() {
            return Some(by_method);
        }
        let rule = self.rules.iter().find(|rule| rule.is_for(request, model))?;
        Some(rule.measured.unwrap_or(by_method))
    }

    fn send(&self, mut request: Request<RequestBody>, is_measured: bool) -> Answered {
        // By the client's own key, before another takes its place.
        let claim = self.admission.claim(request.headers());
        request.extensions_mut().insert(claim);
        self.headers.set(request.headers_mut());
        let way = if is_measured { &self.measured } else { &self.past };
        way.clone().call(request)
    }
}

// === impl Routes ===

impl Routes {
    /// What arrives from now on goes these ways.
    pub(super) fn replace(&self, routes: Vec<Route>) {
        *self.0.write() = routes.into();
    }
}

impl Service<Request<RequestBody>> for Routes {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answered {
        let routes = self.0.read().clone();
        Box::pin(answer(routes, request))
    }
}

async fn answer(routes: Arc<[Route]>, request: Request<RequestBody>) -> Result<Response<Answer>, Infallible> {
    let (mut parts, mut body) = request.into_parts();
    let format = ErrorFormat::of_path(parts.uri.path());
    let refused = |kind, why: &str| Ok(failed(kind, format, why).map(Either::Right));
    let mut model = None;
    if routes.iter().any(|route| route.rules.iter().any(Rule::needs_model)) {
        model = model::of(body.held());
        // It may stand at the end of a long prompt.
        if model.is_none() {
            if let Err(unread) = body.read_on().await {
                return refused(unread.kind, &unread.why);
            }
            model = model::of(body.held());
        }
    }
    let way = routes.iter().find_map(|route| Some((route, route.takes(&parts, model.as_deref())?)));
    let Some((route, is_measured)) = way else {
        return refused(Kind::NoPool, "no pool is for this path and model");
    };
    take_in(&mut parts.headers);
    origin::complete(&mut parts.headers);
    route.send(Request::from_parts(parts, body), is_measured).await
}
