# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.Layer: a module around any spec, on the CPU."""

import copy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import torch.nn.functional as F
import wyvern
from step_cases import small
from test_torch_op import close, oracle, refused, spec
from test_torch_transforms import check_reset
from wyvern._core.layers import operand_roles
from wyvern.torch import Cache, GatedDeltaNet, Layer, op

ROOT = Path(__file__).resolve().parents[2]
X = 16  # hidden_size
TO_TWO = [{"write": "k", "value": "v", "rate": "beta", "max_rate": 2}]


def make(name, changes=(), **options):
    torch.manual_seed(7)
    return Layer(spec(name, **dict(changes)), hidden_size=X, **options).double()


def tokens(batch=2, count=37):
    torch.manual_seed(8)
    return torch.randn(batch, count, X, dtype=torch.float64)


def test_is_the_gated_layer():
    """With the weights of GatedDeltaNet it computes the same."""
    torch.manual_seed(7)
    theirs = GatedDeltaNet(hidden_size=X, head_dim=8, num_heads=2, num_v_heads=4, expand_v=0.75, allow_neg_eigval=True).double()
    ours = make("gated", {"steps": TO_TWO}, use_gate=True, allow_neg_eigval=True)
    names = {"a_proj": "g_proj", "b_proj": "beta_proj", "g_proj": "o_gate"}
    weights = {}
    for name, x in theirs.state_dict().items():
        first, dot, rest = name.partition(".")
        weights[names.get(first, first) + dot + rest] = x
    ours.load_state_dict(weights, strict=True)
    found, wanted = ours(tokens()), theirs(tokens())[0]
    close([found], [wanted], 1e-12)
    gradients = [torch.autograd.grad(y.square().sum(), [m.get_submodule(p).weight for p in where])
                 for y, m, where in ((found, ours, ("q_proj", "g_proj")), (wanted, theirs, ("q_proj", "a_proj")))]
    close(*gradients, 1e-10)


def test_what_it_says_of_operands():
    """Scales, a decay a channel, products; by hand, through the recurrence in torch."""
    layer = make("products", conv_size=0)
    x = tokens()
    heads = lambda name, n, d: layer.get_submodule(f"{name}_proj")(x).unflatten(-1, (n, d))
    key = lambda name: F.normalize(F.silu(heads(name, 2, 8)), dim=-1)
    raw = heads("g", 4, 8)
    data = {
        "q": key("q"), "k": key("k"), "v": F.silu(heads("v", 4, 6)),
        "b": heads("b", 2, 8).sigmoid(), "w": heads("w", 4, 6).sigmoid(),
        "g": -layer.A_log.exp()[:, None] * F.softplus(raw + layer.dt_bias),
        "initial_state": torch.zeros(2, 4, 8, 6, dtype=torch.float64),
    }
    o = F.rms_norm(oracle("products")(**data)["o"], (6,), layer.o_norm.weight, 1e-5)
    close([layer(x)], [layer.o_proj(o.flatten(2))], 1e-4)  # an L2 norm has 1e-6 under its root


# === What the spec computes ===


KDA = """name: kda
heads: {key: 2, value: 2}
dims: {key: 8, value: 6}
decay: channel
compute:
  - q: normalize(q)
  - k: normalize(k)
  - g: -exp(A_log) * softplus(f + dt_bias)
  - beta: sigmoid(b) * share
parameters: {A_log: head, dt_bias: channel, share: head}
steps:
  - {write: k, value: v, rate: beta}
"""


