//! The admin side of `tps proxy`: who may change what, what a browser may do, and
//! what is told to those who look.
#![cfg(feature = "cli")]

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HOST};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

#[path = "support/tps.rs"]
mod support;

use self::support::{Proxy, run, tps};

const STREAM: &str = r#"{"messages":[{"content":"rosebud"}],"user":"alice","stream":true,"max_tokens":8}"#;

fn file(name: &str, text: &str) -> PathBuf {
    let path = support::file(name);
    std::fs::write(&path, text).unwrap();
    path
}

impl Proxy {
    fn at(&self, method: Method, path: &str) -> RequestBuilder {
        Client::new().request(method, format!("{}{path}", self.admin))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.at(Method::GET, path)
    }

    fn put(&self, body: &'static str) -> RequestBuilder {
        self.at(Method::PUT, "/cap").body(body)
    }

    /// A stream with a key.
    fn stream(&self) -> RequestBuilder {
        self.post(STREAM).header(AUTHORIZATION, "Bearer sk-sesame")
    }

    /// One that has had half of its tokens, and gets no more.
    async fn stalled(&self) -> Response {
        let mut response = self.stream().header("x-sim-fault", "stall").send().await.unwrap();
        let mut text = String::new();
        // The role, and half of the tokens.
        while text.matches("\"content\":").count() < 5 {
            text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
        response
    }

    async fn reaches(&self, name: &str, value: u64) {
        while self.status().await[name] != value {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn text(request: RequestBuilder) -> String {
    request.send().await.unwrap().text().await.unwrap()
}

async fn code(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// The next state of a stream of events; none once it has ended, or is cut off with the process.
async fn event(events: &mut Response) -> Option<Value> {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&events.chunk().await.ok()??).unwrap());
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    Some(serde_json::from_str(data).unwrap())
}

/// An address that others reach needs a token, and a token file must hold one:
/// else nothing starts, and one line says how to mend it.
#[test]
fn no_open_address_without_a_token() {
    let (empty, blank) = (file("empty.token", "\n"), file("blank.token", "two words\n"));
    let long = file("long.token", &"x".repeat(5_000));
    for (args, thing, mend) in [
        ("--admin 0.0.0.0:0".to_owned(), "--admin 0.0.0.0:", "--admin-token-file FILE"),
        ("--admin [::]:0".to_owned(), "--admin [::]:", "--admin-token-file FILE"),
        ("--admin-token-file /nowhere/token".to_owned(), "/nowhere/token: No such file", "openssl rand"),
        (format!("--admin-token-file {}", empty.display()), "it is empty", "openssl rand"),
        (format!("--admin-token-file {}", blank.display()), "visible ASCII", "openssl rand"),
        (format!("--admin-token-file {}", long.display()), "too long", "openssl rand"),
    ] {
        let admin = if args.contains("--admin ") { "" } else { "--admin 127.0.0.1:0" };
        let output = run(&format!("proxy --upstream sim --cap 2 --listen 127.0.0.1:0 {admin} {args}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{args}: {said}");
        assert!(said.contains(thing) && said.contains(mend), "{args}: {said}");
    }
}

/// With a token set, the cap changes for who bears it and for nobody else, and
/// reading stays open. A line's end in the file is no part of it.
#[tokio::test]
async fn changes_need_the_token() {
    let token = file("set.token", "s3same\r\n");
    let proxy = Proxy::of(&mut tps(&format!(
        "proxy --upstream sim --cap 2 --listen 127.0.0.1:0 --admin 0.0.0.0:0 --admin-token-file {}",
        token.display()
    )));
    let put = || proxy.put("{\"cap\": 9}");
    let bare = put().send().await.unwrap();
    assert_eq!(bare.status().as_u16(), 401);
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"tps\"");
    for wrong in ["Bearer s3sam", "Bearer s3same1", "Bearer ", "Basic s3same", "s3same", "Bearer s3same\r"] {
        let Ok(wrong) = reqwest::header::HeaderValue::from_bytes(wrong.as_bytes()) else { continue };
        let refused = put().header(AUTHORIZATION, &wrong).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 401, "{wrong:?}");
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        let said = refused.text().await.unwrap();
        assert!(!said.contains("s3same"), "{said}");
    }
    assert_eq!(proxy.status().await["cap"], 2);
    for path in ["/", "/status", "/metrics", "/healthz", "/readyz"] {
        assert_eq!(code(proxy.get(path)).await, 200, "{path}");
    }
    assert_eq!(code(put().header(AUTHORIZATION, "bearer s3same")).await, 200);
    assert_eq!(proxy.status().await["cap"], 9);
    // A name that is not loopback's is the operator's to give here.
    assert_eq!(code(proxy.get("/status").header(HOST, "tps.internal")).await, 200);
}

/// A page of another site can neither change the cap nor take up a place among
/// those who listen, whatever its browser tells of it.
#[tokio::test]
async fn no_other_site_gets_in() {
    let proxy = Proxy::start("sim", "--cap 2");
    let own = proxy.admin.clone();
    for (name, value, expected) in [
        ("origin", "http://evil.example", 403),
        ("origin", "http://127.0.0.1:1", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("origin", &own, 200),
        ("user-agent", "curl", 200),
    ] {
        assert_eq!(code(proxy.put("{\"cap\": 5}").header(name, value)).await, expected, "{name}: {value}");
        assert_eq!(code(proxy.get("/events").header(name, value)).await, expected, "{name}: {value}");
        assert_eq!(code(proxy.get("/status").header(name, value)).await, 200, "{name}: {value}");
    }
    let asks_before = proxy.at(Method::OPTIONS, "/cap").header("origin", "http://evil.example");
    let answer = asks_before.header("access-control-request-method", "PUT").send().await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

/// A name that someone points at this machine does not reach the admin side on
/// loopback, neither to read nor to change.
#[tokio::test]
async fn no_name_of_anothers_gets_in() {
    let proxy = Proxy::start("sim", "--cap 2");
    for (host, expected) in [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:9090", 421),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:9090", 200),
        ("[::1]:9090", 200),
    ] {
        assert_eq!(code(proxy.get("/status").header(HOST, host)).await, expected, "{host}");
        assert_eq!(code(proxy.put("{\"cap\": 3}").header(HOST, host)).await, expected, "{host}");
    }
}

/// Whatever is answered, a browser may not keep it, guess its type, or show it in
/// a frame; and the page may run nothing and ask nothing but its own.
#[tokio::test]
async fn what_a_browser_may_do() {
    let proxy = Proxy::start("sim", "--cap 2");
    let asked = [
        (proxy.get("/"), 200),
        (proxy.get("/status"), 200),
        (proxy.get("/metrics"), 200),
        (proxy.get("/events"), 200),
        (proxy.get("/nothing"), 404),
        (proxy.put("x"), 400),
        (proxy.at(Method::DELETE, "/cap"), 405),
        (proxy.get("/status").header(HOST, "evil.example"), 421),
    ];
    for (request, expected) in asked {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected);
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert_eq!(answer.headers().get_all("cache-control").iter().count(), 1);
        assert_eq!(
            [header("cache-control"), header("x-content-type-options"), header("x-frame-options")],
            ["no-store", "nosniff", "DENY"],
            "{}",
            answer.url()
        );
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

/// Looking writes nothing into the run log, and yet what is scraped is of now.
#[tokio::test]
async fn looking_leaves_the_log_alone() {
    let log = file("looking.jsonl", "");
    let mut proxy = Proxy::start("sim", &format!("--cap 2 --sample-interval 1h --log {}", log.display()));
    let held = proxy.stalled().await;
    let mut events = proxy.get("/events").send().await.unwrap();
    event(&mut events).await.unwrap();
    for _ in 0..5 {
        let (status, metrics) = (proxy.status().await, text(proxy.get("/metrics")).await);
        assert_eq!(status["in_flight"], 1);
        assert!(metrics.contains("tps_in_flight{pool=\"proxy\"} 1\n"), "{metrics}");
    }
    drop(held);
    proxy.reaches("in_flight", 0).await;
    assert_eq!(proxy.terminate().code(), Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    // The one that the cadence begins with.
    assert_eq!(text.matches("\"type\":\"sample\"").count(), 1, "{text}");
}

/// The state is there at once and again, is that of `/status`, and the stream
/// ends with the proxy, which it does not hold up.
#[tokio::test]
async fn events_tell_the_status() {
    let mut proxy = Proxy::start("sim", "--cap 1");
    let held = proxy.stalled().await;
    let waiting = tokio::spawn(proxy.stream().send());
    proxy.reaches("queue_depth", 1).await;
    let mut events = proxy.get("/events").send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let (first, second) = (event(&mut events).await.unwrap(), event(&mut events).await.unwrap());
    let status = proxy.status().await;
    assert_eq!(first["instance"], second["instance"]);
    for state in [&first, &second] {
        assert_eq!((&state["ready"], &state["needs_token"]), (&true.into(), &false.into()));
        let [pool] = &state["pools"].as_array().unwrap()[..] else { panic!("one pool: {state}") };
        for name in ["pool", "cap", "in_flight", "queue_depth", "requests", "completed", "emitted_tokens"] {
            assert_eq!(pool[name], status[name], "{name}");
        }
        let told = pool.as_object().unwrap().keys().filter(|key| *key != "history");
        assert_eq!(told.collect::<Vec<_>>(), status.as_object().unwrap().keys().collect::<Vec<_>>());
        let listed = &pool["under_way"];
        assert_eq!(listed["in_flight"][0]["arrival"], 1);
        assert_eq!(listed["in_flight"][0]["tokens"], pool["emitted_tokens"]);
        assert_eq!(listed["queued"][0]["arrival"], 2);
    }
    // What was before comes once.
    let pasts = [&first, &second].map(|state| state["pools"][0]["history"].as_array());
    let [Some(past), None] = pasts else { panic!("{pasts:?}") };
    let times: Vec<_> = past.iter().map(|past| past["window_time"].as_f64().unwrap()).collect();
    assert!(!times.is_empty() && times.is_sorted(), "{times:?}");

    let ended = tokio::task::spawn_blocking(move || proxy.terminate());
    let mut last = second;
    // Those that drain are shown as long as it drains.
    while let Some(state) = event(&mut events).await {
        last = state;
        if last["ready"] == false {
            waiting.abort();
            break;
        }
    }
    assert_eq!(last["ready"], false);
    drop(held);
    while event(&mut events).await.is_some() {}
    assert_eq!(ended.await.unwrap().code(), Some(0));
}

/// As many listen as may, and one more when one has gone.
#[tokio::test]
async fn listeners_are_bounded() {
    let proxy = Proxy::start("sim", "--cap 1");
    let mut listening = Vec::new();
    for _ in 0..32 {
        let mut events = proxy.get("/events").send().await.unwrap();
        assert!(event(&mut events).await.is_some());
        listening.push(events);
    }
    let refused = proxy.get("/events").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    listening.pop();
    while code(proxy.get("/events")).await != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(event(&mut listening[0]).await.is_some());
}

/// What recent requests were like is in the status: how many had a first token,
/// how they ended, and what came of the last minute.
#[tokio::test]
async fn recent_requests() {
    let proxy = Proxy::start("sim", "--cap 4");
    let none = proxy.status().await;
    assert_eq!(none["recent"]["first_tokens"]["ttft"], Value::Null);
    assert_eq!(none["recent"]["ended"]["success_rate"], Value::Null);
    for _ in 0..3 {
        assert!(text(proxy.stream()).await.ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(code(proxy.stream().header("x-sim-fault", "status=500")).await, 500);
    drop(proxy.stalled().await);
    proxy.reaches("in_flight", 0).await;
    let status = proxy.status().await;
    let (first, ended) = (&status["recent"]["first_tokens"], &status["recent"]["ended"]);
    // The one that was hung up on has had its first token too.
    assert_eq!((&first["ttft"]["count"], &first["window_time"]), (&4.into(), &status["window_time"]));
    assert_eq!(ended["outcomes"], serde_json::json!({"completed": 3, "failed": 1, "cancelled": 1}));
    assert_eq!((&ended["success_rate"], &ended["stream_tps"]["count"]), (&0.75.into(), &3.into()));
    let minute = &status["last_minute"];
    let number = |value: &Value| value.as_f64().unwrap();
    let tokens = number(&minute["system_tps"]) * number(&minute["window_time"]);
    assert!((tokens - number(&status["output_tokens"])).abs() < 1e-6, "{status:#}");
    let slots = number(&minute["cap_slot_time"]) / number(&minute["window_time"]);
    assert!((slots - 4.0).abs() < 1e-6, "{status:#}");
}

/// Nothing of what is asked, by whom, or with which key, is to be seen anywhere.
#[tokio::test]
async fn nothing_of_a_request_is_told() {
    let token = file("quiet.token", "s3same-quiet");
    let mut proxy = Proxy::start("sim", &format!("--cap 1 --admin-token-file {}", token.display()));
    assert!(text(proxy.stream().header("x-request-id", "rosebud-id")).await.contains("[DONE]"));
    let held = proxy.stalled().await;
    let waiting = tokio::spawn(proxy.stream().send());
    proxy.reaches("queue_depth", 1).await;
    let mut all = String::new();
    let mut events = proxy.get("/events").send().await.unwrap();
    all.push_str(&event(&mut events).await.unwrap().to_string());
    for path in ["/", "/status", "/metrics"] {
        all.push_str(&text(proxy.get(path)).await);
    }
    all.push_str(
        &text(proxy.put("{\"cap\": \"rosebud\"}").header(AUTHORIZATION, "Bearer wrong-token")).await,
    );
    drop((held, events));
    waiting.abort();
    assert_eq!(proxy.terminate().code(), Some(0));
    all.push_str(&proxy.said());
    assert!(all.contains("\"queue_depth\":1"), "{all}");
    for secret in ["rosebud", "alice", "sesame", "s3same", "wrong-token"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

/// Several pools are told of side by side, the cap is that of the pool that is
/// named, and a reload reads the token anew.
#[tokio::test]
async fn several_pools_and_a_reload() {
    let token = file("several.token", "first");
    let config = file(
        "several.toml",
        &format!(
            "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nadmin_token_file = {token:?}\n\
             [[pool]]\nname = \"small\"\nupstream = \"sim\"\ncap = 2\nmatch = [{{ path = \"/v1/completions\" }}]\n\
             [[pool]]\nname = \"large\"\nupstream = \"sim\"\ncap = 4\n"
        ),
    );
    let proxy = Proxy::of(&mut tps(&format!("proxy --config {}", config.display())));
    let put = |bears: &str| proxy.put("{\"cap\": 9, \"pool\": \"large\"}").header(AUTHORIZATION, bears);
    assert_eq!(code(put("Bearer first")).await, 200);
    let unnamed = proxy.put("{\"cap\": 9}").header(AUTHORIZATION, "Bearer first").send().await.unwrap();
    assert_eq!(unnamed.status().as_u16(), 400);
    let said = unnamed.text().await.unwrap();
    assert!(said.contains("\"small\"") && said.contains("\"large\""), "{said}");
    let caps = |state: &Value| -> Vec<_> {
        let pools = state["pools"].as_array().unwrap().iter();
        pools.map(|pool| (pool["pool"].clone(), pool["cap"].clone())).collect()
    };
    let expected = [("small".into(), 2.into()), ("large".into(), 9.into())];
    assert_eq!(caps(&proxy.status().await), expected);
    let mut events = proxy.get("/events").send().await.unwrap();
    assert_eq!(caps(&event(&mut events).await.unwrap()), expected);

    std::fs::write(&token, "second").unwrap();
    proxy.signal("-HUP");
    proxy.says("reloaded").await;
    assert_eq!(code(put("Bearer first")).await, 401);
    assert_eq!(code(put("Bearer second")).await, 200);
    // A file that has become unusable leaves all as it is.
    std::fs::write(&token, "").unwrap();
    proxy.signal("-HUP");
    proxy.says("it goes on as it was").await;
    assert_eq!(code(put("Bearer second")).await, 200);
}
