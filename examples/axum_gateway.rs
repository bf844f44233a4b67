//! A gateway: an axum router behind a pool of four slots, `/metrics` beside it.
//!
//! It sends itself a dozen streams, scrapes its own metrics, and ends with what
//! it measured. The engine is a simulated one, or yours, by its URL:
//!
//! ```sh
//! cargo run --features analysis,sim --example axum_gateway
//! cargo run --features analysis,sim --example axum_gateway -- http://127.0.0.1:8000
//! ```

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::future::try_join_all;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_tps::Pool;
use tower_tps::analysis::Recording;
use tower_tps::layer::ErrorType;
use tower_tps::observe::{BUCKETS, exposition};
use tower_tps::sim::Engine;

#[path = "support/summary.rs"]
mod summary;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Gateway {
    client: reqwest::Client,
    engine: String,
    pool: Pool,
    metrics: PrometheusHandle,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let engine = Engine::builder().start().await?;
    let recording = Recording::default();
    let gateway = Gateway {
        // No connection is kept: llama.cpp closes one right after a stream.
        client: reqwest::Client::builder().pool_max_idle_per_host(0).build()?,
        engine: std::env::args().nth(1).unwrap_or_else(|| engine.url()),
        // The recorder before the pool, which describes its metrics as it starts.
        metrics: recorder()?,
        pool: Pool::builder("gateway").cap(4).max_queue(64).observer(recording.clone()).build()?,
    };
    let pool = gateway.pool.clone();

    // The layer goes around the routes above it, so a scrape needs no slot.
    let app = Router::new()
        .route("/v1/chat/completions", post(forward))
        .layer(pool.layer())
        .route("/metrics", get(scrape))
        .with_state(gateway);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("the gateway is on {address}");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let client = reqwest::Client::new();
    try_join_all((1..=12).map(|n| ask(&client, &address, n))).await?;

    let metrics = client.get(format!("{address}/metrics")).send().await?.error_for_status()?.text().await?;
    let shown = ["tps_requests_total", "tps_output_tokens_total", "tps_gap_seconds_total"];
    for line in metrics.lines().filter(|line| shown.iter().any(|name| line.starts_with(name))) {
        println!("{line}");
    }

    drop(stop);
    server.await??;
    pool.close();
    summary::print(&recording);
    Ok(())
}

/// Hands the request on, and the engine's answer back as it comes.
async fn forward(State(gateway): State<Gateway>, body: Bytes) -> Result<Response, impl IntoResponse> {
    let url = format!("{}/v1/chat/completions", gateway.engine);
    let sent = gateway.client.post(url).header(CONTENT_TYPE, "application/json").body(body).send().await;
    match sent {
        Ok(answer) => {
            let mut response = axum::http::Response::from(answer).map(Body::new);
            // These concern the connection to the engine.
            response.headers_mut().remove(CONNECTION);
            response.headers_mut().remove(TRANSFER_ENCODING);
            Ok(response)
        }
        Err(error) => {
            let kind = if error.is_connect() { "connect" } else { "upstream" };
            Err((StatusCode::BAD_GATEWAY, Extension(ErrorType(kind)), format!("{error}\n")))
        }
    }
}

async fn scrape(State(gateway): State<Gateway>) -> impl IntoResponse {
    gateway.pool.sample(); // so that the gauges are of now
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&gateway.metrics.render()))
}

/// Histograms have buckets, or they could not be added up over replicas.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    BUCKETS
        .iter()
        .try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
            builder.set_buckets_for_metric(Matcher::Full((*name).into()), buckets)
        })?
        .install_recorder()
}

/// A user: sends one request, and reads the stream to its end.
async fn ask(client: &reqwest::Client, address: &str, n: usize) -> reqwest::Result<()> {
    let prompt = format!("Count to {n}.");
    let body = serde_json::json!({
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 8 * n,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let url = format!("{address}/v1/chat/completions");
    let mut answer = client.post(url).body(body.to_string()).send().await?.error_for_status()?;
    while answer.chunk().await?.is_some() {}
    Ok(())
}
