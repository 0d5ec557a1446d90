# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of wyvern.torch, on the CPU.

As in test_torch_functions.py the programs are the token recurrence, here with its
gradients; test_torch_cpu.py has the compiled ones.
"""

import pytest

torch = pytest.importorskip("torch")

import delta_oracle
import oracle_programs
from torch.utils.checkpoint import checkpoint
from wyvern.torch import (
    _call,
    _ops,
    _programs,
    _tensors,
    chunk_delta_rule,
    chunk_gated_delta_rule,
    fused_recurrent_delta_rule,
)
from wyvern.torch._l2norm import l2norm

B, T, H, HV, K, V = 2, 7, 2, 4, 8, 6
OPS = torch.ops.wyvern
BUILT_IN = ("delta_rule", "gated_delta_rule")


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """Which programs were loaded, as (decay, training)."""
    seen = []

    def load(spec, training, save=None):
        seen.append((spec["decay"], training))
        return oracle_programs.CpuOracle(spec, training)

    monkeypatch.setattr(_programs, "_load_for_cpu", load)
    monkeypatch.setattr(_programs, "_programs", {})
    return seen


@pytest.fixture
def data():
    return make()


def make(dtype=torch.float64, sequences=B, batch=B, key_dim=K, value_dim=V, **requires):
    torch.manual_seed(3)
    unit = torch.nn.functional.normalize
    rows = lambda heads, *dim: torch.randn(batch, T, heads, *dim, dtype=torch.float64)
    inputs = {
        "q": unit(rows(H, key_dim), dim=-1),
        "k": unit(rows(H, key_dim), dim=-1),
        "v": rows(HV, value_dim),
        "g": torch.nn.functional.logsigmoid(rows(HV)),
        "beta": rows(HV).sigmoid(),
        "initial_state": torch.randn(sequences, HV, key_dim, value_dim, dtype=torch.float64),
    }
    return {name: x.to(dtype).requires_grad_() for name, x in inputs.items()}


def grads(outputs, leaves, weights=None):
    """Gradients of a weighted sum of the outputs."""
    torch.manual_seed(4)
    value = sum((x.double() * torch.randn(x.shape, dtype=torch.float64)).sum() for x in outputs)
    return torch.autograd.grad(value, leaves)


def close(found, expected, tolerance=1e-10):
    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        assert x.shape == y.shape and x.dtype == y.dtype
        assert delta_oracle.error(x, y.double()) < tolerance


# === The same function in torch operations, differentiated by autograd ===


def expected(q, k, v, g, beta, initial_state=None, scale=None, cu_seqlens=None, v_first=False,
             norm=False, sigmoid=False, doubled=False, A_log=None, dt_bias=None):
    if norm:
        q, k = (x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6) for x in (q, k))
    if A_log is not None:
        g = -A_log.exp() * torch.nn.functional.softplus(g + dt_bias)
    if sigmoid:
        beta = beta.sigmoid() * (2 if doubled else 1)
    turn = (lambda x: x.transpose(-1, -2)) if v_first else (lambda x: x)
    initial_state = None if initial_state is None else turn(initial_state)
    o, state = delta_oracle.run(
        q=q, k=k, v=v, g=g, beta=beta, initial_state=initial_state, scale=scale, cu_seqlens=cu_seqlens
    )
    return o, turn(state)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_delta_rule(data, scale):
    del data["g"]
    found = chunk_delta_rule(**data, scale=scale, output_final_state=True)
    close(grads(found, list(data.values())), grads(expected(**data, g=None, scale=scale), list(data.values())))


def test_gated_delta_rule(data):
    found = chunk_gated_delta_rule(**data, output_final_state=True)
    close(grads(found, list(data.values())), grads(expected(**data), list(data.values())))


def test_states_with_values_first(data):
    data["initial_state"] = data["initial_state"].detach().transpose(-1, -2).contiguous().requires_grad_()
    found = chunk_gated_delta_rule(**data, output_final_state=True, state_v_first=True)
    close(grads(found, list(data.values())), grads(expected(**data, v_first=True), list(data.values())))


def test_packed():
    data = make(batch=1, sequences=3)
    cu = torch.tensor([0, 2, 2, 6], dtype=torch.int32)
    found = chunk_gated_delta_rule(**data, output_final_state=True, cu_seqlens=cu)
    close(grads(found, list(data.values())), grads(expected(**data, cu_seqlens=cu), list(data.values())))


def test_what_fla_has_in_its_kernels(data):
    data |= {name: torch.randn(HV, dtype=torch.float64, requires_grad=True) for name in ("A_log", "dt_bias")}
    found = chunk_gated_delta_rule(
        **data,
        use_qk_l2norm_in_kernel=True,
        use_gate_in_kernel=True,
        use_beta_sigmoid_in_kernel=True,
        allow_neg_eigval=True,
        output_final_state=True,
    )
    reference = expected(**data, norm=True, sigmoid=True, doubled=True)
    close(grads(found, list(data.values())), grads(reference, list(data.values())))


def test_gradcheck():
    torch.manual_seed(5)
    shapes = {"q": (1, 3, 1, 2), "k": (1, 3, 1, 2), "v": (1, 3, 2, 2), "g": (1, 3, 2), "beta": (1, 3, 2),
              "initial_state": (1, 2, 2, 2), "A_log": (2,), "dt_bias": (2,)}
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes.values()]

    def call(*tensors):
        return chunk_gated_delta_rule(
            **dict(zip(shapes, tensors)), use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True,
            use_beta_sigmoid_in_kernel=True, output_final_state=True,
        )

    assert torch.autograd.gradcheck(call, leaves)


# === Which gradients arrive, and in which form ===


def test_any_of_the_outputs(data):
    leaves = list(data.values())
    for i, some in enumerate((leaves, leaves[1:])):  # q has no part in the state
        found, reference = chunk_gated_delta_rule(**data, output_final_state=True), expected(**data)
        close(grads([found[i]], some), grads([reference[i]], some))
    # From sum() comes one number with strides of 0, from a transposed use a view.
    for use in (lambda o: o.sum(), lambda o: (o.transpose(1, 3) * torch.arange(T)).sum(), lambda o: o[:, ::2].sum()):
        o, _ = chunk_gated_delta_rule(**data)
        close(torch.autograd.grad(use(o), leaves), torch.autograd.grad(use(expected(**data)[0]), leaves))


def test_only_what_requires_grad(data):
    fixed = {name: x.detach() for name, x in data.items()}
    for name in data:
        leaf = data[name]
        found = chunk_gated_delta_rule(**{**fixed, name: leaf}, output_final_state=True)
        close(grads(found, [leaf]), grads(expected(**{**fixed, name: leaf}), [leaf]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes(dtype):
    """Each gradient is in the dtype of its tensor."""
    data = make(dtype)
    found = chunk_gated_delta_rule(**data, output_final_state=True)
    close(grads(found, list(data.values())), grads(expected(**data), list(data.values())), 2e-2)


def test_recurrent_name_without_rates(data):
    q, k, v = (data[x] for x in ("q", "k", "v"))
    found = fused_recurrent_delta_rule(q, k, v, output_final_state=True)
    reference = expected(q, k, v, None, torch.ones(B, T, HV, dtype=torch.float64))
    close(grads(found, [q, k, v]), grads(reference, [q, k, v]))


def test_nothing_is_saved_without_need(data, loaded):
    with torch.no_grad():
        o, _ = chunk_gated_delta_rule(**data)
    with torch.inference_mode():
        chunk_gated_delta_rule(**data)
    chunk_gated_delta_rule(**{name: x.detach() for name, x in data.items()})
    assert loaded == [("head", False)]
    trained, _ = chunk_gated_delta_rule(**data)
    assert loaded == [("head", False), ("head", True)]
    assert torch.equal(o, trained)


def test_what_is_saved(data):
    """The operands (the gate by two functions, but once), the state, and 64 numbers a token
    and head."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        chunk_gated_delta_rule(**data)
    shapes = sorted({x.data_ptr(): tuple(x.shape) for x in saved}.values())
    assert shapes == sorted([*(tuple(x.shape) for x in data.values()), (B, T, HV, 64)])


