# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which bundles a wheel holds: those that the functions of a framework look for."""

import importlib.util
import pathlib

import pytest
from wyvern._core.layers import operand_roles
from wyvern._core.rules import RULES, Sizes, delta_rule_spec

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/prebuilt.py"


def folders():
    spec = importlib.util.spec_from_file_location("prebuilt", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.folders()


def test_layers_are_those_of_the_functions():
    names = {"delta": "delta_rule", "gated": "gated_delta_rule", "kda": "kda"}
    for folder, (spec, _) in folders().items():
        heads, dims = spec["heads"], spec["dims"]
        sizes = Sizes(heads["key"], dims["key"], heads["value"], dims["value"])
        assert spec == RULES[names[folder.partition("-")[0]]].spec(sizes, "bf16"), folder
    assert {folder.partition("-")[0] for folder in folders()} == set(names)


@pytest.mark.parametrize("decay, gate", [("none", None), ("head", "decay"), ("channel", "decay")])
def test_decays(decay, gate):
    spec = delta_rule_spec(decay, 2, 2, 64, 64, "bf16")
    assert spec["decay"] == decay and operand_roles(spec).get("g") == gate
    with pytest.raises(KeyError):
        delta_rule_spec("row", 2, 2, 64, 64, "bf16")
