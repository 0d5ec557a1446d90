# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.integrations.vllm and .sglang on CPU tensors, against stubs of the engines (test/python/stubs) that have
their names, their signatures and, in plain torch, their meaning."""

import importlib
import pathlib
import sys
from importlib.metadata import EntryPoint

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import step_cases
from wyvern.integrations import sglang, vllm

HERE = pathlib.Path(__file__).resolve().parent
H, HV, K, V, B, SLOTS = 1, 2, 32, 64, 4, 9
QWEN = "vllm.model_executor.layers.mamba.gdn.qwen_gdn_linear_attn"


@pytest.fixture
def engines(monkeypatch):
    """The stubs as the engines, gone again after a test; one that is installed is left alone."""
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("vllm", "sglang")}
    for name in kept:
        del sys.modules[name]
    monkeypatch.syspath_prepend(str(HERE / "stubs"))
    yield
    vllm.disable()
    vllm.calls.reset()
    sglang.calls.reset()
    sglang.calls.enabled = False
    sglang.kernel_class.cache_clear()
    for name in [x for x in sys.modules if x.partition(".")[0] in ("vllm", "sglang")]:
        del sys.modules[name]
    sys.modules.update(kept)


class Step:
    """Rows of q, k and v, logits of gates, and a pool with NaNs where nobody's states are."""

    def __init__(self, slots, tokens=1, index=torch.int32):
        torch.manual_seed(0)
        rows = B * tokens
        self.mixed = torch.randn(rows, 2 * H * K + HV * V).bfloat16()
        self.q, self.k, self.v = self.mixed.split([H * K, H * K, HV * V], 1)
        self.q, self.k = (x.reshape(1, rows, H, K) for x in (self.q, self.k))
        self.v = self.v.reshape(1, rows, HV, V)
        self.a, self.b = (2 * torch.randn(rows, HV).bfloat16() for _ in range(2))
        self.A_log, self.dt_bias = torch.randn(HV), torch.randn(HV).bfloat16()
        self.slots = torch.tensor(slots, dtype=index)
        self.pool = torch.randn(SLOTS, HV, V, K)
        unused = [s for s in range(SLOTS) if s not in self.slots.flatten().tolist()]
        self.pool[unused] = float("nan")


def close(found, wanted):
    """Of states, or of o, which is rounded to bf16."""
    unused = wanted.isnan()
    assert torch.equal(found.isnan(), unused)
    error = step_cases.error(found[~unused].float(), wanted[~unused].float())
    assert error < (1e-6 if found.dtype == torch.float32 else 4e-3), error


def test_entry_points_are_what_engines_look_for():
    tomllib = pytest.importorskip("tomllib")
    groups = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["entry-points"]
    for group, package in (("vllm.general_plugins", vllm), ("sglang.srt.plugins", sglang)):
        ((name, value),) = groups[group].items()
        assert name == "wyvern" and EntryPoint(name, value, group).load() is package.register


# === vLLM ===


def qwen(when="later"):
    """vLLM's module, imported before or after it has called the plug-in."""
    if when == "earlier":
        importlib.import_module(QWEN)
    vllm.register()
    vllm.register()
    return importlib.import_module(QWEN)


def theirs(function):
    return function.__wrapped__


@pytest.mark.parametrize("when", ["earlier", "later"])
def test_vllm_decodes(engines, when):
    """Block 0 is nobody's: padding, whose rows are zero."""
    module, x = qwen(when), Step([3, 0, 7, 1])
    layer, pool = module.QwenGatedDeltaNetAttention(x.A_log, x.dt_bias), x.pool.clone()
    out, wanted = torch.full((B, HV, V), float("nan")).bfloat16(), torch.empty(B, HV, V).bfloat16()
    layer.decode(x.mixed, x.b, x.a, out, x.pool, x.slots, K)
    theirs(module.fused_recurrent_gated_delta_rule_packed_decode)(
        x.mixed, x.a, x.b, x.A_log, x.dt_bias, K**-0.5, pool, wanted[:, None], x.slots, True
    )
    close(out, wanted)
    close(x.pool, pool)
    assert not out[1].any()
    assert vllm.status().served == {"fused_recurrent_gated_delta_rule_packed_decode": 1} and vllm.status().fell_back == {}


