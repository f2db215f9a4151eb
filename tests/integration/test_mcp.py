#!/usr/bin/env python3
"""ragctl mcp as a client of the Model Context Protocol sees it, and as a hostile one does.

    test_mcp.py BUILD_DIR"""
import json
import os
import pathlib
import select
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
LATEST = "2025-06-18"


class Client:
    """One 'ragctl mcp' and what it says, line by line."""

    def __init__(self, ragd, *arguments):
        self.process = subprocess.Popen(
            [str(BUILD / "ragctl"), "mcp", *arguments, "--socket", ragd.socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.rest = b""
        self.n = 0

    def send(self, *lines):
        for line in lines:
            data = line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()
            self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def read(self, seconds=60):
        """The next message; None: none came."""
        until = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def call(self, method, params=None):
        self.n += 1
        self.send({"jsonrpc": "2.0", "id": self.n, "method": method,
                   **({"params": params} if params is not None else {})})
        while True:
            reply = self.read()
            if reply is None:
                raise AssertionError(f"{method}: no reply; {self.end()}")
            if reply.get("id") == self.n:
                return reply

    def initialize(self, version=LATEST):
        reply = self.call("initialize", {"protocolVersion": version, "capabilities": {},
                                         "clientInfo": {"name": "test", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return reply["result"]

    def tool(self, name, **arguments):
        return self.call("tools/call", {"name": name, "arguments": arguments})

    def end(self):
        """(exit status, what it wrote to standard error)"""
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        error = self.process.stderr.read().decode()
        self.close()
        return status, error

    def close(self):
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self.process.wait(timeout=60)


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD)
        cls.addClassCleanup(cls.ragd.__exit__, None, None, None)
        cls.ragd.start()
        for collection, documents in (
                ("handbook", {"hr/연차.md": "# 휴가\n\n연차는 1년에 15일이다. 신청은 총무팀에 한다.",
                              "it/보안.txt": "비밀번호는 90일마다 바꾼다."}),
                ("notes", {"a b.txt": "점심은 11시 30분이다."})):
            cls.ragd.call("PUT", f"/v1/collections/{collection}", {})
            for name, text in documents.items():
                cls.ragd.call("PUT", cls.ragd.document(collection, name), text,
                              "text/markdown" if name.endswith(".md") else "text/plain")

    def client(self, *arguments, version=LATEST):
        client = Client(self.ragd, *arguments)
        self.addCleanup(client.close)
        if version:
            client.initialize(version)
        return client

    def error(self, reply, code, words=""):
        self.assertEqual(reply.get("error", {}).get("code"), code, reply)
        self.assertIn(words, reply["error"]["message"])


class Session(Base):
    def test_the_revision_is_agreed_on(self):
        for wanted, got in ((LATEST, LATEST), ("2025-03-26", "2025-03-26"),
                            ("2024-11-05", "2024-11-05"), ("2099-01-01", LATEST)):
            client = self.client(version=None)
            result = client.initialize(wanted)
            self.assertEqual(result["protocolVersion"], got)
            self.assertEqual(set(result["capabilities"]), {"tools", "resources"})
            self.assertEqual(result["serverInfo"]["name"], "ragd")
            self.assertEqual(client.call("ping")["result"], {})
            self.assertEqual(client.end(), (0, ""))

    def test_before_initialize_only_a_ping_is_answered(self):
        client = self.client(version=None)
        self.assertEqual(client.call("ping")["result"], {})
        self.error(client.call("tools/list"), -32600, "'initialize'")
        self.error(client.call("initialize", {}), -32602, "protocolVersion")
        client.initialize()
        self.error(client.call("initialize", {"protocolVersion": LATEST}), -32600, "already")

    def test_errors_have_their_codes(self):
        client = self.client()
        for line, code in (
                (b"{not json", -32700), (b"\xff\xfe{}", -32700), (b"[" * 5000, -32700),
                (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
                (b"1", -32600), (b'"text"', -32600), (b"{}", -32600), (b"[]", -32600),
                (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
                (b'{"jsonrpc":"2.0","id":1}', -32600),
                (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
                (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
                (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
                (b'{"jsonrpc":"2.0","id":1,"method":"none"}', -32601),
                (b'{"jsonrpc":"2.0","id":1,"method":"resources/subscribe"}', -32601),
                (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}', -32602),
                (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}', -32602),
                (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', -32602)):
            client.send(line)
            self.error(client.read(), code)
        # the id comes back as it was sent
        for an_id in ("a", "", 0, -7, 9007199254740991, 1.5):
            client.send({"jsonrpc": "2.0", "id": an_id, "method": "ping"})
            self.assertEqual(client.read(), {"jsonrpc": "2.0", "id": an_id, "result": {}})
        # what is no request has no answer
        client.send({"jsonrpc": "2.0", "method": "notifications/none"},
                    {"jsonrpc": "2.0", "id": 1, "result": {}}, b"", b"   ", b"\r")
        self.assertIsNone(client.read(0.2))
        self.assertEqual(client.end(), (0, ""))

    def test_a_line_without_end_and_one_that_is_too_long(self):
        client = self.client()
        ten = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":' \
              b'{"collection":"handbook","query":"' + b"a" * 10_000_000 + b'"}}}'
        client.send(ten)
        self.error(client.read(), -32602, "query")
        client.send(b"[" * 10_000_000)
        self.error(client.read(), -32700)
        client.send(b"x" * (17 << 20))
        self.error(client.read(), -32600, "over 16777216 bytes")
        self.assertEqual(client.call("ping")["result"], {})
        client.process.stdin.write(b'{"jsonrpc":"2.0","id":"last","method":"ping"}')
        client.process.stdin.close()
        self.assertEqual(client.read()["id"], "last")
        self.assertEqual(client.process.wait(timeout=60), 0)

    def test_batches_are_of_one_revision(self):
        batch = [{"jsonrpc": "2.0", "id": 1, "method": "ping"},
                 {"jsonrpc": "2.0", "method": "notifications/initialized"}, 5,
                 {"jsonrpc": "2.0", "id": "x", "method": "none"}]
        client = self.client(version="2025-03-26")
        client.send(batch)
        replies = client.read()
        self.assertEqual([(r["id"], r.get("error", {}).get("code")) for r in replies],
                         [(1, None), (None, -32600), ("x", -32601)])
        client.send([{"jsonrpc": "2.0", "method": "notifications/initialized"}])
        self.assertIsNone(client.read(0.2))
        client = self.client()
        client.send(batch)
        self.error(client.read(), -32600, "batch")

    def test_everything_sent_at_once_is_answered_in_order(self):
        client = self.client()
        client.send(*({"jsonrpc": "2.0", "id": i, "method": "ping"} for i in range(2000)))
        self.assertEqual([client.read()["id"] for i in range(2000)], list(range(2000)))

    def test_a_reader_that_went_away_ends_it(self):
        client = self.client()
        client.process.stdout.close()
        client.send({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        self.assertEqual(client.process.wait(timeout=60), 0)

    def test_without_a_daemon_a_tool_says_so(self):
        gone = Ragd(BUILD)
        self.addCleanup(gone.__exit__, None, None, None)
        client = Client(gone)
        client.initialize()
        self.assertEqual(len(client.call("tools/list")["result"]["tools"]), 5)
        result = client.tool("list_collections")["result"]
        self.assertTrue(result["isError"])
        self.assertIn(gone.socket, result["content"][0]["text"])
        self.error(client.call("resources/list"), -32603, gone.socket)
        client.end()


class Tools(Base):
    def test_the_list_follows_write(self):
        reading = {"search", "ask", "list_collections", "list_documents", "get_document"}
        for arguments, names in (((), reading),
                                 (("--write",), reading | {"put_document", "delete_document"})):
            tools = self.client(*arguments).call("tools/list")["result"]["tools"]
            self.assertEqual({t["name"] for t in tools}, names)
            for tool in tools:
                self.assertEqual(tool["inputSchema"]["type"], "object")
                self.assertEqual(tool["outputSchema"]["type"], "object")
                self.assertEqual(tool["annotations"]["readOnlyHint"], tool["name"] in reading)
        client = self.client()
        self.error(client.tool("delete_document", collection="notes", document="a b.txt"), -32602,
                   "need --write")
        self.error(client.tool("none"), -32602, "unknown")

    def test_what_is_asked_must_fit_the_schema(self):
        client = self.client("--write")
        for name, arguments, words in (
                ("search", {"collection": "handbook"}, "'query'"),
                ("search", {"query": "연차"}, "'collection'"),
                ("search", {"collection": "handbook", "query": 5}, "query"),
                ("search", {"collection": "handbook", "query": "연차", "top_k": 51}, "top_k"),
                ("search", {"collection": "handbook", "query": "연차", "topk": 5}, "topk"),
                ("ask", {"collection": "handbook"}, "'question'"),
                ("list_documents", {"collection": "handbook", "limit": 0}, "limit"),
                ("get_document", {"collection": "handbook"}, "'document'"),
                ("get_document", {"collection": "handbook", "document": "x", "max_bytes": -1},
                 "max_bytes"),
                ("put_document", {"collection": "handbook", "document": "x"}, "'text'"),
                ("put_document", {"collection": "handbook", "document": "x", "text": "글이다.",
                                  "type": "application/pdf"}, "type"),
                ("put_document", {"collection": "handbook", "document": "x", "text": "글이다.",
                                  "metadata": []}, "metadata"),
                ("list_collections", {"x": 1}, "x")):
            self.error(client.tool(name, **arguments), -32602, words)
        self.error(client.call("tools/call", {"name": "ask", "arguments": []}), -32602, "arguments")

    def test_what_the_daemon_refuses_is_an_error_of_the_tool(self):
        client = self.client("--write")
        for name, arguments, words in (
                ("search", {"collection": "nowhere", "query": "연차"}, "'nowhere'"),
                ("search", {"collection": "handbook", "query": "연차", "filter": {"a": {"b": 1}}},
                 "a"),
                ("ask", {"collection": "nowhere", "question": "연차?"}, "'nowhere'"),
                ("ask", {"collection": "handbook", "question": "연차?", "messages": [5]}, "messages"),
                ("get_document", {"collection": "handbook", "document": "none"}, "none"),
                ("delete_document", {"collection": "handbook", "document": "none"}, "none"),
                ("put_document", {"collection": "handbook", "document": "x", "text": "글이다.",
                                  "metadata": {"k": {"nested": 1}}}, "k")):
            result = client.tool(name, **arguments)["result"]
            self.assertTrue(result["isError"], (name, result))
            self.assertNotIn("structuredContent", result)
            self.assertIn(words, result["content"][0]["text"])

    def test_search_and_ask(self):
        client = self.client()
        result = client.tool("search", collection="handbook", query="연차", top_k=1)["result"]
        self.assertFalse(result["isError"])
        self.assertEqual(result["structuredContent"]["results"][0]["document"], "hr/연차.md")
        self.assertIn("연차는 1년에 15일이다.", result["content"][0]["text"])
        result = client.tool("ask", collection="handbook", question="연차는 며칠인가요?")["result"]
        answer = result["structuredContent"]
        self.assertFalse(answer["refused"] or result["isError"])
        self.assertIn("15일", answer["answer"])
        self.assertEqual(answer["citations"][0]["document"], "hr/연차.md")
        self.assertIn("[1] hr/연차.md", result["content"][0]["text"])
        refused = client.tool("ask", collection="handbook", question="달의 무게는 얼마인가요?")["result"]
        self.assertTrue(refused["structuredContent"]["refused"])
        self.assertFalse(refused["isError"])
        self.assertIn("답 없음", refused["content"][0]["text"])
        follow_up = client.tool("ask", collection="handbook", question="그럼 신청은 어디에 하나요?",
                                messages=[{"role": "user", "content": "연차는 며칠인가요?"},
                                          {"role": "assistant", "content": "15일이다."}])["result"]
        self.assertIn("총무팀", follow_up["structuredContent"]["answer"])

    def test_progress_comes_before_the_answer(self):
        client = self.client()
        client.send({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {
            "name": "ask", "arguments": {"collection": "handbook", "question": "연차는 며칠인가요?"},
            "_meta": {"progressToken": "p"}}})
        seen = []
        while (message := client.read()).get("id") != 77:
            self.assertEqual(message["method"], "notifications/progress")
            self.assertEqual(message["params"]["progressToken"], "p")
            seen.append((message["params"]["progress"], message["params"]["message"]))
        self.assertGreaterEqual(len(seen), 2)
        self.assertEqual([n for n, _ in seen], sorted({n for n, _ in seen}))
        self.assertIn("passages found", seen[0][1])
        self.assertIn("15일", "".join(text for _, text in seen))
        self.assertIn("15일", message["result"]["structuredContent"]["answer"])

    def test_a_collection_can_be_given_once(self):
        client = self.client("--collection", "notes")
        result = client.tool("search", query="점심")["result"]["structuredContent"]
        self.assertEqual(result["results"][0]["document"], "a b.txt")
        other = client.tool("list_documents", collection="handbook")["result"]
        self.assertEqual(len(other["structuredContent"]["documents"]), 2)
        resources = client.call("resources/list")["result"]["resources"]
        self.assertEqual([r["uri"] for r in resources], ["ragd://notes/a%20b.txt"])

    def test_documents(self):
        client = self.client()
        result = client.tool("list_collections")["result"]["structuredContent"]
        self.assertEqual([(c["name"], c["documents"]) for c in result["collections"]],
                         [("handbook", 2), ("notes", 1)])
        first = client.tool("list_documents", collection="handbook", limit=1)["result"]
        page = first["structuredContent"]
        self.assertEqual(json.loads(first["content"][0]["text"]), page)
        self.assertEqual([d["document"] for d in page["documents"]], ["hr/연차.md"])
        page = client.tool("list_documents", collection="handbook", after=page["next"])["result"]
        self.assertEqual([d["document"] for d in page["structuredContent"]["documents"]],
                         ["it/보안.txt"])
        text = "비밀번호는 90일마다 바꾼다."
        whole = client.tool("get_document", collection="handbook", document="it/보안.txt")["result"]
        self.assertEqual(whole["content"][0]["text"], text)
        self.assertEqual((whole["structuredContent"]["text"],
                          whole["structuredContent"]["truncated"]), (text, False))
        # parts end at whole characters and follow each other
        parts, start = [], 0
        while True:
            part = client.tool("get_document", collection="handbook", document="it/보안.txt",
                               byte_start=start, max_bytes=7)["result"]["structuredContent"]
            self.assertEqual(part["byte_start"], start)
            parts.append(part["text"])
            start = part["byte_end"]
            if not part["truncated"]:
                break
        self.assertEqual("".join(parts), text)
        beyond = client.tool("get_document", collection="handbook", document="it/보안.txt",
                             byte_start=10**9)["result"]["structuredContent"]
        self.assertEqual((beyond["text"], beyond["truncated"]), ("", False))

    def test_put_and_delete(self):
        client = self.client("--write", "--collection", "notes")
        put = {"document": "새 글/1.md", "text": "# 회의\n\n회의는 화요일 3시이다.", "type": "text/markdown",
               "title": "주간 회의", "metadata": {"dept": "인사", "year": 2026}}
        result = client.tool("put_document", **put)["result"]
        self.assertTrue(result["structuredContent"]["created"])
        again = client.tool("put_document", **put)["result"]["structuredContent"]
        self.assertTrue(again["unchanged"])
        found = client.tool("search", query="회의", filter={"year": {"gte": 2026}})["result"]
        self.assertEqual(found["structuredContent"]["results"][0]["title"], "주간 회의")
        gone = client.tool("delete_document", document="새 글/1.md")["result"]
        self.assertEqual(gone["structuredContent"]["deleted"], True)
        self.assertTrue(client.tool("get_document", document="새 글/1.md")["result"]["isError"])


class Resources(Base):
    def test_documents_are_resources(self):
        client = self.client()
        resources = client.call("resources/list")["result"]["resources"]
        self.assertEqual([r["name"] for r in resources], ["hr/연차.md", "it/보안.txt", "a b.txt"])
        self.assertEqual(resources[0]["mimeType"], "text/markdown")
        for resource in resources:
            read = client.call("resources/read", {"uri": resource["uri"]})["result"]["contents"]
            self.assertEqual(read[0]["uri"], resource["uri"])
            self.assertEqual(len(read[0]["text"].encode()), resource["size"])
        templates = client.call("resources/templates/list")["result"]["resourceTemplates"]
        self.assertEqual(templates[0]["uriTemplate"], "ragd://{collection}/{document}")

    def test_what_is_no_resource(self):
        client = self.client()
        for uri, code in ((None, -32602), (5, -32602), ("", -32602), ("file:///etc/passwd", -32602),
                          ("ragd://handbook", -32602), ("ragd://handbook/", -32602),
                          ("ragd://handbook/%zz", -32602), ("ragd://handbook/%00", -32602),
                          ("ragd://handbook/%ff", -32602), ("ragd://" + "a" * 5000 + "/x", -32602),
                          ("ragd://handbook/none", -32002), ("ragd://nowhere/none", -32002),
                          ("ragd://..%2f..%2faudit/none", -32002)):
            self.error(client.call("resources/read", {"uri": uri}), code)
        for cursor in (5, "x", "ragd://"):
            self.error(client.call("resources/list", {"cursor": cursor}), -32602, "cursor")

    def test_pages(self):
        self.ragd.call("PUT", "/v1/collections/many", {})
        self.addCleanup(self.ragd.call, "DELETE", "/v1/collections/many")
        lines = "".join(json.dumps({"id": f"{i:03}", "text": f"{i}번 글이다."}) + "\n"
                        for i in range(230))
        self.ragd.call("POST", "/v1/collections/many/documents", lines, "application/x-ndjson")
        client = self.client()
        names, cursor, pages = [], None, 0
        while True:
            page = client.call("resources/list", {"cursor": cursor} if cursor else {})["result"]
            names += [r["uri"] for r in page["resources"]]
            pages += 1
            cursor = page.get("nextCursor")
            if not cursor:
                break
        self.assertEqual((len(names), len(set(names)), pages), (233, 233, 3))


class Cancellation(unittest.TestCase):
    """Against a daemon that takes its time: a socket of our own that speaks HTTP."""

    def setUp(self):
        import socket
        import tempfile
        self.folder = tempfile.mkdtemp(prefix="mcp.")
        self.addCleanup(__import__("shutil").rmtree, self.folder)
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.socket = self.folder + "/s"
        self.listener.bind(self.socket)
        self.listener.listen()
        self.client = Client(self)
        self.addCleanup(self.client.close)
        self.client.initialize()

    def take_request(self):
        connection, _ = self.listener.accept()
        self.addCleanup(connection.close)
        data = b""
        while b"\r\n\r\n" not in data or not data.rstrip().endswith(b"}"):
            data += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                           b"event: meta\ndata: {}\n\n")
        return connection

    def test_a_cancelled_question_has_no_answer(self):
        client = self.client
        client.send({"jsonrpc": "2.0", "id": "q", "method": "tools/call", "params": {
            "name": "ask", "arguments": {"collection": "c", "question": "얼마나 걸리나요?"}}})
        connection = self.take_request()
        # another's cancellation does not matter, a ping is answered meanwhile, a list waits
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                     "params": {"requestId": "other"}},
                    {"jsonrpc": "2.0", "id": 5, "method": "ping"},
                    {"jsonrpc": "2.0", "id": 6, "method": "tools/list"})
        self.assertEqual(client.read()["id"], 5)
        self.assertIsNone(client.read(0.5))
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                     "params": {"requestId": "q", "reason": "the person left"}})
        self.assertEqual(client.read()["id"], 6)
        self.assertIsNone(client.read(0.5))
        connection.settimeout(60)
        self.assertEqual(connection.recv(1), b"")  # the daemon hears of it

    def test_a_daemon_that_breaks_off(self):
        for rest, words in ((b"", "ended before"), (b"event: done\ndata: {\n\n", "event of ragd"),
                            (b"event: error\ndata: {\"error\":{\"message\":\"no luck\"}}\n\n",
                             "no luck")):
            self.client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "ask", "arguments": {"collection": "c", "question": "왜?"}}})
            connection = self.take_request()
            connection.sendall(rest)
            connection.shutdown(2)
            reply = self.client.read()
            self.assertTrue(reply["result"]["isError"], reply)
            self.assertIn(words, reply["result"]["content"][0]["text"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
