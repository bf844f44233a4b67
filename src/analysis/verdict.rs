//! Whether a change is accepted.

use serde::Serialize;

use super::bootstrap::{self, Bin, Figure};
use super::{Run, Summary};

/// Requests that each run needs to be judged.
const FEWEST_REQUESTS: usize = 30;
const CONFIDENCE: f64 = 0.95;

/// Whether a candidate is accepted in place of a baseline: `system_tps` rises,
/// `success_rate` does not fall, `gap_fraction` falls where the baseline had
/// backlog, `retry_rate` does not rise.
///
/// To rise or to fall, all of the interval must lie on that side of zero; not
/// to, it must not lie all on the other.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether all checks hold. False, too, where it cannot be judged.
    pub accepted: bool,
    /// Why it cannot be judged, each in words; empty where it can.
    pub not_judged: Vec<String>,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One figure of both runs, and what is asked of their difference.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The figure.
    pub name: &'static str,
    /// What is asked.
    pub rule: Rule,
    /// The baseline's figure.
    pub baseline: Option<f64>,
    /// The candidate's figure.
    pub candidate: Option<f64>,
    /// `candidate - baseline`.
    pub change: Option<f64>,
    /// The change's 95 % bootstrap interval.
    pub interval: Option<(f64, f64)>,
    /// The requests behind it: of the baseline, of the candidate.
    pub requests: (usize, usize),
    /// Whether it holds.
    pub holds: bool,
}

/// What is asked of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// It must rise.
    Rises,
    /// It must fall.
    Falls,
    /// It must not fall.
    DoesNotFall,
    /// It must not rise.
    DoesNotRise,
}

impl Rule {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rises => "rises",
            Self::Falls => "falls",
            Self::DoesNotFall => "does not fall",
            Self::DoesNotRise => "does not rise",
        }
    }

    fn holds(self, (low, high): (f64, f64)) -> bool {
        match self {
            Self::Rises => low > 0.0,
            Self::Falls => high < 0.0,
            Self::DoesNotFall => high >= 0.0,
            Self::DoesNotRise => low <= 0.0,
        }
    }
}

impl Verdict {
    /// Judges two runs; absent where one has no sample yet.
    #[must_use]
    pub fn of(baseline: &Run, candidate: &Run) -> Option<Self> {
        let (old, new) = (Summary::of(baseline)?, Summary::of(candidate)?);
        let (old_bins, new_bins) = (bootstrap::bins(baseline), bootstrap::bins(candidate));
        let check = |name, rule: Rule, figure: Figure, of: fn(&Summary) -> Option<f64>| {
            let (before, after) = (of(&old), of(&new));
            let interval = bootstrap::interval(&old_bins, &new_bins, figure, CONFIDENCE);
            Check {
                name,
                rule,
                baseline: before,
                candidate: after,
                change: before.zip(after).map(|(before, after)| after - before),
                interval,
                requests: (old.requests, new.requests),
                holds: before.is_some()
                    && after.is_some()
                    && interval.is_some_and(|interval| rule.holds(interval)),
            }
        };
        let mut checks = vec![
            check("system_tps", Rule::Rises, |bin| bin.tokens / bin.seconds, |run| run.system_tps),
            check(
                "success_rate",
                Rule::DoesNotFall,
                |bin| bin.completed / bin.judged,
                |run| run.success_rate,
            ),
            check("retry_rate", Rule::DoesNotRise, |bin| bin.retries / bin.requests, |run| run.retry_rate),
        ];
        if old.backlog_time > 0.0 {
            let figure = |bin: &Bin| bin.gap / bin.seconds;
            checks.insert(2, check("gap_fraction", Rule::Falls, figure, |run| run.gap_fraction));
        }
        let not_judged = not_judged(&old, &new);
        let accepted = not_judged.is_empty() && checks.iter().all(|check| check.holds);
        Some(Self { accepted, not_judged, checks })
    }
}

fn not_judged(old: &Summary, new: &Summary) -> Vec<String> {
    let mut reasons = Vec::new();
    for (run, name) in [(old, "baseline"), (new, "candidate")] {
        if run.output_tokens.len() > 1 {
            let sources: Vec<_> = run.output_tokens.keys().copied().collect();
            reasons.push(format!("the {name}'s tokens are of several sources: {}", sources.join(", ")));
        }
    }
    if let (Some(before), Some(after)) = (old.token_source(), new.token_source()) {
        if before != after {
            reasons.push(format!("tokens are of different sources: {before} and {after}"));
        }
    }
    if old.tokenizer != new.tokenizer {
        reasons.push(format!("the tokenizers differ: {} and {}", old.tokenizer, new.tokenizer));
    }
    for (run, name) in [(old, "baseline"), (new, "candidate")] {
        if run.requests < FEWEST_REQUESTS {
            reasons
                .push(format!("the {name} has {} requests, and {FEWEST_REQUESTS} are needed", run.requests));
        }
    }
    if new.backlog_time == 0.0 {
        reasons.push("the candidate had no backlog at all, and so was never put to the test".to_owned());
    }
    reasons
}
