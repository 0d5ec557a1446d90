# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FLA's functions that Wyvern serves, by functions of the same signatures, and when."""

import inspect
from typing import Any, Optional

import torch

import wyvern.torch

from .._redirect import Function, WhyNot
from .._served import ONE_TOKEN, is_one_token, why_not
from ._kda_steps import kda_step, why_not_kda_step

# What is in **kwargs of the functions on both sides.
_KEYWORDS = {"chunk_size", "transpose_state_layout", "head_first"}


def _why_not(ours: Function) -> WhyNot:
    """Returns what says why a call is left to FLA: types and sizes without a program, keyword arguments that
    `ours` does not have (FLA ignores them, or has them in a later version), and for the recurrent
    functions what is another recurrence, or is not worth a call."""
    parameters = list(inspect.signature(ours).parameters)
    known = _KEYWORDS | set(parameters)
    places = {name: i for i, name in enumerate(parameters)}
    query = "q" if "q" in places else "r"
    is_recurrent = ours.__name__.startswith("fused_")

    def why_not_call(*args: Any, **kwargs: Any) -> Optional[str]:
        def given(name: str) -> Any:
            place = places.get(name, len(args))
            return args[place] if place < len(args) else kwargs.get(name)

        q = given(query)
        reason = why_not(q, given("k"), given("v"))
        unknown = [name for name in kwargs if name not in known]
        if reason is None and unknown:
            reason = f"the arguments {', '.join(unknown)} are not known to wyvern"
        if reason is not None or not is_recurrent:
            return reason
        cu_seqlens, beta = given("cu_seqlens"), given("beta")
        if cu_seqlens is not None and is_one_token(q, cu_seqlens):
            return ONE_TOKEN
        if isinstance(beta, torch.Tensor) and beta.dim() == 4:
            return "beta has a rate a value channel, which is another recurrence"
        return None

    return why_not_call


def _table(module: str, *names: str) -> dict[tuple[str, str], tuple[Function, WhyNot]]:
    functions = {name: getattr(wyvern.torch, name) for name in names}
    return {(f"fla.ops.{module}", name): (ours, _why_not(ours)) for name, ours in functions.items()}


# By FLA's module and name: Wyvern's function, and why it does not serve a call. FLA
# dispatches the first itself.
DISPATCHED = {
    **_table("gated_delta_rule", "chunk_gated_delta_rule"),
    ("fla.ops.kda.fused_recurrent", "fused_recurrent_kda_fwd"): (kda_step, why_not_kda_step),
}
REBOUND = {
    **_table("delta_rule", "chunk_delta_rule", "fused_recurrent_delta_rule"),
    **_table("gated_delta_rule", "fused_recurrent_gated_delta_rule"),
    **_table("gated_delta_product", "chunk_gated_delta_product"),
    **_table("kda", "chunk_kda", "fused_recurrent_kda"),
    **_table("gdn2", "chunk_gdn2", "fused_recurrent_gdn2"),
    **_table("comba", "chunk_comba", "fused_recurrent_comba"),
    **_table(
        "generalized_delta_rule",
        "chunk_dplr_delta_rule",
        "fused_recurrent_dplr_delta_rule",
        "chunk_iplr_delta_rule",
        "fused_recurrent_iplr_delta_rule",
    ),
    **_table("rwkv7", "chunk_rwkv7", "fused_recurrent_rwkv7", "fused_mul_recurrent_rwkv7"),
    **_table("gla", "chunk_gla", "fused_recurrent_gla"),
    **_table("simple_gla", "chunk_simple_gla", "fused_recurrent_simple_gla"),
    **_table(
        "precond_gated_delta_rule", "chunk_precond_gated_delta_rule", "fused_recurrent_precond_gated_delta_rule"
    ),
    **_table("precond_kda", "chunk_precond_kda", "fused_recurrent_precond_kda"),
}

# Of the same family: FLA's own, counted.
NOT_SERVED = {
    "fla.ops.gated_oja_rule": ("chunk_gated_oja_rule", "fused_recurrent_gated_oja_rule"),
    "fla.ops.log_linear_attn": ("chunk_log_linear_attn",),
    "fla.ops.momentum_delta_rule": ("chunk_momentum_delta_rule",),
}


def why_not_at_all(*args: Any, **kwargs: Any) -> str:
    """Returns why a call of what is not served is left to FLA."""
    return "wyvern has no function in its place"
