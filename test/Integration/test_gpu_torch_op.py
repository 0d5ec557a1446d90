# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.op on a GPU: gradients, torch.compile, whole steps in a CUDA graph, and
bundles. The CPU's programs of the same specs judge."""

import os

import pytest

torch = pytest.importorskip("torch")

import wyvern
from test_gpu_torch import agree, check_whole_step, no_waiting
from wyvern.torch import op

# Only so that this file itself can be tried without a GPU.
DEVICE = os.environ.get("WYVERN_TEST_DEVICE", "cuda")
pytestmark = [] if DEVICE == "cpu" else [pytest.mark.gpu]
SIZES = {"heads": {"key": 2, "value": 4}, "dims": {"key": 64, "value": 64}, "dtype": "bf16"}
DELTA = {"write": "k", "value": "v", "rate": "beta"}
LAYERS = {
    "gated": {"decay": "head", "steps": [DELTA]},
    "repeated": {"steps": [DELTA | {"repeat": 2}]},
    "sum": {"decay": "head", "scale": 0.5, "steps": [{"write": "k", "erase": "none", "value": "v"}]},
    "two_keys": {"steps": [DELTA | {"erase": "e"}]},
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WYVERN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def spec(name):
    return {"name": name} | SIZES | LAYERS[name]


def make(name, dtype=torch.bfloat16, batch=2, tokens=200, sequences=None):
    """Operands and a state on the CPU, by name."""
    torch.manual_seed(9)
    tensors = {}
    for operand, shape in op(spec(name)).shapes.items():
        x = torch.randn(eval(shape, {"B": batch, "T": tokens}))
        if operand in ("q", "k", "e"):
            x = torch.nn.functional.normalize(x, dim=-1)
        if operand == "g":
            x = -x.abs()
        if operand == "beta":
            x = x.sigmoid()
        tensors[operand] = x if operand in ("g", "beta") else x.to(dtype)
    return tensors | {"initial_state": torch.randn(sequences or batch, 4, 64, 64)}


def gradients(function, inputs, device, cu=None):
    """The outputs and the gradients of a weighted sum of them, by name."""
    leaves = {name: x.to(device).requires_grad_() for name, x in inputs.items()}
    o, state = function(**leaves, cu_seqlens=None if cu is None else cu.to(device), output_final_state=True)
    generator = torch.Generator().manual_seed(8)
    seeds = [torch.randn(x.shape, generator=generator).to(device, x.dtype) for x in (o, state)]
    found = torch.autograd.grad((o, state), list(leaves.values()), seeds)
    return {"o": o.detach(), "final_state": state.detach()} | dict(zip(leaves, found))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(name, packed):
    cu = torch.tensor([0, 70, 70, 133]) if packed else None
    inputs = make(name, batch=1, sequences=3) if packed else make(name)
    function = op(spec(name))
    agree(gradients(function, inputs, DEVICE, cu), gradients(function, inputs, "cpu", cu))


def test_half():
    inputs, function = make("gated", torch.float16), op(spec("gated"))
    agree(gradients(function, inputs, DEVICE), gradients(function, inputs, "cpu"), 2e-3)


def test_autocast():
    inputs, function = make("gated", torch.float32), op(spec("gated"))
    with torch.autocast(DEVICE, torch.bfloat16):
        found = gradients(function, inputs, DEVICE)
    assert found["q"].dtype == torch.float32 and found["o"].dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        agree(found, gradients(function, inputs, "cpu"))


def test_compiled_with_dynamic_shapes():
    function = op(spec("repeated"))
    compiled = torch.compile(function, fullgraph=True, dynamic=True)
    for batch, tokens in ((2, 200), (3, 130)):
        inputs = make("repeated", batch=batch, tokens=tokens)
        plain = gradients(function, inputs, DEVICE)
        agree(gradients(compiled, inputs, DEVICE), {name: x.cpu() for name, x in plain.items()}, 1e-2)


def test_the_host_never_waits():
    inputs, function = make("two_keys", batch=1, sequences=3), op(spec("two_keys"))
    cu = torch.tensor([0, 70, 70, 133]).to(DEVICE)
    leaves = {name: x.to(DEVICE).requires_grad_() for name, x in inputs.items()}

    def step():
        o, state = function(**leaves, cu_seqlens=cu, output_final_state=True)
        (o.float().square().sum() + state.sum()).backward()

    step()  # compiles, and loads the kernels
    with no_waiting():
        step()


@pytest.mark.skipif(DEVICE == "cpu", reason="CUDA graphs")
def test_a_whole_step_in_a_graph():
    inputs, function = make("gated"), op(spec("gated"))
    check_whole_step(inputs, lambda **leaves: function(**leaves, output_final_state=True))


@pytest.mark.skipif(DEVICE == "cpu", reason="a bundle's kernels")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("save", ["checkpoints", "states", "none"])
def test_what_a_bundle_saves(save, packed):
    """States of chunks too, of which the op's fake has to know how many there are."""
    cu = torch.tensor([0, 70, 70, 582]) if packed else None
    inputs = make("gated", batch=1, tokens=600, sequences=3) if packed else make("gated", tokens=600)
    function = op(wyvern.compile(spec("gated"), training=True, save=save))
    wanted = gradients(op(spec("gated")), inputs, "cpu", cu)
    agree(gradients(function, inputs, DEVICE, cu), wanted)
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    agree(gradients(compiled, inputs, DEVICE, cu), wanted)


@pytest.mark.skipif(DEVICE == "cpu", reason="a bundle's kernels")
def test_bundles():
    """A loaded bundle gives the bits of its spec; one without a backward says so."""
    layer, inputs = spec("gated"), make("gated")
    plain = gradients(op(layer), inputs, DEVICE)
    bundle = wyvern.compile(layer, training=True, save="states")
    found = gradients(op(bundle), inputs, DEVICE)
    assert all(torch.equal(found[name], x) for name, x in plain.items())
    bundle.force_variant("separate")
    plain = gradients(op(bundle), inputs, DEVICE)
    inference = op(wyvern.compile(layer, variants="separate"))
    with torch.no_grad():
        o, _ = inference(**{name: x.to(DEVICE) for name, x in inputs.items()})
    assert torch.equal(o, plain["o"])
    with pytest.raises(AttributeError, match="compiled without its backward"):
        gradients(inference, inputs, DEVICE)
    half = {name: x.half().to(DEVICE) for name, x in inputs.items()}
    with pytest.raises(TypeError, match="the bundle takes q in bf16, found f16"):
        inference(**half)
