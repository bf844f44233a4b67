//! The simulated engine over real HTTP.
#![cfg(feature = "sim")]

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tower_tps::sim::{Builder, Engine, Faults};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"one two three"}],"stream":true,"max_tokens":10,"stream_options":{"include_usage":true}}"#;
const CHAT_WITHOUT_USAGE: &str =
    r#"{"messages":[{"role":"user","content":"one two three"}],"stream":true,"max_tokens":10}"#;
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
