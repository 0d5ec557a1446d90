#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of prompts on a GPU: the bits of the layer's own program between copies of states, in every variant,
and how long both take.

    python test/Integration/gpu_prompts.py prepare FOLDER [NAME ...]     where the compiler is: bundles
    python test/Integration/gpu_prompts.py check FOLDER [NAME ...]       where the GPU is
    python test/Integration/gpu_prompts.py times FOLDER [NAME ...]
    python test/Integration/gpu_prompts.py variants FOLDER [NAME ...]
"""

import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import step_cases  # noqa: E402
import wyvern  # noqa: E402
from rounding_oracle import rounded  # noqa: E402

TOKENS, SLOTS, SEGMENT = 330, 11, 256
PARTED = (0, 1, 64, 200, 500, 1000, 1536)
WIDE = {"key": 128, "value": 128}
# (spec, pool, sizes) of what is checked; each with its forward, a prefill and one that keeps states
CHECKED = {
    "gdn": ("gated_deltanet", wyvern.Pool(first_slot=1), WIDE),
    "gdn-kv-bf16": ("gated_deltanet", wyvern.Pool("kv", "bf16", "i64"), WIDE),
    "gdn-vk-bf16": ("gated_deltanet", wyvern.Pool("vk", "bf16"), {"key": 64, "value": 32}),
    "kda": ("kda", wyvern.Pool(), WIDE),
    "product": ("deltaproduct", wyvern.Pool(), WIDE),
    "delta": ("delta_net-1.3B", wyvern.Pool("kv"), WIDE),
    "rwkv7": ("rwkv7", wyvern.Pool(), {"key": 64, "value": 64}),
}
TIMED = {
    "t-gdn-16": ("gated_deltanet", wyvern.Pool(), {**WIDE, "key_heads": 16, "value_heads": 16}),
    "t-gdn-16-kv": ("gated_deltanet", wyvern.Pool("kv"), {**WIDE, "key_heads": 16, "value_heads": 16}),
    "t-gdn-32": ("gated_deltanet", wyvern.Pool(), {**WIDE, "key_heads": 16, "value_heads": 32}),
    "t-delta-16": ("delta_net-1.3B", wyvern.Pool(), {**WIDE, "key_heads": 16, "value_heads": 16}),
}
SHAPES = ((1, 8192), (1, 32768), (16, 1024), (64, 128))
LONG = ((1, 4096), (1, 8192), (1, 16384), (1, 32768), (2, 16384))  # whose variants are timed beside each other
# pools that are rounded at random: a step and a prefill of each, and what they round
ROUNDED = {
    "r-gdn-vk": ("gated_deltanet", "vk", WIDE),
    "r-gdn-kv": ("gated_deltanet", "kv", WIDE),
    "r-kda": ("kda", "vk", {"key": 64, "value": 96}),
}
LARGE_STEP = {**WIDE, "key_heads": 16, "value_heads": 32}


def prepare(folder, names):
    """Compiles these bundles, or all."""
    for name in names or (*CHECKED, *TIMED, *ROUNDED, "t-step"):
        if name in ROUNDED or name == "t-step":
            spec, layout, sizes = ROUNDED.get(name, ("gated_deltanet", "vk", LARGE_STEP))
            text = step_cases.small((ROOT / "specs" / f"{spec}.yaml").read_text(), **sizes)
            pools = {"exact": wyvern.Pool(layout), "rounded": wyvern.Pool(layout, "bf16", rounding="stochastic"), "nearest": wyvern.Pool(layout, "bf16")}
            for kind, pool in pools.items():
                for entry in ("step",) if name == "t-step" else ("step", "prefill-keep"):
                    wyvern.compile(text, serving=pool, entry=entry, output=folder / f"{name}.{kind}.{entry}")
            continue
        spec, pool, sizes = {**CHECKED, **TIMED}[name]
        text = step_cases.small((ROOT / "specs" / f"{spec}.yaml").read_text(), **sizes)
        wyvern.compile(text, output=folder / f"{name}.whole")
        for entry in ("prefill", "prefill-keep"):
            wyvern.compile(text, serving=pool, entry=entry, output=folder / f"{name}.{entry}")


def load(folder, name):
    return [wyvern.load(folder / f"{name}.{kind}") for kind in ("whole", "prefill", "prefill-keep")]


class Case:
    """Operands on the device, and a pool of NaNs that lies between other things, with states in some slots."""

    def __init__(self, torch, name, whole, prefill, batch, tokens, slots, seed=0):
        self.torch, self.first = torch, prefill.manifest["serving"]["first_slot"]
        self.turned = prefill.manifest["state_layout"] == "vk"
        kinds = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
        rng = np.random.default_rng(seed)
        drawn = step_cases.draw(rng, whole.inputs, batch, tokens)
        if name == "rwkv7":
            drawn["p"] = -0.5 * drawn["r"]
        self.inputs = {n: torch.from_numpy(x).cuda().to(kinds[whole.inputs[n].dtype]) for n, x in drawn.items()}
        state = prefill.inputs["state"]
        shape = [slots, 2, *state.shape[1:]]
        shape[-2:] = shape[: -3 : -1] if self.turned else shape[-2:]
        self.memory = torch.from_numpy(rng.standard_normal(shape).astype(np.float32)).cuda().to(kinds[state.dtype])
        self.memory[:, 1] = 7.0
        self.index = torch.int64 if prefill.inputs["read_slots"].dtype == "i64" else torch.int32

    def slots(self, *numbers):
        return self.torch.tensor(numbers, dtype=self.index, device="cuda")

    def pool(self):
        return self.memory.clone()[:, 0]

    def states(self, pool, read):
        """The states of slots as the layer's own program takes them, as engines copy them."""
        found = pool.index_select(0, read.clamp(min=0))
        found = self.torch.where((read >= self.first).view(-1, 1, 1, 1), found, 0.0).float()
        return found.transpose(-1, -2).contiguous() if self.turned else found

    def store(self, pool, write, final):
        final = (final.transpose(-1, -2) if self.turned else final).to(pool.dtype)
        pool.index_copy_(0, write.long(), final)


