#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers with levels on a GPU: o and all gradients against float64, and times beside the
layer without levels.

    on a machine with the compiler:   gpu_levels.py --bundles bundles --prepare
    on the GPU machine:               gpu_levels.py --bundles bundles

The reference is the definition (Guo et al. 2025, "Log-Linear Attention") as matrices of
T x T in float64, differentiated by autograd: o = scale (M * X) V with M the scale of each
pair's level and X the pairs without levels. The exit status is not 0 if anything failed.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# name: (spec, max_tokens (0: without levels), is checked); what is checked "parts" goes on from states
BUNDLES = {
    "gdn_2k": ("log_linear_gdn", 2048, True),
    "mamba2_64k": ("log_linear_mamba2", 65536, True),
    "gdn_parts": ("log_linear_gdn", 2048, "parts"),
    "gdn_8k": ("log_linear_gdn", 8192, False),
    "gdn": ("log_linear_gdn", 0, False),
    "mamba2_8k": ("log_linear_mamba2", 8192, False),
    "mamba2": ("log_linear_mamba2", 0, False),
}
CASES = [  # batch, tokens, cu_seqlens, keys and rates
    (1, 64, None, "plain"),
    (2, 333, None, "plain"),
    (1, 1000, [0, 1, 1, 66, 513, 900], "plain"),
    (1, 2048, None, "alike"),  # with rates to 2
    (1, 700, None, "strong"),  # gates to -30
]
PARTS = [(1, [0, 1, 64, 65, 333]), (2, [0, 130, 512, 700])]  # batch, where calls begin and the last one ends
BAR = {"plain": 5e-3, "alike": 1.2e-2, "strong": 5e-3}
SPEEDS = [("gdn_8k", "gdn", 1, 8192), ("gdn_8k", "gdn", 4, 8192), ("mamba2_8k", "mamba2", 1, 8192), ("mamba2_8k", "mamba2", 16, 8192)]


def prepare(folder, wyvernc):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (spec, most, checked) in BUNDLES.items():
        text = (ROOT / "specs" / f"{spec}.yaml").read_text()
        text = re.sub(r"^name:.*$", f"name: {name}", text, flags=re.M)
        text = re.sub(r"^max_tokens:.*$", f"max_tokens: {most}", text, flags=re.M)
        if most == 0:
            text = re.sub(r"^(levels|max_tokens):.*\n", "", text, flags=re.M)
        text += "resume: true\n" if checked == "parts" else ""
        path = folder / f"{name}.yaml"
        path.write_text(text)
        subprocess.run([wyvernc, path, "--training", "-o", folder / f"{name}.wyvern"], check=True)


def levels(tokens):
    """level(t, s) of every pair."""
    t = torch.arange(tokens, device="cuda")
    differ, found = t[:, None] ^ t[None, :], 0
    for bit in range(tokens.bit_length()):
        found = found + (differ >> bit > 0).long()
    return found


