//! The engine's books: what really happened, to check a measurement against.

use std::collections::BTreeMap;
use std::iter::repeat_n;
use std::time::Duration;

use crate::clock::Instant;
use crate::sync::Mutex;

/// What an engine has done so far. Instants are durations since its start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Truth {
    /// Every well-formed request to generate, in the order of arrival.
    pub requests: Vec<RequestTruth>,
    /// Slots taken now.
    pub busy: usize,
    /// The most slots ever taken at once.
    pub max_busy: usize,
    /// Connections accepted.
    pub connections: u64,
    /// Requests to generate by the status they were answered with.
    pub by_status: BTreeMap<u16, u64>,
}

impl Truth {
    /// The tokens of all requests together.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.requests.iter().map(RequestTruth::tokens).sum()
    }
}

/// What happened to one request. Instants are durations since the engine's start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestTruth {
    /// The `id` its response carries.
    pub id: String,
    /// When its body had been read.
    pub arrived_at: Duration,
    /// When it got its slot; absent while it waits and where it never got one.
    pub admitted_at: Option<Duration>,
    /// When its response's headers left; absent until then, and where the client went away before.
    pub headers_at: Option<Duration>,
    /// When each token was ready. One that is ready and has not left waits for a client that does
    /// not read: there the engine stands still.
    pub ready_at: Vec<Duration>,
    /// When each token left: when there was room for its chunk among those that wait for the
    /// client. The tokens of one chunk leave together, those of a whole answer too.
    pub tokens_at: Vec<Duration>,
    /// When the last of its response left; absent until then, and where it was cut or the client
    /// went away before.
    pub ended_at: Option<Duration>,
    /// When it gave its slot back; absent while it holds one and where it never got one.
    pub released_at: Option<Duration>,
}

impl RequestTruth {
    /// How many tokens left.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens_at.len()
    }
}

/// The one lock around the truth. Every instant is read under it.
#[derive(Debug)]
pub(super) struct Books {
    start: Instant,
    truth: Mutex<Truth>,
}

impl Books {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), truth: Mutex::default() }
    }

    pub(super) fn started_at(&self) -> Instant {
        self.start
    }

    pub(super) fn snapshot(&self) -> Truth {
        self.truth.lock().clone()
    }

    pub(super) fn connected(&self) {
        self.truth.lock().connections += 1;
    }

    pub(super) fn answered(&self, status: u16) {
        *self.truth.lock().by_status.entry(status).or_default() += 1;
    }

    /// Enters a request; gives its index.
    pub(super) fn arrived(&self, id: String) -> usize {
        let mut truth = self.truth.lock();
        truth.requests.push(RequestTruth { id, arrived_at: self.now(), ..RequestTruth::default() });
        truth.requests.len() - 1
    }

    pub(super) fn admitted(&self, request: usize) {
        let mut truth = self.truth.lock();
        truth.busy += 1;
        truth.max_busy = truth.max_busy.max(truth.busy);
        if let Some(request) = truth.requests.get_mut(request) {
            request.admitted_at = Some(self.now());
        }
    }

    pub(super) fn headers_left(&self, request: usize) {
        self.note(request, |request, now| request.headers_at = Some(now));
    }

    pub(super) fn ready(&self, request: usize, tokens: usize) -> Duration {
        self.note(request, |request, now| request.ready_at.extend(repeat_n(now, tokens)))
    }

    pub(super) fn emitted(&self, request: usize, tokens: usize) -> Duration {
        self.note(request, |request, now| request.tokens_at.extend(repeat_n(now, tokens)))
    }

    pub(super) fn ended(&self, request: usize) {
        self.note(request, |request, now| request.ended_at = Some(now));
    }

    pub(super) fn released(&self, request: usize) {
        let mut truth = self.truth.lock();
        truth.busy = truth.busy.saturating_sub(1);
        if let Some(request) = truth.requests.get_mut(request) {
            request.released_at = Some(self.now());
        }
    }

    fn note(&self, request: usize, note: impl FnOnce(&mut RequestTruth, Duration)) -> Duration {
        let mut truth = self.truth.lock();
        let now = self.now();
        if let Some(request) = truth.requests.get_mut(request) {
            note(request, now);
        }
        now
    }

    fn now(&self) -> Duration {
        Instant::now().since(self.start)
    }
}
