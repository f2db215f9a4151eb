"""What the daemon's process takes: memory, descriptors, threads; and what its log says."""
import os
import pathlib
import re

# What a log must not hold: our own bugs, and what sanitizers say.
BAD = re.compile(r"internal|Sanitizer|runtime error|Assertion|SUMMARY:|stack smashing|corrupted")


def rss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def n_threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def vitals(pid):
    return {"rss_mb": round(rss_mb(pid), 1), "fds": n_descriptors(pid), "threads": n_threads(pid)}


def bad_lines(folder):
    """Lines of all logs of the run that say what they must not."""
    found = []
    for path in sorted(folder.glob("*log*")):
        with open(path, encoding="utf-8", errors="replace") as lines:
            found += [line.strip() for line in lines if BAD.search(line)]
    return found
