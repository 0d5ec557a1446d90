# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The specs of the family against each layer's recurrence as its paper writes it.

What people compile is a spec. Each is read by wyvernc, at sizes made small, and run by
the reference interpreter; the other side is the numpy of test_recurrences.py.
"""

import os
import re
import subprocess

import numpy as np
import pytest
import test_recurrences as papers
from test_recurrences import BUILD, K, KEY_HEADS, ROOT, V, VALUE_HEADS, error, interpret

PLACES = {"heads": f"{{key: {KEY_HEADS}, value: {VALUE_HEADS}}}", "dims": f"{{key: {K}, value: {V}}}", "dtype": "f64"}


def gated_delta_product(q, g, k, v, beta, S0):
    return papers.delta_product(q, k, v, beta, S0, n=len(k) // len(q), alpha=np.exp(g))


def rwkv7(q, g, p, r, k, v, S0):
    """With kappa and a of the paper given as p = -(a * kappa) and r = kappa."""
    return papers.rwkv7(q, g, r, -p / r, k, v, S0)


def ssd(q, g, k, v, S0):
    """With dt already in v."""
    return papers.mamba2(q, g, k, v, np.ones(len(q)), S0)


# name of the spec: (its paper, the program of test/Reference with its inputs)
SPECS = {
    "delta_net-340M": (papers.delta_net, "delta-net"),
    "gated_deltanet": (papers.gated_delta_net, "gated-delta-net"),
    "deltaproduct": (papers.delta_product, "delta-product"),
    "gated_deltaproduct": (gated_delta_product, "gated-delta-net"),
    "gated_deltaproduct-3": (gated_delta_product, "gated-delta-net"),
    "kda": (papers.kimi_delta_attention, "kimi-delta-attention"),
    "gdn2": (papers.gdn2, "gdn2"),
    "comba": (papers.comba, "comba"),
    "pgdn": (papers.preconditioned, "preconditioned-gdn"),
    "pkda": (papers.preconditioned, "preconditioned-kda"),
    "rwkv7": (rwkv7, "dplr"),
    "linear_attention": (papers.linear_attention, "linear-attention"),
    "gla": (papers.gated_linear_attention, "gated-linear-attention"),
    "ssd": (ssd, "ssd"),
}
# Inputs of specs that the programs of test/Reference do not have in this form.
INPUTS = {
    "gated_deltaproduct": (papers.LAYERS["gated-delta-net"][1], 2),
    "gated_deltaproduct-3": (papers.LAYERS["gated-delta-net"][1], 3),
    "ssd": ({**papers.QUERY, **papers.GATE, **papers.WRITE}, 1),
}


def small(text):
    """The spec at the sizes of test/Reference, with the scale of its programs."""
    for key, value in PLACES.items():
        text, found = re.subn(rf"^{key}:.*$", f"{key}: {value}", text, flags=re.M)
        assert found == 1
    return text if re.search("^scale:", text, re.M) else text + "scale: 0.25\n"


@pytest.mark.parametrize("name", SPECS)
def test_spec_agrees_with_its_paper(name, tmp_path, monkeypatch):
    paper, like = SPECS[name]
    laws, n = INPUTS[name] if name in INPUTS else papers.LAYERS[like][1:]
    monkeypatch.setitem(papers.LAYERS, name, (paper, laws, n))
    spec, program = tmp_path / "spec.yaml", tmp_path / "spec.mlir"
    spec.write_text(small((ROOT / "specs" / f"{name}.yaml").read_text()))
    subprocess.run([BUILD / "bin" / "wyvernc", spec, "--emit=delta", "-o", program], check=True)
    arrays = papers.make_inputs(name, batch=2, time=7, sequences=2)
    expected = papers.by_paper(name, arrays, [(0, 0, 7), (1, 0, 7)])
    for found, wanted in zip(interpret(program, arrays, tmp_path), expected):
        assert error(found, wanted) < 1e-12


def test_every_spec_has_its_paper():
    """Model specs repeat a layer at another size; the test above takes one of each. Layers
    with levels are test_levels.py's."""
    others = {"delta_net-1.3B", "gated_deltanet-1.3B", "qwen3-next", "qwen3.5-27B", "log_linear_gdn", "log_linear_mamba2"}
    assert {os.path.splitext(path)[0] for path in os.listdir(ROOT / "specs") if path.endswith(".yaml")} == others | set(SPECS)
