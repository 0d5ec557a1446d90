# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.jax.op on the CPU: any spec as a differentiable JAX function.

Judged as wyvern.torch.op is, by the token recurrence in float64 and through autograd.
"""

import copy
import inspect
import pickle
import re

import pytest

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import jax.numpy as jnp
import numpy as np
import op_cases
import wyvern
from jax.sharding import PartitionSpec as P
from op_cases import DELTA, LAYERS, close, expected, spec
from wyvern.jax import _programs, op

jax.config.update("jax_num_cpu_devices", 4)  # virtual ones, for shard_map


@pytest.fixture(autouse=True, scope="module")
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory, wyvernc):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WYVERN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def make(name, dtype=jnp.float64, batch=2, tokens=71, sequences=None):
    """Random operands and a state, by name."""
    tensors = op_cases.make(name, op(spec(name)).shapes, batch, tokens, sequences)
    return {operand: jnp.asarray(x.numpy(), dtype) for operand, x in tensors.items()}


def to_torch(arrays):
    return [torch.from_numpy(np.array(x, np.float64)) for x in arrays]


def judged(name, data, cu_seqlens=None):
    """What the recurrence says: its outputs, and gradients of weighted ones by name."""
    leaves = {x: y.requires_grad_() for x, y in zip(data, to_torch(data.values()))}
    cu_seqlens = None if cu_seqlens is None else torch.tensor(np.asarray(cu_seqlens))
    wanted = expected(name, leaves, cu_seqlens)
    value = sum((x * seed).sum() for x, seed in zip(wanted, op_cases.weights(wanted)))
    gradients = torch.autograd.grad(value, list(leaves.values()))
    return [x.detach() for x in wanted], dict(zip(data, gradients))


def with_gradients(function, data, **options):
    """The outputs of an op, and gradients of the same weighted ones by name."""
    call = lambda x: function(**x, **options, output_final_state=True)

    def loss(x):
        outputs = call(x)
        seeds = [jnp.asarray(seed.numpy()) for seed in op_cases.weights(outputs)]
        return sum((y * seed).sum() for y, seed in zip(outputs, seeds)), outputs

    (_, outputs), gradients = jax.value_and_grad(loss, has_aux=True)(data)
    return outputs, gradients


def check(found, wanted, bar=1e-10):
    (outputs, gradients), (right, right_gradients) = found, wanted
    close(to_torch(outputs), right, bar)
    close(to_torch(gradients[x] for x in right_gradients), right_gradients.values(), bar)


def same(found, wanted):
    found, wanted = jax.tree.leaves(found), jax.tree.leaves(wanted)
    assert len(found) == len(wanted)
    assert all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(found, wanted))


# === Values and gradients ===


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(name):
    data, function = make(name), op(spec(name))
    found = with_gradients(function, data)
    check(found, judged(name, data))
    same(jax.jit(lambda data: with_gradients(function, data))(data), found)
    # Without gradients the bits are the same, and without states there are none.
    same(function(**data), (found[0][0], None))


@pytest.mark.parametrize("name, kind", [(x, "int32" if x == "gated" else "int64") for x in LAYERS])
def test_packed(name, kind):
    data, cu = make(name, batch=1, sequences=3), jnp.array([0, 20, 20, 66], kind)
    function = op(spec(name))
    found = with_gradients(function, data, cu_seqlens=cu)
    check(found, judged(name, data, cu))
    assert not found[0][0][0, 66:].any()
    same(jax.jit(lambda data, cu: with_gradients(function, data, cu_seqlens=cu))(data, cu), found)


@pytest.mark.parametrize("name", ["gated", "sum"])
def test_without_a_state(name):
    data, function = make(name), op(spec(name))
    zeros = data | {"initial_state": jnp.zeros_like(data["initial_state"])}
    del data["initial_state"]
    outputs, gradients = with_gradients(function, zeros)
    del gradients["initial_state"]
    same(with_gradients(function, data), (outputs, gradients))
    cu = jnp.array([0, 20, 71])
    packed = {x: y[:1] for x, y in data.items()}
    zeros = packed | {"initial_state": jnp.zeros((2, 4, 8, 6))}
    outputs, gradients = with_gradients(function, zeros, cu_seqlens=cu)
    del gradients["initial_state"]
    same(with_gradients(function, packed, cu_seqlens=cu), (outputs, gradients))


@pytest.mark.parametrize(
    "name, dtype, bar",
    [("products", jnp.float32, 2e-5), ("gated", jnp.float16, 4e-3), ("gated", jnp.bfloat16, 3e-2)],
)
def test_types(name, dtype, bar):
    """o is in q's type, states are in float32, gradients in the types of their arrays."""
    data = make(name, dtype)
    data["g"] = data["g"].astype(jnp.float32)
    found = with_gradients(op(spec(name)), data)
    (o, state), gradients = found
    assert o.dtype == dtype and state.dtype == jnp.float32
    assert all(gradients[x].dtype == y.dtype for x, y in data.items())
    check(found, judged(name, data), bar)


