//! The simulated engine over real HTTP, and in process under a paused clock.
#![cfg(feature = "sim")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::sleep;
use tower::ServiceExt;
use tower_tps::clock::Instant;
use tower_tps::sim::{Builder, Engine, Faults, ResponseBody, Service};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"one two three"}],"stream":true,"max_tokens":10,"stream_options":{"include_usage":true}}"#;
const CHAT_WITHOUT_USAGE: &str =
    r#"{"messages":[{"role":"user","content":"one two three"}],"stream":true,"max_tokens":10}"#;
const TEXT: &str = r#"{"prompt":"one two three","stream":true,"max_tokens":10}"#;
const WHOLE: &str = r#"{"prompt":"one two three","max_tokens":10}"#;

fn quick() -> Builder {
    Engine::builder()
        .prefill_per_token(Duration::from_micros(10))
        .token_interval(Duration::from_micros(500))
        .jitter(0.5)
        .seed(7)
}

async fn post(engine: &Engine, path: &str, body: &str, fault: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(engine.url() + path).header("x-sim-fault", fault);
    request.body(body.to_owned()).send().await.expect("a response")
}

async fn chat(engine: &Engine, body: &str, fault: &str) -> reqwest::Response {
    post(engine, "/v1/chat/completions", body, fault).await
}

/// The documents of a stream, without comments and `[DONE]`.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// Waits until no slot is taken; hangs where one stays so.
async fn all_free(engine: &Engine) {
    while engine.truth().busy > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The same seed gives the same bytes in whatever company; another seed, or the same body again, others.
#[tokio::test]
async fn same_seed_same_bytes() {
    let (a, b) = (quick().start().await.unwrap(), quick().start().await.unwrap());
    let other = quick().seed(8).start().await.unwrap();
    let company = join_all((0..4).map(|_| post(&b, "/v1/completions", WHOLE, "")));
    let (first, same, _) = tokio::join!(chat(&a, CHAT, ""), chat(&b, CHAT, ""), company);
    let first = first.bytes().await.unwrap();
    assert_eq!(first, same.bytes().await.unwrap());
    assert_ne!(first, chat(&a, CHAT, "").await.bytes().await.unwrap());
    assert_ne!(first, chat(&other, CHAT, "").await.bytes().await.unwrap());
}

/// Sixteen requests at once fill all slots and never one more.
#[tokio::test]
async fn never_more_than_its_slots() {
    let engine = quick().slots(3).start().await.unwrap();
    let texts = join_all((0..16).map(async |_| chat(&engine, CHAT, "").await.text().await.unwrap())).await;
    assert!(texts.iter().all(|text| text.ends_with("data: [DONE]\n\n")));
    all_free(&engine).await;
    let truth = engine.truth();
    assert_eq!((truth.max_busy, truth.requests.len(), truth.connections), (3, 16, 16));
    assert_eq!(truth.by_status.get(&200), Some(&16));
}

/// A stream has its keep-alive, role, content, finish and, only when asked, usage.
#[tokio::test]
async fn usage_only_when_asked() {
    let engine = quick().tokens_per_chunk(4).start().await.unwrap();
    let text = chat(&engine, CHAT, "").await.text().await.unwrap();
    assert!(text.starts_with(": keep-alive\n\n") && text.ends_with("data: [DONE]\n\n"));
    let docs = events(&text);
    assert_eq!(docs.len(), 1 + 3 + 1 + 1);
    assert_eq!(docs[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(docs[4]["choices"][0]["finish_reason"], "length");
    assert_eq!(docs[5]["choices"], serde_json::json!([]));
    assert_eq!(docs[5]["usage"]["prompt_tokens"], 3);
    let without = chat(&engine, CHAT_WITHOUT_USAGE, "").await.text().await.unwrap();
    assert!(events(&without).iter().all(|doc| doc.get("usage").is_none()));
}

/// The truth's tokens are those of the usage and of the text, streamed and whole, and in order of time.
#[tokio::test]
async fn truth_equals_usage() {
    let engine = quick().start().await.unwrap();
    let streamed = events(&chat(&engine, CHAT, "").await.text().await.unwrap());
    let whole = post(&engine, "/v1/completions", WHOLE, "").await.text().await.unwrap();
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["choices"][0]["text"].as_str().unwrap().split_whitespace().count(), 10);
    let truth = engine.truth();
    for (request, doc) in truth.requests.iter().zip([streamed.last().unwrap(), &whole]) {
        assert_eq!(doc["id"], request.id.as_str());
        assert_eq!(doc["usage"]["completion_tokens"], request.tokens());
        assert!(request.tokens_at.is_sorted());
        assert!(request.admitted_at.unwrap() <= request.tokens_at[0]);
    }
    assert_eq!(truth.tokens(), 20);
}

/// The refusals carry their status, an error body, and for 429 when to come back; no slot is taken.
#[tokio::test]
async fn refusals() {
    let engine = quick().start().await.unwrap();
    for (fault, status, kind) in [("status=429", 429, "requests"), ("status=500", 500, "server_error")] {
        let response = chat(&engine, CHAT, fault).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key("retry-after"), status == 429);
        let doc: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(doc["error"]["type"], kind);
    }
    assert_eq!(engine.truth().max_busy, 0);
    assert_eq!(chat(&engine, "{", "").await.status().as_u16(), 400);
}

/// An error event, a truncated body and a cut connection each come after half of the tokens.
#[tokio::test]
async fn faults_halfway() {
    let engine = quick().start().await.unwrap();
    let failed = chat(&engine, CHAT, "error-event").await.text().await.unwrap();
    assert_eq!(events(&failed).last().unwrap()["error"]["type"], "server_error");
    let truncated = chat(&engine, CHAT, "truncate").await.text().await.unwrap();
    assert!(!failed.contains("[DONE]") && !truncated.contains("[DONE]"));
    assert_eq!(events(&truncated).len(), 1 + 5);
    assert!(chat(&engine, CHAT, "drop").await.bytes().await.is_err());
    assert!(post(&engine, "/v1/completions", WHOLE, "drop").await.bytes().await.is_err());
    let half = post(&engine, "/v1/completions", WHOLE, "truncate").await.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&half).is_err());
    assert!(engine.truth().requests[..3].iter().all(|request| request.tokens() == 5));
}

