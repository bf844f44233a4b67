//! `tps proxy` between a client and an upstream: what passes, what is set, what is
//! limited, and how it is configured.
#![cfg(feature = "cli")]

#[path = "support/tps.rs"]
mod tps;
#[path = "support/upstream.rs"]
mod upstream;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::tps::{Proxy, file, lines, run, tps};
use self::upstream::{TOKEN, Upstream};

/// Starts a proxy by a file, whose addresses it adds.
fn configured(name: &str, config: &str) -> (Proxy, std::path::PathBuf) {
    let path = file(name);
    write(&path, config);
    (Proxy::of(tps("proxy --config").arg(&path).env("TPS_TEST_KEY", "secret-of-the-key")), path)
}

fn write(path: &std::path::Path, config: &str) {
    let addresses = "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    std::fs::write(path, format!("{addresses}{config}")).unwrap();
}

async fn post(proxy: &Proxy, path: &str, body: &'static str) -> reqwest::Response {
    reqwest::Client::new().post(format!("{}{path}", proxy.clients)).body(body).send().await.unwrap()
}

/// Each limit that is reached ends the request at once, by a name of its own: as a
/// 504 while nothing has been sent, else by breaking off. Pings are no tokens.
#[tokio::test]
async fn limits_have_names() {
    let upstream = Upstream::start().await;
    for (flag, path, answered) in [
        ("first-byte", "/silent", Some(504)),
        ("request", "/silent", Some(504)),
        ("first-byte", "/headers", None),
        ("token", "/pings", None),
        ("request", "/tokens", None),
    ] {
        let log = file(&format!("limit-{flag}-{}.jsonl", &path[1..]));
        let flags = format!("--cap 1 --{flag}-timeout 200ms --log {}", log.display());
        let mut proxy = Proxy::start(&upstream.url(), &flags);
        let response = post(&proxy, path, "{}").await;
        let error = format!("{}_timeout", flag.replace('-', "_"));
        match answered {
            Some(status) => {
                assert_eq!(response.status(), status, "{flag} {path}");
                assert!(response.text().await.unwrap().contains(&error), "{flag} {path}");
            }
            None => {
                assert_eq!(response.status(), 200, "{flag} {path}");
                assert!(response.text().await.is_err(), "{flag} {path}: it breaks off");
            }
        }
        assert_eq!(proxy.terminate().code(), Some(0));
        let records = lines(&log, "request");
        assert_eq!(records.len(), 1);
        let outcome = (&records[0]["outcome"], &records[0]["error_type"]);
        assert_eq!(outcome, (&"failed".into(), &error.into()), "{flag} {path}");
    }
}

/// Tokens that come keep the limit between tokens away, however long the stream.
#[tokio::test]
async fn tokens_keep_the_limit_away() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(&upstream.url(), "--cap 1 --token-timeout 300ms");
    let mut response = post(&proxy, "/tokens", "{}").await;
    let mut bytes = 0;
    while bytes < 40 * TOKEN.len() {
        bytes += response.chunk().await.expect("it goes on").expect("it does not end").len();
    }
}

/// An upstream that takes no connection in time is a 504 `connect_timeout`.
#[tokio::test]
async fn connecting_has_a_limit() {
    // Accepts TCP and never answers the TLS handshake.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("https://{}", listener.local_addr().unwrap());
    let log = file("limit-connect.jsonl");
    let mut proxy =
        Proxy::start(&upstream, &format!("--cap 1 --connect-timeout 200ms --log {}", log.display()));
    let response = post(&proxy, "/v1/chat/completions", "{}").await;
    assert_eq!(response.status(), 504);
    assert!(response.text().await.unwrap().contains("\"code\":\"connect_timeout\""));
    assert_eq!(proxy.terminate().code(), Some(0));
    assert_eq!(lines(&log, "request")[0]["error_type"], "connect_timeout");
}

