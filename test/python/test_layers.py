# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.DeltaNet and GatedDeltaNet: FLA's parameters, and what they compute."""

import pytest

torch = pytest.importorskip("torch")

from wyvern.torch import DeltaNet, GatedDeltaNet
from wyvern.torch.layers._parts import OutputNorm, ShortConvolution

H = 32  # hidden size

# As fla.layers 0.6.0 has them.
DELTA_NET = {
    "q_proj.weight": (H, H),
    "k_proj.weight": (H, H),
    "v_proj.weight": (H, H),
    "b_proj.weight": (4, H),
    "q_conv1d.weight": (H, 1, 4),
    "k_conv1d.weight": (H, 1, 4),
    "v_conv1d.weight": (H, 1, 4),
    "o_norm.weight": (8,),
    "o_proj.weight": (H, H),
}
GATED_DELTA_NET = {
    "A_log": (4,),
    "dt_bias": (4,),
    "q_proj.weight": (16, H),
    "k_proj.weight": (16, H),
    "v_proj.weight": (48, H),
    "a_proj.weight": (4, H),
    "b_proj.weight": (4, H),
    "q_conv1d.weight": (16, 1, 4),
    "k_conv1d.weight": (16, 1, 4),
    "v_conv1d.weight": (48, 1, 4),
    "g_proj.weight": (48, H),
    "o_norm.weight": (12,),
    "o_proj.weight": (H, 48),
}


def delta_net(**options):
    torch.manual_seed(0)
    return DeltaNet(**{"hidden_size": H, "num_heads": 4, "backend": "torch"} | options)


def gated_delta_net(**options):
    torch.manual_seed(0)
    sizes = {"hidden_size": H, "head_dim": 8, "num_heads": 2, "num_v_heads": 4, "expand_v": 1.5}
    return GatedDeltaNet(**sizes | {"backend": "torch"} | options)


def shapes(layer):
    return {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}


def tokens(batch=2, length=21, dtype=torch.float32):
    torch.manual_seed(1)
    return torch.randn(batch, length, H, dtype=dtype)


@pytest.mark.parametrize("make, expected", [(delta_net, DELTA_NET), (gated_delta_net, GATED_DELTA_NET)])
def test_parameters_are_fla_s(make, expected):
    layer = make()
    assert shapes(layer) == expected
    checkpoint = {name: torch.randn(shape) for name, shape in expected.items()}
    layer.load_state_dict(checkpoint, strict=True)
    assert all(torch.equal(layer.state_dict()[name], tensor) for name, tensor in checkpoint.items())


def test_optional_parameters_are_fla_s():
    plain = set(DELTA_NET)
    assert set(shapes(delta_net(use_beta=False))) == plain - {"b_proj.weight"}
    assert set(shapes(delta_net(use_gate=True))) == plain | {"g_proj.weight"}
    convolutions = {f"{x}_conv1d.weight" for x in "qkv"}
    assert set(shapes(delta_net(use_short_conv=False))) == plain - convolutions
    biases = {f"{x}_conv1d.bias" for x in "qkv"}
    assert set(shapes(delta_net(conv_bias=True))) == plain | biases
    assert set(shapes(gated_delta_net(use_gate=False))) == set(GATED_DELTA_NET) - {"g_proj.weight"}


def test_initial_gate_is_mamba_2_s():
    layer = gated_delta_net(num_v_heads=400)
    assert 0 < layer.A_log.exp().min() < 1 and 15 < layer.A_log.exp().max() <= 16
    dt = torch.nn.functional.softplus(layer.dt_bias)
    assert 0.00099 < dt.min() < 0.0015 and 0.08 < dt.max() < 0.101
    assert layer.A_log._no_weight_decay and layer.dt_bias._no_weight_decay


