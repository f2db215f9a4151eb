"""A server of OpenAI's, Cohere's and TEI's endpoints that can misbehave in every way.

Standard library only; one thread a connection, on 127.0.0.1. `with StubOpenAI() as stub:` and set
`stub.mode` to one of MODES. It counts every connection and byte that it saw and keeps the requests,
so that a test can prove what did not leave.

    stub_openai.py [PORT [MODE]]      run it by hand"""
import gzip
import json
import re
import socket
import struct
import sys
import threading
import time
import zlib

# What becomes of a request, by the name of the mode: functions below, called with (stub, exchange).
MODES = {}
REFUSAL = "제공된 자료에서 답을 찾을 수 없습니다."
DIM = 32


def mode(function):
    MODES[function.__name__] = function
    return function


class Exchange:
    """One request and the raw connection to answer on."""

    def __init__(self, connection, method, path, headers, body):
        self.connection = connection
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        try:
            self.json = json.loads(body) if body else {}
        except ValueError:
            self.json = {}

    def send(self, data):
        self.connection.sendall(data if isinstance(data, bytes) else data.encode())

    def head(self, code=200, kind="application/json", headers=(), length=None, chunked=False):
        lines = [f"HTTP/1.1 {code} Stub", f"Content-Type: {kind}", "Connection: close", *headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def reply(self, value, code=200, headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        self.head(code, headers=headers, length=len(data))
        self.send(data)

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, value, chunked=True):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        data = f"data: {text}\n\n"
        if chunked:
            self.chunk(data)
        else:
            self.send(data)

    def begin_stream(self):
        self.head(kind="text/event-stream", chunked=True)

    def end_stream(self):
        self.send("0\r\n\r\n")

    def reset(self):
        """End with a RST instead of a FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def delta(text=None, finish=None, **more):
    content = {} if text is None else {"content": text}
    content.update(more)
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "stub",
            "choices": [{"index": 0, "delta": content, "finish_reason": finish}]}


def usage_of(request, text):
    prompt = sum(len(str(m.get("content", ""))) for m in request.get("messages", ()))
    return {"prompt_tokens": prompt, "completion_tokens": len(text),
            "total_tokens": prompt + len(text)}


def pieces(text, n=3):
    return [text[i:i + n] for i in range(0, len(text), n)]


def words(text):
    return re.findall(r"\w+", text.lower())


def vector(text):
    """Counts of hashed words and of their first two letters; not of length 1."""
    v = [0.0] * DIM
    for word in words(text):
        v[zlib.crc32(word.encode()) % DIM] += 2.0
        v[zlib.crc32(word[:2].encode()) % DIM] += 1.0
    return v if any(v) else [1.0] + [0.0] * (DIM - 1)


def overlap(query, text):
    asked = set(words(query))
    return len(asked & set(words(text))) / (len(asked) or 1)


# ---- what a healthy server does ----

def answer_of(stub, request):
    """stub.answer, else the last line of the first passage with its mark, else an echo."""
    if stub.answer is not None:
        return stub.answer
    messages = request.get("messages", [])
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    passage = re.search(r"<passage>\n\[1\] [^\n]*\n(.*?)\n</passage>", system, re.S)
    if passage:
        return passage.group(1).strip().splitlines()[-1] + " [1]"
    return "echo: " + (messages[-1]["content"] if messages else "")


def chat(stub, x):
    text = answer_of(stub, x.json)
    if not x.json.get("stream"):
        x.reply({"id": "c", "object": "chat.completion", "created": 1, "model": "stub",
                 "choices": [{"index": 0, "finish_reason": "stop",
                              "message": {"role": "assistant", "content": text}}],
                 "usage": usage_of(x.json, text)})
        return
    x.begin_stream()
    x.event(delta(role="assistant"))
    for piece in pieces(text):
        x.event(delta(piece))
    x.event(delta(finish="stop"))
    x.event({"id": "c", "choices": [], "usage": usage_of(x.json, text)})
    x.event("[DONE]")
    x.end_stream()


def embeddings(stub, x):
    texts = x.json["input"]
    texts = [texts] if isinstance(texts, str) else texts
    data = [{"object": "embedding", "index": i, "embedding": stub.vector(t)}
            for i, t in enumerate(texts)]
    x.reply({"object": "list", "model": x.json.get("model"), "data": data[::-1],
             "usage": {"prompt_tokens": sum(map(len, texts)), "total_tokens": 0}})


def tei_embed(stub, x):
    texts = x.json["inputs"]
    x.reply([stub.vector(t) for t in ([texts] if isinstance(texts, str) else texts)])


def rerank(stub, x):
    query = x.json["query"]
    if "texts" in x.json:
        scores = [{"index": i, "score": overlap(query, t)} for i, t in enumerate(x.json["texts"])]
        x.reply(sorted(scores, key=lambda s: -s["score"]))
        return
    scores = [{"index": i, "relevance_score": overlap(query, d)}
              for i, d in enumerate(x.json["documents"])]
    x.reply({"id": "r", "results": sorted(scores, key=lambda s: -s["relevance_score"])})


ENDPOINTS = {"/v1/chat/completions": chat, "/v1/embeddings": embeddings, "/v1/rerank": rerank,
             "/embed": tei_embed, "/rerank": rerank}


@mode
def healthy(stub, x):
    endpoint = ENDPOINTS.get(x.path)
    if endpoint:
        endpoint(stub, x)
    else:
        x.reply({"error": {"message": f"no endpoint {x.path}"}}, 404)


# ---- time ----

@mode
def slow_first_byte(stub, x):
    stub.sleep(stub.seconds)
    healthy(stub, x)


@mode
def slow_drip(stub, x):
    x.begin_stream()
    x.event(delta(role="assistant"))
    while stub.sleep(0.05):
        x.event(delta("가"))


@mode
def stall(stub, x):
    stub.sleep(3600)


@mode
def stall_in_headers(stub, x):
    x.send("HTTP/1.1 200 OK\r\nContent-Type: text/")
    stub.sleep(3600)


@mode
def stall_in_stream(stub, x):
    x.begin_stream()
    x.event(delta("필터는"))
    stub.sleep(3600)


# ---- codes ----

def refuse(code, *headers):
    def run(stub, x):
        x.reply({"error": {"message": f"stub says {code}", "type": "stub"}}, code, headers)
    return run


MODES["error_429"] = refuse(429)
MODES["error_429_seconds"] = refuse(429, "Retry-After: 1")
MODES["error_429_later"] = refuse(429, "Retry-After: 3600")
MODES["error_500"] = refuse(500)
MODES["error_503"] = refuse(503)
MODES["error_400"] = refuse(400)
MODES["error_408"] = refuse(408)


@mode
def error_429_date(stub, x):
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    refuse(429, f"Retry-After: {when}")(stub, x)


@mode
def once_503(stub, x):
    if stub.n_of_mode == 1:
        refuse(503)(stub, x)
    else:
        healthy(stub, x)


@mode
def once_429_seconds(stub, x):
    if stub.n_of_mode == 1:
        refuse(429, "Retry-After: 1")(stub, x)
    else:
        healthy(stub, x)


@mode
def once_reset(stub, x):
    if stub.n_of_mode == 1:
        x.reset()
    else:
        healthy(stub, x)


@mode
def error_401_echo(stub, x):
    """The key in the message, whole, in parts, and in a header."""
    key = x.headers.get("authorization", "")
    x.reply({"error": {"message": f"bad key '{key}', you sent {key[7:]}, ends in {key[-12:]}"}},
            401, (f"X-Echo: {key}",))


@mode
def error_400_new_name(stub, x):
    """As OpenAI's newest models do."""
    if "max_tokens" in x.json:
        x.reply({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with "
                                      "this model. Use 'max_completion_tokens' instead."}}, 400)
    else:
        healthy(stub, x)


