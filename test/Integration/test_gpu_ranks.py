# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Context parallelism on one GPU, of which the group is: its parts and segments are joined as
those of many. `python -m benchmarks.ranks` has several GPUs; test/python/test_ranks.py two
processes of CPUs."""

import os

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist
from test_gpu_torch import agree, check_whole_step, no_waiting
from wyvern.torch import ContextParallel, chunk_gated_delta_rule
from wyvern.torch._ranks import exchange, join, runs
from wyvern.torch._ranks.beside import beside

# Only so that this file itself can be tried without a GPU.
DEVICE = os.environ.get("WYVERN_TEST_DEVICE", "cuda")
pytestmark = [] if DEVICE == "cpu" else [pytest.mark.gpu]
OFFSETS = (0, 70, 70, 133, 600, 630)
CASES = {
    "dense": dict(segments=3),
    "zigzag": dict(order="zigzag", segments=2),
    "uneven": dict(order="zigzag", lengths=(290, 350), segments=2),
    "packed": dict(offsets=OFFSETS, segments=3),
    "packed, zigzag": dict(offsets=OFFSETS, order="zigzag", lengths=(290, 350), segments=2),
    "an empty part": dict(offsets=OFFSETS, order="zigzag", lengths=(640, 0), segments=1),
    "two all-gathers": dict(segments=3, gathers=2),
    "two all-gathers, packed, zigzag": dict(offsets=OFFSETS, order="zigzag", segments=2, gathers=2),
}


@pytest.fixture(autouse=True, scope="module")
def group():
    dist.init_process_group("gloo" if DEVICE == "cpu" else "nccl", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def make(offsets=None, **arguments):
    """Operands and states, their offsets, and the context."""
    torch.manual_seed(9)
    batch, sequences = (2, 2) if offsets is None else (1, len(offsets) - 1)
    unit = lambda: torch.nn.functional.normalize(torch.randn(batch, 640, 2, 64), dim=-1).bfloat16()
    inputs = {"q": unit(), "k": unit(), "v": torch.randn(batch, 640, 4, 64).bfloat16()}
    inputs |= {"g": -torch.rand(batch, 640, 4) / 10, "beta": torch.rand(batch, 640, 4)}
    inputs["initial_state"] = torch.randn(sequences, 4, 64, 64)
    cu_seqlens = None if offsets is None else torch.tensor(offsets).to(DEVICE)
    return {name: x.to(DEVICE) for name, x in inputs.items()}, cu_seqlens, ContextParallel(**arguments)


def gradients(inputs, cu_seqlens, context):
    """The outputs and the gradients of a weighted sum of them, by name."""
    leaves = {name: x.clone().requires_grad_() for name, x in inputs.items()}
    o, state = chunk_gated_delta_rule(**leaves, cu_seqlens=cu_seqlens, output_final_state=True, cp_context=context)
    generator = torch.Generator().manual_seed(8)
    seeds = [torch.randn(x.shape, generator=generator).to(DEVICE, x.dtype) for x in (o, state)]
    found = torch.autograd.grad((o, state), list(leaves.values()), seeds)
    return {"o": o.detach(), "final_state": state.detach()} | dict(zip(leaves, found))


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    inputs, cu_seqlens, context = make(**CASES[case])
    found = gradients(inputs, cu_seqlens, context)
    agree(found, {name: x.cpu() for name, x in gradients(inputs, cu_seqlens, None).items()}, 1e-2)
    again = gradients(inputs, cu_seqlens, context)
    assert all(torch.equal(found[name], again[name]) for name in found)


@pytest.mark.skipif(DEVICE == "cpu", reason="programs of kernels")
@pytest.mark.parametrize("gathers", [1, 2])
def test_something_runs_beside(monkeypatch, gathers):
    """A forward gathers so often as it was told, and the backward once; forward and backward have
    something beside it."""
    inputs, cu_seqlens, context = make(segments=3, gathers=gathers)
    wanted, gathered = [], []
    for module in (runs, exchange):
        monkeypatch.setattr(module, "beside", lambda device, x=True: wanted.append(x) or beside(device, x))
    gather = join.gather
    monkeypatch.setattr(join, "gather", lambda *args: gathered.append(1) or gather(*args))
    gradients(inputs, cu_seqlens, context)
    assert wanted == [True, True] and len(gathered) == gathers + 1


@pytest.mark.parametrize("case", CASES)
def test_the_host_never_waits(case):
    inputs, cu_seqlens, context = make(**CASES[case])
    leaves = {name: x.requires_grad_() for name, x in inputs.items()}

    def step():
        o, state = chunk_gated_delta_rule(**leaves, cu_seqlens=cu_seqlens, output_final_state=True, cp_context=context)
        (o.float().square().sum() + state.sum()).backward()

    step()  # loads the kernels
    with no_waiting():
        step()


@pytest.mark.skipif(DEVICE == "cpu", reason="CUDA graphs")
@pytest.mark.parametrize("case", CASES)
def test_a_whole_step_in_a_graph(case):
    inputs, cu_seqlens, context = make(**CASES[case])
    call = lambda **leaves: chunk_gated_delta_rule(
        **leaves, cu_seqlens=cu_seqlens, output_final_state=True, cp_context=context
    )
    # The watchdog of NCCL asks for events in a thread of its own.
    check_whole_step(inputs, call, capture_error_mode="thread_local")
