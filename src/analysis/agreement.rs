//! What was recomputed from the requests, held against what the pool told.

use std::time::Duration;

use serde::Serialize;

use super::recomputed::Recomputed;
use super::run::Run;
use super::sweep::Sweep;
use crate::gate::Totals;

/// Whether the figures of a run that its pool told, at each sample and at the
/// end, are those that follow from its requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Agreement {
    /// The samples whose totals were held against what was recomputed, the end
    /// included. One that tells no totals is none of them; of more than some
    /// 16,000 not all are kept.
    pub samples: u64,
    /// Whether the end was told, so that the counters could be held against it too.
    pub has_end: bool,
    /// What differs; empty where all is as it was told, to the nanosecond.
    pub disagreements: Vec<Disagreement>,
}

/// A figure that differs from what was told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Disagreement {
    /// The figure.
    pub name: &'static str,
    /// At how many samples it differs.
    pub samples: u64,
    /// When it first does, in seconds since the start.
    pub first_at: f64,
    /// What was told at the last of them. Times are seconds.
    pub told: f64,
    /// What follows from the requests.
    pub recomputed: f64,
}

/// An integral's name with what was told of it and what it comes to.
type Pair = (&'static str, Option<Duration>, Duration);

impl Agreement {
    pub(super) fn of(run: &Run, end: &Recomputed) -> Self {
        let mut agreement = Self { samples: 0, has_end: run.closed_at.is_some(), disagreements: Vec::new() };
        let mut sweep = Sweep::new(run);
        let last = run.told.len().saturating_sub(1);
        for (index, told) in run.told.iter().enumerate() {
            let at = told.at.since(run.meta.started_at).as_secs_f64();
            agreement.samples += u64::from(told.totals().iter().any(Option::is_some));
            let is_end = agreement.has_end && index == last;
            let totals = if is_end { end.sample.reading.totals } else { sweep.read(told.at).reading.totals };
            for (name, told, recomputed) in integrals(&totals, told.totals(), is_end) {
                if let Some(told) = told.filter(|told| *told != recomputed) {
                    agreement.differs(name, at, told.as_secs_f64(), recomputed.as_secs_f64());
                }
            }
        }
        if let Some(told) = run.told.last().filter(|_| agreement.has_end) {
            let at = told.at.since(run.meta.started_at).as_secs_f64();
            let sample = &end.sample;
            let can_be_sent = sample.dispatched - end.perhaps_not_sent..=sample.dispatched;
            let dispatched = told.number("dispatched").filter(|told| !can_be_sent.contains(told));
            let came_to_nothing = told
                .number("failed_requests")
                .zip(told.number("abandoned_attempts"))
                .map(|(failed, abandoned)| failed.saturating_add(abandoned));
            for (name, told, recomputed) in [
                ("requests", told.number("requests"), sample.requests),
                ("completed", told.number("completed"), sample.completed),
                ("output_tokens", told.number("output_tokens"), sample.output_tokens),
                ("dispatched", dispatched, sample.dispatched),
                (
                    "emitted_tokens",
                    end.emitted_tokens.and(told.number("emitted_tokens")),
                    end.emitted_tokens.unwrap_or(0),
                ),
                // Which of the two it was may have been decided after the requests' ends.
                (
                    "failed_requests + abandoned_attempts",
                    came_to_nothing,
                    sample.failed_requests + sample.abandoned_attempts,
                ),
            ] {
                if let Some(told) = told.filter(|told| *told != recomputed) {
                    agreement.differs(name, at, told as f64, recomputed as f64);
                }
            }
            let told = told
                .time("failed_slot_time")
                .zip(told.time("abandoned_slot_time"))
                .map(|(failed, abandoned)| failed.saturating_add(abandoned));
            let recomputed = sample.failed_slot_time().saturating_add(sample.abandoned_slot_time());
            if let Some(told) = told.filter(|told| *told != recomputed) {
                let name = "failed_slot_time + abandoned_slot_time";
                agreement.differs(name, at, told.as_secs_f64(), recomputed.as_secs_f64());
            }
        }
        agreement
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.disagreements.is_empty()
    }

    fn differs(&mut self, name: &'static str, at: f64, told: f64, recomputed: f64) {
        match self.disagreements.iter_mut().find(|one| one.name == name) {
            Some(one) => {
                one.samples += 1;
                (one.told, one.recomputed) = (told, recomputed);
            }
            None => {
                self.disagreements.push(Disagreement { name, samples: 1, first_at: at, told, recomputed });
            }
        }
    }
}

/// The integrals that can be held against each other: while slots are held, what
/// they do is not decided yet.
fn integrals<'a>(
    totals: &Totals,
    told: &'a [Option<Duration>],
    with_phases: bool,
) -> impl Iterator<Item = Pair> + use<'a> {
    let both = totals.named().into_iter().zip(told);
    both.map(|((name, recomputed), told)| (name, *told, recomputed))
        .filter(move |(name, ..)| with_phases || !name.starts_with("busy_slot_time_"))
}
