//! JSON strings, read without an allocation of their own.

use memchr::memchr;
use serde_json::value::RawValue;

/// The text of a JSON string; `None` if it is not one. Without escapes it is
/// borrowed, else it is written into `scratch`.
pub(crate) fn string<'a>(raw: &'a RawValue, scratch: &'a mut String) -> Option<&'a str> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(inner);
    }
    scratch.clear();
    unescape(inner, scratch);
    Some(scratch)
}

/// Appends `inner` with its escapes resolved. Half a surrogate pair becomes
/// U+FFFD.
fn unescape(inner: &str, out: &mut String) {
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        let c = match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (c, tail) = code_point(chars.as_str());
                out.push(c);
                rest = tail;
                continue;
            }
            Some(itself) => itself,
            None => return,
        };
        out.push(c);
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// The character that the four digits after `\u` mean, with the low half that
/// follows them if they are a high one, and what comes after.
fn code_point(digits: &str) -> (char, &str) {
    let Some((first, rest)) = hex(digits) else { return (char::REPLACEMENT_CHARACTER, digits) };
    if let Some(c) = char::from_u32(first) {
        return (c, rest);
    }
    let low = rest.strip_prefix("\\u").and_then(hex);
    match low {
        Some((low @ 0xdc00..=0xdfff, after)) if first < 0xdc00 => {
            let c = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), after)
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        string(raw, &mut String::new()).map(str::to_owned)
    }

    proptest! {
        /// What serde_json writes reads back, as does the same text with every
        /// character as `\u` escapes, surrogate pairs and all.
        #[test]
        fn agrees_with_serde_json(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json), Some(text.clone()));
            let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{escapes}\"");
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text.clone()));
            prop_assert_eq!(read(&json), Some(text));
        }
    }

    /// Halves of surrogate pairs, which serde_json refuses, cost one character.
    #[test]
    fn lone_surrogates_are_replaced() {
        assert_eq!(read(r#""a\ud83db""#).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(read(r#""\ude00\ud83d\ud83d\ude00""#).as_deref(), Some("\u{fffd}\u{fffd}😀"));
    }

    /// All short escapes; and what is no string is none.
    #[test]
    fn short_escapes() {
        assert_eq!(read(r#""\"\\\/\b\f\n\r\t""#).as_deref(), Some("\"\\/\u{8}\u{c}\n\r\t"));
        assert_eq!(read("null"), None);
        assert_eq!(read("[\"a\"]"), None);
    }
}
