//! From a request's line to its row.

use std::num::NonZeroU16;
use std::time::Duration;

use super::line::{At, RequestLine, RetryLine, Seconds};
use crate::analysis::names::Names;
use crate::analysis::row::{Again, Count, NO_ID, Retried, Row, emitted, id_of};
use crate::analysis::spread;
use crate::gate::{PhaseTimes, SlotPhase};
use crate::outcome::{Outcome, Phase};
use crate::timeline::Timeline;
use crate::tokens::TokenSource;

/// No request generates so many.
const MOST_TOKENS: u64 = 1_000_000_000;
/// No request takes so long.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a line cannot be true; absent where it can.
pub(super) fn absurd(line: &RequestLine<'_>) -> Option<String> {
    let instants = [
        ("queued_at", Some(line.queued_at)),
        ("admitted_at", line.admitted_at),
        ("headers_at", line.headers_at),
        ("first_token_at", line.first_token_at),
        ("last_token_at", line.last_token_at),
        ("released_at", Some(line.released_at)),
    ];
    let mut before = ("queued_at", line.queued_at);
    for (name, at) in instants.into_iter().filter_map(|(name, at)| Some((name, at?))) {
        if at.0 < before.1.0 {
            return Some(format!("{name} is before {}", before.0));
        }
        before = (name, at);
    }
    if (line.headers_at.is_some() || line.first_token_at.is_some()) && line.admitted_at.is_none() {
        return Some("it has a response and was never admitted".to_owned());
    }
    if line.first_token_at.is_some() != line.last_token_at.is_some() {
        return Some("it has one of first_token_at and last_token_at".to_owned());
    }
    if line.released_at.0.since(line.queued_at.0) > LONGEST {
        return Some(format!("it took longer than {} days", LONGEST.as_secs() / 86_400));
    }
    let tokens = [
        ("output_tokens", line.output_tokens),
        ("usage_output_tokens", line.usage_output_tokens),
        ("counted_tokens", line.counted_tokens),
        ("input_tokens", line.input_tokens),
        ("reasoning_tokens", line.reasoning_tokens),
        ("first_chunk_tokens", line.first_chunk_tokens),
    ];
    let too_many = |(_, tokens): &(&str, Option<u64>)| tokens.is_some_and(|tokens| tokens > MOST_TOKENS);
    if let Some((name, Some(tokens))) = tokens.into_iter().find(too_many) {
        return Some(format!("{name} is {tokens}"));
    }
    if !are_in_order(line) {
        return Some("its retries are not one after the other before its headers".to_owned());
    }
    let phases = phases(line);
    let held = line.admitted_at.map(|admitted| line.released_at.0.since(admitted.0));
    // A writer that knows no phases is no liar.
    let has_phases = phases.total() > Duration::ZERO;
    (has_phases && held != Some(phases.total()))
        .then(|| "its phases do not add up to the time it held its slot".to_owned())
}

/// Whether the retries that it made with its slot follow on each other.
fn are_in_order(line: &RequestLine<'_>) -> bool {
    let Some(retries) = line.retries.as_deref().filter(|retries| !retries.is_empty()) else { return true };
    let Some(admitted_at) = line.admitted_at else { return false };
    let instants = retries.iter().flat_map(|retry| [Some(retry.failed_at), retry.resumed_at]);
    let until = line.headers_at.unwrap_or(line.released_at);
    let all = [Some(admitted_at)].into_iter().chain(instants).chain([Some(until)]);
    all.flatten().map(|at| at.0).is_sorted()
}

/// How it ended, and what its tokens were counted by.
type Words = (Outcome, Option<TokenSource>);

/// What those words of a line stand for.
///
/// # Errors
/// A word that no log has.
pub(super) fn words(line: &RequestLine<'_>) -> Result<Words, String> {
    Ok((outcome(&line.outcome)?, source(line.token_source.as_deref())?))
}

