//! The operators' side: metrics, status, health, the cap, and the live page.

mod cap;
mod events;
mod guard;
mod page;
mod recent;
mod status;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_tps::Pool;
use tower_tps::observe::{BUCKETS, exposition};

use self::events::Events;
use self::guard::{Guard, guard};
pub(super) use self::recent::Recent;
pub(super) use self::token::Token;
use super::pools::Pools;
use crate::failure::Failure;

/// How often the recorder takes in what was recorded, scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

#[derive(Clone)]
pub(super) struct Admin {
    pub(super) pools: Pools,
    pub(super) recent: Recent,
    pub(super) metrics: PrometheusHandle,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) token: Option<Token>,
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
    /// Answers until it is dropped, which ends the streams of events too.
    pub(super) async fn serve(self, listener: TcpListener) {
        let metrics = self.metrics.clone();
        let upkeep = async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                metrics.run_upkeep();
            }
        };
        let is_loopback = listener.local_addr().is_ok_and(token::is_loopback);
        let guarded = Guard { is_loopback, token: self.token.clone() };
        let (teller, events) = events::events();
        // By it a page tells a restart from a connection that was lost.
        let instance: Arc<str> = format!("{:016x}", fastrand::u64(..)).into();
        let told = (self.clone(), instance.clone());
        let router = Router::new()
            .route("/", get(page::get))
            .route("/events", get(move |State(admin)| listen(admin, events, instance)))
            .route("/metrics", get(scrape))
            .route("/status", get(status))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/cap", put(cap::put))
            .with_state(self)
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .layer(from_fn_with_state(guarded, guard));
        tokio::select! {
            served = axum::serve(listener, router) => {
                if let Err(error) = served {
                    eprintln!("tps: the admin address has failed: {error}");
                }
            }
            () = upkeep => {}
            () = teller.tell(move || told.0.state(&told.1)) => {}
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// The status of each pool.
    fn each(&self) -> Vec<Value> {
        self.pools.all().iter().map(|pool| status::of(pool, &self.recent)).collect()
    }

    /// All that the page shows now.
    fn state(&self, instance: &str) -> String {
        self.state_of(instance, self.each())
    }

    /// The same, and what came before it.
    fn first_state(&self, instance: &str) -> String {
        let of = |pool: &Pool| {
            let mut status = status::of(pool, &self.recent);
            status["history"] = status::history(pool).into();
            status
        };
        self.state_of(instance, self.pools.all().iter().map(of).collect())
    }

    fn state_of(&self, instance: &str, pools: Vec<Value>) -> String {
        let state = json!({
            "instance": instance,
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.is_ready(),
            "needs_token": self.token.is_some(),
            "pools": pools,
        });
        state.to_string()
    }
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    admin.pools.all().iter().for_each(Pool::publish);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&admin.metrics.render()))
}

async fn status(State(admin): State<Admin>) -> Json<Value> {
    let mut pools = admin.each();
    Json(if pools.len() == 1 { pools.remove(0) } else { json!({"pools": pools}) })
}

async fn listen(admin: Admin, events: Events, instance: Arc<str>) -> Response {
    match events.listen(admin.first_state(&instance)) {
        Some(stream) => stream.into_response(),
        None => {
            let why = "as many listen as may: close one of their pages\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], why).into_response()
        }
    }
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}
