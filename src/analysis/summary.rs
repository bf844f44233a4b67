//! A run in figures, by the names of the definitions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::logical;
use super::{Distribution, Run};
use crate::gate::GapCause;
use crate::outcome::Outcome;
use crate::record::RequestRecord;
use crate::timeline::Timeline;

/// A run in figures. Times are seconds, rates tokens a second; what does not
/// exist is absent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// From the start to the last sample.
    pub window_time: f64,
    /// The cap at the end.
    pub cap: u32,
    /// How tokens were counted where there was no usage.
    pub tokenizer: String,
    /// Requests as their users see them: the attempts at one are one.
    pub requests: usize,
    /// Those requests by how their last attempt ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Output tokens of the completed ones, by source. They are never added up.
    pub output_tokens: BTreeMap<&'static str, u64>,
    /// Output tokens of all other attempts, by source: waste.
    pub wasted_tokens: BTreeMap<&'static str, u64>,
    /// Tokens that passed, whatever became of their request.
    pub emitted_tokens: u64,
    /// Output tokens of completed requests / window; absent where their tokens
    /// are of several sources.
    pub system_tps: Option<f64>,
    /// Tokens that passed / window.
    pub emitted_tps: Option<f64>,
    /// Completed / all ended but cancelled.
    pub success_rate: Option<f64>,
    /// Cancelled / all ended.
    pub cancel_rate: Option<f64>,
    /// How often requests were tried again, by either kind of retrying.
    pub retries: u64,
    /// Retries / requests.
    pub retry_rate: Option<f64>,
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
    /// `gap_time / backlog_time`.
    pub gap_share: Option<f64>,
    /// Slot-seconds that stood idle in the gap.
    pub gap_slot_time: f64,
    /// Slot-seconds that a perfect scheduler would have used.
    pub lost_slot_time: f64,
    /// `lost_slot_time` × output tokens of completed requests for each busy slot-second.
    pub lost_tokens: Option<f64>,
    /// Slot-seconds in flight.
    pub busy_slot_time: f64,
    /// Slot-seconds free while nothing waited.
    pub idle_slot_time: f64,
    /// Slot-seconds that there were: busy + gap + idle - over.
    pub cap_slot_time: f64,
    /// Slot-seconds in flight above a cap that was lowered.
    pub over_slot_time: f64,
    /// Requests sent to the upstream, each attempt that the pool saw or was told of.
    pub dispatched: u64,
    /// Connections made for them; zero where no connector was measured, as the next two.
    pub connections: u64,
    /// Connections that could not be made. Their time is not in the next.
    pub connects_failed: u64,
    /// Time that those made took, added up.
    pub connect_time: f64,
    /// The share of what was sent that found a connection already made.
    pub connection_reuse_ratio: Option<f64>,
    /// Streams that were buffered on their way, whose rates are left out below.
    pub buffered_streams: usize,
    /// Time to the first token, the queue included.
    pub ttft: Option<Distribution>,
    /// Time in the queue of all that were admitted; a wait of zero is one too.
    pub t_queue: Option<Distribution>,
    /// The stream's rate, of completed ones.
    pub stream_tps: Option<Distribution>,
    /// The rate of decoding, of completed ones.
    pub decode_tps: Option<Distribution>,
    /// The slot's rate, of completed ones.
    pub end_to_end_tps: Option<Distribution>,
    /// The longest time between two frames with content.
    pub max_token_gap: Option<Distribution>,
}

