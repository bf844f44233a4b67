//! `tps report` and `tps compare`, run as a user runs them.
#![cfg(feature = "cli")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const WORKED: &str = include_str!("fixtures/worked.jsonl");

fn tps(args: &[&str]) -> Output {
    fed(args, b"")
}

fn fed(args: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tps"));
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A run with one slot and `requests` of ten tokens, each of which takes a second
/// and comes `every` so many; the rest are declared meanwhile. `failing` of them fail.
fn log(run: &str, requests: u64, every: u64, failing: u64) -> String {
    let at =
        |second: u64| format!("2026-01-31T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let head = |kind: &str| format!("{{\"type\":\"{kind}\",\"run_id\":\"{run}\",\"pool\":\"p\"");
    let mut text =
        format!("{},\"started_at\":\"{}\",\"cap\":1,\"tokenizer\":\"usage\"}}\n", head("run"), at(0));
    text += &format!("{},\"at\":\"{}\",\"from\":0,\"to\":{requests}}}\n", head("backlog"), at(0));
    for request in 0..requests {
        let (from, left) = (request * every, requests - request - 1);
        let outcome =
            if request % (requests / failing.max(1)) == 0 && failing > 0 { "failed" } else { "completed" };
        text +=
            &format!("{},\"at\":\"{}\",\"from\":{},\"to\":{left}}}\n", head("backlog"), at(from), left + 1);
        text += &format!(
            "{},\"outcome\":\"{outcome}\",\"queued_at\":\"{1}\",\"admitted_at\":\"{1}\",\"released_at\":\"{2}\",\
             \"output_tokens\":10,\"token_source\":\"usage\"}}\n",
            head("request"),
            at(from),
            at(from + 1),
        );
    }
    text + &format!("{},\"at\":\"{}\"}}\n", head("end"), at(requests * every))
}

/// A log with gaps, and one of the same work without them.
fn pair(name: &str) -> (String, String) {
    let (before, after) = (log("before", 100, 2, 0), log("after", 100, 1, 0));
    (file(&format!("{name}-before.jsonl"), before), file(&format!("{name}-after.jsonl"), after))
}

/// The figures of a log, as text and as JSON, from a file and from stdin, plain
/// and compressed: always the same.
#[test]
fn a_report_however_it_is_given() {
    let plain = file("worked.jsonl", WORKED);
    let json = tps(&["report", "--json", &plain]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    let run = &report["runs"][0];
    assert_eq!(
        (&run["run_id"], &run["system_tps"], &run["gap_time"]),
        (&"worked".into(), &5.0.into(), &4.0.into())
    );
    assert_eq!((&report["left_out"]["skipped"], &report["left_out"]["lines"]), (&0.into(), &7.into()));
    let text = tps(&["report", &plain]);
    for said in ["Run worked, pool p", "33.3 % of the time", "orchestration", "60 usage", "the end included"]
    {
        assert!(out(&text).contains(said), "{said} in\n{}", out(&text));
    }
    assert!(!out(&text).contains('\u{1b}'), "colour is for terminals");

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(WORKED.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(WORKED.as_bytes(), 0).unwrap();
    for (name, bytes) in [("worked.jsonl.gz", gzip), ("worked.jsonl.zst", zstd), ("worked", WORKED.into())] {
        let of = |output: Output| -> Value {
            let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
            report["runs"][0]["file"] = Value::Null;
            report
        };
        let mut same = report.clone();
        same["runs"][0]["file"] = Value::Null;
        assert_eq!(of(tps(&["report", "--json", &file(name, &bytes)])), same, "{name}");
        assert_eq!(of(fed(&["report", "--json", "-"], &bytes)), same, "{name} on stdin");
    }
}

/// What the README shows is what the program says.
#[test]
fn the_report_of_the_readme() {
    let readme = include_str!("../README.md");
    let (_, shown) = readme.split_once("```text\nSlots\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let text = tps(&["report", &file("readme.jsonl", WORKED)]);
    assert!(out(&text).contains(shown), "{shown} in\n{}", out(&text));
}

/// Windows, groups, several runs together, and what was left out, each said.
#[test]
fn a_report_in_detail() {
    let (one, other) = (file("replica-1.jsonl", WORKED), WORKED.replace("\"worked\"", "\"other\""));
    let other = file("replica-2.jsonl", other + "{\"type\":\"requ");
    let text = tps(&["report", "--window", "5s", "--by", "model,status", &one, &other]);
    for said in [
        "Over time",
        "By model",
        "By status",
        "All 2 runs of pool p together",
        "1 of 15 lines were left out; troubles: torn 1",
        "replica-2.jsonl:8: torn: it breaks off after 13 bytes",
    ] {
        assert!(out(&text).contains(said), "{said} in\n{}", out(&text));
    }
    assert_eq!(text.status.code(), Some(0));
}

/// What is no run log is said in one line, with exit code 2.
#[test]
fn what_is_no_run_log() {
    let (empty, foreign) = (file("empty.jsonl", ""), file("foreign.jsonl", "{\"a\":1}\nhello\n"));
    for (args, said) in [
        (["report", empty.as_str()].as_slice(), "empty.jsonl: it is empty"),
        (&["report", &foreign], "line 1: it has no type"),
        (&["report", "/nowhere.jsonl"], "/nowhere.jsonl: No such file"),
        (&["report"], "--help"),
        (&["report", "--window", "1us", &file("long.jsonl", WORKED)], "give a longer one"),
        (&["compare", &empty, &foreign], "empty.jsonl: it is empty"),
        (&["compare", &foreign], "--help"),
        (&["compare", &empty, &empty, "--confidence", "1"], "give 95% or 0.99"),
        (&["compare", &empty, &empty, "--min-effect", "-1%"], "give 1% or 0.01"),
        (&["compare", &empty, &empty, "--min-effect", "much"], "it is no share"),
        (&["compare", &empty, &empty, "--min-effect", "5"], "give 5% or 0.05"),
        (&["compare", &empty, &empty, "--confidence", "99.99%"], "from 50% to 99.8%"),
        (&["report", "--window=-5s", &empty], "give a time such as 30s"),
        (&["report", "-", "-"], "stdin can be read once"),
        (&["compare", "-", "-"], "stdin can be read once"),
        (&["report", ""], "\"\": No such file"),
        (&["report", env!("CARGO_TARGET_TMPDIR")], "give the files in it"),
    ] {
        let output = tps(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(
            err(&output).starts_with("tps: ") && err(&output).contains(said),
            "{args:?}: {}",
            err(&output)
        );
        assert_eq!((err(&output).lines().count(), out(&output)), (1, ""), "{args:?}");
    }
}

/// The verdict is in the exit code, and the same in every form.
#[test]
fn a_verdict_in_the_exit_code() {
    let (before, after) = pair("verdict");
    let accepted = tps(&["compare", &before, &after]);
    assert_eq!(accepted.status.code(), Some(0), "{}", out(&accepted));
    assert!(out(&accepted).ends_with("accepted\n"));
    let json = tps(&["compare", "--json", &before, &after]);
    let comparison: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(comparison["verdict"]["accepted"], true);
    assert_eq!(comparison["verdict"]["checks"][0]["relative_change"], 1.0);
    let markdown = tps(&["compare", "--markdown", &before, &after]);
    assert!(out(&markdown).starts_with("**tps: accepted**\n"), "{}", out(&markdown));
    assert!(
        out(&markdown).contains("| `system_tps` rises | 5.00 | 10.0 | +5.0 (+100.0 %) |"),
        "{}",
        out(&markdown)
    );

    let rejected = tps(&["compare", &before, &before]);
    assert_eq!((rejected.status.code(), out(&rejected).ends_with("rejected\n")), (Some(1), true));
    let failing = file("verdict-failing.jsonl", log("failing", 100, 1, 25));
    assert_eq!(tps(&["compare", &before, &failing]).status.code(), Some(1));
    // Twice as fast, and not thrice.
    assert_eq!(tps(&["compare", &before, &after, "--min-effect", "200%"]).status.code(), Some(1));
    let few = file("verdict-few.jsonl", WORKED);
    let unjudged = tps(&["compare", &before, &few]);
    assert_eq!(unjudged.status.code(), Some(3));
    assert!(out(&unjudged).contains("cannot be judged: the candidate has 3 requests, and 30 are needed"));
}

/// What a log says of itself does nothing to a terminal, nor to a table in Markdown.
#[test]
fn hostile_names() {
    let name = "m\\u001b[2J|\\n<b>";
    let hostile =
        WORKED.replace("\"output_tokens\":40", &format!("\"model\":\"{name}\",\"output_tokens\":40"));
    let hostile = hostile.replace("\"events\"}", &format!("\"{name}\"}}"));
    let log = file("hostile.jsonl", hostile);
    let text = tps(&["report", "--by", "model", &log]);
    assert!(!out(&text).contains('\u{1b}') && out(&text).contains("m\\u{1b}[2J|\\n<b>"), "{}", out(&text));
    let (before, _) = pair("hostile");
    let markdown = tps(&["compare", "--markdown", &before, &log]);
    assert!(out(&markdown).contains("the tokenizers differ: usage and m"), "{}", out(&markdown));
    assert!(!out(&markdown).contains("<b>") && !out(&markdown).contains('\u{1b}'), "{}", out(&markdown));
}

/// What could not be read of a log that is judged is said beside the verdict.
#[test]
fn left_out_of_a_verdict() {
    let (before, _) = pair("left-out");
    let torn = file("left-out-torn.jsonl", log("after", 100, 1, 0) + "{\"type\":\"requ");
    for form in ["--markdown", "--json", "--confidence=95%"] {
        let output = tps(&["compare", form, &before, &torn]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            out(&output).contains("candidate's log that were left out, as tps report tells: 1"),
            "{}",
            out(&output)
        );
    }
}

/// A compressed log that was cut off is reported as far as it goes, and not judged.
#[test]
fn a_log_cut_off() {
    let (before, after) = (log("before", 100, 2, 0), log("after", 100, 1, 0));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(after.as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    let cut = file("cut.jsonl.gz", &whole[..whole.len() / 2]);
    let report = tps(&["report", &cut]);
    assert_eq!(report.status.code(), Some(0));
    assert!(err(&report).contains("what was read until then is all there is of it"), "{}", err(&report));
    let compare = tps(&["compare", &file("whole.jsonl", before), &cut]);
    assert_eq!((compare.status.code(), out(&compare)), (Some(2), ""), "{}", err(&compare));
    assert!(err(&compare).contains("compress it again"), "{}", err(&compare));
}

/// What cannot be written is no verdict.
#[test]
fn a_full_disk_is_no_verdict() {
    let (before, after) = pair("full");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_tps"))
        .args(["compare", &before, &after])
        .stdout(full)
        .stderr(Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(2));
}

/// One of several runs in a log goes by its name.
#[test]
fn one_of_several_runs() {
    let both = file("several.jsonl", log("monday", 100, 2, 0) + &log("tuesday", 100, 1, 0));
    let of = |run: &str| format!("{both}#{run}");
    assert_eq!(tps(&["compare", &of("monday"), &of("tuesday")]).status.code(), Some(0));
    assert_eq!(tps(&["compare", &of("tuesday"), &of("monday")]).status.code(), Some(1));
    let pools = log("r", 100, 1, 0).replace("\"pool\":\"p\"", "\"pool\":\"q\"") + &log("r", 100, 2, 0);
    let pools = file("pools.jsonl", pools);
    let of_pool = |pool: &str| format!("{pools}#r/{pool}");
    assert_eq!(tps(&["compare", &of_pool("p"), &of_pool("q")]).status.code(), Some(0));
    let several = tps(&["compare", &pools, &of_pool("q")]);
    assert!(err(&several).contains("it has several runs (r/p, r/q)") && err(&several).contains("#r/p"));
    for (given, said) in [(both.clone(), "several runs (monday/p, tuesday/p)"), (of("sunday"), "no such run")]
    {
        let output = tps(&["compare", &given, &of("monday")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}
