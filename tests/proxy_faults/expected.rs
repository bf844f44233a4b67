//! What a case must come to: its record, by the definitions, and what the client gets.

use crate::case::{Case, Client, End, Upstream};
use crate::reply::{Body, Content, Fault, Framing, Reply};

/// What may become of a case.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// What its record may say. Where more than one is possible, it is a race of two ends.
    pub(crate) records: Vec<Told>,
    /// Whether it may be that it never arrived, or must be where there is no record.
    pub(crate) may_be_absent: bool,
    /// What the client gets, if it is there to get it.
    pub(crate) answer: Option<Answer>,
}

/// What a record says of the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) outcome: &'static str,
    pub(crate) phase: &'static str,
    pub(crate) error_type: Option<String>,
    pub(crate) status: Option<u16>,
}

/// A response as it must come to the client.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Absent where the proxy says it in its own words.
    pub(crate) body: Option<String>,
    pub(crate) ends: Ends,
    pub(crate) has_trailers: bool,
}

/// How a response ends for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Whole,
    /// Cut off after all that the upstream had sent.
    Short,
    /// Cut off anywhere up to there: a reset takes with it what was not read.
    Anywhere,
}

const PHASES: [&str; 5] = ["queued", "dispatch", "prefill", "streaming", "drain"];

impl Told {
    fn new(outcome: &'static str, phase: &'static str, error: Option<&str>, status: Option<u16>) -> Self {
        Self { outcome, phase, error_type: error.map(Into::into), status }
    }
}

impl Expected {
    /// What must be of a case that never came.
    pub(crate) fn nothing() -> Self {
        Self { may_be_absent: true, ..Self::default() }
    }

    pub(crate) fn of(case: &Case) -> Self {
        let mut expected = match case.client {
            // Who has not sent all of a request has not arrived.
            Client::GoesInHead(_) | Client::GoesInBody(_) => Self::nothing(),
            Client::Reads | Client::Sips => Self::left_alone(case),
            Client::HalfCloses => {
                let alone = Self::left_alone(case);
                Self {
                    records: with_hang_ups(&alone.records, &case.upstream),
                    may_be_absent: true,
                    answer: alone.answer,
                }
            }
            Client::GoesAfterSending(_) => {
                let alone = Self::left_alone(case);
                Self {
                    records: with_hang_ups(&alone.records, &case.upstream),
                    may_be_absent: true,
                    answer: None,
                }
            }
            Client::GoesOnceSeen(_) => {
                Self { records: vec![Told::new("cancelled", "dispatch", None, None)], ..Self::default() }
            }
            Client::GoesAfter(_, _) => Self { records: vec![gone_from(case)], ..Self::default() },
        };
        if !case.is_post {
            expected.records.clear();
            expected.may_be_absent = true;
        }
        expected
    }

    /// What a client has that goes after so much of the body.
    pub(crate) fn cut_off(case: &Case, length: usize) -> Answer {
        let Upstream::Replies(reply) = &case.upstream else {
            return Answer { status: 0, body: None, ends: Ends::Short, has_trailers: false };
        };
        let mut body = reply.body();
        body.bytes.truncate(length);
        Answer { status: reply.status, body: Some(text(body)), ends: Ends::Short, has_trailers: false }
    }

    fn left_alone(case: &Case) -> Self {
        match &case.upstream {
            Upstream::Replies(reply) => Self::reply(reply),
            // Nobody ends it: the case has a client that does.
            Upstream::Stalls => Self::default(),
            _ => Self {
                records: vec![Told::new("failed", "done", Some("upstream"), Some(502))],
                may_be_absent: false,
                answer: Some(Answer { status: 502, body: None, ends: Ends::Whole, has_trailers: false }),
            },
        }
    }

