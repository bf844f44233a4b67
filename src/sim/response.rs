//! The bytes the engine answers with, and the body that carries them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::request::{Api, Request};

/// A fixed date, so that the same seed gives the same bytes.
const CREATED: u64 = 1_700_000_000;

pub(super) type Sender = mpsc::Sender<io::Result<Bytes>>;

/// A body: whole, or written by a task that ends with it.
#[derive(Debug)]
pub(super) enum Reply {
    Whole(Option<Bytes>),
    Stream { chunks: mpsc::Receiver<io::Result<Bytes>>, writer: JoinHandle<()> },
}

// === impl Reply ===

impl Reply {
    /// A body that `write` fills. The task is aborted when the body is dropped.
    pub(super) fn stream<F>(write: impl FnOnce(Sender) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, chunks) = mpsc::channel(1);
        Self::Stream { chunks, writer: tokio::spawn(write(sender)) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { chunks, .. } => chunks.poll_recv(cx).map(|chunk| Some(chunk?.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Self::Stream { writer, .. } = self {
            writer.abort();
        }
    }
}

// === whole responses ===

pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(status: StatusCode, doc: &Value) -> Response<Reply> {
    with_type(status, "application/json", Reply::Whole(Some(Bytes::from(doc.to_string()))))
}

pub(super) fn event_stream(body: Reply) -> Response<Reply> {
    let mut response = with_type(StatusCode::OK, "text/event-stream", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// An error as OpenAI words it; a 429 says when to come back.
pub(super) fn error(status: StatusCode, message: &str) -> Response<Reply> {
    let mut response = json(status, &error_doc(status, message));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
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
