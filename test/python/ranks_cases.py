# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Context parallelism on two processes of gloo, against one of them alone.

Both run each `case_*` function, of ranks_sum_cases.py too, started once by test_ranks.py:
`RANK=0 python ranks_cases.py <folder> <cases...>`. Every rank has whole tensors, so that
it can run the layer alone, and its part of them.
"""

import datetime
import itertools
import json
import os
import sys
import time
import traceback
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import op_cases
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate
from torch.utils.checkpoint import checkpoint
from wyvern._core.pieces import Pieces
from wyvern.torch import ContextParallel, DeltaNet, GatedDeltaNet, Layer, chunk_delta_rule, chunk_gated_delta_rule, op

WIDE = torch.float64
OPS = torch.ops.wyvern


def error(x, y):
    return ((x.double() - y.double()).norm() / y.double().norm().clamp(min=1e-30)).item()


def close(found, expected, bar=1e-12):
    for name in expected:
        assert found[name].shape == expected[name].shape, name
        assert error(found[name], expected[name]) < bar, (name, error(found[name], expected[name]))


def raises(kind, words, run):
    try:
        run()
    except kind as failure:
        assert words in str(failure), failure
    else:
        raise AssertionError(f"no {kind.__name__}: {words}")


def total(x):
    """Of all ranks."""
    x = x.detach().clone()
    dist.all_reduce(x)
    return x


def draw(tokens, batch=1, sequences=None, dtype=WIDE, gated=True, values=4):
    """Operands and states. Cases share head counts and dims, since each is a program to compile."""
    torch.manual_seed(7)
    unit = lambda: nn.functional.normalize(torch.randn(batch, tokens, 2, 8, dtype=WIDE), dim=-1)
    x = {"q": unit(), "k": unit(), "v": torch.randn(batch, tokens, values, 8, dtype=WIDE)}
    if gated:
        x["g"] = -torch.rand(batch, tokens, values, dtype=WIDE) / 10
    x["beta"] = 2 * torch.rand(batch, tokens, values, dtype=WIDE)
    state = torch.randn(sequences or batch, values, 8, 8, dtype=WIDE)
    return {name: tensor.to(dtype) for name, tensor in x.items()}, state.to(dtype)


def leaves(tensors):
    return {name: x.detach().clone().requires_grad_() for name, x in tensors.items()}


def run(function, x, state, weights, state_weights, **arguments):
    """o, the final state, and gradients of a weighted sum of both."""
    x, state = leaves(x), state.clone().requires_grad_()
    o, final = function(**x, initial_state=state, output_final_state=True, **arguments)
    ((o * weights).sum() + (final * state_weights).sum()).backward()
    out = {"o": o, "final": final, "d_state": state.grad}
    return {name: tensor.detach() for name, tensor in out.items()} | {f"d_{name}": leaf.grad for name, leaf in x.items()}


def compare(function, x, state, context, cu_seqlens=None, bar=1e-12):
    """The layer over ranks against the layer on this one."""
    cu_seqlens = None if cu_seqlens is None else torch.tensor(cu_seqlens)
    torch.manual_seed(8)
    o, final = function(**x, initial_state=state, output_final_state=True, cu_seqlens=cu_seqlens)
    weights, state_weights = torch.randn_like(o), torch.randn_like(final)
    one = run(function, x, state, weights, state_weights, cu_seqlens=cu_seqlens)
    mine = {name: cut(context, tensor, o.shape[1]) for name, tensor in x.items()}
    found = run(
        function, mine, state, context.local(weights), state_weights, cu_seqlens=cu_seqlens, cp_context=context
    )
    for name in ("final", "d_state"):
        found[name] = total(found[name])  # each sequence's is on one rank, and zero on others
    expected = {name: tensor if name in ("final", "d_state") else cut(context, tensor, o.shape[1]) for name, tensor in one.items()}
    close(found, expected, bar)
    return found


def cut(context, x, tokens):
    """This rank's rows of a tensor with some rows a token."""
    rows = x.shape[1] // tokens
    return context.local(x.unflatten(1, (tokens, rows))).flatten(1, 2)


# === The functions ===

# Order, lengths of parts, segments.
DENSE = [
    ("contiguous", None, 1),
    ("contiguous", [105, 99], 1),  # no multiple of a chunk
    ("contiguous", [204, 0], 1),
    ("contiguous", [0, 204], 2),
    ("contiguous", [201, 3], 3),
    ("zigzag", None, 1),
    ("zigzag", [54, 0, 100, 50], 2),
]


