# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the bundles that a wheel holds: the layers of public models, for inference and
for training, in bf16 for sm_90a. Those that are there already stay.

    PYTHONPATH=build/python python3 scripts/prebuilt.py bundles [--only 'gated-16x32*']
"""

import argparse
import fnmatch
import sys
import time
from pathlib import Path

import wyvern
from wyvern._core.layers import delta_rule_spec

DIM = 128
# Decay, key heads, value heads: of models, and of their parts on 2, 4 and 8 GPUs.
LAYERS = [
    ("none", 8, 8),  # DeltaNet 340M
    ("none", 16, 16),  # DeltaNet 1.3B
    ("head", 16, 16),  # Qwen3.5 0.8B, 2B
    ("head", 16, 32),  # Qwen3-Next; Qwen3.5 4B, 9B, 35B-A3B
    ("head", 8, 16),  # GigaChat 3.5, Lara; half of 16/32
    ("head", 4, 8),
    ("head", 2, 4),
    ("head", 16, 48),  # Qwen3.5 27B
    ("head", 8, 24),
    ("head", 4, 12),
    ("head", 16, 64),  # Qwen3.5 122B-A10B, 397B-A17B
    ("head", 8, 32),
    ("head", 4, 16),
    ("head", 2, 8),
]


def folders():
    """{name of a bundle's folder: the layer, and whether it trains}"""
    found = {}
    for decay, key_heads, value_heads in LAYERS:
        rule = "delta" if decay == "none" else "gated"
        spec = delta_rule_spec(decay, key_heads, value_heads, DIM, DIM, "bf16")
        for training in (False, True):
            name = f"{rule}-{key_heads}x{value_heads}" + ("-training" if training else "")
            found[name] = spec, training
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="bundles to compile, as a pattern")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, (spec, training) in folders().items():
        target = options.folder / name
        if not fnmatch.fnmatch(name, options.only) or (target / "manifest.json").exists():
            continue
        start = time.monotonic()
        wyvern.compile(spec, output=target, training=training)
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
