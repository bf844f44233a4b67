"""`curl` over HTTP/2: by prior knowledge, by an upgrade that is not taken, and by TLS where the proxy serves it.

The bytes are those of llama.cpp: a relay between it and the proxy keeps them.
"""

import json
import os
import subprocess

import known
from clients import Answer, Ask
from curl import send, send_together
from cut_off import PROMPT, wait_until_idle
from formats import differences
from proxy import Proxy
from relay import Relay
from run_log import RunLog

# Of a story without an end, curl takes so many seconds.
LEFT = Ask("h2-left", "openai-chat", PROMPT, True, 1500, extra={"ignore_eos": True})
AFTER = 3
# What a client says of its own connection to the proxy.
OF_A_CONNECTION = (b"\nupgrade:", b"\nhttp2-settings:", b"\nconnection: upgrade")


def check(checks, engine, directory):
    ways = (
        ("h2", "2", ("--http2-prior-knowledge",)), ("h2c-upgrade", "1.1", ("--http2",)), ("http1", "1.1", ("--http1.1",)),
    )  # fmt: skip
    one_by_one(checks, engine, directory, "curl", ways)
    encrypted(checks, engine, directory)


def encrypted(checks, engine, directory):
    """By ALPN, where the proxy has a certificate."""
    said = subprocess.run([os.environ["TPS_BIN"], "proxy", "--help"], stdout=subprocess.PIPE, check=True).stdout
    if b"--tls-cert" not in said:
        print("skipped: tps proxy has no --tls-cert, so HTTP/2 by ALPN was not tested", flush=True)
        return
    certificate, key = (os.path.join(directory, f"proxy.{kind}.pem") for kind in ("certificate", "key"))
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            # One that is nobody's authority: it stands for itself alone.
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate,
        ],
        stderr=subprocess.PIPE, check=True,
    )  # fmt: skip
    trust = ("--cacert", certificate)
    ways = (("alpn-h2", "2", ("--http2", *trust)), ("alpn-http1", "1.1", ("--http1.1", *trust)))
    options = ("--tls-cert", certificate, "--tls-key", key)
    one_by_one(checks, engine, directory, "curl-tls", ways, options)
    # Not by prior knowledge: curl 7.88, which is Debian's, cannot put a second stream on such a connection.
    together(checks, engine, directory, options, ("--http2", *trust))


def one_by_one(checks, engine, directory, name, ways, options=()):
    """A stream, a document and a tool call by each way, held against the log and against the engine's bytes."""
    log, stderr = (os.path.join(directory, f"{name}.{kind}") for kind in ("jsonl", "stderr"))
    answers = []
    with Relay(engine.url) as relay, Proxy(relay.url, 1, log, stderr, options) as proxy:
        url = https(proxy) if options else proxy.url
        for way, version, how in ways:
            for ask in (known.text(way, 1), known.text(way, 2, streamed=False), known.tool(way, 3)):
                figures, pieces = send(url, ask, directory, *how)
                head = bytes(relay.asked).partition(b"\r\n\r\n")[0].lower()
                _, sent = relay.take()
                answers.append((ask, version, figures, pieces, sent, head))
        checks.equal(f"the exit code of {name}'s proxy on SIGTERM", proxy.stop(), 0)
    with open(log, encoding="utf-8") as text:
        by_id = RunLog(text.read()).by_id()
    for ask, version, figures, pieces, sent, head in answers:
        got = b"".join(piece for _, piece in pieces)
        answer = read(ask, pieces)
        (line,) = by_id[ask.request_id]
        faults = [*as_curl_tells(figures, version, line, got), *differences(answer, line), *known.faults(answer)]
        if got != sent:
            faults.append(f"the engine sent {sent[:200]!r}, curl got {got[:200]!r}")
        faults += [f"the engine was told {word!r}" for word in OF_A_CONNECTION if word in head]
        checks.all(
            f"as curl saw it: {ask.request_id}", faults,
            f"HTTP/{figures['http_version']}, {len(got)} bytes in {len(pieces)} pieces, those of the engine",
        )  # fmt: skip


