# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chunk programs that no spec makes, on the CPU against their formulas in float64.

They are what gpu_free_form.py runs on a GPU and what the lit tests of the lowering are
about: here a change of what an operation means shows in a program that is written by hand.
"""

import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "Integration"))

import gpu_free_form
import wyvern

MODULES = dict(gpu_free_form.sources())


@pytest.fixture(scope="module", params=gpu_free_form.PROGRAMS)
def program(request, tmp_path_factory):
    """The name of a program, and what a CPU runs of it."""
    path = tmp_path_factory.mktemp("free") / f"{request.param}.mlir"
    path.write_text(MODULES[request.param])
    return request.param, wyvern.compile(path, target="cpu", precision="rounded")


@pytest.mark.parametrize("batch, tokens", gpu_free_form.SIZES)
def test_values(program, batch, tokens):
    name, run = program
    inputs = gpu_free_form.draw(name, batch, tokens, "cpu")
    errors = gpu_free_form.relative_errors(run, name, inputs)
    assert all(error < gpu_free_form.PROGRAMS[name][3] for error in errors.values()), errors


def test_all_programs_are_run():
    assert set(MODULES) == set(gpu_free_form.PROGRAMS)
