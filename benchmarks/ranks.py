# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Context parallelism on the GPUs of one host: errors, times, bytes between ranks.

    python3 -m benchmarks.ranks --prepare bundles               # where the compiler is
    WYVERN_CACHE_DIR=bundles torchrun --nproc-per-node=2 -m benchmarks.ranks --json ranks.json

One card has the whole sequence, in the plain op and in as many segments as fill it; then
the ranks share it, and share it again with everything in its turn. A time is the GPU's between two
events, of the slowest rank, the median of the rounds; the GPU is kept busy until the host has
queued all of it. "graph" is a replay of all of it as one CUDA graph, with the host's time. The host's own
time is that of calls on a short sequence, one behind the other.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.utils.checkpoint import checkpoint

HEADS, DIM = 16, 128
NAMES = ("o", "d_q", "d_k", "d_v", "d_beta", "d_g")


def prepare(folder):
    """Compiles the bundles."""
    import wyvern

    from examples.kernels import delta_rule

    for decay in ("none", "head"):
        for training in (False, True):
            layer = delta_rule(decay, HEADS) | {"dims": {"key": DIM, "value": DIM}}
            wyvern.compile(layer, output=Path(folder) / f"ranks-{decay}{'-training' * training}", training=training)


def inputs(tokens, gated, seed=0):
    """Operands of one sequence on this rank's card, the same on all ranks."""
    generator = torch.Generator("cuda").manual_seed(seed)
    draw = lambda *shape: torch.randn(1, tokens, HEADS, *shape, device="cuda", generator=generator)
    unit = torch.nn.functional.normalize
    q, k = (unit(draw(DIM), dim=-1).bfloat16() for _ in range(2))
    x = {"q": q, "k": k, "v": draw(DIM).bfloat16(), "beta": draw().sigmoid()}
    return x | ({"g": torch.nn.functional.logsigmoid(draw() + 3)} if gated else {})


def rule(gated):
    from wyvern.torch import chunk_delta_rule, chunk_gated_delta_rule

    return chunk_gated_delta_rule if gated else chunk_delta_rule


def step(x, gated, d_o, context=None):
    """A forward and a backward; o and the gradients."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in x.items()}
    o, _ = rule(gated)(**leaves, cp_context=context)
    o.backward(d_o)
    return {"o": o.detach()} | {f"d_{name}": leaf.grad for name, leaf in leaves.items()}


def forward(x, gated, context=None, saves=False):
    with torch.set_grad_enabled(saves):
        rule(gated)(**{name: tensor.detach().requires_grad_(saves) for name, tensor in x.items()}, cp_context=context)


def error(x, y):
    return ((x.double() - y.double()).norm() / y.double().norm()).item()


# === Errors ===


def errors(context, gated, tokens):
    """Of this rank's part, on one card and on all, against float64."""
    from wyvern.torch import reference

    x = inputs(tokens, gated, seed=1)
    d_o = torch.randn_like(x["v"])
    dist.broadcast(d_o, 0)
    wide = {name: tensor.double().requires_grad_() for name, tensor in x.items()}
    o, _ = reference.delta_rule(**wide)
    o.backward(d_o.double())
    true = {"o": o.detach()} | {f"d_{name}": leaf.grad for name, leaf in wide.items()}
    one = step(x, gated, d_o)
    mine = {name: context.local(tensor) for name, tensor in x.items()}
    runs = [step(mine, gated, context.local(d_o), context) for _ in range(10)]
    same = all(torch.equal(run[name], runs[0][name]) for run in runs for name in run)
    found = {}
    for name in (name for name in NAMES if name in one):
        expected = context.local(true[name])
        found[name] = [error(context.local(one[name]), expected), error(runs[0][name], expected)]
    return {"rank": dist.get_rank(), "gated": gated, "same bits": same, "one card, all": found}


# === Times ===


@contextlib.contextmanager
def in_turn(whole=False):
    """Nothing runs beside all-gathers and joins; `whole`: and no program is run in pieces."""
    from wyvern.torch._ranks import exchange, runs, stages

    beside, cut = runs.beside, stages.Layer.cut
    runs.beside = exchange.beside = lambda device, wanted=True: beside(device, False)
    if whole:
        stages.Layer.cut = lambda layer, is_backward: None
    try:
        yield
    finally:
        runs.beside, exchange.beside, stages.Layer.cut = beside, beside, cut


