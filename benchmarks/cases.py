# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is timed: shapes, the laws of the inputs, and how much faster we have to be.

All heads are 128 x 128, in bf16, with keys and queries of unit norm, values normal and
rates uniform in (0, 1). The law of the decay is part of a case, since a peer that drops
what has decayed is fast only where decay is strong:

    strong   g = -A softplus(a + dt_bias), A in (1, 16) and softplus(dt_bias) log-uniform
             in (1e-3, 1e-1), one of each a head, a normal: how Gated DeltaNet and
             Mamba-2 initialize them; about -0.3 a token, less than -0.01 in some heads
    weak     the same with A in (0.01, 0.05): about -0.001 a token
    paper    logsigmoid(N(0, 1)) / 16 in three of four heads, 0 in the others: what
             FlashQLA's own benchmark draws
"""

import math
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn.functional as F

DIM = 128


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    rule: str  # delta | gated
    lengths: tuple  # tokens of each sequence
    key_heads: int
    value_heads: int
    decay: str = ""  # weak | strong | paper, of a gated rule
    initial_state: bool = False
    bar: Optional[float] = None  # best exact peer / ours that the row has to reach

    @property
    def dense(self):
        """Whether the sequences are a batch; else they are packed."""
        return len(set(self.lengths)) == 1

    @property
    def tokens(self):
        return sum(self.lengths)

    @property
    def name(self):
        lengths = f"{len(self.lengths)}x{self.lengths[0]}" if self.dense else "+".join(map(str, self.lengths))
        return " ".join(filter(None, [self.rule, lengths, f"{self.key_heads}/{self.value_heads}", self.decay]))

    @property
    def gate_bytes(self):
        """What rates and decays of a token have, in float32."""
        return 4 * self.value_heads * (2 if self.rule == "gated" else 1)

    @property
    def bytes(self):
        """The fewest bytes of device memory that a forward moves: q, k, v and o in
        bf16, g and beta in float32, the states at both ends in float32."""
        rows = 2 * DIM * (2 * self.key_heads + 2 * self.value_heads)
        states = 4 * DIM * DIM * self.value_heads * len(self.lengths) * (2 if self.initial_state else 1)
        return self.tokens * (rows + self.gate_bytes) + states

    @property
    def training_bytes(self):
        """The fewest bytes of a forward and a backward that keeps nothing but o: the operands
        are read twice, d_o once, and their gradients are written."""
        rows = 2 * DIM * (2 * self.key_heads + self.value_heads)
        return self.bytes + self.tokens * (2 * (rows + self.gate_bytes) + 2 * DIM * self.value_heads)

    @property
    def flops(self):
        """Operations of the chunk form with 64 tokens a chunk: K K^T, Q K^T and the
        products of the factor and of the attention matrix with values (2 * 64 * 128 a
        token each), those with the state (K S, Q S, K^T U: 2 * 128 * 128 each)."""
        return self.tokens * self.value_heads * (4 * 2 * 64 * DIM + 3 * 2 * DIM * DIM)


def _case(rule, sequences, tokens, key_heads, value_heads, bar, decay=""):
    return Case(rule, (tokens,) * sequences, key_heads, value_heads, decay, bar=bar)


BARS = [
    _case("delta", 4, 4096, 16, 16, 1.4),
    _case("delta", 8, 2048, 16, 16, 1.1),
    _case("delta", 4, 8192, 32, 32, 1.1),
    _case("delta", 1, 8192, 96, 96, 1.15),
    _case("delta", 1, 32768, 16, 16, 1.4),
    _case("gated", 4, 8192, 16, 32, 1.2, "strong"),
    _case("gated", 4, 4096, 16, 16, 1.3, "strong"),
    _case("gated", 1, 32768, 16, 32, 1.3, "weak"),
    _case("gated", 1, 32768, 16, 32, 1.3, "strong"),
    _case("gated", 1, 32768, 2, 8, 1.3, "strong"),
]

# The head and sequence configurations of FlashQLA's forward benchmark (Qwen3.5's layers).
PAPER_HEADS = [(2, 8), (4, 16), (8, 32), (16, 64), (16, 32), (8, 24), (16, 48), (16, 16), (32, 32)]
PAPER_LENGTHS = [
    *((n,) for n in (32768, 16384, 8192, 4096, 2048)),
    *((n, 32768 - n) for n in (28672, 24576, 16384, 8192, 4096)),
    (12288, 4096),
    *((n, 8192 - n) for n in (6144, 4096, 2048, 1024)),
    *((8192,) * 4, (4096,) * 8, (2048,) * 4, (1024,) * 8),
]
PAPER = [Case("gated", lengths, *heads, "paper", initial_state=True) for heads in PAPER_HEADS for lengths in PAPER_LENGTHS]

# A step of training: how much faster than the best exact peer its forward and backward have to be.
TRAINING = [
    _case("delta", 4, 4096, 16, 16, 1.7),
    _case("delta", 1, 32768, 16, 16, 1.6),
    _case("delta", 4, 8192, 32, 32, 1.6),
    _case("gated", 4, 4096, 16, 16, 1.5, "strong"),
    _case("gated", 4, 8192, 16, 32, 1.6, "strong"),
    _case("gated", 1, 32768, 16, 32, 1.6, "weak"),
    _case("gated", 1, 32768, 16, 32, 1.6, "strong"),
]

ROWS = {"bars": BARS, "paper": PAPER, "training": TRAINING}


@dataclass
class Inputs:
    """Tensors as the public functions of FLA take them: [B, T, heads, 128]; sequences
    of several lengths are packed into one row of the batch."""

    case: Case
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    g: Optional[torch.Tensor]  # float32, the logarithm of the decay
    beta: torch.Tensor  # float32
    initial_state: Optional[torch.Tensor]  # [N, HV, K, V], float32

    scale = DIM**-0.5

    @property
    def operands(self):
        """What has gradients, by name, in the order of FLA's functions."""
        named = {"q": self.q, "k": self.k, "v": self.v, "g": self.g, "beta": self.beta}
        return {name: x for name, x in named.items() if x is not None}

    @property
    def offsets(self):
        """Where each sequence starts among all tokens, and where the last one ends."""
        lengths = torch.tensor((0,) + self.case.lengths, device=self.q.device)
        return lengths.cumsum(0)

    @property
    def cu_seqlens(self):
        """The offsets of packed sequences; None for a batch."""
        return None if self.case.dense else self.offsets


