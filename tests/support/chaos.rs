//! Random runs of a pool before the simulated engine, with all that can go wrong
//! in them at once.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::analysis::Recording;
use tower_tps::observe::RunLog;
use tower_tps::retry::LlmPolicy;
use tower_tps::sim::{Engine, Faults};
use tower_tps::tokens::{Counter, Tokenizer, Tokens};

/// A run. All times are ticks.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    cap: u32,
    max_queue: Option<u64>,
    queue_timeout: Option<u64>,
    slots: usize,
    retries: Retrying,
    tokens: Counted,
    sample_interval: u64,
    fault: f64,
    caps: Vec<(u64, u32)>,
    /// When so much work is declared, and for how long.
    backlogs: Vec<(u64, u64, u64)>,
    /// When someone begins to wait who is no retry of ours, and for how long.
    backoffs: Vec<(u64, u64)>,
    /// Work that is still declared when the run ends.
    left_over: u64,
    plans: Vec<Plan>,
}

#[derive(Clone, Copy, Debug)]
enum Retrying {
    Never,
    Inside,
    Outside,
    Both,
}

#[derive(Clone, Copy, Debug)]
enum Counted {
    Usage,
    Events,
    Words,
}

/// One request: what is asked of the engine, and how its client behaves.
#[derive(Clone, Debug)]
struct Plan {
    arrives: u64,
    words: u64,
    tokens: u64,
    streamed: bool,
    with_usage: bool,
    headers_delay: u64,
    pause: u64,
    fault: &'static str,
    /// So many attempts find nobody listening.
    refused: u32,
    client: Client,
}

#[derive(Clone, Copy, Debug)]
enum Client {
    Reads,
    /// Before each of so many frames it takes its time.
    Slow(usize, u64),
    /// Goes away after that time, wherever the request is by then.
    GivesUp(u64),
    /// Drops the call before it was polled.
    Forgets,
    /// Drops the response after so many frames.
    Drops(usize),
}

/// Counts words, as a stand-in for a tokenizer.
#[derive(Debug)]
struct Words;

impl Tokenizer for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(Self)
    }
}

impl Counter for Words {
    fn push(&mut self, text: &str) -> u64 {
        text.matches(' ').count() as u64
    }

    /// There is always one left at the end.
    fn finish(&mut self) -> u64 {
        1
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let faults = ["", "", "", "", "status=429;times=1", "status=500;times=2", "status=500", "error-event"];
    let faults = faults.into_iter().chain(["truncate", "stall", "drop"]).collect::<Vec<_>>();
    let client = prop_oneof![
        5 => Just(Client::Reads),
        2 => (0..6usize, 0..700u64).prop_map(|(frames, each)| Client::Slow(frames, each)),
        3 => (0..2_000u64).prop_map(Client::GivesUp),
        1 => Just(Client::Forgets),
        2 => (0..5usize).prop_map(Client::Drops),
    ];
    (
        (0..1_500u64, 1..60u64, 0..30u64, prop::bool::weighted(0.8), any::<bool>()),
        (0..200u64, 0..500u64, prop::sample::select(faults)),
        (prop_oneof![6 => Just(0), 1 => 1..4u32], client),
    )
        .prop_map(
            |((arrives, words, tokens, streamed, with_usage), (headers_delay, pause, fault), end)| {
                let (refused, client) = end;
                Plan {
                    arrives,
                    words,
                    tokens,
                    streamed,
                    with_usage,
                    headers_delay,
                    pause,
                    fault,
                    refused,
                    client,
                }
            },
        )
}

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    use prop::collection::vec;
    let retries = [Retrying::Never, Retrying::Inside, Retrying::Outside, Retrying::Both];
    let tokens = [Counted::Usage, Counted::Events, Counted::Words];
    let pool = (
        1..5u32,
        prop::option::weighted(0.7, 0..8u64),
        prop::option::weighted(0.4, 1..900u64),
        prop::sample::select(retries.to_vec()),
        prop::sample::select(tokens.to_vec()),
        1..400u64,
    );
    let engine = (1..5usize, prop_oneof![2 => Just(0.0), 1 => 0.0..0.3]);
    let changes = (
        vec((1..2_000u64, 1..6u32), 0..6),
        vec((0..1_500u64, 0..5u64, 0..900u64), 0..4),
        vec((0..1_500u64, 0..900u64), 0..3),
        prop_oneof![3 => Just(0), 1 => 1..3u64],
    );
    (pool, engine, changes, vec(plan(), 1..24)).prop_map(|(pool, engine, changes, plans)| {
        let (cap, max_queue, queue_timeout, retries, tokens, sample_interval) = pool;
        let ((slots, fault), (caps, backlogs, backoffs, left_over)) = (engine, changes);
        Scenario {
            cap,
            max_queue,
            queue_timeout,
            slots,
            retries,
            tokens,
            sample_interval,
            fault,
            caps,
            backlogs,
            backoffs,
            left_over,
            plans,
        }
    })
}

type Body = UnsyncBoxBody<Bytes, BoxError>;
type Metered = BoxCloneService<Request<Full<Bytes>>, Response<Body>, BoxError>;

fn boxed<S, B>(service: S) -> Metered
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let body = |body: B| body.map_err(Into::into).boxed_unsync();
    BoxCloneService::new(service.map_err(Into::into).map_response(move |response| response.map(body)))
}

