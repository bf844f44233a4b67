//! Times as the log has them: decimals of seconds, and RFC 3339.

use std::time::{Duration, SystemTime};

use crate::clock::Instant;

/// The time that so many seconds are, to the nanosecond; absent for what is no
/// number, or less than zero, or beyond the clock.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 {
        // Exponents and more digits than nanoseconds: what a foreign writer may have made of it.
        return Duration::try_from_secs_f64(text.parse().ok()?).ok();
    }
    let nanos =
        if part.is_empty() { 0 } else { part.parse::<u32>().ok()? * 10_u32.pow(9 - part.len() as u32) };
    Some(Duration::new(whole.parse().ok()?, nanos))
}

/// The instant of an RFC 3339 time, in nanoseconds since the Unix epoch; absent
/// for what is none, and for times before 1970 and after 2554.
pub(super) fn instant(text: &str) -> Option<Instant> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Instant::from_bits(u64::try_from(since.as_nanos()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact where the log's own writer made it, and readable where another did.
    #[test]
    fn decimals() {
        assert_eq!(seconds("12.000000345"), Some(Duration::new(12, 345)));
        assert_eq!(seconds("9007199.254740993"), Some(Duration::new(9_007_199, 254_740_993)));
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(seconds("7"), Some(Duration::from_secs(7)));
        assert_eq!(seconds("1.5e-3"), Some(Duration::from_micros(1_500)));
        for text in ["", "-1", "-0.5", "x", "1e300", "99999999999999999999", "null", "\"1\""] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    /// To the nanosecond, and only what the clock can hold.
    #[test]
    fn instants() {
        let at = instant("2026-01-31T09:15:02.123456789Z").unwrap();
        assert_eq!(at.to_bits(), 1_769_850_902_123_456_789);
        for text in ["", "2026-01-31", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