def log_decay(law, rows, heads, normal, uniform):
    """g of shape rows x heads; normal(*shape) and uniform(*shape) draw."""
    if law == "paper":
        decays = torch.arange(heads, device=normal(1).device) % 4 != 3
        return F.logsigmoid(normal(*rows, heads)) / 16 * decays
    low, high = {"strong": (1, 16), "weak": (0.01, 0.05)}[law]
    rate = low + (high - low) * uniform(heads)
    step = torch.exp(math.log(1e-3) + math.log(100) * uniform(heads))
    bias = step + torch.log(-torch.expm1(-step))  # softplus(bias) = step
    return -rate * F.softplus(normal(*rows, heads) + bias)


def make_inputs(case, device="cuda", seed=0):
    """The inputs of a case; the same on every run on one kind of device."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, device=device, generator=generator)

    def uniform(*shape):
        return torch.rand(*shape, device=device, generator=generator)

    sequences = len(case.lengths)
    rows = (sequences, case.lengths[0]) if case.dense else (1, case.tokens)
    q, k = (F.normalize(normal(*rows, case.key_heads, DIM), dim=-1).bfloat16() for _ in range(2))
    v = normal(*rows, case.value_heads, DIM).bfloat16()
    g = log_decay(case.decay, rows, case.value_heads, normal, uniform) if case.rule == "gated" else None
    state = normal(sequences, case.value_heads, DIM, DIM) if case.initial_state else None
    return Inputs(case, q, k, v, g, uniform(*rows, case.value_heads), state)


def gradient_of_o(inputs, seed=1):
    """A random gradient of o in its type; the same on every run on one kind of device."""
    v = inputs.v
    generator = torch.Generator(v.device).manual_seed(seed)
    return torch.randn(v.shape, device=v.device, generator=generator).to(v.dtype)
