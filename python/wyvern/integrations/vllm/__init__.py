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
from types import ModuleType

from .._calls import Status
from .._package import Package
from .._redirect import Function, WhyNot
from ._decode import packed_decode, update, why_not_packed_decode, why_not_update
from ._functions import calls
from ._prefill import replacement_of

_PACKAGE = "vllm.model_executor.layers.mamba"
_DECODING: dict[str, tuple[Function, WhyNot]] = {
    "fused_recurrent_gated_delta_rule_packed_decode": (packed_decode, why_not_packed_decode),
    "fused_sigmoid_gating_delta_rule_update": (update, why_not_update),
}
_PREFILL = "ChunkGatedDeltaRule"
_PARTS = ("decode", "prefill")


def _parts() -> tuple[str, ...]:
    """What WYVERN_VLLM asks for."""
    chosen = tuple(x.strip() for x in os.environ.get("WYVERN_VLLM", ",".join(_PARTS)).split(",") if x.strip())
    unknown = [x for x in chosen if x not in _PARTS]
    if unknown:
        raise ValueError(f"WYVERN_VLLM: expected {' and '.join(_PARTS)}, found {', '.join(unknown)}")
    return chosen


class _Layers(Package):
    """vLLM's layers: their functions of decoding, and their class of prefill."""

    def redirect_in(self, module: ModuleType) -> None:
        parts = _parts()
        if "decode" in parts:
            super().redirect_in(module)
        theirs = vars(module).get(_PREFILL)
        if "prefill" in parts and isinstance(theirs, type) and theirs.__module__ == module.__name__:
            theirs.register_oot(name=_PREFILL)(replacement_of(theirs))  # type: ignore[attr-defined]


_layers = _Layers(_PACKAGE, calls, {name: (name, *pair) for name, pair in _DECODING.items()})


def register() -> None:
    """What vLLM calls: serves its layers from here on. A second call does nothing."""
    if calls.enabled:
        return
    _parts()  # a wrong WYVERN_VLLM is an error at once
    _layers.enable()


def disable() -> None:
    """Gives vLLM's functions their names back. Layers that were made with Wyvern's prefill stay, and
    run vLLM's code."""
    _layers.disable()


def status() -> Status:
    """Returns what was served and what fell back to vLLM, with reasons."""
    return calls.status()
