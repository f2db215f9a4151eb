#!/usr/bin/env python3
"""Kill ragd with SIGKILL at random moments of mixed work, restart it, and check that

  - every acknowledged change is there (lost),
  - no document is anything but one of the versions that were sent for it (half),
  - the index holds exactly what the store holds, and equals a rebuild in ids and in the bits of
    its scores (index_mismatch),
  - the audit chain is whole and has a row for every acknowledged change and answer (audit_broken).

    crash.py BUILD_DIR [--rounds N] [--seed S] [--keep]

The last line is one JSON object."""
import argparse
import http.client
import json
import pathlib
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

WORDS = ("휴가 규정 연차 이월 보안 정책 비밀번호 계정 서버 장애 배포 회의 출장 숙박비 정산 점심 메뉴 필터 교체 소음 "
         "시험 결과 보증 기간 수리 반품 배송 등급 적립금 고객 명단 승인 팀장 신청 절차 급여 수습 교육 설치 오류 인증서").split()


class Model:
    """What must be there. Per document: the last acknowledged text (None: deleted), and the
    texts of the changes that were sent after it and not acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sure = {}
        self.maybe = {}
        self.changes = set()
        self.requests = set()
        self.n_acknowledged = 0


def make_text(rng, name, version):
    sentences = []
    for i in range(rng.choice((1, 3, 10, 60))):
        words = " ".join(rng.choice(WORDS) for _ in range(12))
        sentences.append(f"{words} {name} {version} {i}번이다.")
    if rng.random() < 0.2:
        sentences.insert(0, "여러 문서가 함께 가진 문장이다.")
    return "\n\n".join(sentences)


def worker(daemon, model, seed, stop, own):
    """One client: its own documents, so that it knows their order."""
    rng = random.Random(seed)
    version = 0
    while not stop.is_set():
        name = f"문서-{own}-{rng.randrange(12)}.txt"
        version += 1
        action = rng.random()
        try:
            if action < 0.55:
                text = make_text(rng, name, f"{seed}v{version}")
                with model.lock:
                    model.maybe.setdefault(name, []).append(text)
                status, reply = daemon.call("PUT", daemon.document("crash", name), text,
                                     "text/plain")
                if status in (200, 201):
                    with model.lock:
                        model.sure[name] = text
                        model.maybe[name] = []
                        model.n_acknowledged += 1
                        if reply["change"]:
                            model.changes.add(reply["change"])
                else:
                    with model.lock:
                        model.maybe[name].remove(text)
            elif action < 0.75:
                with model.lock:
                    model.maybe.setdefault(name, []).append(None)
                status, reply = daemon.call("DELETE", daemon.document("crash", name))
                with model.lock:
                    if status == 200:
                        model.sure[name] = None
                        model.maybe[name] = []
                        model.n_acknowledged += 1
                        model.changes.add(reply["change"])
                    else:
                        model.maybe[name].remove(None)
            else:
                question = " ".join(rng.choice(WORDS) for _ in range(3)) + "은 무엇인가요?"
                status, reply = daemon.call("POST", "/v1/ask",
                                     {"collection": "crash", "question": question})
                if status == 200:
                    with model.lock:
                        model.requests.add(reply["request_id"])
                        model.n_acknowledged += 1
        except (OSError, http.client.HTTPException, ValueError):
            return  # killed: what was sent stays a maybe



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
    return lost, half


def ranking(daemon, queries):
    out = []
    for query in queries:
        _, reply = daemon.call("POST", "/v1/search",
                        {"collection": "crash", "query": query, "top_k": 50, "stages": True})
        out.append([(h["chunk"], h["score"]) for h in reply["stages"]["bm25"]])
    return out


def check_index(daemon, rng, compare_rebuild):
    wrong = 0
    _, reply = daemon.call("POST", "/v1/collections/crash/check")
    if reply["differences"]:
        wrong += 1
    if compare_rebuild:
        queries = [" ".join(rng.choice(WORDS) for _ in range(3)) for _ in range(20)]
        before = ranking(daemon, queries)
        daemon.stop()
        shutil.rmtree(daemon.state / "index")
        daemon.start()
        if ranking(daemon, queries) != before:
            wrong += 1
    return wrong


def check_audit(daemon, model):
    _, report = daemon.call("POST", "/v1/audit/verify", {})
    broken = 0 if report["whole"] else 1
    changes = set()
    requests = set()
    after = 0
    while True:
        _, page = daemon.call("GET", f"/v1/audit?after={after}&limit=1000")
        for entry in page["entries"]:
            after = entry["seq"]
            if entry["kind"] == "ask":
                requests.add(entry["payload"]["request_id"])
            elif entry["kind"].startswith("document."):
                changes.add((entry["payload"]["document"], entry["kind"]))
        if len(page["entries"]) < 1000:
            break
    if not model.requests <= requests:
        broken += 1
    with_rows = {name for name, _ in changes}
    if not {name for name, text in model.sure.items() if text is not None} <= with_rows:
        broken += 1
    return broken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="keep the state folder")
    arguments = parser.parse_args()

    daemon = Ragd(arguments.build)
    model = Model()
    rng = random.Random(arguments.seed)
    total = {"lost": 0, "half": 0, "index_mismatch": 0, "audit_broken": 0}
    try:
        daemon.start()
        daemon.call("PUT", "/v1/collections/crash", {})
        for round_number in range(1, arguments.rounds + 1):
            stop = threading.Event()
            threads = [threading.Thread(target=worker, args=(
                daemon, model, arguments.seed * 1000003 + round_number * 101 + i, stop, i))
                for i in range(arguments.clients)]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.02, 0.6))
            daemon.kill()
            stop.set()
            for thread in threads:
                thread.join()
            daemon.start()
            lost, half = check_documents(daemon, model)
            total["lost"] += lost
            total["half"] += half
            total["index_mismatch"] += check_index(daemon, rng, round_number % 10 == 0)
            total["audit_broken"] += check_audit(daemon, model)
            if sys.stderr.isatty() or round_number % 20 == 0:
                print(f"round {round_number}: {model.n_acknowledged} acknowledged, {total}",
                      file=sys.stderr)
        daemon.stop()
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.process.kill()
        if not arguments.keep:
            shutil.rmtree(daemon.folder, ignore_errors=True)
        else:
            print(f"kept: {daemon.folder}", file=sys.stderr)
    print(json.dumps({"test": "crash", "rounds": arguments.rounds,
                      "acknowledged": model.n_acknowledged, **total}))
    return 1 if any(total.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