impl Scenario {
    /// Runs to its end, and closes the pool. A tick lasts so long.
    pub(crate) async fn run(&self, log: &Path, recording: &Recording, tick: Duration) -> Pool {
        let time = move |ticks: u64| tick * u32::try_from(ticks).unwrap();
        let _ = std::fs::remove_file(log);
        let mut builder = Pool::builder("p")
            .cap(self.cap)
            .sample_interval(time(self.sample_interval))
            .tokenizer(match self.tokens {
                Counted::Usage => Tokens::usage(),
                Counted::Events => Tokens::events(),
                Counted::Words => Tokens::by(Words),
            })
            .observer(RunLog::create(log).unwrap())
            .observer(recording.clone());
        if let Some(most) = self.max_queue {
            builder = builder.max_queue(most);
        }
        if let Some(ticks) = self.queue_timeout {
            builder = builder.queue_timeout(time(ticks));
        }
        let pool = builder.build().unwrap();
        let service = self.metered(&pool, tick);
        let requests = self.plans.iter().cloned().enumerate();
        let mut tasks: Vec<JoinHandle<()>> =
            requests.map(|(index, plan)| tokio::spawn(follow(service.clone(), index, plan, tick))).collect();
        for (after, cap) in self.caps.clone() {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                sleep(time(after)).await;
                pool.set_cap(cap).unwrap();
            }));
        }
        for (after, count, lasts) in self.backlogs.clone() {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                sleep(time(after)).await;
                let mut backlog = pool.backlog(count);
                sleep(time(lasts / 2)).await;
                backlog.take(1);
                backlog.add(2);
                sleep(time(lasts / 2)).await;
            }));
        }
        for (after, lasts) in self.backoffs.clone() {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                sleep(time(after)).await;
                let backoff = pool.backoff();
                sleep(time(lasts)).await;
                drop(backoff);
            }));
        }
        let left_over = pool.backlog(self.left_over);
        for task in tasks {
            task.await.unwrap();
        }
        while !pool.is_settled() {
            sleep(time(1)).await;
        }
        pool.close();
        assert!(pool.is_closed());
        drop(left_over);
        pool
    }

    fn metered(&self, pool: &Pool, tick: Duration) -> Metered {
        let chance = self.fault / 6.0;
        let engine = Engine::builder()
            .slots(self.slots)
            .prefill_per_token(tick)
            .token_interval(tick * 20)
            .jitter(0.5)
            .faults(Faults {
                status_429: chance,
                status_500: chance,
                error_event: chance,
                truncate: chance,
                stall: chance,
                drop: chance,
            })
            .service();
        let refused: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
        let upstream = service_fn(move |request: Request<Full<Bytes>>| {
            let (engine, refused) = (engine.clone(), refused.clone());
            async move {
                let header = |name| request.headers()[name].to_str().unwrap().to_owned();
                let most: u32 = header("x-refused").parse().unwrap();
                let is_refused = {
                    let mut refused = refused.lock().unwrap();
                    let count = refused.entry(header("x-request-id")).or_default();
                    *count += 1;
                    *count <= most
                };
                if is_refused {
                    sleep(tick * 5).await;
                    return Err(io::Error::from(ErrorKind::ConnectionRefused));
                }
                engine.oneshot(request).await.map_err(|never| match never {})
            }
        });
        let policy = LlmPolicy::new().backoff(tick * 50, tick * 400);
        let (meter, retry) = (pool.layer(), pool.retry(policy));
        match self.retries {
            Retrying::Never => boxed(meter.layer(upstream)),
            Retrying::Inside => boxed(meter.layer(retry.layer(upstream))),
            Retrying::Outside => boxed(retry.layer(meter.layer(upstream))),
            Retrying::Both => boxed(retry.clone().layer(meter.layer(retry.layer(upstream)))),
        }
    }
}

fn request(index: usize, plan: &Plan, tick: Duration) -> Request<Full<Bytes>> {
    let text = "word ".repeat(plan.words as usize);
    let body = format!(
        r#"{{"user":"{index}","messages":[{{"content":"{text}"}}],"max_tokens":{},"stream":{},
        "stream_options":{{"include_usage":{}}}}}"#,
        plan.tokens, plan.streamed, plan.with_usage
    );
    let millis = |ticks: u64| (tick * ticks as u32).as_millis().to_string();
    Request::post("/v1/chat/completions")
        .header("x-request-id", index.to_string())
        .header("x-sim-fault", plan.fault)
        .header("x-sim-headers-delay", millis(plan.headers_delay))
        .header("x-sim-pause", millis(plan.pause))
        .header("x-sim-retry-after", "0")
        .header("x-refused", plan.refused)
        .body(Full::from(body))
        .unwrap()
}

/// Sends one request, and does with its response as its client does.
async fn follow(service: Metered, index: usize, plan: Plan, tick: Duration) {
    let time = move |ticks: u64| tick * u32::try_from(ticks).unwrap();
    sleep(time(plan.arrives)).await;
    let request = request(index, &plan, tick);
    if let Client::Forgets = plan.client {
        let mut service = service;
        return drop(service.ready().await.unwrap().call(request));
    }
    let (frames, slow) = match plan.client {
        Client::Drops(frames) => (frames, (0, 0)),
        Client::Slow(frames, each) => (usize::MAX, (frames, each)),
        _ => (usize::MAX, (0, 0)),
    };
    let all = async {
        let Ok(response) = service.oneshot(request).await else { return };
        let mut body = response.into_body();
        for frame in 0..frames {
            if frame < slow.0 {
                sleep(time(slow.1)).await;
            }
            match body.frame().await {
                Some(Ok(_)) => {}
                _ => return,
            }
        }
    };
    // Nobody waits for ever for an engine that has fallen silent.
    let most = if let Client::GivesUp(after) = plan.client { after } else { 20_000 };
    let _ = timeout(time(most), all).await;
}
