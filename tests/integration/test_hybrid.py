#!/usr/bin/env python3
"""Searching with words and vectors, and what becomes of it when a model fails.

The models are tiny and random: nothing here is about quality, but what a random model must not do
to BM25's results is.

    test_hybrid.py BUILD_DIR"""
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "data" / "models"
DEMO = ROOT / "etc" / "demo"
EMBEDDER = MODELS / "tiny-xlmr-embed"
RERANKER = MODELS / "tiny-xlmr-ce"

TOPICS = ["연차 휴가", "출장 여비", "정보 보안", "공기 청정기", "회의 기록", "구내 식당", "서버 장애", "품질 보증"]


def config(embedder=EMBEDDER, reranker=None, more=""):
    models = "[models]\n"
    if embedder:
        models += f"embedder = {embedder}\n"
    if reranker:
        models += f"reranker = {reranker}\n"
    return models + more


class WithModels(unittest.TestCase):
    def start(self, conf, **ragd):
        self.ragd = Ragd(BUILD, config=conf, **ragd)
        self.enterContext(self.ragd)

    def enterContext(self, manager):  # of Python 3.11 on; Debian 12 has 3.11
        manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return manager

    def put(self, name, text, collection="c", metadata=None):
        headers = {"X-Ragd-Metadata": json.dumps(metadata)} if metadata else None
        status, reply = self.ragd.call("PUT", self.ragd.document(collection, name), text,
                                       "text/plain", headers)
        self.assertIn(status, (200, 201), reply)

    def fill(self, n=40):
        status, reply = self.ragd.call("PUT", "/v1/collections/c", {})
        self.assertEqual(status, 201, reply)
        for i in range(n):
            topic = TOPICS[i % len(TOPICS)]
            self.put(f"d{i}", f"{topic}에 대한 {i}번째 문서이다. 담당 부서는 제{i}부이고 번호는 {1000 + i}이다.",
                     metadata={"group": i % 4})
        self.wait_embedded()

    def wait_embedded(self, collection="c"):
        deadline = time.monotonic() + 60
        while True:
            vectors = self.ragd.call("GET", f"/v1/collections/{collection}")[1]["vectors"]
            if vectors["state"] == "ready" and vectors["pending"] == 0:
                return vectors
            self.assertLess(time.monotonic(), deadline, vectors)
            time.sleep(0.02)

    def search(self, query, code=200, **members):
        status, reply = self.ragd.call("POST", "/v1/search",
                                       {"collection": "c", "query": query, **members})
        self.assertEqual(status, code, reply)
        return reply

    def ask(self, question):
        status, reply = self.ragd.call("POST", "/v1/ask", {"collection": "c", "question": question})
        self.assertEqual(status, 200, reply)
        return reply

    def metric(self, name):
        text = self.ragd.call("GET", "/metrics")[1]
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                    if line.startswith(name + " "))


def names(reply, key="results"):
    return [r["document"] for r in reply[key]]


