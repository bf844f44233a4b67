"""What Prometheus says of two `tps proxy` under load, held against their run logs: they must say the same.

Both proxies are replicas of one pool, each with more callers than slots. The gaps are real ones: the cap is raised
with many waiting, while the proxy's process is kept from running.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "real_engine"))
import dashboard
from checks import Checks
from net import get, send
from prometheus import INTERVAL, SHIPPED, Prometheus
from proxy import Proxy
from replica import GAP, NEAR, Replica, by_source, counts, over_the_run, sources, while_it_ran
from run_log import RunLog

SECONDS, MOST_SECONDS = 20, 60
CALLERS = 140
CAPS = {"a": (4, 100), "b": (8, 120)}


def main():
    work, checks = sys.argv[1], Checks()
    proxies = {name: proxy(work, name) for name in CAPS}
    with proxies["a"] as a, proxies["b"] as b:
        targets = [one.admin.removeprefix("http://") for one in (a, b)]
        with Prometheus(work, targets) as prometheus:
            load(a, b)
            # Nothing waits or runs from here on: what is counted has been counted.
            at = prometheus.wait_for_scrapes(2)
            exposed = get(a.admin + "/metrics").decode()
            exits = [one.stop() for one in (a, b)]
            checks.equal("both proxies end in good order", exits, [0, 0])
            report = reported([one.log for one in proxies.values()])
            runs = {run["run_id"]: run for run in report["runs"]}
            for name, target in zip(CAPS, targets):
                replica = Replica(name, target, max(CAPS[name]), read(proxies[name].log), runs[name])
                over_the_run(checks, prometheus, at, replica)
                counts(checks, prometheus, at, replica)
                while_it_ran(checks, prometheus, at, replica)
            together(checks, prometheus, at, report)
            rules(checks, prometheus, at)
            pictures(checks, prometheus, at)
            names(checks, exposed)
    checks.close()


def proxy(work, name):
    log = os.path.join(work, f"{name}.jsonl")
    options = ("--tokenizer", "o200k", "--max-queue", "120", "--run-id", name)
    return Proxy("sim", CAPS[name][0], log, log + ".stderr", options)


def load(*proxies):
    """Callers for as long as the run lasts, and gaps in it: as many as it takes."""
    program = [sys.executable, os.path.join(HERE, "load.py")]
    ports = [one.url.rpartition(":")[2] for one in proxies]
    callers = [subprocess.Popen([*program, port, str(CALLERS)], stdin=subprocess.PIPE) for port in ports]
    start = time.monotonic()
    while time.monotonic() < start + SECONDS or is_gap_wanting(proxies) and time.monotonic() < start + MOST_SECONDS:
        for one, (low, high) in zip(proxies, CAPS.values()):
            raise_cap = raise_starved if is_gap_wanting([one]) else cap
            raise_cap(one, high)
            time.sleep(0.4)
            cap(one, low)
        time.sleep(0.4)
    for one in callers:
        one.stdin.close()
    codes = [one.wait(timeout=60) for one in callers]
    assert codes == [0, 0], f"the callers ended with {codes}"
    while any(status(one)["in_flight"] or status(one)["queue_depth"] for one in proxies):
        time.sleep(0.05)


def is_gap_wanting(proxies):
    return any(status(one)["gap_time"] < GAP for one in proxies)


def raise_starved(one, slots):
    """Raises the cap of a proxy that gets the CPU for short moments only: who is handed a slot waits for one."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        asked = thread.submit(cap, one, slots)
        for _ in range(12):
            one.child.send_signal(signal.SIGSTOP)
            time.sleep(0.05)
            one.child.send_signal(signal.SIGCONT)
            time.sleep(0.002)
        asked.result()


def cap(one, slots):
    send(one.admin + "/cap", "PUT", json.dumps({"cap": slots}).encode())


def status(one):
    return json.loads(get(one.admin + "/status"))


def read(path):
    with open(path, encoding="utf-8") as file:
        return RunLog(file.read())


def reported(paths):
    answer = subprocess.run([os.environ["TPS_BIN"], "report", "--json", *paths], stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)


