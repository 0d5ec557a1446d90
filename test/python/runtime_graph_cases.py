# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls that come again, which the runtime makes graphs of: what it asks of a fake driver (fake_cuda.c).

Each `case_*` function runs in a process of its own, started by test_runtime.py:
`python runtime_graph_cases.py <case> <folder>`.
"""

import os
import sys

from runtime_cases import Tensor, arguments, driver, journal, launch, launches, load, refused

TIMES = 16  # launches of kernels, before a call is a graph


def again(program, tensors, times=TIMES, **more):
    """Launches a call so often, and returns what the driver was asked."""
    lines = []
    for _ in range(times):
        launch(program, tensors, **more)
        lines += journal()
    return lines


def is_graph(lines):
    return "graph launch" in lines


def case_a_call_that_comes_again(folder):
    """Having come sixteen times it becomes a graph, of the same launches in the same order."""
    driver().fake_set_context(0)
    program, tensors = load(folder), arguments()
    first = again(program, tensors, 1)
    assert not is_graph(again(program, tensors, TIMES - 1))
    second, third = again(program, tensors, 1), again(program, tensors, 1)
    assert "graph of 2" in second and "graph of 2" not in third
    assert is_graph(second) and is_graph(third)
    assert launches(first) == launches(second) == launches(third) and len(launches(first)) == 2
    del program
    lines = ["capture mode 2", "graph destroyed", "capture mode 0"]
    assert journal() == [*lines, "unload delta_net_before", "unload delta_net_chain"]


def case_no_graphs_on_request(folder):
    os.environ["WYVERN_GRAPHS"] = "0"
    program, tensors = load(folder), arguments()
    lines = again(program, tensors, 3 * TIMES)
    assert not is_graph(lines) and len(launches(lines)) == 6 * TIMES


def case_calls_that_are_others(folder):
    """With another address, shape, stride, stream or cu_seqlens a call is not the one of a graph."""
    driver().fake_set_context(0)
    program, tensors = load(folder), arguments()
    assert is_graph(again(program, tensors, TIMES + 1))
    q, *rest = tensors
    others = [
        [q, Tensor("bf16", 2, 100, 2, 64), *tensors[2:]],
        [Tensor("bf16", 2, 100, 2, 64, strides=[25600, 256, 128, 1], address=q.address), *rest],
        [*tensors[:-1], None],
        arguments(1, 100),
        arguments(2, 99),
    ]
    for other in others:
        assert not is_graph(again(program, other))
    lines = again(program, tensors, stream=64)
    assert not is_graph(lines) and all("stream=0x40 " in x for x in launches(lines))
    packed = arguments(1, 100, sequences=3)
    for entries in (Tensor("i32", 4), Tensor("i64", 4)):
        assert not is_graph(again(program, packed, cu_seqlens=entries))
        assert is_graph(again(program, packed, 1, cu_seqlens=entries))


def case_calls_that_are_not_checked_again(folder):
    """A call that is a graph is told from others with its addresses, which are refused as ever."""
    driver().fake_set_context(0)
    program, tensors = load(folder), arguments()
    assert is_graph(again(program, tensors, TIMES + 1))
    q, *rest = tensors
    wrong = {
        "dtype": Tensor("f16", 2, 100, 2, 64, address=q.address),
        "extent": Tensor("bf16", 2, 100, 2, 32, address=q.address),
    }
    for word, tensor in wrong.items():
        with refused("WYVERN_ERROR_INVALID_TENSOR", "'q'", word):
            launch(program, [tensor, *rest])
    with refused("WYVERN_ERROR_WORKSPACE", "16 bytes"):
        launch(program, tensors, size=16)
    assert not is_graph(again(program, tensors, 1, workspace=0xA00000))
    assert is_graph(again(program, tensors, 1))


def case_handles_given_out_anew(folder):
    """A context, or a stream, that has the handle of one that has ended is another."""
    program, tensors = load(folder), arguments()
    assert is_graph(again(program, tensors, TIMES + 1))
    driver().fake_renew_handles()
    assert not is_graph(again(program, tensors))
    assert "graph of 2" in again(program, tensors, 1)
    del program  # the first graph is gone with its context
    assert journal().count("graph destroyed") == 1 and driver().fake_wrongs() == 0


def case_devices(folder):
    """A graph is of one device."""
    program, tensors = load(folder), arguments()
    assert is_graph(again(program, tensors, TIMES + 1))
    lines = again(program, tensors, device=1)
    assert not is_graph(lines) and all("context=1" in x for x in launches(lines))
    lines = again(program, tensors, 1, device=1)
    assert is_graph(lines) and all("context=1" in x for x in launches(lines))
    assert all("context=0" in x for x in launches(again(program, tensors, 1)))
    del program
    assert journal().count("graph destroyed") == 2 and driver().fake_wrongs() == 0


case_devices.devices = "90,90"


def case_calls_that_are_no_graphs(folder):
    """What is captured is launched, and so is what goes to a stream with a priority, or of another context."""
    program = load(folder)
    for capturing, priority, context in ((1, 0, -1), (0, -1, -1), (0, 0, 1)):
        tensors = arguments()
        driver().fake_set_context(0)
        driver().fake_set_stream(capturing, priority, context)
        lines = again(program, tensors, 3 * TIMES)
        assert not is_graph(lines) and len(launches(lines)) == 6 * TIMES
    driver().fake_set_stream(0, 0, -1)
    assert is_graph(again(program, arguments(), TIMES + 1))


def case_beside_a_capture(folder):
    """Graphs are made, launched and destroyed while another thread captures, which they leave alone."""
    driver().fake_set_context(0)
    driver().fake_capture_elsewhere(1)
    program, tensors = load(folder), arguments()
    lines = again(program, tensors, TIMES + 3)
    assert is_graph(lines) and lines[-1] == "capture mode 0"
    del program
    assert driver().fake_wrongs() == 0


def case_calls_that_do_not_come_again(folder):
    """They ask the driver for nothing but launches, and take no graph's place."""
    driver().fake_set_context(0)
    program, tensors = load(folder), arguments()
    assert is_graph(again(program, tensors, TIMES + 1))
    for _ in range(3000):
        launch(program, arguments(1, 10))
        assert set(x.split()[0] for x in journal()) <= {"launch", "map"}
    assert is_graph(again(program, tensors, 1))


