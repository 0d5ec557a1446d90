# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch under torch.func, forward_ad and the meta device, on the CPU.

The programs are the token recurrence with its gradients, as in test_torch_training.py.
"""

import pytest

torch = pytest.importorskip("torch")

import delta_oracle
import oracle_programs
import torch.autograd.forward_ad as forward_ad
from wyvern.torch import DeltaNet, GatedDeltaNet, _programs, chunk_delta_rule, chunk_gated_delta_rule
from wyvern.torch.reference import delta_rule

B, T, H, HV, K, V = 2, 7, 2, 4, 8, 6
NAMES = ("q", "k", "v", "g", "beta")


@pytest.fixture(autouse=True)
def oracle_program(monkeypatch):
    monkeypatch.setattr(_programs, "_load_for_cpu", oracle_programs.CpuOracle)
    monkeypatch.setattr(_programs, "_programs", {})


def make(*mapped, batch=B):
    torch.manual_seed(3)
    rows = lambda heads, *dim: torch.randn(*mapped, batch, T, heads, *dim, dtype=torch.float64)
    unit = torch.nn.functional.normalize
    inputs = (unit(rows(H, K), dim=-1), unit(rows(H, K), dim=-1), rows(HV, V), -rows(HV).abs(), rows(HV).sigmoid())
    return dict(zip(NAMES, inputs))


def loss(f=chunk_gated_delta_rule, **options):
    def value(q, k, v, g, beta):
        o, state = f(q, k, v, g=g, beta=beta, output_final_state=True, **options)
        return o.square().sum() + state.square().sum()

    return value


def close(found, expected, tolerance=1e-10):
    for x, y in zip(found, expected, strict=True):
        assert x.shape == y.shape and delta_oracle.error(x, y) < tolerance


@pytest.mark.parametrize("norm", [False, True])
def test_grad(norm):
    data = make().values()
    every = tuple(range(5))
    found = torch.func.grad(loss(use_qk_l2norm_in_kernel=norm), every)(*data)
    close(found, torch.func.grad(loss(delta_rule, use_qk_l2norm_in_kernel=norm), every)(*data))
    # A functional call of a module is a grad as well.
    layer = GatedDeltaNet(hidden_size=16, head_dim=8, num_heads=2, expand_v=1).double()
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    call = lambda parameters: torch.func.functional_call(layer, parameters, (x,))[0].square().sum()
    gradients = torch.func.grad(call)({name: p.detach() for name, p in layer.named_parameters()})
    layer(x)[0].square().sum().backward()
    close(list(gradients.values()), [p.grad for p in layer.parameters()])


def test_jacrev():
    q, *rest = make(batch=1).values()
    first = lambda f: lambda q: f(q, rest[0], rest[1], g=rest[2], beta=rest[3])[0][0, -1]
    close([torch.func.jacrev(first(chunk_gated_delta_rule))(q)], [torch.func.jacrev(first(delta_rule))(q)])


@pytest.mark.parametrize("in_dims", [0, (0, None, 0, None, 0)])
def test_gradients_of_each_sample(in_dims):
    mapped = make(3)
    dims = in_dims if in_dims else (0,) * 5
    data = [x if d == 0 else x[0] for x, d in zip(mapped.values(), dims)]
    gradient = lambda f: torch.func.vmap(torch.func.grad(loss(f), (0, 1, 2)), in_dims=dims)(*data)
    close(gradient(chunk_gated_delta_rule), gradient(delta_rule))


def test_vmap_of_what_requires_grad():
    data = make(3)
    leaves = [x.requires_grad_() for x in data.values()]
    with torch.no_grad():
        plain = torch.func.vmap(lambda *x: delta_rule(*x[:3], g=x[3], beta=x[4])[0])(*leaves)
    gated = lambda *x: chunk_gated_delta_rule(*x)[0]
    o = torch.func.vmap(gated)(*leaves)
    close([o], [plain])
    found = torch.autograd.grad(o.square().sum(), leaves)
    each = torch.stack([gated(*(x[i] for x in leaves)) for i in range(3)])
    close(found, torch.autograd.grad(each.square().sum(), leaves))
    # A gradient of a vmap, and a vmap whose mapped dimension is not the first.
    total = lambda q: torch.func.vmap(gated, in_dims=(1, 0, 0, 0, 0))(q, *leaves[1:]).square().sum()
    moved = leaves[0].detach().movedim(0, 1)
    close([torch.func.grad(total)(moved).movedim(1, 0)], found[:1])


def test_vmap_of_packed_sequences():
    data = make(3, batch=1)
    cu = torch.tensor([0, 2, 7])
    call = lambda f: lambda q, k, v, g, beta: f(q, k, v, g=g, beta=beta, cu_seqlens=cu, output_final_state=True)
    found = torch.func.vmap(call(chunk_gated_delta_rule))(*data.values())
    each = zip(*(call(delta_rule)(*(x[i] for x in data.values())) for i in range(3)))
    close(found, list(map(torch.stack, each)))


def test_second_derivatives_are_refused():
    q, *rest = make().values()
    twice = torch.func.grad(lambda q: torch.func.grad(loss())(q, *rest).sum())
    with pytest.raises(NotImplementedError, match="gated_delta_rule: the second derivative is not supported"):
        twice(q)


@pytest.mark.parametrize("norm", [False, True])
def test_forward_mode_is_refused(norm):
    q, k, v, _, beta = make().values()
    call = lambda q: chunk_delta_rule(q, k, v, beta, use_qk_l2norm_in_kernel=norm)[0]
    words = "chunk_delta_rule: forward-mode derivatives .* are not supported.*vjp or jacrev"
    with pytest.raises(NotImplementedError, match=words):
        torch.func.jvp(call, (q,), (torch.ones_like(q),))
    with pytest.raises(NotImplementedError, match=words):
        torch.func.jacfwd(call)(q)
    with forward_ad.dual_level():
        with pytest.raises(NotImplementedError, match=words):
            call(forward_ad.make_dual(q, torch.ones_like(q)))
        call(q)  # has no tangent
    # The recurrence in torch operations has them.
    tangent = torch.func.jvp(lambda q: delta_rule(q, k, v, beta=beta)[0], (q,), (q,))[1]
    close([tangent], [delta_rule(q, k, v, beta=beta)[0]])


@pytest.mark.parametrize("make_layer", [DeltaNet, GatedDeltaNet])
def test_compiles_with_dynamic_shapes(make_layer):
    torch.manual_seed(0)
    sizes = {"head_dim": 8, "expand_v": 1} if make_layer is GatedDeltaNet else {}
    layer = make_layer(hidden_size=16, num_heads=2, **sizes)
    compiled = torch.compile(layer, dynamic=True, fullgraph=True, backend="aot_eager")
    for batch, tokens in ((2, 20), (3, 33)):
        x = torch.randn(batch, tokens, 16)
        found = torch.autograd.grad(compiled(x)[0].square().sum(), layer.parameters())
        close(found, torch.autograd.grad(layer(x)[0].square().sum(), layer.parameters()), 1e-5)


def test_meta_device():
    with torch.device("meta"):
        layer = GatedDeltaNet(hidden_size=64, head_dim=16, num_heads=2, expand_v=2).bfloat16()
        x = torch.empty(2, 33, 64, dtype=torch.bfloat16)
    o = layer(x)[0]
    assert o.shape == x.shape and o.dtype == x.dtype and o.is_meta
    o.sum().backward()
    assert all(p.grad.shape == p.shape for p in layer.parameters())
    plain = GatedDeltaNet(hidden_size=64, head_dim=16, num_heads=2, expand_v=2, backend="torch").to("meta")
    assert plain(torch.empty(1, 3, 64, device="meta"))[0].shape == (1, 3, 64)


def check_reset(layer):
    """Fills a layer of the meta device, and checks what it begins with."""
    layer.to_empty(device="cpu")
    for module in layer.modules():
        if list(module.parameters(recurse=False)):
            module.reset_parameters()
    assert all(torch.isfinite(p).all() for p in layer.parameters())
    assert (layer.A_log < torch.tensor(16.0).log()).all() and layer.A_log._no_weight_decay


def test_parameters_after_to_empty():
    with torch.device("meta"):
        layer = GatedDeltaNet(hidden_size=64, head_dim=16, num_heads=4, expand_v=1)
    check_reset(layer)


# === Gates ===


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("A, bias", [(100.0, -200.0), (90.0, 0.0), (300.0, 5.0), (100.0, -100.0), (-300.0, 5.0)])
def test_gates_whose_factors_overflow(dtype, A, bias):
    """As in double precision on logarithms, with gradients that are finite."""
    data = {name: x.to(dtype) for name, x in make().items()}
    raw = data["g"]
    parameters = [torch.full((HV,), x, dtype=dtype, requires_grad=True) for x in (A, bias)]
    o, _ = chunk_gated_delta_rule(**data, use_gate_in_kernel=True, A_log=parameters[0], dt_bias=parameters[1])
    x = (raw + bias).double()
    log_softplus = torch.where(x < -30, x, torch.nn.functional.softplus(x).log())
    right, _ = delta_rule(**data | {"g": -(A + log_softplus).exp()})
    assert delta_oracle.error(o, right) < 1e-4
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(o.square().sum(), parameters))


@pytest.mark.parametrize("f", [chunk_gated_delta_rule, delta_rule])
def test_a_gate_of_minus_infinity_resets(f):
    data = make()
    data["g"][:, 3] = -torch.inf
    leaves = [x.requires_grad_() for x in data.values()]
    o, _ = f(**data)
    cut = {name: x[:, 3:] for name, x in data.items()}
    assert delta_oracle.error(o[:, 3:], f(**cut)[0]) < 1e-12
    gradients = torch.autograd.grad(o.square().sum(), leaves)
    assert all(torch.isfinite(x).all() for x in gradients)
    assert (gradients[3][:, 3] == 0).all()