@mode
def redirect(stub, x):
    x.reply({}, 307, (f"Location: http://127.0.0.1:{stub.other_port}{x.path}",))


# ---- connections ----

@mode
def reset_at_once(stub, x):
    x.reset()


@mode
def reset_in_headers(stub, x):
    x.send("HTTP/1.1 200 OK\r\nContent-Ty")
    stub.sleep(0.05)
    x.reset()


@mode
def reset_in_stream(stub, x):
    x.begin_stream()
    x.event(delta("필터는 6개월"))
    stub.sleep(0.05)
    x.reset()


@mode
def close_in_stream(stub, x):
    """In good order, as far as TCP and HTTP go, but in the middle of the answer."""
    x.head(kind="text/event-stream")
    x.event(delta("필터는 6개월"), chunked=False)


@mode
def wrong_length_more(stub, x):
    x.head(length=100000)
    x.send('{"choices":[{"index":0,')


@mode
def wrong_length_less(stub, x):
    data = json.dumps({"choices": [{"message": {"content": "필터는 6개월마다 교체한다. [1]"}}]})
    x.head(length=20)
    x.send(data)


@mode
def chunked_garbage(stub, x):
    x.begin_stream()
    x.send("zz\r\nnot a chunk\r\n" * 5)


@mode
def no_http(stub, x):
    x.send("SSH-2.0-OpenSSH_9.2\r\n")


@mode
def endless_headers(stub, x):
    x.send("HTTP/1.1 200 OK\r\n")
    while stub.sleep(0):
        x.send("X-Filler: " + "x" * 4000 + "\r\n")


# ---- bodies ----

@mode
def half_event(stub, x):
    x.begin_stream()
    x.event(delta("필터는"))
    x.chunk('data: {"choices":[{"index":0,"delta":{"content":" 6개월')
    x.end_stream()


@mode
def wrong_json(stub, x):
    if x.json.get("stream"):
        x.begin_stream()
        x.event('{"choices": [oops')
        x.event("[DONE]")
        x.end_stream()
    else:
        x.reply(b'{"choices": [oops')


@mode
def wrong_shape(stub, x):
    if x.json.get("stream"):
        x.begin_stream()
        x.event({"choices": {"delta": "no list"}})
        x.event("[DONE]")
        x.end_stream()
    else:
        x.reply({"answer": 42, "data": "no list", "results": {"a": 1}})


