#!/usr/bin/env python3
"""ragctl model pack, and models that come with ragd: builtin:NAME, default, none.

    test_model_pack.py BUILD_DIR

The models are the tiny ones of tests/data/models. The real all-MiniLM-L6-v2 as well when it is
below $RAG_TEST_MODELS or build/models (tests/fetch-models.sh), else that part is skipped."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "data" / "models"
REAL = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models")) / \
    "all-MiniLM-L6-v2"
TEXTS = ["서울은 대한민국의 수도다.", "연차는 다음 해로 닷새까지 넘긴다.", "The quick brown fox",
         "소음은 몇 데시벨인가요?"]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pack-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def ragctl(self, *args, code=0, builtin=None):
        env = dict(os.environ, RAGD_BUILTIN_MODELS=str(builtin or self.folder / "shipped"))
        done = subprocess.run([BUILD / "ragctl", *map(str, args)], capture_output=True, text=True,
                              timeout=300, env=env)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def json(self, *args, **run):
        return json.loads(self.ragctl(*args, "--json", **run).stdout)


class Pack(Case):
    def test_an_embedder(self):
        source = self.folder / "source"
        shutil.copytree(MODELS / "tiny-xlmr-embed", source)
        (source / "modules.json").write_text(json.dumps([
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]))
        (source / "1_Pooling").mkdir()
        (source / "1_Pooling" / "config.json").write_text(
            '{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}')
        (source / "README.md").write_text("---\nlicense: mit\n---\nwords\n")
        (source / "onnx").mkdir()
        for name in ("onnx/model.onnx", "pytorch_model.bin", "run.py", ".secret.json",
                     "ragd-model.json"):
            (source / name).write_text("{}")
        out = self.folder / "packed"
        got = self.json("model", "pack", source, out)
        files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
        self.assertEqual(files, ["1_Pooling/config.json", "README.md", "config.json",
                                 "model.safetensors", "modules.json", "tokenizer.json"])
        self.assertEqual(got["bytes"], (out / "model.safetensors").stat().st_size)
        self.assertLess(got["bytes"] * 2, got["source_bytes"])
        self.assertEqual((got["dir"], got["layers"], got["fp32_layers"]), (str(out), 8, 0))
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith(".")], [])
        for precision, least in (("int8", .995), ("fp32", .999)):
            a = self.json("model", "embed", source, "--precision", precision, *TEXTS)
            b = self.json("model", "embed", out, "--precision", precision, *TEXTS)
            self.assertEqual((b["pooling"], b["tokens"]), ("cls", a["tokens"]))
            self.assertNotEqual(a["fingerprint"], b["fingerprint"])
            for x, y in zip(a["embeddings"], b["embeddings"]):
                self.assertGreater(dot(x, y), least)
        listed = {m["name"]: m for m in self.json("model", "list", "--models-dir",
                                                  self.folder)["models"]}["packed"]
        self.assertEqual((listed["type"], listed["kind"], listed["licence"], listed["problem"]),
                         ("int8", "embedder", "mit", None))
        self.assertEqual(listed["fingerprint"], got["fingerprint"])
        self.assertTrue(self.json("model", "check", out)["int8_good"])

    def test_a_reranker(self):
        for name in ("tiny-bert-ce", "tiny-electra-ce", "tiny-distilbert-ce"):
            out = self.folder / name
            self.json("model", "pack", MODELS / name, out)
            a, b = (self.json("model", "score", m, "--raw", "--precision", "int8", TEXTS[0],
                              *TEXTS[1:])["scores"] for m in (MODELS / name, out))
            for x, y in zip(a, b):
                self.assertLess(abs(x - y), .05, name)

    def test_the_same_model_gives_the_same_bytes_and_fingerprint(self):
        got = [self.json("model", "pack", MODELS / "tiny-bert-sharded", self.folder / str(n),
                         "--threads", n)["fingerprint"] for n in (1, 3)]
        self.assertEqual(got[0], got[1])
        self.assertEqual(*((self.folder / n / "model.safetensors").read_bytes() for n in "13"))

    def test_a_dense_layer_comes_along(self):
        source = self.folder / "source"
        shutil.copytree(MODELS / "tiny-xlmr-embed", source)
        (source / "modules.json").write_text(json.dumps([
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]))
        for name in ("1_Pooling", "2_Dense"):
            (source / name).mkdir()
        (source / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens":true}')
        (source / "2_Dense" / "config.json").write_text(json.dumps(
            {"in_features": 48, "out_features": 2, "bias": False,
             "activation_function": "torch.nn.modules.linear.Identity"}))
        header = json.dumps({"linear.weight": {"dtype": "F32", "shape": [2, 48],
                                               "data_offsets": [0, 384]}}).encode()
        (source / "2_Dense" / "model.safetensors").write_bytes(
            len(header).to_bytes(8, "little") + header + bytes.fromhex("0000803f") * 96)
        self.ragctl("model", "pack", source, self.folder / "packed")
        self.assertEqual(self.json("model", "embed", self.folder / "packed", "x")["dim"], 2)

    def test_what_cannot_be_packed(self):
        out = self.folder / "out"
        out.mkdir()
        done = self.ragctl("model", "pack", MODELS / "tiny-bert-ce", out, code=1)
        self.assertIn("is there already", done.stderr)
        self.assertEqual(list(out.iterdir()), [])
        out = self.folder / "new" / "out"
        done = self.ragctl("model", "pack", MODELS / "tiny-bert-ce", out, code=1)
        self.assertIn("cannot create", done.stderr)
        for source, words in ((MODELS / "tiny-llama", "model_type"),
                              (self.folder / "nowhere", "nowhere")):
            done = self.ragctl("model", "pack", source, self.folder / "x", code=1)
            self.assertIn(words, done.stderr)
        self.ragctl("model", "pack", MODELS / "tiny-bert-ce", self.folder / "x")
        done = self.ragctl("model", "pack", self.folder / "x", self.folder / "y", code=1)
        self.assertIn("is packed already", done.stderr)
        self.ragctl("model", "pack", MODELS / "tiny-bert-ce", code=2)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["out", "x"])

    def test_a_damaged_file_names_the_tensor(self):
        out = self.folder / "x"
        self.ragctl("model", "pack", MODELS / "tiny-bert-ce", out)
        weights = out / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole.replace(b'"ragd_packed":"1"', b'"ragd_packed":"9"'))
        for verb in (("embed", out, "x"), ("check", out), ("score", out, "q", "p")):
            done = self.ragctl("model", *verb, code=1)
            self.assertIn("'ragd_packed' is '9', expected '1'", done.stderr)
        weights.write_bytes(whole[:-1])
        self.assertIn("was the download cut?", self.ragctl("model", "check", out, code=1).stderr)

    @unittest.skipUnless(REAL.is_dir(), f"no {REAL}; tests/fetch-models.sh fetches it")
    def test_the_real_minilm(self):
        out = self.folder / "packed"
        got = self.json("model", "pack", REAL, out)
        self.assertLess(got["bytes"], 24e6)
        exact = self.json("model", "embed", REAL, *TEXTS)["embeddings"]
        quick = self.json("model", "embed", out, "--precision", "int8", *TEXTS)["embeddings"]
        self.assertGreater(min(dot(a, b) for a, b in zip(exact, quick)), .99)


class Builtin(Case):
    def setUp(self):
        super().setUp()
        self.shipped = self.folder / "shipped"
        self.shipped.mkdir()
        self.ragctl("model", "pack", MODELS / "tiny-xlmr-embed", self.shipped / "ragd-ko-embed")

    def test_ragctl_model(self):
        listed = self.json("model", "list")["models"]
        self.assertEqual([(m["name"], m["dir"]) for m in listed if m["name"].startswith("builtin")],
                         [("builtin:ragd-ko-embed", str(self.shipped / "ragd-ko-embed"))])
        self.assertEqual(self.json("model", "embed", "builtin:ragd-ko-embed", "x")["dim"], 48)
        self.assertTrue(self.json("model", "check", "builtin:ragd-ko-embed")["int8_good"])
        self.assertEqual(len(self.json("model", "tokenize", "builtin:ragd-ko-embed",
                                       "x")["ids"]), 1)
        done = self.ragctl("model", "embed", "builtin:other", "x", code=1)
        self.assertIn("'builtin:other': is in none of", done.stderr)
        self.assertIn(str(self.shipped), done.stderr)
        done = self.ragctl("model", "check", "ragd-ko-embed", code=1)
        self.assertIn("'builtin:ragd-ko-embed' is installed", done.stderr)
        done = self.ragctl("model", "embed", "none", "x", code=2)
        self.assertIn("'none' is no model", done.stderr)

    def started(self, models):
        """The model lines of the log and what a collection says."""
        with Ragd(BUILD, config=f"[models]\n{models}",
                  wrapper=("env", f"RAGD_BUILTIN_MODELS={self.shipped}")) as ragd:
            self.assertEqual(ragd.call("PUT", "/v1/collections/c", {})[0], 201)
            shown = ragd.call("GET", "/v1/collections/c")[1]
            self.models = ragd.call("GET", "/v1/models")[1]
            self.told = ragd.ragctl("doctor", "--state", ragd.state).stdout
            log = ragd.log_path.read_text(encoding="utf-8")
        self.missing = [line for line in log.splitlines() if " event=model_missing " in line]
        return [line for line in log.splitlines() if " event=model " in line], shown

    def test_the_daemon(self):
        for words, n, missing in (("embedder = builtin:ragd-ko-embed", 1, []),
                                  ("embedder = none", 0, []),
                                  ("embedder = default\nreranker = default", 1, ["reranker"]),
                                  ("embedder =", 0, [])):
            lines, shown = self.started(words + "\n")
            self.assertEqual(len(lines), n, words)
            self.assertEqual(len(self.missing), len(missing), self.missing)
            self.assertEqual([m["role"] for m in self.models.get("missing", [])], missing)
            for role, line in zip(missing, self.missing):
                self.assertIn(f"[models] {role} 'default': model 'builtin:", self.told)
                self.assertIn(f"role={role} error=\"model 'builtin:ragd-ko-rerank': is in none of", line)
            if n:
                self.assertIn(f'dir="{self.shipped}/ragd-ko-embed"', lines[0])
                self.assertEqual(shown["vectors"]["embedder"], "ragd-ko-embed")

    def test_one_below_models_dir_does_not_hide_the_environment_s(self):
        mine = self.folder / "mine"
        shutil.copytree(MODELS / "tiny-xlmr-embed", mine / "ragd-ko-embed")
        shutil.copytree(MODELS / "tiny-xlmr-embed", mine / "other")
        lines, _ = self.started(f"embedder = default\nmodels_dir = {mine}\n")
        self.assertIn(f'dir="{self.shipped}/ragd-ko-embed"', lines[0])
        lines, _ = self.started(f"embedder = builtin:other\nmodels_dir = {mine}\n")
        self.assertIn(f'dir="{mine}/other"', lines[0])

    def test_one_that_is_missing_is_an_error_of_the_configuration(self):
        path = self.folder / "ragd.conf"
        path.write_text(f"[ragd]\nstate_dir = {self.folder}/state\n"
                        "[models]\nembedder = builtin:ragd-ko-other\n")
        env = dict(os.environ, RAGD_BUILTIN_MODELS=str(self.shipped))
        done = subprocess.run([BUILD / "ragd", "-n", "-f", path], capture_output=True, text=True,
                              timeout=60, env=env)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("[models]: model 'builtin:ragd-ko-other': is in none of", done.stderr)
        self.assertIn(f"'{self.folder}/state/models'", done.stderr)

    def test_doctor(self):
        path = self.folder / "ragd.conf"
        path.write_text(f"[ragd]\nstate_dir = {self.folder}\n"
                        "[models]\nembedder = default\nreranker = default\n"
                        "[generate]\nmodel = builtin:ragd-ko-lm\n")
        (self.shipped / "ragd-ko-embed" / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
        found = [(c["check"], c["result"], c["message"])
                 for c in self.json("doctor", "--config", path, code=1)["checks"]]
        for check, result, words in (
                ("licence", "ok", "[models] embedder 'default': cc0-1.0"),
                ("model", "warn", "[models] reranker 'default': model 'builtin:ragd-ko-rerank': is "
                 "in none of"),
                ("model", "fail", "[generate] model: model 'builtin:ragd-ko-lm': is in none of")):
            self.assertTrue([c for c in found if c[:2] == (check, result) and words in c[2]],
                            (words, found))

    def test_doctor_misses_no_default_where_a_server_embeds(self):
        path = self.folder / "ragd.conf"
        path.write_text(f"[ragd]\nstate_dir = {self.folder}\n[models]\nembedder = default\n"
                        "[remote]\nembed_url = http://127.0.0.1:9/v1\nembed_dim = 8\nembed_model = m\n")
        found = self.json("doctor", "--config", path, code=1, builtin=self.folder)["checks"]
        self.assertEqual([c for c in found if "is in none of" in c["message"]], [])

    def test_eval(self):
        words = subprocess.run([BUILD / "ragctl", "eval", "--no-answers", "--embedder",
                                "builtin:ragd-ko-embed", "--json",
                                ROOT / "tests" / "data" / "klue-synthetic.json"],
                               capture_output=True, text=True, timeout=300,
                               env=dict(os.environ, RAGD_BUILTIN_MODELS=str(self.shipped)))
        self.assertEqual(words.returncode, 0, words.stderr)
        told = json.loads(words.stdout)
        self.assertIn("dense", told["stages"])
        self.assertEqual(told["embedder"], "ragd-ko-embed")
        self.assertRegex(told["retrieval"], r"^hybrid \(scaled, bm25 0.5, dense 0.5\), reranked by ")
        for embedder in ("none", "default"):
            got = self.json("eval", "--no-answers", "--embedder", embedder, "--reranker", "none",
                            ROOT / "tests" / "data" / "klue-synthetic.json",
                            builtin=self.folder)  # none is there
            self.assertNotIn("dense", got["stages"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
