//! Whatever the bytes and however they are cut: out comes what went in.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::outcome::Outcome;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

proptest! {
    /// Frames, trailers and the count of bytes, for arbitrary garbage.
    #[test]
    fn bytes_out_are_bytes_in(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..32),
        trailers in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let records = Records::default();
            let pool = Pool::builder("test").observer(records.clone()).build().unwrap();
            let sent: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let mut script: Vec<Frame<Bytes>> = sent.iter().cloned().map(Frame::data).collect();
            if trailers {
                script.push(Frame::trailers(HeaderMap::from_iter([(
                    http::header::ETAG,
                    http::HeaderValue::from_static("x"),
                )])));
            }
            let script = std::sync::Arc::new(std::sync::Mutex::new(Some(script)));
            let upstream = service_fn(move |_: Request<()>| {
                let frames = script.lock().unwrap().take().unwrap().into_iter().map(Ok::<_, Infallible>);
                async { Ok::<_, Infallible>(Response::new(StreamBody::new(stream::iter(frames)))) }
            });

            let response = pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap();
            let mut body = response.into_body();
            let (mut received, mut trailing) = (Vec::new(), false);
            while let Some(frame) = body.frame().await {
                match frame.unwrap().into_data() {
                    Ok(data) => received.push(data),
                    Err(frame) => trailing = frame.into_trailers().unwrap().contains_key("etag"),
                }
            }
            prop_assert!(body.is_end_stream());
            prop_assert_eq!(trailing, trailers);
            let kept = records.0.lock().unwrap();
            prop_assert_eq!(kept.len(), 1);
            prop_assert_eq!(kept[0].outcome, Outcome::Completed);
            prop_assert_eq!(kept[0].response_bytes, sent.iter().map(|frame| frame.len() as u64).sum::<u64>());
            prop_assert_eq!(received, sent);
            Ok(())
        })?;
    }
}
