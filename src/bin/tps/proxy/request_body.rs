//! A request's body, of which the beginning has been read before it queues.
//!
//! A body that nobody reads hides from the server that its client is gone. Read
//! up to a bound, the connection is free to show a hang-up, and a request that
//! is abandoned in the queue leaves it at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// How much is read beforehand. What is longer goes on from the connection.
const MOST_HELD: usize = 1024 * 1024;

/// What has been read, and what is still to come.
#[derive(Debug)]
pub(crate) struct RequestBody {
    held: Option<Bytes>,
    rest: Option<Incoming>,
}

impl RequestBody {
    /// Reads a body to its end, or to the bound.
    pub(super) async fn read(mut rest: Incoming) -> Result<Self, hyper::Error> {
        let mut held = BytesMut::new();
        while held.len() < MOST_HELD {
            let Some(frame) = rest.frame().await else {
                return Ok(Self { held: Some(held.freeze()), rest: None });
            };
            // Trailers of a request are for the hop that they came on.
            if let Ok(data) = frame?.into_data() {
                held.extend_from_slice(&data);
            }
        }
        Ok(Self { held: Some(held.freeze()), rest: Some(rest) })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(held) = self.held.take().filter(|held| !held.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(held))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing_held = self.held.as_ref().is_none_or(Bytes::is_empty);
        nothing_held && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(held) };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}
