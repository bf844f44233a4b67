//! Connections, routes, and the answering of one request.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::engine::{Core, Pace, Run};
use super::faults::Fault;
use super::request::{Api, Request};
use super::response::{self, Reply, Sender};

const MOST_BODY_BYTES: usize = 64 << 20;

/// Serves until dropped; the connections end with it.
pub(super) async fn accept(listener: TcpListener, core: Arc<Core>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                core.books.connected();
                connections.spawn(connection(stream, Arc::clone(&core)));
            }
            // Out of file descriptors, most likely: let some connections end.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, core: Arc<Core>) {
    // Small chunks must leave at once; where that cannot be set they come later, nothing worse.
    let _ = stream.set_nodelay(true);
    if !core.settings.connect_delay.is_zero() {
        tokio::time::sleep(core.settings.connect_delay).await;
    }
    let service = service_fn(move |request| {
        let core = Arc::clone(&core);
        async move { Ok::<_, Infallible>(route(&core, request).await) }
    });
    // A connection's failure is its client's to see.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn route(core: &Arc<Core>, request: http::Request<Incoming>) -> Response<Reply> {
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

async fn generate(core: &Arc<Core>, api: Api, request: http::Request<Incoming>) -> Response<Reply> {
    let asked = Fault::asked(request.headers());
    let Ok(body) = Limited::new(request.into_body(), MOST_BODY_BYTES).collect().await else {
        return response::error(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let body = body.to_bytes();
    let request = match Request::parse(api, &body) {
        Ok(request) => request,
        Err(message) => return response::error(StatusCode::BAD_REQUEST, message),
    };
    let mut run = core.run(request, &body);
    // Drawn even where one was asked for: the text stays the same.
    let drawn = core.settings.faults.draw(&mut run.rng);
    match asked.or(drawn) {
        Some(Fault::Status429) => {
            response::error(StatusCode::TOO_MANY_REQUESTS, "too many requests (simulated)")
        }
        Some(Fault::Status500) => internal_error(),
        fault if run.request.streamed => {
            response::event_stream(Reply::stream(|sender| async move {
                // The client is gone: nobody is left to tell.
                let _ = stream(run, fault, sender).await;
            }))
        }
        fault => whole(run, fault).await,
    }
}

/// Writes the stream. Ends early with nothing where the client goes away.
async fn stream(mut run: Run, fault: Option<Fault>, sender: Sender) -> Option<()> {
    let send = async |bytes: Bytes| sender.send(Ok(bytes)).await.ok();
    send(Bytes::from_static(b": keep-alive\n\n")).await?;
    let _slot = run.admitted().await?;
    if run.request.api == Api::Chat {
        send(response::event(&response::role_chunk(&run.id, &run.request))).await?;
    }
    let total = run.request.output_tokens;
    let mut left = if fault.is_some() { total / 2 } else { total };
    let mut pace = Pace::new();
    while left > 0 {
        let tokens = left.min(run.core.settings.tokens_per_chunk);
        pace.next(&mut run, tokens).await;
        let text = run.text(tokens);
        let chunk = response::event(&response::content_chunk(&run.id, &run.request, &text));
        // Booked once there is room and before it can be read.
        let room = sender.reserve().await.ok()?;
        run.emitted(tokens);
        room.send(Ok(chunk));
        left -= tokens;
    }
    match fault {
        None => {}
        Some(Fault::Stall) => return std::future::pending().await,
        Some(Fault::Drop) => return sender.send(Err(cut())).await.ok(),
        Some(Fault::ErrorEvent) => {
            let doc = response::error_doc(StatusCode::INTERNAL_SERVER_ERROR, "generation failed (simulated)");
            return send(response::event(&doc)).await;
        }
        Some(Fault::Truncate | Fault::Status429 | Fault::Status500) => return Some(()),
    }
    send(response::event(&response::finish_chunk(&run.id, &run.request))).await?;
    if run.request.include_usage {
        send(response::event(&response::usage_chunk(&run.id, &run.request))).await?;
    }
    send(Bytes::from_static(b"data: [DONE]\n\n")).await
}

/// Answers in one piece. The slot is held until the last token is there.
async fn whole(mut run: Run, fault: Option<Fault>) -> Response<Reply> {
    let Some(_slot) = run.admitted().await else { return internal_error() };
    let total = run.request.output_tokens;
    let mut text = String::new();
    let mut pace = Pace::new();
    let mut left = total;
    while left > 0 {
        let tokens = left.min(run.core.settings.tokens_per_chunk);
        pace.next(&mut run, tokens).await;
        text.push_str(&run.text(tokens));
        left -= tokens;
    }
    let doc = response::completion(&run.id, &run.request, &text);
    match fault {
        None => {
            run.emitted(total);
            response::json(StatusCode::OK, &doc)
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Truncate) => half(&doc, None),
        Some(Fault::Drop) => half(&doc, Some(cut())),
        Some(Fault::ErrorEvent | Fault::Status429 | Fault::Status500) => internal_error(),
    }
}

/// The first half of a document, and then perhaps an error.
fn half(doc: &serde_json::Value, end: Option<io::Error>) -> Response<Reply> {
    let mut bytes = Bytes::from(doc.to_string());
    bytes.truncate(bytes.len() / 2);
    let body = Reply::stream(|sender| async move {
        let sent = sender.send(Ok(bytes)).await;
        if let (Ok(()), Some(error)) = (sent, end) {
            // The client is gone: nobody is left to tell.
            let _ = sender.send(Err(error)).await;
        }
    });
    response::with_type(StatusCode::OK, "application/json", body)
}

fn internal_error() -> Response<Reply> {
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error (simulated)")
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut (simulated)")
}
