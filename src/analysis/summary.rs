//! A run in figures, by the names of the definitions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::agreement::Agreement;
use super::recomputed::Recomputed;
use super::run::Run;
use super::slots::Slots;
use super::traffic::Traffic;
use crate::diagnosis::Diagnosis;

/// A run in figures, all from its requests and its changes, and held against
/// what the pool told. Times are seconds, rates tokens a second; what does not
/// exist is absent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// From the start to the end, or to the last instant that was told of.
    pub window_time: f64,
    /// How tokens were counted where there was no usage.
    pub tokenizer: String,
    /// Output tokens of completed requests / window; absent where their tokens
    /// are of several sources.
    pub system_tps: Option<f64>,
    /// The same for each source by itself.
    pub system_tps_by_source: BTreeMap<String, f64>,
    /// Tokens that passed, whatever became of their request, as the pool told; where it
    /// told nothing, those of the requests that have ended. By the tokenizer, or one for
    /// each event with content: a document is one. Absent where neither is known.
    pub emitted_tokens: Option<u64>,
    /// Tokens that passed / window.
    pub emitted_tps: Option<f64>,
    /// The requests.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// The slots and the queue.
    #[serde(flatten)]
    pub slots: Slots,
    /// Where throughput was lost.
    pub diagnosis: Diagnosis,
    /// Whether the pool told the same.
    pub agreement: Agreement,
    /// Lines that the log's writer could not keep: what is in them is in no figure.
    pub dropped_records: u64,
}

impl Summary {
    /// The figures of a run as far as it has come. Requests that have not ended
    /// are in none of them.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let window = run.window_time().as_secs_f64();
        let end = Recomputed::of(run);
        let traffic = Traffic::of(run.attempts());
        let tokens = traffic.tokens();
        let told = run.told.last().and_then(|told| told.number("emitted_tokens"));
        let emitted = told.or(end.emitted_tokens);
        let (system_tps, system_tps_by_source) = traffic.per_second(window);
        let mut diagnosis = Diagnosis::of(&Recomputed::start(run), &end.sample);
        if tokens.is_none() {
            // The counter has tokens of every source in one sum.
            diagnosis.findings.iter_mut().for_each(|finding| finding.tokens = None);
        }
        Self {
            window_time: window,
            tokenizer: run.meta.tokenizer.to_string(),
            system_tps,
            system_tps_by_source,
            emitted_tokens: emitted,
            emitted_tps: emitted.filter(|_| window > 0.0).map(|tokens| tokens as f64 / window),
            slots: Slots::of(&end, tokens),
            diagnosis,
            agreement: Agreement::of(run, &end),
            dropped_records: run.meta.dropped_records,
            traffic,
        }
    }
}
