#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs chunk programs that no spec makes on a GPU, against their formulas in float64.

    on a machine with the compiler:   gpu_free_form.py --bundles bundles --prepare
    on the GPU machine:               gpu_free_form.py --bundles bundles

The programs are those of free-form.mlir and backward-forms.mlir in
test/Conversion/SchedToTile: the proof that the lowering takes the program it is given,
and has no kernel of some layer in it. test/python/test_free_form.py runs them on a CPU.
`wyvern` must be importable (scripts/build-runtime). The exit status is not 0 if
anything failed.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "test/Conversion/SchedToTile" / name for name in ("free-form.mlir", "backward-forms.mlir")]
CHUNK = 64
SIZES = ((1, 64), (2, 1000), (3, 17))  # sequences, tokens


def sources():
    """The name and the module of each function of the tests: a bundle holds one."""
    for source in SOURCES:
        head, *functions = re.split(r"(?=^func\.func )", source.read_text(), flags=re.M)
        maps = "\n".join(line for line in head.splitlines() if line.startswith("#"))
        for function in functions:
            name = re.match(r"func\.func @(\w+)", function).group(1)
            yield name, maps + "\n" + function[: function.index("\n}\n") + 3]


def prepare(bundles):
    bundles.mkdir(parents=True, exist_ok=True)
    for name, text in sources():
        path = bundles / f"{name}.mlir"
        path.write_text(text)
        subprocess.run(["wyvernc", path, "-o", bundles / name], check=True)
        print(f"{name}: compiled")


def chunks(x):
    """[B, T, H, D] as float64 chunks of at most 64 tokens."""
    return x.double().split(CHUNK, dim=1)


