//! The program `tps`, run as a user runs it.
#![cfg(feature = "cli")]

#[path = "support/tps.rs"]
mod tps;

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;

use self::tps::{Proxy, file, run, tps};

const STREAM: &str = r#"{"messages":[{"content":"a b"}],"stream":true,"max_tokens":12}"#;

/// Bad input is answered with one line that says what and how to mend it, and
/// exit code 2.
#[test]
fn bad_input_is_one_line() {
    for (args, thing, mend) in [
        ("proxy --upstream sim --cap 0", "--cap", "1..=1048576"),
        ("proxy --upstream sim --cap x", "--cap", "--help"),
        ("proxy --upstream ftp://x --cap 2", "ftp://x", "give http://HOST:PORT or sim"),
        ("proxy --upstream :: --cap 2", "'::'", "give http://HOST:PORT or sim"),
        ("proxy --upstream http://a/?b --cap 2", "query", "give http://HOST:PORT"),
        ("proxy --upstream http://a:99999 --cap 2", "port", "give http://HOST:PORT"),
        ("proxy --upstream http://a:b --cap 2", "http://a:b", "give http://HOST:PORT"),
        ("proxy --upstream http://a/#f --cap 2", "fragment", "give http://HOST:PORT"),
        ("proxy --upstream http://u@a/ --cap 2", "user", "give http://HOST:PORT"),
        ("proxy --upstream sim --cap 2 --frob", "--frob", "--help"),
        ("proxy --cap 2", "--upstream", "--help"),
        ("frob", "frob", "--help"),
        ("proxy --upstream sim --cap 2 --queue-timeout 5", "'5'", "give a time such as 30s"),
        ("proxy --upstream sim --cap 2 --queue-timeout 0s", "'0s'", "give a time such as 30s"),
        ("proxy --upstream sim --cap 2 --tokenizer x", "'x'", "give usage, events, o200k"),
        ("proxy --upstream sim --cap 2 --tokenizer =o200k", "'=o200k'", "give PREFIX=NAME"),
        ("proxy --upstream sim --cap 2 --tokenizer a=usage", "'a=usage'", "give o200k, cl100k or a file"),
        (
            "proxy --upstream sim --cap 2 --listen 127.0.0.1:0 --admin 127.0.0.1:0 --tokenizer /nowhere/tokenizer.json",
            "--tokenizer /nowhere/tokenizer.json: No such file",
            "give a Hugging Face tokenizer.json",
        ),
        (
            "proxy --upstream sim --cap 2 --listen 127.0.0.1:0 --admin 127.0.0.1:0 --tokenizer usage --tokenizer events",
            "--tokenizer: there can be one default",
            "give PREFIX=NAME",
        ),
        (
            "proxy --upstream sim --cap 2 --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log /nowhere/x.jsonl",
            "--log /nowhere/x.jsonl",
            "give a file that can be written",
        ),
    ] {
        let output = run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}: {said}");
        assert_eq!(said.lines().count(), 1, "{args}: {said}");
        assert!(said.starts_with("tps: ") && said.contains(thing) && said.contains(mend), "{args}: {said}");
        assert!(output.stdout.is_empty());
    }
}

/// A taken port is said before anything is begun: no log is left behind.
#[test]
fn a_taken_port_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _held = TcpListener::bind(taken).unwrap();
    let log = file("taken.jsonl");
    for flags in
        [format!("--listen {taken} --admin 127.0.0.1:0"), format!("--listen 127.0.0.1:0 --admin {taken}")]
    {
        let output = run(&format!("proxy --upstream sim --cap 2 {flags} --log {}", log.display()));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(&taken.to_string()) && said.contains("choose another address"), "{said}");
        assert!(!log.exists());
    }
}

/// Every subcommand has help with examples, and asking for it is no error.
#[test]
fn help_has_examples() {
    for args in ["--help", "demo --help", "proxy --help", "report --help", "compare --help"] {
        let output = run(args);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: tps"), "{text}");
        assert!(args == "--help" || text.contains("Examples:\n  tps "), "{text}");
    }
}