/// A stalled stream keeps its slot until its client goes away, and the next in line has it then.
#[tokio::test]
async fn a_client_that_goes_away_frees_the_slot() {
    let engine = quick().slots(1).start().await.unwrap();
    let mut stalled = chat(&engine, CHAT, "stall").await;
    while engine.truth().tokens() < 5 {
        stalled.chunk().await.unwrap();
    }
    let mut waiting = chat(&engine, CHAT, "").await;
    assert_eq!(waiting.chunk().await.unwrap().unwrap(), ": keep-alive\n\n");
    assert_eq!(engine.truth().busy, 1);
    assert_eq!(engine.truth().requests[1].admitted_at, None);
    drop(stalled);
    assert!(waiting.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    all_free(&engine).await;
    let truth = engine.truth();
    assert_eq!(truth.max_busy, 1);
    assert!(truth.requests.iter().all(|request| request.released_at.is_some()));
}

/// So it is with an answer in one piece that never comes.
#[tokio::test]
async fn a_client_that_waits_no_longer_frees_the_slot() {
    let engine = quick().slots(1).start().await.unwrap();
    let asked = {
        let request = reqwest::Client::new().post(engine.url() + "/v1/completions");
        tokio::spawn(request.header("x-sim-fault", "stall").body(WHOLE).send())
    };
    while engine.truth().busy == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    asked.abort();
    all_free(&engine).await;
    assert_eq!(post(&engine, "/v1/completions", WHOLE, "").await.status().as_u16(), 200);
}

/// Faults by chance come as often as told: always, at 1.
#[tokio::test]
async fn faults_by_chance() {
    let engine = quick().faults(Faults { status_429: 1.0, ..Faults::default() }).start().await.unwrap();
    assert_eq!(chat(&engine, CHAT, "").await.status().as_u16(), 429);
}

/// The models and the health can be asked; once the engine is dropped nobody answers.
#[tokio::test]
async fn routes_and_end() {
    let engine = quick().start().await.unwrap();
    let url = engine.url();
    for path in ["/v1/models", "/health"] {
        assert_eq!(reqwest::get(format!("{url}{path}")).await.unwrap().status().as_u16(), 200);
    }
    drop(engine);
    while reqwest::get(format!("{url}/health")).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Over HTTP/2 requests share one connection, and the bytes are those of HTTP/1.1.
#[tokio::test]
async fn http2_on_one_connection() {
    let (old, new) = (quick().start().await.unwrap(), quick().start().await.unwrap());
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let ask = async || {
        let request = Request::post(new.url() + "/v1/chat/completions").body(Full::from(CHAT)).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        response.into_body().collect().await.unwrap().to_bytes()
    };
    assert_eq!(ask().await, chat(&old, CHAT, "").await.bytes().await.unwrap());
    join_all((0..8).map(|_| ask())).await;
    assert_eq!((new.truth().requests.len(), new.truth().connections), (9, 1));
}

/// A client that resets its stream frees the slot, and the connection goes on.
#[tokio::test]
async fn a_reset_stream_frees_the_slot() {
    let engine = quick().slots(1).start().await.unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let ask = |fault| {
        let request = Request::post(engine.url() + "/v1/completions").header("x-sim-fault", fault);
        client.request(request.body(Full::from(TEXT)).unwrap())
    };
    let mut stalled = ask("stall").await.unwrap().into_body();
    while engine.truth().tokens() < 5 {
        stalled.frame().await.unwrap().unwrap();
    }
    drop(stalled);
    ask("").await.unwrap().into_body().collect().await.unwrap();
    let truth = engine.truth();
    assert_eq!((truth.max_busy, truth.connections), (1, 1));
    assert_eq!((truth.requests[0].ended_at, truth.requests[1].tokens()), (None, 10));
}

// === in process, the clock paused ===

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// 1 ms of prefill a word, 10 ms a token.
fn paced() -> Builder {
    Engine::builder().prefill_per_token(ms(1)).token_interval(ms(10))
}

async fn call(engine: &Service, path: &str, asked: &[(&str, &str)], body: &str) -> Response<ResponseBody> {
    let mut request = Request::post(path);
    for (name, value) in asked {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
    engine.clone().oneshot(request).await.unwrap()
}

async fn text(engine: &Service, asked: &[(&str, &str)]) -> Response<ResponseBody> {
    call(engine, "/v1/completions", asked, TEXT).await
}

/// Reads to the end; gives when each chunk with this in it came, since the engine's start.
async fn read(engine: &Service, response: Response<ResponseBody>, with: &str) -> Vec<Duration> {
    let (mut body, mut came_at) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return came_at };
        if String::from_utf8_lossy(frame.data_ref().unwrap()).contains(with) {
            came_at.push(Instant::now().since(engine.started_at()));
        }
    }
    came_at
}

/// `count` instants from the first on, 10 ms apart.
fn every_10_ms(first: u64, count: u64) -> Vec<Duration> {
    (0..count).map(|token| ms(first + 10 * token)).collect()
}

/// Every instant of the books is what the settings say and what the client saw, and the next in
/// line has the slot at the instant at which it was given back.
#[tokio::test(start_paused = true)]
async fn the_books_are_exact() {
    let engine = paced().slots(1).service();
    sleep(ms(5)).await;
    let chats = (0..2).map(async |_| {
        let response = call(&engine, "/v1/chat/completions", &[], CHAT_WITHOUT_USAGE).await;
        read(&engine, response, "\"finish_reason\":null").await
    });
    let came_at = join_all(chats).await;
    let truth = engine.truth();
    for (index, (arrived, admitted)) in [(5, 5), (5, 98)].into_iter().enumerate() {
        let request = &truth.requests[index];
        assert_eq!((request.arrived_at, request.headers_at), (ms(arrived), Some(ms(arrived))));
        assert_eq!(request.admitted_at, Some(ms(admitted)));
        assert_eq!(request.tokens_at, every_10_ms(admitted + 3, 10));
        assert_eq!(request.ready_at, request.tokens_at);
        assert_eq!((request.ended_at, request.released_at), (Some(ms(admitted + 93)), request.ended_at));
        // The role's chunk comes first.
        assert_eq!(came_at[index][1..], request.tokens_at);
    }
    assert_eq!((truth.busy, truth.max_busy, truth.connections), (0, 1, 0));
}

/// An answer in one piece leaves at once: headers, tokens and end at the same instant.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_exact() {
    let engine = paced().service();
    let response = call(&engine, "/v1/completions", &[("x-sim-pause", "1000")], WHOLE).await;
    assert_eq!(response.status(), 200);
    let request = &engine.truth().requests[0];
    let at = Some(ms(3 + 90 + 1000));
    assert_eq!((request.headers_at, request.ended_at, request.released_at), (at, at, at));
    assert!(request.tokens() == 10 && request.tokens_at.iter().all(|token| Some(*token) == at));
}

