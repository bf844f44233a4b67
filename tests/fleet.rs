//! Several runs together, on logs that can be followed by hand.
#![cfg(feature = "analysis")]

use tower_tps::analysis::{Details, Fleet, LeftOut, Logs, Report, Run};

/// A log of one run that starts at this second and lasts so long, with requests
/// of (queued, admitted, released) seconds; one that was never admitted gave up.
struct Log {
    run: &'static str,
    pool: &'static str,
    cap: u32,
    time: (u32, u32),
    requests: &'static [(u32, Option<u32>, u32)],
}

fn at(second: u32) -> String {
    format!("2026-01-31T12:{:02}:{:02}Z", second / 60, second % 60)
}

impl Log {
    fn text(&self) -> String {
        let Self { run, pool, cap, time: (start, end), requests } = self;
        let head = |kind| format!("{{\"type\":\"{kind}\",\"run_id\":\"{run}\",\"pool\":\"{pool}\"");
        let mut text = format!("{},\"started_at\":\"{}\",\"cap\":{cap}}}\n", head("run"), at(*start));
        for (queued, admitted, released) in *requests {
            let (outcome, admitted) = match admitted {
                Some(admitted) => ("completed", format!(",\"admitted_at\":\"{}\"", at(*admitted))),
                None => ("cancelled", String::new()),
            };
            text += &format!(
                "{},\"outcome\":\"{outcome}\",\"queued_at\":\"{}\"{admitted},\"released_at\":\"{}\",\
                 \"output_tokens\":10,\"token_source\":\"usage\"}}\n",
                head("request"),
                at(*queued),
                at(*released),
            );
        }
        text + &format!("{},\"at\":\"{}\"}}\n", head("end"), at(*end))
    }
}

fn read(logs: &[Log]) -> Vec<Run> {
    let mut all = Logs::default();
    for (index, log) in logs.iter().enumerate() {
        all.read(&format!("{index}.jsonl"), log.text().as_bytes()).unwrap();
    }
    let (runs, left_out) = all.finish();
    assert!(left_out.is_empty(), "{left_out:?}");
    runs
}

/// Two replicas with one slot each for ten seconds. At one a request waits for
/// eight of them, at the other nobody comes: neither has a gap, and yet there is one.
#[test]
fn work_at_one_and_a_slot_at_another() {
    let busy =
        Log { run: "a", pool: "p", cap: 1, time: (0, 10), requests: &[(0, Some(0), 10), (2, None, 10)] };
    let free = Log { run: "b", pool: "p", cap: 1, time: (0, 10), requests: &[] };
    let [fleet]: [Fleet; 1] = Fleet::all(&read(&[busy, free])).try_into().unwrap();
    assert_eq!((fleet.pool.as_deref(), fleet.runs, fleet.most_at_once), (Some("p"), 2, 2));
    assert_eq!((fleet.window_time, fleet.gap_time, fleet.gap_fraction), (10.0, 8.0, Some(0.8)));
    assert_eq!((fleet.gap_time_routing, fleet.gap_time_of_runs), (8.0, 0.0));
    assert_eq!((fleet.lost_slot_time, fleet.cap_slot_time, fleet.busy_slot_time), (8.0, 20.0, 10.0));
    assert_eq!((fleet.system_tps, fleet.traffic.requests), (Some(1.0), 2));
    // The other's slot comes 10 ms before the work and goes 10 ms before it, or both after.
    assert_eq!(fleet.gap_time_of_clocks_apart, [7.99, 8.0]);
}

/// Gaps at the same time are one gap of the fleet, and count twice in the sum.
#[test]
fn gaps_at_once_are_one() {
    // Each waits for three seconds with a slot free: a task that did not run.
    let one = |run| Log { run, pool: "p", cap: 1, time: (0, 10), requests: &[(1, Some(4), 6)] };
    let [fleet]: [Fleet; 1] = Fleet::all(&read(&[one("a"), one("b")])).try_into().unwrap();
    assert_eq!((fleet.gap_time, fleet.gap_time_of_runs, fleet.gap_time_routing), (3.0, 6.0, 0.0));
    assert_eq!((fleet.gap_slot_time, fleet.lost_slot_time), (6.0, 6.0));
    // By clocks that differ they are not quite at once.
    assert_eq!(fleet.gap_time_of_clocks_apart, [3.01, 3.01]);
}

/// Runs that follow on each other are on one at a time, and the time between
/// them is nobody's.
#[test]
fn one_after_the_other() {
    let first = Log { run: "a", pool: "p", cap: 1, time: (0, 10), requests: &[(0, Some(0), 10)] };
    let then = Log { run: "b", pool: "p", cap: 1, time: (30, 40), requests: &[(30, Some(30), 40)] };
    let [fleet]: [Fleet; 1] = Fleet::all(&read(&[first, then])).try_into().unwrap();
    assert_eq!((fleet.most_at_once, fleet.window_time, fleet.system_tps), (1, 20.0, Some(1.0)));
    assert_eq!((fleet.gap_time, fleet.cap_slot_time, fleet.busy_slot_time), (0.0, 20.0, 20.0));
}

/// A request that was tried again at another replica is one request of the fleet,
/// and ended as its last attempt did.
#[test]
fn attempts_at_several_runs() {
    let run = |run: &str, attempt: u32, outcome: &str, second: u32| {
        let head = |kind: &str| format!("{{\"type\":\"{kind}\",\"run_id\":\"{run}\",\"pool\":\"p\"");
        format!(
            "{},\"started_at\":\"{}\",\"cap\":1}}\n{},\"request_id\":\"x\",\"attempt\":{attempt},\
             \"outcome\":\"{outcome}\",\"queued_at\":\"{3}\",\"admitted_at\":\"{3}\",\"released_at\":\"{4}\"}}\n",
            head("run"),
            at(0),
            head("request"),
            at(second),
            at(second + 1),
        )
    };
    let mut logs = Logs::default();
    logs.read("a", run("a", 1, "failed", 1).as_bytes()).unwrap();
    logs.read("b", run("b", 2, "completed", 3).as_bytes()).unwrap();
    let (runs, _) = logs.finish();
    let [fleet]: [Fleet; 1] = Fleet::all(&runs).try_into().unwrap();
    let traffic = &fleet.traffic;
    assert_eq!((traffic.requests, traffic.retries, traffic.success_rate), (1, 1, Some(1.0)));
}

/// Each pool's runs are a fleet, and all together are one; a run alone is none.
#[test]
fn by_pool_and_together() {
    let log = |run, pool| Log { run, pool, cap: 1, time: (0, 10), requests: &[] };
    let runs = read(&[log("a", "p"), log("b", "p"), log("c", "q")]);
    let pools: Vec<_> = Fleet::all(&runs).into_iter().map(|fleet| (fleet.pool, fleet.runs)).collect();
    assert_eq!(pools, [(Some("p".to_owned()), 2), (None, 3)]);
    assert!(Fleet::all(&runs[..1]).is_empty());
    let report = Report::of(&runs, LeftOut::default(), &Details::default());
    assert_eq!((report.runs.len(), report.fleets.len()), (3, 2));
}
