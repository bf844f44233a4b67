//! Verdicts on logs that can be followed by hand, and the reasons not to judge.
#![cfg(feature = "analysis")]

use tower_tps::analysis::{Comparison, Decision, Demands, Logs, Run};

/// A run with one slot, whose requests of a second each come every so many, with
/// the rest of the work declared.
#[derive(Clone, Copy)]
struct Log {
    requests: u64,
    every: u64,
    outcome: fn(u64) -> &'static str,
    tokens: fn(u64) -> Option<u64>,
    source: &'static str,
    tokenizer: &'static str,
    has_backlog: bool,
    dropped: u64,
}

const BEFORE: Log = Log {
    requests: 100,
    every: 2,
    outcome: |_| "completed",
    tokens: |_| Some(10),
    source: "usage",
    tokenizer: "events",
    has_backlog: true,
    dropped: 0,
};
const AFTER: Log = Log { every: 1, ..BEFORE };

impl Log {
    fn run(&self) -> Run {
        read(&self.text())
    }

    fn text(&self) -> String {
        let at = |second: u64| {
            format!("2026-01-31T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
        };
        let head = |kind: &str| format!("{{\"type\":\"{kind}\",\"run_id\":\"r\",\"pool\":\"p\"");
        let tokenizer = self.tokenizer;
        let mut text = format!(
            "{},\"started_at\":\"{}\",\"cap\":1,\"tokenizer\":\"{tokenizer}\"}}\n",
            head("run"),
            at(0)
        );
        let backlog = |second: u64, from: u64, to: u64| match self.has_backlog {
            true => format!("{},\"at\":\"{}\",\"from\":{from},\"to\":{to}}}\n", head("backlog"), at(second)),
            false => String::new(),
        };
        text += &backlog(0, 0, self.requests);
        for request in 0..self.requests {
            let (from, left) = (request * self.every, self.requests - request - 1);
            text += &backlog(from, left + 1, left);
            let tokens = (self.tokens)(request).map_or_else(String::new, |tokens| {
                format!(",\"output_tokens\":{tokens},\"token_source\":\"{}\"", self.source)
            });
            text += &format!(
                "{},\"outcome\":\"{}\",\"queued_at\":\"{2}\",\"admitted_at\":\"{2}\",\"released_at\":\"{3}\"{tokens}}}\n",
                head("request"),
                (self.outcome)(request),
                at(from),
                at(from + 1),
            );
        }
        let dropped = self.dropped;
        text += &format!(
            "{},\"at\":\"{}\",\"dropped_records\":{dropped}}}\n",
            head("end"),
            at(self.requests * self.every)
        );
        text
    }
}

fn read(text: &str) -> Run {
    let mut logs = Logs::default();
    logs.read("log", text.as_bytes()).unwrap();
    let (mut runs, left_out) = logs.finish();
    assert!(left_out.is_empty(), "{left_out:?}");
    runs.remove(0)
}

fn judged(before: Log, after: Log) -> Comparison {
    Comparison::of(&before.run(), &after.run(), Demands::default())
}

fn failing(comparison: &Comparison) -> Vec<&'static str> {
    comparison.verdict.checks.iter().filter(|check| !check.holds).map(|check| check.name).collect()
}

/// Twice as fast with no gap left: accepted, with figures that are plain to see.
#[test]
fn a_gap_that_is_gone() {
    let verdict = judged(BEFORE, AFTER).verdict;
    assert_eq!((verdict.decision(), verdict.warnings.len()), (Decision::Accepted, 0), "{verdict:#?}");
    let figures: Vec<_> = verdict
        .checks
        .iter()
        .map(|check| (check.name, check.baseline.unwrap(), check.candidate.unwrap()))
        .collect();
    assert_eq!(
        figures,
        [
            ("system_tps", 5.0, 10.0),
            ("success_rate", 1.0, 1.0),
            ("gap_fraction", 0.495, 0.0),
            ("retry_rate", 0.0, 0.0)
        ]
    );
    assert_eq!((verdict.checks[0].change, verdict.checks[0].relative_change), (Some(5.0), Some(1.0)));
    let (low, high) = verdict.checks[0].interval.unwrap();
    assert!(4.8 < low && high < 5.2, "hardly anything varies: {low} .. {high}");
    assert!(verdict.checks.iter().all(|check| check.requests == (100, 100)));
}

