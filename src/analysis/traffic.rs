//! What requests came to: how they ended, their tokens, and their rates.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::distribution::Distribution;
use super::logical;
use super::row::{Again, Row};
use super::run::Run;
use crate::outcome::Outcome;
use crate::timeline::Timeline;
use crate::tokens::TokenSource;

/// A row, and the run whose words it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) run: &'a Run,
    pub(super) row: &'a Row,
}

/// Requests in figures. Times are seconds, rates tokens a second; what does not
/// exist is absent.
///
/// A request is as its user sees it: the attempts at one are one, and it ended
/// as its last attempt did.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Traffic {
    /// How many there were.
    pub requests: u64,
    /// By how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// By how they ended, and in which phase.
    pub outcomes_by_phase: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// By what went wrong, whatever they ended as; those with which nothing did are
    /// in none.
    pub error_types: BTreeMap<String, u64>,
    /// Those that completed, by why the model stopped, in the provider's words.
    pub finish_reasons: BTreeMap<String, u64>,
    /// Completed / all ended but cancelled.
    pub success_rate: Option<f64>,
    /// Cancelled / all ended.
    pub cancel_rate: Option<f64>,
    /// How often requests were tried again, by either kind of retrying.
    pub retries: u64,
    /// Retries / requests.
    pub retry_rate: Option<f64>,
    /// Requests that were tried again at least once.
    pub retried_requests: u64,
    /// Retries by what made the attempt before them fail.
    pub retry_causes: BTreeMap<String, u64>,
    /// Output tokens of the completed ones, by source; a tokenizer's by its name
    /// too. They are never added up.
    pub output_tokens: BTreeMap<String, u64>,
    /// Completed requests of which nobody has counted the tokens. They are in no
    /// figure of tokens.
    pub completed_without_tokens: u64,
    /// Output tokens of all other attempts, by source: waste.
    pub wasted_tokens: BTreeMap<String, u64>,
    /// The provider's figure of the prompts' tokens, of the completed ones; absent
    /// where none was given.
    pub input_tokens: Option<u64>,
    /// The provider's figure of the output tokens that were reasoning, of the
    /// completed ones; absent where none was given.
    pub reasoning_tokens: Option<u64>,
    /// How far the tokenizer is from the provider, over all attempts of which both
    /// have told; absent where there is none.
    pub token_mismatch: Option<Mismatch>,
    /// Streams that were buffered on their way, which are in no `stream_tps` and
    /// no `decode_tps` below.
    pub buffered_streams: u64,
    /// How they are distributed.
    #[serde(flatten)]
    pub distributions: Distributions,
    /// The same by the number of output tokens.
    pub by_length: Vec<Length>,
}

/// The same requests counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mismatch {
    /// How many requests have both counts.
    pub requests: u64,
    /// Their output tokens by the provider's figure.
    pub usage_output_tokens: u64,
    /// Their output tokens by the tokenizer.
    pub counted_tokens: u64,
    /// How far apart the two are for each, added up.
    pub difference: u64,
}

/// How times and rates are distributed. Times are of every attempt that has
/// them, rates of completed requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distributions {
    /// Time to the first token, the queue included.
    pub ttft: Option<Distribution>,
    /// Time in the queue of all that were admitted; a wait of zero is one too.
    pub t_queue: Option<Distribution>,
    /// The longest time between two frames with content.
    pub max_token_gap: Option<Distribution>,
    /// The stream's rate.
    pub stream_tps: Option<Distribution>,
    /// The rate of decoding.
    pub decode_tps: Option<Distribution>,
    /// The slot's rate.
    pub end_to_end_tps: Option<Distribution>,
}

/// Requests of about one length.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Length {
    /// Their number of output tokens: `<64`, `<256`, `<1024` or `>=1024`.
    pub output_tokens: &'static str,
    /// How many of them completed.
    pub requests: u64,
    /// How they are distributed.
    #[serde(flatten)]
    pub distributions: Distributions,
}

/// Each class of length, by the number of tokens that it stays below.
pub(super) const LENGTHS: [(u64, &str); 4] =
    [(64, "<64"), (256, "<256"), (1_024, "<1024"), (u64::MAX, ">=1024")];

