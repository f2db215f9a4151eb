"""What is done to the daemon while it works."""
import http.client
import os
import resource
import signal
import time

from ragd_process import User


class Faults:
    """One fault at a time, at random moments."""

    def __init__(self, world, rng, configure, peers):
        self.world = world
        self.rng = rng
        self.configure = configure  # (world, rng): settings of the next start
        self.peers = peers          # processes of the servers that the daemon talks to
        self.head = None
        self.n_logs = 0

    def pid(self):
        return self.world.ragd.process.pid

    def kill_and_start(self, last=False):
        """SIGKILL, then all must be whole: the audit chain, the indexes, the documents (which their
        writers look at)."""
        world = self.world
        with world.windows.open("kill"):
            world.up.clear()
            world.ragd.kill()
            if self.rng.random() < 0.3:  # and once more while it recovers
                self.start_and_kill()
            self.configure(world, self.rng, last)
            world.ragd.start(seconds=60 * world.slow_down)
            world.epoch += 1
        self.whole()
        world.up.set()

    def start_and_kill(self):
        try:
            self.world.ragd.start(seconds=self.rng.uniform(0.01, 0.3))
        except RuntimeError:
            pass  # it was not ready yet, which is wanted
        self.world.ragd.kill()

    def whole(self):
        world = self.world
        me = User(world.ragd)
        try:
            _, reply, _, _ = world.request(me, "verify", "POST", "/v1/audit/verify",
                                           {"head": self.head} if self.head else {})
            if not reply or not reply["whole"]:
                world.note("audit", f"after a kill: {reply}")
            else:
                self.head = reply["head"]
            _, reply, _, _ = world.request(me, "list", "GET", "/v1/collections")
            for collection in reply["collections"] if reply else ():
                name = collection["name"]
                _, report, _, _ = world.request(me, "check", "POST", f"/v1/collections/{name}/check")
                if report and not report["in_step"]:
                    world.note("unexpected", f"after a kill: {report}")
        finally:
            me.close()

    def disk_full(self):
        """Files must not grow for some seconds: the limit of the running process is taken away."""
        world = self.world
        before = resource.prlimit(self.pid(), resource.RLIMIT_FSIZE)
        with world.windows.open("disk_full"):
            resource.prlimit(self.pid(), resource.RLIMIT_FSIZE, (0, before[1]))
            world.stop.wait(self.rng.uniform(1, 4))
            resource.prlimit(self.pid(), resource.RLIMIT_FSIZE, before)
            self.until_it_writes()

    def until_it_writes(self):
        me = User(self.world.ragd)
        until = time.monotonic() + 20 * self.world.slow_down
        while time.monotonic() < until:
            try:
                if me.call("PUT", "/v1/collections/room", {})[0] in (200, 201):
                    break
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.1)
        else:
            self.world.note("unexpected", "the disk has room again, but nothing is written")
        me.close()

    def stop_peers(self):
        """The servers that the daemon talks to hang: their connections are taken and never
        answered."""
        with self.world.windows.open("peers"):
            for peer in self.peers:
                os.kill(peer.pid, signal.SIGSTOP)
            self.world.stop.wait(self.rng.uniform(1, 6))
            for peer in self.peers:
                os.kill(peer.pid, signal.SIGCONT)

    def stop_daemon(self):
        """The daemon itself stands still for a moment, as on a machine that swaps."""
        os.kill(self.pid(), signal.SIGSTOP)
        self.world.stop.wait(self.rng.uniform(0.2, 1.5))
        os.kill(self.pid(), signal.SIGCONT)

    def rotate_log(self):
        log = self.world.ragd.folder / "ragd.log"
        self.n_logs += 1
        if log.exists():
            log.rename(log.with_name(f"ragd.log.{self.n_logs}"))
        os.kill(self.pid(), signal.SIGHUP)

    def run(self, until, kills):
        """Faults until then; with kills every fifth is one."""
        kinds = [self.disk_full, self.stop_daemon, self.rotate_log, self.rotate_log]
        if self.peers:
            kinds += [self.stop_peers]
        said = time.monotonic()
        while time.monotonic() < until and not self.world.stop.is_set():
            if time.monotonic() > said + 60:
                said = time.monotonic()
                self.world.say()
            self.world.stop.wait(min(self.rng.uniform(1, 9), max(0, until - time.monotonic())))
            if time.monotonic() >= until or self.world.stop.is_set():
                break
            if self.world.ragd.process.poll() is not None:
                self.world.note("unexpected", f"ragd ended with {self.world.ragd.process.returncode}")
                self.world.stop.set()
                break
            (self.kill_and_start if kills and self.rng.random() < 0.3
             else self.rng.choice(kinds))()
