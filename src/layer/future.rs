//! The way from the queue to the response's headers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use super::flight::{End, Flight};
use super::refusal;

pin_project! {
    /// The future of a [`Meter`](super::Meter). Dropping it gives up the queue
    /// or the slot.
    #[must_use = "futures do nothing unless polled, and this one holds a place in the queue"]
    pub struct ResponseFuture<S, R>
    where
        S: Service<Request<R>>,
    {
        // Dropped in this order: the upstream's call before the slot.
        #[pin]
        state: State<S, S::Future, R>,
        flight: Option<Box<Flight>>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, R> {
        Queued { call: Option<(S, Request<R>)> },
        Ready { call: Option<(S, Request<R>)> },
        Calling { #[pin] future: F },
        Done,
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<Request<R>>,
{
    pub(super) fn new(service: S, request: Request<R>, flight: Box<Flight>) -> Self {
        Self { state: State::Queued { call: Some((service, request)) }, flight: Some(flight) }
    }
}

impl<S, R, B> Future for ResponseFuture<S, R>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: Body,
    B::Data: From<Bytes>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            // It has resolved before; there is nothing more to come.
            let Some(flight) = this.flight.as_mut() else { return Poll::Pending };
            match this.state.as_mut().project() {
                StateProjection::Queued { call } => {
                    if let Err(reason) = ready!(flight.poll_admitted(cx)) {
                        let path = call.as_ref().map_or("", |(_, request)| request.uri().path());
                        let response = refusal::response(reason, path, flight.retry_after());
                        this.state.set(State::Done);
                        *this.flight = None;
                        return Poll::Ready(Ok(response));
                    }
                    let call = call.take();
                    this.state.set(State::Ready { call });
                }
                StateProjection::Ready { call } => {
                    let Some((service, _)) = call else { return Poll::Pending };
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        this.state.set(State::Done);
                        Flight::end_all(this.flight, End::ServiceError);
                        return Poll::Ready(Err(error));
                    }
                    let Some((mut service, mut request)) = call.take() else { return Poll::Pending };
                    flight.send(&mut request);
                    let future = service.call(request);
                    this.state.set(State::Calling { future });
                }
                StateProjection::Calling { future } => {
                    let result = ready!(future.poll(cx));
                    this.state.set(State::Done);
                    return Poll::Ready(match result {
                        Ok(response) => Ok(measured(response, this.flight)),
                        Err(error) => {
                            Flight::end_all(this.flight, End::ServiceError);
                            Err(error)
                        }
                    });
                }
                StateProjection::Done => return Poll::Pending,
            }
        }
    }
}

/// Hands the flight over to the body, or ends it where there is no body to come.
fn measured<B: Body>(response: Response<B>, flight: &mut Option<Box<Flight>>) -> Response<ResponseBody<B>> {
    let (parts, body) = response.into_parts();
    if let Some(flight) = flight {
        flight.headers(&parts, body.size_hint().exact());
    }
    Response::from_parts(parts, ResponseBody::measured(body, flight.take()))
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<Request<R>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("flight", &self.flight).finish_non_exhaustive()
    }
}
