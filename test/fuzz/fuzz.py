#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gives the compiler inputs that are a little wrong, and says what it did wrong itself.

    fuzz.py --build build --seconds 1200 1 2 3      # cases of seed 1, then 2, then 3

Wrong is: a crash, no answer within 20 s of a processor, an error without a place in the input, nonsense
that is accepted, sense that is refused, and output that does not read back as itself. Each
such input is written to --out with what was run. A case is reproduced by --only SEED:NUMBER.
"""

import argparse
import functools
import itertools
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

import layers
from mutate import mutate

ROOT = pathlib.Path(__file__).resolve().parents[2]
INPUTS = ROOT / "test/tools/wyvernc/Inputs"
PHASES = ["delta", "wy", "differentiated", "staged", "rounded", "scheduled", "tile", "nvvm", "llvm"]
SPECS = ["gated_deltanet", "delta_net-340M", "deltaproduct", "kda", "log_linear_gdn", "layers/rwkv7", "layers/selective_rope"]
# What the modules are made for.
FLAGS = [
    [],
    ["--schedule=fused-warps"],
    ["--segment-tokens=128"],
    ["--training"],
    ["--training", "--save=states", "--schedule=fused-backward"],
    ["--serving"],
    ["--serving", "--state-type=bf16", "--state-rounding=stochastic", "--prologue=norm,gates"],
    ["--serving=prefill"],
    ["--serving=prefill-keep", "--slot-type=i64"],
]
LIMIT = 20  # seconds of a processor; of the clock five times that, for a busy machine
CRASH = re.compile(r"LLVM ERROR|PLEASE submit a bug|Stack dump|terminate called|Assertion|UNREACHABLE")
PLACED = re.compile(r":\d+:\d+: error: |^wyvernc: error: ", re.MULTILINE)


class Wrong(Exception):
    """What the compiler did that it should not."""


def limit_time():
    """Ends this process when it has used up its time."""
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 1))


class Fuzzer:
    """Cases by seed and number, in a folder of their own."""

    def __init__(self, build, folder):
        self.bin = build.resolve() / "bin"
        self.folder = folder
        self.command = None
        self.specs = [path.read_text() for path in sorted((ROOT / "specs").rglob("*.yaml"))]
        self.configs = [path.read_text() for path in sorted(INPUTS.glob("*.json"))]

    @functools.cache
    def lower(self, spec, phase, *flags):
        """The IR of a layer at a phase; empty where it does not get there."""
        path = ROOT / "specs" / f"{spec}.yaml"
        command = [self.bin / "wyvernc", path, f"--emit={phase}", *flags]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def run(self, *arguments):
        """Runs wyvernc; its standard output, or None where it refused."""
        self.command = [str(part) for part in (self.bin / "wyvernc", *arguments)]
        try:
            done = subprocess.run(self.command, capture_output=True, timeout=5 * LIMIT, preexec_fn=limit_time)
        except subprocess.TimeoutExpired:
            raise Wrong(f"no answer within {5 * LIMIT} s of the clock") from None
        if done.returncode == -signal.SIGXCPU:
            raise Wrong(f"no answer within {LIMIT} s of a processor")
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        if done.returncode not in (0, 1, 2, 3) or CRASH.search(err):
            raise Wrong(f"crashed with status {done.returncode}:\n{err[-2000:]}")
        if done.returncode and not PLACED.search(err):
            raise Wrong(f"refused without an error at a place of the input:\n{err[-2000:]}")
        return out if done.returncode == 0 else None

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text.encode(errors="surrogatepass"))
        return path

    # === The kinds of cases ===

    def made_layer(self, rng):
        """A spec or a config that is known to be right or wrong."""
        make, suffix = rng.choice([(layers.spec, "yaml"), (layers.config, "json")])
        data, is_right = make(rng)
        text = layers.text(rng, data) if suffix == "yaml" else layers.json.dumps(data)
        printed = self.run(self.write(f"case.{suffix}", text), "--print-spec")
        if (printed is not None) != is_right:
            raise Wrong("refused what is right" if is_right else "accepted what is wrong")
        self.same_again(printed)

    def mutated_layer(self, rng):
        texts, suffix = rng.choice([(self.specs, "yaml"), (self.configs, "json")])
        text = mutate(rng, rng.choice(texts))
        self.same_again(self.run(self.write(f"case.{suffix}", text), "--print-spec"))

    def same_again(self, printed):
        if printed is None:
            return
        again = self.run(self.write("printed.yaml", printed), "--print-spec")
        body = lambda text: text and text[text.index("name:") :]
        if body(again) != body(printed):
            raise Wrong("what it prints does not read back as the same spec")

    def lowered_layer(self, rng):
        """A spec, right or a little wrong, taken as far as its flags and sizes go."""
        data, _ = layers.spec(rng)
        text = layers.text(rng, data)
        text = rng.choice([text, mutate(rng, text), mutate(rng, rng.choice(self.specs))])
        product = rng.choice(["differentiated", "rounded", "scheduled", "tile"])
        self.run(self.write("case.yaml", text), f"--emit={product}", "-o", self.folder / "out", *rng.choice(FLAGS))

    def mutated_module(self, rng):
        """IR of some phase: parsed, verified, and taken further."""
        flags = rng.choice(FLAGS)
        spec, phase = rng.choice(SPECS), rng.choice(PHASES)
        text = self.lower(spec, phase, *flags) or self.lower(spec, "rounded")
        path = self.write("case.mlir", mutate(rng, text))
        product = rng.choice(["staged", "rounded", "tile", "ptx"])
        self.run(path, f"--emit={product}", "-o", self.folder / "out")
        printed = self.run(path, "--emit=input", "-o", "-")
        if printed is None:
            return
        again = self.run(self.write("printed.mlir", printed), "--emit=input", "-o", "-")
        if again != printed:
            raise Wrong("what it prints does not read back as the same module")

    def case(self, seed, number):
        for path in self.folder.glob("*.*"):
            path.unlink()
        rng = random.Random(f"{seed}:{number}")
        kinds = [self.made_layer, self.mutated_layer, self.lowered_layer, self.mutated_module, self.mutated_module]
        rng.choice(kinds)(rng)


def save(fuzzer, out, seed, number, wrong):
    """Keeps the input and what was run."""
    folder = out / f"{seed}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in fuzzer.folder.glob("*.*"):
        path.rename(folder / path.name)
    (folder / "what").write_text(f"{' '.join(fuzzer.command)}\n{wrong}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--seconds", type=float, default=60, help="for all seeds together")
    parser.add_argument("--count", type=int, default=None, help="cases a seed, at most")
    parser.add_argument("--only", help="SEED:NUMBER of one case")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("fuzz-failures"))
    options = parser.parse_args()
    end, ran, wrongs = time.monotonic() + options.seconds, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        fuzzer = Fuzzer(options.build, pathlib.Path(scratch))
        for number in range(options.count) if options.count else itertools.count():
            for seed in options.seeds:
                if options.only:
                    seed, number = map(int, options.only.split(":"))
                elif time.monotonic() > end:
                    break
                ran += 1
                try:
                    fuzzer.case(seed, number)
                except Wrong as wrong:
                    wrongs += 1
                    print(f"{seed}:{number}: {' '.join(fuzzer.command)}\n  {wrong}", flush=True)
                    save(fuzzer, options.out, seed, number, wrong)
            if options.only or time.monotonic() > end:
                break
    print(f"{ran} cases, {wrongs} wrong")
    return 1 if wrongs or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
