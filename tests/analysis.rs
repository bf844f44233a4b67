//! From runs to figures and verdicts, on runs that are short enough to follow.
#![cfg(feature = "analysis")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::analysis::{Comparison, Demands, Recording, Rule, Run, Summary, Verdict};
use tower_tps::gate::Change;
use tower_tps::layer::Retries;
use tower_tps::observe::{Observer, Sample, Start};
use tower_tps::record::RequestRecord;
use tower_tps::tokens::TokenSource;

const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":10}}\n\ndata: [DONE]\n\n";

/// How a run is made: `requests` streams of 100 ms and ten tokens each, through
/// a cap of two, the next one submitted every so often.
#[derive(Clone, Copy)]
struct Plan {
    requests: u64,
    every: Duration,
    /// Every so manieth fails for good; 0 for none.
    fails: u64,
    /// Every so manieth is tried again inside; 0 for none.
    retries: u64,
}

const GAPPED: Plan = Plan { requests: 120, every: Duration::from_millis(100), fails: 0, retries: 0 };
const FULL: Plan = Plan { every: Duration::from_millis(1), ..GAPPED };

/// All that a pool told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Everything>>);

#[derive(Clone, Debug, Default)]
struct Everything {
    start: Option<Start>,
    records: Vec<RequestRecord>,
    changes: Vec<Change>,
    samples: Vec<Sample>,
}

impl Observer for Told {
    fn start(&self, start: &Start) {
        self.0.lock().unwrap().start = Some(start.clone());
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        self.0.lock().unwrap().records.push(record.as_ref().clone());
    }

    fn change(&self, _: &Arc<str>, change: &Change) {
        self.0.lock().unwrap().changes.push(*change);
    }

    fn sample(&self, sample: &Sample) {
        self.0.lock().unwrap().samples.push(sample.clone());
    }

    fn end(&self, sample: &Sample) {
        self.sample(sample);
    }
}

impl Everything {
    /// The run that a recording makes of it.
    fn run(&self) -> Run {
        let recording = Recording::default();
        recording.start(self.start.as_ref().unwrap());
        self.records.iter().for_each(|record| recording.request(&Arc::new(record.clone())));
        self.changes.iter().for_each(|change| recording.change(&"p".into(), change));
        let (last, samples) = self.samples.split_last().unwrap();
        samples.iter().for_each(|sample| recording.sample(sample));
        recording.end(last);
        recording.run().unwrap()
    }
}

fn run(plan: Plan) -> Run {
    told(plan).run()
}

fn told(plan: Plan) -> Everything {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(async {
        let told = Told::default();
        let pool =
            Pool::builder("p").cap(2).sample_interval(Duration::from_millis(50)).observer(told.clone());
        let pool = pool.build().unwrap();
        let upstream = service_fn(move |request: Request<u64>| async move {
            let is = |every: u64| every > 0 && request.body() % every == 0;
            if is(plan.retries) {
                let retries = request.extensions().get::<Retries>().unwrap();
                retries.failed("status_429");
                retries.resumed();
            }
            let status = if is(plan.fails) { 500 } else { 200 };
            let frames = [TOKEN; 5].into_iter().chain([DONE]).map(|text| Bytes::from_static(text.as_bytes()));
            let frames = stream::iter(frames.collect::<Vec<_>>()).then(|bytes| async move {
                sleep(Duration::from_millis(16)).await;
                Ok::<_, Infallible>(Frame::data(bytes))
            });
            let response = Response::builder().status(status).header("content-type", "text/event-stream");
            Ok::<_, Infallible>(response.body(Box::pin(StreamBody::new(frames))).unwrap())
        });
        let metered = pool.layer().layer(upstream);
        let mut tasks = tokio::task::JoinSet::new();
        for index in pool.backlog(plan.requests).items(0..plan.requests) {
            let call = metered.clone().oneshot(Request::new(index));
            tasks.spawn(async move {
                let _ = call.await.unwrap().into_body().collect().await;
            });
            sleep(plan.every).await;
        }
        while tasks.join_next().await.is_some() {}
        pool.close();
        let told = told.0.lock().unwrap();
        told.clone()
    })
}

