//! The service that the layer makes.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::future::ResponseFuture;
use super::headers;
use super::reading::Reading;
use super::request_body::RequestBody;
use super::response_body::ResponseBody;

/// A service whose OpenAI-style streams tell their usage to what is inside, and
/// not to the caller; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct EnsureUsage<S> {
    inner: S,
    any_path: bool,
}

impl<S> EnsureUsage<S> {
    pub(super) fn new(inner: S, any_path: bool) -> Self {
        Self { inner, any_path }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, C> Service<Request<B>> for EnsureUsage<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<C>> + Clone,
    B: Body<Data = Bytes>,
    C: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        if !headers::may_edit(&head, self.any_path) || !Reading::is_worth_it(&body) {
            let request = Request::from_parts(head, RequestBody::untouched(body));
            return ResponseFuture::calling(self.inner.call(request));
        }
        // The readiness that was taken belongs to this request, whose call comes
        // later: the service that has it goes along, and a clone stays.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        ResponseFuture::reading(ready, Reading::new(head, body))
    }
}