def test_16_bits_are_the_rounded_program():
    """The one that judges the kernels, whose tensors the GPU's program has too."""
    data = make("gated", jnp.bfloat16)
    data |= {x: data[x].astype(jnp.float32) for x in ("g", "beta", "initial_state")}
    o, state = op(spec("gated"))(**data, output_final_state=True)
    program = wyvern.compile(spec("gated"), target="cpu", precision="rounded")
    out = program(**{x: np.asarray(y) for x, y in data.items()})
    assert np.array_equal(o, out["o"]) and np.array_equal(state, out["final_state"])


def test_without_float64():
    """As JAX is without being told: offsets of 32 bits, and nothing wider."""
    with jax.enable_x64(False):
        data, cu = make("gated", jnp.float32, batch=1, sequences=2), jnp.array([0, 40, 71])
        found = with_gradients(op(spec("gated")), data, cu_seqlens=cu)
    assert cu.dtype == jnp.int32 and found[0][1].dtype == jnp.float32
    check(found, judged("gated", data, cu), 2e-5)


def test_one_token_and_none():
    function, data = op(spec("gated")), make("gated", tokens=1)
    check(with_gradients(function, data), judged("gated", data))
    data = make("gated", tokens=0)
    (o, state), gradients = with_gradients(function, data)
    assert o.shape == (2, 0, 4, 6) and gradients["q"].shape == (2, 0, 2, 8)
    same(state, data["initial_state"])


def test_a_gate_of_minus_infinity_resets():
    data, function = make("products"), op(spec("products"))
    data["g"] = data["g"].at[:, 40].set(-jnp.inf)
    (o, _), gradients = with_gradients(function, data)
    cut = {x: y[:, 40:] for x, y in data.items() if x != "initial_state"}
    close(to_torch([o[:, 40:]]), to_torch(function(**cut)[:1]))
    assert all(jnp.isfinite(x).all() for x in gradients.values())
    assert not gradients["g"][:, 40].any() and gradients["g"][:, 41].any()


# === JAX's transformations ===


@pytest.mark.parametrize("name", ["repeated", "sum"])
def test_vmap_of_gradients(name):
    """Gradients of each sample, of which q is the same."""
    function, data = op(spec(name)), make(name, tokens=9)
    more = {x: jnp.stack([y, y[:, ::-1], jnp.roll(y, 1, 0)], 1) for x, y in data.items()} | {"q": data["q"]}
    axes = {x: None if x == "q" else 1 for x in data}
    loss = lambda x: sum((y**2).sum() for y in function(**x, output_final_state=True))
    found = jax.jit(jax.vmap(jax.value_and_grad(loss), (axes,)))(more)
    each = [{x: y if x == "q" else y[:, i] for x, y in more.items()} for i in range(3)]
    wanted = [jax.value_and_grad(loss)(data) for data in each]
    same(found, jax.tree.map(lambda *x: jnp.stack(x), *wanted))


