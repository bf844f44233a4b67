//! Lines of text: titles, and names with what they are.

use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str, style};

use super::plain::plain;

/// How wide a line may be.
const WIDTH: usize = 100;
/// The room for a name.
pub(crate) const NAME: usize = 18;

pub(crate) fn title(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}", style(plain(text)).bold())
}

/// What stands above all that is told of a run, or of several.
pub(crate) fn headline(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{}", style(plain(text)).bold().underlined())
}

/// A name and what it is, over as many lines as it takes.
pub(crate) fn row(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    let (name, text) = (plain(name), plain(text));
    let mut before = pad_str(&name, NAME, Alignment::Left, None).into_owned();
    let mut line = String::new();
    for word in text.split(' ') {
        let is_full = measure_text_width(&line) + 1 + measure_text_width(word) > WIDTH - NAME;
        if !line.is_empty() && is_full {
            writeln!(out, "  {before}  {line}")?;
            before = " ".repeat(NAME);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {before}  {line}")
}

/// What a reader must not miss, under the name above it.
pub(crate) fn warning(out: &mut impl Write, text: &str) -> io::Result<()> {
    row(out, "", &style(plain(text)).yellow().to_string())
}
