#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of decoding on a GPU: right against float64, their promises as equality of bits, and how long they take.

    python test/Integration/gpu_steps.py prepare FOLDER [NAME ...]     where the compiler is: bundles and what is expected of them
    python test/Integration/gpu_steps.py check FOLDER       where the GPU is
    python test/Integration/gpu_steps.py long FOLDER [DRAFTS]
    python test/Integration/gpu_steps.py times FOLDER [NAME ...]

Of the compiler and of the layer's reference the second machine needs nothing.
"""

import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "python"))

import step_cases  # noqa: E402
import wyvern  # noqa: E402

BATCH, TOKENS, SLOTS = 5, 3, 9
WIDE = {"key": 128, "value": 128}

# (spec, pool, sizes) of each bundle that is checked
CHECKED = {
    "gdn-vk": ("gated_deltanet", wyvern.Pool(first_slot=1), WIDE),
    "gdn-kv": ("gated_deltanet", wyvern.Pool("kv"), WIDE),
    "gdn-vk-bf16": ("gated_deltanet", wyvern.Pool("vk", "bf16", "i64", 1), WIDE),
    "gdn-kv-bf16": ("gated_deltanet", wyvern.Pool("kv", "bf16"), WIDE),
    "gdn-64x32": ("gated_deltanet", wyvern.Pool(), {"key": 64, "value": 32}),
    "gdn-256x64-kv": ("gated_deltanet", wyvern.Pool("kv"), {"key": 256, "value": 64}),
    "kda-96x192": ("kda", wyvern.Pool(), {"key": 96, "value": 192}),
    **{
        name: (name, wyvern.Pool(first_slot=1), WIDE)
        for name in (
            "delta_net-1.3B", "kda", "deltaproduct", "gated_deltaproduct", "rwkv7", "gdn2", "comba", "pgdn", "pkda", "gla",
            "ssd", "linear_attention",
        )
    },
    **{
        f"{name}-64-kv": (name, wyvern.Pool("kv"), {"key": 64, "value": 64})
        for name in ("delta_net-1.3B", "kda", "deltaproduct", "gdn2")
    },
}
# the same of those that are timed
LARGE = {**WIDE, "key_heads": 16, "value_heads": 32}
TIMED = {
    "t-gdn": ("gated_deltanet", wyvern.Pool(), LARGE),
    "t-delta": ("delta_net-1.3B", wyvern.Pool(), LARGE),
    "t-kda": ("kda", wyvern.Pool(), LARGE),
    "t-product": ("deltaproduct", wyvern.Pool(), LARGE),
    "t-rwkv7": ("rwkv7", wyvern.Pool(), LARGE),
    "t-gdn-kv": ("gated_deltanet", wyvern.Pool("kv"), LARGE),
    "t-gdn-bf16": ("gated_deltanet", wyvern.Pool("vk", "bf16"), LARGE),
}
# sequences, tokens and call
SHAPES = ((256, 1, "step"), (64, 1, "step"), (8, 1, "step"), (1, 1, "step"), (64, 4, "step"), (64, 4, "verify"))
BYTES_A_SECOND = 4.2e12


def slots_of(pool):
    """Slots to read and to write; sequence 1 is padding, 0 and 3 fork a slot."""
    none = pool.first_slot - 1
    return np.array([7, none, 2, 5, 4]), np.array([6, none, 2, 8, 4])


def draw_case(inputs, name):
    """Operands and a pool, the same on both machines."""
    rng = np.random.default_rng(list(CHECKED).index(name))
    operands = step_cases.draw(rng, inputs, BATCH, TOKENS)
    return operands, rng.standard_normal([SLOTS, *inputs["state"].shape[1:]]).astype(np.float32)


# layers whose prompts are cut
PROMPTS = ("delta_net-1.3B", "gated_deltanet", "kda", "deltaproduct")

# the same with raw operands
RAW = {f"raw-{name}": (name, wyvern.Pool(), WIDE) for name in ("gated_deltanet", "kda", "gated_deltaproduct")}
PROLOGUE = ("norm", "gates")
# what is timed with parts of a layer around it: in front, and behind too
OF_LAYERS = ("t-gdn-raw", "t-gdn-all", "t-gdn-conv", "t-gdn-conv-all")
# the same with a convolution in front of the norms
CONV = {f"conv-{name}": name for name in ("gated_deltanet", "kda")}
# the same with a norm and a gate of the output
BEHIND = {f"behind-{name}": name for name in ("gated_deltanet", "kda")}


def prepare(folder, names):
    """Compiles these bundles, or all, and writes what is expected of those that are checked."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or (*RAW, *BEHIND, *CONV, *CHECKED, *TIMED, *OF_LAYERS, *(f"prompt-{spec}" for spec in PROMPTS))
    for name in names:
        if name.startswith("prompt-"):
            wyvern.compile(sized(name.removeprefix("prompt-"), WIDE), variants=["separate"], output=folder / name)
        elif name in RAW:
            spec, pool, sizes = RAW[name]
            text = sized(spec, sizes)
            wyvern.compile(text, serving=pool, prologue=PROLOGUE, output=folder / name)
            wyvern.compile(text, serving=pool, output=folder / f"{name}-plain")
        elif name in BEHIND:
            text = sized(BEHIND[name], WIDE)
            wyvern.compile(text, serving=True, prologue=PROLOGUE, epilogue=wyvern.Epilogue(), output=folder / name)
            wyvern.compile(text, serving=True, prologue=PROLOGUE, output=folder / f"{name}-plain")
        elif name in CONV:
            text = sized(CONV[name], WIDE)
            wyvern.compile(text, serving=True, prologue=("conv", *PROLOGUE), output=folder / name)
            wyvern.compile(text, serving=True, prologue=PROLOGUE, output=folder / f"{name}-plain")
        elif name in OF_LAYERS:
            behind = wyvern.Epilogue() if name.endswith("all") else None
            front = ("conv", *PROLOGUE) if "conv" in name else PROLOGUE
            text = sized("gated_deltanet", LARGE)
            wyvern.compile(text, serving=True, prologue=front, epilogue=behind, output=folder / name)
        else:
            spec, pool, sizes = {**CHECKED, **TIMED}[name]
            wyvern.compile(sized(spec, sizes), serving=pool, output=folder / name)
        if name in CHECKED:
            np.savez(folder / f"{name}.npz", **expected(name))
    (folder / "first_slots.json").write_text(json.dumps({n: CHECKED[n][1].first_slot for n in names if n in CHECKED}))