def case_dense():
    for gated, function in ((True, chunk_gated_delta_rule), (False, chunk_delta_rule)):
        x, state = draw(204, batch=2, gated=gated, values=4 if gated else 2)
        for order, lengths, segments in DENSE:
            compare(function, x, state, ContextParallel(order=order, lengths=lengths, segments=segments))


PACKED = [
    (("contiguous", [100, 100], 1), [0, 50, 50, 150, 200]),
    (("contiguous", [100, 100], 1), [0, 100, 200]),  # none crosses
    (("contiguous", [105, 95], 1), [0, 0, 10, 190]),  # tokens behind the last sequence
    (("contiguous", [5, 195], 2), [0, 20, 150, 150]),
    (("contiguous", [0, 200], 1), [0, 0, 200, 200]),
    (("contiguous", [200, 0], 1), [0, 0, 200, 200]),
    (("contiguous", [90, 110], 3), [0, 64, 80, 128, 200]),  # at borders of segments
    (("zigzag", [50, 50, 50, 50], 1), [0, 20, 50, 120, 200]),
    (("zigzag", [100, 0, 20, 80], 2), [0, 0, 170]),
    (("zigzag", [60, 60, 60, 20], 1), [0, 30, 70]),  # two parts without a sequence
]


def case_packed():
    for (order, lengths, segments), offsets in PACKED:
        x, state = draw(200, sequences=len(offsets) - 1)
        compare(chunk_gated_delta_rule, x, state, ContextParallel(order=order, lengths=lengths, segments=segments), offsets)


def case_types():
    for dtype, bar in ((torch.float32, 1e-6), (torch.bfloat16, 6e-3)):
        x, state = draw(200, dtype=dtype, values=2)
        o, _ = chunk_gated_delta_rule(**x, initial_state=state)
        context = ContextParallel(segments=2)
        mine = {name: context.local(tensor) for name, tensor in x.items()}
        found, _ = chunk_gated_delta_rule(**mine, initial_state=state, cp_context=context)
        assert found.dtype == dtype and error(found, context.local(o)) < bar


def case_what_fla_has_in_its_kernels():
    x, state = draw(100)
    x |= {"q": 3 * x["q"], "g": x["g"] * 30}
    gate = {"A_log": torch.randn(4, dtype=WIDE), "dt_bias": torch.randn(4, dtype=WIDE)}
    function = lambda **given: chunk_gated_delta_rule(
        **given, **gate, scale=0.3, use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True,
        use_beta_sigmoid_in_kernel=True, allow_neg_eigval=True,
    )  # fmt: skip
    compare(function, x, state, ContextParallel(lengths=[30, 70]))
    turned = lambda **given: chunk_gated_delta_rule(**given, state_v_first=True)
    compare(turned, draw(100)[0], state.mT.contiguous(), ContextParallel(lengths=[30, 70]))


def case_no_decay_of_what_others_hold():
    """A NaN stays in its sequence, also where the one before it ends in the same segment."""
    x, state = draw(100, sequences=3)
    x["v"][0, 20] = torch.nan
    mine = ContextParallel()
    offsets = torch.tensor([0, 60, 80, 100])
    local = leaves({name: mine.local(tensor) for name, tensor in x.items()})
    o, final = chunk_gated_delta_rule(
        **local, initial_state=state, output_final_state=True, cu_seqlens=offsets, cp_context=mine
    )
    if dist.get_rank() == 1:
        assert o[:, :10].isnan().all() and o[:, 10:].isfinite().all()
        assert final[0].isnan().any() and final[1:].isfinite().all()
    torch.where(o.isnan(), 0.0, o)[:, 10:].sum().backward()
    if dist.get_rank() == 1:
        assert local["k"].grad[:, 10:].isfinite().all()


def case_same_bits():
    x, state = draw(200, batch=2, dtype=torch.float32, values=2)
    runs = [compare(chunk_gated_delta_rule, x, state, ContextParallel(segments=2), bar=1e-4) for _ in range(3)]
    for again in runs[1:]:
        assert all(torch.equal(again[name], runs[0][name]) for name in again)


def case_one_gather_a_direction():
    """Of a matrix and a state a head forward, of a state a head backward, whatever the tokens and segments."""
    from benchmarks.ranks import Wire

    x, _ = draw(400, dtype=torch.float32, values=2)
    context = ContextParallel(segments=3)
    mine = leaves({name: context.local(tensor) for name, tensor in x.items()})
    with Wire() as wire:
        o, _ = chunk_gated_delta_rule(**mine, cp_context=context)
        forward = list(wire.sent)
        o.sum().backward()
    assert forward == [2 * 8 * (8 + 8) * 4] and wire.sent == [*forward, 2 * 8 * 8 * 4]


