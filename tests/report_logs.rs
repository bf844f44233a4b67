//! Run logs as they are found: broken off, mixed up, edited, doubled and foreign.
//! Each line that is left out is told of, and the rest is counted.
#![cfg(feature = "analysis")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tower_tps::analysis::{LeftOut, Logs, Run, Summary};

/// A log that was really written, with all kinds of requests in it.
const LOG: &str = include_str!("fixtures/run.jsonl");

/// The instant so many milliseconds into an hour.
fn at(millis: u64) -> String {
    let (minutes, seconds) = (millis / 60_000, millis / 1_000 % 60);
    format!("2026-01-31T09:{minutes:02}:{seconds:02}.{:03}000000Z", millis % 1_000)
}

fn run(id: &str, pool: &str, started: u64) -> String {
    let at = at(started);
    format!(r#"{{"type":"run","run_id":"{id}","started_at":"{at}","pool":"{pool}","cap":2}}"#)
}

/// A request of ten tokens that never waited, and took 100 ms.
fn request(id: &str, pool: &str, queued: u64) -> String {
    with(id, pool, queued, "")
}

/// The same with more fields.
fn with(id: &str, pool: &str, queued: u64, more: &str) -> String {
    let (from, until) = (at(queued), at(queued + 100));
    format!(
        r#"{{"type":"request","run_id":"{id}","pool":"{pool}","outcome":"completed","queued_at":"{from}","admitted_at":"{from}","released_at":"{until}","output_tokens":10,"token_source":"usage"{more}}}"#
    )
}

fn end(id: &str, pool: &str, millis: u64, requests: u64) -> String {
    let at = at(millis);
    format!(
        r#"{{"type":"end","run_id":"{id}","pool":"{pool}","at":"{at}","cap":2,"requests":{requests},"dropped_records":0}}"#
    )
}

fn read_all<T: AsRef<[u8]>>(logs: &[T]) -> (Vec<Run>, LeftOut) {
    let mut read = Logs::default();
    for (index, log) in logs.iter().enumerate() {
        read.read(&format!("{}.jsonl", index + 1), log.as_ref()).unwrap();
    }
    read.finish()
}

fn read(log: impl AsRef<[u8]>) -> (Vec<Run>, LeftOut) {
    read_all(&[log])
}

/// The number of requests of each run, by its name and its pool's.
fn requests(runs: &[Run]) -> Vec<(&str, &str, u64)> {
    runs.iter().map(|run| (run.run_id(), run.pool(), Summary::of(run).traffic.requests)).collect()
}

/// Each trouble by its line, with its kind and the words for it.
fn problems(left_out: &LeftOut) -> Vec<(u64, &'static str, &str)> {
    left_out.problems.iter().map(|it| (it.line, it.kind.as_str(), &*it.reason)).collect()
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn json(run: &Run) -> serde_json::Value {
    serde_json::to_value(Summary::of(run)).unwrap()
}

/// A run of two requests with a line between them, and what is told of that line, but
/// for the column.
fn between(line: impl AsRef<[u8]>) -> Vec<(String, String)> {
    let (before, after) = (lines(&[run("r", "p", 0), request("r", "p", 100)]), request("r", "p", 300));
    let log = [before.as_bytes(), line.as_ref(), b"\n", after.as_bytes(), b"\n"].concat();
    let (runs, left_out) = read(log);
    assert_eq!(requests(&runs), [("r", "p", 2)]);
    assert_eq!((left_out.lines, left_out.skipped), (4, left_out.problems.len() as u64));
    let told = problems(&left_out).into_iter().map(|(line, kind, reason)| {
        assert_eq!(line, 3);
        let reason = reason.split(" at column ").next().unwrap();
        (kind.to_owned(), reason.to_owned())
    });
    told.collect()
}

/// The log that the others are made from has no trouble in it.
#[test]
fn as_it_was_written() {
    let (runs, left_out) = read(LOG);
    assert!(left_out.is_empty() && left_out.unknown_types.is_empty(), "{left_out:#?}");
    let summary = Summary::of(&runs[0]);
    assert!(summary.agreement.has_end && summary.agreement.holds(), "{:#?}", summary.agreement);
    assert!(summary.traffic.outcomes.len() >= 3 && summary.traffic.retries > 0, "{summary:#?}");
}

/// Wherever a log breaks off, the last line is left out if it is not whole, and
/// nothing else.
#[test]
fn broken_off_anywhere() {
    for cut in 0..LOG.len() {
        let log = &LOG[..cut];
        let before = log.matches('\n').count();
        let rest = log.rsplit('\n').next().unwrap();
        let is_whole = LOG.lines().nth(before) == Some(rest);
        let (runs, left_out) = read(log);
        let told: Vec<_> = left_out.problems.iter().map(|it| (it.line, it.kind.as_str())).collect();
        let expected = [(before as u64 + 1, "torn")];
        assert_eq!(told, &expected[usize::from(rest.is_empty() || is_whole)..], "{cut}");
        assert_eq!(runs.len(), usize::from(before > 0 || is_whole), "{cut}");
    }
    let (_, left_out) = read(lines(&[run("r", "p", 0)]) + r#"{"type":"request","run_i"#);
    assert_eq!(problems(&left_out), [(2, "torn", "it breaks off after 24 bytes")]);
}

/// What one line may be instead of a line of a log: how it is told, and that the
/// lines around it count.
#[test]
fn what_is_no_line() {
    let request = request("r", "p", 200);
    let (half, other_half) = request.split_at(66);
    for (line, kind, reason) in [
        (format!("{half}{request}{other_half}").as_bytes(), "unreadable", "expected `:`"),
        (format!("{request}{request}").as_bytes(), "unreadable", "trailing characters"),
        (half.as_bytes(), "torn", "it breaks off after 66 bytes"),
        (other_half.as_bytes(), "unreadable", "expected value"),
        (b"INFO listening on 127.0.0.1:8080", "unreadable", "expected value"),
        (b"[1,2]", "foreign", "it is no object with a type"),
        (b"17", "foreign", "it is no object with a type"),
        (b"{\"level\":\"info\"}", "foreign", "it has no type"),
        (b"{\"type\":17}", "foreign", "it is no object with a type"),
        (b"{\"type\":null}", "foreign", "it has no type"),
        (b"\xff\xfe\x00\x01", "unreadable", "expected value"),
        (b"\0\0\0\0", "unreadable", "expected value"),
        (
            b"{\"type\":\"re\0quest\"}",
            "unreadable",
            "control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (b"{\"type\":\"run\",\"type\":\"run\"}", "unreadable", "duplicate field `type`"),
        (b"{\"type\":\"request\"}", "unreadable", "missing field `outcome`"),
        (
            b"{\"type\":\"run\",\"started_at\":\"2026-01-31T09:00:00Z\",\"pool\":5}",
            "unreadable",
            "`pool` is neither a name nor a list of names",
        ),
        (b"{\"type\":\"end\"}", "unreadable", "it has no instant `at`"),
    ] {
        let told = between(line);
        assert_eq!(told, [(kind.to_owned(), reason.to_owned())], "{}", String::from_utf8_lossy(line));
    }
    let (_, left_out) = read(format!("{}x", " ".repeat(9)));
    assert_eq!(problems(&left_out), [(1, "unreadable", "expected value at column 10")]);
    assert_eq!(between(b""), []);
    assert_eq!(between(b" \t\r"), []);
}

/// A line may be of any length: one beyond all reason is left out, and no words
/// about a line are longer than a line.
#[test]
fn long_lines() {
    let long = "x".repeat(2 << 20);
    let told = between(with("r", "p", 200, &format!(r#","model":"{long}""#)));
    assert_eq!(told, [("too_long".to_owned(), "it is longer than 1048576 bytes".to_owned())]);
    let told = between(request("r", "p", 200).replace("completed", &long[..1 << 19]));
    assert_eq!((told.len(), &*told[0].0), (1, "absurd"));
    assert!(told[0].1.len() < 300, "{}", told[0].1.len());
}

/// Values that cannot be are told of, and their lines are in no figure.
#[test]
fn what_cannot_be() {
    let sound = request("r", "p", 200);
    let replaced = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replacen(from, to, 1)
    };
    let more = |more: &str| with("r", "p", 200, more);
    let (first, last) = (at(250), at(260));
    let mixed_up = format!(r#","headers_at":"{first}","first_token_at":"{last}","last_token_at":"{first}""#);
    let again = format!(r#","retries":[{{"cause":"c","failed_at":"{last}","resumed_at":"{first}"}}]"#);
    for (line, kind, reason) in [
        (more(&mixed_up), "absurd", "last_token_at is before first_token_at"),
        (more(&again), "absurd", "its retries are not one after the other before its headers"),
        (more(r#","dispatch":1.5"#), "absurd", "its phases do not add up to the time it held its slot"),
        (more(r#","counted_tokens":1000000000000000000"#), "absurd", "counted_tokens is 1000000000000000000"),
        (more(r#","counted_tokens":-5"#), "unreadable", "invalid value: integer `-5`, expected u64"),
        (
            more(r#","counted_tokens":1e300"#),
            "unreadable",
            "invalid type: floating point `1e+300`, expected u64",
        ),
        (more(r#","dispatch":-1"#), "unreadable", "no number of seconds: -1"),
        (more(r#","dispatch":1e300"#), "unreadable", "no number of seconds: 1e300"),
        (more(r#","output_tokens":3"#), "unreadable", "duplicate field `output_tokens`"),
        (replaced("completed", "finished"), "absurd", "\"finished\" is no outcome"),
        (replaced("usage", "guess"), "absurd", "\"guess\" is no source of tokens"),
        (replaced("released_at\":\"2026", "released_at\":\"2027"), "absurd", "it took longer than 30 days"),
        (
            replaced("queued_at\":\"2026", "queued_at\":\"9999"),
            "unreadable",
            "no instant: 9999-01-31T09:00:00.200000000Z",
        ),
        (sound.replace("2026", "2025"), "absurd", "it begins before its run"),
        (sound.replace("2026", "2426"), "absurd", "it is years away from its run"),
        (run("s", "q", 0).replace(":2}", ":0}"), "absurd", "the pool \"q\" has no cap that can be"),
        (end("r", "p", 400, 3).replace("2026", "2426"), "absurd", "it is years away from its run"),
    ] {
        assert_eq!(between(&line), [(kind.to_owned(), reason.to_owned())], "{line}");
    }
}

/// A line that is left out leaves nothing behind: no run, and no start of one.
#[test]
fn left_out_for_good() {
    let wrong = request("r", "p", 100).replace("completed", "finished");
    let (runs, left_out) = read(&wrong);
    assert_eq!((runs.len(), problems(&left_out)), (0, vec![(1, "absurd", "\"finished\" is no outcome")]));
    let (runs, _) = read(lines(&[request("r", "p", 500), wrong]));
    assert_eq!(runs[0].window_time().as_millis(), 100);
}

/// An attempt that failed again before another went out waited all the while, and once.
#[test]
fn failed_twice_in_one_wait() {
    let retries = format!(
        r#","retries":[{{"cause":"c","failed_at":"{}"}},{{"cause":"c","failed_at":"{}","resumed_at":"{}"}}]"#,
        at(110),
        at(150),
        at(160)
    );
    let (runs, left_out) = read(lines(&[run("r", "p", 0), with("r", "p", 100, &retries)]));
    assert!(left_out.is_empty(), "{left_out:#?}");
    let windows = runs[0].windows(Duration::from_secs(1));
    let times = (windows[0].busy_slot_time_dispatch, windows[0].busy_slot_time_backoff);
    assert_eq!(format!("{times:.3?}"), "(0.050, 0.050)");
    // No window is too long.
    assert_eq!(runs[0].windows(Duration::MAX).len(), 1);
}

/// What is not known is skipped: types, which are counted, and fields, and what is null.
#[test]
fn what_is_not_known() {
    let nulls = r#","status":null,"model":null,"retries":null,"dispatch":null,"burst":null,"cap":null"#;
    let (runs, left_out) = read(lines(&[
        run("r", "p", 0).replace("\"cap\"", "\"labels\":null,\"shard\":[1,{\"a\":2}],\"cap\""),
        with("r", "p", 100, nulls),
        r#"{"type":"heartbeat","run_id":"r"}"#.to_owned(),
        r#"{"type":"heartbeat","run_id":"r"}"#.to_owned(),
        with("r", "p", 300, r#","mood":{"type":"run"}"#),
    ]));
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(left_out.unknown_types, [("heartbeat".to_owned(), 2)].into());
    assert_eq!(requests(&runs), [("r", "p", 2)]);
}

/// What editors and shells of another system make of a log changes nothing: a mark
/// at its beginning, other line ends, empty lines, no line end at the end.
#[test]
fn other_line_ends() {
    let whole = json(&read(LOG).0[0]);
    for log in [
        format!("\u{feff}{LOG}"),
        LOG.replace('\n', "\r\n"),
        format!("\u{feff}\r\n{}", LOG.replace('\n', "\r\n\r\n")),
        LOG.trim_end().to_owned(),
    ] {
        let (runs, left_out) = read(&log);
        assert!(left_out.is_empty(), "{left_out:#?}");
        assert_eq!(json(&runs[0]), whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// The order of the lines changes nothing, not even where the run's own comes last.
    #[test]
    fn any_order(lines in Just(LOG.lines().collect::<Vec<_>>()).prop_shuffle()) {
        let (runs, left_out) = read(lines.join("\n"));
        prop_assert!(left_out.is_empty(), "{left_out:#?}");
        prop_assert_eq!(json(&runs[0]), json(&read(LOG).0[0]));
    }

    /// Nor where the run's own is missing, except that it is told.
    #[test]
    fn any_order_without_a_start(lines in Just(LOG.lines().skip(1).collect::<Vec<_>>()).prop_shuffle()) {
        let headless = LOG.split_once('\n').unwrap().1;
        let (runs, left_out) = read(lines.join("\n"));
        prop_assert_eq!(left_out.kinds, BTreeMap::from([("no_start", 1)]));
        prop_assert_eq!(left_out.skipped, 0);
        prop_assert_eq!(json(&runs[0]), json(&read(headless).0[0]));
    }
}

/// A run without a `run` line is read all the same, and that is told where it begins:
/// with the cap that its earliest line tells.
#[test]
fn without_a_start() {
    let cap = format!(r#"{{"type":"cap","run_id":"r","pool":"p","at":"{}","from":5,"to":3}}"#, at(250));
    let requests_of = [with("r", "p", 300, r#","cap":3"#), with("r", "p", 100, r#","cap":5"#)];
    let (runs, left_out) = read(lines(&[requests_of[0].clone(), cap, requests_of[1].clone()]));
    assert_eq!(
        problems(&left_out),
        [(
            1,
            "no_start",
            "the run \"r\" of the pool \"p\" has no line of type run: it is read from its first instant on, with the cap that it tells"
        )]
    );
    assert_eq!(left_out.skipped, 0);
    let summary = Summary::of(&runs[0]);
    assert_eq!((summary.slots.most_cap, summary.slots.cap), (5, 3));
    assert_eq!(format!("{:.1}", summary.window_time), "0.3");
    let (_, left_out) = read(lines(&[request("r", "p", 300)]));
    assert!(left_out.problems[0].reason.ends_with("the cap of 1, since it tells none"), "{left_out:#?}");
}

/// What was declared before the beginning that is missing was there from the start.
#[test]
fn declared_before_the_start() {
    let left = |millis, from: u64, to: u64| {
        let at = at(millis);
        format!(r#"{{"type":"backlog","run_id":"r","pool":"p","at":"{at}","from":{from},"to":{to}}}"#)
    };
    let log = [request("r", "p", 0), left(300, 1, 0), left(200, 2, 1), end("r", "p", 1_000, 1)];
    let (runs, left_out) = read(lines(&log));
    assert_eq!(left_out.kinds, BTreeMap::from([("no_start", 1)]));
    let slots = Summary::of(&runs[0]).slots;
    assert_eq!((slots.most_queue_depth, format!("{:.1}", slots.backlog_time)), (2, "0.3".to_owned()));
}

/// A run without an end goes to its last instant, and its counters are held against nothing.
#[test]
fn without_an_end() {
    let without: Vec<_> = LOG.lines().filter(|line| !line.starts_with(r#"{"type":"end""#)).collect();
    let (runs, left_out) = read(without.join("\n"));
    assert!(left_out.is_empty());
    let (summary, whole) = (Summary::of(&runs[0]), Summary::of(&read(LOG).0[0]));
    assert!(!summary.agreement.has_end && summary.agreement.holds(), "{:#?}", summary.agreement);
    assert_eq!(summary.traffic.requests, whole.traffic.requests);
    assert!(summary.window_time <= whole.window_time);
}

/// Runs that follow on each other in one log are apart, each by its own clock.
#[test]
fn several_runs_in_one_log() {
    let hour_back = |line: String| line.replace("T09:", "T08:");
    let (runs, left_out) = read(lines(&[
        run("r", "p", 0),
        request("r", "p", 100),
        end("r", "p", 1_000, 1),
        // The system's clock was set back meanwhile.
        hour_back(run("s", "p", 0)),
        hour_back(request("s", "p", 500)),
        hour_back(request("s", "p", 700)),
        hour_back(end("s", "p", 4_000, 2)),
    ]));
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(requests(&runs), [("r", "p", 1), ("s", "p", 2)]);
    let windows: Vec<_> = runs.iter().map(|run| run.window_time().as_secs()).collect();
    assert_eq!(windows, [1, 4]);
    assert!(runs[1].started_at() < runs[0].started_at());
}

/// A program that was started again goes on in the same log by the same name: two
/// runs, and each line belongs to the one that was on at its time.
#[test]
fn started_again() {
    let all = [
        run("r", "p", 0),
        run("r", "p", 10_000),
        request("r", "p", 10_500),
        request("r", "p", 500),
        request("r", "p", 10_700),
        end("r", "p", 11_000, 2),
    ];
    for order in [[0, 1, 2, 3, 4, 5], [1, 0, 5, 4, 3, 2], [0, 3, 1, 2, 4, 5]] {
        let (runs, left_out) = read(lines(&order.map(|index| all[index].clone())));
        assert!(left_out.is_empty(), "{left_out:#?}");
        let mut counts: Vec<_> = runs.iter().map(|run| (run.started_at(), run.window_time())).collect();
        counts.sort();
        assert_eq!(counts.iter().map(|(_, time)| time.as_millis()).collect::<Vec<_>>(), [600, 1_000]);
        let mut requests: Vec<_> = runs.iter().map(|run| Summary::of(run).traffic.requests).collect();
        requests.sort_unstable();
        assert_eq!(requests, [1, 2]);
    }
}

/// Two processes that write to one log at once are two runs, and a fleet.
#[test]
fn two_processes_in_one_log() {
    let (runs, left_out) = read(lines(&[
        run("r", "p", 0),
        request("r", "p", 100),
        run("s", "p", 200),
        request("r", "p", 300),
        request("s", "p", 300),
        end("r", "p", 1_000, 2),
        request("s", "p", 1_100),
        end("s", "p", 2_000, 2),
    ]));
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(requests(&runs), [("r", "p", 2), ("s", "p", 2)]);
}

/// A log that is given twice counts once, and every line of the second is told as
/// left out; so do those of several pools.
#[test]
fn given_twice() {
    let (runs, left_out) = read_all(&[LOG, LOG]);
    let count = LOG.lines().count() as u64;
    assert_eq!((runs.len(), left_out.lines, left_out.skipped), (1, 2 * count, count));
    assert_eq!(left_out.kinds, BTreeMap::from([("duplicate", count)]));
    let first = &left_out.problems[0];
    assert_eq!((&*first.file, first.line), ("2.jsonl", 1));
    assert_eq!(first.reason, "the same run was read from 1.jsonl already");
    assert_eq!(left_out.problems[1].reason, "its run was read already");
    assert_eq!(json(&runs[0]), json(&read(LOG).0[0]));
    // In one file too.
    let (runs, left_out) = read(LOG.repeat(2));
    assert_eq!((runs.len(), left_out.skipped), (1, count));
    let pools = lines(&[several_pools(), request("r", "p", 100), request("r", "q", 100)]);
    let (runs, left_out) = read_all(&[&pools, &pools]);
    assert_eq!(requests(&runs), [("r", "p", 1), ("r", "q", 1)]);
    assert_eq!(left_out.kinds, BTreeMap::from([("duplicate", 3)]));
}

fn several_pools() -> String {
    let at = at(0);
    format!(r#"{{"type":"run","run_id":"r","started_at":"{at}","pool":["p","q"],"cap":{{"p":2,"q":3}}}}"#)
}

/// One `run` line may begin the runs of several pools. One without a cap that can be is
/// told of, and the others are read.
#[test]
fn several_pools_of_one_run() {
    let log = [several_pools(), request("r", "q", 100), request("r", "p", 100), request("r", "q", 300)];
    let (runs, left_out) = read(lines(&log));
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(requests(&runs), [("r", "p", 1), ("r", "q", 2)]);
    assert_eq!(runs.iter().map(|run| Summary::of(run).slots.cap).collect::<Vec<_>>(), [2, 3]);
    let (runs, left_out) = read(lines(&[several_pools().replace(r#""p":2"#, r#""p":0"#), log[1].clone()]));
    assert_eq!(problems(&left_out), [(1, "absurd", "the pool \"p\" has no cap that can be")]);
    assert_eq!(requests(&runs), [("r", "q", 1)]);
}

/// A line that lacks the name of its run or of its pool belongs to the only one there
/// is, and to none where several would do.
#[test]
fn without_a_name() {
    let unnamed = |line: &str| line.replace(r#""run_id":"r","#, "").replace(r#""pool":"p","#, "");
    let (request, end) = (request("r", "p", 100), end("r", "p", 1_000, 1));
    let cap = format!(r#"{{"type":"cap","pool":"p","at":"{}","from":2,"to":4}}"#, at(200));
    let (runs, left_out) = read(lines(&[run("r", "p", 0), unnamed(&request), cap.clone(), unnamed(&end)]));
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(requests(&runs), [("r", "p", 1)]);
    assert_eq!(Summary::of(&runs[0]).slots.cap, 4);

    let two = [run("r", "p", 0), run("r", "q", 0), unnamed(&request), cap, unnamed(&end)];
    let (runs, left_out) = read(lines(&two));
    let unclear = "it does not say which of several runs it belongs to";
    assert_eq!(problems(&left_out), [(3, "unclear", unclear), (5, "unclear", unclear)]);
    assert_eq!(left_out.skipped, 2);
    assert_eq!(runs.iter().map(|run| Summary::of(run).slots.cap).collect::<Vec<_>>(), [4, 2]);

    // Where there is no run at all they are one without a name.
    let (runs, left_out) = read(lines(&[unnamed(&request), unnamed(&end)]));
    assert_eq!(left_out.kinds, BTreeMap::from([("no_start", 1)]));
    assert_eq!(requests(&runs), [("", "", 1)]);
}

/// A line twice over in a run's end: the later one counts, wherever it stands.
#[test]
fn two_ends() {
    let (early, late) = (end("r", "p", 500, 1), end("r", "p", 1_000, 1));
    for ends in [[&early, &late], [&late, &early]] {
        let (runs, left_out) =
            read(lines(&[run("r", "p", 0), request("r", "p", 100), ends[0].clone(), ends[1].clone()]));
        assert!(left_out.is_empty(), "{left_out:#?}");
        assert_eq!(runs[0].window_time().as_millis(), 1_000);
    }
}

/// Many troubles are counted, and the first of each kind told.
#[test]
fn many_troubles() {
    let log = format!("{}\n{}", run("r", "p", 0), "nonsense\n[]\n".repeat(500));
    let (runs, left_out) = read(log);
    assert_eq!((runs.len(), left_out.lines, left_out.skipped), (1, 1_001, 1_000));
    assert_eq!(left_out.kinds, BTreeMap::from([("foreign", 500), ("unreadable", 500)]));
    let told: Vec<_> = left_out.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(told, (2..22).collect::<Vec<_>>());
}
