//! A run over time: its figures in windows of one length.

use std::time::Duration;

use serde::Serialize;

use super::Distribution;
use super::row::Row;
use super::run::Run;
use super::spread;
use super::sweep::Sweep;
use crate::clock::Instant;
use crate::gate::{GapCause, SlotPhase};
use crate::tokens::TokenSource;

/// The figures of one window. Times are seconds, of the wall or of slots; means
/// are over its time; requests count where they ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// When it begins, from the run's start.
    pub start: f64,
    /// Its length. The last may be shorter than the others.
    pub window_time: f64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those of them that completed.
    pub completed: u64,
    /// Output tokens of those that completed / `window_time`; absent where the
    /// run's tokens are of several sources.
    pub system_tps: Option<f64>,
    /// Time to the first token of what ended in it.
    pub ttft: Option<Distribution>,
    /// The streams' rate of what completed in it.
    pub stream_tps: Option<Distribution>,
    /// The mean cap.
    pub mean_cap: f64,
    /// The mean number in flight.
    pub mean_in_flight: f64,
    /// The mean of what has work and no slot.
    pub mean_queue_depth: f64,
    /// The most of it.
    pub most_queue_depth: u64,
    /// Time with work waiting.
    pub backlog_time: f64,
    /// Time with work waiting and a slot free.
    pub gap_time: f64,
    /// The part of it in which a task that was called did not run.
    pub gap_time_wakeup: f64,
    /// The part of it in which work waited in back-off.
    pub gap_time_backoff: f64,
    /// The part of it in which work was declared and not submitted.
    pub gap_time_orchestration: f64,
    /// `gap_time / window_time`.
    pub gap_fraction: Option<f64>,
    /// Slot-seconds that a perfect scheduler would have used.
    pub lost_slot_time: f64,
    /// Slot-seconds that stood idle in the gap.
    pub gap_slot_time: f64,
    /// Slot-seconds free while nothing waited.
    pub idle_slot_time: f64,
    /// Slot-seconds in flight above a cap that was lowered.
    pub over_slot_time: f64,
    /// Slot-seconds in flight.
    pub busy_slot_time: f64,
    /// From admission to the headers. Where stalls lie within a phase of a request is
    /// not known: they are spread evenly over it, here and below.
    pub busy_slot_time_dispatch: f64,
    /// Waiting to be tried again with the slot held.
    pub busy_slot_time_backoff: f64,
    /// From the headers to the first token.
    pub busy_slot_time_prefill: f64,
    /// From the first token to the last, waiting on the upstream.
    pub busy_slot_time_generate: f64,
    /// Waiting on the caller.
    pub busy_slot_time_stall: f64,
    /// From the last token to the release.
    pub busy_slot_time_drain: f64,
}

/// What requests add to a window.
#[derive(Clone, Debug, Default)]
struct Ended {
    requests: u64,
    completed: u64,
    tokens: u64,
    ttft: Vec<f64>,
    stream_tps: Vec<f64>,
    phases: [f64; SlotPhase::ALL.len()],
}

impl Run {
    /// How many windows of this length its time has.
    #[must_use]
    pub fn windows_of(&self, length: Duration) -> u64 {
        match length.as_nanos() {
            0 => 0,
            length => u64::try_from(self.window_time().as_nanos().div_ceil(length)).unwrap_or(u64::MAX),
        }
    }