/// What concerns one connection stays on it; who asked, and by which way, goes along.
#[tokio::test]
async fn headers_are_those_of_the_next_hop() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(&upstream.url(), "--cap 1");
    let request = reqwest::Client::new().post(format!("{}/v1/chat/completions", proxy.clients)).body("{}");
    let response = request
        .header("connection", "x-secret-hop")
        .header("x-secret-hop", "1")
        .header("te", "trailers")
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-request-id", "mine")
        .header("authorization", "Bearer mine")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let response = response.send().await.unwrap();
    assert_eq!(response.headers()["via"], "1.1 tps");
    assert!(!response.headers().contains_key("x-hop"), "{:?}", response.headers());
    let head = upstream.heads().remove(0);
    for gone in ["x-secret-hop", "\r\nte:"] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
    let host = proxy.address();
    for there in [
        "x-forwarded-for: 192.0.2.7, 127.0.0.1".to_owned(),
        "x-forwarded-proto: http".to_owned(),
        format!("x-forwarded-host: {host}"),
        format!("forwarded: for=127.0.0.1;host=\"{host}\";proto=http"),
        "via: 1.1 tps".to_owned(),
        "x-request-id: mine".to_owned(),
        "authorization: bearer mine".to_owned(),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        format!("host: {}", upstream.address),
    ] {
        assert!(head.contains(&format!("\r\n{there}")), "{there}: {head}");
    }
}

/// A request without an id and a trace is given both, and its record has the same.
#[tokio::test]
async fn an_id_and_a_trace_are_made_where_there_is_none() {
    let upstream = Upstream::start().await;
    let log = file("origin.jsonl");
    let mut proxy = Proxy::start(&upstream.url(), &format!("--cap 1 --log {}", log.display()));
    post(&proxy, "/v1/chat/completions", "{}").await.text().await.unwrap();
    assert_eq!(proxy.terminate().code(), Some(0));
    let (head, record) = (upstream.heads().remove(0), lines(&log, "request").remove(0));
    let id = record["request_id"].as_str().unwrap();
    let trace = record["trace_id"].as_str().unwrap();
    assert!(head.contains(&format!("\r\nx-request-id: {id}\r\n")), "{head}");
    assert!(head.contains(&format!("\r\ntraceparent: 00-{trace}-")), "{head}");
}

/// A connection that changes its protocol passes both ways, and holds no slot.
#[tokio::test]
async fn upgrades_pass() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(&upstream.url(), "--cap 1");
    let mut stream = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
    let request = "GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    stream.write_all(b"there and back").await.unwrap();
    let mut back = [0; 14];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"there and back");
    assert_eq!(proxy.status().await["requests"], 0);
}

/// A body beyond the limit is a 413, whether it is announced or not, and the
/// connection to the upstream is not kept waiting for it.
#[tokio::test]
async fn a_large_request_is_refused() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(&upstream.url(), "--cap 1 --max-request 2MiB");
    let client = reqwest::Client::new();
    let url = format!("{}/v1/chat/completions", proxy.clients);
    let large = vec![b' '; 3 * 1024 * 1024];
    let chunks: Vec<Result<_, std::io::Error>> =
        large.chunks(65_536).map(|chunk| Ok(chunk.to_vec())).collect();
    let unannounced = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    for body in [reqwest::Body::from(large), unannounced] {
        // The answer may come while the body is still being sent.
        if let Ok(response) = client.post(&url).body(body).send().await {
            assert_eq!(response.status(), 413);
            assert!(response.text().await.unwrap().contains("request_too_large"));
        }
    }
    assert_eq!(client.post(&url).body(vec![b' '; 1_900_000]).send().await.unwrap().status(), 200);
    assert_eq!(proxy.status().await["in_flight"], 0);
}

const TWO_POOLS: &str = r#"
[[pool]]
name = "llama"
upstream = "URL"
cap = 2
[[pool.match]]
path = "/v1/*"
model = "llama-*"

