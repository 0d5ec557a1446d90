# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.Layer: a module around any spec, on the CPU."""

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import torch.nn.functional as F
import wyvern
from test_torch_op import close, oracle, refused, spec
from test_torch_transforms import check_reset
from wyvern._core.layers import operand_roles
from wyvern.torch import GatedDeltaNet, Layer, op

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
