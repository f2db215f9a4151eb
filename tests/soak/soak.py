#!/usr/bin/env python3
"""Mixed traffic of many clients with faults injected, for minutes to days; everything that comes
back is checked.

    soak.py BUILD_DIR [--minutes N] [--seed S] [--slow-down F] [--kills F] [--keep]

The run has two parts. In the first (--kills of it, 0.4) the daemon is also killed and restarted at
random moments, each time with other settings of the cache. In the second it lives on under all
other faults, so that its memory and descriptors can be compared: at quiet points, where all
clients stand still and their connections are closed.

The last line is one JSON object; the exit status is 0 only when nothing was found.
docs/TESTING.md says what is checked."""
import argparse
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "lib"))
from askers import Asker  # noqa: E402
from faults import Faults  # noqa: E402
from hostile import Misuser  # noqa: E402
from others import Auditor, CacheUser, ModelUser  # noqa: E402
from ragd_process import Ragd, TcpListener, User  # noqa: E402
from subjects import (DEVICES, OFFLINE, POLICY, SECRET, document_name,  # noqa: E402
                      document_target, make_text)
from tiny_models import MODELS, make_decoder  # noqa: E402
from vitals import bad_lines, vitals  # noqa: E402
from world import World  # noqa: E402
from writers import LASTING, Flipper, Founder, Passer, Readers, Writer  # noqa: E402

QUIET_POINTS = 6  # of the second part
N_WRITERS = 3
READERS = {"common": ("alice", "bob"), "of-alice": ("alice",), "of-bob": ("bob",),
           "flip": ("alice", "bob")}


# Combinations of backends; all of them while memory is compared.
BACKENDS = ("extractive", "local, extractive", "openai, extractive", "local, openai, extractive")


def config_of(world, rng, last=False):
    """The configuration of the next start. The models are random, so they get little say: what is
    asked about is found by its words. A small cache, which is soon full."""
    folder = world.ragd.folder
    backends = rng.choice(BACKENDS)
    if last:  # under a sanitizer a decoder leaves time for little else
        backends = BACKENDS[-1] if world.slow_down < 5 else BACKENDS[-2]
    world.share = "principal" if last else rng.choice(("principal", "principal", "readers"))
    world.expiry = rng.choice(("change", "top_k", "top_k", "ttl"))
    world.ragd.config = f"""[ragd]
log_file = {folder / "ragd.log"}
[http]
body_bytes_max = 2097152
idle_timeout_s = 10
{world.tcp.config_lines}
[workers]
threads = 4
[cache]
entries_max = 400
mb = 4
ttl_s = 60
expiry = {world.expiry}
share = {world.share}
threshold = 0.5
error_bound = 0.5
pair_min = 0
[guard]
policy = {folder / "guard.json"}
[index]
snapshot_interval_s = 2
[ask]
rerank_head = 5
[retrieve]
fusion_weight_dense = 0.1
[models]
embedder = {MODELS / "tiny-xlmr-embed"}
reranker = {MODELS / "tiny-bert-ce"}
embed_wait_ms = {rng.choice((0, 2000))}
[generate]
model = {folder / "tiny-chat"}
chat_template = chatml
kv_budget_mb = 16
max_new_tokens = 16
max_running = 3
backends = {backends}
[openai]
base_url = http://127.0.0.1:{world.ports["chat"]}/v1
model = stub
allow_private = 1
timeout_ms = 2000
connect_timeout_ms = 500
stall_ms = 700
tries_max = 2
[trace]
endpoint = http://127.0.0.1:{world.ports["collector"]}
allow_private = 1
queue_max = 1000
timeout_ms = 1000
"""


def make_clients(world, seed):
    def rng():
        rng.n += 1
        return random.Random(seed * 1000 + rng.n)
    rng.n = 0

    def user(name=None):
        return User(world.ragd, world.tcp, name, timeout=60 * world.slow_down)
    clients = [Writer(world, user(), rng(), i, N_WRITERS) for i in range(N_WRITERS)]
    clients += [Asker(world, user(name), rng()) for name in ("alice", "alice", "bob", "bob", None)]
    clients += [Flipper(world, user(), rng()), Founder(world, user(), rng(), 0),
                Founder(world, user(), rng(), 1), Passer(world, user("bob"), rng()),
                Misuser(world, user(), rng()), Misuser(world, user(), rng()),
                ModelUser(world, user("alice"), rng()), Auditor(world, user(), rng())]
    clients += [CacheUser(world, user(name), rng()) for name in ("alice", None)]
    return clients


def begin(world):
    """The daemon with its lasting collections, and the servers that it talks to."""
    peers = subprocess.Popen([sys.executable, str(HERE / "peers.py"), SECRET],
                             stdout=subprocess.PIPE, text=True)
    world.ports = json.loads(peers.stdout.readline())
    make_decoder(world.ragd.folder)
    (world.ragd.folder / "guard.json").write_text(json.dumps(POLICY), encoding="utf-8")
    config_of(world, random.Random(0))
    world.ragd.start(seconds=60 * world.slow_down)
    for name in LASTING:
        status, reply = world.ragd.call("PUT", f"/v1/collections/{name}", {
            "readers": [f"token:{reader}" for reader in READERS[name]], "chunk_chars": 300,
            "offline": name == OFFLINE})
        assert status == 201, reply
        for device in DEVICES:
            put_first(world, name, device)
    world.running.set()
    world.up.set()
    return peers


