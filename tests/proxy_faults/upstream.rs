//! The upstream, which does with each request what the case that it carries says.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use crate::case::{Case, End, Upstream};
use crate::plan::{PATIENCE, Plan};
use crate::reply::Fault;
use crate::wire::{Head, Wire};

/// What is no head of a response in any reading.
const GARBAGE: &[u8] = b"\x16\x03\x01\x02\x00 what is this\r\n\r\n";

/// Begins to take connections.
pub(crate) async fn start(plan: &Arc<Plan>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plan = plan.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, plan.clone()));
        }
    });
    address
}

async fn serve(stream: TcpStream, plan: Arc<Plan>) {
    let mut wire = Wire::new(stream, false);
    while let Some(head) = wire.head().await {
        if head.get("x-script") == Some("together") {
            wire.body(&head, usize::MAX).await;
            if tokio::time::timeout(PATIENCE, plan.together.wait()).await.is_err() {
                plan.complain("a slot is lost: not as many came at once as the cap lets".to_owned());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            wire.send(answer, &mut fastrand::Rng::new()).await;
            continue;
        }
        let number: Option<usize> = head.get("x-script").and_then(|number| number.parse().ok());
        let Some(case) = number.and_then(|number| plan.cases.get(number)) else {
            plan.complain(format!("the upstream got what nobody sent: {head:?}"));
            return;
        };
        plan.arrives(case);
        let stays = act(&mut wire, &head, case, &plan).await;
        plan.leaves(case);
        let Some(end) = stays else { continue };
        return wire.end(end).await;
    }
}

/// Does what the case says; how the connection then ends, if it does.
async fn act(wire: &mut Wire, head: &Head, case: &Case, plan: &Plan) -> Option<End> {
    let mut rng = case.rng();
    if let Upstream::Ends { has_read: false, end } = case.upstream {
        plan.leaves(case);
        return Some(end);
    }
    let sent = wire.body(head, usize::MAX).await;
    if !sent.is_whole {
        // The client or the proxy has gone meanwhile.
        return Some(End::Close);
    }
    if sent.bytes != case.sent_body() {
        plan.complain(format!("the upstream got another body: {case:?}"));
    }
    for gone in ["x-hop", "te", "connection", "keep-alive"] {
        if head.get(gone).is_some_and(|value| value != "close" && value != "keep-alive") {
            plan.complain(format!("{gone} is for one connection only, and came to the upstream: {head:?}"));
        }
    }
    if head.get("x-request-id") != Some(&case.id()) {
        plan.complain(format!("the upstream got another x-request-id: {head:?}"));
    }
    plan.seen(case);
    let bytes = match &case.upstream {
        Upstream::Ends { end, .. } => {
            plan.leaves(case);
            return Some(*end);
        }
        Upstream::Stalls => return stall(wire, case, plan).await,
        Upstream::EndsInHead(_) => b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(),
        Upstream::Garbage => GARBAGE.to_vec(),
        Upstream::Headers { count, length } => {
            let mut head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_vec();
            for at in 0..*count {
                head.extend_from_slice(format!("x-{at}: {}\r\n", "h".repeat(*length)).as_bytes());
            }
            head.extend_from_slice(b"\r\n");
            head
        }
        Upstream::Switches => {
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_vec()
        }
        Upstream::Replies(reply) => reply.wire(&mut rng),
    };
    let holds = match &case.upstream {
        Upstream::Replies(reply) => reply.holds_to_its_last_byte(),
        _ => false,
    };
    if !holds {
        plan.leaves(case);
    }
    let (before, last) = bytes.split_at(bytes.len() - 1);
    if !wire.send(before, &mut rng).await {
        return Some(End::Close);
    }
    // Whoever has the last byte may give the slot back, unless more is to come.
    if !matches!(&case.upstream, Upstream::Replies(reply) if reply.stalls()) {
        plan.leaves(case);
    }
    if !wire.send(last, &mut rng).await {
        return Some(End::Close);
    }
    match &case.upstream {
        Upstream::EndsInHead(end) => Some(*end),
        Upstream::Garbage | Upstream::Headers { .. } | Upstream::Switches => stall(wire, case, plan).await,
        Upstream::Replies(reply) => match reply.fault {
            Some((_, Fault::Ends(end))) => Some(end),
            Some((_, Fault::Stalls | Fault::BadChunk)) => stall(wire, case, plan).await,
            None if reply.ends_with_the_connection() => Some(End::Close),
            None => None,
        },
        Upstream::Ends { .. } | Upstream::Stalls => None,
    }
}

/// Waits until the proxy lets go, as it must at once when its client has gone, or has been answered.
async fn stall(wire: &mut Wire, case: &Case, plan: &Plan) -> Option<End> {
    if tokio::time::timeout(PATIENCE, wire.rest()).await.is_err() {
        plan.complain(format!("the proxy did not let go of its upstream: {case:?}"));
    }
    Some(End::Close)
}
