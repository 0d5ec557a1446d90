# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the layers in the place of FLA's share: all but the rates and the recurrence."""

import math
from typing import Any, Callable, Optional

import torch
import torch.nn.functional as F
from torch import nn

from .._ranks.context import ContextParallel
from ._cache import Cache, Continued, LayerStates
from ._heads import Heads
from ._parts import OutputNorm, ShortConvolution, check_sizes, low_rank_projection, repad, unpad
from ._ranks import Neighbours

MODES = ("chunk", "fused_recurrent")
BACKENDS = ("wyvern", "torch")


def expect_one_of(what, value, choices):
    """Raises ValueError for a value that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{what} is {value!r}, expected one of {', '.join(map(repr, choices))}")


def whole_number(what, value):
    """Returns `value` as an int; raises ValueError if it is not close to one."""
    if not math.isclose(value, round(value)):
        raise ValueError(f"{what} is {value}, expected a whole number")
    return round(value)


class DeltaLayer(nn.Module):
    """Projections, short convolutions, recurrence, output norm, output projection.

    A subclass sets the sizes, makes its parameters in FLA's order (so that one seed
    gives the same weights in both) and has `mix(x)`, the recurrence on the heads of a call,
    with the results [B, T, value heads, V] and, where there are `x.states` to go on from, the
    state to keep.
    """

    steps = 1  # rows of k and v a token
    # What _make_projections, _make_convolutions and _make_output make.
    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    q_conv1d: ShortConvolution
    k_conv1d: ShortConvolution
    v_conv1d: ShortConvolution
    g_proj: nn.Module
    key_dim: int
    value_dim: int
    head_v_dim: int
    mix: Callable[[Heads], tuple[torch.Tensor, Optional[torch.Tensor]]]

    def __init__(self, mode, backend, layer_idx, use_gate, use_short_conv, conv_size, conv_bias):
        super().__init__()
        expect_one_of("mode", mode, MODES)
        expect_one_of("backend", backend, BACKENDS)
        self.mode = mode
        self.backend = backend
        self.layer_idx = layer_idx
        self.use_gate = use_gate
        self.use_short_conv = use_short_conv
        self.conv_size = conv_size
        self.conv_bias = conv_bias

    def _set_heads(self, hidden_size, expand_v, head_dim, num_heads, num_v_heads):
        """Sets the sizes of heads with one head_dim, and more value heads than key heads."""
        check_sizes(hidden_size=hidden_size, head_dim=head_dim, num_heads=num_heads, conv_size=self.conv_size)
        self.hidden_size = hidden_size
        self.expand_v = expand_v
        self.head_dim = head_dim
        self.num_heads = num_heads
        self.num_v_heads = num_heads if num_v_heads is None else num_v_heads
        check_sizes(num_v_heads=self.num_v_heads)
        if self.num_v_heads % num_heads != 0:
            raise ValueError(f"num_v_heads is {num_v_heads}, expected a multiple of num_heads, {num_heads}")
        self.head_k_dim = head_dim
        self.head_v_dim = whole_number("head_dim * expand_v", head_dim * expand_v)
        self.key_dim = num_heads * self.head_k_dim
        self.value_dim = self.num_v_heads * self.head_v_dim

    @property
    def _channels(self):
        """Of q, k and v, side by side."""
        return self.key_dim, self.steps * self.key_dim, self.steps * self.value_dim

    def _make_projections(self, hidden_size):
        for name, channels in zip("qkv", self._channels):
            setattr(self, f"{name}_proj", nn.Linear(hidden_size, channels, bias=False))

    def _make_convolutions(self, qk_silu):
        """qk_silu: whether q and k go through SiLU, as v does, with a convolution or without."""
        self._qk_silu = qk_silu
        if not self.use_short_conv:
            return
        for name, channels in zip("qkv", self._channels):
            silu = qk_silu or name == "v"
            setattr(self, f"{name}_conv1d", ShortConvolution(channels, self.conv_size, self.conv_bias, silu))

    def _make_output(self, hidden_size, norm_eps, gate_activation=F.silu, low_rank=None):
        """low_rank: of the gate's projection, whose second part then has a bias."""
        if self.use_gate and low_rank is None:
            self.g_proj = nn.Linear(hidden_size, self.value_dim, bias=False)
        elif self.use_gate:
            self.g_proj = low_rank_projection(hidden_size, low_rank, self.value_dim, bias=True)
        self.o_norm = OutputNorm(self.head_v_dim, norm_eps, gate_activation)
        self.o_proj = nn.Linear(self.value_dim, hidden_size, bias=False)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: Optional[torch.Tensor] = None,
        past_key_values: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        cu_seqlens: Optional[torch.Tensor] = None,
        cp_context: Optional[ContextParallel] = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None, Any]:
        """hidden_states [B, T, hidden_size] -> (the same shape, None, past_key_values), FLA's triple.

        cu_seqlens [N + 1], on the device: N sequences packed into a batch of 1.
        attention_mask [B, T]: 0 for padding, 1 for tokens; the output is 0 at padding.
        The batch is then packed, which reads the mask on the host; without effect
        beside cu_seqlens, as in FLA. cp_context: by which ranks hold parts of the sequences;
        hidden_states are this rank's tokens, and cu_seqlens offsets into all of them. Other keyword arguments, such as the position_ids
        that a model hands to each of its layers, have no effect.

        past_key_values: a `Cache`, FLA's, or one of transformers' with linear attention layers; the
        tokens follow on what it has, and it is brought up to date. Its part is `layer_idx`. use_cache
        without one makes one. attention_mask may then be of all tokens so far; a single token a row
        that follows on others is a token, whatever the mask says. Up to 16 tokens go through the
        program that decodes, if no gradients are recorded. Raises ValueError for shapes, and
        NotImplementedError for output_attentions.
        """
        if output_attentions:
            name = type(self).__name__
            raise NotImplementedError(f"{name}: a recurrence has no attention weights to output")
        return self._through(hidden_states, attention_mask, past_key_values, use_cache, cu_seqlens, cp_context, self._body)

    def _through(self, hidden_states, attention_mask, past_key_values, use_cache, cu_seqlens, cp_context, body):
        """The forward pass, with `body(hidden_states, cu_seqlens, neighbours, states, places)` on tokens without
        padding; it returns what is projected to the output, and the state to keep."""
        name = type(self).__name__
        self._check_shapes(hidden_states, cu_seqlens)
        if cp_context is not None:
            self._check_context(attention_mask, cu_seqlens)
        batch, tokens, _ = hidden_states.shape
        states = self._open(name, past_key_values, use_cache, cp_context)
        if states is not None and states.recurrent is not None and attention_mask is not None:
            attention_mask = None if tokens == 1 else attention_mask[:, -tokens:]
        places = None
        neighbours: Any
        if attention_mask is not None and cu_seqlens is None:
            hidden_states, places, cu_seqlens = unpad(hidden_states, attention_mask)
        if states is None:
            width = self.conv_size if self.use_short_conv else 1
            neighbours = Neighbours(name, cp_context, hidden_states, cu_seqlens, width)
        else:
            neighbours = Continued(states, cu_seqlens)
        o, state = body(hidden_states, cu_seqlens, neighbours, states, places)
        if states is not None:
            states.write(neighbours.kept, state, tokens)
        o = self.o_proj(o)
        o = o if places is None else repad(o, places, batch, tokens)
        return o, None, past_key_values if states is None else states.cache

    def _body(self, hidden_states, cu_seqlens, neighbours, states, places):
        q, k, v = self._heads(hidden_states, neighbours)
        o, state = self.mix(Heads(hidden_states, q, k, v, cu_seqlens, neighbours.context, states))
        if self.use_gate:
            o = self.o_norm(o, self.g_proj(hidden_states).unflatten(-1, o.shape[2:]))
        else:
            o = self.o_norm(o)
        return o.flatten(2), state

    def _open(self, name, cache, use_cache, cp_context):
        """This layer's states in a cache, or None where none is wanted."""
        if cache is None and not use_cache:
            return None
        if cp_context is not None:
            raise NotImplementedError(f"{name}: past_key_values with cp_context is not supported: decode on one rank")
        channels = self._channels if self.use_short_conv else ()
        return LayerStates(name, Cache() if cache is None else cache, self.layer_idx, channels)

    def _check_shapes(self, hidden_states, cu_seqlens):
        name, shape = type(self).__name__, list(hidden_states.shape)
        if len(shape) != 3 or shape[2] != self.hidden_size:
            raise ValueError(
                f"{name}: hidden_states has shape {shape}, expected [B, T, {self.hidden_size}]"
            )
        if cu_seqlens is not None and shape[0] != 1:
            raise ValueError(
                f"{name}: the batch size is {shape[0]}, expected 1 with cu_seqlens: pack the "
                "sequences into one"
            )

    def _check_context(self, attention_mask, cu_seqlens):
        name = type(self).__name__
        if self.backend != "wyvern":
            raise ValueError(f"{name}: cp_context needs backend='wyvern', found {self.backend!r}")
        if attention_mask is not None and cu_seqlens is None:
            raise ValueError(
                f"{name}: attention_mask with cp_context is not supported: which rank has which token would depend on "
                "the mask; pack the sequences and pass cu_seqlens"
            )

    def _heads(self, hidden_states, neighbours):
        """q, k, v [B, T, heads, dim], convolved and activated."""
        if self.use_short_conv:
            q = neighbours.convolve(self.q_conv1d, self.q_proj, hidden_states)
            k = neighbours.convolve(self.k_conv1d, self.k_proj, hidden_states)
            v = neighbours.convolve(self.v_conv1d, self.v_proj, hidden_states)
        else:
            q, k, v = self.q_proj(hidden_states), self.k_proj(hidden_states), F.silu(self.v_proj(hidden_states))
            if self._qk_silu:
                q, k = F.silu(q), F.silu(k)
        # A token's rows of k and v lie side by side.
        k, v = (x.unflatten(-1, (self.steps, -1, dim)).flatten(1, 2) for x, dim in ((k, self.head_k_dim), (v, self.head_v_dim)))
        return q.unflatten(-1, (-1, self.head_k_dim)), k, v