[[pool]]
name = "hosted"
upstream = "URL/hosted"
cap = 3
[pool.headers]
authorization = { env = "TPS_TEST_KEY", prefix = "Bearer " }
[[pool.match]]
headers = { x-tier = "gold" }
[[pool.match]]
model = "gpt-*"
[[pool.match]]
path = "/v1/files*"
measured = false
"#;

/// A prompt longer than what is read beforehand, with its model at the end.
fn long_prompt() -> &'static str {
    let prompt = "a ".repeat(1024 * 1024);
    Box::leak(
        format!("{{\"messages\": [{{\"content\": \"{prompt}\"}}], \"model\": \"llama-3\"}}").into_boxed_str(),
    )
}

/// Requests go to the first pool that a rule sends them to, by model, header or
/// path; what none is for is a 404.
#[tokio::test]
async fn rules_send_requests_to_pools() {
    let upstream = Upstream::start().await;
    let (proxy, _) = configured("rules.toml", &TWO_POOLS.replace("URL", &upstream.url()));
    let client = reqwest::Client::new();
    for (path, tier, body, to) in [
        ("/v1/chat/completions", "", r#"{"stream": true, "model": "llama-3"}"#, Some("/v1/chat/completions")),
        ("/v1/chat/completions", "", r#"{"model": "gpt-5"}"#, Some("/hosted/v1/chat/completions")),
        ("/v1/chat/completions", "", long_prompt(), Some("/v1/chat/completions")),
        ("/other", "gold", r#"{"model": "llama-3"}"#, Some("/hosted/other")),
        ("/v1/files/1", "", "{}", Some("/hosted/v1/files/1")),
        ("/v1/chat/completions", "", r#"{"model": "mistral"}"#, None),
        ("/v1/chat/completions", "", "no json", None),
    ] {
        let before = upstream.heads().len();
        let request = client.post(format!("{}{path}", proxy.clients)).header("x-tier", tier).body(body);
        let response = request.send().await.unwrap();
        match to {
            Some(to) => {
                assert_eq!(response.status(), 200, "{path} {body}");
                let head = upstream.heads().pop().unwrap();
                assert!(head.starts_with(&format!("post {to} ")), "{path} {body}: {head}");
                let has_key = head.contains("authorization: bearer secret-of-the-key");
                assert_eq!(has_key, to.starts_with("/hosted"), "{head}");
            }
            None => {
                assert_eq!(response.status(), 404, "{path} {body}");
                assert!(response.text().await.unwrap().contains("no_pool"));
                assert_eq!(upstream.heads().len(), before);
            }
        }
    }
    let status = proxy.status().await;
    let of = |pool: usize, key: &str| status["pools"][pool][key].clone();
    assert_eq!((of(0, "pool"), of(0, "cap"), of(0, "requests")), ("llama".into(), 2.into(), 2.into()));
    // What is not measured passes.
    assert_eq!((of(1, "pool"), of(1, "cap"), of(1, "requests")), ("hosted".into(), 3.into(), 2.into()));
}

/// SIGHUP changes caps, adds a pool and takes one away, while a stream goes on; a
/// file that is wrong, or wants what cannot change, changes nothing.
#[tokio::test]
async fn a_reload_cuts_no_stream() {
    let upstream = Upstream::start().await;
    let (proxy, path) = configured("reload.toml", &TWO_POOLS.replace("URL", &upstream.url()));
    let gold = reqwest::Client::new().post(format!("{}/tokens", proxy.clients)).body("{}");
    let mut stream = gold.header("x-tier", "gold").send().await.unwrap();
    // `/hosted/tokens` is no path of the upstream's: it answers at once.
    assert_eq!(stream.status(), 200);
    let llama = r#"{"model": "llama-3"}"#;
    let base = format!("[[pool]]\nname = \"llama\"\nupstream = \"{}\"\n", upstream.url());
    write(&path, &format!("{base}cap = 7"));
    proxy.signal("-HUP");
    proxy.says("tps: reloaded").await;
    assert_eq!(proxy.status().await["cap"], 7);
    let mut tokens = post(&proxy, "/tokens", llama).await;
    assert!(tokens.chunk().await.unwrap().is_some());

    write(&path, &format!("{base}cap = 0"));
    proxy.signal("-HUP");
    proxy.says("cap: 0 is no cap").await;
    write(&path, &format!("{base}cap = 8\nmax_queue = 1"));
    proxy.signal("-HUP");
    proxy.says("max_queue: it cannot change while tps runs: restart it; it goes on as it was").await;
    assert_eq!(proxy.status().await["cap"], 7);

    write(&path, &format!("[[pool]]\nname = \"new\"\nupstream = \"{}\"\ncap = 1\n", upstream.url()));
    proxy.signal("-HUP");
    while proxy.status().await["pool"] != "new" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(tokens.chunk().await.unwrap().is_some(), "its pool is gone, and it goes on");
    assert!(stream.chunk().await.unwrap().is_some());
}

/// The README's configuration is one that starts, and sends requests as it says.
#[tokio::test]
async fn the_readmes_configuration_starts() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let config = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let upstream = Upstream::start().await;
    let log = file("readme.jsonl");
    let config = config
        .replace("0.0.0.0:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9090", "127.0.0.1:0")
        .replace("run.jsonl", log.to_str().unwrap())
        .replace("http://127.0.0.1:8000", &upstream.url())
        .replace("https://api.example.com", &upstream.url());
    let path = file("readme.toml");
    std::fs::write(&path, config).unwrap();
    let mut proxy = Proxy::of(tps("proxy --config").arg(&path).env("EXAMPLE_API_KEY", "of-the-readme"));
    for body in [r#"{"model": "llama-3"}"#, r#"{"model": "other"}"#] {
        assert_eq!(post(&proxy, "/v1/chat/completions", body).await.status(), 200);
    }
    assert!(upstream.heads()[1].contains("authorization: bearer of-the-readme"));
    let status = proxy.status().await;
    assert_eq!((&status["pools"][0]["requests"], &status["pools"][1]["requests"]), (&1.into(), &1.into()));
    assert_eq!(proxy.terminate().code(), Some(0));
    assert!(!std::fs::read_to_string(&log).unwrap().contains("of-the-readme"), "no key is in the log");
}

/// What is wrong with a file is said with its line, its key and the mend.
#[test]
fn a_bad_file_is_answered_with_line_key_and_mend() {
    let path = file("bad.toml");
    let pool = "[[pool]]\nname = \"a\"\nupstream = \"sim\"\ncap = 1\n";
    for (config, line, key, mend) in [
        ("[[pool]]\nname = \"a\"\nupstream = \"sim\"\ncap = 0".to_owned(), 4, "cap", "give a number in 1.."),
        (
            "[[pool]]\nname = \"a\"\nupstream = \"x\"\ncap = 1".to_owned(),
            3,
            "upstream",
            "give http://HOST:PORT",
        ),
        (format!("{pool}queue_timeout = 3"), 5, "queue_timeout", "give a time such as"),
        (format!("{pool}quue_timeout = \"3s\""), 5, "quue_timeout", "expected one of"),
        (format!("{pool}tokenizer = [\"o2k\"]"), 5, "tokenizer", "give usage, events, o200k"),
        (format!("{pool}[pool.headers]\na = {{ env = \"NO_SUCH_NAME\" }}"), 6, "a", "set it before"),
        (format!("{pool}[pool.headers]\na = {{ }}"), 6, "a", "give one of { env = … }"),
        (format!("{pool}[pool.headers]\na = \"Bearer sk-secret\""), 6, "a", "give one of { env = … }"),
        (format!("{pool}headers = \"a: Bearer sk-secret\""), 2, "headers", "give [pool.headers]"),
        (format!("{pool}[pool.headers]\nhost = {{ value = \"a\" }}"), 6, "host", "leave it out"),
        (
            format!("{pool}[pool.headers]\nA = {{ value = \"a\" }}\na = {{ value = \"a\" }}"),
            7,
            "a",
            "leave one out",
        ),
        (format!("{pool}[pool.headers]\na = {{ env = \"TPS_EMPTY\" }}"), 6, "a", "fill the variable"),
        (format!("{pool}[[pool.match]]\npath = \"v1/*\""), 2, "match", "begin it with / or *"),
        (format!("{pool}queue_timeout = \"9000y\""), 5, "queue_timeout", "give a time such as"),
        (format!("{pool}{pool}"), 6, "pool a", "give each its own"),
        (format!("{pool}{}", pool.replace("\"a\"", "\"b\"")), 6, "pool b", "put it last"),
        (format!("{pool}ca = \"/nowhere.pem\""), 2, "ca", "give a file of certificates in PEM"),
        ("listen = \"x\"".to_owned(), 1, "listen", "write it as the README has it"),
        ("[[pool".to_owned(), 1, "pool", "write it as the README has it"),
    ] {
        std::fs::write(&path, format!("admin = \"127.0.0.1:0\" # {}\n{config}", path.display())).unwrap();
        let output = tps("proxy --config").arg(&path).env("TPS_EMPTY", "").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{config}: {said}");
        let begins = format!("tps: {}:{}: {key}", path.display(), line + 1);
        assert!(said.starts_with(&begins) && said.contains(mend), "{config}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("secret"), "no key is said: {said}");
    }
    let said = String::from_utf8(run("proxy --config x.toml --cap 3").stderr).unwrap();
    assert!(said.contains("--config") && said.contains("--cap"), "{said}");
}

/// Whose requests go in first: a class by its header or key before another, and the
/// tenants of one class in turn.
#[tokio::test]
async fn classes_and_tenants_go_in_by_their_order() {
    let upstream = Upstream::start().await;
    let keys = file("classes.keys");
    std::fs::write(&keys, "sk-gold\n\nsk-silver\n").unwrap();
    let config = format!(
        "[[pool]]\nname = \"a\"\nupstream = \"{}\"\ncap = 1\ntenant = \"authorization\"\n\
         [[pool.class]]\nheaders = {{ x-priority = \"high*\" }}\n\
         [[pool.class]]\nkeys = \"{}\"\n[[pool.class]]\n",
        upstream.url(),
        keys.display()
    );
    let (proxy, _) = configured("classes.toml", &config);
    let mut holder = post(&proxy, "/tokens", "{}").await;
    holder.chunk().await.unwrap().unwrap();
    let client = reqwest::Client::new();
    let mut sent = Vec::new();
    for (index, (key, priority)) in [
        ("Bearer one", "low"),
        ("Bearer one", "low"),
        ("Bearer two", "low"),
        ("Bearer sk-gold", ""),
        ("Bearer one", "highest"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = client.post(format!("{}/{index}", proxy.clients)).body("{}");
        sent.push(tokio::spawn(request.header("authorization", key).header("x-priority", priority).send()));
        while proxy.status().await["queue_depth"] != index + 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    drop(holder);
    for response in sent {
        assert_eq!(response.await.unwrap().unwrap().text().await.unwrap(), "ok");
    }
    let order: Vec<_> = upstream.heads()[1..].iter().map(|head| head.as_bytes()[6] - b'0').collect();
    assert_eq!(order, [4, 3, 0, 2, 1]);
}

/// With `--absorb` a client that reads nothing holds no slot once the upstream is
/// done, and the record has both clocks.
#[tokio::test]
async fn a_slow_client_holds_no_slot_where_it_is_read_ahead_of() {
    let log = file("absorb.jsonl");
    let upstream = Upstream::start().await;
    let flags = format!("--cap 1 --absorb 1GiB --log {}", log.display());
    let mut proxy = Proxy::start(&upstream.url(), &flags);
    let mut slow = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
    slow.write_all(b"POST /large HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    slow.readable().await.unwrap();
    // Far more than sockets hold is under way, and nobody reads it.
    while proxy.status().await["in_flight"] != 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(lines(&log, "request").is_empty(), "it has not ended: its client has yet to take it");
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n0\r\n\r\n") {
        assert!(slow.read_buf(&mut read).await.unwrap() > 0);
    }
    assert_eq!(proxy.terminate().code(), Some(0));
    let record = lines(&log, "request").remove(0);
    assert_eq!(record["outcome"], "completed");
    let at = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("{name}: {record}")).to_owned();
    assert!(at("released_at") < at("handed_over_at"));
    assert!(at("last_token_at") < at("last_token_handed_at"));
}

/// A client cannot have taken away what the proxy adds, by calling it a matter of its
/// connection.
#[tokio::test]
async fn a_client_cannot_take_away_what_is_added() {
    let upstream = Upstream::start().await;
    let (proxy, _) = configured("added.toml", &TWO_POOLS.replace("URL", &upstream.url()));
    let request = reqwest::Client::new().post(format!("{}/v1/x", proxy.clients)).body("{}");
    let request = request.header("connection", "authorization, x-request-id, traceparent, x-tier");
    request.header("x-tier", "gold").header("authorization", "Bearer mine").send().await.unwrap();
    let head = upstream.heads().remove(0);
    for there in ["authorization: bearer secret-of-the-key", "x-request-id: ", "traceparent: "] {
        assert!(head.contains(there), "{there}: {head}");
    }
    assert!(!head.contains("x-tier"), "what is the client's own to take away is gone: {head}");
}

/// A proxy whose upstream is itself says so, and does not go round for ever.
#[tokio::test]
async fn a_loop_is_found() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::of(&mut tps(&format!(
        "proxy --upstream http://{address} --cap 100 --listen {address} --admin 127.0.0.1:0"
    )));
    let response = post(&proxy, "/v1/chat/completions", "{}").await;
    assert_eq!(response.status(), 508);
}

/// Several pools share a log, which is cut by its size and opened anew on SIGUSR1; its
/// parts together tell of every request, pool by pool.
#[tokio::test]
async fn one_log_takes_all_pools_and_may_be_cut() {
    let upstream = Upstream::start().await;
    let folder = file("parts");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir(&folder).unwrap();
    let log = folder.join("run.jsonl");
    let config = TWO_POOLS.replace("URL", &upstream.url());
    let config = format!("log = \"{}\"\nlog_rotate = \"4KiB\"\n{config}", log.display());
    let (mut proxy, _) = configured("parts.toml", &config);
    for _ in 0..8 {
        post(&proxy, "/v1/chat/completions", r#"{"model": "llama-3"}"#).await.text().await.unwrap();
        post(&proxy, "/v1/chat/completions", r#"{"model": "gpt-5"}"#).await.text().await.unwrap();
    }
    // Once what there is has been written, it is moved away.
    while lines(&log, "run").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    std::fs::rename(&log, folder.join("run.jsonl.moved")).unwrap();
    proxy.signal("-USR1");
    while !log.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(proxy.terminate().code(), Some(0));
    let parts: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(parts.len() > 2, "{parts:?}");
    let requests = parts.iter().flat_map(|part| lines(part, "request"));
    let (llama, hosted): (Vec<_>, Vec<_>) = requests.partition(|line| line["pool"] == "llama");
    assert_eq!((llama.len(), hosted.len()), (8, 8));
    let output = tps("report --json").args(&parts).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "one for each pool: {report}");
    assert!(runs.iter().all(|run| run["requests"] == 8), "{report}");
}