def test_what_the_spec_computes_is_not_activated():
    """Its operands are projections as they come, behind a convolution those of q and k; v is not computed."""
    torch.manual_seed(9)
    layer = Layer(KDA, hidden_size=X).double()
    assert {n for n, _ in layer.named_parameters(recurse=False)} == {"A_log", "dt_bias", "share"}
    assert torch.equal(layer.share, torch.ones(2)) and layer.dt_bias.shape == (2, 8) and layer.dt_bias.max() < 0
    with torch.no_grad():
        layer.share.copy_(torch.tensor([0.3, 0.9]))
    x = tokens()
    rows = lambda name, n: layer.get_submodule(f"{name}_proj")(x).unflatten(-1, (2, n))
    convolved = lambda name, n: F.silu(layer.get_submodule(f"{name}_conv1d")(layer.get_submodule(f"{name}_proj")(x))).unflatten(-1, (2, n))
    unit = lambda x: x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
    q, k, v = unit(convolved("q", 8)), unit(convolved("k", 8)), convolved("v", 6)
    g = -layer.A_log.exp()[:, None] * F.softplus(rows("f", 8) + layer.dt_bias)
    beta = layer.b_proj(x).sigmoid() * layer.share
    state, outputs = torch.zeros(2, 2, 8, 6, dtype=torch.float64), []
    for t in range(x.shape[1]):
        state = g[:, t].exp()[..., None] * state
        u = beta[:, t, :, None] * (v[:, t] - (k[:, t, :, None] @ state)[..., 0, :])
        state = state + k[:, t, ..., None] * u[..., None, :]
        outputs.append((q[:, t, :, None] @ state)[..., 0, :] * 8**-0.5)
    o = F.rms_norm(torch.stack(outputs, 1), (6,), layer.o_norm.weight, 1e-5)
    wanted = layer.o_proj(o.flatten(2))
    close([layer(x)], [wanted], 1e-11)
    own = [layer.A_log, layer.dt_bias, layer.share, layer.f_proj.weight, layer.k_proj.weight]
    close(*(torch.autograd.grad(y.square().sum(), own, retain_graph=True) for y in (layer(x), wanted)), 1e-9)


def test_computed_operands_without_a_convolution():
    """Are the projections alone, or what `activations` makes of these and of parameters."""
    torch.manual_seed(9)
    layer = Layer(KDA, hidden_size=X, conv_size=0).double()
    other = Layer(KDA, hidden_size=X, conv_size=0, activations={"k": lambda x: x / 2, "share": lambda x: x / 4}).double()
    other.load_state_dict(layer.state_dict())
    twice = copy.deepcopy(layer)
    with torch.no_grad():
        twice.k_proj.weight.mul_(0.5)
        twice.share.mul_(0.25)
    close([other(tokens())], [twice(tokens())], 1e-12)
    assert torch.equal(layer._operand("k", tokens(), None), layer.k_proj(tokens()).unflatten(-1, (2, 8)))


def test_layers_that_compute_go_on_and_reset():
    layer = Layer(KDA, hidden_size=X).double()
    x, cache = tokens(), Cache()
    with torch.no_grad():
        parts = [layer(x[:, a:b], past_key_values=cache) for a, b in ((0, 20), (20, 33), (33, 37))]
        close([torch.cat(parts, 1)], [layer(x)], 1e-11)
    with torch.device("meta"):
        layer = Layer(KDA, hidden_size=X)
    check_reset(layer)


def test_a_layer_goes_on_from_angles():
    """They are part of what a cache keeps."""
    text = small((ROOT / "specs" / "layers" / "selective_rope.yaml").read_text(), key=8, value=8)
    layer = Layer(text, hidden_size=X).double()
    x, cache = tokens(), Cache()
    with torch.no_grad():
        parts = [layer(x[:, a:b], past_key_values=cache) for a, b in ((0, 20), (20, 37))]
        close([torch.cat(parts, 1)], [layer(x)], 1e-11)
    assert cache[0]["recurrent_state"]["phi"].shape == (2, 2, 4)


@pytest.mark.parametrize("name", ["kda", "rwkv7"])
def test_layers_of_the_shipped_specs_learn(name):
    text = small((ROOT / "specs" / "layers" / f"{name}.yaml").read_text(), key=8, value=8)
    layer = Layer(text, hidden_size=X)
    layer(tokens().float()).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in layer.parameters())


