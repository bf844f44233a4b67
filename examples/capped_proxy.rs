//! A proxy with a cap that holds for whole streams: hyper in, hyper out.
//!
//! It sends sixteen streams through itself, two at a time, and ends with what it
//! measured. The engine is a simulated one, or yours, by its URL:
//!
//! ```sh
//! cargo run --features analysis,sim --example capped_proxy
//! cargo run --features analysis,sim --example capped_proxy -- http://127.0.0.1:8000
//! ```
//!
//! The program `tps proxy` is the same with what a proxy owes besides: answers
//! where the engine cannot be reached, headers of one hop, draining, a log.

use futures_util::future::try_join_all;
use http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_tps::Pool;
use tower_tps::analysis::Recording;
use tower_tps::sim::Engine;

#[path = "support/summary.rs"]
mod summary;

type Error = Box<dyn std::error::Error + Send + Sync>;

const STREAMS: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let engine = Engine::builder().slots(STREAMS).start().await?;
    let upstream = std::env::args().nth(1);
    let simulated = upstream.is_none();
    let upstream = upstream.unwrap_or_else(|| engine.url());

    // No connection is kept: llama.cpp closes one right after a stream.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let forward = service_fn(move |mut request: Request<Incoming>| {
        let (client, target) = (client.clone(), format!("{upstream}{}", request.uri()));
        async move {
            *request.uri_mut() = target.parse()?;
            request.headers_mut().remove(header::HOST); // set anew from the target
            Ok::<_, Error>(client.request(request).await?)
        }
    });
    let recording = Recording::default();
    let pool = Pool::builder("proxy").cap(2).observer(recording.clone()).build()?;
    let proxy = TowerToHyperService::new(pool.layer().layer(forward));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("the proxy is on http://{address}");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), proxy.clone()));
        }
    });

    try_join_all((0..STREAMS).map(|_| ask(format!("http://{address}/v1/chat/completions")))).await?;

    if simulated {
        let most = engine.truth().max_busy;
        println!("{STREAMS} streams at once, and the engine never saw more than {most}");
        assert!(most <= 2, "the cap of 2 holds");
    }
    pool.close();
    summary::print(&recording);
    Ok(())
}

/// A user: sends one request, and reads the stream to its end.
async fn ask(url: String) -> Result<(), Error> {
    let body = r#"{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20, "stream": true,
        "stream_options": {"include_usage": true}}"#;
    let request =
        Request::post(url).header(header::CONTENT_TYPE, "application/json").body(body.to_owned())?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    if !answer.status().is_success() {
        return Err(format!("the proxy answered {}", answer.status()).into());
    }
    answer.into_body().collect().await?;
    Ok(())
}
