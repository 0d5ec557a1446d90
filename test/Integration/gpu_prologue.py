#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms and gates in the chunk programs of whole sequences, and what a spec computes, on a GPU: forward and backward
against float64.

    python test/Integration/gpu_prologue.py prepare FOLDER [NAME ...]    where the compiler is
    python test/Integration/gpu_prologue.py check FOLDER                 where the GPU is

Errors, as root mean squares over four draws, are at most 1.1 times those of the same rounded program on the CPU, 1.3
times for what is a sum over tokens. (Of one draw they are up to 1.2 times: five of 600 numbers make 29 to 77 % of the
squares of the errors of d_b with keys that are alike, and the same program with the channels of its keys in
another order gives .89 to 1.06 of them.) Outputs are poisoned. Two runs give the same bits, and NaN in a packed
sequence, or in rows that no sequence owns, reaches no other.
"""

import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import compute_cases  # noqa: E402
import prologue_cases  # noqa: E402
import step_cases  # noqa: E402
import wyvern  # noqa: E402

PARTS = ("norm", "gates")


def own_layer(steps, *compute, more=""):
    """Returns a spec of four value heads, two of each key head, that says itself what is computed."""
    lines = "".join(f"  - {line}\n" for line in compute)
    text = "name: own\nheads: {key: 2, value: 4}\ndims: {key: 128, value: 128}\ndtype: bf16\ndecay: head\n"
    return f"{text}{f'compute:{chr(10)}{lines}' if compute else ''}{more}steps:\n  - {steps}\n"


# Several rows a token, of which parameters are read, and rows of one a token beside them.
ROWS = own_layer(
    "{write: k, value: v, rate: beta, repeat: 2}",
    "q: normalize(q * w)",
    "k: normalize(k * u)",
    "v: silu(v + v0)",
    "beta: sigmoid(b + c)",
    more="parameters: {w: key, u: key, c: head}\n",
)
THREE_ROWS = own_layer(
    "{write: k, value: v, rate: beta, repeat: 3}",
    "q: rotate(q, phi)",
    "k: normalize(k * u)",
    "beta: sigmoid(b)",
    more="parameters: {u: key}\n",
)
# Divisions that take few registers where exact ones spill.
FUNCTIONS = own_layer("{write: k, value: v, rate: beta}", "q: normalize(q)", "k: 0.1 * sigmoid(k)", "v: silu(v)", "beta: sigmoid(b)")
# Gradients that a thread makes some columns of a row at a time (tile-strip-columns).
SILU = own_layer("{write: k, value: v, rate: beta}", "q: normalize(silu(q))", "k: normalize(silu(k))", "beta: sigmoid(b)")
# (spec or its file, sizes and, of bounded gates, the bound) of each bundle
LAYERS = {
    "gdn": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    "gdn-groups": ("gated_deltanet", {"key_heads": 2, "value_heads": 4, "key": 128, "value": 128}),
    "gdn-f16": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128, "dtype": "f16"}),
    "gdn-64": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}),
    "delta": ("delta_net-340M", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    "gdn-bound": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}, -5),
    "kda": ("kda", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    "kda-64": ("kda", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}),
    "kda-bound": ("kda", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}, -5),
    "layer-kda": ("layers/kda", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    "layer-rope": ("layers/selective_rope", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    # States of half of a thread's registers, which nothing erases.
    "gla-wide": ("gla", {"key_heads": 1, "value_heads": 1, "key": 256, "value": 512}),
    "ssd-wide": ("ssd", {"key_heads": 1, "value_heads": 1, "key": 256, "value": 512}),
    # Halves of rows that are no whole blocks of columns.
    "layer-rope-64": ("layers/selective_rope", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}),
    "layer-rope-96": ("layers/selective_rope", {"key_heads": 2, "value_heads": 2, "key": 96, "value": 64}),
    "layer-rows": (ROWS, {}),
    "layer-rows-3": (THREE_ROWS, {}),
    "layer-functions": (FUNCTIONS, {}),
    "layer-silu": (SILU, {}),
    "layer-silu-192": (SILU, {"key": 192, "value": 64}),
    "layer-rope-192": ("layers/selective_rope", {"key_heads": 1, "value_heads": 1, "key": 192, "value": 192}),
    "layer-rope-256": ("layers/selective_rope", {"key_heads": 1, "value_heads": 1, "key": 256, "value": 128}),
    "layer-kda-192": ("layers/kda", {"key_heads": 1, "value_heads": 1, "key": 192, "value": 192}),
    # A rate where nothing is erased.
    "rates": (own_layer("{write: k, erase: none, value: v, rate: beta}"), {}),
    "layer-rwkv7": ("layers/rwkv7", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}),
}
PACKED = np.array([0, 70, 70, 71, 200])
PLAIN = ("gla-wide", "ssd-wide", "rates")  # without a prologue
# (batch, tokens, how far keys are alike, offsets) of each kind of draw
KINDS = ((2, 200, 0.0, None), (1, 203, 1.0, PACKED))
SEEDS = range(4)  # of the draws of a kind


def spec_of(name):
    layer, sizes, *bound = LAYERS[name]
    text = layer if "\n" in layer else (ROOT / "specs" / f"{layer}.yaml").read_text()
    spec = step_cases.small(text, **sizes) if sizes else text
    return spec + "".join(f"lower_bound: {x}\n" for x in bound)


def parts_of(name):
    """Returns the parts of the prologue: none of a spec that says itself what is computed, and of plain ones."""
    return () if "compute:" in spec_of(name) or name in PLAIN else PARTS


def reference(name, text, raw, seeds, cu_seqlens, device="cpu"):
    """Returns outputs and gradients in float64; `text` says the recurrence."""
    spec = spec_of(name)
    if "compute:" in spec:
        return compute_cases.reference(spec, text, raw, seeds, cu_seqlens, device)
    return prologue_cases.reference(text, raw, parts_of(name), seeds, cu_seqlens, device)


def text_of(spec):
    return prologue_cases.text_of(compute_cases.recurrence_of(spec))


def over_tokens(program):
    """Returns the gradients that are sums over tokens."""
    inputs = {n: {kind for kind, _ in info.dims} for n, info in program.inputs.items()}
    return {f"d_{n}" for n, kinds in inputs.items() if "time" not in kinds and "seq" not in kinds}


def draw(program, kind, seed):
    """Returns raw operands and gradients of outputs, the same on both machines, that the program's types hold."""
    batch, tokens, alike, cu_seqlens = KINDS[kind]
    sequences = batch if cu_seqlens is None else len(cu_seqlens) - 1
    rng = np.random.default_rng((kind, seed))
    return (*prologue_cases.draw_held(rng, program, batch, tokens, sequences, alike), cu_seqlens)


