# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Kimi Delta Attention layer (Kimi Team 2025, https://arxiv.org/abs/2510.26692)."""

from typing import Any, Optional

import torch
from torch import nn

from .._family import chunk_kda, fused_recurrent_kda
from ._heads import Heads
from ._layer import DeltaLayer
from ._parts import low_rank_projection, reset_gate


class KimiDeltaAttention(DeltaLayer):
    """The layer of fla.layers.KimiDeltaAttention (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its checkpoints load with
    load_state_dict(strict=True). `mode` is accepted; programs are chosen by the tokens of a call.

    With safe_gate, which needs a lower_bound below 0, and with any lower_bound, the log decay is
    lower_bound sigmoid(exp(A_log) (f + dt_bias)). On a GPU it takes bf16 or fp16 activations (parameters of that type,
    or autocast), key dims up to 256 and value dims up to 512; on the CPU any. Raises ValueError for sizes that do
    not divide.
    """

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 1,
        head_dim: int = 128,
        num_heads: int = 16,
        num_v_heads: Optional[int] = None,
        mode: str = "chunk",
        use_short_conv: bool = True,
        allow_neg_eigval: bool = False,
        safe_gate: bool = False,
        lower_bound: Optional[float] = None,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: Optional[int] = None,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__(mode, "wyvern", layer_idx, True, use_short_conv, conv_size, conv_bias)
        if safe_gate and lower_bound is None:
            raise ValueError("safe_gate is True without a lower_bound, by which the gate is computed")
        if lower_bound is not None and not lower_bound < 0:
            raise ValueError(f"lower_bound is {lower_bound}, expected less than 0: it is of a log decay")
        self._set_heads(hidden_size, expand_v, head_dim, num_heads, num_v_heads)
        self.allow_neg_eigval = allow_neg_eigval
        self.safe_gate, self.lower_bound = safe_gate, lower_bound

        self._make_projections(hidden_size)
        self._make_convolutions(True)
        gates = self.num_v_heads * self.head_k_dim
        self.f_proj = low_rank_projection(hidden_size, self.head_v_dim, gates)
        self.b_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.A_log = nn.Parameter(torch.empty(self.num_v_heads))
        self.dt_bias = nn.Parameter(torch.empty(gates))
        self.reset_parameters()
        self._make_output(hidden_size, norm_eps, torch.sigmoid, low_rank=self.head_v_dim)

    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own, A_log and dt_bias."""
        reset_gate(self.A_log, self.dt_bias, least=None if self.safe_gate else 1)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        rule: Any = chunk_kda if x.states is None else fused_recurrent_kda
        return rule(
            x.q,
            x.k,
            x.v,
            g=self.f_proj(x.hidden_states).unflatten(-1, (-1, self.head_k_dim)),
            beta=self.b_proj(x.hidden_states),
            use_qk_l2norm_in_kernel=True,
            use_gate_in_kernel=True,
            A_log=self.A_log,
            dt_bias=self.dt_bias,
            lower_bound=self.lower_bound,
            use_beta_sigmoid_in_kernel=True,
            allow_neg_eigval=self.allow_neg_eigval,
            **x.arguments,
        )
