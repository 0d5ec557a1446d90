# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""benchmarks/: cases, the float64 reference, who is refused, and what a report says;
peers are made up here, and no GPU is needed."""

import json
import subprocess
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def benchmarks(root, monkeypatch):
    monkeypatch.syspath_prepend(root)
    import benchmarks.bundles
    import benchmarks.forward
    import benchmarks.report

    return benchmarks


def small(**changes):
    from benchmarks.cases import Case

    return replace(Case("gated", (70, 3), 1, 2, "strong", initial_state=True), **changes)


def oracle(inputs):
    """The rule token by token (test/python/delta_oracle.py)."""
    import delta_oracle

    case, of = inputs.case, inputs.operands
    rest = {"g": inputs.g, "initial_state": inputs.initial_state, "scale": inputs.scale}
    if case.rule == "rwkv7":
        minus, zeros = -torch.ones(inputs.v.shape[:3], dtype=torch.float64), torch.zeros_like(inputs.v)
        return delta_oracle.dense(
            inputs.q, of["b"], zeros, minus, erase_key=of["a"], before_decay=True, also_k=inputs.k, also_v=inputs.v, **rest
        )
    tensors = (inputs.q, inputs.k, inputs.v, inputs.beta)
    if inputs.cu_seqlens is None:
        return delta_oracle.dense(*tensors, repeat=case.rows, **rest)
    return delta_oracle.packed(inputs.cu_seqlens, *tensors, repeat=case.rows, **rest)


def fake(shift=0.0, nan=False, **options):
    """A peer that is `shift` off, relative to o."""
    from benchmarks.peers.base import Run

    def prepare(inputs):
        o, state = oracle(inputs)
        o = o * (1 + shift)
        if nan:
            o[0, -1, -1, -1] = float("nan")
        return Run(lambda: (o, state), lambda result: result, **options)

    return prepare


def times(**ms):
    """What timing.measure does, with times that are known."""

    def measure(calls, repeats):
        return {name: {"gpu_ms": ms[name.replace("-", "_")], "host_ms": 0.05, "samples": []} for name in calls}

    return measure


def compare(contestants, case=None, **ms):
    from benchmarks.comparing import compare
    from benchmarks.forward import WORK

    return compare(WORK, case or small(), contestants, device="cpu", measure=times(**ms))


# === Cases ===


def test_the_rows_that_are_asked_for():
    from benchmarks.cases import BARS, PAPER, PAPER_HEADS, PAPER_LENGTHS, TRAINING

    assert (len(PAPER_HEADS), len(PAPER_LENGTHS), len(PAPER)) == (9, 19, 171)
    assert len({case.name for case in BARS + PAPER}) == len(BARS + PAPER)
    assert all(case.bar for case in BARS + TRAINING)
    assert all(case.value_heads % case.key_heads == 0 for case in BARS + PAPER + TRAINING)


def test_the_floor_of_a_row_is_its_bytes():
    from benchmarks.cases import BARS
    from benchmarks.report import floor_ms

    case = next(case for case in BARS if case.name == "delta 4x8192 32/32")
    tokens = 4 * 8192
    assert case.bytes == tokens * 32 * (4 * 128 * 2 + 4) + 4 * 32 * 128 * 128 * 4
    assert floor_ms(case.bytes) == pytest.approx(0.259, abs=1e-3)


@pytest.mark.parametrize("law, low, high", [("strong", -1.0, -0.05), ("weak", -3e-3, -3e-4), ("paper", -0.06, -0.02)])
def test_decays_have_their_law(law, low, high):
    from benchmarks.cases import make_inputs

    g = make_inputs(small(lengths=(512,), value_heads=64, decay=law), "cpu").g
    assert g.max() <= 0 and low < g.mean() < high
    assert bool((g[..., 3::4] == 0).all()) == (law == "paper")


def test_inputs_are_the_same_on_every_run():
    from benchmarks.cases import make_inputs

    one, two = (make_inputs(small(), "cpu") for _ in range(2))
    assert all(torch.equal(getattr(one, x), getattr(two, x)) for x in ("q", "k", "v", "g", "beta", "initial_state"))
    assert one.cu_seqlens.tolist() == [0, 70, 73] and one.q.shape[:2] == (1, 73)


# === The reference ===

# One small case of each rule that is no plain delta rule.
FAMILY = {
    "kda": {"rule": "kda", "key_heads": 2, "decay": "strong"},
    "gated, other dims": {"dims": (6, 10)},
    "product": {"rule": "product", "decay": "", "rows": 3, "dims": (8, 4), "initial_state": False},
    "rwkv7": {"rule": "rwkv7", "lengths": (70, 70), "key_heads": 2, "decay": "weak", "dims": (8, 8)},
}


@pytest.mark.parametrize("changes", FAMILY.values(), ids=FAMILY)
def test_the_reference_of_the_family_is_its_recurrence(changes):
    from benchmarks.cases import make_inputs
    from benchmarks.peers.base import autograd_step
    from benchmarks.reference import error, gradients, outputs

    inputs = make_inputs(small(**changes), "cpu")
    for x, reference in zip(outputs(inputs), oracle(inputs), strict=True):
        assert x.shape == reference.shape and error(x, reference) < 1e-12
    run = autograd_step(lambda *operands: oracle(replace(inputs, operands=dict(zip(inputs.operands, operands)))), inputs)
    for x, reference in zip(run.read(run.call()), gradients(inputs), strict=True):
        assert error(x, reference) < (1e-2 if x.dtype == torch.bfloat16 else 1e-6)


@pytest.mark.parametrize("changes", FAMILY.values(), ids=FAMILY)
def test_the_spec_of_a_rule_is_the_rule(changes, tmp_path, benchmarks):
    """Its program takes the operands by their names, and computes what the reference does."""
    wyvern = pytest.importorskip("wyvern")
    pytest.importorskip("wyvern._compiler")
    from benchmarks.bundles import spec
    from benchmarks.cases import make_inputs
    from benchmarks.reference import error, outputs

    case = small(**changes)
    inputs = make_inputs(case, "cpu")
    program = wyvern.compile(spec(case), target="cpu")
    tensors = dict(inputs.operands)
    if inputs.initial_state is not None:
        tensors["initial_state"] = inputs.initial_state
    found = program(**tensors, cu_seqlens=inputs.cu_seqlens)
    for name, reference in zip(("o", "final_state"), outputs(inputs), strict=True):
        assert error(torch.as_tensor(found[name]), reference) < 1e-2


@pytest.mark.parametrize(
    "changes",
    [{}, {"decay": "weak"}, {"rule": "delta", "decay": "", "initial_state": False}, {"lengths": (130, 130)}],
)
def test_the_chunked_reference_is_the_recurrence(changes):
    from benchmarks.cases import make_inputs
    from benchmarks.reference import error, outputs

    inputs = make_inputs(small(**changes), "cpu")
    for x, reference in zip(outputs(inputs), oracle(inputs)):
        assert x.shape == reference.shape
        assert error(x, reference) < 1e-12


@pytest.mark.parametrize("changes", [{}, {"rule": "delta", "decay": "", "initial_state": False}])
def test_the_reference_of_a_step_is_the_recurrence(changes):
    from benchmarks.cases import make_inputs
    from benchmarks.peers.base import autograd_step
    from benchmarks.reference import error, gradients

    inputs = make_inputs(small(**changes), "cpu")
    run = autograd_step(lambda *operands: oracle(replace(inputs, operands=dict(zip(inputs.operands, operands)))), inputs)
    found = run.read(run.call())
    references = gradients(inputs)
    assert len(references) == len(found) == len(inputs.operands)
    for x, reference in zip(found, references):
        assert x.shape == reference.shape
        assert error(x, reference) < (1e-2 if x.dtype == torch.bfloat16 else 1e-6)


# === Who takes part ===


def test_a_right_peer_is_timed():
    row = compare({"wyvern-a": fake(), "peer": fake(shift=4e-3)}, wyvern_a=1.0, peer=2.0)
    entry = row["results"]["peer"]
    assert entry["gpu_ms"] == 2.0 and entry["exact"]
    assert entry["errors"][0] == pytest.approx(4e-3, rel=1e-6) and entry["errors"][1] < 1e-12


@pytest.mark.parametrize("fault", [{"shift": 2e-2}, {"nan": True}])
def test_a_wrong_peer_is_not_timed(fault):
    row = compare({"wyvern-a": fake(), "peer": fake(**fault)}, wyvern_a=1.0)
    entry = row["results"]["peer"]
    assert "gpu_ms" not in entry and entry["refused"].startswith("wrong: errors")


def test_our_own_wrong_result_is_not_timed_either():
    row = compare({"wyvern-a": fake(shift=1.0), "peer": fake()}, peer=1.0)
    assert "refused" in row["results"]["wyvern-a"]


def test_a_peer_that_is_missing_is_named():
    from benchmarks.peers import PEERS

    row = compare({"flash_qla": PEERS["flash_qla"]})
    assert row["results"]["flash_qla"]["refused"].startswith("ModuleNotFoundError")


def test_a_peer_refuses_what_it_does_not_have():
    from benchmarks.peers import PEERS

    case = small(rule="delta", decay="")
    row = compare({name: PEERS[name] for name in ("flash_qla", "cudnn", "fla", "jla")}, case)
    refused = {name: entry["refused"] for name, entry in row["results"].items()}
    assert refused["flash_qla"] == "FlashQLA has no rule without a gate"
    assert refused["cudnn"] == "cuDNN has no rule without a gate"
    assert "groups of value heads" in refused["fla"] and "packed sequences" in refused["jla"]


def test_a_clock_of_its_own_is_used():
    row = compare({"peer": fake(clock=lambda: 3.0)})
    assert row["results"]["peer"]["gpu_ms"] == 3.0 and row["results"]["peer"]["wall"]


class Autotuner:
    """As Triton's: it measures each of its configurations and takes the fastest."""

    def __init__(self, count):
        self.configs, self.measured, self.stored = list(range(count)), [], []

    def do_bench(self, call, quantiles=None):
        raise AssertionError("measured")

    def _bench(self, *args, config, **meta):
        return self.do_bench(lambda: self.measured.append(config))

    def check_disk_cache(self, key, configs, bench):
        self.stored.append(key)

    def run(self):
        times = {}
        found = self.check_disk_cache("key", self.configs, lambda: times.update({c: self._bench(config=c) for c in self.configs}))
        assert not found and not self.stored
        return min(times.values())


