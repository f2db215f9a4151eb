#!/usr/bin/env python3
"""The servers that the daemon of a soak talks to, in a process of their own, so that it can be
stopped and continued: a chat server that is in turn healthy and mad (tests/lib/stub_openai.py), and
a collector of traces that is slow, gone or answers nonsense.

    peers.py SECRET...    a SECRET must not arrive here

Prints the two ports as JSON, and at its end, on SIGTERM, what it saw."""
import json
import pathlib
import random
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from stub_openai import GOOD, MODES, StubOpenAI  # noqa: E402

# These send without an end, as fast as they can: enough of them is done in the backend's own test.
LEFT_OUT = ("endless", "endless_comments", "endless_headers", "long_line", "gzip_bomb")
BAD = [name for name in MODES if name not in GOOD and name not in LEFT_OUT]


class Collector:
    """POST /v1/traces of OTLP over HTTP, badly."""

    def __init__(self, rng):
        self.rng = rng
        self.n_requests = 0
        self.n_bytes = 0
        self.n_secrets = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection:
                while self.exchange(connection):
                    pass
        except (OSError, ValueError):
            pass

    def exchange(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                return False
            body += more
        self.n_requests += 1
        self.n_bytes += len(body)
        self.n_secrets += any(secret.encode() in body for secret in sys.argv[1:])
        how = self.rng.random()
        if how < 0.05:
            return False  # gone without a word
        if how < 0.1:
            time.sleep(3)
        code = 503 if how < 0.2 else 200
        connection.sendall(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 2\r\n\r\n{}" % code)
        return True


def main():
    rng = random.Random(11)
    seen = {"chats": 0, "secrets": 0}
    stop = threading.Event()
    collector = Collector(rng)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with StubOpenAI() as stub:
        print(json.dumps({"chat": stub.port, "collector": collector.port}), flush=True)
        while not stop.wait(rng.uniform(0.2, 1.5)):
            with stub.lock:
                requests = list(stub.requests)
            seen["chats"] += len(requests)
            seen["secrets"] += sum(any(secret.encode() in x.body for secret in sys.argv[1:])
                                   for x in requests)
            stub.seconds = rng.uniform(0.1, 2)
            stub.become(rng.choice(GOOD if rng.random() < 0.6 else BAD))
        print(json.dumps({**seen, "traces": collector.n_requests,
                          "secrets": seen["secrets"] + collector.n_secrets}), flush=True)


if __name__ == "__main__":
    main()
