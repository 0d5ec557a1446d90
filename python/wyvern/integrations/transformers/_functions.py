# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions that models of transformers call, with their arguments, and what became
of the calls."""

import inspect
from typing import Any, Optional

import torch

from wyvern.torch import chunk_gated_delta_rule, fused_recurrent_gated_delta_rule

from .._calls import Calls
from .._served import ONE_TOKEN, why_not

calls = Calls()

# Models hand on what they were called with (position_ids, seq_idx, ...), and transformers
# keeps of it what a function names. The chunk is the program's.
_TAKEN = frozenset(inspect.signature(chunk_gated_delta_rule).parameters) - {"kwargs", "chunk_size"}
_TAKEN_BY_STEPS = frozenset(inspect.signature(fused_recurrent_gated_delta_rule).parameters) - {"kwargs"}


# torch.compile takes torch.compiler.is_exporting() to be true; this runs while it traces.
@torch.compiler.assume_constant_result
def _is_exporting() -> bool:
    return torch.compiler.is_exporting()


def gated_delta_rule(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    chunk_size: int = 64,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Runs the gated delta rule of a model's layer as wyvern.torch.chunk_gated_delta_rule.

    query, key: [B, T, H, K]; value: [B, T, HV, V]; g (log decay), beta: [B, T, HV];
    initial_state: [N, HV, K, V] or None. Returns (o [B, T, HV, V], final_state or None).
    """
    taken = {name: x for name, x in kwargs.items() if name in _TAKEN}
    return chunk_gated_delta_rule(query, key, value, g, beta, **taken)


def recurrent_gated_delta_rule(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Runs the few tokens of a step as wyvern.torch.fused_recurrent_gated_delta_rule. `initial_state`,
    which is the model's cache, stays as it is: transformers copies the result into it."""
    taken = {name: x for name, x in kwargs.items() if name in _TAKEN_BY_STEPS}
    return fused_recurrent_gated_delta_rule(
        query, key, value, g=g, beta=beta, initial_state=initial_state, output_final_state=output_final_state,
        use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, **taken
    )


def why_not_chunk(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any
) -> Optional[str]:
    """Returns why a call of a model's chunk function is left to transformers, or None."""
    if _is_exporting():
        return "torch.export: an exported model has to run without wyvern"
    if kwargs.get("seq_idx") is not None and kwargs.get("cu_seqlens") is None:
        return "packed sequences by seq_idx alone: cu_seq_lens_q is needed"
    return why_not(query, key, value)


def why_not_recurrent(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any
) -> Optional[str]:
    """Returns why a call of a model's recurrent function is left to transformers, or None."""
    if _is_exporting():
        return "torch.export: an exported model has to run without wyvern"
    if kwargs.get("cu_seqlens") is not None:
        return ONE_TOKEN
    return why_not(query, key, value)


def why_not_kda(*args: Any, **kwargs: Any) -> str:
    """Returns why a call of Kimi Delta Attention is left to transformers."""
    return "a decay a channel: there are no kernels for it yet"
