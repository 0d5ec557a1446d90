# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions of the rest of the family on a GPU, in bf16: values, states and gradients against the recurrence in
float64, on the operands of family_cases.py."""

import os
import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))

import delta_oracle
import family_cases
import wyvern.torch

# Only so that this file itself can be tried without a GPU.
DEVICE = os.environ.get("WYVERN_TEST_DEVICE", "cuda")
pytestmark = [] if DEVICE == "cpu" else [pytest.mark.gpu]
OFFSETS = [0, 1, 1, 67, 130]
NAMES = list(family_cases.CASES)
WIDE = ("g", "gk", "beta")


@pytest.fixture(autouse=True)
def sizes(monkeypatch, tmp_path):
    monkeypatch.setenv("WYVERN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(family_cases, "K", 64)
    monkeypatch.setattr(family_cases, "V", 64)
    torch.manual_seed(3)


def narrow(case, operands):
    """The operands as a model has them: rates and gates in float32, all else in bf16."""
    wide = (*WIDE, "w") if case.names[0] == "chunk_rwkv7" else WIDE
    return {
        name: None if x is None else x.float() if name in wide else x.bfloat16() for name, x in operands.items()
    }


@pytest.mark.parametrize("cu", [None, OFFSETS], ids=["dense", "packed"])
@pytest.mark.parametrize("name", NAMES)
def test_function(name, cu):
    case = family_cases.CASES[name]
    operands = narrow(case, case.draw(2 if cu is None else 1, 130))
    operands["initial_state"] = torch.randn(2 if cu is None else len(cu) - 1, case.heads, 64, 64)
    given = {x: y for x, y in operands.items() if y is not None}
    on_gpu, wide = ({x: y.to(*to).requires_grad_() for x, y in given.items()} for to in ((DEVICE,), (torch.float64,)))
    absent = {x: None for x, y in operands.items() if y is None}
    offsets = None if cu is None else torch.tensor(cu)
    function = getattr(wyvern.torch, case.names[0])
    results = function(
        **on_gpu, **absent, output_final_state=True, cu_seqlens=None if cu is None else offsets.to(DEVICE), **case.options
    )
    meant = {x: y for x, y in (wide | absent).items() if x != "initial_state"}
    expected = family_cases.expected(case, meant, offsets, wide["initial_state"])
    weights = [torch.randn_like(y).to(x.dtype) for x, y in zip(results, expected)]
    total = lambda values, to: sum((x * w.to(to)).sum() for x, w in zip(values, weights))
    found = torch.autograd.grad(total(results, DEVICE), list(on_gpu.values()))
    wanted = torch.autograd.grad(total(expected, torch.float64), list(wide.values()))
    for what, x, y in zip(("o", "final_state", *given), (*results, *found), (*expected, *wanted)):
        assert delta_oracle.error(x.detach().cpu(), y.detach()) < 1e-2, what
