//! One cause after the other is brought about on purpose, by a known amount and
//! under a paused clock: the ledger has it to the nanosecond, nothing else moves,
//! and the diagnosis names it first.
#![cfg(all(feature = "sim", feature = "retry", feature = "connect"))]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::diagnosis::{Diagnosis, Loss};
use tower_tps::gate::{GapCause, SlotPhase};
use tower_tps::observe::Sample;
use tower_tps::retry::LlmPolicy;
use tower_tps::sim::{self, Engine};

const PREFILL: u64 = 20;
const TOKENS: u64 = 20;
const INTERVAL: u64 = 10;

/// Slot-milliseconds by what they went to.
type Ledger = BTreeMap<&'static str, i64>;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A prompt of that many words by one of several users, whose answer has 20
/// tokens, and what is asked of the engine beside it.
fn prompt(user: u8, words: u64, asks: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
    let text = "word ".repeat(words as usize);
    let body = format!(
        r#"{{"user":"{user}","messages":[{{"content":"{text}"}}],"max_tokens":{TOKENS},"stream":true}}"#
    );
    let request = Request::post("/v1/chat/completions").body(Full::from(body)).unwrap();
    let (mut head, body) = request.into_parts();
    for (name, value) in asks {
        head.headers.insert(*name, value.parse().unwrap());
    }
    Request::from_parts(head, body)
}

/// Three prompts, and what is asked of the engine for the last of them.
fn three(asks: &[(&'static str, &'static str)]) -> [Request<Full<Bytes>>; 3] {
    [prompt(1, PREFILL, &[]), prompt(2, PREFILL, &[]), prompt(3, PREFILL, asks)]
}

async fn read<B: Body + Unpin>(mut body: B) {
    while body.frame().await.is_some() {}
}