def test_vmap_of_packed_sequences():
    function, data = op(spec("gated")), make("gated", batch=1, tokens=9, sequences=2)
    more = {x: jnp.stack([y, y[:, ::-1]]) for x, y in data.items()}
    cu = jnp.array([[0, 4, 9], [0, 0, 7]])
    call = lambda data, cu: with_gradients(function, data, cu_seqlens=cu)
    found = jax.vmap(call)(more, cu)
    wanted = [call({x: y[i] for x, y in more.items()}, cu[i]) for i in range(2)]
    same(found, jax.tree.map(lambda *x: jnp.stack(x), *wanted))


@pytest.mark.parametrize("mapped", [("A",), ("a", "v")])
def test_vmap_of_parameters(mapped):
    function = op(op_cases.PARAMETERS)
    data = {x: jnp.asarray(y.numpy()) for x, y in op_cases.make("parameters", function.shapes, tokens=9).items()}
    del data["initial_state"]
    more = {x: jnp.stack([y, y[::-1], 2 * y]) if x in mapped else y for x, y in data.items()}
    loss = lambda x: (function(**x)[0] ** 2).sum()
    found = jax.vmap(jax.value_and_grad(loss), ({x: 0 if x in mapped else None for x in data},))(more)
    each = [{x: y[i] if x in mapped else y for x, y in more.items()} for i in range(3)]
    same(found, jax.tree.map(lambda *x: jnp.stack(x), *map(jax.value_and_grad(loss), each)))


def test_vmap_without_states():
    function, data = op(spec("gated")), make("gated", batch=1, tokens=9)
    del data["initial_state"]
    more = {x: jnp.stack([y, y[:, ::-1]]) for x, y in data.items()}
    o, state = jax.vmap(lambda x: function(**x))(more)
    assert state is None
    same(o[1], function(**{x: y[1] for x, y in more.items()})[0])


def test_jacrev():
    function, data = op(spec("gated")), make("gated", batch=1, tokens=3)
    call = lambda k: function(**data | {"k": k})[0].sum((0, 2))
    found = jax.jacrev(call)(data["k"])
    for t in range(3):
        for d in range(6):
            same(found[t, d], jax.grad(lambda k: call(k)[t, d])(data["k"]))


def test_scan_and_checkpoint():
    """A sequence in pieces gives what it gives whole, and so do its gradients."""
    function, data = op(spec("gated")), make("gated", tokens=96)
    state = data.pop("initial_state")

    @jax.checkpoint
    def step(state, piece):
        o, state = function(**piece, initial_state=state, output_final_state=True)
        return state, o

    def in_pieces(data, state):
        pieces = {x: jnp.moveaxis(y.reshape(2, 3, 32, *y.shape[2:]), 1, 0) for x, y in data.items()}
        last, o = jax.lax.scan(step, state, pieces)
        return (jnp.moveaxis(o, 0, 1).reshape(2, 96, 4, 6) ** 2).sum() + last.sum()

    def whole(data, state):
        o, last = function(**data, initial_state=state, output_final_state=True)
        return (o**2).sum() + last.sum()

    found, wanted = (jax.jit(jax.grad(f, (0, 1)))(data, state) for f in (in_pieces, whole))
    close(to_torch(jax.tree.leaves(found)), to_torch(jax.tree.leaves(wanted)))


def test_forward_mode_is_refused():
    function, data = op(spec("gated")), make("gated", tokens=5)
    call = lambda q: function(**data | {"q": q})[0]
    refused(TypeError, "forward-mode.*custom_vjp", jax.jvp, call, (data["q"],), (data["q"],))
    refused(TypeError, "forward-mode.*custom_vjp", jax.jacfwd(call), data["q"])


