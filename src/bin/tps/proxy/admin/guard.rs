//! Who is let in at the admin side, and what a browser may do with the answers.
//!
//! Reading is open to whoever reaches the address, as scrapers and health checks
//! have it. What changes something needs the token, where one is set. Beside that
//! no web site may reach through the browser of someone who may: neither by a
//! request of its own, nor by a name of its own that it points at this machine.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, StatusCode};

use super::token::Token;

/// What every answer says, unless it says otherwise itself.
const SAID: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Whether only this machine can reach the address.
    pub(super) is_loopback: bool,
    pub(super) token: Option<Token>,
}

/// Lets a request through, or answers why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.refuse(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    // A stream of events says its own, which is weaker.
    response.headers_mut().remove(header::CACHE_CONTROL);
    for (name, value) in SAID {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

impl Guard {
    fn refuse(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        if self.is_loopback && !is_named_so(request) {
            let why = "this name is not one of the admin address: use localhost or its IP address\n";
            return Some((StatusCode::MISDIRECTED_REQUEST, why).into_response());
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        // A stream of events is one of few, and no other site's to take up.
        if (changes || request.uri().path() == "/events") && is_of_another_site(headers) {
            return Some((StatusCode::FORBIDDEN, "another web site may not do this\n").into_response());
        }
        let token = self.token.as_ref().filter(|_| changes)?;
        let challenge = match token.is_borne_by(headers) {
            Some(true) => return None,
            Some(false) => "Bearer realm=\"tps\", error=\"invalid_token\"",
            None => "Bearer realm=\"tps\"",
        };
        let why = "send the token of --admin-token-file: authorization: Bearer …\n";
        Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], why).into_response())
    }
}

/// Whether the address goes by a name that no one else can point at it: an IP
/// address, or localhost. A browser always sends the name.
fn is_named_so(request: &Request) -> bool {
    let is_ours = |authority: &Authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()
    };
    let mut named = request.headers().get_all(header::HOST).iter();
    request.uri().authority().is_none_or(is_ours)
        && named.all(|host| Authority::try_from(host.as_bytes()).is_ok_and(|host| is_ours(&host)))
}

/// Whether a page of another origin makes a browser ask this. Who is no browser
/// says neither.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    !authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}
