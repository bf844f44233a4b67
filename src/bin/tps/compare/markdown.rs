//! The comparison for a pull request.

use std::io::{self, Write};

use tower_tps::analysis::Comparison;

use super::rows::ROWS;
use crate::text::figures::percent;
use crate::text::plain::plain;
use crate::text::verdict::{changes, figure, interval, intervals};

/// Writes the verdict, its checks, and the figures of both runs.
pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let Comparison { baseline, candidate, verdict, .. } = comparison;
    writeln!(out, "**tps: {}**\n", verdict.decision().as_str())?;
    for (what, words) in [("cannot be judged", &verdict.not_judged), ("beware", &verdict.warnings)] {
        words.iter().try_for_each(|words| writeln!(out, "- {what}: {}", escaped(words)))?;
    }
    let confidence = percent(Some(verdict.demands.confidence));
    writeln!(out, "\n| check | baseline | candidate | change | {confidence} interval | requests | |")?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|---|")?;
    for check in &verdict.checks {
        let all: Vec<_> = intervals(check).map(|of| interval(check, of)).collect();
        writeln!(
            out,
            "| `{}` {} | {} | {} | {} | {} | {}, {} | {} |",
            check.name,
            check.rule.as_str(),
            figure(check, check.baseline),
            figure(check, check.candidate),
            changes(check),
            if all.is_empty() { "–".to_owned() } else { all.join("<br>") },
            check.requests.0,
            check.requests.1,
            if check.holds { "holds" } else { "**fails**" },
        )?;
    }
    writeln!(out, "\n<details><summary>All figures</summary>\n")?;
    writeln!(out, "| | baseline | candidate |\n|---|--:|--:|")?;
    for (name, of) in ROWS {
        writeln!(out, "| {} | {} | {} |", name.trim(), escaped(&of(baseline)), escaped(&of(candidate)))?;
    }
    writeln!(out, "\n</details>")
}

/// Words that may come from a log, as nothing but words.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '~' | '[' | ']' | '\\' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a name may do to a table, and what is left of it.
    #[test]
    fn nothing_but_words() {
        assert_eq!(escaped("1,234 tokenizer a|b\n<img>`x`"), "1,234 tokenizer a\\|b\\\\n&lt;img>\\`x\\`");
    }
}
