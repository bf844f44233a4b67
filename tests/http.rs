//! The layer around an axum router, over real HTTP connections on loopback.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tower_tps::Pool;
use tower_tps::outcome::Outcome;
use tower_tps::record::RequestRecord;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

impl Records {
    /// Takes the next record as soon as it is there; fails if none ever comes.
    async fn next(&self) -> RequestRecord {
        for _ in 0..1_000 {
            if let Some(record) = self.0.lock().unwrap().pop() {
                return record;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no record came");
    }
}

/// A router behind the pool, on a port of its own; its address.
async fn serve(pool: &Pool) -> String {
    let stream = || async {
        let chunks =
            stream::iter(["one ", "two ", "three"]).map(|text| Ok::<_, Infallible>(Bytes::from(text)));
        Body::from_stream(chunks)
    };
    let endless = || async {
        let chunks = stream::repeat("x").then(|text| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<_, Infallible>(Bytes::from(text))
        });
        Body::from_stream(chunks)
    };
    let app = Router::new()
        .route("/stream", get(stream))
        .route("/document", get(|| async { "one two three" }))
        .route("/endless", get(endless))
        .layer(pool.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A stream, and a document after whose last byte the server polls no more:
/// both complete, with every byte passed on; a client that hangs up cancels;
/// `HEAD` has no body and completes at its headers.
#[tokio::test]
async fn a_real_server_and_real_clients() {
    let records = Records::default();
    let pool = Pool::builder("axum").cap(1).observer(records.clone()).build().unwrap();
    let address = serve(&pool).await;
    let client = reqwest::Client::new();

    for path in ["/stream", "/document"] {
        let text = client.get(format!("{address}{path}")).send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "one two three");
        let record = records.next().await;
        assert_eq!((record.outcome, record.response_bytes), (Outcome::Completed, 13), "{path}");
    }

    client.head(format!("{address}/document")).send().await.unwrap();
    assert_eq!(records.next().await.outcome, Outcome::Completed);

    let mut response = client.get(format!("{address}/endless")).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert_eq!(pool.reading().counts.in_flight, 1, "the slot is held while the body streams");
    drop(response);
    assert_eq!(records.next().await.outcome, Outcome::Cancelled);
    assert_eq!(pool.reading().counts.in_flight, 0);
}