/// The class of length of so many tokens: its place in [`LENGTHS`].
pub(super) fn length_of(tokens: u64) -> usize {
    LENGTHS.iter().position(|(below, _)| tokens < *below).unwrap_or(LENGTHS.len() - 1)
}

// === impl Traffic ===

impl Traffic {
    /// The figures of these attempts.
    pub(super) fn of<'a>(requests: impl Iterator<Item = Request<'a>>) -> Self {
        let mut traffic = Self::default();
        let mut lengths: [Values; LENGTHS.len()] = Default::default();
        let mut without_length = Values::default();
        let mut completed_of = [0; LENGTHS.len()];
        for request in requests {
            let row = request.row;
            traffic.add(request);
            let length = row.output_tokens.get().map(length_of);
            let is_rated = row.is_rated();
            let values = match length {
                Some(length) => {
                    completed_of[length] += u64::from(is_rated);
                    &mut lengths[length]
                }
                None => &mut without_length,
            };
            traffic.buffered_streams += u64::from(values.add(row));
        }
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        traffic.success_rate = share(traffic.outcome(Outcome::Completed), traffic.judged_requests());
        traffic.cancel_rate = share(traffic.outcome(Outcome::Cancelled), traffic.requests);
        traffic.retry_rate = share(traffic.retries, traffic.requests);
        traffic.distributions =
            Distributions::of(lengths.iter().chain([&without_length]).collect::<Vec<_>>().as_slice());
        for ((values, (_, name)), requests) in lengths.iter().zip(LENGTHS).zip(completed_of) {
            if !values.is_empty() {
                let distributions = Distributions::of(&[values]);
                traffic.by_length.push(Length { output_tokens: name, requests, distributions });
            }
        }
        traffic
    }

    /// Counts one attempt.
    fn add(&mut self, Request { run, row }: Request<'_>) {
        self.retried(run, row);
        let is_rated = row.is_rated();
        if let (Some(tokens), Some(source)) = (row.output_tokens.get(), row.source) {
            let sums = if is_rated { &mut self.output_tokens } else { &mut self.wasted_tokens };
            increment(sums, &source_name(source, row.tokenizer.map(|name| run.name(name))), tokens);
        }
        if let (Some(usage), Some(counted)) = (row.usage_output_tokens.get(), row.counted_tokens.get()) {
            let mismatch = self.token_mismatch.get_or_insert_default();
            mismatch.requests += 1;
            mismatch.usage_output_tokens += usage;
            mismatch.counted_tokens += counted;
            mismatch.difference += usage.abs_diff(counted);
        }
        if row.is_superseded {
            return;
        }
        self.requests += 1;
        *self.outcomes.entry(row.outcome.as_str()).or_default() += 1;
        *self
            .outcomes_by_phase
            .entry(row.outcome.as_str())
            .or_default()
            .entry(row.phase.as_str())
            .or_default() += 1;
        if let Some(kind) = row.error_type {
            increment(&mut self.error_types, run.name(kind), 1);
        }
        if is_rated {
            self.completed_without_tokens += u64::from(row.output_tokens.get().is_none());
            if let Some(reason) = row.finish_reason {
                increment(&mut self.finish_reasons, run.name(reason), 1);
            }
            for (sum, tokens) in [
                (&mut self.input_tokens, row.input_tokens.get()),
                (&mut self.reasoning_tokens, row.reasoning_tokens.get()),
            ] {
                *sum = tokens.map(|tokens| sum.unwrap_or(0) + tokens).or(*sum);
            }
        }
    }

    fn retried(&mut self, run: &Run, row: &Row) {
        let Some(retried) = &row.retried else { return };
        if !row.is_superseded {
            self.retries += retried.times;
            self.retried_requests += u64::from(retried.times > 0);
        }
        for Again { cause, .. } in retried.made() {
            increment(&mut self.retry_causes, run.name(*cause), 1);
        }
        if row.attempt > 1 {
            let cause = retried.attempt_cause.map_or("unknown", |cause| run.name(cause));
            increment(&mut self.retry_causes, cause, 1);
        }
    }

    /// The completed requests' output tokens, where they are all of one source: where
    /// none completed, zero of any. Absent, too, where nobody has counted any.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        match self.output_tokens.len() {
            0 => (self.completed_without_tokens == 0).then_some(0),
            1 => self.output_tokens.values().next().copied(),
            _ => None,
        }
    }

    /// The completed requests' output tokens a second over a window of so many seconds:
    /// of all, as [`tokens`](Self::tokens), and of each source by itself.
    pub(super) fn per_second(&self, window: f64) -> (Option<f64>, BTreeMap<String, f64>) {
        let per_second = |tokens: u64| (window > 0.0).then(|| tokens as f64 / window);
        let each = self.output_tokens.iter();
        let each = each.filter_map(|(source, tokens)| Some((source.clone(), per_second(*tokens)?)));
        (self.tokens().and_then(per_second), each.collect())
    }

    /// Requests that ended otherwise than by being cancelled: those that a
    /// `success_rate` is of.
    #[must_use]
    pub fn judged_requests(&self) -> u64 {
        self.requests - self.outcome(Outcome::Cancelled)
    }

    /// How many requests ended so.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or_default()
    }

    /// The one source that all tokens are of; absent where there are several, or none.
    #[must_use]
    pub fn token_source(&self) -> Option<&str> {
        let mut sources = self.output_tokens.keys();
        sources.next().filter(|_| sources.next().is_none()).map(String::as_str)
    }
}

