# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which ops a call with gradients runs: those that save states where a program does, on a GPU.

What the programs compute is judged in test_torch_saved.py, and on a GPU by
test/Integration/gpu_training.py --save states; here tensors of the CPU are taken for a GPU's.
"""

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import wyvern
from saving_cases import refuse_states
from wyvern._core import bundles
from wyvern.torch import ContextParallel, _programs, _saving, chunk_delta_rule, chunk_gated_delta_rule, op

LAYER = {
    "name": "mine",
    "heads": {"key": 1, "value": 2},
    "dims": {"key": 16, "value": 16},
    "dtype": "bf16",
    "decay": "head",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}


@pytest.fixture(autouse=True)
def as_if_on_a_gpu(monkeypatch, tmp_path, wyvernc):
    monkeypatch.setenv("WYVERN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_saving, "_runs_on", lambda device: True)
    monkeypatch.setattr(_saving, "_twins", {})
    monkeypatch.setattr(_programs, "target_of", lambda device: "sm_90a")
    # One variant is compiled in a fifth of the time.
    compile = wyvern.compile

    def compile_one(*args, target, **options):
        only = {"schedule": "separate"} if target != "cpu" else {}
        return compile(*args, target=target, **options, **only)

    monkeypatch.setattr(bundles.wyvern, "compile", compile_one)


def make(dim=16, tokens=70):
    torch.manual_seed(0)
    q, k = (torch.nn.functional.normalize(torch.randn(1, tokens, 1, dim), dim=-1) for _ in range(2))
    v, gate, beta = torch.randn(1, tokens, 2, dim), -torch.rand(1, tokens, 2), torch.rand(1, tokens, 2)
    data = {"q": q.bfloat16(), "k": k.bfloat16(), "v": v.bfloat16(), "g": gate, "beta": beta}
    return {name: x.requires_grad_() for name, x in data.items()}


def run(function, data, **options):
    """o and all gradients, and the ops that were called."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        o = function(**data, **options)[0]
        gradients = torch.autograd.grad(o.float().square().sum(), list(data.values()))
    ops = {x.key.removeprefix("wyvern::") for x in profile.key_averages() if x.key.startswith("wyvern::")}
    return [o, *gradients], ops


def by_the_factor(monkeypatch, function, data, **options):
    with monkeypatch.context() as patch:
        patch.setattr(_saving, "_runs_on", lambda device: False)
        return run(function, data, **options)


def saved_by(ops):
    """What the forward among some ops returns behind o and the final state."""
    (forward,) = (x for x in ops if x.endswith("_forward"))
    return [x.name for x in getattr(torch.ops.wyvern, forward).default._schema.returns][2:]


def close(found, expected):
    for x, y in zip(found, expected):
        assert (x - y).norm() <= 2e-2 * y.norm()


@pytest.mark.parametrize("function", [chunk_gated_delta_rule, op(LAYER)], ids=["function", "op"])
def test_states_are_saved(function, monkeypatch):
    data = make()
    found, ops = run(function, data)
    assert saved_by(ops) == ["factor", "rows", "state", "mapped", "mapped_1", "mapped_2"]
    expected, ops = by_the_factor(monkeypatch, function, data)
    assert saved_by(ops) == ["factor"]
    close(found, expected)
    # A call without gradients has one program.
    with torch.no_grad():
        function(**data)
    assert len(_saving._twins) == 1


def test_no_program_is_made_twice(monkeypatch):
    run(chunk_gated_delta_rule, make())
    monkeypatch.setattr(bundles.wyvern, "compile", None)
    run(chunk_gated_delta_rule, make(tokens=130))


def test_the_environment_s_choice(monkeypatch):
    monkeypatch.setenv("WYVERN_SAVE", "factor")
    assert saved_by(run(chunk_gated_delta_rule, make())[1]) == ["factor"]
    monkeypatch.setattr(_saving, "_twins", {})
    monkeypatch.setenv("WYVERN_SAVE", "all")
    with pytest.raises(ValueError, match="WYVERN_SAVE: expected auto .*, states or factor, found 'all'"):
        run(chunk_gated_delta_rule, make())


