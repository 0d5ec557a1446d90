# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions that models of transformers call, with their arguments, and what became
of the calls."""

import inspect
from typing import Any, Optional

import torch

from wyvern.torch import chunk_gated_delta_rule, chunk_kda, fused_recurrent_gated_delta_rule, fused_recurrent_kda

from .._calls import Calls
from .._redirect import Function
from .._served import ONE_TOKEN, why_not

calls = Calls()

# torch.compile takes torch.compiler.is_exporting() to be true; this runs while it traces.
@torch.compiler.assume_constant_result
def _is_exporting() -> bool:
    return torch.compiler.is_exporting()


def _named(function: Function) -> frozenset[str]:
    """What a call hands on. Models hand on what they were called with (position_ids, seq_idx, ...), and
    transformers keeps of it what a function names. The chunk is the program's."""
    return frozenset(inspect.signature(function).parameters) - {"kwargs", "chunk_size"}


def _of_chunks(function: Function) -> Function:
    """Returns the function of a model's layer on whole sequences, by one of wyvern.torch.

    query, key: [B, T, H, K]; value: [B, T, HV, V]; g (log decay) [B, T, HV] or [B, T, HV, K]; beta: [B, T, HV];
    initial_state: [N, HV, K, V] or None. It returns (o [B, T, HV, V], final_state or None)."""
    named = _named(function)

    def run(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        g: torch.Tensor,
        beta: torch.Tensor,
        chunk_size: int = 64,
        initial_state: Optional[torch.Tensor] = None,
        output_final_state: bool = False,
        use_qk_l2norm_in_kernel: bool = False,
        **kwargs: Any,
    ) -> Any:
        taken = {name: x for name, x in kwargs.items() if name in named}
        return function(
            query, key, value, g=g, beta=beta, initial_state=initial_state, output_final_state=output_final_state,
            use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, **taken
        )

    return run


def _of_steps(function: Function) -> Function:
    """Returns the function of the few tokens of a step, whose arguments have no chunk. `initial_state`,
    which is the model's cache, stays as it is: transformers copies the result into it."""
    run = _of_chunks(function)

    def step(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        g: torch.Tensor,
        beta: torch.Tensor,
        initial_state: Optional[torch.Tensor] = None,
        output_final_state: bool = False,
        use_qk_l2norm_in_kernel: bool = False,
        **kwargs: Any,
    ) -> Any:
        return run(
            query, key, value, g, beta, 64, initial_state, output_final_state, use_qk_l2norm_in_kernel, **kwargs
        )

    return step


gated_delta_rule, kimi_delta_attention = _of_chunks(chunk_gated_delta_rule), _of_chunks(chunk_kda)
recurrent_gated_delta_rule = _of_steps(fused_recurrent_gated_delta_rule)
recurrent_kimi_delta_attention = _of_steps(fused_recurrent_kda)


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