def test_checkpointing(data):
    leaves = list(data.values())
    call = lambda *tensors: chunk_gated_delta_rule(*tensors[:5], initial_state=tensors[5], output_final_state=True)
    plain = grads(call(*leaves), leaves)
    close(grads(checkpoint(call, *leaves, use_reentrant=False), leaves), plain, 1e-15)


# === L2 norm ===


def test_l2norm():
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    x[0, 0] = 1e-4  # where the 1e-6 under the root counts
    assert torch.autograd.gradcheck(l2norm, x.requires_grad_())
    half = x.detach().bfloat16().requires_grad_()
    y = l2norm(half)
    wide = half.detach().float().requires_grad_()
    reference = wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) + 1e-6)
    assert torch.equal(y, reference.bfloat16())
    dy = torch.randn_like(y)
    (found,) = torch.autograd.grad(y, half, dy)
    (exact,) = torch.autograd.grad(reference, wide, dy.float())
    assert found.dtype == torch.bfloat16 and delta_oracle.error(found, exact.double()) < 6e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_l2norm_compiles(dtype, backend):
    x = torch.randn(2, 3, 8).to(dtype).requires_grad_()
    compiled = torch.compile(l2norm, fullgraph=True, backend=backend)
    (found,), (plain,) = grads([compiled(x)], [x]), grads([l2norm(x)], [x])
    assert torch.equal(found, plain) and found.any()


