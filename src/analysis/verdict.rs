//! Two runs side by side, and whether the change between them is accepted.

use serde::Serialize;

use super::bootstrap::{self, Bin, Figure};
use super::{Run, Summary};

/// Requests that each run needs to be judged.
const FEWEST_REQUESTS: u64 = 30;

/// Two runs in figures, and the verdict.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The run as it was.
    pub baseline: Summary,
    /// The run with the change.
    pub candidate: Summary,
    /// Whether the change is accepted.
    pub verdict: Verdict,
}

/// What is demanded of a change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Demands {
    /// By what share of the baseline's figure must rise what must rise, and fall
    /// what must fall, in 0..; zero unless told.
    pub min_effect: f64,
    /// How much of what chance could do each interval holds, in 0..1; 0.95 unless told.
    pub confidence: f64,
}

impl Default for Demands {
    fn default() -> Self {
        Self { min_effect: 0.0, confidence: 0.95 }
    }
}

/// Whether a candidate is accepted in place of a baseline: `system_tps` rises,
/// `success_rate` does not fall, `gap_fraction` falls where the baseline had
/// backlog, `retry_rate` does not rise.
///
/// To rise or to fall, all of the interval must lie on that side of zero, and
/// beyond the least effect that is demanded; not to, it must not lie all on the
/// other side of zero.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether all checks hold. False, too, where it cannot be judged.
    pub accepted: bool,
    /// Why it cannot be judged, each in words; empty where it can.
    pub not_judged: Vec<String>,
    /// What was demanded.
    pub demands: Demands,
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
    /// `change / baseline`; absent where the baseline's figure is zero.
    pub relative_change: Option<f64>,
    /// The change's bootstrap interval.
    pub interval: Option<(f64, f64)>,
    /// The requests behind it: of the baseline, of the candidate.
    pub requests: (u64, u64),
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

    /// Whether it is so, by this interval and with at least this effect.
    fn holds(self, (low, high): (f64, f64), effect: f64) -> bool {
        match self {
            Self::Rises => low > effect,
            Self::Falls => high < -effect,
            Self::DoesNotFall => high >= 0.0,
            Self::DoesNotRise => low <= 0.0,
        }
    }
}

impl Comparison {
    /// Compares and judges two runs.
    #[must_use]
    pub fn of(baseline: &Run, candidate: &Run, demands: Demands) -> Self {
        let (old, new) = (Summary::of(baseline), Summary::of(candidate));
        let verdict = Verdict::of((baseline, &old), (candidate, &new), demands);
        Self { baseline: old, candidate: new, verdict }
    }
}

impl Verdict {
    fn of(baseline: (&Run, &Summary), candidate: (&Run, &Summary), demands: Demands) -> Self {
        let (old, new) = (baseline.1, candidate.1);
        let mut random = bootstrap::random();
        let mut resamples = |run: &Run| bootstrap::resamples(&bootstrap::bins(run), &mut random);
        let (old_bins, new_bins) = (resamples(baseline.0), resamples(candidate.0));
        let check = |name, rule: Rule, figure: Figure, of: fn(&Summary) -> Option<f64>| {
            let (before, after) = (of(old), of(new));
            let interval = bootstrap::interval(&old_bins, &new_bins, figure, demands.confidence);
            let change = before.zip(after).map(|(before, after)| after - before);
            let effect = before.map(|before| before.abs() * demands.min_effect);
            Check {
                name,
                rule,
                baseline: before,
                candidate: after,
                change,
                relative_change: change
                    .zip(before)
                    .filter(|(_, before)| *before != 0.0)
                    .map(|(change, before)| change / before),
                interval,
                requests: (old.traffic.requests, new.traffic.requests),
                holds: after.is_some()
                    && interval.zip(effect).is_some_and(|(interval, effect)| rule.holds(interval, effect)),
            }
        };
        let mut checks = vec![
            check("system_tps", Rule::Rises, |bin| bin.tokens / bin.seconds, |run| run.system_tps),
            check(
                "success_rate",
                Rule::DoesNotFall,
                |bin| bin.completed / bin.judged,
                |run| run.traffic.success_rate,
            ),
            check(
                "retry_rate",
                Rule::DoesNotRise,
                |bin| bin.retries / bin.requests,
                |run| run.traffic.retry_rate,
            ),
        ];
        if old.slots.backlog_time > 0.0 {
            let figure = |bin: &Bin| bin.gap / bin.seconds;
            checks.insert(2, check("gap_fraction", Rule::Falls, figure, |run| run.slots.gap_fraction));
        }
        let not_judged = not_judged(old, new);
        let accepted = not_judged.is_empty() && checks.iter().all(|check| check.holds);
        Self { accepted, not_judged, demands, checks }
    }
}

fn not_judged(old: &Summary, new: &Summary) -> Vec<String> {
    let mut reasons = Vec::new();
    for (run, name) in [(old, "baseline"), (new, "candidate")] {
        if run.traffic.output_tokens.len() > 1 {
            let sources: Vec<_> = run.traffic.output_tokens.keys().map(String::as_str).collect();
            reasons.push(format!("the {name}'s tokens are of several sources: {}", sources.join(", ")));
        }
    }
    if let (Some(before), Some(after)) = (old.traffic.token_source(), new.traffic.token_source()) {
        if before != after {
            reasons.push(format!("tokens are of different sources: {before} and {after}"));
        }
    }
    if old.tokenizer != new.tokenizer {
        reasons.push(format!("the tokenizers differ: {} and {}", old.tokenizer, new.tokenizer));
    }
    for (run, name) in [(old, "baseline"), (new, "candidate")] {
        let requests = run.traffic.requests;
        if requests < FEWEST_REQUESTS {
            reasons.push(format!("the {name} has {requests} requests, and {FEWEST_REQUESTS} are needed"));
        }
    }
    if new.slots.backlog_time == 0.0 {
        reasons.push("the candidate had no backlog at all, and so was never put to the test".to_owned());
    }
    reasons
}