def together(checks, prometheus, at, report):
    """Over both replicas, sums are the sums of the logs, and the fleet's where it adds up."""
    [fleet] = report["fleets"]

    def near(what, expression, expected, by=2 * NEAR):
        found = prometheus.value(expression, at)
        checks.that(f"both: {what}", abs(found - expected) <= by, f"{found:.6f}, the logs have {expected:.6f}")

    window = sum(run["window_time"] for run in report["runs"])
    near("gap_time", "sum(tps_gap_seconds_total)", fleet["gap_time_of_runs"])
    whole = "sum(tps_gap_seconds_total) / sum(tps_observed_seconds_total)"
    near("gap_fraction", whole, fleet["gap_time_of_runs"] / window, by=INTERVAL * len(CAPS) / window)
    near("busy_slot_time", "sum(tps_busy_slot_seconds_total)", fleet["busy_slot_time"])
    checks.equal("both: requests", prometheus.value("sum(tps_requests_total)", at), fleet["requests"])
    found = by_source(prometheus, at, 'tps_output_tokens_total{outcome="completed"}')
    checks.equal("both: output tokens of the completed, by source", found, sources(fleet["output_tokens"]))
    found = prometheus.query("count by (pool) (tps_cap)", at)
    checks.equal("both: they are one pool", found, [({"pool": "proxy"}, 2.0)])


def rules(checks, prometheus, at):
    """Every recording rule has recorded, and what is a share of something lies within it."""
    with open(os.path.join(SHIPPED, "rules.yml"), encoding="utf-8") as file:
        recorded = sorted(set(re.findall(r"record: (\S+)", file.read())))
    for name in recorded:
        values = [value for _, value in prometheus.query(name, at)]
        most = 1 if re.search("fraction|share|utilisation|success|ratio", name) else 1e6
        checks.that(f"{name} is recorded", values and all(0 <= value <= most for value in values), f"{values}")
    checks.equal("every rule was evaluated", set(prometheus.health().values()), {"ok"})
    # Those that wait for their time are here too.
    found = prometheus.query('ALERTS{alertname=~"TpsTarget.*|TpsRunLogDropping|TpsTokensMismatch"}', at)
    checks.equal("no alert on what is in order", found, [])


def pictures(checks, prometheus, at):
    """The dashboard holds together, and each of its queries has an answer here."""
    board = dashboard.load()
    checks.all("the dashboard's panels", dashboard.faults(board), f"{len(dashboard.panels(board))} of them")
    empty, asked = [], dashboard.expressions(board)
    for title, legend, expression in asked:
        answer = prometheus.query(dashboard.filled(expression, "proxy", SECONDS), at)
        if not answer:
            empty.append(f"{title}: no answer to {expression}")
        for name in re.findall(r"{{(\w+)}}", legend):
            if not all(name in labels for labels, _ in answer):
                empty.append(f"{title}: no {name} for the legend of {expression}")
        if prometheus.query(dashboard.filled(expression, "another", SECONDS), at):
            empty.append(f"{title}: it has an answer for a pool that there is not: {expression}")
    checks.all("each of the dashboard's queries has an answer", empty, f"{len(asked)} of them")
    # Nothing of the slots is left out of their picture or is in it twice.
    [stack] = [panel for panel in dashboard.panels(board) if panel["title"] == "Where the slots go"]
    parts = [target["expr"] for target in stack["targets"] if target["legendFormat"] != "not yet known"]
    answers = [prometheus.query(dashboard.filled(part, "proxy", SECONDS), at) for part in parts]
    parts = sum(value for answer in answers for _, value in answer)
    kinds = ("busy", "gap", "idle")
    whole = " + ".join(f"sum(rate(tps_{kind}_slot_seconds_total[{SECONDS}s]))" for kind in kinds)
    slots = prometheus.value(whole, at)
    told = f"{parts:.6f} of {slots:.6f}"
    checks.that("the picture of the slots has all of them", abs(parts - slots) <= NEAR * slots, told)


def names(checks, exposed):
    """The rules, alerts and the dashboard ask for nothing that a proxy does not have."""
    known = set(re.findall(r"^# TYPE (\S+)", exposed, re.M))
    known |= {name + "_bucket" for name in known}
    # It comes with the first retry, and the proxy retries nothing.
    known.add("tps_retries_total")
    for path in (os.path.join(SHIPPED, "rules.yml"), os.path.join(SHIPPED, "alerts.yml"), dashboard.SHIPPED):
        with open(path, encoding="utf-8") as file:
            text = "".join(line for line in file if not line.lstrip().startswith(("#", "- name:")))
        asked = set(re.findall(r"(?<![\w:])(?:tps|gen_ai)_\w+", text))
        checks.equal(f"{os.path.basename(path)} asks for metrics that there are", asked - known, set())


main()
