//! The diagnosis: where throughput was lost, the first to look at first.

use maud::{Markup, html};

use super::figures;
use crate::diagnosis::Diagnosis;

/// What there is to look at.
pub(super) fn findings(diagnosis: &Diagnosis) -> Markup {
    html! {
        section.findings {
            h3 { "Where throughput was lost" }
            @if diagnosis.findings.is_empty() {
                p { "No slot-time was lost that this run could tell of." }
            } @else {
                ol {
                    @for finding in &diagnosis.findings {
                        li {
                            div.finding {
                                h4 { (words(finding.loss.as_str())) }
                                p.advice { (finding.loss.advice()) }
                            }
                            div.cost {
                                p { strong { (figures::percent(finding.share)) } " of slot-time" }
                                p {
                                    (figures::number(finding.slot_time.as_secs_f64())) " slot-s"
                                    @if let Some(tokens) = finding.tokens {
                                        " · " (figures::number(tokens)) " tokens"
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}
