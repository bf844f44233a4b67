"""Writes run logs to look at: a pool of eight slots under changing load, in two forms.

    make_log.py before|after FILE

`before` has what costs throughput: tasks that wake up late, declared work that is
submitted late, retries in the slot, slow callers. `after` has less of it, and a faster engine.
"""

import heapq
import json
import random
import sys

START = 1_769_850_902  # 2026-01-31T09:15:02Z
NANO = 10**9
CAP = 8
SECONDS = 300


def instant(nanos):
    second = START + nanos // NANO
    return f"2026-01-31T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{nanos % NANO:09}Z"


def seconds(nanos):
    return float(f"{nanos // NANO}.{nanos % NANO:09}")


def nanos(time):
    return round(time * NANO)


def main(form, path):
    rng = random.Random(7)
    is_before = form == "before"
    lines = []
    common = {"run_id": f"nightly-{form}", "pool": "llama-70b"}

    def write(kind, **fields):
        lines.append({"type": kind, **common, **{key: value for key, value in fields.items() if value is not None}})

    write("run", version="0.1.0", started_at=instant(0), cap=CAP, tokenizer="o200k_base", labels={"host": "gpu-7", "build": form})

    # Arrivals: quiet, then a rush, then steady.
    arrivals, now = [], 0.0
    while now < SECONDS - 25:
        now += rng.expovariate(0.9 if now < 40 else 2.6 if now < 150 else 2.1)
        arrivals.append(nanos(now))
    free = [(0, slot) for slot in range(CAP)]
    heapq.heapify(free)
    for index, queued in enumerate(arrivals):
        released, slot = heapq.heappop(free)
        admitted = max(queued, released)
        common_fields = {"request_id": f"r{index}", "attempt": 1, "cap": CAP, "response_bytes": 90}
        if admitted - queued > 20 * NANO:
            heapq.heappush(free, (released, slot))
            write("request", **common_fields, outcome="rejected", phase="queued", error_type="queue_timeout", status=503,
                  queued_at=instant(queued), released_at=instant(queued + 20 * NANO))
            continue
        if admitted > queued and is_before:
            # The executor is blocked: the slot's task runs late.
            admitted += nanos(rng.expovariate(1 / 0.7))
        tokens = int(rng.lognormvariate(5.1, 0.9)) + 1
        dispatch, backoff, retries = nanos(0.02 + rng.expovariate(1 / 0.05)), 0, None
        if rng.random() < (0.08 if is_before else 0.02):
            backoff = nanos(1.0 + rng.random())
            failed = admitted + dispatch // 2
            retries = [{"cause": "status_429", "failed_at": instant(failed), "resumed_at": instant(failed + backoff)}]
        headers = admitted + dispatch + backoff
        first = headers + nanos(0.12 + rng.expovariate(1 / 0.25))
        stream = nanos(tokens / max(20.0, rng.gauss(62 if is_before else 84, 9)))
        stall = stream * (40 if is_before and index % 5 == 0 else 1) // 100
        last = first + stream
        drain = nanos(0.01 + (0.6 if index % 17 == 0 else 0.0))
        end = last + drain
        chance, outcome, phase, error = rng.random(), "completed", "done", None
        if chance < 0.02:
            outcome, phase, error = "failed", "streaming", "stream_error"
        elif chance < 0.03:
            outcome, phase = "cancelled", "streaming"
        heapq.heappush(free, (end, slot))
        write("request", **common_fields, status=200, outcome=outcome, phase=phase, error_type=error,
              format="openai-chat", model="llama-3.3-70b" if index % 3 else "llama-3.3-70b-long",
              streamed=True, finish_reason="stop" if index % 9 else "length",
              queued_at=instant(queued), admitted_at=instant(admitted), headers_at=instant(headers),
              first_chunk_at=instant(headers), first_token_at=instant(first), last_token_at=instant(last),
              released_at=instant(end), output_tokens=tokens, token_source="usage", usage_output_tokens=tokens,
              counted_tokens=tokens + index % 2, input_tokens=400 + index % 90, tokenizer="o200k_base",
              first_chunk_tokens=1, burst=1 / tokens, retry_count=len(retries or []), retries=retries,
              max_token_gap=0.03 + rng.random() * 0.2, dispatch=seconds(dispatch), backoff=seconds(backoff),
              prefill=seconds(first - headers), generate=seconds(stream - stall), stall=seconds(stall),
              drain=seconds(drain))
    if is_before:
        # A batch whose next prompts are declared, and come late.
        for at, before, after in [(205, 0, 6), (214, 6, 0), (225, 0, 9), (238, 9, 0)]:
            write("backlog", at=instant(at * NANO), **{"from": before, "to": after})
    end = max(SECONDS * NANO, max(time for time, _ in free) + NANO)
    write("end", at=instant(end), cap=CAP, in_flight=0, queue_depth=0, dropped_records=0)
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


main(*sys.argv[1:])
