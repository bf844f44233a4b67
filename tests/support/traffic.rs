//! Traffic of every kind for a pool, under a paused clock.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A request, and after how long it is sent and how much later given up.
pub(crate) type Sent = (Duration, Request<()>, Duration);

/// Streams of 100 ms through a pool: some give up in the queue, some are refused, the
/// cap moves, a backlog is declared, a retry waits.
pub(crate) async fn traffic(pool: &Pool, requests: impl IntoIterator<Item = Sent>) {
    let upstream = service_fn(|_: Request<()>| async {
        let frames = [EVENT, EVENT, DONE].map(|text| Bytes::from_static(text.as_bytes()));
        let frames = stream::iter(frames).then(|bytes| async move {
            sleep(Duration::from_millis(33)).await;
            Ok::<_, Infallible>(Frame::data(bytes))
        });
        let response = Response::builder().header("content-type", "text/event-stream");
        Ok::<_, Infallible>(response.body(Box::pin(StreamBody::new(frames))).unwrap())
    });
    let metered = pool.layer().layer(upstream);
    let send = |(after, request, limit): Sent| {
        let call = metered.clone();
        tokio::spawn(async move {
            if !after.is_zero() {
                sleep(after).await;
            }
            let response = tokio::time::timeout(limit, call.oneshot(request)).await;
            if let Ok(Ok(response)) = response {
                let _ = response.into_body().collect().await;
            }
        })
    };
    let requests: Vec<_> = requests.into_iter().map(send).collect();
    let mut backlog = pool.backlog(3);
    sleep(Duration::from_millis(20)).await;
    pool.set_cap(5).unwrap();
    let backoff = pool.backoff();
    sleep(Duration::from_millis(200)).await;
    backlog.take(2);
    pool.set_cap(1).unwrap();
    drop(backoff);
    for request in requests {
        request.await.unwrap();
    }
    sleep(Duration::from_millis(50)).await;
    drop(backlog);
}

/// Runs it under a paused clock.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(future)
}
