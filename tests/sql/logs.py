"""Run logs: of the real program under load, and made up at random."""

import concurrent.futures
import datetime
import http.client
import json
import random
import time
import urllib.parse

from net import send
from proxy import Proxy
from run_log import SECOND, RunLog

CALLERS = 48
# How one caller in six behaves; the last two leave early.
WAYS = ("usage", "events", "document", "failed", "leaves the stream", "leaves the queue")


def real(path):
    """Three runs in one file, of which the second is killed while it writes; the file as it is then is given too."""
    with run(path, 2) as proxy:
        drive(proxy, caps=(5, 1, 3))
        assert proxy.stop() == 0, "the first run did not end in good order"
    with run(path, 3) as proxy, concurrent.futures.ThreadPoolExecutor(1) as thread:
        load = thread.submit(drive, proxy, caps=(1,))
        time.sleep(1.0)
        proxy.child.kill()
        load.result()
    with open(path, encoding="utf-8") as file:
        killed = file.read()
    # What a kill can leave of the line under way.
    killed += next(line for line in killed.splitlines() if '"request"' in line)[:300]
    with open(path, "w", encoding="utf-8") as file:
        file.write(killed)
    with run(path, 4) as proxy:
        drive(proxy, caps=())
        assert proxy.stop() == 0, "the third run did not end in good order"
    with open(path, encoding="utf-8") as file:
        return file.read(), killed


def run(path, cap):
    return Proxy("sim", cap, path, path + ".stderr", options=("--queue-timeout", "600ms"), continued=True)


def drive(proxy, caps):
    """Many callers at once, and the cap moved under them."""
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:
        asked = [callers.submit(ask, proxy.url + "/v1/chat/completions", number) for number in range(CALLERS)]
        for cap in caps:
            time.sleep(0.2)
            send(proxy.admin + "/cap", "PUT", json.dumps({"cap": cap}).encode())
        for answer in asked:
            answer.result()


def ask(url, number):
    way = WAYS[number % len(WAYS)]
    body = {"messages": [{"role": "user", "content": f"{number}"}], "max_tokens": 10, "stream": way != "document"}
    if way == "usage":
        body["stream_options"] = {"include_usage": True}
    headers = {"x-sim-fault": "status=500"} if way == "failed" else {}
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("POST", parts.path, json.dumps(body), headers)
        if way == "leaves the queue":
            time.sleep(0.15)
        elif way == "leaves the stream":
            connection.getresponse().read(1)
        else:
            connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass  # The proxy was killed.
    finally:
        connection.close()


def random_log(seed, runs):
    """Runs with everything in them that a log may have, many steps at one instant, and lines in no order."""
    rng = random.Random(seed)
    lines = [text for number in range(runs) for pool in ("a", "b") for text in random_run(rng, f"run-{number}", pool)]
    # A run of which there is a first line alone, and what a reader must skip.
    lines.append({"type": "run", "run_id": "empty", "pool": "a", "started_at": at(0), "cap": 3})
    lines.append({"type": "unheard-of", "run_id": "run-0", "pool": "a", "at": at(10**12), "from": "x", "to": [1]})
    return "".join(json.dumps(line) + "\n" for line in lines)


def in_parts(log):
    """The same with one first line for all pools of a run, and another where the log was cut, which says how they stood."""
    starts, lines = {}, []
    for line in log.splitlines():
        parsed = json.loads(line)
        if parsed["type"] == "run":
            starts.setdefault(parsed["run_id"], {})[parsed["pool"]] = parsed
        else:
            lines.append(line)
    heads = []
    for run_id, pools in starts.items():
        several = {name: {pool: start[name] for pool, start in pools.items()} for name in ("cap", "started_at")}
        head = {"type": "run", "run_id": run_id, "pool": list(pools), "cap": several["cap"], "started_at": at(-5)}
        head["pool_started_at"] = several["started_at"]
        heads.append(next(iter(pools.values())) if len(pools) == 1 else head)
    cuts = [head | {"part": 2, "at": at(0), "backlog": 7, "backoff": 7} for head in heads]
    middle = len(lines) // 2
    texts = [json.dumps(head) for head in heads] + lines[:middle] + [json.dumps(cut) for cut in cuts] + lines[middle:]
    return "".join(text + "\n" for text in texts)


def random_run(rng, run_id, pool):
    # Few instants and many steps: most fall together with others.
    scale, last = rng.choice([1, 7, 999_999_937]), rng.choice([8, 60])
    key = {"run_id": run_id, "pool": pool, "unheard_of": {"at": 1}}
    start = {"type": "run", **key, "started_at": at(0), "cap": rng.randint(1, 4)}
    lines = []

    def when(first=0):
        return rng.randint(first, last)

    for kind, count in [("cap", start["cap"]), ("backlog", 0), ("backoff", 0)]:
        for instant in sorted(when() for _ in range(rng.choice([0, 0, 5]))):
            to = rng.randint(kind == "cap", 3)
            lines.append({"type": kind, **key, "at": at(scale * instant), "from": count, "to": to})
            count = to
    for _ in range(rng.choice([0, 3, 20])):
        queued = when()
        admitted = rng.choice([None, queued, when(queued)])
        released = when(queued if admitted is None else admitted)
        line = {"type": "request", **key, "queued_at": at(scale * queued), "released_at": at(scale * released)}
        line |= {"outcome": rng.choice(["completed", "cancelled"]), "cap": 99}
        if admitted is not None or rng.random() < 0.5:
            line["admitted_at"] = admitted if admitted is None else at(scale * admitted)
        if rng.random() < 0.8:
            line |= {"output_tokens": rng.randint(1, 500), "token_source": rng.choice(["usage", "events"])}
        lines.append(line)
    rng.shuffle(lines)
    end = {"type": "end", **key, "at": at(scale * last)}
    log = RunLog("\n".join(map(json.dumps, [start, *lines, end])))
    whole, part = divmod(log.totals()["gap_time"], SECOND)
    # Not the figure itself, but what a reader of the line gets to see.
    return [start, *lines, end | {"gap_time": json.loads(f"{whole}.{part:09}")}]


def at(ns):
    """An instant `ns` nanoseconds into a run that starts just before midnight."""
    seconds, nanos = divmod(1_769_903_999 * SECOND + 999_999_990 + ns, SECOND)
    whole = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{nanos:09}Z"
