# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A schedule changes no bit: kernels on the CPU against the chunk programs they are made of.

For every spec that has kernels, forward and backward, by every strategy; and for schedules
that are written by hand. Sequences end inside of chunks, alone and packed.
"""

import pathlib
import re
import subprocess

import numpy as np
import pytest

import wyvern

_compiler = pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "test/Dialect/Sched/Inputs"
SPECS = sorted(
    path.stem for path in (ROOT / "specs").glob("*.yaml") if re.search(r"^dtype: (bf16|f16)$", path.read_text(), re.M)
)
# Same layers at other sizes.
SPECS = [name for name in SPECS if name not in ("delta_net-1.3B", "gated_deltanet-1.3B", "qwen3.5-27B")]
DELTA_NET = {
    "name": "delta_net",
    "heads": {"key": 2, "value": 2},
    "dims": {"key": 64, "value": 128},
    "dtype": "bf16",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}
PLACES = [(2, 150, None), (1, 150, [0, 5, 5, 70, 140])]


def small(name):
    """The spec with few heads; those of values stay a multiple of those of keys."""
    name, _, repeat = name.partition(" of ")
    text = (ROOT / "specs" / f"{name}.yaml").read_text()
    text = text.replace("repeat: 2", f"repeat: {repeat or 2}")
    key, value = map(int, re.search(r"^heads: \{key: (\d+), value: (\d+)\}", text, re.M).groups())
    text = re.sub(r"^heads:.*$", f"heads: {{key: 1, value: {value // key}}}", text, flags=re.M)
    text = re.sub(r"^max_tokens:.*$", "max_tokens: 256", text, flags=re.M)
    return re.sub(r"^dims:.*$", "dims: {key: 64, value: 128}", text, flags=re.M)


def draw(tensor, sizes, rng):
    """Random elements: gates and rates as layers have them, keys of length one."""
    shape = [sizes[kind] * rows if kind in sizes else size for size, (kind, rows) in zip(tensor.shape, tensor.dims)]
    x = rng.standard_normal(shape)
    if tensor.is_gate:
        x = -0.1 * np.abs(x)
    elif tensor.name == "beta":
        x = 1 / (1 + np.exp(-x))
    elif tensor.name == "k":
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
    if tensor.dtype == "bf16":
        return wyvern.to_bf16(x)
    return x.astype({"f16": np.float16, "f32": np.float32}[tensor.dtype])


def make_inputs(program, batch, time, cu_seqlens, given=()):
    rng = np.random.default_rng(7)
    sizes = {"seq": batch, "time": time}
    inputs = dict(given)
    for name, tensor in program.inputs.items():
        if name == "cu_seqlens":
            inputs[name] = None if cu_seqlens is None else np.array(cu_seqlens, np.int64)
        elif name not in inputs:
            timed = any(kind == "time" for kind, _ in tensor.dims)
            of = sizes if timed or cu_seqlens is None else {"seq": len(cu_seqlens) - 1}
            inputs[name] = draw(tensor, of, rng)
    return inputs


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].any(), name
        # Not compared in the assertion: a report of what differs in a megabyte takes minutes.
        same = one[name].tobytes() == other[name].tobytes()
        assert same, name


def compile_part(text, name, schedule, backward=False, save="factor", segment_tokens=0):
    """The kernels of a strategy, of a forward that trains or of its backward."""
    module = _compiler.read_spec(text, name, "yaml", "")[0][1]
    operand_type = re.search(r"^dtype: (\w+)", text, re.M)[1]
    compiled = _compiler.compile_cpu(module, "", "scheduled", operand_type, True, save, backward, schedule, segment_tokens)
    return wyvern.CpuProgram(compiled, "rounded")


def kernels_of(wyvernc, path, schedule):
    """Returns the kernels of a strategy that a forward and its backward are made of, as text."""
    command = [wyvernc, path, "--emit=scheduled", "--training", f"--schedule={schedule}", "-o", "-"]
    functions = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("func.func ")
    assert len(functions) == 3
    return functions[1:]


@pytest.mark.parametrize("name", [*SPECS, "deltaproduct of 5"])
def test_strategies_change_no_bit(name, wyvernc, tmp_path):
    """Most strategies leave the kernels of a backward as they are, and some those of a forward, and compiling
    those takes the time: so the same kernels are compiled and compared once."""
    spec, path = small(name), tmp_path / "layer.yaml"
    path.write_text(spec)
    rounded = wyvern.compile(spec, target="cpu", precision="rounded", training=True)
    expected, compared = [], set()
    for place in PLACES:
        inputs = make_inputs(rounded, *place)
        outs = rounded(**inputs)
        known = {key: x for key, x in {**inputs, **outs}.items() if key in rounded.backward.inputs}
        back = make_inputs(rounded.backward, *place, known)
        expected.append((inputs, outs, back, rounded.backward(**back)))
    # Of a decay a channel no fused kernel is compiled for a GPU; one strategy shows that they are right.
    fused = ["fused-warps"] if "decay: channel" in spec else ["fused-blocks", "fused-warps"]
    for schedule in ("separate", *fused):
        for is_backward, kernels in enumerate(kernels_of(wyvernc, path, schedule)):
            if kernels in compared:
                continue
            compared.add(kernels)
            part = compile_part(spec, name, schedule, backward=bool(is_backward))
            for inputs, outs, back, gradients in expected:
                given, wanted = (back, gradients) if is_backward else (inputs, outs)
                assert_same_bits(part(**given), wanted)


@pytest.mark.parametrize("name, dims", [("gated_deltanet", "96, value: 80"), ("kda", "48, value: 72"), ("kda", "128, value: 64"), ("gated_deltaproduct", "32, value: 192"), ("gated_deltanet", "256, value: 512"), ("gated_deltanet", "128, value: 192"), ("kda", "96, value: 32")])
def test_other_head_dims_change_no_bit(name, dims):
    """Tiles of whole blocks of columns, with zeros behind what the tensors have (delta-pad-dims), and
    parts of the values where a block has no room for all (delta-cut-maps), and of channels that have a
    decay of their own (delta-split-maps)."""
    spec = small(name).replace("64, value: 128", dims)
    rounded = wyvern.compile(spec, target="cpu", precision="rounded", training=True)
    forward, backward = (compile_part(spec, name, "separate", part) for part in (False, True))
    for place in PLACES:
        inputs = make_inputs(rounded, *place)
        outs = rounded(**inputs)
        assert_same_bits(forward(**inputs), outs)
        known = {key: x for key, x in {**inputs, **outs}.items() if key in rounded.backward.inputs}
        back = make_inputs(rounded.backward, *place, known)
        assert_same_bits(backward(**back), rounded.backward(**back))


@pytest.mark.parametrize("schedules", [("separate", "separate"), ("fused-warps", "fused-backward"), ("fused-blocks", None)])
@pytest.mark.parametrize("name", ["delta_net-340M", "gated_deltanet"])
def test_kernels_of_saved_states_change_no_bit(name, schedules):
    """The forward is a map and a chain, or one kernel of both. The backward is a chain and one map, whose blocks
    visit runs of chunks in two roles where it has no gate; or one kernel of both."""
    of_forward, of_backward = schedules
    spec = small(name)
    rounded = wyvern.compile(spec, target="cpu", precision="rounded", training=True, save="states")
    forward = compile_part(spec, name, of_forward, save="states")
    backward = compile_part(spec, name, of_backward, backward=True, save="states") if of_backward else None
    for place in [(1, 600, None), PLACES[1]]:
        inputs = make_inputs(rounded, *place)
        outs = rounded(**inputs)
        assert_same_bits(forward(**inputs), outs)
        if backward is None:
            continue
        known = {key: x for key, x in {**inputs, **outs}.items() if key in rounded.backward.inputs}
        back = make_inputs(rounded.backward, *place, known)
        assert_same_bits(backward(**back), rounded.backward(**back))


@pytest.mark.parametrize("name", ["delta_net-340M", "gated_deltanet"])
def test_strategies_of_segments_change_no_bit(name):
    """Carries start from zeros and the identity in kernels, and in maps of their own without. Fused, the last
    chain has a kernel with what it alone reads of the map."""
    options = dict(target="cpu", precision="rounded", segment_tokens=128)
    rounded = wyvern.compile(small(name), **options)
    for schedule in ("separate", "fused-blocks", "fused-warps"):
        program = wyvern.compile(small(name), schedule=schedule, **options)
        for place in [(2, 300, None), (1, 300, [0, 5, 5, 170, 290])]:
            inputs = make_inputs(rounded, *place)
            assert_same_bits(program(**inputs), rounded(**inputs))


@pytest.mark.parametrize("name", ["delta_net-340M", "gated_deltanet"])
def test_segments_that_train_change_no_bit(name):
    """The forward's last chain saves what it makes of the map for itself; the backward's has one kernel with the map
    behind it. Each reads what the other's kernels of their own save."""
    spec, options = small(name), dict(save="states", segment_tokens=128)
    rounded = wyvern.compile(spec, target="cpu", precision="rounded", training=True, **options)
    forward = compile_part(spec, name, "fused-warps", **options)
    backward = compile_part(spec, name, "fused-backward", backward=True, **options)
    for place in [(2, 300, None), (1, 300, [0, 5, 5, 170, 290])]:
        inputs = make_inputs(rounded, *place)
        outs = rounded(**inputs)
        assert_same_bits(forward(**inputs), outs)
        known = {key: x for key, x in {**inputs, **outs}.items() if key in rounded.backward.inputs}
        back = make_inputs(rounded.backward, *place, known)
        assert_same_bits(backward(**back), rounded.backward(**back))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", sorted(WRITTEN.glob("delta-net-*.mlir")), ids=lambda path: path.stem)
