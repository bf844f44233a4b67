"""What Prometheus says of two `tps proxy` under load, held against their run logs: they must say the same.

Both proxies are replicas of one pool, each with more callers than slots. The gaps are real ones: the cap is raised
with many waiting, and the proxy's process is stopped for a moment while it hands the slots out.
"""

import dataclasses
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
from run_log import PHASES, SECOND, TOTALS, RunLog, add, instant

SECONDS = 20
CALLERS = 140
CAPS = {"a": (4, 60), "b": (8, 80)}
# What a gap must come to, to be told from none.
GAP = 1.0
# Digits that a sum of binary fractions may lose.
NEAR = 1e-6
# By the counters' names, without what they all begin and end with.
TIMES = {
    "backlog": "backlog_time", "gap": "gap_time", "cap_slot": "cap_slot_time", "gap_slot": "gap_slot_time",
    "lost_slot": "lost_slot_time", "idle_slot": "idle_slot_time",
}  # fmt: skip


# These rise as long as the proxy is there.
STILL_RUNNING = ("cap_slot", "idle_slot")
CAUSES = ("wakeup", "backoff", "orchestration")


@dataclasses.dataclass
class Replica:
    """One proxy after its end."""

    name: str
    instance: str
    log: RunLog
    # What `tps report` says of it.
    run: dict

    @property
    def here(self):
        return f'{{instance="{self.instance}"}}'

    def where(self, label, value, operator="="):
        return f'{{instance="{self.instance}", {label}{operator}"{value}"}}'


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
                replica = Replica(name, target, read(proxies[name].log), runs[name])
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
    """Callers for as long as the run lasts, and gaps in it."""
    program = [sys.executable, os.path.join(HERE, "load.py")]
    ports = [one.url.rpartition(":")[2] for one in proxies]
    callers = [subprocess.Popen([*program, port, str(CALLERS), str(SECONDS)]) for port in ports]
    deadline = time.monotonic() + SECONDS - 1
    while time.monotonic() < deadline:
        for one, (low, high) in zip(proxies, CAPS.values()):
            cap(one, high)
            if status(one)["gap_time"] < GAP:
                stop_for_a_moment(one, low, high)
            time.sleep(0.4)
            cap(one, low)
        time.sleep(0.4)
    codes = [one.wait(timeout=60) for one in callers]
    assert codes == [0, 0], f"the callers ended with {codes}"
    while any(status(one)["in_flight"] or status(one)["queue_depth"] for one in proxies):
        time.sleep(0.05)


def stop_for_a_moment(one, low, high):
    """Stops the proxy as soon as it has been told of more slots, and with some luck before all are taken."""
    cap(one, low)
    time.sleep(0.4)
    cap(one, high)
    one.child.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    one.child.send_signal(signal.SIGCONT)


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


def over_the_run(checks, prometheus, at, replica):
    """The totals of one replica's whole run: Prometheus, its log, and what `tps report` makes of it."""
    run, end, here = replica.run, replica.log.end, replica.here

    def near(what, expression, expected, by=NEAR):
        found = prometheus.value(expression, at)
        told = f"{found:.6f}, the log has {float(expected):.6f}"
        checks.that(f"{replica.name}: {what}", abs(found - float(expected)) <= by, told)

    told = f"{run['gap_time']:.3f} s, {run['gap_fraction']:.1%}"
    checks.that(f"{replica.name}: there is a gap to speak of", run["gap_time"] >= GAP, told)
    # Both divide by the time since the start: Prometheus up to its last scrape.
    fraction = f"sum(tps_gap_seconds_total{here}) / sum(tps_observed_seconds_total{here})"
    near("gap_fraction over the run", fraction, run["gap_fraction"], INTERVAL / run["window_time"])
    # An increase knows nothing of what was before the first scrape.
    scrapes = [when for when, _ in summed(prometheus.samples(f"tps_observed_seconds_total{here}[5m]", at))]
    before, after = integrals(replica.log, "gap_time", [scrapes[0], scrapes[-1]])
    window = scrapes[-1] - scrapes[0]
    fraction = " / ".join(f"sum(increase(tps_{counter}_seconds_total{here}[5m]))" for counter in ("gap", "observed"))
    near("gap_fraction between the scrapes", fraction, (after - before) / window, INTERVAL / window)

    for counter, total in TIMES.items():
        if counter not in STILL_RUNNING:
            near(total, f"sum(tps_{counter}_seconds_total{here})", end[total])
    for cause in CAUSES:
        near(f"gap_time by {cause}", f"sum(tps_gap_seconds_total{replica.where('cause', cause)})", end[f"gap_time_{cause}"])
    near("busy_slot_time", f"sum(tps_busy_slot_seconds_total{here})", end["busy_slot_time"])
    for phase in PHASES:
        busy = f"sum(tps_busy_slot_seconds_total{replica.where('phase', phase)})"
        near(f"busy_slot_time in {phase}", busy, end[f"busy_slot_time_{phase}"])
    used = " + ".join(f"sum(tps_{kind}_slot_seconds_total{here})" for kind in ("busy", "gap", "idle"))
    near("what the ledger has above the cap", f"{used} - sum(tps_cap_slot_seconds_total{here})", end["over_slot_time"])


