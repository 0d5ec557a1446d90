# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The language model: blocks of a token mixer and a SwiGLU MLP, each after an RMSNorm
and beside a residual.

Where the hybrids of the DeltaNet paper (Yang et al. 2024, section 4) have softmax
attention instead of a delta rule:

    sliding    every other layer, in a sliding window
    global     layer 2 and layer N/2 + 1, over all of the past
"""

import torch.nn.functional as F
from torch import nn

from wyvern.torch import DeltaNet, GatedDeltaNet

from .attention import Attention

LAYERS = ("gated", "delta")
HYBRIDS = ("none", "sliding", "global")


def attention_layers(hybrid, layers):
    """The layers, from 0, that are attention."""
    if hybrid == "none":
        return set()
    if layers < 4:
        raise ValueError(f"the hybrid {hybrid!r} of {layers} layers: expected at least 4")
    return set(range(1, layers, 2)) if hybrid == "sliding" else {1, layers // 2}


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
        if isinstance(self.mixer, Attention):
            x = x + self.mixer(self.mixer_norm(x))
        else:
            x = x + self.mixer(self.mixer_norm(x), cp_context=context)[0]
        return x + self.mlp(self.mlp_norm(x))


class LanguageModel(nn.Module):
    """Tokens [B, T] -> logits [B, T, 256]; with a ContextParallel they are this rank's."""

    def __init__(self, layer, hybrid, layers, hidden_size, heads, window, backend):
        super().__init__()
        attention = attention_layers(hybrid, layers)

        def mixer(index):
            if index in attention:
                return Attention(hidden_size, heads, window if hybrid == "sliding" else None)
            if layer == "delta":
                return DeltaNet(hidden_size=hidden_size, num_heads=heads, backend=backend)
            return GatedDeltaNet(
                hidden_size=hidden_size, head_dim=hidden_size // heads, num_heads=heads, expand_v=1, backend=backend
            )

        self.embedding = nn.Embedding(256, hidden_size)
        self.blocks = nn.ModuleList(Block(mixer(index), hidden_size) for index in range(layers))
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
