# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FLA's functions that Wyvern serves, by functions of the same signatures, and when."""

import inspect
from typing import Any, Optional

import torch

import wyvern.torch

from .._redirect import Function, WhyNot
from .._served import ONE_TOKEN, is_one_token, why_not
from ._delta_product import chunk_gated_delta_product
from ._kda_steps import kda_step, why_not_kda_step

# What is in **kwargs of the functions on both sides.
_KEYWORDS = {"chunk_size", "transpose_state_layout", "head_first"}


def _unknown(ours: Function) -> WhyNot:
    """Returns what says which keyword arguments `ours` does not have: FLA ignores them, or
    has them in a later version."""
    known = _KEYWORDS | set(inspect.signature(ours).parameters)

    def why_not_keywords(kwargs: dict[str, Any]) -> Optional[str]:
        unknown = [name for name in kwargs if name not in known]
        return f"the arguments {', '.join(unknown)} are not known to wyvern" if unknown else None

    return why_not_keywords


def _why_not_chunk(ours: Function) -> WhyNot:
    why_not_keywords = _unknown(ours)

    def why_not_call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, **kwargs: Any) -> Optional[str]:
        return why_not(q, k, v) or why_not_keywords(kwargs)

    return why_not_call


def _why_not_recurrent(ours: Function) -> WhyNot:
    why_not_keywords = _unknown(ours)

    def why_not_call(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, cu_seqlens: Any = None, **kwargs: Any
    ) -> Optional[str]:
        reason = why_not(q, k, v) or why_not_keywords(kwargs)
        if reason is None and cu_seqlens is not None and is_one_token(q, cu_seqlens):
            return ONE_TOKEN
        beta = kwargs.get("beta", args[0] if args else None)
        if reason is None and isinstance(beta, torch.Tensor) and beta.dim() == 4:
            return "beta has a rate a value channel, which is another recurrence"
        return reason

    return why_not_call


def _table(module: str, make: Any, *names: str) -> dict[tuple[str, str], tuple[Function, WhyNot]]:
    functions = {name: getattr(wyvern.torch, name) for name in names}
    return {(module, name): (ours, make(ours)) for name, ours in functions.items()}


# By FLA's module and name: Wyvern's function, and why it does not serve a call. FLA
# dispatches the first itself.
DISPATCHED = {
    **_table("fla.ops.gated_delta_rule", _why_not_chunk, "chunk_gated_delta_rule"),
    ("fla.ops.kda.fused_recurrent", "fused_recurrent_kda_fwd"): (kda_step, why_not_kda_step),
}
REBOUND = {
    **_table("fla.ops.delta_rule", _why_not_chunk, "chunk_delta_rule"),
    **_table("fla.ops.delta_rule", _why_not_recurrent, "fused_recurrent_delta_rule"),
    **_table("fla.ops.gated_delta_rule", _why_not_recurrent, "fused_recurrent_gated_delta_rule"),
    ("fla.ops.gated_delta_product", "chunk_gated_delta_product"): (
        chunk_gated_delta_product,
        _why_not_chunk(chunk_gated_delta_product),
    ),
}

# The rest of the family: FLA's own, counted.
NOT_SERVED = {
    "fla.ops.comba": ("chunk_comba", "fused_recurrent_comba"),
    "fla.ops.gdn2": ("chunk_gdn2", "fused_recurrent_gdn2"),
    "fla.ops.generalized_delta_rule": (
        "chunk_dplr_delta_rule",
        "chunk_iplr_delta_rule",
        "fused_recurrent_dplr_delta_rule",
        "fused_recurrent_iplr_delta_rule",
    ),
    "fla.ops.kda": ("chunk_kda",),
    "fla.ops.rwkv7": ("chunk_rwkv7", "fused_mul_recurrent_rwkv7", "fused_recurrent_rwkv7"),
}


def why_not_at_all(*args: Any, **kwargs: Any) -> str:
    """Returns why a call of what is not served is left to FLA."""
    return "wyvern has no function in its place"
