# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call costs the host, way by way: the public function, the op below it, the program,
a module of tvm-ffi where apache-tvm-ffi is installed. (examples/c prints that of C.)

    python -m benchmarks.host_time --compile bundles     where the compiler is
    python -m benchmarks.host_time bundles               on a GPU, or --device cpu

DeltaNet with so few tokens that a GPU keeps up: calls follow one another without waiting,
and the median of 30 rounds of 20 is a call's time. On the CPU, where a call also
computes, it is one token of one small head, and only differences between ways mean
something: nothing goes past the dispatcher there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

SIZES = {"cuda": (64, 16, 128), "cpu": (1, 1, 16)}  # tokens, heads, head dim
BUNDLES = {"inference": False, "training": True}


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
    command = [find_wyvernc(), "-", "--input-format=yaml", "--emit=tvm-ffi", "-o", folder / "module.so"]
    subprocess.run(command, input=json.dumps(spec("cuda")), text=True, check=True)


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
    """Those of the module, which takes outputs that are there."""
    try:
        import tvm_ffi
    except ImportError:
        return {}
    module = tvm_ffi.load_module(str(folder / "module.so"))
    size = module.delta_rule_workspace_size(1, SIZES["cuda"][0], -1)
    workspace = torch.empty(size, dtype=torch.uint8, device="cuda")
    tensors = (*given.values(), None, torch.empty_like(given["v"]), None)
    return {
        "tvm-ffi": lambda: module.delta_rule(*tensors),
        "tvm-ffi, with a workspace": lambda: module.delta_rule(*tensors, None, workspace),
    }


def ways(folder, device):
    """{name: a call without arguments}."""
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
    modules = module_ways(folder, given) if device == "cuda" else {}
    return modules | {
        "chunk_delta_rule": lambda: wyvern.torch.chunk_delta_rule(*operands),
        "chunk_delta_rule, beta in bf16": lambda: wyvern.torch.chunk_delta_rule(**narrow),
        "op": lambda: op(*operands),
        "torch.ops.wyvern.delta_rule": lambda: torch.ops.wyvern.delta_rule(*operands, None, None, False),
        "the program": lambda: program(**plain),
        "forward that saves": lambda: wyvern.torch.chunk_delta_rule(*leaves),
        "forward and backward": step,
    }


def median_us(call, device, rounds=30, calls=20):
    """Time of a call until it returns."""
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
    times = {}
    for name, call in ways(options.bundles, options.device).items():
        with torch.set_grad_enabled("save" in name or "backward" in name):
            times[name] = median_us(call, options.device, options.rounds)
        print(f"{times[name]:8.1f} us  {name}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(times, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
