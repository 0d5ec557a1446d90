# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls that come again, which the runtime makes graphs of: what it asks of a fake driver (fake_cuda.c).

Each `case_*` function runs in a process of its own, started by test_runtime.py:
`python runtime_graph_cases.py <case> <folder>`.
"""

import os
import sys

import runtime_cases
from runtime_cases import Tensor, arguments, driver, journal, launch, launches, refused


def load(folder):
    os.environ["WYVERN_GRAPHS"] = "1"
    return runtime_cases.load(folder)


def is_graph(lines):
    return "graph launch" in lines


def case_a_call_that_comes_again(folder):
    """The second time it becomes a graph, of the same launches in the same order."""
    program, tensors = load(folder), arguments()
    launch(program, tensors)
    first = journal()
    launch(program, tensors)
    second = journal()
    launch(program, tensors)
    third = journal()
    assert not is_graph(first) and "graph of 2" in second and "graph of 2" not in third
    assert is_graph(second) and is_graph(third)
    # Nodes of a graph start behind each other.
    behind = [line.replace("attributes=overlap", "attributes=none") for line in launches(first)]
    assert behind == launches(second) == launches(third)
    del program
    assert journal() == ["graph destroyed", "unload delta_net_before", "unload delta_net_chain"]


def case_no_graphs_without_being_asked(folder):
    program, tensors = runtime_cases.load(folder), arguments()
    for _ in range(3):
        launch(program, tensors)
    lines = journal()
    assert not is_graph(lines) and len(launches(lines)) == 6


def case_calls_that_are_others(folder):
    """With another address, shape, stride, stream or cu_seqlens a call is not the one of a graph."""
    program, tensors = load(folder), arguments()
    for _ in range(2):
        launch(program, tensors)
    assert is_graph(journal())
    q, *rest = tensors
    others = [
        [q, Tensor("bf16", 2, 100, 2, 64), *tensors[2:]],
        [Tensor("bf16", 2, 100, 2, 64, strides=[25600, 256, 128, 1], address=q.address), *rest],
        [*tensors[:-1], None],
        arguments(1, 100),
        arguments(2, 99),
    ]
    for other in others:
        launch(program, other)
        assert not is_graph(journal())
    launch(program, tensors, stream=64)
    lines = journal()
    assert not is_graph(lines) and all("stream=0x40 " in x for x in launches(lines))
    packed = arguments(1, 100, sequences=3)
    for entries in (Tensor("i32", 4), Tensor("i64", 4)):
        launch(program, packed, entries)
        assert not is_graph(journal())
        launch(program, packed, entries)
        assert is_graph(journal())


def case_calls_that_are_no_graphs(folder):
    """What is captured is launched, and so is what goes to a stream with a priority."""
    program, tensors = load(folder), arguments()
    driver().fake_set_stream(1, 0)
    for _ in range(3):
        launch(program, tensors)
    assert not is_graph(journal())
    driver().fake_set_stream(0, -1)
    for _ in range(3):
        launch(program, tensors)
    lines = journal()
    assert not is_graph(lines) and len(launches(lines)) == 6


def case_more_calls_than_are_remembered(folder):
    """Graphs make place for others, and a model's layers do not for one another."""
    program, lines = load(folder), []
    calls = [arguments(1, tokens) for tokens in range(1, 300)]
    for tensors in calls:
        for _ in range(2):
            launch(program, tensors)
        lines += journal()
    made, destroyed = lines.count("graph of 2"), lines.count("graph destroyed")
    assert made == 299 and 64 < made - destroyed <= 128
    del program
    assert journal().count("graph destroyed") == made - destroyed
    program, layers = load(folder), calls[:32]
    for _ in range(3):
        for tensors in layers:
            launch(program, tensors)
        last = journal()
    assert last.count("graph launch") > 28


def case_a_graph_fails(folder):
    """A launch that fails is an error; a graph that cannot be made is kernels."""
    program, tensors = load(folder), arguments()
    launch(program, tensors)
    os.environ["FAKE_FAIL"] = "cuGraphLaunch=701"
    with refused("WYVERN_ERROR_DRIVER", "cannot launch a graph", "701"):
        launch(program, tensors)
    other = arguments()
    os.environ["FAKE_FAIL"] = "cuGraphInstantiateWithFlags=2"
    launch(program, other)
    journal()
    for _ in range(2):
        launch(program, other)
        lines = journal()
        assert not is_graph(lines) and len(launches(lines)) == 2


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