def case_stages():
    """Where maps are a stage of their own, ranks exchange before them what they can: played by
    whole programs."""
    from wyvern.torch._ranks import runs, stages

    Piece = namedtuple("Piece", "name is_backward outputs")
    order = []
    kept = stages.Layer.cut, stages.Stages._run, runs.join.gather

    def cut(layer, is_backward):
        saved = () if is_backward else [x.name for x in layer.family.signature.residuals]
        made = {"before": (), "maps": saved, "rest": ()}
        return Pieces(*(Piece(name, is_backward, outputs) for name, outputs in made.items()))

    def run_piece(stage, piece, left_out=()):
        order.append(piece.name)
        layer, given = stage.layer, stage._given
        names, saved = layer.family.signature.names, [x.name for x in layer.family.signature.residuals]
        if not piece.is_backward and piece.name != "before":
            found = layer.run("_forward", layer.operands, given.get("initial_state"), True)
            made = dict(zip(("o", "final_state", *saved), found))
            given |= made if piece.name == "rest" else {name: made[name] for name in saved}
        elif piece.name == "rest":
            rest = [given[name] for name in (*saved, "d_o", "d_final_state")]
            found = layer.run("_backward", layer.operands, given["initial_state"], *rest)
            given |= zip((f"d_{name}" for name in (*names, "initial_state")), found)

    gather = lambda *args: order.append("gather") or kept[2](*args)
    stages.Layer.cut, stages.Stages._run, runs.join.gather = cut, run_piece, gather
    try:
        for (parts, lengths, offsets), gathers in itertools.product(
            (
                ("contiguous", [41, 49], None),
                ("zigzag", [20, 30, 30, 10], None),
                ("contiguous", [41, 49], [0, 20, 20, 61, 90]),
            ),
            (1, 2),
        ):
            x, state = draw(90, sequences=None if offsets is None else len(offsets) - 1)
            order.clear()
            context = ContextParallel(order=parts, lengths=lengths, segments=2, gathers=gathers)
            compare(chunk_gated_delta_rule, x, state, context, offsets)
            forward = ["before", "gather", "maps"] if gathers == 1 else ["before", "gather", "maps", "rest", "gather"]
            assert order == [*forward, "before", "gather", "maps", "rest"], order
    finally:
        stages.Layer.cut, stages.Stages._run, runs.join.gather = kept


def case_past_the_dispatcher():
    """The way of calls on a GPU, and back to the op where a second derivative is asked for."""
    from wyvern.torch._ranks import ops

    kept, context = ops._direct, ContextParallel(lengths=[41, 49], segments=2)
    ops._direct = SimpleNamespace(is_open=lambda tensors: True, needs_gradient=kept.needs_gradient)
    try:
        x, state = draw(90)
        compare(chunk_gated_delta_rule, x, state, context)
        mine = leaves({name: context.local(tensor) for name, tensor in x.items()})
        o, _ = chunk_gated_delta_rule(**mine, cp_context=context)
        assert o.grad_fn.name() == "_DifferentiableBackward"
        with torch.no_grad():
            assert torch.equal(chunk_gated_delta_rule(**mine, cp_context=context)[0], o)
        (d,) = torch.autograd.grad(o.sum(), mine["v"], create_graph=True)
        raises(NotImplementedError, "second derivative", lambda: d.sum().backward())
    finally:
        ops._direct = kept


def case_only_some_gradients():
    """A rank whose loss is empty takes part in the backward of the others."""
    x, _ = draw(80)
    weights = torch.randn_like(x["v"])
    weights[:, :40] = 0
    one = leaves(x)
    (chunk_gated_delta_rule(**one)[0] * weights).sum().backward()
    context = ContextParallel()
    mine = leaves({name: context.local(tensor) for name, tensor in x.items()})
    o, _ = chunk_gated_delta_rule(**mine, cp_context=context)
    (o * context.local(weights)).sum().backward()
    close({name: leaf.grad for name, leaf in mine.items()}, {name: context.local(one[name].grad) for name in one})


# === Specs ===


# Several rows a token, fewer keys than columns in a state: and products that are erased and
# written, a rate that is 1, and more keys than columns, for which a probe runs twice.
REPEATED = op_cases.spec("repeated", dims={"key": 6, "value": 8})
PRODUCTS = op_cases.spec("products", decay="none")