class Hybrid(WithModels):
    def setUp(self):
        self.start(config())
        self.fill()

    def test_every_result_tells_its_rank_and_score_in_each_stage(self):
        reply = self.search("출장 여비 17번째 문서", top_k=12)
        self.assertEqual((reply["mode"], reply["reranker"], reply["degraded"]),
                         ("hybrid", "lexical", []))
        self.assertEqual(len(reply["results"]), 12)
        for i, r in enumerate(reply["results"]):
            self.assertEqual(r["rank"], i + 1)
            self.assertEqual(r["score"], r["rerank_score"])
            self.assertTrue(r["bm25_rank"] or r["dense_rank"])
            for stage in ("bm25", "dense", "fused", "rerank"):
                self.assertEqual(r[f"{stage}_rank"] is None, r[f"{stage}_score"] is None)
            if r["dense_rank"]:
                self.assertLessEqual(abs(r["dense_score"]), 1.0001)
        for key in ("bm25", "dense", "fuse", "fetch", "rerank"):
            self.assertIn(key, reply["stages_ms"])
        scores = [r["score"] for r in reply["results"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_what_only_the_vectors_found_is_there_with_its_text(self):
        only = [r for r in self.search("연차 휴가", top_k=40, rerank=False,
                                       fusion={"weight_dense": 0.9})["results"]
                if r["bm25_rank"] is None]
        self.assertTrue(only)
        for r in only:
            self.assertTrue(r["text"].startswith(TOPICS[int(r["document"][1:]) % 8]))

    def test_modes(self):
        words = self.search("서버 장애", mode="bm25", rerank=False, top_k=40)
        near = self.search("서버 장애", mode="dense", rerank=False, top_k=40)
        both = self.search("서버 장애", mode="hybrid", rerank=False, top_k=40)
        self.assertEqual((words["mode"], near["mode"], both["mode"]), ("bm25", "dense", "hybrid"))
        self.assertNotIn("dense_rank", words["results"][0])
        self.assertNotIn("bm25_rank", near["results"][0])
        self.assertEqual([r["dense_rank"] for r in near["results"]], list(range(1, 41)))
        self.assertEqual([r["score"] for r in near["results"]],
                         [r["dense_score"] for r in near["results"]])
        # the hybrid tells the ranks that the lists have
        places = {d: i + 1 for i, d in enumerate(names(words))}
        for r in both["results"]:
            self.assertEqual(r["bm25_rank"], places.get(r["document"]))
        self.assertEqual(self.search("x", code=400, mode="sparse")["error"]["code"], "invalid")

    def test_fusion_is_what_the_formula_says(self):
        reply = self.search("회의 기록 12번째", top_k=40, rerank=False,
                            fusion={"method": "rrf", "weight_bm25": 1, "weight_dense": 0.5,
                                    "rrf_k": 20, "depth": 0})
        for r in reply["results"]:
            want = (1 / (20 + r["bm25_rank"]) if r["bm25_rank"] else 0) + \
                   (0.5 / (20 + r["dense_rank"]) if r["dense_rank"] else 0)
            self.assertAlmostEqual(r["fused_score"], want, places=5)
        ranks = [r["fused_rank"] for r in reply["results"]]
        self.assertEqual(ranks, list(range(1, len(ranks) + 1)))
        alone = self.search("회의 기록 12번째", top_k=40, rerank=False, fusion={"weight_dense": 0})
        words = self.search("회의 기록 12번째", top_k=40, rerank=False, mode="bm25")
        self.assertEqual(names(alone), names(words))
        self.assertEqual(alone["mode"], "bm25")
        for bad in ({"method": "sum"}, {"weight_dense": 2}, {"rrf_k": 0}, {"k": 1},
                    {"weight_bm25": 0, "weight_dense": 0}):
            self.search("x", code=400, fusion=bad)

    def test_the_rerank_by_words_gives_what_has_none_of_them_no_rank(self):
        self.put("unique", "사내 수영장은 별관 지하에 있다.")
        reply = self.search("수영장", top_k=41,
                            fusion={"method": "rrf", "weight_bm25": 1, "weight_dense": 0.2,
                                    "rrf_k": 20, "depth": 0})
        self.assertEqual(reply["reranker"], "lexical")
        self.assertEqual(reply["results"][0]["document"], "unique")
        self.assertLess(reply["results"][1]["rerank_score"], 0.2 / 20)

    def test_stages_give_each_list_and_all_fusions(self):
        reply = self.search("품질 보증 7번째", top_k=20, stages=True)
        self.assertEqual(set(reply["stages"]), {"bm25", "dense", "rrf", "convex", "scaled", "rerank"})
        self.assertEqual(len(reply["stages"]["dense"]), 20)
        self.assertEqual([e["document"] for e in reply["stages"]["rerank"]], names(reply))
        dense = self.search("품질 보증 7번째", top_k=20, mode="dense", rerank=False)
        self.assertEqual([e["document"] for e in reply["stages"]["dense"]], names(dense))
        # also where the collection leaves the vectors out
        reply = self.search("품질 보증 7번째", top_k=20, stages=True, fusion={"weight_dense": 0})
        self.assertIn("dense", reply["stages"])
        self.assertEqual(names(reply), names(self.search("품질 보증 7번째", top_k=20, mode="bm25")))

    def test_filters_hold_in_both_searches(self):
        for mode in ("hybrid", "dense", "bm25"):
            reply = self.search("문서", mode=mode, top_k=40, filter={"group": 3})
            self.assertEqual(len(reply["results"]), 10, mode)
            self.assertTrue(all(int(name[1:]) % 4 == 3 for name in names(reply)), mode)

    def test_a_random_model_does_not_ruin_what_words_find(self):
        first = tenth = 0
        for i in range(40):
            query = f"{TOPICS[i % 8]} {i}번째 문서 제{i}부 {1000 + i}"
            self.assertEqual(names(self.search(query, mode="bm25"))[0], f"d{i}")
            found = names(self.search(query, top_k=10))
            first += found[0] == f"d{i}"
            tenth += f"d{i}" in found
        self.assertGreaterEqual(first, 38)
        self.assertEqual(tenth, 40)

    def test_deleted_documents_are_not_found_by_their_vectors(self):
        self.assertIn("d5", names(self.search("공기 청정기", mode="dense", top_k=40)))
        self.assertEqual(self.ragd.call("DELETE", self.ragd.document("c", "d5"))[0], 200)
        reply = self.search("공기 청정기", mode="dense", top_k=40)
        self.assertEqual(len(reply["results"]), 39)
        self.assertNotIn("d5", names(reply))

    def test_settings_of_the_collection(self):
        get = lambda: self.ragd.call("GET", "/v1/collections/c")[1]  # noqa: E731
        self.assertEqual(get()["fusion_from"], "daemon")
        default = get()["fusion"]
        fusion = {"method": "rrf", "weight_bm25": 1, "weight_dense": 0.5, "rrf_k": 10, "depth": 50}
        self.assertEqual(self.ragd.call("PUT", "/v1/collections/c", {"fusion": fusion})[0], 200)
        self.assertEqual((get()["fusion"], get()["fusion_from"]), (fusion, "collection"))
        self.assertEqual(self.search("연차")["fusion"], fusion)
        status, reply = self.ragd.call("PUT", "/v1/collections/c", {"fusion": {"weight_dense": 7}})
        self.assertEqual(status, 400, reply)
        self.ragd.stop()
        self.ragd.start()
        self.assertEqual(get()["fusion"], fusion)  # it is stored
        self.ragd.call("PUT", "/v1/collections/c", {"readers": ["*"]})
        self.assertEqual(get()["fusion"], fusion)  # what is not named stays
        self.ragd.call("PUT", "/v1/collections/c", {"fusion": {}})
        self.assertEqual((get()["fusion"], get()["fusion_from"]), (default, "daemon"))

    def test_weights_of_the_rerank_and_the_gate_of_the_collection(self):
        get = lambda: self.ragd.call("GET", "/v1/collections/c")[1]  # noqa: E731
        put = lambda body: self.ragd.call("PUT", "/v1/collections/c", body)  # noqa: E731
        before = get()
        self.assertEqual((before["lexical_from"], before["gate_from"]), ("daemon", "daemon"))
        self.assertEqual(put({"lexical": {"sentence": 2}, "gate": {"relevance_min": 0.5}})[0], 200)
        lexical = {**before["lexical"], "sentence": 2}
        self.ragd.stop()
        self.ragd.start()
        self.assertEqual((get()["lexical"], get()["gate"]), (lexical, {"relevance_min": 0.5}))
        reply = self.search("출장 여비 17번째 문서의 담당 부서", mode="bm25", explain=True, top_k=40)
        self.assertEqual(reply["explanation"]["lexical"], lexical)
        for result, words in zip(reply["results"], reply["explanation"]["words"]):
            if words is None:
                continue
            score = sum(lexical[k] * min(1, words[k])
                        for k in ("bm25", "sentence", "window", "proximity"))
            self.assertIsNone(words["kind"])
            self.assertAlmostEqual(result["rerank_score"], score / 3.4, places=4)
        self.assertTrue(reply["explanation"]["gate"]["pass"])
        for bad in ({"lexical": {"bm25": -1}}, {"lexical": {"words": 1}}, {"gate": {"relevance_min": 2}},
                    {"lexical": {"bm25": 0, "sentence": 0, "window": 0, "proximity": 0}}):
            status, reply = put(bad)
            self.assertEqual(status, 400, reply)
        self.assertEqual(get()["lexical"], lexical)
        question = "출장 여비 17번째 문서의 담당 부서는 어디인가요?"
        self.assertFalse(self.ask(question)["refused"])
        put({"gate": {"relevance_min": 1}})
        reply = self.ask(question)
        self.assertEqual((reply["refused"], reply["reason_code"]), (True, "low_relevance"))
        gate = self.search(question, explain=True)["explanation"]["gate"]
        self.assertEqual((gate["pass"], gate["reason_code"]), (False, "low_relevance"))
        put({"lexical": {}, "gate": {}})
        self.assertFalse(self.ask(question)["refused"], "the cache knows the gate")
        self.assertEqual({k: get()[k] for k in before if k.startswith(("lexical", "gate"))},
                         {k: before[k] for k in before if k.startswith(("lexical", "gate"))})
        done = self.ragd.ragctl("collection", "set", "c", "--lexical", '{"kind":1}', "--gate",
                                '{"relevance_min":0.1}')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((get()["lexical"]["kind"], get()["gate"]["relevance_min"]), (1, 0.1))

    def test_refusals_do_not_suffer(self):
        for question in ("화성 탐사선의 발사 비용은 얼마인가요?", "훈민정음이 반포된 해는 언제인가요?",
                         "고양이는 하루에 몇 시간을 자나요?"):
            self.assertTrue(self.ask(question)["refused"], question)
        reply = self.ask("출장 여비 17번째 문서의 담당 부서는 어디인가요?")
        self.assertFalse(reply["refused"], reply)
        self.assertEqual(reply["citations"][0]["document"], "d17")

    def test_the_audit_row_has_the_stages(self):
        self.ask("출장 여비 17번째 문서의 담당 부서는 어디인가요?")
        rows = self.ragd.call("GET", "/v1/audit?kind=ask&limit=1")[1]["entries"]
        payload = rows[0]["payload"]
        self.assertEqual(payload["retrieval"]["mode"], "hybrid")
        self.assertEqual(len(payload["retrieval"]["embedder"]), 64)
        for key in ("bm25_rank", "dense_rank", "fused_rank", "rerank_rank", "final_rank"):
            self.assertIn(key, payload["passages"][0])

    def test_ragctl_prints_the_stages(self):
        done = self.ragd.ragctl("search", "--collection", "c", "--stages", "서버 장애")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"FINAL +BM25 +SCORE +DENSE +SCORE +FUSED +SCORE +RERANK")
        self.assertIn("mode hybrid (scaled", done.stdout)
        done = self.ragd.ragctl("search", "--collection", "c", "--mode", "dense", "--no-rerank",
                                "--json", "서버 장애")
        self.assertEqual(json.loads(done.stdout)["mode"], "dense")
        self.assertEqual(self.ragd.ragctl("search", "--collection", "c", "--fusion", "[1]",
                                          "x").returncode, 2)
        done = self.ragd.ragctl("collection", "set", "c", "--fusion", '{"weight_dense":0.1}')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.search("연차")["fusion"]["weight_dense"], 0.1)

    def test_many_at_once(self):
        wrong = []

        def run(k):
            for i in range(k, 40, 8):
                query = f"{TOPICS[i % 8]} {i}번째 문서 제{i}부 {1000 + i}"
                reply = self.search(query, top_k=10)
                if reply["mode"] != "hybrid" or f"d{i}" not in names(reply):
                    wrong.append((i, reply))

        threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Reranked(WithModels):
    def test_the_cross_encoder_orders_the_head(self):
        self.start(config(reranker=RERANKER, more="[ask]\nrerank_head = 8\n"))
        self.fill()
        reply = self.search("출장 여비 17번째 문서", top_k=12)
        self.assertEqual(reply["reranker"], "tiny-xlmr-ce")
        head, tail = reply["results"][:8], reply["results"][8:]
        scores = [r["rerank_score"] for r in head]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertTrue(all(0 <= s <= 1 for s in scores))
        self.assertEqual(sorted(r["fused_rank"] for r in head), list(range(1, 9)))
        self.assertEqual([r["fused_rank"] for r in tail], list(range(9, 13)))
        self.assertTrue(all(r["rerank_rank"] is None and r["score"] == 0 for r in tail))
        plain = self.search("출장 여비 17번째 문서", top_k=12, rerank=False)
        self.assertEqual(plain["reranker"], "none")
        self.assertEqual([r["fused_rank"] for r in plain["results"]], list(range(1, 13)))
        # of words alone as well
        reply = self.search("출장 여비 17번째 문서", mode="bm25")
        self.assertEqual(reply["reranker"], "tiny-xlmr-ce")

    def test_the_cross_encoder_reads_the_first_by_words_and_words_keep_a_share(self):
        query = "출장 여비 17번째 문서"
        self.start(config(reranker=RERANKER, more="[ask]\nrerank_head = 20\n"
                                                  "[retrieve]\nrerank_pairs = 6\nrerank_window = 16\n"))
        self.fill()

        def words_of(share):
            status, reply = self.ragd.call("PUT", "/v1/collections/c", {"rerank": share})
            self.assertEqual(status, 200, reply)

        def search(mode, reranker="tiny-xlmr-ce"):
            reply = self.search(query, top_k=24, mode=mode, explain=True)
            self.assertEqual(reply["reranker"], reranker)
            self.assertEqual([r["rerank_rank"] for r in reply["results"][:20]], list(range(1, 21)))
            self.assertTrue(all(r["rerank_rank"] is None for r in reply["results"][20:]))
            return names(reply), reply["results"], [
                w["cross"] if w else None for w in reply["explanation"]["words"]]

        for mode in ("bm25", "auto"):
            # the words alone: the model is not asked
            words_of({"words": 1})
            by_words, _, cross = search(mode, "lexical")
            self.assertEqual(cross, [None] * 24)
            # the cross-encoder alone: of the same six, and what it did not read behind in their order
            words_of({"words": 0})
            found, results, cross = search(mode)
            self.assertEqual(sorted(found[:6]), sorted(by_words[:6]))
            self.assertEqual(found[6:], by_words[6:])
            self.assertEqual(cross[6:], [None] * 18)
            for r, c in zip(results, cross[:6]):
                self.assertAlmostEqual(r["rerank_score"], c, places=5)
            self.assertEqual(cross[:6], sorted(cross[:6], reverse=True))
            self.assertTrue(all(r["score"] == 0 for r in results[6:]))
            alone = dict(zip(found, cross))
            # half of both
            words_of({"words": 0.5})
            found, results, cross = search(mode)
            self.assertEqual(dict(zip(found, cross)), alone)
            for r, c in zip(results[:20], cross):
                self.assertGreaterEqual(r["rerank_score"] + 1e-5, (c or 0) / 2)
                self.assertLessEqual(r["rerank_score"], (c or 0) / 2 + 0.5 + 1e-5)
        # nothing reorders what only vectors ranked but the model, whose share then is all
        reply = self.search(query, top_k=24, mode="dense", explain=True)
        self.assertEqual(sorted(r["dense_rank"] for r in reply["results"][:6]), list(range(1, 7)))
        self.assertEqual([r["dense_rank"] for r in reply["results"][6:]], list(range(7, 25)))

        words_of({})
        get = self.ragd.call("GET", "/v1/collections/c", None)[1]
        self.assertEqual((get["rerank"], get["rerank_from"]), ({"words": 0}, "daemon"))
        for bad in ({"words": 1.5}, {"words": "x"}, {"pairs": 1}):
            status = self.ragd.call("PUT", "/v1/collections/c", {"rerank": bad})[0]
            self.assertEqual(status, 400, bad)

    def test_a_window_is_what_the_cross_encoder_reads(self):
        filler = " ".join(["이 문장은 질문과 아무 관계가 없는 이야기를 길게 늘어놓는다."] * 8)
        answer = "안식 휴가는 근속 칠 년이 지나면 한 달을 쓴다."

        def score(more, text):
            self.start(config(embedder=None, reranker=RERANKER, more=more))
            self.assertEqual(self.ragd.call("PUT", "/v1/collections/c", {})[0], 201)
            self.put("a", text)
            result, = self.search("안식 휴가는 언제 쓰나요?")["results"]
            self.assertEqual(result["text"], text)
            return result["rerank_score"]

        window = "[retrieve]\nrerank_window = 20\n"
        whole = " ".join([filler, answer, filler])
        alone = score("", answer)
        self.assertEqual(score(window, whole), alone)
        self.assertNotEqual(score("", whole), alone)

    def test_off_topic_questions_are_refused_whatever_a_random_model_says(self):
        self.start(config(reranker=RERANKER))
        self.fill()
        for question in ("화성 탐사선의 발사 비용은 얼마인가요?", "훈민정음이 반포된 해는 언제인가요?"):
            self.assertTrue(self.ask(question)["refused"], question)

    def test_a_threshold_lets_the_cross_encoder_overrule(self):
        question = "고양이는 하루에 몇 시간을 자나요?"
        self.start(config(reranker=RERANKER, more="[ask]\nrerank_pass_min = 0.000001\n"))
        self.fill()
        # the gate lets it pass; the extractive backend then has its own say
        self.assertNotEqual(self.ask(question)["reason_code"], "low_relevance")

    def test_without_an_embedder(self):
        self.start(config(embedder=None, reranker=RERANKER))
        self.ragd.call("PUT", "/v1/collections/c", {})
        self.put("a", "연차 휴가는 15일이다.")
        reply = self.search("연차")
        self.assertEqual((reply["mode"], reply["reranker"], reply["degraded"]),
                         ("bm25", "tiny-xlmr-ce", []))
        self.assertEqual(self.search("연차", mode="hybrid")["degraded"][0]["stage"], "dense")
        self.assertEqual(self.search("연차", mode="dense", code=404)["error"]["code"], "not_found")


