# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the two models on recall, over some seeds, and says whether the gap is there.

    python3 -m examples.recall.train                 # on the GPU: minutes
    python3 -m examples.recall.train --size tiny     # on a CPU: less than one
"""

import argparse
import sys

import torch
import torch.nn.functional as F

from examples.common import Progress, add_runs, add_sizes, autocast, parse_sized, seed_all, train_all

from .data import IGNORE, recall_batch
from .model import MIXERS, RecallModel

SIZES = {
    "full": dict(
        keys=32, writes=8, tokens=640, vocabulary=128, hidden_size=128, heads=2, layers=2, batch=64, steps=600, lr=5e-3, seeds=3
    ),
    "tiny": dict(
        keys=4, writes=3, tokens=40, vocabulary=32, hidden_size=64, heads=1, layers=1, batch=32, steps=200, lr=1e-2, seeds=1
    ),
}
HELD_OUT = 1 << 20  # the seed of the data that accuracy is measured on


def draw(options, batch, generator):
    return recall_batch(batch, options.keys, options.writes, options.tokens, options.vocabulary, generator)


@torch.no_grad()
def accuracy(model, options, device):
    """The share of right answers in sequences that were not trained on."""
    generator = torch.Generator(device).manual_seed(HELD_OUT)
    right = asked = 0
    for _ in range(8):
        inputs, labels = draw(options, options.batch, generator)
        with autocast(device):
            answers = model(inputs).argmax(-1)
        right += (answers == labels).sum().item()
        asked += (labels != IGNORE).sum().item()
    return right / asked


def train(kind, seed, options, device, log):
    """Trains one model; its accuracy at the end."""
    seed_all(seed, options.deterministic)
    model = RecallModel(kind, options.vocabulary, options.hidden_size, options.heads, options.layers, options.backend)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps, pct_start=0.1)
    generator = torch.Generator(device).manual_seed(seed)
    progress = Progress(f"{kind}, seed {seed}", 0, options.steps)
    for step in range(1, options.steps + 1):
        inputs, labels = draw(options, options.batch, generator)
        with autocast(device):
            logits = model(inputs)
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        message = None
        if step % max(1, options.steps // 10) == 0 or step == options.steps:
            score = accuracy(model, options, device)
            log.write(model=kind, seed=seed, step=step, loss=round(loss.item(), 5), accuracy=round(score, 5))
            message = f"loss {loss.item():.3f}, accuracy {score:.3f}"
        progress.step(message)
    progress.close()
    return score


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser, SIZES)
    parser.add_argument("--backend", choices=["wyvern", "torch"], default="wyvern", help="what runs the delta rule")
    add_runs(parser, MIXERS, "recall_out")
    return parse_sized(parser, SIZES, arguments)


def main(arguments=None):
    options = parse(arguments)
    scores = train_all(options, train)
    for kind, values in scores.items():
        print(f"{kind}: accuracy " + ", ".join(f"{100 * value:.2f} %" for value in values))
    if set(scores) == set(MIXERS):
        there = min(scores["delta"]) > 0.99 and max(scores["linear"]) < 0.8
        print("delta above 99 % and linear below 80 % with every seed: " + ("yes" if there else "NO"))
        return 0 if there else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
