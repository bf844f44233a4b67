"""Writes a run log of N requests to stdout, as `tps proxy` would have: python3 generate.py N.

A queue that never empties before 64 slots, streams of 16 to 400 tokens. The same N gives the same
log. Requests are in the order of their ends; a sample every ten seconds; an end.
"""

import heapq
import random
import sys

CAP = 64
START = 1_770_000_000_000_000_000
RUN = "bench"


def main(requests):
    random.seed(7)
    out, ended = sys.stdout, []
    instant = Instants()
    out.write(
        f'{{"type":"run","run_id":"{RUN}","version":"0.1.0","started_at":"{instant(START)}","pool":"proxy",'
        f'"cap":{CAP},"tokenizer":"events","sample_interval":10.000000000,"labels":{{}}}}\n'
    )
    slots = [START + number for number in range(CAP)]
    next_sample = START
    for number in range(requests):
        # Whoever comes next takes the slot that is free first, as a line without end would.
        admitted = heapq.heappop(slots) + 1_000
        queued = admitted - random.randrange(1_000_000, 900_000_000) if number >= CAP else admitted
        queued = max(queued, START)
        tokens = random.randrange(16, 400)
        headers = admitted + random.randrange(200_000, 2_000_000)
        first = headers + random.randrange(5_000_000, 90_000_000)
        last = first + (tokens - 1) * random.randrange(8_000_000, 12_000_000)
        released = last + random.randrange(20_000, 200_000)
        heapq.heappush(slots, released)
        heapq.heappush(ended, (released, number, queued, admitted, headers, first, last, tokens))
        while ended and ended[0][0] <= admitted:
            next_sample = line(out, instant, heapq.heappop(ended), next_sample)
    while ended:
        last_end = ended[0][0]
        next_sample = line(out, instant, heapq.heappop(ended), next_sample)
    out.write(f'{{"type":"end","run_id":"{RUN}","pool":"proxy","at":"{instant(last_end)}","dropped_records":0}}\n')


def line(out, instant, request, next_sample):
    released, number, queued, admitted, headers, first, last, tokens = request
    while next_sample <= released:
        out.write(
            f'{{"type":"sample","run_id":"{RUN}","pool":"proxy","at":"{instant(next_sample)}","cap":{CAP}}}\n'
        )
        next_sample += 10_000_000_000
    stream, held = last - first, released - admitted
    stall = stream // 100
    out.write(
        f'{{"type":"request","run_id":"{RUN}","span_id":"{number:016x}","request_id":"{number * 7919:016x}",'
        f'"pool":"proxy","status":200,"outcome":"completed","phase":"done","queued_at":"{instant(queued)}",'
        f'"admitted_at":"{instant(admitted)}","headers_at":"{instant(headers)}","first_chunk_at":"{instant(headers)}",'
        f'"first_token_at":"{instant(first)}","last_token_at":"{instant(last)}","released_at":"{instant(released)}",'
        f'"format":"openai-chat","streamed":true,"model":"model-{number % 3}","finish_reason":"length",'
        f'"output_tokens":{tokens},"token_source":"usage","usage_output_tokens":{tokens},"input_tokens":{tokens + 31},'
        f'"tokenizer":"events","content_events":{tokens},"skipped_events":0,"attempt":1,"retry_count":0,'
        f'"response_bytes":{tokens * 240},"t_queue":{seconds(admitted - queued)},'
        f'"t_first_token":{seconds(first - admitted)},"t_stream":{seconds(stream)},"t_in_flight":{seconds(held)},'
        f'"t_total":{seconds(released - queued)},"ttft":{seconds(first - queued)},"max_token_gap":0.012000000,'
        f'"dispatch":{seconds(headers - admitted)},"backoff":0.000000000,"prefill":{seconds(first - headers)},'
        f'"generate":{seconds(stream - stall)},"stall":{seconds(stall)},"drain":{seconds(released - last)},'
        f'"first_chunk_tokens":1,"burst":{1 / tokens},"stream_tps":{tokens * 1e9 / stream},'
        f'"decode_tps":{(tokens - 1) * 1e9 / stream},"time_per_output_token":{stream / 1e9 / (tokens - 1)},'
        f'"end_to_end_tps":{tokens * 1e9 / held},"cap":{CAP},"in_flight":{CAP},"queue_depth":9}}\n'
    )
    return next_sample


def seconds(nanos):
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09d}"


class Instants:
    """RFC 3339 with nine decimals; the second is formatted once."""

    def __init__(self):
        self._seconds = {}

    def __call__(self, nanos):
        second, part = divmod(nanos, 1_000_000_000)
        text = self._seconds.get(second)
        if text is None:
            import datetime

            text = datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
            if len(self._seconds) > 100_000:
                self._seconds.clear()
            self._seconds[second] = text
        return f"{text}.{part:09d}Z"


if __name__ == "__main__":
    main(int(sys.argv[1]))