def root_mean_squares(errors):
    """Returns those of the errors of several draws, by name."""
    return {name: float(np.sqrt(np.mean([found[name] ** 2 for found in errors]))) for name in errors[0]}


# === Where the compiler is ===


def cpu_errors(program, name, kind):
    """Returns the errors of the rounded program on the CPU, by name."""
    errors = []
    for seed in SEEDS:
        raw, seeds, cu_seqlens = draw(program, kind, seed)
        found = prologue_cases.run(program, raw, seeds, cu_seqlens)
        wanted = reference(name, text_of(spec_of(name)), raw, seeds, cu_seqlens)
        errors.append({n: compute_cases.error(n, found[n], x) for n, x in wanted.items()})
    expected = root_mean_squares(errors)
    assert np.isfinite(list(expected.values())).all(), f"{name}: keys of these draws are too long to judge by, {expected}"
    return expected


def prepare(folder, names):
    for name in names or LAYERS:
        spec, parts = spec_of(name), parts_of(name)
        wyvern.compile(spec, target="sm_90a", training=True, save="factor", prologue=parts, output=folder / name)
        (folder / name / "recurrence.txt").write_text(text_of(spec))
        program = wyvern.compile(spec, target="cpu", precision="rounded", training=True, prologue=parts)
        errors = [cpu_errors(program, name, kind) for kind in range(len(KINDS))]
        (folder / name / "expected.json").write_text(json.dumps(errors))
        print(name, flush=True)


# === Where the GPU is ===


def poisoned(shape, dtype, device):
    import torch

    tensor = torch.empty(shape, dtype=dtype, device=device)
    return tensor.fill_(float("nan")) if dtype.is_floating_point else tensor


def run(program, raw, seeds, cu_seqlens):
    """Returns the outputs and gradients that are no residuals."""
    out = program(**raw, cu_seqlens=cu_seqlens)
    given = raw | seeds | {name: out[name] for name in program.residuals}
    backward = program.backward
    gradients = backward(**{n: given[n] for n in backward.inputs if n in given}, cu_seqlens=cu_seqlens)
    return {**gradients, **{n: x for n, x in out.items() if n not in program.residuals}}


