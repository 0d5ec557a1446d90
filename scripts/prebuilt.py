# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the bundles that a wheel holds: the layers of public models, for inference and
for training, in bf16 for sm_90a. Those that are there already stay.

    PYTHONPATH=build/python python3 scripts/prebuilt.py bundles [--only 'gated-16x32*']
"""

import argparse
import fnmatch
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import wyvern
from wyvern._core.rules import delta_rule_spec

# Decay, key heads, value heads: of models, and of their parts on 2, 4 and 8 GPUs; the
# dims of a key and a value head.
LAYERS = [
    ("none", 8, 8, 128, 128),  # DeltaNet 340M
    ("none", 16, 16, 128, 128),  # DeltaNet 1.3B
    ("head", 16, 16, 128, 128),  # Qwen3.5 0.8B, 2B
    ("head", 16, 32, 128, 128),  # Qwen3-Next; Qwen3.5 4B, 9B, 35B-A3B
    ("head", 8, 16, 128, 128),  # GigaChat 3.5, Lara; half of 16/32
    ("head", 4, 8, 128, 128),
    ("head", 2, 4, 128, 128),
    ("head", 16, 48, 128, 128),  # Qwen3.5 27B
    ("head", 8, 24, 128, 128),
    ("head", 4, 12, 128, 128),
    ("head", 16, 64, 128, 128),  # Qwen3.5 122B-A10B, 397B-A17B
    ("head", 8, 32, 128, 128),
    ("head", 4, 16, 128, 128),
    ("head", 2, 8, 128, 128),
    ("head", 30, 30, 96, 192),  # OLMo-Hybrid 7B
    ("head", 6, 6, 256, 512),  # flash-linear-attention's default layer, 1.3B
    ("channel", 32, 32, 128, 128),  # Kimi Linear 48B-A3B
]
RULES = {"none": "delta", "head": "gated", "channel": "kda"}


def folders():
    """{name of a bundle's folder: the layer, and whether it trains}"""
    found = {}
    for decay, key_heads, value_heads, *dims in LAYERS:
        rule = RULES[decay]
        spec = delta_rule_spec(decay, key_heads, value_heads, *dims, "bf16")
        for training in (False, True):
            name = f"{rule}-{key_heads}x{value_heads}" + ("-training" if training else "")
            found[name] = spec, training
    return found


def compile_bundle(target, spec, training):
    """Compiles one bundle; says how long it took."""
    start = time.monotonic()
    wyvern.compile(spec, output=target, training=training)
    print(f"{target.name}: {time.monotonic() - start:.1f} s", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="bundles to compile, as a pattern")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilations at once")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        done = []
        for name, (spec, training) in folders().items():
            target = options.folder / name
            if fnmatch.fnmatch(name, options.only) and not (target / "manifest.json").exists():
                done.append(pool.submit(compile_bundle, target, spec, training))
        for one in done:
            one.result()  # raises what it raised
    return 0


if __name__ == "__main__":
    sys.exit(main())
