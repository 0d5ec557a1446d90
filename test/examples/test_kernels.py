# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/kernels.py compiles what the examples will look for."""

import pytest

pytest.importorskip("torch")

from examples import kernels
from examples.language_model import train as language_model
from examples.recall import train as recall
from wyvern._core.layers import delta_rule_spec


@pytest.mark.parametrize("decay, heads", kernels.LAYERS.values())
def test_specs_are_those_of_the_ops(decay, heads):
    wanted = delta_rule_spec(decay, heads, heads, 64, 64, "bf16")
    given = kernels.spec(decay, heads)
    # What a spec leaves out.
    given["scale"] = 64**-0.5
    given["steps"][0] |= {"erase": "k", "repeat": 1, "reads": "after_decay"}
    assert given == wanted


def test_sizes_are_those_of_the_examples():
    sizes = {"recall": recall.SIZES["full"]}
    sizes |= {f"language_model-{layer}": language_model.SIZES["full"] for layer in ("gated", "delta")}
    sizes |= {"compare": language_model.SIZES["small"]}
    for name, size in sizes.items():
        assert size["hidden_size"] == 64 * size["heads"]
        assert kernels.LAYERS[name][1] == size["heads"]
