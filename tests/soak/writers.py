"""Clients that change things: documents, which each writer owns some of, the readers of a
collection, and collections that come and go."""
import json
import threading
import time
import urllib.parse

from subjects import DEVICES, OFFLINE, SECRET, document_name, document_target, make_text
from truth import GONE
from world import Client

LASTING = ("common", "of-alice", "of-bob", "flip")


class Readers:
    """Who may read the collection `flip`, as far as it was acknowledged. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.history = [(0.0, 0.0, {"alice", "bob"})]  # (sent, acknowledged or None, who)

    def sent(self, who):
        with self.lock:
            self.history.append([time.monotonic(), None, who])
            return self.history[-1]

    def surely_not(self, begun):
        """Those whom the last acknowledged change before `begun` left out, and none since lets in."""
        with self.lock:
            acknowledged = [i for i, (_, at, _) in enumerate(self.history) if at and at < begun]
            since = self.history[acknowledged[-1] if acknowledged else 0:]
            return {"alice", "bob"} - set().union(*(who for _, _, who in since))


class Writer(Client):
    """Owns some devices of every lasting collection. Changes come in bursts: between them answers of
    the cache live for a while under every policy."""
    pause_s = 0.05

    def __init__(self, world, user, rng, index, n_writers):
        super().__init__(world, user, rng)
        self.own = [(c, device) for c in LASTING for device in DEVICES[index::n_writers]]

    def mix(self):
        return ((12, self.put), (3, self.delete), (2, self.bulk), (1, self.again), (4, self.look))

    def step(self):
        self.settle()
        super().step()
        if self.rng.random() < 0.1:
            self.world.stop.wait(self.rng.uniform(0, 8))

    def changed(self, kind, targets, method, path, body, content_type, ok=(200, 201)):
        """One change of documents, known to the truth before and after."""
        truth = self.world.truth
        states = [(c, name, truth.sent(c, name, text, kind)) for c, name, text in targets]
        status, reply, _, _ = self.request(kind, method, path, body, content_type=content_type,
                                           ok=ok)
        if status in (200, 201) and not reply.get("failed"):
            for _, _, state in states:
                truth.acknowledged(state, reply.get("version"))
        elif status in (404, 503):
            for c, name, state in states:
                truth.refused(c, name, state)
        return status, reply  # else they stay open: settle() looks

    def put(self):
        collection, device = self.rng.choice(self.own)
        name = document_name(collection, device)
        text = make_text(self.rng, collection, device)
        self.changed("put", [(collection, name, text)], "PUT",
                     document_target(self.world.ragd, collection, name), text, "text/plain")

    def delete(self):
        collection, device = self.rng.choice(self.own)
        name = document_name(collection, device)
        self.changed("delete", [(collection, name, GONE)], "DELETE",
                     self.world.ragd.document(collection, name), None, "text/plain",
                     ok=(200, 404))

    def bulk(self):
        collection = self.rng.choice(LASTING)
        devices = [d for c, d in self.own if c == collection][:3]
        targets = [(collection, document_name(collection, d), make_text(self.rng, collection, d))
                   for d in devices]
        title = {"title": SECRET} if collection == OFFLINE else {}
        lines = "".join(json.dumps({"id": name, "text": text, **title}, ensure_ascii=False) + "\n"
                        for _, name, text in targets)
        _, reply = self.changed("bulk", targets, "POST", f"/v1/collections/{collection}/documents",
                                lines, "application/x-ndjson")
        if reply and reply.get("failed") and not self.disk_was_full():
            self.world.note("unexpected", f"bulk: {reply}")

    def disk_was_full(self):
        now = time.monotonic()
        return self.world.windows.overlap("disk_full", now - 60, now)

    def again(self):
        """The same once more changes nothing."""
        collection, device = self.rng.choice(self.own)
        name = document_name(collection, device)
        state = self.world.truth.now(collection, name)
        if state and state.text and state.sent_as == "put":
            status, reply, _, _ = self.request("again", "PUT",
                                               document_target(self.world.ragd, collection, name),
                                               state.raw, content_type="text/plain")
            if status == 200 and not reply["unchanged"]:
                self.world.note("unexpected", f"again: {reply}")

    def look(self):
        collection, device = self.rng.choice(self.own)
        self.read(collection, document_name(collection, device))

    def read(self, collection, name):
        """What is stored must be the last state, which nobody but this client changes."""
        state = self.world.truth.now(collection, name)
        status, reply, _, _ = self.request("get", "GET", self.world.ragd.document(collection, name),
                                           ok=(200, 404))
        if state is None or status not in (200, 404):
            return
        stored = reply["text"] if status == 200 else GONE
        if stored != state.text:
            self.world.note("lost", f"{collection}/{name} is {str(stored)[:80]!r}, "
                                    f"not {str(state.text)[:80]!r}")

    def settle(self):
        """Changes of one's own whose reply never came: were they made?"""
        own = {(c, document_name(c, d)) for c, d in self.own}
        for collection, name, state in self.world.truth.open_states():
            if (collection, name) not in own:
                continue
            status, reply, _, _ = self.request("settle", "GET",
                                               self.world.ragd.document(collection, name),
                                               ok=(200, 404))
            if status not in (200, 404):
                continue
            if (reply["text"] if status == 200 else GONE) == state.text:
                self.world.truth.acknowledged(state, reply.get("version"))
            else:
                self.world.truth.refused(collection, name, state)


