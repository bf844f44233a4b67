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
        let by_source = traffic.output_tokens.iter();
        let per_second = |tokens: u64| (window > 0.0).then(|| tokens as f64 / window);
        Self {
            window_time: window,
            tokenizer: run.meta.tokenizer.to_string(),
            system_tps: tokens.and_then(per_second),
            system_tps_by_source: by_source
                .filter_map(|(source, tokens)| Some((source.clone(), per_second(*tokens)?)))
                .collect(),
            emitted_tokens: emitted,
            emitted_tps: emitted.and_then(per_second),
            slots: Slots::of(&end, tokens),
            diagnosis: Diagnosis::of(&Recomputed::start(run), &end.sample),
            agreement: Agreement::of(run, &end),
            traffic,
        }
    }
}