def test_written_schedules_change_no_bit(path, place):
    rounded = wyvern.compile(DELTA_NET, target="cpu", precision="rounded")
    program = wyvern.compile(path, target="cpu")
    inputs = make_inputs(rounded, *place)
    assert_same_bits(program(**inputs), rounded(**inputs))


@pytest.mark.parametrize("name", ["gated_deltanet", "kda"])
def test_phases_go_on_from_where_they_are(name, wyvernc, tmp_path):
    """Whoever changes the IR of a phase by hand compiles it from there: unchanged it has the bits of the spec."""
    spec, path, folder = small(name), tmp_path / "layer.yaml", tmp_path / "phases"
    path.write_text(spec)
    command = [wyvernc, path, "--training", "--save=factor", "--schedule=separate", "--emit=scheduled"]
    subprocess.run([*command, f"--save-temps={folder}", "-o", tmp_path / "layer.mlir"], check=True)
    expected = wyvern.compile(spec, target="cpu", precision="rounded", training=True)
    inputs = make_inputs(expected, *PLACES[1])
    outs = expected(**inputs)
    known = {key: x for key, x in {**inputs, **outs}.items() if key in expected.backward.inputs}
    back = make_inputs(expected.backward, *PLACES[1], known)
    for phase in ("2-wy", "3-differentiated", "4-staged", "5-rounded", "6-scheduled"):
        program = wyvern.compile(folder / f"{phase}.mlir", target="cpu", precision="rounded", training=phase == "2-wy")
        assert_same_bits(program(**inputs), outs)
        assert_same_bits(program.backward(**back), expected.backward(**back))


