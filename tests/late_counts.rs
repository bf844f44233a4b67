//! Counts that are still open when a stream ends: the record waits for them,
//! and the end of the run for the record. (A file of its own: there is one
//! thread for such counts, and here it is held up.)

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::observe::{Observer, Sample};
use tower_tps::record::RequestRecord;
use tower_tps::tokens::{Counter, Tokenizer, Tokens};

/// Keeps the text, and counts it once it is let.
#[derive(Clone, Debug)]
struct Held {
    begun: Sender<()>,
    let_go: Arc<Mutex<Receiver<()>>>,
    kept: usize,
}

impl Tokenizer for Held {
    fn name(&self) -> &str {
        "held"
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(self.clone())
    }
}

impl Counter for Held {
    fn push(&mut self, text: &str) -> u64 {
        self.kept += text.len();
        0
    }

    fn finish(&mut self) -> u64 {
        self.begun.send(()).expect("the test waits");
        self.let_go.lock().unwrap().recv().expect("the test lets it go");
        self.kept as u64
    }

    fn pending(&self) -> usize {
        self.kept
    }
}

/// What was told, in its order: the counts of requests, and the end.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Option<Option<u64>>>>>);

impl Observer for Told {
    fn request(&self, record: &Arc<RequestRecord>) {
        let counted = record.generated.as_ref().and_then(|generated| generated.counted_tokens);
        self.0.lock().unwrap().push(Some(counted));
    }

    fn end(&self, _: &Sample) {
        self.0.lock().unwrap().push(None);
    }
}

/// A pool that is closed meanwhile tells every record before its end: the one
/// whose count has begun with it, the others with it given up.
#[tokio::test]
async fn the_end_waits_for_the_records() {
    let (begun, has_begun) = channel();
    let (let_go, may_go) = channel();
    let tokenizer = Held { begun, let_go: Arc::new(Mutex::new(may_go)), kept: 0 };
    let told = Told::default();
    let pool = Pool::builder("p").tokenizer(Tokens::by(tokenizer)).observer(told.clone()).build().unwrap();
    let text = "x".repeat(4_000);
    let body =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\ndata: [DONE]\n\n");
    for _ in 0..3 {
        let body = Full::new(Bytes::from(body.clone()));
        let upstream = service_fn(move |_: Request<()>| {
            let response = Response::builder().header("content-type", "text/event-stream");
            std::future::ready(Ok::<_, Infallible>(response.body(body.clone()).unwrap()))
        });
        let response = pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    has_begun.recv().unwrap();
    assert!(!pool.is_settled() && told.0.lock().unwrap().is_empty());

    pool.close();
    assert!(told.0.lock().unwrap().is_empty(), "nothing is told, nor the end, while a count is under way");
    let_go.send(()).unwrap();
    while told.0.lock().unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*told.0.lock().unwrap(), [Some(Some(4_000)), Some(None), Some(None), None]);
    while !pool.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(pool.is_settled());
}