@mode
def html(stub, x):
    data = b"<html><body>It works!</body></html>"
    x.head(kind="text/html", length=len(data))
    x.send(data)


@mode
def empty(stub, x):
    x.head(length=0)


@mode
def long_line(stub, x):
    x.begin_stream()
    x.chunk('data: {"choices":[{"delta":{"content":"')
    for _ in range(160):
        x.chunk("가" * 21845)
    x.chunk('"}}]}\n\n')
    x.end_stream()


@mode
def endless(stub, x):
    x.begin_stream()
    n = 0
    while stub.sleep(0):
        n += 1
        x.event(delta(f"문장 {n}은 끝나지 않는다 "))


@mode
def endless_comments(stub, x):
    x.begin_stream()
    while stub.sleep(0):
        x.chunk(": still here\n" * 1000)


@mode
def gzip_bomb(stub, x):
    """10 KiB that would be 10 MiB; nobody asked for gzip."""
    data = gzip.compress(b"0" * (10 << 20))
    x.head(headers=("Content-Encoding: gzip",), length=len(data))
    x.send(data)


@mode
def content_filter(stub, x):
    if x.json.get("stream"):
        x.begin_stream()
        x.event(delta(finish="content_filter"))
        x.event("[DONE]")
        x.end_stream()
    else:
        x.reply({"choices": [{"index": 0, "finish_reason": "content_filter",
                              "message": {"role": "assistant", "content": None}}]})


@mode
def tool_calls(stub, x):
    x.begin_stream()
    x.event(delta(tool_calls=[{"index": 0, "function": {"name": "rm", "arguments": "{}"}}]))
    x.event(delta(finish="tool_calls"))
    x.event("[DONE]")
    x.end_stream()


@mode
def error_in_stream(stub, x):
    key = x.headers.get("authorization", "")
    x.begin_stream()
    x.event({"error": {"message": f"overloaded, {key}", "code": 500}})
    x.end_stream()


@mode
def no_done(stub, x):
    """Ends behind finish_reason; some servers do."""
    x.begin_stream()
    for piece in pieces(answer_of(stub, x.json)):
        x.event(delta(piece))
    x.event(delta(finish="stop"))
    x.end_stream()


@mode
def odd_events(stub, x):
    """What the format allows and few send: CR LF, comments, events in many lines, cut anywhere."""
    lines = [": hello", "", "event: message", "id: 1", "retry: 10"]
    for piece in pieces(answer_of(stub, x.json)):
        text = json.dumps(delta(piece), ensure_ascii=False, indent=1)
        lines += ["data:" + (" " + line if i else line) for i, line in enumerate(text.split("\n"))]
        lines += ["", ": ping"]
    lines += ["data: " + json.dumps(delta(finish="stop")), "", "data: [DONE]", "", ""]
    data = "\r\n".join(lines).encode()
    x.begin_stream()
    for i in range(0, len(data), 7):
        x.chunk(data[i:i + 7])
    x.end_stream()


@mode
def split_characters(stub, x):
    """Characters of three bytes cut between events, as raw bytes."""
    data = answer_of(stub, x.json).encode()
    x.begin_stream()
    for i in range(0, len(data), 2):
        piece = data[i:i + 2].replace(b'"', b'\\"')
        x.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"' + piece + b'"}}]}\n\n')
    x.event(delta(finish="stop"))
    x.event("[DONE]")
    x.end_stream()


# Answers that are as good as a healthy server's.
GOOD = ("healthy", "once_503", "once_reset", "no_done", "odd_events", "split_characters",
        "error_400_new_name", "once_429_seconds")


class StubOpenAI:
    def __init__(self, port=0):
        self.mode = "healthy"
        self.seconds = 1.0
        self.answer = None
        self.vector = vector
        self.other_port = 9
        self.lock = threading.Lock()
        self.forget()
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def forget(self):
        """Count from here on."""
        with self.lock:
            self.n_connections = 0
            self.n_bytes = 0
            self.n_of_mode = 0
            self.requests = []

    def become(self, name):
        self.mode = name
        self.forget()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def sleep(self, seconds):
        """False when the stub stops."""
        return not self.stopping.wait(seconds)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.n_connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def count(self, n):
        with self.lock:
            self.n_bytes += n

    def read(self, connection):
        """A request; None when the peer left."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            self.count(len(more))
            if not more:
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            more = connection.recv(65536)
            self.count(len(more))
            if not more:
                return None
            body += more
        return Exchange(connection, method, path, headers, body)

    def serve(self, connection):
        try:
            x = self.read(connection)
            if x:
                with self.lock:
                    self.requests.append(x)
                    self.n_of_mode += 1
                MODES[self.mode](self, x)
        except OSError:
            pass  # the client left
        finally:
            connection.close()


if __name__ == "__main__":
    with StubOpenAI(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as running:
        running.mode = sys.argv[2] if len(sys.argv) > 2 else "healthy"
        print(running.url("/v1"), running.mode, flush=True)
        threading.Event().wait()
