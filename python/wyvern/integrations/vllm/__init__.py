# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vLLM's Gated DeltaNet layers (Qwen3-Next, Qwen3.5, ...) on Wyvern's programs.

vLLM calls `register` by itself, in each of its processes: the entry point "wyvern" of the group
vllm.general_plugins. VLLM_PLUGINS says which plug-ins it takes, and WYVERN_VLLM what of it:
"decode", "prefill" or "decode,prefill" (the default).

    decode   the functions that qwen_gdn_linear_attn.py calls for its steps, on vLLM's own pool of
             states: one kernel for gates, norms and recurrence
    prefill  the class ChunkGatedDeltaRule, by CustomOp.register_oot

Read at vLLM's commit 00545a8 (between 0.20 and 0.33); nothing there is promised to stay. A call that
Wyvern does not serve runs vLLM's own code, and `status()` has it with the reason.
"""

import os
import sys
import threading
from types import ModuleType
from typing import Any

from .._calls import Status
from .._redirect import rebind, redirect
from .._import_hook import ImportHook
from ._decode import packed_decode, update, why_not_packed_decode, why_not_update
from ._functions import calls
from ._prefill import replacement_of

_PACKAGE = "vllm.model_executor.layers.mamba"
_DECODING: dict[str, tuple[Any, Any]] = {
    "fused_recurrent_gated_delta_rule_packed_decode": (packed_decode, why_not_packed_decode),
    "fused_sigmoid_gating_delta_rule_update": (update, why_not_update),
}
_PREFILL = "ChunkGatedDeltaRule"
_PARTS = ("decode", "prefill")

_lock = threading.Lock()
_replaced: list[tuple[Any, Any]] = []


def _parts() -> tuple[str, ...]:
    """What WYVERN_VLLM asks for."""
    chosen = tuple(x.strip() for x in os.environ.get("WYVERN_VLLM", ",".join(_PARTS)).split(",") if x.strip())
    unknown = [x for x in chosen if x not in _PARTS]
    if unknown:
        raise ValueError(f"WYVERN_VLLM: expected {' and '.join(_PARTS)}, found {', '.join(unknown)}")
    return chosen


def _redirect_in(module: ModuleType) -> None:
    """Redirects what a module of vLLM's layers calls."""
    parts = _parts()
    if "decode" in parts:
        for name, (ours, why_not) in _DECODING.items():
            theirs = vars(module).get(name)
            if callable(theirs) and not any(theirs is new for _, new in _replaced):
                pair = theirs, redirect(calls, name, theirs, ours, why_not)
                _replaced.append(pair)
                rebind([pair], [module])
    theirs = vars(module).get(_PREFILL)
    if "prefill" in parts and isinstance(theirs, type) and theirs.__module__ == module.__name__:
        theirs.register_oot(name=_PREFILL)(replacement_of(theirs))  # type: ignore[attr-defined]


def _redirect_imported(module: ModuleType) -> None:
    with _lock:
        if calls.enabled:
            _redirect_in(module)


_hook = ImportHook(_PACKAGE, _redirect_imported)


def register() -> None:
    """What vLLM calls: serves its layers from here on. A second call does nothing."""
    with _lock:
        if calls.enabled:
            return
        _parts()  # a wrong WYVERN_VLLM is an error at once
        calls.reset()
        calls.enabled = True
        _hook.install()
        for name, module in list(sys.modules.items()):
            if name.startswith(_PACKAGE + "."):
                _redirect_in(module)


def disable() -> None:
    """Gives vLLM's functions their names back. Layers that were made with Wyvern's prefill stay, and
    run vLLM's code."""
    with _lock:
        _hook.remove()
        calls.enabled = False
        rebind([(new, theirs) for theirs, new in _replaced])
        _replaced.clear()


def status() -> Status:
    """Returns what was served and what fell back to vLLM, with reasons."""
    return calls.status()
