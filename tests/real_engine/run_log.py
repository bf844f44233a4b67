"""Reads a run log and recomputes its totals, sharing nothing with the crate: integers and Decimals only."""

import datetime
import decimal
import json
import re

SECOND = 1_000_000_000
INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z")

# The instants of a request, in the order in which they must come.
INSTANTS = (
    "queued_at", "admitted_at", "headers_at", "first_chunk_at", "first_token_at", "last_token_at", "released_at"
)  # fmt: skip

# The totals of the `end` line that follow from the other lines.
TOTALS = (
    "backlog_time", "gap_time", "gap_time_wakeup", "gap_time_backoff", "gap_time_orchestration",
    "gap_slot_time", "lost_slot_time", "cap_slot_time", "busy_slot_time", "idle_slot_time",
    "busy_slot_time_dispatch", "busy_slot_time_backoff", "busy_slot_time_prefill", "busy_slot_time_generate",
    "busy_slot_time_stall", "busy_slot_time_drain",
)  # fmt: skip

# What a slot was doing, in a request's line.
PHASES = ("dispatch", "backoff", "prefill", "generate", "stall", "drain")


def instant(text):
    """Nanoseconds since year 1 of an RFC 3339 instant in UTC with nine decimals."""
    match = INSTANT.fullmatch(text)
    if not match:
        raise ValueError(f"not an instant with nine decimals in UTC: {text!r}")
    year, month, day, hour, minute, second, nanos = map(int, match.groups())
    days = datetime.date(year, month, day).toordinal()
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND + nanos


def nanos(seconds):
    """The nearest nanosecond. A log that went through a float has digits beyond; they are no part of the figure."""
    return int((decimal.Decimal(seconds) * SECOND).to_integral_value(decimal.ROUND_HALF_EVEN))


def instants(request):
    """The instants that a request line has, by name, in nanoseconds."""
    return {name: instant(request[name]) for name in INSTANTS if request.get(name) is not None}


class RunLog:
    """The lines of one pool's run log, by type."""

    def __init__(self, text):
        lines = [json.loads(line, parse_float=decimal.Decimal) for line in text.splitlines() if line]
        if not lines or lines[0].get("type") != "run":
            raise ValueError("the first line is no run line")
        self.run = lines[0]
        self.requests = [line for line in lines if line["type"] == "request"]
        self.changes = [line for line in lines if line["type"] in ("cap", "backlog", "backoff")]
        ends = [line for line in lines if line["type"] == "end"]
        if len(ends) != 1 or lines[-1] is not ends[0]:
            raise ValueError(f"{len(ends)} end lines, and the last line is {lines[-1]['type']!r}")
        self.end = ends[0]

    def by_id(self):
        """The request lines by `request_id`, each a list: one request must have one."""
        lines = {}
        for request in self.requests:
            lines.setdefault(request["request_id"], []).append(request)
        return lines

    def events(self):
        """All that changes the pool's counts, in the order of time: `(instant, count, by how much)`."""
        events = []
        for request in self.requests:
            at = instants(request)
            # One that was never admitted waited until it gave its place up.
            events.append((at["queued_at"], "waiting", 1))
            events.append((at.get("admitted_at", at["released_at"]), "waiting", -1))
            if "admitted_at" in at:
                events.append((at["admitted_at"], "in_flight", 1))
                events.append((at["released_at"], "in_flight", -1))
        for change in self.changes:
            events.append((instant(change["at"]), change["type"], change["to"] - change["from"]))
        # Of one instant, what ends comes first: a slot may be handed on within it.
        return sorted(events, key=lambda event: (event[0], event[2]))

    def totals(self):
        """The integrals over the run's window, in nanoseconds, by the names of the `end` line."""
        totals = dict.fromkeys(TOTALS, 0)
        cap = self.run["cap"]
        counts = {"cap": cap, "in_flight": 0, "waiting": 0, "backlog": 0, "backoff": 0}
        now, end = instant(self.run["started_at"]), instant(self.end["at"])
        for at, name, by in [*self.events(), (end, "cap", 0)]:
            if not now <= at <= end:
                raise ValueError(f"an event {at - now} ns after the one before, with {end - at} ns left of the run")
            add(totals, counts, at - now)
            now = at
            counts[name] += by
        for request in self.requests:
            for phase in PHASES:
                totals["busy_slot_time_" + phase] += nanos(request.get(phase, 0))
        return totals

    def most_in_flight(self):
        """The most requests that held a slot at any instant."""
        in_flight = most = 0
        for _, name, by in self.events():
            if name == "in_flight":
                in_flight += by
                most = max(most, in_flight)
        return most


def add(totals, counts, time):
    """Adds an interval in which the counts stood still."""
    cap, busy = counts["cap"], counts["in_flight"]
    free = max(cap - busy, 0)
    depth = counts["waiting"] + counts["backoff"] + counts["backlog"]
    totals["cap_slot_time"] += cap * time
    totals["busy_slot_time"] += busy * time
    if depth == 0:
        totals["idle_slot_time"] += free * time
        return
    totals["backlog_time"] += time
    if free == 0:
        return
    cause = "wakeup" if counts["waiting"] else "backoff" if counts["backoff"] else "orchestration"
    totals["gap_time"] += time
    totals["gap_time_" + cause] += time
    totals["gap_slot_time"] += free * time
    totals["lost_slot_time"] += min(depth, free) * time
