#!/usr/bin/env python3
"""ragctl model embed, tokenize, score, list, check: text in, numbers out, without a daemon.

    test_model_commands.py BUILD_DIR

The models are the tiny ones of tests/data/models; the real all-MiniLM-L6-v2 as well when it is
below $RAG_TEST_MODELS or build/models (tests/fetch-models.sh), else that part is skipped."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "data" / "models"
REAL = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models")) / \
    "all-MiniLM-L6-v2"
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
          "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def records(name):
    with open(MODELS / f"{name}.jsonl", encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f]


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="model-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_model(self, *args, code=0, **run):
        done = subprocess.run([BUILD / "ragctl", "model", *map(str, args)], capture_output=True,
                              text=True, timeout=300, **run)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def model(self, *args, **run):
        return json.loads(self.run_model(args[0], "--json", *args[1:], **run).stdout)

    def lines(self, rows):
        path = self.folder / "texts.jsonl"
        with open(path, "w", encoding="utf-8", newline="\n") as f:
            for row in rows:
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
        return path

    def copy(self, name):
        shutil.copytree(MODELS / name, self.folder / name)
        return self.folder / name

    # ---- embed ----

    def test_embeddings_are_those_of_the_reference(self):
        rows = records("tiny-xlmr-embed")
        path = self.lines([{"text": r["text"]} for r in rows])
        got = self.model("embed", MODELS / "tiny-xlmr-embed", "--pooling", "cls", "--file", path)
        self.assertEqual(got["dim"], 48)
        self.assertEqual(len(got["embeddings"]), len(rows))
        for r, v, n in zip(rows, got["embeddings"], got["tokens"]):
            self.assertEqual(n, len(r["token_ids"]))
            self.assertLess(max(abs(a - b) for a, b in zip(v, r["embedding"])), 1e-5, r["id"])
        quick = self.model("embed", MODELS / "tiny-xlmr-embed", "--pooling", "cls", "--file", path,
                           "--precision", "int8")
        for r, v in zip(rows, quick["embeddings"]):
            self.assertGreater(sum(a * b for a, b in zip(v, r["embedding"])), 0.99, r["id"])

    def test_the_numbers_are_exact_floats_of_length_one(self):
        out = self.run_model("embed", MODELS / "tiny-bert-ce", "서울은 수도다", "--json").stdout
        for word in ("nan", "inf", "null", "-0,", "-0]"):
            self.assertNotIn(word, out)
        v = json.loads(out)["embeddings"][0]
        self.assertAlmostEqual(math.sqrt(sum(x * x for x in v)), 1, places=6)
        again = self.model("embed", MODELS / "tiny-bert-ce", "--threads", "1", "서울은 수도다",
                           "다른 글이 옆에 있어도")["embeddings"][0]
        self.assertEqual(v, again, "other texts and threads change nothing")

    def test_roles_prompts_and_pooling_of_the_folder(self):
        model = self.copy("tiny-xlmr-embed")
        plain = self.model("embed", model, "query: seoul", "seoul")["embeddings"]
        (model / "config_sentence_transformers.json").write_text(
            '{"prompts":{"query":"query: ","passage":"passage: "}}')
        self.assertEqual(self.model("embed", model, "--role", "query", "seoul")["embeddings"][0],
                         plain[0])
        self.assertEqual(self.model("embed", model, "seoul")["embeddings"][0], plain[1])
        (model / "modules.json").write_text(json.dumps([
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]))
        (model / "1_Pooling").mkdir()
        (model / "1_Pooling" / "config.json").write_text(
            '{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}')
        got = self.model("embed", model, "seoul")
        self.assertEqual(got["pooling"], "cls")
        self.assertNotEqual(got["embeddings"][0], plain[1])
        self.assertEqual(self.model("embed", model, "--pooling", "mean", "seoul")["embeddings"][0],
                         plain[1])

    def test_lengths(self):
        text = "one two three four five six seven eight nine ten"
        model = self.copy("tiny-xlmr-embed")
        self.assertEqual(self.model("embed", model, "--max-length", 7, text)["tokens"], [7])
        (model / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
        self.assertEqual(self.model("embed", model, text)["tokens"], [9])
        self.assertEqual(self.model("embed", model, "--max-length", 12, text)["tokens"], [12])
        done = self.run_model("embed", model, "--max-length", 5000, text)
        self.assertIn("reaches 128", done.stderr)

    def test_people_see_cosines(self):
        out = self.run_model("embed", MODELS / "tiny-bert-ce", "a b", "a b", "\x1b[31mred").stdout
        self.assertIn("cosine to the first 1.0000", out)
        self.assertNotIn("\x1b", out)

    # ---- tokenize ----

    def test_tokenize_of_both_forms(self):
        """A GGUF file made of a tokenizer.json gives the same ids, as a file and in a folder."""
        source = MODELS / "tiny-llama3" / "tokenizer.json"
        folder = self.folder / "one"
        folder.mkdir()
        subprocess.run([sys.executable, ROOT / "tests" / "golden" / "tokenizer_to_gguf.py", source,
                        folder / "tiny.gguf", "--pre", "smaug-bpe"], check=True, timeout=60)
        texts = ["Hello, world 12345!", "연차 휴가는  며칠인가요?\n\n", "<|im_start|>user's <|x|>", " "]
        want = self.model("tokenize", MODELS / "tiny-llama3", *texts)
        self.assertEqual(self.model("tokenize", folder / "tiny.gguf", *texts), want)
        self.assertEqual(self.model("tokenize", folder, *texts), want)
        shutil.copy(folder / "tiny.gguf", folder / "two.gguf")
        self.run_model("tokenize", folder, "x", code=1)

    def test_ids_are_those_of_the_reference(self):
        for name in ("tiny-bert-ce", "tiny-roberta-ce", "tiny-xlmr-ce"):
            for limit in {r["max_length"] for r in records(name)}:
                rows = [r for r in records(name) if r["max_length"] == limit]
                path = self.lines([{"text": r["text"], "pair": r["pair"]} for r in rows])
                args = ["--max-length", limit] if limit else []
                got = self.model("tokenize", MODELS / name, "--file", path, *args)
                self.assertEqual(got["ids"], [r["token_ids"] for r in rows], name)
                self.assertEqual(got["types"], [r["type_ids"] for r in rows], name)

    def test_words_and_pairs_and_special_tokens(self):
        whole = self.model("tokenize", MODELS / "tiny-bert-ce", "hello")
        bare = self.model("tokenize", MODELS / "tiny-bert-ce", "--no-special", "hello")
        self.assertEqual(whole["ids"][0][1:-1], bare["ids"][0])
        self.assertEqual((whole["tokens"][0][0], whole["tokens"][0][-1]), ("[CLS]", "[SEP]"))
        self.assertNotIn("types", whole)
        pair = self.model("tokenize", MODELS / "tiny-bert-ce", "--pair", "hello", "hello")
        self.assertEqual(pair["types"][0], [0] * len(whole["ids"][0]) +
                         [1] * (len(whole["ids"][0]) - 1))
        out = self.run_model("tokenize", MODELS / "tiny-bert-ce", "hello").stdout
        self.assertIn(f"{whole['ids'][0][1]}={whole['tokens'][0][1]}", out)
        # three tokens that are one syllable's bytes
        part = self.model("tokenize", MODELS / "tiny-roberta-ce", "--no-special", "뷁a")
        self.assertEqual(part["tokens"], [["<0xEB>", "<0xB7>", "<0x81>", "a"]])

    def test_lines_end_at_lf_alone_and_nul_is_a_character(self):
        texts = ["a\u2028b", "a\x85b", "a\u2029b", "a\x00b", "a\x0bb", "", " "]
        got = self.model("tokenize", MODELS / "tiny-bert-ce", "--file",
                         self.lines([{"text": t} for t in texts]))
        self.assertEqual(len(got["ids"]), len(texts))
        done = self.run_model("tokenize", MODELS / "tiny-bert-ce", "--file", "-", "--json",
                              input='{"text":"a\\u0000b"}\n{"text":"ab"}')
        ids = json.loads(done.stdout)["ids"]
        self.assertEqual(ids[0], got["ids"][3])

    def test_standard_input_reaches_a_program_that_starts_anew(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP"))}
        done = self.run_model("embed", MODELS / "tiny-bert-ce", "--file", "-", "--json",
                              input='{"text":"a"}\n', env=environment)
        self.assertEqual(len(json.loads(done.stdout)["embeddings"]), 1)

    # ---- score ----

    def test_scores_are_those_of_the_reference(self):
        for name in ("tiny-bert-ce", "tiny-roberta-ce", "tiny-xlmr-ce"):
            rows = [r for r in records(name) if not r["max_length"]]
            path = self.lines([{"text": r["text"], "pair": r["pair"]} for r in rows])
            raw = self.model("score", MODELS / name, "--raw", "--file", path)["scores"]
            scores = self.model("score", MODELS / name, "--file", path)["scores"]
            for r, logit, score in zip(rows, raw, scores):
                self.assertLess(abs(logit - r["logit"]), 1e-5, r["id"])
                self.assertLess(abs(score - r["sigmoid"]), 1e-5, r["id"])

    def test_a_query_and_its_passages(self):
        got = self.model("score", MODELS / "tiny-bert-ce", "capital of korea", "seoul", "the cat",
                         "--", "-x-")["scores"]
        self.assertEqual(len(got), 3)
        self.assertTrue(all(0 < s < 1 for s in got))
        out = self.run_model("score", MODELS / "tiny-bert-ce", "capital", "seoul").stdout
        self.assertIn("seoul", out)

    # ---- list ----

    def test_list(self):
        models = self.folder / "models"
        shutil.copytree(MODELS / "tiny-bert-ce", models / "org" / "one")
        shutil.copytree(MODELS / "tiny-distilbert-ce", models / "two")
        shutil.copytree(MODELS / "tiny-xlmr-embed", models / "broken")
        shutil.copytree(MODELS / "tiny-xlmr-embed", models / ".hidden")
        (models / "notes").mkdir()
        (models / "two" / "README.md").write_text("---\nlanguage: ko\nlicense: \"mit\"\n---\n")
        with open(models / "broken" / "model.safetensors", "r+b") as f:
            f.truncate(1000)
        listed = {m["name"]: m for m in self.model("list", "--models-dir", models)["models"]}
        self.assertEqual(set(listed), {"org/one", "two", "broken"})
        one, two = listed["org/one"], listed["two"]
        self.assertEqual((one["family"], one["kind"], one["type"], one["problem"]),
                         ("bert", "reranker", "f32", None))
        self.assertEqual((two["family"], two["type"], two["licence"]), ("distilbert", "f16", "mit"))
        self.assertIn("model.safetensors", listed["broken"]["problem"])
        self.assertEqual(len(one["fingerprint"]), 64)
        out = self.run_model("list", "--models-dir", models).stdout
        self.assertIn("org/one", out)
        self.assertIn("cannot be loaded", out)
        (models / "two" / "vocab.txt").unlink()
        listed = {m["name"]: m for m in self.model("list", "--models-dir", models)["models"]}
        self.assertIn("neither tokenizer.json, tokenizer.model nor vocab.txt", listed["two"]["problem"])
        out = self.run_model("list", "--models-dir", models / "two").stdout
        self.assertIn("is itself a model", out)
        self.run_model("list", "--models-dir", self.folder / "none", code=1)

    def test_list_of_decoders(self):
        models = self.folder / "models"
        for name in ("top", "one", "org/name", "org/original"):
            (models / name).mkdir(parents=True)
        shutil.copy(MODELS / "tiny-llama.gguf", models / "top.gguf")
        shutil.copy(MODELS / "tiny-gemma3.gguf", models / "one" / "gemma.gguf")
        for name in ("a.gguf", "b.gguf"):
            shutil.copy(MODELS / "tiny-llama-mixedq.gguf", models / "org" / "name" / name)
        (models / "org" / "name" / "README.md").write_text("---\nlicense: mit\n---\n")
        (models / "org" / "name" / "config.json").write_text("{}")
        shutil.copytree(MODELS / "tiny-exaone", models / "org" / "original", dirs_exist_ok=True)
        (models / "cut.gguf").write_bytes((MODELS / "tiny-llama.gguf").read_bytes()[:5000])
        listed = {m["name"]: m for m in self.model("list", "--models-dir", models)["models"]}
        self.assertEqual(set(listed), {"top.gguf", "one/gemma.gguf", "org/name/a.gguf",
                                       "org/name/b.gguf", "org/original", "cut.gguf"})
        self.assertEqual({name: (m["family"], m["kind"]) for name, m in listed.items()},
                         {"top.gguf": ("llama", "decoder"), "one/gemma.gguf": ("gemma3", "decoder"),
                          "org/name/a.gguf": ("llama", "decoder"),
                          "org/name/b.gguf": ("llama", "decoder"),
                          "org/original": ("exaone", "decoder"), "cut.gguf": ("?", "decoder")})
        mixed = listed["org/name/a.gguf"]
        self.assertIn(mixed["type"], ("Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"))
        self.assertEqual(mixed["licence"], "mit")
        self.assertEqual(mixed["fingerprint"], listed["org/name/b.gguf"]["fingerprint"])
        self.assertNotEqual(mixed["fingerprint"], listed["top.gguf"]["fingerprint"])
        self.assertEqual(mixed["bytes"], (MODELS / "tiny-llama-mixedq.gguf").stat().st_size)
        self.assertIn("was the download cut?", listed["cut.gguf"]["problem"])

    # ---- check ----

    def test_check_of_an_embedder(self):
        got = self.model("check", MODELS / "tiny-xlmr-embed")
        self.assertEqual((got["kind"], got["family"]), ("embedder", "xlm-roberta"))
        self.assertTrue(got["int8_good"])
        self.assertGreater(got["cosine_min"], 0.99)
        self.assertLessEqual(got["cosine_mean"], 1.000001)
        self.assertGreaterEqual(len(got["layers"]), 2 * 4)
        for layer in got["layers"]:
            self.assertEqual(set(layer), {"name", "cosine_min", "fp32"})
        self.assertEqual(sum(layer["fp32"] for layer in got["layers"]), got["fp32_layers"])
        self.assertEqual(got["fingerprint"],
                         self.model("embed", MODELS / "tiny-xlmr-embed", "x")["fingerprint"])
        out = self.run_model("check", MODELS / "tiny-xlmr-embed").stdout
        self.assertIn("verdict: int8 is good", out)
        self.assertIn(got["layers"][0]["name"], out)

    def test_check_of_a_decoder(self):
        model = self.copy("tiny-llama3")
        got = self.model("check", model)
        self.assertEqual({k: got[k] for k in ("kind", "format", "family", "layers_count", "hidden",
                                              "heads", "kv_heads", "head_dim", "intermediate",
                                              "vocab_size", "tokenizer_tokens", "context_max",
                                              "tied", "eos_ids")},
                         {"kind": "decoder", "format": "safetensors", "family": "llama",
                          "layers_count": 2, "hidden": 64, "heads": 4, "kv_heads": 2,
                          "head_dim": 16, "intermediate": 96, "vocab_size": 320,
                          "tokenizer_tokens": 320, "context_max": 512, "tied": False,
                          "eos_ids": [314]})
        self.assertEqual([(t["type"], t["tensors"]) for t in got["types"]], [("F32", 21)])
        self.assertEqual(got["parameters"] * 4, got["types"][0]["bytes"])
        # the embedding table stays in the file
        self.assertGreater(got["memory_bytes"], got["parameters"] // 2)
        self.assertIsNone(got["chat_template"])
        self.assertIn("its template must be named", self.run_model("check", model).stdout)
        (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
        named = self.model("check", model)
        self.assertEqual((named["chat_template"], named["problem"]), ("chatml", None))
        self.assertNotEqual(named["fingerprint"], got["fingerprint"])
        listed = self.model("list", "--models-dir", self.folder)["models"]
        self.assertEqual([m["fingerprint"] for m in listed], [named["fingerprint"]])
        self.assertIn("chatted with", self.run_model("check", model).stdout)
        done = self.run_model("check", MODELS / "tiny-llama.gguf", code=1)
        self.assertIn("tokenizer.ggml.model is missing", done.stderr)

    def test_check_of_a_reranker(self):
        for name in ("tiny-bert-ce", "tiny-electra-ce"):
            got = self.model("check", MODELS / name)
            self.assertEqual(got["kind"], "reranker")
            self.assertIn("logit_difference_max", got)
            self.assertTrue(all(0 <= layer["cosine_min"] <= 1.000001 for layer in got["layers"]))

    # ---- what goes wrong ----

    def test_mistakes(self):
        bert = MODELS / "tiny-bert-ce"
        usage = [(), ("embed",), ("embed", bert), ("score", bert, "only a query"),
                 ("embed", bert, "x", "--precision", "fp8"), ("embed", bert, "x", "--role", "both"),
                 ("embed", bert, "x", "--max-length", "0"), ("embd", bert, "x"),
                 ("tokenize", bert, "x", "--raw")]
        for args in usage:
            with self.subTest(args=args):
                self.run_model(*args, code=2)
        failed = {
            ("embed", "/nonexistent", "x"): "/nonexistent",
            ("embed", MODELS, "x"): "models",
            ("check", MODELS): "models",
            ("score", MODELS / "tiny-xlmr-embed", "q", "p"): "no classification head",
            ("embed", bert, "x", "--pooling", "sum"): "mean, cls or max",
            ("embed", bert, "x", "--dim", "49"): "48",
        }
        for args, message in failed.items():
            with self.subTest(args=args):
                self.assertIn(message, self.run_model(*args, code=1).stderr)
        bad = self.folder / "bad.jsonl"
        bad.write_text('{"text":"a"}\n{"text":5}\n')
        done = self.run_model("embed", bert, "--file", bad, code=1)
        self.assertIn("line 2", done.stderr)
        path = self.lines([{"text": "q"}])
        self.assertIn("pair", self.run_model("score", bert, "--file", path, code=1).stderr)

    def test_json_errors_are_objects(self):
        done = self.run_model("embed", "/nonexistent", "x", "--json", code=1)
        self.assertIn("message", json.loads(done.stdout)["error"])

    # ---- the real one ----

    @unittest.skipUnless(REAL.is_dir(), f"SKIPPED: no model at {REAL} (tests/fetch-models.sh)")
    def test_the_real_minilm(self):
        query, near, far = self.model(
            "embed", REAL, "How do I reset my password?", "Steps to change a forgotten password",
            "The recipe needs two eggs")["embeddings"]
        self.assertEqual(len(query), 384)
        self.assertGreater(sum(a * b for a, b in zip(query, near)),
                           sum(a * b for a, b in zip(query, far)) + 0.3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