    /// Its figures in windows of this length, the last one cut off at its end.
    /// Memory is a few hundred bytes for each.
    #[must_use]
    pub fn windows(&self, length: Duration) -> Vec<Window> {
        let count = self.windows_of(length) as usize;
        let start = self.meta.started_at;
        let edge = |index: usize| {
            let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
            let nanos = length.saturating_mul(index as u64);
            start.after(Duration::from_nanos(nanos)).unwrap_or(self.ends_at()).min(self.ends_at())
        };
        let index_of = |at: Instant| {
            let index = u128::from(at.nanos_since(start)) / length.as_nanos().max(1);
            usize::try_from(index).unwrap_or(usize::MAX).min(count.saturating_sub(1))
        };
        let mut ended = vec![Ended::default(); count];
        for row in self.rows.iter().filter(|_| count > 0) {
            ended[index_of(row.ended_at())].add(row);
            for stretch in spread::stretches(row) {
                for (index, window) in ended
                    .iter_mut()
                    .enumerate()
                    .take(index_of(stretch.until) + 1)
                    .skip(index_of(stretch.from))
                {
                    let (from, until) = (stretch.from.max(edge(index)), stretch.until.min(edge(index + 1)));
                    let time = until.nanos_since(from) as f64 / 1e9;
                    window.phases[stretch.phase as usize] += time * (1.0 - stretch.stalled);
                    window.phases[SlotPhase::Stall as usize] += time * stretch.stalled;
                }
            }
        }
        let has_one_source = self.has_one_source();
        let mut sweep = Sweep::new(self);
        let mut before = sweep.read(start);
        let windows = ended.into_iter().enumerate().map(|(index, ended)| {
            let now = sweep.read(edge(index + 1));
            let totals = now.reading.since(&before.reading);
            let queue_time = now.queue_time - before.queue_time;
            before = now;
            let seconds = |time: Duration| time.as_secs_f64();
            let (time, gap) = (totals.window_time(), |cause| seconds(totals.gap_time_of(cause)));
            let per_time = |sum: f64| if time.is_zero() { 0.0 } else { sum / seconds(time) };
            let phase = |phase: SlotPhase| ended.phases[phase as usize];
            Window {
                start: edge(index).since(start).as_secs_f64(),
                window_time: seconds(time),
                requests: ended.requests,
                completed: ended.completed,
                system_tps: has_one_source.then(|| per_time(ended.tokens as f64)),
                mean_cap: per_time(seconds(totals.cap_slot_time())),
                mean_in_flight: per_time(seconds(totals.busy_slot_time())),
                mean_queue_depth: per_time(queue_time),
                most_queue_depth: now.peaks.most_queued,
                backlog_time: seconds(totals.backlog_time()),
                gap_time: seconds(totals.gap_time()),
                gap_time_wakeup: gap(GapCause::Wakeup),
                gap_time_backoff: gap(GapCause::Backoff),
                gap_time_orchestration: gap(GapCause::Orchestration),
                gap_fraction: totals.gap_fraction(),
                lost_slot_time: seconds(totals.lost_slot_time()),
                gap_slot_time: seconds(totals.gap_slot_time()),
                idle_slot_time: seconds(totals.idle_slot_time()),
                over_slot_time: seconds(totals.over_slot_time()),
                busy_slot_time: seconds(totals.busy_slot_time()),
                busy_slot_time_dispatch: phase(SlotPhase::Dispatch),
                busy_slot_time_backoff: phase(SlotPhase::Backoff),
                busy_slot_time_prefill: phase(SlotPhase::Prefill),
                busy_slot_time_generate: phase(SlotPhase::Generate),
                busy_slot_time_stall: phase(SlotPhase::Stall),
                busy_slot_time_drain: phase(SlotPhase::Drain),
                ttft: Distribution::of(ended.ttft),
                stream_tps: Distribution::of(ended.stream_tps),
            }
        });
        windows.collect()
    }

    /// Whether what is known of its completed requests' tokens comes from one source,
    /// or from none because none completed: else they are not to be added up.
    fn has_one_source(&self) -> bool {
        let tokenizer = |row: &Row| row.tokenizer.filter(|_| row.source == Some(TokenSource::Tokenizer));
        let completed = || self.requests().filter(|row| row.is_completed());
        let mut sources = completed().filter_map(|row| Some((row.source?, tokenizer(row))));
        match sources.next() {
            Some(first) => sources.all(|source| source == first),
            None => completed().next().is_none(),
        }
    }
}

impl Ended {
    fn add(&mut self, row: &Row) {
        self.ttft.extend(row.timeline.ttft().map(|time| time.as_secs_f64()));
        if row.is_superseded {
            return;
        }
        self.requests += 1;
        if row.is_completed() {
            self.completed += 1;
            self.tokens += row.output_tokens.get().unwrap_or(0);
            self.stream_tps.extend(row.unbuffered_stream_tps());
        }
    }
}
