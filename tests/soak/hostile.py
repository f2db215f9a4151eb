"""Clients that send what is wrong, too large or half, read slowly, or go away."""
import http.client
import json
import socket
import time

from askers import READABLE
from subjects import questions_of
from world import Client


def malformed(rng):
    """(name, method, target, body, headers, statuses that are right)"""
    json_type = {"Content-Type": "application/json"}
    ask = {"collection": "common", "question": "점검 주기는 며칠인가요?"}
    rows = (
        ("not JSON", "POST", "/v1/ask", b"{\"collection\":", json_type, (400,)),
        ("not UTF-8", "POST", "/v1/ask", b"{\"collection\":\"common\",\"question\":\"\xff\xfe\"}",
         json_type, (400,)),
        ("a NUL in a question", "POST", "/v1/ask",
         b"{\"collection\":\"common\",\"question\":\"a\\u0000b\"}", json_type, (400,)),
        ("deep nesting", "POST", "/v1/search", b"[" * 5000, json_type, (400,)),
        ("an unknown member", "POST", "/v1/ask", json.dumps({**ask, "colour": 1}).encode(),
         json_type, (400,)),
        ("a member of a wrong type", "POST", "/v1/ask",
         json.dumps({**ask, "top_k": "five"}).encode(), json_type, (400,)),
        ("a number out of range", "POST", "/v1/ask", json.dumps({**ask, "top_k": 51}).encode(),
         json_type, (400,)),
        ("an empty question", "POST", "/v1/ask", json.dumps({**ask, "question": ""}).encode(),
         json_type, (400,)),
        ("a long question", "POST", "/v1/ask", json.dumps({**ask, "question": "가" * 3000}).encode(),
         json_type, (400,)),
        ("a question of noise", "POST", "/v1/ask",
         json.dumps({**ask, "question": "".join(chr(rng.randrange(33, 0xD7FF)) for _ in range(500))}
                    ).encode(), json_type, (200, 400)),
        ("no collection", "POST", "/v1/ask", json.dumps({**ask, "collection": "none"}).encode(),
         json_type, (404,)),
        ("a huge body", "PUT", "/v1/collections/common/documents/huge.txt", b"x" * (3 << 20),
         {"Content-Type": "text/plain"}, (413,)),
        ("a document that is not UTF-8", "PUT", "/v1/collections/common/documents/bad.txt",
         b"\xc3\x28" * 100, {"Content-Type": "text/plain"}, (400,)),
        ("a long path", "GET", "/v1/collections/" + "a" * 9000, None, {}, (414,)),
        ("a large header", "GET", "/healthz", None, {"X-Large": "a" * 40000}, (431,)),
        ("no such path", "GET", "/v2/everything", None, {}, (404,)),
        ("a wrong method", "DELETE", "/v1/ask", None, {}, (405,)),
        ("a bad name", "PUT", "/v1/collections/UPPER%2F..", b"{}", json_type, (400,)),
        ("a wrong filter", "POST", "/v1/search",
         json.dumps({"collection": "common", "query": "a", "filter": {"k": {"is": 1}}}).encode(),
         json_type, (400,)),
    )
    return rng.choice(rows)


class Misuser(Client):
    pause_s = 0.05

    def mix(self):
        return ((6, self.misuse), (3, self.vanish), (2, self.half_a_body), (2, self.noise),
                (2, self.slow_reader), (1, self.pipelined))

    def misuse(self):
        name, method, target, body, headers, ok = malformed(self.rng)
        self.close()
        begun = time.monotonic()
        try:
            status, reply = self.user.call(method, target, body, headers=headers)
        except (OSError, http.client.HTTPException):
            # the daemon may end the connection while a huge request is still being sent
            ended = time.monotonic()
            if not self.world.was_down(begun, ended) and 413 not in ok:
                self.world.note("unexpected", f"misuse: {name}: the connection broke")
            self.world.count("misuse", "broken", ended - begun)
            self.close()
            return
        ended = time.monotonic()
        self.world.count("misuse", status, ended - begun)
        if status not in ok and not self.world.may_fail(status, reply, begun, ended):
            self.world.note("unexpected", f"misuse: {name}: {status} {reply}")

    def raw(self, data, then):
        """Send bytes as they are, then then(socket); whatever the daemon does but hang is right."""
        begun = time.monotonic()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(60 * self.world.slow_down)
                s.connect(self.world.ragd.socket)
                s.sendall(data)
                then(s)
        except TimeoutError:
            if not self.world.was_down(begun, time.monotonic()):
                self.world.note("unexpected", f"no reply to {data[:80]!r}")
        except OSError:
            pass
        self.world.count("raw", "sent", time.monotonic() - begun)

    def request_bytes(self, stream, n=1):
        question = self.rng.choice(questions_of(self.rng.choice(READABLE[None][:3]), None))
        body = json.dumps({"collection": question.collection, "question": question.text,
                           "stream": stream}).encode()
        return (b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)) * n

    def vanish(self):
        """Asks, and is gone before, while or after the answer comes."""
        self.raw(self.request_bytes(self.rng.random() < 0.5),
                 lambda s: time.sleep(self.rng.choice((0, 0.001, 0.01, 0.05))))

    def half_a_body(self):
        body = b"x" * 1000
        self.raw(b"PUT /v1/collections/common/documents/half.txt HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Type: text/plain\r\nContent-Length: 5000\r\n\r\n" + body,
                 lambda s: time.sleep(self.rng.choice((0, 0.01, 0.3))))

    def noise(self):
        self.raw(self.rng.randbytes(self.rng.choice((1, 40, 3000))) + b"\r\n\r\n",
                 lambda s: s.recv(100))

    def slow_reader(self):
        """Takes an answer a few bytes at a time, sometimes not to its end."""
        patience = self.rng.uniform(0.5, 4)

        def read(s):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            until = time.monotonic() + patience
            while time.monotonic() < until and s.recv(16):
                time.sleep(0.02)
        self.raw(self.request_bytes(True), read)

    def pipelined(self):
        """Several requests at once without waiting for replies; then reads some."""
        self.raw(self.request_bytes(False, 4), lambda s: s.recv(2000))
