//! The faults that need more than one connection, or a moment of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use crate::case::{Case, Client, End, Upload, Upstream};
use crate::plan::Plan;
use crate::proxy::Proxy;
use crate::reply::{Content, Fault, Framing, Reply};
use crate::upstream;
use crate::wire::{Head, Wire};

fn post(number: usize, upstream: Upstream) -> Case {
    Case { number, is_post: true, upload: Upload::Length(20), client: Client::Reads, upstream, salt: 1 }
}

/// A stream of five tokens, with this fault.
fn stream(fault: Option<(usize, Fault)>) -> Upstream {
    let content = Content::Stream { tokens: 5, marker: true };
    let framing = Framing::Chunked { trailers: false };
    Upstream::Replies(Reply { status: 200, informational: 0, framing, content, fault })
}

async fn behind(name: &str, cap: usize, flags: &str, cases: Vec<Case>) -> (Proxy, Arc<Plan>) {
    let plan = Arc::new(Plan::new(cases, cap));
    let upstream = upstream::start(&plan).await;
    (Proxy::start(name, upstream, cap, flags), plan)
}

/// A client that has sent a case whole.
async fn sent(proxy: &Proxy, case: &Case) -> Wire {
    let (head, body) = case.request();
    connected(proxy, &[head, body].concat()).await
}

async fn connected(proxy: &Proxy, bytes: &[u8]) -> Wire {
    let mut wire = Wire::new(TcpStream::connect(proxy.clients).await.unwrap(), false);
    wire.send(bytes, &mut fastrand::Rng::with_seed(1)).await;
    wire
}

/// The outcome, the phase and the type of error of a case.
async fn told(proxy: Proxy, ids: &[&str]) -> Vec<[String; 3]> {
    let records = tokio::task::spawn_blocking(|| proxy.records()).await.unwrap();
    assert_eq!(records.len(), ids.len(), "{records:?}");
    let field = |id: &str, name: &str| records[id][name].as_str().unwrap_or("").to_owned();
    ids.iter().map(|id| ["outcome", "phase", "error_type"].map(|name| field(id, name))).collect()
}

async fn answered(wire: &mut Wire) -> (Head, String) {
    let head = wire.head().await.unwrap();
    let body = wire.body(&head, usize::MAX).await;
    (head, String::from_utf8(body.bytes).unwrap())
}

/// Those who leave the queue by either end of their connection free their place, those whom the queue has no
/// place for are told so, and the one who stays is served.
#[tokio::test]
async fn the_queue_is_left_and_refused() {
    let cases: Vec<_> = [Upstream::Stalls, stream(None), stream(None), stream(None), stream(None)]
        .into_iter()
        .enumerate()
        .collect();
    let cases: Vec<_> = cases.into_iter().map(|(number, upstream)| post(number, upstream)).collect();
    let (proxy, plan) = behind("queue", 1, "--max-queue 3", cases).await;
    let holder = sent(&proxy, &plan.cases[0]).await;
    plan.until_seen(&plan.cases[0]).await;
    let mut waiting = Vec::new();
    for case in &plan.cases[1..4] {
        waiting.push(sent(&proxy, case).await);
        proxy.reaches("queue_depth", waiting.len() as u64).await;
    }
    let mut refused = sent(&proxy, &plan.cases[4]).await;
    let (head, body) = answered(&mut refused).await;
    assert_eq!((head.status(), body.contains("queue_full")), (429, true), "{body}");
    waiting.remove(0).end(End::Close).await;
    proxy.reaches("queue_depth", 2).await;
    waiting.remove(0).end(End::Reset).await;
    proxy.reaches("queue_depth", 1).await;
    plan.leaves(&plan.cases[0]);
    holder.end(End::Reset).await;
    let (head, body) = answered(&mut waiting[0]).await;
    assert_eq!((head.status(), body.ends_with("data: [DONE]\n\n")), (200, true), "{body}");
    proxy.reaches("in_flight", 0).await;
    let told = told(proxy, &["fault-0", "fault-1", "fault-2", "fault-3", "fault-4"]).await;
    let expected = [
        ["cancelled", "dispatch", ""],
        ["cancelled", "queued", ""],
        ["cancelled", "queued", ""],
        ["completed", "done", ""],
        ["rejected", "queued", "queue_full"],
    ];
    assert_eq!(told, expected);
    assert_eq!(plan.complaints(), Vec::<String>::new());
}

