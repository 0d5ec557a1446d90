#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms and gates in the chunk programs of whole sequences, on a GPU: forward and backward against float64.

    python test/Integration/gpu_prologue.py prepare FOLDER [NAME ...]    where the compiler is
    python test/Integration/gpu_prologue.py check FOLDER                 where the GPU is

Errors are at most 1.1 times those of the same rounded program on the CPU, 1.3 times for what is a sum over
tokens. Outputs are poisoned. Two runs give the same bits, and NaN in a packed sequence, or in rows that no sequence
owns, reaches no other.
"""

import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import prologue_cases  # noqa: E402
import step_cases  # noqa: E402
import wyvern  # noqa: E402

PARTS = ("norm", "gates")
# (spec, sizes) of each bundle
LAYERS = {
    "gdn": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
    "gdn-groups": ("gated_deltanet", {"key_heads": 2, "value_heads": 4, "key": 128, "value": 128}),
    "gdn-f16": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128, "dtype": "f16"}),
    "gdn-64": ("gated_deltanet", {"key_heads": 2, "value_heads": 2, "key": 64, "value": 64}),
    "delta": ("delta_net-340M", {"key_heads": 2, "value_heads": 2, "key": 128, "value": 128}),
}
PACKED = np.array([0, 70, 70, 71, 200])
# (batch, tokens, how far keys are alike, offsets) of each draw
DRAWS = ((2, 200, 0.0, None), (1, 203, 1.0, PACKED))


def spec_of(name):
    layer, sizes = LAYERS[name]
    return step_cases.small((ROOT / "specs" / f"{layer}.yaml").read_text(), **sizes)


def draw(program, number):
    """Returns raw operands and gradients of outputs, the same on both machines, that the program's types hold."""
    batch, tokens, alike, cu_seqlens = DRAWS[number]
    sequences = batch if cu_seqlens is None else len(cu_seqlens) - 1
    rng = np.random.default_rng(number)
    return (*prologue_cases.draw_held(rng, program, batch, tokens, sequences, alike), cu_seqlens)


# === Where the compiler is ===


def prepare(folder, names):
    for name in names or LAYERS:
        spec = spec_of(name)
        wyvern.compile(spec, target="sm_90a", training=True, prologue=PARTS, output=folder / name)
        (folder / name / "recurrence.txt").write_text(prologue_cases.text_of(spec))
        program = wyvern.compile(spec, target="cpu", precision="rounded", training=True, prologue=PARTS)
        errors = []
        for number in range(len(DRAWS)):
            raw, seeds, cu_seqlens = draw(program, number)
            found = prologue_cases.run(program, raw, seeds, cu_seqlens)
            wanted = prologue_cases.reference(prologue_cases.text_of(spec), raw, PARTS, seeds, cu_seqlens)
            errors.append({n: step_cases.error(found[n], x) for n, x in wanted.items()})
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
    return {**gradients, "o": out["o"], "final_state": out["final_state"]}


def check_draw(folder, name, number):
    """Returns what does not hold, in words."""
    import torch

    program = wyvern.load(folder / name)
    program._empty = program.backward._empty = poisoned
    drawn, seeds, offsets = draw(program, number)
    kinds = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
    types = {**program.inputs, **program.backward.inputs}
    move = lambda part: {n: torch.from_numpy(x).cuda().to(kinds[types[n].dtype]) for n, x in part.items()}
    raw, upstream = move(drawn), move(seeds)
    cu_seqlens = None if offsets is None else torch.from_numpy(offsets).cuda()
    found = run(program, raw, upstream, cu_seqlens)
    text = (folder / name / "recurrence.txt").read_text()
    wanted = prologue_cases.reference(text, drawn, PARTS, seeds, offsets)
    expected = json.loads((folder / name / "expected.json").read_text())[number]
    problems = []
    for output, x in wanted.items():
        error = step_cases.error(found[output].double().cpu().numpy(), x)
        ratio = error / max(expected[output], 1e-30)
        print(f"{name} {number} {output} {error:.2e}, {ratio:.2f} of the CPU's", flush=True)
        if not ratio <= (1.1 if found[output].ndim == 4 else 1.3):
            problems.append(f"{name} {number}: {output} is {ratio:.2f} times as far off as on the CPU")
    again = run(program, raw, upstream, cu_seqlens)
    if not all(torch.equal(again[n], x) for n, x in found.items()):
        problems.append(f"{name} {number}: two runs differ")
    if offsets is not None:
        problems += check_nan(program, raw, upstream, cu_seqlens, found)
    return problems


def check_nan(program, raw, upstream, cu_seqlens, clean):
    """NaN in the last sequence and behind it: what others have keeps its bits, and rows of nobody are zero."""
    import torch

    first, owned = int(cu_seqlens[-2]), int(cu_seqlens[-1])
    problems = []
    for what, rows, kept in (("its sequence", slice(first, owned), first), ("rows of nobody", slice(owned, None), owned)):
        dirty = [{n: x.clone() for n, x in part.items()} for part in (raw, upstream)]
        for part in dirty:
            for n, x in part.items():
                if n not in ("A_log", "dt_bias", "initial_state", "d_final_state"):
                    x[:, rows] = float("nan")
        found = run(program, *dirty, cu_seqlens)
        for n, x in found.items():
            shared = n in ("d_A_log", "d_dt_bias")
            if shared and kept == first:
                continue  # a sum over all sequences
            ends = slice(None) if shared else slice(len(cu_seqlens) - 2) if "state" in n else (slice(None), slice(kept))
            if "state" in n and kept == owned:
                ends = slice(None)
            if not torch.equal(x[ends], clean[n][ends]):
                problems.append(f"NaN leaves {what}: {n}")
    return problems


def check(folder):
    problems = []
    for path in sorted(folder.glob("*/expected.json")):
        for number in range(len(DRAWS)):
            problems += check_draw(folder, path.parent.name, number)
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
