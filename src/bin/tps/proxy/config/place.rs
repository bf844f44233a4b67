//! Where in a file something stands, for errors that show it.

use std::ops::Range;

/// The line of a position, counted from 1.
pub(super) fn line(text: &str, position: usize) -> usize {
    let before = text.as_bytes().get(..position).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The key that an error is about: that of its line, else the table above it.
pub(super) fn key(text: &str, span: &Range<usize>) -> Option<String> {
    let line = text.lines().nth(line(text, span.start) - 1)?.trim();
    let key = match line.split_once('=') {
        Some((key, _)) => key,
        None => line.trim_matches(['[', ']']),
    };
    Some(key.trim().to_owned()).filter(|key| !key.is_empty())
}
