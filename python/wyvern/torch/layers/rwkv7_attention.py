# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The time mixing of RWKV-7 (Peng et al. 2025, https://arxiv.org/abs/2503.14456)."""

import math
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import nn

from .._family import chunk_rwkv7, fused_mul_recurrent_rwkv7
from .._l2norm import l2norm
from .._ops import compute_dtype
from .._ranks.context import ContextParallel
from ._heads import arguments_of
from ._layer import DeltaLayer, whole_number
from ._parts import TokenShift, check_sizes, repad

_STRONGEST = -math.exp(-0.5)  # a log decay
_MIXED = "rwkvag"


def _identity(x):
    return x


def _bias(low_rank):
    return low_rank.lora[2].bias


class _LowRank(nn.Module):
    """Two projections and what is between them; the last one begins as a tenth of an orthogonal one."""

    def __init__(self, inputs, rank, outputs, activation, bias=True):
        super().__init__()
        first, last = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias)
        nn.init.zeros_(first.weight)
        nn.init.orthogonal_(last.weight, gain=0.1 * max(1.0, math.sqrt(rank / outputs)))
        if bias:
            nn.init.zeros_(last.bias)
        self.lora = nn.Sequential(first, activation, last)

    def forward(self, x):
        return self.lora(x)


class RWKV7Attention(DeltaLayer):
    """The layer of fla.layers.RWKV7Attention (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names and shapes are FLA's: its checkpoints load with
    load_state_dict(strict=True). `mode` is accepted; programs are chosen by the tokens of a call. With layer_idx and
    num_hidden_layers its parameters begin as the paper has them; without, the mixed tokens are the tokens.

    On a GPU it takes bf16 or fp16 activations (parameters of that type, or autocast), key dims up to 256 (to
    192 in training) and value dims up to 512; on the CPU any. Raises ValueError for sizes that do not divide.
    """

    def __init__(
        self,
        mode: str = "chunk",
        hidden_size: int = 1024,
        head_dim: Optional[int] = 64,
        num_heads: Optional[int] = None,
        decay_low_rank_dim: Optional[int] = None,
        gate_low_rank_dim: Optional[int] = None,
        a_low_rank_dim: Optional[int] = None,
        v_low_rank_dim: Optional[int] = None,
        elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        layer_idx: Optional[int] = None,
        fuse_norm: bool = False,
        value_dim: Optional[int] = None,
        num_hidden_layers: Optional[int] = None,
    ) -> None:
        super().__init__(mode, "wyvern", layer_idx, True, True, TokenShift.kernel_size[0], False)
        self.hidden_size, self.fuse_norm, self.num_hidden_layers = hidden_size, fuse_norm, num_hidden_layers
        self.key_dim = hidden_size
        self.value_dim = hidden_size if value_dim is None else value_dim
        if head_dim is None and num_heads is None:
            raise ValueError("head_dim and num_heads are both None, expected one of them")
        check_sizes(hidden_size=hidden_size, value_dim=self.value_dim, **{"head_dim": head_dim} if head_dim else {"num_heads": num_heads})
        self.num_heads = whole_number("hidden_size / head_dim", hidden_size / head_dim) if head_dim else num_heads
        self.head_dim = self.head_k_dim = whole_number("hidden_size / num_heads", hidden_size / self.num_heads)
        self.head_v_dim = whole_number("value_dim / num_heads", self.value_dim / self.num_heads)

        def rank(given, factor):
            return max(32, round(factor * hidden_size**0.5 / 32) * 32) if given is None else given

        wider = self.head_dim / 64
        for x in _MIXED:
            setattr(self, f"x_{x}", nn.Parameter(torch.zeros(1, 1, hidden_size)))
        self.k_k = nn.Parameter(torch.zeros(self.key_dim))
        self.k_a = nn.Parameter(torch.zeros(self.key_dim))
        self.r_k = nn.Parameter(torch.zeros(self.num_heads, self.head_dim))
        self.r_proj = nn.Linear(hidden_size, self.key_dim, bias=False)
        self.k_proj = nn.Linear(hidden_size, self.key_dim, bias=False)
        self.v_proj = nn.Linear(hidden_size, self.value_dim, bias=False)
        self.o_proj = nn.Linear(self.value_dim, hidden_size, bias=False)
        self.w_lora = _LowRank(hidden_size, rank(decay_low_rank_dim, 2.5 * wider), self.key_dim, nn.Tanh())
        if layer_idx != 0:
            self.v_lora = _LowRank(hidden_size, rank(v_low_rank_dim, 1.7 * wider), self.value_dim, nn.Identity())
        self.a_lora = _LowRank(hidden_size, rank(a_low_rank_dim, 2.5 * wider), self.key_dim, nn.Identity())
        self.g_lora = _LowRank(hidden_size, rank(gate_low_rank_dim, 5), self.value_dim, nn.Sigmoid(), bias=False)
        self.g_norm = nn.GroupNorm(self.num_heads, self.value_dim, eps=self.head_dim * norm_eps, affine=elementwise_affine)
        self._shift = TokenShift()
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initializes what depends on the place of the layer among others, if that is known."""
        if self.layer_idx is None or self.num_hidden_layers is None:
            return
        depth = self.layer_idx / max(1, self.num_hidden_layers - 1)
        left = 1 - self.layer_idx / self.num_hidden_layers
        channel = torch.arange(self.hidden_size, device=self.k_k.device, dtype=torch.float32)
        slope = channel / max(1, self.hidden_size - 1)
        middle = max(1, self.head_dim - 1) / 2
        zigzag = (channel % self.head_dim - middle) / middle
        zigzag, linear = zigzag * zigzag.abs(), slope - 0.5
        for x, power in zip(_MIXED, (0.2, 0.9, 0.7, 0.7, 0.9, 0.2)):
            getattr(self, f"x_{x}").copy_(1 - (channel / self.hidden_size) ** (power * left))
        self.k_k.copy_(0.71 - 0.1 * linear)
        self.k_a.fill_(1.02)
        self.r_k.fill_(-0.04)
        _bias(self.w_lora).copy_(-5.5 + 6 * slope ** (1 + depth**0.3) + 2.5 * zigzag)
        _bias(self.a_lora).copy_(-0.19 + 0.3 * zigzag + 0.4 * linear)
        if self.layer_idx != 0 and self.value_dim == self.hidden_size:
            _bias(self.v_lora).copy_(0.73 - 0.4 * linear)
        if self.g_norm.affine:
            self.g_norm.weight.fill_(((self.layer_idx + 1) / self.num_hidden_layers) ** 0.7)
        for projection, gain in ((self.r_proj, 1.0), (self.k_proj, 0.1), (self.v_proj, 1.0)):
            nn.init.orthogonal_(projection.weight, gain=gain)
        nn.init.zeros_(self.o_proj.weight)

    @property
    def _channels(self):
        """Of what is shifted."""
        return (self.hidden_size,)

    def forward(  # type: ignore[override]
        self,
        hidden_states: torch.Tensor,
        attention_mask: Optional[torch.Tensor] = None,
        past_key_values: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        v_first: Optional[torch.Tensor] = None,
        cu_seqlens: Optional[torch.Tensor] = None,
        cp_context: Optional[ContextParallel] = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None, Any, torch.Tensor]:
        """hidden_states [B, T, hidden_size] -> (the same shape, None, past_key_values, v_first). The arguments are those
        of GatedDeltaNet's forward, and v_first [B, T, value_dim]: the values of layer 0, which all others take, as its
        last result has them. Raises ValueError where they are missing.
        """
        if output_attentions:
            raise NotImplementedError("RWKV7Attention: a recurrence has no attention weights to output")
        if v_first is None and self.layer_idx != 0:
            raise ValueError("RWKV7Attention: v_first is None, expected the values of the layer with layer_idx 0")
        values = []

        def body(x, cu_seqlens, neighbours, states, places):
            first = v_first if v_first is None or places is None else v_first.flatten(0, 1)[places][None]
            o, state, first = self._mix(x, cu_seqlens, neighbours, states, first)
            values.append(first if places is None else repad(first, places, *hidden_states.shape[:2]))
            return o, state

        results = self._through(hidden_states, attention_mask, past_key_values, use_cache, cu_seqlens, cp_context, body)
        return *results, values[0] if self.layer_idx == 0 else v_first

    def _mix(self, x, cu_seqlens, neighbours, states, v_first):
        """What is projected to the output [B, T, value_dim], the state or None, and the values of layer 0."""
        delta = neighbours.convolve(self._shift, _identity, x) - x
        mixed = {name: x + delta * getattr(self, f"x_{name}") for name in _MIXED}
        heads = (self.num_heads, self.head_dim)
        r, k, v = self.r_proj(mixed["r"]), self.k_proj(mixed["k"]), self.v_proj(mixed["v"])
        w = _STRONGEST * self.w_lora(mixed["w"]).to(compute_dtype(r)).sigmoid()
        if self.layer_idx == 0:
            v_first = v
        else:
            v = torch.lerp(v, v_first, self.v_lora(mixed["v"]).sigmoid())
        a, gate = self.a_lora(mixed["a"]).sigmoid(), self.g_lora(mixed["g"])
        kk = (k * self.k_k).unflatten(-1, heads)
        kk = (l2norm(kk) if self.fuse_norm else F.normalize(kk, dim=-1)).to(r.dtype)
        k = torch.addcmul(k, k * (a - 1), self.k_a)
        r, w, k, a = (y.unflatten(-1, heads) for y in (r, w, k, a.to(r.dtype)))
        v = v.unflatten(-1, (self.num_heads, -1))
        arguments = arguments_of(cu_seqlens, neighbours.context, states)
        if states is None:
            o, state = chunk_rwkv7(r, w, k, v, -kk, kk * a, **arguments)
        else:
            o, state = fused_mul_recurrent_rwkv7(r, w, k, v, kk, a, **arguments)
        o = self.g_norm(o.flatten(0, 1).flatten(1)).view(*o.shape[:2], -1)
        o = o + ((r * k * self.r_k).sum(-1, keepdim=True) * v).flatten(2)
        return o * gate, state, v_first