def case_specs():
    for spec in (REPEATED, PRODUCTS):
        layer = op(spec)
        x = op_cases.make(spec["name"], layer.shapes, batch=1, tokens=90, sequences=3)
        del x["initial_state"]
        state = torch.randn(3, 4, spec["dims"]["key"], spec["dims"]["value"], dtype=WIDE)
        compare(layer, x, state, ContextParallel(lengths=[41, 49]), [0, 30, 30, 88])
        compare(layer, x, state[:1], ContextParallel(order="zigzag", lengths=[20, 30, 30, 10]))


# === Layers ===

HIDDEN = 16
LAYERS = (
    lambda: GatedDeltaNet(hidden_size=HIDDEN, head_dim=8, num_heads=2, num_v_heads=4, expand_v=1),
    lambda: DeltaNet(hidden_size=HIDDEN, num_heads=2, use_short_conv=False),
    lambda: Layer(PRODUCTS, HIDDEN, use_gate=True),
    lambda: Layer(op_cases.COMPUTES | {"parameters": {"speed": "head", "w": "key"}}, HIDDEN),
)


def make_layer(i=0):
    torch.manual_seed(9)
    return LAYERS[i]().double()


def apply(layer, x, **arguments):
    y = layer(x, **arguments)
    return y[0] if isinstance(y, tuple) else y


def loss(layer, x, weights, context=None, **arguments):
    """A sum over this rank's tokens, of a layer over ranks or, without a context, of one."""
    if context is None:
        return (apply(layer, x, **arguments) * weights).sum()
    return (apply(layer, context.local(x), cp_context=context, **arguments) * context.local(weights)).sum()


def gradients_of(layer):
    return {name: p.grad if p.grad is not None else torch.zeros_like(p) for name, p in layer.named_parameters()}


def rows(tokens=60):
    torch.manual_seed(10)
    return torch.randn(2, 1, tokens, HIDDEN, dtype=WIDE).unbind()


def case_layers():
    for i in range(len(LAYERS)):
        for order, lengths, offsets in (
            ("contiguous", [35, 25], None),
            ("zigzag", [10, 2, 1, 47], None),  # less than the convolution looks back at
            ("contiguous", [2, 58], [0, 1, 30, 60]),
            ("zigzag", [10, 0, 2, 48], [0, 11, 40, 55]),
        ):
            x, weights = rows()
            cu = None if offsets is None else torch.tensor(offsets)
            one, mine = make_layer(i), make_layer(i)
            loss(one, x, weights, cu_seqlens=cu).backward()
            loss(mine, x, weights, ContextParallel(order=order, lengths=lengths), cu_seqlens=cu).backward()
            found = {name: total(gradient) for name, gradient in gradients_of(mine).items()}
            close(found, gradients_of(one), 1e-11)


def case_halo():
    x = torch.arange(1.0, 11.0).view(1, 10, 1).expand(2, 10, 3)
    for order, lengths, expected in (
        ("contiguous", [8, 2], [[[0, 0, 0]], [[6, 7, 8]]]),
        ("zigzag", [1, 1, 0, 8], [[[0, 0, 0], [0, 1, 2]], [[0, 0, 1], [0, 1, 2]]]),
    ):
        context = ContextParallel(order=order, lengths=lengths)
        mine = context.local(x).clone().requires_grad_()
        halo = context.halo(mine, 3)
        assert halo[1, :, :, 2].tolist() == expected[dist.get_rank()]
        halo.sum().backward()
        uses = [sum(value == token for part in expected for row in part for value in row) for token in range(1, 11)]
        assert torch.equal(mine.grad[0, :, 0], context.local(torch.tensor(uses, dtype=torch.float32)[None])[0])


def case_compile():
    """One graph; the same numbers."""
    x, weights = rows()
    layer, compiled = make_layer(), make_layer()
    compiled.compile(fullgraph=True, backend="aot_eager")
    context = ContextParallel(order="zigzag", lengths=[10, 20, 13, 17])
    loss(layer, x, weights, context).backward()
    loss(compiled, x, weights, context).backward()
    close(gradients_of(compiled), gradients_of(layer), 1e-14)


def case_checkpoint():
    x, weights = rows()
    context = ContextParallel()
    layer, again = make_layer(), make_layer()
    loss(layer, x, weights, context).backward()
    y = checkpoint(lambda x: apply(again, x, cp_context=context), context.local(x), use_reentrant=False)
    (y * context.local(weights)).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(gradients_of(again).values(), gradients_of(layer).values()))