def sized(spec, sizes):
    return step_cases.small((ROOT / "specs" / f"{spec}.yaml").read_text(), **sizes)


def expected(name):
    """o and the states after the step that is checked, by the reference."""
    spec, pool, sizes = CHECKED[name]
    text = sized(spec, sizes)
    inputs = wyvern.compile(text, target="cpu", serving=pool).inputs
    operands, states = draw_case(inputs, name)
    if pool.dtype == "bf16":
        states = wyvern.from_bf16(wyvern.to_bf16(states))
    given = {n: wyvern.to_bf16(x) if inputs[n].dtype == "bf16" else x for n, x in operands.items()}

    def turn(state):
        return np.ascontiguousarray(state.swapaxes(-1, -2)) if pool.layout == "vk" else state

    wanted = wyvern.reference(text, initial_state=turn(states[slots_of(pool)[0]]), **given)
    return {"o": wanted["o"].astype(np.float32), "state": turn(wanted["final_state"]).astype(np.float32)}


class Checked:
    """One bundle's checks on a GPU."""

    def __init__(self, folder, name, first_slot):
        import torch

        self.torch = torch
        self.name = name
        self.program = wyvern.load(folder / name)
        self.program._empty = self.poisoned
        self.wanted = np.load(folder / f"{name}.npz")
        state = self.program.inputs["state"]
        self.is_bf16 = state.dtype == "bf16"
        index = torch.int64 if self.program.inputs["read_slots"].dtype == "i64" else torch.int32
        read, write = slots_of(wyvern.Pool(first_slot=first_slot))
        self.live = [n for n in range(BATCH) if read[n] >= first_slot]
        self.padding = [n for n in range(BATCH) if read[n] < first_slot]
        operands, states = draw_case(self.program.inputs, name)
        self.inputs = {n: self.upload(x, self.program.inputs[n].dtype) for n, x in operands.items()}
        self.pool = self.upload(states, state.dtype)
        # States of nobody are NaN: they must stay so, and reach nothing.
        self.pool[[s for s in range(SLOTS) if s not in read and s not in write]] = float("nan")
        self.read, self.write = (torch.from_numpy(x).to("cuda", index) for x in (read, write))

    def poisoned(self, shape, dtype, device):
        tensor = self.torch.empty(shape, dtype=dtype, device=device)
        return tensor.fill_(float("nan")) if dtype.is_floating_point else tensor

    def upload(self, array, dtype):
        tensor = self.torch.from_numpy(array).cuda()
        return tensor.bfloat16() if dtype == "bf16" else tensor

    def equal(self, a, b):
        """True if the bits are equal, also those of NaNs."""
        kind = {2: self.torch.int16, 4: self.torch.int32}[a.element_size()]
        return bool((a.contiguous().view(kind) == b.contiguous().view(kind)).all())

    def run(self, call, pool, which=slice(None), write=True, **more):
        slots = {"read_slots": self.read[which], **({"write_slots": self.write[which]} if write else {})}
        inputs = {n: x[which] for n, x in self.inputs.items()}
        return getattr(self.program, call)(state=pool, **slots, **inputs, **more)

    def step_by_step(self, accepted):
        """The pool after single steps of the accepted tokens."""
        torch = self.torch
        pool, read, none = self.pool.clone(), self.read, torch.full_like(self.read, -1)
        rows = {n: x.shape[1] // TOKENS for n, x in self.inputs.items()}
        for t in range(TOKENS):
            is_taken = t < accepted
            self.program.step(
                state=pool,
                read_slots=torch.where(is_taken, read, none),
                write_slots=torch.where(is_taken, self.write, none),
                **{n: x[:, t * rows[n] : (t + 1) * rows[n]] for n, x in self.inputs.items()},
            )
            read = torch.where(is_taken, self.write, read)
        return pool

    def variants_agree(self, o, after):
        """True if each variant has the bits of the one that shapes choose: a sequence those of any batch's size."""
        agree = True
        for variant in self.program.variants:
            self.program.force_variant(variant)
            pool = self.pool.clone()
            agree &= self.equal(self.run("step", pool), o) and self.equal(pool, after)
        self.program.force_variant(None)
        return agree

    def failures(self):
        """What does not hold, in words."""
        torch, live = self.torch, self.live
        pool = self.pool.clone()
        o = self.run("step", pool)
        errors = {
            "o": step_cases.error(o[live].float().cpu().numpy(), self.wanted["o"][live]),
            "state": step_cases.error(pool[self.write[live]].float().cpu().numpy(), self.wanted["state"][live]),
        }
        written = self.write[live].tolist()
        others = [s for s in range(SLOTS) if s not in written]
        order = torch.tensor(np.random.default_rng(1).permutation(BATCH), device="cuda")
        moved, alone, left, committed = (self.pool.clone() for _ in range(4))
        one = live[:1]
        accepted = torch.tensor([TOKENS - 1 - n % 2 for n in range(BATCH)], device="cuda", dtype=self.read.dtype)
        draft = self.run("verify", left, write=False)
        self.run("commit", committed, lengths=accepted)
        holds = {
            "variants agree": self.variants_agree(o, pool),
            "o is within 2.5e-3": errors["o"] < 2.5e-3,
            "the state is within 2e-6 (bf16: 3e-3)": errors["state"] < (3e-3 if self.is_bf16 else 2e-6),
            "padding is zero": not self.padding or float(o[self.padding].abs().max()) == 0,
            "other slots stay": self.equal(pool[others], self.pool[others]),
            "any order": self.equal(self.run("step", moved, order), o[order]) and self.equal(moved, pool),
            "alone": self.equal(self.run("step", alone, one), o[one]) and self.equal(alone[self.write[one]], pool[self.write[one]]),
            "verify is a step that writes nothing": self.equal(draft, o) and self.equal(left, self.pool),
            # A bf16 pool is rounded after every call.
            "commit is steps": self.is_bf16 or self.equal(committed[written], self.step_by_step(accepted)[written]),
        }
        print(self.name, " ".join(f"{n} {e:.2e}" for n, e in errors.items()), flush=True)
        return [what for what, held in holds.items() if not held]


def check_raw(folder, name):
    """What a prologue makes of raw operands, against the layer on operands that float64 has made of them."""
    import torch

    program, plain = wyvern.load(folder / name), wyvern.load(folder / f"{name}-plain")
    raw, _ = step_cases.raw_operands(np.random.default_rng(3), program.inputs, BATCH, TOKENS)
    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    given = {n: torch.from_numpy(x).cuda().to(kinds[program.inputs[n].dtype]) for n, x in raw.items()}
    steps = json.loads((folder / name / "manifest.json").read_text())["spec"]["steps"]
    max_rate = max(step.get("max_rate", 1) for step in steps)
    made = step_cases.make_operands({n: x.double().cpu().numpy() for n, x in given.items()}, max_rate)
    exact = {n: torch.from_numpy(x).cuda().to(kinds[plain.inputs[n].dtype]) for n, x in made.items()}
    pool = torch.randn([SLOTS, *program.inputs["state"].shape[1:]], device="cuda")
    other, slots = pool.clone(), torch.arange(BATCH, device="cuda", dtype=torch.int32)
    o = program.step(state=pool, read_slots=slots, **given).float().cpu().numpy()
    wanted = plain.step(state=other, read_slots=slots, **exact).float().cpu().numpy()
    errors = step_cases.error(o, wanted), step_cases.error(pool.cpu().numpy(), other.cpu().numpy())
    print(f"{name} o {errors[0]:.2e} state {errors[1]:.2e}", flush=True)
    # The norms of the layer are rounded to bf16, those of the prologue are not.
    return [] if max(errors) < 6e-3 else ["the prologue is within bf16's rounding"]


def check_epilogue(folder, name):
    """What an epilogue makes of o, against float64 on the o of the same step without one."""
    import torch

    program, plain = wyvern.load(folder / name), wyvern.load(folder / f"{name}-plain")
    raw, _ = step_cases.raw_operands(np.random.default_rng(4), program.inputs, BATCH, TOKENS)
    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    given = {n: torch.from_numpy(x).cuda().to(kinds[program.inputs[n].dtype]) for n, x in raw.items()}
    pool = torch.randn([SLOTS, *program.inputs["state"].shape[1:]], device="cuda")
    other, left = pool.clone(), pool.clone()
    slots = torch.tensor([4, 1, -1, 8, 2], device="cuda", dtype=torch.int32)
    o = plain.step(state=other, read_slots=slots, **{n: given[n] for n in plain.inputs if n in given}).double()
    z = given["z"].double()
    wanted = o / (o.square().mean(-1, keepdim=True) + 1e-6).sqrt() * given["norm_weight"].double() * z * z.sigmoid()
    draft = program.verify(state=left, read_slots=slots, **given)
    found = program.step(state=pool, read_slots=slots, **given)
    error = step_cases.error(found.double().cpu().numpy(), wanted.cpu().numpy())
    print(f"{name} o {error:.2e}", flush=True)
    holds = {
        "o is within 5e-3, which is rounded twice": error < 5e-3,
        "padding is zero": not found[2].any(),
        "states know nothing of it": torch.equal(pool, other),
        "verify is a step": torch.equal(draft, found),
    }
    return [what for what, held in holds.items() if not held]


def check_conv(folder, name):
    """A convolution in front, against the step without one on rows that float64 has convolved."""
    import torch

    program, plain = wyvern.load(folder / name), wyvern.load(folder / f"{name}-plain")
    raw, _ = step_cases.raw_operands(np.random.default_rng(6), program.inputs, BATCH, TOKENS)
    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    given = {n: torch.from_numpy(x).cuda().to(kinds[program.inputs[n].dtype]) for n, x in raw.items()}
    pools = {
        n: torch.randn([SLOTS, *info.shape[1:]], device="cuda").to(kinds[info.dtype])
        for n, info in program.inputs.items()
        if info.in_place
    }
    slots = torch.tensor([4, 1, -1, 8, 2], device="cuda", dtype=torch.int32)
    live = [0, 1, 3, 4]
    others = [s for s in range(SLOTS) if s not in slots[live].tolist()]
    for pool in pools.values():
        pool[others] = float("nan")
    made, after = {n: x for n, x in given.items() if n in plain.inputs}, {}
    for n in ("q", "k", "v"):
        rows = torch.cat([pools[f"{n}_window"][slots.clamp(min=0).long()], given[n]], 1)
        z = sum(given[f"{n}_filter"][..., j].double() * rows[:, j : j + TOKENS].double() for j in range(4))
        made[n], after[n] = (z * z.sigmoid()).to(given[n].dtype), rows[:, -3:]
    moved, other = {n: x.clone() for n, x in pools.items()}, pools["state"].clone()
    o = program.step(read_slots=slots, **given, **moved)
    wanted = plain.step(state=other, read_slots=slots, **made)
    error = step_cases.error(o[live].float().cpu().numpy(), wanted[live].float().cpu().numpy())
    left = {n: x.clone() for n, x in pools.items()}
    draft = program.verify(read_slots=slots, **given, **left)
    same = lambda a, b: torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))
    holds = {
        "o is within 6e-3, which knows rows that are not rounded": error < 6e-3,
        "padding is zero": not o[2].any(),
        "windows are the last rows": all(torch.equal(moved[f"{n}_window"][slots[live].long()], x[live]) for n, x in after.items()),
        "other slots stay": all(same(moved[n][others], x[others]) for n, x in pools.items()),
        "verify is a step that writes nothing": torch.equal(draft, o) and all(same(left[n], x) for n, x in pools.items()),
    }
    accepted = torch.tensor([TOKENS, 1, 0, 2, 0], device="cuda", dtype=torch.int32)
    program.commit(read_slots=slots, lengths=accepted, **given, **left)
    steps = {n: x.clone() for n, x in pools.items()}
    for t in range(TOKENS):
        token = {n: x[:, t : t + 1] if "time" in dict(program.inputs[n].dims) else x for n, x in given.items()}
        program.step(read_slots=torch.where(t < accepted, slots, -1), **token, **steps)
    holds["commit is steps"] = all(same(left[n], steps[n]) for n in pools)
    print(f"{name} o {error:.2e}", flush=True)
    return [what for what, held in holds.items() if not held]


