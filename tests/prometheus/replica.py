"""One proxy after its end: what Prometheus says of it, against its run log and the report on it."""

import dataclasses

from prometheus import INTERVAL
from run_log import PHASES, SECOND, TOTALS, RunLog, add, instant

# What a gap must come to, to be told from none.
GAP = 0.5
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
    # The highest cap that it had.
    most: int
    log: RunLog
    # What `tps report` says of it.
    run: dict

    @property
    def here(self):
        return f'{{instance="{self.instance}"}}'

    def where(self, label, value, operator="="):
        return f'{{instance="{self.instance}", {label}{operator}"{value}"}}'


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
        gap = f"sum(tps_gap_seconds_total{replica.where('cause', cause)})"
        near(f"gap_time by {cause}", gap, end[f"gap_time_{cause}"])
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
        most = INTERVAL * (replica.most if "slot" in counter else 1)
        what = f"{replica.name}: {total} at each of {len(samples)} scrapes"
        checks.that(what, worst <= most and len(samples) >= 10, f"off by at most {worst:.4f}")


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
    looks = [(epoch + round(when * 1000) * SECOND // 1000, "look", 0) for when in instants]
    for at, name, by in sorted([*log.events(), *looks], key=lambda event: event[0]):
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
