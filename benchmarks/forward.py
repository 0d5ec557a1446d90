#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the delta rules' forward against the peers that are installed.

    python3 benchmarks/forward.py                        # all rows below
    python3 benchmarks/forward.py --only 'delta 4x4096*' --peers fla,flashinfer

One process, the same inputs for all: bf16, K = V = 128, unit-norm q and k, beta uniform
in (0, 1), the gate logsigmoid(N(0, 1) + 3), final state requested. CUDA events around
each call, L2 flushed before it, median of 30; a call's host time counts where it is
longer than its kernels. Compare ratios, not milliseconds: these move between machines.
A peer's result is compared with ours before it is timed. $PEERS_A and $PEERS_B may
name folders with the unpacked wheels of FLA and FlashInfer.
"""

import argparse
import fnmatch
import os
import statistics
import sys

import torch
import torch.nn.functional as F

# rule, sequences, tokens, key heads, value heads
SHAPES = [
    ("delta", 4, 4096, 16, 16),
    ("delta", 4, 8192, 32, 32),
    ("delta", 8, 2048, 16, 16),
    ("delta", 1, 32768, 16, 16),
    ("delta", 1, 8192, 32, 32),
    ("gated", 4, 4096, 16, 16),
    ("gated", 4, 8192, 16, 32),
    ("gated", 8, 4096, 16, 32),
    ("gated", 1, 32768, 16, 32),
]


def median_ms(call, repeats=30):
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    for _ in range(5):
        call()
    # No wait in the loop: the host runs ahead while the GPU flushes.
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for begin, end in events:
        flush.zero_()
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in events)


def make_inputs(rule, batch, tokens, heads, value_heads, dim=128, dtype=torch.bfloat16):
    """q, k, v, (g,) beta in the order of the functions' arguments."""
    generator = torch.Generator(device="cuda").manual_seed(0)

    def normal(*shape):
        return torch.randn(batch, tokens, *shape, device="cuda", generator=generator)

    q, k = (F.normalize(normal(heads, dim), dim=-1).to(dtype) for _ in range(2))
    v = normal(value_heads, dim).to(dtype)
    gate = [F.logsigmoid(normal(value_heads) + 3)] if rule == "gated" else []
    beta = torch.rand(batch, tokens, value_heads, device="cuda", generator=generator)
    return [q, k, v, *gate, beta]


def wyvern_call(rule):
    from wyvern.torch import chunk_delta_rule, chunk_gated_delta_rule

    function = chunk_delta_rule if rule == "delta" else chunk_gated_delta_rule
    return lambda *inputs, **options: function(*inputs, **options, output_final_state=True)


def fla_call(rule):
    sys.path[:0] = filter(None, [os.environ.get("PEERS_A")])
    os.environ.setdefault("FLA_FLASH_QLA", "0")
    if rule == "delta":
        from fla.ops.delta_rule import chunk_delta_rule as function
    else:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule as function
    return lambda *inputs, **options: function(*inputs, **options, output_final_state=True)


def flashinfer_call(rule):
    """Packed sequences, a linear gate; without context parallelism, its faster choice
    where sequences are many."""
    folder = os.environ.get("PEERS_B")
    if folder:
        sys.path[:0] = [folder, folder + "/nvidia_cutlass_dsl/dsl_packages"]
    from flashinfer.gdn_prefill import chunk_gated_delta_rule as function

    def call(q, k, v, *rest):
        batch, tokens = q.shape[:2]
        cu = torch.arange(0, batch * tokens + 1, tokens, device="cuda")
        packed = [x.flatten(0, 1) for x in (q, k, v, *rest)]
        alpha = packed[3].exp() if rule == "gated" else None
        o, state = function(
            *packed[:3],
            g=alpha,
            beta=packed[-1],
            scale=q.shape[-1] ** -0.5,
            cu_seqlens=cu,
            output_final_state=True,
            use_cp=False,
        )
        return o.view_as(v), state.transpose(-1, -2)

    return call


PEERS = {"fla": fla_call, "flashinfer": flashinfer_call}


def compare(shape, ours, peers):
    """{name: ms, or a reason why not}; ours first. `ours` takes the inputs in order."""
    rule = shape[0]
    inputs = make_inputs(*shape)
    with torch.no_grad():
        o, state = ours(*inputs)[:2]
        times = {"wyvern": median_ms(lambda: ours(*inputs))}
        for name in peers:
            try:
                call = PEERS[name](rule)
                o_peer, state_peer = call(*inputs)[:2]
                for x, y in ((o, o_peer), (state, state_peer)):
                    difference = ((x - y).float().norm() / y.float().norm()).item()
                    if not difference < 2e-2:
                        raise ValueError(f"differs from ours by {difference:.1e}")
                times[name] = median_ms(lambda: call(*inputs))
            except Exception as error:  # a peer that is missing or broken is no failure
                times[name] = f"{type(error).__name__}: {error}".splitlines()[0][:80]
    return times


def show(times):
    """`wyvern 0.2 ms, fla 0.5 ms (2.50x ours)`."""
    ours = times["wyvern"]
    words = [f"wyvern {ours:.4f} ms"]
    for name, value in times.items():
        if name != "wyvern":
            numeric = isinstance(value, float)
            words.append(f"{name} {value:.4f} ms ({value / ours:.2f}x ours)" if numeric else f"{name}: {value}")
    return ", ".join(words)


def run_rows(description, shapes, peers, time_row):
    """The command line of a benchmark: a line for each shape, timed by
    `time_row(shape, peers)`; the exit status."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="rows to run, as a pattern")
    parser.add_argument("--peers", default=",".join(peers), help="peers to time, of " + ", ".join(peers))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"{parser.prog}: error: torch sees no GPU", file=sys.stderr)
        return 3
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for shape in shapes:
        rule, batch, tokens, heads, value_heads = shape
        row = f"{rule} {batch}x{tokens} {heads}/{value_heads}"
        if fnmatch.fnmatch(row, options.only):
            times = time_row(shape, [x for x in options.peers.split(",") if x])
            print(f"{row:24} {show(times)}", flush=True)
    return 0


def main():
    return run_rows(__doc__, SHAPES, PEERS, lambda shape, peers: compare(shape, wyvern_call(shape[0]), peers))


if __name__ == "__main__":
    sys.exit(main())