def check_neighbours(folder, name):
    """A step of one sequence begins beside the end of what stands in front of it, and sees what that wrote: a kernel, a
    copy, a zeroed tensor or another stream, in a stream and in a graph."""
    import torch

    program = wyvern.load(folder / name)
    drawn = step_cases.draw(np.random.default_rng(8), program.inputs, 1, 1)
    given = {n: torch.from_numpy(x).cuda().to(torch.bfloat16 if program.inputs[n].dtype == "bf16" else torch.float32) for n, x in drawn.items()}
    new, v = given["v"].clone(), given["v"]
    start = torch.randn([SLOTS, *program.inputs["state"].shape[1:]], device="cuda").to(torch.float32)
    pool, slots, other = start.clone(), torch.tensor([3], device="cuda", dtype=torch.int32), torch.cuda.Stream()
    wide = torch.randn([4096, 4096], device="cuda")

    def join():
        other.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(other):
            wide.mul_(1)  # so that what follows is late
            v.mul_(2)
        torch.cuda.current_stream().wait_stream(other)

    writers = (lambda: v.add_(1), lambda: v.copy_(new), v.zero_, join, lambda: None, lambda: (wide.mul_(1), v.add_(1)))

    def steps(after=lambda: None):
        for write in writers * 2:
            write()
            after()
            program.step(state=pool, read_slots=slots, **given)
            after()

    def run(what):
        pool.copy_(start)
        v.copy_(new)
        torch.cuda.synchronize()
        what()
        torch.cuda.synchronize()
        return pool.clone()

    wanted = run(lambda: steps(torch.cuda.synchronize))
    found = {"in a stream": run(steps)}
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        steps()
    found["in a graph"] = run(graph.replay)
    print(f"{name} behind its neighbours", flush=True)
    return [f"a step sees what was written in front of it, {how}" for how, x in found.items() if not torch.equal(x, wanted)]


