"""The README's SQL, and `tps report`, against the `end` lines of run logs, and against another reader of the same lines."""

import collections
import decimal
import json
import os
import subprocess
import sys

import duckdb

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "real_engine"))
import logs
from checks import Checks
from run_log import SECOND, RunLog, instant, nanos

try:
    import chdb
except ImportError:
    chdb = None

HERE = os.path.dirname(os.path.abspath(__file__))
# DuckDB's quotients are binary fractions, ClickHouse's have nine decimals.
NEAR = decimal.Decimal("1e-9")


def main():
    directory = sys.argv[1]
    checks = Checks()
    queries = {"DuckDB": (text("duckdb.sql"), by_duckdb), "ClickHouse": (text("clickhouse.sql"), by_clickhouse)}
    readme = text("../../README.md")
    for engine, (query, _) in queries.items():
        checks.that(f"{engine}'s text is in the README", f"\n```sql\n{query}```\n" in readme)
    if chdb is None:
        print("skipped: chdb-core could not be installed, so the SQL for ClickHouse was not tested")
        del queries["ClickHouse"]

    # The program continues a file that exists.
    path = os.path.join(directory, "real.jsonl")
    if os.path.exists(path):
        os.remove(path)
    three, killed = logs.real(path)
    show(checks, three)
    random = logs.random_log(seed=7, runs=300)
    samples = {"three runs": three, "a killed run last": killed, "random runs": random}
    parts = {"random runs, of several pools in parts": logs.in_parts(random)}
    for name, log in (samples | parts).items():
        runs = by_run(random if name in parts else log)
        path = os.path.join(directory, name.replace(" ", "-") + ".jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(log)
        for engine, (query, answer) in queries.items():
            assert query.count("'run.jsonl'") == 1
            rows = answer(query.replace("'run.jsonl'", f"'{path}'"))
            compare(checks, f"{engine}, {name}", rows, runs)
        compare(checks, f"tps report, {name}", by_report(path), runs, has_unknown=False)
    checks.close()


def text(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def by_duckdb(query):
    answer = duckdb.sql(query)
    return [dict(zip(answer.columns, row)) for row in answer.fetchall()]


def by_clickhouse(query):
    answer = str(chdb.query(query, "JSONEachRow"))
    return [json.loads(line, parse_float=decimal.Decimal) for line in answer.splitlines() if line]


def by_report(path):
    answer = subprocess.run([os.environ["TPS_BIN"], "report", "--json", path], stdout=subprocess.PIPE, check=True)
    rows = []
    for run in json.loads(answer.stdout, parse_float=decimal.Decimal)["runs"]:
        row = {name: run[name] for name in ("run_id", "pool", "window_time", "gap_time", "gap_fraction")}
        row["window_time"] = row["window_time"] or None
        for source, rate in (run["system_tps_by_source"] or {None: None}).items():
            rows.append(row | {"token_source": source, "system_tps": rate})
    return rows


def by_run(log):
    """The whole lines of known types of each run and pool."""
    runs = collections.defaultdict(list)
    for line in log.splitlines():
        try:
            parsed = json.loads(line, parse_float=decimal.Decimal)
        except ValueError:
            continue  # Torn.
        if parsed["type"] in ("run", "request", "cap", "backlog", "backoff", "sample", "end"):
            runs[parsed["run_id"], parsed["pool"]].append((line, parsed))
    return runs


def expected(lines):
    """The window and the gap in nanoseconds, and the tokens of completed requests by their source."""
    parsed = [line for _, line in lines]
    texts = [line for line, _ in lines]
    # Instants with nine decimals in UTC sort as text does.
    last = max(line[name] for line in parsed for name in ("started_at", "at", "released_at") if line.get(name))
    if parsed[-1]["type"] != "end":
        texts.append(json.dumps({"type": "end", "at": last}))
    log = RunLog("\n".join(texts))
    window = instant(log.end["at"]) - instant(log.run["started_at"])
    gap = log.totals()["gap_time"]
    if "gap_time" in log.end and nanos(log.end["gap_time"]) != gap:
        raise ValueError(f"the end line has a gap of {log.end['gap_time']}, the other lines of {gap} ns")
    tokens = collections.defaultdict(list)
    for line in log.requests:
        if line["outcome"] == "completed":
            tokens[line.get("token_source")].append(line.get("output_tokens"))
    return window, gap, {source: sum(counts) if source else None for source, counts in tokens.items()} or {None: None}


def compare(checks, name, rows, runs, has_unknown=True):
    """`has_unknown`: whether there is a row for completed requests whose tokens are unknown."""
    found = collections.defaultdict(list)
    for row in rows:
        found[row["run_id"], row["pool"]].append(row)
    checks.equal(f"{name}: a row or more for each run and pool", set(found), set(runs))
    gaps, rates, ended = [], [], 0
    for key, lines in runs.items():
        window, gap, tokens = expected(lines)
        if not has_unknown:
            tokens = {source: count for source, count in tokens.items() if source} or {None: None}
        ended += lines[-1][1]["type"] == "end"
        for row in found[key]:
            times = [row["window_time"], row["gap_time"]]
            if [None if time is None else time * SECOND for time in times] != [window or None, gap]:
                gaps.append(f"{key}: {times}, expected {window} and {gap} ns")
            if not near(row["gap_fraction"], quotient(gap, window)):
                gaps.append(f"{key}: gap_fraction {row['gap_fraction']}, expected {gap} / {window}")
            if not near(row["system_tps"], quotient(tokens.get(row["token_source"]), window, SECOND)):
                rates.append(f"{key}: {row}, expected {tokens} tokens in {window} ns")
        if sorted(str(row["token_source"]) for row in found[key]) != sorted(map(str, tokens)):
            rates.append(f"{key}: {found[key]}, expected a row for each of {list(tokens)}")
    detail = f"{len(runs)} runs, {ended} of them with an end line"
    checks.all(f"{name}: window_time and gap_time to the nanosecond, and gap_fraction", gaps, detail)
    checks.all(f"{name}: system_tps by source", rates, f"{len(rows)} rows")


def quotient(value, window, unit=1):
    return None if value is None or not window else decimal.Decimal(value * unit) / window


def near(found, value):
    if found is None or value is None:
        return found is value
    return abs(decimal.Decimal(found) - value) <= NEAR * max(1, abs(value))


def show(checks, log):
    """Says what the program's own runs had in them, and that nothing was missing."""
    lines = [parsed for run in by_run(log).values() for _, parsed in run]
    requests = [line for line in lines if line["type"] == "request"]
    outcomes = collections.Counter(line["outcome"] for line in requests)
    sources = collections.Counter(line.get("token_source") for line in requests if line["outcome"] == "completed")
    waited = sum(line["outcome"] == "cancelled" and line.get("admitted_at") is None for line in requests)
    caps = sum(line["type"] == "cap" for line in lines)
    gaps = [f"{line['gap_time']} s" for line in lines if line["type"] == "end"]
    ends = len(gaps)
    checks.that(
        "the real runs have all kinds of ends, of which one run has none, two sources, and caps that move",
        {"completed", "cancelled", "failed", "rejected"} <= set(outcomes)
        and waited and caps >= 3 and {"usage", "events"} <= set(sources) and ends == 2,
        f"{dict(outcomes)}, {waited} cancelled in the queue, {caps} moves of the cap, {dict(sources)}, gaps {gaps}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
