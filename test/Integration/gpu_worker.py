# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The process of gpu_check.py that touches the GPU.

Reads one task a line (JSON) and writes one result a line behind "RESULT ". A kernel
that faults or hangs takes this process with it, never the list of results.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gpu_cases as cases
from gpu_cases import Case

DEVICE = "cuda"
BUNDLES = None  # set by main(), as is the variant that is forced where a bundle has it
VARIANT = None
_programs = {}


def poisoned(shape, *, dtype, device):
    """Memory in which whatever a kernel does not write is a NaN."""
    tensor = torch.empty(shape, dtype=dtype, device=device)
    return tensor.fill_(255 if dtype == torch.uint8 else float("nan"))


def is_cut(variant):
    """True if tokens may be given behind the name of the variant: those of a segment."""
    return variant.endswith(("segments", "parts"))


def force(program):
    """Forces the variant of the command line, or none where the bundle has no such one."""
    found = [x for x in program.variants if VARIANT == x or (is_cut(x) and VARIANT and VARIANT.startswith(x + "-"))]
    program.force_variant(VARIANT if found else None)


def program_for(layer):
    if layer not in _programs:
        import wyvern

        program = wyvern.load(BUNDLES / layer.name)
        program._empty = poisoned
        force(program)
        _programs[layer] = program
    return _programs[layer]


# === Runs ===


def to_device(inputs):
    return {name: tensor.to(DEVICE) for name, tensor in inputs.items()}


def as_views(inputs):
    """The same values as strided views that the kernels take as they are."""
    inputs = dict(inputs)
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    wide = torch.full((*q.shape[:3], q.shape[3] + 8), float("nan"), dtype=q.dtype, device=q.device)
    wide[..., :-8] = q
    inputs["q"] = wide[..., :-8]
    inputs["k"] = k.transpose(1, 2).contiguous().transpose(1, 2)
    heads = torch.full((*v.shape[:2], v.shape[2] + 1, v.shape[3]), float("nan"), dtype=v.dtype, device=v.device)
    heads[:, :, 1:] = v
    inputs["v"] = heads[:, :, 1:]
    return inputs


def launch(case, inputs, cu_seqlens):
    """One poisoned run; (o, final_state) with the state as [N, HV, K, V]."""
    program = program_for(case.layer)
    inputs, out = dict(inputs), {}
    if case.views:
        inputs = as_views(inputs)
    if case.state_v_first:
        layer = case.layer
        shape = (case.sequences, layer.value_heads, layer.value_dim, layer.key_dim)
        out["final_state"] = poisoned(shape, dtype=torch.float32, device=DEVICE).transpose(-1, -2)
        if "initial_state" in inputs:
            inputs["initial_state"] = inputs["initial_state"].transpose(-1, -2).contiguous().transpose(-1, -2)
    result = program(**inputs, cu_seqlens=cu_seqlens, out=out)
    return result["o"], result["final_state"]


def same(x, y):
    """Equal bits."""
    whole = {2: torch.int16, 4: torch.int32}[x.element_size()]
    return x.shape == y.shape and torch.equal(x.contiguous().view(whole), y.contiguous().view(whole))


def fresh(case):
    cu = cases.make_cu_seqlens(case)
    return to_device(cases.make_inputs(case)), None if cu is None else cu.to(DEVICE)


# === Checks: each gives a dict with `ok` and what to print ===


def check_case(case, bars):
    inputs, cu = fresh(case)
    o, state = launch(case, inputs, cu)
    o_ref, state_ref = cases.reference(case, inputs, cu)
    errors = [cases.delta_oracle.error(x, ref) for x, ref in ((o, o_ref), (state, state_ref))]
    problems = []
    if not (torch.isfinite(o).all() and torch.isfinite(state).all()):
        problems.append("not finite")
    for what, error, bar in zip(("o", "state"), errors, bars):
        if not error <= bar:
            problems.append(f"{what} above {bar:.1e}")
    if case.packed:
        end = int(cu[-1])
        if o[:, end:].any():
            problems.append("rows past cu_seqlens[-1] are not zero")
    lengths = case.lengths if case.packed else [case.tokens] * case.batch
    for n, length in enumerate(lengths):
        start = inputs["initial_state"][n] if case.initial_state else torch.zeros_like(state[n])
        if length == 0 and not torch.equal(state[n], start):
            problems.append(f"sequence {n} has no token, but its state changed")
    return {"ok": not problems, "o": errors[0], "state": errors[1], "problems": problems}