fn verdict(baseline: Plan, candidate: Plan) -> Verdict {
    judged(&run(baseline), &run(candidate))
}

fn judged(baseline: &Run, candidate: &Run) -> Verdict {
    Comparison::of(baseline, candidate, Demands::default()).verdict
}

fn fails(verdict: &Verdict) -> Vec<&'static str> {
    verdict.checks.iter().filter(|check| !check.holds).map(|check| check.name).collect()
}

/// The figures of a run that can be followed by hand: 120 requests of ten
/// tokens, each alone in a cap of two while the rest is declared.
#[test]
fn a_summary_by_hand() {
    let summary = Summary::of(&run(GAPPED));
    let (traffic, slots) = (&summary.traffic, &summary.slots);
    assert_eq!((traffic.requests, traffic.outcomes["completed"]), (120, 120));
    assert_eq!(traffic.output_tokens.get("usage"), Some(&1_200));
    assert_eq!(
        (traffic.success_rate, traffic.cancel_rate, traffic.retry_rate),
        (Some(1.0), Some(0.0), Some(0.0))
    );
    // The last one is handed out after 119 intervals, and with it the backlog is over.
    assert_eq!(format!("{:.1}", slots.backlog_time), "11.9");
    assert_eq!(slots.gap_time_orchestration, slots.gap_time);
    assert_eq!(slots.gap_share, Some(1.0));
    // 96 ms each: six frames 16 ms apart.
    assert_eq!(format!("{:.2}", slots.busy_slot_time), "11.52");
    assert_eq!(format!("{:.3}", traffic.distributions.ttft.unwrap().p99), "0.016");
    assert_eq!(format!("{:.0}", traffic.distributions.stream_tps.unwrap().p50), "156");
    let system = 1_200.0 / summary.window_time;
    assert_eq!(summary.system_tps, Some(system));
}

/// The tokens of requests that came to nothing are waste, and in no throughput.
#[test]
fn what_failed_is_waste() {
    let summary = Summary::of(&run(Plan { fails: 5, ..FULL }));
    assert_eq!(summary.traffic.output_tokens, [("usage".to_owned(), 960)].into());
    assert_eq!(summary.traffic.wasted_tokens, [("usage".to_owned(), 240)].into());
    assert_eq!(summary.system_tps, Some(960.0 / summary.window_time));
}

/// A run whose gap was removed is accepted, and every check says so.
#[test]
fn a_gap_that_is_gone_is_accepted() {
    let verdict = verdict(GAPPED, FULL);
    assert!(verdict.accepted, "{verdict:#?}");
    let rules: Vec<_> = verdict.checks.iter().map(|check| (check.name, check.rule)).collect();
    assert_eq!(
        rules,
        [
            ("system_tps", Rule::Rises),
            ("success_rate", Rule::DoesNotFall),
            ("gap_fraction", Rule::Falls),
            ("retry_rate", Rule::DoesNotRise),
        ]
    );
}

/// A run is never accepted against itself, nor the worse one against the better.
#[test]
fn no_gain_is_no_acceptance() {
    for (baseline, candidate) in [(FULL, FULL), (GAPPED, GAPPED), (FULL, GAPPED)] {
        let verdict = verdict(baseline, candidate);
        assert!(!verdict.accepted && verdict.not_judged.is_empty());
        assert!(fails(&verdict).contains(&"system_tps"));
    }
}

/// More tokens by failing more requests, or by trying more often, are no gain.
#[test]
fn gains_at_the_cost_of_others_are_rejected() {
    assert_eq!(fails(&verdict(GAPPED, Plan { fails: 5, ..FULL })), ["success_rate"]);
    assert_eq!(fails(&verdict(GAPPED, Plan { retries: 5, ..FULL })), ["retry_rate"]);
}