def put_first(world, collection, device):
    name = document_name(collection, device)
    text = make_text(random.Random(device), collection, device)
    state = world.truth.sent(collection, name, text)
    status, reply = world.ragd.call("PUT", document_target(world.ragd, collection, name), text,
                                    "text/plain")
    assert status == 201, reply
    world.truth.acknowledged(state, reply["version"])


def held(world):
    """What the daemon itself says that it keeps, in MB."""
    text = world.ragd.call("GET", "/metrics")[1]
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {f"{name}_mb": round(float(values.get(f"ragd_{name}_bytes", 0)) / 1048576, 1)
            for name in ("kv_held", "index", "cache")}


def measure(world, n_clients, series):
    with world.quiet(n_clients):
        time.sleep(1.5)  # until the daemon has seen its connections end
        series.append({**vitals(world.ragd.process.pid), **held(world)})
        series[-1]["t_s"] = round(time.monotonic() - world.begun)
        series[-1]["requests"] = world.n_requests()
    print(f"soak: {series[-1]}", file=sys.stderr, flush=True)


def second_part(world, faults, n_clients, until, series):
    """Quiet points at equal distances; the first one is the warm state that others are compared
    with."""
    begun = time.monotonic()
    for i in range(QUIET_POINTS + 1):
        faults.run(begun + (until - begun) * (i + 1) / (QUIET_POINTS + 1), kills=False)
        measure(world, n_clients, series)


def end(world, faults, clients):
    """Stop all clients, then all must be whole, and once more after a clean restart."""
    for client in clients:
        client.join(timeout=120 * world.slow_down)
        if client.is_alive():
            world.note("unexpected", f"{client.name} hangs")
    if world.ragd.process.poll() is not None:
        return
    for _ in range(2):
        faults.whole()
        for client in clients:
            if isinstance(client, Writer):
                client.settle()
                for collection, device in client.own:
                    client.read(collection, f"{collection}/{device}.txt")
                client.close()
        code = world.ragd.stop()
        if code != 0:
            world.note("unexpected", f"ragd ended with {code}")
        world.ragd.start(seconds=60 * world.slow_down)
        world.epoch += 1
    world.ragd.stop()


def growth(series, key):
    """Of the last three quiet points over the first two after the warm-up."""
    values = [point[key] for point in series]
    if len(values) < 4:
        return 0
    return round(statistics.median(values[-3:]) - statistics.median(values[1:3]), 1)


def report(world, minutes, series):
    bad = bad_lines(world.ragd.folder)
    for line in bad[:20]:
        world.note("unexpected", f"log: {line}")
    found = world.n_found
    if world.seen["secrets"]:
        world.note("crossed", f"{world.seen['secrets']} requests told of an offline collection")
    for what, texts in world.found.items():
        for text in texts:
            print(f"soak: {what}: {text}", file=sys.stderr)
    kinds = {}
    for (kind, status), n in sorted(world.counts.items()):
        kinds.setdefault(kind, {})[status] = n
    for kind, statuses in kinds.items():
        print(f"soak: {kind}: {statuses}, slowest {world.slowest[kind]:.2f} s", file=sys.stderr)
    print(json.dumps({
        "test": "soak", "minutes": round(minutes, 1), "requests": world.n_requests(),
        "errors_unexpected": found["unexpected"] + found["lost"] + found["different"],
        "rss_growth_mb": growth(series, "rss_mb"), "fd_growth": growth(series, "fds"),
        "thread_growth": growth(series, "threads"), "audit_broken": found["audit"],
        "stale_answers": found["stale"], "crossed_answers": found["crossed"],
        "false_hits": found["false_hit"], "lost_changes": found["lost"],
        "restarts": world.epoch, "share": world.share,
        "expiry": world.expiry, "log_lines_bad": len(bad),
        "faults": {kind: world.windows.count(kind) for kind in ("kill", "disk_full", "peers")},
        "answers": dict(sorted(world.hits.items())), "peers_saw": world.seen, "quiet_points": series}))
    return 1 if any(found[what] for what in
                    ("unexpected", "lost", "different", "audit", "stale", "crossed")) else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slow-down", type=float, default=1, help="of the build, for patience")
    parser.add_argument("--kills", type=float, default=0.4, help="part of the time with kills")
    parser.add_argument("--keep", action="store_true", help="keep the state folder")
    arguments = parser.parse_args()
    ragd = Ragd(arguments.build, hurry=True)
    ragd.folder.joinpath("ragd.log").touch()
    world = World(ragd, TcpListener(ragd, ("alice", "bob")), arguments.slow_down)
    world.readers = Readers()
    world.no_cache = {"cache": False}
    begun = world.begun
    seconds = arguments.minutes * 60
    series, peers = [], None
    try:
        peers = begin(world)
        clients = make_clients(world, arguments.seed)
        for client in clients:
            client.start()
        faults = Faults(world, random.Random(arguments.seed), config_of, [peers])
        faults.run(begun + seconds * arguments.kills, kills=True)
        faults.kill_and_start(last=True)
        second_part(world, faults, len(clients), begun + seconds, series)
        world.stop.set()
        end(world, faults, clients)
        peers.terminate()
        world.seen = json.loads(peers.communicate(timeout=60)[0])
        minutes = (time.monotonic() - begun) / 60
        return report(world, minutes, series)
    finally:
        world.stop.set()
        if ragd.process and ragd.process.poll() is None:
            ragd.kill()
        if peers:
            peers.kill()
        if arguments.keep:
            print(f"kept: {ragd.folder}", file=sys.stderr)
        else:
            shutil.rmtree(ragd.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
