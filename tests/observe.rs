//! The observers: the run log holds the whole truth, and the metrics are those
//! of the contract.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde_json::Value;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, SlotPhase};
use tower_tps::layer::{Attempt, AttemptCause, Retries};
use tower_tps::observe::{BUCKETS, Observer, RunLog, Sample, exposition};
use tower_tps::pool::Builder;
use tower_tps::tokens::{Counter, Tokenizer, Tokens};

#[path = "support/integrals.rs"]
mod integrals;
#[path = "support/traffic.rs"]
mod traffic;

use self::integrals::{Change, Integrals, recompute};
use self::traffic::run;

/// A file of its own under the target directory.
fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// Twelve streams of 100 ms through a pool of this kind: some give up in the
/// queue, some are refused, the cap moves, a backlog is declared, a retry waits.
async fn traffic(builder: Builder) -> Pool {
    let pool = builder.cap(2).max_queue(6).build().unwrap();
    let requests = (0..12).map(|index| {
        let request = Request::builder()
            .header("x-request-id", format!("r-\"{index}\""))
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .body(())
            .unwrap();
        (Duration::ZERO, request, Duration::from_millis(if index == 5 { 10 } else { 100_000 }))
    });
    traffic::traffic(&pool, requests).await;
    pool
}

fn lines(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

fn wall(value: &Value) -> Option<SystemTime> {
    value.as_str().map(|text| humantime::parse_rfc3339(text).unwrap())
}

/// Nanoseconds of a decimal number of seconds, read without a binary fraction.
fn nanos(line: &str, key: &str) -> u128 {
    let (_, rest) = line.split_once(&format!("\"{key}\":")).unwrap();
    let number = rest.split([',', '}']).next().unwrap();
    let (whole, part) = number.split_once('.').unwrap();
    assert_eq!(part.len(), 9);
    format!("{whole}{part}").parse().unwrap()
}

/// From the request, cap, backlog and backoff lines alone, every integral of
/// the `end` line follows to the nanosecond.
#[test]
fn the_log_holds_the_whole_truth() {
    let path = file("truth.jsonl");
    let online = run(async {
        let log = RunLog::create(&path).unwrap().run_id("a").label("host", "b");
        let pool = traffic(Pool::builder("p").observer(log)).await;
        pool.close();
        Integrals::of(&pool.reading().totals)
    });
    let lines = lines(&path);
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!((&first["type"], &first["run_id"], &first["pool"]), (&"run".into(), &"a".into(), &"p".into()));
    assert_eq!((&first["cap"], &first["labels"]["host"]), (&2.into(), &"b".into()));
    assert_eq!((&last["type"], &last["dropped_records"]), (&"end".into(), &0.into()));

    let origin = wall(&first["started_at"]).unwrap();
    let epoch = Instant::now();
    let at = |value: &Value| Some(epoch.after(wall(value)?.duration_since(origin).unwrap()).unwrap());
    let delta = |line: &Value| line["to"].as_i64().unwrap() - line["from"].as_i64().unwrap();
    let mut changes = vec![Change { cap: 2, ..Change::at(epoch) }];
    let mut outcomes = std::collections::BTreeMap::<String, u32>::new();
    for line in &lines {
        let kind = line["type"].as_str().unwrap();
        assert_eq!(line["run_id"], "a");
        match kind {
            "cap" => changes.push(Change { cap: delta(line), ..Change::at(at(&line["at"]).unwrap()) }),
            "backlog" => {
                changes.push(Change { backlog: delta(line), ..Change::at(at(&line["at"]).unwrap()) })
            }
            "backoff" => {
                changes.push(Change { backoff: delta(line), ..Change::at(at(&line["at"]).unwrap()) })
            }
            "request" => {
                *outcomes.entry(line["outcome"].as_str().unwrap().into()).or_default() += 1;
                assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
                let (queued, released) = (at(&line["queued_at"]).unwrap(), at(&line["released_at"]).unwrap());
                if line["outcome"] == "rejected" {
                    continue;
                }
                changes.push(Change { waiting: 1, ..Change::at(queued) });
                let admitted = at(&line["admitted_at"]);
                let in_flight = i64::from(admitted.is_some());
                changes.push(Change { waiting: -1, in_flight, ..Change::at(admitted.unwrap_or(released)) });
                changes.push(Change { in_flight: -in_flight, ..Change::at(released) });
            }
            "run" | "sample" | "end" => {}
            other => panic!("a line of type {other}"),
        }
    }
    assert_eq!(outcomes["rejected"] + outcomes["cancelled"] + outcomes["completed"], 12);
    assert!(outcomes["completed"] > 3);

    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.lines().last().unwrap();
    let logged = Integrals {
        backlog: nanos(end, "backlog_time"),
        causes: ["gap_time_wakeup", "gap_time_backoff", "gap_time_orchestration"].map(|key| nanos(end, key)),
        gap_slots: nanos(end, "gap_slot_time"),
        lost: nanos(end, "lost_slot_time"),
        cap: nanos(end, "cap_slot_time"),
        busy: nanos(end, "busy_slot_time"),
        idle: nanos(end, "idle_slot_time"),
        over: nanos(end, "over_slot_time"),
    };
    assert!(logged.causes.iter().skip(1).all(|cause| *cause > 0), "{logged:?}");
    assert_eq!(logged, online);
    assert_eq!(logged, recompute(changes, at(&last["at"]).unwrap()));
    assert_eq!(nanos(end, "gap_time"), logged.causes.iter().sum());
    // The ledger follows from the requests' lines, and is all of the busy time.
    let requests = || text.lines().filter(|line| line.contains("\"type\":\"request\""));
    let mut busy = 0;
    for phase in SlotPhase::ALL.map(SlotPhase::as_str) {
        let spent =
            requests().filter(|line| line.contains("admitted_at")).map(|line| nanos(line, phase)).sum();
        assert_eq!(nanos(end, &format!("busy_slot_time_{phase}")), spent, "{phase}");
        busy += spent;
    }
    assert_eq!((busy, nanos(end, "busy_slot_time_unattributed")), (logged.busy, 0));
}

/// A request's line has the fields of the contract that exist, and no others.
#[test]
fn a_request_line_leaves_out_what_does_not_exist() {
    let path = file("fields.jsonl");
    run(async {
        traffic(Pool::builder("p").observer(RunLog::create(&path).unwrap())).await;
    });
    let lines = lines(&path);
    let of =
        |outcome: &str| lines.iter().find(|line| line["outcome"] == outcome).unwrap().as_object().unwrap();
    let completed = of("completed");
    assert_eq!(completed["output_tokens"], 2);
    assert_eq!((&completed["format"], &completed["token_source"]), (&"openai-chat".into(), &"events".into()));
    assert_eq!(completed["request_id"], "r-\"0\"");
    assert_eq!(completed["stream_tps"].as_f64().map(f64::round), Some(61.0));
    let rejected = of("rejected");
    assert_eq!(rejected["error_type"], "queue_full");
    assert!(!rejected.contains_key("admitted_at") && !rejected.contains_key("output_tokens"));
    assert!(completed.values().chain(rejected.values()).all(|value| !value.is_null()));
}

/// A log goes on at the end of a file that exists, and not in a torn line.
#[test]
fn a_torn_line_stays_alone() {
    let path = file("torn.jsonl");
    std::fs::write(&path, "{\"type\":\"req").unwrap();
    run(async { drop(Pool::builder("p").observer(RunLog::create(&path).unwrap()).build().unwrap()) });
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "{\"type\":\"req");
    assert!(lines[1].starts_with("{\"type\":\"run\""));
    assert!(lines.last().unwrap().starts_with("{\"type\":\"end\""));
    assert!(RunLog::create("/nowhere/at/all.jsonl").is_err());
}