def check_draw(program, name, text, kind, seed):
    """Returns the errors by name, and what does not hold, in words."""
    import torch

    drawn, seeds, offsets = draw(program, kind, seed)
    kinds = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
    types = {**program.inputs, **program.backward.inputs}
    move = lambda part: {n: torch.from_numpy(x).cuda().to(kinds[types[n].dtype]) for n, x in part.items()}
    raw, upstream = move(drawn), move(seeds)
    cu_seqlens = None if offsets is None else torch.from_numpy(offsets).cuda()
    found = run(program, raw, upstream, cu_seqlens)
    wanted = reference(name, text, drawn, seeds, offsets, device="cuda")
    errors = {n: compute_cases.error(n, found[n].double().cpu().numpy(), x) for n, x in wanted.items()}
    problems = []
    again = run(program, raw, upstream, cu_seqlens)
    if not all(torch.equal(again[n], x) for n, x in found.items()):
        problems.append(f"kind {kind} draw {seed}: two runs differ")
    if offsets is not None:
        problems += check_nan(program, raw, upstream, cu_seqlens, found)
    return errors, problems


def check_layer(folder, name, kind):
    """Returns what does not hold, in words."""
    program = wyvern.load(folder / name)
    program._empty = program.backward._empty = poisoned
    text = (folder / name / "recurrence.txt").read_text()
    results = [check_draw(program, name, text, kind, seed) for seed in SEEDS]
    problems = [f"{name}: {problem}" for _, found in results for problem in found]
    expected = json.loads((folder / name / "expected.json").read_text())[kind]
    ratios = []
    for output, error in root_mean_squares([errors for errors, _ in results]).items():
        ratio = error / max(expected[output], 1e-30)
        ratios.append(f"{output} {error:.1e} {ratio:.2f}")
        if not ratio <= (1.3 if output in over_tokens(program) else 1.1):
            problems.append(f"{name} {kind}: {output} is {ratio:.2f} times as far off as on the CPU")
    print(f"{name} {kind}, errors and of the CPU's:", ", ".join(ratios), flush=True)
    return problems


def is_of_sequences(name):
    """True for states, and for the angles that calls go on from."""
    return "state" in name or name.endswith("l_phi")


def check_nan(program, raw, upstream, cu_seqlens, clean):
    """NaN in the last sequence and behind it: what others have keeps its bits, and rows of nobody are zero."""
    import torch

    first, owned, tokens = int(cu_seqlens[-2]), int(cu_seqlens[-1]), raw["q"].shape[1]
    rows_of = lambda x, start, stop: slice(*(x.shape[1] // tokens * token for token in (start, stop)))
    problems = []
    for what, start, stop, kept in (("its sequence", first, owned, first), ("rows of nobody", owned, tokens, owned)):
        dirty = [{n: x.clone() for n, x in part.items()} for part in (raw, upstream)]
        for part in dirty:
            for n, x in part.items():
                if f"d_{n}" not in over_tokens(program) and not is_of_sequences(n):
                    x[:, rows_of(x, start, stop)] = float("nan")
        found = run(program, *dirty, cu_seqlens)
        for n, x in found.items():
            shared = n in over_tokens(program)
            if shared and kept == first:
                continue  # a sum over all sequences
            if shared or (is_of_sequences(n) and kept == owned):
                ends = slice(None)
            else:
                ends = slice(len(cu_seqlens) - 2) if is_of_sequences(n) else (slice(None), rows_of(x, 0, kept))
            if not torch.equal(x[ends], clean[n][ends]):
                problems.append(f"NaN leaves {what}: {n}")
    return problems


def check(folder):
    problems = []
    for path in sorted(folder.glob("*/expected.json")):
        for kind in range(len(KINDS)):
            problems += check_layer(folder, path.parent.name, kind)
    print("\n".join(problems) or "all hold", flush=True)
    return len(problems) > 0


if __name__ == "__main__":
    mode, where, *rest = sys.argv[1:] or ["help", "."]
    if mode == "prepare":
        prepare(pathlib.Path(where), rest)
    elif mode == "check":
        sys.exit(check(pathlib.Path(where)))
    else:
        sys.exit(__doc__)
