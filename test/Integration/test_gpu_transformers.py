# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of transformers on a GPU in bf16: logits, loss and gradients of all parameters are about as far from those
in float64 as without Wyvern, where transformers' own code computes a layer's recurrence in float32."""

import os
import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))

import transformers_cases as models
from wyvern.integrations import transformers as integration

# Only so that this file itself can be tried without a GPU.
DEVICE = os.environ.get("WYVERN_TEST_DEVICE", "cuda")
pytestmark = [] if DEVICE == "cpu" else [pytest.mark.gpu]
# Sizes that programs of a GPU have.
SIZES = {
    "hidden_size": 256,
    "linear_value_head_dim": 64,
    "linear_key_head_dim": 64,
    "linear_head_dim": 64,
    "num_experts_per_tok": 4,  # all: which are chosen is no matter of rounding
}


@pytest.fixture(params=models.MODELS)
def name(request, monkeypatch):
    config, sizes = models.MODELS[request.param]
    wide = {key: SIZES.get(key, size) for key, size in sizes.items()}
    monkeypatch.setitem(models.MODELS, request.param, (config, wide))
    return request.param


def make(name, dtype):
    """A model whose weights are numbers of bf16."""
    model = models.make(name).bfloat16().to(DEVICE, dtype)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the others have no float64
    for parameter_name, parameter in model.named_parameters():
        if "_proj" in parameter_name:
            parameter.data.mul_(0.25)  # of four times as many inputs
    return model


def distances(found, expected):
    """How far logits, loss and gradients are from others, of their sizes; those of gradients together."""
    logits, loss, gradients = found
    gap = torch.stack([(gradients[x].double() - y).norm() for x, y in expected[2].items()]).norm()
    size = torch.stack([y.norm() for y in expected[2].values()]).norm()
    return {
        "logits": models.error(logits.double(), expected[0]),
        "loss": abs(loss.item() / expected[1].item() - 1),
        "gradients": (gap / size).item(),
    }


def test_distance_to_float64(name):
    torch.manual_seed(1)
    tokens = torch.randint(3, 97, (2, 333), device=DEVICE)
    expected = models.step(make(name, torch.float64), tokens)
    model = make(name, torch.bfloat16)
    theirs = distances(models.step(model, tokens), expected)
    integration.enable()
    try:
        ours = distances(models.step(model, tokens), expected)
        status = integration.status()
        assert status.served == {models.functions_of(name)[0]: 3} and status.fell_back == {}
    finally:
        integration.disable()
    print(name, {what: f"{ours[what]:.2e} ({theirs[what]:.2e})" for what in ours})
    # A program rounds what its products take to bf16: 1.05 to 1.16 on an H200.
    assert ours["logits"] < 1.25 * theirs["logits"] and ours["gradients"] < 1.25 * theirs["gradients"], (ours, theirs)
    # A loss is one number, which is right by chance.
    assert ours["loss"] < theirs["loss"] + 1e-3
