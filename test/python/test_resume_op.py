# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops of layers that go on from more than a state (`resume: true`): angles of running sums, and positions of levels.

Two calls are one, forward and backward, in torch and in JAX; one call is judged by test_compute.py and test_levels.py."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import numpy as np
import wyvern
import wyvern.torch
from test_levels import spec as levels

ANGLES = """name: turned
heads: {key: 2, value: 2}
dims: {key: 16, value: 8}
dtype: bf16
decay: head
compute:
  - phi: running_sum(theta)
  - q: rotate(normalize(q), phi)
  - k: rotate(normalize(k), phi)
  - g: -exp(A_log) * softplus(a + dt_bias)
  - beta: sigmoid(b)
parameters: {A_log: head, dt_bias: head}
resume: true
steps:
  - {write: k, value: v, rate: beta}
"""
SHARED = ("A_log", "dt_bias")
T, CUT = 83, 41
NAMES = ("angles", "levels")


def text(name):
    return ANGLES if name == "angles" else levels("log_linear_gdn", resume=True)


def draw(op, batch=2, tokens=T, sequences=2):
    """Returns operands, and a state of the middle of a sequence."""
    rng = np.random.default_rng(3)
    extent = {"B": batch, "T": tokens}
    shape = lambda words: [extent[n] if n in extent else int(n) for n in words.strip("[]").split(", ")]
    data = {name: torch.tensor(rng.standard_normal(shape(words))) for name, words in op.shapes.items() if name in op.operands}
    if "g" in data:
        data["g"], data["beta"] = -data["g"].abs(), data["beta"].sigmoid()
        data["k"] = torch.nn.functional.normalize(data["k"], dim=-1)
    heads, dims = op.spec["heads"], op.spec["dims"]
    count = data["level_scales"].shape[2] if "level_scales" in data else heads["value"]
    state = {"state": torch.tensor(rng.standard_normal((sequences, count, dims["key"], dims["value"])))}
    if "theta" in data:
        state["phi"] = torch.tensor(rng.standard_normal((sequences, heads["key"], dims["key"] // 2)))
    else:
        state["positions"] = torch.tensor([5.0, 64.0][:sequences], dtype=torch.float64)
    return data, state


def cut(data, part):
    return {n: x if n in SHARED else x[:, part] for n, x in data.items()}


def close(found, wanted, bar=1e-11):
    for x, y in zip(found, wanted, strict=True):
        assert (x - y).norm() <= bar * max(1e-3, y.norm()), (x - y).norm() / y.norm()


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_of_torch_are_one(name):
    """With the gradients of all operands and of what the first call starts from."""
    op = wyvern.torch.op(text(name))
    data, state = draw(op)
    assert not {"initial_phi", "positions"} & set(op.operands) and op.carries == tuple(list(state)[1:])
    leaves = [x.requires_grad_() for n, x in {**data, **state}.items() if n != "positions"]

    def run(parts):
        outputs, last = [], state
        for part in parts:
            o, last = op(**cut(data, part), initial_state=last, output_final_state=True)
            outputs.append(o)
        o = torch.cat(outputs, 1)
        loss = o.square().sum() + last["state"].square().sum()
        if "phi" in last:
            loss = loss + last["phi"].cos().sum()
        return [o, *last.values()], torch.autograd.grad(loss, leaves)

    whole, wanted = run([slice(None)])
    parts, found = run([slice(0, CUT), slice(CUT, T)])
    assert len(whole) == 3
    close(parts, whole, 1e-10)
    close(found, wanted, 1e-9)
    if name == "levels":
        assert whole[2].tolist() == [5 + T, 64 + T]


@pytest.mark.parametrize("name", NAMES)
def test_packed_sequences_of_torch(name):
    """And without a state, which is zeros."""
    op = wyvern.torch.op(text(name))
    data, state = draw(op, batch=1)
    cu_seqlens = torch.tensor([0, 30, T])
    o, last = op(**data, initial_state=state, cu_seqlens=cu_seqlens, output_final_state=True)
    for n, part in enumerate((slice(0, 30), slice(30, T))):
        own = {x: y[n : n + 1] for x, y in state.items()}
        alone, after = op(**cut(data, part), initial_state=own, output_final_state=True)
        close([o[:, part]], [alone])
        close([x[n : n + 1] for x in last.values()], after.values())
    zeros = {x: torch.zeros_like(y) for x, y in state.items()}
    for given in ({}, {"state": zeros["state"]}, zeros):
        close(op(**data, initial_state=given or None, cu_seqlens=cu_seqlens)[:1], op(**data, initial_state=zeros, cu_seqlens=cu_seqlens)[:1])


@pytest.mark.parametrize("name", NAMES)
def test_transforms_of_torch(name):
    """opcheck, torch.compile, torch.func.grad and vmap."""
    op = wyvern.torch.op(text(name))
    data, state = draw(op)
    names, start = list(data), list(state)

    def loss(*tensors):
        given = dict(zip(names, tensors))
        o, last = op(**given, initial_state=dict(zip(start, tensors[len(names) :])), output_final_state=True)
        return o.square().sum() + last["state"].sum()

    tensors = (*data.values(), *state.values())
    count = len(tensors) - ("positions" in state)
    wanted = torch.autograd.grad(loss(*(x.requires_grad_() for x in tensors)), tensors[:count])
    found = torch.func.grad(loss, argnums=tuple(range(count)))(*(x.detach() for x in tensors))
    close(found, wanted, 1e-10)
    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")
    close(torch.autograd.grad(compiled(*tensors), tensors[:count]), wanted, 1e-10)
    with torch.no_grad():
        mapped = torch.func.vmap(loss, in_dims=tuple(0 if n == "v" else None for n in (*names, *start)))
        twice = [torch.stack([x, 2 * x]) if n == "v" else x for n, x in zip((*names, *start), tensors)]
        close(mapped(*twice), [loss(*(x[i] if n == "v" else x for n, x in zip((*names, *start), twice))) for i in range(2)])
    ordered = op.convert(tuple(data[x] for x in op.operands))
    torch.library.opcheck(op.ops.forward, (*ordered.values(), *list(state.values())[1:], state["state"], None, True), test_utils=("test_schema", "test_faketensor"))


def test_what_is_summed_is_dense(monkeypatch):
    """A slice over time of a batch of several has rows of others in between, which the kernel of a GPU would sum."""
    from wyvern.torch import _transforms

    op = wyvern.torch.op(ANGLES)
    data, state = draw(op)
    part = cut(data, slice(0, CUT))
    assert not part["theta"].is_contiguous()
    seen, call = [], _transforms.call
    monkeypatch.setattr(_transforms, "call", lambda name, tensors, *rest: seen.append(tensors) or call(name, tensors, *rest))
    op(**part, initial_state=state)
    assert seen[0][op.operands.index("theta")].is_contiguous() and not seen[0][op.operands.index("q")].is_contiguous()


def test_torch_refuses_other_states():
    op = wyvern.torch.op(ANGLES)
    data, state = draw(op)
    with pytest.raises(TypeError, match="initial_state is a Tensor, expected what final_state of an earlier call is, a dict with state, phi"):
        op(**data, initial_state=state["state"])
    with pytest.raises(TypeError, match=r"initial_state is \['angle'\], expected"):
        op(**data, initial_state={"angle": state["phi"]})
    with pytest.raises(ValueError, match=r"initial_phi has shape \[1, 2, 8\], expected \[2, 2, 8\]"):
        op(**data, initial_state={"phi": state["phi"][:1]})


def test_sums_of_jax_without_states():
    """Of a layer that does not say resume: true, with its gradients, and of packed sequences."""
    jax = pytest.importorskip("jax")
    import wyvern.jax

    text = ANGLES.replace("resume: true\n", "")
    op, theirs = wyvern.jax.op(text), wyvern.torch.op(text)
    data, _ = draw(theirs, 1)
    leaves = [x.requires_grad_() for x in data.values()]
    bounds = np.array([0, 30, T])
    o, _ = theirs(**data, cu_seqlens=torch.tensor(bounds))
    wanted = torch.autograd.grad(o.square().sum(), leaves)
    with jax.enable_x64(True):
        arrays = {n: jax.numpy.asarray(x.detach().numpy()) for n, x in data.items()}
        loss = lambda x: (op(**x, cu_seqlens=bounds)[0] ** 2).sum()
        found = jax.jit(jax.grad(loss))(arrays)
        close([torch.tensor(np.asarray(op(**arrays, cu_seqlens=bounds)[0]))], [o.detach()])
        close([torch.tensor(np.asarray(found[n])) for n in data], wanted, 1e-10)
        with pytest.raises(TypeError, match="output_final_state is given, but a layer with levels or running sums has no states"):
            op(**arrays, output_final_state=True)


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_of_jax_are_one(name):
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp
    import wyvern.jax

    op = wyvern.jax.op(text(name))
    data, state = draw(wyvern.torch.op(text(name)))
    theirs = wyvern.torch.op(text(name))(**data, initial_state=state, output_final_state=True)
    with jax.enable_x64(True):
        data, state = ({n: jnp.asarray(x.numpy()) for n, x in part.items()} for part in (data, state))

        def run(data, state, parts):
            outputs = []
            for part in parts:
                o, state = op(**cut(data, slice(*part)), initial_state=state, output_final_state=True)
                outputs.append(o)
            o = jnp.concatenate(outputs, 1)
            loss = (o**2).sum() + (state["state"] ** 2).sum()
            return loss + (jnp.cos(state["phi"]).sum() if "phi" in state else 0), (o, state)

        both = jax.jit(jax.value_and_grad(run, argnums=(0, 1), has_aux=True), static_argnums=2)
        whole, parts = both(data, state, ((0, T),)), both(data, state, ((0, CUT), (CUT, T)))
        to_torch = lambda tree: [torch.tensor(np.asarray(x)) for x in jax.tree.leaves(tree)]
        close(to_torch(parts), to_torch(whole), 1e-9)
        (_, (o, last)), _ = whole
        close(to_torch([o, last["state"]]), [theirs[0], theirs[1]["state"]])
        zeros = op(**data)[0]
        close(to_torch(zeros), to_torch(op(**data, initial_state={x: jnp.zeros_like(y) for x, y in state.items()})[0]))
        mapped = jax.vmap(lambda v: op(**data | {"v": v})[0])(jnp.stack([data["v"], 2 * data["v"]]))
        close(to_torch(mapped)[0], [torch.tensor(np.asarray(op(**data | {"v": v})[0])) for v in (data["v"], 2 * data["v"])])