def milliseconds(run, hidden=True):
    """The GPU's and the host's of the slowest rank, once all have come; `hidden`: without
    what the GPU waits for the host."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    dist.barrier()
    torch.cuda.synchronize()
    if hidden:
        torch.cuda._sleep(60_000_000)  # cycles: some 30 ms
    begin.record()
    start = time.perf_counter()
    run()
    host = 1e3 * (time.perf_counter() - start)
    end.record()
    end.synchronize()
    slowest = torch.tensor([begin.elapsed_time(end), host], device="cuda")
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    return slowest.tolist()


class Wire:
    """Counts the bytes that a rank sends, in each all-gather."""

    def __init__(self):
        self.sent, self._gather = [], dist.all_gather_into_tensor

    def __enter__(self):
        def gather(out, x, group=None):
            self.sent.append(x.numel() * x.element_size() * (dist.get_world_size(group) - 1))
            return self._gather(out, x, group=group)

        dist.all_gather_into_tensor = gather
        return self

    def __exit__(self, *_):
        dist.all_gather_into_tensor = self._gather


def times(context, gated, tokens, rounds):
    """Of a forward and a backward, and of the forward alone."""
    from wyvern.torch import ContextParallel

    x = inputs(tokens, gated)
    d_o = torch.randn_like(x["v"])
    mine = {name: context.local(tensor).contiguous() for name, tensor in x.items()}
    d_mine = context.local(d_o).contiguous()
    as_it_is = contextlib.nullcontext
    contestants = {
        "one card": (x, d_o, None, as_it_is),
        "one card in segments": (x, d_o, ContextParallel.alone(segments=4), as_it_is),
        "all cards": (mine, d_mine, context, as_it_is),
        "all cards, two all-gathers": (mine, d_mine, ContextParallel(gathers=2), as_it_is),
        "all cards, in turn": (mine, d_mine, context, in_turn),
        "all cards, in turn, whole programs": (mine, d_mine, context, lambda: in_turn(whole=True)),
    }
    kinds = ("forward and backward", "forward that saves", "forward", "host")
    found = {name: {kind: [] for kind in kinds} for name in contestants}

    for i in range(rounds + 2):
        for name, (operands, gradient, where, how) in contestants.items():
            with how():
                both, host = milliseconds(lambda: step(operands, gated, gradient, where))
                saving, _ = milliseconds(lambda: forward(operands, gated, where, saves=True))
                ahead, _ = milliseconds(lambda: forward(operands, gated, where))
            if i > 1:
                for what, value in zip(kinds, (both, saving, ahead, host)):
                    found[name][what].append(value)
    with Wire() as wire:
        step(mine, gated, d_mine, context)
    medians = {
        name: {what: round(statistics.median(values), 3) for what, values in rows.items()} for name, rows in found.items()
    }
    medians["all cards"]["graph"] = graph(mine, gated, d_mine, context, rounds)
    return {"gated": gated, "tokens": tokens, "milliseconds": medians, "bytes sent by a rank": sum(wire.sent)}


def graph(x, gated, d_o, context, rounds):
    """Milliseconds of a replay, of which the results are those of a call to the last bit."""
    called = step(x, gated, d_o, context)
    captured = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    # The watchdog of NCCL asks for events in a thread of its own.
    with torch.cuda.graph(captured, capture_error_mode="thread_local"):
        replayed = step(x, gated, d_o, context)
    found = [milliseconds(captured.replay, hidden=False)[0] for _ in range(rounds)]
    if not all(torch.equal(called[name], replayed[name]) for name in called):
        raise RuntimeError("a replay has other bits than a call")
    return round(statistics.median(found), 3)


def host_times(context, gated, tokens=4096, calls=100):
    """Microseconds of a call where the host is what takes time."""
    x = {name: context.local(tensor).contiguous() for name, tensor in inputs(tokens, gated).items()}
    d_o = torch.randn_like(x["v"])
    runs = {
        "forward": lambda: forward(x, gated, context),
        "forward that saves": lambda: forward(x, gated, context, saves=True),
        "forward and backward": lambda: step(x, gated, d_o, context),
        "one card, forward and backward": lambda: step(x, gated, d_o),
    }
    found = {}
    for name, run in runs.items():
        times = []
        for _ in range(5):
            dist.barrier()
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            times.append(time.perf_counter() - start)
            torch.cuda.synchronize()
        found[name] = round(1e6 * min(times) / calls)
    return {"gated": gated, "tokens": tokens, "host, microseconds a call": found}


def profile(context, gated, tokens):
    """Where the time of a step on this rank goes, and for how much of it other kernels run
    beside those of NCCL."""
    x = {name: context.local(tensor).contiguous() for name, tensor in inputs(tokens, gated).items()}
    d_o = torch.randn_like(x["v"])
    step(x, gated, d_o, context)
    dist.barrier()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as run:
        torch.cuda._sleep(60_000_000)
        step(x, gated, d_o, context)
        torch.cuda.synchronize()
    kernels = [(e.key[:60], e.count, round(e.self_device_time_total)) for e in run.key_averages()]
    spans = [(e.name, e.time_range.start, e.time_range.end) for e in run.events() if e.device_type.name == "CUDA"]
    beside = [
        {"kernel": name, "microseconds": round(end - begin, 1), "beside": together(begin, end, spans)}
        for name, begin, end in spans
        if "nccl" in name.lower()
    ]
    kernels = sorted(kernels, key=lambda kernel: -kernel[2])[:25]
    return {"rank": dist.get_rank(), "kernels": kernels, "collectives": beside}


def together(begin, end, spans):
    """Microseconds that other kernels run within a span, by name."""
    found = {}
    for name, first, last in spans:
        common = min(end, last) - max(begin, first)
        if common > 0 and "nccl" not in name.lower():
            found[name[:60]] = round(found.get(name[:60], 0) + common, 1)
    return found


def long_step(context, tokens, hidden=HEADS * DIM):
    """A training step of two layers on one sequence, of which a rank has its part."""
    from wyvern.torch import GatedDeltaNet

    torch.manual_seed(0)
    make = lambda: GatedDeltaNet(hidden_size=hidden, head_dim=DIM, num_heads=HEADS, expand_v=1)
    layers = torch.nn.ModuleList([make() for _ in range(2)]).cuda().bfloat16()
    optimizer = torch.optim.AdamW(layers.parameters(), lr=1e-4)
    x = torch.randn(1, tokens // dist.get_world_size(), hidden, device="cuda", dtype=torch.bfloat16)

    def one():
        y = x
        for layer in layers:
            y = y + checkpoint(lambda y, layer=layer: layer(y, cp_context=context)[0], y, use_reentrant=False)
        loss = y.float().square().mean()
        loss.backward()
        for p in layers.parameters():
            dist.all_reduce(p.grad, op=dist.ReduceOp.AVG)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    losses = [one()]
    taken, _ = milliseconds(lambda: losses.append(one()), hidden=False)
    peak = torch.cuda.max_memory_allocated() / 2**30
    return {"tokens": tokens, "losses": losses, "milliseconds": round(taken, 1), "GiB": round(peak, 1)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", type=Path, help="compile the bundles into this folder, and nothing else")
    parser.add_argument("--tokens", type=int, default=131072)
    parser.add_argument("--long", type=int, default=1048576, help="tokens of the training step; 0: none")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.prepare:
        return prepare(options.prepare)
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl", device_id=torch.device("cuda", torch.cuda.current_device()))
    from wyvern.torch import ContextParallel

    context = ContextParallel()
    records = []

    def report(record):
        records.append(record)
        print(json.dumps(record), flush=True)

    for gated in (False, True):
        report(errors(context, gated, 1024))
        report(errors(ContextParallel(segments=3), gated, 1000))
        report(times(context, gated, options.tokens, options.rounds))
        report(host_times(context, gated))
        if options.profile:
            report(profile(context, gated, options.tokens))
    if options.long:
        report(long_step(context, options.long))
    if options.json and dist.get_rank() == 0:
        options.json.write_text(json.dumps(records, indent=1))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