impl Summary {
    /// The figures of a run as far as it has come; absent before its first sample.
    #[must_use]
    pub fn of(run: &Run) -> Option<Self> {
        let sample = run.samples.last()?;
        let totals = &sample.reading.totals;
        let window = run.window_time();
        let requests = logical::requests(&run.records);
        let mut outcomes = BTreeMap::new();
        for request in &requests {
            *outcomes.entry(request.last.outcome.as_str()).or_insert(0) += 1;
        }
        let outcome = |outcome: Outcome| outcomes.get(outcome.as_str()).copied().unwrap_or(0);
        let ended = requests.len() as u64;
        let (completed, cancelled) = (outcome(Outcome::Completed), outcome(Outcome::Cancelled));
        let retries = requests.iter().map(|request| request.retries).sum();

        let done = || {
            requests.iter().map(|request| request.last).filter(|record| record.outcome == Outcome::Completed)
        };
        let output_tokens = by_source(done());
        let mut wasted_tokens = by_source(run.records.iter().map(|record| &**record));
        for (source, tokens) in &output_tokens {
            let sum = wasted_tokens.entry(source).or_default();
            *sum = sum.saturating_sub(*tokens);
        }
        wasted_tokens.retain(|_, tokens| *tokens > 0);
        let tokens = one_source(&output_tokens);
        let rated = || done().filter_map(|record| Some((&record.timeline, record.output_tokens()?)));
        let buffered =
            |(timeline, tokens): &(&Timeline, u64)| timeline.burst(*tokens).is_some_and(|burst| burst > 0.5);
        let streams = || rated().filter(|stream| !buffered(stream));
        let times = |time: fn(&Timeline) -> Option<Duration>| {
            Distribution::of(
                run.records.iter().map(|record| time(&record.timeline).map(|time| time.as_secs_f64())),
            )
        };
        let seconds = |time: Duration| time.as_secs_f64();
        Some(Self {
            window_time: seconds(window),
            cap: sample.reading.counts.cap,
            tokenizer: run.start.tokenizer.to_string(),
            requests: requests.len(),
            system_tps: tokens.and_then(|tokens| share(tokens as f64, seconds(window))),
            wasted_tokens,
            emitted_tokens: sample.emitted_tokens,
            emitted_tps: share(sample.emitted_tokens as f64, seconds(window)),
            success_rate: share(completed as f64, (ended - cancelled) as f64),
            cancel_rate: share(cancelled as f64, ended as f64),
            retries,
            retry_rate: share(retries as f64, ended as f64),
            backlog_time: seconds(totals.backlog_time()),
            gap_time: seconds(totals.gap_time()),
            gap_time_wakeup: seconds(totals.gap_time_of(GapCause::Wakeup)),
            gap_time_backoff: seconds(totals.gap_time_of(GapCause::Backoff)),
            gap_time_orchestration: seconds(totals.gap_time_of(GapCause::Orchestration)),
            gap_fraction: totals.gap_fraction(),
            gap_share: totals.gap_share(),
            gap_slot_time: seconds(totals.gap_slot_time()),
            lost_slot_time: seconds(totals.lost_slot_time()),
            lost_tokens: tokens
                .and_then(|tokens| share(tokens as f64, seconds(totals.busy_slot_time())))
                .map(|rate| rate * seconds(totals.lost_slot_time())),
            busy_slot_time: seconds(totals.busy_slot_time()),
            idle_slot_time: seconds(totals.idle_slot_time()),
            cap_slot_time: seconds(totals.cap_slot_time()),
            over_slot_time: seconds(totals.over_slot_time()),
            dispatched: sample.dispatched,
            connections: sample.connections,
            connects_failed: sample.connects_failed,
            connect_time: seconds(sample.connect_time),
            connection_reuse_ratio: sample.connection_reuse_ratio(),
            buffered_streams: rated().filter(buffered).count(),
            ttft: times(Timeline::ttft),
            t_queue: times(Timeline::t_queue),
            stream_tps: Distribution::of(streams().map(|(timeline, tokens)| timeline.stream_tps(tokens))),
            decode_tps: Distribution::of(streams().map(|(timeline, tokens)| timeline.decode_tps(tokens))),
            end_to_end_tps: Distribution::of(
                rated().map(|(timeline, tokens)| timeline.end_to_end_tps(tokens)),
            ),
            max_token_gap: times(Timeline::max_token_gap),
            outcomes,
            output_tokens,
        })
    }

    /// The one source that all tokens are of; absent where there are several, or none.
    #[must_use]
    pub fn token_source(&self) -> Option<&'static str> {
        let mut sources = self.output_tokens.keys();
        sources.next().copied().filter(|_| sources.next().is_none())
    }
}

/// The output tokens of these records, by source.
fn by_source<'a>(records: impl Iterator<Item = &'a RequestRecord>) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for (tokens, source) in records.filter_map(|record| record.generated.as_ref()?.output_tokens) {
        let sum: &mut u64 = sums.entry(source.as_str()).or_default();
        *sum = sum.saturating_add(tokens);
    }
    sums
}

/// The tokens, where they are all of one source: none at all are zero of any.
fn one_source(tokens: &BTreeMap<&'static str, u64>) -> Option<u64> {
    match tokens.len() {
        0 => Some(0),
        1 => tokens.values().next().copied(),
        _ => None,
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
