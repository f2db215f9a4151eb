#!/usr/bin/env python3
"""'ragctl doctor' finds what is wrong, says what to do, and is quiet about what is well.

    test_doctor.py BUILD_DIR"""
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402
from stub_collector import Collector  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")


class WithRagd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD)
        cls.ragd.__enter__()
        cls.ragd.call("PUT", "/v1/collections/handbook", {})

    @classmethod
    def tearDownClass(cls):
        cls.ragd.__exit__(None, None, None)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="doctor.")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o700)

    def file(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def config(self, text, mode=0o644):
        return self.file("ragd.conf", f"[ragd]\nstate_dir = {self.ragd.state}\n{text}", mode)

    def doctor(self, *arguments, status=0):
        """[(check, result, message)]"""
        run = self.ragd.ragctl("doctor", "--json", *map(str, arguments))
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        reply = json.loads(run.stdout)
        self.assertEqual(set(reply), {"checks", "warnings", "failures"})
        found = [(c["check"], c["result"], c["message"]) for c in reply["checks"]]
        self.assertEqual(reply["failures"], sum(r == "fail" for _, r, _ in found))
        self.assertEqual(reply["warnings"], sum(r == "warn" for _, r, _ in found))
        return found

    def find(self, found, check, result, *words):
        for c, r, message in found:
            if c == check and r == result and all(w in message for w in words):
                return message
        return self.fail(f"no {result} of {check} with {words} in {found}")


class Healthy(WithRagd):
    def test_nothing_is_wrong(self):
        found = self.doctor("--state", self.ragd.state, "--config", self.config(
            "[http]\nthreads = 2\n"))
        for check in ("config", "files", "compute", "clock", "state", "disk", "socket", "daemon",
                      "ready", "metrics", "limits", "models", "index", "audit"):
            if check != "state":
                self.assertIn(check, [c for c, _, _ in found])
        self.assertEqual([f for f in found if f[1] == "fail"], [])
        self.find(found, "limits", "ok", "file descriptors are open")
        self.find(found, "disk", "ok", "files can still be made")

    def test_the_state_folder_is_that_of_the_configuration(self):
        found = self.doctor("--config", self.config(""))
        self.find(found, "disk", "ok", str(self.ragd.state))

    def test_a_fusion_of_another_embedder_is_found(self):
        status, _ = self.ragd.call("PUT", "/v1/collections/tuned", {
            "fusion": {"weight_dense": 0.4}, "fusion_tuned_with": "ab" * 32})
        self.assertEqual(status, 201)
        self.find(self.doctor(), "tuning", "warn", "tuned", "abababababab", "ragctl tune fusion")
        self.ragd.call("PUT", "/v1/collections/tuned", {"readers": ["*"]})
        self.find(self.doctor(), "tuning", "warn", "tuned")
        self.ragd.call("PUT", "/v1/collections/tuned", {"fusion": {"weight_dense": 0.3}})
        self.assertNotIn("tuning", [c for c, _, _ in self.doctor()])
        for wrong in ({"fusion_tuned_with": "ab" * 32},
                      {"fusion": {"weight_dense": 0.4}, "fusion_tuned_with": "none"}):
            status, reply = self.ragd.call("PUT", "/v1/collections/tuned", wrong)
            self.assertEqual(status, 400, reply)
            self.assertIn("fusion_tuned_with", reply["error"]["message"])

    def test_lines_for_people(self):
        run = self.ragd.ragctl("doctor")
        self.assertRegex(run.stdout, r"(?m)^ok +daemon +answers, version ")
        self.assertRegex(run.stdout, r"\n\d+ ok, \d+ warnings?, 0 failures\n$")


class Wrong(WithRagd):
    def test_files_that_others_can_read_or_write(self):
        tokens = self.file("tokens", "web:0123456789abcdef0123\n", 0o644)
        key = self.file("key", "a-key-of-some-length\n", 0o604)
        found = self.doctor("--config", self.config(
            f"[http]\ntoken_file = {tokens}\n[openai]\nbase_url = https://example.com/v1\n"
            f"model = m\nkey_file = {key}\n", 0o666), status=1)
        self.find(found, "files", "fail", "[http] token_file", "0644", "chmod 600")
        self.find(found, "files", "fail", "[openai] key_file", "0604", "chmod 600")
        self.find(found, "files", "fail", "configuration", "0666", "chmod o-w")
        self.assertNotIn("a-key-of", json.dumps(found))

    def test_a_group_that_may_write_is_a_warning(self):
        found = self.doctor("--config", self.config("[http]\nthreads = 2\n", 0o664))
        self.find(found, "files", "warn", "0664", "chmod g-w")

    def test_a_file_that_is_not_there(self):
        found = self.doctor("--config", self.config("[http]\ntoken_file = /nonexistent/t\n"),
                            status=1)
        self.find(found, "files", "fail", "/nonexistent/t", "No such file")

    def test_a_key_that_goes_in_the_clear(self):
        key = self.file("key", "a-key-of-some-length\n")
        found = self.doctor("--config", self.config(
            f"[trace]\nendpoint = http://10.0.0.1:4318\nallow_private = 1\nkey_file = {key}\n"))
        self.find(found, "remote", "warn", "http://10.0.0.1:4318", "its key", "in the clear")

    def test_this_machine_may_be_spoken_to_in_the_clear(self):
        found = self.doctor("--config", self.config(
            "[trace]\nendpoint = http://127.0.0.1:4318\nallow_private = 1\n"))
        self.find(found, "remote", "ok", "http://127.0.0.1:4318")

    def test_an_unknown_key_of_the_configuration(self):
        found = self.doctor("--config", self.config("[http]\nthraeds = 2\n"), status=1)
        self.find(found, "config", "fail", "thraeds", "threads")

    def test_a_state_folder_that_others_can_read(self):
        state = self.folder / "state"
        state.mkdir()
        state.chmod(0o755)
        (state / "cache.db").write_text("")
        (state / "cache.db").chmod(0o644)
        found = self.doctor("--state", state)
        self.find(found, "state", "warn", "0755", "chmod 700")
        self.find(found, "state", "warn", "cache.db", "0644")

    def test_a_state_folder_that_is_not_there(self):
        found = self.doctor("--state", "/nonexistent/state", status=1)
        self.find(found, "state", "fail", "No such file")


class Online(WithRagd):
    def test_a_collector_is_asked_only_when_it_is_said(self):
        with Collector() as collector:
            config = self.config(f"[trace]\nendpoint = {collector.url}\nallow_private = 1\n")
            self.doctor("--config", config)
            self.assertEqual(collector.requests, 0)
            found = self.doctor("--config", config, "--online")
            self.find(found, "online", "ok", collector.url, "200")
            self.assertEqual(collector.requests, 1)
            collector.mode = "error"
            self.find(self.doctor("--config", config, "--online", status=1), "online", "fail",
                      "broken")

    def test_without_a_configuration_nobody_is_known(self):
        self.find(self.doctor("--online"), "online", "warn", "--config")


class Small(unittest.TestCase):
    def test_too_few_descriptors_are_found(self):
        with Ragd(BUILD, wrapper=("prlimit", "--nofile=200:200", "--")) as ragd:
            config = ragd.folder / "big.conf"
            config.write_text("[http]\nconnections_max = 1024\n", encoding="utf-8")
            run = ragd.ragctl("doctor", "--json", "--config", str(config), "--state",
                              str(ragd.state))
            checks = json.loads(run.stdout)["checks"]
            limits = [c for c in checks if c["check"] == "limits"]
            self.assertEqual([c["result"] for c in limits], ["warn"], limits)
            self.assertIn("LimitNOFILE", limits[0]["message"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
