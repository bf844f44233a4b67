//! The flight: all that is known of one request under way.

mod ending;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::response::Parts;
use http::{HeaderMap, Method, Request, StatusCode};

pub(super) use self::ending::Arrived;
use super::attempt::{self, Outside, RequestId};
use super::error_type::ErrorType;
use super::hand_over::HandOver;
use super::in_flight::InFlight;
use super::reading::read;
use super::refusal;
use super::retries::Retries;
use super::trace::trace_id;
use crate::clock::Instant;
use crate::gate::{Account, Acquire, Claim, Found, Refusal, Refused, Slot};
use crate::outcome::{Outcome, Phase};
use crate::pool::Pool;
use crate::timeline::Timeline;
use crate::wire::{Progress, Reader};

/// One request under way. It travels from the future to the body, and ends in
/// exactly one record: by [`end`](Self::end), or by being dropped.
#[derive(Debug)]
pub(super) struct Flight {
    pool: Pool,
    place: Place,
    timeline: Timeline,
    /// Absent where one is to be made.
    request_id: Option<Box<str>>,
    trace_id: Option<Box<str>>,
    attempt: u32,
    /// There where someone outside retries.
    outside: Option<Box<Outside>>,
    status: Option<u16>,
    error_type: Option<ErrorType>,
    reader: Option<Reader>,
    last_chunk_at: Option<Instant>,
    /// Whether the caller has asked for the next frame.
    has_asked: bool,
    response_bytes: u64,
    /// The body's length where it is announced: who has handed on that much has
    /// handed on everything, and a server then polls no more.
    announced: Option<u64>,
    /// There where the response is read ahead of its client. In a box, since most
    /// are not.
    hand_over: Option<Box<HandOver>>,
}

/// How the request's way through us came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Clean,
    BodyError,
    ServiceError,
    Dropped,
}

#[derive(Debug)]
enum Place {
    /// Boxed, since a slot takes less room and is held by many at once.
    Waiting(Box<Acquire>),
    Holding(Slot, Arc<Account>),
    /// Refused, and recorded so; the future is still to be told.
    Refused(Refused),
    Gone,
}

impl Flight {
    /// Starts the flight of a request.
    pub(super) fn start<B>(pool: Pool, request: &Request<B>) -> Box<Self> {
        let outside = Outside::of(request, &pool);
        let headers = request.headers();
        pool.start_sampling();
        let claim = request.extensions().get::<Claim>().copied().unwrap_or_default();
        let mut acquire = pool.gate().acquire_as(&claim);
        let timeline = Timeline::new(acquire.queued_at());
        let mut flight = Box::new(Self {
            pool,
            place: Place::Gone,
            timeline,
            request_id: RequestId::of(request).map(Into::into),
            trace_id: trace_id(headers),
            attempt: attempt::number(request),
            outside,
            status: None,
            error_type: None,
            reader: None,
            last_chunk_at: None,
            has_asked: false,
            response_bytes: 0,
            // Whatever body answers it, none of it is asked for.
            announced: (request.method() == Method::HEAD).then_some(0),
            hand_over: None,
        });
        match acquire.settled() {
            Some(decided) => flight.settle(decided),
            None => flight.place = Place::Waiting(Box::new(acquire)),
        }
        flight
    }