def test_second_derivatives_are_refused():
    function, data = op(spec("gated")), make("gated", tokens=5)
    call = lambda q: (function(**data | {"q": q})[0] ** 2).sum()
    twice = jax.grad(lambda q: jax.grad(call)(q).sum())
    refused(NotImplementedError, "gated: the second derivative is not supported", twice, data["q"])
    refused(NotImplementedError, "gated: the second derivative is not supported", jax.hessian(call), data["q"])


# === What an op is ===


def test_is_the_op_of_torch():
    """The same names, shapes, and bits; but for the ranks, which are torch.distributed's (shard_map is JAX's way)."""
    torch_op, function = wyvern.torch.op(spec("repeated")), op(spec("repeated"))
    assert function.operands == torch_op.operands and function.shapes == torch_op.shapes
    wanted = inspect.signature(torch_op)
    parameters = [parameter for name, parameter in wanted.parameters.items() if name != "cp_context"]
    assert inspect.signature(function) == wanted.replace(parameters=parameters)
    data = make("repeated", jnp.float32)
    o, state = function(**data, output_final_state=True)
    tensors = {x: torch.from_numpy(np.array(y)) for x, y in data.items()}
    wanted = torch_op(**tensors, output_final_state=True)
    assert np.array_equal(o, wanted[0].numpy()) and np.array_equal(state, wanted[1].numpy())


def test_takes_operands_by_position_and_from_numpy():
    function, data = op(spec("gated")), make("gated")
    del data["initial_state"]
    wanted = function(**data)
    q, *rest = map(np.asarray, data.values())
    same(function(q, *rest), wanted)
    same(function(q, **dict(list(data.items())[1:])), wanted)


def test_describes_itself_and_pickles():
    function, data = op(spec("sum")), make("sum", tokens=5)
    assert repr(function).startswith("<wyvern op sum(q, g, k, v, *, initial_state=None, cu_seqlens=None")
    assert function.spec["steps"][0]["erase"] == "none" and op(spec("sum"))._family is function._family
    for other in (copy.deepcopy(function), pickle.loads(pickle.dumps(function))):
        same(other(**data), function(**data))


# === Refusals ===


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


def test_wrong_operands():
    q, k, v, beta, _ = make("repeated").values()
    function = op(spec("repeated"))
    refused(TypeError, "repeated: beta is missing; its operands are q, k, v, beta", function, q, k, v)
    refused(TypeError, "repeated: q is given twice", function, q, k, v, q=q, beta=beta)
    refused(TypeError, "repeated: v is None, expected a JAX or NumPy array", function, q, k, None, beta)
    refused(TypeError, "repeated: v is a list", function, q, k, [1.0], beta)
    refused(ValueError, r"k has shape \[2, 71, 2, 8\], expected \[2, 142, 2, 8\]", function, q, k[:, :71], v, beta)
    refused(ValueError, r"q has shape \[71, 2, 8\]", function, q[0], k, v, beta)
    refused(TypeError, "q is float64, v is float32; expected one dtype", function, q, k, v.astype("float32"), beta)
    refused(TypeError, "q, k, v are int64, expected one of bfloat16", function, *(x.astype(int) for x in (q, k, v)), beta)
    refused(TypeError, "beta is int64, expected a floating-point type", function, q, k, v, beta.astype(int))


def test_wrong_states():
    data = make("repeated")
    function = op(spec("repeated"))
    state = data.pop("initial_state")
    refused(ValueError, r"initial_state has shape \[1, 4, 8, 6\], expected \[2, 4, 8, 6\]", function, **data, initial_state=state[:1])
    refused(TypeError, "initial_state is a int", function, **data, initial_state=0)
    refused(TypeError, "cu_seqlens is a list", function, **data, cu_seqlens=[0, 71])
    refused(TypeError, "cu_seqlens is float64 of shape", function, **data, cu_seqlens=jnp.array([0.0, 71]))
    refused(ValueError, "the batch size is 2, expected 1 with cu_seqlens", function, **data, cu_seqlens=jnp.array([0, 71]))


