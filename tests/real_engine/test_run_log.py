"""Holds the recomputation against a run whose integrals are known by hand. Needs no engine."""

import json

from checks import Checks
from run_log import RunLog, instant, nanos


def at(ns):
    """An instant `ns` nanoseconds into the run, which crosses midnight in its first second."""
    day, time = ("01", "23:59:59") if ns < 10 else ("02", "00:00:00")
    return f"2026-01-{day}T{time}.{999_999_990 + ns if ns < 10 else ns - 10:09}Z"


def request(name, queued, admitted, released, **phases):
    line = {"type": "request", "request_id": name, "queued_at": at(queued), "released_at": at(released)}
    line |= {phase: f"0.{time:09}" for phase, time in phases.items()}
    return line | {"admitted_at": admitted if admitted is None else at(admitted)}


def change(kind, when, before, after):
    return {"type": kind, "at": at(when), "from": before, "to": after}


# Cap 1, then 2. Lines come in the order of their ends, not of their starts.
#
#   a  0..10 in flight
#   b  2 waits, 13 admitted (3 ns of wakeup), 20 released
#   c  4 waits, gives up at 6
#   backlog of 2 from 20 to 24 with the cap at 2: 4 ns of orchestration, 2 slots
#   a request in back-off from 24 to 25, and d in flight meanwhile: 1 slot of backoff
LINES = [
    {"type": "run", "started_at": at(0), "cap": 1},
    request("c", 4, None, 6),
    request("a", 0, 0, 10, dispatch=1, backoff=2, prefill=7),
    change("backlog", 20, 0, 2),
    change("cap", 20, 1, 2),
    request("b", 2, 13, 20, generate=4, stall=2, drain=1),
    change("backlog", 24, 2, 0),
    change("backoff", 24, 0, 1),
    change("backoff", 25, 1, 0),
    {"type": "from the future"},
    request("d", 24, 24, 30, prefill=5, drain=1),
    {"type": "end", "at": at(32)},
]
TOTALS = {
    "backlog_time": 11 + 4 + 1,
    "gap_time": 3 + 4 + 1,
    "gap_time_wakeup": 3,
    "gap_time_orchestration": 4,
    "gap_time_backoff": 1,
    "gap_slot_time": 3 + 8 + 1,
    "lost_slot_time": 3 + 8 + 1,
    "cap_slot_time": 20 + 24,
    "busy_slot_time": 10 + 7 + 6,
    "idle_slot_time": 5 + 4,
    "busy_slot_time_dispatch": 1,
    "busy_slot_time_backoff": 2,
    "busy_slot_time_prefill": 7 + 5,
    "busy_slot_time_generate": 4,
    "busy_slot_time_stall": 2,
    "busy_slot_time_drain": 1 + 1,
}


def main():
    checks = Checks()
    log = RunLog("\n".join(map(json.dumps, LINES)))
    totals = log.totals()
    checks.all(
        "the sweep arrives at the integrals known by hand",
        [f"{name}: {totals[name]}, by hand {by_hand}" for name, by_hand in TOTALS.items() if totals[name] != by_hand],
    )
    checks.equal("a slot handed on within one instant is one slot", log.most_in_flight(), 1)
    both = RunLog("\n".join(map(json.dumps, [*LINES[:-1], request("e", 25, 26, 31), LINES[-1]])))
    checks.equal("two that overlap are two", both.most_in_flight(), 2)
    checks.equal(
        "nanoseconds survive", instant("2026-01-01T00:00:01.000000001Z") - instant("2025-12-31T23:59:59.999999999Z"),
        1_000_000_002,
    )  # fmt: skip
    checks.equal("seconds become nanoseconds", nanos("0.30000000000000004"), 300_000_000)
    checks.close()


if __name__ == "__main__":
    main()
