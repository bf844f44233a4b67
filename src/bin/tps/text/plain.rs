//! Words from a log, made harmless for a terminal.

use std::borrow::Cow;

use console::AnsiCodeIterator;

/// The text with each control character written out, but for the colours that
/// are ours: nothing that a log says moves the cursor, clears the screen, names
/// the window, or breaks a line.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let parts = AnsiCodeIterator::new(text).map(|(part, is_code)| match is_code && is_colour(part) {
        true => part.to_owned(),
        false => part.chars().map(written_out).collect(),
    });
    Cow::Owned(parts.collect())
}

fn is_colour(code: &str) -> bool {
    let inner = code.strip_prefix("\u{1b}[").and_then(|code| code.strip_suffix('m'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
}

fn written_out(character: char) -> String {
    match character {
        _ if character.is_control() => character.escape_default().to_string(),
        _ => character.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log may say, and what is left of it.
    #[test]
    fn harmless() {
        for (text, left) in [
            ("llama ü", "llama ü"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("\u{1b}]0;evil\u{7}", "\\u{1b}]0;evil\\u{7}"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m"),
        ] {
            assert_eq!(plain(text), left);
        }
    }
}
