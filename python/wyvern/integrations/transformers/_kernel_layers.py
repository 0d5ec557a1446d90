# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layers that a kernel folder offers, for `kernels`, the library of Hugging Face.

It takes the forward of such a class and makes it the forward of the module that holds
transformers' function: `self` is that module, and the forward of its class is still
transformers' own. A layer has the function's parameters, no constructor and no members
but two flags, or `kernels` refuses it. Names are those of kernels-community/fla, in
whose place a folder can stand.
"""

from typing import Any, Optional

import torch

from .._redirect import Function, WhyNot, redirect
from . import _functions
from ._functions import calls, gated_delta_rule, recurrent_gated_delta_rule, why_not_chunk, why_not_recurrent

Result = tuple[torch.Tensor, Optional[torch.Tensor]]


def _theirs(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Runs transformers' own function."""
    if type(module).__module__ == __name__:
        raise NotImplementedError("this layer has no other code to run: load it by transformers' kernelize")
    return type(module).forward(module, *args, **kwargs)


def _redirected(name: str, ours: Function, why_not: WhyNot) -> Function:
    """Returns the forward of a layer, in whose first argument is the module."""
    return redirect(
        calls,
        name,
        _theirs,
        lambda module, *args, **kwargs: ours(*args, **kwargs),
        lambda module, *args, **kwargs: why_not(*args, **kwargs),
        always=True,
    )


_chunk = _redirected("chunk_gated_delta_rule", gated_delta_rule, why_not_chunk)
_recurrent = _redirected("fused_recurrent_gated_delta_rule", recurrent_gated_delta_rule, why_not_recurrent)
_chunk_kda = _redirected("chunk_kda", _functions.kimi_delta_attention, why_not_chunk)
_recurrent_kda = _redirected("fused_recurrent_kda", _functions.recurrent_kimi_delta_attention, why_not_recurrent)


class chunk_gated_delta_rule(torch.nn.Module):
    """Gated DeltaNet on whole sequences, by a program of Wyvern."""

    can_torch_compile = True
    has_backward = True

    def forward(
        self,
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
    ) -> Result:
        """Returns (o [B, T, HV, V], final_state [N, HV, K, V] or None)."""
        result: Result = _chunk(
            self, query, key, value, g, beta, chunk_size, initial_state=initial_state,
            output_final_state=output_final_state, use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, **kwargs
        )
        return result


class recurrent_gated_delta_rule(torch.nn.Module):  # type: ignore[no-redef]
    """Gated DeltaNet on the few tokens of a step, by a program of Wyvern."""

    can_torch_compile = True
    has_backward = True

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        g: torch.Tensor,
        beta: torch.Tensor,
        initial_state: Optional[torch.Tensor] = None,
        output_final_state: bool = False,
        use_qk_l2norm_in_kernel: bool = False,
        **kwargs: Any,
    ) -> Result:
        """Returns (o [B, T, HV, V], final_state [N, HV, K, V] or None)."""
        result: Result = _recurrent(
            self, query, key, value, g, beta, initial_state, output_final_state, use_qk_l2norm_in_kernel, **kwargs
        )
        return result


class chunk_kimi_delta_attention(torch.nn.Module):
    """Kimi Delta Attention on whole sequences, by a program of Wyvern."""

    can_torch_compile = True
    has_backward = True

    def forward(
        self,
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
    ) -> Result:
        """Returns (o [B, T, HV, V], final_state [N, HV, K, V] or None)."""
        result: Result = _chunk_kda(
            self, query, key, value, g, beta, chunk_size, initial_state, output_final_state,
            use_qk_l2norm_in_kernel, **kwargs
        )
        return result


class recurrent_kimi_delta_attention(torch.nn.Module):
    """Kimi Delta Attention on the few tokens of a step, by a program of Wyvern."""

    can_torch_compile = True
    has_backward = True

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        g: torch.Tensor,
        beta: torch.Tensor,
        initial_state: Optional[torch.Tensor],
        output_final_state: bool,
        use_qk_l2norm_in_kernel: bool = False,
        **kwargs: Any,
    ) -> Result:
        """Returns (o [B, T, HV, V], final_state [N, HV, K, V] or None)."""
        result: Result = _recurrent_kda(
            self, query, key, value, g, beta, initial_state, output_final_state, use_qk_l2norm_in_kernel, **kwargs
        )
        return result
