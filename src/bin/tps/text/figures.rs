//! Numbers with their units, or a dash for what is not there.

use std::collections::BTreeMap;
use std::fmt::Display;

/// A whole number.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| grouped(value.round() as i64))
}

/// A count, with its thousands apart.
pub(crate) fn count(value: u64) -> String {
    grouped(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A rate, to three digits at least.
pub(crate) fn rate(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| match value.abs() {
        size if size >= 100.0 => grouped(value.round() as i64),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    })
}

/// A share as a percentage.
pub(crate) fn percent(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| match value.abs() {
        // What is little is not nothing.
        size if size > 0.0 && size < 0.000_95 => format!("{:.3} %", value * 100.0),
        _ => format!("{:.1} %", value * 100.0),
    })
}

/// A time in the unit that it is read best in.
pub(crate) fn time(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| match value.abs() {
        0.0 => "0 s".to_owned(),
        size if size < 0.000_999_5 => format!("{:.0} µs", value * 1e6),
        size if size < 0.099_95 => format!("{:.1} ms", value * 1e3),
        size if size < 0.999_5 => format!("{:.0} ms", value * 1e3),
        size if size < 99.95 => format!("{value:.2} s"),
        _ => format!("{} s", grouped(value.round() as i64)),
    })
}

/// Seconds to the hundredth.
pub(crate) fn seconds(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.2} s"))
}

/// Each name with its count, the most first; absent where there is none.
pub(crate) fn counts<K: Display>(of: &BTreeMap<K, u64>) -> Option<String> {
    let mut all: Vec<_> = of.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1));
    let each: Vec<_> = all.into_iter().map(|(name, number)| format!("{name} {}", count(*number))).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// Tokens by source, which stay apart.
pub(crate) fn by_source(tokens: &BTreeMap<String, u64>) -> String {
    let each: Vec<_> = tokens.iter().map(|(source, tokens)| format!("{} {source}", count(*tokens))).collect();
    if each.is_empty() { "0".into() } else { each.join(", ") }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits that say what is known, and no more.
    #[test]
    fn figures() {
        assert_eq!(number(Some(1_234_567.4)), "1,234,567");
        assert_eq!(number(Some(-1_234.0)), "-1,234");
        assert_eq!((number(Some(999.0)), number(None)), ("999".into(), "-".into()));
        assert_eq!([99.96, 0.5, 1_500.0].map(|value| rate(Some(value))), ["100.0", "0.50", "1,500"]);
        let times = [0.0, 0.000_12, 0.012_34, 0.25, 1.5, 12_345.6];
        assert_eq!(
            times.map(|value| time(Some(value))),
            ["0 s", "120 µs", "12.3 ms", "250 ms", "1.50 s", "12,346 s"]
        );
        assert_eq!([0.816, 0.0, 0.000_3].map(|value| percent(Some(value))), ["81.6 %", "0.0 %", "0.030 %"]);
        let outcomes = BTreeMap::from([("a", 1), ("b", 1_200)]);
        assert_eq!(counts(&outcomes).unwrap(), "b 1,200, a 1");
        assert_eq!(counts(&BTreeMap::<&str, u64>::new()), None);
    }
}
