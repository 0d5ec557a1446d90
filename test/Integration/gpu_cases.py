# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What gpu_check.py runs: layers, cases drawn from a seed, and their inputs.

Everything here comes from NumPy's PCG64 on the CPU, so that a case is the same on the
machine that compiles the bundles and on the one that has the GPU.
"""

import hashlib
import sys
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import delta_oracle  # noqa: E402

TORCH_DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


@dataclass(frozen=True)
class Layer:
    """What one bundle is compiled for."""

    # delta | product (two steps a token; product3, product4: three, four) | linear (no erase) | precond (write key m k) |
    # gates (erase gate b, write gate w) | before (erases p, reads before the decay) |
    # dplr (adds p (r^T S') and k v^T)
    kind: str
    decay: str  # none | head | channel
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    dtype: str
    max_rate: int = 1

    @property
    def repeat(self):
        return {"product": 2, "product3": 3, "product4": 4}.get(self.kind, 1)

    @property
    def scale(self):
        return self.key_dim**-0.5

    @property
    def name(self):
        return (
            f"{self.kind}_{self.decay}_h{self.key_heads}x{self.value_heads}"
            f"_d{self.key_dim}x{self.value_dim}_{self.dtype}"
        ) + (f"_to{self.max_rate}" if self.max_rate > 1 else "")

    def spec(self):
        step = {"write": "k", "value": "v", "rate": "beta"}
        if self.repeat > 1:
            step["repeat"] = self.repeat
        if self.kind == "linear":
            step = {"write": "k", "erase": "none", "value": "v"}
        if self.kind == "precond":
            step |= {"write": "m * k", "erase": "k"}
        if self.kind == "gates":
            step = {"write": "k", "erase": "b * k", "written": "w * v"}
        if self.kind == "before":
            step |= {"erase": "p", "reads": "before_decay"}
        if self.max_rate > 1:
            step["max_rate"] = self.max_rate
        steps = [step]
        if self.kind == "dplr":
            steps = [{"write": "p", "erase": "r", "rate": -1, "reads": "before_decay"}, {"write": "k", "erase": "none", "value": "v"}]
        return {
            "name": self.name,
            "heads": {"key": self.key_heads, "value": self.value_heads},
            "dims": {"key": self.key_dim, "value": self.value_dim},
            "dtype": self.dtype,
            "decay": self.decay,
            "scale": self.scale,
            "steps": steps,
        }


@dataclass(frozen=True)
class Case:
    """One run of a layer. `lengths` (packed) or `batch` x `tokens` (dense)."""

    name: str
    layer: Layer
    seed: int
    batch: int = 1
    tokens: int = 0
    lengths: tuple = None
    tail: int = 0  # rows past cu_seqlens[-1]
    cu_dtype: str = "int64"
    initial_state: bool = True
    state_v_first: bool = False
    keys: str = "random"  # random | correlated (cosine 0.8) | near (0.995) | one (the same)
    rates: str = "unit"  # unit U(0,1) | high U(.9,1) | double U(1.9,2) | most (1.9)
    gates: str = "mild"  # mild | drawn (A_log, dt_bias) | strong | mixed | reset (some are -inf)
    views: bool = False

    @property
    def packed(self):
        return self.lengths is not None

    @property
    def sequences(self):
        return len(self.lengths) if self.packed else self.batch

    @property
    def total(self):
        return sum(self.lengths) + self.tail if self.packed else self.tokens

    def describe(self):
        layer = self.layer
        shape = f"packed {self.sequences} in {self.total}" if self.packed else f"{self.batch}x{self.tokens}"
        return (
            f"{layer.kind}/{layer.decay} {layer.dtype} {layer.key_dim}x{layer.value_dim} "
            f"H{layer.key_heads}/{layer.value_heads} {shape} {self.keys}/{self.rates}"
            + (f"/{self.gates}" if layer.decay != "none" else "")
            + (" h0" if self.initial_state else "")
            + (" [V,K]" if self.state_v_first else "")
            + (" views" if self.views else "")
            + (f" {self.cu_dtype}" if self.packed else "")
        )


# === Drawing ===


class Deck:
    """Deals the values of an axis so that each comes up before any comes again."""

    def __init__(self, random, values):
        self.random, self.values, self.hand = random, values, []

    def draw(self):
        if not self.hand:
            self.hand = [self.values[i] for i in self.random.permutation(len(self.values))]
        return self.hand.pop()


def draw_cases(seed, count):
    """The two fixed cases of the error bar and `count` drawn ones."""
    random = np.random.Generator(np.random.PCG64(seed))
    kernels = [(d, t, k, v) for d in ("none", "head") for t in ("bf16", "f16") for k in (64, 128) for v in (64, 128)]
    decks = {
        "kernel": kernels,
        "heads": [(1, 1), (4, 4), (3, 3), (2, 6), (2, 4), (1, 4)],
        "tokens": [1, 17, 63, 64, 65, 130, 257, 500, 1000, 0],
        "batch": [1, 2, 3, 5],
        "form": ["dense", "int32", "dense", "int64"],
        "lengths": [(0, 130, 1, 64, 0, 77), (63, 64, 65), (256,), (0, 0, 5), (1,) * 9, (300, 0, 41), (128, 128)],
        "tail": [0, 37, 0, 64],
        "initial_state": [True, False, True],
        "state_v_first": [False, True],
        "keys": ["random", "correlated"],
        "rates": ["unit", "high", "double"],
        "gates": ["mild", "strong", "mixed"],
        "views": [False, True],
    }
    decks = {axis: Deck(random, values) for axis, values in decks.items()}
    for index in range(count):
        drawn = {axis: deck.draw() for axis, deck in decks.items()}
        decay, dtype, key_dim, value_dim = drawn["kernel"]
        case = Case(
            name=f"{index:02d}",
            layer=Layer("delta", decay, *drawn["heads"], key_dim, value_dim, dtype),
            seed=int(random.integers(1 << 31)),
            **{axis: drawn[axis] for axis in ("initial_state", "state_v_first", "keys", "rates", "gates", "views")},
        )
        if drawn["form"] == "dense":
            yield replace(case, batch=drawn["batch"], tokens=drawn["tokens"])
        else:
            yield replace(case, lengths=drawn["lengths"], tail=drawn["tail"], cu_dtype=drawn["form"])


def bar_layer(decay, dtype):
    return Layer("delta", decay, 4, 4, 128, 128, dtype)


def fixed_cases():
    """The published error bar (B1 T1024 H4 D128) and the layers that prove the lowering general."""
    for decay in ("none", "head"):
        for dtype in ("bf16", "f16"):
            yield Case(f"bar-{decay}-{dtype}", bar_layer(decay, dtype), seed=17, batch=1, tokens=1024)
    products = [(kind, decay) for kind in ("product", "product3", "product4") for decay in ("none", "head")]
    for kind, decay in (*products, ("linear", "head"), ("linear", "none")):
        layer = Layer(kind, decay, 4, 4, 64, 64, "bf16", max_rate=2 if kind != "linear" else 1)
        rates = "double" if kind != "linear" else "unit"
        yield Case(f"{kind}-{decay}", layer, seed=23, batch=2, tokens=333, rates=rates)
        yield Case(f"{kind}-{decay}-packed", layer, seed=29, lengths=(70, 0, 200, 1), tail=11, rates=rates)
    yield from dims_cases()
    # Keys that repeat at rates that are said to reach 2: what a factor in one part does not bear. Errors
    # grow there, and two programs with the same roundings agree on an average of many heads alone.
    for decay, dtype in (("none", "bf16"), ("none", "f16"), ("head", "bf16")):
        layer = replace(bar_layer(decay, dtype), max_rate=2)
        for keys, rates in (("one", "most"), ("near", "double"), ("correlated", "double")):
            yield Case(f"rates-{decay}-{dtype}-{keys}", layer, seed=19, batch=16, tokens=1024, keys=keys, rates=rates)
    yield from family_cases()
    yield from channel_cases()


def dims_cases():
    """Head dims whose tiles are larger than their tensors, and those above 128."""
    for name, decay, kv, max_rate in (
        ("wide", "head", (96, 192), 2),
        ("both", "none", (80, 80), 1),
        ("narrow", "channel", (48, 72), 1),
        ("key192", "head", (192, 192), 1),
        ("key192-twice", "none", (192, 384), 2),
        ("key256", "none", (256, 256), 1),
        ("key256-value512", "head", (256, 512), 1),
    ):
        layer = Layer("delta", decay, 2, 4 if kv[0] < 128 else 2, *kv, "bf16", max_rate=max_rate)
        yield Case(f"dims-{name}", layer, seed=47, batch=2, tokens=333)
        yield Case(f"dims-{name}-packed", layer, seed=53, lengths=(70, 0, 200, 1), tail=11)
    # Kernels that do not fit unless blocks compute less at a time.
    for name, kind, decay, kv in (
        ("product192", "product", "none", (192, 192)),
        ("product192-narrow", "product", "head", (192, 128)),
        ("key256-value64", "delta", "head", (256, 64)),
    ):
        layer = Layer(kind, decay, 2, 2, *kv, "bf16")
        yield Case(f"dims-{name}", layer, seed=47, batch=2, tokens=333)
        yield Case(f"dims-{name}-packed", layer, seed=53, lengths=(70, 0, 200, 1), tail=11)


def family_cases():
    """A gate a key channel, at every law of gates, and steps with keys and rows of their own."""
    for gates in ("mild", "drawn", "strong", "mixed", "reset"):
        for dtype in ("bf16", "f16"):
            layer = Layer("delta", "channel", 2, 4, 128, 128, dtype)
            yield Case(f"channel-{gates}-{dtype}", layer, seed=31, batch=1, tokens=333, gates=gates)
        layer = Layer("linear", "channel", 4, 4, 64, 64, "bf16")
        yield Case(f"linear-channel-{gates}", layer, seed=37, batch=2, tokens=333, gates=gates)
    for kind, decay in (("precond", "head"), ("precond", "channel"), ("gates", "channel"), ("before", "head"), ("dplr", "channel")):
        layer = Layer(kind, decay, 2, 4, 64, 64, "bf16")
        for gates in ("mild", "mixed"):
            yield Case(f"{kind}-{decay}-{gates}", layer, seed=41, batch=2, tokens=333, gates=gates)
        yield Case(f"{kind}-{decay}-packed", layer, seed=43, lengths=(70, 0, 200, 1), tail=11, gates="strong")


def channel_cases():
    """A gate a key channel with several rows a token, and at key dims that blocks have parts of."""
    shapes = [(kind, (64, 64), 2) for kind in ("product", "product3", "product4")]
    shapes += [("product", (128, 128), 1), ("delta", (64, 64), 1), ("delta", (192, 192), 1)]
    shapes += [(kind, (192, 192), 1) for kind in ("dplr", "precond", "gates")] + [("precond", (256, 256), 1)]
    shapes += [("delta", (96, 96), 1)]  # parts of 64 and of 32
    for kind, kv, max_rate in shapes:
        layer = Layer(kind, "channel", 2, 4 if kv[0] < 128 else 2, *kv, "bf16", max_rate=max_rate)
        rates = "double" if max_rate > 1 else "unit"
        name = f"channels-{kind}-{kv[0]}"
        for gates in ("mild", "mixed", "reset"):
            yield Case(f"{name}-{gates}", layer, seed=59, batch=2, tokens=190, gates=gates, rates=rates)
        yield Case(f"{name}-packed", layer, seed=61, lengths=(70, 0, 129, 1), tail=11, gates="strong", rates=rates)


def speed_layers():
    return [
        Layer("delta", "none", 16, 16, 128, 128, "bf16"),
        Layer("delta", "head", 16, 32, 128, 128, "bf16"),
    ]


# === Inputs ===


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def _keys(random, law, shape):
    noise = _unit(random.standard_normal(shape, dtype=np.float32))
    if law == "random":
        return noise
    shared = _unit(random.standard_normal((shape[0], 1, *shape[2:]), dtype=np.float32))
    cosine = {"correlated": 0.8, "near": 0.995, "one": 1.0}[law]
    return _unit(np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * noise)


def _rates(random, law, shape):
    low, high = {"unit": (0, 1), "high": (0.9, 1), "double": (1.9, 2), "most": (1.9, 1.9)}[law]
    return random.uniform(low, high, shape).astype(np.float32)


def _gates(random, law, shape):
    if law == "mild":
        return -np.log1p(np.exp(-(random.standard_normal(shape) + 3))).astype(np.float32)
    if law == "drawn":
        # As FLA's layers begin: -exp(A_log) softplus(x + dt_bias), dt_bias softplus' inverse of dt.
        a = random.uniform(1, 16, shape[2:3] + (1,) * (len(shape) - 3))
        dt = np.exp(random.uniform(np.log(1e-3), np.log(0.1), shape[2:]))
        return (-a * np.log1p(np.exp(random.standard_normal(shape) + np.log(np.expm1(dt))))).astype(np.float32)
    strong = random.uniform(-8, 0, shape).astype(np.float32)
    if law == "reset":
        return np.where(strong < -7.6, -np.inf, strong / 100).astype(np.float32)
    if law == "strong":
        strong[:, ::29] = -60
        return strong
    # Strong, then weak: what was decayed away must not come back.
    strong[:, : shape[1] // 2] = -8
    strong[:, shape[1] // 2 :] = -0.01
    return strong


def _step_inputs(random, layer, inputs):
    """What the steps of a kind read besides: gates, and keys near those that are written."""

    def like(x, low, high):
        return torch.from_numpy(random.uniform(low, high, x.shape).astype(np.float32))

    k, v = inputs["k"], inputs["v"]
    if layer.kind == "precond":
        return {"m": like(k, 0, 1).to(k.dtype)}
    if layer.kind == "gates":
        return {"b": like(k, 0, 1).to(k.dtype), "w": like(v, 0, 1).to(k.dtype)}
    if layer.kind == "before":
        return {"p": (k.float() * like(k, 0.3, 0.9)).to(k.dtype)}
    if layer.kind == "dplr":
        r = torch.from_numpy(_unit(random.standard_normal(k.shape, dtype=np.float32)))
        return {"r": r.to(k.dtype), "p": (-r * like(r, 0.3, 0.9)).to(k.dtype)}
    return {}


def make_inputs(case):
    """The case's inputs on the CPU, by name, in the dtypes of the program."""
    layer = case.layer
    random = np.random.Generator(np.random.PCG64(case.seed))
    batch, tokens = (1 if case.packed else case.batch), case.total
    rows = tokens * layer.repeat
    dtype = TORCH_DTYPES[layer.dtype]
    key_shape = (layer.key_heads, layer.key_dim)
    values = random.standard_normal((batch, rows, layer.value_heads, layer.value_dim), dtype=np.float32)
    inputs = {
        "q": torch.from_numpy(_unit(random.standard_normal((batch, tokens, *key_shape), dtype=np.float32))).to(dtype),
        "k": torch.from_numpy(_keys(random, case.keys, (batch, rows, *key_shape))).to(dtype),
        "v": torch.from_numpy(values).to(dtype),
    }
    if layer.decay != "none":
        channels = (layer.key_dim,) if layer.decay == "channel" else ()
        inputs["g"] = torch.from_numpy(_gates(random, case.gates, (batch, tokens, layer.value_heads, *channels)))
    inputs |= _step_inputs(random, layer, inputs)
    if layer.kind not in ("linear", "gates", "dplr"):
        inputs["beta"] = torch.from_numpy(_rates(random, case.rates, (batch, rows, layer.value_heads)))
    if case.initial_state:
        shape = (case.sequences, layer.value_heads, layer.key_dim, layer.value_dim)
        inputs["initial_state"] = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
    return inputs


