# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""past_key_values of the layers of wyvern.torch: tokens that follow on others give what the whole sequence gives."""

import pytest

torch = pytest.importorskip("torch")

import wyvern.torch
from wyvern.torch import Cache, DeltaNet, GatedDeltaNet, Layer

H = 32  # hidden size


def delta_net(**options):
    torch.manual_seed(0)
    return DeltaNet(**{"hidden_size": H, "num_heads": 4, "backend": "torch"} | options)


def gated_delta_net(**options):
    torch.manual_seed(0)
    sizes = {"hidden_size": H, "head_dim": 8, "num_heads": 2, "num_v_heads": 4, "expand_v": 1.5}
    return GatedDeltaNet(**sizes | {"backend": "torch"} | options)


MAKERS = [delta_net, gated_delta_net]


def tokens(batch=2, length=21):
    torch.manual_seed(1)
    return torch.randn(batch, length, H)


def close(x, expected):
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-5)


def in_pieces(layer, x, cuts, cache=None, **options):
    """o of pieces, one after the other, and the cache."""
    outputs, begin = [], 0
    with torch.no_grad():
        for end in cuts:
            o, _, cache = layer(x[:, begin:end], past_key_values=cache, use_cache=True, **options)
            outputs.append(o)
            begin = end
    return torch.cat(outputs, 1), cache


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("options", [{}, {"use_short_conv": False}, {"backend": "wyvern"}])
def test_pieces_are_the_whole(make, options):
    """A prompt, single tokens, a draft's few, an empty piece, and more tokens than a step takes."""
    if "backend" in options:
        pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    layer, x = make(**options), tokens(length=48)
    whole = layer(x)[0]
    o, cache = in_pieces(layer, x, (9, 10, 11, 11, 14, 31, 48))
    close(o, whole)
    assert isinstance(cache, Cache) and cache.get_seq_length() == 48 and len(cache) == 1
    assert cache[0]["recurrent_state"].dtype == torch.float32


@pytest.mark.parametrize("name", ["KimiDeltaAttention", "GatedDeltaProduct", "GatedDeltaNet2", "Comba"])
def test_pieces_of_the_family(name):
    pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    torch.manual_seed(0)
    options = {"allow_neg_eigval": True} if name != "Comba" else {}
    layer = getattr(wyvern.torch, name)(hidden_size=H, head_dim=8, num_heads=2, num_v_heads=4, expand_v=1, **options)
    x = tokens(length=40)
    with torch.no_grad():
        whole = layer(x)[0]
    o, cache = in_pieces(layer, x, (9, 10, 14, 40))
    close(o, whole)
    assert cache[0]["recurrent_state"].shape == (2, 4, 8, 8)


def test_pieces_of_rwkv7():
    """Padded, too; what a token mixes with is the one before, and v_first is of the tokens of a call."""
    pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    torch.manual_seed(0)
    layer = wyvern.torch.RWKV7Attention(hidden_size=H, head_dim=8, layer_idx=1)
    for parameter in layer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, first = tokens(length=40), torch.randn(2, 40, H)
    with torch.no_grad():
        whole = layer(x, v_first=first)[0]
        cache, outputs, begin = Cache(), [], 0
        for end in (9, 10, 14, 40):
            outputs.append(layer(x[:, begin:end], v_first=first[:, begin:end], past_key_values=cache)[0])
            begin = end
        close(torch.cat(outputs, 1), whole)
        mask = torch.ones(2, 40, dtype=torch.int64)
        mask[0, :4] = 0
        padded = layer(x, v_first=first, attention_mask=mask)[0]
        close(padded[0, 4:], layer(x[:1, 4:], v_first=first[:1, 4:])[0][0])
        assert not padded[0, :4].any()
    with pytest.raises(ValueError, match="v_first is None"):
        layer(x)


@pytest.mark.parametrize("make", MAKERS)
def test_a_prompt_shorter_than_the_convolution(make):
    layer, x = make(), tokens()
    o, _ = in_pieces(layer, x, (1, 2, 4, 21))
    close(o, layer(x)[0])


