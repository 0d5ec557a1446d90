# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A kernel of SGLang's linear attention: steps by Wyvern, the rest by the kernel behind it.

Its pool is [slots, HV, V, K]; a sequence with the slot -1 is padding.
"""

import functools
from typing import Any, Optional

import torch

from .._calls import Calls
from .._engine_steps import Rule, Tensors, step, why_not

calls = Calls()

_FIRST_SLOT = 0


def _served(name: str, tensors: tuple[torch.Tensor, ...], states: torch.Tensor, indices: torch.Tensor, extra: Any) -> bool:
    """Whether a step is ours, counted. What SGLang says of it beside the tensors that we know has
    a meaning that we do not."""
    reason = why_not(Tensors(*tensors), states)
    named = [key for key, value in extra.items() if value is not None]
    if reason is None and named:
        reason = f"the arguments {', '.join(sorted(named))} are not known to wyvern"
    if reason is None and indices.shape[0] != tensors[0].shape[0]:
        reason = "expected one token a sequence"
    calls.serve(name) if reason is None else calls.fall_back(name, reason)
    return reason is None


@functools.lru_cache(maxsize=None)
def kernel_class() -> type:
    """Returns the class, whose base is SGLang's."""
    from sglang.srt.layers.attention.linear.kernels.kernel_backend import LinearAttnKernelBase

    class WyvernGDNKernel(LinearAttnKernelBase):
        """Steps of Gated DeltaNet."""

        supports_packed_decode = True

        def __init__(self, behind: Any) -> None:
            self._behind = behind
            self.uses_state_checkpoints = getattr(behind, "uses_state_checkpoints", False)

        def decode(
            self,
            q: torch.Tensor,
            k: torch.Tensor,
            v: torch.Tensor,
            a: torch.Tensor,
            b: torch.Tensor,
            *,
            A_log: torch.Tensor,
            dt_bias: torch.Tensor,
            ssm_states: torch.Tensor,
            cache_indices: torch.Tensor,
            query_start_loc: torch.Tensor,
            **kwargs: Any,
        ) -> torch.Tensor:
            """q, k, v [1, B, heads, dim], a and b [B, HV]; returns o [1, B, HV, V]."""
            rows = tuple(x.transpose(0, 1) for x in (q, k, v))
            given = (*rows, *(x.reshape(-1, 1, x.shape[-1]) for x in (a, b)), A_log, dt_bias)
            if not _served("decode", given, ssm_states, cache_indices, kwargs):
                return self._behind.decode(
                    q, k, v, a, b, A_log=A_log, dt_bias=dt_bias, ssm_states=ssm_states, cache_indices=cache_indices,
                    query_start_loc=query_start_loc, **kwargs,
                )
            return _step(given, ssm_states, cache_indices, None)

        def packed_decode(
            self,
            mixed_qkv: torch.Tensor,
            a: torch.Tensor,
            b: torch.Tensor,
            *,
            A_log: torch.Tensor,
            dt_bias: torch.Tensor,
            scale: float,
            ssm_states: torch.Tensor,
            cache_indices: torch.Tensor,
            num_v_heads: int,
            head_v_dim: int,
            **kwargs: Any,
        ) -> torch.Tensor:
            """mixed_qkv [B, 2 H K + HV V]; returns o [1, B, HV, V]."""
            values, key_dim = num_v_heads * head_v_dim, ssm_states.shape[3]
            keys = (mixed_qkv.shape[1] - values) // 2
            q, k, v = mixed_qkv.split([keys, keys, values], 1)
            q, k = (x.unflatten(1, (1, -1, key_dim)) for x in (q, k))
            v = v.unflatten(1, (1, num_v_heads, head_v_dim))
            given = (q, k, v, *(x.reshape(-1, 1, x.shape[-1]) for x in (a, b)), A_log, dt_bias)
            if not _served("packed_decode", given, ssm_states, cache_indices, kwargs):
                return self._behind.packed_decode(
                    mixed_qkv, a, b, A_log=A_log, dt_bias=dt_bias, scale=scale, ssm_states=ssm_states,
                    cache_indices=cache_indices, num_v_heads=num_v_heads, head_v_dim=head_v_dim, **kwargs,
                )
            return _step(given, ssm_states, cache_indices, scale)

        def extend(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
            """Prompts, by the kernel behind."""
            return self._behind.extend(*args, **kwargs)

        def target_verify(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            """Drafts, by the kernel behind."""
            return self._behind.target_verify(*args, **kwargs)

    return WyvernGDNKernel


def _step(
    given: tuple[torch.Tensor, ...], states: torch.Tensor, indices: torch.Tensor, scale: Optional[float]
) -> torch.Tensor:
    tensors = Tensors(*given)
    rule = Rule("vk", _FIRST_SLOT, float(tensors.q.shape[3] ** -0.5 if scale is None else scale), True)
    return step(tensors, states, indices, None, rule).transpose(0, 1)
