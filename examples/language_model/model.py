# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The language model: blocks of a token mixer and a SwiGLU MLP, each after an RMSNorm
and beside a residual.

The hybrids of the DeltaNet paper (Yang et al. 2024, section 4) and of Gated DeltaNet
(https://arxiv.org/abs/2412.06464, H1 and H2) have other mixers in some layers:

    sliding          softmax attention in a sliding window in every other layer (H1)
    global           attention over all of the past in layer 2 and layer N/2 + 1
    mamba_sliding    by turns Mamba-2, the delta rule, attention in a sliding window (H2)
"""

import torch.nn.functional as F
from torch import nn

from wyvern.torch import DeltaNet, GatedDeltaNet

from .attention import Attention
from .mamba2 import Mamba2

LAYERS = ("gated", "delta")
HYBRIDS = ("none", "sliding", "global", "mamba_sliding")


def mixers(hybrid, layers):
    """What mixes tokens in each layer: "rule" (the delta rule), "attention", "mamba"."""
    least = {"none": 1, "mamba_sliding": 3}.get(hybrid, 4)
    if layers < least:
        raise ValueError(f"the hybrid {hybrid!r} of {layers} layers: expected at least {least}")
    if hybrid == "mamba_sliding":
        return [("mamba", "rule", "attention")[index % 3] for index in range(layers)]
    attention = {"none": set(), "sliding": set(range(1, layers, 2)), "global": {1, layers // 2}}[hybrid]
    return ["attention" if index in attention else "rule" for index in range(layers)]


class SwiGLU(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        inner = 64 * round(hidden_size * 8 / 3 / 64)
        self.gate_up_proj = nn.Linear(hidden_size, 2 * inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden_size, bias=False)

    def forward(self, x):
        gate, up = self.gate_up_proj(x).chunk(2, -1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, mixer, hidden_size):
        super().__init__()
        self.mixer_norm = nn.RMSNorm(hidden_size, eps=1e-5)
        self.mixer = mixer
        self.mlp_norm = nn.RMSNorm(hidden_size, eps=1e-5)
        self.mlp = SwiGLU(hidden_size)

    def forward(self, x, context=None):
        if isinstance(self.mixer, (Attention, Mamba2)):
            x = x + self.mixer(self.mixer_norm(x))
        else:
            x = x + self.mixer(self.mixer_norm(x), cp_context=context)[0]
        return x + self.mlp(self.mlp_norm(x))


class LanguageModel(nn.Module):
    """Tokens [B, T] -> logits [B, T, 256]; with a ContextParallel they are this rank's."""

    def __init__(self, layer, hybrid, layers, hidden_size, heads, window, backend):
        super().__init__()

        def mixer(kind):
            if kind == "attention":
                return Attention(hidden_size, heads, None if hybrid == "global" else window)
            if kind == "mamba":
                return Mamba2(hidden_size, backend=backend)
            if layer == "delta":
                return DeltaNet(hidden_size=hidden_size, num_heads=heads, backend=backend)
            return GatedDeltaNet(
                hidden_size=hidden_size, head_dim=hidden_size // heads, num_heads=heads, expand_v=1, backend=backend
            )

        self.embedding = nn.Embedding(256, hidden_size)
        self.blocks = nn.ModuleList(Block(mixer(kind), hidden_size) for kind in mixers(hybrid, layers))
        self.norm = nn.RMSNorm(hidden_size, eps=1e-5)
        self.head = nn.Linear(hidden_size, 256, bias=False)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens, context=None):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, context)
        return self.head(self.norm(x))

    def parameter_groups(self, weight_decay):
        """Matrices decay; norms, gates and biases do not."""
        decayed = [p for p in self.parameters() if p.dim() > 1 and not getattr(p, "_no_weight_decay", False)]
        others = [p for p in self.parameters() if p.dim() <= 1 or getattr(p, "_no_weight_decay", False)]
        return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