/// The row of a line that can be true.
pub(super) fn row(line: &RequestLine<'_>, (outcome, source): Words, names: &mut Names) -> Row {
    let mut name = |word: Option<&str>| word.map(|word| names.intern(word));
    let (model, format) = (name(line.model.as_deref()), name(line.format.as_deref()));
    let (tokenizer, error_type) = (name(line.tokenizer.as_deref()), name(line.error_type.as_deref()));
    let finish_reason = name(line.finish_reason.as_deref());
    let attempt_cause = name(line.attempt_cause.as_deref());
    let inside = |retry: &RetryLine<'_>| Again {
        cause: names.intern(&retry.cause),
        failed_at: retry.failed_at.0,
        resumed_at: retry.resumed_at.map(|at| at.0),
    };
    let inside = line.retries.iter().flatten().map(inside).collect();
    let retried = Retried { inside, attempt_cause, times: 0 };
    let mut row = Row {
        timeline: timeline(line),
        phases: phases(line),
        id: line.request_id.as_deref().map_or(NO_ID, id_of),
        retried: (!retried.is_empty()).then(|| Box::new(retried)),
        output_tokens: Count::new(line.output_tokens),
        usage_output_tokens: Count::new(line.usage_output_tokens),
        counted_tokens: Count::new(line.counted_tokens),
        emitted_tokens: Count::new(match line.tokenizer.as_deref() {
            Some(tokenizer) => emitted(tokenizer, line.counted_tokens, line.content_events),
            // Without headers nothing can have passed.
            None => line.headers_at.is_none().then_some(0),
        }),
        input_tokens: Count::new(line.input_tokens),
        reasoning_tokens: Count::new(line.reasoning_tokens),
        source: line.output_tokens.and(source),
        status: line.status.and_then(NonZeroU16::new),
        attempt: line.attempt.map_or(1, |attempt| u16::try_from(attempt).unwrap_or(u16::MAX)),
        outcome,
        phase: phase(line, outcome),
        is_superseded: false,
        model,
        format,
        tokenizer,
        error_type,
        finish_reason,
    };
    if row.phases.total().is_zero() {
        // A writer that knows none.
        row.phases = spread::phases_by_instants(&row);
    }
    row
}

fn timeline(line: &RequestLine<'_>) -> Timeline {
    let at = |at: Option<At>| at.map(|at| at.0);
    let mut timeline = Timeline::new(line.queued_at.0);
    timeline.admitted_at = at(line.admitted_at);
    timeline.headers_at = at(line.headers_at);
    timeline.first_chunk_at = at(line.first_chunk_at);
    timeline.first_token_at = at(line.first_token_at);
    timeline.last_token_at = at(line.last_token_at);
    timeline.released_at = Some(line.released_at.0);
    let fullest = line.burst.zip(line.output_tokens);
    let fullest = fullest.map_or(0, |(burst, tokens)| (burst.clamp(0.0, 1.0) * tokens as f64).round() as u64);
    // Where it is not known how many came first, no token is known to have come later:
    // what would need that is absent.
    timeline.tokens_in_frames(line.first_chunk_tokens.unwrap_or(u64::MAX), fullest);
    if let Some(gap) = line.max_token_gap {
        timeline.tell_max_token_gap(gap.0);
    }
    timeline
}

fn phases(line: &RequestLine<'_>) -> PhaseTimes {
    let nanos =
        |time: Option<Seconds>| time.map_or(0, |time| u64::try_from(time.0.as_nanos()).unwrap_or(u64::MAX));
    // In the order of the phases.
    const _: () = assert!(matches!(SlotPhase::ALL[5], SlotPhase::Drain));
    PhaseTimes::from_nanos([
        nanos(line.dispatch),
        nanos(line.backoff),
        nanos(line.prefill),
        nanos(line.generate),
        nanos(line.stall),
        nanos(line.drain),
    ])
}

fn outcome(word: &str) -> Result<Outcome, String> {
    Ok(match word {
        "completed" => Outcome::Completed,
        "cancelled" => Outcome::Cancelled,
        "truncated" => Outcome::Truncated,
        "failed" => Outcome::Failed,
        "rejected" => Outcome::Rejected,
        _ => return Err(format!("{word:?} is no outcome")),
    })
}

/// As the line says, or as far as its instants go.
fn phase(line: &RequestLine<'_>, outcome: Outcome) -> Phase {
    match line.phase.as_deref() {
        Some("queued") => Phase::Queued,
        Some("dispatch") => Phase::Dispatch,
        Some("prefill") => Phase::Prefill,
        Some("streaming") => Phase::Streaming,
        Some("drain") => Phase::Drain,
        Some("done") => Phase::Done,
        _ if outcome == Outcome::Completed => Phase::Done,
        _ if line.admitted_at.is_none() => Phase::Queued,
        _ if line.headers_at.is_none() => Phase::Dispatch,
        _ if line.first_token_at.is_none() => Phase::Prefill,
        _ => Phase::Streaming,
    }
}

fn source(word: Option<&str>) -> Result<Option<TokenSource>, String> {
    Ok(match word {
        None => None,
        Some("usage") => Some(TokenSource::Usage),
        Some("tokenizer") => Some(TokenSource::Tokenizer),
        Some("events") => Some(TokenSource::Events),
        Some(word) => return Err(format!("{word:?} is no source of tokens")),
    })
}