def check_cuts(folder, name):
    """A prompt that is cut at multiples of 64 has the bits of the whole."""
    import torch

    program, tokens = wyvern.load(folder / name), 333
    timed = {n: info for n, info in program.inputs.items() if "time" in dict(info.dims)}
    drawn = step_cases.draw(np.random.default_rng(5), timed, 2, tokens)
    given = {n: torch.from_numpy(x).cuda().to(torch.bfloat16 if timed[n].dtype == "bf16" else torch.float32) for n, x in drawn.items()}
    state = torch.randn([2, *program.inputs["initial_state"].shape[1:]], device="cuda")
    whole = program(**given, initial_state=state)
    failed = []
    for cuts in ((64, tokens), (128, 192, tokens), (320, tokens)):
        pieces, begin, entering = [], 0, state
        for end in cuts:
            rows = {n: x.shape[1] // tokens for n, x in given.items()}
            out = program(**{n: x[:, begin * rows[n] : end * rows[n]] for n, x in given.items()}, initial_state=entering)
            pieces.append(out["o"])
            begin, entering = end, out["final_state"]
        equal = torch.equal(torch.cat(pieces, 1), whole["o"]) and torch.equal(entering, whole["final_state"])
        failed += [] if equal else [f"cut at {cuts}"]
    print(f"{name} cut at multiples of 64", flush=True)
    return failed


# Of each tree the paths to its leaves; the parents are those of all nodes.
PARENTS, PATHS = [-1, 0, 0, 1, 3], ([0, 1, 3, 4], [0, 2])


def check_tree(folder, name):
    """A token of a tree has the bits of its path, by wyvern.torch.Decoder."""
    import torch

    from wyvern.torch import Decoder

    program = wyvern.load(folder / name)
    decoder, inputs = Decoder(program), program.inputs
    drawn = step_cases.draw(np.random.default_rng(7), inputs, BATCH, len(PARENTS))
    given = {n: torch.from_numpy(x).cuda().to(torch.bfloat16 if inputs[n].dtype == "bf16" else torch.float32) for n, x in drawn.items()}
    pool = torch.randn([SLOTS, *inputs["state"].shape[1:]], device="cuda")
    slots = torch.arange(1, BATCH + 1, device="cuda", dtype=torch.int32)
    parents = torch.tensor([PARENTS] * BATCH, device="cuda", dtype=torch.int32)
    before = pool.clone()
    o = decoder.verify_tree(**given, state=pool, read_slots=slots, parents=parents)
    failed = [] if torch.equal(pool, before) else ["the pool stays"]
    for path in PATHS:
        nodes = torch.tensor([path] * BATCH, device="cuda")
        line = decoder.verify(**decoder.path(**given, nodes=nodes), state=pool, read_slots=slots)
        failed += [] if torch.equal(line, o[:, path]) else [f"a tree's path {path} is a line"]
    print(f"{name} trees", flush=True)
    return failed


def check(folder):
    first_slots = json.loads((folder / "first_slots.json").read_text())
    failed = {name: Checked(folder, name, first).failures() for name, first in first_slots.items()}
    raw = [name for name in RAW if (folder / name).exists()]
    failed |= {name: check_raw(folder, name) for name in raw}
    behind = [name for name in BEHIND if (folder / name).exists()]
    failed |= {name: check_epilogue(folder, name) for name in behind}
    convolved = [name for name in CONV if (folder / name).exists()]
    failed |= {name: check_conv(folder, name) for name in convolved}
    for name in (name for name in ("delta_net-1.3B", "kda") if name in first_slots):
        failed[name] += check_neighbours(folder, name)
    trees = [name for name in ("gdn-vk", "deltaproduct") if name in first_slots]
    for name in trees:
        failed[name] += check_tree(folder, name)
    prompts = [path.name for path in sorted(folder.glob("prompt-*"))]
    failed |= {name: check_cuts(folder, name) for name in prompts}
    failed = {name: what for name, what in failed.items() if what}
    print(f"{len(first_slots) + len(raw) + len(behind) + len(convolved) + len(prompts)} bundles,", f"FAILED: {failed}" if failed else "all hold")
    return 1 if failed else 0


# === Many steps ===

LONG = ("delta_net-1.3B", "gdn-vk", "gdn-kv", "kda", "deltaproduct", "rwkv7")


def long(folder, rounds):
    """Drafts as an engine has them, thousands of them (test/python/long_steps.py)."""
    import long_steps
    import torch

    failed = {}
    for name in LONG:
        torch.manual_seed(0)
        program = wyvern.load(folder / name)
        manifest = program.manifest
        first_slot, layout = manifest["serving"]["first_slot"], manifest["state_layout"]
        drafts = long_steps.Long(program, first_slot, layout, manifest["spec"]["scale"], "cuda")
        long_steps.run(drafts, rounds)
        o, state = drafts.worst.tolist()
        print(f"{name}: {int(drafts.count)} drafts of {long_steps.DRAFT}, o {o:.2e}, state {state:.2e}", flush=True)
        failed |= {name: what} if (what := drafts.failures()) else {}
    print(f"FAILED: {failed}" if failed else "all hold")
    return 1 if failed else 0


# === Times ===


def time_graph(calls, repeats=7):
    """Microseconds of a call in a CUDA graph of all of them, the least of some replays."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        calls[0]()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    graph.replay()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / len(calls))
    return min(times)


def host_time(call, infos, pool, inputs, calls=300):
    """Microseconds of the host for a call of few sequences, the least of some rounds."""
    import time

    import torch

    inputs = {n: x[:4] if "time" in dict(infos[n].dims) else x for n, x in inputs.items()}
    slots = torch.arange(4, device="cuda", dtype=torch.int32)
    rounds = []
    for _ in range(5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call(state=pool, read_slots=slots, **inputs)
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


def times(folder, names):
    import torch

    from wyvern.torch import Decoder

    rng = np.random.default_rng(0)
    for name in names or (*TIMED, *OF_LAYERS):
        program = wyvern.load(folder / name)
        state = program.inputs["state"]
        dtype, size = (torch.bfloat16, 2) if state.dtype == "bf16" else (torch.float32, 4)
        slots = 1152 // size * 2
        pool = torch.randn([slots, *state.shape[1:]], device="cuda").mul_(0.1).to(dtype)
        for batch, tokens, kind in SHAPES:
            draw = step_cases.raw_operands if "A_log" in program.inputs else step_cases.draw
            drawn = draw(rng, program.inputs, batch, tokens)
            windows = {n: torch.zeros([slots, *info.shape[1:]], device="cuda", dtype=torch.bfloat16) for n, info in program.inputs.items() if n.endswith("_window")}
            inputs = windows | {
                n: torch.from_numpy(x).cuda().to(torch.bfloat16 if program.inputs[n].dtype == "bf16" else torch.float32)
                for n, x in (drawn[0] if isinstance(drawn, tuple) else drawn).items()
            }
            # Slots of their own: no step finds its states in the cache.
            count = max(2, min(slots // batch, 32))
            chosen = [torch.from_numpy(rng.permutation(slots)[:batch].astype(np.int32)).cuda() for _ in range(count)]
            calls = [lambda s=s: getattr(program, kind)(state=pool, read_slots=s, **inputs) for s in chosen]
            found = time_graph(calls)
            passes = 1 if kind == "verify" else 2
            floor = batch * int(np.prod(state.shape[1:])) * size * passes / BYTES_A_SECOND * 1e6
            print(f"{name:12} B {batch:<4} T {tokens} {kind:6} {found:8.2f} us, floor {floor:7.2f}, {100 * floor / found:.0f} %", flush=True)
        host = [host_time(call, program.inputs, pool, inputs) for call in (program.step, Decoder(program).step)]
        print(f"{name:12} host {host[0]:.1f} us a call of the program, {host[1]:.1f} of a Decoder", flush=True)


if __name__ == "__main__":
    mode, where, *rest = sys.argv[1:] or ["help", "."]
    if mode == "prepare":
        prepare(pathlib.Path(where), rest)
    elif mode == "check":
        sys.exit(check(pathlib.Path(where)))
    elif mode == "long":
        sys.exit(long(pathlib.Path(where), int(rest[0]) if rest else 10000))
    elif mode == "times":
        times(pathlib.Path(where), rest)
    else:
        sys.exit(__doc__)
