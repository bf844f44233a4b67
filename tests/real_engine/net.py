"""Loopback HTTP with nothing in between: no proxy from the environment, no retry, no decoding of content."""

import http.client
import socket
import time
import urllib.parse


def free_port():
    """A loopback port that is free now. Another program may take it before it is used: then the start fails, loudly."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def send(url, method="GET", body=None, headers=None, timeout=60):
    """One request on a connection of its own: status, content type, and the body's bytes."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path or "/", body, headers or {})
        response = connection.getresponse()
        return response.status, response.getheader("content-type"), response.read()
    finally:
        connection.close()


def get(url, timeout=10):
    """The body of a GET that must be answered with 200."""
    status, _, body = send(url, timeout=timeout)
    if status != 200:
        raise RuntimeError(f"{url} answered {status}: {body[:200]!r}")
    return body


def wait_for(url, child, seconds):
    """Waits until `url` answers 200, for as long as `child` runs."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            get(url, timeout=2)
            return
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            if child.poll() is not None:
                raise RuntimeError(f"ended with {child.returncode} before {url} answered") from error
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url} did not answer within {seconds} s: {error}") from error
        time.sleep(0.05)
