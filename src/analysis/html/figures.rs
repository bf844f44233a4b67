//! Numbers as people read them: thousands apart, three digits or so, and a dash for what is absent.

/// What stands for a figure that does not exist.
pub(super) const ABSENT: &str = "–";

/// A whole number, thousands apart.
pub(super) fn count(number: u64) -> String {
    apart(&number.to_string())
}

/// A number with about three digits, and never fewer than its whole ones.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let size = value.abs();
    // The power of ten that it rounds to.
    let power = format!("{size:.2e}").split_once('e').and_then(|(_, power)| power.parse::<i32>().ok());
    let decimals = if size > 0.0 { (2 - power.unwrap_or(0)).clamp(0, 9) as usize } else { 0 };
    let digits = format!("{size:.decimals$}");
    // What rounds to nothing has no sign.
    let is_negative = value < 0.0 && digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let sign = if is_negative { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", apart(whole))
}

/// The same of what may be absent.
pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), number)
}

/// A share as a percentage, which says 0 or 100 only where it is.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value.abs() {
        size if !size.is_finite() => ABSENT.to_owned(),
        0.0 => "0 %".to_owned(),
        size if size < 0.01 => "< 0.01 %".to_owned(),
        size if size < 1.0 => format!("{} %", signed(value, 2)),
        size if size > 99.99 && size < 100.0 => "> 99.99 %".to_owned(),
        size if size > 99.0 && size < 100.0 => format!("{} %", signed(value, 2)),
        size if size < 100.0 => format!("{} %", signed(value, 1)),
        _ => format!("{} %", number(value)),
    }
}

/// The same of what may be absent.
pub(super) fn maybe_percent(share: Option<f64>) -> String {
    share.map_or_else(|| ABSENT.to_owned(), percent)
}

/// With a sign in any case: a change.
pub(super) fn change(value: f64, format: fn(f64) -> String) -> String {
    let text = format(value);
    let is_plain = text.starts_with(['−', '0', '–']) && !text.starts_with("0.");
    if is_plain || value <= 0.0 { text } else { format!("+{text}") }
}

/// A time in the unit that suits it: the figure, and the unit.
pub(super) fn time(seconds: f64) -> (String, &'static str) {
    match seconds.abs() {
        0.0 => ("0".to_owned(), "s"),
        size if size < 1e-3 => (number(seconds * 1e6), "µs"),
        size if size < 1.0 => (number(seconds * 1e3), "ms"),
        _ => (number(seconds), "s"),
    }
}

/// The same in one piece.
pub(super) fn time_text(seconds: f64) -> String {
    let (figure, unit) = time(seconds);
    format!("{figure} {unit}")
}

/// The same of what may be absent.
pub(super) fn maybe_time(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| ABSENT.to_owned(), time_text)
}

/// A change of a share, in percentage points.
pub(super) fn points(share: f64) -> String {
    percent(share).replace('%', "pp")
}

/// A wall-clock instant of RFC 3339, to the millisecond.
pub(super) fn instant(text: &str) -> String {
    let Some((date, time)) = text.split_once('T') else { return text.to_owned() };
    let time = time.trim_end_matches('Z');
    format!("{date} {} UTC", time.get(..12).unwrap_or(time))
}

/// A word or a name of a log, cut where it is beyond all reading.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn signed(value: f64, decimals: usize) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{:.decimals$}", value.abs())
}

/// Digits in groups of three.
fn apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sensible digits, and no sign or unit where there is nothing.
    #[test]
    fn digits() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(
            [0.0, 0.001_234, 1.234, 12.34, 99.97, 1_234.4, -12.0].map(number),
            ["0", "0.00123", "1.23", "12.3", "100", "1,234", "−12.0"]
        );
        assert_eq!([f64::NAN, f64::INFINITY].map(number), [ABSENT, ABSENT]);
        assert_eq!(
            [0.0, 1e-9, 0.005, 0.123, 0.999, 0.999_99, 1.0, 12.5].map(percent),
            ["0 %", "< 0.01 %", "0.50 %", "12.3 %", "99.90 %", "> 99.99 %", "100 %", "1,250 %"]
        );
        assert_eq!([0.0, 0.000_012, 0.25, 2.0].map(time_text), ["0 s", "12.0 µs", "250 ms", "2.00 s"]);
        assert_eq!([0.0, -1.0, 1.0].map(|value| change(value, number)), ["0", "−1.00", "+1.00"]);
    }

    /// A name of any length stays one of its own.
    #[test]
    fn names() {
        assert_eq!(short("añ"), "añ");
        assert_eq!(short(&"ñ".repeat(1_000)).chars().count(), 161);
    }
}