def case_data_parallel():
    """DDP and FSDP2 average over ranks, so a rank's loss is a mean over its tokens."""
    x, weights = rows()
    context, one = ContextParallel(), make_layer()
    (loss(one, x, weights) / x.shape[1]).backward()
    ddp = nn.parallel.DistributedDataParallel(make_layer())
    (loss(ddp, x, weights, context) / (x.shape[1] / 2)).backward()
    close(gradients_of(ddp.module), gradients_of(one), 1e-11)
    sharded = make_layer()
    fully_shard(sharded, mesh=init_device_mesh("cpu", (2,)))
    (loss(sharded, x, weights, context) / (x.shape[1] / 2)).backward()
    close({name: x.full_tensor() for name, x in gradients_of(sharded).items()}, gradients_of(one), 1e-11)


# === Groups, and what is refused ===


def case_groups():
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("data", "context"))
    x, state = draw(64)
    compare(chunk_gated_delta_rule, x, state, ContextParallel(mesh["context"]))
    raises(ValueError, "expected 1", lambda: ContextParallel(mesh))
    raises(TypeError, "group is a int", lambda: ContextParallel(3))
    alone = [dist.new_group([rank]) for rank in range(2)][dist.get_rank()]
    assert torch.equal(
        chunk_gated_delta_rule(**x, cp_context=ContextParallel(alone))[0], chunk_gated_delta_rule(**x)[0]
    )
    o, _ = chunk_gated_delta_rule(**x, cp_context=ContextParallel(alone, segments=1))
    assert error(o, chunk_gated_delta_rule(**x)[0]) < 1e-14


def case_divide():
    context = ContextParallel(order="zigzag").divide(9)
    assert context.lengths == (3, 3, 3, 0) and context.local(torch.arange(9), 0).tolist() == [[0, 1, 2], [3, 4, 5, 6, 7, 8]][dist.get_rank()]


def case_fla_context():
    """What flash-linear-attention's build_cp_context makes: offsets of the rank's own tokens."""
    theirs = namedtuple("FLACPContext", "group cu_seqlens pre_num_ranks post_num_ranks pre_num_ranks_by_part post_num_ranks_by_part layout")
    x, state = draw(100, sequences=4)
    one, weights = leaves(x), torch.randn(1, 100, 4, 8, dtype=WIDE, generator=torch.Generator().manual_seed(3))
    o, _ = chunk_gated_delta_rule(**one, cu_seqlens=torch.tensor([0, 20, 70, 90, 100]))
    (o * weights).sum().backward()
    rank = dist.get_rank()
    for order, offsets, before, behind in (
        ("contiguous", [[0, 20, 50], [0, 20, 40, 50]], [[0], [1]], [[1], [0]]),
        # Parts of 25: from 0 and 75; from 25 and 50.
        ("zigzag", [[0, 20, 25, 40, 50], [0, 25, 45, 50]], [[0, 1], [1, 2]], [[2, 0], [1, 1]]),
    ):
        context = ContextParallel(order=order)
        counts = (before[rank][0], behind[rank][0], before[rank], behind[rank], order)
        given = theirs(context.group, torch.tensor(offsets[rank]), *counts)
        mine = leaves({name: context.local(tensor) for name, tensor in x.items()})
        found, _ = chunk_gated_delta_rule(**mine, cp_context=given)
        (found * context.local(weights)).sum().backward()
        expected = {"o": context.local(o)} | {name: context.local(leaf.grad) for name, leaf in one.items()}
        close({"o": found} | {name: leaf.grad for name, leaf in mine.items()}, expected)


