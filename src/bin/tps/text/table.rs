//! Tables whose columns are as wide as what is in them.

use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str, style, truncate_str};

use super::plain::plain;

/// A column of names, and columns of figures.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    has_header: bool,
}

impl Table {
    /// A name is cut off beyond so many characters.
    const WIDEST_NAME: usize = 40;
    /// Names take at least as much room as those beside text.
    const NARROWEST_NAME: usize = super::lines::NAME;
    /// Figures of usual size stand under each other from table to table.
    const NARROWEST_FIGURE: usize = 9;

    /// A table with these words above its columns of figures.
    pub(crate) fn with(header: &[&str]) -> Self {
        let header = [""].iter().chain(header).map(ToString::to_string).collect();
        Self { rows: vec![header], has_header: true }
    }

    /// A table without any.
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), has_header: false }
    }

    /// Adds a row: its name and its figures.
    pub(crate) fn row(&mut self, name: &str, figures: impl IntoIterator<Item = String>) {
        let figures = figures.into_iter().map(|figure| plain(&figure).into_owned());
        let name = truncate_str(&plain(name), Self::WIDEST_NAME, "…").into_owned();
        self.rows.push([name].into_iter().chain(figures).collect());
    }

    /// Writes it, with two columns of blanks before each.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let least = if column == 0 { Self::NARROWEST_NAME } else { Self::NARROWEST_FIGURE };
            cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0).max(least)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let alignment = if column == 0 { Alignment::Left } else { Alignment::Right };
                line.push_str("  ");
                line.push_str(&pad_str(cell, *width, alignment, None));
            }
            let line = line.trim_end();
            match self.has_header && index == 0 {
                true => writeln!(out, "{}", style(line).dim())?,
                false => writeln!(out, "{line}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns never touch, however wide what is in them, and a name is cut where
    /// it would push them off the screen.
    #[test]
    fn as_wide_as_it_must() {
        let mut table = Table::with(&["count", "max"]);
        table.row("short", ["1".to_owned(), "123,456,789,012".to_owned()]);
        table.row(&"long ".repeat(20), ["22,222,222,222".to_owned(), "3".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = console::strip_ansi_codes(std::str::from_utf8(&out).unwrap()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["short", "1", "123,456,789,012"]);
        assert!(lines[2].ends_with("…  22,222,222,222                3"), "{text}");
        assert!(lines.iter().all(|line| measure_text_width(line) <= 2 + 40 + 2 + 14 + 2 + 15), "{text}");
    }
}
