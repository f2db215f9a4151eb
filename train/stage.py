"""A stage of training: a resumable loop with a schedule, checkpoints and a log.

A stage's state lies in one file, STAGE.pt in the working folder, written whole and renamed; a stage begun again goes on at its last
checkpoint.  What a step trains on depends on the seed and its number alone.  The log is JSON lines, STAGE.log.
"""

import json
import os
import time

import torch

from bert import learning_rate


class Stage:
    def __init__(self, name, work, parameters, steps, peak, seed=1, warmup=0.06, decay=0.01, clip=1.0, minutes=0,
                 table_rate=1.0):
        """`parameters`: named (name, tensor) pairs that are trained.  `minutes`: > 0 stops the stage by the clock, its schedule
        following the share of the time that is gone instead of the steps.  `table_rate`: how many times `peak` the word embeddings
        learn with: most of their rows are new and seldom seen."""
        self.name, self.path, self.log_path = name, os.path.join(work, name + ".pt"), os.path.join(work, name + ".log")
        self.steps, self.peak, self.seed, self.warmup, self.clip, self.seconds = steps, peak, seed, warmup, clip, 60 * minutes
        named = [(n, p) for n, p in parameters if p.requires_grad]
        self.parameters = [p for _, p in named]
        table = [p for n, p in named if n.endswith("words.weight")]
        self.optimiser = torch.optim.AdamW(
            [{"params": [p for n, p in named if p.dim() >= 2 and not n.endswith("words.weight")], "weight_decay": decay, "scale": 1.0},
             {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0.0, "scale": 1.0},
             {"params": table, "weight_decay": 0.0, "scale": table_rate}], lr=peak, betas=(0.9, 0.98), eps=1e-6)
        self.step, self.spent = 0, 0.0

    def log(self, **figures):
        line = json.dumps({"stage": self.name, "step": self.step, "seconds": round(self.spent), **figures})
        with open(self.log_path, "a", encoding="utf-8") as f:
            f.write(line + "\n")
        print(line, flush=True)

    def is_done(self):
        return self.step >= self.steps or (self.seconds and self.spent >= self.seconds)

    def save(self, module):
        state = {"step": self.step, "spent": self.spent, "model": module.state_dict(), "optimiser": self.optimiser.state_dict()}
        torch.save(state, self.path + ".tmp")
        os.replace(self.path + ".tmp", self.path)

    def resume(self, module):
        if os.path.exists(self.path):
            state = torch.load(self.path, map_location="cpu")
            module.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent = state["step"], state["spent"]
            self.log(resumed=True)

    def run(self, module, batch, loss, measure=None, every=200, checkpoint_seconds=300):
        """`batch(step)` -> anything; `loss(batch)` -> (tensor, dict of figures); `measure()` -> dict, at the end."""
        self.resume(module)
        for step in range(self.step):  # the order of the batches is a state too
            batch(step)
        begun, saved, sums = time.time() - self.spent, time.time(), {}
        while not self.is_done():
            share = self.spent / self.seconds * self.steps if self.seconds else self.step
            rate = learning_rate(max(share, self.step if self.step < 50 else 0), self.steps, self.peak, self.warmup)
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group["scale"]
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            value, figures = loss(batch(self.step))
            self.optimiser.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimiser.step()
            self.step += 1
            self.spent = time.time() - begun
            for k, v in figures.items():
                total, n = sums.get(k, (0.0, 0))
                sums[k] = (total + float(v), n + 1)
            if self.step % every == 0:
                self.log(rate=float("%.3g" % rate), **{k: round(t / n, 4) for k, (t, n) in sums.items()})
                sums = {}
            if time.time() - saved >= checkpoint_seconds:
                self.save(module)
                saved = time.time()
        self.save(module)
        if measure:
            self.log(**measure())
