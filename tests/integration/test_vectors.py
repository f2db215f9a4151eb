#!/usr/bin/env python3
"""The vectors of a collection, through the daemon: they follow every document, survive restarts and
kill -9, are made anew for another model while the old one serves, and a damaged file is no more than
a line in the log. The models are tiny and random: what is near to what means nothing here.

    test_vectors.py BUILD_DIR"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
MODELS = pathlib.Path(__file__).resolve().parents[1] / "data" / "models"
PATIENCE_S = 60


def config(model, **more):
    keys = {"embedder": model, "precision": "fp32", **more}
    return "[models]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


class WithModel(unittest.TestCase):
    config = config(MODELS / "tiny-xlmr-embed")

    def setUp(self):
        self.ragd = Ragd(BUILD, config=self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        self.ok("PUT", "/v1/collections/c", {})

    def ok(self, method, target, body=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertIn(status, (200, 201), reply)
        return reply

    def put(self, name, text, **query):
        target = self.ragd.document("c", name)
        if query:
            target += "?" + "&".join(f"{key}={value}" for key, value in query.items())
        return self.ok("PUT", target, text, content_type="text/markdown")

    def delete(self, name):
        return self.ok("DELETE", self.ragd.document("c", name))

    def vectors(self):
        return self.ok("GET", "/v1/collections/c")["vectors"]

    def found(self, query, mode="dense", top_k=50):
        reply = self.ok("POST", "/v1/search", {"collection": "c", "query": query, "mode": mode,
                                               "top_k": top_k})
        return {result["document"]: result for result in reply["results"]}

    def settle(self, **wanted):
        """Wait until nothing is pending (or until the members wanted are so); the last state."""
        until = time.monotonic() + PATIENCE_S
        wanted = wanted or {"state": "ready"}
        while time.monotonic() < until:
            state = self.vectors()
            if all(state.get(key) == value for key, value in wanted.items()):
                return state
            time.sleep(0.02)
        return self.fail(f"still {state}, wanted {wanted}")

    def assert_in_step(self, n):
        state = self.settle()
        self.assertEqual((state["n"], state["pending"]), (n, 0), state)
        check = self.ok("POST", "/v1/collections/c/check", {})
        self.assertTrue(check["in_step"], check)
        self.assertEqual(check["passages"], n)

    def events(self, name):
        return [line for line in self.ragd.log_path.read_text(encoding="utf-8").splitlines()
                if f" event={name} " in line]

    def rows(self, sql):
        with sqlite3.connect(f"file:{self.ragd.state}/ragd.db?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def add_many(self, n, first=0, wait=False):
        records = "".join(json.dumps({"id": f"r{i}", "text": f"record {i} of many, about {i % 7}"})
                          + "\n" for i in range(first, first + n))
        reply = self.ok("POST", "/v1/collections/c/documents" +
                        ("?embed_wait_ms=30000" if wait else ""), records,
                        content_type="application/x-ndjson")
        self.assertEqual(reply["accepted"], n)
        return reply


class Documents(WithModel):
    def test_an_acknowledged_document_has_its_vectors(self):
        reply = self.put("a.md", "# Cats\n\nCats purr.\n\n# Dogs\n\nDogs bark.\n")
        self.assertEqual((reply["chunks"], reply["vectors_pending"]), (2, 0))
        state = self.vectors()
        self.assertEqual((state["n"], state["state"], state["dim"]), (2, "ready", 48))
        self.assertEqual(state["embedder"], "tiny-xlmr-embed")
        self.assertEqual(self.rows("SELECT count(*), max(length(vector)) FROM embeddings"),
                         [(2, 96)])

    def test_vectors_find_what_words_do_not(self):
        self.put("a.md", "cats purr")
        self.put("b.md", "dogs bark")
        found = self.found("zebra")
        self.assertEqual(set(found), {"a.md", "b.md"})
        self.assertEqual({r["dense_rank"] for r in found.values()}, {1, 2})
        for result in found.values():
            self.assertGreaterEqual(result["dense_score"], -1)
            self.assertLessEqual(result["dense_score"], 1.001)
        self.assertEqual(set(self.found("zebra", mode="bm25")), set())
        self.delete("a.md")
        self.assertEqual(set(self.found("zebra")), {"b.md"})

    def test_changes_and_deletions_are_followed(self):
        self.put("a.md", "# One\n\nfirst\n\n# Two\n\nsecond\n")
        self.put("b.md", "# Other\n\nfirst\n")
        self.assert_in_step(3)
        self.put("a.md", "# One\n\nfirst\n\n# Three\n\nthird\n")
        self.assert_in_step(3)
        self.delete("a.md")
        self.assert_in_step(1)
        self.put("a.md", "# One\n\nfirst\n\n# Three\n\nthird\n")
        self.assert_in_step(3)
        self.delete("a.md")
        self.delete("b.md")
        self.assert_in_step(0)

    def test_shared_content_stays_until_its_last_owner_goes(self):
        for name in ("x", "y"):
            self.ok("POST", "/v1/collections/c/documents",
                    {"id": name, "title": "same", "text": "the same text"})
        self.assert_in_step(1)
        self.delete("x")
        self.assert_in_step(1)
        self.delete("y")
        self.assert_in_step(0)

    def test_many_records_are_embedded_behind_the_reply(self):
        reply = self.add_many(500)
        self.assertIn("vectors_pending", reply)
        self.assert_in_step(500)
        self.add_many(10, first=500, wait=True)
        self.assertEqual(self.vectors()["n"], 510)

    def test_a_deleted_collection_leaves_nothing(self):
        self.add_many(300)
        self.ok("DELETE", "/v1/collections/c")
        until = time.monotonic() + PATIENCE_S
        while self.rows("SELECT count(*) FROM embeddings") != [(0,)]:
            self.assertLess(time.monotonic(), until, "embeddings are not reclaimed")
            time.sleep(0.05)
        self.ok("PUT", "/v1/collections/c", {})
        self.put("a.md", "a new one")
        self.assert_in_step(1)

    def test_ragctl_waits_and_says_what_is_left(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.ragd.folder))
        for i in range(30):
            (folder / f"{i}.md").write_text(f"# Part {i}\n\nabout {i}\n", encoding="utf-8")
        done = self.ragd.ragctl("ingest", "-c", "c", "--json", str(folder))
        self.assertEqual(json.loads(done.stdout)["vectors_pending"], 0, done.stderr)
        self.assertEqual(self.vectors()["n"], 30)
        shown = self.ragd.ragctl("collection", "show", "c").stdout
        self.assertIn("vectors        30 vectors by 'tiny-xlmr-embed', flat, ", shown)
        found = self.ragd.ragctl("doctor").stdout
        self.assertIn("collection 'c': 30 vectors\n", found)
        self.assertIn("embedder 'tiny-xlmr-embed': fp32 on ", found)

    def test_metrics_count(self):
        self.put("a.md", "one\n")
        text = self.ok("GET", "/metrics")
        self.assertIn("\nragd_vectors 1\n", text)
        self.assertIn("\nragd_vectors_pending 0\n", text)
        self.assertIn("\nragd_model_texts_total 1\n", text)
        self.assertIn('ragd_model_seconds_count{work="embed_bulk"} 1\n', text)


class Starts(WithModel):
    def snapshot(self):
        (path,) = (self.ragd.state / "index").glob("*.vec")
        return path

    def test_a_restart_keeps_the_vectors(self):
        self.add_many(20, wait=True)
        self.assertEqual(self.ragd.stop(), 0)
        self.assertTrue(self.snapshot().is_file())
        self.ragd.start()
        self.assert_in_step(20)
        self.assertIn("how=loaded", self.events("vectors_opened")[-1])
        self.assertIn("ragd_model_texts_total 0\n", self.ok("GET", "/metrics"))

    def test_a_damaged_snapshot_is_rebuilt_without_the_model(self):
        self.add_many(20, wait=True)
        self.ragd.stop()
        data = bytearray(self.snapshot().read_bytes())
        data[len(data) // 2] ^= 0x40
        self.snapshot().write_bytes(data)
        self.ragd.start()
        self.assert_in_step(20)
        self.assertIn("how=rebuilt", self.events("vectors_opened")[-1])
        self.assertIn("ragd_model_texts_total 0\n", self.ok("GET", "/metrics"))

    def test_kill_9_loses_no_vector_and_leaves_none_behind(self):
        n = 0
        for round_number in range(6):
            self.add_many(300, first=n)
            n += 300
            if round_number % 2:
                self.delete(f"r{n - 1}")
                self.put(f"r{n - 1}", f"once more {n}", embed_wait_ms=0)
            time.sleep(0.01 * round_number)
            self.ragd.kill()
            self.ragd.start()
        self.assert_in_step(n)
        self.assertEqual(self.rows(
            "SELECT count(*) FROM embeddings WHERE chunk_id NOT IN (SELECT id FROM chunks)"), [(0,)])
        self.assertEqual(self.rows("SELECT count(*) FROM embeddings"), [(n,)])

    def test_a_backup_brings_the_vectors_along(self):
        self.add_many(20, wait=True)
        copy = self.ragd.folder / "copy"
        self.ok("POST", "/v1/backup", {"dir": str(copy)})
        self.ragd.stop()
        shutil.rmtree(self.ragd.state)
        done = subprocess.run([str(BUILD / "ragctl"), "restore", str(copy), "--state",
                               str(self.ragd.state)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.ragd.start()
        self.assert_in_step(20)
        self.assertIn("ragd_model_texts_total 0\n", self.ok("GET", "/metrics"))

    def test_a_model_that_is_not_there_ends_the_start(self):
        self.ragd.stop()
        self.ragd.config = config("no-such-model")
        with self.assertRaisesRegex(RuntimeError, r"no-such-model"):
            self.ragd.start()
        done = subprocess.run(self.ragd.command() + ["-n"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("[models]: ", done.stderr)
        self.assertIn("no-such-model", done.stderr)
        self.ragd.config = self.config
        done = subprocess.run(self.ragd.command() + ["-n"], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "ragd: configuration is fine\n"))

    def test_without_a_model_words_are_enough(self):
        self.add_many(3, wait=True)
        self.ragd.stop()
        self.ragd.config = ""
        self.ragd.start()
        self.assertEqual(self.vectors(), {"state": "off", "n": 0, "pending": 0})
        self.put("a.md", "more")
        self.ragd.stop()
        self.ragd.config = self.config
        self.ragd.start()
        self.assert_in_step(4)  # what came meanwhile is embedded, the others are not again
        self.assertIn("ragd_model_texts_total 1\n", self.ok("GET", "/metrics"))


class AnotherModel(WithModel):
    def setUp(self):
        super().setUp()
        self.n = 600
        self.add_many(self.n, wait=True)
        self.old = self.settle()
        self.ragd.stop()

    def test_everything_is_embedded_anew(self):
        self.ragd.config = config(MODELS / "tiny-bert-ce")
        self.ragd.start()
        self.assertTrue(self.events("embedder_older_serves"))
        self.assert_in_step(self.n)
        now = self.vectors()
        self.assertNotEqual(now["fingerprint"], self.old["fingerprint"])
        self.assertEqual(now["embedder"], "tiny-bert-ce")
        self.assertNotIn("serving_fingerprint", now)
        until = time.monotonic() + PATIENCE_S
        while not self.events("embedder_replaced"):  # said right after it is so
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        self.assertIn(f"chunks={self.n} of={self.n}", self.events("embedded")[-1])
        while self.rows("SELECT count(*) FROM embedders") != [(1,)]:
            self.assertLess(time.monotonic(), until, "the old embeddings are not dropped")
            time.sleep(0.05)
        self.assertEqual(self.rows("SELECT count(*) FROM embeddings"), [(self.n,)])
        self.ragd.stop()
        self.ragd.start()
        self.assert_in_step(self.n)
        self.assertIn("how=loaded", self.events("vectors_opened")[-1])

    def test_the_old_one_serves_until_the_new_one_is_through(self):
        n_seen = 0
        self.ragd.config = config(MODELS / "tiny-bert-ce")
        for _ in range(4):
            self.ragd.start()
            state = self.vectors()
            if state["state"] == "embedding":
                n_seen += 1
                self.assertEqual(state["n"], self.n)
                self.assertEqual(state["serving_fingerprint"], self.old["fingerprint"])
                self.assertNotEqual(state["fingerprint"], self.old["fingerprint"])
                self.assertEqual(len(self.found("zebra", top_k=7)), 7)
            self.ragd.kill()
        self.ragd.start()
        self.assert_in_step(self.n)
        self.assertTrue(self.events("embedder_older_serves"))
        print(f"the old model was seen serving in {n_seen} of 4 starts", file=sys.stderr)

    def test_other_settings_of_the_same_model_are_another_one(self):
        self.ragd.config = config(MODELS / "tiny-xlmr-embed", embedder_max_tokens=16)
        self.ragd.start()
        self.assertTrue(self.events("embedder_older_serves"))
        self.assert_in_step(self.n)
        self.assertNotEqual(self.vectors()["fingerprint"], self.old["fingerprint"])

    def test_an_old_model_that_is_gone_leaves_words(self):
        self.ragd.folder.joinpath("moved").mkdir()
        model = self.ragd.folder / "moved" / "tiny"
        shutil.copytree(MODELS / "tiny-xlmr-embed", model)
        self.ragd.config = config(model)
        self.ragd.start()  # the same model at another place is the same
        self.assert_in_step(self.n)
        self.assertIn("ragd_model_texts_total 0\n", self.ok("GET", "/metrics"))
        self.ragd.stop()
        shutil.rmtree(model)
        self.ragd.config = config(MODELS / "tiny-bert-ce")
        self.ragd.start()
        self.assertTrue(self.events("embedder_gone"))
        self.assert_in_step(self.n)


class Misfortune(WithModel):
    def setUp(self):
        self.model = pathlib.Path(tempfile.mkdtemp(prefix="ragd-model.")) / "tiny"
        self.addCleanup(shutil.rmtree, self.model.parent)
        shutil.copytree(MODELS / "tiny-xlmr-embed", self.model)
        self.config = config(self.model)
        super().setUp()

    def test_a_model_truncated_under_the_daemon_does_not_end_it(self):
        self.put("a.md", "before")
        os.truncate(self.model / "model.safetensors", 4096)
        reply = self.put("b.md", "after", embed_wait_ms=3000)
        self.assertEqual(reply["vectors_pending"], 1)
        state = self.vectors()
        self.assertEqual((state["n"], state["pending"]), (1, 1))
        self.assertIn("model.safetensors", state["error"])
        self.assertEqual(len(self.events("embedding_failed")), 1)
        done = self.ragd.ragctl("ingest", "-c", "c", "--json", str(self.model / "config.json"),
                                "--type", "text/plain", "--name", "c")
        self.assertEqual(json.loads(done.stdout)["vectors_pending"], 2, done.stderr)
        status, reply = self.ragd.call("POST", "/v1/search", {"collection": "c", "query": "after",
                                                              "mode": "dense"})
        self.assertGreaterEqual(status, 500, reply)
        self.assertIn("model.safetensors", reply["error"]["message"])
        self.assertIn("b.md", self.found("after", mode="auto"))
        self.assertEqual(self.ragd.call("GET", "/healthz")[0], 200)
        # and when it is whole again, the next start goes on
        self.ragd.stop()
        shutil.copy(MODELS / "tiny-xlmr-embed" / "model.safetensors", self.model)
        self.ragd.start()
        self.assertEqual(self.settle()["n"], 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