def test_vllm_updates_beside_prompts(engines):
    """Steps that vLLM peels off a batch of prompts too; more blocks may be given than there are sequences."""
    module, x = qwen(), Step([3, 0, 7, 1, 8, 8])
    pool, cu = x.pool.clone(), torch.arange(B + 1, dtype=torch.int32)
    layer = module.QwenGatedDeltaNetAttention(x.A_log, x.dt_bias)
    o, same = layer.update(x.q, x.k, x.v, x.b, x.a, x.pool, cu_seqlens=cu, ssm_state_indices=x.slots)
    wanted, _ = theirs(module.fused_sigmoid_gating_delta_rule_update)(
        x.A_log, x.a, x.b, x.dt_bias, x.q, x.k, x.v, initial_state=pool, cu_seqlens=cu, ssm_state_indices=x.slots,
        use_qk_l2norm_in_kernel=True,
    )
    close(o, wanted)
    close(x.pool, pool)
    assert same is x.pool and vllm.status().served == {"fused_sigmoid_gating_delta_rule_update": 1}


def test_vllm_keeps_a_state_for_every_token_of_a_draft(engines):
    module, x = qwen(), Step([[3, 4], [0, 0], [7, 5], [1, 2]], tokens=2)
    pool, cu = x.pool.clone(), 2 * torch.arange(B + 1, dtype=torch.int32)
    more = {"cu_seqlens": cu, "ssm_state_indices": x.slots, "num_accepted_tokens": torch.tensor([2, 1, 1, 2], dtype=torch.int32)}
    layer = module.QwenGatedDeltaNetAttention(x.A_log, x.dt_bias)
    o, _ = layer.update(x.q, x.k, x.v, x.b, x.a, x.pool, **more)
    wanted, _ = theirs(module.fused_sigmoid_gating_delta_rule_update)(
        x.A_log, x.a, x.b, x.dt_bias, x.q, x.k, x.v, initial_state=pool, use_qk_l2norm_in_kernel=True, **more
    )
    close(o, wanted)
    close(x.pool, pool)
    assert vllm.status().served == {"fused_sigmoid_gating_delta_rule_update": 1}


def test_vllm_prefills(engines):
    module = qwen()
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 90, H, K)
    v, g, beta = torch.randn(1, 90, HV, V), -torch.rand(1, 90, HV), torch.rand(1, 90, HV)
    state, cu = torch.randn(2, HV, V, K), torch.tensor([0, 71, 90], dtype=torch.int32)
    rule = module.ChunkGatedDeltaRule()
    flat = torch.zeros(100, HV, V)
    given = {"cu_seqlens": cu, "use_qk_l2norm_in_kernel": True}
    o, after = rule(q=q, k=k, v=v, g=g, beta=beta, initial_state=state, output_final_state=True, core_attn_out=flat, **given)
    wanted, wanted_after = rule.forward_native(q, k, v, g, beta, state, True, **given)
    assert step_cases.error(o, wanted) < 1e-5 and step_cases.error(after, wanted_after) < 1e-5
    assert torch.equal(flat[:90], o[0]) and not flat[90:].any()
    assert vllm.status().served == {"chunk_gated_delta_rule": 1}


def test_vllm_runs_the_rest(engines, monkeypatch):
    monkeypatch.setenv("WYVERN_VLLM", "decode")
    module, x = qwen(), Step([3, 0, 7, 1])
    assert type(module.ChunkGatedDeltaRule()) is module.ChunkGatedDeltaRule
    layer = module.QwenGatedDeltaNetAttention(x.A_log, x.dt_bias)
    # As many rows, of other lengths.
    layer.update(
        x.q, x.k, x.v, x.b, x.a, x.pool, cu_seqlens=torch.tensor([0, 3, 4]), ssm_state_indices=torch.tensor([[3, 7, 1], [8, 8, 8]])
    )
    layer.decode(x.mixed, x.b, x.a, torch.empty(B, HV, V).bfloat16(), x.pool.half(), x.slots, K)
    reasons = vllm.status().fell_back
    assert "different numbers of tokens" in next(iter(reasons["fused_sigmoid_gating_delta_rule_update"]))
    assert "states are torch.float16" in next(iter(reasons["fused_recurrent_gated_delta_rule_packed_decode"]))
    assert vllm.status().served == {}
    redirected = module.fused_sigmoid_gating_delta_rule_update
    vllm.disable()
    assert module.fused_sigmoid_gating_delta_rule_update is redirected.__wrapped__
    monkeypatch.setenv("WYVERN_VLLM", "decoding")
    with pytest.raises(ValueError, match="WYVERN_VLLM: expected decode and prefill, found decoding"):
        vllm.register()


