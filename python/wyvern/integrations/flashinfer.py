# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashInfer's functions of Gated DeltaNet: of decoding, on Wyvern's step, and of prompts.

    from wyvern.integrations.flashinfer import gated_delta_rule_decode_pretranspose

The names, arguments and meaning are those of flashinfer/gdn_decode.py (read at commit 0012242);
nothing of FlashInfer is needed. One kernel a call computes gates, norms and the step. States of
f32 and bf16 work for every T, and for head dims other than 128. What is not taken
(`intermediate_states_buffer`, `ssm_state_indices`: a state for each token) is refused: keep the
draft, and commit what was accepted (`wyvern.torch.Decoder`). `chunk_gated_delta_rule` is that of
flashinfer/gdn_prefill.py of 0.7.4, for states in fp32 and bf16, without checkpoints.

A sequence with a negative index is padding: its rows of the output are zero, and no state is
read or written, in every type.
"""

from __future__ import annotations

from typing import Any, Optional

import torch

from wyvern.torch._decoder import own_slots

from ._engine_steps import Rule, Tensors, step, why_not
from ._pool_prompts import chunk_gated_delta_rule

__all__ = [
    "chunk_gated_delta_rule",
    "gated_delta_rule_decode",
    "gated_delta_rule_decode_pretranspose",
    "gated_delta_rule_mtp",
]


def _expect(name: str, holds: bool, what: str, found: Any) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {what}, found {found}")


def _run(
    name: str,
    layout: str,
    operands: tuple[torch.Tensor, ...],
    state: torch.Tensor,
    slots: tuple[torch.Tensor, Optional[torch.Tensor]],
    options: tuple[Optional[float], Optional[torch.Tensor], bool],
    writes: bool,
) -> torch.Tensor:
    q, k, v, A_log, a, dt_bias, b = operands
    scale, output, norm = options
    read, write = slots
    given = Tensors(q, k, v, a, b, A_log, dt_bias)
    reason = why_not(given, state, layout)
    if reason is not None:
        raise ValueError(f"{name}: {reason}")
    _expect(name, write is None or write.dtype == read.dtype, "indices of one type", "two")
    rule = Rule(layout, 0, float(q.shape[3] ** -0.5 if scale is None else scale), bool(norm))
    o = step(given, state, read, write, rule, writes)
    return o if output is None else output.copy_(o)


def gated_delta_rule_decode_pretranspose(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    state: Optional[torch.Tensor],
    A_log: torch.Tensor,
    a: torch.Tensor,
    dt_bias: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    output: Optional[torch.Tensor] = None,
    use_qk_l2norm: bool = True,
    initial_state: Optional[torch.Tensor] = None,
    initial_state_indices: Optional[torch.Tensor] = None,
    output_state_indices: Optional[torch.Tensor] = None,
    *,
    intermediate_states_buffer: Optional[torch.Tensor] = None,
    disable_state_update: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A step on states [B, HV, V, K], one a sequence, or on a pool of them with indices.

    q, k [B, T, H, K] (without their L2 norm if use_qk_l2norm) and v [B, T, HV, V], in bf16 or
    fp16; a, b [B, T, HV]: the log decay is -exp(A_log) softplus(a + dt_bias) with A_log and
    dt_bias [HV], the rate sigmoid(b). state: [B, HV, V, K] in fp32 or bf16; or None, and
    initial_state [slots, HV, V, K] with initial_state_indices [B] and, to write elsewhere,
    output_state_indices [B], int32 or int64. scale: default K ** -0.5. output: a tensor to
    write to. disable_state_update: leave the states as they are.

    Returns (output [B, T, HV, V], the states, which are written in place). Raises ValueError for
    shapes and types, NotImplementedError for intermediate_states_buffer."""
    name = "gated_delta_rule_decode_pretranspose"
    if intermediate_states_buffer is not None:
        raise NotImplementedError(
            f"{name}: intermediate_states_buffer: no state is kept for each token; keep the draft and "
            "commit what is accepted (wyvern.torch.Decoder.commit)"
        )
    pooled = initial_state is not None
    _expect(name, pooled == (initial_state_indices is not None), "initial_state with its indices", "one of them")
    _expect(name, pooled or output_state_indices is None, "output_state_indices with a pool", "no pool")
    states = initial_state if pooled else state
    if states is None:
        raise ValueError(f"{name}: expected state, or initial_state with its indices, found neither")
    read = initial_state_indices if pooled else own_slots(q.shape[0], q.device)
    assert read is not None
    operands = (q, k, v, A_log, a, dt_bias, b)
    slots = (read, output_state_indices)
    options = (scale, output, use_qk_l2norm)
    return _run(name, "vk", operands, states, slots, options, not disable_state_update), states


def gated_delta_rule_decode(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    state: torch.Tensor,
    A_log: torch.Tensor,
    a: torch.Tensor,
    dt_bias: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    output: Optional[torch.Tensor] = None,
    use_qk_l2norm: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A step on states [B, HV, K, V], one a sequence: `state`, in fp32 or bf16.

    Other arguments are those of gated_delta_rule_decode_pretranspose. Returns (output
    [B, T, HV, V], the states, which are written in place)."""
    operands = (q, k, v, A_log, a, dt_bias, b)
    slots = (own_slots(q.shape[0], q.device), None)
    options = (scale, output, use_qk_l2norm)
    return _run("gated_delta_rule_decode", "kv", operands, state, slots, options, True), state


def gated_delta_rule_mtp(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    initial_state: torch.Tensor,
    initial_state_indices: torch.Tensor,
    A_log: torch.Tensor,
    a: torch.Tensor,
    dt_bias: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    output: Optional[torch.Tensor] = None,
    intermediate_states_buffer: Optional[torch.Tensor] = None,
    ssm_state_indices: Optional[torch.Tensor] = None,
    disable_state_update: Optional[bool] = None,
    use_qk_l2norm: bool = True,
    output_state_indices: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens of drafts on a pool of states [slots, HV, V, K]. As FlashInfer 0.6 the pool stays
    as it is unless disable_state_update is False; its next version writes by default, so say it.

    Other arguments are those of gated_delta_rule_decode_pretranspose. Returns (output
    [B, T, HV, V], the pool). Raises NotImplementedError for intermediate_states_buffer and
    ssm_state_indices."""
    name = "gated_delta_rule_mtp"
    if intermediate_states_buffer is not None or ssm_state_indices is not None:
        raise NotImplementedError(
            f"{name}: intermediate_states_buffer, ssm_state_indices: no state is kept for each token; keep "
            "the draft and commit what is accepted (wyvern.torch.Decoder.commit)"
        )
    operands = (q, k, v, A_log, a, dt_bias, b)
    slots = (initial_state_indices, output_state_indices)
    options = (scale, output, use_qk_l2norm)
    writes = disable_state_update is False
    return _run(name, "vk", operands, initial_state, slots, options, writes), initial_state
