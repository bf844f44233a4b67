//! A request's body, of which the beginning has been read before it queues.
//!
//! A body that nobody reads hides from the server that its client is gone. Read
//! up to a bound, the connection is free to show a hang-up, and a request that
//! is abandoned in the queue leaves it at once.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

/// How much is read beforehand. What is longer goes on from the connection.
const MOST_HELD: usize = 1024 * 1024;

/// How long a client may be silent in the middle of its request.
const SILENCE: Duration = Duration::from_secs(60);

/// What has been read, and what is still to come.
#[derive(Debug)]
pub(crate) struct RequestBody {
    held: Bytes,
    rest: Option<Limited<Incoming>>,
}

/// Why the beginning of a body is not there.
#[derive(Debug)]
pub(super) enum Unread {
    /// It breaks off, or is none.
    Broken(hyper::Error),
    /// It is larger than is allowed.
    TooLarge,
    /// Its client has fallen silent.
    Silent,
}

impl RequestBody {
    /// Reads a body to its end, or to the bound. It may have `most` bytes in all.
    pub(super) async fn read(mut body: Incoming, most: u64) -> Result<Self, Unread> {
        if body.size_hint().lower() > most {
            return Err(Unread::TooLarge);
        }
        let mut held = BytesMut::new();
        while held.len() < MOST_HELD {
            let Ok(frame) = timeout(SILENCE, body.frame()).await else { return Err(Unread::Silent) };
            let Some(frame) = frame else {
                return Ok(Self { held: held.freeze(), rest: None });
            };
            // Trailers of a request are for the hop that they came on.
            if let Ok(data) = frame.map_err(Unread::Broken)?.into_data() {
                held.extend_from_slice(&data);
            }
            if held.len() as u64 > most {
                return Err(Unread::TooLarge);
            }
        }
        let left = usize::try_from(most - held.len() as u64).unwrap_or(usize::MAX);
        Ok(Self { held: held.freeze(), rest: Some(Limited::new(body, left)) })
    }

    /// What has been read: all of it, unless it is very long.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(held))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(held) };
        let mut hint = SizeHint::new();
        let rest = rest.size_hint();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}
