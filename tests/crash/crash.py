#!/usr/bin/env python3
"""Kill ragd with SIGKILL at random moments of mixed work, restart it, and check that

  - every acknowledged change is there, and no document that nobody sent (lost),
  - no document is anything but one of the versions that were sent for it, nor is a version left
    half written in the database (half),
  - the index holds exactly what the store holds, and equals a rebuild in ids and in the bits of
    its scores (index_mismatch),
  - every chunk has its vector or waits for it, no vector is without its chunk, and what vectors
    find equals a rebuild (vector_mismatch),
  - the audit chain is whole, has the row of every acknowledged change and answer, and no change
    twice; what was acknowledged to be cut off is gone, and nothing else (audit_broken).

Killed are: documents of one to ten thousand sentences (the big ones are staged in slices), bulk
requests, deletions, questions, embedding, snapshots of the indexes (one a second), cuts of the audit
log, and starts that are still recovering from the kill before. The embedder is tiny and random.

    crash.py BUILD_DIR [--rounds N] [--seed S] [--clients N] [--keep]

The last line is one JSON object."""
import argparse
import collections
import http.client
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

MODEL = pathlib.Path(__file__).resolve().parents[1] / "data" / "models" / "tiny-xlmr-embed"
CONFIG = ("[index]\nsnapshot_interval_s = 1\n"
          f"[models]\nembedder = {MODEL}\nembed_wait_ms = 0\n")
WORDS = ("휴가 규정 연차 이월 보안 정책 비밀번호 계정 서버 장애 배포 회의 출장 숙박비 정산 점심 메뉴 필터 교체 소음 "
         "시험 결과 보증 기간 수리 반품 배송 등급 적립금 고객 명단 승인 팀장 신청 절차 급여 수습 교육 설치 오류 인증서").split()
DOCUMENTS = 12         # names of each client
BIG_SENTENCES = 10000  # about 1.5 MB: several slices of staging


