# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of Hugging Face transformers with layers of Gated DeltaNet (Qwen3-Next, Qwen3.5, Qwen4-Exp,
OLMo-Hybrid, Lara) or Kimi Delta Attention (Kimi-Linear, GLM5-Next, Bailing-Hybrid).

    import wyvern.integrations.transformers as integration

    integration.enable()
    model = AutoModelForCausalLM.from_pretrained(...)   # or before enable()
    ...
    print(integration.status())

`python -m wyvern.integrations.transformers --out DIR` writes a kernel folder instead, for
`LOCAL_KERNELS` and `KernelConfig`: no line of the model's program changes then.

Chunks of tokens (training, prefill) are served, forward and backward, and steps of decoding on
transformers' cache. Every call that no program takes runs what it runs without Wyvern.
"""

from .._calls import Status
from .._package import Package
from .._redirect import Function, WhyNot
from ._functions import (
    calls,
    gated_delta_rule,
    kimi_delta_attention,
    recurrent_gated_delta_rule,
    recurrent_kimi_delta_attention,
    why_not_chunk,
    why_not_recurrent,
)

# The names in models' modules: how status() calls them, what serves them, and when.
_REDIRECTED: dict[str, tuple[str, Function, WhyNot]] = {
    "torch_chunk_gated_delta_rule": ("chunk_gated_delta_rule", gated_delta_rule, why_not_chunk),
    "torch_recurrent_gated_delta_rule": (
        "fused_recurrent_gated_delta_rule",
        recurrent_gated_delta_rule,
        why_not_recurrent,
    ),
    "chunk_kimi_delta_attention": ("chunk_kda", kimi_delta_attention, why_not_chunk),
    "recurrent_kimi_delta_attention": (
        "fused_recurrent_kda",
        recurrent_kimi_delta_attention,
        why_not_recurrent,
    ),
}
_models = Package("transformers.models", calls, _REDIRECTED)


def enable() -> None:
    """Serves the delta rule of all models, those that exist and those made later.

    Raises ImportError without transformers. Calls are counted from here on.
    """
    import transformers  # noqa: F401 (says that it is missing)

    _models.enable()


def disable() -> None:
    """Undoes enable(): every name is again what it was. Counts stay until enable()."""
    _models.disable()


def status() -> Status:
    """Returns what was served and what fell back to transformers, with reasons."""
    return calls.status()
