# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the models on short words, and says how far each follows longer ones.

    python3 -m examples.state_tracking.train                 # a quarter of an hour on a CPU
    python3 -m examples.state_tracking.train --size tiny     # on a CPU: less than one
"""

import argparse
import sys

import torch
import torch.nn.functional as F

from examples.common import Progress, add_runs, add_sizes, autocast, parse_sized, seed_all, train_all

from .data import word_batch
from .model import MODELS, Tracker

SIZES = {
    "full": dict(corners=5, letters=63, hidden_size=64, heads=4, head_dim=64, batch=32, steps=600, lr=5e-3, seeds=3, longest=8),
    "tiny": dict(corners=3, letters=31, hidden_size=32, heads=4, head_dim=16, batch=32, steps=250, lr=1e-2, seeds=1, longest=8),
}
HELD_OUT = 1 << 20  # the seed of the words that accuracy is measured on


@torch.no_grad()
def accuracy(model, options, letters, device):
    """The share of right answers in the last quarter of words of so many letters."""
    inputs, labels = word_batch(64, letters, options.corners, torch.Generator(device).manual_seed(HELD_OUT))
    with autocast(device):
        right = model(inputs).argmax(-1) == labels
    return right[:, -(letters // 4) :].float().mean().item()


def train(kind, seed, options, device, log):
    """Trains one model; its accuracy by the length of words, [(letters, accuracy), ...]."""
    seed_all(seed, options.deterministic)
    model = Tracker(kind, 2 * options.corners, options.hidden_size, options.heads, options.head_dim).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps, pct_start=0.1)
    generator = torch.Generator(device).manual_seed(seed)
    progress = Progress(f"{kind}, seed {seed}", 0, options.steps)
    for step in range(1, options.steps + 1):
        inputs, labels = word_batch(options.batch, options.letters, options.corners, generator)
        with autocast(device):
            logits = model(inputs)
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        message = None
        if step % max(1, options.steps // 10) == 0 or step == options.steps:
            log.write(model=kind, seed=seed, step=step, loss=round(loss.item(), 5))
            message = f"loss {loss.item():.3f}"
        progress.step(message)
    progress.close()
    lengths = [(options.letters + 1) * 2**n for n in range(options.longest.bit_length())]
    return [(letters, round(accuracy(model, options, letters, device), 5)) for letters in lengths]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser, SIZES)
    add_runs(parser, MODELS, "state_tracking_out")
    return parse_sized(parser, SIZES, arguments)


def main(arguments=None):
    options = parse(arguments)
    found = train_all(options, train)
    for kind, curves in found.items():
        for curve in curves:
            print(f"{kind}: " + ", ".join(f"{100 * right:.1f} % of {letters}" for letters, right in curve))
    if set(found) == set(MODELS):
        # Up to the length of training one step may get far; at twice that it knows a flip at best.
        follows = min(right for curve in found["two"] for _, right in curve[:2])
        others = max(curve[1][1] for kind in MODELS if kind != "two" for curve in found[kind])
        there = follows > 0.95 and others < 0.6
        print("at twice the length of training two above 95 %, the others below 60 %: " + ("yes" if there else "NO"))
        return 0 if there else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
