"""Times `tps report`, `wc -l` and one aggregate of DuckDB on the same logs, each the best of three.

    measure.py TPS DIRECTORY [REQUESTS...]

Prints a line for each size, and how the time grows from one to the next.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
AGGREGATE = (
    "import duckdb, sys; duckdb.sql('SET threads = 2'); print(duckdb.sql(f\"SELECT sum(output_tokens) FROM "
    "read_json('{sys.argv[1]}', format = 'newline_delimited', columns = {{type: 'VARCHAR', outcome: 'VARCHAR', "
    "output_tokens: 'BIGINT'}}) WHERE type = 'request' AND outcome = 'completed'\").fetchall())"
)


def main(tps, directory, *sizes):
    before = None
    for requests in [int(size) for size in sizes] or [10_000, 100_000, 1_000_000, 10_000_000]:
        log = Path(directory) / f"{requests}.jsonl"
        if not log.exists():
            with open(log, "w") as out:
                subprocess.run([sys.executable, HERE / "generate.py", str(requests)], stdout=out, check=True)
        report, memory = best([tps, "report", "--json", log])
        lines, _ = best(["wc", "-l", log])
        duckdb, _ = best([sys.executable, "-c", AGGREGATE, log])
        size = log.stat().st_size
        print(
            f"{requests:>10,} requests, {size / 1e6:>8,.0f} MB: tps report {report:7.2f} s ({size / 1e6 / report:4.0f} MB/s), "
            f"{memory / 1e6:6,.0f} MB of memory; wc -l {lines:6.2f} s (x {report / lines:5.1f}); "
            f"DuckDB {duckdb:6.2f} s (x {report / duckdb:4.2f})",
            flush=True,
        )
        if before:
            print(f"{'':>10} {requests // before[0]} times the requests took {report / before[1]:.1f} times as long")
        before = (requests, report)
        if size > 2e9:
            log.unlink()


def best(command):
    """The least time in seconds of three, and the most memory in bytes."""
    times, memory = [], 0
    for _ in range(3):
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{command[0]} ended with {child.returncode}")
        times.append(time.perf_counter() - started)
        memory = max(memory, usage.ru_maxrss * 1024)
    return min(times), memory


if __name__ == "__main__":
    main(*sys.argv[1:])