def dense(given, scale, erases):
    """[B, T, heads, ...] in float64 -> o [B, T, value heads, V]."""
    heads = given["v"].shape[2]
    rows = {n: x.repeat_interleave(heads // x.shape[2], 2).movedim(2, 1) for n, x in given.items() if n != "level_scales"}
    sums = rows["g"].cumsum(-1)
    decay = (sums[..., :, None] - sums[..., None, :]).tril().exp().tril()
    pairs = (rows["q"] @ rows["k"].mT) * decay
    if erases:
        rates = rows["beta"][..., None, :]
        system = torch.eye(pairs.shape[-1], dtype=pairs.dtype, device="cuda")
        system = system + ((rows["k"] @ rows["k"].mT) * decay).tril(-1) * rates
        pairs = torch.linalg.solve_triangular(system.mT, (pairs * rates).mT, upper=True).mT
    scales = given["level_scales"].unflatten(2, (heads, -1)).movedim(2, 1)
    weights = torch.gather(scales, 3, levels(pairs.shape[-1]).expand_as(pairs)).tril()
    return (scale * ((pairs * weights) @ rows["v"])).movedim(1, 2)


def packed(given, scale, erases, cu):
    if cu is None:
        return dense(given, scale, erases)
    cut = lambda begin, end: {n: x[:, begin:end] for n, x in given.items()}
    parts = [dense(cut(begin, end), scale, erases) for begin, end in zip(cu, cu[1:]) if end > begin]
    unowned = given["v"].shape[1] - cu[-1]
    return torch.cat([*parts, parts[0].new_zeros(1, unowned, *parts[0].shape[2:])], 1)


def draw(program, batch, tokens, law, seed):
    random = torch.Generator(device="cuda").manual_seed(seed)
    inputs = {}
    for name, tensor in program.inputs.items():
        if name in ("cu_seqlens", "initial_state", "positions"):
            continue
        sizes = {"seq": batch, "time": tokens}
        x = torch.randn([sizes.get(kind, n) for n, (kind, _) in zip(tensor.shape, tensor.dims)], generator=random, device="cuda")
        if name == "g":
            x = -x.abs() * (8 if law == "strong" else 0.05)
        elif name == "beta":
            x = x.sigmoid() * (2 if law == "alike" else 1)
        elif name == "level_scales":
            x = torch.nn.functional.softplus(x)
        elif name in ("q", "k"):
            if name == "k" and law == "alike":
                x = 0.45 * x + 0.9 * torch.randn(x.shape[2:], generator=random, device="cuda")
            x = x / x.norm(dim=-1, keepdim=True)
        inputs[name] = x.bfloat16() if tensor.dtype == "bf16" else x
    return inputs


def run_backward(program, inputs, out, d_o, cu=None):
    given = inputs | {n: out[n] for n in program.residuals} | {"d_o": d_o}
    return program.backward(**{n: x for n, x in given.items() if n in program.backward.inputs}, cu_seqlens=cu)


def error(found, wanted):
    return float((found.double() - wanted).norm() / wanted.norm())


def check(program, batch, tokens, cu, law, seed):
    """The largest errors, and whether a second run has the same bits."""
    spec = program.manifest["spec"]
    inputs = draw(program, batch, tokens, law, seed)
    offsets = None if cu is None else torch.tensor(cu, device="cuda")
    out = program(**inputs, cu_seqlens=offsets)
    leaves = {n: x.double().requires_grad_() for n, x in inputs.items()}
    o = packed(leaves, spec["scale"], spec["steps"][0]["erase"] != "none", cu)
    d_o = torch.randn_like(o).bfloat16()
    wanted = torch.autograd.grad((o * d_o.double()).sum(), list(leaves.values()))
    found = run_backward(program, inputs, out, d_o, offsets)
    errors = {"o": error(out["o"], o.detach())}
    errors |= {f"d_{n}": error(found[f"d_{n}"], x) for n, x in zip(leaves, wanted)}
    same = torch.equal(out["o"], program(**inputs, cu_seqlens=offsets)["o"])
    again = run_backward(program, inputs, out, d_o, offsets)
    return errors, same and all(torch.equal(x, again[n]) for n, x in found.items())


def check_parts(program, batch, places, seed):
    """The largest errors of calls that go on where others ended, forward and backward, of the whole."""
    spec, tokens = program.manifest["spec"], places[-1]
    inputs = draw(program, batch, tokens, "plain", seed)
    leaves = {n: x.double().requires_grad_() for n, x in inputs.items()}
    o = dense(leaves, spec["scale"], spec["steps"][0]["erase"] != "none")
    d_o = torch.randn_like(o).bfloat16()
    wanted = torch.autograd.grad((o * d_o.double()).sum(), list(leaves.values()))
    state = torch.zeros(batch, *program.outputs["final_state"].shape[1:], device="cuda")
    calls = []
    for begin, end in zip(places, places[1:]):
        given = {n: x[:, begin:end].contiguous() for n, x in inputs.items()}
        given |= {"initial_state": state, "positions": torch.full((batch,), float(begin), device="cuda")}
        calls.append((given, program(**given)))
        state = calls[-1][1]["final_state"]
    found, d_state = [], torch.zeros_like(state)
    for (begin, end), (given, out) in reversed(list(zip(zip(places, places[1:]), calls))):
        found.insert(0, run_backward(program, given | {"d_final_state": d_state}, out, d_o[:, begin:end].contiguous()))
        d_state = found[0]["d_initial_state"]
    errors = {"o": error(torch.cat([out["o"] for _, out in calls], 1), o.detach())}
    return errors | {f"d_{n}": error(torch.cat([part[f"d_{n}"] for part in found], 1), x) for n, x in zip(leaves, wanted)}


def fastest(run, rounds=20):
    times = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return min(times[3:])


def measure(program, batch, tokens):
    """Milliseconds of the forward and of the backward."""
    inputs = draw(program, batch, tokens, "plain", 0)
    out = program(**inputs)
    d_o = torch.randn_like(out["o"])
    return fastest(lambda: program(**inputs)), fastest(lambda: run_backward(program, inputs, out, d_o))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundles", type=Path, required=True)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--wyvernc", default=ROOT / "build/bin/wyvernc")
    options = parser.parse_args()
    if options.prepare:
        return prepare(options.bundles, options.wyvernc)
    global torch
    import torch
    import wyvern

    programs = {name: wyvern.load(options.bundles / f"{name}.wyvern") for name in BUNDLES}
    failed = 0
    for name, (_, _, is_checked) in BUNDLES.items():
        for seed, (batch, tokens, cu, law) in enumerate(CASES if is_checked is True else ()):
            errors, same = check(programs[name], batch, tokens, cu, law, seed)
            failed += not same or max(errors.values()) > BAR[law]
            print(f"{name} {batch}x{tokens} {'packed' if cu else 'dense'} {law}: {'same bits' if same else 'OTHER BITS'},",
                  " ".join(f"{n} {x:.1e}" for n, x in errors.items()), flush=True)
    for seed, (batch, places) in enumerate(PARTS):
        errors = check_parts(programs["gdn_parts"], batch, places, seed)
        failed += max(errors.values()) > BAR["plain"]
        print(f"gdn_parts {batch}, calls at {places}:", " ".join(f"{n} {x:.1e}" for n, x in errors.items()), flush=True)
    for levels_name, plain, batch, tokens in SPEEDS:
        times = [measure(programs[name], batch, tokens) for name in (levels_name, plain)]
        print(f"{batch}x{tokens}", *(f"{name} {a:.3f} + {b:.3f} ms" for name, (a, b) in zip((levels_name, plain), times)),
              f"ratio {times[0][0] / times[1][0]:.1f}, {sum(times[0]) / sum(times[1]):.1f}", flush=True)
    print("failed:", failed)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
