//! Headers on their way through: what concerns one connection only stays behind,
//! and who passed the request on is told.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Version};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The connection that a request came by, in its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) client: SocketAddr,
    pub(crate) is_tls: bool,
}

/// Makes a request's headers those of the next hop. The protocol that it asks to
/// change to, if `upgrade` is so, goes on with it.
pub(super) fn request<B>(request: &mut Request<B>, upgrade: bool) {
    let hop = request.extensions().get::<Hop>().copied();
    let (version, host) = (request.version(), host(request));
    let headers = request.headers_mut();
    strip(headers, upgrade);
    // It was answered here, by asking for the body.
    headers.remove(header::EXPECT);
    // The client sets it anew from the address.
    headers.remove(header::HOST);
    append(headers, header::VIA, via(version));
    if let Some(hop) = hop {
        forwarded(headers, hop, host);
    }
}

/// Makes a response's headers those of the connection to the client. `upgrade` is
/// whether the connection changes its protocol.
pub(super) fn response(headers: &mut HeaderMap, version: Version, upgrade: bool) {
    strip(headers, upgrade);
    append(headers, header::VIA, via(version));
}

/// Removes what a client names as of its connection alone, but for the change of
/// protocol: before anything is added that it must not name.
pub(crate) fn take_in(headers: &mut HeaderMap) {
    let names = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|text| text.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
    };
    let upgrades = headers.get_all(header::CONNECTION).iter().any(names);
    strip(headers, upgrades);
}

/// How often a request has been passed on by a proxy such as this one.
pub(super) fn passes(headers: &HeaderMap) -> usize {
    let ours = |value: &HeaderValue| value.to_str().map_or(0, |text| text.matches(" tps").count());
    headers.get_all(header::VIA).iter().map(ours).sum()
}

/// Removes what concerns one connection only (RFC 9110, section 7.6.1), but for the
/// protocol to change to, if `upgrade` is so.
fn strip(headers: &mut HeaderMap, upgrade: bool) {
    let protocol = headers.get(header::UPGRADE).cloned().filter(|_| upgrade);
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// By what version the message came to us (RFC 9110, section 7.6.3).
fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2.0 tps",
        Version::HTTP_10 => "1.0 tps",
        _ => "1.1 tps",
    }
}

/// The host that the client asked for, by whichever version's way.
fn host<B>(request: &Request<B>) -> Option<HeaderValue> {
    let authority = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    authority.or_else(|| request.headers().get(header::HOST).cloned())
}

/// Tells who asked: as RFC 7239 has it, and as it was done before.
fn forwarded(headers: &mut HeaderMap, hop: Hop, host: Option<HeaderValue>) {
    let address = hop.client.ip().to_canonical();
    let proto = if hop.is_tls { "https" } else { "http" };
    let mut element = match address {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    // Only a host that needs no escape within quotes.
    let quotable = |host: &&str| !host.contains(['"', '\\']);
    if let Some(host) = host.as_ref().and_then(|host| host.to_str().ok()).filter(quotable) {
        // Writing to a string cannot fail.
        let _ = write!(element, ";host=\"{host}\"");
    }
    let _ = write!(element, ";proto={proto}");
    append(headers, header::FORWARDED, &element);
    append(headers, FORWARDED_FOR, &address.to_string());
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
}

/// Adds to a list, which becomes one line: some read only the first.
fn append(headers: &mut HeaderMap, name: HeaderName, last: &str) {
    let before = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let list: Vec<&[u8]> = before.chain([last.as_bytes()]).collect();
    // What is joined of valid values is valid.
    if let Ok(value) = HeaderValue::from_bytes(&list.join(&b", "[..])) {
        headers.insert(name, value);
    }
}
