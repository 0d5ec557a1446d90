# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The DeltaNet layer (Yang et al. 2024, https://arxiv.org/abs/2406.06484)."""

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import nn

from .. import reference
from .._functions import chunk_delta_rule, fused_recurrent_delta_rule
from ._heads import Heads
from ._layer import DeltaLayer, expect_one_of, whole_number
from ._parts import check_sizes


def _elu_plus_1(x):
    # Not F.elu(x) + 1: far below zero that is exp(x) - 1 + 1, which rounds to 0.
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


_ACTIVATIONS: dict[str, Any] = {"silu": F.silu, "relu": F.relu, "elu": _elu_plus_1, "identity": None}


class DeltaNet(DeltaLayer):
    """The layer of fla.layers.DeltaNet (flash-linear-attention 0.6.0).

    Arguments, defaults, parameter names, shapes and initial values are FLA's: its
    checkpoints load with load_state_dict(strict=True). `mode` is accepted; both modes
    are served by the chunked program. `use_output_norm` can only be True.

    backend: "wyvern", the compiled programs, or "torch", the recurrence in plain torch
    operations, token by token in float32 (`wyvern.torch.reference`).

    On a GPU the backend "wyvern" takes bf16 or fp16 activations (parameters of that
    type, or autocast), key dims up to 256 and value dims up to 512: multiples of 16 as
    they are (64 of key dims above 128), others padded with zeros. 64 and 128 are the
    fastest. On the CPU any head dim and floating-point type works. Raises ValueError for
    sizes that do not divide.
    """

    def __init__(
        self,
        mode: str = "chunk",
        d_model: Optional[int] = None,
        hidden_size: int = 1024,
        expand_k: float = 1.0,
        expand_v: float = 1.0,
        num_heads: int = 4,
        use_beta: bool = True,
        use_gate: bool = False,
        use_short_conv: bool = True,
        conv_size: int = 4,
        conv_bias: bool = False,
        allow_neg_eigval: bool = False,
        layer_idx: Optional[int] = None,
        qk_activation: str = "silu",
        qk_norm: str = "l2",
        norm_eps: float = 1e-5,
        use_output_norm: bool = True,
        backend: str = "wyvern",
    ) -> None:
        super().__init__(mode, backend, layer_idx, use_gate, use_short_conv, conv_size, conv_bias)
        expect_one_of("qk_activation", qk_activation, _ACTIVATIONS)
        expect_one_of("qk_norm", qk_norm, ("l2", "sum"))
        expect_one_of("use_output_norm", use_output_norm, (True,))
        hidden_size = hidden_size if d_model is None else d_model
        check_sizes(hidden_size=hidden_size, num_heads=num_heads, conv_size=conv_size)
        self.hidden_size = hidden_size
        self.expand_k = expand_k
        self.expand_v = expand_v
        self.num_heads = num_heads
        self.use_beta = use_beta
        self.allow_neg_eigval = allow_neg_eigval
        self.qk_activation = qk_activation
        self.qk_norm = qk_norm
        self.key_dim = whole_number("hidden_size * expand_k", hidden_size * expand_k)
        self.value_dim = whole_number("hidden_size * expand_v", hidden_size * expand_v)
        self.head_k_dim = whole_number("hidden_size * expand_k / num_heads", self.key_dim / num_heads)
        self.head_v_dim = whole_number("hidden_size * expand_v / num_heads", self.value_dim / num_heads)

        self._make_projections(hidden_size)
        if use_beta:
            self.b_proj = nn.Linear(hidden_size, num_heads, bias=False)
        self._make_convolutions(qk_activation == "silu")
        self._make_output(hidden_size, norm_eps)

    def mix(self, x: Heads) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, value heads, V], the state after it or None) of the heads `x` of a call."""
        q, k = self._activate(x.q), self._activate(x.k)
        wide = torch.promote_types(q.dtype, torch.float32)
        if self.use_beta:
            beta = self.b_proj(x.hidden_states).to(wide).sigmoid()
        else:
            beta = torch.ones(q.shape[:3], dtype=wide, device=q.device)
        if self.allow_neg_eigval:
            beta = 2 * beta
        return self.recurrence(q, k, x.v, beta=beta, use_qk_l2norm_in_kernel=self.qk_norm == "l2", **x.arguments)

    def _activate(self, x):
        # A SiLU has been applied to q and k as they were made.
        if self.qk_activation not in ("identity", "silu"):
            x = _ACTIVATIONS[self.qk_activation](x)
        return F.normalize(x, p=1, dim=-1, eps=1e-6) if self.qk_norm == "sum" else x

    def recurrence(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **arguments: Any
    ) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Returns (o [B, T, heads, V], the state or None) of q, k [B, T, heads, K] and v, by the
        layer's backend; more arguments are those of chunk_delta_rule."""
        rule: Any = reference.delta_rule
        if self.backend == "wyvern":
            rule = fused_recurrent_delta_rule if "output_final_state" in arguments else chunk_delta_rule
        return rule(q, k, v, **arguments)
