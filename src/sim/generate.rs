//! Routes, and the answering of one request.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use http::{Method, Response, StatusCode};
use http_body::Body;
use serde_json::json;
use tokio::time::sleep;

use super::asked::Asked;
use super::body::{ResponseBody, Sender};
use super::engine::{Core, Pace, Run};
use super::faults::Fault;
use super::request::{Api, Request};
use super::response;

const MOST_BODY_BYTES: usize = 64 << 20;

pub(super) async fn route<B: Body>(core: &Arc<Core>, request: http::Request<B>) -> Response<ResponseBody> {
    let api = match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/chat/completions") => Api::Chat,
        (&Method::POST, "/v1/completions") => Api::Text,
        (&Method::GET, "/v1/models") => {
            let model = json!({"id": "sim", "object": "model", "created": 0, "owned_by": "sim"});
            return response::json(StatusCode::OK, &json!({"object": "list", "data": [model]}));
        }
        (&Method::GET, "/health") => return response::json(StatusCode::OK, &json!({"status": "ok"})),
        _ => return response::error(StatusCode::NOT_FOUND, "no such route"),
    };
    let response = generate(core, api, request).await;
    core.books.answered(response.status().as_u16());
    response
}

async fn generate<B: Body>(core: &Arc<Core>, api: Api, request: http::Request<B>) -> Response<ResponseBody> {
    let asked = Asked::by(request.headers());
    let Some(body) = read(request.into_body()).await else {
        return response::error(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let request = match Request::parse(api, &body) {
        Ok(request) => request,
        Err(message) => return response::error(StatusCode::BAD_REQUEST, message),
    };
    let mut run = core.run(request, &body, asked);
    // Drawn even where one was asked for: the text stays the same.
    let drawn = core.settings.faults.draw(&mut run.rng);
    if !asked.headers_delay.is_zero() {
        sleep(asked.headers_delay).await;
    }
    match asked.fault(run.seen).or(drawn) {
        Some(Fault::Status429) => {
            run.answered_whole();
            response::too_many_requests(asked.retry_after)
        }
        Some(Fault::Status500) => {
            run.answered_whole();
            internal_error()
        }
        fault if run.request.streamed => {
            // Before the writer can note anything of its own.
            run.headers_left();
            response::event_stream(ResponseBody::written(|sender| async move {
                // The client is gone: nobody is left to tell.
                let _ = stream(run, fault, sender).await;
            }))
        }
        fault => whole(run, fault).await,
    }
}

/// The body in one piece; absent where it fails or is too large.
async fn read<B: Body>(body: B) -> Option<Vec<u8>> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if data.remaining() > MOST_BODY_BYTES - bytes.len() {
            return None;
        }
        bytes.put(data);
    }
    Some(bytes)
}

/// Writes the stream. Ends early with nothing where the client goes away.
async fn stream(mut run: Run, fault: Option<Fault>, sender: Sender) -> Option<()> {
    let send = async |bytes: Bytes| sender.send(Ok(bytes)).await.ok();
    send(Bytes::from_static(b": keep-alive\n\n")).await?;
    let _slot = run.admitted().await?;
    if run.request.api == Api::Chat {
        send(response::event(&response::role_chunk(&run.id, &run.request))).await?;
    }
    let mut pace = Pace::new();
    let (first, second) = run.halves(fault.is_some());
    write(&mut run, &mut pace, &sender, first).await?;
    pace.pause(run.asked.pause).await;
    write(&mut run, &mut pace, &sender, second).await?;
    match fault {
        None => {
            send(response::event(&response::finish_chunk(&run.id, &run.request))).await?;
            if run.request.include_usage {
                send(response::event(&response::usage_chunk(&run.id, &run.request))).await?;
            }
            send(Bytes::from_static(b"data: [DONE]\n\n")).await?;
        }
        Some(Fault::Stall) => return std::future::pending().await,
        Some(Fault::Drop) => return sender.send(Err(cut())).await.ok(),
        Some(Fault::ErrorEvent) => {
            let doc = response::error_doc(StatusCode::INTERNAL_SERVER_ERROR, "generation failed (simulated)");
            send(response::event(&doc)).await?;
        }
        Some(Fault::Truncate | Fault::Status429 | Fault::Status500) => {}
    }
    run.ended();
    Some(())
}

/// Writes the next `left` tokens, each chunk once it is due and there is room for it.
async fn write(run: &mut Run, pace: &mut Pace, sender: &Sender, mut left: usize) -> Option<()> {
    while left > 0 {
        let tokens = left.min(run.core.settings.tokens_per_chunk);
        pace.next(run, tokens).await;
        let text = run.text(tokens);
        let chunk = response::event(&response::content_chunk(&run.id, &run.request, &text));
        let ready_at = run.ready(tokens);
        // Booked once there is room and before it can be read.
        let room = sender.reserve().await.ok()?;
        let left_at = run.emitted(tokens);
        room.send(Ok(chunk));
        // An engine that had to stop does not make up for it.
        pace.put_off(left_at.saturating_sub(ready_at));
        left -= tokens;
    }
    Some(())
}

/// Answers in one piece. The slot is held until the last token is there.
async fn whole(mut run: Run, fault: Option<Fault>) -> Response<ResponseBody> {
    let Some(_slot) = run.admitted().await else { return internal_error() };
    let mut pace = Pace::new();
    let (first, second) = run.halves(false);
    let mut text = run.written(&mut pace, first).await;
    pace.pause(run.asked.pause).await;
    text.push_str(&run.written(&mut pace, second).await);
    let doc = response::completion(&run.id, &run.request, &text);
    match fault {
        None => {
            let total = run.request.output_tokens;
            run.ready(total);
            run.emitted(total);
            run.answered_whole();
            response::json(StatusCode::OK, &doc)
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Truncate) => half(run, &doc, None),
        Some(Fault::Drop) => half(run, &doc, Some(cut())),
        Some(Fault::ErrorEvent | Fault::Status429 | Fault::Status500) => {
            run.answered_whole();
            internal_error()
        }
    }
}

/// The first half of a document, and then perhaps an error.
fn half(run: Run, doc: &serde_json::Value, end: Option<io::Error>) -> Response<ResponseBody> {
    let mut bytes = Bytes::from(doc.to_string());
    bytes.truncate(bytes.len() / 2);
    run.headers_left();
    let body = ResponseBody::written(|sender| async move {
        // Where the client is gone nobody is left to tell.
        match (sender.send(Ok(bytes)).await, end) {
            (Ok(()), Some(error)) => drop(sender.send(Err(error)).await),
            (Ok(()), None) => run.ended(),
            (Err(_), _) => {}
        }
    });
    response::with_type(StatusCode::OK, "application/json", body)
}

fn internal_error() -> Response<ResponseBody> {
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error (simulated)")
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut (simulated)")
}
