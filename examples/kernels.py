# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The kernels of the examples, compiled ahead, for a GPU machine without the compiler.

    here:     python3 -m examples.kernels --out bundles
    there:    WYVERN_CACHE_DIR=bundles python3 -m examples.recall.train

Where the compiler is installed nobody needs this: the first call compiles.
"""

import argparse
from pathlib import Path

import wyvern
from examples.language_model import mamba2
from examples.state_tracking import model


def delta_rule(decay, heads):
    """What wyvern.torch's functions compute; all of the examples have head dim 64 and bf16
    on a GPU."""
    return {
        "name": "delta_rule" if decay == "none" else "gated_delta_rule",
        "heads": {"key": heads, "value": heads},
        "dims": {"key": 64, "value": 64},
        "dtype": "bf16",
        "decay": decay,
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }


LAYERS = {
    "recall": delta_rule("none", 2),
    "language_model-gated": delta_rule("head", 8),
    "language_model-delta": delta_rule("none", 8),
    "language_model-mamba2": mamba2.spec(16, 64, 64),
    "compare": delta_rule("head", 4),
    "state_tracking-one": model.spec(1, 4, 64),
    "state_tracking-two": model.spec(2, 4, 64),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundles")
    options = parser.parse_args(arguments)
    for name, layer in LAYERS.items():
        for training in (False, True):  # validation runs without gradients
            folder = options.out / (name + ("-training" if training else ""))
            wyvern.compile(layer, output=folder, training=training)
            print(folder, flush=True)


if __name__ == "__main__":
    main()
