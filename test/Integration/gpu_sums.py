#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Selective RoPE on a GPU, with states and angles in pools: right against float64, its promises as equality of bits, and how
long a step takes.

    python test/Integration/gpu_sums.py prepare FOLDER [NAME ...]     where the compiler is: bundles
    python test/Integration/gpu_sums.py check FOLDER [NAME ...]       where the GPU is
    python test/Integration/gpu_sums.py long FOLDER NAME [DRAFTS]
    python test/Integration/gpu_sums.py times FOLDER NAME
"""

import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import sum_cases  # noqa: E402
import wyvern  # noqa: E402
from step_cases import error  # noqa: E402
from sum_cases import cut, in_float64, off  # noqa: E402

SLOTS = 16
# heads and dims of keys and values, and the pool
CASES = {
    "rope": ((4, 4), (128, 128), wyvern.Pool()),
    "rope-groups": ((2, 4), (128, 128), wyvern.Pool(first_slot=1, slots="i64")),
    "rope-64": ((2, 2), (64, 64), wyvern.Pool("kv")),
    "rope-96x192": ((2, 2), (96, 192), wyvern.Pool()),
    "rope-kv-bf16": ((2, 4), (128, 128), wyvern.Pool("kv", "bf16")),
    "rope-192": ((2, 2), (192, 128), wyvern.Pool()),
    "t-rope": ((16, 16), (128, 128), wyvern.Pool()),
}
ENTRIES = ("step", "prefill", "prefill-keep")
# what a bf16 program is off in o, and in states: those of steps are float32
IN_O, IN_PROMPTS, IN_STEPS, IN_ANGLES = 1.2e-2, 6e-3, 1e-5, 3e-5


def prepare(folder, names):
    """Compiles the bundles of these cases, or of all."""
    for name in names or CASES:
        heads, dims, pool = CASES[name]
        for entry in ENTRIES if not name.startswith("t-") else ("step",):
            options = {} if entry == "step" else {"variants": ["separate"]}
            wyvern.compile(sum_cases.text(heads, dims, "bf16"), serving=pool, entry=entry, output=folder / f"{name}.{entry}", **options)


class Case:
    """The programs of one case, and pools of NaNs."""

    def __init__(self, folder, name):
        self.heads, self.dims, self.kind = CASES[name]
        self.programs = {entry: wyvern.load(path) for entry in ENTRIES if (path := folder / f"{name}.{entry}").exists()}
        self.rng = np.random.default_rng(0)
        self.none = self.kind.first_slot - 1

    def index(self, *numbers):
        return torch.tensor(numbers, dtype=torch.int64 if self.kind.slots == "i64" else torch.int32, device="cuda")

    def pools(self, slots=SLOTS):
        key, value = self.dims
        shape = (key, value) if self.kind.layout == "kv" else (value, key)
        states = torch.full((slots, self.heads[1], *shape), torch.nan, device="cuda", dtype=torch.bfloat16 if self.kind.dtype == "bf16" else torch.float32)
        return {"state": states, "phi": torch.full((slots, self.heads[0], key // 2), torch.nan, device="cuda")}

    def turn(self, states):
        """States between the pool's order and [K, V]."""
        return states if self.kind.layout == "kv" else states.swapaxes(-1, -2)

    def draw(self, batch, tokens):
        """Operands on the device, and what they are in float32 there."""
        drawn = sum_cases.draw(self.rng, batch, tokens, self.heads, self.dims)
        narrow = ("q", "k", "v", "a", "b")
        given = {x: torch.from_numpy(a).cuda().to(torch.bfloat16 if x in narrow else torch.float32) for x, a in drawn.items()}
        return given, {x: a.float().cpu().numpy() for x, a in given.items()}


def same(x, y):
    """True for pools of the same bits, of which NaNs are one."""
    return all(torch.equal(x[n].nan_to_num(7.0), y[n].nan_to_num(7.0)) for n in x)


def copy(pools):
    return {n: x.clone() for n, x in pools.items()}


