"""A private ragd for integration tests and benchmarks: start, call, kill, stop.

Standard library only. `with Ragd(build_dir) as ragd: ragd.call("GET", "/healthz")`."""
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse


PATIENCE_S = 180  # with anything that must happen: a busy machine under a sanitizer is slow


def sanitized(build):
    """Was it built with sanitizers? Everything takes several times as long then."""
    cache = pathlib.Path(build) / "CMakeCache.txt"
    return re.search(r"^RAG_SANITIZE:\w+=.", cache.read_text(encoding="utf-8"), re.MULTILINE) \
        if cache.exists() else None


def free_port():
    """A port of 127.0.0.1 for a server to come. It is below those that the kernel gives to clients:
    no other process's connection takes it until then, nor while the server starts again."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(10000, max(first, 11000))
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=PATIENCE_S):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Ragd:
    """`config` is the text of ragd.conf. An encoder that it does not name is none, whatever the
    default is and whatever is installed: a test says which models it is about. What a search and an
    ingestion may wait for a model is a minute, where `config` does not say it: a machine that does
    much else must not make a search go on without its vectors. `hurry`: as ragd comes."""

    def __init__(self, build, config=None, folder=None, wrapper=(), hurry=False):
        self.build = pathlib.Path(build).resolve()
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="ragd-test."))
        self.state = self.folder / "state"
        self.socket = str(self.folder / "s")
        self.config = config
        self.wrapper = list(wrapper)
        self.hurry = hurry
        self.process = None
        self.log_path = self.folder / "log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.log_path.read_text(encoding="utf-8", errors="replace")[-4000:])
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def command(self):
        path = self.folder / "ragd.conf"
        path.write_text(self.whole_config(), encoding="utf-8")
        return self.wrapper + [str(self.build / "ragd"), "--state", str(self.state),
                               "--socket", self.socket, "-f", str(path)]

    def whole_config(self):
        text = self.config or ""
        more = [("models", "embedder", "none"), ("models", "reranker", "none")]
        if not self.hurry:
            more += [("models", "embed_wait_ms", 60000), ("retrieve", "embed_budget_ms", 60000),
                     ("retrieve", "rerank_budget_ms", 60000)]
        return text + "".join(f"\n[{section}]\n{key} = {value}\n" for section, key, value in more
                              if not re.search(rf"^\s*{key}\s*[=:]", text, re.MULTILINE))

    def start(self, seconds=PATIENCE_S, **popen):
        """Start and wait until ready; the seconds that this took."""
        begun = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, **popen)
        while time.monotonic() - begun < seconds:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return time.monotonic() - begun
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"ragd ended with {self.process.returncode}:\n" +
                                   self.log_path.read_text(encoding="utf-8")[-4000:])
            time.sleep(0.005)
        raise RuntimeError(f"ragd was not ready within {seconds} s")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def rss_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def connection(self, timeout=PATIENCE_S):
        return UnixConnection(self.socket, timeout)

    def call(self, method, target, body=None, content_type="application/json", headers=None,
             connection=None):
        """(status, parsed JSON or text). Raises OSError or HTTPException when ragd is gone."""
        own = connection is None
        connection = connection or self.connection()
        try:
            data = body
            if isinstance(body, (dict, list)):
                data = json.dumps(body, ensure_ascii=False)
            if isinstance(data, str):
                data = data.encode()
            all_headers = {"Content-Type": content_type} if data is not None else {}
            all_headers.update(headers or {})
            connection.request(method, target, body=data, headers=all_headers)
            response = connection.getresponse()
            raw = response.read()
            if "json" in (response.getheader("Content-Type") or ""):
                return response.status, json.loads(raw)
            return response.status, raw.decode("utf-8", "replace")
        finally:
            if own:
                connection.close()

    def document(self, collection, name):
        return f"/v1/collections/{collection}/documents/{urllib.parse.quote(name, safe='')}"

    def ragctl(self, *arguments, **run):
        return subprocess.run([str(self.build / "ragctl"), *arguments, "--socket", self.socket],
                              capture_output=True, text=True, timeout=900, check=False, **run)


class TcpListener:
    """The TCP listener of a Ragd and the token of each of its principals. `config_lines` go into
    the section [http]."""

    def __init__(self, ragd, names):
        self.port = free_port()
        self.secrets = {name: f"{name}-secret-0123456789" for name in names}
        path = ragd.folder / "tokens"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as tokens:
            tokens.write("".join(f"{n}:{t}\n" for n, t in self.secrets.items()))
        self.config_lines = (f"tcp_address = 127.0.0.1\ntcp_port = {self.port}\n"
                             f"token_file = {path}\n")

    def connection(self, timeout=PATIENCE_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def headers(self, name):
        return {"Authorization": f"Bearer {self.secrets[name]}"}


class User:
    """Calls ragd as one principal: a token's name, or None: this process, over the socket."""

    def __init__(self, ragd, tcp=None, name=None, timeout=PATIENCE_S):
        self.ragd = ragd
        self.tcp = tcp
        self.name = name
        self.timeout = timeout
        self.kept = None
        self.principal = f"token:{name}" if name else f"uid:{os.getuid()}"

    def connection(self):
        return self.tcp.connection(self.timeout) if self.name else \
            self.ragd.connection(self.timeout)

    def call(self, method, target, body=None, content_type="application/json", headers=None):
        """As Ragd.call(), over a connection that is kept open; a failure closes it."""
        if self.kept is None:
            self.kept = self.connection()
        mine = self.tcp.headers(self.name) if self.name else {}
        try:
            return self.ragd.call(method, target, body, content_type, {**mine, **(headers or {})},
                                  connection=self.kept)
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.kept:
            self.kept.close()
        self.kept = None
