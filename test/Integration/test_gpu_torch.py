# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of wyvern.torch on a GPU, where its functions do more than the programs of
gpu_training.py: padding, groups of heads, activations, autocast, and whole steps in a
CUDA graph. The CPU's programs judge."""

import contextlib
import os

import pytest

torch = pytest.importorskip("torch")

from wyvern.torch import _programs, _saving, chunk_gated_delta_rule

# Only so that this file itself can be tried without a GPU.
DEVICE = os.environ.get("WYVERN_TEST_DEVICE", "cuda")
pytestmark = [] if DEVICE == "cpu" else [pytest.mark.gpu]
FUSED = {
    "use_qk_l2norm_in_kernel": True,
    "use_gate_in_kernel": True,
    "use_beta_sigmoid_in_kernel": True,
    "output_final_state": True,
}
CASES = {
    "plain": {},
    "padded": {"dims": (96, 60)},
    "grouped": {"heads": (2, 4)},
    "packed": {"cu": (0, 70, 70, 133, 150)},
    "values first": {"v_first": True},
    "padded, packed, values first": {"dims": (60, 100), "cu": (0, 64, 65, 180), "v_first": True},
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WYVERN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def make(dtype=torch.bfloat16, batch=2, tokens=200, heads=(4, 4), dims=(64, 64), cu=None, v_first=False):
    """Inputs on the CPU, and cu_seqlens or None."""
    torch.manual_seed(7)
    (heads, value_heads), (key_dim, value_dim) = heads, dims
    batch, sequences = (batch, batch) if cu is None else (1, len(cu) - 1)
    state = (value_dim, key_dim) if v_first else (key_dim, value_dim)
    rows = lambda *shape: torch.randn(batch, tokens, *shape)
    inputs = {
        "q": rows(heads, key_dim).to(dtype),
        "k": rows(heads, key_dim).to(dtype),
        "v": rows(value_heads, value_dim).to(dtype),
        "g": rows(value_heads),
        "beta": rows(value_heads),
        "initial_state": torch.randn(sequences, value_heads, *state),
        "A_log": torch.rand(value_heads),
        "dt_bias": torch.rand(value_heads),
    }
    return inputs, None if cu is None else torch.tensor(cu)


def gradients(inputs, cu, device, v_first=False, function=chunk_gated_delta_rule):
    leaves = {name: x.to(device).requires_grad_() for name, x in inputs.items()}
    cu = None if cu is None else cu.to(device)
    outputs = function(**leaves, **FUSED, cu_seqlens=cu, state_v_first=v_first)
    generator = torch.Generator().manual_seed(8)
    upstream = [torch.randn(x.shape, generator=generator).to(device, x.dtype) for x in outputs]
    grads = torch.autograd.grad(outputs, list(leaves.values()), upstream)
    return dict(zip(leaves, grads))


def error(found, expected):
    return ((found.cpu().double() - expected.double()).norm() / expected.double().norm()).item()


def agree(found, expected, bar=2e-2):
    for name, x in expected.items():
        assert found[name].shape == x.shape and found[name].dtype == x.dtype, name
        assert error(found[name], x) < bar, name


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    v_first = CASES[case].get("v_first", False)
    inputs, cu = make(**CASES[case])
    agree(gradients(inputs, cu, DEVICE, v_first), gradients(inputs, cu, "cpu", v_first))


def test_inference_gives_the_same_bits(monkeypatch):
    """In one variant, which programs take as they are loaded."""
    monkeypatch.setenv("WYVERN_VARIANT", "separate")
    monkeypatch.setattr(_programs, "_programs", {})
    monkeypatch.setattr(_saving, "_twins", {})
    inputs, _ = make(heads=(2, 4), dims=(60, 64))
    inputs = {name: x.to(DEVICE) for name, x in inputs.items()}
    plain = chunk_gated_delta_rule(**inputs, **FUSED)
    trained = chunk_gated_delta_rule(**{name: x.requires_grad_() for name, x in inputs.items()}, **FUSED)
    assert all(torch.equal(x, y) for x, y in zip(plain, trained))


def test_autocast():
    inputs, _ = make(torch.float32)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = gradients(inputs, None, DEVICE)
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(inputs, None, "cpu")
    agree(found, expected)


def test_compiled():
    compiled = torch.compile(chunk_gated_delta_rule, fullgraph=True, backend="aot_eager")
    inputs, cu = make(cu=(0, 100, 200))
    found, plain = gradients(inputs, cu, DEVICE, function=compiled), gradients(inputs, cu, DEVICE)
    agree(found, {name: x.cpu() for name, x in plain.items()}, 1e-2)


@contextlib.contextmanager
def no_waiting():
    """Any wait of the host for the device is an error."""
    if DEVICE == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("case", ["padded", "grouped", "packed"])
def test_the_host_never_waits(case):
    inputs, cu = make(**CASES[case])
    gradients(inputs, cu, DEVICE)  # compiles, and loads the kernels
    leaves = {name: x.to(DEVICE).requires_grad_() for name, x in inputs.items()}
    cu = None if cu is None else cu.to(DEVICE)
    with no_waiting():
        o, state = chunk_gated_delta_rule(**leaves, **FUSED, cu_seqlens=cu)
        (o.float().square().sum() + state.sum()).backward()


def check_whole_step(inputs, function, **options):
    """Steps of training replayed from a CUDA graph (of these options) leave the bits of steps
    that are not."""

    def trained(steps, in_graph):
        leaves = {name: x.cuda().requires_grad_() for name, x in inputs.items()}
        optimizer = torch.optim.SGD(leaves.values(), lr=1e-3)

        def step():
            optimizer.zero_grad(set_to_none=False)
            o, state = function(**leaves)
            (o.float().square().mean() + state.square().mean()).backward()
            optimizer.step()

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()  # loads the kernels
        torch.cuda.current_stream().wait_stream(side)
        run = step
        if in_graph:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, **options):
                step()
            run = graph.replay
        for _ in range(steps):
            run()
        torch.cuda.synchronize()
        return leaves

    plain, replayed = trained(3, False), trained(3, True)
    assert all(torch.equal(plain[name], replayed[name]) for name in plain)


@pytest.mark.skipif(DEVICE == "cpu", reason="CUDA graphs")
def test_a_whole_step_in_a_graph():
    """Forward, backward and the optimizer, replayed, are what they are one by one."""
    inputs, cu = make(dims=(96, 64), cu=(0, 70, 70, 200))
    offsets = cu.cuda()
    check_whole_step(inputs, lambda **leaves: chunk_gated_delta_rule(**leaves, **FUSED, cu_seqlens=offsets))
