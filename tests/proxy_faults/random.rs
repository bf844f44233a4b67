//! Sequences of any cases, from a seed.

use fastrand::Rng;

use crate::case::{Case, Client, End, Upload, Upstream};
use crate::client::Sequence;
use crate::reply::{Content, Fault, Framing, Reply};

const MOST_CASES: usize = 3;

/// So many sequences. The first of them are the same however many there are.
pub(crate) fn sequences(seed: u64, count: usize) -> (Vec<Case>, Vec<Sequence>) {
    let mut rng = Rng::with_seed(seed);
    let (mut cases, mut sequences) = (Vec::<Case>::new(), Vec::new());
    for _ in 0..count {
        let first = cases.len();
        let length = if rng.bool() { 1 } else { rng.usize(1..=MOST_CASES) };
        for at in 1..=length {
            cases.push(case(cases.len(), at == length, &mut rng));
        }
        let is_pipelined = rng.bool();
        if is_pipelined && cases[first..cases.len() - 1].iter().any(breaks_off) {
            // A connection that is closed with requests unread is reset, which takes from a slow client what
            // is still on its way.
            for case in cases[first..].iter_mut().filter(|case| case.client == Client::Sips) {
                case.client = Client::Reads;
            }
        }
        sequences.push(Sequence { cases: first..cases.len(), is_pipelined });
    }
    (cases, sequences)
}

fn breaks_off(case: &Case) -> bool {
    matches!(&case.upstream, Upstream::Replies(Reply { fault: Some(_), .. }))
}

fn case(number: usize, is_last: bool, rng: &mut Rng) -> Case {
    let is_post = rng.u8(..10) > 0;
    let length = match rng.u8(..8) {
        0 => 0,
        1 => rng.usize(..20_000),
        _ => rng.usize(..200),
    };
    let upload = if rng.bool() { Upload::Length(length) } else { Upload::Chunked(length) };
    let mut case = Case {
        number,
        is_post,
        upload,
        client: Client::Reads,
        upstream: Upstream::Replies(reply(rng)),
        salt: rng.u64(..),
    };
    if rng.u8(..3) == 0 {
        case.upstream = failing(rng);
    }
    if rng.u8(..10) == 0 {
        case.client = Client::Sips;
    }
    if is_last && rng.bool() {
        goes(&mut case, rng);
    }
    case
}

fn end(rng: &mut Rng) -> End {
    if rng.bool() { End::Close } else { End::Reset }
}

/// A client that does not stay for all of it.
fn goes(case: &mut Case, rng: &mut Rng) {
    let end = end(rng);
    case.client = match rng.u8(..7) {
        0 => Client::GoesInHead(end),
        1 => {
            // There is something to go in the middle of.
            let length = rng.usize(1..2000);
            case.upload = if rng.bool() { Upload::Length(length) } else { Upload::Chunked(length) };
            Client::GoesInBody(end)
        }
        2 => Client::GoesAfterSending(end),
        3 => Client::HalfCloses,
        4 => {
            case.upstream = Upstream::Stalls;
            Client::GoesOnceSeen(end)
        }
        _ => {
            let content = Content::Stream { tokens: rng.usize(..20), marker: rng.bool() };
            let framing = if rng.bool() { Framing::Length } else { Framing::ToTheEnd };
            let mut reply = Reply { status: 200, informational: 0, framing, content, fault: None };
            let sent = rng.usize(..reply.body().bytes.len());
            reply.fault = Some((sent, Fault::Stalls));
            case.upstream = Upstream::Replies(reply);
            Client::GoesAfter(sent, end)
        }
    };
}

/// An upstream that does not come as far as a response.
fn failing(rng: &mut Rng) -> Upstream {
    match rng.u8(..5) {
        0 => Upstream::Ends { has_read: rng.bool(), end: end(rng) },
        1 => Upstream::EndsInHead(end(rng)),
        2 => Upstream::Garbage,
        3 => Upstream::Headers { count: rng.usize(101..200), length: 8 },
        _ => Upstream::Headers { count: rng.usize(50..60), length: 20_000 },
    }
}

fn reply(rng: &mut Rng) -> Reply {
    let content = match rng.u8(..8) {
        0 => Content::Opaque(rng.usize(..3000)),
        1 => Content::Refusal { tokens: rng.usize(..5) },
        2 => Content::Stream { tokens: rng.usize(..20), marker: false },
        _ => Content::Stream { tokens: rng.usize(..20), marker: true },
    };
    let framing = match rng.u8(..6) {
        0 | 1 => Framing::Length,
        2 => Framing::ToTheEnd,
        3 => Framing::Chunked { trailers: true },
        _ => Framing::Chunked { trailers: false },
    };
    let status = [200, 200, 200, 201, 400, 429, 500, 503][rng.usize(..8)];
    let informational = if rng.u8(..8) == 0 { rng.usize(1..4) } else { 0 };
    let mut reply = Reply { status, informational, framing, content, fault: None };
    let length = reply.body().bytes.len();
    if length == 0 {
        return reply;
    }
    match rng.u8(..5) {
        0 => {
            let at = rng.usize(..length);
            let is_chunked = matches!(framing, Framing::Chunked { .. });
            let fault = if is_chunked && rng.u8(..3) == 0 { Fault::BadChunk } else { Fault::Ends(end(rng)) };
            reply.fault = Some((at, fault));
        }
        1 if framing == Framing::Length => reply.framing = Framing::Excess(rng.usize(..length)),
        _ => {}
    }
    reply
}