def test_l2norm_saves_little():
    saved = []
    x = torch.randn(2, 3, 64).bfloat16().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        y = l2norm(x)
    assert sum(t.nbytes for t in saved if t.data_ptr() != y.data_ptr()) == 2 * 3 * 4


# === Autocast ===


@pytest.mark.parametrize("norm", [False, True])
def test_autocast(norm):
    """q, k and v go to autocast's dtype, once; rates and gates stay as they are."""
    data = make(torch.float32)
    options = {"output_final_state": True, "use_qk_l2norm_in_kernel": norm}
    with torch.autocast("cpu", torch.bfloat16):
        found = chunk_gated_delta_rule(**data, **options)
    low = data | ({name: l2norm(data[name]) for name in ("q", "k")} if norm else {})
    low |= {name: low[name].bfloat16() for name in ("q", "k", "v")}
    plain = chunk_gated_delta_rule(**low, output_final_state=True)
    assert found[0].dtype == torch.bfloat16 and found[1].dtype == torch.float32
    assert torch.equal(found[0], plain[0]) and torch.equal(found[1], plain[1])
    leaves = list(data.values())
    given = grads(found, leaves)
    assert all(x.dtype == torch.float32 for x in given)
    close(given, grads(plain, leaves), 1e-6)


# === torch.library, torch.compile ===


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("name", BUILT_IN)
def test_opcheck(name, final):
    data = make(torch.float32, batch=1, sequences=2)
    operands = [data[x] for x in _ops.families[name].signature.names]
    h0 = data["initial_state"]
    cu = torch.tensor([0, 4, 7])
    for state in (h0, None):
        torch.library.opcheck(getattr(OPS, f"{name}_forward").default, (*operands, state, cu, final))
    # As autograd calls it.
    fixed = [x.detach() for x in operands]
    with torch.no_grad():
        o, state, factor = getattr(OPS, f"{name}_forward")(*fixed, h0.detach(), cu, True)
    given = (*fixed, h0.detach(), cu, factor, torch.ones_like(o), torch.ones_like(state) if final else None)
    torch.library.opcheck(getattr(OPS, f"{name}_backward").default, given)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("final", [False, True])
def test_compiles_to_one_graph(data, backend, final):
    data |= {name: torch.randn(HV, dtype=torch.float64, requires_grad=True) for name in ("A_log", "dt_bias")}

    def layer(**inputs):
        o, state = chunk_gated_delta_rule(
            **inputs, scale=0.7, use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True,
            use_beta_sigmoid_in_kernel=True, output_final_state=final,
        )
        return (o.sum(-1), state * 2) if final else (o.sum(-1),)

    leaves = list(data.values())
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    found, plain = compiled(**data), layer(**data)
    assert all(torch.equal(x, y) for x, y in zip(found, plain))
    close(grads(found, leaves), grads(plain, leaves), 1e-14)


def test_compiles_under_autocast():
    data = make(torch.float32)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def layer(**inputs):
        with torch.autocast("cpu", torch.bfloat16):
            return chunk_gated_delta_rule(**inputs, use_qk_l2norm_in_kernel=True)[0]

    o = layer(**data)
    assert o.dtype == torch.bfloat16
    assert all(x is not None for x in grads([o], list(data.values())))


# === Refusals ===


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


def test_second_derivatives(data):
    o, _ = chunk_gated_delta_rule(**data)
    (dq,) = torch.autograd.grad(o.square().sum(), data["q"], create_graph=True)
    words = "gated_delta_rule: the second derivative is not supported"
    refused(NotImplementedError, words, dq.sum().backward)


def test_the_inference_op_has_no_backward(data):
    o, _ = OPS.delta_rule(*(data[x] for x in ("q", "k", "v", "beta", "initial_state")), None, False)
    words = r"torch.ops.wyvern.delta_rule saves nothing for a backward; call the functions of wyvern.torch"
    refused(NotImplementedError, words, o.sum().backward)


def test_scale_as_a_tensor(data):
    words = "chunk_gated_delta_rule: scale is a tensor, expected a float.*multiply q or o by it"
    refused(TypeError, words, chunk_gated_delta_rule, **data, scale=torch.tensor(0.5, requires_grad=True))