/// An upstream that takes no connection fails each request by its name, and keeps no slot.
#[tokio::test]
async fn an_upstream_that_refuses_keeps_no_slot() {
    let absent: SocketAddr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start("refuses", absent, 2, "");
    let ids: Vec<_> = (0..10).map(|number| format!("fault-{number}")).collect();
    for number in 0..10 {
        let mut wire = sent(&proxy, &post(number, stream(None))).await;
        let (head, body) = answered(&mut wire).await;
        assert_eq!((head.status(), body.contains("\"code\":\"connect\"")), (502, true), "{body}");
    }
    proxy.reaches("in_flight", 0).await;
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    assert_eq!(told(proxy, &ids).await, vec![["failed", "done", "connect"]; 10]);
}

/// Who goes in the middle of a prompt that is too long to be held has arrived, and lets go of its slot.
#[tokio::test]
async fn a_long_prompt_may_break_off() {
    let mut case = post(0, stream(None));
    case.upload = Upload::Length(3 << 20);
    let (proxy, plan) = behind("prompt", 1, "", vec![case.clone()]).await;
    let (head, body) = case.request();
    let wire = connected(&proxy, &[head, body[..2 << 20].to_vec()].concat()).await;
    proxy.reaches("in_flight", 1).await;
    plan.leaves(&plan.cases[0]);
    wire.end(End::Reset).await;
    proxy.reaches("in_flight", 0).await;
    assert_eq!(told(proxy, &["fault-0"]).await, [["cancelled", "dispatch", ""]]);
}

/// Who hangs up having sent more than one request frees its slot, though the bytes behind hide it.
#[tokio::test]
async fn who_has_pipelined_may_hang_up() {
    let cases = vec![post(0, Upstream::Stalls), post(1, stream(None))];
    let (proxy, plan) = behind("pipelined", 1, "", cases).await;
    let all: Vec<_> = plan.cases.iter().flat_map(|case| <[_; 2]>::from(case.request())).collect();
    let wire = connected(&proxy, &all.concat()).await;
    plan.until_seen(&plan.cases[0]).await;
    plan.leaves(&plan.cases[0]);
    wire.end(End::Reset).await;
    proxy.reaches("in_flight", 0).await;
    assert_eq!(told(proxy, &["fault-0"]).await, [["cancelled", "dispatch", ""]]);
}

/// Time limits, each of which fails a stalled request by its name: with a 504 as long as nothing was
/// answered, else by cutting the response off.
#[tokio::test]
async fn what_stalls_is_ended_by_its_limit() {
    let after = |bytes| stream(Some((bytes, Fault::Stalls)));
    for (flag, upstream, phase) in [
        ("--first-byte-timeout", Upstream::Stalls, "done"),
        ("--request-timeout", Upstream::Stalls, "done"),
        ("--first-byte-timeout", after(0), "prefill"),
        ("--token-timeout", after(300), "streaming"),
        ("--request-timeout", after(300), "streaming"),
    ] {
        let kind = flag.trim_start_matches("--").replace('-', "_");
        let has_head = phase != "done";
        let (proxy, plan) = behind(&kind, 1, &format!("{flag} 300ms"), vec![post(0, upstream)]).await;
        let mut wire = sent(&proxy, &plan.cases[0]).await;
        plan.until_seen(&plan.cases[0]).await;
        plan.leaves(&plan.cases[0]);
        let head = wire.head().await.unwrap();
        let body = wire.body(&head, usize::MAX).await;
        assert_eq!(
            (head.status(), body.is_whole),
            if has_head { (200, false) } else { (504, true) },
            "{flag}"
        );
        proxy.reaches("in_flight", 0).await;
        assert_eq!(told(proxy, &["fault-0"]).await, [["failed", phase, &kind]], "{flag}");
        assert_eq!(plan.complaints(), Vec::<String>::new());
    }
}
