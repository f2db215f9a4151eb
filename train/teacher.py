"""The English teacher's vectors, computed by ragd's own int8 encoder (`ragctl model embed`)."""

import json
import os
import subprocess
import tempfile

import numpy as np

BATCH = 4096  # texts per call: their vectors as JSON are about 20 MB


def vectors(ragctl, model, texts, max_length, log):
    """Unit vectors of the texts, float16 [texts x dimensions]."""
    out = None
    for begin in range(0, len(texts), BATCH):
        part = texts[begin:begin + BATCH]
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
            for text in part:
                f.write(json.dumps({"text": text}) + "\n")
            f.flush()
            done = subprocess.run([ragctl, "model", "embed", model, "--precision", "int8", "--max-length", str(max_length),
                                   "--file", f.name, "--json"], capture_output=True, check=False)
        if done.returncode != 0:
            raise OSError("%s model embed: %s" % (ragctl, done.stderr.decode(errors="replace").strip()))
        found = np.asarray(json.loads(done.stdout)["embeddings"], dtype=np.float32)
        if out is None:
            out = np.zeros((len(texts), found.shape[1]), np.float16)
        out[begin:begin + len(part)] = found
        log("teacher: %d of %d" % (begin + len(part), len(texts)))
    return out


def cached(path, ragctl, model, texts, max_length, log):
    """vectors(), kept in the file `path`."""
    if not os.path.exists(path):
        found = vectors(ragctl, model, texts, max_length, log)
        np.save(path + ".tmp.npy", found)
        os.replace(path + ".tmp.npy", path)
    return np.load(path)
