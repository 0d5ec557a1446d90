# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The kernel folder of wyvern.integrations.transformers, as `kernels` loads it."""

import json
import runpy
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kernels")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")


def write(folder, monkeypatch):
    """Runs the command line; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["wyvern.integrations.transformers", "--out", str(folder)])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("wyvern.integrations.transformers", run_name="__main__")
    return exit.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "kernels" / "wyvern"
    assert write(folder, monkeypatch) == 0
    assert f"LOCAL_KERNELS=kernels-community/fla={folder} " in capsys.readouterr().out
    return folder


def test_the_layout(folder):
    variants = sorted(path.name for path in (folder / "build").iterdir())
    assert variants == ["torch-cpu", "torch-cuda"]
    for name in variants:
        metadata = json.loads((folder / "build" / name / "metadata.json").read_text())
        assert f"torch-{metadata['backend']['type']}" == name


def test_writes_over_nothing(folder, tmp_path, monkeypatch, capsys):
    assert write(folder, monkeypatch) == 1
    assert "is not empty" in capsys.readouterr().err
    file = tmp_path / "file"
    file.write_text("mine")
    assert write(file, monkeypatch) == 1 and file.read_text() == "mine"


# transformers 5.24 asks for a later version of `kernels` than PyPI has had, and its
# KernelConfig takes no CPU. So the question is answered for it, and the mapping is made
# as KernelConfig makes it for a GPU.
SCRIPT = """
import inspect, os, pathlib, sys
from transformers.utils import import_utils
inspect.unwrap(import_utils.is_kernels_available).__defaults__ = "0.17", "0.19"
import torch
from kernels import LayerRepository, LocalLayerRepository, Mode, kernelize, use_kernel_mapping
from transformers.models.qwen3_5 import modeling_qwen3_5 as gdn
from transformers.models.kimi_linear import modeling_kimi_linear as kda
from wyvern.integrations.transformers import status

NAMES = {
    "chunk_gated_delta_rule": "chunk_gated_delta_rule",
    "fused_recurrent_gated_delta_rule": "recurrent_gated_delta_rule",
    "chunk_kda": "chunk_kimi_delta_attention",
    "fused_recurrent_kda": "recurrent_kimi_delta_attention",
}
folder = pathlib.Path(sys.argv[1])
mapping = {
    name: {"cpu": LocalLayerRepository(repo_path=folder, layer_name=layer)} for name, layer in NAMES.items()
}
torch.manual_seed(0)
q, k = torch.randn(2, 1, 70, 2, 8)
v, g, beta = torch.randn(1, 70, 2, 8), -torch.rand(1, 70, 2), torch.rand(1, 70, 2)
h = torch.zeros(1, 2, 8, 8)
key = dict(g=g[..., None].expand(1, 70, 2, 8), beta=beta, use_qk_l2norm_in_kernel=True, initial_state=h, output_final_state=True)
head = key | {"g": g, "initial_state": None, "position_ids": None}
calls = [
    (gdn.torch_chunk_gated_delta_rule, head),
    (gdn.torch_recurrent_gated_delta_rule, head),
    (kda.chunk_kimi_delta_attention, key),
    (kda.recurrent_kimi_delta_attention, key),
]
before = [function(q, k, v, **x) for function, x in calls]
assert not status().served
for function, _ in calls:
    with use_kernel_mapping(mapping, inherit_mapping=False):
        kernelize(function, device="cpu", mode=Mode.TRAINING | Mode.TORCH_COMPILE, use_fallback=False)
for (function, x), expected in zip(calls, before):
    for ours, theirs in zip(function(q, k, v, **x), expected):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()
assert status().served == dict.fromkeys(NAMES, 1) and not status().fell_back, status()

# By itself a layer has no other code to run, where it does not serve a call.
from wyvern.integrations.transformers._kernel_layers import recurrent_kimi_delta_attention
try: recurrent_kimi_delta_attention()(q, k, v.double(), **key)
except NotImplementedError as error: assert "kernelize" in str(error)
else: raise SystemExit("no error")

# In the place of the repository, without the Hub.
os.environ["LOCAL_KERNELS"] = f"kernels-community/fla={folder}"
hub = LayerRepository(repo_id="kernels-community/fla", layer_name="chunk_gated_delta_rule", revision="0" * 40)
assert hub.load().__module__.startswith("wyvern.")
"""


def test_kernels_takes_its_layers(folder):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