/// Once the end has been told, nothing else is: neither a change, nor a sample,
/// nor the end again.
#[test]
fn nothing_is_told_after_the_end() {
    #[derive(Clone, Debug, Default)]
    struct Told(std::sync::Arc<std::sync::Mutex<Vec<&'static str>>>);
    impl Observer for Told {
        fn change(&self, _: &std::sync::Arc<str>, _: &tower_tps::gate::Change) {
            self.0.lock().unwrap().push("change");
        }
        fn sample(&self, _: &Sample) {
            self.0.lock().unwrap().push("sample");
        }
        fn end(&self, _: &Sample) {
            self.0.lock().unwrap().push("end");
        }
    }
    let told = Told::default();
    let pool = Pool::builder("p").observer(told.clone()).build().unwrap();
    let backlog = pool.backlog(1);
    pool.close();
    pool.set_cap(2).unwrap();
    drop(backlog);
    pool.sample();
    pool.close();
    drop(pool);
    assert_eq!(*told.0.lock().unwrap(), ["change", "end"]);
}

/// Samples are told in the order of their instants, whoever takes them.
#[test]
fn samples_are_in_order() {
    #[derive(Clone, Debug, Default)]
    struct Ordered(std::sync::Arc<std::sync::Mutex<Duration>>);
    impl Observer for Ordered {
        fn sample(&self, sample: &Sample) {
            let mut last = self.0.lock().unwrap();
            let time = sample.reading.totals.window_time();
            // A panic here is caught by the pool, and seen below in the mutex.
            assert!(time >= *last);
            *last = time;
        }
    }
    let ordered = Ordered::default();
    let pool = Pool::builder("p").observer(ordered.clone()).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2_000).for_each(|_| drop(pool.sample())));
        }
    });
    assert!(!ordered.0.is_poisoned());
    assert!(*ordered.0.lock().unwrap() > Duration::ZERO);
}

