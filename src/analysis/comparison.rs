//! Two runs side by side, judged.

use serde::Serialize;

use super::bootstrap::{self, Bins, Drawn, Figure};
use super::proportion::{self, Share};
use super::verdict::{Check, Demands, Rule, Verdict};
use super::{Run, Summary};
use crate::outcome::Outcome;

/// Requests that each run needs to be judged.
const FEWEST_REQUESTS: u64 = 30;
/// The share of what a run lacks from which on it is not judged: its figures may be
/// wrong by about as much.
const MOST_MISSING: f64 = 0.01;

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

/// A run that is to be judged.
#[derive(Debug)]
struct Side<'a> {
    name: &'static str,
    summary: &'a Summary,
    bins: Bins,
    drawn: Drawn,
}

/// One figure, as it is checked.
struct Asked {
    name: &'static str,
    rule: Rule,
    /// From the sum of a run's bins.
    of_bins: Figure,
    of: fn(&Summary) -> Option<f64>,
    /// The requests behind it.
    requests: fn(&Summary) -> u64,
    /// Whether it is from 0 to 1.
    is_share: bool,
    /// For a share of requests, those that have what it is the share of.
    part: Option<fn(&Summary) -> u64>,
}

const SYSTEM_TPS: Asked = Asked {
    name: "system_tps",
    rule: Rule::Rises,
    of_bins: |bin| bin.tokens / bin.seconds,
    of: |run| run.system_tps,
    requests: |run| run.traffic.outcome(Outcome::Completed),
    is_share: false,
    part: None,
};
const SUCCESS_RATE: Asked = Asked {
    name: "success_rate",
    rule: Rule::DoesNotFall,
    of_bins: |bin| bin.completed / bin.judged,
    of: |run| run.traffic.success_rate,
    requests: |run| run.traffic.judged_requests(),
    is_share: true,
    part: Some(|run| run.traffic.outcome(Outcome::Completed)),
};
const GAP_FRACTION: Asked = Asked {
    name: "gap_fraction",
    rule: Rule::Falls,
    of_bins: |bin| bin.gap / bin.seconds,
    of: |run| run.slots.gap_fraction,
    requests: |run| run.traffic.requests,
    is_share: true,
    part: None,
};
const RETRY_RATE: Asked = Asked {
    name: "retry_rate",
    rule: Rule::DoesNotRise,
    of_bins: |bin| bin.retries / bin.requests,
    of: |run| run.traffic.retry_rate,
    requests: |run| run.traffic.requests,
    is_share: false,
    part: Some(|run| run.traffic.retried_requests),
};

impl Comparison {
    /// Compares and judges two runs.
    #[must_use]
    pub fn of(baseline: &Run, candidate: &Run, demands: Demands) -> Self {
        let (old, new) = (Summary::of(baseline), Summary::of(candidate));
        let mut random = bootstrap::random();
        let mut side = |name, run: &Run, summary| {
            let bins = Bins::of(run, run.most_took());
            let drawn = bins.draw(&mut random);
            Side { name, summary, bins, drawn }
        };
        let sides = [side("baseline", baseline, &old), side("candidate", candidate, &new)];
        let verdict = judge(&sides, demands);
        Self { baseline: old, candidate: new, verdict }
    }
}

