"""Prometheus' text format 0.0.4, read strictly: parse(text) returns {name: family}, a family being
{"type", "help", "samples": [(name, {label: value}, number)]}, or raises ValueError saying where.

What a lenient reader lets pass is an error here: a sample without HELP and TYPE before it, lines of
one family in two places, a series twice, a counter without _total, a histogram whose buckets fall
or whose +Inf is not its count."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)$|NaN$")


def labels_of(text, where):
    labels, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        if not m:
            raise ValueError(f"{where}: bad labels at {text[at:]!r}")
        if m.group(1) in labels:
            raise ValueError(f"{where}: label {m.group(1)} twice")
        labels[m.group(1)] = m.group(2)
        at = m.end()
    return labels


def check_histogram(name, family):
    series = {}
    for sample, labels, value in family["samples"]:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(key, {"buckets": []})
        if sample == name + "_bucket":
            series[key]["buckets"].append((float(labels["le"].replace("+Inf", "inf")), value))
        else:
            series[key][sample[len(name):]] = value
    for key, s in series.items():
        bounds = [b for b, _ in s["buckets"]]
        counts = [c for _, c in s["buckets"]]
        if bounds != sorted(set(bounds)) or counts != sorted(counts):
            raise ValueError(f"{name}{key}: buckets do not rise")
        if not bounds or bounds[-1] != float("inf"):
            raise ValueError(f"{name}{key}: no bucket of +Inf")
        if "_sum" not in s or s.get("_count") != counts[-1]:
            raise ValueError(f"{name}{key}: _sum or _count is missing, or _count is not +Inf's")


def parse(text):
    families, current, seen = {}, None, set()
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        where = f"line {number}"
        m = re.match(rf"# (HELP|TYPE) ({NAME}) (.+)$", line)
        if m:
            kind, name, rest = m.groups()
            if kind == "HELP":
                if name in families:
                    raise ValueError(f"{where}: {name} in two places")
                families[name] = current = {"help": rest, "type": None, "samples": []}
                current_name = name
            elif current is None or name != current_name or current["type"]:
                raise ValueError(f"{where}: TYPE of {name} does not follow its HELP")
            elif rest not in ("counter", "gauge", "histogram"):
                raise ValueError(f"{where}: type {rest!r}")
            else:
                current["type"] = rest
            continue
        m = SAMPLE.match(line)
        if not m or not NUMBER.match(m.group(3)):
            raise ValueError(f"{where}: no sample: {line!r}")
        name, labels = m.group(1), labels_of(m.group(2) or "", where)
        base = name
        if current and current["type"] == "histogram":
            base = re.sub(r"_(bucket|sum|count)$", "", name)
        if not current or not current["type"] or base != current_name:
            raise ValueError(f"{where}: {name} is not of the family above it")
        if (current["type"] == "counter") != name.endswith("_total"):
            raise ValueError(f"{where}: {name} is a {current['type']}")
        series = (name, tuple(sorted(labels.items())))
        if series in seen:
            raise ValueError(f"{where}: {series} twice")
        seen.add(series)
        value = float(m.group(3).replace("Inf", "inf"))
        if current["type"] != "gauge" and value < 0:
            raise ValueError(f"{where}: a negative {current['type']}")
        current["samples"].append((name, labels, value))
    for name, family in families.items():
        if not family["samples"]:
            raise ValueError(f"{name}: no samples")
        if family["type"] == "histogram":
            check_histogram(name, family)
    return families


def value(families, name, **labels):
    """The one sample of that name with these labels."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    family = families.get(name) or families[base]
    found = [v for n, l, v in family["samples"]
             if n == name and all(l.get(k) == w for k, w in labels.items())]
    if len(found) != 1:
        raise KeyError(f"{name}{labels}: {len(found)} samples")
    return found[0]
