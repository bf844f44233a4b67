//! The pages of reports and comparisons: what they say, and what they must never hold.
#![cfg(feature = "html")]

use std::fmt::Write;
use std::time::Duration;

use scraper::{Html, Selector};
use tower_tps::analysis::{By, Comparison, Demands, Details, LeftOut, Logs, Report, Run, html};

/// Ten seconds of a pool of two slots: two requests that complete, one that fails, and
/// two seconds in which declared work was not submitted.
const SMALL: &str = r#"
{"type":"run","run_id":"small","pool":"p","version":"0.1.0","started_at":"2026-01-31T09:15:00.000000000Z","cap":2,"tokenizer":"usage","labels":{"host":"a"}}
{"type":"request","run_id":"small","pool":"p","request_id":"1","outcome":"completed","phase":"done","status":200,"model":"m","finish_reason":"stop","queued_at":"2026-01-31T09:15:00.000000000Z","admitted_at":"2026-01-31T09:15:00.000000000Z","headers_at":"2026-01-31T09:15:00.250000000Z","first_chunk_at":"2026-01-31T09:15:00.500000000Z","first_token_at":"2026-01-31T09:15:00.500000000Z","last_token_at":"2026-01-31T09:15:02.500000000Z","released_at":"2026-01-31T09:15:03.000000000Z","output_tokens":100,"token_source":"usage","first_chunk_tokens":1,"burst":0.01}
{"type":"request","run_id":"small","pool":"p","request_id":"2","outcome":"completed","phase":"done","status":200,"model":"m","finish_reason":"length","queued_at":"2026-01-31T09:15:03.000000000Z","admitted_at":"2026-01-31T09:15:03.000000000Z","headers_at":"2026-01-31T09:15:03.250000000Z","first_chunk_at":"2026-01-31T09:15:04.000000000Z","first_token_at":"2026-01-31T09:15:04.000000000Z","last_token_at":"2026-01-31T09:15:09.000000000Z","released_at":"2026-01-31T09:15:09.500000000Z","output_tokens":300,"token_source":"usage","first_chunk_tokens":1,"burst":0.01}
{"type":"request","run_id":"small","pool":"p","request_id":"3","outcome":"failed","phase":"dispatch","error_type":"status_500","status":500,"queued_at":"2026-01-31T09:15:01.000000000Z","admitted_at":"2026-01-31T09:15:01.000000000Z","headers_at":"2026-01-31T09:15:02.000000000Z","released_at":"2026-01-31T09:15:02.000000000Z"}
{"type":"backlog","run_id":"small","pool":"p","at":"2026-01-31T09:15:04.000000000Z","from":0,"to":1}
{"type":"backlog","run_id":"small","pool":"p","at":"2026-01-31T09:15:06.000000000Z","from":1,"to":0}
{"type":"end","run_id":"small","pool":"p","at":"2026-01-31T09:15:10.000000000Z","dropped_records":0}
"#;

fn read(logs: &[(&str, &str)]) -> (Vec<Run>, LeftOut) {
    let mut reading = Logs::default();
    for (file, log) in logs {
        reading.read(file, log.as_bytes()).unwrap();
    }
    reading.finish()
}

/// The page of a report of these logs, with all details, checked for what no page may hold.
fn page(logs: &[(&str, &str)]) -> Page {
    let (runs, left_out) = read(logs);
    // Bounded by the one who asks for them.
    let longest = runs.iter().map(Run::window_time).max().unwrap_or_default();
    let window = (longest / 400).max(Duration::from_nanos(1));
    let details = Details::default().window(window).by(By::Model).by(By::Status);
    Page::new(html::report(&Report::of(&runs, left_out, &details), &runs))
}

fn compared(baseline: &str, candidate: &str) -> Page {
    // Each by itself: they may be the same.
    let run = |log| read(&[("log", log)]).0.remove(0);
    let (baseline, candidate) = (run(baseline), run(candidate));
    let comparison = Comparison::of(&baseline, &candidate, Demands::default());
    Page::new(html::comparison(&comparison, &baseline, &candidate))
}

/// A page as a browser reads it.
struct Page {
    document: Html,
    size: usize,
}

