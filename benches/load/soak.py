"""A soak of `tps proxy`: calls of all kinds, with faults at both ends, for a while.

    soak.py TPS LOAD DIRECTORY [MINUTES]

Samples the proxy's memory and descriptors, and prints how they went; exits 1 if memory grows,
a descriptor is lost, a byte is wrong, or a request has no record.
"""

import statistics
import sys
import time
from pathlib import Path

from parts import Clients, Engine, Proxy, log_of, machine, raise_descriptors

#: Callers at once, and the slots that they share; one in so many is refused.
CALLERS, CAP, QUEUE = 300, 120, 100
RATE = 10
#: Seconds from one sample to the next, and those before memory has to be flat.
EVERY, SETTLING = 10, 300
#: What memory may gain in an hour after that, as a share of what it was.
FLAT = 0.05


def slope(samples):
    """The median of the slopes of all pairs (Theil and Sen): one peak does not move it."""
    slopes = [
        (later - earlier) / (at_later - at_earlier)
        for index, (at_earlier, earlier) in enumerate(samples)
        for at_later, later in samples[index + 1 :]
    ]
    return statistics.median(slopes) if slopes else 0.0


def main(tps, load, directory, minutes="30"):
    seconds = float(minutes) * 60
    settling = min(SETTLING, seconds / 3)
    log = Path(directory) / "soak.jsonl"
    log.unlink(missing_ok=True)
    raise_descriptors(4_000)
    print(machine())
    limits = ("--cap", CAP, "--max-queue", QUEUE, "--queue-timeout", "2s")
    with Engine(load, RATE) as engine, Proxy(tps, engine, log, *limits) as proxy:
        before = proxy.descriptors()
        started, samples = time.monotonic(), []
        options = {"callers": CALLERS, "rate": RATE, "seconds": int(seconds), "seed": 6}
        with Clients(load, "mixed", proxy.address, **options) as clients:
            while (at := time.monotonic() - started) < seconds:
                samples.append((at, proxy.status("VmRSS"), proxy.descriptors()))
                in_flight, queued = proxy.counts()
                print(
                    f"{at:6.0f} s: RSS {samples[-1][1]:,} KiB, {samples[-1][2]} descriptors, "
                    f"{in_flight} in flight, {queued} queued",
                    flush=True,
                )
                time.sleep(EVERY)
            outcomes = clients.result()
        zero = proxy.zero_after(time.monotonic())
        time.sleep(2)
        after, most, answered = proxy.descriptors(), engine.counts()["most"], engine.counts()["answered"]
        code, _, said = proxy.stop()
    records, end = log_of(log)
    steady = [(at, memory) for at, memory, _ in samples if at >= settling]
    typical = statistics.median(memory for _, memory in steady)
    gained = slope(steady) * 3600 / typical
    calls = sum(outcomes.values())
    print(f"{calls:,} calls: " + ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items())))
    print(f"{sum(records.values()):,} records: " + ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(records.items())))
    failed = 0
    for what, measured, target, met in [
        ("wrong bytes or answers", f"{outcomes.get('wrong', 0)}", "0", not outcomes.get("wrong")),
        (
            f"RSS an hour, after {settling:.0f} s",
            f"{gained:+.1%} of {typical:,.0f} KiB",
            f"<= {FLAT:+.0%}",
            gained <= FLAT,
        ),
        ("RSS at most", f"{max(memory for _, memory in steady):,} KiB", "", True),
        ("descriptors before and after", f"{before}, {after}", "+ 2 at most", after <= before + 2),
        ("most at the engine", f"{most} of {answered:,} answered", "", True),
        ("counts back to zero", f"after {zero} s", "yes", zero is not None),
        ("arrivals with a record", f"{sum(records.values()):,} of {end and end['requests']}", "all", end and sum(records.values()) == end["requests"]),
        ("exit code, log's end line", f"{code}, {end and end['dropped_records']} dropped", "0, 0", code == 0 and end and end["dropped_records"] == 0),
    ]:
        failed += not met
        print(f"{what:<34} {measured:>34}  {target:<14} {'' if not target else 'ok' if met else 'MISSED'}")
    if failed:
        raise SystemExit(f"{failed} figures are missed\n{said}")


if __name__ == "__main__":
    main(*sys.argv[1:])