def check(torch, folder, name):
    """Returns how many comparisons there were; asserts each."""
    whole, prefill, keep = load(folder, name)
    count = 0
    same = lambda x, y: bool(torch.equal(x.contiguous().view(torch.uint8), y.contiguous().view(torch.uint8)))

    def poisoned(shape, dtype, device):
        value = float("nan") if dtype.is_floating_point else 255
        return torch.full(shape if isinstance(shape, (list, tuple)) else (shape,), value, dtype=dtype, device=device)

    prefill._empty = keep._empty = poisoned
    for packed in (False, True):
        case = Case(torch, name, whole, prefill, 1 if packed else 3, TOKENS, SLOTS)
        bounds = torch.tensor([0, 130, 130, 330], device="cuda") if packed else None
        none = case.first - 1
        read, write = case.slots(3, none, 5), case.slots(3, 2, none)
        case.memory[[8, 9, 10], 0] = float("nan")
        for variant in prefill.variants:
            if variant not in whole.variants:
                continue
            fixed = f"{variant}-{SEGMENT}" if variant.endswith(("segments", "parts")) else variant
            whole.force_variant(fixed)
            prefill.force_variant(fixed)
            given = {**case.inputs, "cu_seqlens": bounds}
            out = whole(initial_state=case.states(case.pool(), read), **given)
            pool = case.pool()
            o = prefill.prefill(state=pool, read_slots=read, write_slots=write, **given)
            wanted = case.pool()
            case.store(wanted, case.slots(3, 2), out["final_state"][:2])
            assert same(o, out["o"]) and same(pool, wanted), (name, packed, variant)
            count += 1
        for variant in keep.variants:
            if variant not in prefill.variants:
                continue
            is_cut = variant.endswith("segments")
            keep.force_variant(f"{variant}-{SEGMENT}" if is_cut else variant)
            prefill.force_variant(f"{variant}-{SEGMENT}" if is_cut else variant)
            chunk = keep.kept_chunk
            starts, firsts = ((0, 130, 130), (0, 130 // chunk + 1, 130 // chunk + 2)) if packed else ((0, 0, 0), tuple(n * -(-TOKENS // chunk) for n in range(3)))
            entries = TOKENS // chunk + 3 if packed else 3 * -(-TOKENS // chunk)
            kept = torch.full((entries,), none, dtype=case.index, device="cuda")
            kept[firsts[0]], kept[firsts[2] + 1] = 6, 7
            if not packed:  # the first chunk of a second segment
                kept[SEGMENT // chunk] = 9
            pool = case.pool()
            o = keep.prefill(state=pool, read_slots=read, write_slots=write, keep_slots=kept, **given)
            plain = case.pool()
            wanted_o = prefill.prefill(state=plain, read_slots=read, write_slots=write, **given)
            assert same(o, wanted_o), (name, packed, variant, "o")
            live = [n for n in range(SLOTS) if n not in (6, 7, 9)]
            assert same(pool[live], plain[live]), (name, packed, variant, "states")

            def cut(n, first, last):
                row = 0 if packed else n
                return {x: y[row : row + 1, (starts[n] + first) * (y.shape[1] // TOKENS) : (starts[n] + last) * (y.shape[1] // TOKENS)] for x, y in case.inputs.items()}

            def end(piece, begin):
                """The state that the chain of a piece ends in, which begins in a slot of the pool `alone`: kept, since
                what segments end in is rounded another time; and that which is written."""
                count = -(-next(iter(piece.values())).shape[1] // (next(iter(case.inputs.values())).shape[1] // TOKENS) // chunk)
                last = torch.full((count,), none, dtype=case.index, device="cuda")
                last[-1] = 4
                keep.prefill(state=alone, read_slots=begin, write_slots=case.slots(1), keep_slots=last, **piece)
                return alone[4], alone[1]

            for n, slot, chunks in ((0, 6, 1), (2, 7, 2)):
                alone = case.pool()
                chain, written = end(cut(n, 0, chunks * chunk), read[n : n + 1])
                assert same(chain, pool[slot]), (name, packed, variant, slot)
                assert same(chain, written) or (is_cut and step_cases.error(written.float().cpu(), chain.float().cpu()) < 5e-3), (name, packed, variant, slot, "written")
                count += 1
            if not packed:
                alone = case.pool()
                prefill.prefill(state=alone, read_slots=read[:1], write_slots=case.slots(2), **cut(0, 0, SEGMENT))
                chain, _ = end(cut(0, SEGMENT, SEGMENT + chunk), case.slots(2))
                # A pool of bf16 rounds what goes on from it, the scan over segments goes on in f32.
                exact = pool.dtype == torch.float32
                assert same(chain, pool[9]) if exact else step_cases.error(chain.float().cpu(), pool[9].float().cpu()) < 2e-2, (name, variant, "second segment")
                count += 1
        keep.force_variant(None)
        prefill.force_variant(None)
    count += check_parts(torch, name, whole, prefill, same)
    # Nothing depends on the host: a replay takes new slots.
    case = Case(torch, name, whole, prefill, 3, TOKENS, SLOTS)
    pool, read = case.pool(), case.slots(3, 4, 5)
    prefill.prefill(state=pool.clone(), read_slots=read, **case.inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        o = prefill.prefill(state=pool, read_slots=read, **case.inputs)
    read.copy_(case.slots(5, 1, 7))
    graph.replay()
    wanted = case.pool()
    alone = prefill.prefill(state=wanted, read_slots=read, **case.inputs)
    assert same(o, alone) and same(pool, wanted), (name, "graph")
    return count + 1


def check_parts(torch, name, whole, prefill, same):
    """Compares prompts in parts, of which each has tokens or not, with the layer's own program between copies; with
    slots that are none at either end. Returns how many there were."""
    variants = [x for x in prefill.variants if x.endswith("parts")]
    for variant in variants:
        for program in (whole, prefill):
            program.force_variant(f"{variant}-{SEGMENT}")
        for tokens in PARTED:
            case = Case(torch, name, whole, prefill, 3, tokens, SLOTS)
            none = case.first - 1
            read, write = case.slots(3, none, 5), case.slots(3, 2, none)
            pool = case.pool()
            out = whole(initial_state=case.states(case.pool(), read), **case.inputs)
            o = prefill.prefill(state=pool, read_slots=read, write_slots=write, **case.inputs)
            wanted = case.pool()
            case.store(wanted, case.slots(3, 2), out["final_state"][:2])
            assert same(o, out["o"]) and same(pool, wanted), (name, variant, tokens)
        for program in (whole, prefill):
            program.force_variant(None)
    return len(variants) * len(PARTED)


def check_rounding(torch, folder, name):
    """Compares pools that are rounded by seeds with what the documents say of those in f32; steps and prompts."""
    count = 0
    for entry in ("step", "prefill-keep"):
        exact, program = (wyvern.load(folder / f"{name}.{kind}.{entry}") for kind in ("exact", "rounded"))
        turned = entry != "step" and exact.manifest["state_layout"] == "vk"
        rng, batch, tokens = np.random.default_rng(3), 5, 3 if entry == "step" else 330
        drawn = step_cases.draw(rng, exact.inputs, batch, tokens)
        kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
        inputs = {n: torch.from_numpy(x).cuda().to(kinds[exact.inputs[n].dtype]) for n, x in drawn.items()}
        states = torch.from_numpy(rng.standard_normal([SLOTS, *exact.inputs["state"].shape[1:]]).astype(np.float32))
        states = states.transpose(-1, -2).contiguous() if turned else states
        pool = states.cuda().bfloat16()
        given = {"read_slots": torch.tensor([7, 2, 5, 1, 9], dtype=torch.int32, device="cuda")}
        seeds = torch.tensor([5, -3, 2**31 - 1, 0, 77], dtype=torch.int32, device="cuda")
        slots = [7, 2, 5, 1, 9]
        if entry != "step":
            keep = torch.full((batch, -(-tokens // exact.kept_chunk)), -1, dtype=torch.int32, device="cuda")
            keep[1, 2] = 8
            given["keep_slots"] = keep.view(-1)
            slots.append(8)
        for variant in program.variants:
            if variant not in exact.variants:
                continue
            exact.force_variant(variant)
            program.force_variant(variant)
            wide, found = pool.float(), pool.clone()
            call = "step" if entry == "step" else "prefill"
            o = getattr(exact, call)(state=wide, **given, **inputs)
            again = getattr(program, call)(state=found, seeds=seeds, **given, **inputs)
            # Kernels of two types of pools may differ in the last bits of an f32.
            assert step_cases.error(again.float().cpu(), o.float().cpu()) < 1e-3, (name, entry, variant, "o")
            bits = found.view(torch.int16).cpu().numpy().view(np.uint16)
            for n, slot in enumerate(slots):
                state = wide[slot].cpu().numpy()
                lying = bits[slot]
                if turned:
                    state, lying = np.ascontiguousarray(state.swapaxes(-1, -2)), lying.swapaxes(-1, -2)
                seed = int(seeds[1 if slot == 8 else n])
                # What these make of an element is one of what is close to its f32: of sums that cancel, which have
                # lost their last places, what is as close as a sum of numbers around 1 is exact.
                near = np.stack([rounded((state.view(np.int32) + d).view(np.float32), seed) for d in (-64, 0, 64)])
                gap = np.abs((lying.astype(np.uint32) << 16).view(np.float32) - state)
                off = ((near != lying).all(0) & (gap > 1e-5)).sum()
                differs = (near[1] != lying).sum()
                assert off == 0 and differs <= 1e-3 * lying.size, (name, entry, variant, slot, int(off), int(differs), gap.max())
                count += 1
    return count


def time_of(torch, calls, rounds=5, repeats=20):
    """Returns the least time in us of each of these calls, as replays of a CUDA graph, in turns."""
    graphs = []
    for call in calls:
        call()
        torch.cuda.synchronize()
        graphs.append(torch.cuda.CUDAGraph())
        with torch.cuda.graph(graphs[-1]):
            for _ in range(4):
                call()
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, graph in enumerate(graphs):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            graph.replay()
            begin.record()
            for _ in range(repeats // 4):
                graph.replay()
            end.record()
            end.synchronize()
            best[i] = min(best[i], begin.elapsed_time(end) * 1e3 / (repeats // 4 * 4))
    return best


def times(torch, folder, name):
    """Prints a line a shape: gather, forward and scatter; the forward alone; the prefill; with a state kept every 1024
    tokens; and the variant that runs."""
    whole, prefill, keep = load(folder, name)
    for batch, tokens in SHAPES:
        case = Case(torch, name, whole, prefill, batch, tokens, 4 * batch + 16)
        read = case.slots(*range(3, 3 + batch))
        pool, states = case.pool(), case.states(case.pool(), read)
        chunks = -(-tokens // keep.kept_chunk)
        kept = torch.full((batch, chunks), -1, dtype=case.index, device="cuda")
        every = 1024 // keep.kept_chunk
        slots = kept[:, every - 1 :: every]
        slots.copy_((torch.arange(slots.numel(), device="cuda") % (2 * batch) + 3 + batch).view(slots.shape))

        def between():
            out = whole(initial_state=case.states(pool, read), **case.inputs)
            case.store(pool, read, out["final_state"])

        found = time_of(
            torch,
            [
                between,
                lambda: whole(initial_state=states, **case.inputs),
                lambda: prefill.prefill(state=pool, read_slots=read, **case.inputs),
                lambda: keep.prefill(state=pool, read_slots=read, keep_slots=kept.view(-1), **case.inputs),
            ],
        )
        print(f"{name} {batch:3} x {tokens:5}: copies {found[0]:7.1f}  forward {found[1]:7.1f}  prefill {found[2]:7.1f}  keep {found[3]:7.1f} us  "
              f"prefill/copies {found[2] / found[0]:.3f}  prefill/forward {found[2] / found[1]:.3f}  {prefill.choose(batch, tokens)} {keep.choose(batch, tokens)}", flush=True)


def time_variants(torch, folder, name):
    """Prints, of a few long prompts, what each variant takes, and which a launch takes."""
    whole, prefill = (wyvern.load(folder / f"{name}.{kind}") for kind in ("whole", "prefill"))
    for batch, tokens in LONG:
        case = Case(torch, name, whole, prefill, batch, tokens, 16)
        read, pool = case.slots(*range(3, 3 + batch)), case.pool()

        def run(variant):
            prefill.force_variant(variant)
            prefill.prefill(state=pool, read_slots=read, **case.inputs)

        found = time_of(torch, [lambda v=v: run(v) for v in prefill.variants])
        prefill.force_variant(None)
        row = "  ".join(f"{v} {t:6.1f}" for v, t in zip(prefill.variants, found))
        print(f"{name} {batch:3} x {tokens:5}: {row}  takes {prefill.choose(batch, tokens)}", flush=True)


def time_steps(torch, folder):
    """Prints times of steps on pools of bf16, rounded to nearest and at random, in turns."""
    nearest, stochastic = (wyvern.load(folder / f"t-step.{kind}.step") for kind in ("nearest", "rounded"))
    for batch in (256, 64, 8, 1):
        rng = np.random.default_rng(0)
        drawn = step_cases.draw(rng, nearest.inputs, batch, 1)
        kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
        inputs = {n: torch.from_numpy(x).cuda().to(kinds[nearest.inputs[n].dtype]) for n, x in drawn.items()}
        slots = max(2 * batch, 128)
        pool = torch.randn(slots, *nearest.inputs["state"].shape[1:], device="cuda").bfloat16()
        reads = [torch.randperm(slots, device="cuda")[:batch].int() for _ in range(4)]
        seeds = torch.arange(batch, dtype=torch.int32, device="cuda")

        def run(program, **more):
            for read in reads:
                program.step(state=pool, read_slots=read, **more, **inputs)

        found = [t / 4 for t in time_of(torch, [lambda: run(nearest), lambda: run(stochastic, seeds=seeds)])]
        print(f"step of bf16 B {batch:3}: nearest {found[0]:6.1f}  stochastic {found[1]:6.1f} us  {found[1] / found[0]:.3f}", flush=True)


def main(what, folder, *names):
    folder = pathlib.Path(folder)
    if what == "prepare":
        return prepare(folder, names)
    import torch

    known = {"check": (*CHECKED, *ROUNDED), "variants": tuple(TIMED)}.get(what, (*TIMED, "t-step"))
    failed = 0
    for name in names or known:
        try:
            if name == "t-step":
                time_steps(torch, folder)
            elif what == "variants":
                time_variants(torch, folder, name)
            elif what == "times":
                times(torch, folder, name)
            elif name in ROUNDED:
                print(f"{name}: {check_rounding(torch, folder, name)} states", flush=True)
            else:
                print(f"{name}: {check(torch, folder, name)} comparisons", flush=True)
        except Exception as error:  # the others are worth knowing
            failed += 1
            print(f"{name}: FAILED {type(error).__name__}: {str(error)[:300]}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
