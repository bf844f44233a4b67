//! The way from the request's body to the response's headers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::headers::may_withhold;
use super::reading::Reading;
use super::request_body::RequestBody;
use super::response_body::ResponseBody;

pin_project! {
    /// The future of an [`EnsureUsage`](super::EnsureUsage).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<RequestBody<B>>>,
        B: Body,
    {
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, B>
    where
        B: Body,
    {
        Reading { call: Option<(S, Reading<B>)> },
        Calling { #[pin] future: F, is_edited: bool },
        Done,
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
{
    pub(super) fn calling(future: S::Future) -> Self {
        Self { state: State::Calling { future, is_edited: false } }
    }

    pub(super) fn reading(ready: S, reading: Reading<B>) -> Self {
        Self { state: State::Reading { call: Some((ready, reading)) } }
    }
}

impl<S, B, C> Future for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>, Response = Response<C>>,
    B: Body<Data = Bytes>,
    C: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<C>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Reading { call } => {
                    let Some((_, reading)) = call else { return Poll::Pending };
                    ready!(reading.poll(cx));
                    let Some((mut service, reading)) = call.take() else { return Poll::Pending };
                    let (request, is_edited) = reading.finish();
                    let future = service.call(request);
                    state.set(State::Calling { future, is_edited });
                }
                StateProjection::Calling { future, is_edited } => {
                    let is_edited = *is_edited;
                    let result = ready!(future.poll(cx));
                    state.set(State::Done);
                    return Poll::Ready(result.map(|response| answer(response, is_edited)));
                }
                // It has resolved before; there is nothing more to come.
                StateProjection::Done => return Poll::Pending,
            }
        }
    }
}

fn answer<C: Body<Data = Bytes>>(mut response: Response<C>, is_edited: bool) -> Response<ResponseBody<C>> {
    if is_edited && may_withhold(response.headers()) {
        response.headers_mut().remove(CONTENT_LENGTH);
        return response.map(ResponseBody::withholding);
    }
    response.map(ResponseBody::passing)
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Reading { .. } => "reading",
            State::Calling { .. } => "calling",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
