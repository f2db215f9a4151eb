"""Clients that ask: the same again, in other words, as follow-ups, streaming, through the chat
endpoint; and the judgement of what comes back."""
import json
import re

from devices import TOPICS, ways_to_ask
from subjects import FOLLOWED, FORBIDDEN_WORD, MARKS, MEANINGS, PHONE, bare, questions_of
from world import Client

MARK = re.compile(r" ?\[\d+\]")  # of a citation
READABLE = {"alice": ("common", "of-alice", "flip"), "bob": ("common", "of-bob", "flip"),
            None: ("common", "of-alice", "of-bob", "flip")}
FORBIDDEN = {"alice": ("of-bob",), "bob": ("of-alice",), None: ()}


def parse_events(text):
    """[(event, data)] of a text/event-stream."""
    out = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in lines:
            data = lines["data"]
            out.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return out


class Asker(Client):
    def __init__(self, world, user, rng):
        super().__init__(world, user, rng)
        self.questions = {c: questions_of(c, user.name) for c in READABLE[user.name]}

    def mix(self):
        return ((10, self.ask), (3, self.ask_twice), (3, self.stream), (2, self.chat),
                (1, self.stream_chat), (2, self.follow_up), (3, self.search), (1, self.forbidden),
                (1, self.hurried), (1, self.not_allowed))

    def pick(self):
        """Few are asked often."""
        collection = self.rng.choice(list(self.questions))
        pool = self.questions[collection]
        return pool[min(int(self.rng.paretovariate(0.7)) * 7 % len(pool), len(pool) - 1)]

    def flipped(self, collection):
        """Statuses that are right in a collection whose readers change."""
        return (200, 403) if collection == "flip" and self.user.name else (200,)

    def ask(self, question=None, **members):
        question = question or self.pick()
        got = self.request("ask", "POST", "/v1/ask",
                           {"collection": question.collection, "question": question.text,
                            **members}, ok=self.flipped(question.collection))
        self.judge(question, *got)
        return got

    def ask_twice(self):
        """With the cache and without it: the same, when nothing was changed meanwhile."""
        question = self.pick()
        generation = self.generation(question.collection)
        first = self.ask(question)
        second = self.ask(question, **self.world.no_cache)
        if generation is None or first[0] != 200 or second[0] != 200 or \
                generation != self.generation(question.collection) or self.world.expiry == "ttl":
            return
        if any(reply["cache"] == "semantic" or reply["backend"] != "extractive" or
               any(d["stage"] != "generate" for d in reply["degraded"])
               for reply in (first[1], second[1])):
            return
        # vectors that came between may give passages other numbers, or one sentence more a place
        one, other = (set(MARK.sub("", reply["answer"]).split("\n"))
                      for reply in (first[1], second[1]))
        if not (one <= other or other <= one):
            self.world.note("different", f"{question.text}: {first[1]['cache']} "
                                         f"{first[1]['answer']!r}, anew {second[1]['answer']!r}")

    def generation(self, collection):
        status, reply, _, _ = self.request("collection", "GET", f"/v1/collections/{collection}",
                                           ok=self.flipped(collection))
        return reply["generation"] if status == 200 else None

    def judge(self, question, status, reply, begun, ended):
        world = self.world
        if status == 200 and question.collection == "flip" and self.user.name:
            self.judge_access(begun)
        if status != 200:
            return
        self.judge_citations(question.collection, reply["citations"], begun, ended)
        self.judge_answer(question, reply)
        world.hit(("refused " if reply["refused"] else "") + reply["cache"])
        if reply["cache"] == "none":
            return
        origin = reply["cached_from"]["question"]
        meaning = MEANINGS.get(bare(origin))
        if meaning is None or meaning != question.meaning[1:]:
            what = "unexpected" if reply["cache"] == "exact" else "false_hit"
            world.note(what, f"{reply['cache']}: {question.text!r} from {origin!r}")
        if world.share == "principal" and origin != bare(origin) + MARKS[self.user.name]:
            world.note("crossed", f"{self.user.principal} got what another one asked: {origin!r}")
        if reply["refused"]:
            self.judge_refusal(question, reply, begun)

    def judge_answer(self, question, reply):
        """It is about the device that was asked about, and says what it cites."""
        if reply["refused"]:
            return
        cited = {citation["document"] for citation in reply["citations"]}
        if reply["backend"] == "extractive" and question.document not in cited:
            self.world.note("false_hit" if reply["cache"] == "semantic" else "unexpected",
                            f"{question.text!r}: {reply['answer']!r} cites {sorted(cited)}")
        answer = reply["answer"].encode()
        for citation in reply["citations"]:
            part = answer[citation["answer_start"]:citation["answer_end"]].decode()
            if reply["backend"] == "extractive" and not part.startswith(citation["text"]):
                self.world.note("unexpected", f"the answer says {part!r}, "
                                              f"its citation {citation['text']!r}")

    def judge_refusal(self, question, reply, begun):
        """A refusal that was kept, although the document is there: is it one without the cache?"""
        text = self.world.truth.stable(question.collection, question.document, begun)
        if not text:
            return
        anew = self.ask(question, **self.world.no_cache)
        if anew[0] == 200 and not anew[1]["refused"] and not anew[1]["degraded"] and \
                self.world.truth.stable(question.collection, question.document, begun) == text:
            self.world.note("stale", f"kept refusal of {question.text!r}: {reply['reason_code']}")

    def judge_access(self, begun):
        if self.user.name in self.world.readers.surely_not(begun):
            self.world.note("crossed", f"{self.user.principal} was answered after it was taken "
                                       "from the readers")

    def judge_citations(self, collection, citations, begun, ended):
        if PHONE.search(json.dumps(citations)):
            self.world.note("crossed", f"{collection}: a number that was to be masked: {citations}")
        for citation in citations:
            if not citation["document"].startswith(collection + "/"):
                self.world.note("crossed", f"{collection} cites {citation['document']}")
                continue
            wrong = self.world.truth.judge(collection, citation, begun, ended)
            if wrong:
                self.world.note("stale" if wrong.startswith("stale") else "unexpected", wrong)

    def stream(self):
        question = self.pick()
        status, reply, begun, ended = self.request(
            "stream", "POST", "/v1/ask",
            {"collection": question.collection, "question": question.text, "stream": True},
            ok=self.flipped(question.collection))
        if status != 200:
            return
        events = parse_events(reply)
        last, data = events[-1] if events else ("nothing", {})
        if last == "error" and self.world.may_fail(
                507 if data["error"]["code"] == "no_space" else 500, data, begun, ended):
            return
        if last != "done":
            self.world.note("unexpected", f"stream ends with {last} {data}")
            return
        self.judge(question, 200, data, begun, ended)
        text = "".join(d["text"] for name, d in events if name == "delta")
        cited = [d["citation"] for name, d in events if name == "citation"]
        if text.strip() != data["answer"].strip() or cited != data["citations"]:
            self.world.note("unexpected", f"stream: pieces {text!r}, whole {data['answer']!r}")

    def chat(self, **members):
        question = self.pick()
        got = self.request("chat", "POST", "/v1/chat/completions",
                           {"collection": question.collection, **members,
                            "messages": [{"role": "user", "content": question.text}]},
                           ok=self.flipped(question.collection))
        if got[0] == 200 and not members:
            self.judge(question, 200, got[1]["ragd"], *got[2:])
        return question, got

    def stream_chat(self):
        question, (status, reply, begun, ended) = self.chat(stream=True)
        if status != 200:
            return
        events = parse_events(reply)
        if not events or events[-1][1] != "[DONE]":
            error = events[-1][1] if events else {}
            if not (isinstance(error, dict) and self.world.may_fail(500, error, begun, ended)):
                self.world.note("unexpected", f"chat stream ends with {events[-1:]}")
            return
        for _, data in events:
            if isinstance(data, dict) and "ragd" in data:
                self.judge(question, 200, data["ragd"], begun, ended)

    def follow_up(self):
        """What another device has: it needs the turn before."""
        collection = self.rng.choice([c for c in self.questions if c != "flip"])
        first, second = self.rng.sample(FOLLOWED, 2)
        before = ways_to_ask(first, self.rng.choice(list(TOPICS)))[0]
        status, reply, begun, ended = self.request(
            "follow_up", "POST", "/v1/ask",
            {"collection": collection, "question": f"{second}은요?",
             "messages": [{"role": "user", "content": before + "?"},
                          {"role": "assistant", "content": "문서에 적힌 대로이다."}]})
        if status == 200:
            self.judge_citations(collection, reply["citations"], begun, ended)

    def search(self):
        question = self.pick()
        status, reply, begun, ended = self.request(
            "search", "POST", "/v1/search",
            {"collection": question.collection, "query": question.text,
             "top_k": self.rng.choice((1, 5, 20)), "stages": self.rng.random() < 0.2},
            ok=self.flipped(question.collection))
        if status == 200:
            if question.collection == "flip" and self.user.name:
                self.judge_access(begun)
            self.judge_citations(question.collection, reply["results"], begun, ended)

    def forbidden(self):
        """Asked in the other's collection with the other's questions: never an answer."""
        for collection in FORBIDDEN[self.user.name]:
            other = "bob" if self.user.name == "alice" else "alice"
            question = self.rng.choice(questions_of(collection, other))
            status, _, _, _ = self.request("forbidden", "POST", "/v1/ask",
                                           {"collection": collection, "question": question.text},
                                           ok=(403,))
            if status == 200:
                self.world.note("crossed", f"{self.user.principal} was answered from {collection}")

    def hurried(self):
        question = self.pick()
        self.request("hurried", "POST", "/v1/ask",
                     {"collection": question.collection, "question": question.text,
                      "deadline_ms": self.rng.choice((1, 3, 20))},
                     ok=self.flipped(question.collection) + (504,))

    def not_allowed(self):
        """What the policy refuses, before and after it was asked."""
        question = self.pick()
        status, reply, _, _ = self.request(
            "not_allowed", "POST", "/v1/ask",
            {"collection": question.collection, "question": f"{FORBIDDEN_WORD}: {question.text}"},
            ok=self.flipped(question.collection))
        if status == 200 and not reply["refused"]:
            self.world.note("unexpected", f"answered in spite of the policy: {reply['answer']!r}")
