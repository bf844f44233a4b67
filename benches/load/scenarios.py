"""The scenarios of many streams at once through `tps proxy`, and the same without it.

    scenarios.py TPS LOAD DIRECTORY [STREAMSxRATE...]

Prints a line for each figure with its target; exits 1 if one is missed.
"""

import sys
import time
from pathlib import Path

from parts import Clients, Engine, Proxy, log_of, machine, raise_descriptors

#: KiB of the proxy's memory for each stream, all in.
MEMORY = 34
#: Seconds after which nothing may be counted of clients that have vanished.
VANISHED = 1.0
#: Seconds in which the streams are opened, and for how long they are then held.
RAMP, HOLD = 8, 15


class Table:
    def __init__(self):
        self.missed = 0

    def row(self, scenario, figure, measured, target="", met=True):
        self.missed += not met
        verdict = "" if not target else "ok" if met else "MISSED"
        print(f"{scenario:<22} {figure:<34} {measured:>34}  {target:<16} {verdict}", flush=True)

    def lags(self, scenario, result):
        lags = result["lag_ms"]
        shown = " / ".join(f"{lags[name] or 0:.1f}" for name in ("p50", "p99", "max"))
        self.row(scenario, "token lag p50 / p99 / max, ms", shown)


def bare(table, load, streams, rate):
    """The clients before the engine itself: what this machine does without a proxy."""
    name = f"{streams:,} at {rate}/s, bare"
    with Engine(load, rate) as engine:
        tokens = rate * (RAMP + HOLD + 60)
        options = {"streams": streams, "rate": rate, "tokens": tokens, "ramp": RAMP, "hold": HOLD}
        with Clients(load, "clients", engine.address, **options) as clients:
            table.lags(name, clients.result())


def held(table, tps, load, directory, streams, rate):
    """All streams at once, and then all clients gone at once."""
    name = f"{streams:,} at {rate}/s"
    with Engine(load, rate) as engine, Proxy(tps, engine, directory / "held.jsonl", "--cap", streams) as proxy:
        before = proxy.status("VmRSS"), proxy.descriptors()
        tokens = rate * (RAMP + HOLD + 60)
        options = {"streams": streams, "rate": rate, "tokens": tokens, "ramp": RAMP, "hold": HOLD}
        with Clients(load, "clients", proxy.address, **options) as clients:
            time.sleep(RAMP + 2)
            cpu, since = proxy.cpu(), time.monotonic()
            time.sleep(HOLD - 4)
            cpu = (proxy.cpu() - cpu) / (time.monotonic() - since)
            result = clients.result()
            counts, at_engine = proxy.counts(), engine.counts()
            memory, peak = proxy.status("VmRSS"), proxy.status("VmHWM")
            clients.kill()
            zero = proxy.zero_after(time.monotonic())
        failed = result["failed"]
        table.row(name, "failed, with every byte verified", f"{failed} {result['failures'] or ''}", "0", failed == 0)
        right = (result["open"], *counts, at_engine["in_flight"]) == (streams, streams, 0, streams)
        shown = f"{result['open']}, {counts[0]}+{counts[1]}, {at_engine['in_flight']}"
        table.row(name, "in flight: clients, proxy, engine", shown, f"{streams}", right)
        each = memory / streams
        shown = f"{each:.1f} ({memory:,}, {before[0]:,} before)"
        table.row(name, "RSS a stream, KiB", shown, f"<= {MEMORY}", each <= MEMORY)
        table.row(name, "RSS a stream at its peak, KiB", f"{peak / streams:.1f}", f"<= {MEMORY}", peak <= MEMORY * streams)
        table.row(name, "processor of the proxy, cores", f"{cpu:.2f}")
        table.lags(name, result)
        shown = "never" if zero is None else f"{zero:.2f}"
        table.row(name, "all vanish: seconds to zero", shown, f"<= {VANISHED:.0f}", zero is not None and zero <= VANISHED)
        time.sleep(1)
        left = proxy.descriptors()
        table.row(name, "descriptors left", f"{left}", f"<= {before[1] + 2}", left <= before[1] + 2)
        stopped(table, name, proxy, directory / "held.jsonl", streams)


def capped(table, tps, load, directory, streams, rate):
    """Twice as many clients as there are slots: in two turns, never more than the cap at the engine."""
    name, cap, tokens = f"{streams:,} at {rate}/s, cap/2", streams // 2, rate * 15
    with Engine(load, rate) as engine, Proxy(tps, engine, directory / "capped.jsonl", "--cap", cap) as proxy:
        options = {"streams": streams, "rate": rate, "tokens": tokens, "ramp": RAMP}
        with Clients(load, "clients", proxy.address, **options) as clients:
            time.sleep(RAMP + 3)
            counts = proxy.counts()
            result = clients.result()
            most = engine.counts()["most"]
        table.row(name, "failed, with every byte verified", f"{result['failed']} {result['failures'] or ''}", "0", result["failed"] == 0)
        table.row(name, "completed", f"{result['completed']:,}", f"{streams:,}", result["completed"] == streams)
        table.row(name, "most at the engine", f"{most:,}", f"<= {cap:,}", most <= cap)
        table.row(name, "in flight and queued", f"{counts[0]} + {counts[1]}", f"{cap} + {streams - cap}", counts == (cap, streams - cap))
        table.lags(name, result)
        stopped(table, name, proxy, directory / "capped.jsonl", streams)


def ended(table, tps, load, directory, streams, rate):
    """SIGTERM with all streams under way."""
    name, log = f"{streams:,} at {rate}/s, SIGTERM", directory / "ended.jsonl"
    with Engine(load, rate) as engine, Proxy(tps, engine, log, "--cap", streams, "--drain-timeout", "2s") as proxy:
        options = {"streams": streams, "rate": rate, "tokens": rate * 600, "ramp": RAMP, "hold": 2}
        with Clients(load, "clients", proxy.address, **options) as clients:
            clients.result()
            stopped(table, name, proxy, log, streams)


def stopped(table, name, proxy, log, streams):
    code, seconds, said = proxy.stop()
    outcomes, end = log_of(log)
    log.unlink()
    table.row(name, "exit code after SIGTERM", f"{code} in {seconds:.1f} s", "0", code == 0)
    if code:
        print(said)
    records = sum(outcomes.values())
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    table.row(name, "records, one for each", shown, f"{streams:,}", records == streams)
    shown = "none" if end is None else f"dropped {end['dropped_records']}, in all {end['requests']}"
    table.row(name, "the log's end line", shown, "dropped 0", end is not None and end["dropped_records"] == 0)


def main(tps, load, directory, *sizes):
    directory = Path(directory)
    raise_descriptors(2 * max((int(size.split("x")[0]) for size in sizes), default=9_800) + 100)
    print(machine())
    table = Table()
    for streams, rate in [map(int, size.split("x")) for size in sizes] or [(9_800, 1), (2_000, 10)]:
        bare(table, load, streams, rate)
        held(table, tps, load, directory, streams, rate)
        capped(table, tps, load, directory, streams, rate)
        ended(table, tps, load, directory, streams, rate)
    if table.missed:
        raise SystemExit(f"{table.missed} figures are missed")


if __name__ == "__main__":
    main(*sys.argv[1:])
