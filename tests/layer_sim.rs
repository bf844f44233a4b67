//! The layer around a real HTTP client and around the engine in process, held
//! against the simulated engine's own truth.
#![cfg(feature = "sim")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::outcome::Outcome;
use tower_tps::sim::Engine;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

/// Thirty-two requests, streamed and not, some of them made to fail: each
/// record's tokens are those that left the engine, the outcomes are those that
/// were asked for, and the engine never sees more than the cap at once.
#[tokio::test]
async fn records_are_the_engines_truth() {
    let engine = Engine::builder()
        .slots(8)
        .token_interval(Duration::from_millis(1))
        .jitter(0.5)
        .seed(3)
        .start()
        .await
        .unwrap();
    let records = Records::default();
    let pool = Pool::builder("sim").cap(3).observer(records.clone()).build().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let metered = pool.layer().layer(client);

    let faults = ["", "error-event", "truncate", "drop", "status=429", "status=500", "", ""];
    let sent = (0..32).map(|index: usize| {
        let fault = faults[index % 8];
        let (streamed, usage) = (index % 8 != 7, index % 8 != 6);
        let body = format!(
            "{{\"messages\":[{{\"content\":\"a prompt {index}\"}}],\"max_tokens\":{},\"stream\":{streamed},\"stream_options\":{{\"include_usage\":{usage}}}}}",
            10 + index
        );
        let request = Request::post(format!("{}/v1/chat/completions", engine.url()))
            .header("x-request-id", index.to_string())
            .header("x-sim-fault", fault)
            .body(Full::from(body))
            .unwrap();
        let metered = metered.clone();
        async move {
            // A cut connection is an error here too.
            let response = metered.oneshot(request).await.unwrap();
            let _ = response.into_body().collect().await;
        }
    });
    join_all(sent).await;

    let truth = engine.truth();
    assert!(truth.max_busy <= 3, "{} at once", truth.max_busy);
    let records = records.0.lock().unwrap();
    assert_eq!(records.len(), 32);
    for record in records.iter() {
        let index: usize = record.request_id.parse().unwrap();
        let (outcome, error) = match faults[index % 8] {
            "" => (Outcome::Completed, None),
            "truncate" => (Outcome::Truncated, None),
            "error-event" => (Outcome::Failed, Some("stream_error")),
            "drop" => (Outcome::Failed, Some("body")),
            "status=429" => (Outcome::Failed, Some("status_429")),
            _ => (Outcome::Failed, Some("status_500")),
        };
        assert_eq!((record.outcome, record.error_type.as_deref()), (outcome, error), "request {index}");
        let asked = (index + 10) as u64;
        let expected = match (outcome, error) {
            (Outcome::Completed, _) => Some(asked),
            (_, Some("status_429" | "status_500")) => None,
            // Half of them leave; a cut connection can take the last on its way.
            (_, Some("body")) => record.output_tokens().filter(|tokens| *tokens <= asked / 2),
            _ => Some(asked / 2),
        };
        assert_eq!(record.output_tokens(), expected, "request {index}");
        if record.generated.as_ref().is_some_and(|generated| generated.streamed) {
            let order = [
                Some(record.timeline.queued_at),
                record.timeline.admitted_at,
                record.timeline.headers_at,
                record.timeline.first_token_at,
                record.timeline.last_token_at,
                record.timeline.released_at,
            ];
            assert!(order.is_sorted() && order.iter().all(Option::is_some), "request {index}: {order:?}");
        }
    }
    let left_the_engine = (0..32).map(|index| match faults[index % 8] {
        "" => index + 10,
        "status=429" | "status=500" => 0,
        _ => (index + 10) / 2,
    });
    assert_eq!(truth.tokens(), left_the_engine.sum::<usize>());
}

/// In process each instant of a record is the engine's own, to the nanosecond: headers, first and
/// last token, and the end, for requests that queue before the pool and late upstream.
#[tokio::test(start_paused = true)]
async fn instants_are_the_engines_own() {
    let engine = Engine::builder().slots(2).token_interval(Duration::from_millis(7)).jitter(0.9).service();
    let records = Records::default();
    let pool = Pool::builder("sim").cap(3).observer(records.clone()).build().unwrap();
    let metered = pool.layer().layer(engine.clone());
    let sent = (0..9).map(|index: u64| {
        let body = format!("{{\"prompt\":\"a prompt {index}\",\"stream\":true,\"max_tokens\":20}}");
        let request = Request::post("/v1/completions")
            .header("x-request-id", index.to_string())
            .header("x-sim-headers-delay", (index * 11).to_string())
            .header("x-sim-pause", (index % 3 * 100).to_string())
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let metered = metered.clone();
        async move {
            let response = metered.oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    });
    join_all(sent).await;

    let truth = engine.truth();
    let records = records.0.lock().unwrap();
    assert_eq!((records.len(), truth.requests.len()), (9, 9));
    let since = |at: Option<Instant>| at.map(|at| at.since(engine.started_at()));
    for record in records.iter() {
        let timeline = &record.timeline;
        // No two of them end at the same instant.
        let ended_at = since(timeline.released_at);
        let request = truth.requests.iter().find(|request| request.ended_at == ended_at).unwrap();
        assert_eq!(since(timeline.admitted_at), Some(request.arrived_at));
        assert_eq!(since(timeline.headers_at), request.headers_at);
        assert_eq!(since(timeline.first_token_at), request.tokens_at.first().copied());
        assert_eq!(since(timeline.last_token_at), request.tokens_at.last().copied());
        assert_eq!(record.output_tokens(), Some(20));
    }
}
