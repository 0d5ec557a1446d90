# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The kernels of the examples, compiled ahead, for a GPU machine without the compiler.

    here:     python3 -m examples.kernels --out bundles
    there:    WYVERN_CACHE_DIR=bundles python3 -m examples.recall.train

Where the compiler is installed nobody needs this: the first call compiles.
"""

import argparse
from pathlib import Path

import wyvern

# decay, heads: all of the examples have head dim 64 and bf16 on a GPU.
LAYERS = {
    "recall": ("none", 2),
    "language_model-gated": ("head", 8),
    "language_model-delta": ("none", 8),
    "compare": ("head", 4),
}


def spec(decay, heads):
    return {
        "name": "delta_rule" if decay == "none" else "gated_delta_rule",
        "heads": {"key": heads, "value": heads},
        "dims": {"key": 64, "value": 64},
        "dtype": "bf16",
        "decay": decay,
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundles")
    options = parser.parse_args(arguments)
    for name, layer in LAYERS.items():
        for training in (False, True):  # validation runs without gradients
            folder = options.out / (name + ("-training" if training else ""))
            wyvern.compile(spec(*layer), output=folder, training=training)
            print(folder, flush=True)


if __name__ == "__main__":
    main()
