# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/kernels.py compiles what the examples will look for."""

import pytest

pytest.importorskip("torch")

from examples import kernels
from examples.language_model import train as language_model
from examples.language_model.mamba2 import Mamba2
from examples.recall import train as recall
from examples.state_tracking import train as state_tracking
from examples.state_tracking.model import Tracker
from wyvern._core.rules import delta_rule_spec
from wyvern.torch import op


DELTA_RULES = {
    "recall": ("none", 2),
    "language_model-gated": ("head", 8),
    "language_model-delta": ("none", 8),
    "compare": ("head", 4),
}


@pytest.mark.parametrize("name", DELTA_RULES)
def test_specs_are_those_of_the_functions(name):
    decay, heads = DELTA_RULES[name]
    wanted = delta_rule_spec(decay, heads, heads, 64, 64, "bf16")
    given = kernels.LAYERS[name] | {"scale": 64**-0.5}
    # What a spec leaves out.
    given["steps"] = [given["steps"][0] | {"erase": "k", "repeat": 1, "reads": "after_decay"}]
    assert given == wanted


def test_sizes_are_those_of_the_examples():
    sizes = {"recall": recall.SIZES["full"]}
    sizes |= {f"language_model-{layer}": language_model.SIZES["full"] for layer in ("gated", "delta")}
    sizes |= {"compare": language_model.SIZES["small"]}
    for name, size in sizes.items():
        assert size["hidden_size"] == 64 * size["heads"]
        assert kernels.LAYERS[name]["heads"]["key"] == size["heads"]


def test_specs_of_ops_are_those_of_the_examples():
    full = state_tracking.SIZES["full"]
    for kind in ("one", "two"):
        mixer = Tracker(kind, 2 * full["corners"], full["hidden_size"], full["heads"], full["head_dim"]).mixer
        assert mixer.op.spec == op(kernels.LAYERS[f"state_tracking-{kind}"]).spec
    layer = Mamba2(language_model.SIZES["full"]["hidden_size"])
    assert layer.recurrence.spec == op(kernels.LAYERS["language_model-mamba2"]).spec
