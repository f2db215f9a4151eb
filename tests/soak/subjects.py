"""What the documents of a soak say (tests/lib/devices.py) and what is asked about them by whom."""
import re
import urllib.parse

from devices import SHARED, TEAMS, TOPICS, facts, ways_to_ask

DEVICES = [f"{letter}-{number}" for letter in ("PK", "RT", "ZM") for number in range(110, 160, 10)]
FOLLOWED = DEVICES[-3:]  # asked about by follow-ups only
ASKED = DEVICES[:-3]
# Who asked can be read from the spelling; it is the same question to the cache.
MARKS = {"alice": "?", "bob": "??", None: ""}


def document_name(collection, device):
    return f"{collection}/{device}.txt"


OFFLINE = "of-alice"
SECRET = "비밀자료"  # the title of its documents


def document_target(ragd, collection, name):
    """Where to put it; what is offline can be told by its title wherever a passage of it goes."""
    title = f"?title={urllib.parse.quote(SECRET)}" if collection == OFFLINE else ""
    return ragd.document(collection, name) + title


PHONE = re.compile(r"010-1234-\d{4}")
FORBIDDEN_WORD = "극비"  # of a question: refused
POLICY = {"rules": [
    {"name": "personal", "kind": "pii", "on": ["document", "question", "answer"], "action": "mask"},
    {"name": "secret", "kind": "keywords", "words": [FORBIDDEN_WORD], "on": ["question"],
     "action": "refuse", "reason": "극비 자료는 다루지 않습니다."},
    {"name": "instructions", "kind": "injection", "on": ["passage"], "action": "flag"},
    {"name": "leak", "kind": "leak", "on": ["answer"], "action": "refuse"},
]}


def stored(text):
    """What POLICY lets of a text into the store."""
    return text and PHONE.sub(lambda m: "*" * len(m.group()), text)


def make_text(rng, collection, device):
    """A new version."""
    n, parts = facts(rng, device)
    parts.append(f"{collection} 모음의 {device} 장비 안내, {n}판이다.")
    parts.append(f"{device} 장비 문의처의 전화는 010-1234-{n % 10000:04}이다.")
    rng.shuffle(parts)
    if rng.random() < 0.3:
        parts.append(SHARED)
    for i in range(rng.choice((0, 0, 0, 2, 20, 120))):
        parts.append(f"{device} 작업 기록 {n}-{i}: {rng.choice(TEAMS)}에서 {rng.randrange(90)}번 부품을 보았다.")
    return "\n\n".join(parts)


class Question:
    """One spelling of one question; equal `meaning`: the same answer."""

    def __init__(self, collection, device, topic, way, user):
        self.meaning = (collection, device, topic)
        self.collection = collection
        self.text = ways_to_ask(device, topic)[way] + MARKS[user]
        self.document = document_name(collection, device)


def questions_of(collection, user):
    return [Question(collection, device, topic, way, user) for device in ASKED
            for topic, (_, ways) in TOPICS.items() for way in range(len(ways))]


def bare(text):
    return text.rstrip("? ")


# (the question without its marks) -> (device, topic)
MEANINGS = {bare(question.text): question.meaning[1:] for question in questions_of("", None)}