class Flipper(Client):
    """Takes readers from a collection and gives them back."""
    pause_s = 0.4

    def mix(self):
        return ((1, self.flip),)

    def flip(self):
        who = set(self.rng.choice((("alice",), ("bob",), ("alice", "bob"))))
        entry = self.world.readers.sent(who)
        status, _, _, _ = self.request("readers", "PUT", "/v1/collections/flip",
                                       {"readers": [f"token:{name}" for name in sorted(who)]})
        if status == 200:
            entry[1] = time.monotonic()


class Founder(Client):
    """A collection is created, filled, asked, dropped; what it was asked before must not be
    answered from what is gone."""
    pause_s = 0.2

    def __init__(self, world, user, rng, index):
        super().__init__(world, user, rng)
        self.collection = f"passing-{index}"

    def mix(self):
        return ((1, self.life),)

    def life(self):
        at = f"/v1/collections/{self.collection}"
        status, _, _, _ = self.request("create", "PUT", at, {"readers": ["*"]})
        if status not in (200, 201):
            return
        device = self.rng.choice(DEVICES)
        name = document_name(self.collection, device)
        for _ in range(self.rng.randrange(1, 4)):
            text = make_text(self.rng, self.collection, device)
            state = self.world.truth.sent(self.collection, name, text)
            status, reply, _, _ = self.request(
                "put", "PUT", self.world.ragd.document(self.collection, name), text,
                content_type="text/plain", ok=(200, 201))
            if status in (200, 201):
                self.world.truth.acknowledged(state, reply["version"])
            self.ask(device)
            self.ask(device)
        gone = [self.world.truth.sent(self.collection, n, GONE)
                for n in self.world.truth.names(self.collection)]
        for _ in range(60):
            status, _, _, _ = self.request("drop", "DELETE", at, ok=(200, 404))
            if status in (200, 404):
                for state in gone:
                    self.world.truth.acknowledged(state)
                return
            if self.world.stop.wait(1):
                return
            self.world.rest(self)

    def ask(self, device):
        status, reply, begun, ended = self.request(
            "ask_passing", "POST", "/v1/ask",
            {"collection": self.collection, "question": f"{device} 장비의 점검 주기는 며칠인가요?"},
            ok=(200, 404))
        if status != 200:
            return
        self.world.hit(("refused " if reply["refused"] else "") + reply["cache"])
        for citation in reply["citations"]:
            wrong = self.world.truth.judge(self.collection, citation, begun, ended)
            if wrong:
                self.world.note("stale" if wrong.startswith("stale") else "unexpected", wrong)


class Passer(Client):
    """Asks in a collection that comes and goes under it."""

    def mix(self):
        return ((3, self.ask), (1, self.list), (1, self.get))

    def ask(self):
        self.request("ask_passing", "POST", "/v1/ask",
                     {"collection": "passing-0",
                      "question": f"{self.rng.choice(DEVICES)} 장비의 담당 부서는 어디인가요?"},
                     ok=(200, 404))

    def list(self):
        self.request("list", "GET", f"/v1/collections/{self.rng.choice(('passing-0', 'common'))}"
                                    "/documents?limit=5", ok=(200, 404))

    def get(self):
        name = urllib.parse.quote(document_name("passing-0", self.rng.choice(DEVICES)), safe="")
        self.request("list", "GET", f"/v1/collections/passing-0/documents/{name}", ok=(200, 404))