/// The names, types and buckets of the contract, and `gap_fraction` from them.
#[test]
fn the_metrics_of_the_contract() {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), buckets).unwrap();
    }
    let recorder = builder.build_recorder();
    let (text, totals) = metrics::with_local_recorder(&recorder, || {
        run(async {
            // A disk that is full: what does not reach it is counted.
            let pool = traffic(Pool::builder("p").observer(RunLog::create("/dev/full").unwrap())).await;
            pool.close();
            (exposition(&recorder.handle().render()), pool.reading().totals)
        })
    });
    for (name, kind) in [
        ("gen_ai_server_time_to_first_token_seconds", "histogram"),
        ("gen_ai_server_time_per_output_token_seconds", "histogram"),
        ("gen_ai_server_request_duration_seconds", "histogram"),
        ("tps_queue_duration_seconds", "histogram"),
        ("tps_stream_tokens_per_second", "histogram"),
        ("tps_end_to_end_tokens_per_second", "histogram"),
        ("tps_slot_held_seconds", "histogram"),
        ("tps_max_token_gap_seconds", "histogram"),
        ("tps_request_output_tokens", "histogram"),
        ("tps_cap", "gauge"),
        ("tps_in_flight", "gauge"),
        ("tps_queue_depth", "gauge"),
        ("tps_unattributed_slot_seconds", "gauge"),
        ("tps_oldest_queued_seconds", "gauge"),
        ("tps_oldest_in_flight_seconds", "gauge"),
        ("tps_longest_silence_seconds", "gauge"),
        ("tps_gap_seconds_total", "counter"),
        ("tps_backlog_seconds_total", "counter"),
        ("tps_observed_seconds_total", "counter"),
        ("tps_cap_slot_seconds_total", "counter"),
        ("tps_gap_slot_seconds_total", "counter"),
        ("tps_lost_slot_seconds_total", "counter"),
        ("tps_idle_slot_seconds_total", "counter"),
        ("tps_busy_slot_seconds_total", "counter"),
        ("tps_requests_total", "counter"),
        ("tps_output_tokens_total", "counter"),
        ("tps_emitted_tokens_total", "counter"),
        ("tps_dispatched_total", "counter"),
        ("tps_log_dropped_records_total", "counter"),
    ] {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} {kind} in\n{text}");
    }
    let value = |series: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("{series}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("tps_log_dropped_records_total{pool=\"p\"}") > 12.0);
    assert_eq!(value("tps_cap{pool=\"p\"}"), 1.0);
    for cause in GapCause::ALL {
        let series = format!("tps_gap_seconds_total{{pool=\"p\",cause=\"{}\"}}", cause.as_str());
        assert_eq!(value(&series), totals.gap_time_of(cause).as_secs_f64());
    }
    for phase in SlotPhase::ALL {
        let series = format!("tps_busy_slot_seconds_total{{pool=\"p\",phase=\"{}\"}}", phase.as_str());
        assert_eq!(value(&series), totals.slot_time_of(phase).as_secs_f64());
    }
    let queued: f64 = ["completed", "cancelled", "rejected"]
        .map(|outcome| {
            value(&format!("tps_queue_duration_seconds_count{{pool=\"p\",outcome=\"{outcome}\"}}"))
        })
        .iter()
        .sum();
    assert_eq!(queued, 12.0, "every arrival is in the distribution of the queue");
}