@pytest.mark.parametrize("count", [1, 3, 14, 31])
def test_processes_divide_the_configurations_of_a_tuner(monkeypatch, count):
    from benchmarks.tune_fla import compile_part

    compiled = []
    for part in range(14):
        with monkeypatch.context() as patch:
            patch.setattr(Autotuner, "_bench", Autotuner._bench)
            patch.setattr(Autotuner, "check_disk_cache", Autotuner.check_disk_cache)
            compile_part(Autotuner, part, 14)
            tuner = Autotuner(count)
            assert tuner.run()[0] < float("inf"), "each process has one to go on with"
            compiled += tuner.measured
    assert sorted(set(compiled)) == list(range(count))
    assert count < 14 or len(compiled) == count


def test_unknown_peers_are_an_error(capsys):
    from benchmarks.forward import parse

    with pytest.raises(SystemExit):
        parse(["--peers", "flashinfer,nobody"])
    assert "expected names of flashinfer" in capsys.readouterr().err


def test_a_training_step_is_judged_by_its_gradients():
    from benchmarks.comparing import compare
    from benchmarks.peers.base import autograd_step
    from benchmarks.training import WORK

    def peer(factor):
        def prepare(inputs):
            def call(*operands):
                o, state = oracle(replace(inputs, operands=dict(zip(inputs.operands, operands))))
                return o * factor, state

            return autograd_step(call, inputs)

        return prepare

    kernels = lambda call: {"a_map": 3.0}  # noqa: E731
    contestants = {"wyvern": peer(1.0), "peer": peer(1.0), "wrong": peer(1.1)}
    row = compare(WORK, small(), contestants, device="cpu", measure=times(wyvern=1.0, peer=2.0), kernels=kernels)
    assert row["results"]["wrong"]["refused"].startswith("wrong: errors")
    assert row["results"]["wyvern"]["kernels"] == {"a_map": 3.0} and "kernels" not in row["results"]["peer"]
    assert len(row["results"]["peer"]["errors"]) == len(row["quantities"]) == 5


