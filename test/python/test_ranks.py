# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Context parallelism: layers over two processes of gloo (ranks_cases.py), and in segments of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch was built without gloo", allow_module_level=True)

import op_cases

HERE = Path(__file__).parent
SOURCE = HERE / "ranks_cases.py"
CASES = [
    line.split("(")[0][4:]
    for source in (SOURCE, HERE / "ranks_sum_cases.py")
    for line in source.read_text().splitlines()
    if line.startswith("def case_")
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """What each case failed with, on both ranks; a pair of processes runs all of them."""
    folder = tmp_path_factory.mktemp("ranks")
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    start = lambda rank: subprocess.Popen(
        [sys.executable, SOURCE, folder, *CASES], env=environment | {"RANK": str(rank)}, stderr=subprocess.STDOUT,
        stdout=open(folder / f"{rank}.log", "w"),
    )  # fmt: skip
    ranks = [start(rank) for rank in range(2)]
    for rank in ranks:
        rank.wait(timeout=240)
    found = {case: [] for case in CASES}
    for rank in range(2):
        done = [json.loads(line) for line in (folder / f"{rank}.jsonl").read_text().splitlines()]
        for record in done:
            found[record["case"]].append(record["failure"])
    return found


@pytest.mark.parametrize("case", CASES)
def test_on_two_ranks(case, failures):
    told = [f"rank {rank}: {failure}" for rank, failure in enumerate(failures[case]) if failure]
    assert not told, "\n".join(told)
    assert len(failures[case]) == 2, "not run: a case before it failed"


def operands(tokens=300, heads=2, dim=8):
    torch.manual_seed(3)
    draw = lambda *shape: torch.randn(1, tokens, heads, *shape, dtype=torch.float64)
    unit = lambda: torch.nn.functional.normalize(draw(dim), dim=-1)
    x = {"q": unit(), "k": unit(), "v": draw(dim), "g": -draw().exp() / 10, "beta": 2 * draw().sigmoid()}
    return {name: tensor.requires_grad_() for name, tensor in x.items()}


def differentiated(x, **arguments):
    """o, the final state, and the gradients of a weighted sum of both."""
    from wyvern.torch import chunk_gated_delta_rule

    o, state = chunk_gated_delta_rule(**x, output_final_state=True, **arguments)
    weights = torch.linspace(0.5, 1.5, o.numel(), dtype=o.dtype).view_as(o)
    return o, state, *torch.autograd.grad((o * weights).sum() + state.square().sum(), list(x.values()))


@pytest.mark.parametrize("offsets", [None, (0, 41, 41, 170, 290)])
def test_segments_of_one_process(offsets):
    from wyvern.torch import ContextParallel

    x, cu_seqlens = operands(), None if offsets is None else torch.tensor(offsets)
    one = differentiated(x, cu_seqlens=cu_seqlens)
    for context in (ContextParallel.alone(segments=3), ContextParallel.alone(segments=1)):
        found = differentiated(x, cu_seqlens=cu_seqlens, cp_context=context)
        assert max((a - b).norm() / b.norm() for a, b in zip(found, one)) < 1e-12
    # On the CPU one segment fills it, and the op is the plain one.
    found = differentiated(x, cu_seqlens=cu_seqlens, cp_context=ContextParallel.alone())
    assert all(torch.equal(a, b) for a, b in zip(found, one))


def test_a_layer_in_segments():
    from wyvern.torch import ContextParallel, GatedDeltaNet

    layer = GatedDeltaNet(hidden_size=16, head_dim=8, num_heads=2, num_v_heads=4, expand_v=1).double()
    x = torch.randn(2, 150, 16, dtype=torch.float64)
    found, _, _ = layer(x, cp_context=ContextParallel.alone(segments=2))
    assert torch.allclose(found, layer(x)[0], rtol=1e-10, atol=1e-12)


def test_segments_of_a_compiled_layer():
    """One graph; the same numbers."""
    from wyvern.torch import ContextParallel, chunk_gated_delta_rule

    x, context = operands(), ContextParallel.alone(segments=2)
    call = lambda: chunk_gated_delta_rule(**x, cp_context=context)[0]
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(), call())
    found, expected = (torch.autograd.grad(run().square().sum(), list(x.values())) for run in (compiled, call))
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_segments_that_pay(monkeypatch):
    """Of itself a context of one process takes segments for a backward alone, and not too few."""
    from wyvern.torch import ContextParallel, chunk_gated_delta_rule
    from wyvern.torch._ranks import ops
    from wyvern.torch._ranks.plan import Plan

    x, context, taken = operands(), ContextParallel.alone(), []
    call = ops.call
    monkeypatch.setattr(ops, "call", lambda *args: taken.append(args[-1].segments) or call(*args))
    for segments in (3, 4):
        monkeypatch.setattr(context, "_plan", lambda *args: Plan("", 1, segments, [], [], 2))
        chunk_gated_delta_rule(**x, cp_context=context)
        with torch.no_grad():
            chunk_gated_delta_rule(**x, cp_context=context)
    assert taken == [4]


def test_without_a_group():
    from wyvern.torch import ContextParallel

    with pytest.raises(RuntimeError, match="init_process_group"):
        ContextParallel()


