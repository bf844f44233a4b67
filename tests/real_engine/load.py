"""The load: the `openai` package as its users run it, all requests at once."""

import concurrent.futures
import dataclasses
import threading

import openai

STREAMS = 12
DOCUMENTS = 4
MAX_TOKENS = 64
# Two that the model ends by itself, at its end-of-text token; the others are cut off at `MAX_TOKENS`.
ENDING = {0: "Name the colours of the rainbow.", STREAMS: "Hi"}
TOPICS = (
    "rivers", "bridges", "bread", "clocks", "maps", "volcanoes", "trains", "glass",
    "honey", "windmills", "tides", "violins", "paper", "salt", "lanterns", "compasses",
)  # fmt: skip


@dataclasses.dataclass
class Answer:
    """What the caller saw of one request."""

    request_id: str
    streamed: bool
    output_tokens: int
    input_tokens: int
    finish_reason: str
    # llama.cpp's own: `predicted_n`, `predicted_ms`, `predicted_per_second`, and the same of the prompt.
    timings: dict
    body_bytes: int


def drive(url):
    """Sends all of them at once; the answers in the order of their numbers."""
    with openai.OpenAI(base_url=url + "/v1", api_key="none", timeout=120, max_retries=0) as client:
        start = threading.Barrier(STREAMS + DOCUMENTS)
        with concurrent.futures.ThreadPoolExecutor(STREAMS + DOCUMENTS) as threads:
            answers = [threads.submit(ask, client, start, number) for number in range(STREAMS + DOCUMENTS)]
            return [answer.result() for answer in answers]


def ask(client, start, number):
    streamed = number < STREAMS
    request_id = f"stream-{number:02}" if streamed else f"document-{number - STREAMS:02}"
    prompt = ENDING.get(number, f"Write a long story about {TOPICS[number]}.")
    arguments = {
        "model": "smollm2",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "seed": 7,
        "max_tokens": MAX_TOKENS,
        "extra_headers": {"x-request-id": request_id},
    }
    start.wait(timeout=60)
    return (stream if streamed else document)(client, request_id, arguments)


def stream(client, request_id, arguments):
    finish_reason = usage = timings = None
    with client.chat.completions.create(
        stream=True, stream_options={"include_usage": True}, **arguments
    ) as events:
        for event in events:
            if event.choices and event.choices[0].finish_reason:
                finish_reason = event.choices[0].finish_reason
            usage = event.usage or usage
            # Not OpenAI's: the package keeps what it does not know.
            timings = (event.model_extra or {}).get("timings", timings)
        size = events.response.num_bytes_downloaded
    return answer(request_id, True, usage, finish_reason, timings, size)


def document(client, request_id, arguments):
    raw = client.chat.completions.with_raw_response.create(**arguments)
    completion = raw.parse()
    timings = completion.model_extra["timings"]
    size = raw.http_response.num_bytes_downloaded
    return answer(request_id, False, completion.usage, completion.choices[0].finish_reason, timings, size)


def answer(request_id, streamed, usage, finish_reason, timings, size):
    return Answer(
        request_id, streamed, usage.completion_tokens, usage.prompt_tokens, finish_reason, timings, size
    )