/// From start to SIGTERM: requests of every kind, the cap changed on the way,
/// and a log whose last line is the end.
#[tokio::test]
async fn a_proxy_lives_and_ends_in_good_order() {
    let log = file("proxy.jsonl");
    let mut proxy = Proxy::start("sim", &format!("--cap 1 --run-id r --log {}", log.display()));
    assert_eq!(proxy.admin("/healthz").await, "ok\n");
    assert_eq!(proxy.admin("/readyz").await, "ready\n");

    let text = proxy.post(STREAM).send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let models = reqwest::get(format!("{}/v1/models", proxy.clients)).await.unwrap();
    assert_eq!(models.status(), 200);
    let put = |cap: &'static str| reqwest::Client::new().put(format!("{}/cap", proxy.admin)).body(cap).send();
    assert_eq!(put("{\"cap\": 3}").await.unwrap().status(), 200);
    assert_eq!(put("{\"cap\": 0}").await.unwrap().status(), 400);
    assert_eq!(put("nonsense").await.unwrap().status(), 400);
    let status = proxy.status().await;
    assert_eq!((&status["cap"], &status["requests"]), (&3.into(), &1.into()));

    // One that stalls is hung up on, and another is under way when the end comes.
    let mut stalled = proxy.post(STREAM).header("x-sim-fault", "stall").send().await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    drop(stalled);
    while proxy.status().await["in_flight"] != 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut last = proxy.post(STREAM).send().await.unwrap();
    let mut text = String::from_utf8(last.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let metrics = proxy.admin("/metrics").await;
    assert!(metrics.contains("tps_requests_total{pool=\"proxy\",outcome=\"cancelled\""), "{metrics}");

    let ended = tokio::task::spawn_blocking(move || proxy.terminate());
    text.push_str(&last.text().await.unwrap());
    assert!(text.ends_with("data: [DONE]\n\n"), "what is under way is drained: {text}");
    assert_eq!(ended.await.unwrap().code(), Some(0));

    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((kinds("run"), kinds("request"), kinds("cap"), kinds("end")), (1, 3, 1, 1));
    let end = lines.last().unwrap();
    assert_eq!(
        (&end["type"], &end["run_id"], &end["dropped_records"]),
        (&"end".into(), &"r".into(), &0.into())
    );
    assert_eq!((&end["requests"], &end["completed"], &end["in_flight"]), (&3.into(), &2.into(), &0.into()));
}

/// A client that gives up in the queue frees its place at once, though it had
/// sent a prompt that nobody has read.
#[tokio::test]
async fn who_hangs_up_leaves_the_queue() {
    use std::io::Write;
    let proxy = Proxy::start("sim", "--cap 1");
    let mut stalled = proxy.post(STREAM).header("x-sim-fault", "stall").send().await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    let address = proxy.clients.strip_prefix("http://").unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    let prompt = format!("{{\"messages\":[{{\"content\":\"{}\"}}]}}", "a ".repeat(50_000));
    write!(
        client,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{prompt}",
        prompt.len()
    )
    .unwrap();
    let reaches = async |depth: u64| {
        while proxy.status().await["queue_depth"] != depth {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    reaches(1).await;
    drop(client);
    reaches(0).await;
}

/// A second SIGTERM ends at once, and yet every request is in the log.
#[tokio::test]
async fn a_second_signal_loses_no_record() {
    let log = file("second.jsonl");
    let mut proxy = Proxy::start("sim", &format!("--cap 1 --log {}", log.display()));
    let mut stalled = proxy.post(STREAM).header("x-sim-fault", "stall").send().await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    let queued = tokio::spawn(proxy.post(STREAM).send());
    while proxy.status().await["queue_depth"] != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    proxy.signal("-TERM");
    while proxy.admin("/readyz").await == "ready\n" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(tokio::task::spawn_blocking(move || proxy.terminate()).await.unwrap().code(), Some(0));
    // It was cut off in the queue, or just after the slot before it came free.
    if let Ok(response) = queued.await.unwrap() {
        assert!(!response.text().await.is_ok_and(|text| text.contains("[DONE]")));
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("\"type\":\"request\"").count(), 2, "{text}");
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&end["type"], &end["requests"], &end["in_flight"]), (&"end".into(), &2.into(), &0.into()));
}

/// A log that could not be written is said at the end, with an exit code of its own.
#[test]
fn a_full_disk_is_said() {
    let mut proxy = Proxy::start("sim", "--cap 1 --log /dev/full");
    assert_eq!(proxy.terminate().code(), Some(1));
}

/// A reader of the demonstration's result may go away.
#[test]
fn a_closed_output_is_no_error() {
    let mut child = tps("demo --seconds 8").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// An upstream that is not there is a 502 that says so, and the record says `connect`.
#[tokio::test]
async fn an_absent_upstream_is_a_502() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = file("absent.jsonl");
    let mut proxy = Proxy::start(&format!("http://{absent}"), &format!("--cap 1 --log {}", log.display()));
    let response = proxy.post("{}").send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(response.text().await.unwrap().contains("\"code\":\"connect\""));
    assert_eq!(proxy.terminate().code(), Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    let record = text.lines().find(|line| line.contains("\"type\":\"request\"")).unwrap();
    assert!(
        record.contains("\"outcome\":\"failed\"") && record.contains("\"error_type\":\"connect\""),
        "{record}"
    );
}

/// The demonstration finds the idle time of its baseline, names its causes, and
/// accepts the run without the faults. Progress goes to stderr, the result to stdout.
#[test]
fn the_demo_is_accepted() {
    let output = run("demo --seconds 8 --json");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (old, new, verdict) = (&object["baseline"], &object["candidate"], &object["verdict"]);
    assert_eq!(verdict["accepted"], true, "{verdict:#}");
    let names: Vec<_> = verdict["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["system_tps", "success_rate", "gap_fraction", "retry_rate"]);
    for run in [old, new] {
        assert_eq!((&run["requests"], &run["outcomes"]["completed"]), (&112.into(), &112.into()));
        assert_eq!(run["output_tokens"].as_object().unwrap().keys().collect::<Vec<_>>(), ["usage"]);
    }
    assert_eq!(old["output_tokens"], new["output_tokens"], "the work is the same");
    assert_eq!(old["retries"], new["retries"]);
    let time = |run: &Value, name: &str| run[name].as_f64().unwrap();
    assert!(time(old, "gap_time_orchestration") > 0.0 && time(old, "gap_time_wakeup") > 0.0);
    assert!(time(old, "gap_fraction") > time(new, "gap_fraction"));
    assert!(time(old, "connections") > time(new, "connections"));
}
