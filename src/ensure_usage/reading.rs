//! The reading of a request's body, before it is decided whether to edit it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http_body::{Body, Frame};

use super::edit::ask_for_usage;
use super::headers::is_sealed;
use super::request_body::RequestBody;

/// The most that is read of a request's body: 1 MiB. A longer one passes
/// unedited.
pub const REQUEST_LIMIT: usize = 1024 * 1024;

/// A request of whose body some has been read.
pub(super) struct Reading<B: Body> {
    head: Parts,
    // Polled here and then moved on, which it could not be without the box.
    body: Pin<Box<B>>,
    held: BytesMut,
    next: Option<Result<Frame<Bytes>, B::Error>>,
    /// All data have been read.
    whole: bool,
    /// The body has said that nothing more will come.
    ended: bool,
}

impl<B: Body<Data = Bytes>> Reading<B> {
    /// Whether there is a body, of a size that can be edited as far as is known.
    pub(super) fn is_worth_it(body: &B) -> bool {
        !body.is_end_stream() && body.size_hint().lower() <= REQUEST_LIMIT as u64
    }

    pub(super) fn new(head: Parts, body: B) -> Self {
        let body = Box::pin(body);
        Self { head, body, held: BytesMut::new(), next: None, whole: false, ended: false }
    }

    /// Reads to the end, to the bound, or to an error.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(frame) = ready!(self.body.as_mut().poll_frame(cx)) else {
                (self.whole, self.ended) = (true, true);
                return Poll::Ready(());
            };
            let next = match frame.map(Frame::into_data) {
                Ok(Ok(data)) if data.len() <= REQUEST_LIMIT - self.held.len() => {
                    self.held.extend_from_slice(&data);
                    continue;
                }
                Ok(Ok(data)) => Ok(Frame::data(data)),
                Ok(Err(trailers)) => {
                    self.whole = trailers.trailers_ref().is_some_and(|trailers| !is_sealed(trailers));
                    Ok(trailers)
                }
                Err(error) => Err(error),
            };
            self.next = Some(next);
            return Poll::Ready(());
        }
    }

    /// The request to go on with, and whether it has been edited.
    pub(super) fn finish(mut self) -> (Request<RequestBody<B>>, bool) {
        let edited = if self.whole { ask_for_usage(&self.held) } else { None };
        let is_edited = edited.is_some();
        let held = edited.unwrap_or_else(|| self.held.freeze());
        if is_edited && self.head.headers.contains_key(CONTENT_LENGTH) {
            self.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(held.len()));
        }
        let rest = if self.ended { None } else { Some(self.body) };
        (Request::from_parts(self.head, RequestBody::begun(held, self.next, rest)), is_edited)
    }
}