    fn reply(reply: &Reply) -> Self {
        let mut body = reply.body();
        let sent = match reply.framing {
            Framing::Excess(announced) => announced,
            _ => reply.sent(&body),
        };
        let ends = match (reply.fault, reply.framing) {
            (None, _) | (Some((_, Fault::Ends(End::Close))), Framing::ToTheEnd) => Ends::Whole,
            (Some((_, Fault::Ends(End::Reset))), _) => Ends::Anywhere,
            (Some(_), _) => Ends::Short,
        };
        let records = match ends {
            Ends::Whole => whole(reply, &body, sent),
            Ends::Short => vec![broken(reply, phase(&body, sent))],
            Ends::Anywhere => {
                let last = phase(&body, sent);
                let reached = PHASES.iter().position(|name| *name == last).unwrap_or(0);
                let mut records: Vec<_> =
                    PHASES[2..=reached].iter().map(|name| broken(reply, name)).collect();
                // It may take the response's head with it too.
                records.push(Told::new("failed", "done", Some("upstream"), Some(502)));
                records
            }
        };
        body.bytes.truncate(sent);
        let has_trailers = ends == Ends::Whole && reply.framing == Framing::Chunked { trailers: true };
        let answer = Answer { status: reply.status, body: Some(text(body)), ends, has_trailers };
        Self { records, may_be_absent: false, answer: Some(answer) }
    }
}

/// The end of a response whose framing says that it is whole. An event that has no end where the body has
/// one is told as far as it goes, or not at all.
fn whole(reply: &Reply, body: &Body, sent: usize) -> Vec<Told> {
    let status = Some(reply.status);
    let failed = |kind: &str| Told::new("failed", "done", Some(kind), status);
    let truncated = Told::new("truncated", "done", None, status);
    let completed = Told::new("completed", "done", None, status);
    if reply.status >= 400 {
        return vec![failed(&format!("status_{}", reply.status))];
    }
    match (reply.content, body.marker_end) {
        (Content::Opaque(_), _) => vec![completed],
        (Content::Refusal { .. }, _) if sent == body.bytes.len() => vec![failed("stream_error")],
        (Content::Refusal { .. }, _) => vec![failed("stream_error"), truncated],
        (_, Some(end)) if end <= sent => vec![completed],
        (_, Some(end)) if end <= sent + 2 => vec![completed, truncated],
        _ => vec![truncated],
    }
}

fn broken(reply: &Reply, phase: &'static str) -> Told {
    Told::new("failed", phase, Some("body"), Some(reply.status))
}

/// Where a response is of which so much has passed.
fn phase(body: &Body, sent: usize) -> &'static str {
    if body.marker_end.is_some_and(|end| end <= sent) {
        "drain"
    } else if body.token_ends.iter().any(|end| *end <= sent) {
        "streaming"
    } else {
        "prefill"
    }
}

fn text(body: Body) -> String {
    String::from_utf8_lossy(&body.bytes).into_owned()
}

/// A response whose client has gone after all that its upstream has sent.
fn gone_from(case: &Case) -> Told {
    let Upstream::Replies(reply) = &case.upstream else { return Told::new("", "", None, None) };
    let body = reply.body();
    match phase(&body, reply.sent(&body)) {
        // All that was generated has been handed on.
        "drain" => Told::new("completed", "done", None, Some(reply.status)),
        phase => Told::new("cancelled", phase, None, Some(reply.status)),
    }
}

/// The ends of a race between the upstream and a client that goes at no known time.
fn with_hang_ups(alone: &[Told], upstream: &Upstream) -> Vec<Told> {
    let status = match upstream {
        Upstream::Replies(reply) => Some(reply.status),
        _ => None,
    };
    let mut records = alone.to_vec();
    for phase in PHASES {
        let has_head = !matches!(phase, "queued" | "dispatch");
        records.push(Told::new("cancelled", phase, None, status.filter(|_| has_head)));
    }
    if let Some(failed @ 400..) = status {
        for phase in PHASES[2..].iter().chain(&["done"]) {
            records.push(Told::new("failed", phase, Some(&format!("status_{failed}")), status));
        }
    }
    // The client may go while its error is handed on, or all that is left is its end.
    for told in alone {
        for phase in ["prefill", "streaming", "drain"] {
            records.push(Told { phase, ..told.clone() });
        }
    }
    records.push(Told::new("completed", "done", None, status));
    records
}