def by_head(product, a, b):
    """`product` of a and b, whose heads a's are repeated to match."""
    import torch

    return torch.einsum(product, a.repeat_interleave(b.shape[2] // a.shape[2], 2), b)


def two_reads(p, r, x, v, gate, s0):
    """From the last chunk to the first: two reads, one gated; then S += X^T V."""
    import torch

    state, o1, o2 = s0.double(), [], []
    parts = list(zip(*(chunks(t) for t in (p, r, x, v)), gate.double().split(CHUNK, dim=1)))
    group = v.shape[2] // p.shape[2]
    for cp, cr, cx, cv, cg in reversed(parts):
        read = lambda a: torch.einsum("bthk,bhkv->bthv", a.repeat_interleave(group, 2), state)
        o1.insert(0, read(cp))
        o2.insert(0, cg[..., None] * read(cr))
        state = state + by_head("bthk,bthv->bhkv", cx, cv)
    return {"o1": torch.cat(o1, 1), "o2": torch.cat(o2, 1), "sT": state}


def two_carries(x, v, s0, r0):
    """S += X^T V and R += V^T X."""
    return {"sT": s0.double() + by_head("bthk,bthv->bhkv", x.double(), v.double()),
            "rT": r0.double() + by_head("bthk,bthv->bhkv", v.double(), x.double())}


def square(x, g):
    """Each chunk by itself: exp(X) X, rows past the end zero; and the gates' sums."""
    import torch

    y = []
    for part in chunks(x):
        rows = part[:, :, 0]
        y.append((rows.exp()[:, :, : rows.shape[1]] @ rows)[:, :, None])
    sums = [part.cumsum(1) for part in g.double().split(CHUNK, dim=1)]
    return {"y": torch.cat(y, 1), "w": torch.cat(sums, 1)}


def gated_backward(q, k, v, beta, g, initial_state, d_o, d_final_state):
    """Autograd through the recurrence, token by token; scale 0.5."""
    import torch

    inputs = {"q": q, "k": k, "v": v, "beta": beta, "g": g, "initial_state": initial_state}
    inputs = {name: tensor.double().requires_grad_() for name, tensor in inputs.items()}
    q, k, v, beta, g, state = inputs.values()
    outs = []
    for t in range(q.shape[1]):
        state = g[:, t, :, None, None].exp() * state
        read = torch.einsum("bhk,bhkv->bhv", k[:, t], state)
        update = beta[:, t, :, None] * (v[:, t] - read)
        state = state + torch.einsum("bhk,bhv->bhkv", k[:, t], update)
        outs.append(0.5 * torch.einsum("bhk,bhkv->bhv", q[:, t], state))
    value = (torch.stack(outs, 1) * d_o.double()).sum() + (state * d_final_state.double()).sum()
    gradients = torch.autograd.grad(value, list(inputs.values()))
    return {f"d_{name}": gradient for name, gradient in zip(inputs, gradients)}


def as_of_a_layer(inputs):
    """Unit keys, rates in (0, 1), log decays below 0: a recurrence that is stable."""
    import torch

    k, beta, g = inputs["k"].float(), inputs["beta"], inputs["g"]
    return inputs | {"k": torch.nn.functional.normalize(k, dim=-1).to(inputs["k"].dtype),
                     "beta": torch.sigmoid(3 * beta), "g": -0.1 * g.abs()}


# name: formula, shapes of its inputs (B and T are filled in), dtype of matrices, bar
PROGRAMS = {
    "two_reads": (two_reads, {"p": (2, 64), "r": (2, 64), "x": (2, 64), "v": (4, 128), "gate": (4,)}, "float16", 2e-3),
    "two_carries": (two_carries, {"x": (1, 64), "v": (1, 64)}, "bfloat16", 1e-5),
    "square": (square, {"x": (1, 64), "g": (1,)}, "bfloat16", 1e-2),
    "gated_backward": (gated_backward, {"q": (1, 128), "k": (1, 128), "v": (1, 128), "d_o": (1, 128), "beta": (1,), "g": (1,)},
                       "bfloat16", 1e-2),
}
STATES = {"two_reads": {"s0": (4, 64, 128)}, "two_carries": {"s0": (1, 64, 64), "r0": (1, 64, 64)}, "square": {},
          "gated_backward": {"initial_state": (1, 128, 128), "d_final_state": (1, 128, 128)}}


def draw(name, batch, tokens, device):
    """The inputs of a program: normal numbers, seeded by the length."""
    import torch

    _, shapes, dtype, _ = PROGRAMS[name]
    generator = torch.Generator(device=device).manual_seed(tokens)

    def normal(*shape):
        return torch.randn(*shape, device=device, generator=generator) * 0.3

    narrow = {"p", "r", "x", "v", "gate", "q", "k", "d_o"}
    inputs = {n: normal(batch, tokens, *s).to(getattr(torch, dtype) if n in narrow else torch.float32)
              for n, s in shapes.items()}
    inputs |= {n: normal(batch, *s) for n, s in STATES[name].items()}
    return as_of_a_layer(inputs) if name == "gated_backward" else inputs


def relative_errors(program, name, inputs):
    """The relative error of each of the program's outputs, all poisoned before."""
    import torch

    expected = PROGRAMS[name][0](**inputs)
    out = {n: torch.full_like(t, float("nan")) for n, t in program(**inputs).items()}
    program(**inputs, out=out)
    return {n: ((out[n].double() - t).norm() / t.norm()).item() for n, t in expected.items()}


def check(bundles, name, batch, tokens):
    """True if all outputs of a bundle are within the program's bar on the GPU; prints their errors."""
    import wyvern

    errors = relative_errors(wyvern.load(bundles / name), name, draw(name, batch, tokens, "cuda"))
    ok = all(error < PROGRAMS[name][3] for error in errors.values())
    words = " ".join(f"{n} {error:.2e}" for n, error in errors.items())
    print(f"{'ok  ' if ok else 'FAIL'} {name:12} B{batch} T{tokens:<5} {words}", flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=Path, required=True)
    parser.add_argument("--prepare", action="store_true", help="compile the bundles; needs no GPU")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.bundles)
        return 0
    results = [check(options.bundles, name, *size) for name in PROGRAMS for size in SIZES]
    print(f"{sum(results)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