impl Run {
    /// All attempts, in the order of their ends.
    pub(super) fn attempts(&self) -> impl Iterator<Item = Request<'_>> + Clone {
        self.rows.iter().map(|row| Request { run: self, row })
    }

    /// The requests by their last attempts.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Row> + Clone {
        logical::requests(&self.rows)
    }
}

/// The name of a source, a tokenizer's by its own.
pub(super) fn source_name(source: TokenSource, tokenizer: Option<&str>) -> Cow<'static, str> {
    match (source, tokenizer) {
        (TokenSource::Tokenizer, Some(name)) => format!("{source} {name}").into(),
        _ => source.as_str().into(),
    }
}

fn increment(sums: &mut BTreeMap<String, u64>, key: &str, by: u64) {
    match sums.get_mut(key) {
        Some(sum) => *sum += by,
        None => drop(sums.insert(key.to_owned(), by)),
    }
}

// === impl Distributions ===

/// The values of each distribution, in the order of [`Distributions`].
#[derive(Clone, Debug, Default)]
struct Values([Vec<f64>; 6]);

impl Values {
    /// Adds what an attempt has, and tells whether its stream was buffered.
    fn add(&mut self, row: &Row) -> bool {
        let timeline = &row.timeline;
        let times: [fn(&Timeline) -> Option<Duration>; 3] =
            [Timeline::ttft, Timeline::t_queue, Timeline::max_token_gap];
        for (values, time) in self.0.iter_mut().zip(times) {
            values.extend(time(timeline).map(|time| time.as_secs_f64()));
        }
        let Some(tokens) = row.output_tokens.get().filter(|_| row.is_rated()) else { return false };
        let is_buffered = timeline.is_buffered(tokens);
        if !is_buffered {
            self.0[3].extend(timeline.stream_tps(tokens));
            self.0[4].extend(timeline.decode_tps(tokens));
        }
        self.0[5].extend(timeline.end_to_end_tps(tokens));
        is_buffered
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }
}

impl Distributions {
    fn of(all: &[&Values]) -> Self {
        let of = |index: usize| {
            let values = all.iter().map(|values| values.0[index].as_slice());
            Distribution::of(values.collect::<Vec<_>>().concat())
        };
        let [ttft, t_queue, max_token_gap] = [of(0), of(1), of(2)];
        let [stream_tps, decode_tps, end_to_end_tps] = [of(3), of(4), of(5)];
        Self { ttft, t_queue, max_token_gap, stream_tps, decode_tps, end_to_end_tps }
    }
}
