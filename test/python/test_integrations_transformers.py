# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.integrations.transformers: small random models on the CPU, against the code in
torch that transformers runs without Wyvern."""

import importlib
import inspect
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import wyvern
from transformers_cases import MODELS, error, functions_of, make, step
from wyvern.integrations import transformers as integration

@pytest.fixture
def enabled():
    integration.enable()
    yield integration
    integration.disable()


@pytest.mark.parametrize("name", MODELS)
def test_logits_loss_and_gradients(name):
    model = make(name)
    tokens = torch.randint(3, 97, (2, 150))
    logits, loss, gradients = step(model, tokens)
    integration.enable()
    try:
        ours = step(model, tokens)
        assert integration.status().served == {functions_of(name)[0]: 3}
        assert integration.status().fell_back == {}
    finally:
        integration.disable()
    assert error(ours[0], logits) < 1e-5
    assert abs(ours[1] - loss) < 1e-5 * loss
    assert ours[2].keys() == gradients.keys()
    everything = torch.stack([x.norm() for x in gradients.values()]).norm()
    for name, expected in gradients.items():
        assert (ours[2][name] - expected).norm() < 1e-5 * everything, name
        # Those of A_log and dt_bias are small sums of large terms: both sides are as far
        # from float64 as from each other.
        assert error(ours[2][name], expected) < 2e-4, name


@pytest.mark.parametrize("name", MODELS)
def test_generates_the_same_tokens(name, enabled):
    """Prompt and steps are served, on transformers' cache; two rows, of which one begins with padding."""
    model = make(name).eval()
    tokens = torch.randint(3, 97, (2, 20))
    tokens[0, :6] = 0
    given = {"attention_mask": tokens.ne(0).long(), "max_new_tokens": 24, "do_sample": False, "output_logits": True}
    ours = model.generate(tokens, **given, return_dict_in_generate=True)
    status = integration.status()
    assert status.served == dict(zip(functions_of(name), (3, 3 * 23)))
    assert status.fell_back == {}
    integration.disable()
    theirs = model.generate(tokens, **given, return_dict_in_generate=True)
    assert torch.equal(ours.sequences, theirs.sequences)
    assert error(torch.stack(ours.logits), torch.stack(theirs.logits)) < 1e-5


def test_a_step_leaves_its_state(enabled):
    """What is passed as initial_state is the cache's, and transformers' to change."""
    q, k, v, g, beta = operands(tokens=3)
    state = torch.randn(1, 4, 8, 8)
    kept = state.clone()
    given = {"initial_state": state, "output_final_state": True, "use_qk_l2norm_in_kernel": True}
    function = functions().torch_recurrent_gated_delta_rule
    o, after = function(q, k, v, g, beta, **given)
    wanted, wanted_after = function.__wrapped__(q, k, v, g, beta, **given)
    assert torch.equal(state, kept) and error(o, wanted) < 1e-5 and error(after, wanted_after) < 1e-5
    with pytest.raises(ValueError, match="can't keep packed sequences apart"):  # transformers' own code says so
        function(q, k, v, g, beta, cu_seqlens=torch.tensor([0, 1, 2, 3]))
    assert "packed sequences" in next(iter(integration.status().fell_back["fused_recurrent_gated_delta_rule"]))


# === What is redirected ===


def functions():
    from transformers.models.qwen3_5 import modeling_qwen3_5 as module

    return module


def operands(dtype=torch.float32, tokens=70):
    torch.manual_seed(1)
    q, k = torch.randn(2, 1, tokens, 2, 8).to(dtype)
    v = torch.randn(1, tokens, 4, 8).to(dtype)
    return q, k, v, -torch.rand(1, tokens, 4), torch.rand(1, tokens, 4)


def test_disable_undoes_all():
    module = functions()
    before = module.torch_chunk_gated_delta_rule, module.torch_recurrent_gated_delta_rule
    integration.enable()
    redirected = module.torch_chunk_gated_delta_rule
    assert redirected is not before[0] and redirected.__wrapped__ is before[0]
    integration.enable()
    assert module.torch_chunk_gated_delta_rule is redirected
    finders = len(sys.meta_path)
    integration.disable()
    assert (module.torch_chunk_gated_delta_rule, module.torch_recurrent_gated_delta_rule) == before
    assert len(sys.meta_path) == finders - 1
    # Whoever has kept the function gets transformers' own, uncounted.
    redirected(*operands())
    assert integration.status() == type(integration.status())(False, {}, {})


