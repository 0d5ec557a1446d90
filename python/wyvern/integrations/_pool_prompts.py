# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashInfer's prefill of Gated DeltaNet, on Wyvern's program of prompts."""

from __future__ import annotations

from typing import Any, Optional, Union

import torch

import wyvern
from wyvern.torch._decoder import own_slots

from ._engine_steps import NAMES, decoder_of

_NAME = "chunk_gated_delta_rule"


def chunk_gated_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    beta: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = False,
    output: Optional[torch.Tensor] = None,
    output_state: Optional[torch.Tensor] = None,
    state_checkpoints: Optional[torch.Tensor] = None,
    checkpoint_cu_starts: Optional[torch.Tensor] = None,
    checkpoint_every_n_tokens: int = 0,
    use_cp: Any = "auto",
    state_indices: Optional[torch.Tensor] = None,
    *,
    gate_domain: str = "linear",
    use_gate_in_kernel: bool = False,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    beta_is_logit: bool = False,
    output_state_indices: Optional[torch.Tensor] = None,
) -> Union[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Packed prompts: q, k [T, H, K] and v [T, HV, V], in bf16 or fp16, with cu_seqlens [N + 1].

    g [T, HV]: the decay, its logarithm with gate_domain "log", or with use_gate_in_kernel what that is
    made of with A_log and dt_bias [HV]; None is one. beta [T, HV]: the rate, or its logit with
    beta_is_logit; None is one. States are [N, HV, V, K] in fp32 or bf16: initial_state (None: zeros) and
    output_state. With state_indices [N], int32 or int64, both are one pool [slots, HV, V, K], which is
    read and written in place: sequence n begins with slot state_indices[n], or with zeros where that is
    negative, and ends there or in output_state_indices[n], or nowhere where that is negative. scale: of o,
    default K ** -0.5. use_qk_l2norm_in_kernel: q and k come without their L2 norm. output: a tensor to
    write to. use_cp has no meaning here: shapes choose the kernel.

    Returns o [T, HV, V], and with output_final_state the states. Raises ValueError for shapes and types,
    NotImplementedError for state_checkpoints, checkpoint_cu_starts and checkpoint_every_n_tokens (keep_every
    of `wyvern.torch.Decoder.prefill` keeps states in the pool) and for pools that are two."""
    if checkpoint_every_n_tokens or state_checkpoints is not None or checkpoint_cu_starts is not None:
        raise NotImplementedError(
            f"{_NAME}: state_checkpoints: states on the way go to slots of the pool; use keep_every and keep_slots of "
            "wyvern.torch.Decoder.prefill"
        )
    _check(q, k, v, cu_seqlens, gate_domain)
    assert cu_seqlens is not None
    pool, read, write = _places(v, q, cu_seqlens, initial_state, output_state, state_indices, output_state_indices)
    if not output_final_state and state_indices is None:
        write = torch.full_like(write, -1)
    operands = {"q": q, "k": k, "v": v}
    parts = ["norm"] if use_qk_l2norm_in_kernel else []
    if use_gate_in_kernel:
        if g is None or A_log is None or dt_bias is None:
            raise ValueError(f"{_NAME}: use_gate_in_kernel: expected g, A_log and dt_bias")
        parts.append("decay")
        operands |= {"a": g.to(q.dtype), "A_log": A_log.float(), "dt_bias": dt_bias.float()}
    else:
        operands["g"] = _log_decay(g, v, gate_domain)
    if beta_is_logit:
        if beta is None:
            raise ValueError(f"{_NAME}: beta_is_logit: expected beta")
        parts.append("rates")
        operands["b"] = beta.to(q.dtype)
    else:
        operands["beta"] = torch.ones(v.shape[:2], device=v.device) if beta is None else beta.float()
    kind = wyvern.Pool("vk", NAMES[pool.dtype], "i64" if read.dtype == torch.int64 else "i32")
    decoder = decoder_of(
        "head", (q.shape[1], v.shape[1]), (q.shape[2], v.shape[2]), q.dtype, kind, tuple(parts),
        float(q.shape[2] ** -0.5 if not scale else scale),
    )
    packed = [x[None] if x.dim() > 1 else x for x in map(operands.__getitem__, decoder.operands)]
    o = decoder.prefill(*packed, state=pool, read_slots=read, write_slots=write, cu_seqlens=cu_seqlens)[0]
    o = o if output is None else output.copy_(o)
    return (o, pool) if output_final_state else o


def _check(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cu_seqlens: Any, gate_domain: str) -> None:
    if cu_seqlens is None:
        raise ValueError(f"{_NAME}: expected cu_seqlens: sequences are packed")
    if gate_domain not in ("linear", "log"):
        raise ValueError(f"{_NAME}: gate_domain: expected linear or log, found {gate_domain!r}")
    if q.dim() != 3 or q.shape != k.shape or v.dim() != 3 or v.shape[1] % q.shape[1]:
        raise ValueError(
            f"{_NAME}: q, k and v are {list(q.shape)}, {list(k.shape)} and {list(v.shape)}: expected [T, H, K] twice and "
            "[T, HV, V], with HV a multiple of H"
        )


def _log_decay(g: Optional[torch.Tensor], v: torch.Tensor, domain: str) -> torch.Tensor:
    """Returns log decays; one that is 0 is the least that keeps differences of logarithms finite."""
    if g is None:
        return torch.zeros(v.shape[:2], device=v.device)
    return g.float() if domain == "log" else g.float().clamp(min=1e-37).log()


def _places(
    v: torch.Tensor,
    q: torch.Tensor,
    cu_seqlens: torch.Tensor,
    initial: Optional[torch.Tensor],
    final: Optional[torch.Tensor],
    read: Optional[torch.Tensor],
    write: Optional[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the pool, and the slots to read and to write."""
    if read is not None:
        pool = initial if final is None else final
        if pool is None or (initial is not None and initial is not pool):
            raise NotImplementedError(
                f"{_NAME}: state_indices: expected one pool, which is read and written in place: output_state is "
                "initial_state, or None"
            )
        if write is not None and write.dtype != read.dtype:
            raise ValueError(f"{_NAME}: expected indices of one type, found {read.dtype} and {write.dtype}")
        return pool, read, read if write is None else write
    if write is not None:
        raise ValueError(f"{_NAME}: output_state_indices: expected state_indices too")
    count = len(cu_seqlens) - 1
    slots = own_slots(count, v.device)
    if final is None:
        dtype = torch.float32 if initial is None else initial.dtype
        final = torch.empty(count, v.shape[1], v.shape[2], q.shape[2], dtype=dtype, device=v.device)
    if initial is None:
        return final, torch.full_like(slots, -1), slots
    return final if final is initial else final.copy_(initial), slots, slots
