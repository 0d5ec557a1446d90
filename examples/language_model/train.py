# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a small language model on the sources of Python's standard library.

    python3 -m examples.language_model.train                  # on a GPU: minutes
    python3 -m examples.language_model.train --size tiny      # on a CPU: less than one
    python3 -m examples.language_model.train --resume         # goes on from the checkpoint
    torchrun --nproc-per-node=2 -m examples.language_model.train --context-parallel 2
"""

import argparse
import math
import os
from pathlib import Path

import torch
import torch.nn.functional as F

from examples.common import Log, Progress, add_sizes, autocast, choose_device, parse_sized, read_log, seed_all

from . import checkpoint
from .model import HYBRIDS, LAYERS, LanguageModel
from .ranks import Ranks
from .text import Text

SIZES = {
    "full": dict(layers=8, hidden_size=512, heads=8, tokens=1024, window=256, batch=16, steps=2000, lr=1e-3),
    "small": dict(layers=2, hidden_size=256, heads=4, tokens=256, window=64, batch=8, steps=300, lr=2e-3),
    "tiny": dict(layers=4, hidden_size=64, heads=1, tokens=96, window=32, batch=8, steps=60, lr=4e-3),
}
WARM_UP, WEIGHT_DECAY, CLIP = 0.05, 0.1, 1.0
VALIDATION_BATCHES = 8


def learning_rate(step, steps, peak):
    """Linear warm-up, then a cosine down to a tenth of the peak."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * (0.55 + 0.45 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def loss_of(model, ranks, batch):
    """The mean over this process's tokens."""
    inputs, labels = ranks.take(batch)
    with autocast(inputs.device):
        logits = model(inputs, ranks.context)
    return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten())


@torch.no_grad()
def validate(model, ranks, text, options):
    """The mean loss, in nats a byte, on the same held-out crops each time."""
    generator = torch.Generator().manual_seed(0)
    batches = [text.batch(text.validation, options.batch, options.tokens, generator) for _ in range(VALIDATION_BATCHES)]
    return ranks.mean(torch.stack([loss_of(model, ranks, batch) for batch in batches]).mean()).item()


class Run:
    """A model in training, and its files: log.jsonl, checkpoint.pt."""

    def __init__(self, options):
        self.options = options
        if options.context_parallel > 1 and options.hybrid != "none":
            raise ValueError("--context-parallel with --hybrid: softmax attention over ranks is not a part of this example")
        self.ranks = Ranks(options.context_parallel, options.order, choose_device(options.device))
        self.device = self.ranks.device
        options.out.mkdir(parents=True, exist_ok=True)
        self.path = options.out / "checkpoint.pt"
        seed_all(options.seed, options.deterministic)
        self.text = Text(options.text, self.device)
        self.data = torch.Generator().manual_seed(options.seed)
        self.model = LanguageModel(
            options.layer, options.hybrid, options.layers, options.hidden_size, options.heads, options.window, options.backend
        ).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameter_groups(WEIGHT_DECAY), betas=(0.9, 0.95))
        if options.compile:
            self.model.compile()
        self.step = 0
        self._open_log()

    def _identity(self):
        """What a run is: with it equal, two runs have equal losses."""
        others = ["out", "device", "resume", "stop_after", "text", "compile", "save_every"]
        if self.ranks.size == 1:
            others += ["context_parallel", "order"]
        settings = {name: value for name, value in vars(self.options).items() if name not in others}
        if self.ranks.size > 1:
            settings["processes"] = self.ranks.size
        return settings | {"text": self.text.digest}

    def _open_log(self):
        # The first process writes; all of them read the checkpoint.
        path = self.options.out / "log.jsonl" if self.ranks.rank == 0 else Path(os.devnull)
        if not self.options.resume:
            self.log = Log(path)
            sizes = {"parameters": sum(p.numel() for p in self.model.parameters()), "bytes": len(self.text.training)}
            self.log.write(**self._identity(), **sizes, torch=torch.__version__, device=str(self.device))
            return
        self.step = checkpoint.load(self.path, self._identity(), self.model, self.optimizer, self.data)
        kept = [record for record in read_log(path) if record.get("step", 0) <= self.step]
        self.log = Log(path, kept)

    def train(self):
        """Up to the last step; the validation loss there."""
        options, pending = self.options, []
        last = options.steps if options.stop_after is None else min(options.steps, options.stop_after)
        if self.step >= last:
            raise ValueError(f"{self.path} is of step {self.step} and the run ends with step {last}: nothing is left to train")
        report = max(1, options.steps // 20)
        progress = Progress(options.out.name, self.step, last)
        while self.step < last:
            pending.append(self._one_step())
            self.step += 1
            done, message = self.step == last, None
            if done or self.step % report == 0:  # the only place that waits for the GPU
                losses, pending = self.ranks.mean(torch.stack(pending)).tolist(), []
                for step, loss in enumerate(losses, self.step + 1 - len(losses)):
                    self.log.write(step=step, loss=loss)
                message = f"loss {losses[-1]:.3f}"
            if done or self.step % options.save_every == 0:
                score = validate(self.model, self.ranks, self.text, options)
                self.log.write(step=self.step, validation=score)
                message = f"validation loss {score:.3f}"
                if self.ranks.rank == 0:
                    checkpoint.save(self.path, self._identity(), self.step, self.model, self.optimizer, self.data)
            progress.step(message if self.ranks.rank == 0 else None)
        progress.close()
        return score

    def _one_step(self):
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.options.steps, self.options.lr)
        batch = self.text.batch(self.text.training, self.options.batch, self.options.tokens, self.data)
        loss = loss_of(self.model, self.ranks, batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.ranks.average_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return loss.detach()


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser, SIZES)
    parser.add_argument("--layer", choices=LAYERS, default="gated")
    parser.add_argument("--hybrid", choices=HYBRIDS, default="none")
    parser.add_argument("--backend", choices=["wyvern", "torch"], default="wyvern", help="what runs the delta rule")
    parser.add_argument("--context-parallel", type=int, default=1, help="processes of torchrun that share a sequence")
    parser.add_argument("--order", choices=["contiguous", "zigzag"], default="contiguous", help="of the parts of a sequence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true", help="only reproducible algorithms of torch")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--device", help="default: the GPU if there is one")
    parser.add_argument("--text", type=Path, help="a file or folder; default: Python's standard library")
    parser.add_argument("--out", type=Path, default=Path("language_model_out"), help="folder of log.jsonl and checkpoint.pt")
    parser.add_argument("--save-every", type=int, default=250, help="steps between checkpoints, with a validation each")
    parser.add_argument("--stop-after", type=int, help="stop at this step, as if interrupted")
    parser.add_argument("--resume", action="store_true")
    return parse_sized(parser, SIZES, arguments)


def main(arguments=None):
    run = Run(parse(arguments))
    score = run.train()
    run.ranks.close()
    if run.ranks.rank > 0:
        return
    print(f"validation loss {score:.4f} nats a byte ({score / math.log(2):.3f} bits)")


if __name__ == "__main__":
    main()
