#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of prompts on a GPU: the bits of the layer's own program between copies of states, in every variant,
and how long both take.

    python test/Integration/gpu_prompts.py prepare FOLDER [NAME ...]     where the compiler is: bundles
    python test/Integration/gpu_prompts.py check FOLDER [NAME ...]       where the GPU is
    python test/Integration/gpu_prompts.py times FOLDER [NAME ...]
"""

import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import step_cases  # noqa: E402
import wyvern  # noqa: E402

TOKENS, SLOTS = 330, 11
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
    "t-gdn-32": ("gated_deltanet", wyvern.Pool(), {**WIDE, "key_heads": 16, "value_heads": 32}),
}
SHAPES = ((1, 8192), (16, 1024), (64, 128))


def prepare(folder, names):
    """Compiles these bundles, or all."""
    for name in names or (*CHECKED, *TIMED):
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
            fixed = variant + "-256" if variant.endswith("segments") else variant
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
            keep.force_variant(variant)
            prefill.force_variant(variant if variant in prefill.variants else None)
            chunk = keep.kept_chunk
            starts, firsts = ((0, 130, 130), (0, 130 // chunk + 1, 130 // chunk + 2)) if packed else ((0, 0, 0), tuple(n * -(-TOKENS // chunk) for n in range(3)))
            entries = TOKENS // chunk + 3 if packed else 3 * -(-TOKENS // chunk)
            kept = torch.full((entries,), none, dtype=case.index, device="cuda")
            kept[firsts[0]], kept[firsts[2] + 1] = 6, 7
            pool = case.pool()
            o = keep.prefill(state=pool, read_slots=read, write_slots=write, keep_slots=kept, **given)
            plain = case.pool()
            if variant in prefill.variants:
                wanted_o = prefill.prefill(state=plain, read_slots=read, write_slots=write, **given)
                assert same(o, wanted_o), (name, packed, variant, "o")
                live = [n for n in range(SLOTS) if n not in (6, 7)]
                assert same(pool[live], plain[live]), (name, packed, variant, "states")
                for n, slot, chunks in ((0, 6, 1), (2, 7, 2)):
                    row = 0 if packed else n
                    piece = {x: y[row : row + 1, starts[n] * (y.shape[1] // TOKENS) : (starts[n] + chunks * chunk) * (y.shape[1] // TOKENS)] for x, y in case.inputs.items()}
                    alone = case.pool()
                    prefill.prefill(state=alone, read_slots=read[n : n + 1], write_slots=case.slots(1), **piece)
                    assert same(alone[1], pool[slot]), (name, packed, variant, slot)
                    count += 1
        prefill.force_variant(None)
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


def main(what, folder, *names):
    folder = pathlib.Path(folder)
    if what == "prepare":
        return prepare(folder, names)
    import torch

    known = CHECKED if what == "check" else TIMED
    failed = 0
    for name in names or known:
        try:
            if what == "times":
                times(torch, folder, name)
            else:
                print(f"{name}: {check(torch, folder, name)} comparisons", flush=True)
        except Exception as error:  # the others are worth knowing
            failed += 1
            print(f"{name}: FAILED {type(error).__name__}: {str(error)[:300]}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