# === The GPU's side: head dims of the kernels, everything in the tensors' dtypes


@pytest.fixture(params=["dispatched", "direct"])
def gpu(monkeypatch, recwarn, request):  # torch warns of what is overridden
    """The ops run what they run on a GPU, past the dispatcher or through it; the sizes of
    the programs that were asked for."""
    seen = []
    monkeypatch.setattr(_tensors, "is_gpu", lambda device: request.param == "direct")

    def program_for(family, operands, training):
        program = oracle_programs.GpuOracle(family.signature.names, operands, training)
        seen.append(program.dims)
        return program

    monkeypatch.setattr(_ops, "program_for", program_for)
    monkeypatch.setattr(_call, "_takes_any", lambda x: False)
    library = torch.library.Library("wyvern", "IMPL")
    for name in BUILT_IN:
        for suffix, runs in _ops.RUNS.items():
            function = _ops.of_family(runs["CUDA"], _ops.families[name])
            library.impl(name + suffix, function, "CPU", allow_override=True)
    yield seen
    library._destroy()


@pytest.mark.parametrize("dims, padded", [((64, 128), (64, 128)), ((60, 100), (64, 112)), ((96, 8), (96, 16)), ((132, 64), (192, 64))])
@pytest.mark.parametrize("v_first", [False, True])
def test_gpu_calls(gpu, dims, padded, v_first):
    data = make(key_dim=dims[0], value_dim=dims[1])
    if v_first:
        data["initial_state"] = data["initial_state"].detach().transpose(-1, -2).contiguous().requires_grad_()
    leaves = list(data.values())
    for scale in (None, 0.7):
        found = chunk_gated_delta_rule(**data, scale=scale, output_final_state=True, state_v_first=v_first)
        reference = expected(**data, scale=scale, v_first=v_first)
        assert all(x.is_contiguous() for x in found)
        close(found, reference)
        close(grads(found, leaves), grads(reference, leaves))
        with torch.no_grad():
            o, state = chunk_gated_delta_rule(**data, scale=scale, state_v_first=v_first)
        assert state is None and torch.equal(o, found[0])
    assert set(gpu) == {padded}


def test_gpu_dims_without_the_compiler(monkeypatch):
    """Most that is prebuilt has head dims of 64 and 128; what has a layer's own dims goes before it."""
    there = set()
    monkeypatch.setattr(_programs, "_HAS_COMPILER", False)
    monkeypatch.setattr(_programs, "_dims_there", lambda: there)
    assert _programs.kernel_dims(60, 100) == (64, 128)
    assert _programs.kernel_dims(96, 192) == (128, 192)
    there.add((96, 192))
    assert _programs.kernel_dims(90, 192) == (96, 192)


@pytest.mark.parametrize("dynamic", [None, True])
def test_gpu_dims_are_compiled(monkeypatch, dynamic):
    monkeypatch.setattr(_programs, "_HAS_COMPILER", False)
    scale = lambda x: x * sum(_programs.kernel_dims(*x.shape))
    compiled = torch.compile(scale, fullgraph=True, dynamic=dynamic, backend="eager")
    for shape in ((60, 100), (70, 100)):
        x = torch.randn(shape)
        assert torch.equal(compiled(x), scale(x))


def test_gpu_second_derivatives(gpu):
    data = make(key_dim=64, value_dim=64)
    o, _ = chunk_gated_delta_rule(**data)
    (dq,) = torch.autograd.grad(o.square().sum(), data["q"], create_graph=True)
    refused(NotImplementedError, "gated_delta_rule: the second derivative is not supported", dq.sum().backward)


def test_gpu_gradients_of_what_is_not_used(gpu):
    """Of a state alone, and of neither output."""
    data = make(key_dim=64, value_dim=64)
    leaves = list(data.values())
    _, state = chunk_gated_delta_rule(**data, output_final_state=True)
    _, reference = expected(**data)
    close(grads([state], leaves[1:]), grads([reference], leaves[1:]))  # q is not in it
    o, _ = chunk_gated_delta_rule(**data)
    found = torch.autograd.grad(_Drop.apply(o).sum(), leaves, allow_unused=True)
    assert not any(x.any() for x in found if x is not None)


class _Drop(torch.autograd.Function):
    """Has no gradient to pass on."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, d):
        return None


def test_gpu_calls_without_states(gpu):
    data = make(torch.bfloat16, key_dim=64, value_dim=64)
    del data["g"], data["initial_state"]
    o, _ = chunk_delta_rule(**data)
    assert o.dtype == torch.bfloat16
    given = grads([o], list(data.values()))
    assert all(x.dtype == torch.bfloat16 for x in given)
