# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The model of Zoology: an embedding and a few layers that mix tokens, no MLP.

Two models that differ in one thing, the update of the state:

    delta     S <- S + k (beta (v - S^T k))^T
    linear    S <- S + k (beta v)^T
"""

import torch.nn.functional as F
from torch import nn

from wyvern.torch import DeltaNet


class LinearAttention(DeltaNet):
    """DeltaNet that adds without erasing: the same parameters, convolutions, unit keys,
    rates and output norm. In torch's own operations, o = (q k^T, causal) (beta v)."""

    def recurrence(self, q, k, v, beta, use_qk_l2norm_in_kernel, cu_seqlens):
        q, k = F.normalize(q, dim=-1) * q.shape[-1] ** -0.5, F.normalize(k, dim=-1)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v * beta.to(v.dtype)[..., None]))
        return ((q @ k.mT).tril() @ v).transpose(1, 2), None


MIXERS = {"delta": DeltaNet, "linear": LinearAttention}


class Block(nn.Module):
    def __init__(self, kind, hidden_size, heads, backend):
        super().__init__()
        self.norm = nn.RMSNorm(hidden_size, eps=1e-5)
        self.mixer = MIXERS[kind](hidden_size=hidden_size, num_heads=heads, backend=backend)

    def forward(self, x):
        return x + self.mixer(self.norm(x))[0]


class RecallModel(nn.Module):
    """Tokens [B, T] -> logits [B, T, vocabulary]."""

    def __init__(self, kind, vocabulary, hidden_size, heads, layers, backend="wyvern"):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden_size)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(kind, hidden_size, heads, backend) for _ in range(layers)))
        self.norm = nn.RMSNorm(hidden_size, eps=1e-5)
        # Not the embedding: a key and its values would be learned from one another.
        self.head = nn.Linear(hidden_size, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens))))
