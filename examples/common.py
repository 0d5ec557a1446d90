# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the examples share: sizes, device, seeds, a log of JSON lines, a progress bar."""

import json
import os
import sys
import time
from pathlib import Path

import torch

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


def add_sizes(parser, sizes):
    """--size, and an option for each value of a size."""
    parser.add_argument("--size", choices=sizes, default="full", help="sets all of the following")
    for name, value in sizes["full"].items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))


def parse_sized(parser, sizes, arguments):
    """The options; what was not given is the size's."""
    options = parser.parse_args(arguments)
    for name, value in sizes[options.size].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def add_runs(parser, models, out):
    """Which runs there are, where, and the folder that they write to."""
    parser.add_argument("--models", nargs="+", choices=models, default=list(models))
    parser.add_argument("--device", help="default: the GPU if there is one")
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of log.jsonl and summary.json")


def train_all(options, train):
    """{model: what train(model, seed, options, device, log) returns for each seed}, of the options of
    add_sizes and add_runs; summary.json gets it as `accuracy`."""
    device = choose_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    log = Log(options.out / "log.jsonl")
    found = {kind: [train(kind, seed, options, device, log) for seed in range(options.seeds)] for kind in options.models}
    summary = {"options": {name: str(value) for name, value in vars(options).items()}, "accuracy": found}
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return found


def choose_device(name):
    """`name`, or without one the GPU if there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def seed_all(seed, deterministic):
    """Seeds torch on all devices; `deterministic` makes torch refuse or replace what is
    not. The kernels of wyvern are reproducible either way."""
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
        torch.use_deterministic_algorithms(True)


def autocast(device):
    """bf16 on the GPU, as its kernels take it; on the CPU float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


class Log:
    """A file of JSON lines, one a record; `kept` are the records to go on from."""

    def __init__(self, path, kept=()):
        self._file = open(path, "w")
        self._start = time.monotonic() - max((record["seconds"] for record in kept), default=0)
        self._file.writelines(json.dumps(record) + "\n" for record in kept)

    def write(self, **record):
        record["seconds"] = round(time.monotonic() - self._start, 3)
        print(json.dumps(record), file=self._file, flush=True)


def read_log(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


class Progress:
    """A bar (tqdm) with a message; without tqdm, and where nobody watches, lines."""

    def __init__(self, label, done, total):
        self._label, self._done, self._total = label, done, total
        watched = sys.stderr.isatty()
        if watched and tqdm is None:
            print("no progress bar: tqdm is not installed (pip install tqdm)", file=sys.stderr)
        self._bar = tqdm(desc=label, initial=done, total=total) if watched and tqdm else None

    def step(self, message=None):
        self._done += 1
        if self._bar is not None:
            self._bar.update()
            if message:
                self._bar.set_postfix_str(message)
        elif message:
            print(f"{self._label}: {self._done}/{self._total} {message}", flush=True)

    def close(self):
        if self._bar is not None:
            self._bar.close()
