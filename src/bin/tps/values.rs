//! Values that users write, on the command line and in files: each error says the mend.

use std::time::Duration;

use bytesize::ByteSize;
use http::Uri;

/// What stands behind a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    Sim,
    Url(Uri),
}

/// Longer than anything here takes.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A time that is longer than nothing, and not longer than a year.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("it must be longer than nothing: give a time such as 30s".into()),
        Ok(time) if time > LONGEST => Err("it is longer than a year: give a time such as 30s".into()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}: give a time such as 30s or 250ms")),
    }
}

/// A number of bytes that is above 0.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) if size.as_u64() == 0 => {
            Err("it must be more than nothing: give a size such as 256KiB".into())
        }
        Ok(size) => Ok(size.as_u64()),
        Err(error) => Err(format!("{error}: give a size such as 256KiB or 64MiB")),
    }
}

/// `sim`, or the URL of a server, perhaps with a path that goes before the request's.
pub(crate) fn upstream(text: &str) -> Result<Upstream, String> {
    if text == "sim" {
        return Ok(Upstream::Sim);
    }
    let uri: Uri = text.parse().map_err(|error| format!("{error}: give http://HOST:PORT or sim"))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host_ends = authority.rfind(']').unwrap_or(0);
    if authority[host_ends..].contains(':') && uri.port_u16().is_none() {
        return Err("its port is none: give http://HOST:PORT".into());
    }
    if authority.contains('@') || text.contains('#') {
        return Err("it has a user or a fragment: give http://HOST:PORT".into());
    }
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) if uri.query().is_none() => Ok(Upstream::Url(uri)),
        (Some("http" | "https"), Some(_)) => Err("it has a query: give http://HOST:PORT".into()),
        _ => Err("it is not a URL of http or https: give http://HOST:PORT or sim".into()),
    }
}
