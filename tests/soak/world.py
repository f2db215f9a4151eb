"""What the clients and the faults of a soak share: the daemon, the truth about its documents, what
is going on at the moment, and what was found."""
import collections
import contextlib
import http.client
import sys
import threading
import time

from truth import Truth

FOUND_MAX = 40  # of a kind that are kept with their text; all are counted


class Windows:
    """When a fault was on. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spans = collections.defaultdict(list)

    @contextlib.contextmanager
    def open(self, kind):
        span = [time.monotonic(), None]
        with self.lock:
            self.spans[kind].append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def overlap(self, kind, begun, ended):
        with self.lock:
            return any(b < ended and (e is None or e > begun) for b, e in self.spans[kind])

    def count(self, kind):
        with self.lock:
            return len(self.spans[kind])


class World:
    def __init__(self, ragd, tcp, slow_down=1.0):
        self.ragd = ragd
        self.tcp = tcp
        self.begun = time.monotonic()
        self.slow_down = slow_down  # how many times slower than a release build
        self.truth = Truth()
        self.windows = Windows()
        self.stop = threading.Event()
        self.up = threading.Event()      # cleared while the daemon is down
        self.running = threading.Event() # cleared at a quiet point
        self.resting = set()
        self.epoch = 0                   # grows with each start of the daemon
        self.share = "principal"         # and other settings of this start
        self.expiry = "change"
        self.lock = threading.Lock()
        self.counts = collections.Counter()  # (kind, status)
        self.hits = collections.Counter()    # "exact", "semantic", "none"
        self.found = collections.defaultdict(list)
        self.n_found = collections.Counter()
        self.slowest = collections.defaultdict(float)

    def note(self, what, text):
        """Something that must not be: what is "unexpected", "stale", "crossed", ..."""
        with self.lock:
            self.n_found[what] += 1
            if len(self.found[what]) < FOUND_MAX:
                self.found[what].append(text[:600])

    def hit(self, kind):
        with self.lock:
            self.hits[kind] += 1

    def rest(self, who):
        """Between two requests: stand still while others want quiet or the daemon is down."""
        if not self.running.is_set():
            who.close()
            with self.lock:
                self.resting.add(who)
            while not self.running.wait(0.2) and not self.stop.is_set():
                pass
            with self.lock:
                self.resting.discard(who)
        while not self.up.wait(0.2) and not self.stop.is_set():
            pass
        if who.epoch != self.epoch:
            who.close()
            who.epoch = self.epoch

    @contextlib.contextmanager
    def quiet(self, n_clients, seconds=60):
        """All clients at rest, their connections closed."""
        self.running.clear()
        until = time.monotonic() + seconds * self.slow_down
        while time.monotonic() < until:
            with self.lock:
                if len(self.resting) >= n_clients:
                    break
            time.sleep(0.05)
        else:
            self.note("unexpected", f"{n_clients - len(self.resting)} clients still wait for a "
                                    f"reply after {seconds} s")
        try:
            yield
        finally:
            self.running.set()

    def was_down(self, begun, ended):
        return self.windows.overlap("kill", begun, ended)

    def may_fail(self, status, reply, begun, ended):
        """Is this error to be expected, whatever was asked for?"""
        error = reply.get("error", {}) if isinstance(reply, dict) else {}
        code = error.get("code")
        if status == 503:
            return code == "busy"
        if status in (500, 507):
            return code in ("io", "no_space") and self.windows.overlap("disk_full", begun, ended)
        return False

    def request(self, user, kind, method, target, body=None, ok=(200, 201), **options):
        """(status, reply, begun, ended); status None: no reply, because the daemon was killed.
        What is neither in `ok` nor to be expected is noted."""
        begun = time.monotonic()
        try:
            status, reply = user.call(method, target, body, **options)
        except (OSError, http.client.HTTPException, ValueError) as e:
            ended = time.monotonic()
            down = self.was_down(begun, ended)
            self.count(kind, "killed" if down else "broken", ended - begun)
            if not down:
                self.note("unexpected", f"{kind}: {method} {target}: {type(e).__name__}: {e} after"
                                        f" {ended - begun:.1f} s")
            return None, None, begun, ended
        ended = time.monotonic()
        self.count(kind, status, ended - begun)
        if status not in ok and not self.may_fail(status, reply, begun, ended):
            self.note("unexpected", f"{kind}: {method} {target}: {status} {reply}")
        return status, reply, begun, ended

    def count(self, kind, status, seconds):
        with self.lock:
            self.counts[kind, str(status)] += 1
            self.slowest[kind] = max(self.slowest[kind], seconds)

    def say(self):
        print(f"soak: {(time.monotonic() - self.begun) / 60:.1f} min, {self.n_requests()} requests, "
              f"{self.epoch} restarts, found {dict(self.n_found)}, answers {dict(self.hits)}",
              file=sys.stderr, flush=True)

    def n_requests(self):
        with self.lock:
            return sum(self.counts.values())


class Client(threading.Thread):
    """Steps until the end. Each kind of client has a list `mix` of (weight, method)."""
    pause_s = 0.01  # between two steps, on the average

    def __init__(self, world, user, rng):
        super().__init__(name=f"{type(self).__name__} {user.principal}", daemon=True)
        self.world = world
        self.user = user
        self.rng = rng
        self.epoch = world.epoch

    def close(self):
        self.user.close()

    def mix(self):
        raise NotImplementedError

    def step(self):
        weights, methods = zip(*self.mix())
        self.rng.choices(methods, weights)[0]()

    def run(self):
        try:
            while not self.world.stop.is_set():
                self.world.rest(self)
                if self.world.stop.is_set():
                    break
                self.step()
                self.world.stop.wait(self.rng.expovariate(1 / self.pause_s))
        except Exception as e:  # a bug of the soak itself must not end it unseen
            self.world.note("unexpected", f"{self.name}: {type(e).__name__}: {e}")
            raise
        finally:
            self.close()
            with self.world.lock:
                self.world.resting.add(self)

    def request(self, kind, method, target, body=None, **options):
        return self.world.request(self.user, kind, method, target, body, **options)
