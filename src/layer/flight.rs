//! The flight: all that is known of one request under way.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::response::Parts;
use http::{HeaderMap, Method};

use super::refusal;
use crate::clock::Instant;
use crate::gate::{Acquire, Departure, Refusal, Slot};
use crate::outcome::{Outcome, Phase};
use crate::pool::Pool;
use crate::record::RequestRecord;
use crate::timeline::Timeline;

/// One request under way. It travels from the future to the body, and ends in
/// exactly one record: by [`end`](Self::end), or by being dropped.
#[derive(Debug)]
pub(super) struct Flight {
    pool: Pool,
    place: Place,
    timeline: Timeline,
    request_id: Box<str>,
    status: Option<u16>,
    response_bytes: u64,
    /// The body's length where it is announced: who has handed on that much has
    /// handed on everything, and a server then polls no more.
    announced: Option<u64>,
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
    Waiting(Acquire),
    Holding(Slot),
    /// Refused, and recorded so; the future is still to be told.
    Refused(Refusal),
    Gone,
}

impl Flight {
    pub(super) fn start(pool: Pool, method: &Method, headers: &HeaderMap) -> Box<Self> {
        let mut acquire = pool.gate().acquire();
        let timeline = Timeline::new(acquire.queued_at());
        let request_id = headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .filter(|id| !id.is_empty())
            .map_or_else(|| format!("{:032x}", fastrand::u128(..)).into(), Into::into);
        let mut flight = Box::new(Self {
            pool,
            place: Place::Gone,
            timeline,
            request_id,
            status: None,
            response_bytes: 0,
            // Whatever body answers it, none of it is asked for.
            announced: (method == Method::HEAD).then_some(0),
        });
        match acquire.settled() {
            Some(decided) => flight.settle(decided),
            None => flight.place = Place::Waiting(acquire),
        }
        flight
    }

    /// Waits for the slot. A refusal has ended the flight.
    pub(super) fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if let Place::Waiting(acquire) = &mut self.place {
            let decided = ready!(Pin::new(acquire).poll(cx));
            self.settle(decided);
        }
        Poll::Ready(match self.place {
            Place::Refused(refusal) => Err(refusal),
            _ => Ok(()),
        })
    }

    fn settle(&mut self, decided: Result<Slot, Refusal>) {
        match decided {
            Ok(slot) => {
                self.timeline.admitted_at = Some(slot.admitted_at());
                self.place = Place::Holding(slot);
            }
            Err(refusal) => {
                self.place = Place::Refused(refusal);
                self.status = Some(refusal::status(refusal.reason).as_u16());
                let reason = Cow::Borrowed(refusal.reason.as_str());
                self.record(refusal.departure, Outcome::Rejected, Phase::Queued, Some(reason));
            }
        }
    }

    /// Whole seconds after which a slot can be hoped for, in 1..=60: what
    /// waits, times the mean time a slot was held, over the cap (Little's law).
    pub(super) fn retry_after(&self) -> u64 {
        let (reading, seen) = (self.pool.reading(), self.pool.arrivals());
        let held = reading.totals.busy_slot_time().as_secs_f64() / seen.ended.max(1) as f64;
        let wait = held * (reading.counts.waiting + 1) as f64 / f64::from(reading.counts.cap);
        wait.ceil().clamp(1.0, 60.0) as u64
    }

    pub(super) fn headers(&mut self, parts: &Parts, exact_size: Option<u64>) {
        self.timeline.headers_at = Some(Instant::now());
        self.status = Some(parts.status.as_u16());
        if self.announced.is_none() {
            let length = || parts.headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
            self.announced = exact_size.or_else(length);
        }
    }

    pub(super) fn chunk(&mut self, bytes: usize) {
        if bytes > 0 {
            self.timeline.chunk(Instant::now());
            self.response_bytes = self.response_bytes.saturating_add(bytes as u64);
        }
    }

    /// Ends the flight that is there, if one still is.
    pub(super) fn end_all(flight: &mut Option<Box<Self>>, end: End) {
        if let Some(mut flight) = flight.take() {
            flight.end(end);
        }
    }

    fn end(&mut self, end: End) {
        let departure = match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Holding(slot) => slot.release(),
            Place::Waiting(mut acquire) => match acquire.cancel() {
                Some(departure) => departure,
                None => return,
            },
            Place::Refused(_) | Place::Gone => return,
        };
        let phase = self.phase();
        let all_passed = self.announced.is_some_and(|length| self.response_bytes >= length);
        let clean = matches!(end, End::Clean) || (matches!(end, End::Dropped) && all_passed);
        let (outcome, phase, error) = match (end, self.status) {
            (End::BodyError, _) => (Outcome::Failed, phase, Some("body".into())),
            (End::ServiceError, _) => (Outcome::Failed, phase, Some("service".into())),
            _ if !clean => (Outcome::Cancelled, phase, None),
            (_, Some(status)) if status >= 400 => {
                (Outcome::Failed, Phase::Done, Some(format!("status_{status}").into()))
            }
            _ => (Outcome::Completed, Phase::Done, None),
        };
        self.record(departure, outcome, phase, error);
    }

    fn phase(&self) -> Phase {
        if self.timeline.admitted_at.is_none() {
            Phase::Queued
        } else if self.timeline.headers_at.is_none() {
            Phase::Dispatch
        } else if self.timeline.first_token_at.is_none() {
            Phase::Prefill
        } else {
            Phase::Streaming
        }
    }

    fn record(
        &mut self,
        departure: Departure,
        outcome: Outcome,
        phase: Phase,
        error_type: Option<Cow<'static, str>>,
    ) {
        self.timeline.released_at = Some(departure.at);
        self.pool.observe(&RequestRecord {
            pool: self.pool.name().clone(),
            request_id: std::mem::take(&mut self.request_id),
            status: self.status,
            outcome,
            phase,
            error_type,
            timeline: self.timeline,
            response_bytes: self.response_bytes,
            counts: departure.counts,
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