/// Counts bytes.
#[derive(Debug)]
struct Bytewise;

impl Tokenizer for Bytewise {
    fn name(&self) -> &str {
        "bytewise"
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(Bytewise)
    }
}

impl Counter for Bytewise {
    fn push(&mut self, text: &str) -> u64 {
        text.len() as u64
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

/// How far a tokenizer is from the provider's own figure is told where there is
/// a final one; what a cut stream said before its end is none.
#[test]
fn the_tokenizers_mismatch() {
    const PROVISIONAL: &str =
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"output_tokens\":900}}}\n\n";
    const DELTA: &str = "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"abc\"}}\n\n";
    const FINAL: &str = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n";
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = metrics::with_local_recorder(&recorder, || {
        run(async {
            let pool = Pool::builder("p").tokenizer(Tokens::by(Bytewise)).build().unwrap();
            for body in [[PROVISIONAL, DELTA, FINAL].concat(), [PROVISIONAL, DELTA].concat()] {
                let upstream = service_fn(move |_: Request<()>| {
                    let response = Response::builder().header("content-type", "text/event-stream");
                    std::future::ready(Ok::<_, Infallible>(
                        response.body(Full::new(Bytes::from(body.clone()))).unwrap(),
                    ))
                });
                let response = pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap();
                response.into_body().collect().await.unwrap();
            }
        });
        recorder.handle().render()
    });
    assert!(text.contains("tps_token_mismatch_tokens_total{pool=\"p\"} 4\n"), "{text}");
}

/// A retry counts by its cause on whichever side of the meter it is made, and the
/// log says which it was.
#[test]
fn retries_on_both_sides_are_told() {
    let path = file("retries.jsonl");
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = metrics::with_local_recorder(&recorder, || {
        run(async {
            let pool = Pool::builder("p").observer(RunLog::create(&path).unwrap()).build().unwrap();
            let upstream = service_fn(|request: Request<()>| {
                let retries = request.extensions().get::<Retries>().unwrap();
                retries.failed("connect");
                retries.resumed();
                // What is given up in its wait is no retry.
                retries.failed("timeout");
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))))
            });
            let mut request = Request::new(());
            request.extensions_mut().insert(Attempt(2));
            request.extensions_mut().insert(AttemptCause("status_429"));
            for request in [Request::new(()), request] {
                pool.layer().layer(upstream).oneshot(request).await.unwrap();
            }
            pool.close();
        });
        recorder.handle().render()
    });
    for (cause, count) in [("connect", 2), ("status_429", 1)] {
        let series = format!("tps_retries_total{{pool=\"p\",cause=\"{cause}\"}} {count}\n");
        assert!(text.contains(&series), "{series} in\n{text}");
    }
    assert!(!text.contains("cause=\"timeout\""), "{text}");
    let requests = lines(&path).into_iter().filter(|line| line["type"] == "request");
    let seen: Vec<_> =
        requests.map(|line| (line["attempt"].clone(), line.get("attempt_cause").cloned())).collect();
    assert_eq!(seen, [(1.into(), None), (2.into(), Some("status_429".into()))]);
}

/// Counts samples.
#[derive(Debug)]
struct Samples(Arc<AtomicUsize>);

impl Observer for Samples {
    fn sample(&self, _: &Sample) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Where the runtime that takes the samples ends before the pool, the next one
/// that sends a request through it goes on with them.
#[test]
fn samples_outlive_their_runtime() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let pool = runtime().block_on(async {
        let pool = Pool::builder("p").observer(Samples(count.clone())).build().unwrap();
        sleep(Duration::from_millis(2_500)).await;
        pool
    });
    assert_eq!(count.load(Ordering::SeqCst), 3);
    runtime().block_on(async {
        let upstream = service_fn(|_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        });
        pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap();
        sleep(Duration::from_millis(2_500)).await;
    });
    assert_eq!(count.load(Ordering::SeqCst), 6);
}