def together(checks, engine, directory, options, how):
    """Many streams of one connection, one of which is given up: a reset of that stream, which the others outlive."""
    log, stderr = (os.path.join(directory, f"curl-together.{kind}") for kind in ("jsonl", "stderr"))
    asks = [LEFT, *(known.text("h2-together", number) for number in range(2)), known.tool("h2-together", 2)]
    # None of them waits, in whichever order they come.
    with Proxy(engine.url, len(asks), log, stderr, options) as proxy:
        answers = send_together(https(proxy), asks, directory, *how, leave=LEFT, after=AFTER)
        idle = wait_until_idle(engine)
        checks.equal("the exit code of the multiplexed streams' proxy on SIGTERM", proxy.stop(), 0)
    with open(log, encoding="utf-8") as text:
        by_id = RunLog(text.read()).by_id()
    connections = sum(int(figures["num_connects"]) for figures, _ in answers.values())
    checks.equal("curl used one connection for all", connections, 1)
    for ask in asks[1:]:
        figures, got = answers[ask.request_id]
        answer = read(ask, [(None, got)])
        (line,) = by_id[ask.request_id]
        # Without a time for each: the bodies were written to files.
        faults = [*as_curl_tells(figures, "2", line, got), *known.faults(answer)]
        if (line["output_tokens"], line["outcome"]) != (answer.output_tokens, "completed"):
            faults.append(f"{line['outcome']} with {line['output_tokens']} tokens, curl had {answer.output_tokens}")
        checks.all(f"as curl saw it: {ask.request_id}", faults, f"{answer.output_tokens} tokens")
    (figures, got), (line,) = answers[LEFT.request_id], by_id[LEFT.request_id]
    events = len(read(LEFT, [(None, got)]).texts)
    # On a slow machine it may have no token yet.
    phase = "streaming" if line["content_events"] else "prefill"
    checks.that(
        "a stream that was given up is cancelled, and the engine is let go",
        # 28 is curl's own exit code for its time limit.
        (figures["exitcode"], line["outcome"], line["phase"], idle) == ("28", "cancelled", phase, True)
        and events <= line["content_events"] == (line.get("output_tokens") or 0) < LEFT.max_tokens,
        f"curl had {events} events, the log {line['content_events']}; {line['outcome']} in {line['phase']}",
    )


def https(proxy):
    return proxy.url.replace("http:", "https:")


def as_curl_tells(figures, version, line, got):
    expected = {"http_version": version, "response_code": "200", "exitcode": "0", "size_download": str(len(got))}
    for name, value in expected.items():
        if figures[name] != value:
            yield f"curl tells {name} {figures[name]}, not {value}"
    if line["response_bytes"] != len(got):
        yield f"response_bytes is {line['response_bytes']}, curl had {len(got)}"


def read(ask, pieces):
    """The answer in a body that came in pieces: each text, with the time of the piece that completed its line."""
    answer, body = Answer(ask), b""
    for at, piece in pieces:
        *lines, body = (body + piece).split(b"\n") if ask.streamed else (body + piece,)
        for line in lines:
            if line.startswith(b"data: {"):
                take(answer, json.loads(line[6:]), at)
    if not ask.streamed:
        take(answer, json.loads(body), pieces[-1][0])
    return answer


def take(answer, part, at):
    usage = part.get("usage") or {}
    answer.output_tokens = usage.get("completion_tokens", answer.output_tokens)
    answer.input_tokens = usage.get("prompt_tokens", answer.input_tokens)
    answer.timings = part.get("timings", answer.timings)
    for choice in part["choices"]:
        answer.finish_reason = choice["finish_reason"] or answer.finish_reason
        message = choice["delta" if answer.ask.streamed else "message"]
        calls = [call["function"].get("arguments") for call in message.get("tool_calls", ())]
        if text := "".join(text or "" for text in (message.get("content"), *calls)):
            answer.texts.append(text)
            answer.seen_at.append(at)
