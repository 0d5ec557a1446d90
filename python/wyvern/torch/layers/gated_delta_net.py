# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Gated DeltaNet layer (Yang et al. 2024, https://arxiv.org/abs/2412.06464)."""

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import nn

from .. import reference
from .._functions import chunk_gated_delta_rule, fused_recurrent_gated_delta_rule
from ._heads import Heads
from ._layer import DeltaLayer, expect_one_of
from ._parts import reset_gate

_GATES = {"swish": F.silu, "silu": F.silu, "sigmoid": torch.sigmoid}


class GatedDeltaNet(DeltaLayer):
    """The layer of fla.layers.GatedDeltaNet (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its
    checkpoints load with load_state_dict(strict=True). `mode` is accepted; both modes
    are served by the chunked program.

    backend: "wyvern", the compiled programs, or "torch", the recurrence in plain torch
    operations, token by token in float32 (`wyvern.torch.reference`).

    On a GPU the backend "wyvern" takes bf16 or fp16 activations (parameters of that
    type, or autocast) and key dims up to 256, value dims up to 512: multiples of 16 as
    they are (64 of key dims above 128), others padded with zeros. 64 and 128 are the
    fastest. On the CPU any head dim and floating-point type works. Raises ValueError for
    sizes that do not divide.
    """

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 2,
        head_dim: int = 256,
        num_heads: int = 6,
        num_v_heads: Optional[int] = None,
        mode: str = "chunk",
        use_gate: bool = True,
        use_short_conv: bool = True,
        allow_neg_eigval: bool = False,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: Optional[int] = None,
        norm_eps: float = 1e-5,
        output_gate_activation: str = "swish",
        backend: str = "wyvern",
    ) -> None:
        super().__init__(mode, backend, layer_idx, use_gate, use_short_conv, conv_size, conv_bias)
        expect_one_of("output_gate_activation", output_gate_activation, _GATES)
        self._set_heads(hidden_size, expand_v, head_dim, num_heads, num_v_heads)
        self.allow_neg_eigval = allow_neg_eigval

        self._make_projections(hidden_size)
        self.a_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.b_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.A_log = nn.Parameter(torch.empty(self.num_v_heads))
        self.dt_bias = nn.Parameter(torch.empty(self.num_v_heads))
        self.reset_parameters()
        self._make_convolutions(True)
        self._make_output(hidden_size, norm_eps, _GATES[output_gate_activation])

    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own, A_log and dt_bias; those
        of its submodules have their own reset_parameters. FSDP and accelerate call all
        of them after to_empty()."""
        reset_gate(self.A_log, self.dt_bias)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        rule: Any = reference.delta_rule
        if self.backend == "wyvern":
            rule = chunk_gated_delta_rule if x.states is None else fused_recurrent_gated_delta_rule
        return rule(
            x.q,
            x.k,
            x.v,
            g=self.a_proj(x.hidden_states),
            beta=self.b_proj(x.hidden_states),
            use_qk_l2norm_in_kernel=True,
            use_gate_in_kernel=True,
            A_log=self.A_log,
            dt_bias=self.dt_bias,
            use_beta_sigmoid_in_kernel=True,
            allow_neg_eigval=self.allow_neg_eigval,
            **x.arguments,
        )