def test_wrong_values():
    """Which are seen when the program runs."""
    data, function = make("gated", batch=1), op(spec("gated"))
    del data["initial_state"]
    error = jax.errors.JaxRuntimeError
    run = lambda **more: jax.block_until_ready(jax.jit(lambda x: function(**x))(data | more))
    refused(error, "gated: g: expected log decays, none above 0", run, g=-data["g"])
    refused(error, "gated: cu_seqlens: expected offsets that .* within the 71 tokens; found 72", run, cu_seqlens=jnp.array([0, 72]))


def test_calls_that_no_op_makes():
    """What an executable of another process, or of another version, may ask for."""
    data, function = make("gated", jnp.float32), op(spec("gated"))
    function(**data)
    name = _programs.on_cpu(function._family, jnp.float32, "inference").name
    error = jax.errors.JaxRuntimeError
    run = lambda name, types, *x: jax.block_until_ready(jax.ffi.ffi_call("wyvern_cpu", types)(*x, program=name))
    types = jax.ShapeDtypeStruct((2, 71, 4, 6), jnp.float32), jax.ShapeDtypeStruct((2, 4, 8, 6), jnp.float32)
    given = [*data.values(), jnp.zeros(0, jnp.int32)]
    same(run(name, types, *given), function(**data, output_final_state=True))
    refused(error, "the program 'gated' is not known in this process: .* needs the same wyvern.jax.op", run, "gated", types, *given)
    refused(error, "gated: expected 7 arguments and 2 results, found 6 and 2", run, name, types, *given[1:])
    refused(error, "gated: q: expected elements of f32, found f16", run, name, types, given[0].astype(jnp.float16), *given[1:])
    refused(error, "gated: the result final_state is not of the type that was announced", run, name, (types[0], types[0]), *given)


def test_a_program_of_a_gpu_takes_no_jax_arrays(cache):
    program = wyvern.compile(spec("gated", dims={"key": 64, "value": 64}))
    x = {name: jnp.zeros((1, 9, 2, 64)) for name in program.inputs if name != "initial_state"}
    refused(TypeError, r"'q' is a jax.* expected CUDA tensors of torch \(JAX's arrays are taken by wyvern.jax.op", program, **x)


def test_what_is_no_layer():
    refused(wyvern.CompileError, "MLIR has no spec", op, "func.func @f() {\n}")
    refused(TypeError, "a CPU program does not hold its spec", op, wyvern.compile(spec("sum"), target="cpu"))
    refused(ValueError, "has an operand 'lambda', which", op, spec("gated", steps=[DELTA | {"rate": "lambda"}]))


# === Sharding ===


def mesh(**axes):
    """A mesh of virtual devices of this CPU."""
    types = (jax.sharding.AxisType.Auto,) * len(axes)
    return jax.make_mesh(tuple(axes.values()), tuple(axes), axis_types=types)


def sharded(function, data, axes, over, **options):
    """An op under shard_map: operands over a batch axis and an axis of heads (or None)."""
    batch, heads = over
    row, state = P(batch, None, heads), P(batch, heads)
    specs = {x: state if x == "initial_state" else row for x in data}
    call = lambda data: function(**data, output_final_state=True)
    return jax.shard_map(call, mesh=mesh(**axes), in_specs=(specs,), out_specs=(row, state), **options)


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("over", [("rows", None), (None, "heads"), ("rows", "heads")])
def test_shard_map(over, check_vma):
    data, function = make("gated", batch=4, tokens=70), op(spec("gated"))
    call = sharded(function, data, {"rows": 2, "heads": 2}, over, check_vma=check_vma)
    loss = lambda call: lambda data: sum((y**2).sum() for y in call(data))
    plain = lambda data: function(**data, output_final_state=True)
    same(jax.jit(call)(data), plain(data))
    same(jax.jit(jax.grad(loss(call)))(data), jax.grad(loss(plain))(data))