/// A client that does not read stops the engine with one chunk waiting and the next one ready; the
/// engine goes on as it is read, at its own pace.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_stops_the_engine() {
    let engine = paced().service();
    let response = text(&engine, &[]).await;
    sleep(ms(1000)).await;
    // The keep-alive waits.
    let stopped = &engine.truth().requests[0];
    assert_eq!((&stopped.ready_at[..], &stopped.tokens_at[..]), (&[ms(3)][..], &[][..]));
    assert_eq!(engine.truth().busy, 1);
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    sleep(ms(500)).await;
    let stopped = &engine.truth().requests[0];
    assert_eq!((&stopped.ready_at[..], &stopped.tokens_at[..]), (&[ms(3), ms(1010)][..], &[ms(1000)][..]));
    body.collect().await.unwrap();
    let request = &engine.truth().requests[0];
    assert_eq!(request.tokens_at[1..], every_10_ms(1500, 9));
    assert_eq!(request.ended_at, Some(ms(1580)));
}

/// The headers can be late, and the place in line with them.
#[tokio::test(start_paused = true)]
async fn headers_on_demand() {
    let engine = paced().service();
    let response = text(&engine, &[("x-sim-headers-delay", "500")]).await;
    assert_eq!(Instant::now().since(engine.started_at()), ms(500));
    response.into_body().collect().await.unwrap();
    let request = &engine.truth().requests[0];
    assert_eq!((request.arrived_at, request.headers_at), (ms(0), Some(ms(500))));
    assert_eq!((request.admitted_at, request.tokens_at[0]), (Some(ms(500)), ms(503)));
}

