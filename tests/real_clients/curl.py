"""Runs `curl`: one request, read piece by piece as it comes, or many at once over one connection."""

import json
import os
import pathlib
import subprocess
import time

from clients import PATHS, chat_body

SECONDS = 120


def send(url, ask, directory, *options):
    """One request: curl's own figures, the pieces of the body as they came, and when each did."""
    command = ["curl", *common(ask, "stderr"), *options, *request(url, ask, directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        pieces = []
        while piece := os.read(child.stdout.fileno(), 65536):
            pieces.append((time.time_ns(), piece))
        (figures,) = map(json.loads, child.stderr.read().splitlines())
    return figures, pieces


def send_together(url, asks, directory, *options, leave=None, after=0):
    """Many at once, by one curl, of which one is left after `after` seconds: figures and body, by id."""
    command = ["curl", "--parallel"]
    files = {ask.request_id: os.path.join(directory, f"{ask.request_id}.curl") for ask in asks}
    for ask in asks:
        # Past `--next` all is said anew, but for what is said of the requests together.
        command += ["--next"] * (ask is not asks[0]) + [*common(ask, "stdout"), *options, *request(url, ask, directory)]
        command += ["--max-time", str(after)] if ask is leave else []
        command += ["--output", files[ask.request_id]]
    # On its standard error curl draws how far it is.
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS).stdout
    figures = {one["request_id"]: one for one in map(json.loads, said.splitlines())}
    answers = {}
    for name, path in files.items():
        # Without a byte of a body there is no file.
        body = pathlib.Path(path)
        answers[name] = (figures[name], body.read_bytes() if body.exists() else b"")
        body.unlink(missing_ok=True)
    return answers


def common(ask, where):
    figures = "http_version", "response_code", "num_connects", "exitcode", "size_download"
    told = ", ".join(f'"{name}": "%{{{name}}}"' for name in figures)
    return [
        "--silent", "--no-buffer", "--noproxy", "*", "--max-time", str(SECONDS),
        "--write-out", f'%{{{where}}}{{"request_id": "{ask.request_id}", {told}}}\\n',
    ]  # fmt: skip


def request(url, ask, directory):
    body = os.path.join(directory, f"{ask.request_id}.body")
    with open(body, "w", encoding="utf-8") as file:
        json.dump(chat_body(ask), file)
    return [
        "--header", "content-type: application/json", "--header", f"x-request-id: {ask.request_id}",
        "--data-binary", f"@{body}", url + PATHS[ask.format],
    ]  # fmt: skip
