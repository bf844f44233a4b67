//! What the pool's own counters must have been at the end, from the requests and
//! the changes alone.

use std::time::Duration;

use super::run::Run;
use super::spread;
use super::sweep::{Moment, Sweep};
use crate::gate::GapMeter;
use crate::observe::Sample;

/// A run's counters and integrals at its end.
#[derive(Clone, Debug)]
pub(super) struct Recomputed {
    /// As the pool would have told it. What no request's line holds is as it was
    /// last told: the connections, and the tokens that passed for what has not ended.
    pub(super) sample: Sample,
    /// So many of those that count as sent to the upstream may not have been.
    pub(super) perhaps_not_sent: u64,
    /// Tokens that passed for the requests that have ended; absent where it is not
    /// known of each.
    pub(super) emitted_tokens: Option<u64>,
    pub(super) moment: Moment,
}

impl Recomputed {
    pub(super) fn of(run: &Run) -> Self {
        let mut sweep = Sweep::new(run);
        let mut moment = sweep.read(run.ends_at());
        // No row ends after the run, so each slot has been given back by then.
        for row in &run.rows {
            let began_before = row.timeline.admitted_at.is_some_and(|at| at < run.meta.started_at);
            let since = began_before.then(|| spread::phases_since(row, run.meta.started_at));
            moment.reading.totals.attribute(since.as_ref().unwrap_or(&row.phases));
        }
        let last = run.told.last();
        let told = |name| last.and_then(|told| told.number(name));
        let number = |name| told(name).unwrap_or(0);
        let time = |name| last.and_then(|told| told.time(name)).unwrap_or(Duration::ZERO);

        let mut sample = Sample::new(run.meta.pool.as_ref().into(), moment.reading, run.rows.len() as u64, 0);
        // Those that passed for requests without an end are among the ones that were told.
        let emitted_tokens = run.rows.iter().map(|row| row.emitted_tokens.get()).sum();
        sample.emitted_tokens = told("emitted_tokens").or(emitted_tokens).unwrap_or(0);
        sample.connections = number("connections");
        sample.connects_failed = number("connects_failed");
        sample.connect_time = time("connect_time");
        sample.connect_failed_time = time("connect_failed_time");
        let mut perhaps_not_sent = 0;
        for row in &run.rows {
            if row.is_completed() {
                sample.completed += 1;
                sample.output_tokens += row.output_tokens.get().unwrap_or(0);
            }
            if row.timeline.admitted_at.is_none() {
                continue;
            }
            let inside = row.retried.as_ref();
            perhaps_not_sent += u64::from(row.is_perhaps_not_sent());
            sample.dispatched += 1 + inside.map_or(0, |retried| retried.made().count() as u64);
            sample.abandoned_attempts += inside.map_or(0, |retried| retried.inside.len() as u64);
            sample.abandoned_phases = sample.abandoned_phases.plus(&row.again());
            match (row.is_completed(), row.is_superseded) {
                (true, _) => {}
                (false, true) => {
                    sample.abandoned_attempts += 1;
                    sample.abandoned_phases = sample.abandoned_phases.plus(&row.worked());
                }
                (false, false) => {
                    sample.failed_requests += 1;
                    sample.failed_phases = sample.failed_phases.plus(&row.worked());
                }
            }
        }
        Self { sample, perhaps_not_sent, emitted_tokens, moment }
    }

    /// As the run began.
    pub(super) fn start(run: &Run) -> Sample {
        let reading = GapMeter::new(run.meta.counts(), run.meta.started_at).reading(run.meta.started_at);
        Sample::new(run.meta.pool.as_ref().into(), reading, 0, 0)
    }
}