def check_backward(spec, name, schedule, reordered=()):
    """Compares the bits of a layer's backward, whose forward saves states, with the chunk programs'; of what is
    `reordered`, a sum in f32 of other partial sums, the values."""
    rounded = wyvern.compile(spec, target="cpu", precision="rounded", training=True, save="states")
    backward = compile_part(spec, name, schedule, backward=True, save="states")
    for place in PLACES:
        inputs = make_inputs(rounded, *place)
        outs = rounded(**inputs)
        known = {key: x for key, x in {**inputs, **outs}.items() if key in rounded.backward.inputs}
        back = make_inputs(rounded.backward, *place, known)
        found, expected = backward(**back), rounded.backward(**back)
        for key in reordered:
            a, b = (np.asarray(x.pop(key), dtype=np.float64) for x in (found, expected))
            assert np.linalg.norm(a - b) < 1e-6 * np.linalg.norm(b)
        assert_same_bits(found, expected)


@pytest.mark.parametrize("name, reordered", [("delta_net-340M", []), ("gated_deltanet", ["d_g"])])
def test_kernels_of_clusters_change_no_bit(name, reordered):
    """The backward of two blocks a head, each with half of the values and, in the map, of the key channels. Rows and
    columns of pairs of Q and of K are summed at once for the gradient of a gate."""
    spec = small(name).replace("key: 64, value: 128", "key: 128, value: 128")
    check_backward(spec, name, "clustered-backward", reordered)