/// Sends them all at once, each from a task of its own, and reads the answers.
async fn send<S, B>(service: S, requests: [Request<Full<Bytes>>; 3])
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
{
    let tasks = requests.map(|request| {
        let service = service.clone();
        tokio::spawn(async move { read(service.oneshot(request).await.unwrap().into_body()).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

fn ledger(sample: &Sample) -> Ledger {
    let totals = &sample.reading.totals;
    let gap = GapCause::ALL.map(|cause| (cause.as_str(), totals.lost_slot_time_of(cause)));
    let phases = SlotPhase::ALL.map(|phase| match phase {
        SlotPhase::Backoff => ("backoff in the slot", totals.slot_time_of(phase)),
        _ => (phase.as_str(), totals.slot_time_of(phase)),
    });
    let others = [
        ("unattributed", totals.unattributed_slot_time()),
        ("connecting", sample.connect_time),
        ("failed", sample.failed_slot_time()),
        ("abandoned", sample.abandoned_slot_time()),
    ];
    let all = gap.into_iter().chain(phases).chain(others);
    all.map(|(name, time)| {
        assert_eq!(time.subsec_nanos() % 1_000_000, 0, "{name}: {time:?} is exact");
        (name, time.as_millis() as i64)
    })
    .collect()
}

/// What the ledger of some work has more, or less, than that of three prompts
/// with which nothing goes wrong; and the first finding.
async fn changes<W: AsyncFnOnce(&Pool, sim::Service)>(work: W) -> (Vec<(&'static str, i64)>, Option<Loss>) {
    let engine = Engine::builder().slots(1).prefill_per_token(millis(1)).token_interval(millis(INTERVAL));
    let pool = Pool::builder("test").cap(1).build().unwrap();
    work(&pool, engine.service()).await;

    let totals = pool.reading().totals;
    let busy: Duration = SlotPhase::ALL.iter().map(|phase| totals.slot_time_of(*phase)).sum();
    assert_eq!(busy, totals.busy_slot_time());
    let (used, was) = (totals.busy_slot_time() + totals.gap_slot_time(), totals.cap_slot_time());
    assert_eq!(used + totals.idle_slot_time(), was);

    let mut changed = ledger(&pool.sample());
    let usual = [("prefill", 3 * PREFILL), ("generate", 3 * (TOKENS - 1) * INTERVAL)];
    for (name, time) in usual {
        *changed.get_mut(name).unwrap() -= time as i64;
    }
    let Diagnosis { findings, .. } = pool.diagnose(Duration::MAX);
    let changed = changed.into_iter().filter(|(_, time)| *time != 0).collect();
    (changed, findings.first().map(|finding| finding.loss))
}

/// A policy that waits as long as it is asked to, and else not at all.
fn policy() -> LlmPolicy {
    LlmPolicy::new().max_retries(3).backoff(Duration::ZERO, Duration::ZERO)
}

/// With nothing wrong nothing is lost: the model is what there is to look at.
#[tokio::test(start_paused = true)]
async fn nothing() {
    let (changed, first) =
        changes(async |pool, engine| send(pool.layer().layer(engine), three(&[])).await).await;
    assert_eq!((changed, first), (vec![], Some(Loss::Generation)));
}

/// With nothing waiting the model is not blamed either.
#[tokio::test(start_paused = true)]
async fn no_work() {
    let (_, first) = changes(async |pool, engine| {
        for request in three(&[]) {
            read(pool.layer().layer(engine.clone()).oneshot(request).await.unwrap().into_body()).await;
            sleep(millis(5_000)).await;
        }
    })
    .await;
    assert_eq!(first, Some(Loss::UpstreamWait), "which is all that a slot did but generate");
}

/// An executor that is blocked for 300 ms as a slot is handed on.
#[tokio::test(start_paused = true)]
async fn a_blocked_executor() {
    let (changed, first) = changes(async |pool, engine| {
        let service = pool.layer().layer(engine);
        let [one, two, three] = three(&[]);
        let blocks = tokio::spawn({
            let service = service.clone();
            async move {
                read(service.oneshot(one).await.unwrap().into_body()).await;
                // The clock moves before any other task runs.
                advance(millis(300)).await;
            }
        });
        let others = [two, three].map(|request| {
            let service = service.clone();
            tokio::spawn(async move { read(service.oneshot(request).await.unwrap().into_body()).await })
        });
        blocks.await.unwrap();
        for other in others {
            other.await.unwrap();
        }
    })
    .await;
    assert_eq!((changed, first), (vec![("wakeup", 300)], Some(Loss::Wakeup)));
}

/// A batch that is submitted one after the other, with half a second between.
#[tokio::test(start_paused = true)]
async fn orchestration() {
    let (changed, first) = changes(async |pool, engine| {
        let mut batch = pool.backlog(3).items(three(&[]));
        for _ in 0..3 {
            sleep(millis(500)).await;
            let request = batch.next().unwrap();
            read(pool.layer().layer(engine.clone()).oneshot(request).await.unwrap().into_body()).await;
        }
    })
    .await;
    assert_eq!((changed, first), (vec![("orchestration", 1_500)], Some(Loss::Orchestration)));
}

const REFUSED: [(&str, &str); 2] = [("x-sim-fault", "status=429;times=1"), ("x-sim-retry-after", "2")];

/// A retry outside the meter that waits for two seconds beside a free slot.
#[tokio::test(start_paused = true)]
async fn back_off_beside_the_slot() {
    let (changed, first) = changes(async |pool, engine| {
        send(pool.retry(policy()).layer(pool.layer().layer(engine)), three(&REFUSED)).await;
    })
    .await;
    assert_eq!((changed, first), (vec![("backoff", 2_000)], Some(Loss::Backoff)));
}

/// The same retry inside the meter: its slot is held, and no gap is seen.
#[tokio::test(start_paused = true)]
async fn back_off_in_the_slot() {
    let (changed, first) = changes(async |pool, engine| {
        send(pool.layer().layer(pool.retry(policy()).layer(engine)), three(&REFUSED)).await;
    })
    .await;
    assert_eq!((changed, first), (vec![("backoff in the slot", 2_000)], Some(Loss::Backoff)));
}

const FAILS: [(&str, &str); 2] = [("x-sim-fault", "status=500;times=3"), ("x-sim-headers-delay", "400")];

/// Three attempts of 400 ms each that fail, and a fourth; on either side of the meter.
#[tokio::test(start_paused = true)]
async fn retries() {
    let expected = (vec![("abandoned", 1_200), ("dispatch", 1_600)], Some(Loss::Retries));
    let outside = changes(async |pool, engine| {
        send(pool.retry(policy()).layer(pool.layer().layer(engine)), three(&FAILS)).await;
    });
    assert_eq!(outside.await, expected);
    let inside = changes(async |pool, engine| {
        send(pool.layer().layer(pool.retry(policy()).layer(engine)), three(&FAILS)).await;
    });
    assert_eq!(inside.await, expected);
}

/// A client that makes a connection of 150 ms for each request.
#[tokio::test(start_paused = true)]
async fn connection_churn() {
    let (changed, first) = changes(async |pool, engine| {
        let connector = pool.connector().layer(service_fn(|()| async {
            sleep(millis(150)).await;
            Ok::<_, Infallible>(())
        }));
        let client = service_fn(move |request| {
            let (connector, engine) = (connector.clone(), engine.clone());
            async move {
                connector.oneshot(()).await?;
                engine.oneshot(request).await
            }
        });
        send(pool.layer().layer(client), three(&[])).await;
    })
    .await;
    assert_eq!((changed, first), (vec![("connecting", 450), ("dispatch", 450)], Some(Loss::ConnectionChurn)));
}

/// An upstream that queues for 700 ms before its headers.
#[tokio::test(start_paused = true)]
async fn the_upstreams_queue() {
    let asks = [("x-sim-headers-delay", "700")];
    let (changed, first) =
        changes(async |pool, engine| send(pool.layer().layer(engine), three(&asks)).await).await;
    assert_eq!((changed, first), (vec![("dispatch", 700)], Some(Loss::UpstreamWait)));
}

/// Prompts that take the engine half a second longer.
#[tokio::test(start_paused = true)]
async fn prefill() {
    let long = [1, 2, 3].map(|user| prompt(user, PREFILL + 500, &[]));
    let (changed, first) = changes(async |pool, engine| send(pool.layer().layer(engine), long).await).await;
    assert_eq!((changed, first), (vec![("prefill", 1_500)], Some(Loss::UpstreamWait)));
}

/// An engine that pauses for two seconds in the middle of a stream.
#[tokio::test(start_paused = true)]
async fn a_slow_model() {
    let slow = [1, 2, 3].map(|user| prompt(user, PREFILL, &[("x-sim-pause", "2000")]));
    let (changed, first) = changes(async |pool, engine| send(pool.layer().layer(engine), slow).await).await;
    assert_eq!((changed, first), (vec![("generate", 6_000)], Some(Loss::Generation)));
}

/// A client that stops for five seconds in the middle of a stream. The engine
/// goes on for two tokens, as far as it is buffered, and these are not waited for.
#[tokio::test(start_paused = true)]
async fn a_slow_client() {
    let (changed, first) = changes(async |pool, engine| {
        let service = pool.layer().layer(engine);
        let [one, two, three] = three(&[]);
        let mut slow = service.clone().oneshot(one).await.unwrap().into_body();
        for _ in 0..10 {
            slow.frame().await;
        }
        sleep(millis(5_000)).await;
        read(slow).await;
        for request in [two, three] {
            read(service.clone().oneshot(request).await.unwrap().into_body()).await;
        }
    })
    .await;
    assert_eq!((changed, first), (vec![("generate", -20), ("stall", 5_000)], Some(Loss::DownstreamStall)));
}

/// A stream that falls silent halfway and is given up after five seconds: all
/// that its slot did was for nothing.
#[tokio::test(start_paused = true)]
async fn failed_work() {
    let (changed, first) = changes(async |pool, engine| {
        let service = pool.layer().layer(engine);
        let [one, two, three] = three(&[("x-sim-fault", "stall")]);
        let silent = read(service.clone().oneshot(three).await.unwrap().into_body());
        assert!(timeout(millis(5_000), silent).await.is_err());
        for request in [one, two] {
            read(service.clone().oneshot(request).await.unwrap().into_body()).await;
        }
    })
    .await;
    let drain = 5_000 - PREFILL as i64 - 90;
    assert_eq!(changed, [("drain", drain), ("failed", 5_000), ("generate", -100)]);
    assert_eq!(first, Some(Loss::FailedWork));
}

/// An upstream that cannot be connected to, while another request waits for its
/// headers: the time is that of failed work, once, and the other's wait is there.
#[tokio::test(start_paused = true)]
async fn an_outage() {
    let pool = Pool::builder("test").cap(2).build().unwrap();
    let connector = pool.connector().layer(service_fn(|()| async {
        sleep(millis(1_000)).await;
        Err::<(), _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    }));
    let down = pool.layer().layer(service_fn(move |_: Request<Full<Bytes>>| {
        let connector = connector.clone();
        async move { connector.oneshot(()).await.map(|()| Response::new(Full::<Bytes>::default())) }
    }));
    let engine = Engine::builder().prefill_per_token(Duration::ZERO).service();
    let slow = prompt(1, 1, &[("x-sim-headers-delay", "10000")]);
    let waits = tokio::spawn(pool.layer().layer(engine).oneshot(slow));
    for _ in 0..10 {
        assert!(down.clone().oneshot(prompt(2, 1, &[])).await.is_err());
    }
    let losses = pool.diagnose(Duration::MAX).findings;
    let losses: Vec<_> = losses.iter().map(|finding| (finding.loss, finding.slot_time)).collect();
    assert_eq!(losses, [(Loss::FailedWork, millis(10_000)), (Loss::UpstreamWait, millis(10_000))]);
    waits.await.unwrap().unwrap();
}

/// A stream that hangs after a token, and one that does not end after its last.
#[tokio::test(start_paused = true)]
async fn a_silent_stream() {
    let engine = || Engine::builder().slots(1).prefill_per_token(Duration::ZERO).service();
    let pool = Pool::builder("test").cap(1).build().unwrap();
    let hangs = prompt(1, 1, &[("x-sim-fault", "stall")]);
    let body = pool.layer().layer(engine()).oneshot(hangs).await.unwrap().into_body();
    let reads = tokio::spawn(read(body));
    sleep(millis(60_000)).await;
    let first = pool.diagnose(Duration::MAX).findings[0];
    assert_eq!((first.loss, first.slot_time), (Loss::UpstreamSilence, millis(60_000 - 90)));
    reads.abort();

    let pool = Pool::builder("test").cap(1).build().unwrap();
    let late = service_fn(|_: Request<Full<Bytes>>| async {
        let frames = futures_util::stream::unfold(0, |step| async move {
            const TOKEN: &[u8] = b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
            let (delay, text) = [(1_000, TOKEN), (9_000, b"data: [DONE]\n\n")].get(step).copied()?;
            sleep(millis(delay)).await;
            Some((Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(text))), step + 1))
        });
        let body = Box::pin(http_body_util::StreamBody::new(frames));
        Ok::<_, Infallible>(
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap(),
        )
    });
    for _ in 0..5 {
        read(pool.layer().layer(late).oneshot(prompt(1, 1, &[])).await.unwrap().into_body()).await;
    }
    let first = pool.diagnose(Duration::MAX).findings[0];
    assert_eq!((first.loss, first.slot_time), (Loss::UpstreamSilence, millis(45_000)));
}

/// What came to nothing is told at its end; no window has more of it than there
/// was of the window, and the other slots' time stays theirs.
#[tokio::test(start_paused = true)]
async fn a_window_within_long_requests() {
    let engine = Engine::builder().slots(4).service();
    let pool = Pool::builder("test").cap(4).build().unwrap();
    let calls = [1, 2, 3, 4].map(|user| {
        let late = prompt(user, 1, &[("x-sim-headers-delay", "9999999")]);
        tokio::spawn(pool.layer().layer(engine.clone()).oneshot(late))
    });
    sleep(millis(600_000)).await;
    let [fails, waits @ ..] = calls;
    fails.abort();
    assert!(fails.await.unwrap_err().is_cancelled());
    let diagnosis = pool.diagnose(millis(60_000));
    assert_eq!(diagnosis.window_time, millis(60_000));
    let losses: Vec<_> = diagnosis.findings.iter().map(|finding| (finding.loss, finding.slot_time)).collect();
    assert_eq!(losses, [(Loss::FailedWork, millis(60_000)), (Loss::UpstreamWait, millis(180_000))]);
    waits.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Silence that passed before a window, and whose kind was decided within it, is
/// not the window's.
#[tokio::test(start_paused = true)]
async fn a_window_after_a_long_silence() {
    let engine = Engine::builder().slots(1).prefill_per_token(Duration::ZERO).service();
    let pool = Pool::builder("test").cap(1).build().unwrap();
    let hangs = prompt(1, 1, &[("x-sim-fault", "stall")]);
    let body = pool.layer().layer(engine).oneshot(hangs).await.unwrap().into_body();
    assert!(timeout(millis(600_000), read(body)).await.is_err());
    let diagnosis = pool.diagnose(millis(60_000));
    assert_eq!(diagnosis.window_time, millis(60_000));
    let [failed, rest @ ..] = &diagnosis.findings[..] else { panic!("nothing is found") };
    assert_eq!((failed.loss, failed.slot_time), (Loss::FailedWork, millis(60_000)));
    // It is told in the proportions of the whole request, which began with a token.
    assert!(rest.iter().all(|finding| finding.slot_time < millis(100)), "{rest:?}");
}

/// The tokens that a loss cost are those that the same slot-time brought, and a
/// window begins where it is asked to.
#[tokio::test(start_paused = true)]
async fn what_a_loss_cost() {
    let engine = Engine::builder().slots(1).prefill_per_token(millis(1)).token_interval(millis(INTERVAL));
    let pool = Pool::builder("test").cap(1).build().unwrap();
    let service = pool.layer().layer(engine.service());
    let submit = async || {
        let _late = pool.backlog(1);
        sleep(millis(3_000)).await;
    };
    submit().await;
    sleep(millis(7_000)).await;
    send(service, three(&[])).await;
    submit().await;
    sleep(millis(370)).await;

    let whole = pool.diagnose(Duration::MAX);
    assert_eq!(whole.window_time, millis(14_000));
    let lost = whole.findings[0];
    assert_eq!((lost.loss, lost.slot_time), (Loss::Orchestration, millis(6_000)));
    // 60 tokens in 630 ms of a busy slot.
    let tokens = lost.tokens.unwrap();
    assert!((tokens - 6_000.0 * 60.0 / 630.0).abs() < 1e-9, "{tokens}");
    let late = pool.diagnose(millis(4_000));
    assert_eq!((late.window_time, late.findings[0].slot_time), (millis(4_000), millis(3_000)));
}
