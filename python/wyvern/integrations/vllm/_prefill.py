# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vLLM's ChunkGatedDeltaRule: prompts, by the layer's program of whole sequences."""

from typing import Any, Optional

import torch

from wyvern.torch import chunk_gated_delta_rule

from .._redirect import redirect
from .._served import why_not
from ._functions import calls

Result = tuple[torch.Tensor, Optional[torch.Tensor]]
_NAME = "chunk_gated_delta_rule"


def _forward(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    initial_state: torch.Tensor,
    output_final_state: bool,
    cu_seqlens: Optional[torch.Tensor] = None,
    chunk_indices: Optional[torch.Tensor] = None,
    chunk_offsets: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = True,
    core_attn_out: Optional[torch.Tensor] = None,
) -> Result:
    """States are [N, HV, V, K]; g is the log decay. core_attn_out, if given, gets o too."""
    o, state = chunk_gated_delta_rule(
        q, k, v, g, beta, initial_state=initial_state, output_final_state=output_final_state,
        use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, state_v_first=True, cu_seqlens=cu_seqlens,
    )
    if core_attn_out is not None:
        core_attn_out.reshape(-1)[: o.numel()].copy_(o.reshape(-1))
    return o, state


def _why_not(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, **kwargs: Any) -> Optional[str]:
    return why_not(q, k, v)


def replacement_of(theirs: type) -> type:
    """Returns the class that stands in for vLLM's: what it does not serve is what vLLM has chosen."""

    base: Any = theirs

    class WyvernChunkGatedDeltaRule(base):
        _forward_method: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._forward_method = redirect(calls, _NAME, self._forward_method, _forward, _why_not)

    return WyvernChunkGatedDeltaRule