def check_repeat(layer):
    """20 runs give the same bits."""
    for case in (Case("", layer, 5, batch=3, tokens=700), Case("", layer, 6, lengths=(100, 0, 333, 64, 7))):
        inputs, cu = fresh(case)
        first = launch(case, inputs, cu)
        for n in range(20):
            again = launch(case, inputs, cu)
            if not (same(first[0], again[0]) and same(first[1], again[1])):
                return {"ok": False, "problems": [f"run {n + 1} differs, {case.describe()}"]}
    return {"ok": True}


def check_alone_batch_packed(layer):
    """Within each variant, and one length of its segments, a sequence gives the same bits alone,
    in a batch, and packed; of parts, which packed sequences have not, alone and in a batch."""
    program, problems = program_for(layer), []
    for variant in program.variants:
        program.force_variant(variant + "-256" * is_cut(variant))
        problems += [f"{problem}, {variant}" for problem in alone_batch_packed(layer, not variant.endswith("parts"))]
    force(program)
    return {"ok": not problems, "problems": problems}


def alone_batch_packed(layer, packs):
    """Where a sequence has other bits alone, in a batch, or, if the variant packs, packed."""
    problems = []
    for tokens in (64, 300, 1100):
        case = Case("", layer, 7, batch=4, tokens=tokens)
        inputs, _ = fresh(case)
        o, state = launch(case, inputs, None)
        flat = {x: y if x == "initial_state" else y.reshape(1, -1, *y.shape[2:]) for x, y in inputs.items()}
        cu = torch.arange(0, 4 * tokens + 1, tokens, device=DEVICE)
        packed_case = Case("", layer, 7, lengths=(tokens,) * 4)
        o_packed, state_packed = launch(packed_case, flat, cu)
        if packs and not (same(o_packed.reshape(o.shape), o) and same(state_packed, state)):
            problems.append(f"packed differs from the batch, T {tokens}")
        for b in range(4):
            alone = {x: y[b : b + 1] for x, y in inputs.items()}
            one = launch(Case("", layer, 7, batch=1, tokens=tokens), alone, None)
            if not (same(one[0], o[b : b + 1]) and same(one[1], state[b : b + 1])):
                problems.append(f"sequence {b} alone differs, T {tokens}")
    return problems


def check_nan_isolation(layer):
    """NaN in one sequence leaves the others' bits alone, in a batch and packed."""
    problems = []
    batch = Case("", layer, 8, batch=3, tokens=150)
    packed = Case("", layer, 9, lengths=(70, 0, 45, 130, 3))
    for case, bad in ((batch, 1), (packed, 2)):
        inputs, cu = fresh(case)
        clean = launch(case, inputs, cu)
        if case.packed:
            begin, end = int(cu[bad]), int(cu[bad + 1])
            hit = (slice(None), slice(begin, end))
            keep = torch.ones(case.total, dtype=torch.bool, device=DEVICE)
            keep[begin:end] = False
            rows = lambda o: o[:, keep]
        else:
            hit = (bad,)
            rows = lambda o: o[[0, 2]]
        others = [n for n in range(case.sequences) if n != bad]
        for name in inputs:
            dirty = {x: y.clone() for x, y in inputs.items()}
            dirty[name][bad if name == "initial_state" else hit] = float("nan")
            o, state = launch(case, dirty, cu)
            if not (same(rows(o), rows(clean[0])) and same(state[others], clean[1][others])):
                problems.append(f"NaN in {name} of sequence {bad} reaches others, {case.describe()}")
    return {"ok": not problems, "problems": problems}


def check_tail(layer):
    """Rows past cu_seqlens[-1]: zero in o whatever lies in the inputs there."""
    case = Case("", layer, 10, lengths=(65, 20), tail=100)
    inputs, cu = fresh(case)
    clean = launch(case, inputs, cu)
    for name, tensor in inputs.items():
        if name != "initial_state":
            tensor[:, 85:] = float("nan")
    o, state = launch(case, inputs, cu)
    problems = []
    if o[:, 85:].any():
        problems.append("rows past cu_seqlens[-1] are not zero")
    if not (same(o, clean[0]) and same(state, clean[1])):
        problems.append("NaN past cu_seqlens[-1] reaches the results")
    nothing = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    inputs.pop("initial_state")
    o, state = launch(Case("", layer, 10, lengths=(), tail=185), inputs, nothing)
    if o.any() or state.shape[0] != 0:
        problems.append("without a sequence o is not zero")
    return {"ok": not problems, "problems": problems}


