//! `GET /`: the live page. One answer that asks for nothing else but the events.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse};
use http::header::CONTENT_SECURITY_POLICY;
use ring::digest::{SHA256, digest};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/figures.js"),
    include_str!("page/chart.js"),
    include_str!("page/pool.js"),
    include_str!("page/cap.js"),
    include_str!("page/live.js"),
);

static PAGE: LazyLock<String> =
    LazyLock::new(|| include_str!("page/page.html").replace("{style}", STYLE).replace("{script}", SCRIPT));

/// Only this style and this script, and nothing from or to elsewhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| base64_simd::STANDARD.encode_to_string(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

pub(super) async fn get() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, POLICY.as_str())], Html(PAGE.as_str()))
}
