//! The body of the engine's answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many chunks may wait for the client. While so many do, the engine writes no more.
const MOST_WAITING: usize = 1;

pub(super) type Sender = mpsc::Sender<io::Result<Bytes>>;

/// The body of an engine's answer: whole, or written while it is read.
///
/// Dropping it is to hang up: the engine stops, and its slot goes back.
///
/// # Errors
///
/// An [`io::Error`] in place of a frame is a connection that was cut.
#[derive(Debug)]
pub struct ResponseBody(State);

#[derive(Debug)]
enum State {
    Whole(Option<Bytes>),
    Written { chunks: mpsc::Receiver<io::Result<Bytes>>, writer: JoinHandle<()> },
}

impl ResponseBody {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(State::Whole(Some(bytes.into())))
    }

    /// A body that `write` fills. The task is aborted when the body is dropped.
    pub(super) fn written<F>(write: impl FnOnce(Sender) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, chunks) = mpsc::channel(MOST_WAITING);
        Self(State::Written { chunks, writer: tokio::spawn(write(sender)) })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().0 {
            State::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            State::Written { chunks, .. } => chunks.poll_recv(cx).map(|chunk| Some(chunk?.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            State::Written { .. } => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let State::Written { writer, .. } = &self.0 {
            writer.abort();
        }
    }
}
