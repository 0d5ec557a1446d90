#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks a module of wyvernc --emit=tvm-ffi on a GPU, against the bundle of the same layer.

    on a machine with the compiler:   gpu_module.py --folder layer --prepare
    on the GPU machine:               gpu_module.py --folder layer

Forward and backward have the bundle's bits: dense and packed, on torch's current stream,
with a workspace of the module's, of torch's and of the caller's, on streams of several threads
at once, in a CUDA graph, and with CuPy's and JAX's arrays where these are installed. The GPU machine needs Python with torch and
apache-tvm-ffi; `wyvern` must be importable (scripts/build-runtime). The exit status is
not 0 if anything failed.
"""

import argparse
import subprocess
import sys
import traceback
from pathlib import Path

HEADS, DIM, NAME = 4, 128, "layer"
SPEC = f"""
name: {NAME}
heads: {{key: {HEADS}, value: {HEADS}}}
dims: {{key: {DIM}, value: {DIM}}}
dtype: bf16
decay: head
steps: [{{write: k, value: v, rate: beta}}]
"""
FORMS = {"dense": (3, 200, None), "packed": (1, 200, [0, 70, 70, 133])}


def prepare(folder):
    """Compiles the layer twice: as a bundle and as a module."""
    from wyvern._core.compile import find_wyvernc

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "layer.yaml"
    source.write_text(SPEC)
    command = [find_wyvernc(), source, "--training", "--save=factor"]
    subprocess.run([*command, "-o", folder / "layer.wyvern"], check=True)
    subprocess.run([*command, "--emit=tvm-ffi", "-o", folder / "layer.so"], check=True)


def inputs_of(batch, tokens, offsets):
    """What both take, by name."""
    import torch

    torch.manual_seed(5)
    rows = lambda *dim: torch.randn(batch, tokens, HEADS, *dim, device="cuda")
    states = torch.randn(batch if offsets is None else len(offsets) - 1, HEADS, DIM, DIM, device="cuda")
    unit = lambda x: torch.nn.functional.normalize(x, dim=-1).bfloat16()
    operands = {"q": unit(rows(DIM)), "k": unit(rows(DIM)), "v": rows(DIM).bfloat16()}
    return operands | {"g": -rows().abs(), "beta": rows().sigmoid(), "initial_state": states}


class Layer:
    """The bundle and the module, called alike."""

    def __init__(self, folder):
        import tvm_ffi

        import wyvern

        self.program = wyvern.load(folder / "layer.wyvern")
        self.module = tvm_ffi.load_module(str(folder / "layer.so"))

    def functions(self, is_backward):
        name = NAME + "_backward" if is_backward else NAME
        program = self.program.backward if is_backward else self.program
        return program, self.module[name], self.module[name + "_workspace_size"]

    def compare(self, inputs, offsets, is_backward=False, lend=lambda x: x, own_workspace=False):
        """The outputs of the bundle, after a comparison with those of the module."""
        import torch

        program, function, workspace_size = self.functions(is_backward)
        cu = None if offsets is None else torch.tensor(offsets, device="cuda")
        expected = program(**inputs, cu_seqlens=cu)
        found = {name: torch.full_like(x, 7) for name, x in expected.items()}
        lent = [None if inputs[name] is None else lend(inputs[name]) for name in program.inputs]
        arguments = [*lent, *found.values(), cu]
        if own_workspace:
            batch, tokens = inputs["q"].shape[:2]
            size = workspace_size(batch, tokens, -1 if cu is None else len(offsets) - 1)
            arguments.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        function(*arguments)
        for name, x in expected.items():
            if not torch.equal(x, found[name]):
                raise AssertionError(f"{name} has other bits than the bundle's")
        return expected


def check_form(layer, form):
    import torch

    *sizes, offsets = FORMS[form]
    with torch.cuda.stream(torch.cuda.Stream()):
        inputs = inputs_of(*sizes, offsets)
        saved = layer.compare(inputs, offsets)
        layer.compare(inputs, offsets, own_workspace=True)
        gradients = {"d_o": saved["o"], "d_final_state": saved["final_state"]}
        known = inputs | saved | gradients
        layer.compare({name: known[name] for name in layer.program.backward.inputs}, offsets, is_backward=True)
    torch.cuda.synchronize()


def check_large(layer):
    """More workspace than the module keeps, which torch lends, on a stream that had less of the module's."""
    inputs = inputs_of(1, 64, None)
    layer.compare(inputs, None)
    many = inputs_of(4, 16384, None)
    assert layer.module[NAME + "_workspace_size"](4, 16384, -1) > 32 << 20
    layer.compare(many, None)
    layer.compare(inputs, None)


def check_threads(layer):
    """Four threads on two streams, each with calls of several sizes, whose workspaces grow beside kernels."""
    import threading

    import torch

    streams, wrong = [torch.cuda.Stream(), torch.cuda.Stream()], []

    def work(n):
        try:
            with torch.cuda.stream(streams[n % 2]):
                for call in range(60):
                    layer.compare(inputs_of(1 + call % 3, 100 * (1 + call % 7), None), None)
        except Exception as error:
            wrong.append(error)

    torch.cuda.synchronize()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]


def check_graph(layer):
    import torch

    inputs = inputs_of(2, 100, None)
    expected = layer.compare(inputs, None)
    found = {name: torch.zeros_like(x) for name, x in expected.items()}
    given = [inputs[name] for name in layer.program.inputs]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        layer.module[NAME](*given, *found.values())
    graph.replay()
    torch.cuda.synchronize()
    if not all(torch.equal(x, found[name]) for name, x in expected.items()):
        raise AssertionError("the replayed graph has other bits")


def check_arrays_of(framework, layer):
    """Inputs that another framework lends; it has no bf16 if it is CuPy, so only those in f32."""
    import torch

    def lend(x):
        if framework.__name__ == "cupy":
            return x if x.dtype == torch.bfloat16 else framework.from_dlpack(x)
        return framework.dlpack.from_dlpack(x)

    torch.cuda.synchronize()
    for own_workspace in (True, False):
        layer.compare(inputs_of(2, 100, None), None, lend=lend, own_workspace=own_workspace)
    torch.cuda.synchronize()


def checks():
    """{name: a check of a layer}"""
    found = {form: lambda layer, form=form: check_form(layer, form) for form in FORMS}
    found |= {"large": check_large, "threads": check_threads, "graph": check_graph}
    for name in ("cupy", "jax"):
        try:
            framework = __import__(name)
        except ImportError:
            print(f"{name}: not installed")
            continue
        found[name] = lambda layer, framework=framework: check_arrays_of(framework, layer)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of the bundle and the module")
    parser.add_argument("--prepare", action="store_true", help="compile them into it")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.folder)
        return 0
    layer, failed = Layer(options.folder), 0
    for name, check in checks().items():
        try:
            check(layer)
            print(f"ok    {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
