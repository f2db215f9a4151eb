"""A stand-in for the Hugging Face Hub on 127.0.0.1, with the manners and bad manners of real HTTP
servers: redirects to a second port, ranges, truncated bodies, 404, 429, 5xx, wrong content.

    with StubHub({"org/name": {"config.json": b"{}", ...}}) as hub:
        hub.endpoint      "http://127.0.0.1:PORT"
        hub.requests      [(server, method, path, headers)], in order
        hub.misbehave     what goes wrong, by the names that Handler looks up"""
import hashlib
import http.server
import json
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, code, body=b"", headers=None, length=None):
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        try:
            self.wfile.write(body)
            if length is not None and length != len(body):
                self.wfile.flush()
                self.close_connection = True
        except BrokenPipeError:
            self.close_connection = True

    def do_GET(self):
        hub = self.server.hub
        path = urllib.parse.unquote(self.path)
        hub.requests.append((self.server.label, "GET", self.path, dict(self.headers)))
        if hub.misbehave.get("busy", 0) > 0:
            hub.misbehave["busy"] -= 1
            headers = {"Retry-After": str(hub.misbehave["retry_after"])} \
                if "retry_after" in hub.misbehave else {}
            self.reply(hub.misbehave.get("busy_code", 429), b"slow down", headers)
            return
        if self.server.label == "cdn":
            self.content(path)
        elif path.startswith("/api/models/"):
            self.api(path[len("/api/models/"):])
        else:
            self.resolve(path)

    def api(self, rest):
        hub = self.server.hub
        rest, _, query = rest.partition("?")
        parts = rest.split("/")
        for cut in (2, 1):
            name, tail = "/".join(parts[:cut]), parts[cut:]
            if name in hub.models:
                break
        else:
            code = hub.misbehave.get("missing_code", 404)
            self.reply(code, b'{"error":"Repository not found"}')
            return
        if hub.misbehave.get("gated"):
            self.reply(403, b'{"error":"gated"}')
            return
        files = hub.models[name]
        commit = hub.misbehave.get("commit", COMMIT)
        if tail[0] == "revision" and tail[1] in ("main", "v1", commit):
            info = {"id": name, "sha": commit, "siblings": [{"rfilename": f} for f in files],
                    "cardData": {"license": "apache-2.0"}}
            if hub.misbehave.get("no_card"):
                del info["cardData"]
            self.reply(200, json.dumps(info).encode(), {"Content-Type": "application/json"})
        elif tail[0] == "tree" and tail[1] == commit and not hub.misbehave.get("no_tree"):
            rows = [{"type": "directory", "path": "1_Pooling", "size": 0}]
            for f, data in files.items():
                row = {"type": "file", "path": f, "size": len(data), "oid": "a" * 40}
                if f.endswith(".safetensors"):
                    row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
                rows.append(row)
            for path in hub.misbehave.get("extra_paths", ()):
                rows.append({"type": "file", "path": path, "size": 3, "oid": "b" * 40})
            rows[1].update(hub.misbehave.get("first_row", {}))
            half = hub.misbehave.get("page")
            headers = {"Content-Type": "application/json"}
            if half and "cursor" not in query:
                headers["Link"] = f'<{hub.endpoint}/api/models/{name}/tree/{commit}' \
                                  f'?recursive=true&cursor=2>; rel="next"'
                rows = rows[:half]
            elif half:
                rows = rows[half:]
            self.reply(200, json.dumps(rows).encode(), headers)
        else:
            self.reply(404, b'{"error":"Revision not found"}')

    def resolve(self, path):
        hub = self.server.hub
        if hub.misbehave.get("redirect_loop"):
            self.reply(302, b"", {"Location": self.path})
        elif path.endswith(".safetensors") and not hub.misbehave.get("no_redirect"):
            where = f"http://127.0.0.1:{hub.cdn.server_port}{self.path}?X-Signature=secret"
            self.reply(302, b"see there", {"Location": where})
        else:
            self.content(path)

    def content(self, path):
        hub = self.server.hub
        path = path.partition("?")[0]
        name, _, rest = path[1:].partition("/resolve/")
        file = rest.partition("/")[2]
        if file not in hub.models.get(name, {}):
            self.reply(404, b"no such file")
            return
        data = hub.models[name][file]
        served = hub.misbehave.get("replace", {}).get(file, data)
        served = hub.misbehave.get("replace_once", {}).pop(file, served)
        wanted = self.headers.get("Range")
        begin = 0
        code, headers = 200, {"Content-Type": "application/octet-stream"}
        if wanted and not hub.misbehave.get("ignore_range"):
            begin = int(wanted[len("bytes="):].split("-")[0])
            if begin >= len(served):
                self.reply(416, b"", {"Content-Range": f"bytes */{len(served)}"})
                return
            code = 206
            shift = hub.misbehave.get("shift_range", 0)
            headers["Content-Range"] = \
                f"bytes {begin + shift}-{len(served) - 1}/{len(served)}"
        body = served[begin:]
        cut = hub.misbehave.get("truncate")
        if cut and len(body) > cut and file.endswith(".safetensors"):
            if hub.misbehave.get("truncations", 99) > 0:
                hub.misbehave["truncations"] = hub.misbehave.get("truncations", 99) - 1
                self.reply(code, body[:cut], headers, length=len(body))
                return
        self.reply(code, body, headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that hang up are part of the game


class StubHub:
    def __init__(self, models):
        self.models = models
        self.misbehave = {}
        self.requests = []
        self.servers = []

    def serve(self, label):
        server = Server(("127.0.0.1", 0), Handler)
        server.hub = self
        server.label = label
        self.servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def __enter__(self):
        self.hub = self.serve("hub")
        self.cdn = self.serve("cdn")
        self.endpoint = f"http://127.0.0.1:{self.hub.server_port}"
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
