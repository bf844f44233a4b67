//! However a body is cut, however fast its client is and however little may wait:
//! out comes what went in.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::outcome::Outcome;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

#[derive(Clone, Debug, PartialEq)]
struct Broken;

#[derive(Clone, Copy, Debug)]
enum End {
    Clean,
    Trailers,
    Error,
}

/// Frames that are each there once they have been asked for so many times in vain.
struct Script {
    steps: std::vec::IntoIter<(u8, Result<Frame<Bytes>, Broken>)>,
    next: Option<(u8, Result<Frame<Bytes>, Broken>)>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some((vain, step)) = self.next.take().or_else(|| self.steps.next()) else {
            return Poll::Ready(None);
        };
        if vain == 0 {
            return Poll::Ready(Some(step));
        }
        self.next = Some((vain - 1, step));
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

proptest! {
    /// Frames, trailers and errors as they came and in their order, in one record.
    #[test]
    fn what_comes_out_went_in(
        frames in vec((0..3_u8, vec(any::<u8>(), 0..64)), 0..80),
        end in prop_oneof![Just(End::Clean), Just(End::Trailers), Just(End::Error)],
        pauses in vec(0..6_u8, 100),
        limit in prop_oneof![Just(1_usize), 0..2_000_usize, Just(100_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let records = Records::default();
            let pool = Pool::builder("test").observer(records.clone()).build().unwrap();
            let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
            let sent: Vec<Bytes> = frames.iter().map(|(_, frame)| Bytes::copy_from_slice(frame)).collect();
            let data = sent.iter().cloned().map(|data| Ok(Frame::data(data)));
            let mut steps: Vec<_> = frames.iter().map(|(vain, _)| *vain).zip(data).collect();
            match end {
                End::Clean => {}
                End::Trailers => steps.push((0, Ok(Frame::trailers(trailers.clone())))),
                End::Error => steps.push((0, Err(Broken))),
            }
            let script = Script { steps: steps.into_iter(), next: None };
            let script = Arc::new(Mutex::new(Some(script)));
            let upstream = service_fn(move |_: Request<()>| {
                let script = script.lock().unwrap().take().unwrap();
                async { Ok::<_, std::convert::Infallible>(Response::new(script)) }
            });

            let layer = pool.layer().absorb(limit);
            let mut body = layer.layer(upstream).oneshot(Request::new(())).await.unwrap().into_body();
            let mut pauses = pauses.into_iter().cycle();
            let (mut received, mut last) = (Vec::new(), None);
            loop {
                for _ in 0..pauses.next().unwrap() {
                    tokio::task::yield_now().await;
                }
                let Some(step) = body.frame().await else { break };
                prop_assert!(last.is_none(), "nothing comes after the last");
                match step.map(Frame::into_data) {
                    Ok(Ok(data)) => received.push(data),
                    other => last = Some(other.map(|frame| frame.unwrap_err().into_trailers().unwrap())),
                }
            }
            prop_assert!(body.is_end_stream());
            prop_assert_eq!(last, match end {
                End::Clean => None,
                End::Trailers => Some(Ok(trailers)),
                End::Error => Some(Err(Broken)),
            });
            let kept = records.0.lock().unwrap();
            prop_assert_eq!(kept.len(), 1);
            let failed = matches!(end, End::Error);
            prop_assert_eq!(kept[0].outcome, if failed { Outcome::Failed } else { Outcome::Completed });
            prop_assert_eq!(kept[0].response_bytes, sent.iter().map(|frame| frame.len() as u64).sum::<u64>());
            prop_assert_eq!(kept[0].handed_over_at.is_some(), limit > 0);
            prop_assert_eq!(received, sent);
            Ok(())
        })?;
    }
}
