# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Gated DeltaProduct layer (Siems et al. 2025, https://arxiv.org/abs/2502.10297)."""

from typing import Any, Optional

import torch
from torch import nn

from .._family.delta_product import delta_product
from .._gate import log_decay
from .._ops import compute_dtype
from ._heads import Heads
from ._layer import DeltaLayer
from ._parts import check_sizes, reset_gate


class GatedDeltaProduct(DeltaLayer):
    """The layer of fla.layers.GatedDeltaProduct (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its checkpoints load with
    load_state_dict(strict=True). `mode` is accepted; programs are chosen by the tokens of a call.

    On a GPU it takes bf16 or fp16 activations (parameters of that type, or autocast), key dims up to 256 and
    value dims up to 512; on the CPU any. Raises ValueError for sizes that do not divide.
    """

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 2,
        head_dim: int = 256,
        num_heads: int = 6,
        num_v_heads: Optional[int] = None,
        mode: str = "chunk",
        use_output_gate: bool = True,
        use_short_conv: bool = True,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: Optional[int] = None,
        norm_eps: float = 1e-5,
        use_forget_gate: bool = True,
        allow_neg_eigval: bool = True,
        num_householder: int = 2,
    ) -> None:
        super().__init__(mode, "wyvern", layer_idx, use_output_gate, use_short_conv, conv_size, conv_bias)
        check_sizes(num_householder=num_householder)
        self._set_heads(hidden_size, expand_v, head_dim, num_heads, num_v_heads)
        self.use_forget_gate = use_forget_gate
        self.allow_neg_eigval = allow_neg_eigval
        self.steps = self.num_householder = num_householder

        self._make_projections(hidden_size)
        self.b_proj = nn.Linear(hidden_size, self.num_v_heads * num_householder, bias=False)
        if use_forget_gate:
            self.a_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
            self.A_log = nn.Parameter(torch.empty(self.num_v_heads))
            self.dt_bias = nn.Parameter(torch.empty(self.num_v_heads))
            self.reset_parameters()
        self._make_convolutions(True)
        self._make_output(hidden_size, norm_eps)

    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own, A_log and dt_bias."""
        if self.use_forget_gate:
            reset_gate(self.A_log, self.dt_bias)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        wide = compute_dtype(x.q)
        beta = self.b_proj(x.hidden_states).to(wide).sigmoid().unflatten(-1, (self.steps, -1)).flatten(1, 2)
        g = None
        if self.use_forget_gate:
            g = log_decay(self.a_proj(x.hidden_states).to(wide), self.A_log, self.dt_bias)
        initial = None if x.states is None else x.states.recurrent
        return delta_product(
            (x.q, x.k, x.v, g, 2 * beta if self.allow_neg_eigval else beta),
            self.num_householder,
            (None, initial, x.states is not None, x.cu_seqlens, x.cp_context),
            norm=True,
            max_rate=2.0 if self.allow_neg_eigval else 1.0,
            recurrent=x.states is not None,
        )
