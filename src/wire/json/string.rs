//! The escapes of JSON strings.

/// Appends `inner` with its escapes resolved. Half a surrogate pair becomes
/// U+FFFD.
pub(super) fn unescape(inner: &str, out: &mut String) {
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

    fn read(inner: &str) -> String {
        let mut out = String::new();
        unescape(inner, &mut out);
        out
    }

    proptest! {
        /// What serde_json writes reads back, as does the same text with every
        /// character as `\u` escapes, surrogate pairs and all.
        #[test]
        fn agrees_with_serde_json(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json[1..json.len() - 1]), text.clone());
            let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{escapes}\"")).ok(), Some(text.clone()));
            prop_assert_eq!(read(&escapes), text);
        }
    }

    /// Halves of surrogate pairs, which serde_json refuses, cost one character.
    #[test]
    fn lone_surrogates_are_replaced() {
        assert_eq!(read(r"a\ud83db"), "a\u{fffd}b");
        assert_eq!(read(r"\ude00\ud83d\ud83d\ude00"), "\u{fffd}\u{fffd}😀");
    }

    /// All short escapes, and one that is cut off.
    #[test]
    fn short_escapes() {
        assert_eq!(read(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(read(r"a\"), "a");
    }
}
