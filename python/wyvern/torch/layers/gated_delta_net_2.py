# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Gated DeltaNet-2 layer."""

from typing import Any, Optional

import torch
from torch import nn

from .._family import chunk_gdn2, fused_recurrent_gdn2
from .._gate import log_decay
from .._ops import compute_dtype
from ._heads import Heads
from ._layer import DeltaLayer
from ._parts import low_rank_projection, reset_gate


class GatedDeltaNet2(DeltaLayer):
    """The layer of fla.layers.GatedDeltaNet2 (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its checkpoints load with
    load_state_dict(strict=True). `mode` is accepted; programs are chosen by the tokens of a call.

    On a GPU it takes bf16 or fp16 activations (parameters of that type, or autocast), key dims up to 256
    and value dims up to 512; on the CPU any. Raises ValueError for sizes that do not divide.
    """

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 1.0,
        head_dim: int = 128,
        num_heads: int = 16,
        num_v_heads: Optional[int] = None,
        mode: str = "chunk",
        use_short_conv: bool = True,
        allow_neg_eigval: bool = False,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: Optional[int] = None,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__(mode, "wyvern", layer_idx, True, use_short_conv, conv_size, conv_bias)
        self._set_heads(hidden_size, expand_v, head_dim, num_heads, num_v_heads)
        self.allow_neg_eigval = allow_neg_eigval

        self._make_projections(hidden_size)
        self._make_convolutions(True)
        self.f_proj = low_rank_projection(hidden_size, self.head_v_dim, self.key_dim)
        self.b_proj = nn.Linear(hidden_size, self.key_dim, bias=False)
        self.w_proj = nn.Linear(hidden_size, self.value_dim, bias=False)
        self.A_log = nn.Parameter(torch.empty(num_heads))
        self.dt_bias = nn.Parameter(torch.empty(self.key_dim))
        self.reset_parameters()
        self._make_output(hidden_size, norm_eps, torch.sigmoid, low_rank=self.head_v_dim)

    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own, A_log and dt_bias."""
        reset_gate(self.A_log, self.dt_bias, least=1)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        heads = (self.num_heads, self.head_k_dim)
        raw = self.f_proj(x.hidden_states).to(compute_dtype(x.q)).unflatten(-1, heads)
        g = log_decay(raw, self.A_log[:, None], self.dt_bias.view(heads))
        b = self.b_proj(x.hidden_states).sigmoid().unflatten(-1, heads)
        rule: Any = chunk_gdn2 if x.states is None else fused_recurrent_gdn2
        return rule(
            x.q,
            x.k,
            x.v,
            g=g.repeat_interleave(self.num_v_heads // self.num_heads, 2),
            b=(2 * b if self.allow_neg_eigval else b).to(x.q.dtype),
            w=self.w_proj(x.hidden_states).sigmoid().unflatten(-1, x.v.shape[2:]).to(x.q.dtype),
            use_qk_l2norm_in_kernel=True,
            **x.arguments,
            **({"max_rate": 2.0 if self.allow_neg_eigval else 1.0} if x.states is None else {}),
        )