class Model:
    """What must be there. Per document: the last acknowledged text (None: deleted), and the
    texts of the changes that were sent after it and not acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sure = {}
        self.maybe = {}
        self.changes = set()  # X-Request-Id of acknowledged changes
        self.asks = set()     # and of answers
        self.n_acknowledged = 0

    def sent(self, texts):
        with self.lock:
            for name, text in texts.items():
                self.maybe.setdefault(name, []).append(text)

    def acknowledged(self, texts, request_id):
        with self.lock:
            for name, text in texts.items():
                self.sure[name] = text
                self.maybe[name] = []
            self.n_acknowledged += len(texts)
            if request_id:
                self.changes.add(request_id)

    def refused(self, texts):
        with self.lock:
            for name, text in texts.items():
                self.maybe[name].remove(text)


def make_text(rng, name, version):
    sentences = []
    n = BIG_SENTENCES if rng.random() < 0.01 else rng.choice((1, 3, 10, 60))
    for i in range(n):
        words = " ".join(rng.choice(WORDS) for _ in range(12))
        sentences.append(f"{words} {name} {version} {i}번이다.")
    if rng.random() < 0.2:
        sentences.insert(0, "여러 문서가 함께 가진 문장이다.")
    return "\n\n".join(sentences)


def request(daemon, method, target, body, content_type="application/json"):
    """(status, reply, request id)"""
    connection = daemon.connection()
    try:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, target, data, {"Content-Type": content_type} if data else {})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.getheader("X-Request-Id")
    finally:
        connection.close()


def change_documents(daemon, model, rng, own, tag):
    """One change of a random kind: a put, a delete or a bulk of three."""
    names = rng.sample([f"문서-{own}-{i}.txt" for i in range(DOCUMENTS)], 3)
    kind = rng.random()
    if kind < 0.65:
        texts = {names[0]: make_text(rng, names[0], tag)}
        arguments = ("PUT", daemon.document("crash", names[0]), texts[names[0]].encode(),
                     "text/plain")
    elif kind < 0.85:
        texts = {names[0]: None}
        arguments = ("DELETE", daemon.document("crash", names[0]), None)
    else:
        texts = {name: make_text(rng, name, tag)[:20000] for name in names}
        lines = "".join(json.dumps({"id": name, "text": text}) + "\n"
                        for name, text in texts.items())
        arguments = ("POST", "/v1/collections/crash/documents", lines.encode(),
                     "application/x-ndjson")
    model.sent(texts)
    status, reply, request_id = request(daemon, *arguments)
    if status in (200, 201) and not reply.get("failed"):
        model.acknowledged(texts, None if reply.get("unchanged") else request_id)
    elif status == 404:
        model.refused(texts)  # a delete of what is not there
    else:
        raise RuntimeError(f"{arguments[0]} {arguments[1]}: {status} {reply}")


def worker(daemon, model, seed, stop, own, problems):
    """One client: its own documents, so that it knows their order."""
    rng = random.Random(seed)
    n = 0
    try:
        while not stop.is_set():
            n += 1
            if rng.random() < 0.75:
                change_documents(daemon, model, rng, own, f"{seed}v{n}")
                continue
            question = " ".join(rng.choice(WORDS) for _ in range(3)) + "은 무엇인가요?"
            status, reply, request_id = request(
                daemon, "POST", "/v1/ask", {"collection": "crash", "question": question})
            if status != 200:
                raise RuntimeError(f"ask: {status} {reply}")
            with model.lock:
                model.asks.add(request_id)
                model.n_acknowledged += 1
    except (OSError, http.client.HTTPException, ValueError):
        pass  # killed: what was sent stays a maybe
    except RuntimeError as e:
        problems.append(str(e))


def stored_names(daemon):
    names, after = set(), ""
    while after is not None:
        _, page = daemon.call("GET", "/v1/collections/crash/documents?limit=1000&after=" +
                              urllib.parse.quote(after, safe=""))
        names |= {d["document"] for d in page["documents"]}
        after = page["next"]
    return names


def check_documents(daemon, model):
    lost = half = 0
    for name in sorted(set(model.sure) | set(model.maybe)):
        status, reply = daemon.call("GET", daemon.document("crash", name))
        got = reply["text"] if status == 200 else None
        allowed = [model.sure.get(name)] + model.maybe.get(name, [])
        if got not in allowed:
            if got is None or got == "" or model.sure.get(name) is None:
                lost += 1
            else:
                half += 1
        # what is there now is what counts from here on
        model.sure[name] = got
        model.maybe[name] = []
    there = {name for name, text in model.sure.items() if text is not None}
    lost += len(there ^ stored_names(daemon))
    return lost, half


def half_written(state):
    """1 if the database holds parts that belong to nothing. They may be there for a while after a
    start, because what a kill left is swept in slices beside other work."""
    tests = ("SELECT count(*) FROM versions WHERE state <> 1",
             "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM version_chunks)",
             "SELECT count(*) FROM version_chunks WHERE version_id NOT IN (SELECT id FROM versions)",
             "SELECT count(*) FROM texts WHERE version_id NOT IN (SELECT id FROM versions)",
             "SELECT count(*) FROM versions WHERE id NOT IN (SELECT version_id FROM documents)")
    until = time.monotonic() + 20
    while True:
        database = sqlite3.connect(f"file:{state / 'ragd.db'}?mode=ro", uri=True, timeout=10)
        found = [database.execute(test).fetchone()[0] for test in tests]
        database.close()
        if not any(found):
            return 0
        if time.monotonic() > until:
            print(f"left in the database: {found}", file=sys.stderr)
            return 1
        time.sleep(0.05)


def ranking(daemon, queries):
    out = []
    for query in queries:
        _, reply = daemon.call("POST", "/v1/search",
                               {"collection": "crash", "query": query, "top_k": 50, "stages": True})
        out.append([[(h["chunk"], h["score"]) for h in reply["stages"].get(stage, ())]
                    for stage in ("bm25", "dense")])
    return out


def settle(daemon):
    """Wait until nothing is to be embedded; how many embeddings are wrong then."""
    until = time.monotonic() + 600
    while daemon.call("GET", "/v1/collections/crash")[1]["vectors"]["state"] != "ready":
        if time.monotonic() > until:
            raise RuntimeError("chunks wait for their vectors for ten minutes")
        time.sleep(0.05)
    with sqlite3.connect(f"file:{daemon.state}/ragd.db?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM embeddings WHERE chunk_id NOT IN"
                          " (SELECT id FROM chunks)").fetchone()[0]


def check_index(daemon, rng, compare_rebuild):
    """How much is wrong with the index, and with the vectors."""
    _, reply = daemon.call("POST", "/v1/collections/crash/check")
    wrong = int(reply["differences"] > 0)
    wrong_vectors = int(reply["vector_differences"] > 0)
    if compare_rebuild:
        queries = [" ".join(rng.choice(WORDS) for _ in range(3)) for _ in range(20)]
        wrong_vectors += settle(daemon)
        before = ranking(daemon, queries)
        daemon.stop()
        shutil.rmtree(daemon.state / "index")
        daemon.start()
        after = ranking(daemon, queries)
        wrong += int([words for words, _ in before] != [words for words, _ in after])
        wrong_vectors += int([dense for _, dense in before] != [dense for _, dense in after] or
                             not any(dense for _, dense in before))
    return wrong, wrong_vectors


def cutter(daemon, rows, seed):
    """Cut off rows that have been read; the kill may come in the middle."""
    rng = random.Random(seed)
    time.sleep(rng.uniform(0, 0.4))
    seq = rng.randint(rows.cut + 1, rows.after - 1)
    try:
        status, reply, _ = request(daemon, "POST", "/v1/audit/cut", {"seq": seq})
    except (OSError, http.client.HTTPException, ValueError):
        rows.maybe_cut = seq  # killed
        return
    if status != 200:
        rows.problem = f"cut {seq}: {status} {reply}"
    rows.cut = seq


class Rows:
    """What the audit log has said so far; each round reads only what is new."""

    def __init__(self):
        self.after = 0
        self.cut = 0        # rows up to this one are gone for certain
        self.maybe_cut = 0  # and maybe up to this one
        self.problem = ""
        self.requests = set()
        self.puts = collections.Counter()  # by (document, version)

    def read(self, daemon):
        while True:
            _, page = daemon.call("GET", f"/v1/audit?after={self.after}&limit=1000")
            for entry in page["entries"]:
                payload = entry["payload"]
                self.after = entry["seq"]
                self.requests.add(payload.get("request_id"))
                if entry["kind"] == "document.put" and "version" in payload:
                    self.puts[payload["document"], payload["version"]] += 1
            if len(page["entries"]) < 1000:
                return


def check_audit(daemon, model, rows, head):
    _, report = daemon.call("POST", "/v1/audit/verify", {"head": head} if head else {})
    rows.read(daemon)
    broken = 0 if report["whole"] and not rows.problem else 1
    if report["first_seq"] - 1 not in (rows.cut, rows.maybe_cut):
        broken += 1
    if broken:
        print(f"audit: {report['problem']}{rows.problem}, begins at {report['first_seq']},"
              f" cut {rows.cut}, maybe {rows.maybe_cut}", file=sys.stderr)
    rows.cut = rows.maybe_cut = report["first_seq"] - 1
    broken += len((model.changes | model.asks) - rows.requests)
    broken += sum(1 for n in rows.puts.values() if n > 1)
    return broken, report["head"]


def start_again(daemon, rng):
    """Some starts are killed too, while they recover."""
    while rng.random() < 0.2:
        with open(daemon.log_path, "ab") as log:
            process = subprocess.Popen(daemon.command(), stdout=log, stderr=log)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
    daemon.start()


def run(daemon, arguments, total):
    model = Model()
    rows = Rows()
    rng = random.Random(arguments.seed)
    problems = []
    head = None

    daemon.start()
    daemon.call("PUT", "/v1/collections/crash", {})
    for round_number in range(1, arguments.rounds + 1):
        stop = threading.Event()
        threads = [threading.Thread(target=worker, args=(
            daemon, model, arguments.seed * 1000003 + round_number * 101 + i, stop, i, problems))
            for i in range(arguments.clients)]
        if rng.random() < 0.4 and rows.after - rows.cut > 2:
            threads.append(threading.Thread(target=cutter, args=(daemon, rows, rng.random())))
        for thread in threads:
            thread.start()
        # the long ones end while a snapshot of the index is due or just written
        time.sleep(rng.uniform(0.9, 1.3) if rng.random() < 0.2 else rng.uniform(0.02, 0.6))
        daemon.kill()
        stop.set()
        for thread in threads:
            thread.join()
        if problems:
            raise RuntimeError("; ".join(problems))
        start_again(daemon, rng)
        lost, half = check_documents(daemon, model)
        total["lost"] += lost
        total["half"] += half + half_written(daemon.state)
        broken, head = check_audit(daemon, model, rows, head)
        total["audit_broken"] += broken
        wrong, wrong_vectors = check_index(daemon, rng, round_number % 10 == 0)
        total["index_mismatch"] += wrong
        total["vector_mismatch"] += wrong_vectors
        total["acknowledged"] = model.n_acknowledged
        total["rounds"] = round_number
        if sys.stderr.isatty() or round_number % 20 == 0:
            print(f"round {round_number}: {total}", file=sys.stderr, flush=True)
    daemon.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="keep the state folder")
    arguments = parser.parse_args()

    daemon = Ragd(arguments.build, config=CONFIG, hurry=True)
    total = {"test": "crash", "rounds": 0, "acknowledged": 0, "lost": 0, "half": 0,
             "index_mismatch": 0, "vector_mismatch": 0, "audit_broken": 0}
    try:
        run(daemon, arguments, total)
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.process.kill()
        if not arguments.keep:
            shutil.rmtree(daemon.folder, ignore_errors=True)
        else:
            print(f"kept: {daemon.folder}", file=sys.stderr)
    print(json.dumps(total))
    return 1 if any(total[key] for key in ("lost", "half", "index_mismatch", "vector_mismatch",
                                           "audit_broken")) else 0


if __name__ == "__main__":
    sys.exit(main())
