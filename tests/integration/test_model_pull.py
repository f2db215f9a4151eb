#!/usr/bin/env python3
"""ragctl model pull against a stub hub: what it fetches, how it resumes, whom it believes.

    test_model_pull.py BUILD_DIR"""
import hashlib
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import side_by_side  # noqa: E402
from stub_hub import COMMIT, StubHub  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "org/tiny-embed"
TOKEN = "hf_secretsecretsecret"
WEIGHTS = random.Random(7).randbytes(300_000)


def model():
    return {
        "config.json": b'{"model_type":"bert"}',
        "tokenizer.json": b'{"model":{}}',
        "tokenizer_config.json": b"{}",
        "modules.json": b"[]",
        "1_Pooling/config.json": b"{}",
        "README.md": "---\nlicense: mit\nlanguage: ko\n---\n# 모델\n".encode(),
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"x" * 100,
        "onnx/model.onnx": b"y" * 100,
        "openvino/model.safetensors": b"z" * 100,
        ".gitattributes": b"*.safetensors filter=lfs",
        "train script.py": b"print()",
    }


WANTED = {"config.json", "tokenizer.json", "tokenizer_config.json", "modules.json",
          "1_Pooling/config.json", "README.md", "model.safetensors"}


class Pull(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pull-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "models"
        self.hub = StubHub({NAME: model()})
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        self.dir = self.folder / NAME
        self.stage = self.folder / "org" / ".tiny-embed.part"
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
        self.environment["HF_ENDPOINT"] = self.hub.endpoint

    def pull(self, *args, code=0, name=NAME, **environment):
        done = subprocess.run(
            [BUILD / "ragctl", "model", "pull", name, "--models-dir", self.folder, *args],
            env={**self.environment, **environment}, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn(TOKEN, done.stdout + done.stderr)
        self.assertNotIn("X-Signature", done.stdout + done.stderr)
        return done

    def files(self, folder=None):
        folder = folder or self.dir
        return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}

    def requests_of(self, file):
        return [r for r in self.hub.requests if r[2].partition("?")[0].endswith(file)]

    def whole(self):
        self.assertEqual(self.files(), WANTED | {"ragd-model.json"})
        self.assertEqual((self.dir / "model.safetensors").read_bytes(), WEIGHTS)
        self.assertFalse(self.stage.exists())

    # ---- what it fetches ----

    def test_a_model_is_fetched_recorded_and_nothing_else(self):
        report = json.loads(self.pull("--json").stdout)
        self.whole()
        self.assertEqual((report["name"], report["commit"], report["licence"]),
                         (NAME, COMMIT, "apache-2.0"))
        record = json.loads((self.dir / "ragd-model.json").read_text())
        self.assertEqual((record["source"], record["revision"], record["commit"],
                          record["licence"], record["endpoint"]),
                         (NAME, "main", COMMIT, "apache-2.0", self.hub.endpoint))
        sums = {f["name"]: f["sha256"] for f in record["files"]}
        self.assertEqual(set(sums), WANTED)
        self.assertEqual(sums["model.safetensors"], hashlib.sha256(WEIGHTS).hexdigest())
        for request in self.hub.requests[2:]:
            self.assertIn(COMMIT, request[2], "files come from one commit")

    def test_people_read_where_it_is_and_what_to_do(self):
        out = self.pull().stdout
        self.assertIn(str(self.dir), out)
        self.assertIn("ragctl model check", out)

    def test_a_revision_is_asked_for(self):
        self.pull(name=NAME + "@v1")
        self.assertIn("/revision/v1", self.hub.requests[0][2])
        self.pull(name=NAME + "@v9", code=1)

    def test_the_licence_of_the_readme_when_the_card_has_none(self):
        self.hub.misbehave["no_card"] = True
        self.assertEqual(json.loads(self.pull("--json").stdout)["licence"], "mit")

    def test_shards_and_their_index(self):
        files = self.hub.models[NAME]
        del files["model.safetensors"]
        files["model-00001-of-00002.safetensors"] = WEIGHTS[:1000]
        files["model-00002-of-00002.safetensors"] = WEIGHTS[1000:2000]
        files["model.safetensors.index.json"] = b"{}"
        files["optimizer.safetensors"] = b"q"
        self.pull()
        self.assertEqual(self.files() - WANTED,
                         {"ragd-model.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"})

    def test_a_listing_in_pages(self):
        self.hub.misbehave["page"] = 4
        self.pull()
        self.whole()

    def test_a_hub_without_a_tree(self):
        self.hub.misbehave["no_tree"] = True
        self.pull()
        self.whole()

    def test_again_fetches_nothing_and_a_damaged_file_is_fetched_again(self):
        self.pull()
        n = len(self.hub.requests)
        report = json.loads(self.pull("--json").stdout)
        self.assertEqual((report["up_to_date"], report["fetched_bytes"]), (True, 0))
        self.assertEqual(len(self.hub.requests), n + 2)
        data = bytearray(WEIGHTS)
        data[5] ^= 1
        (self.dir / "model.safetensors").write_bytes(data)
        self.pull()
        self.whole()

    def test_a_new_commit_replaces_the_old_one_and_leaves_what_is_not_its_own(self):
        self.pull()
        (self.dir / "notes.txt").write_text("mine")
        self.hub.misbehave["commit"] = "f" * 40
        del self.hub.models[NAME]["modules.json"]
        self.pull()
        self.assertEqual(self.files(), (WANTED | {"ragd-model.json"}) - {"modules.json"})
        self.assertEqual(self.files(self.stage), {"notes.txt"})

    def test_a_folder_of_somebody_else_is_not_touched(self):
        self.dir.mkdir(parents=True)
        (self.dir / "config.json").write_text("{}")
        self.assertIn("was not made by pull", self.pull(code=1).stderr)
        self.assertEqual(self.files(), {"config.json"})

    # ---- decoders ----

    def gguf(self, *names):
        whole = (ROOT / "tests/data/models/tiny-llama.gguf").read_bytes()
        files = {name: whole + bytes([i]) for i, name in enumerate(names)}
        self.hub.models[NAME] = {**files, "README.md": b"---\nlicense: mit\n---\n",
                                 "config.json": b"{}", "imatrix.dat": b"x", "LICENSE": b"free"}
        return files

    def test_the_only_gguf_file_and_its_papers(self):
        files = self.gguf("tiny-Q4_K_M.gguf")
        done = self.pull()
        self.assertEqual(self.files(), {"tiny-Q4_K_M.gguf", "README.md", "LICENSE",
                                        "ragd-model.json"})
        self.assertEqual((self.dir / "tiny-Q4_K_M.gguf").read_bytes(), files["tiny-Q4_K_M.gguf"])
        self.assertNotIn("cannot load", done.stderr)

    def test_one_of_several_gguf_files_is_chosen(self):
        files = self.gguf("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf")
        self.assertIn("has 2 GGUF files; choose one with --file: tiny-Q4_K_M.gguf, tiny-Q8_0.gguf",
                      self.pull(code=1).stderr)
        self.pull("--file", "tiny-Q8_0.gguf")
        self.assertEqual(self.files(), {"tiny-Q8_0.gguf", "README.md", "LICENSE",
                                        "ragd-model.json"})
        self.assertEqual((self.dir / "tiny-Q8_0.gguf").read_bytes(), files["tiny-Q8_0.gguf"])
        report = json.loads(self.pull("--json", "--file", "tiny-Q8_0.gguf").stdout)
        self.assertTrue(report["up_to_date"])
        self.pull("--file", "tiny-Q4_K_M.gguf")  # takes the other's place
        self.assertEqual(self.files(), {"tiny-Q4_K_M.gguf", "README.md", "LICENSE",
                                        "ragd-model.json"})

    def test_gguf_files_that_are_not_there_or_not_whole(self):
        self.gguf("tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf")
        self.assertIn("one part of a split file",
                      self.pull("--file", "tiny-00001-of-00002.gguf", code=1).stderr)
        self.assertIn("has no file 'other.gguf'", self.pull("--file", "other.gguf", code=1).stderr)
        self.assertIn("must be a *.gguf", self.pull("--file", "config.json", code=2).stderr)

    def test_a_gguf_file_that_cannot_be_loaded_is_told(self):
        self.hub.models[NAME] = {"x.gguf": b"GGUF" + b"\1" * 100}
        self.assertIn("this ragd cannot load it: gguf", self.pull().stderr)

    def test_a_decoder_in_safetensors(self):
        files = self.hub.models[NAME]
        files["config.json"] = b'{"model_type":"mamba","architectures":["MambaForCausalLM"]}'
        for name in ("generation_config.json", "tokenizer.model", "chat_template.jinja"):
            files[name] = b"{}"
        for name in ("tokenizer.json", "modules.json", "1_Pooling/config.json"):
            del files[name]
        done = self.pull()
        self.assertIn("model_type 'mamba' is not supported", done.stderr)
        self.assertEqual(self.files(), {"config.json", "tokenizer_config.json", "README.md",
                                        "model.safetensors", "generation_config.json",
                                        "tokenizer.model", "chat_template.jinja",
                                        "ragd-model.json"})

    # ---- what breaks off ----

    def test_a_truncated_body_is_resumed_by_range(self):
        self.hub.misbehave.update(truncate=100_000, truncations=2)
        self.pull()
        self.whole()
        ranges = [r[3].get("Range") for r in self.requests_of("model.safetensors")
                  if r[0] == "cdn"]
        self.assertEqual(ranges, [None, "bytes=100000-", "bytes=200000-"])

    def test_a_server_that_ignores_ranges_starts_over(self):
        self.hub.misbehave.update(truncate=100_000, truncations=2, ignore_range=True)
        self.pull()
        self.whole()

    def test_a_range_that_is_another_one_is_not_believed(self):
        self.hub.misbehave.update(truncate=100_000, truncations=1, shift_range=7)
        self.pull()
        self.whole()

    def test_a_second_call_resumes_what_the_first_left(self):
        self.hub.misbehave.update(truncate=50_000, truncations=99, ignore_range=True)
        self.pull(code=1)
        self.assertFalse(self.dir.exists())
        self.assertEqual((self.stage / "model.safetensors.part").stat().st_size, 50_000)
        self.hub.misbehave.clear()
        self.hub.requests.clear()
        report = json.loads(self.pull("--json").stdout)
        self.whole()
        self.assertEqual(self.requests_of("model.safetensors")[-1][3]["Range"], "bytes=50000-")
        self.assertLess(report["fetched_bytes"], len(WEIGHTS))

    def test_a_finished_file_of_an_earlier_call_is_kept(self):
        self.stage.mkdir(parents=True)
        (self.stage / "model.safetensors").write_bytes(WEIGHTS)
        self.pull()
        self.whole()
        self.assertEqual(self.requests_of("model.safetensors"), [])

    def test_a_part_of_another_file_is_thrown_away(self):
        for junk in (b"?" * 1000, b"?" * len(WEIGHTS), b"?" * (len(WEIGHTS) + 1000)):
            with self.subTest(junk=len(junk)):
                self.stage.mkdir(parents=True)
                (self.stage / "model.safetensors.part").write_bytes(junk)
                (self.stage / "old-shard.safetensors").write_bytes(b"old")
                self.pull()
                self.whole()
                subprocess.run(["rm", "-r", self.dir], check=True)

    def test_busy_answers_are_waited_for(self):
        for code in (429, 500, 503):
            with self.subTest(code=code):
                self.hub.misbehave.update(busy=2, busy_code=code, retry_after=1)
                begun = time.monotonic()
                done = self.pull()
                self.assertGreaterEqual(time.monotonic() - begun, 2)
                self.assertIn(str(code), done.stderr)
                subprocess.run(["rm", "-r", self.dir], check=True)

    def test_a_busy_hub_is_given_up_with_its_own_wish(self):
        self.hub.misbehave.update(busy=99, retry_after=86400)
        begun = time.monotonic()
        self.assertIn("86400", self.pull(code=1).stderr)
        self.assertLess(time.monotonic() - begun, 60)  # nothing beside the day that it was told

    def test_a_hub_that_stays_broken_is_given_up(self):
        self.hub.misbehave.update(busy=99, busy_code=502)
        self.assertIn("after 6 attempts", self.pull(code=1).stderr)
        self.assertEqual(len(self.hub.requests), 6)

    def test_nobody_listens(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))  # and not listen(); while it is bound nobody else does
            endpoint = f"http://127.0.0.1:{s.getsockname()[1]}"
            self.assertIn(endpoint, self.pull(code=1, HF_ENDPOINT=endpoint).stderr)

    # ---- what is not believed ----

    def test_a_wrong_sha256_is_refused_and_leaves_nothing(self):
        bad = bytes(len(WEIGHTS))
        self.hub.misbehave["replace"] = {"model.safetensors": bad}
        self.assertIn("SHA-256", self.pull(code=1).stderr)
        self.assertFalse(self.dir.exists())
        self.assertFalse((self.stage / "model.safetensors").exists())
        self.assertFalse((self.stage / "model.safetensors.part").exists())

    def test_a_file_damaged_once_is_fetched_again(self):
        self.hub.misbehave["replace_once"] = {"model.safetensors": bytes(len(WEIGHTS))}
        self.pull()
        self.whole()

    def test_a_body_longer_than_listed_is_stopped(self):
        self.hub.misbehave["replace"] = {"model.safetensors": WEIGHTS + b"x" * 10_000_000}
        self.assertIn("longer than 300000 bytes", self.pull(code=1).stderr)

    def test_hostile_names_end_it(self):
        for path in ("../config.json", "/etc/passwd", "a/../../b", "1_Pooling/../../x",
                     "..", "a\\b"):
            with self.subTest(path=path):
                self.hub.misbehave["extra_paths"] = [path]
                self.assertIn("outside the model's folder", self.pull(code=1).stderr)
        self.assertFalse(self.dir.exists())
        self.assertEqual([p for p in self.folder.parent.iterdir() if p != self.folder], [])

    def test_names_that_are_only_odd_are_left_out(self):
        self.hub.misbehave["extra_paths"] = [".hidden/config.json", "가.json", "a b.json",
                                             "deep/er/and/deeper/config.json", "x" * 200]
        self.pull()
        self.whole()

    def test_links_in_the_staging_folder_are_not_followed(self):
        outside = self.folder.parent / "outside"
        outside.mkdir()
        (outside / "file").write_text("precious")
        self.stage.mkdir(parents=True)
        (self.stage / "model.safetensors.part").symlink_to(outside / "file")
        self.assertIn("model.safetensors.part", self.pull(code=1).stderr)
        subprocess.run(["rm", "-r", self.stage], check=True)
        self.stage.mkdir()
        (self.stage / "1_Pooling").symlink_to(outside)
        self.pull()
        self.assertEqual({p.name: p.read_text() for p in outside.iterdir()}, {"file": "precious"})

    def test_lists_that_make_no_sense(self):
        for row in ({"lfs": {"oid": "abc", "size": 3}}, {"path": "tokenizer.json"},
                    {"size": 10 ** 15}):
            with self.subTest(row=row):
                self.hub.misbehave["first_row"] = row
                self.pull(code=1)
                self.assertFalse(self.dir.exists())

    def test_redirects_in_a_circle(self):
        self.hub.misbehave["redirect_loop"] = True
        self.assertIn("too many redirects", self.pull(code=1).stderr)

    # ---- refusals ----

    def test_what_the_hub_does_not_have(self):
        self.assertIn("404", self.pull(name="org/nothing", code=1).stderr)
        self.hub.misbehave["missing_code"] = 401
        self.assertIn("HF_TOKEN", self.pull(name="org/nothing", code=1).stderr)
        self.hub.misbehave["gated"] = True
        self.assertIn("terms", self.pull(code=1).stderr)

    def test_models_that_ragd_could_not_use(self):
        files = self.hub.models[NAME]
        del files["model.safetensors"]
        self.assertIn("no safetensors", self.pull(code=1).stderr)
        files["a.safetensors"] = b"a"
        files["b.safetensors"] = b"b"
        self.assertIn("2 safetensors files", self.pull(code=1).stderr)
        del files["b.safetensors"]
        self.pull()
        del files["tokenizer.json"]
        self.hub.misbehave["commit"] = "e" * 40
        self.assertIn("tokenizer.json", self.pull(code=1).stderr)

    def test_names_that_make_no_sense(self):
        for name in ("../x", "/etc", "a/b/c", "", "org/", "org/x@", "org/x@../y", "org/x y",
                     "a" * 300):
            with self.subTest(name=name):
                done = subprocess.run([BUILD / "ragctl", "model", "pull", "--models-dir",
                                       self.folder, "--", name], env=self.environment,
                                      capture_output=True, text=True, timeout=60)
                self.assertIn(done.returncode, (1, 2), name)
        self.assertEqual(self.hub.requests, [])

    def test_two_at_a_time(self):
        import fcntl
        self.stage.mkdir(parents=True)
        fd = os.open(self.stage, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.assertIn("another pull", self.pull(code=1).stderr)

    def test_a_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small tmpfs")
        self.folder.mkdir(parents=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=18m", "none", self.folder],
                          capture_output=True).returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.folder], check=True)
        self.hub.models[NAME]["model.safetensors"] = bytes(20_000_000)
        self.assertIn("are free", self.pull(code=1).stderr)
        self.hub.misbehave["no_tree"] = True
        self.assertIn("No space left", self.pull(code=1).stderr)

    # ---- the token ----

    def test_the_token_goes_to_the_endpoint_alone(self):
        self.pull(HF_TOKEN=TOKEN)
        self.whole()
        for server, _, path, headers in self.hub.requests:
            wanted = f"Bearer {TOKEN}" if server == "hub" else None
            self.assertEqual(headers.get("Authorization"), wanted, path)
        self.assertTrue(any(r[0] == "cdn" for r in self.hub.requests))
        for path in self.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(TOKEN.encode(), path.read_bytes())

    def test_the_token_never_leaves_unencrypted(self):
        done = self.pull(code=1, HF_TOKEN=TOKEN, HF_ENDPOINT="http://hub.invalid")
        self.assertIn("unencrypted", done.stderr)

    def test_endpoints_that_are_none(self):
        for endpoint in ("ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://u:p@127.0.0.1"):
            with self.subTest(endpoint=endpoint):
                self.assertIn("HF_ENDPOINT", self.pull(code=1, HF_ENDPOINT=endpoint).stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], testRunner=side_by_side.Runner(4))
