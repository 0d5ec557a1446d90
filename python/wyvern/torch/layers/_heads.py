# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a layer hands to its recurrence."""

from dataclasses import dataclass
from typing import Any, Optional

import torch

from ._cache import LayerStates


def arguments_of(cu_seqlens, cp_context, states):
    """Returns the arguments of a recurrence that a layer's call has, which goes on from states if there are any."""
    arguments = {"cu_seqlens": cu_seqlens}
    if cp_context is not None:
        arguments["cp_context"] = cp_context
    if states is not None:
        arguments |= {"initial_state": states.recurrent, "output_final_state": True}
    return arguments


@dataclass(frozen=True)
class Heads:
    """A call of a layer on heads, with n rows a token: q [B, T, heads, K], k [B, T n, heads, K] and
    v [B, T n, value heads, V] of hidden_states [B, T, hidden_size], and what the call says of sequences."""

    hidden_states: torch.Tensor
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    cu_seqlens: Optional[torch.Tensor]
    cp_context: Any
    states: Optional[LayerStates]

    @property
    def arguments(self) -> dict[str, Any]:
        """Returns the arguments of a recurrence beside its operands."""
        return arguments_of(self.cu_seqlens, self.cp_context, self.states)