@pytest.mark.parametrize("offsets", [None, (0, 41, 41, 170, 290)])
def test_segments_of_a_spec_that_computes(offsets):
    """What is written comes out of operands that keys are made of too, and is not zero with any of them."""
    from wyvern.torch import ContextParallel, op

    spec = op_cases.COMPUTES | {"heads": {"key": 2, "value": 2}}
    layer, cu_seqlens = op(spec), None if offsets is None else torch.tensor(offsets)
    torch.manual_seed(3)
    batch = 1 if offsets else 2
    shape = lambda words: [{"B": batch, "T": 290}.get(n) or int(n) for n in words.strip("[]").split(", ")]
    x = {n: (torch.randn(shape(words), dtype=torch.float64) / 2) for n, words in layer.shapes.items()}
    x["speed"] = x["speed"].abs() / 4
    state = torch.randn(4 if offsets else 2, 2, 8, 8, dtype=torch.float64)
    leaves = [y.requires_grad_() for y in (*x.values(), state)]

    def run(**arguments):
        o, last = layer(**x, initial_state=state, output_final_state=True, cu_seqlens=cu_seqlens, **arguments)
        weights = torch.linspace(0.5, 1.5, o.numel(), dtype=o.dtype).view_as(o)
        return o, last, *torch.autograd.grad((o * weights).sum() + last.square().sum(), leaves)

    for a, b in zip(run(cp_context=ContextParallel.alone(segments=3)), run()):
        assert (a - b).norm() / b.norm() < 1e-11


@pytest.mark.parametrize("offsets", [None, (0, 21, 21, 70, 80)])
@pytest.mark.parametrize("resumes", [True, False])
def test_segments_of_running_sums(offsets, resumes):
    """What tokens turn by goes on from segment to segment; also of a layer that has no states of its own."""
    from test_resume_op import ANGLES, draw
    from wyvern.torch import ContextParallel, op

    layer = op(ANGLES if resumes else ANGLES.replace("resume: true\n", ""))
    data, state = draw(layer, 1 if offsets else 2, sequences=4 if offsets else 2)
    cu_seqlens = None if offsets is None else torch.tensor(offsets)
    leaves = [x.requires_grad_() for x in (*data.values(), *(state.values() if resumes else ()))]

    def run(**arguments):
        given = {"initial_state": state, "output_final_state": True} if resumes else {}
        o, last = layer(**data, **given, cu_seqlens=cu_seqlens, **arguments)
        ends = (last["state"], last["phi"].cos(), last["phi"].sin()) if resumes else ()
        loss = (o * torch.linspace(0.5, 1.5, o.numel(), dtype=o.dtype).view_as(o)).sum()
        return o, *ends, *torch.autograd.grad(loss + sum((x * x.detach().cos()).sum() for x in ends), leaves)

    one = run()
    for segments in (1, 2):  # of whole chunks of 64 tokens
        for a, b in zip(run(cp_context=ContextParallel.alone(segments=segments)), one, strict=True):
            assert (a - b).norm() / b.norm().clamp(min=1e-3) < 1e-10


def test_no_number_of_another_sequence_is_summed():
    from test_resume_op import ANGLES, draw
    from wyvern.torch import ContextParallel, op

    layer = op(ANGLES)
    data, state = draw(layer, 1, sequences=2)
    data["theta"][:, 10] = float("nan")
    given = {"initial_state": state, "cu_seqlens": torch.tensor([0, 30, 83]), "output_final_state": True}
    o, last = layer(**data, **given, cp_context=ContextParallel.alone(segments=2))
    wanted, ends = layer(**data, **given)
    assert last["phi"][0].isnan().all() and o[:, 10:30].isnan().any()
    assert (o[:, 30:] - wanted[:, 30:]).norm() / wanted[:, 30:].norm() < 1e-10
    assert (last["phi"][1] - ends["phi"][1]).abs().max() < 1e-10


def test_running_sums_of_no_sequence_and_no_token():
    from test_resume_op import ANGLES, draw
    from wyvern.torch import ContextParallel, op

    layer = op(ANGLES)
    for batch, tokens in ((0, 9), (2, 0)):
        data, state = draw(layer, batch, tokens, batch)
        o, last = layer(**data, initial_state=state, output_final_state=True, cp_context=ContextParallel.alone(segments=2))
        assert o.shape[:2] == (batch, tokens) and (tokens or torch.allclose(last["state"], state["state"]))
        assert last["phi"].shape == state["phi"].shape


def test_what_is_refused_of_running_sums():
    """By the layer's name."""
    from test_resume_op import ANGLES, draw
    from wyvern.torch import ContextParallel, op

    layer, context = op(ANGLES), ContextParallel.alone(segments=2)
    data, _ = draw(layer)
    with pytest.raises(NotImplementedError, match="^turned: torch.func with cp_context is not supported"):
        torch.func.grad(lambda q: layer(**data | {"q": q}, cp_context=context)[0].sum())(data["q"])
    theta, q = (data[x].clone().requires_grad_() for x in ("theta", "q"))
    o, _ = layer(**data | {"theta": theta, "q": q}, cp_context=context)
    (gradient,) = torch.autograd.grad(o.sum(), theta, create_graph=True)
    with pytest.raises(NotImplementedError, match="^ranks_sums: the second derivative is not supported"):
        torch.autograd.grad(gradient.sum(), q)
    for segments in (1.5, "2", 0):
        with pytest.raises(ValueError, match=f"segments is {segments!r}, expected a whole number of 1 or more"):
            ContextParallel.alone(segments=segments)


def test_segments_of_a_compiled_running_sum():
    """One graph; the same numbers."""
    from test_resume_op import ANGLES, draw
    from wyvern.torch import ContextParallel, op

    layer, context = op(ANGLES), ContextParallel.alone(segments=2)
    data, state = draw(layer)
    leaves = [x.requires_grad_() for x in (*data.values(), *state.values())]
    call = lambda: layer(**data, initial_state=state, cp_context=context)[0]
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(), call())
    found, expected = (torch.autograd.grad(run().square().sum(), leaves) for run in (compiled, call))
    assert all(torch.equal(a, b) for a, b in zip(found, expected))
