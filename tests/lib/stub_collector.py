"""A collector of OpenTelemetry traces (OTLP/HTTP, JSON) that reads strictly and misbehaves when told.

    with Collector() as c: ... c.url ... c.spans() ... c.problems

'mode' is "ok", "slow" (answers after 'delay' seconds), "error" (500), "refuse" (400), "partial"
(takes all but one), "garbage" (200 with no JSON), "hang" (never answers), "redirect". Standard
library only."""
import http.server
import json
import re
import threading
import time

KINDS = {1, 2, 3, 4, 5}
SPAN_KEYS = {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano",
             "endTimeUnixNano", "attributes", "status"}
VALUE_KEYS = {"stringValue": str, "intValue": str, "doubleValue": (int, float), "boolValue": bool,
              "arrayValue": dict}


class Bad(Exception):
    pass


def need(truth, what):
    if not truth:
        raise Bad(what)


def only(obj, keys, what):
    need(isinstance(obj, dict), f"{what}: no object")
    need(set(obj) <= keys, f"{what}: unknown members {set(obj) - keys}")


def read_value(value, what):
    only(value, set(VALUE_KEYS), what)
    need(len(value) == 1, f"{what}: {len(value)} values")
    (key, v), = value.items()
    need(isinstance(v, VALUE_KEYS[key]), f"{what}: {key} is {v!r}")
    if key == "doubleValue":
        need(not isinstance(v, bool), f"{what}: {v!r}")
    if key == "intValue":
        need(re.fullmatch(r"-?(0|[1-9][0-9]*)", v) and -2**63 <= int(v) < 2**63, f"{what}: {v!r}")
        return int(v)
    if key == "arrayValue":
        only(v, {"values"}, what)
        return [read_value(x, what) for x in v["values"]]
    return v


def read_attributes(items, what):
    need(isinstance(items, list), f"{what}: no array")
    out = {}
    for item in items:
        only(item, {"key", "value"}, what)
        need(isinstance(item["key"], str) and item["key"] not in out, f"{what}: key {item['key']}")
        out[item["key"]] = read_value(item["value"], f"{what}: {item['key']}")
    return out


def read_time(text, what):
    need(isinstance(text, str) and re.fullmatch(r"[1-9][0-9]{17,19}", text), f"{what}: {text!r}")
    return int(text)


def read_id(text, n, what):
    need(isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{n}}}", text) and int(text, 16),
         f"{what}: {text!r}")
    return text


def read_span(span):
    only(span, SPAN_KEYS, "span")
    name = span.get("name")
    need(isinstance(name, str) and name, "span without a name")
    out = {"name": name, "trace": read_id(span["traceId"], 32, name),
           "id": read_id(span["spanId"], 16, name), "parent": None, "kind": span["kind"],
           "begun": read_time(span["startTimeUnixNano"], name),
           "ended": read_time(span["endTimeUnixNano"], name),
           "attributes": read_attributes(span["attributes"], name)}
    if "parentSpanId" in span:
        out["parent"] = read_id(span["parentSpanId"], 16, name)
    need(type(out["kind"]) is int and out["kind"] in KINDS, f"{name}: kind {out['kind']!r}")
    need(out["begun"] <= out["ended"], f"{name}: ends before it begins")
    need(abs(out["ended"] / 1e9 - time.time()) < 600, f"{name}: not of today")
    status = span.get("status", {})
    only(status, {"code"}, f"{name}: status")
    need(status.get("code", 0) in (0, 1, 2), f"{name}: status {status}")
    out["error"] = status.get("code") == 2
    need(out["error"] == ("error.type" in out["attributes"]), f"{name}: error.type and status")
    return out


def read_request(body):
    """The spans of an ExportTraceServiceRequest, or Bad."""
    root = json.loads(body)
    only(root, {"resourceSpans"}, "request")
    spans = []
    for resource in root["resourceSpans"]:
        only(resource, {"resource", "scopeSpans", "schemaUrl"}, "resourceSpans")
        only(resource["resource"], {"attributes"}, "resource")
        attributes = read_attributes(resource["resource"]["attributes"], "resource")
        need(attributes.get("service.name") == "ragd", "service.name")
        for scope in resource["scopeSpans"]:
            only(scope, {"scope", "spans", "schemaUrl"}, "scopeSpans")
            only(scope["scope"], {"name", "version"}, "scope")
            need(scope["spans"], "no spans")
            spans += [read_span(s) for s in scope["spans"]]
    ids = [s["id"] for s in spans]
    need(len(ids) == len(set(ids)), "a span id twice")
    return spans


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        c = self.server.collector
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if c.gone.is_set():  # a connection that was kept must not outlive its server
            self.close_connection = True
            return
        try:
            need(self.path == c.prefix + "/v1/traces", f"path {self.path}")
            need(self.headers["Content-Type"] == "application/json", "Content-Type")
            spans = read_request(body)
        except (Bad, KeyError, ValueError) as e:
            c.problems.append(f"{type(e).__name__}: {e}")
            spans = []
        with c.lock:
            c.requests += 1
            c.bodies.append(body)
            c.authorization = self.headers.get("Authorization")
            if c.mode in ("ok", "slow", "partial", "garbage"):
                c.taken += spans
        self.answer(c)

    def answer(self, c):
        code, reply = 200, b"{}"
        if c.mode == "hang":
            c.gone.wait(300)
            self.close_connection = True
            return
        if c.mode == "slow":
            c.gone.wait(c.delay)
        elif c.mode == "error":
            code, reply = 500, b'{"message":"broken"}'
        elif c.mode == "refuse":
            code, reply = 400, b'{"code":3,"message":"no"}'
        elif c.mode == "partial":
            reply = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"one too many"}}'
        elif c.mode == "garbage":
            reply = b"<html>"
        elif c.mode == "redirect":
            code, reply = 307, b""
        self.send_response(code)
        if c.mode == "redirect":
            self.send_header("Location", "http://127.0.0.1:9/v1/traces")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients break off: that is what they are tested for


class Collector:
    def __init__(self, prefix=""):
        self.prefix = prefix
        self.mode = "ok"
        self.delay = 1.0
        self.lock = threading.Lock()
        self.gone = threading.Event()
        self.requests = 0
        self.bodies = []
        self.taken = []
        self.problems = []
        self.authorization = None
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.collector = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{prefix}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.gone.set()
        self.server.shutdown()
        self.server.server_close()

    def spans(self):
        with self.lock:
            return list(self.taken)