def case_graphs_that_do_not_pay(folder):
    """Calls that come no more once they are graphs: so many are made as there is place for, and no more until
    others have paid for them."""
    program, made = load(folder), 0
    for tokens in range(1, 300):
        made += again(program, arguments(1, tokens), TIMES + 1).count("graph of 2")
    assert made == 128
    tensors = arguments(1, 299)
    for _ in range(2):
        assert not is_graph(again(program, tensors, TIMES + 1))


def case_more_calls_than_are_remembered(folder):
    """Graphs make place for others, and a model's layers do not for one another."""
    program, lines = load(folder), []
    calls = [arguments(1, tokens) for tokens in range(1, 300)]
    for tensors in calls:
        lines += again(program, tensors, 2 * TIMES + 1)
    made, destroyed = lines.count("graph of 2"), lines.count("graph destroyed")
    assert made == 299 and 64 < made - destroyed <= 128
    del program
    assert journal().count("graph destroyed") == made - destroyed
    program, layers = load(folder), calls[:48]
    for _ in range(TIMES + 2):
        lines = [x for tensors in layers for x in again(program, tensors, 1)]
    assert lines.count("graph launch") > 42


def case_a_graph_fails(folder):
    """A launch that fails is an error; a graph that there is no memory for is kernels."""
    program, tensors = load(folder), arguments()
    again(program, tensors)
    os.environ["FAKE_FAIL"] = "cuGraphLaunch=701"
    with refused("WYVERN_ERROR_DRIVER", "cannot launch a graph", "701"):
        launch(program, tensors)
    for failure in ("cuGraphInstantiateWithFlags=2", "cuGraphLaunch=2"):
        other = arguments()
        again(program, other)
        os.environ["FAKE_FAIL"] = failure
        for _ in range(2 * TIMES):
            lines = again(program, other, 1)
            assert not is_graph(lines) and len(launches(lines)) == 2


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