/// A pause comes after half of the tokens, and before the fault that comes there.
#[tokio::test(start_paused = true)]
async fn a_pause_on_demand() {
    let engine = paced().service();
    let pause = ("x-sim-pause", "2000");
    let response = text(&engine, &[pause]).await;
    let came_at = read(&engine, response, "\"finish_reason\":null").await;
    assert_eq!(came_at, [every_10_ms(3, 5), every_10_ms(2053, 5)].concat());
    let engine = paced().service();
    let response = text(&engine, &[pause, ("x-sim-fault", "error-event")]).await;
    assert_eq!(read(&engine, response, "error").await, [ms(2043)]);
    assert_eq!(engine.truth().requests[0].ended_at, Some(ms(2043)));
}

/// A fault can be meant for the first attempts of a body, and a 429 says when to come back.
#[tokio::test(start_paused = true)]
async fn the_first_attempts_fail() {
    let engine = paced().service();
    let asked = [("x-sim-fault", "status=429; times=2"), ("x-sim-retry-after", "7")];
    for status in [429, 429, 200] {
        let response = text(&engine, &asked).await;
        assert_eq!(response.status(), status);
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(retry_after, (status == 429).then_some("7"));
    }
    let response = call(&engine, "/v1/completions", &asked, WHOLE).await;
    assert_eq!(response.status(), 429, "another body has attempts of its own");
    let truth = engine.truth();
    assert_eq!(truth.by_status, [(200, 1), (429, 3)].into());
    assert_eq!((truth.requests[0].admitted_at, truth.requests[0].ended_at), (None, Some(ms(0))));
}

/// What cannot be read is not asked for.
#[tokio::test(start_paused = true)]
async fn wishes_that_cannot_be_read() {
    let engine = paced().service();
    for asked in [
        ("x-sim-fault", "status=429;times=two"),
        ("x-sim-fault", "status=429;2"),
        ("x-sim-headers-delay", "-1"),
        ("x-sim-pause", "1s"),
    ] {
        let response = text(&engine, &[asked]).await;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    let truth = engine.truth();
    let took = truth.requests.iter().map(|request| request.ended_at.unwrap() - request.arrived_at);
    assert!(took.eq([ms(93); 4]));
}

/// Who drops the response has hung up: the slot goes back at that instant, and the end never came.
#[tokio::test(start_paused = true)]
async fn a_dropped_response_frees_the_slot() {
    let engine = paced().slots(1).service();
    let stalled = text(&engine, &[("x-sim-fault", "stall")]).await;
    let read = tokio::spawn(stalled.into_body().collect());
    sleep(ms(777)).await;
    read.abort();
    sleep(ms(1)).await;
    let request = &engine.truth().requests[0];
    assert_eq!((request.released_at, request.ended_at), (Some(ms(777)), None));
    assert_eq!(request.tokens_at, every_10_ms(3, 5));
    // So is who drops the call.
    let asked = [("x-sim-headers-delay", "1000")];
    let waited = tokio::time::timeout(ms(10), text(&engine, &asked)).await;
    assert!(waited.is_err());
    assert_eq!(engine.truth().requests[1].headers_at, None);
}

/// A connection that was cut is an error in the body, and has no end in the books.
#[tokio::test(start_paused = true)]
async fn a_cut_connection() {
    let engine = paced().service();
    for (path, body) in [("/v1/completions", TEXT), ("/v1/completions", WHOLE)] {
        let response = call(&engine, path, &[("x-sim-fault", "drop")], body).await;
        assert!(response.into_body().collect().await.is_err());
    }
    assert!(engine.truth().requests.iter().all(|request| request.ended_at.is_none()));
}

/// A request's body may be of any kind; one that fails is answered, and not entered.
#[tokio::test(start_paused = true)]
async fn a_body_that_fails() {
    let engine = paced().service();
    let frames = stream::iter([Ok(Frame::data(&b"{"[..])), Err("broken")]);
    let request = Request::post("/v1/completions").body(StreamBody::new(frames)).unwrap();
    assert_eq!(engine.clone().oneshot(request).await.unwrap().status(), 400);
    assert!(engine.truth().requests.is_empty());
}