def test_shard_map_of_what_all_devices_share():
    """The gradient of an array that is the same everywhere sums over the devices."""
    data, function = make("gated", batch=4, tokens=9), op(spec("gated"))
    row, state = P("rows"), P("rows")
    beta = data.pop("beta")[:1]
    spread = lambda data, beta: function(**data, beta=jnp.broadcast_to(beta, (data["q"].shape[0], 9, 4)))[0]
    call = jax.shard_map(spread, mesh=mesh(rows=4), in_specs=({x: row for x in data}, P()), out_specs=state)
    found, wanted = (jax.grad(lambda beta: (f(data, beta) ** 2).sum())(beta) for f in (call, spread))
    close(to_torch([found]), to_torch([wanted]))


def test_shard_map_of_packed_sequences():
    """Each device has a row of its own, with offsets of its own."""
    data, function = make("gated", batch=2, tokens=9), op(spec("gated"))
    del data["initial_state"]
    cu = jnp.array([0, 4, 9, 0, 7, 7])
    call = lambda data, cu: function(**data, cu_seqlens=cu)[0]
    over = jax.shard_map(call, mesh=mesh(rows=2), in_specs=({x: P("rows") for x in data}, P("rows")), out_specs=P("rows"))
    wanted = [call({x: y[i : i + 1] for x, y in data.items()}, cu[3 * i : 3 * i + 3]) for i in range(2)]
    same(over(data, cu), jnp.concatenate(wanted))


