"""One request in each format that llama.cpp serves, as its users send it: by the provider's own package where there is one.

Each client is a generator, and so a stream that its caller can leave half way:
it yields the text of each event with content, and fills in its `Answer` with
what came beside it. One that is not streamed yields all of it once.
"""

import dataclasses
import http.client
import json
import time
import urllib.parse

import anthropic
import openai

SAME = {"temperature": 0, "seed": 7}
TOOL = {"name": "get_weather", "description": "Tells the weather."}


@dataclasses.dataclass
class Ask:
    """What is asked of the engine, in no format yet."""

    request_id: str
    format: str
    prompt: str
    streamed: bool = True
    max_tokens: int = 24
    # `text`, `thinking` or `tool`: what the model is brought to generate.
    kind: str = "text"
    # Whether a chat stream asks for its usage; the other formats give theirs unasked.
    usage: bool = True
    # What a tool's city may be, in the words of JSON Schema.
    city: dict = dataclasses.field(default_factory=lambda: {"maxLength": 12})
    extra: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Answer:
    """What the caller saw of one request."""

    ask: Ask
    texts: list = dataclasses.field(default_factory=list)
    # Of the first and of the last text, by the caller's clock.
    seen_at: list = dataclasses.field(default_factory=list)
    output_tokens: int = None
    input_tokens: int = None
    finish_reason: str = None
    # llama.cpp's own, where the format carries them.
    timings: dict = None


class Refused(Exception):
    """By llama.cpp's own API; the packages have exceptions of their own."""

    def __init__(self, status):
        super().__init__(status)
        self.status_code = status


def run(url, ask, leave_after=None):
    """Sends it, and reads the answer to its end, or until so many texts came."""
    answer = Answer(ask)
    events = CLIENTS[ask.format](url, ask, answer)
    for text in events:
        answer.texts.append(text)
        answer.seen_at.append(time.time_ns())
        if len(answer.texts) == leave_after:
            break
    events.close()
    return answer


def openai_client(url, ask):
    headers = {"x-request-id": ask.request_id}
    return openai.OpenAI(base_url=url + "/v1", api_key="none", timeout=60, max_retries=0, default_headers=headers)


def parameters(ask):
    return {"type": "object", "properties": {"city": {"type": "string", **ask.city}}, "required": ["city"]}


def extra_of(ask, **more):
    thinking = {"chat_template_kwargs": {"think": True}} if ask.kind == "thinking" else {}
    return {**more, **thinking, **ask.extra}


def chat(url, ask, answer):
    with openai_client(url, ask) as client:
        made = client.chat.completions.create(**chat_arguments(ask))
        for part in made if ask.streamed else [made]:
            if text := chat_text(answer, part):
                yield text
        if ask.streamed:
            made.close()


def chat_arguments(ask):
    arguments = {"messages": [{"role": "user", "content": ask.prompt}], "max_tokens": ask.max_tokens, **SAME}
    if ask.kind == "tool":
        arguments["tools"] = [{"type": "function", "function": {**TOOL, "parameters": parameters(ask)}}]
    if ask.streamed and ask.usage:
        arguments["stream_options"] = {"include_usage": True}
    return {"model": "smollm2", "stream": ask.streamed, "extra_body": extra_of(ask), **arguments}


def chat_body(ask):
    """What the package makes of the arguments, for a client that takes the body itself."""
    arguments = chat_arguments(ask)
    extra = arguments.pop("extra_body")
    return {**arguments, **extra}


def chat_text(answer, part):
    """What a part of the stream, or the whole of a document, holds of generated text."""
    usage(answer, part.usage, "completion_tokens", "prompt_tokens")
    answer.timings = part.model_extra.get("timings", answer.timings)
    texts = []
    for choice in part.choices:
        answer.finish_reason = choice.finish_reason or answer.finish_reason
        message = choice.delta if answer.ask.streamed else choice.message
        calls = [call.function.arguments for call in message.tool_calls or ()]
        texts += [message.content, message.model_extra.get("reasoning_content"), *calls]
    return "".join(text or "" for text in texts)


