"""Clients of all else: the models, chats, the audit log, metrics, checks and backups."""
import shutil

from subjects import MARKS, MEANINGS, bare
from world import Client
from writers import LASTING

TEXTS = ("연차 이월", "점검 주기는 며칠인가요?", "PK-110 장비", "보증 기간이 지난 장비의 수리", "a", "전원을 확인한다. " * 40)
FIRST_OF_ALL = 1e-3  # float sums in another order


def near(a, b):
    return len(a) == len(b) and all(abs(x - y) < FIRST_OF_ALL for x, y in zip(a, b))


class ModelUser(Client):
    pause_s = 0.1

    def __init__(self, world, user, rng):
        super().__init__(world, user, rng)
        self.vectors = {}
        self.scores = None

    def mix(self):
        return ((4, self.embed), (3, self.rerank), (4, self.chat), (1, self.models))

    def embed(self):
        texts = self.rng.sample(TEXTS, self.rng.randrange(1, 5))
        status, reply, _, _ = self.request("embeddings", "POST", "/v1/embeddings",
                                           {"input": texts, "input_type": "query"})
        if status != 200:
            return
        for text, row in zip(texts, reply["data"]):
            if not near(self.vectors.setdefault(text, row["embedding"]), row["embedding"]):
                self.world.note("unexpected", f"embeddings: another vector of {text!r}")

    def rerank(self):
        status, reply, _, _ = self.request("rerank", "POST", "/v1/rerank",
                                           {"query": TEXTS[1], "documents": list(TEXTS)})
        if status != 200:
            return
        scores = [r["relevance_score"] for r in sorted(reply["results"], key=lambda r: r["index"])]
        self.scores = self.scores or scores
        if not near(self.scores, scores):
            self.world.note("unexpected", f"rerank: {scores}, before {self.scores}")

    def chat(self):
        body = {"messages": [{"role": "user", "content": self.rng.choice(TEXTS)}],
                "max_tokens": self.rng.choice((1, 8, 32)), "seed": 7,
                "temperature": self.rng.choice((0, 1))}
        if self.rng.random() < 0.2:
            body["response_format"] = {"type": "json_schema", "json_schema": {"schema": {
                "type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"],
                "additionalProperties": False}}}
        status, reply, _, _ = self.request("chat_alone", "POST", "/v1/chat/completions", body)
        if status == 200 and reply["usage"]["completion_tokens"] > body["max_tokens"]:
            self.world.note("unexpected", f"chat: {reply['usage']}")

    def models(self):
        self.request("models", "GET", "/v1/models")


class CacheUser(Client):
    """Looks at what is kept, says whether answers fitted, and clears at times."""
    pause_s = 0.3

    def __init__(self, world, user, rng):
        super().__init__(world, user, rng)
        self.entries = []

    def mix(self):
        clear = ((0.2, self.clear),) if self.user.name is None else ()
        return ((4, self.list), (2, self.report), *clear)

    def list(self):
        share = self.world.share
        status, reply, _, _ = self.request("cache", "GET", "/v1/cache?limit=200")
        if status != 200:
            return
        self.entries = [entry["entry"] for entry in reply["entries"]]
        if self.user.name is None or share != "principal" or share != self.world.share:
            return
        for question in (entry["question"] for entry in reply["entries"]):
            if bare(question) in MEANINGS and question != bare(question) + MARKS[self.user.name]:
                self.world.note("crossed", f"{self.user.principal} sees the question {question!r}")

    def report(self):
        if self.entries:
            self.request("feedback", "POST", "/v1/feedback",
                         {"entry": self.rng.choice(self.entries),
                          "correct": self.rng.random() < 0.95}, ok=(200, 404))

    def clear(self):
        self.request("clear", "DELETE", "/v1/cache" + self.rng.choice(("", "?collection=common")))


class Auditor(Client):
    pause_s = 0.2

    def __init__(self, world, user, rng):
        super().__init__(world, user, rng)
        self.head = None
        self.counters = (None, {})  # epoch, values

    def mix(self):
        return ((4, self.read), (1, self.verify), (3, self.metrics), (1, self.check),
                (0.1, self.backup), (1, self.list), (2, self.in_flight), (0.3, self.cut),
                (0.3, self.erase))

    def grown(self, head):
        """Rows are only ever added."""
        if self.head and head["n"] < self.head["n"]:
            self.world.note("audit", f"head {head['n']}, before it was {self.head['n']}")
        self.head = head

    def read(self):
        status, reply, _, _ = self.request(
            "audit", "GET", f"/v1/audit?before={self.rng.randrange(1, 10 ** 6)}&limit=20")
        if status == 200:
            self.grown(reply["head"])
            seqs = [entry["seq"] for entry in reply["entries"]]
            if seqs != sorted(seqs, reverse=True):
                self.world.note("audit", f"rows in the order {seqs}")

    def verify(self):
        """The chain is whole, and still holds the head that was seen before."""
        status, reply, _, _ = self.request("verify", "POST", "/v1/audit/verify",
                                           {"head": self.head} if self.head else {})
        if status == 200:
            if not reply["whole"]:
                self.world.note("audit", f"verify: {reply}")
            self.grown(reply["head"])

    def metrics(self):
        status, text, _, _ = self.request("metrics", "GET", "/metrics")
        if status != 200:
            return
        values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                  for line in text.splitlines() if line and not line.startswith("#")}
        epoch, before = self.counters
        if epoch == self.epoch == self.world.epoch:
            for name, value in values.items():
                if "_total" in name.split("{")[0] and value < before.get(name, 0):
                    self.world.note("unexpected", f"metrics: {name} fell from {before[name]} to {value}")
        self.counters = (self.epoch, values)

    def check(self):
        self.request("check", "POST", f"/v1/collections/{self.rng.choice(LASTING)}/check")

    def list(self):
        self.request("list", "GET", "/v1/collections")

    def in_flight(self):
        status, reply, _, _ = self.request("in_flight", "GET", "/v1/requests")
        if status == 200 and reply["n"] > 200:
            self.world.note("unexpected", f"{reply['n']} requests in flight")

    def cut(self):
        """Old rows go; the chain stays whole."""
        if self.head and self.head["n"] > 400:
            self.request("cut", "POST", "/v1/audit/cut",
                         {"seq": self.head["n"] - 300, "why": "soak"}, ok=(200, 404))

    def erase(self):
        """A 400: the row is itself the record of an erasure or a cut."""
        if self.head and self.head["n"] > 400:
            self.request("erase", "POST",
                         f"/v1/audit/{self.head['n'] - self.rng.randrange(1, 200)}/erase",
                         {"why": "soak"}, ok=(200, 400, 404))

    def backup(self):
        folder = self.world.ragd.folder / f"backup-{self.rng.getrandbits(64):x}"
        self.request("backup", "POST", "/v1/backup", {"dir": str(folder)})
        shutil.rmtree(folder, ignore_errors=True)
