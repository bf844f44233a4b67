//! Lines of text: titles, names with what they are, and tables.

use std::io::{self, Write};

use console::style;

/// How wide a line of text may be.
const WIDTH: usize = 100;

pub(super) fn title(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}", style(text).bold())
}

/// A name and what it is, over as many lines as it takes.
pub(super) fn row(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    // What has colours is short.
    let width = if text.contains('\u{1b}') { usize::MAX } else { WIDTH - 20 };
    let (mut line, mut name) = (String::new(), name);
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            writeln!(out, "  {name:<18}{line}")?;
            name = "";
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {name:<18}{line}")
}

pub(super) fn header(out: &mut impl Write, names: &[&str]) -> io::Result<()> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let (first, rest) =
        names.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let cells: String = rest.iter().map(|name| format!("{name:>11}")).collect();
    writeln!(out, "{}", style(format!("  {first:<18}{cells}")).dim())
}

pub(super) fn cells(out: &mut impl Write, name: &str, values: &[String]) -> io::Result<()> {
    let cells: String = values.iter().map(|value| format!("{value:>11}")).collect();
    writeln!(out, "  {name:<18}{cells}")
}
