# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SGLang's Gated DeltaNet layers: decoding on Wyvern's step, as a kernel backend of linear attention.

    python -m sglang.launch_server ... --linear-attn-decode-backend wyvern

SGLang calls `register` by itself: the entry point "wyvern" of the group sglang.srt.plugins
(SGLANG_PLUGINS says which it takes). It adds the choice, and hooks the dispatcher of kernels, whose
steps are then Wyvern's. Prompts and the verification of drafts, which want a state for every 64 tokens
and for every draft token in tensors of their own, stay with the kernels that SGLang takes for "triton".

Read at SGLang's commits 0a48af3 (kernels), 0051ebf (dispatcher) and 0298b5b (plug-ins), of 2026;
nothing there is promised to stay. A step that Wyvern does not serve runs SGLang's own kernel, and
`status()` has it with the reason.
"""

from typing import Any

from .._calls import Status
from ._kernel import calls, kernel_class

NAME = "wyvern"
_DISPATCHER = "sglang.srt.layers.attention.linear.gdn_backend.GDNKernelDispatcher.__init__"

__all__ = ["register", "status"]


def _is_chosen(server_args: Any) -> bool:
    """Whether steps of linear attention are to be Wyvern's."""
    decode = getattr(server_args, "linear_attn_decode_backend", None)
    return bool((decode or getattr(server_args, "linear_attn_backend", None)) == NAME)


def _make_dispatcher(original: Any, dispatcher: Any, decode_backend: Any, prefill_backend: Any, *args: Any, **kwargs: Any) -> None:
    """Makes SGLang's dispatcher with our kernel in front of its own. SGLang knows the names of its
    own backends alone: one that it does not know is "triton" to it."""
    from sglang.srt.layers.attention.linear.utils import LinearAttnKernelBackend
    from sglang.srt.server_args import get_global_server_args

    server_args = get_global_server_args()
    if not _is_chosen(server_args):
        original(dispatcher, decode_backend, prefill_backend, *args, **kwargs)
        return
    triton = LinearAttnKernelBackend.TRITON
    prefill = getattr(server_args, "linear_attn_prefill_backend", None) or server_args.linear_attn_backend
    original(dispatcher, triton, triton if prefill == NAME else prefill_backend, *args, **kwargs)
    dispatcher.decode_kernel = kernel_class()(dispatcher.decode_kernel)
    dispatcher.supports_packed_decode = True


def register() -> None:
    """What SGLang calls: adds "wyvern" to the backends of linear attention. A second call does nothing."""
    if calls.enabled:
        return
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType
    from sglang.srt.server_args import add_linear_attn_kernel_backend_choices

    calls.reset()
    add_linear_attn_kernel_backend_choices([NAME])
    HookRegistry.register(_DISPATCHER, _make_dispatcher, HookType.AROUND)
    calls.enabled = True


def status() -> Status:
    """Returns what was served and what fell back to SGLang, with reasons."""
    return calls.status()
