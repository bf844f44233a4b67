//! The verdict on a change, and the checks that it follows from.

use maud::{Markup, html};

use super::draw::axes::plain;
use super::draw::intervals;
use super::figures;
use crate::analysis::{Check, Decision, Verdict};

/// How a figure is written.
type Text = fn(f64) -> String;

/// The verdict, with the reasons where it cannot be judged.
pub(super) fn verdict(verdict: &Verdict) -> Markup {
    let failed: Vec<_> = verdict.checks.iter().filter(|check| !check.holds).collect();
    let (class, word) = match verdict.decision() {
        Decision::NotJudged => ("unknown", "Cannot be judged"),
        Decision::Accepted => ("accepted", "Accepted"),
        Decision::Rejected => ("rejected", "Rejected"),
    };
    html! {
        section.verdict.(class) {
            h2 { (word) }
            @if !verdict.not_judged.is_empty() {
                ul { @for reason in &verdict.not_judged { li { (figures::short(reason)) } } }
            } @else if failed.is_empty() {
                p { "Everything that is asked of a change holds." }
            } @else {
                ul { @for check in failed { li { "It does not hold that " code { (check.name) } " " (check.rule.as_str()) "." } } }
            }
            @for warning in &verdict.warnings { p.note { "Beware: " (figures::short(warning)) "." } }
        }
    }
}

/// The checks: both figures, the change, and its interval against zero.
pub(super) fn checks(verdict: &Verdict) -> Markup {
    let confidence = format!("{} %", plain(verdict.demands.confidence * 100.0));
    html! {
        section {
            h3 { "What is asked of the change" }
            p.caption {
                "Each bar is the " (confidence) " interval of the change, over time or, where it fails by that, by single requests: it must hold by both. The dot is the change, the upright line is no change."
                @if verdict.demands.min_effect > 0.0 {
                    " What must rise or fall must do so by more than " (figures::percent(verdict.demands.min_effect)) "."
                }
            }
            div.checks { @for check in &verdict.checks { (one(check, &confidence)) } }
        }
    }
}

/// The interval to draw: the one that the check fails by, where it fails by one.
fn shown(check: &Check) -> Option<(f64, f64)> {
    let fails = |(low, high): &(f64, f64)| !check.rule.holds((*low, *high), 0.0);
    check
        .interval_by_request
        .filter(|interval| fails(interval) && check.interval.is_some())
        .or(check.interval)
}

fn one(check: &Check, confidence: &str) -> Markup {
    let is_rate = check.name == "system_tps";
    let text: Text = if is_rate { figures::number } else { figures::percent };
    let in_change: Text = if is_rate { figures::number } else { figures::points };
    let is_told = check.candidate.is_some();
    let unit = if is_rate && is_told { " tokens/s" } else { "" };
    let maybe = |value: Option<f64>| value.map_or_else(|| figures::ABSENT.to_owned(), text);
    let change = |value: Option<f64>| {
        value.map_or_else(|| figures::ABSENT.to_owned(), |value| figures::change(value, in_change))
    };
    let (class, state) = match (check.holds, check.interval) {
        (true, _) => ("holds", "holds"),
        (false, Some(_)) => ("fails", "does not hold"),
        (false, None) => ("unknown", "cannot be told"),
    };
    html! {
        div.check.(class) {
            h4 { code { (check.name) } " " (check.rule.as_str()) span.state { (state) } }
            p.both { (maybe(check.baseline)) span.arrow { " → " } strong { (maybe(check.candidate)) } (unit) }
            p.change {
                (change(check.change)) (unit)
                @if let Some(relative) = check.relative_change { span.note { " (" (figures::change(relative, figures::percent)) ")" } }
            }
            @if let Some((low, high)) = shown(check) {
                @let words = format!("{} to {}{unit}", figures::change(low, in_change), figures::change(high, in_change));
                @if let Some(picture) = check.change.and_then(|change| {
                    intervals::interval(&format!("Interval of the change: {words}"), change, (low, high), check.holds)
                }) { (picture) }
                p.note {
                    (confidence) " interval " (words)
                    @if shown(check) != check.interval { ", of single requests" }
                }
            } @else { p.note { "There is no interval." } }
            @if let Some((low, high)) = check.interval_by_request.filter(|_| shown(check) == check.interval) {
                p.note { "Of single requests " (figures::change(low, in_change)) " to " (figures::change(high, in_change)) }
            }
            p.note {
                "From " (figures::count(check.requests.0)) " and " (figures::count(check.requests.1)) " requests."
            }
        }
    }
}
