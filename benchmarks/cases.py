# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is timed: shapes, the laws of the inputs, and how much faster we have to be.

In bf16, with keys and queries of unit norm, values normal and rates uniform in (0, 1);
RWKV-7's a and b are those of its layer, -k and k times such a rate, its own k a half of a
normal row. The law of the decay is part of a case, since a peer that drops what has
decayed is fast only where decay is strong:

    strong   g = -A softplus(a + dt_bias), A in (1, 16) and softplus(dt_bias) log-uniform
             in (1e-3, 1e-1), one of each a head, a normal: how Gated DeltaNet and
             Mamba-2 initialize them; about -0.3 a token, less than -0.01 in some heads;
             a channel, -5 sigmoid of a normal: the bound of Kimi Linear's layers
    weak     the same with A in (0.01, 0.05): about -0.001 a token; a channel, uniform in
             (-0.01, 0)
    paper    logsigmoid(N(0, 1)) / 16 in three of four heads, 0 in the others: what
             FlashQLA's own benchmark draws
"""

import math
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn.functional as F

from .rules import RULES

DIM = 128
CHUNK = 64


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    rule: str  # of rules.RULES
    lengths: tuple  # tokens of each sequence
    key_heads: int
    value_heads: int
    decay: str = ""  # weak | strong | paper, of a rule with gates
    initial_state: bool = False
    bar: Optional[float] = None  # best exact peer / ours that the row has to reach
    dims: tuple = (DIM, DIM)  # of keys and values
    rows: int = 1  # of keys and values a token

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
        dims = "" if self.dims == (DIM, DIM) else "x".join(map(str, self.dims))
        rows = f"n{self.rows}" if self.rows > 1 else ""
        return " ".join(filter(None, [self.rule, lengths, f"{self.key_heads}/{self.value_heads}", rows, dims, self.decay]))

    @property
    def shapes(self):
        """Of each operand: rows a token, heads, and the numbers of a row; none for one number."""
        key, value = self.dims
        keys = (1, self.key_heads, key)
        gate = keys if RULES[self.rule].decay == "channel" else (1, self.value_heads)
        known = {"q": keys, "k": (self.rows, self.key_heads, key), "v": (self.rows, self.value_heads, value)}
        known |= {"g": gate, "beta": (self.rows, self.value_heads), "a": keys, "b": keys}
        return {name: known[name] for name in RULES[self.rule].operands}

    @property
    def operand_bytes(self):
        """What the operands of a token have: rates and decays in float32, rows in bf16."""
        return sum((4 if name in ("g", "beta") else 2) * math.prod(shape) for name, shape in self.shapes.items())

    @property
    def output_bytes(self):
        """What o of a token has."""
        return 2 * self.value_heads * self.dims[1]

    @property
    def bytes(self):
        """The fewest bytes of device memory that a forward moves: the operands and o, and
        the states at both ends in float32."""
        states = 4 * math.prod(self.dims) * self.value_heads * len(self.lengths) * (2 if self.initial_state else 1)
        return self.tokens * (self.operand_bytes + self.output_bytes) + states

    @property
    def training_bytes(self):
        """The fewest bytes of a forward and a backward that keeps nothing but o: the operands
        are read twice, d_o once, and their gradients are written."""
        return self.bytes + self.tokens * (2 * self.operand_bytes + self.output_bytes)

    @property
    def flops(self):
        """Operations of the chunk form with 64 rows a chunk: of a row K K^T and the factor's
        product with values, of a token Q K^T and the attention matrix's with them, then those
        with the state: K S and K^T U of a row, Q S of a token."""
        key, value = self.dims
        rows = self.rows if RULES[self.rule].has_rates else len(RULES[self.rule].steps(1))
        pairs = (rows + 1) * 2 * CHUNK * (key + value)
        return self.tokens * self.value_heads * (pairs + (2 * rows + 1) * 2 * key * value)


def _case(rule, sequences, tokens, key_heads, value_heads, bar, decay="", **more):
    return Case(rule, (tokens,) * sequences, key_heads, value_heads, decay, bar=bar, **more)


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

# The rest of the family, forward, and forward and backward.
FAMILY = [
    _case("kda", 4, 4096, 16, 16, 1.5, "weak"),
    _case("kda", 4, 4096, 16, 16, 0.9, "strong"),
    _case("kda", 2, 8192, 64, 64, 1.7, "weak"),
    _case("kda", 2, 8192, 64, 64, 0.9, "strong"),
    _case("gated", 4, 4096, 6, 6, 1.2, "strong", dims=(256, 512)),
]
FAMILY_TRAINING = [
    _case("kda", 4, 4096, 16, 16, 1.3, "weak"),
    _case("kda", 4, 4096, 16, 16, 0.9, "strong"),
    _case("rwkv7", 4, 4096, 32, 32, 1.5, "weak", dims=(64, 64)),
    _case("gated", 4, 4096, 6, 6, 1.2, "strong", dims=(256, 512)),
    _case("gated", 4, 4096, 30, 30, 3.0, "strong", dims=(96, 192)),
    _case("product", 4, 4096, 16, 16, 2.5, rows=2),
    _case("product", 4, 2048, 16, 16, 2.5, rows=3, dims=(128, 64)),
]

ROWS = {"bars": BARS, "paper": PAPER, "training": TRAINING, "family": FAMILY, "family-training": FAMILY_TRAINING}


@dataclass
class Inputs:
    """Tensors as the public functions of FLA take them: [B, T, heads, dim]; sequences
    of several lengths are packed into one row of the batch."""

    case: Case
    operands: dict  # what has gradients, by name, in the order of FLA's functions
    initial_state: Optional[torch.Tensor]  # [N, HV, K, V], float32

    @property
    def q(self):
        return self.operands["q"]

    @property
    def k(self):
        return self.operands["k"]

    @property
    def v(self):
        return self.operands["v"]

    @property
    def g(self):
        """In float32, the logarithm of the decay; None without one."""
        return self.operands.get("g")

    @property
    def beta(self):
        """In float32; None for a rule without rates."""
        return self.operands.get("beta")

    @property
    def scale(self):
        return self.case.dims[0] ** -0.5

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


def channel_decay(law, shape, normal, uniform):
    """g of one number a key channel."""
    if law == "strong":
        return -5 * torch.sigmoid(normal(*shape))
    return -0.01 * uniform(*shape)


def make_inputs(case, device="cuda", seed=0):
    """The inputs of a case; the same on every run on one kind of device."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, device=device, generator=generator)

    def uniform(*shape):
        return torch.rand(*shape, device=device, generator=generator)

    sequences = len(case.lengths)
    batch, tokens = (sequences, case.lengths[0]) if case.dense else (1, case.tokens)
    made = {}
    for name in ("q", "k", "v", "g", "beta"):
        if name not in case.shapes:
            continue
        rows, *rest = case.shapes[name]
        shape = (batch, tokens * rows, *rest)
        if name == "beta":
            made[name] = uniform(*shape)
        elif name == "v":
            made[name] = normal(*shape).bfloat16()
        elif name != "g":
            made[name] = F.normalize(normal(*shape), dim=-1).bfloat16()
        elif len(rest) == 2:
            made[name] = channel_decay(case.decay, shape, normal, uniform)
        else:
            made[name] = log_decay(case.decay, shape[:-1], rest[0], normal, uniform)
    if case.rule == "rwkv7":
        erased, rates = made["k"].float(), uniform(*made["k"].shape)
        made |= {"a": -made["k"], "b": (erased * rates).bfloat16(), "k": (0.5 * normal(*erased.shape)).bfloat16()}
    state = normal(sequences, case.value_heads, *case.dims) if case.initial_state else None
    return Inputs(case, {name: made[name] for name in RULES[case.rule].operands}, state)


def gradient_of_o(inputs, seed=1):
    """A random gradient of o in its type; the same on every run on one kind of device."""
    v = inputs.v
    generator = torch.Generator(v.device).manual_seed(seed)
    return torch.randn(*inputs.q.shape[:2], *v.shape[2:], device=v.device, generator=generator).to(v.dtype)
