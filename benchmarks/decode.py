# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A step of decoding beside FlashInfer's and FLA's, in one process: Gated DeltaNet with norms and gates in
the kernel, heads as Qwen3-Next has them.

    python -m benchmarks.decode --compile bundles     where the compiler is
    python -m benchmarks.decode bundles               on a GPU

GPU time of a call in a CUDA graph of up to 32 calls, each with slots of its own in a pool that is larger
than the L2; contestants take turns. The floor is the state read and written once (of a verify, read) at
the memory's speed. FLA has no pool: it reads states that lie side by side and writes others. Results are
compared first, o and states, with Wyvern's, which gpu_steps.py compares with float64.
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch

KEY_HEADS, VALUE_HEADS, DIM = 16, 32, 128
SLOTS, MOST_CALLS, ROUNDS = 576, 32, 15
BYTES_A_SECOND = 4.2e12
DEVICE = "cuda"
POOLS = {"f32": torch.float32, "bf16": torch.bfloat16}
# sequences, tokens, what is called, the pool
CASES = (
    (1, 1, "step", "f32"), (8, 1, "step", "f32"), (64, 1, "step", "f32"), (256, 1, "step", "f32"),
    (256, 1, "step", "bf16"), (64, 4, "verify", "f32"),
)
TOLERANCE = {"f32": 1e-2, "bf16": 3e-2}  # of o, and of the states behind it


def compile_bundles(folder):
    """Compiles the steps that are timed."""
    import wyvern

    spec = {
        "name": "gated_deltanet", "heads": {"key": KEY_HEADS, "value": VALUE_HEADS}, "dims": {"key": DIM, "value": DIM},
        "dtype": "bf16", "decay": "head", "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }
    for name in POOLS:
        wyvern.compile(spec, serving=wyvern.Pool(dtype=name), prologue=("norm", "gates"), output=folder / name)


def draw(batch, tokens):
    """Operands of a call as a layer has them, before norms and gates."""
    torch.manual_seed(batch)

    def normal(*shape, dtype=torch.bfloat16):
        return torch.randn(batch, tokens, *shape, device=DEVICE).to(dtype)

    return {
        "q": normal(KEY_HEADS, DIM), "k": normal(KEY_HEADS, DIM), "v": normal(VALUE_HEADS, DIM),
        "a": normal(VALUE_HEADS), "b": normal(VALUE_HEADS),
        "A_log": torch.rand(VALUE_HEADS, device=DEVICE).mul(16).log(), "dt_bias": torch.ones(VALUE_HEADS, device=DEVICE),
    }


@dataclass
class Place:
    """The slots of a call's sequences, which follow on each other."""

    first: int
    batch: int

    def __post_init__(self):
        self.slots = torch.arange(self.first, self.first + self.batch, device=DEVICE, dtype=torch.int32)

    def of(self, states):
        return states[self.first : self.first + self.batch]


# Each returns a call of (operands, states, place) that returns o and the states behind it.


def wyvern_call(folder, kind, pool):
    import wyvern

    program = wyvern.load(folder / pool)
    function = program.verify if kind == "verify" else program.step
    return lambda operands, states, place: (function(state=states, read_slots=place.slots, **operands), place.of(states))


def flashinfer_call(folder, kind, pool):
    """Its step, or, of a draft, its verification of several tokens."""
    from flashinfer import gdn_decode

    function = gdn_decode.gated_delta_rule_mtp if kind == "verify" else gdn_decode.gated_delta_rule_decode_pretranspose
    options = {"disable_state_update": True} if kind == "verify" else {"state": None}

    def call(operands, states, place):
        o = function(**operands, **options, initial_state=states, initial_state_indices=place.slots)[0]
        return o, place.of(states)

    return call


def fla_call(folder, kind, pool):
    """Its recurrent form, which reads states that lie side by side and writes others."""
    if kind == "verify" or pool != "f32":
        raise ImportError("FLA's step takes states of float32, and writes them")
    from fla.ops.gated_delta_rule import fused_recurrent_gated_delta_rule

    def call(operands, states, place):
        renamed = {{"a": "g", "b": "beta"}.get(name, name): x for name, x in operands.items()}
        return fused_recurrent_gated_delta_rule(
            **renamed, initial_state=place.of(states), output_final_state=True, state_v_first=True,
            use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True, use_beta_sigmoid_in_kernel=True,
        )

    return call


CONTESTANTS = {"wyvern": wyvern_call, "flashinfer": flashinfer_call, "fla": fla_call}


def error(found, wanted):
    """Root mean square of the difference over that of what is wanted."""
    found, wanted = found.double(), wanted.double()
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())


def keep_equal(calls, operands, states, pool):
    """Returns the calls whose o and states are Wyvern's, within the roundings."""
    place, results = Place(0, operands["q"].shape[0]), {}
    for name, call in calls.items():
        o, behind = call(operands, states.clone(), place)
        results[name] = o, behind.clone()
    kept = {}
    for name, call in calls.items():
        errors = [error(x, y) for x, y in zip(results[name], results["wyvern"])]
        if max(errors) < TOLERANCE[pool]:
            kept[name] = call
        else:
            print(f"{name} is not timed: o and states are {errors[0]:.1e} and {errors[1]:.1e} from Wyvern's", flush=True)
    return kept


def graph_of(call, operands, states, places):
    """A graph of a call for each place."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call(operands, states, places[0])
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for place in places:
            call(operands, states, place)
    graph.replay()
    return graph


def time_case(folder, case, names):
    """{contestant: us of a call} of those that are installed and take the case."""
    batch, tokens, kind, pool = case
    calls = {}
    for name in names:
        try:
            calls[name] = CONTESTANTS[name](folder, kind, pool)
        except ImportError as why:
            print(f"{name} does not take part: {why}", flush=True)
    torch.manual_seed(0)
    states = (torch.randn(SLOTS, VALUE_HEADS, DIM, DIM, device=DEVICE) * 0.1).to(POOLS[pool])
    operands = draw(batch, tokens)
    calls = keep_equal(calls, operands, states, pool)
    places = [Place(n * batch, batch) for n in range(max(2, min(SLOTS // batch, MOST_CALLS)))]
    graphs = {name: graph_of(call, operands, states, places) for name, call in calls.items()}
    times = {name: [] for name in graphs}
    for _ in range(ROUNDS):
        for name, graph in graphs.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            graph.replay()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end) * 1e3 / len(places))
    return {name: statistics.median(found) for name, found in times.items()}


def floor_us(case):
    batch, _, kind, pool = case
    state = batch * VALUE_HEADS * DIM * DIM * POOLS[pool].itemsize
    return state * (1 if kind == "verify" else 2) / BYTES_A_SECOND * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--compile", action="store_true", help="compile the bundles; needs no GPU")
    parser.add_argument("--peers", default="flashinfer,fla", help="a comma-separated list of flashinfer and fla")
    parser.add_argument("--json", type=Path, help="where to write all times")
    options = parser.parse_args()
    if options.compile:
        return compile_bundles(options.bundles)
    rows = []
    for case in CASES:
        times = time_case(options.bundles, case, ["wyvern", *filter(None, options.peers.split(","))])
        rows.append({"case": case, "floor_us": floor_us(case), "us": times})
        shown = "  ".join(f"{name} {us:.2f} ({us / times['wyvern']:.2f})" for name, us in times.items())
        print(f"{case[0]:3} x {case[1]} {case[2]:6} {case[3]:4} floor {floor_us(case):.1f}  {shown}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return None


if __name__ == "__main__":
    main()
