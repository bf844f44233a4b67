//! What a service under the meter may ask and tell of a request, and the words in
//! which refusals reach each provider's clients.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::layer::{ErrorType, InFlight};
use tower_tps::outcome::Outcome;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const TOKEN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const PING: &str = ": ping\n\n";

type Item = Result<http_body::Frame<Bytes>, &'static str>;

/// A body of these, each after a second.
fn body(items: Vec<Result<&'static str, &'static str>>) -> impl Body<Data = Bytes, Error = &'static str> {
    let items = futures_util::stream::iter(items);
    StreamBody::new(futures_util::StreamExt::then(items, |item| async move {
        sleep(Duration::from_secs(1)).await;
        item.map(|text| http_body::Frame::data(Bytes::from_static(text.as_bytes()))) as Item
    }))
}

/// The silence is the time that the upstream was waited for since the last token:
/// pings do not end it, and a caller who does not ask is not in it.
#[tokio::test(start_paused = true)]
async fn silence_is_since_the_last_token() {
    let pool = Pool::builder("test").build().unwrap();
    let handle = Arc::new(Mutex::new(None));
    let keeps = handle.clone();
    let inner = service_fn(move |request: Request<()>| {
        *keeps.lock().unwrap() = request.extensions().get::<InFlight>().cloned();
        let body = body(vec![Ok(PING), Ok(TOKEN), Ok(PING), Ok(PING), Ok(TOKEN)]);
        let response = Response::builder().header("content-type", "text/event-stream").body(Box::pin(body));
        async { Ok::<_, Infallible>(response.unwrap()) }
    });
    let mut body = pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap().into_body();
    let in_flight: InFlight = handle.lock().unwrap().take().expect("the layer gives one");
    let seconds = |count| Some(Duration::from_secs(count));

    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight.silence(), None, "no token yet");
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight.silence(), seconds(0));
    // The caller does something else.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(in_flight.silence(), seconds(0));
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight.silence(), seconds(1));
    sleep(Duration::from_secs(100)).await;
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight.silence(), seconds(2));
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight.silence(), seconds(0));
}

/// A failure is called what the service that caused it says, if it says so: of the
/// body or of the service, and only if there is one.
#[tokio::test(start_paused = true)]
async fn a_failure_is_called_what_was_told() {
    for (told, body_fails, outcome, error_type) in [
        (Some("token_timeout"), true, Outcome::Failed, Some("token_timeout")),
        (None, true, Outcome::Failed, Some("body")),
        (Some("token_timeout"), false, Outcome::Completed, None),
    ] {
        let records = Records::default();
        let pool = Pool::builder("test").observer(records.clone()).build().unwrap();
        let inner = service_fn(move |request: Request<()>| {
            if let (Some(told), Some(in_flight)) = (told, request.extensions().get::<InFlight>()) {
                in_flight.fails_with(ErrorType(told));
                in_flight.fails_with(ErrorType("too late"));
            }
            let end = if body_fails { Err("broken") } else { Ok("data: [DONE]\n\n") };
            let body = Box::pin(body(vec![Ok(TOKEN), end]));
            let response = Response::builder().header("content-type", "text/event-stream").body(body);
            async { Ok::<_, Infallible>(response.unwrap()) }
        });
        let response = pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.into_body().collect().await.is_err(), body_fails);
        let record = records.0.lock().unwrap().remove(0);
        assert_eq!((record.outcome, record.error_type.as_deref()), (outcome, error_type));
    }
}

/// The same of a service that fails without a response.
#[tokio::test]
async fn a_failed_service_is_called_what_was_told() {
    let records = Records::default();
    let pool = Pool::builder("test").observer(records.clone()).build().unwrap();
    let inner = service_fn(|request: Request<()>| {
        request.extensions().get::<InFlight>().unwrap().fails_with(ErrorType("gone"));
        async { Err::<Response<String>, _>("gone") }
    });
    pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(records.0.lock().unwrap()[0].error_type.as_deref(), Some("gone"));
}

/// A refusal comes in the words of the provider whose path was asked.
#[tokio::test]
async fn refusals_speak_the_callers_format() {
    let pool = Pool::builder("test").max_queue(0).build().unwrap();
    let slow = service_fn(|_: Request<()>| std::future::pending::<Result<Response<String>, Infallible>>());
    let mut meter = pool.layer().layer(slow);
    let mut holder = tokio_test::task::spawn(meter.call(Request::new(())));
    tokio_test::assert_pending!(holder.poll());
    for (path, place, says) in [
        ("/v1/chat/completions", "/error/code", "queue_full"),
        ("/v1/messages", "/error/type", "rate_limit_error"),
        ("/v1beta/models/gemini-3:streamGenerateContent", "/error/status", "RESOURCE_EXHAUSTED"),
        ("/api/chat", "/error", "The queue is full: try again later."),
        ("/v2/chat", "/message", "The queue is full: try again later."),
        ("/model/a.b-c/converse-stream", "/message", "The queue is full: try again later."),
    ] {
        let request = Request::post(path).body(()).unwrap();
        let response = meter.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body.pointer(place).unwrap(), says, "{path}: {body}");
    }
}