def drafts(case, count, tokens=4, batch=3):
    """Drafts with random accepted lengths, in slots that change: how far o, states and angles are off, and whether all
    promises hold."""
    step, rng, pools = case.programs["step"], case.rng, case.pools()
    places = rng.permutation(np.arange(1, SLOTS))[:batch]
    states = rng.standard_normal((batch, case.heads[1], *case.dims)).astype(np.float32)
    angles = rng.uniform(-np.pi, np.pi, (batch, case.heads[0], case.dims[0] // 2)).astype(np.float32)
    pools["state"][places] = case.turn(torch.from_numpy(states)).cuda().to(pools["state"].dtype)
    pools["phi"][places] = torch.from_numpy(angles).cuda()
    states, angles = case.turn(pools["state"][places]).double().cpu().numpy(), np.float64(angles)
    worst, holds = np.zeros(3), True
    for _ in range(count):
        given, inputs = case.draw(batch, tokens)
        lengths = rng.integers(0, tokens + 1, batch)
        target = rng.permutation(np.setdiff1d(np.arange(1, SLOTS), places))[:batch]
        slots = {"read_slots": case.index(*places), "write_slots": case.index(*target), "lengths": case.index(*lengths)}
        before, stepped = copy(pools), copy(pools)
        drafted = step.verify(read_slots=slots["read_slots"], **pools, **given)
        holds &= same(pools, before)
        step.commit(**slots, **pools, **given)
        o = step.step(**slots, **stepped, **given)
        holds &= same(pools, stepped)
        if case.kind.dtype == "f32":
            for t in range(tokens):
                one = step.step(read_slots=slots["read_slots"], **before, **cut(given, t, t + 1))
                holds &= torch.equal(one[:, 0], drafted[:, t])
        for n, length in enumerate(lengths):
            holds &= torch.equal(o[n, :length], drafted[n, :length]) and not o[n, length:].any()
            own = slice(n, n + 1)
            wanted, states[own], angles[own] = in_float64(cut(inputs, 0, length, own), states[own], angles[own])
            worst[0] = max(worst[0], error(o[n, :length].float().cpu().numpy(), wanted[0]))
        for pool in pools.values():
            pool[places] = torch.nan
        places = target
        worst[1] = max(worst[1], error(case.turn(pools["state"][places]).float().cpu().numpy(), states))
        worst[2] = max(worst[2], off(pools["phi"][places].cpu().numpy(), angles))
        others = np.setdiff1d(np.arange(SLOTS), places)
        holds &= all(bool(pool[others].isnan().all()) for pool in pools.values())
    before = copy(pools)
    o = step.step(read_slots=case.index(case.none, *places[1:]), **pools, **given)
    holds &= not o[0].any() and torch.equal(before["phi"][places[0]], pools["phi"][places[0]])
    return worst, holds


def prompt(case, batch, tokens, offsets):
    """A prompt, whole, in pieces and with what is kept on the way: as `drafts`."""
    prefill, keep, step = (case.programs[entry] for entry in ("prefill", "prefill-keep", "step"))
    given, inputs = case.draw(batch, tokens)
    count = len(offsets) - 1 if offsets else batch
    cu = {"cu_seqlens": torch.tensor(offsets, device="cuda")} if offsets else {}
    none, target, holds, worst = case.index(*[case.none] * count), case.index(*range(1, count + 1)), True, np.zeros(3)
    pools, kept = case.pools(), case.pools()
    o = prefill.prefill(read_slots=none, write_slots=target, **pools, **given, **cu)
    slots = np.full(tokens // 64 + count if offsets else -(-tokens // 64) * batch, case.none)
    slots[:2] = SLOTS - 2, SLOTS - 1
    again = keep.prefill(read_slots=none, write_slots=target, keep_slots=case.index(*slots), **kept, **given, **cu)
    holds &= torch.equal(o, again) and torch.equal(kept["phi"][1 : count + 1], pools["phi"][1 : count + 1])
    begin = np.zeros((1, case.heads[1], *case.dims)), np.zeros((1, case.heads[0], case.dims[0] // 2))
    for n in range(count):
        own = (slice(0, 1), *offsets[n : n + 2]) if offsets else (slice(n, n + 1), 0, tokens)
        rows, last = cut(given, own[1], own[2], own[0]), own[2] - own[1]
        wanted, states, angles = in_float64(cut(inputs, own[1], own[2], own[0]), *begin)
        if last:
            worst[0] = max(worst[0], error(o[own[0], own[1] : own[2]].float().cpu().numpy(), wanted))
            worst[1] = max(worst[1], error(case.turn(pools["state"][n + 1]).float().cpu().numpy(), states[0]))
        worst[2] = max(worst[2], off(pools["phi"][n + 1].cpu().numpy(), angles[0]))
        # In pieces of whole chunks, and the last tokens by steps.
        pieces = case.pools()
        ends = sorted({0, 64, 64 * (last // 100), last} & set(range(last + 1)))
        parts = [
            prefill.prefill(read_slots=case.index(1 if a else case.none), write_slots=case.index(1), **pieces, **cut(rows, a, e))
            for a, e in zip(ends, ends[1:])
        ]
        if parts and case.kind.dtype == "f32":
            holds &= torch.equal(torch.cat(parts, 1), o[own[0], own[1] : own[2]])
            holds &= all(torch.equal(pieces[x][1], pools[x][n + 1]) for x in pools)
        if n == 0:
            for slot, end in ((SLOTS - 2, 64), (SLOTS - 1, 128)):
                if end <= last:
                    prefill.prefill(read_slots=case.index(case.none), write_slots=case.index(2), **pieces, **cut(rows, 0, end))
                    holds &= all(torch.equal(pieces[x][2], kept[x][slot]) for x in pools)
        if last > 64:
            prefill.prefill(read_slots=case.index(case.none), write_slots=case.index(3), **pieces, **cut(rows, 0, last - 3))
            for t in range(last - 3, last):
                step.step(read_slots=case.index(3), **pieces, **cut(rows, t, t + 1))
            worst[2] = max(worst[2], off(pieces["phi"][3].cpu().numpy(), pools["phi"][n + 1].double().cpu().numpy()))
    return worst, holds


def report(name, worst, holds, bounds):
    good = holds and (worst < bounds).all()
    print(f"{name:36} o {worst[0]:.1e} states {worst[1]:.1e} angles {worst[2]:.1e} promises {'kept' if holds else 'BROKEN'}{'' if good else '  WRONG'}", flush=True)
    return good


def check(folder, names):
    good = True
    for name in names or [x for x in CASES if not x.startswith("t-")]:
        case = Case(folder, name)
        is_narrow = case.kind.dtype == "bf16"
        good &= report(f"{name} drafts", *drafts(case, 10), (IN_O, 6e-3 if is_narrow else IN_STEPS, IN_ANGLES))
        for batch, tokens, offsets in ((2, 330, None), (1, 700, [0, 130, 130, 700]), (1, 1100, None)):
            good &= report(f"{name} {batch}x{tokens}{' packed' * bool(offsets)}", *prompt(case, batch, tokens, offsets), (IN_O, IN_PROMPTS, IN_ANGLES))
    return good


def times(folder, name):
    """How long a step takes under a CUDA graph, beside the time in which its states are read and written."""
    case = Case(folder, name)
    for batch, tokens in ((256, 1), (64, 1), (8, 1), (1, 1), (64, 4)):
        given = case.draw(1, tokens)[0]
        given = {x: a if x in sum_cases.PER_HEAD else a.expand(batch, *a.shape[1:]).contiguous() for x, a in given.items()}
        pools, slots = {x: torch.zeros_like(a) for x, a in case.pools(batch).items()}, case.index(*range(batch))
        call = lambda: case.programs["step"].step(read_slots=slots, write_slots=slots, **pools, **given)
        call()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(20):
                call()
        spans = []
        for _ in range(6):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            graph.replay()
            last.record()
            torch.cuda.synchronize()
            spans.append(first.elapsed_time(last) * 50)
        floor = 2 * pools["state"].numel() * pools["state"].element_size() / 4.2e6
        print(f"{name} {batch:4} x {tokens}: {min(spans):7.1f} us, floor {floor:6.1f}", flush=True)


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:]
    if command == "prepare":
        prepare(folder, rest)
    else:
        import torch

        if command == "times":
            times(folder, *rest)
        elif command == "long":
            name, *count = rest
            worst = drafts(Case(folder, name), int(count[0]) if count else 1000)
            sys.exit(not report(f"{name} drafts", *worst, (IN_O, 3e-5, 3e-4)))
        else:
            sys.exit(not check(folder, rest))