def case_refused():
    x, state = draw(8)
    context, layer = ContextParallel(), make_layer()
    call = lambda **given: chunk_gated_delta_rule(**x | given, cp_context=context)
    raises(TypeError, "expected a wyvern.torch.ContextParallel", lambda: chunk_delta_rule(x["q"], x["k"], x["v"], x["beta"], cp_context=3))
    raises(ValueError, "pass lengths", lambda: chunk_gated_delta_rule(**x, cp_context=ContextParallel(lengths=[3, 4])))
    odd = {name: tensor[:, :7] for name, tensor in x.items()}
    raises(ValueError, "even number", lambda: chunk_gated_delta_rule(**odd, cp_context=ContextParallel(order="zigzag")))
    raises(ValueError, "expected 2 of 0 or more", lambda: ContextParallel(lengths=[3]))
    raises(ValueError, "expected one of 'contiguous'", lambda: ContextParallel(order="striped"))
    raises(ValueError, "expected a whole number of 1 or more", lambda: ContextParallel(segments=0))
    raises(ValueError, "expected 1 or 2", lambda: ContextParallel(gathers=3))
    raises(ValueError, "take divide", lambda: context.local(x["q"][:, :7]))
    none = torch.zeros(1, dtype=torch.int64)
    raises(ValueError, "expected at least 2", lambda: call(cu_seqlens=none))
    raises(NotImplementedError, "torch.func", lambda: torch.func.grad(lambda v: call(v=v)[0].sum())(x["v"]))
    mask = torch.ones(1, 60)
    raises(ValueError, "attention_mask", lambda: layer(rows()[0], attention_mask=mask, cp_context=context))
    layer.backend = "torch"
    raises(ValueError, "backend", lambda: layer(rows()[0], cp_context=context))
    whole = {name: DTensor.from_local(tensor, init_device_mesh("cpu", (2,)), [Replicate()]) for name, tensor in x.items()}
    raises(TypeError, "q is a DTensor", lambda: chunk_gated_delta_rule(**whole))
    second = leaves(x)
    (d,) = torch.autograd.grad(chunk_gated_delta_rule(**second, cp_context=context)[0].sum(), second["v"], create_graph=True)
    raises(NotImplementedError, "second derivative", lambda: d.sum().backward())


def case_schemas():
    x, state = draw(20)
    plan = ContextParallel(segments=2)._plan(1, 4, 20, torch.device("cpu"))
    operands = [x[name].requires_grad_() for name in ("q", "k", "v", "g", "beta")]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(OPS.gated_delta_rule_ranks_forward.default, (*operands, state, None, True, *plan), test_utils=tests)
    torch.library.opcheck(OPS.ranks_halo.default, (rows()[0].requires_grad_(), 3, *plan), test_utils=tests)


def case_disagree():
    """All ranks are told, before anything hangs."""
    rank = dist.get_rank()
    x, _ = draw(9, batch=2 + rank)
    raises(RuntimeError, "ranks disagree", lambda: chunk_gated_delta_rule(**x, cp_context=ContextParallel()))
    x, _ = draw(9 + rank, batch=2)
    raises(RuntimeError, "ranks disagree", lambda: chunk_gated_delta_rule(**x, cp_context=ContextParallel()))
    raises(RuntimeError, "ranks disagree", lambda: ContextParallel().halo(rows()[0], 5 + rank))
    x, state = draw(20, batch=2)
    compare(chunk_gated_delta_rule, x, state, ContextParallel())  # and can go on


def case_missing():
    group = dist.new_group([0, 1], timeout=datetime.timedelta(seconds=1))
    if dist.get_rank() == 0:
        x, _ = draw(9)
        raises(RuntimeError, "rank 1 did not come", lambda: chunk_gated_delta_rule(**x, cp_context=ContextParallel(group)))


def case_language_model():
    """A training run over ranks has the losses of one process."""
    from examples.language_model import train

    folder = Path(sys.argv[1])
    options = ["--size=tiny", "--steps=3", "--tokens=64", "--layers=1", "--hidden-size=16", "--heads=2", "--device=cpu", f"--text={__file__}"]
    losses = []
    for count in (1, 2):
        out = folder / f"model-{count}-{dist.get_rank() if count == 1 else 0}"
        train.main([*options, f"--out={out}", f"--context-parallel={count}", *["--order=zigzag"] * (count == 2)])
        dist.barrier()
        records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        losses.append([record[x] for record in records for x in ("loss", "validation") if x in record])
    assert len(losses[0]) == 4 and all(abs(a - b) < 1e-4 for a, b in zip(*losses)), losses
    raises(ValueError, "--hybrid", lambda: train.main([*options, f"--out={folder / 'x'}", "--context-parallel=2", "--hybrid=global"]))


def main(folder, *cases):
    import ranks_sum_cases  # which has this module's helpers

    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
    )
    with open(f"{folder}/{rank}.jsonl", "w") as log:
        for case in cases:
            failure, start = None, time.monotonic()
            try:
                getattr(ranks_sum_cases, case, globals().get(case))()
            except BaseException:
                failure = traceback.format_exc()
            seconds = round(time.monotonic() - start, 1)
            print(json.dumps({"case": case, "seconds": seconds, "failure": failure}), file=log, flush=True)
            if failure:
                os._exit(1)  # the other rank may wait for this one
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