# === SGLang ===


def dispatcher(decode, base="triton"):
    """SGLang's dispatcher after its start with these arguments, and its module."""
    module = importlib.import_module("sglang.srt.layers.attention.linear.gdn_backend")
    utils = importlib.import_module("sglang.srt.layers.attention.linear.utils")
    arguments = importlib.import_module("sglang.srt.server_args")
    hooks = importlib.import_module("sglang.srt.plugins.hook_registry")
    sglang.register()
    sglang.register()
    assert arguments.LINEAR_ATTN_KERNEL_BACKEND_CHOICES.count("wyvern") == 1
    hooks.HookRegistry.apply_hooks()
    given = arguments.get_global_server_args()
    given.linear_attn_backend, given.linear_attn_decode_backend = base, decode
    backend = utils.LinearAttnKernelBackend
    return module.GDNKernelDispatcher(backend(decode or base), backend(base)), module


def test_sglang_decodes(engines):
    """A slot of -1 is padding; 0 is a slot as any other."""
    (made, module), x = dispatcher("wyvern"), Step([3, -1, 0, 1], index=torch.int64)
    common = {"A_log": x.A_log, "dt_bias": x.dt_bias, "ssm_states": x.pool, "cache_indices": x.slots}
    pool, theirs_kernel = x.pool.clone(), module.TritonGDNKernel()
    expected = theirs_kernel.decode(x.q, x.k, x.v, x.a, x.b, **common | {"ssm_states": pool}, query_start_loc=None)
    kept = x.pool.clone()
    o = made.decode_kernel.decode(q=x.q, k=x.k, v=x.v, a=x.a, b=x.b, **common, query_start_loc=None)
    close(o, expected)
    close(x.pool, pool)
    assert not o[0, 1].any() and made.supports_packed_decode
    common["ssm_states"] = kept
    packed = {"scale": K**-0.5, "num_v_heads": HV, "head_v_dim": V}
    assert torch.equal(made.decode_kernel.packed_decode(mixed_qkv=x.mixed, a=x.a, b=x.b, **common, **packed), o)
    close(kept, pool)
    assert sglang.status().served == {"decode": 1, "packed_decode": 1} and sglang.status().fell_back == {}


def test_sglang_runs_the_rest(engines):
    """Prompts and drafts, and steps with what we do not know."""
    (made, module), x = dispatcher(None, "wyvern"), Step([3, -1, 0, 1])
    kernel = made.decode_kernel
    assert type(made.extend_kernel) is type(made.verify_kernel) is module.TritonGDNKernel
    assert kernel.target_verify(x.A_log) == "verified"
    assert kernel.extend(x.q, x.k, x.v, x.a, x.b, ssm_states=x.pool, cache_indices=x.slots, query_start_loc=None)[0] == "extended"
    common = {"A_log": x.A_log, "dt_bias": x.dt_bias, "ssm_states": x.pool, "cache_indices": x.slots, "query_start_loc": None}
    kernel.decode(x.q, x.k, x.v, x.a, x.b, **common, replayssm_d=x.pool, replayssm_k=None)
    assert "replayssm_d are not known" in next(iter(sglang.status().fell_back["decode"]))


def test_sglang_without_being_asked_for(engines):
    made, module = dispatcher("triton")
    assert type(made.decode_kernel) is module.TritonGDNKernel and sglang.status().served == {}
    with pytest.raises(ValueError, match="Unsupported GDN backend"):
        dispatcher("another")