/// Many failures within a moment fail the check, though most resamples of moments
/// have none of them; a few that are alike in both runs do not.
#[test]
fn an_outage_is_a_fall() {
    let outage =
        Log { outcome: |request| if (50..62).contains(&request) { "failed" } else { "completed" }, ..AFTER };
    let comparison = judged(BEFORE, outage);
    assert_eq!(
        (comparison.verdict.decision(), failing(&comparison)),
        (Decision::Rejected, vec!["success_rate"])
    );
    let check = &comparison.verdict.checks[1];
    assert!(check.interval.unwrap().1 >= 0.0, "by moments alone it could be chance");
    assert!(check.interval_by_request.unwrap().1 < 0.0);
    let some = |request| if request % 20 == 0 { "failed" } else { "completed" };
    let verdict = judged(Log { outcome: some, ..BEFORE }, Log { outcome: some, ..AFTER }).verdict;
    assert_eq!(verdict.decision(), Decision::Accepted, "{verdict:#?}");
}

/// What must rise must do so by more than was demanded.
#[test]
fn the_least_effect() {
    for (min_effect, decision) in [(0.9, Decision::Accepted), (1.1, Decision::Rejected)] {
        let mut demands = Demands::default();
        demands.min_effect = min_effect;
        // The gap falls by all of it at most.
        let comparison = Comparison::of(&BEFORE.run(), &AFTER.run(), demands);
        assert_eq!(comparison.verdict.decision(), decision, "{min_effect}");
    }
}

/// Each reason not to judge is said, and then the verdict is neither yes nor no.
#[test]
fn reasons_not_to_judge() {
    let cancelled = |_| "cancelled";
    let most_cancelled = |request| if request < 29 { "completed" } else { "cancelled" };
    for (before, after, reason) in [
        (Log { requests: 29, ..BEFORE }, AFTER, "the baseline has 29 requests, and 30 are needed"),
        (
            BEFORE,
            Log { outcome: most_cancelled, ..AFTER },
            "the candidate has 29 requests beside 71 cancelled ones",
        ),
        (BEFORE, Log { outcome: cancelled, ..AFTER }, "the candidate has no success_rate"),
        (BEFORE, Log { source: "events", ..AFTER }, "tokens are of different sources: usage and events"),
        (BEFORE, Log { tokenizer: "o200k", ..AFTER }, "the tokenizers differ: events and o200k"),
        (BEFORE, Log { has_backlog: false, ..AFTER }, "the candidate had no backlog at all"),
        (
            Log { tokens: |_| None, ..BEFORE },
            AFTER,
            "of the baseline's 100 completed requests 100 have no count",
        ),
        (
            Log { tokens: |request| Some(10).filter(|_| request % 2 == 0), ..BEFORE },
            AFTER,
            "of the baseline's 100 completed requests 50 have no count of tokens",
        ),
        (BEFORE, Log { dropped: 50, ..AFTER }, "lines of the candidate's log that could not be written: 50"),
    ] {
        let verdict = judged(before, after).verdict;
        assert_eq!(verdict.decision(), Decision::NotJudged, "{reason}: {verdict:#?}");
        assert!(
            verdict.not_judged.iter().any(|said| said.contains(reason)),
            "{reason}: {:?}",
            verdict.not_judged
        );
    }
}

/// What nobody has counted is unknown, and not zero.
#[test]
fn unknown_tokens_are_not_zero() {
    let comparison = judged(Log { tokens: |_| None, ..BEFORE }, AFTER);
    let baseline = &comparison.baseline;
    assert_eq!((baseline.system_tps, baseline.slots.lost_tokens), (None, None));
    assert_eq!(baseline.traffic.completed_without_tokens, 100);
    assert!(baseline.diagnosis.findings.iter().all(|finding| finding.tokens.is_none()));
}