def completions(url, ask, answer):
    with openai_client(url, ask) as client:
        made = client.completions.create(
            model="smollm2", prompt=ask.prompt, max_tokens=ask.max_tokens, stream=ask.streamed,
            extra_body=extra_of(ask), **SAME,
        )  # fmt: skip
        for part in made if ask.streamed else [made]:
            usage(answer, part.usage, "completion_tokens", "prompt_tokens")
            answer.timings = (part.model_extra or {}).get("timings", answer.timings)
            for choice in part.choices:
                answer.finish_reason = choice.finish_reason or answer.finish_reason
                if choice.text:
                    yield choice.text
        if ask.streamed:
            made.close()


def responses(url, ask, answer):
    tool = {"type": "function", **TOOL, "parameters": parameters(ask)}
    tools = {"tools": [tool]} if ask.kind == "tool" else {}
    with openai_client(url, ask) as client:
        made = client.responses.create(
            model="smollm2", input=ask.prompt, max_output_tokens=ask.max_tokens, stream=ask.streamed,
            extra_body=extra_of(ask, **SAME), **tools,
        )  # fmt: skip
        response = None if ask.streamed else made
        for event in made if ask.streamed else ():
            if event.type.endswith(".delta") and event.delta:
                yield event.delta
            if event.type in ("response.completed", "response.incomplete"):
                response = event.response
                answer.timings = event.model_extra.get("timings")
        usage(answer, response.usage, "output_tokens", "input_tokens")
        answer.finish_reason = response.status
        if not ask.streamed:
            yield json.dumps([item.to_dict() for item in response.output])


def messages(url, ask, answer):
    with anthropic.Anthropic(base_url=url, api_key="none", timeout=60, max_retries=0) as client:
        if not ask.streamed:
            message = client.messages.create(**message_arguments(ask))
            yield json.dumps([block.to_dict() for block in message.content])
        else:
            with client.messages.stream(**message_arguments(ask)) as stream:
                for event in stream:
                    if text := message_text(event):
                        yield text
                message = stream.get_final_message()
        end_of_message(answer, message)


def message_arguments(ask):
    tools = {"tools": [{**TOOL, "input_schema": parameters(ask)}]} if ask.kind == "tool" else {}
    return {
        "model": "smollm2", "messages": [{"role": "user", "content": ask.prompt}], "max_tokens": ask.max_tokens,
        "extra_headers": {"x-request-id": ask.request_id},
        "extra_body": extra_of(ask, **SAME), **tools,
    }  # fmt: skip


def message_text(event):
    if event.type != "content_block_delta":
        return None
    delta = event.delta.to_dict()
    return delta.get("text") or delta.get("thinking") or delta.get("partial_json")


def end_of_message(answer, message):
    usage(answer, message.usage, "output_tokens", "input_tokens")
    answer.finish_reason = message.stop_reason


def native(url, ask, answer):
    """llama.cpp's own API, for which there is no package."""
    parts = urllib.parse.urlsplit(url)
    body = {"prompt": ask.prompt, "n_predict": ask.max_tokens, "stream": ask.streamed, **SAME, **extra_of(ask)}
    headers = {"content-type": "application/json", "x-request-id": ask.request_id}
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("POST", "/completion", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise Refused(response.status)
        lines = response if ask.streamed else [b"data: " + response.read()]
        for part in (json.loads(line[6:]) for line in lines if line.startswith(b"data: {")):
            if part["stop"]:
                answer.output_tokens, answer.input_tokens = part["tokens_predicted"], part["tokens_evaluated"]
                answer.finish_reason, answer.timings = part["stop_type"], part["timings"]
            if part["content"]:
                yield part["content"]
    finally:
        connection.close()


def usage(answer, found, output, input_):
    if found:
        answer.output_tokens, answer.input_tokens = getattr(found, output), getattr(found, input_)


CLIENTS = {
    "openai-chat": chat,
    "openai-completions": completions,
    "openai-responses": responses,
    "anthropic-messages": messages,
    "llama-cpp": native,
}
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-completions": "/v1/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "llama-cpp": "/completion",
}
CHATS = ("openai-chat", "openai-responses", "anthropic-messages")