    /// Waits for the slot. A refusal has ended the flight.
    pub(super) fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        if let Place::Waiting(acquire) = &mut self.place {
            let decided = ready!(Pin::new(&mut **acquire).poll(cx));
            self.settle(decided);
        }
        Poll::Ready(match self.place {
            Place::Refused(reason) => Err(reason),
            _ => Ok(()),
        })
    }

    fn settle(&mut self, decided: Result<Slot, Refusal>) {
        match decided {
            Ok(slot) => {
                self.timeline.admitted_at = Some(slot.admitted_at());
                let account = slot.account();
                self.place = Place::Holding(slot, account);
            }
            Err(refusal) => {
                self.place = Place::Refused(refusal.reason);
                self.status = Some(refusal::status(refusal.reason).as_u16());
                self.record(Arrived {
                    departure: refusal.departure,
                    account: None,
                    outcome: Outcome::Rejected,
                    phase: Phase::Queued,
                    error_type: Some(Cow::Borrowed(refusal.reason.as_str())),
                });
            }
        }
    }

    /// Whole seconds after which a slot can be hoped for, in 1..=60: what
    /// waits, times the mean time a slot was held, over the cap (Little's law).
    pub(super) fn retry_after(&self) -> u64 {
        let (reading, seen) = self.pool.gate().integrals();
        let held = reading.totals.busy_slot_time().as_secs_f64() / seen.released.max(1) as f64;
        let wait = held * (reading.counts.waiting + 1) as f64 / f64::from(reading.counts.cap);
        wait.ceil().clamp(1.0, 60.0) as u64
    }

    /// The request goes to the inner service, and is given the means to tell of retries.
    pub(super) fn send<B>(&self, request: &mut Request<B>) {
        self.pool.tally().dispatched(1);
        if let Some(account) = self.account() {
            let extensions = request.extensions_mut();
            let outer = extensions.remove();
            extensions.insert(Retries::new(self.pool.id(), account.clone(), outer));
            extensions.insert(InFlight::new(account.clone()));
        }
    }

    fn account(&self) -> Option<&Arc<Account>> {
        match &self.place {
            Place::Holding(_, account) => Some(account),
            _ => None,
        }
    }

    pub(super) fn headers(&mut self, parts: &Parts, exact_size: Option<u64>) {
        self.timeline.headers_at = self.account().map(|account| account.responded());
        self.status = Some(parts.status.as_u16());
        self.error_type = parts.extensions.get().copied();
        if matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            self.announced = Some(0);
        }
        // A body that must be empty has no format, whatever its headers say of another.
        let empty = HeaderMap::new();
        let headers = if self.announced == Some(0) { &empty } else { &parts.headers };
        self.reader = Some(self.pool.reader(parts.status, headers));
        if self.announced.is_none() {
            let length = || parts.headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
            self.announced = exact_size.or_else(length);
        }
    }

    /// The caller asks for a frame, perhaps not for the first time.
    pub(super) fn ask(&mut self) {
        if !std::mem::replace(&mut self.has_asked, true) {
            if let Some(account) = self.account() {
                account.ask();
            }
        }
    }

    /// Reads a frame's data, which are borrowed and go on as they are.
    pub(super) fn frame(&mut self, data: Option<&impl Buf>) {
        let at = Instant::now();
        self.has_asked = false;
        let data = data.filter(|data| data.has_remaining());
        let read = match (data, &mut self.reader) {
            (Some(data), Some(reader)) => read(reader, data),
            _ => Progress::default(),
        };
        let found = match &self.reader {
            _ if data.is_none() => Found::Nothing,
            _ if read.events > 0 => Found::Content,
            Some(reader) if reader.may_tell_at_end() => Found::Open,
            _ => Found::NoContent,
        };
        let Some(at) = self.account().map(|account| account.frame(at, found)) else { return };
        if let Some(data) = data {
            self.timeline.chunk(at);
            self.last_chunk_at = Some(at);
            self.response_bytes = self.response_bytes.saturating_add(data.remaining() as u64);
            self.generated(at, read);
            self.note_end_marker();
        }
    }

    fn note_end_marker(&mut self) {
        let Some(hand_over) = &mut self.hand_over else { return };
        if self.reader.as_ref().is_some_and(|reader| reader.content().ended()) {
            hand_over.end_marker(self.response_bytes);
        }
    }

    fn generated(&mut self, at: Instant, read: Progress) {
        self.passed(read.tokens);
        if read.events == 0 {
            return;
        }
        let is_first = self.timeline.first_token_at.is_none();
        self.timeline.content(at);
        if let Some(hand_over) = &mut self.hand_over {
            hand_over.content(self.response_bytes);
        }
        if let (true, Some(ttft)) = (is_first, self.timeline.ttft()) {
            self.pool.first_token(ttft);
        }
    }

    fn passed(&self, tokens: u64) {
        match self.account() {
            Some(account) if tokens > 0 => account.passed(tokens),
            _ => {}
        }
    }

    /// From here on what comes is handed over apart from its arrival: the slot
    /// goes back when the upstream is done, and the record waits for
    /// [`handed_over`](Self::handed_over) or for the flight to be dropped.
    pub(super) fn hand_over(&mut self) {
        self.hand_over = Some(Box::default());
    }

    /// A frame of so many bytes is handed over.
    pub(super) fn handed(&mut self, bytes: u64) {
        if let Some(hand_over) = &mut self.hand_over {
            hand_over.frame(bytes);
        }
    }

    /// The upstream is done, and all that came has been handed over.
    pub(super) fn handed_over(flight: &mut Option<Box<Self>>) {
        if let Some(mut flight) = flight.take() {
            if let Some(hand_over) = &mut flight.hand_over {
                hand_over.complete();
            }
            flight.end(End::Clean);
        }
    }

    /// The upstream is done. It ends the flight that is there, if one still is and
    /// hands nothing over.
    pub(super) fn end_all(flight: &mut Option<Box<Self>>, end: End) {
        let Some(open) = flight else { return };
        let arrived = open.arrived(end);
        match &mut open.hand_over {
            Some(hand_over) => hand_over.arrived = arrived,
            None => {
                arrived.into_iter().for_each(|arrived| open.record(arrived));
                *flight = None;
            }
        }
    }

    fn end(&mut self, end: End) {
        if let Some(arrived) = self.arrived(end) {
            self.record(arrived);
        }
    }

    /// Gives back what is held. Absent where nothing is any more.
    fn arrived(&mut self, end: End) -> Option<Arrived> {
        if let Some(arrived) = self.hand_over.as_mut().and_then(|hand_over| hand_over.arrived.take()) {
            return Some(arrived);
        }
        let clean = matches!(end, End::Clean) || (matches!(end, End::Dropped) && self.has_passed_all());
        // Before the slot goes back: the end may show what its time was spent on.
        self.finish_reading(clean);
        let (departure, account) = match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Holding(slot, account) => (slot.release(), Some(account)),
            Place::Waiting(mut acquire) => (acquire.cancel()?, None),
            Place::Refused(_) | Place::Gone => return None,
        };
        let told = account.as_ref().and_then(|account| account.error_type());
        let (outcome, error_type) = self.outcome(end, clean, told);
        let over = clean || outcome == Outcome::Completed;
        let phase = if over { Phase::Done } else { self.phase() };
        Some(Arrived { departure, account, outcome, phase, error_type })
    }

    /// The body's bytes as passed on.
    fn passed_bytes(&self) -> u64 {
        self.hand_over.as_ref().map_or(self.response_bytes, |hand_over| hand_over.bytes())
    }

    /// Whether as much has been passed on as was announced.
    fn has_passed_all(&self) -> bool {
        let announced = self.announced.filter(|_| self.timeline.headers_at.is_some());
        announced.is_some_and(|length| self.passed_bytes() >= length)
    }

    /// Whether all that was generated has been passed on.
    fn has_passed_generated(&self) -> bool {
        match &self.hand_over {
            Some(hand_over) => hand_over.is_past_end_marker(),
            None => self.reader.as_ref().is_some_and(|reader| reader.content().ended()),
        }
    }

    fn finish_reading(&mut self, clean: bool) {
        let Some(reader) = &mut self.reader else { return };
        if !clean {
            // What the counter held back was passed on too.
            let held_back = reader.break_off();
            return self.passed(held_back.tokens);
        }
        let read = reader.end();
        if let Some(at) = self.last_chunk_at {
            if let (true, Some(account)) = (read.events > 0, self.account()) {
                account.content_in_last(at);
            }
            self.generated(at, read);
        }
        self.note_end_marker();
    }

    /// `told` is what a failure is to be called, where a service under the meter told it.
    fn outcome(
        &self,
        end: End,
        clean: bool,
        told: Option<&'static str>,
    ) -> (Outcome, Option<Cow<'static, str>>) {
        let Some(reader) = &self.reader else {
            return match end {
                End::ServiceError => (Outcome::Failed, Some(told.unwrap_or("service").into())),
                _ => (Outcome::Cancelled, None),
            };
        };
        match (end, self.status) {
            (End::BodyError, _) => (Outcome::Failed, Some(told.unwrap_or("body").into())),
            // Whoever drops the body of an error, or drops it upon one, was
            // failed by it and did not hang up.
            (_, Some(status)) if status >= 400 => {
                let status = || format!("status_{status}").into();
                (Outcome::Failed, Some(self.error_type.map_or_else(status, |ErrorType(kind)| kind.into())))
            }
            _ if reader.content().error_type().is_some() => {
                let error = if reader.streamed() { "stream_error" } else { "response_error" };
                (Outcome::Failed, Some(error.into()))
            }
            _ if clean => (reader.outcome(), None),
            // All that was generated has been passed on: that is an end too.
            _ if self.has_passed_generated() => (Outcome::Completed, None),
            _ => (Outcome::Cancelled, None),
        }
    }

    fn phase(&self) -> Phase {
        if self.timeline.admitted_at.is_none() {
            Phase::Queued
        } else if self.timeline.headers_at.is_none() {
            Phase::Dispatch
        } else if self.timeline.first_token_at.is_none() {
            Phase::Prefill
        } else if self.reader.as_ref().is_some_and(|reader| reader.content().ended()) {
            Phase::Drain
        } else {
            Phase::Streaming
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