def test_convolution_is_causal_and_stays_in_its_sequence():
    torch.manual_seed(0)
    layer = ShortConvolution(3, 4, True, True).double()
    x = torch.randn(1, 20, 3, dtype=torch.float64)
    y = torch.empty_like(x)
    offsets = [0, 7, 7, 9, 16, 20]  # the last four tokens are in no sequence
    for begin, end in zip(offsets, offsets[1:]):
        for t in range(begin, end):
            taps = [x[0, t - j] * layer.weight[:, 0, 3 - j] for j in range(4) if t - j >= begin]
            y[0, t] = torch.nn.functional.silu(sum(taps) + layer.bias)
    torch.testing.assert_close(layer(x, torch.tensor(offsets[:-1], dtype=torch.int32)), y)
    torch.testing.assert_close(layer(x[:, :7]), y[:, :7])
    inner = torch.randn(1, 9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, torch.tensor([0, 2, 2, 8])), inner)


def test_output_norm():
    norm = OutputNorm(16, 1e-5)
    x, gate = torch.randn(5, 16), torch.randn(5, 16)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x, gate), expected * gate * gate.sigmoid())
    torch.testing.assert_close(OutputNorm(16, 1e-5, torch.sigmoid)(x, gate), expected * gate.sigmoid())
    assert norm(x.bfloat16(), gate.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("make", [delta_net, gated_delta_net])
def test_packed_sequences(make):
    """As each sequence alone."""
    layer, x = make().double(), tokens(1, dtype=torch.float64)
    offsets = [0, 5, 5, 19]
    packed = layer(x, cu_seqlens=torch.tensor(offsets))[0]
    for begin, end in zip(offsets, offsets[1:]):
        if begin < end:
            torch.testing.assert_close(packed[:, begin:end], layer(x[:, begin:end])[0])


@pytest.mark.parametrize("make", [delta_net, gated_delta_net])
def test_padded_sequences(make):
    """As each sequence without its padding, and zero there; padding has no gradient."""
    layer, x = make().double(), tokens(3, dtype=torch.float64).requires_grad_()
    mask = torch.ones(3, 21, dtype=torch.int64)
    mask[0, :4] = 0
    mask[1, 15:] = 0
    o = layer(x, attention_mask=mask)[0]
    for row, cut in enumerate((slice(4, 21), slice(0, 15), slice(0, 21))):
        torch.testing.assert_close(o[row : row + 1, cut], layer(x[row : row + 1, cut])[0])
    assert not o[mask == 0].any()
    o.sum().backward()
    assert not x.grad[mask == 0].any() and x.grad[mask == 1].any(-1).all()


@pytest.mark.parametrize("mask", [[[0.0] * 21] * 2, [[-torch.inf] * 3 + [0.0] * 18] * 2, [[2] * 21] * 2])
def test_additive_masks_are_refused(mask):
    """In which 0 is for tokens, or for all of them: it would drop what it should keep."""
    with pytest.raises(ValueError, match="expected 0 for padding and 1 for tokens, .* is it an additive one"):
        delta_net()(tokens(), torch.tensor(mask))


@pytest.mark.parametrize("make", [delta_net, gated_delta_net])
def test_no_tokens(make):
    for backend in ("torch", "wyvern"):
        o = make(backend=backend)(tokens(length=0))[0]
        assert o.shape == (2, 0, H)
    # Nor in one of the rows of a batch.
    mask = torch.ones(2, 21, dtype=torch.int64)
    mask[0] = 0
    assert (make()(tokens(), mask)[0][0] == 0).all()


def test_what_models_hand_to_each_layer_has_no_effect():
    x = tokens()
    plain = delta_net()(x)[0]
    assert torch.equal(delta_net()(x, position_ids=torch.arange(21), cache_position=None)[0], plain)


def test_options_of_the_keys():
    """Each choice is what its name says: identity with an outer activation equals it."""
    x = tokens()
    for name, activation in (("relu", torch.relu), ("elu", lambda x: torch.nn.functional.elu(x) + 1)):
        layer, plain = delta_net(qk_activation=name), delta_net(qk_activation="identity")
        torch.testing.assert_close(layer._activate(x), activation(plain._activate(x)))
    far = torch.full((1, 1, H), -30.0)
    torch.testing.assert_close(delta_net(qk_activation="elu")._activate(far), far.exp(), atol=0, rtol=1e-6)
    assert torch.equal(delta_net()._activate(x), x), "the convolution has activated it"
    for name, activation in (("silu", torch.nn.functional.silu), ("identity", lambda x: x)):
        layer = delta_net(use_short_conv=False, qk_activation=name)
        assert torch.equal(layer._heads(x, None)[0].flatten(2), activation(layer.q_proj(x)))
    summed = delta_net(qk_norm="sum", qk_activation="elu")._activate(x)
    torch.testing.assert_close(summed.sum(-1), torch.ones(2, 21))


def test_rates_and_norm_reach_the_recurrence():
    seen = {}

    class Spy(DeltaNet):
        def recurrence(self, q, k, v, **arguments):
            seen.update(arguments)
            return v, None

    Spy(hidden_size=H, num_heads=4, allow_neg_eigval=True)(tokens())
    assert 1 < seen["beta"].max() < 2 and seen["use_qk_l2norm_in_kernel"]
    Spy(hidden_size=H, num_heads=4, use_beta=False, qk_norm="sum")(tokens())
    assert (seen["beta"] == 1).all() and not seen["use_qk_l2norm_in_kernel"]


@pytest.mark.parametrize("make", [delta_net, gated_delta_net])
def test_autocast_and_narrow_parameters(make):
    x = tokens()
    exact = make()(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = make()(x)[0]
    narrow = make().bfloat16()(x.bfloat16())[0]
    for o in (rounded, narrow):
        assert o.dtype == torch.bfloat16 and (o - exact).norm() < 0.03 * exact.norm()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: DeltaNet(mode="fused_chunk"), "mode is 'fused_chunk', expected one of 'chunk'"),
        (lambda: DeltaNet(backend="triton"), "backend is 'triton', expected one of 'wyvern', 'torch'"),
        (lambda: DeltaNet(qk_activation="gelu"), "qk_activation is 'gelu'"),
        (lambda: DeltaNet(qk_norm="none"), "qk_norm is 'none'"),
        (lambda: DeltaNet(use_output_norm=False), "use_output_norm is False"),
        (lambda: DeltaNet(hidden_size=10, num_heads=4), "num_heads is 2.5, expected a whole number"),
        (lambda: GatedDeltaNet(head_dim=3, expand_v=0.5), "head_dim . expand_v is 1.5"),
        (lambda: GatedDeltaNet(num_heads=4, num_v_heads=6), "num_v_heads is 6, expected a multiple of num_heads, 4"),
        (lambda: GatedDeltaNet(num_heads=4, num_v_heads=2), "num_v_heads is 2, expected a multiple of num_heads, 4"),
        (lambda: GatedDeltaNet(output_gate_activation="tanh"), "output_gate_activation is 'tanh'"),
        (lambda: delta_net()(tokens(), torch.ones(2, 21, 21)), r"attention_mask has shape \[2, 21, 21\]"),
        (lambda: GatedDeltaNet(num_heads=0), "num_heads is 0, expected a whole number of 1 or more"),
        (lambda: GatedDeltaNet(num_heads=2, num_v_heads=-2), "num_v_heads is -2, expected a whole number of 1 or more"),
        (lambda: DeltaNet(num_heads=2.0), "num_heads is 2.0, expected a whole number"),
        (lambda: delta_net()(tokens()[0]), r"DeltaNet: hidden_states has shape \[21, 32\], expected \[B, T, 32\]"),
        (lambda: delta_net()(tokens()[..., :8]), r"hidden_states has shape \[2, 21, 8\], expected \[B, T, 32\]"),
        (lambda: delta_net()(tokens(), cu_seqlens=torch.tensor([0, 21])), "the batch size is 2, expected 1 with cu_seqlens"),
    ],
)
def test_bad_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_attention_weights_are_refused():
    with pytest.raises(NotImplementedError, match="no attention weights"):
        delta_net()(tokens(), output_attentions=True)
