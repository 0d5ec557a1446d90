# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call costs the host, way by way: C, a module of tvm-ffi where apache-tvm-ffi is
installed, the program, the op, the public function, each where a call is one kernel and where it
is two; beside empty kernels of as many bytes of parameters, launched by the driver alone.

    python -m benchmarks.host_time --compile bundles     where the compiler is
    python -m benchmarks.host_time bundles               on a GPU, or --device cpu

DeltaNet with so few tokens that a GPU keeps up. A call's time is until it returns. "In a row": of
20 calls that follow one another without waiting, as a model's layers do; "alone": of one call behind
a wait for the GPU, when caches are cold, as benchmarks.forward has it. Medians of rounds. On the
CPU, where a call also computes, it is one token of one small head, and only differences between ways
mean something: nothing goes past the dispatcher there.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

SIZES = {"cuda": (64, 16, 128), "cpu": (1, 1, 16)}  # tokens, heads, head dim
BUNDLES = {"inference": False, "training": True}
KERNELS = {"fused-blocks": 1, "separate": 2}  # of variants of the inference bundle
ROOT = Path(__file__).resolve().parents[1]


def spec(device):
    _, heads, dim = SIZES[device]
    return {
        "name": "delta_rule",
        "heads": {"key": heads, "value": heads},
        "dims": {"key": dim, "value": dim},
        "dtype": "bf16" if device == "cuda" else "f32",
        "decay": "none",
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }


def compile_bundles(folder):
    """Compiles what is timed on a GPU."""
    import wyvern
    from wyvern._core.compile import find_wyvernc

    for name, training in BUNDLES.items():
        wyvern.compile(spec("cuda"), output=folder / name, training=training)
    for variant in KERNELS:
        output = ["--emit=tvm-ffi", f"--variants={variant}", "-o", folder / f"{variant}.so"]
        command = [find_wyvernc(), "-", "--input-format=yaml", *output]
        subprocess.run(command, input=json.dumps(spec("cuda")), text=True, check=True)
    build_c(folder)


def build_c(folder):
    """Builds host_time.c for the inference bundle, of which it has the header."""
    library = ROOT / "build/lib/Runtime/libwyvern_rt.a"
    places = [folder / "inference", ROOT / "include", ROOT / "examples/c"]
    command = [shutil.which("cc") or "cc", "-std=c11", "-D_GNU_SOURCE", "-O2", *(f"-I{x}" for x in places)]
    subprocess.run([*command, ROOT / "benchmarks/host_time.c", library, "-ldl", "-lpthread", "-o", folder / "c"], check=True)


def time_c(folder):
    """{way: (us in a row, us alone)} of C and of the driver by itself."""
    command = [folder / "c", folder / "inference", *KERNELS]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {name: (float(row), float(alone)) for name, row, alone in lines}


def make_operands(device):
    torch.manual_seed(0)
    tokens, heads, dim = SIZES[device]
    rows = lambda *dim: torch.rand(1, tokens, heads, *dim, device=device)
    q, k, v = (torch.nn.functional.normalize(rows(dim), dim=-1).bfloat16() for _ in range(3))
    return {"q": q, "k": k, "v": v, "beta": rows()}


def program_of(folder, device):
    """The program by itself, and what it takes of operands."""
    import wyvern

    if device == "cuda":
        return wyvern.load(folder / "inference"), lambda x: x
    program = wyvern.compile(spec(device), target="cpu")
    return program, lambda x: {name: value.float().numpy() for name, value in x.items()}


def module_ways(folder, given):
    """Those of modules, which take outputs that are there."""
    try:
        import tvm_ffi
    except ImportError:
        return {}
    tensors = (*given.values(), None, torch.empty_like(given["v"]), None)

    def of(variant):
        module = tvm_ffi.load_module(str(folder / f"{variant}.so"))
        size = module.delta_rule_workspace_size(1, SIZES["cuda"][0], -1)
        workspace = torch.empty(size, dtype=torch.uint8, device="cuda")
        return {
            f"tvm-ffi, {variant}": lambda: module.delta_rule(*tensors),
            f"tvm-ffi, {variant}, with a workspace": lambda: module.delta_rule(*tensors, None, workspace),
        }

    return {name: call for variant in KERNELS for name, call in of(variant).items()}


def variant_ways(program, op, given):
    """The program, and the op that is made of it, with each of the variants: ways that are to be
    timed as they come."""
    operands = tuple(given.values())
    for variant in KERNELS:
        program.force_variant(variant)
        yield f"the program, {variant}", lambda: program(**given)
        yield f"op, {variant}", lambda: op(*operands)
    program.force_variant(None)


def ways(folder, device):
    """Yields names, and calls without arguments, that are to be timed as they come."""
    import wyvern.torch

    given = make_operands(device)
    program, bring = program_of(folder, device)
    # A machine with a GPU may have no compiler, which a spec needs.
    plain, op = bring(given), wyvern.torch.op(program if device == "cuda" else spec(device))
    leaves = [x.clone().requires_grad_() for x in given.values()]
    d_o = torch.ones_like(given["v"])
    narrow = given | {"beta": given["beta"].bfloat16()}

    def step():
        o, _ = wyvern.torch.chunk_delta_rule(*leaves)
        return torch.autograd.grad(o, leaves, d_o)

    operands = tuple(given.values())
    if device == "cuda":
        yield from module_ways(folder, given).items()
        yield from variant_ways(program, op, given)
    yield from {
        "the program": lambda: program(**plain),
        "op": lambda: op(*operands),
        "op, by name": lambda: op(**given),
        "chunk_delta_rule": lambda: wyvern.torch.chunk_delta_rule(*operands),
        "chunk_delta_rule, beta in bf16": lambda: wyvern.torch.chunk_delta_rule(**narrow),
        "torch.ops.wyvern.delta_rule": lambda: torch.ops.wyvern.delta_rule(*operands, None, None, False),
        "forward that saves": lambda: wyvern.torch.chunk_delta_rule(*leaves),
        "forward and backward": step,
    }.items()


def median_us(call, device, rounds=30, calls=20):
    """Time of a call until it returns, of so many in a row."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(calls):
        call()
    times = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - start) / calls * 1e6)
    wait()
    return statistics.median(times)


def time_way(name, call, options):
    """(us in a row, us alone)."""
    with torch.set_grad_enabled("save" in name or "backward" in name):
        return tuple(median_us(call, options.device, options.rounds, calls) for calls in (20, 1))


def time_all(options):
    """{way: (us in a row, us alone)}, printed as they come."""
    times = time_c(options.bundles) if options.device == "cuda" else {}
    print("in a row    alone", flush=True)
    for name, found in times.items():
        show(name, found)
    for name, call in ways(options.bundles, options.device):
        times[name] = time_way(name, call, options)
        show(name, times[name])
    return times


def show(name, found):
    print("{:8.1f} {:8.1f} us  {}".format(*found, name), flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.host_time", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="?", help="the folder that --compile has made")
    parser.add_argument("--compile", type=Path, metavar="FOLDER", help="compile into a folder, and time nothing")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the times in us to a file")
    options = parser.parse_args(arguments)
    if options.compile:
        compile_bundles(options.compile)
        return 0
    if options.device == "cuda":
        if options.bundles is None:
            parser.error("expected the folder that --compile has made")
        if not torch.cuda.is_available():
            print("python -m benchmarks.host_time: error: torch sees no GPU; try --device cpu", file=sys.stderr)
            return 3
        os.environ["WYVERN_CACHE_DIR"] = str(options.bundles)  # where wyvern.torch looks
    times = time_all(options)
    if options.json:
        options.json.write_text(json.dumps(times, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