/// Too few requests, or a candidate that never had a backlog, are not judged.
#[test]
fn some_runs_cannot_be_judged() {
    let few = verdict(GAPPED, Plan { requests: 20, ..FULL });
    assert!(!few.accepted && few.not_judged[0].contains("20 requests"), "{few:?}");
    let mut calm = told(Plan { requests: 40, ..GAPPED });
    // As if nothing had been declared.
    calm.changes.clear();
    let verdict = judged(&run(GAPPED), &calm.run());
    assert!(verdict.not_judged.iter().any(|reason| reason.contains("no backlog")), "{verdict:?}");
}

/// Tokens of several sources are never added up, and such a run is not judged.
#[test]
fn mixed_sources_are_not_judged() {
    let mut mixed = told(FULL);
    mixed.records[0].generated.as_mut().unwrap().output_tokens = Some((5, TokenSource::Events));
    let mixed = mixed.run();
    let summary = Summary::of(&mixed);
    assert_eq!(summary.system_tps, None);
    assert_eq!(summary.system_tps_by_source["events"], 5.0 / summary.window_time);
    for verdict in [judged(&run(GAPPED), &mixed), judged(&mixed, &mixed)] {
        assert!(!verdict.accepted && verdict.not_judged[0].contains("several sources"), "{verdict:?}");
        assert!(!verdict.checks[0].holds);
    }
}

/// A record like this one, of another attempt so long after its end.
fn attempt(record: &RequestRecord, number: u32, after: Duration) -> RequestRecord {
    let mut next = record.clone();
    let begins = record.timeline.released_at.unwrap().after(after).unwrap();
    let ends = begins.after(record.timeline.t_total().unwrap()).unwrap();
    next.attempt = number;
    next.timeline.queued_at = begins;
    next.timeline.released_at = Some(ends);
    next
}

/// Attempts that were made outside the meter are one request, which ended as
/// its last attempt did, in whatever order they are told.
#[test]
fn attempts_are_joined() {
    let mut told = told(Plan { requests: 40, ..FULL });
    let first = told.records[0].clone();
    let second = attempt(&first, 2, Duration::from_secs(1));
    let third = attempt(&second, 3, Duration::ZERO);
    told.records.extend([third, second]);
    let traffic = Summary::of(&told.run()).traffic;
    assert_eq!((traffic.requests, traffic.retries), (40, 2));
    assert_eq!(traffic.retry_causes, [("unknown".to_owned(), 2)].into());
}

/// An id that many requests share joins only what can follow on each other, and
/// an attempt whose others went by other ids is one retry.
#[test]
fn only_what_follows_is_joined() {
    let mut told = told(Plan { requests: 40, ..FULL });
    told.records.iter_mut().for_each(|record| record.request_id = "the same".into());
    let again = attempt(&told.records[0], 2, Duration::from_millis(1));
    let mut alone = attempt(&told.records[0], 3, Duration::from_millis(2));
    alone.request_id = "another".into();
    told.records.extend([again, alone]);
    let traffic = Summary::of(&told.run()).traffic;
    assert_eq!((traffic.requests, traffic.retries), (41, 2));
    assert_eq!(traffic.outcomes["completed"], 41);
}

/// A retry that was decided on and never went out is none.
#[test]
fn a_retry_that_never_went_out() {
    let mut told = told(Plan { requests: 40, retries: 4, ..FULL });
    assert_eq!(Summary::of(&told.run()).traffic.retries, 10);
    for record in &mut told.records {
        record.retries.iter_mut().for_each(|retry| retry.resumed_at = None);
    }
    assert_eq!(Summary::of(&told.run()).traffic.retries, 0);
}

/// What is recomputed from the requests and the changes is what the pool told.
#[test]
fn recomputed_is_online() {
    for plan in [GAPPED, FULL, Plan { fails: 5, retries: 3, ..FULL }] {
        let agreement = Summary::of(&run(plan)).agreement;
        assert!(agreement.holds() && agreement.has_end && agreement.samples > 10, "{agreement:#?}");
    }
    // A request that is missing shows.
    let mut told = told(FULL);
    told.records.pop();
    let agreement = Summary::of(&told.run()).agreement;
    let names: Vec<_> = agreement.disagreements.iter().map(|one| one.name).collect();
    assert!(names.contains(&"busy_slot_time") && names.contains(&"requests"), "{names:?}");
}
