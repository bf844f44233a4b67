//! The client, which goes through the cases of a sequence on one connection.

use std::net::SocketAddr;
use std::ops::Range;

use tokio::net::TcpSocket;

use crate::case::{Case, Client, End};
use crate::expected::{Answer, Ends, Expected};
use crate::plan::{PATIENCE, Plan};
use crate::wire::{Head, Payload, Wire};

/// Cases that come one after the other on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) cases: Range<usize>,
    /// Whether all are sent before the first is answered.
    pub(crate) is_pipelined: bool,
}

/// What a client that holds little takes in, as far as the kernel goes along.
const LITTLE: u32 = 2 << 10;

/// Goes through a sequence; how many of its cases came to the proxy, or what was wrong.
pub(crate) async fn play(plan: &Plan, sequence: &Sequence, proxy: SocketAddr) -> Result<usize, String> {
    match tokio::time::timeout(PATIENCE, Box::pin(go_through(plan, sequence, proxy))).await {
        Ok(played) => played,
        Err(_) => Err("nothing more happened".to_owned()),
    }
}

async fn go_through(plan: &Plan, sequence: &Sequence, proxy: SocketAddr) -> Result<usize, String> {
    let cases = &plan.cases[sequence.cases.clone()];
    let mut rng = cases[0].rng();
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    let sips = cases.iter().any(|case| case.client == Client::Sips);
    if sips {
        socket.set_recv_buffer_size(LITTLE).map_err(|error| error.to_string())?;
    }
    let stream = socket.connect(proxy).await.map_err(|error| error.to_string())?;
    let mut wire = Wire::new(stream, sips);
    if sequence.is_pipelined {
        let all: Vec<u8> = cases.iter().flat_map(bytes).collect();
        wire.send(&all, &mut rng).await;
    }
    for (at, case) in cases.iter().enumerate() {
        if !sequence.is_pipelined {
            // Where it is not taken, the answer says why.
            wire.send(&bytes(case), &mut rng).await;
        }
        let expected = Expected::of(case);
        let gone = match case.client {
            Client::Reads | Client::Sips => None,
            Client::GoesInHead(end) | Client::GoesInBody(end) => Some(end),
            Client::GoesAfterSending(end) => {
                plan.leaves(case);
                Some(end)
            }
            Client::GoesOnceSeen(end) => {
                plan.until_seen(case).await;
                plan.leaves(case);
                Some(end)
            }
            Client::GoesAfter(length, end) => {
                let (head, payload) = response(&mut wire, length).await;
                let answer = Expected::cut_off(case, length);
                check(&answer, head.as_ref(), &payload)?;
                plan.leaves(case);
                Some(end)
            }
            Client::HalfCloses => {
                plan.leaves(case);
                wire.close_sending().await;
                let (head, payload) = response(&mut wire, usize::MAX).await;
                if let (Some(answer), Some(head)) = (&expected.answer, head) {
                    // It may be taken for one that has gone.
                    let answer = Answer {
                        ends: Ends::Anywhere,
                        body: answer.body.clone(),
                        has_trailers: false,
                        ..*answer
                    };
                    if !payload.is_whole {
                        check(&answer, Some(&head), &payload)?;
                    }
                }
                Some(End::Close)
            }
        };
        if let Some(end) = gone {
            wire.end(end).await;
            return Ok(at + 1);
        }
        let Some(answer) = &expected.answer else { return Ok(at + 1) };
        let (head, payload) = response(&mut wire, usize::MAX).await;
        check(answer, head.as_ref(), &payload)?;
        if !payload.is_whole {
            return Ok(at + 1);
        }
    }
    wire.close_sending().await;
    match wire.rest().await {
        rest if rest.is_empty() => Ok(cases.len()),
        rest => Err(format!("after the end came {:?}", String::from_utf8_lossy(&rest))),
    }
}

/// What a client sends before it does anything else.
fn bytes(case: &Case) -> Vec<u8> {
    let (mut head, body) = case.request();
    match case.client {
        Client::GoesInHead(_) => head.truncate(case.rng().usize(1..head.len())),
        Client::GoesInBody(_) => head.extend_from_slice(&body[..case.rng().usize(..body.len())]),
        _ => head.extend_from_slice(&body),
    }
    head
}

async fn response(wire: &mut Wire, wanted: usize) -> (Option<Head>, Payload) {
    let Some(head) = wire.head().await else { return (None, Payload::default()) };
    let payload = wire.body(&head, wanted).await;
    (Some(head), payload)
}

/// Holds what came against what must come.
fn check(answer: &Answer, head: Option<&Head>, payload: &Payload) -> Result<(), String> {
    let wrong = |what: &str| {
        let text = String::from_utf8_lossy(&payload.bytes);
        let (whole, trailers) = (payload.is_whole, &payload.trailers);
        Err(format!("{what}: expected {answer:?}, got {head:?}, {text:?}, whole: {whole}, {trailers:?}"))
    };
    let Some(head) = head else { return wrong("there is no response") };
    let is_reset_early = answer.ends == Ends::Anywhere && head.status() == 502;
    if head.status() != answer.status && !is_reset_early {
        return wrong("the status is another");
    }
    let Some(body) = answer.body.as_ref().filter(|_| !is_reset_early) else {
        let says_why = payload.is_whole && payload.bytes.starts_with(b"{\"error\":");
        return if says_why { Ok(()) } else { wrong("the proxy does not say what failed") };
    };
    if head.get("x-kept") != Some("1") || head.get("x-hop").is_some() || head.get("keep-alive").is_some() {
        return wrong("the headers are not those of the upstream, or not only those for the client");
    }
    let is_right = match answer.ends {
        Ends::Whole => payload.bytes == body.as_bytes() && payload.is_whole,
        Ends::Short => payload.bytes == body.as_bytes() && !payload.is_whole,
        Ends::Anywhere => body.as_bytes().starts_with(&payload.bytes) && !payload.is_whole,
    };
    if !is_right {
        return wrong("the body is another");
    }
    if answer.has_trailers && payload.trailers != ["x-sum: 7"] {
        return wrong("the trailers are others");
    }
    Ok(())
}