impl Page {
    fn new(text: String) -> Self {
        let document = Html::parse_document(&text);
        let page = Self { document, size: text.len() };
        assert_eq!(page.document.errors, Vec::<String>::new(), "it is well formed");
        assert!(page.size < 1_000_000, "{} bytes", page.size);
        for element in page.all("*") {
            let name = element.value().name();
            assert!(
                !["script", "img", "link", "iframe", "object", "embed", "base"].contains(&name),
                "{name}"
            );
            for (key, value) in element.value().attrs() {
                assert!(
                    !["src", "href", "srcset", "action"].contains(&key) && !key.starts_with("on"),
                    "{key}"
                );
                assert!(!value.contains("://") && !value.contains("url("), "{key}={value}");
                // Pictures have no figure that is none.
                let mut words = value.split(|letter: char| !letter.is_alphanumeric());
                assert!(!words.any(|word| ["NaN", "inf"].contains(&word)), "{key}={value}");
            }
        }
        let style: String = page.texts("style").concat();
        assert!(!style.contains("url(") && !style.contains("@import"));
        let body = page.texts("body").concat();
        let mut words = body.split(|letter: char| !letter.is_alphanumeric());
        assert!(!words.any(|word| ["NaN", "inf", "None", "Some"].contains(&word)));
        for svg in page.all("svg") {
            assert_eq!(svg.value().attr("role"), Some("img"));
            assert!(svg.value().attr("aria-label").is_some_and(|label| !label.is_empty()));
        }
        page
    }

    fn all(&self, selector: &str) -> Vec<scraper::ElementRef<'_>> {
        self.document.select(&Selector::parse(selector).unwrap()).collect()
    }

    fn texts(&self, selector: &str) -> Vec<String> {
        let text = |element: scraper::ElementRef<'_>| element.text().collect::<String>().trim().to_owned();
        self.all(selector).into_iter().map(text).collect()
    }

    fn has(&self, text: &str) -> bool {
        self.texts("body").concat().contains(text)
    }

    /// The figures in a row of a table, by its name.
    fn row(&self, name: &str) -> Vec<String> {
        let is_it = |row: &scraper::ElementRef<'_>| {
            let text = |selector| {
                let part = row.select(&Selector::parse(selector).unwrap()).next();
                part.map_or_else(String::new, |part| part.text().collect())
            };
            text("th").trim_end_matches(&text("th .note")).trim() == name
        };
        let row = self.all("tbody tr").into_iter().find(is_it).unwrap_or_else(|| panic!("no row {name}"));
        row.select(&Selector::parse("td").unwrap()).map(|cell| cell.text().collect()).collect()
    }
}

/// The figures are those of the summary, worked out by hand here.
#[test]
fn figures() {
    let page = page(&[("small.jsonl", SMALL)]);
    let tiles: Vec<_> = page.texts(".tiles .label").into_iter().zip(page.texts(".tiles .value")).collect();
    let tile =
        |label: &str| tiles.iter().find(|(of, _)| of == label).map(|(_, value)| value.as_str()).unwrap();
    assert_eq!(tile("Throughput"), "40.0 tokens/s");
    assert_eq!(tile("Gap"), "20.0 %");
    assert_eq!(tile("Lost slot-time"), "2.00 slot-s");
    // 400 tokens in 10.5 busy slot-seconds.
    assert_eq!(tile("Lost tokens"), "76.2");
    assert_eq!(tile("Success"), "66.7 %");
    assert_eq!(tile("Time to first token"), "500 ms");
    assert_eq!(tile("Speed of a stream"), "50.0 tokens/s");
    assert_eq!(tile("Requests"), "3");
    assert_eq!(page.row("busy"), ["10.5", "52.5 %"]);
    assert_eq!(page.row("gap"), ["2.00", "10.0 %"]);
    assert_eq!(page.row("idle"), ["7.50", "37.5 %"]);
    assert_eq!(page.row("cap"), ["20.0", "100 %"]);
    assert_eq!(page.row("orchestration"), ["2.00", "20.0 %", "2.00"]);
    assert_eq!(page.row("status_500"), ["1", "100 %"]);
    assert_eq!(page.row("all")[..2], ["2", "0.750"]);
    assert!(page.has("2026-01-31 09:15:00.000 UTC") && page.has("small.jsonl"));
    // Each of the six pictures for wide screens and for narrow ones.
    assert_eq!((page.all("svg.wide").len(), page.all("svg.narrow").len()), (6, 6));
    assert_eq!(page.texts("title"), ["small · p – Throughput and gaps"]);
}

/// What a log says is text wherever it stands.
#[test]
fn hostile_names() {
    let evil = r#"</title></style><script>alert(1)</script><img src=x onerror=alert(2)>\" onload=\"x"#;
    let names = ["\"small\"", "\"p\"", "\"m\"", "\"status_500\"", "\"stop\"", "\"a\"", "\"host\""];
    let log = names.iter().fold(SMALL.to_owned(), |log, name| log.replace(name, &format!("\"{evil}\"")));
    let log = log + &format!("{{\"type\":\"{evil}\"}}\n") + "<script>nothing</script>\n";
    let seen = evil.replace('\\', "");
    let page = page(&[(&seen, &log)]);
    assert!(page.has(&seen));
    assert!(page.texts("tbody td").contains(&seen), "the log's name");
    assert!(compared(&log, &log).has(&seen));
}

