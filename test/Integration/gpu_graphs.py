#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks calls that come again, which go to the driver as graphs (docs/abi.md), on a GPU.

    on a machine with the compiler:   gpu_graphs.py --folder layer --prepare
    on the GPU machine:               gpu_graphs.py --folder layer

They have the bits of plain launches: with other values in the same tensors, in a capture, from
several threads, beside a capture of another thread in each of its modes, and in contexts that end
and come anew (gpu_contexts.py, in a process of its own). A stream that is free does not wait for
another one. The exit status is not 0 if anything failed.
"""

import argparse
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path

HEADS, DIM = 4, 128
SPEC = {
    "name": "layer",
    "heads": {"key": HEADS, "value": HEADS},
    "dims": {"key": DIM, "value": DIM},
    "dtype": "bf16",
    "decay": "none",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}
OFTEN = 20  # launches after which a call is a graph


def load(folder, graphs):
    import wyvern

    os.environ["WYVERN_GRAPHS"] = graphs
    return wyvern.load(folder)


class Call:
    """A call of tensors that stay, by a program."""

    def __init__(self, program, operands, places=1):
        import torch

        self.program, self.operands = program, operands
        batch, tokens = operands["q"].shape[:2]
        self.o = torch.empty_like(operands["v"])
        self.state = torch.empty(batch, HEADS, DIM, DIM, device="cuda")
        self.bytes = program._rt.workspace_size(batch, tokens, -1) // 256 * 256 + 256
        self.workspace = torch.empty(self.bytes * places, dtype=torch.uint8, device="cuda")

    def __call__(self, stream=None, place=0):
        import torch
        from wyvern.torch import _tensors

        self.program._rt.launch(
            _tensors.framework,
            [*self.operands.values(), None, self.o, self.state],
            0,
            None,
            self.workspace.data_ptr() + self.bytes * place,
            self.bytes,
            (stream or torch.cuda.current_stream()).cuda_stream,
        )

    def results(self, launch=None):
        """What a launch writes into tensors that are poisoned before."""
        self.o.fill_(float("nan")), self.state.fill_(float("nan"))
        (launch or self)()
        return self.o.clone(), self.state.clone()


def operands_of(batch, tokens):
    import torch

    rows = lambda *dim: torch.randn(batch, tokens, HEADS, *dim, device="cuda")
    q, k, v = (torch.nn.functional.normalize(rows(DIM), dim=-1).bfloat16() for _ in range(3))
    return {"q": q, "k": k, "v": v, "beta": rows().sigmoid()}


def expect_same(found, expected, what):
    import torch

    for x, y in zip(found, expected):
        if not torch.equal(x, y) or not bool(torch.isfinite(x).all()):
            raise AssertionError(f"{what}: other bits than those of plain launches")


def check_bits(folder, variant):
    import torch

    plain, often = load(folder, "0"), load(folder, "1")
    for program in (plain, often):
        program.force_variant(variant)
    for batch, tokens in ((1, 64), (2, 333), (1, 5000)):
        operands = operands_of(batch, tokens)
        one, other = Call(plain, operands), Call(often, operands)
        expected = one.results()
        for _ in range(OFTEN):
            expect_same(other.results(), expected, f"{batch}x{tokens}")
        for x, y in zip(operands.values(), operands_of(batch, tokens).values()):
            x.copy_(y)
        expected = one.results()
        expect_same(other.results(), expected, "other values")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            other()
        expect_same(other.results(graph.replay), expected, "captured")


def check_threads(folder):
    import torch

    plain, often = load(folder, "0"), load(folder, "1")
    failed = []

    def work(tokens):
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                operands = operands_of(1, tokens)
                expected = Call(plain, operands).results()
                call = Call(often, operands)
                for _ in range(10 * OFTEN):
                    call()
                for _ in range(OFTEN):
                    expect_same(call.results(), expected, f"{tokens} tokens")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(200 + i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def check_streams(folder):
    """The same call on a free stream is done while another stream sleeps."""
    import torch

    call = Call(load(folder, "1"), operands_of(1, 4096))
    busy, free = torch.cuda.Stream(), torch.cuda.Stream()
    for _ in range(OFTEN):
        call(busy), call(free)
    torch.cuda.synchronize()
    with torch.cuda.stream(busy):
        torch.cuda._sleep(2_000_000_000)
    call(busy), call(free)
    free.synchronize()
    if busy.query():
        raise AssertionError("one stream waits for the other")
    torch.cuda.synchronize()


def check_beside(folder, mode):
    """Graphs are made, launched and destroyed while another thread captures, which it does to its end."""
    import torch

    operands, side, x = operands_of(1, 600), torch.cuda.Stream(), torch.zeros(4, device="cuda")
    expected = Call(load(folder, "0"), operands).results()
    call, graph = Call(load(folder, "1"), operands, places=200), torch.cuda.CUDAGraph()
    began, go, failed = threading.Event(), threading.Event(), []
    torch.cuda.synchronize()

    def capture():
        try:
            with torch.cuda.graph(graph, capture_error_mode=mode):
                x.add_(1)
                began.set()
                go.wait()
                x.add_(1)
        except Exception as error:
            failed.append(error)
            began.set()

    thread = threading.Thread(target=capture)
    thread.start()
    began.wait()
    try:
        for place in range(200):
            for _ in range(OFTEN + 20):
                call(side, place)
    finally:
        go.set()
        thread.join()
    if failed:
        raise failed[0]
    graph.replay()
    torch.cuda.synchronize()
    if x[0].item() != 2:
        raise AssertionError("the capture is not what was captured")
    expect_same(call.results(), expected, "after the capture")


def check_contexts(folder, variant):
    command = [sys.executable, Path(__file__).with_name("gpu_contexts.py"), folder, variant]
    subprocess.run(command, check=True, env={x: y for x, y in os.environ.items() if x != "WYVERN_GRAPHS"})


def checks(folder):
    """{name: a check}"""
    import wyvern

    variants = wyvern.load(folder).variants
    found = {f"bits, {x}": lambda x=x: check_bits(folder, x) for x in variants}
    found |= {"threads": lambda: check_threads(folder), "streams": lambda: check_streams(folder)}
    for mode in ("global", "thread_local", "relaxed"):
        found[f"beside a capture, {mode}"] = lambda mode=mode: check_beside(folder, mode)
    return found | {f"contexts, {x}": lambda x=x: check_contexts(folder, x) for x in variants}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of the bundle")
    parser.add_argument("--prepare", action="store_true", help="compile it")
    options = parser.parse_args()
    if options.prepare:
        import wyvern

        wyvern.compile(SPEC, output=options.folder)
        return 0
    failed = 0
    for name, check in checks(options.folder).items():
        try:
            check()
            print(f"ok    {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
