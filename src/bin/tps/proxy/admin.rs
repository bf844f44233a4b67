//! The operators' side: metrics, status, health, and the cap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_tps::observe::{BUCKETS, exposition};

use super::pools::Pools;
use crate::failure::Failure;
use crate::status;

/// How often the recorder takes in what was recorded, scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Admin {
    pub(super) pools: Pools,
    pub(super) metrics: PrometheusHandle,
    pub(super) ready: Arc<AtomicBool>,
}

/// Installs the recorder of this process.
pub(super) fn recorder() -> Result<PrometheusHandle, Failure> {
    let failed = |error| Failure::running("metrics", error);
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), buckets).map_err(failed)?;
    }
    builder.install_recorder().map_err(failed)
}

impl Admin {
    pub(super) async fn serve(self, listener: TcpListener) {
        let metrics = self.metrics.clone();
        let upkeep = async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                metrics.run_upkeep();
            }
        };
        let router = Router::new()
            .route("/metrics", get(scrape))
            .route("/status", get(status))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/cap", put(set_cap))
            .with_state(self);
        tokio::select! {
            served = axum::serve(listener, router) => {
                if let Err(error) = served {
                    eprintln!("tps: the admin address has failed: {error}");
                }
            }
            () = upkeep => {}
        }
    }
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    for pool in admin.pools.all() {
        pool.sample();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&admin.metrics.render()))
}

async fn status(State(admin): State<Admin>) -> Json<serde_json::Value> {
    let pools = admin.pools.all();
    let mut states: Vec<_> = pools.iter().map(status::of).collect();
    match &mut states[..] {
        [only] => Json(only.take()),
        all => Json(serde_json::json!({ "pools": all })),
    }
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}

#[derive(Deserialize)]
struct Cap {
    cap: u32,
    pool: Option<String>,
}

async fn set_cap(State(admin): State<Admin>, body: String) -> (StatusCode, String) {
    let cap: Cap = match serde_json::from_str(&body) {
        Ok(cap) => cap,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}: send {{\"cap\": N}}\n")),
    };
    let pools = admin.pools.all();
    let pool = match (&cap.pool, &pools[..]) {
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
        (Some(name), _) => admin.pools.get(name),
    };
    let Some(pool) = pool else {
        let names: Vec<_> = pools.iter().map(|pool| pool.name().to_string()).collect();
        return (
            StatusCode::BAD_REQUEST,
            format!("no pool is named: give pool, one of {}\n", names.join(", ")),
        );
    };
    match pool.set_cap(cap.cap) {
        Ok(()) => (StatusCode::OK, format!("{{\"cap\":{}}}\n", cap.cap)),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
