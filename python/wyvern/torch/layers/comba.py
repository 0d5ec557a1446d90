# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Comba layer (Hu et al. 2025, https://arxiv.org/abs/2506.02475)."""

from typing import Any, Optional

import torch
from torch import nn

from .._family import chunk_comba, fused_recurrent_comba
from .._gate import log_decay
from .._ops import compute_dtype
from ._heads import Heads
from ._layer import DeltaLayer
from ._parts import reset_gate


class Comba(DeltaLayer):
    """The layer of fla.layers.Comba (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its checkpoints load with
    load_state_dict(strict=True). `mode` is accepted; programs are chosen by the tokens of a call.

    On a GPU it takes bf16 or fp16 activations (parameters of that type, or autocast), key dims up to 256
    and value dims up to 512, which are FLA's default; on the CPU any. Raises ValueError for sizes that do not divide.
    """

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 2,
        head_dim: int = 256,
        num_heads: int = 6,
        num_v_heads: Optional[int] = None,
        mode: str = "chunk",
        use_short_conv: bool = True,
        use_output_gate: bool = True,
        use_output_correction: bool = True,
        use_inner_decay: bool = True,
        correction_factor: float = 1.0,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: Optional[int] = None,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__(mode, "wyvern", layer_idx, use_output_gate, use_short_conv, conv_size, conv_bias)
        self._set_heads(hidden_size, expand_v, head_dim, num_heads, num_v_heads)
        self.use_output_correction = use_output_correction
        self.use_inner_decay = use_inner_decay
        self.correction_factor = correction_factor

        self._make_projections(hidden_size)
        self.a_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.b_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        if use_inner_decay:
            self.decay = nn.Parameter(torch.empty(num_heads))
        if use_output_correction:
            self.D = nn.Parameter(torch.empty(num_heads))
        self.A_log = nn.Parameter(torch.empty(self.num_v_heads))
        self.dt_bias = nn.Parameter(torch.empty(self.num_v_heads))
        self.reset_parameters()
        self._make_convolutions(True)
        self._make_output(hidden_size, norm_eps, torch.sigmoid)

    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own: A_log, dt_bias, decay and D."""
        reset_gate(self.A_log, self.dt_bias)
        if self.use_inner_decay:
            nn.init.ones_(self.decay)
        if self.use_output_correction:
            nn.init.constant_(self.D, self.correction_factor)
            setattr(self.D, "_no_weight_decay", True)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        q, p = x.q, x.k
        if self.use_inner_decay:
            p = (p * self.decay[:, None].sigmoid()).to(p.dtype)
        if self.use_output_correction:
            q = (q - self.D[:, None] * p).to(q.dtype)
        wide = compute_dtype(q)
        rule: Any = chunk_comba if x.states is None else fused_recurrent_comba
        return rule(
            q=q,
            k=x.k,
            v=x.v,
            p=p,
            g=log_decay(self.a_proj(x.hidden_states).to(wide), self.A_log, self.dt_bias),
            beta=self.b_proj(x.hidden_states).to(wide).sigmoid(),
            use_qk_l2norm_in_kernel=True,
            **x.arguments,
        )
