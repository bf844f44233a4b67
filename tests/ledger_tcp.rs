//! The slot-time ledger on the real clock and over real TCP: a client under test, a hyper server,
//! the meter, a hyper client and the simulated engine.
//!
//! No test here knows how long something takes. Two probes, one around the meter and one inside it,
//! read the clock on the meter's own task just before and just after it does: each phase of the
//! record lies between what the two make of it, to the nanosecond, whatever the machine is busy
//! with. In the runs that count the two agree within 2 % or 5 ms, and so the ledger with either.
#![cfg(feature = "sim")]

use std::iter::zip;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::sleep;
use tower::util::MapRequest;
use tower::{Layer, Service};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{Reading, SlotPhase};
use tower_tps::outcome::Outcome;
use tower_tps::record::RequestRecord;
use tower_tps::sim::{Builder, Engine, RequestTruth};

#[path = "support/records.rs"]
mod records;

use self::Http::{One, Two};
use self::records::Records;

/// Ten words.
const PROMPT: &str = "one two three four five six seven eight nine ten";

/// What the kernel may hold back for a connection to the client, each way: it hides a slow client.
const SOCKET_BUFFER: u32 = 4 << 10;

/// The same of the server's, in HTTP/1.1; it takes no less.
const WRITE_BUFFER: usize = 8 << 10;

/// What the client under test lets the server send ahead of it, in HTTP/2.
const CLIENT_WINDOW: u32 = 512;

/// What the engine may send ahead of the meter, in HTTP/2.
const UPSTREAM_WINDOW: u32 = 16 << 10;

/// How often a run is made anew in which the probes do not agree.
const MOST_RUNS: u32 = 5;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// === the probes ===

/// When one side of the meter saw each step of a request.
#[derive(Default)]
struct Log {
    called_at: Option<Instant>,
    responded_at: Option<Instant>,
    frames: Vec<Seen>,
}

/// One frame, or the end.
struct Seen {
    /// When it was first asked for.
    asked_at: Instant,
    /// When it was there.
    given_at: Instant,
    /// Absent for the end.
    data: Option<Bytes>,
}

/// A layer that keeps the [`Log`] of the one request that passes.
#[derive(Clone, Default)]
struct Probe(Arc<Mutex<Log>>);

#[derive(Clone)]
struct Probed<S> {
    inner: S,
    probe: Probe,
}

struct ProbedBody<B> {
    inner: B,
    probe: Probe,
    asked_at: Option<Instant>,
}

impl<S> Layer<S> for Probe {
    type Service = Probed<S>;

    fn layer(&self, inner: S) -> Probed<S> {
        Probed { inner, probe: self.clone() }
    }
}

impl<S, R, B> Service<Request<R>> for Probed<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<ProbedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let probe = self.probe.clone();
        probe.0.lock().unwrap().called_at = Some(Instant::now());
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            probe.0.lock().unwrap().responded_at = Some(Instant::now());
            Ok(response.map(|inner| ProbedBody { inner, probe, asked_at: None }))
        })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ProbedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let asked_at = *self.asked_at.get_or_insert_with(Instant::now);
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().cloned());
        self.asked_at = None;
        let mut log = self.probe.0.lock().unwrap();
        log.frames.push(Seen { asked_at, given_at: Instant::now(), data });
        drop(log);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The least and the most of each phase, in the order of [`SlotPhase::ALL`], by the probes inside
