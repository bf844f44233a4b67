//! The frame of every page: the head, with all style in it, and the heading.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::palette;

/// A whole document: its title, what it is of, and the same at more length.
pub(super) fn page(title: &str, of: &str, subtitle: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is fetched, even if something on the page asked for it.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (of) " – " (title) }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(palette::style_sheet())) }
            }
            body {
                main {
                    header.top { h1 { (title) } p.subtitle { (subtitle) } }
                    (body)
                }
            }
        }
    }
}
