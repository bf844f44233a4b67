//! Tables: names on the left, figures on the right.

use maud::{Markup, html};

use super::figures;

/// A row of a table of figures: the name, what it is in words, and the figures.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) note: &'static str,
    pub(super) figures: Vec<String>,
    /// A sum, or what the table is about.
    pub(super) is_main: bool,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, note: &'static str, figures: Vec<String>) -> Self {
        Self { name: name.into(), note, figures, is_main: false }
    }

    pub(super) fn main(mut self) -> Self {
        self.is_main = true;
        self
    }
}

/// A table with these heads, the first of which is above the names.
pub(super) fn table(heads: &[&str], rows: &[Row]) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        @for (index, head) in heads.iter().enumerate() {
                            th.figure[index > 0] scope="col" { (head) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr.main[row.is_main] {
                            th scope="row" {
                                (breakable(&row.name))
                                @if !row.note.is_empty() { " " span.note.unit[row.note.len() < 10] { (row.note) } }
                            }
                            @for figure in &row.figures { td.figure { (figure) } }
                        }
                    }
                }
            }
        }
    }
}

/// A name that may go on in the next line after each underscore, rather than anywhere.
fn breakable(name: &str) -> Markup {
    let name = figures::short(name);
    html! {
        @for (index, part) in name.split('_').enumerate() {
            @if index > 0 { "_" wbr; }
            (part)
        }
    }
}

/// Counts by name, the largest first, of which no more than so many are told by name.
pub(super) fn counts<'a>(
    head: &str,
    unit: &str,
    counts: impl Iterator<Item = (&'a str, u64)>,
) -> Option<Markup> {
    const MOST: usize = 20;
    let mut counts: Vec<_> = counts.collect();
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let others = counts.get(MOST..).unwrap_or_default();
    let share =
        |count: u64| if all > 0 { figures::percent(count as f64 / all as f64) } else { String::new() };
    let row = |name: &str, count: u64| Row::new(name, "", vec![figures::count(count), share(count)]);
    let mut rows: Vec<_> = counts.iter().take(MOST).map(|(name, count)| row(name, *count)).collect();
    if !others.is_empty() {
        rows.push(row(&format!("{} others", others.len()), others.iter().map(|(_, count)| count).sum()));
    }
    (!rows.is_empty()).then(|| table(&[head, unit, "share"], &rows))
}

/// A part that is folded away until it is asked for, or printed.
pub(super) fn folded(summary: &str, content: &Markup) -> Markup {
    html! { details { summary { (summary) } (content) } }
}
