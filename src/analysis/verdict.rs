//! Whether a change is accepted.

use serde::Serialize;

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
    /// What to know of it besides, each in words.
    pub warnings: Vec<String>,
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
    /// The change's interval by the moving-block bootstrap over time.
    pub interval: Option<(f64, f64)>,
    /// For a share of requests, its change's interval as if each request were
    /// independent of the others: what happened in a few moments only may be in no
    /// resample of moments. Of `retry_rate`, that of the share of requests that were
    /// tried again. The check must hold by both.
    pub interval_by_request: Option<(f64, f64)>,
    /// The requests behind it: of the baseline, of the candidate.
    pub requests: (u64, u64),
    /// Whether it holds.
    pub holds: bool,
}

/// A verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// All checks hold.
    Accepted,
    /// A check fails.
    Rejected,
    /// Neither yes nor no: the verdict says why.
    NotJudged,
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
    pub(super) fn holds(self, (low, high): (f64, f64), effect: f64) -> bool {
        match self {
            Self::Rises => low > effect,
            Self::Falls => high < -effect,
            Self::DoesNotFall => high >= 0.0,
            Self::DoesNotRise => low <= 0.0,
        }
    }
}

impl Verdict {
    /// The verdict in one word.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match (self.not_judged.is_empty(), self.accepted) {
            (false, _) => Decision::NotJudged,
            (true, true) => Decision::Accepted,
            (true, false) => Decision::Rejected,
        }
    }
}

impl Decision {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::NotJudged => "cannot be judged",
        }
    }
}
