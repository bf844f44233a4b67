"""`tps proxy` in front of a real llama.cpp server: its log held against the server's own figures.

`python test_real_engine.py DIRECTORY`: files go to DIRECTORY, TPS_BIN names the program.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import bodies
import cut_off
import formats
import records
import refusals
import reuse
import usage_event
from checks import Checks
from engine import SLOTS, Engine
from load import drive
from net import get
from proxy import Proxy
from run_log import TOTALS, RunLog, nanos

CAP = 2
# The engine would take more at once: only the proxy's cap holds them back.
assert CAP < SLOTS

# The whole test, on a machine much slower than any that it was written on.
LIMIT_SECONDS = 420


class Watch(threading.Thread):
    """Asks the engine, while it works, how many requests it has under way."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self.engine, self.seen, self.over = engine, [], threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            metrics = self.engine.metrics()
            self.seen.append(metrics["requests_processing"] + metrics["requests_deferred"])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(timeout=30)


def main(directory):
    # Loopback only, whatever proxy the environment names.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_SECONDS)
    checks = Checks()
    try:
        with Engine(directory) as engine:
            bodies.check(checks, engine, directory)
            reuse.check(checks, engine, directory)
            usage_event.check(checks, engine)
            formats.check(checks, engine, directory)
            cut_off.check(checks, engine, directory)
            refusals.check(checks, engine, directory)
            load(checks, engine, directory)
    except Exception as error:
        traceback.print_exc()
        checks.that("the test came to its end", False, str(error))
    checks.close()


def load(checks, engine, directory):
    before = engine.metrics()["tokens_predicted_total"]
    path = os.path.join(directory, "run.jsonl")
    with Proxy(engine.url, CAP, path, os.path.join(directory, "proxy.stderr")) as proxy:
        with Watch(engine) as watch:
            answers = drive(proxy.url)
        predicted = int(engine.metrics()["tokens_predicted_total"] - before)
        admin(checks, proxy, answers)
        checks.equal("the proxy's exit code on SIGTERM", proxy.stop(), 0)
    with open(path, encoding="utf-8") as text:
        log = RunLog(text.read())

    checks.that(
        f"never more than {CAP} at the engine, by its own count", max(watch.seen) == CAP,
        f"asked {len(watch.seen)} times, at most {max(watch.seen):.0f}",
    )  # fmt: skip
    checks.equal(f"at most {CAP} held a slot at any instant, by the log, and {CAP} did", log.most_in_flight(), CAP)
    records.check(checks, log, answers)
    tokens = sum(request["output_tokens"] or 0 for request in log.requests)
    checks.equal(f"output_tokens add up to what the engine predicted, {predicted}", tokens, predicted)
    end(checks, log, answers, tokens)
    report(checks, path, len(answers), tokens)


def report(checks, path, requests, tokens):
    """`tps report` on the same log: its own recomputation, and its figures."""
    answer = subprocess.run([os.environ["TPS_BIN"], "report", "--json", path], stdout=subprocess.PIPE, check=True)
    run = json.loads(answer.stdout)["runs"][0]
    agreement = run["agreement"]
    checks.that("tps report: samples and end were held against the requests", agreement["samples"] > 1, str(agreement))
    checks.equal("tps report: and what the pool told is what follows", agreement["disagreements"], [])
    checks.equal("tps report: the requests", run["requests"], requests)
    checks.equal("tps report: their tokens, all of one source", run["output_tokens"], {"usage": tokens})


def admin(checks, proxy, answers):
    """The proxy's own metrics. A caller has its last byte just before the request is counted: so ask again."""
    for _ in range(40):
        metrics = get(proxy.admin + "/metrics").decode()
        ended = total(metrics, "tps_requests_total")
        if ended == len(answers):
            break
        time.sleep(0.05)
    checks.equal("tps_requests_total counts the requests", ended, len(answers))
    tokens = sum(answer.output_tokens for answer in answers)
    checks.equal("tps_output_tokens_total counts their tokens", total(metrics, "tps_output_tokens_total"), tokens)


def total(metrics, name):
    """The sum of a metric over its labels; absent where it is not there."""
    lines = [line.rpartition(" ") for line in metrics.splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(value) for _, _, value in lines) if lines else None


def end(checks, log, answers, tokens):
    """The `end` line against the other lines, to the nanosecond."""
    recomputed = log.totals()
    for name in TOTALS:
        found = log.end.get(name)
        checks.equal(
            f"{name} recomputed is the end line's, {recomputed[name]} ns",
            None if found is None else nanos(found),
            recomputed[name],
        )
    checks.that("requests did wait", recomputed["backlog_time"] > 0)
    counts = {"requests": len(answers), "completed": len(answers), "output_tokens": tokens, "dropped_records": 0}
    checks.equal("the end line counts what ended", {name: log.end.get(name) for name in counts}, counts)


def too_long(*_):
    raise TimeoutError(f"not over within {LIMIT_SECONDS} s")


if __name__ == "__main__":
    main(sys.argv[1])