fn judge(sides: &[Side<'_>; 2], demands: Demands) -> Verdict {
    let had_backlog = sides[0].summary.slots.backlog_time > 0.0;
    let asked =
        [Some(SYSTEM_TPS), Some(SUCCESS_RATE), Some(GAP_FRACTION).filter(|_| had_backlog), Some(RETRY_RATE)];
    let checks: Vec<_> = asked.iter().flatten().map(|asked| check(sides, asked, demands)).collect();
    let mut not_judged = reasons(sides);
    for check in &checks {
        for (side, figure) in sides.iter().zip([check.baseline, check.candidate]) {
            if figure.is_none() {
                not_judged.push(format!("the {} has no {}", side.name, check.name));
            }
        }
    }
    let accepted = not_judged.is_empty() && checks.iter().all(|check| check.holds);
    let mut warnings = warnings(sides);
    for check in checks.iter().filter(|check| check.holds) {
        let went = match (check.rule, check.change) {
            (Rule::DoesNotFall, Some(change)) if change < 0.0 => "fell",
            (Rule::DoesNotRise, Some(change)) if change > 0.0 => "rose",
            _ => continue,
        };
        warnings.push(format!("{} {went}, by no more than chance could do", check.name));
    }
    Verdict { accepted, not_judged, warnings, demands, checks }
}

fn check(sides: &[Side<'_>; 2], asked: &Asked, demands: Demands) -> Check {
    let [old, new] = sides.each_ref().map(|side| side.summary);
    let (before, after) = ((asked.of)(old), (asked.of)(new));
    let change = before.zip(after).map(|(before, after)| after - before);
    let drawn = sides.each_ref().map(|side| &side.drawn);
    let interval =
        change.and_then(|change| bootstrap::interval(drawn, asked.of_bins, change, demands.confidence));
    // Student's t may reach further than a share can change.
    let interval = interval.map(|(low, high)| match asked.is_share {
        true => (low.max(-1.0), high.min(1.0)),
        false => (low, high),
    });
    let interval_by_request = asked.part.and_then(|part| {
        let share = |run: &Summary| Share { part: part(run), whole: (asked.requests)(run) };
        proportion::interval(share(old), share(new), demands.confidence)
    });
    let effect = before.map_or(0.0, |before| before.abs() * demands.min_effect);
    Check {
        name: asked.name,
        rule: asked.rule,
        baseline: before,
        candidate: after,
        change,
        relative_change: change
            .zip(before)
            .filter(|(_, before)| *before != 0.0)
            .map(|(change, before)| change / before),
        interval,
        interval_by_request,
        requests: ((asked.requests)(old), (asked.requests)(new)),
        holds: interval.is_some_and(|interval| asked.rule.holds(interval, effect))
            && interval_by_request.is_none_or(|interval| asked.rule.holds(interval, effect)),
    }
}

/// Why they cannot be judged.
fn reasons(sides: &[Side<'_>; 2]) -> Vec<String> {
    let mut reasons = Vec::new();
    for Side { name, summary, bins, .. } in sides {
        let traffic = &summary.traffic;
        if traffic.output_tokens.len() > 1 {
            let sources: Vec<_> = traffic.output_tokens.keys().map(String::as_str).collect();
            reasons.push(format!("the {name}'s tokens are of several sources: {}", sources.join(", ")));
        }
        let (completed, unknown) = (traffic.outcome(Outcome::Completed), traffic.completed_without_tokens);
        if unknown as f64 > completed as f64 * MOST_MISSING {
            reasons.push(format!(
                "of the {name}'s {completed} completed requests {unknown} have no count of tokens"
            ));
        }
        let judged = traffic.judged_requests();
        if judged < FEWEST_REQUESTS {
            let cancelled = traffic.outcome(Outcome::Cancelled);
            let beside =
                if cancelled > 0 { format!(" beside {cancelled} cancelled ones") } else { String::new() };
            reasons
                .push(format!("the {name} has {judged} requests{beside}, and {FEWEST_REQUESTS} are needed"));
        } else if bins.are_too_few() {
            reasons.push(format!(
                "the {name} is too short for requests as long as its own: its window must be {} times as long as \
                 99 in 100 of them",
                Bins::FEWEST_BLOCKS
            ));
        }
        for one in &summary.agreement.disagreements {
            let is_counter = ["requests", "completed", "output_tokens"].contains(&one.name);
            if is_counter && (one.told - one.recomputed).abs() > one.told.max(one.recomputed) * MOST_MISSING {
                let (told, recomputed) = (one.told, one.recomputed);
                reasons.push(format!("the {name} told {} of {told}, and its log has {recomputed}", one.name));
            }
        }
        if let Some(words) = summary.slots.impossible() {
            reasons.push(format!("of the {name} {words}"));
        }
        let dropped = summary.dropped_records;
        if dropped as f64 > traffic.requests as f64 * MOST_MISSING {
            reasons.push(format!("lines of the {name}'s log that could not be written: {dropped}"));
        }
    }
    let [old, new] = sides.each_ref().map(|side| side.summary);
    if let (Some(before), Some(after)) = (old.traffic.token_source(), new.traffic.token_source()) {
        if before != after {
            reasons.push(format!("tokens are of different sources: {before} and {after}"));
        }
    }
    if old.tokenizer != new.tokenizer {
        let [old, new] =
            [old, new].map(|run| if run.tokenizer.is_empty() { "not told" } else { &run.tokenizer });
        reasons.push(format!("the tokenizers differ: {old} and {new}"));
    }
    if new.slots.backlog_time == 0.0 {
        reasons.push("the candidate had no backlog at all, and so was never put to the test".to_owned());
    }
    reasons
}

/// What to know of the verdict besides.
fn warnings(sides: &[Side<'_>; 2]) -> Vec<String> {
    let mut warnings = Vec::new();
    for Side { name, summary, .. } in sides {
        if !summary.agreement.has_end {
            warnings
                .push(format!("the {name}'s end is missing: requests that were under way are in no figure"));
        }
        if !summary.agreement.holds() {
            let names: Vec<_> = summary.agreement.disagreements.iter().map(|one| one.name).collect();
            warnings.push(format!(
                "the {name}'s pool told other figures than its requests give: {}",
                names.join(", ")
            ));
        }
        if summary.dropped_records > 0 {
            warnings.push(format!(
                "lines of the {name}'s log that could not be written: {}",
                summary.dropped_records
            ));
        }
    }
    let old = &sides[0].summary.slots;
    if old.backlog_time > 0.0 && old.gap_time == 0.0 {
        warnings
            .push("the baseline had backlog and no gap: its gap_fraction is 0 and cannot fall".to_owned());
    }
    warnings
}

impl Run {
    /// What 99 in 100 of its requests held their slot for at most, in seconds;
    /// absent where none did.
    fn most_took(&self) -> Option<f64> {
        let mut times: Vec<_> = self.rows.iter().filter_map(|row| row.timeline.t_in_flight()).collect();
        let last = times.len().checked_sub(1)?;
        let (_, time, _) = times.select_nth_unstable(last - last / 100);
        Some(time.as_secs_f64())
    }
}