def check_graph(layer):
    """A captured call, replayed on other data, gives what a plain call gives."""
    problems = []
    for case in (Case("", layer, 11, batch=2, tokens=200), Case("", layer, 12, lengths=(64, 9, 127))):
        program = program_for(layer)
        inputs, cu = fresh(case)
        program(**inputs, cu_seqlens=cu)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = program(**inputs, cu_seqlens=cu)
        other = to_device(cases.make_inputs(cases.replace(case, seed=99)))
        for name, tensor in inputs.items():
            tensor.copy_(other[name])
        if case.packed:
            cu.copy_(torch.tensor([0, 100, 100, 200]))
        graph.replay()
        plain = program(**inputs, cu_seqlens=cu)
        if not all(same(out[x], plain[x]) for x in out):
            problems.append(f"replay differs, {case.describe()}")
    return {"ok": not problems, "problems": problems}


def check_stream(layer):
    """A call runs on the current stream, in order with what is queued there."""
    case = Case("", layer, 13, batch=2, tokens=400)
    inputs, _ = fresh(case)
    expected = launch(case, inputs, None)
    late = {x: torch.zeros_like(y) for x, y in inputs.items()}
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        for name, tensor in late.items():
            tensor.copy_(inputs[name])
        got = launch(case, late, None)
    stream.synchronize()
    ok = same(expected[0], got[0]) and same(expected[1], got[1])
    return {"ok": ok, "problems": [] if ok else ["another stream than the current one was used"]}


def check_functions(layer):
    """wyvern.torch: same bits as the program, eager and compiled to one graph."""
    import wyvern.torch as ops

    case = Case("", layer, 14, batch=2, tokens=190)
    inputs, _ = fresh(case)
    expected = launch(case, inputs, None)
    name = "chunk_delta_rule" if layer.decay == "none" else "chunk_gated_delta_rule"
    function = getattr(ops, name)
    gate = [inputs["g"]] if layer.decay == "head" else []
    operands = [inputs[x] for x in ("q", "k", "v")] + gate + [inputs["beta"]]
    options = {"initial_state": inputs["initial_state"], "output_final_state": True}
    problems = []
    for kind, call in (("eager", function), ("compiled", torch.compile(function, fullgraph=True, backend="aot_eager"))):
        with torch.no_grad():
            o, state = call(*operands, **options)
        if not (same(o, expected[0]) and same(state, expected[1])):
            problems.append(f"{name} {kind} differs from the program")
    if layer.decay == "head":
        turned = options | {"initial_state": options["initial_state"].transpose(-1, -2).contiguous()}
        o, state = function(*operands, **turned, state_v_first=True)
        if not (same(o, expected[0]) and same(state.transpose(-1, -2), expected[1])):
            problems.append(f"{name} with state_v_first differs")
    rough = [x.to(torch.bfloat16) if x.dtype == torch.float32 else x for x in operands]
    o, _ = function(*rough, scale=1.0, **options)
    exact = dict(inputs, beta=rough[-1], **({"g": rough[3]} if gate else {}))
    o_ref = cases.reference(case, exact, None)[0] * layer.key_dim**0.5
    error = cases.delta_oracle.error(o, o_ref)
    if not error < 8e-3:
        problems.append(f"{name} with bf16 rates and scale 1: error {error:.1e}")
    return {"ok": not problems, "problems": problems}


