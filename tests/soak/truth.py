"""What the documents of a soak hold at each moment, and whether an answer agrees with it.

A document has a list of states, oldest first: the text that was sent, when, and when the daemon
acknowledged it. A change whose reply never came (the daemon was killed, the disk was full) is open
until its writer has looked. One writer owns a document, so the order of its states is known.

An answer was asked for at `begun` and had come by `ended`. What it cites is right when it is a
state that was sent before `ended` and that no later state, acknowledged before `begun`, replaces."""
import threading
import time

from subjects import stored

GONE = None  # the text of a deleted document


class State:
    """One version of a document: the text that is stored, GONE: deleted, and `raw` as it was sent."""

    def __init__(self, text, sent, acknowledged=None, version=None, sent_as=""):
        self.raw = text
        self.text = stored(text)
        self.sent_as = sent_as
        self.version = version
        self.sent = sent
        self.acknowledged = acknowledged


class Document:
    def __init__(self):
        self.states = [State(GONE, 0.0, 0.0)]

    def forget(self):
        """Drop what nobody can be asking about any more: requests end within minutes."""
        old = time.monotonic() - 600
        while len(self.states) > 1 and self.states[1].acknowledged and \
                self.states[1].acknowledged < old:
            self.states.pop(0)


class Truth:
    """Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.documents = {}  # (collection, name) -> Document

    def of(self, collection, name):
        return self.documents.setdefault((collection, name), Document())

    def sent(self, collection, name, text, sent_as="put"):
        with self.lock:
            document = self.of(collection, name)
            state = State(text, time.monotonic(), sent_as=sent_as)
            document.states.append(state)
            document.forget()
            return state

    def acknowledged(self, state, version=None):
        with self.lock:
            state.acknowledged = time.monotonic()
            state.version = version

    def refused(self, collection, name, state):
        """It certainly did not happen."""
        with self.lock:
            self.of(collection, name).states.remove(state)

    def open_states(self):
        """[(collection, name, state)] whose fate is unknown."""
        with self.lock:
            return [(c, name, state) for (c, name), document in self.documents.items()
                    for state in document.states if state.acknowledged is None]

    def now(self, collection, name):
        """The last acknowledged state; None while a change is open."""
        with self.lock:
            last = self.of(collection, name).states[-1]
            return last if last.acknowledged is not None else None

    def stable(self, collection, name, begun):
        """The text, if it was acknowledged before `begun` and nothing was sent since; else None."""
        with self.lock:
            last = self.of(collection, name).states[-1]
            return last.text if last.acknowledged and last.acknowledged < begun else None

    def names(self, collection):
        with self.lock:
            return [name for c, name in self.documents if c == collection]

    def judge(self, collection, citation, begun, ended):
        """"", or what is wrong with a citation (or a result of a search): "unknown: ...",
        "stale: ...", "text: ..."."""
        name = citation["document"]
        with self.lock:
            document = self.documents.get((collection, name))
            states = list(document.states) if document else []
        possible = [i for i, s in enumerate(states) if s.text is not GONE and s.sent < ended and
                    s.version in (None, citation["version"])]
        if not possible:
            return f"unknown: {collection}/{name} version {citation['version']}"
        for i in possible:
            if any(later.acknowledged and later.acknowledged < begun for later in states[i + 1:]):
                continue
            span = states[i].text.encode()[citation["byte_start"]:citation["byte_end"]]
            if span == citation["text"].encode():
                return ""
            if states[i].version is not None:
                return (f"text: {collection}/{name} version {citation['version']}: "
                        f"{citation['text'][:80]!r}")
        return f"stale: {collection}/{name} version {citation['version']}"
