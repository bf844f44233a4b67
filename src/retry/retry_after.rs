//! When a response asks to be tried again.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// The time until then: by `retry-after-ms` (milliseconds, as OpenAI and Azure
/// send them), else by `retry-after` (seconds, or an HTTP date, which the wall
/// clock tells the distance of). Absent where neither can be read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let millis = text("retry-after-ms").and_then(|millis| seconds(millis, 1000.0));
    millis.or_else(|| {
        let after = text("retry-after")?;
        seconds(after, 1.0).or_else(|| {
            let date = httpdate::parse_http_date(after).ok()?;
            // A date in the past is now.
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        })
    })
}

/// A number that is so many to a second; more than a duration holds is its most.
fn seconds(number: &str, per_second: f64) -> Option<Duration> {
    let seconds = number.trim().parse::<f64>().ok()? / per_second;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