def test_models_that_are_imported_later(enabled):
    name = "transformers.models.lara_mini.modeling_lara_mini"
    assert name not in sys.modules
    module = importlib.import_module(name)
    redirected = module.torch_chunk_gated_delta_rule
    assert "wyvern" in redirected.__code__.co_filename
    assert "def torch_chunk_gated_delta_rule" in inspect.getsource(module)
    integration.disable()
    assert module.torch_chunk_gated_delta_rule is redirected.__wrapped__


def test_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError):
        integration.enable()
    assert not integration.status().enabled


# === Calls ===


def test_packed_sequences_are_kept_apart(enabled):
    """transformers' own code refuses them."""
    q, k, v, g, beta = operands()
    cu = torch.tensor([0, 30, 70], dtype=torch.int32)
    call = functions().torch_chunk_gated_delta_rule
    o, _ = call(q, k, v, g=g, beta=beta, cu_seqlens=cu, seq_idx=None, position_ids=None)
    second, _ = call(*(x[:, 30:] for x in (q, k, v, g, beta)))
    assert torch.equal(o[:, 30:], second)
    assert integration.status().served == {"chunk_gated_delta_rule": 2}


@pytest.mark.parametrize(
    "reason, change, arguments",
    [
        ("programs take one type", lambda q, k, v: (q, k, v.double()), {}),
        ("no programs for torch.int32", lambda *x: tuple(y.int() for y in x), {}),
        ("cu_seq_lens_q is needed", lambda *x: x, {"seq_idx": torch.zeros(1, 70)}),
    ],
)
def test_falls_back_with_the_reason(enabled, reason, change, arguments):
    q, k, v, g, beta = operands()
    try:
        functions().torch_chunk_gated_delta_rule(*change(q, k, v), g, beta, **arguments)
    except Exception as error:  # transformers' own
        assert "wyvern" not in str(error)
    (reasons,) = integration.status().fell_back.values()
    assert integration.status().served == {} and reason in next(iter(reasons))


@pytest.mark.parametrize("kind", [NotImplementedError, wyvern.CompileError])
def test_without_a_program_falls_back(enabled, monkeypatch, kind):
    """A program that does not compile is not tried again at every call."""
    from wyvern.torch import _programs

    tried = []

    def fail(*args):
        tried.append(args)
        raise kind("no program\nat all")

    monkeypatch.setattr(_programs, "_programs", {})
    monkeypatch.setattr(_programs, "_make", fail)
    x = operands()
    o, _ = functions().torch_chunk_gated_delta_rule(*x)
    assert torch.equal(functions().torch_chunk_gated_delta_rule(*x)[0], o)
    assert integration.status().fell_back == {"chunk_gated_delta_rule": {"no program": 2}}
    assert len(tried) == (1 if kind is wyvern.CompileError else 2)
    monkeypatch.undo()
    assert error(functions().torch_chunk_gated_delta_rule(*x)[0], o) < 1e-5


def test_torch_compile_sees_one_graph(enabled):
    module = functions()

    def call(*x):
        return module.torch_chunk_gated_delta_rule(*x, use_qk_l2norm_in_kernel=True, cu_seqlens=None)[0]

    x = operands()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        assert torch.equal(compiled(*x), call(*x))
    assert integration.status().served == {"chunk_gated_delta_rule": 1 + 3}
    assert integration.status().fell_back == {}


def test_an_exported_model_does_not_need_wyvern(enabled):
    module = functions()

    class Layer(torch.nn.Module):
        def forward(self, *x):
            return module.torch_chunk_gated_delta_rule(*x)[0]

    program = torch.export.export(Layer(), operands())
    assert "wyvern" not in str(program.graph)
    assert "torch.export" in next(iter(integration.status().fell_back["chunk_gated_delta_rule"]))