/// What there is nothing of gives a page all the same.
#[test]
fn nothing_at_all() {
    let head: String = SMALL.lines().take(2).collect();
    let empty = page(&[("a", &head)]);
    assert!(empty.has("No request ended") && empty.has("This run has no end") && empty.has("No time passed"));
    assert_eq!(empty.texts(".tiles .value")[0], "–");
    assert!(page(&[]).has("No run"));
    assert!(page(&[("a", "no log\n")]).has("What could not be read"));
    let request: Vec<_> = SMALL.lines().skip(5).collect();
    assert!(page(&[("a", &request.join("\n"))]).has("no_start"));
    let end = SMALL.lines().last().unwrap();
    assert!(page(&[("a", &format!("{head}\n{end}"))]).has("No work ever waited"));
    assert!(compared(&head, &head).has("Cannot be judged"));
    assert!(compared(SMALL, &head).has("Cannot be judged"));
}

/// Figures beyond all measure.
#[test]
fn extremes() {
    let long = SMALL.replace("2026-01-31T09:15:10", "2226-01-31T09:15:10");
    assert!(page(&[("a", &long)]).has("By model"));
    let large = SMALL.replace("\"cap\":2", "\"cap\":4000000").replace(":300,", ":4000000000,");
    page(&[("a", &large)]);
    let short = SMALL.replace("2026-01-31T09:15:0", "2026-01-31T09:15:00.0000000");
    // Those instants have too many digits to be one: nothing of it is left but the page.
    page(&[("a", &short)]);
    // A length that windows do not divide: the last of them is no sliver with a rate beyond all others.
    let (cut, _) = SMALL.rsplit_once("{").unwrap();
    let cut = page(&[("a", &cut.replace("09.500000000Z", "09.500000001Z"))]);
    assert!(cut.texts("svg text").iter().all(|text| !text.contains(",000,000")));
    // All at one instant.
    let at_once = SMALL.lines().map(|line| {
        let mut line = line.to_owned();
        for second in 0..=10 {
            for part in ["000", "250", "500"] {
                line = line.replace(&format!(":15:{second:02}.{part}000000Z"), ":15:00.000000001Z");
            }
        }
        line + "\n"
    });
    page(&[("a", &at_once.collect::<String>())]);
}

/// Many runs, many models, many errors: the page stays small, and says what it leaves out.
#[test]
fn many() {
    let of = |run: usize| SMALL.replace("\"small\"", &format!("\"run-{run}\""));
    let logs: Vec<_> = (0..300).map(|run| (format!("{run}.jsonl"), of(run))).collect();
    let logs: Vec<_> = logs.iter().map(|(file, log)| (file.as_str(), log.as_str())).collect();
    let page_of_many = page(&logs);
    assert!(page_of_many.has("The first 5 runs are shown in full") && page_of_many.has("run-299 · p"));
    assert!(page_of_many.has("The fleet p") && page_of_many.has("not the sum of its runs' gaps"));

    let lines: Vec<_> = SMALL.lines().filter(|line| line.contains("\"request\"")).collect();
    let mut log = SMALL.lines().take(2).collect::<String>() + "\n";
    for index in 0..6_000 {
        let line = lines[index % 3].replace("\"m\"", &format!("\"model-{index}\""));
        let line = line.replace("status_500", &format!("error-{index}-{}", "x".repeat(300)));
        let line = line.replace("09:15", &format!("{:02}:{:02}", 9 + index / 3_000, index / 50 % 60));
        writeln!(log, "{line}").unwrap();
    }
    let page = page(&[("a", &log)]);
    assert!(
        page.has("others")
            && page.has("more, of fewer requests")
            && page.has("All are in the report as JSON")
    );
}

/// The verdict stands on top, with each check and its interval.
#[test]
fn comparison() {
    let requests: Vec<_> = SMALL.lines().filter(|line| line.contains("\"request\"")).collect();
    let log = |tokens: u64| {
        let mut log = SMALL.replace(":10.000000000Z", ":59.000000000Z").replace("15:06.", "15:36.");
        log = log.replace("\"cap\":2", "\"cap\":40");
        for index in 0..40 {
            let line = requests[0].replace("\"1\"", &format!("\"{index}-\""));
            let line = line.replace("09:15:0", &format!("09:15:{}", 1 + index % 4));
            writeln!(log, "{}", line.replace(":100,", &format!(":{tokens},"))).unwrap();
        }
        log
    };
    let page = compared(&log(100), &log(1_000).replace("15:36.", "15:16."));
    let verdicts = page.texts(".verdict h2");
    assert!(["Accepted", "Rejected"].contains(&verdicts[0].as_str()), "{verdicts:?}");
    assert_eq!(page.all(".check").len(), 4);
    assert_eq!(page.all("svg.interval").len(), 4);
    assert_eq!(page.all(".pair").len(), 5);
    assert!(page.row("system_tps")[3].starts_with('+'));
    let same = compared(&log(100), &log(100));
    assert_eq!(same.texts(".verdict h2"), ["Rejected"]);
    assert_eq!(same.row("system_tps")[2..], ["0", "0 %"]);
}