# === Host time ===


def test_host_time_of_every_way(benchmarks, tmp_path, capsys):
    from benchmarks.host_time import main

    times = tmp_path / "times.json"
    assert main(["--device", "cpu", "--rounds", "1", "--json", str(times)]) == 0
    found = json.loads(times.read_text())
    assert {"chunk_delta_rule", "op", "the program", "forward and backward"} < set(found)
    assert all(len(x) == 2 and min(x) > 0 for x in found.values())
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["in", "a", "row", "alone"]
    assert [line.split(" us  ")[1] for line in lines] == list(found)


def test_host_time_compiles_what_is_timed_on_a_gpu(benchmarks, tmp_path, wyvernc):
    from benchmarks.host_time import KERNELS, main

    assert main(["--compile", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "inference" / "manifest.json").read_text())
    kernels = {variant["name"]: len(variant["kernels"]) for variant in manifest["variants"]}
    assert KERNELS.items() <= kernels.items()
    assert all((tmp_path / f"{variant}.so").exists() for variant in KERNELS)
    (tmp_path / "libcuda.so.1").write_text("not a library")
    command = [tmp_path / "c", tmp_path / "inference", *KERNELS]
    done = subprocess.run(command, env={"LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 3 and "no NVIDIA driver: " in done.stderr


# === The report ===


def rows():
    """Two rows: ours 1 and 2 ms; the exact peer 2 and 1 ms, an inexact one faster."""
    contestants = {"wyvern-a": fake(), "wyvern-b": fake(), "exact": fake(), "inexact": fake(exact=False)}
    first = compare(contestants, small(bar=1.5), wyvern_a=1.0, wyvern_b=3.0, exact=2.0, inexact=0.5)
    second = compare(contestants, small(lengths=(64,), bar=1.1), wyvern_a=4.0, wyvern_b=2.0, exact=1.0, inexact=0.5)
    return [first, second]


def test_ratios_are_to_the_best_exact_peer(benchmarks):
    report = benchmarks.report
    first, second = rows()
    assert report.best_peer(first) == ("exact", 2.0) and report.our_best(second) == ("wyvern-b", 2.0)
    assert (report.ratio(first), report.ratio(second)) == (2.0, 0.5)
    assert report.geometric_mean([2.0, 0.5]) == pytest.approx(1.0)


def test_the_table_says_it_all(benchmarks):
    text = benchmarks.report.markdown({"rows": rows()})
    assert "| gated 70+3 1/2 strong | 1.0000 | 3.0000 | **2.0000** | (0.5000) | 2.00 | 1.5 |" in text
    assert "Geometric mean of 2 rows: 1.00; worst: gated 1x64 1/2 strong, 0.50." in text
    assert "1 of 2 rows reach what is asked of them." in text
    assert "wyvern-a: host time of a call 50 us" in text


def test_the_table_of_a_step_names_gradients_and_kernels(benchmarks):
    row = compare({"wyvern-a": fake()}, wyvern_a=1.0)
    row["results"]["wyvern-a"]["kernels"] = {"layer_map": 12.34}
    text = benchmarks.report.markdown({"work": "forward + backward", "rows": [row | {"quantities": ["dq", "dk"]}]})
    assert text.startswith("| forward + backward, ms | wyvern-a |")
    assert "largest errors: dq " in text
    assert "* gated 70+3 1/2 strong, wyvern-a, us: layer_map 12.3" in text


def test_the_matrix_has_a_line_for_the_tokens_and_a_column_for_the_heads(benchmarks):
    other = compare({"wyvern-a": fake(), "exact": fake()}, small(key_heads=2), wyvern_a=1.0, exact=8.0)
    text = benchmarks.report.matrix([*rows(), other])
    assert text.splitlines() == [
        "| best exact peer / ours | 1/2 | 2/2 |",
        "|---|---|---|",
        "| 70+3 | 2.00 | 8.00 |",
        "| 1x64 | 0.50 |  |",
        "| geometric mean | 1.00 | 8.00 |",
    ]


def test_a_row_without_a_peer_has_no_ratio(benchmarks):
    row = compare({"wyvern-a": fake(), "inexact": fake(exact=False)}, wyvern_a=1.0, inexact=0.5)
    assert benchmarks.report.ratio(row) is None
    assert "| 1.0000 | (0.5000) |  |  |" in benchmarks.report.markdown({"rows": [row]})


def test_the_report_reads_what_forward_writes(benchmarks, tmp_path, capsys):
    path = tmp_path / "forward.json"
    path.write_text(json.dumps({"machine": {}, "rows": rows()}))
    assert benchmarks.report.main([str(path)]) == 0
    assert "best exact peer / ours" in capsys.readouterr().out


# === Bundles ===


def test_bundles_are_those_of_gpu_check(root, monkeypatch, benchmarks):
    monkeypatch.syspath_prepend(root / "test/Integration")
    import gpu_cases

    layer = gpu_cases.Layer("delta", "head", 1, 2, 128, 128, "bf16")
    assert benchmarks.bundles.bundle_name(small()) == layer.name
    assert benchmarks.bundles.spec(small()) == layer.spec()


def test_a_zip_of_bundles_is_a_folder_of_bundles(tmp_path, benchmarks):
    import shutil

    (tmp_path / "bundles" / "layer").mkdir(parents=True)
    (tmp_path / "bundles" / "layer" / "manifest.json").write_text("{}")
    archive = shutil.make_archive(tmp_path / "packed", "zip", tmp_path / "bundles")
    assert (benchmarks.bundles.unpacked(archive) / "layer" / "manifest.json").read_text() == "{}"
    assert benchmarks.bundles.unpacked(tmp_path / "bundles") == tmp_path / "bundles"


def test_the_command_for_bundles_compiles_a_layer_a_head_configuration(tmp_path, monkeypatch, wyvernc, benchmarks):
    monkeypatch.setitem(benchmarks.bundles.ROWS, "bars", [small(), small(lengths=(64,))])
    archive = tmp_path / "bundles.zip"
    assert benchmarks.bundles.main([str(archive), "--wyvernc", str(wyvernc), "--schedule=fused-blocks"]) == 0
    (bundle,) = benchmarks.bundles.unpacked(archive).iterdir()
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert bundle.name == benchmarks.bundles.bundle_name(small())
    assert manifest["spec"]["heads"] == {"key": 1, "value": 2} and len(manifest["variants"][0]["kernels"]) == 1


# === Pictures ===


def test_bundles_of_ranks_are_those_of_the_public_functions(tmp_path, monkeypatch, benchmarks):
    import benchmarks.ranks

    import wyvern

    made = []
    monkeypatch.setattr(wyvern, "compile", lambda layer, output, training: made.append((layer, training)))
    benchmarks.ranks.main(["--prepare", str(tmp_path)])
    assert [training for _, training in made] == [False, True] * 2
    for (layer, _), name, decay in zip(made[::2], ("delta_rule", "gated_delta_rule"), ("none", "head")):
        assert (layer["name"], layer["decay"], layer["dims"]) == (name, decay, {"key": 128, "value": 128})


def test_pictures_show_every_row(benchmarks, tmp_path):
    from xml.etree import ElementTree

    path = tmp_path / "forward.json"
    path.write_text(json.dumps({"machine": {}, "rows": rows()}))
    assert benchmarks.report.main([str(path), "--pictures", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.svg")} == {"errors", "roofline", "bars", "times"}
    space = {"svg": "http://www.w3.org/2000/svg"}
    bars, roofline = (ElementTree.parse(tmp_path / f"{name}.svg") for name in ("bars", "roofline"))
    words = [element.text for element in bars.iterfind("svg:text", space)]
    assert {"gated 70+3 1/2 strong", "gated 1x64 1/2 strong", "2.00", "0.50"} <= set(words)
    circles = [element.find("svg:title", space).text for element in roofline.iterfind("svg:circle", space)]
    assert circles == ["wyvern-a", "exact", "wyvern-b", "exact"]


def test_variants_are_shown_with_the_one_that_runs(benchmarks):
    from benchmarks.variants import parse_shape, show

    assert parse_shape("4x8192") == (8192,) * 4
    assert show({"separate": 0.2, "fused-warps": 0.15}, "fused-warps") == "separate 0.2000, fused-warps 0.1500*"
    with pytest.raises(ValueError):
        parse_shape("4")


def test_a_step_is_timed_if_it_is_right(benchmarks, monkeypatch, capsys):
    """benchmarks/decode.py: a contestant whose o or states are others is left out, and says so."""
    import benchmarks.decode as decode

    monkeypatch.setattr(decode, "DEVICE", "cpu")
    operands, states = decode.draw(2, 1), torch.ones(3, 4)

    def off(o, state):
        return lambda operands, states, place: (operands["v"] * (1 + o), place.of(states) * (1 + state))

    kept = decode.keep_equal({"wyvern": off(0, 0), "near": off(1e-3, 0), "far": off(0.1, 0), "late": off(0, 0.1)}, operands, states, "f32")
    assert list(kept) == ["wyvern", "near"]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["far", "late"]


def test_the_floor_of_a_verify_is_half_of_a_steps(benchmarks):
    from benchmarks.decode import floor_us

    assert floor_us((64, 1, "step", "f32")) == pytest.approx(63.9, abs=0.1)
    assert floor_us((64, 4, "verify", "f32")) == pytest.approx(floor_us((64, 1, "step", "f32")) / 2)
    assert floor_us((64, 1, "step", "bf16")) == pytest.approx(floor_us((64, 1, "step", "f32")) / 2)