def test_heads_that_a_layer_cannot_have():
    """Fewer heads are another layer, but on a device that has a part of them."""
    data, function = make("gated"), op(spec("gated"))
    fewer = {x: y[:, : y.shape[1] // 2] if x == "initial_state" else y[:, :, : y.shape[2] // 2] for x, y in data.items()}
    words = r"q has shape \[2, 71, 1, 8\], expected \[batch, tokens, 2, 8\]"
    refused(ValueError, words, function, **fewer)
    over = jax.shard_map(lambda x: function(**x)[0], mesh=mesh(rows=3), in_specs=P(), out_specs=P())
    refused(ValueError, words, over, fewer)
    # Four devices for two key heads: q cannot be spread over them, and one for all is another layer too.
    specs = {x: P() if x in ("q", "k") else P(None, "heads") if x == "initial_state" else P(None, None, "heads") for x in data}
    over = jax.shard_map(lambda x: function(**x)[0], mesh=mesh(heads=4), in_specs=(specs,), out_specs=P(None, None, "heads"))
    refused(ValueError, r"g has shape \[2, 71, 1\], expected \[2, 71, 4\]", over, data)


# === Lowering for GPUs, where there is none ===


def lower(function, *arguments, platforms=("cuda",)):
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=platforms).as_text()


def test_lowers_for_gpus(cache):
    """A call takes the tensors of the kernels and a workspace, and a function for both
    platforms the same tensors on both."""
    layer = spec("gated", dims={"key": 64, "value": 64})
    x = {"q": (2, 200, 2, 64), "g": (2, 200, 4), "k": (2, 200, 2, 64), "v": (2, 200, 4, 64), "beta": (2, 200, 4)}
    x = {name: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for name, shape in x.items()}
    loss = lambda x: op(layer)(**x)[0].astype(jnp.float32).sum()
    text = lower(jax.grad(loss), x)
    calls = [line for line in text.splitlines() if "@wyvern_cuda(" in line]
    assert [re.search(r'program = "(\w+?)_[0-9a-f]{16}_(\w+)"', line).groups() for line in calls] == [
        ("gated", "bf16_forward"), ("gated", "bf16_backward")
    ]
    assert all(re.search(r"tensor<\d+xui8>\)?$", line) for line in calls)
    assert "@wyvern_cpu(" not in text
    both = lower(jax.grad(loss), x, platforms=("cpu", "cuda"))
    assert both.count("@wyvern_cuda(") == both.count("@wyvern_cpu(") == 2


def test_symbolic_sizes(cache):
    """An exported function takes any batch and length, on the CPU."""
    function = op(spec("gated", dims={"key": 64, "value": 64}))
    sizes = dict(zip("BT", jax.export.symbolic_shape("B, T")))
    x = {n: jax.ShapeDtypeStruct(tuple(eval(shape, sizes)), jnp.bfloat16) for n, shape in function.shapes.items()}
    call = jax.jit(lambda x: function(**x, output_final_state=True))
    allowed = [jax.export.DisabledSafetyCheck.custom_call("wyvern_cpu")]
    exported = jax.export.export(call, disabled_checks=allowed)(x)
    for some in ({"B": 2, "T": 9}, {"B": 1, "T": 70}):
        data = {n: jnp.full(eval(shape, some), -0.1, jnp.bfloat16) for n, shape in function.shapes.items()}
        same(exported.call(data), call(data))
    on_gpu = jax.export.export(call, platforms=["cuda"])
    refused(NotImplementedError, "gated: expected sizes that are known .* found B x T tokens", on_gpu, x)


def test_a_bundle_is_an_op(cache):
    """It serves GPUs, and its spec the CPU."""
    layer = spec("gated", dims={"key": 64, "value": 64})
    function = op(wyvern.compile(layer))
    x = {name: jnp.ones(eval(shape, {"B": 1, "T": 9}), jnp.bfloat16) * -0.1 for name, shape in function.shapes.items()}
    assert function.shapes == op(layer).shapes
    same(function(**x), op(layer)(**x))
    assert "bf16_inference" in lower(lambda x: function(**x)[0], x)
    refused(AttributeError, "gated was compiled without its backward", lower, jax.grad(lambda x: function(**x)[0].sum()), x)
    half = {name: y.astype(jnp.float16) for name, y in x.items()}
    refused(TypeError, "gated: the bundle takes q in bf16, found f16", lower, lambda x: function(**x)[0], half)
    over = sharded(lambda **x: (function(**x)[0], x["g"]), x, {"rows": 1, "heads": 2}, (None, "heads"))
    refused(ValueError, "q has 1 heads on a device, but the bundle was compiled for 2: make the op of the spec", over, x)


@pytest.mark.parametrize("save", ["checkpoints", "states", "none"])
def test_what_a_bundle_saves(cache, save):
    """States of chunks too: as many as the sequences have, packed or not, and those of a mapped batch."""
    layer = spec("gated", dims={"key": 64, "value": 64})
    function, judge = op(wyvern.compile(layer, training=True, save=save)), op(layer)
    sizes = {"B": 1, "T": 128}
    x = {name: jnp.full(eval(shape, sizes), -0.1, jnp.float32) for name, shape in function.shapes.items()}

    def step(function, cu):
        return jax.grad(lambda x: jnp.square(function(**x, cu_seqlens=cu)[0]).sum())

    for cu in (None, jnp.array([0, 128]), jnp.array([0, 20, 20, 100])):
        found, wanted = step(function, cu)(x), step(judge, cu)(x)
        assert all(jnp.allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5) for name in x)
    more = {name: jnp.stack([y, y / 2]) for name, y in x.items()}
    found = jax.vmap(step(function, None))(more)
    for i in range(2):
        wanted = step(judge, None)({name: y[i] for name, y in more.items()})
        assert all(jnp.allclose(found[name][i], wanted[name], rtol=1e-3, atol=1e-5) for name in x)
    assert "bf16_forward" in lower(step(function, None), {name: y.astype(jnp.bfloat16) for name, y in x.items()})


def test_what_gpus_do_not_have(cache):
    data = make("gated", jnp.float32)
    refused(wyvern.CompileError, "f32", lower, lambda x: op(spec("gated"))(**x)[0], data)
    refused(NotImplementedError, "gated: expected the platform cpu or cuda, found tpu", lower, lambda x: op(spec("gated"))(**x)[0], data, platforms=("tpu",))