@pytest.mark.parametrize("name", ["delta_net-340M", "gated_deltanet"])
def test_kernels_of_pairs_change_no_bit(name, wyvernc, tmp_path):
    """The backward of two value heads that share a key head, whose blocks sum what is of that."""
    spec = small(name).replace("key: 64, value: 128", "key: 128, value: 128")
    spec = re.sub(r"^heads:.*$", "heads: {key: 2, value: 4}", spec, flags=re.M)
    path = tmp_path / "layer.yaml"
    path.write_text(spec)
    command = [wyvernc, path, "--emit=scheduled", "--training", "--save=states", "--schedule=fused-backward", "-o", "-"]
    assert "grid(heads = 4 in pairs," in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    check_backward(spec, name, "fused-backward")


def recurrence_of_cluster(k, beta, state, start, end):
    """What Inputs/cluster.mlir computes of one sequence, in float64: x, y, pairs and dots of its tokens."""
    x, y = np.zeros((2, 0, *k.shape[1:]))
    pairs = np.zeros((0, k.shape[1], 64))
    for first in range(start, end, 64):
        keys, rates = k[first : min(first + 64, end)], beta[first : min(first + 64, end)]
        rows = np.einsum("thk,hkv->thv", keys, state) * rates[..., None]
        dots = np.einsum("thv,shv->ths", rows, rows)
        x = np.concatenate([x, rows])
        y = np.concatenate([y, np.einsum("thv,hkv->thk", rows, state) + np.einsum("ths,shk->thk", dots, keys)])
        pairs = np.concatenate([pairs, np.pad(dots, ((0, 0), (0, 0), (0, 64 - len(keys))))])
        state = state - np.einsum("thk,thv->hkv", keys, rows)
    return x, y, pairs, (y * k[start:end]).sum(-1) + beta[start:end], state


@pytest.mark.parametrize("place", PLACES)
def test_blocks_of_a_cluster_compute_one_program(place):
    """A schedule with a role that blocks divide, one that each block has whole, and channels across blocks."""
    program = wyvern.compile(WRITTEN / "cluster.mlir", target="cpu")
    inputs = make_inputs(program, *place)
    outs = program(**inputs)
    k, beta = wyvern.from_bf16(inputs["k"]).astype(np.float64), inputs["beta"].astype(np.float64)
    batch, time, cu_seqlens = place
    bounds = [(0, a, b) for a, b in zip(cu_seqlens, cu_seqlens[1:])] if cu_seqlens else [(b, 0, time) for b in range(batch)]
    for number, (row, start, end) in enumerate(bounds):
        state = inputs["initial_state"][number].astype(np.float64)
        *expected, last = recurrence_of_cluster(k[row], beta[row], state, start, end)
        for name, rows in zip(("x", "y", "pairs", "dots"), expected):
            given = (outs[name] if name == "dots" else wyvern.from_bf16(outs[name]))[row, start:end]
            assert np.linalg.norm(given - rows) <= 1e-2 * np.linalg.norm(rows), name
        assert np.linalg.norm(outs["final_state"][number] - last) <= 1e-2 * np.linalg.norm(last)


def test_a_wrong_schedule_is_seen():
    """Rounding what goes through a channel to fewer bits is a difference."""
    text = (WRITTEN / "delta-net-four-roles.mlir").read_text()
    dots = "%dots = sched.channel depth 1 fill warps : "
    assert dots + "<tensor<64x64xf32>>" in text
    wrong = text.replace(dots + "<tensor<64x64xf32>>", dots + "<tensor<64x64xbf16>>")
    wrong = re.sub(r"(%L (?:to|=)[^\n]*%dots : )<tensor<64x64xf32>>", r"\1<tensor<64x64xbf16>>", wrong)
    rounded = wyvern.compile(DELTA_NET, target="cpu", precision="rounded")
    inputs = make_inputs(rounded, *PLACES[0])
    assert wyvern.compile(wrong, target="cpu")(**inputs)["o"].tobytes() != rounded(**inputs)["o"].tobytes()


def test_options():
    for words, options in [
        ("schedule: expected separate, fused-blocks", dict(target="cpu", precision="rounded", schedule="fast")),
        ("schedule: kernels round", dict(target="cpu", schedule="separate")),
        ("schedule: expected separate, .* clustered-backward, found", dict(schedule="fast")),
    ]:
        with pytest.raises(ValueError, match=words):
            wyvern.compile(DELTA_NET, **options)