/// the meter and outside it. It asks inside after it was asked, and hands down after it was given:
/// a wait on the upstream is shortest as seen from inside, and one on the caller from outside.
fn bounds(inside: &Log, outside: &Log) -> [(Duration, Duration); 6] {
    let mut bounds = [(Duration::ZERO, Duration::ZERO); 6];
    let mut add = |phase: SlotPhase, least: Duration, most: Duration| {
        let (low, high) = &mut bounds[phase as usize];
        *low += least;
        *high += most;
    };
    let [called, mut given] =
        [(inside.called_at, outside.called_at), (inside.responded_at, outside.responded_at)]
            .map(|(inside, outside)| (inside.unwrap(), outside.unwrap()));
    add(SlotPhase::Dispatch, given.0.since(called.0), given.1.since(called.1));

    let mut text = Vec::new();
    let with_token: Vec<_> = inside.frames.iter().map(|seen| has_token(&mut text, seen)).collect();
    let first = with_token.iter().position(|has| *has).unwrap();
    let last = with_token.iter().rposition(|has| *has).unwrap();
    for (index, (inner, outer)) in zip(&inside.frames, &outside.frames).enumerate() {
        add(SlotPhase::Stall, outer.asked_at.since(given.1), inner.asked_at.since(given.0));
        let phase = match index {
            _ if index <= first => SlotPhase::Prefill,
            _ if index <= last => SlotPhase::Generate,
            _ => SlotPhase::Drain,
        };
        let [least, most] = [inner, outer].map(|seen| seen.given_at.since(seen.asked_at));
        add(phase, least, most);
        given = (inner.given_at, outer.given_at);
    }
    // Where the last frame says that it is the last, the slot goes back after it was read.
    add(SlotPhase::Stall, Duration::ZERO, given.1.since(given.0));
    bounds
}

/// Whether the frame completes an event with a token. Those of the engine begin with a space.
fn has_token(text: &mut Vec<u8>, seen: &Seen) -> bool {
    text.extend_from_slice(seen.data.as_deref().unwrap_or_default());
    let Some(end) = text.windows(2).rposition(|two| two == b"\n\n") else { return false };
    let events: Vec<_> = text.drain(..end + 2).collect();
    String::from_utf8(events).unwrap().contains("\"text\":\" ")
}

// === one request, from the client under test to the engine ===

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

/// How the client reads: once it has seen so many events it waits before each of so many reads.
#[derive(Clone, Copy)]
struct Slow {
    from: usize,
    reads: u32,
    pause: Duration,
}

const FAST: Slow = Slow { from: 0, reads: 0, pause: Duration::ZERO };

/// One kilobyte a second for two seconds.
fn slow_from(event: usize) -> Slow {
    Slow { from: event, reads: 8, pause: millis(250) }
}

/// What is asked of the engine.
#[derive(Clone, Copy, Default)]
struct Asked {
    tokens: usize,
    headers_delay: Duration,
    pause: Duration,
}

struct Run {
    record: RequestRecord,
    /// The pool at rest.
    reading: Reading,
    bounds: [(Duration, Duration); 6],
    truth: RequestTruth,
    /// How long the client waited on purpose.
    paused: Duration,
}

/// The first run in which the probes agree. What they say holds of every run; only how near it they
/// come is up to the machine.
async fn run(engine: Builder, asked: Asked, protocols: (Http, Http), slow: Slow) -> Run {
    for _ in 0..MOST_RUNS {
        let run = run_once(engine.clone(), asked, protocols, slow).await;
        run.check();
        if run.is_sharp() {
            return run;
        }
        println!("    the probes were disturbed");
    }
    panic!("the probes were disturbed {MOST_RUNS} times");
}

/// Sends one request through it all, by these protocols upstream and downstream.
async fn run_once(engine: Builder, asked: Asked, (upstream, downstream): (Http, Http), slow: Slow) -> Run {
    let engine = engine.start().await.unwrap();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .http2_only(upstream == Two)
        .http2_initial_stream_window_size(UPSTREAM_WINDOW)
        .build(connector);
    let client = MapRequest::new(client, to_engine(engine.url()));

    let (inside, outside) = (Probe::default(), Probe::default());
    let records = Records::default();
    // The ledger is read all the time, as by someone who watches.
    let pool = Pool::builder("tcp").cap(1).observer(records.clone()).sample_interval(millis(10));
    let pool = pool.build().unwrap();
    let gateway = outside.layer(pool.layer().layer(inside.layer(client)));

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SOCKET_BUFFER).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().max_buf_size(WRITE_BUFFER);
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(gateway)).await.unwrap();
    });
    let paused = match downstream {
        One => read_http1(addr, asked, slow).await,
        Two => read_http2(addr, asked, slow).await,
    };
    server.await.unwrap();

    let record = records.0.lock().unwrap().remove(0);
    let bounds = bounds(&inside.0.lock().unwrap(), &outside.0.lock().unwrap());
    let truth = engine.truth().requests.remove(0);
    Run { record, reading: pool.reading(), bounds, truth, paused }
}

