# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One layer of DeltaProduct (Siems et al. 2025) between an embedding and an MLP, so that
nothing but the recurrence sees more than one token.

A token's transition is a product of n generalised Householder matrices I - beta k k^T.
Models differ in n and in how far the rates go:

    two              n = 2, beta to 2: products of reflections, all rotations of a plane
    one              n = 1, beta to 2: one reflection (DeltaNet with negative eigenvalues)
    two_positive     n = 2, beta to 1: no eigenvalue below 0
    one_positive     n = 1, beta to 1: DeltaNet
"""

from torch import nn

from wyvern.torch import Layer

from .data import LETTERS

MODELS = {"two": (2, True), "one": (1, True), "two_positive": (2, False), "one_positive": (1, False)}


def spec(steps, heads, head_dim):
    """DeltaProduct with that many Householder steps a token, whose rates may reach 2."""
    return {
        "name": f"delta_product_{steps}",
        "heads": {"key": heads, "value": heads},
        "dims": {"key": head_dim, "value": head_dim},
        "dtype": "bf16",
        "steps": [{"write": "k", "value": "v", "rate": "beta", "max_rate": 2, "repeat": steps}],
    }


class Tracker(nn.Module):
    """Letters [B, T] -> logits [B, T, elements]."""

    def __init__(self, kind, elements, hidden_size, heads, head_dim):
        super().__init__()
        steps, negative = MODELS[kind]
        self.embedding = nn.Embedding(LETTERS, hidden_size)
        self.norm = nn.RMSNorm(hidden_size, eps=1e-5)
        # No short convolution: it would see the letters before, and tell them apart.
        self.mixer = Layer(spec(steps, heads, head_dim), hidden_size, conv_size=0, allow_neg_eigval=negative)
        self.mlp = nn.Sequential(
            nn.RMSNorm(hidden_size, eps=1e-5),
            nn.Linear(hidden_size, 2 * hidden_size),
            nn.SiLU(),
            nn.Linear(2 * hidden_size, hidden_size),
        )
        self.head = nn.Sequential(nn.RMSNorm(hidden_size, eps=1e-5), nn.Linear(hidden_size, elements))

    def forward(self, letters):
        x = self.embedding(letters)
        x = x + self.mixer(self.norm(x))
        return self.head(x + self.mlp(x))
