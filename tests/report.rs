//! A run over time and by group, on a log that can be followed by hand: that of
//! the documentation of `analysis`.
#![cfg(feature = "analysis")]

use std::time::Duration;

use tower_tps::analysis::{By, Details, Logs, Report, Run, Summary, Window};

const WORKED: &str = include_str!("fixtures/worked.jsonl");

fn read(log: &str) -> Run {
    let mut logs = Logs::default();
    logs.read("worked.jsonl", log.as_bytes()).unwrap();
    let (mut runs, left_out) = logs.finish();
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

/// The log of the documentation is the fixture, so that both are the same example.
#[test]
fn the_worked_log_is_the_documented_one() {
    let docs = include_str!("../src/analysis/mod.rs");
    for line in WORKED.lines() {
        assert!(docs.contains(line), "{line}");
    }
}

/// Windows of five seconds: the last one is cut off at the run's end.
#[test]
fn over_time_by_hand() {
    let windows = read(WORKED).windows(Duration::from_secs(5));
    let of = |figure: fn(&Window) -> f64| windows.iter().map(figure).collect::<Vec<_>>();
    assert_eq!(of(|window| window.start), [0.0, 5.0, 10.0]);
    assert_eq!(of(|window| window.window_time), [5.0, 5.0, 2.0]);
    assert_eq!(of(|window| window.gap_time_orchestration), [4.0, 0.0, 0.0]);
    assert_eq!(of(|window| window.backlog_time), [5.0, 1.0, 0.0]);
    assert_eq!(of(|window| window.mean_queue_depth), [9.0 / 5.0, 1.0 / 5.0, 0.0]);
    assert_eq!(of(|window| window.mean_in_flight), [6.0 / 5.0, 7.0 / 5.0, 0.0]);
    assert_eq!(of(|window| window.mean_cap), [2.0, 2.0, 2.0]);
    assert_eq!(of(|window| window.idle_slot_time), [0.0, 3.0, 4.0]);
    // Requests count where they ended: at 6, at 7 and, just in the last window, at 10.
    assert_eq!(windows.iter().map(|window| window.requests).collect::<Vec<_>>(), [0, 2, 1]);
    assert_eq!(of(|window| window.system_tps.unwrap()), [0.0, 8.0, 10.0]);
    // The first generates from 2 to 6; the second from 5 to 9, a quarter of it stalled.
    assert_eq!(of(|window| window.busy_slot_time_generate), [3.0, 1.0 + 3.0, 0.0]);
    assert_eq!(of(|window| window.busy_slot_time_stall), [0.0, 1.0, 0.0]);
    assert_eq!(of(|window| window.busy_slot_time_prefill), [1.0 + 1.0, 0.0, 0.0]);
    assert_eq!(of(|window| window.busy_slot_time_dispatch), [1.0, 1.0, 0.0]);
    assert_eq!(of(|window| window.busy_slot_time_drain), [0.0, 1.0, 0.0]);
    assert_eq!(windows[1].ttft.unwrap().max, 2.0);
}

/// Whatever their length, windows add up to the run.
#[test]
fn windows_add_up() {
    let run = read(WORKED);
    let slots = Summary::of(&run).slots;
    for millis in [1, 7, 999, 1_000, 5_000, 12_000, 60_000] {
        let length = Duration::from_millis(millis);
        let windows = run.windows(length);
        assert_eq!(windows.len() as u64, run.windows_of(length));
        let sum = |figure: fn(&Window) -> f64| windows.iter().map(figure).sum::<f64>();
        for (sum, whole) in [
            (sum(|window| window.window_time), 12.0),
            (sum(|window| window.gap_time), slots.gap_time),
            (sum(|window| window.lost_slot_time), slots.lost_slot_time),
            (sum(|window| window.busy_slot_time), slots.busy_slot_time),
            (sum(|window| window.idle_slot_time), slots.idle_slot_time),
            (sum(|window| window.busy_slot_time_generate), slots.busy_slot_time_generate),
            (sum(|window| window.busy_slot_time_stall), slots.busy_slot_time_stall),
            (sum(|window| window.busy_slot_time_dispatch), slots.busy_slot_time_dispatch),
            (sum(|window| window.requests as f64), 3.0),
        ] {
            assert!((sum - whole).abs() < 1e-6, "{millis} ms: {sum} and {whole}");
        }
    }
    assert_eq!(run.windows_of(Duration::ZERO), 0);
    assert!(run.windows(Duration::ZERO).is_empty());
}

/// Requests told apart, those without what was asked for under a dash.
#[test]
fn by_group() {
    let log =
        WORKED.replacen("\"output_tokens\":40", "\"model\":\"m\",\"status\":200,\"output_tokens\":40", 1);
    let details = Details::default().by(By::Model).by(By::Status);
    let report = Report::of(&[read(&log)], Default::default(), &details);
    let run = &report.runs[0];
    let models: Vec<_> =
        run.by["model"].iter().map(|(name, group)| (&**name, group.traffic.requests)).collect();
    assert_eq!(models, [("-", 2), ("m", 1)]);
    assert_eq!(run.by["model"]["m"].system_tps, Some(40.0 / 12.0));
    assert_eq!(run.by["status"]["200"].traffic.success_rate, Some(1.0));
}

/// A cap or a backlog that cannot be is left out, and said by its line.
#[test]
fn changes_that_cannot_be() {
    let change = |kind: &str, to: u64| {
        let at = "2026-01-31T12:00:01Z";
        format!(
            "{{\"type\":\"{kind}\",\"run_id\":\"worked\",\"pool\":\"p\",\"at\":\"{at}\",\"from\":2,\"to\":{to}}}\n"
        )
    };
    let log = [change("cap", 0), change("cap", u64::MAX), change("backlog", u64::MAX)].concat();
    let mut logs = Logs::default();
    logs.read("worked.jsonl", (WORKED.to_owned() + &log).as_bytes()).unwrap();
    let (runs, left_out) = logs.finish();
    let slots = Summary::of(&runs[0]).slots;
    assert_eq!((slots.least_cap, slots.most_cap, slots.gap_time), (2, 2, 4.0));
    let lines: Vec<_> =
        left_out.problems.iter().map(|problem| (problem.line, problem.kind.as_str())).collect();
    assert_eq!(lines, [(8, "absurd"), (9, "absurd"), (10, "absurd")]);
}

/// What ends after its run has ended is none of it, and is said.
#[test]
fn after_the_end() {
    let log = WORKED.replace("12:00:12Z", "12:00:09Z");
    let mut logs = Logs::default();
    logs.read("worked.jsonl", log.as_bytes()).unwrap();
    let (runs, left_out) = logs.finish();
    let traffic = Summary::of(&runs[0]).traffic;
    assert_eq!((traffic.requests, traffic.output_tokens["usage"]), (2, 40));
    assert_eq!((left_out.skipped, left_out.kinds["absurd"]), (1, 1));
    let problem = &left_out.problems[0];
    assert_eq!((problem.line, &*problem.reason), (7, "1 requests end after this, the end of their run"));
}

/// Tokens of several sources are shown apart, asked for or not.
#[test]
fn sources_apart() {
    let log = WORKED.replacen("\"usage\"", "\"events\"", 1);
    let report = Report::of(&[read(&log)], Default::default(), &Details::default());
    let run = &report.runs[0];
    assert_eq!((run.summary.system_tps, run.summary.slots.lost_tokens), (None, None));
    let sources = &run.by["token_source"];
    assert_eq!(
        (sources["events"].system_tps, sources["usage"].system_tps),
        (Some(40.0 / 12.0), Some(20.0 / 12.0))
    );
    assert_eq!(sources["usage"].traffic.distributions.stream_tps.unwrap().max, 5.0);
}

/// What a pool told and what follows from its requests: a difference is named.
#[test]
fn a_disagreement_is_named() {
    let agreement = Summary::of(&read(WORKED)).agreement;
    assert_eq!((agreement.holds(), agreement.has_end, agreement.samples), (true, true, 1));
    // Nothing was told, and so nothing held against it.
    let silent: String = WORKED.lines().take(6).map(|line| format!("{line}\n")).collect();
    assert_eq!(Summary::of(&read(&silent)).agreement.samples, 0);
    let log = WORKED.replace("\"gap_time\":4.0", "\"gap_time\":4.000000001");
    let agreement = Summary::of(&read(&log)).agreement;
    let [one] = agreement.disagreements.as_slice() else { panic!("{agreement:?}") };
    assert_eq!((one.name, one.samples, one.first_at), ("gap_time", 1, 12.0));
    assert_eq!((one.told, one.recomputed), (4.000000001, 4.0));
}