def make_cu_seqlens(case):
    if not case.packed:
        return None
    return torch.tensor([0, *np.cumsum(case.lengths, dtype=np.int64)], dtype=getattr(torch, case.cu_dtype))


def digest(inputs):
    """Tells whether two machines made the same inputs."""
    sums = [zlib.crc32(x.contiguous().view(torch.uint8).numpy().tobytes()) for x in inputs.values() if x.numel()]
    return hashlib.sha256(str(sums).encode()).hexdigest()[:16]


def reference(case, inputs, cu_seqlens):
    """The float64 token recurrence on the (rounded) inputs, where they are."""
    layer = case.layer
    steps = dict(inputs)
    if layer.kind == "precond":
        steps["erase_key"], steps["k"] = steps["k"], steps.pop("m").double() * steps["k"].double()
    if layer.kind == "gates":
        steps["erase_key"] = steps.pop("b").double() * steps["k"].double()
        steps["v"] = steps.pop("w").double() * steps["v"].double()
    if layer.kind == "before":
        steps["erase_key"] = steps.pop("p")
    if layer.kind == "dplr":
        steps["also_k"], steps["also_v"] = steps["k"], steps["v"]
        steps["k"], steps["erase_key"], steps["v"] = steps.pop("p"), steps.pop("r"), torch.zeros_like(steps["v"])
        steps["beta"] = -torch.ones(steps["v"].shape[:3], device=steps["v"].device)
    return delta_oracle.run(
        **steps,
        cu_seqlens=cu_seqlens,
        scale=layer.scale,
        repeat=layer.repeat,
        erase=layer.kind != "linear",
        before_decay=layer.kind in ("before", "dplr"),
    )


def key(case):
    """Names a case among those of all seeds."""
    return f"{case.describe()} lengths {case.lengths} seed {case.seed}"


def to_dict(case):
    return asdict(case)


def from_dict(values):
    values = dict(values)
    values["layer"] = Layer(**values["layer"])
    if values["lengths"] is not None:
        values["lengths"] = tuple(values["lengths"])
    return Case(**values)