class Failing(WithModels):
    def copy(self, model):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ragd-model."))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(model, folder / model.name)
        (folder / model.name / "model.safetensors").chmod(0o644)
        return folder / model.name

    def damage(self, model):
        weights = model / "model.safetensors"
        with open(weights, "r+b") as f:
            f.truncate(weights.stat().st_size // 2)

    def test_truncated_weights_of_the_embedder_leave_bm25(self):
        model = self.copy(EMBEDDER)
        self.start(config(embedder=model, more="precision = fp32\n"))
        self.fill()
        whole = names(self.search("서버 장애 6번째", mode="bm25", top_k=10))
        self.damage(model)
        reply = self.search("서버 장애 6번째", top_k=10)
        if not reply["degraded"]:
            self.skipTest("the weights of this model are copied into memory when it is opened")
        self.assertEqual((reply["mode"], reply["degraded"][0]["stage"]), ("bm25", "dense"))
        self.assertIn("safetensors", reply["degraded"][0]["reason"])
        self.assertEqual(names(reply), whole)
        self.assertEqual(self.metric('ragd_degraded_total{stage="dense"}'), 1)
        self.assertIn("event=degraded stage=dense", self.ragd.log_path.read_text())
        self.assertFalse(self.ask("서버 장애 6번째 문서의 담당 부서는 어디인가요?")["refused"])
        status = self.ragd.call("POST", "/v1/search",
                                {"collection": "c", "query": "서버", "mode": "dense"})[0]
        self.assertEqual(status, 500)

    def test_truncated_weights_of_the_reranker_leave_the_words(self):
        model = self.copy(RERANKER)
        self.start(config(reranker=model, more="precision = fp32\n"))
        self.fill()
        self.assertEqual(self.search("서버 장애")["reranker"], model.name)
        self.damage(model)
        reply = self.search("서버 장애 6번째", top_k=10)
        if not reply["degraded"]:
            self.skipTest("the weights of this model are copied into memory when it is opened")
        self.assertEqual((reply["mode"], reply["reranker"]), ("hybrid", "lexical"))
        self.assertEqual(reply["degraded"][0]["stage"], "rerank")
        self.assertEqual(self.metric('ragd_degraded_total{stage="rerank"}'), 1)

    def test_a_daemon_without_models_is_as_before(self):
        self.start(None)
        self.ragd.call("PUT", "/v1/collections/c", {})
        self.put("a", "연차 휴가는 15일이다.")
        reply = self.search("연차", stages=True)
        self.assertEqual((reply["mode"], reply["reranker"], reply["degraded"]),
                         ("bm25", "lexical", []))
        self.assertEqual(set(reply["stages"]), {"bm25", "rerank"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