def test_parameters_with_names_of_modules():
    with pytest.raises(ValueError, match="the parameter 'forward' has a name that modules use"):
        Layer(KDA.replace("share", "forward"), hidden_size=X)


def test_roles():
    steps = [{"write": "m * k", "erase": "k", "value": "v", "rate": "b"}, {"write": "w", "erase": "none", "written": "u * v"}]
    layer = op({"name": "x", "heads": {"key": 1, "value": 1}, "dims": {"key": 8, "value": 8}, "decay": "head", "steps": steps})
    roles = operand_roles(layer.spec)
    assert roles == {"q": "query", "g": "decay", "m": "scale", "k": "key", "v": "value", "b": "rate", "w": "key", "u": "scale"}
    assert set(roles) == set(layer.operands)


def test_rates_that_the_spec_does_not_expect():
    with pytest.raises(ValueError, match="allow_neg_eigval: beta then reaches 2, .*write max_rate: 2"):
        make("gated", allow_neg_eigval=True)


@pytest.mark.parametrize("name", ["repeated", "sum", "before"])
def test_every_parameter_learns(name):
    layer = make(name, use_gate=True)
    y = layer(tokens())
    assert y.shape == (2, 37, X)
    y.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in layer.parameters())
    # Without erasing nothing is normalized: scaling the keys scales o, before its norm.
    assert layer.erases == (name != "sum")


def test_packed():
    layer = make("repeated")
    x, cu = tokens(1), torch.tensor([0, 10, 10, 37])
    close([layer(x, cu)], [torch.cat([layer(x[:, :10]), layer(x[:, 10:])], 1)], 1e-12)


def test_activations():
    """In the place of the layer's own, on tensors in the shapes of the operands."""
    seen = {}

    def record(name, function):
        return lambda x: seen.setdefault(name, (x, function(x)))[1]

    layer = make("repeated", activations={"k": record("k", lambda x: x / 9), "beta": record("beta", torch.zeros_like)})
    x = tokens()
    layer(x)
    raw, _ = seen["k"]
    assert raw.shape == (2, 74, 2, 8) and seen["beta"][0].shape == (2, 74, 4)
    close([raw], [layer.k_conv1d(layer.k_proj(x)).unflatten(-1, (2, 2, 8)).flatten(1, 2)], 1e-12)
    assert not layer(x).any()  # at rate 0 nothing is written
    own = make("gated", activations={"g": lambda x: -x.square()})
    assert "A_log" not in dict(own.named_parameters()) and torch.isfinite(own(x)).all()


def test_compiles():
    layer = make("repeated").float()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for batch, count in ((2, 20), (3, 33)):
        x = tokens(batch, count).float()
        found, wanted = (torch.autograd.grad(m(x).square().sum(), list(layer.parameters())) for m in (compiled, layer))
        close(found, wanted, 1e-5)


def test_autocast():
    layer = make("gated").float()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(tokens().float())
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


def test_meta_device_and_copies():
    with torch.device("meta"):
        layer = Layer(spec("products"), hidden_size=X)
        assert layer(torch.empty(2, 37, X)).shape == (2, 37, X)
    check_reset(layer)
    x = tokens().float()
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))


def test_refusals():
    refused(ValueError, "hidden_size is 0, expected a whole number", Layer, spec("sum"), hidden_size=0)
    refused(ValueError, "activations: beta is no operand; those are q, g, k, v", Layer, spec("sum"), 16, activations={"beta": F.silu})
    refused(wyvern.CompileError, "unknown key", Layer, spec("sum", extra=1), 16)
    refused(ValueError, r"hidden_states has shape \[2, 37, 15\], expected \[B, T, 16\]", make("sum"), tokens()[..., 1:])
    refused(ValueError, "the batch size is 2, expected 1 with cu_seqlens", make("sum"), tokens(), torch.tensor([0, 37]))