def check_large(layer):
    """More than 2^31 elements: the last sequence is what it is alone."""
    tokens = 8192 + 64
    batch = (1 << 31) // (tokens * layer.key_heads * layer.key_dim) + 2
    torch.manual_seed(1)
    unit = torch.nn.functional.normalize

    def random(heads, *dim, dtype):
        x = torch.randn(batch, tokens, heads, *dim, device=DEVICE, dtype=dtype)
        return unit(x, dim=-1) if dim else torch.rand_like(x)

    dtype = cases.TORCH_DTYPES[layer.dtype]
    inputs = {
        "q": random(layer.key_heads, layer.key_dim, dtype=dtype),
        "k": random(layer.key_heads, layer.key_dim, dtype=dtype),
        "v": random(layer.value_heads, layer.value_dim, dtype=dtype),
        "beta": random(layer.value_heads, dtype=torch.float32),
    }
    if layer.decay == "head":
        inputs["g"] = -random(layer.value_heads, dtype=torch.float32)
    program = program_for(layer)
    program._empty = torch.empty
    out = program(**inputs)
    last = program(**{x: y[-1:].clone() for x, y in inputs.items()})
    program._empty = poisoned
    ok = same(out["o"][-1:], last["o"]) and same(out["final_state"][-1:], last["final_state"])
    detail = f"{inputs['q'].numel() / 2**31:.2f} x 2^31 elements"
    return {"ok": ok, "detail": detail, "problems": [] if ok else ["the last sequence differs"]}


def check_first_call(layer):
    """From a bundle on disk to a result, torch imported and the context made."""
    case = Case("", layer, 15, batch=2, tokens=512)
    inputs, _ = fresh(case)
    import wyvern.program  # noqa: F401

    torch.cuda.synchronize()
    start = time.perf_counter()
    launch(case, inputs, None)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    ok = seconds < 0.3
    return {"ok": ok, "detail": f"{seconds * 1e3:.0f} ms", "problems": [] if ok else ["above 0.3 s"]}


def check_host(layer):
    """Host time a call, while the GPU keeps up."""
    import wyvern.torch as ops

    case = Case("", layer, 16, batch=1, tokens=64)
    inputs, _ = fresh(case)
    program = program_for(layer)
    program._empty = torch.empty
    order = ("q", "k", "v") + (("g",) if layer.decay == "head" else ()) + ("beta",)
    operands = [inputs[x] for x in order]
    function = ops.chunk_delta_rule if layer.decay == "none" else ops.chunk_gated_delta_rule
    times = {}
    for name, call in (("program", lambda: program(**inputs)), ("function", lambda: function(*operands))):
        with torch.no_grad():
            for _ in range(50):
                call()
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(200):
                call()
            times[name] = (time.perf_counter() - start) / 200 * 1e6
            torch.cuda.synchronize()
    program._empty = poisoned
    return {"ok": True, "detail": ", ".join(f"{x} {y:.0f} us" for x, y in times.items())}


# === Speed ===


def check_speed(layer, batch, tokens, peers):
    from benchmarks import forward, report
    from benchmarks.cases import Case as Row
    from benchmarks.peers import PEERS
    from benchmarks.peers.base import Run

    program = program_for(layer)
    program._empty = torch.empty

    def ours(inputs):
        return Run(lambda: program(**inputs.operands), lambda result: (result["o"], result["final_state"]))

    rule, decay = ("gated", "strong") if layer.decay == "head" else ("delta", "")
    case = Row(rule, (tokens,) * batch, layer.key_heads, layer.value_heads, decay)
    row = forward.compare(case, {"wyvern": ours} | {name: PEERS[name] for name in peers})
    program._empty = poisoned
    problem = row["results"]["wyvern"].get("refused")
    return {"ok": problem is None, "problems": [problem] if problem else [], "detail": report.line(row), "times": report.timed(row)}


# === The loop ===


def run(task):
    layer = cases.Layer(**task["layer"]) if "layer" in task else None
    if task["check"] == "case":
        return check_case(cases.from_dict(task["case"]), task["bars"])
    if task["check"] == "speed":
        return check_speed(layer, task["batch"], task["tokens"], task["peers"])
    return globals()[f"check_{task['check']}"](layer)


def main():
    global BUNDLES, VARIANT
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--variant")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    BUNDLES, VARIANT = options.bundles, options.variant
    if options.simulate:
        import gpu_simulated

        gpu_simulated.install(sys.modules[__name__])
    else:
        torch.zeros(1, device=DEVICE)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            result = run(task)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
        except Exception as error:  # reported, and the parent starts a new process
            text = traceback.format_exception_only(type(error), error)[-1].strip()
            print(traceback.format_exc(), file=sys.stderr, flush=True)
            result = {"ok": False, "problems": [text[:300]], "crashed": True}
        print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