/// Turns a request to the gateway into one to the engine.
fn to_engine<B>(url: String) -> impl Fn(Request<B>) -> Request<B> + Clone {
    move |mut request| {
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        *request.uri_mut() = format!("{url}{path}").parse().unwrap();
        *request.version_mut() = Version::HTTP_11;
        for name in ["host", "connection"] {
            request.headers_mut().remove(name);
        }
        request
    }
}

// === the client under test ===

impl Asked {
    fn body(&self) -> String {
        format!("{{\"prompt\":\"{PROMPT}\",\"stream\":true,\"max_tokens\":{}}}", self.tokens)
    }

    fn headers(&self) -> [(&'static str, u128); 2] {
        [("x-sim-headers-delay", self.headers_delay.as_millis()), ("x-sim-pause", self.pause.as_millis())]
    }
}

impl Slow {
    /// Waits before a read, if it is to; gives for how long it did.
    async fn wait(&mut self, seen: usize) -> Duration {
        if self.reads == 0 || seen < self.from {
            return Duration::ZERO;
        }
        self.reads -= 1;
        let start = Instant::now();
        sleep(self.pause).await;
        Instant::now().since(start)
    }
}

/// Reads from the socket itself: 256 bytes at a time while it is slow.
async fn read_http1(addr: SocketAddr, asked: Asked, mut slow: Slow) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SOCKET_BUFFER).unwrap();
    let mut stream = socket.connect(addr).await.unwrap();
    let body = asked.body();
    let mut head =
        format!("POST /v1/completions HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in asked.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await.unwrap();

    let (mut answer, mut seen, mut paused) = (Vec::new(), 0, Duration::ZERO);
    let mut bytes = [0; 4096];
    loop {
        let waited = slow.wait(seen).await;
        paused += waited;
        let room = if waited.is_zero() { bytes.len() } else { 256 };
        let read = stream.read(&mut bytes[..room]).await.unwrap();
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&bytes[..read]);
        seen += events(&bytes[..read]);
    }
    assert!(answer.ends_with(b"0\r\n\r\n"), "the whole answer has come");
    paused
}

/// Reads by a hyper client with a small window: the server may send on what has been read.
async fn read_http2(addr: SocketAddr, asked: Asked, mut slow: Slow) -> Duration {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .http2_initial_stream_window_size(CLIENT_WINDOW)
        .build_http();
    let mut request = Request::post(format!("http://{addr}/v1/completions"));
    for (name, value) in asked.headers() {
        request = request.header(name, value.to_string());
    }
    let response = client.request(request.body(Full::<Bytes>::from(asked.body())).unwrap()).await.unwrap();

    let (mut body, mut seen, mut paused) = (response.into_body(), 0, Duration::ZERO);
    loop {
        paused += slow.wait(seen).await;
        let Some(frame) = body.frame().await else { break };
        seen += events(frame.unwrap().data_ref().unwrap());
    }
    paused
}

/// How many events end in these bytes; one that is cut between its two newlines is missed.
fn events(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|two| two == b"\n\n").count()
}

// === what holds of every run ===

impl Run {
    fn of(&self, phase: SlotPhase) -> Duration {
        self.record.phases.unwrap().of(phase)
    }

