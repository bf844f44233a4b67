//! The bytes the engine answers with.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::request::{Api, Request};

/// A fixed date, so that the same seed gives the same bytes.
const CREATED: u64 = 1_700_000_000;

// === whole responses ===

pub(super) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(status: StatusCode, doc: &Value) -> Response<ResponseBody> {
    with_type(status, "application/json", ResponseBody::whole(doc.to_string()))
}

pub(super) fn event_stream(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = with_type(StatusCode::OK, "text/event-stream", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// An error as OpenAI words it.
pub(super) fn error(status: StatusCode, message: &str) -> Response<ResponseBody> {
    json(status, &error_doc(status, message))
}

/// The refusal that says after how many seconds to come back.
pub(super) fn too_many_requests(retry_after: u64) -> Response<ResponseBody> {
    let mut response = error(StatusCode::TOO_MANY_REQUESTS, "too many requests (simulated)");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

pub(super) fn error_doc(status: StatusCode, message: &str) -> Value {
    let (kind, code) = match status {
        StatusCode::TOO_MANY_REQUESTS => ("requests", json!("rate_limit_exceeded")),
        status if status.is_server_error() => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

// === documents of one completion ===

pub(super) fn event(doc: &Value) -> Bytes {
    Bytes::from(format!("data: {doc}\n\n"))
}

/// The answer in one piece.
pub(super) fn completion(id: &str, request: &Request, text: &str) -> Value {
    let mut choice = json!({"index": 0, "finish_reason": finish_reason(request), "logprobs": null});
    match request.api {
        Api::Chat => choice["message"] = json!({"role": "assistant", "content": text}),
        Api::Text => choice["text"] = json!(text),
    }
    let object = match request.api {
        Api::Chat => "chat.completion",
        Api::Text => "text_completion",
    };
    let mut doc = envelope(id, request, object, json!([choice]));
    doc["usage"] = usage(request);
    doc
}

pub(super) fn role_chunk(id: &str, request: &Request) -> Value {
    chunk(
        id,
        request,
        json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]),
    )
}

pub(super) fn content_chunk(id: &str, request: &Request, text: &str) -> Value {
    let choice = match request.api {
        Api::Chat => json!({"index": 0, "delta": {"content": text}, "finish_reason": null}),
        Api::Text => json!({"index": 0, "text": text, "finish_reason": null}),
    };
    chunk(id, request, json!([choice]))
}

pub(super) fn finish_chunk(id: &str, request: &Request) -> Value {
    let choice = match request.api {
        Api::Chat => json!({"index": 0, "delta": {}, "finish_reason": finish_reason(request)}),
        Api::Text => json!({"index": 0, "text": "", "finish_reason": finish_reason(request)}),
    };
    chunk(id, request, json!([choice]))
}

pub(super) fn usage_chunk(id: &str, request: &Request) -> Value {
    let mut doc = chunk(id, request, json!([]));
    doc["usage"] = usage(request);
    doc
}

fn chunk(id: &str, request: &Request, choices: Value) -> Value {
    let object = match request.api {
        Api::Chat => "chat.completion.chunk",
        Api::Text => "text_completion",
    };
    envelope(id, request, object, choices)
}

fn envelope(id: &str, request: &Request, object: &str, choices: Value) -> Value {
    json!({"id": id, "object": object, "created": CREATED, "model": request.model, "choices": choices})
}

fn usage(request: &Request) -> Value {
    json!({
        "prompt_tokens": request.prompt_tokens,
        "completion_tokens": request.output_tokens,
        "total_tokens": request.prompt_tokens + request.output_tokens,
    })
}

fn finish_reason(request: &Request) -> &'static str {
    if request.limited { "length" } else { "stop" }
}
