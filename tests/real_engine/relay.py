"""A TCP relay that keeps what passes, to hold what the caller got against what the engine really sent."""

import http.client
import io
import socket
import threading
import urllib.parse


class Relay:
    """Passes each connection on to `upstream` and keeps both directions. For one exchange at a time."""

    def __init__(self, upstream):
        parts = urllib.parse.urlsplit(upstream)
        self.upstream = (parts.hostname, parts.port)
        self.asked, self.answered = bytearray(), bytearray()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def take(self):
        """The bodies of the exchange since the last call, as they stood on the wire: request, response."""
        asked, answered = bytes(self.asked), bytes(self.answered)
        self.asked.clear()
        self.answered.clear()
        return body_of(asked), body_of(answered)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            engine = socket.create_connection(self.upstream)
            threading.Thread(target=pump, args=(client, engine, self.asked), daemon=True).start()
            threading.Thread(target=pump, args=(engine, client, self.answered), daemon=True).start()


def pump(source, sink, kept):
    """Passes bytes on until the source ends, each piece as it comes."""
    try:
        while piece := source.recv(65536):
            kept += piece
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone: the other must hear of it.
        for end in (source, sink):
            end.close()


def body_of(wire):
    """The body of one HTTP/1.1 message, freed of its transfer encoding."""

    class Socket:
        def makefile(self, *_):
            # With a status line for its first, a request reads as a response does.
            return io.BytesIO(b"HTTP/1.1 200 OK\r\n" + wire.partition(b"\r\n")[2])

    message = http.client.HTTPResponse(Socket())
    message.begin()
    return message.read()