    /// The identities, and each phase of the ledger within what the probes make of it.
    fn check(&self) {
        assert_eq!(self.record.outcome, Outcome::Completed);
        let (phases, totals) = (self.record.phases.unwrap(), &self.reading.totals);
        assert_eq!(Some(phases.total()), self.record.timeline.t_in_flight());
        assert_eq!(phases.total(), totals.busy_slot_time());
        assert_eq!(totals.unattributed_slot_time(), Duration::ZERO);
        for (phase, (least, most)) in zip(SlotPhase::ALL, self.bounds) {
            let (time, name) = (phases.of(phase), phase.as_str());
            assert_eq!(totals.slot_time_of(phase), time, "{name} in the pool");
            assert!(least <= time && time <= most, "{name}: {time:?} is not in {least:?}..={most:?}");
            let (off, apart) = (time - least, most - least);
            println!("    {name:8} {time:>11.3?}, off {off:>9.3?}, the probes apart {apart:>9.3?}");
        }
    }

    /// Whether the probes agree on every phase. They read the clock a few instructions apart, unless
    /// the thread lost the processor just there: what it then lost they cannot tell.
    fn is_sharp(&self) -> bool {
        self.bounds.iter().all(|(least, most)| agree(*least, *most))
    }

    /// From the first token to the last as they left the engine, and the part of it in which tokens
    /// were ready and found no room.
    fn engine_streamed(&self) -> (Duration, Duration) {
        let mut chunks: Vec<_> = zip(&self.truth.ready_at, &self.truth.tokens_at).collect();
        chunks.dedup();
        let stood = chunks[1..].iter().map(|(ready, left)| **left - **ready).sum();
        (*chunks[chunks.len() - 1].1 - *chunks[0].1, stood)
    }
}

/// Within 2 % or 5 ms, whichever is more.
fn agree(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= (one.max(other) / 50).max(millis(5))
}

/// Says how much of the time that was put in was found, in percent.
fn found(what: &str, found: Duration, put_in: Duration) {
    let share = 100.0 * found.as_secs_f64() / put_in.as_secs_f64();
    println!("{what}: {found:.3?} of {put_in:.3?}, {share:.2} %");
}

// === the proofs ===

/// The engine is silent for two seconds in the middle: that is `generate`, as long as the engine
/// itself took from its first token to its last, and no part of it is `stall`.
async fn a_slow_upstream(http: Http) {
    let asked = Asked { tokens: 16, pause: millis(2_000), ..Asked::default() };
    let run = run(Engine::builder(), asked, (http, http), FAST).await;
    let (streamed, _) = run.engine_streamed();
    let (generate, stall) = (run.of(SlotPhase::Generate), run.of(SlotPhase::Stall));
    found(&format!("slow upstream, {http:?}"), generate, streamed);
    assert!(streamed > asked.pause && agree(generate, streamed), "{generate:?} of {streamed:?}");
    assert!(stall < asked.pause / 50, "{stall:?}");
}

/// The client takes 1 KB a second for two seconds while the engine is fast: that is `stall`, and of
/// `generate` there is no more than the engine took to generate.
async fn a_slow_client(http: Http) {
    let asked = Asked { tokens: 24_000, ..Asked::default() };
    let run = run(fast_engine(), asked, (http, http), slow_from(0)).await;
    let (streamed, stood) = run.engine_streamed();
    let (generate, stall) = (run.of(SlotPhase::Generate), run.of(SlotPhase::Stall));
    found(&format!("slow client, {http:?}"), stall, run.paused);
    let generating = streamed - stood;
    println!("    generate {generate:.3?}, the engine {generating:.3?}");
    assert!(generate <= generating || agree(generate, generating), "{generate:?} of {generating:?}");
    // What the buffers hid is all that is missing.
    assert!(stall > run.paused / 2, "{stall:?} of {:?}", run.paused);
}