def test_a_variant_for_both_directions(monkeypatch):
    monkeypatch.setenv("WYVERN_VARIANT", "separate")
    run(chunk_gated_delta_rule, make())
    (twin,) = _saving._twins.values()
    program = twin.family.bundle
    assert {x.choose(1, 70, 1) for x in (program, program.backward)} == {"separate"}
    monkeypatch.setattr(_saving, "_twins", {})
    monkeypatch.setenv("WYVERN_VARIANT", "other")
    with pytest.raises(ValueError, match="has no variant 'other'; its variants are separate"):
        run(chunk_gated_delta_rule, make())


def test_a_state_that_is_too_large(monkeypatch, tmp_path):
    """The compiler chooses by memory, and its bundle says so: one is compiled, for both."""
    data = {name: x for name, x in make(dim=256, tokens=20).items() if name != "g"}
    assert saved_by(run(chunk_delta_rule, data)[1]) == ["factor"]
    (folder,) = tmp_path.iterdir()
    assert wyvern.load(folder).manifest["saved"] == {"what": "factor", "chosen": True}


def test_bundles_that_are_there(monkeypatch, tmp_path):
    """Where nothing compiles, states are saved if some bundle saves them, whoever has asked for that."""
    compile = wyvern.compile

    def for_cpu_alone(*args, target, **options):
        if target != "cpu":
            raise ImportError("no module named wyvern._compiler")
        return compile(*args, target=target, **options)

    function = op(LAYER)
    monkeypatch.setattr(bundles.wyvern, "compile", for_cpu_alone)
    assert saved_by(run(function, make())[1]) == ["factor"]
    compile(LAYER, target="sm_90a", output=tmp_path / "factor", training=True, save="factor")
    monkeypatch.setattr(_saving, "_twins", {})
    assert saved_by(run(function, make())[1]) == ["factor"]
    compile(LAYER, target="sm_90a", output=tmp_path / "states", training=True, save="states")
    monkeypatch.setattr(_saving, "_twins", {})
    assert "state" in saved_by(run(function, make())[1])


def test_states_that_the_compiler_refuses(monkeypatch):
    """It saves the factor then, and says so in the bundle."""
    data = {name: x for name, x in make(dim=192, tokens=20).items()}
    data["v"] = data["v"].detach()[..., :64].requires_grad_()
    with pytest.warns(UserWarning, match="gated_delta_rule: the factor is saved .* slower: kernel .* spills registers"):
        assert saved_by(run(chunk_gated_delta_rule, data)[1]) == ["factor"]


def test_a_program_that_does_not_compile(monkeypatch):
    refuse_states(monkeypatch)
    with pytest.warns(UserWarning, match="gated_delta_rule: the factor is saved .* slower: it spills$"):
        assert saved_by(run(chunk_gated_delta_rule, make())[1]) == ["factor"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(chunk_gated_delta_rule, make())


def test_a_gpu_without_programs(monkeypatch):
    def other(device):
        raise NotImplementedError("sm_80")

    monkeypatch.setattr(_programs, "target_of", other)
    assert saved_by(run(chunk_gated_delta_rule, make())[1]) == ["factor"]


def test_ranks_pass_factors_on(monkeypatch):
    """The chunks of ranks are not those of one call."""
    data = make()
    parts, ops = run(chunk_gated_delta_rule, data, cp_context=ContextParallel.alone(segments=2))
    assert not _saving._twins
    close(parts, run(chunk_gated_delta_rule, data)[0])


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled(dynamic):
    function = lambda **data: chunk_gated_delta_rule(**data, scale=0.25)
    layer = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for tokens in (70, 130):
        data = make(tokens=tokens)
        found, ops = run(layer, data)
        assert saved_by(ops)[1:3] == ["rows", "state"]
        close(found, run(function, data)[0])


def test_gradients_of_each_sample():
    data = {name: x.detach() for name, x in make().items()}
    names = list(data)
    loss = lambda *tensors: chunk_gated_delta_rule(**dict(zip(names, tensors)))[0].float().square().sum()
    gradients = torch.func.grad(loss, tuple(range(len(names))))
    both = [torch.stack([x, x.flip(1)]) for x in data.values()]
    mapped = torch.func.vmap(gradients)(*both)
    for i in range(2):
        close([x[i] for x in mapped], gradients(*(x[i] for x in both)))
