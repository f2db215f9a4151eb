#!/usr/bin/env python3
"""ragctl model generate and logits: token ids or text in, text and numbers out, without a daemon.

    test_model_decoders.py BUILD_DIR

The models are the tiny ones of tests/data/models; the real minimind2-small and stories15M as well
when they are below $RAG_TEST_MODELS or build/models (tests/fetch-models.sh), else those parts are
skipped."""
import json
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "data" / "models"
REAL = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models"))
CHATTY = MODELS / "tiny-llama3"  # the one with a tokenizer


def records(name):
    with open(MODELS / f"{name}.jsonl", encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f]


def text_of(ids):
    return ",".join(map(str, ids))


class Decoders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="model-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_model(self, *args, code=0):
        done = subprocess.run([BUILD / "ragctl", "model", *map(str, args)], capture_output=True,
                              text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def model(self, *args):
        return json.loads(self.run_model(args[0], "--json", *args[1:]).stdout)

    def copy(self, model, **changes):
        """Of a model's folder, with other keys in its config.json."""
        path = self.folder / f"{model.name}-{len(list(self.folder.iterdir()))}"
        shutil.copytree(model, path)
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        config.update(changes)
        (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return path

    # ---- logits ----

    def test_logits_are_those_of_the_reference(self):
        for name, model in (("tiny-llama", "tiny-llama"), ("tiny-llama", "tiny-llama.gguf"),
                            ("tiny-gemma3", "tiny-gemma3.gguf"), ("tiny-exaone", "tiny-exaone")):
            for r in records(name):
                got = self.model("logits", MODELS / model, "--precision", "fp32", "--ids",
                                 text_of(r["token_ids"]))["logits"]
                self.assertEqual(len(got), len(r["token_ids"]))
                for at, expected in zip(r["positions"], r["logits"]):
                    worst = max(abs(a - b) for a, b in zip(got[at], expected))
                    self.assertLess(worst, 1e-4, f"{model} {r['id']} position {at}")

    def test_people_see_the_five_best(self):
        r = records("tiny-qwen3")[1]
        lines = self.run_model("logits", MODELS / "tiny-qwen3", "--precision", "fp32", "--ids",
                               text_of(r["token_ids"])).stdout.splitlines()
        self.assertEqual(len(lines), len(r["token_ids"]))
        words = lines[r["positions"][1]].split()
        best = sorted(range(len(r["logits"][1])), key=lambda i: -r["logits"][1][i])[:5]
        self.assertEqual([int(w) for w in words[1::2]], best)

    # ---- generate ----

    def test_greedy_takes_the_largest_logit_each_time(self):
        for model in ("tiny-llama.gguf", "tiny-gemma3", "tiny-llama-mixedq.gguf"):
            prompt = [5, 17, 80, 2]
            options = ("--ids", text_of(prompt), "--max-new-tokens", 20, "--ignore-eos")
            got = self.model("generate", MODELS / model, *options)
            self.assertEqual(got["prompt_ids"], prompt)
            self.assertEqual(len(got["ids"]), 20)
            if "mixedq" not in model:
                self.assertEqual(got["text"], "", "a model without a tokenizer")
            self.assertGreater(got["prefill_tokens_per_s"], 0)
            self.assertGreater(got["decode_tokens_per_s"], 0)
            logits = self.model("logits", MODELS / model, "--ids",
                                text_of(prompt + got["ids"]))["logits"]
            for i, token in enumerate(got["ids"]):
                row = logits[len(prompt) - 1 + i]
                self.assertEqual(token, row.index(max(row)), f"{model} token {i}")
            again = self.model("generate", MODELS / model, *options, "--threads", 1)
            self.assertEqual(again["ids"], got["ids"])

    def test_it_ends_before_an_end_token(self):
        options = ("--ids", "5,17,80,2", "--max-new-tokens", 12)
        ids = self.model("generate", MODELS / "tiny-qwen2", *options, "--ignore-eos")["ids"]
        at = next(i for i in range(3, 12) if ids[i] not in ids[:i])
        other = self.copy(MODELS / "tiny-qwen2", eos_token_id=[95, ids[at]])
        self.assertEqual(self.model("generate", other, *options)["ids"], ids[:at])
        self.assertEqual(self.model("generate", other, *options, "--ignore-eos")["ids"], ids)

    def test_it_ends_with_the_context(self):
        small = self.copy(MODELS / "tiny-qwen2", max_position_embeddings=16)
        got = self.model("generate", small, "--ids", text_of(range(10)), "--ignore-eos")
        self.assertEqual(len(got["ids"]), 6)
        self.run_model("generate", small, "--ids", text_of(range(17)), code=1)

    def test_the_same_seed_draws_the_same_tokens(self):
        options = ("--ids", "5,17,80,2", "--max-new-tokens", 24, "--temperature", "1.2",
                   "--ignore-eos")
        first = self.model("generate", MODELS / "tiny-llama", *options, "--seed", 3)["ids"]
        again = self.model("generate", MODELS / "tiny-llama", *options, "--seed", 3)["ids"]
        other = self.model("generate", MODELS / "tiny-llama", *options, "--seed", 4)["ids"]
        greedy = self.model("generate", MODELS / "tiny-llama", *options, "--top-k", 1)["ids"]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual(greedy, self.model("generate", MODELS / "tiny-llama", *options,
                                            "--temperature", "0")["ids"])

    def test_a_penalty_keeps_tokens_from_coming_back(self):
        got = self.model("generate", MODELS / "tiny-qwen2", "--ids", "5,17", "--max-new-tokens",
                         40, "--repetition-penalty", "10", "--ignore-eos")["ids"]
        self.assertGreater(len(set(got)), 30)

    def test_text(self):
        got = self.model("generate", CHATTY, "--prompt", "서울은", "--max-new-tokens", 24,
                         "--ignore-eos")
        ids = self.model("tokenize", CHATTY, "서울은")["ids"][0]
        self.assertEqual(got["prompt_ids"][-len(ids):], ids)
        shown = self.run_model("generate", CHATTY, "--prompt", "서울은", "--max-new-tokens", 24,
                               "--ignore-eos", "--quiet").stdout
        self.assertEqual(shown, got["text"] + "\n")

    def test_a_terminal_gets_no_control_characters(self):
        options = ("generate", CHATTY, "--prompt", "hi", "--max-new-tokens", 300, "--ignore-eos",
                   "--temperature", 2, "--seed", 1)
        text = self.model(*options)["text"]
        self.assertTrue(any(ord(c) < 32 and c not in "\n\t" for c in text), "they are in it")
        ours, theirs = pty.openpty()
        run = subprocess.Popen([BUILD / "ragctl", "model", *map(str, options), "--quiet"],
                               stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # how a terminal ends
        os.close(ours)
        self.assertEqual(run.wait(), 0)
        self.assertFalse([c for c in shown.decode() if ord(c) < 32 and c not in "\r\n\t"])

    def test_a_stop_string_is_not_shown(self):
        options = ("--prompt", "the cat", "--max-new-tokens", 60, "--ignore-eos")
        whole = self.model("generate", CHATTY, *options)
        stop = whole["text"][10:12]
        got = self.model("generate", CHATTY, *options, "--stop", stop, "--stop", "never there")
        self.assertEqual(got["text"], whole["text"][:whole["text"].index(stop)])
        self.assertLess(len(got["ids"]), len(whole["ids"]))
        self.assertEqual(got["ids"], whole["ids"][:len(got["ids"])])

    def test_a_chat_message_stands_in_the_template(self):
        config = json.loads((CHATTY / "tokenizer.json").read_text(encoding="utf-8"))
        control = {t["content"]: t["id"] for t in config["added_tokens"]}
        text = "the <|im_end|> cat"
        got = self.model("generate", CHATTY, "--chat-template", "chatml", "--prompt", text,
                         "--max-new-tokens", 1)
        self.assertEqual(got["prompt_ids"].count(control["<|im_start|>"]), 2)
        self.assertEqual(got["prompt_ids"].count(control["<|im_end|>"]), 1,
                         "what a user writes becomes no control token")

    def test_precisions(self):
        exact = self.model("logits", MODELS / "tiny-llama", "--ids", "1,2,3", "--precision",
                           "fp32")["logits"]
        rms = {}
        for precision in ("int8", "int4"):
            got = self.model("logits", MODELS / "tiny-llama", "--ids", "1,2,3", "--precision",
                             precision)["logits"]
            squares = [(a - b) ** 2 for x, y in zip(exact, got) for a, b in zip(x, y)]
            rms[precision] = (sum(squares) / len(squares)) ** 0.5
        self.assertLess(rms["int8"], 0.3)
        self.assertLess(rms["int8"], rms["int4"])

    def test_floats_stay_floats_unless_asked(self):
        for model, precision in (("tiny-llama", "fp32"), ("tiny-llama.gguf", "fp32"),
                                 ("tiny-llama-mixedq.gguf", "int8")):
            ids = ("logits", MODELS / model, "--ids", "1,2,3")
            self.assertEqual(self.model(*ids), self.model(*ids, "--precision", precision), model)

    def test_mistakes(self):
        llama = MODELS / "tiny-llama"
        for code, words, args in (
                (2, "needs one model", ("generate", "--ids", "1")),
                (2, "needs one model", ("logits", llama, llama, "--ids", "1")),
                (2, "--prompt TEXT or --ids", ("generate", llama)),
                (2, "--prompt TEXT or --ids", ("generate", llama, "--ids", "1", "--prompt", "x")),
                (2, "needs --ids", ("logits", llama)),
                (2, "commas", ("logits", llama, "--ids", "1,,2")),
                (2, "commas", ("logits", llama, "--ids", "")),
                (2, "commas", ("logits", llama, "--ids", "-1")),
                (2, "commas", ("logits", llama, "--ids", "99999999999999999999999")),
                (2, "fp32, int8 or int4", ("logits", llama, "--ids", "1", "--precision", "int9")),
                (2, "must be a number", ("generate", llama, "--ids", "1", "--top-p", "x")),
                (2, "top_p", ("generate", llama, "--ids", "1", "--top-p", "2")),
                (2, "--prompt", ("generate", llama, "--ids", "1", "--chat")),
                (1, "ids end at 95", ("logits", llama, "--ids", "96")),
                (1, "context has 256", ("logits", llama, "--ids", text_of([1] * 257))),
                (1, "tokenizer", ("generate", llama, "--prompt", "x")),
                (1, "No such file", ("generate", self.folder / "nothing.gguf", "--ids", "1")),
                (2, "the text goes behind --prompt", ("generate", self.folder / "nothing.gguf", "hello")),
                (1, "safetensors", ("logits", MODELS / "tiny-llama" / "model.safetensors", "--ids",
                                    "1"))):
            done = self.run_model(*args, code=code)
            self.assertIn(words, done.stderr, args)
            self.assertEqual(done.stdout, "", args)

    def test_a_matrix_of_another_shape_is_named(self):
        other = self.copy(MODELS / "tiny-llama", intermediate_size=128)
        done = self.run_model("logits", other, "--ids", "1", code=1)
        self.assertIn("mlp.", done.stderr)
        self.assertIn("128", done.stderr)

    def test_json_errors_are_objects(self):
        done = self.run_model("generate", "--json", MODELS / "tiny-llama", "--ids", "96", code=1)
        self.assertIn("96", json.loads(done.stdout)["error"]["message"])

    # ---- real models ----

    @unittest.skipUnless((REAL / "stories15M").is_dir(), "no stories15M: tests/fetch-models.sh")
    def test_stories_tells_one(self):
        got = self.model("generate", REAL / "stories15M", "--prompt", "Once upon a time",
                         "--max-new-tokens", 24)
        self.assertEqual(got["prompt_ids"], [1, 9038, 2501, 263, 931])
        self.assertTrue(got["text"].startswith(", there was a little girl named Lily. She loved "
                                               "to play outside in the"), got["text"])

    @unittest.skipUnless((REAL / "minimind2-small").is_dir(),
                         "no minimind2-small: tests/fetch-models.sh")
    def test_minimind_knows_a_capital(self):
        got = self.model("generate", REAL / "minimind2-small", "--chat", "--prompt",
                         "What is the capital of France?", "--max-new-tokens", 32)
        self.assertIn("Paris", got["text"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