@pytest.mark.parametrize("make", MAKERS)
def test_padded_prompts(make):
    """As generate() calls layers: the mask is of all tokens so far, and a step has none of padding."""
    layer, x = make(), tokens(3)
    mask = torch.ones(3, 21, dtype=torch.int64)
    mask[0, :4] = 0
    mask[2, :8] = 0  # more than the first piece
    whole = layer(x, attention_mask=mask)[0]
    outputs, cache, begin = [], Cache(), 0
    with torch.no_grad():
        for end in (6, 10, 18, 19, 20, 21):
            o, _, cache = layer(x[:, begin:end], attention_mask=mask[:, :end], past_key_values=cache)
            outputs.append(o)
            begin = end
    close(torch.cat(outputs, 1), whole)


@pytest.mark.parametrize("make", MAKERS)
def test_packed_prompts(make):
    layer, x = make(), tokens(1, 30)
    alone = torch.cat([layer(x[:, a:b])[0] for a, b in ((0, 12), (12, 30))], 1)
    with torch.no_grad():
        first, _, cache = layer(x[:, [*range(0, 2), *range(12, 22)]], cu_seqlens=torch.tensor([0, 2, 12]), use_cache=True)
        rest, _, _ = layer(x[:, [*range(2, 12), *range(22, 30)]], cu_seqlens=torch.tensor([0, 10, 18]), past_key_values=cache)
    close(torch.cat([first[:, :2], rest[:, :10], first[:, 2:], rest[:, 10:]], 1), alone)


@pytest.mark.parametrize("make", MAKERS)
def test_a_cache_of_transformers(make):
    transformers = pytest.importorskip("transformers")
    config = transformers.Qwen3_5TextConfig(num_hidden_layers=2, layer_types=["linear_attention"] * 2)
    cache = transformers.DynamicCache(config=config)
    layers, x = [make(layer_idx=0), make(layer_idx=1)], tokens()
    layers[1].o_proj.weight.data.mul_(2)
    for layer in layers:
        o, same = in_pieces(layer, x, (9, 10, 14, 21), cache)
        close(o, layer(x)[0])
        assert same is cache
    cache.activate_past_recording()
    with pytest.raises(NotImplementedError, match="cannot be cropped"):
        layers[0](x, past_key_values=cache)
    with pytest.raises(NotImplementedError, match="take a wyvern.torch.Cache"):
        make(use_short_conv=False)(x, past_key_values=cache)


SPEC = """
name: my_layer
heads: {key: 1, value: 2}
dims: {key: 32, value: 32}
dtype: bf16
decay: channel
steps:
  - {write: k, value: v, rate: beta, repeat: 2}
"""


@pytest.mark.parametrize("options", [{}, {"conv_size": 0, "use_gate": True}])
def test_a_layer_of_any_spec(options):
    pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    torch.manual_seed(0)
    layer, x, cache = Layer(SPEC, H, layer_idx=1, **options), tokens(length=30), Cache()
    whole = layer(x)
    pieces, begin = [], 0
    with torch.no_grad():
        for end in (3, 4, 5, 28, 30):
            pieces.append(layer(x[:, begin:end], past_key_values=cache))
            begin = end
    close(torch.cat(pieces, 1), whole)
    assert cache.get_seq_length(1) == 30 and cache[0] == {}
    # Gradients go through the op, not the step.
    layer(x[:, :2], past_key_values=cache).sum().backward()
    assert layer.k_proj.weight.grad.abs().sum() > 0
    with pytest.raises(NotImplementedError, match="Layer: past_key_values with cp_context"):
        layer(x, past_key_values=cache, cp_context=object())


def test_layers_have_their_own_part():
    first, second, x, cache = delta_net(layer_idx=0), delta_net(layer_idx=3), tokens(), Cache()
    first(x, past_key_values=cache)
    second(x[:, :5], past_key_values=cache)
    assert (cache.get_seq_length(0), cache.get_seq_length(3), cache.get_seq_length(1), len(cache)) == (21, 5, 0, 4)
    assert cache[1] == {} and cache[3]["conv_state"][0].shape == (2, H, 4)


def test_what_is_refused():
    layer, x = delta_net(), tokens()
    with pytest.raises(TypeError, match="past_key_values is a set, expected a wyvern.torch.Cache"):
        layer(x, past_key_values=set())
    with pytest.raises(NotImplementedError, match="past_key_values with cp_context is not supported"):
        delta_net(backend="wyvern")(x, use_cache=True, cp_context=object())
    assert layer(x)[2] is None
