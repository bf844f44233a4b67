"""NVIDIA's AIPerf as the client: its own figures against the log's, request by request and in sum.

AIPerf names each request by an `x-request-id` of its own and keeps a record of
each, so every figure of its is held against the line of that very request. It
counts the tokens of the texts itself, by the engine's own vocabulary; and then,
in a second and shorter run, it takes the engine's usage.

Two clocks look at one stream from its two ends. AIPerf's starts before it has a
connection and stops when its event loop has read the event: so its TTFT can only
be the longer one, by what the way, the proxy's reading of the request and the
event loop take: a millisecond, of which the proxy has a tenth. What a busy
machine adds to a single one of them is no property of the proxy: the limits are
for the median, with the worst beside it, and a run whose median TTFT is over its
limit is made again.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess

from engine import model_path
from formats import EPOCH
from proxy import Proxy
from run_log import RunLog, instants, nanos
from tokenizer import write

CAP, CALLERS = 2, 3
TOKENS = 64
# Requests a second, near to what the engine can do.
RATE = "0.8"
SHARE, TTFT_MS = 0.02, 2.0
# What a machine that has much else to do adds is another in each run; what the log has wrong stays.
RUNS = 6
LIMIT_SECONDS = 240


def check(checks, engine, directory):
    folder = os.path.join(directory, "tokenizer")
    write(model_path(), folder)
    # The first request of each caller opens a connection, which AIPerf counts too: so those are the fewer.
    for name, requests, options in (("by itself", 15, ()), ("by usage", 9, ("--use-server-token-count",))):
        name = f"AIPerf, counting {name}"
        for _ in range(RUNS):
            log, pairs, summary = run(checks, engine, directory, folder, name, requests, options)
            late = [record["time_to_first_token"] - milliseconds(line["ttft"]) for record, line in pairs]
            if statistics.median(late) <= TTFT_MS:
                break
            print(f"      TTFT {statistics.median(late):.2f} ms later in the median: once more", flush=True)
        tokens(checks, name, pairs, summary, own=not options)
        times(checks, name, pairs, late)
        checks.all(f"{name}: its summary's figures are within {SHARE:.0%}", list(in_sum(pairs, summary, report(log))))


def run(checks, engine, directory, folder, name, requests, options):
    """One run: the log, what AIPerf says of each request with the line of that, and AIPerf's summary."""
    log, stderr = (os.path.join(directory, f"aiperf.{kind}") for kind in ("jsonl", "stderr"))
    counted = ("--tokenizer", os.path.join(folder, "tokenizer.json"))
    with Proxy(engine.url, CAP, log, stderr, counted) as proxy:
        records, summary = aiperf(proxy.url, folder, os.path.join(directory, "benchmark"), requests, options)
        checks.equal(f"{name}: the proxy's exit code on SIGTERM", proxy.stop(), 0)
    with open(log, encoding="utf-8") as text:
        by_id = RunLog(text.read()).by_id()
    checks.equal(
        f"{name}: each of its {requests} requests has one line, and there is no other",
        ({request_id: len(found) for request_id, found in by_id.items()}, summary["request_count"]["avg"]),
        (dict.fromkeys(records, 1), requests),
    )
    return log, [(records[request_id], line) for request_id, (line,) in by_id.items()], summary


def tokens(checks, name, pairs, summary, own):
    faults = []
    for record, line in pairs:
        of_usage, of_text = line["output_tokens"], line["counted_tokens"]
        found = record["output_sequence_length"]
        expected = of_text if own else of_usage
        if found != expected or line["token_source"] != "usage":
            faults.append(f"{found} tokens, in the line {of_usage} by {line['token_source']} and {of_text} counted")
        if own and record["usage_completion_tokens"] != of_usage:
            faults.append(f"a usage of {record['usage_completion_tokens']}, in the line {of_usage}")
    total = sum(line["output_tokens"] for _, line in pairs)
    faults += off("tokens in sum", summary["total_osl"]["avg"], total, SHARE)
    checks.all(
        f"{name}: output tokens are those of each line, and in sum within {SHARE:.0%} of the engine's", faults,
        f"{summary['total_osl']['avg']:.0f}, the engine's {total}",
    )  # fmt: skip