/// A run that is hardly longer than its requests is not judged, however many they are.
#[test]
fn too_short_for_its_requests() {
    let request = |slot: u64| {
        format!(
            "{{\"type\":\"request\",\"run_id\":\"r\",\"pool\":\"p\",\"outcome\":\"completed\",\
             \"queued_at\":\"2026-01-31T00:00:00Z\",\"admitted_at\":\"2026-01-31T00:00:0{slot}Z\",\
             \"released_at\":\"2026-01-31T00:00:1{slot}Z\",\"output_tokens\":10,\"token_source\":\"usage\"}}\n"
        )
    };
    let mut text =
        "{\"type\":\"run\",\"run_id\":\"r\",\"pool\":\"p\",\"started_at\":\"2026-01-31T00:00:00Z\",\
                    \"cap\":64,\"tokenizer\":\"events\"}\n"
            .to_owned();
    text.extend((0..60).map(|slot| request(slot % 10)));
    let mut logs = Logs::default();
    logs.read("short", text.as_bytes()).unwrap();
    let short = logs.finish().0.remove(0);
    let verdict = Comparison::of(&BEFORE.run(), &short, Demands::default()).verdict;
    assert!(
        verdict.not_judged.iter().any(|reason| reason.contains("the candidate is too short")),
        "{:?}",
        verdict.not_judged
    );
}

/// What is doubtful is said beside the verdict.
#[test]
fn warnings() {
    let verdict = judged(Log { every: 1, ..BEFORE }, Log { dropped: 1, ..AFTER }).verdict;
    assert_eq!(
        verdict.warnings,
        [
            "lines of the candidate's log that could not be written: 1",
            "the baseline had backlog and no gap: its gap_fraction is 0 and cannot fall",
        ]
    );
    assert_eq!(verdict.decision(), Decision::Rejected);
}

/// A log that lost its failures, and one whose lines were written twice, are not judged.
#[test]
fn lines_that_are_missing_or_there_twice() {
    let told = |text: String| {
        text.replace("\"dropped_records\"", "\"requests\":100,\"completed\":90,\"dropped_records\"")
    };
    let failing = Log { outcome: |request| if request % 10 == 0 { "failed" } else { "completed" }, ..AFTER };
    let whole = told(failing.text());
    assert_eq!(
        Comparison::of(&BEFORE.run(), &read(&whole), Demands::default()).verdict.decision(),
        Decision::Rejected
    );
    let lost: String =
        whole.lines().filter(|line| !line.contains("failed")).map(|line| format!("{line}\n")).collect();
    let verdict = Comparison::of(&BEFORE.run(), &read(&lost), Demands::default()).verdict;
    let reason = "the candidate told requests of 100, and its log has 90";
    assert!(verdict.not_judged.iter().any(|said| said == reason), "{:?}", verdict.not_judged);

    let twice = |line: &str| format!("{line}\n").repeat(if line.contains("\"request\"") { 2 } else { 1 });
    let twice: String = AFTER.text().lines().map(twice).collect();
    let verdict = Comparison::of(&BEFORE.run(), &read(&twice), Demands::default()).verdict;
    assert_eq!(verdict.decision(), Decision::NotJudged);
    assert!(
        verdict.not_judged[0].contains("more were in flight than its cap ever was"),
        "{:?}",
        verdict.not_judged
    );
}

/// A fall that chance could have made is said, though the check holds.
#[test]
fn a_fall_by_chance_is_said() {
    let fails = Log { outcome: |request| if request == 50 { "failed" } else { "completed" }, ..AFTER };
    let verdict = judged(BEFORE, fails).verdict;
    assert_eq!(verdict.decision(), Decision::Accepted);
    assert_eq!(verdict.warnings, ["success_rate fell, by no more than chance could do"]);
}
