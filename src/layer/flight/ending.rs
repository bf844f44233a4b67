//! The last part of a flight: from what is certain at its end to the record.

use std::borrow::Cow;
use std::sync::Arc;

use super::Flight;
use crate::gate::{Account, Departure, PhaseTimes, Retry, SlotPhase};
use crate::layer::attempt::RequestId;
use crate::layer::telling::tell;
use crate::outcome::{Outcome, Phase};
use crate::record::RequestRecord;
use crate::tokens::{Turn, count_later};

/// What is certain once the slot, or the place in the queue, is given up.
#[derive(Debug)]
pub(in crate::layer) struct Arrived {
    pub(super) departure: Departure,
    pub(super) account: Option<Arc<Account>>,
    pub(super) outcome: Outcome,
    pub(super) phase: Phase,
    pub(super) error_type: Option<Cow<'static, str>>,
}

impl Flight {
    /// What became of it, once all is handed over that ever will be.
    fn ended(&self, arrived: &Arrived) -> (Outcome, Phase) {
        let is_complete = self.hand_over.as_ref().is_none_or(|hand_over| hand_over.is_complete());
        let has_all = is_complete || self.has_passed_all() || self.has_passed_generated();
        // Where the upstream failed, that is what became of it.
        match arrived.outcome {
            Outcome::Completed if !has_all => (Outcome::Cancelled, Phase::Drain),
            outcome => (outcome, arrived.phase),
        }
    }

    pub(super) fn record(&mut self, arrived: Arrived) {
        let (outcome, phase) = self.ended(&arrived);
        let response_bytes = self.passed_bytes();
        let handed = self.hand_over.take().map(|hand_over| hand_over.end());
        let Arrived { departure, account, error_type, .. } = arrived;
        self.timeline.released_at = Some(departure.at);
        let (phases, retries) = account.map(|account| account.take()).unzip();
        let retries = retries.unwrap_or_default();
        if let Some(phases) = &phases {
            self.worked(phases, &retries, outcome);
        }
        let cause = self.outside.take().and_then(|outside| outside.cause());
        let request_id = self.request_id.take();
        let record = RequestRecord {
            pool: self.pool.name().clone(),
            span_id: format!("{:016x}", fastrand::u64(1..)).into(),
            trace_id: self.trace_id.take(),
            request_id: request_id.unwrap_or_else(|| RequestId::made().into()),
            status: self.status,
            outcome,
            phase,
            error_type,
            attempt: self.attempt,
            attempt_cause: cause,
            retries,
            timeline: self.timeline,
            first_token_handed_at: handed.as_ref().and_then(|handed| handed.first_token_at),
            last_token_handed_at: handed.as_ref().and_then(|handed| handed.last_token_at),
            handed_over_at: handed.map(|handed| handed.over_at),
            phases,
            response_bytes,
            generated: None,
            counts: departure.counts,
        };
        let pool = self.pool.clone();
        match self.reader.take() {
            None => pool.ended(record),
            Some(reader) if !reader.is_uncounted() => tell(&pool, &reader, record),
            Some(mut reader) => {
                let left = reader.content().counting().left();
                pool.count_begins();
                let job = move |turn| {
                    match turn {
                        Turn::Count if !pool.is_closing() => {}
                        _ => reader.give_up_count(),
                    }
                    pool.tally().late_tokens(reader.count_rest().tokens);
                    tell(&pool, &reader, record);
                    pool.count_ended();
                };
                count_later(left, Box::new(job));
            }
        }
    }

    /// Tells what the slot worked for, as far as that came to nothing.
    fn worked(&self, phases: &PhaseTimes, retries: &[Retry], outcome: Outcome) {
        let tally = self.pool.tally();
        let dispatch = phases.nanos()[SlotPhase::Dispatch as usize];
        let again = PhaseTimes::dispatch(self.again(dispatch, retries));
        tally.abandoned(&again, retries.len() as u64);
        if outcome == Outcome::Completed {
            return;
        }
        let idle = [SlotPhase::Backoff, SlotPhase::Stall];
        let worked = idle.iter().fold(*phases, |phases, phase| phases.without(*phase)).minus(&again);
        match self.outside.as_ref().and_then(|outside| outside.fate()) {
            Some(fate) => fate.failed(&worked, tally),
            None => tally.failed(&worked),
        }
    }

    /// The part of `dispatch`, in nanoseconds, that went into attempts which were
    /// given up for another.
    fn again(&self, dispatch: u64, retries: &[Retry]) -> u64 {
        let Some(last) = retries.last() else { return 0 };
        let until = self.timeline.headers_at.or(self.timeline.released_at);
        let in_the_last = until.zip(last.resumed_at).map(|(until, resumed)| until.nanos_since(resumed));
        dispatch.saturating_sub(in_the_last.unwrap_or(0))
    }
}