def counts(checks, prometheus, at, replica):
    """Its requests and tokens, which are whole numbers."""
    name, run = replica.name, replica.run
    found = {}
    for labels, count in prometheus.query(f"sum by (outcome, phase) (tps_requests_total{replica.here})", at):
        found.setdefault(labels["outcome"], {})[labels["phase"]] = int(count)
    checks.equal(f"{name}: requests by outcome and phase", found, run["outcomes_by_phase"])
    checks.that(f"{name}: requests ended in every way", len(found) == 5, f"{run['outcomes']}")
    for which, operator, expected in [("completed", "=", "output_tokens"), ("others", "!=", "wasted_tokens")]:
        found = by_source(prometheus, at, f"tps_output_tokens_total{replica.where('outcome', 'completed', operator)}")
        checks.equal(f"{name}: output tokens of the {which}, by source", found, sources(run[expected]))
    found = prometheus.value(f"sum(tps_emitted_tokens_total{replica.here})", at)
    checks.equal(f"{name}: tokens as they passed", found, run["emitted_tokens"])


def while_it_ran(checks, prometheus, at, replica):
    """Every scrape, also in the middle of a gap, against the log's integrals up to its instant."""
    for counter, total in TIMES.items():
        samples = summed(prometheus.samples(f"tps_{counter}_seconds_total{replica.here}[5m]", at))
        told = integrals(replica.log, total, [when for when, _ in samples])
        worst = max(abs(value - log_has) for (_, value), log_has in zip(samples, told))
        # What one interval can bring: a scrape that takes longer is given up.
        most = INTERVAL * (max(CAPS[replica.name]) if "slot" in counter else 1)
        what = f"{replica.name}: {total} at each of {len(samples)} scrapes"
        checks.that(what, worst <= most and len(samples) > SECONDS / 2, f"off by at most {worst:.4f}")


def summed(series):
    """The samples of several series as those of one: they come from the same scrapes."""
    total = {}
    for _, samples in series:
        for when, value in samples:
            total[when] = total.get(when, 0) + value
    return sorted(total.items())


def integrals(log, total, instants):
    """The log's total at each of these instants, in seconds."""
    totals = dict.fromkeys(TOTALS, 0)
    counts = {"cap": log.run["cap"], "in_flight": 0, "waiting": 0, "backlog": 0, "backoff": 0}
    epoch, now = instant("1970-01-01T00:00:00.000000000Z"), instant(log.run["started_at"])
    looks = [(epoch + int(when * 1000) * SECOND // 1000, "look", 0) for when in instants]
    for at, name, by in sorted([*log.events(), *looks], key=lambda event: event[0]):
        at = max(at, now)
        add(totals, counts, at - now)
        now = at
        if name == "look":
            yield totals[total] / SECOND
        else:
            counts[name] += by


def by_source(prometheus, at, selector):
    answer = prometheus.query(f"sum by (source) ({selector})", at)
    return {labels["source"]: int(tokens) for labels, tokens in answer if tokens}


def sources(tokens):
    """A report names the tokenizer beside its source, a metric does not."""
    found = {}
    for source, count in tokens.items():
        found[source.split()[0]] = found.get(source.split()[0], 0) + count
    return {source: count for source, count in found.items() if count}


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
    checks.equal("both: they are one pool", prometheus.query("count by (pool) (tps_cap)", at), [({"pool": "proxy"}, 2.0)])


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
    parts = sum(prometheus.value(dashboard.filled(part, "proxy", SECONDS), at) for part in parts)
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
    asked_by = {}
    for name in ("rules.yml", "alerts.yml"):
        with open(os.path.join(SHIPPED, name), encoding="utf-8") as file:
            asked_by[name] = "".join(line for line in file if not line.lstrip().startswith(("#", "- name:")))
    shown = dashboard.expressions(dashboard.load())
    asked_by["dashboard.json"] = "\n".join(expression for _, _, expression in shown)
    for name, text in asked_by.items():
        asked = set(re.findall(r"(?<![\w:])(?:tps|gen_ai)_\w+", text))
        checks.equal(f"{name} asks for metrics that there are", asked - known, set())


main()
