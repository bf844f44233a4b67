//! A batch of prompts through a metered reqwest client, its backlog declared.
//!
//! The engine is a simulated one, or yours, by its URL; a second argument names
//! a file for the run log:
//!
//! ```sh
//! cargo run --features analysis,sim --example reqwest_client
//! cargo run --features analysis,sim --example reqwest_client -- http://127.0.0.1:8000 run.jsonl
//! ```

use std::future::ready;

use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::analysis::Recording;
use tower_tps::layer::ResponseBody;
use tower_tps::observe::RunLog;
use tower_tps::sim::Engine;

#[path = "support/summary.rs"]
mod summary;

type Error = Box<dyn std::error::Error + Send + Sync>;

const CAP: u32 = 4;
/// How many requests stand at the gate at once. More than the cap: with fewer,
/// slots would stand idle while prompts are left, a gap of cause `orchestration`.
const WINDOW: usize = 8;
const PROMPTS: u32 = 24;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let engine = Engine::builder().start().await?;
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| engine.url());

    let recording = Recording::default();
    let mut pool = Pool::builder("batch").cap(CAP).observer(recording.clone());
    if let Some(path) = args.next() {
        pool = pool.observer(RunLog::create(path)?);
    }
    let pool = pool.build()?;

    // No connection is kept: llama.cpp closes one right after a stream.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
    let send = service_fn(move |request: Request<String>| {
        let client = client.clone();
        async move { client.execute(request.try_into()?).await.map(Response::from) }
    });
    let metered = pool.layer().layer(send);

    let prompts = (1..=PROMPTS).map(|n| format!("Tell a story in {n} words."));
    // From here on it is known that there is work, and that a free slot is a gap.
    let backlog = pool.backlog(PROMPTS.into()).items(prompts);
    stream::iter(backlog)
        .map(|prompt| {
            let (metered, url) = (metered.clone(), &url);
            async move {
                let answer = ask(metered, url, &prompt).await;
                (prompt, answer)
            }
        })
        .buffer_unordered(WINDOW)
        .for_each(|(prompt, answer)| {
            // One that failed does not end the batch.
            match answer {
                Ok((status, bytes)) => println!("{prompt} {status}, {bytes} bytes"),
                Err(error) => println!("{prompt} {error}"),
            }
            ready(())
        })
        .await;

    pool.close(); // the log gets its last line
    summary::print(&recording);
    Ok(())
}

/// Sends one prompt and reads the stream to its end, which frees the slot.
async fn ask<S>(metered: S, url: &str, prompt: &str) -> Result<(StatusCode, usize), Error>
where
    S: Service<Request<String>, Response = Response<ResponseBody<reqwest::Body>>, Error = reqwest::Error>,
{
    let body = serde_json::json!({
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 32,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let request = Request::post(format!("{url}/v1/chat/completions"))
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string())?;
    let answer = metered.oneshot(request).await?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes().len()))
}
