"""Writes run logs to look at: a pool of eight slots under changing load, in two forms.

    make_log.py before|after FILE

`before` has what costs throughput: tasks that wake up late, declared work that is
submitted late, retries in the slot, slow callers. `after` has less of it.
"""

import heapq
import json
import random
import sys

START = 1_769_850_902  # 2026-01-31T09:15:02Z
CAP = 8
SECONDS = 300.0


def instant(seconds):
    nanos = round(seconds * 1e9)
    second, minute, hour = (START + nanos // 10**9) % 60, (START + nanos // 10**9) // 60 % 60, (START + nanos // 10**9) // 3600 % 24
    return f"2026-01-31T{hour:02}:{minute:02}:{second:02}.{nanos % 10**9:09}Z"


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
        rate = 0.55 if now < 60 else 2.6 if now < 150 else 1.15
        now += rng.expovariate(rate)
        arrivals.append(now)
    free = [(0.0, slot) for slot in range(CAP)]
    heapq.heapify(free)
    for index, queued in enumerate(arrivals):
        released, slot = heapq.heappop(free)
        admitted = max(queued, released)
        if admitted > queued and is_before:
            # The executor is blocked: the slot's task runs late.
            admitted += rng.expovariate(1 / 0.35)
        if admitted - queued > 20:
            heapq.heappush(free, (released, slot))
            write("request", request_id=f"r{index}", attempt=1, outcome="rejected", phase="queued", error_type="queue_timeout", status=503,
                  queued_at=instant(queued), released_at=instant(queued + 20), retry_count=0, response_bytes=90, cap=CAP, in_flight=CAP, queue_depth=3)
            continue
        tokens = int(rng.lognormvariate(5.0, 1.1)) + 1
        dispatch, backoff, retries = 0.02 + rng.expovariate(1 / 0.05), 0.0, []
        if rng.random() < (0.08 if is_before else 0.02):
            backoff = 1.0 + rng.random()
            failed = admitted + dispatch / 2
            retries = [{"cause": "status_429", "failed_at": instant(failed), "resumed_at": instant(failed + backoff)}]
        headers = admitted + dispatch + backoff
        first = headers + 0.12 + rng.expovariate(1 / 0.25)
        stream = tokens / rng.gauss(62, 9)
        stall = stream * (0.18 if is_before and index % 5 == 0 else 0.01)
        last = first + stream
        drain = 0.01 + (0.6 if index % 17 == 0 else 0.0)
        end = last + drain
        outcome, phase, error = "completed", "done", None
        chance = rng.random()
        if chance < 0.02:
            outcome, phase, error = "failed", "streaming", "stream_error"
        elif chance < 0.03:
            outcome, phase = "cancelled", "streaming"
        heapq.heappush(free, (end, slot))
        times = lambda **kw: {key: round(value, 9) for key, value in kw.items()}
        write("request", request_id=f"r{index}", attempt=1, status=200, outcome=outcome, phase=phase, error_type=error, format="openai-chat",
              streamed=True, model="llama-3.3-70b" if index % 3 else "llama-3.3-70b-long", finish_reason="stop" if index % 9 else "length",
              queued_at=instant(queued), admitted_at=instant(admitted), headers_at=instant(headers), first_chunk_at=instant(headers),
              first_token_at=instant(first), last_token_at=instant(last), released_at=instant(end),
              output_tokens=tokens, token_source="usage", usage_output_tokens=tokens, counted_tokens=tokens + index % 2, input_tokens=400 + index % 90,
              tokenizer="o200k_base", first_chunk_tokens=1, burst=1 / tokens, retry_count=len(retries),
              retries=retries or None, retry_causes=[retry["cause"] for retry in retries] or None, max_token_gap=0.03 + rng.random() * 0.2,
              **times(dispatch=dispatch, backoff=backoff, prefill=first - headers, generate=stream - stall, stall=stall, drain=drain),
              cap=CAP, in_flight=CAP - 1, queue_depth=0, response_bytes=tokens * 200)
    if is_before:
        # A batch whose next prompts are declared and come late.
        for at, left in [(205, 6), (214, 0), (225, 9), (238, 0)]:
            write("backlog", at=instant(at), **{"from": 0 if left else 6 if at == 214 else 9, "to": left})
    end = max(SECONDS, max(time for time, _ in free) + 1)
    write("end", at=instant(end), cap=CAP, in_flight=0, queue_depth=0, dropped_records=0)
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


main(*sys.argv[1:])