/// First the engine is silent for a second, then the client is slow for two: each is in its own
/// phase of the one stream.
async fn both_slow(upstream: Http, downstream: Http) {
    let asked = Asked { tokens: 24_000, pause: millis(1_000), ..Asked::default() };
    let run = run(fast_engine(), asked, (upstream, downstream), slow_from(75)).await;
    let (streamed, stood) = run.engine_streamed();
    let (generate, stall) = (run.of(SlotPhase::Generate), run.of(SlotPhase::Stall));
    found(&format!("both, {upstream:?} and {downstream:?}: the engine"), generate, streamed - stood);
    found("    the client", stall, run.paused);
    assert!(stall > run.paused / 2, "{stall:?} of {:?}", run.paused);
    // What the meter had yet to hand on as the engine fell silent is all that is missing.
    assert!(generate > asked.pause / 2, "{generate:?} of {:?}", asked.pause);
}

/// A second and a half before the headers is `dispatch`, and as much between them and the first
/// token `prefill`: as long as the engine itself took for them.
async fn a_slow_start(upstream: Http, downstream: Http) {
    let asked = Asked { tokens: 10, headers_delay: millis(1_500), ..Asked::default() };
    let engine = Engine::builder().prefill_per_token(millis(150));
    let run = run(engine, asked, (upstream, downstream), FAST).await;
    let headers_at = run.truth.headers_at.unwrap();
    let engine_dispatch = headers_at - run.truth.arrived_at;
    let engine_prefill = run.truth.tokens_at[0] - headers_at;
    let (dispatch, prefill) = (run.of(SlotPhase::Dispatch), run.of(SlotPhase::Prefill));
    found(&format!("slow start, {upstream:?} and {downstream:?}: headers"), dispatch, engine_dispatch);
    found("    prefill", prefill, engine_prefill);
    // It can only be longer: the meter's request went out before and its response came in after.
    assert!(dispatch >= engine_dispatch && engine_dispatch >= asked.headers_delay);
    assert!(agree(dispatch, engine_dispatch), "{dispatch:?} of {engine_dispatch:?}");
    assert!(agree(prefill, engine_prefill), "{prefill:?} of {engine_prefill:?}");
    assert!(run.of(SlotPhase::Stall) < asked.headers_delay / 50);
}

/// A kilobyte every two milliseconds. In few frames, since each costs the probes some precision.
fn fast_engine() -> Builder {
    Engine::builder().token_interval(Duration::from_micros(10)).tokens_per_chunk(200)
}

/// A pause upstream is `generate` over HTTP/1.1.
#[tokio::test]
async fn a_slow_upstream_over_http1() {
    a_slow_upstream(One).await;
}

/// A pause upstream is `generate` over HTTP/2.
#[tokio::test]
async fn a_slow_upstream_over_http2() {
    a_slow_upstream(Two).await;
}

/// A client that does not empty its socket is `stall`.
#[tokio::test]
async fn a_slow_client_over_http1() {
    a_slow_client(One).await;
}

/// A client that does not open its window is `stall`.
#[tokio::test]
async fn a_slow_client_over_http2() {
    a_slow_client(Two).await;
}

/// Both in one stream, from HTTP/2 to HTTP/1.1.
#[tokio::test]
async fn they_never_mix_from_http2_to_http1() {
    both_slow(Two, One).await;
}

/// Both in one stream, from HTTP/1.1 to HTTP/2.
#[tokio::test]
async fn they_never_mix_from_http1_to_http2() {
    both_slow(One, Two).await;
}

/// `dispatch` and `prefill`, from HTTP/2 to HTTP/1.1.
#[tokio::test]
async fn a_slow_start_from_http2_to_http1() {
    a_slow_start(Two, One).await;
}

/// `dispatch` and `prefill`, from HTTP/1.1 to HTTP/2.
#[tokio::test]
async fn a_slow_start_from_http1_to_http2() {
    a_slow_start(One, Two).await;
}