def times(checks, name, pairs, late):
    checks.all(f"{name}: no TTFT is shorter than the log's", [f"{ms} ms later" for ms in late if ms < 0])
    median = statistics.median(late)
    checks.that(
        f"{name}: TTFT within {TTFT_MS} ms of the log's, in the median", median <= TTFT_MS,
        f"{median:.2f} ms later, from {min(late):.2f} to {max(late):.2f}; {statistics.median(before(pairs)):.2f} of "
        "them before the proxy had the request",
    )  # fmt: skip

    # By the same formula, but that AIPerf has one token come first, and counts the tokens by itself.
    apart = [record["inter_token_latency"] / milliseconds(line["time_per_output_token"]) - 1 for record, line in pairs]
    median, worst = statistics.median(apart), max(apart, key=abs)
    checks.that(
        f"{name}: inter-token latency within {SHARE:.0%} of the log's, in the median", abs(median) <= SHARE,
        f"{median:+.3%}, at worst {worst:+.3%}",
    )  # fmt: skip


def before(pairs):
    """From AIPerf's start of a request to the proxy's `queued_at`, in ms, by the system's clock."""
    return [(instants(line)["queued_at"] - EPOCH - record["request_start_ns"]) / 1_000_000 for record, line in pairs]


def report(log):
    said = subprocess.run([os.environ["TPS_BIN"], "report", "--json", log], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(said)["runs"][0]


def in_sum(pairs, summary, report):
    """AIPerf's summary against that of `tps report` and of the lines."""
    mean = report["ttft"]["mean"] * 1000
    yield from off("mean TTFT", summary["time_to_first_token"]["avg"], mean, SHARE)
    lines = [line for _, line in pairs]
    mean = statistics.mean(milliseconds(line["time_per_output_token"]) for line in lines)
    yield from off("mean inter-token latency", summary["inter_token_latency"]["avg"], mean, SHARE)
    rate = summary["output_token_throughput_per_user"]
    yield from off("mean tokens a second of a stream", rate["avg"], report["decode_tps"]["mean"], SHARE)
    # Over the time in which there were requests. AIPerf's own rate begins with the wait for the first of them.
    at = [instants(line) for line in lines]
    ours = max(one["released_at"] for one in at) - min(one["queued_at"] for one in at)
    of_aiperf = [record for record, _ in pairs]
    theirs = max(one["request_end_ns"] for one in of_aiperf) - min(one["request_start_ns"] for one in of_aiperf)
    total = sum(line["output_tokens"] for line in lines)
    yield from off("tokens a second", summary["total_osl"]["avg"] / theirs, total / ours, SHARE)


def off(what, found, expected, share):
    if abs(found / expected - 1) > share:
        yield f"{what}: {found}, by the log {expected}, {found / expected - 1:+.2%}"


def milliseconds(seconds):
    return nanos(seconds) / 1_000_000


def aiperf(url, folder, directory, requests, options):
    """Runs it to its end: what it keeps of each request, by the request's id, and its summary."""
    command = [
        os.environ["AIPERF"], "profile", "--model", "smollm2", "--url", url, "--endpoint-type", "chat", "--streaming",
        "--tokenizer", folder, "--concurrency", str(CALLERS), "--request-count", str(requests),
        # Not each as another ends: AIPerf then has so much else to do that the proxy waits for a core.
        "--request-rate", RATE, "--arrival-pattern", "constant", "--isl", "40",
        "--osl", str(TOKENS), "--random-seed", "7", "--workers-max", "1", "--record-processors", "1", "--ui", "none",
        "--no-server-metrics", "--no-gpu-telemetry", "--no-auto-plot", "--artifact-dir", directory,
        # So that each answer has the tokens that were asked for.
        "--extra-inputs", '{"ignore_eos": true, "temperature": 0, "cache_prompt": false}', *options,
    ]  # fmt: skip
    said = os.path.join(directory, "said.txt")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    # What it caches goes to the folder too.
    environment = {**os.environ, "HOME": directory}
    with open(said, "wb") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
        )
    try:
        code = child.wait(timeout=LIMIT_SECONDS)
    finally:
        # It is many processes, which end with it or not at all.
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if code != 0:
        with open(said, errors="replace") as out:
            raise RuntimeError(f"aiperf ended with {code}: {out.read()[-2000:]}")
    with open(os.path.join(directory, "profile_export.jsonl"), encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    with open(os.path.join(directory, "profile_export_aiperf.json"), encoding="utf-8") as text:
        summary = json.load(text)
    return {record["metadata"]["x_request_id"]: flat(record) for record in records}, summary


def flat(record):
    return {**record["metadata"], **{name: metric["value"] for name, metric in record["metrics"].items()}}
