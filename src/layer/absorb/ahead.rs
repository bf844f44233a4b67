//! What lies between the one who reads the upstream's body and the client who
//! takes it: the frames that wait.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use tokio::runtime::Handle;

use crate::layer::ResponseBody as Measured;
use crate::sync::Mutex;

/// So many frames are read in one poll before others have their turn.
const MOST_AT_ONCE: usize = 32;
/// Room for so many frames is kept by a client that has caught up.
const ROOM_KEPT: usize = 16;

/// The client's side. Dropping it ends the reading and drops the upstream's body.
pub(super) struct Ahead<B: Body>(Arc<Mutex<State<B>>>);

/// The reading side: a task, until the upstream's body has ended.
struct Reading<B: Body>(Arc<Mutex<State<B>>>);

type Item<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

struct State<B: Body> {
    /// Absent once the client is gone.
    body: Option<Pin<Box<Measured<B>>>>,
    waiting: VecDeque<Item<B>>,
    /// What those that wait take up.
    size: usize,
    limit: usize,
    /// There while the client waits.
    client: Option<Waker>,
    /// There while there is one who reads.
    reader: Option<Waker>,
}

// === impl Ahead ===

impl<B> Ahead<B>
where
    B: Body + Send + 'static,
    B::Data: From<Bytes> + Send,
    B::Error: Send,
{
    pub(super) fn start(mut body: Measured<B>, limit: usize, runtime: &Handle) -> Self {
        body.hand_over();
        let state = Arc::new(Mutex::new(State {
            body: Some(Box::pin(body)),
            waiting: VecDeque::new(),
            size: 0,
            limit,
            client: None,
            reader: Some(Waker::noop().clone()),
        }));
        // A runtime that is over drops the task at once.
        runtime.spawn(Reading(state.clone()));
        Self(state)
    }
}

impl<B: Body> Ahead<B> {
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Item<B>>>
    where
        B::Data: From<Bytes>,
    {
        let mut state = self.0.lock();
        let was_full = state.is_full();
        let item = ready!(state.poll_take(cx));
        let reader = if was_full && !state.is_full() { state.reader.clone() } else { None };
        drop(state);
        wake(reader);
        Poll::Ready(item)
    }

    /// Whether all has been taken.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over()
    }
}

impl<B: Body> Drop for Ahead<B> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let (body, waiting) = (state.body.take(), std::mem::take(&mut state.waiting));
        let (client, reader) = (state.client.take(), state.reader.take());
        drop(state);
        // The upstream's body before the slot, and that before what nobody takes.
        drop((body, waiting, client));
        wake(reader);
    }
}

impl<B: Body> fmt::Debug for Ahead<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("ResponseBody")
            .field("measured", &state.body)
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

// === impl Reading ===

impl<B> Future for Reading<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MOST_AT_ONCE {
            let mut state = self.0.lock();
            let is_more = ready!(state.poll_read(cx));
            let client = state.client.take();
            drop(state);
            wake(client);
            if !is_more {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<B: Body> Drop for Reading<B> {
    fn drop(&mut self) {
        // From here on a client that still waits reads by itself.
        let mut state = self.0.lock();
        let (client, reader) = (state.client.take(), state.reader.take());
        drop(state);
        drop(reader);
        wake(client);
    }
}

// === impl State ===

impl<B: Body> State<B> {
    /// A frame is taken in whatever its size if none waits.
    fn is_full(&self) -> bool {
        !self.waiting.is_empty() && self.size >= self.limit
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.body.as_ref().is_none_or(|body| !body.is_open())
    }

    /// Reads the next frame from the upstream, unless too much waits. Gives whether
    /// there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool>
    where
        B::Data: From<Bytes>,
    {
        // For who goes away, and for who makes room.
        remember(&mut self.reader, cx);
        let is_full = self.is_full();
        let Some(body) = self.body.as_mut().filter(|body| body.is_open()) else { return Poll::Ready(false) };
        if is_full {
            return Poll::Pending;
        }
        let item = ready!(body.as_mut().poll_frame(cx));
        let is_more = body.is_open();
        if let Some(item) = item {
            self.size = self.size.saturating_add(size(&item));
            self.waiting.push_back(item);
        }
        self.settle();
        Poll::Ready(is_more)
    }

    /// Takes the next frame for the client.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<B>>>
    where
        B::Data: From<Bytes>,
    {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let item = if let Some(item) = self.waiting.pop_front() {
            self.size = self.size.saturating_sub(size(&item));
            Some(item)
        } else if !body.is_open() {
            None
        } else if self.reader.is_some() {
            remember(&mut self.client, cx);
            return Poll::Pending;
        } else {
            ready!(body.as_mut().poll_frame(cx))
        };
        if let Some(Ok(frame)) = &item {
            body.as_mut().handed(frame.data_ref().map_or(0, Buf::remaining));
        }
        self.settle();
        Poll::Ready(item)
    }

    /// Ends the hand-over when all has been taken, and lets go the room of a
    /// client that has caught up.
    fn settle(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        if self.waiting.capacity() > ROOM_KEPT {
            self.waiting = VecDeque::new();
        }
        if let Some(body) = self.body.as_mut().filter(|body| !body.is_open()) {
            body.as_mut().handed_over();
        }
    }
}

/// What one takes up while it waits.
fn size<D: Buf, E>(item: &Result<Frame<D>, E>) -> usize {
    let data = item.as_ref().ok().and_then(Frame::data_ref).map_or(0, Buf::remaining);
    data.saturating_add(size_of::<Result<Frame<D>, E>>())
}

fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
