# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch: FLA's arguments and their meaning, on the CPU.

The compiled program is replaced by the token recurrence, so that these tests are
about the functions around it and need no compiler; test_torch_cpu.py has the real one.
"""

import inspect

import pytest

torch = pytest.importorskip("torch")

import delta_oracle
import oracle_programs
import wyvern
from wyvern.torch import (
    _programs,
    chunk_delta_rule,
    chunk_gated_delta_rule,
    fused_recurrent_delta_rule,
    fused_recurrent_gated_delta_rule,
)

B, T, H, HV, K, V = 2, 13, 2, 4, 8, 6


@pytest.fixture(autouse=True)
def oracle_program(monkeypatch):
    monkeypatch.setattr(_programs, "_load_for_cpu", oracle_programs.CpuOracle)
    monkeypatch.setattr(_programs, "_programs", {})


@pytest.fixture
def data():
    torch.manual_seed(3)
    unit = torch.nn.functional.normalize
    return {
        "q": unit(torch.randn(B, T, H, K, dtype=torch.float64), dim=-1),
        "k": unit(torch.randn(B, T, H, K, dtype=torch.float64), dim=-1),
        "v": torch.randn(B, T, HV, V, dtype=torch.float64),
        "g": torch.nn.functional.logsigmoid(torch.randn(B, T, HV, dtype=torch.float64)),
        "beta": torch.rand(B, T, HV, dtype=torch.float64),
        "h0": torch.randn(B, HV, K, V, dtype=torch.float64),
    }


def qkv(data):
    return data["q"], data["k"], data["v"]


def close(x, y, tolerance=1e-12):
    assert x.shape == y.shape
    assert delta_oracle.error(x, y.double()) < tolerance


# The parameters of FLA 0.6.0, in order, with their defaults.
COMMON = {"scale": None, "initial_state": None, "output_final_state": False, "use_qk_l2norm_in_kernel": False}
GATED = {"use_beta_sigmoid_in_kernel": False, "allow_neg_eigval": False, "state_v_first": False}
REQUIRED = inspect.Parameter.empty
SIGNATURES = {
    chunk_delta_rule: {"beta": REQUIRED, **COMMON, "cu_seqlens": None, "cu_seqlens_cpu": None},
    fused_recurrent_delta_rule: {"beta": None, **COMMON, "cu_seqlens": None},
    chunk_gated_delta_rule: {"g": REQUIRED, "beta": REQUIRED, **COMMON, **GATED}
    | {"cu_seqlens": None, "cu_seqlens_cpu": None, "chunk_indices": None, "cp_context": None},
    fused_recurrent_gated_delta_rule: {"g": None, "gk": None, "gv": None, "beta": None, **COMMON}
    | {"use_gate_in_kernel": False, "A_log": None, "dt_bias": None, **GATED, "cu_seqlens": None},
}


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda f: f.__name__)
def test_signature(function):
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
    found = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind in kinds}
    expected = {"q": REQUIRED, "k": REQUIRED, "v": REQUIRED, **SIGNATURES[function]}
    assert list(found.items()) == list(expected.items())


def test_delta_rule(data):
    o, state = chunk_delta_rule(*qkv(data), data["beta"], initial_state=data["h0"], output_final_state=True)
    expected, final = delta_oracle.dense(*qkv(data), data["beta"], None, data["h0"])
    close(o, expected)
    close(state, final)


def test_no_final_state(data):
    o, state = chunk_gated_delta_rule(*qkv(data), data["g"], data["beta"])
    assert state is None
    close(o, delta_oracle.dense(*qkv(data), data["beta"], data["g"])[0])


def test_scale(data):
    for scale in (1.0, 0.3):
        o, _ = chunk_gated_delta_rule(*qkv(data), data["g"], data["beta"], scale)
        close(o, delta_oracle.dense(*qkv(data), data["beta"], data["g"], scale=scale)[0])


def test_l2norm(data):
    q, k = 3 * data["q"], 0.2 * data["k"]
    o, _ = chunk_delta_rule(q, k, data["v"], data["beta"], use_qk_l2norm_in_kernel=True)
    close(o, delta_oracle.dense(*qkv(data), data["beta"])[0], 1e-4)  # FLA's 1e-6 under the root


def test_beta_logits(data):
    for doubled in (False, True):
        o, _ = chunk_gated_delta_rule(
            *qkv(data),
            data["g"],
            torch.logit(data["beta"]),
            use_beta_sigmoid_in_kernel=True,
            allow_neg_eigval=doubled,
        )
        beta = data["beta"] * (2 if doubled else 1)
        close(o, delta_oracle.dense(*qkv(data), beta, data["g"])[0])


def test_raw_gate(data):
    raw, a_log, bias = torch.randn(B, T, HV), torch.randn(HV), torch.randn(HV)
    g = -torch.exp(a_log) * torch.log1p(torch.exp(raw + bias))
    for function in (chunk_gated_delta_rule, fused_recurrent_gated_delta_rule):
        o, _ = function(
            *qkv(data), g=raw, beta=data["beta"], use_gate_in_kernel=True, A_log=a_log, dt_bias=bias
        )
        close(o, delta_oracle.dense(*qkv(data), data["beta"], g)[0], 1e-5)


def test_state_v_first(data):
    plain = chunk_gated_delta_rule(
        *qkv(data), data["g"], data["beta"], initial_state=data["h0"], output_final_state=True
    )
    turned = chunk_gated_delta_rule(
        *qkv(data),
        data["g"],
        data["beta"],
        initial_state=data["h0"].transpose(-1, -2).contiguous(),
        output_final_state=True,
        state_v_first=True,
    )
    assert torch.equal(plain[0], turned[0])
    assert turned[1].is_contiguous() and torch.equal(plain[1], turned[1].transpose(-1, -2))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_packed(data, dtype):
    q, k, v, g, beta = (data[x][:1] for x in ("q", "k", "v", "g", "beta"))
    cu = torch.tensor([0, 5, 5, 11], dtype=dtype)
    h0 = torch.randn(3, HV, K, V, dtype=torch.float64)
    o, state = chunk_gated_delta_rule(
        q, k, v, g, beta, initial_state=h0, output_final_state=True, cu_seqlens=cu, cu_seqlens_cpu=cu
    )
    expected, final = delta_oracle.packed(cu, q, k, v, beta, g, h0)
    close(o, expected)
    close(state, final)
    assert torch.equal(state[1], h0[1]) and not o[:, 11:].any()


def test_recurrent_defaults(data):
    ones = torch.ones(B, T, HV)
    expected = delta_oracle.dense(*qkv(data), ones)[0]
    close(fused_recurrent_delta_rule(*qkv(data))[0], expected)
    close(fused_recurrent_gated_delta_rule(*qkv(data))[0], expected)


def test_low_precision_inputs(data):
    q, k, v, g, beta = (data[x].bfloat16() for x in ("q", "k", "v", "g", "beta"))
    o, state = chunk_gated_delta_rule(q, k, v, g, beta, output_final_state=True)
    assert o.dtype == torch.bfloat16 and state.dtype == torch.float32
    close(o.double(), delta_oracle.dense(q, k, v, beta, g)[0], 4e-3)


# === torch.library ===


def test_opcheck(data):
    q, k, v, g, beta = (data[x].float() for x in ("q", "k", "v", "g", "beta"))
    cu = torch.tensor([0, 4, 9])
    for final in (False, True):
        one = [x[:1] for x in (q, k, v, g, beta)]
        torch.library.opcheck(torch.ops.wyvern.gated_delta_rule.default, (*one, None, cu, final))
        args = (q, k, v, beta, data["h0"], None, final)
        torch.library.opcheck(torch.ops.wyvern.delta_rule.default, args)


def test_compiles_to_one_graph(data):
    def layer(q, k, v, g, beta):
        o, state = chunk_gated_delta_rule(
            q, k, v, g, beta, use_qk_l2norm_in_kernel=True, output_final_state=True
        )
        return o.sum(-1), state * 2

    inputs = [data[x] for x in ("q", "k", "v", "g", "beta")]
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for x, y in zip(compiled(*inputs), layer(*inputs)):
            assert torch.equal(x, y)


# === Refusals ===


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


def test_wrong_shapes(data):
    q, k, v = qkv(data)
    g, beta = data["g"], data["beta"]
    f = chunk_gated_delta_rule
    refused(ValueError, r"k has shape \[2, 12, 2, 8\], expected \[2, 13, 2, 8\]", f, q, k[:, 1:], v, g, beta)
    refused(ValueError, "v has 3 heads, expected a multiple of q's and k's 2", f, q, k, v[:, :, :3], g, beta)
    refused(ValueError, r"q has shape \[2, 13, 0, 8\], expected 1 head or more", f, q[:, :, :0], k[:, :, :0], v[:, :, :0], g[..., :0], beta[..., :0])
    refused(TypeError, "k is a tensor of torch.sparse_coo, expected a dense one", f, q, k.to_sparse(), v, g, beta)
    refused(TypeError, "q is on cpu, beta on meta; expected one device", f, q, k, v, g, beta.to("meta"))
    refused(TypeError, "scale is 'a', expected a number", f, q, k, v, g, beta, "a")
    refused(TypeError, "q is on cpu, initial_state on meta; expected one device", f, q, k, v, g, beta, initial_state=data["h0"].to("meta"))
    refused(ValueError, r"beta has shape \[2, 13, 2\], expected \[2, 13, 4\]", f, q, k, v, g, beta[..., :2])
    refused(ValueError, "g has shape", f, q, k, v, g[:1], beta)
    refused(ValueError, r"q has shape \[13, 2, 8\]", f, q[0], k, v, g, beta)
    refused(ValueError, r"q has shape \[2, 13, 2, 0\], expected a head dim of 1 or more", f, q[..., :0], k[..., :0], v, g, beta)
    refused(ValueError, "v has shape .*, expected a head dim of 1 or more", f, q, k, v[..., :0], g, beta)
    raw = {"use_gate_in_kernel": True}
    refused(ValueError, r"A_log has shape \[3\], expected \[4\]", f, q, k, v, g, beta, **raw, A_log=torch.zeros(3))
    refused(ValueError, r"A_log has shape \[1\], expected \[4\]", f, q, k, v, g, beta, **raw, A_log=torch.zeros(1))
    refused(ValueError, r"dt_bias has shape \[1\], expected \[4\]", f, q, k, v, g, beta, **raw, A_log=torch.zeros(4),
            dt_bias=torch.zeros(1))
    refused(ValueError, r"initial_state has shape \[2, 4, 8, 6\], expected \[2, 4, 6, 8\]", f, q, k, v, g, beta,
            initial_state=data["h0"], state_v_first=True)
    headwise = data["v"]
    refused(ValueError, "beta has shape", fused_recurrent_delta_rule, q, k, v, headwise)


def test_wrong_types(data):
    q, k, v = qkv(data)
    refused(TypeError, "q is torch.float64, k is torch.float32", chunk_delta_rule, q, k.float(), v, data["beta"])
    whole = [x.int() for x in (q, k, v)]
    words = "q, k, v are torch.int32 on cpu, expected one of bfloat16, float16, float32, float64"
    refused(TypeError, words, chunk_delta_rule, *whole, data["beta"])
    refused(TypeError, "beta is None, expected a tensor", chunk_delta_rule, q, k, v, None)
    refused(TypeError, "v is a list, expected a tensor", chunk_delta_rule, q, k, [v], data["beta"])
    refused(TypeError, "v is a list, expected a tensor", fused_recurrent_delta_rule, q, k, [v])
    listed = {"cu_seqlens": [0, 5]}
    refused(TypeError, "cu_seqlens is a list, expected a tensor", chunk_delta_rule, q, k, v, data["beta"], **listed)
    state = {"initial_state": 0}
    refused(TypeError, "initial_state is a int, expected a tensor", chunk_delta_rule, q, k, v, data["beta"], **state)
    none = torch.zeros(0, dtype=torch.int64)
    refused(TypeError, r"cu_seqlens is torch.int64 of shape \[0\]", chunk_delta_rule, q, k, v, data["beta"], cu_seqlens=none)
    cu = torch.tensor([0.0, 5.0])
    refused(TypeError, r"cu_seqlens is torch.float32", chunk_delta_rule, q, k, v, data["beta"], cu_seqlens=cu)
    refused(ValueError, "batch size is 2, expected 1", chunk_delta_rule, q, k, v, data["beta"], cu_seqlens=cu.int())


def test_arguments_that_are_not_served(data):
    q, k, v = qkv(data)
    g, beta = data["g"], data["beta"]
    f, r = chunk_gated_delta_rule, fused_recurrent_gated_delta_rule
    refused(TypeError, "expected a wyvern.torch.ContextParallel", f, q, k, v, g, beta, cp_context=object())
    refused(NotImplementedError, "gk", r, q, k, v, gk=q)
    refused(NotImplementedError, "gv", r, q, k, v, gv=v)
    refused(ValueError, "head_first", f, q, k, v, g, beta, head_first=True)
    refused(ValueError, "chunk_size is 128", f, q, k, v, g, beta, chunk_size=128)
    refused(TypeError, "unexpected arguments: typo", f, q, k, v, g, beta, typo=1)
    refused(ValueError, "needs use_beta_sigmoid", f, q, k, v, g, beta, allow_neg_eigval=True)
    refused(ValueError, "scale is inf, expected a finite number", f, q, k, v, g, beta, scale=float("inf"))
    refused(ValueError, "A_log needs use_gate_in_kernel=True", f, q, k, v, g, beta, A_log=torch.zeros(4))
    refused(ValueError, "dt_bias needs use_gate_in_kernel=True", r, q, k, v, g, beta=beta, dt_bias=torch.zeros(4))
    refused(ValueError, "needs A_log", f, q, k, v, g, beta, use_gate_in_kernel=True)
    refused(TypeError, "g is None", f, q, k, v, None, beta)
    f(q, k, v, g, beta, chunk_size=32)


def test_rates_to_2_take_a_program_of_their_own(data):
    """Where nothing is rounded, as on the CPU, the numbers are the same."""
    beta = 2 * data["beta"]
    expected = chunk_delta_rule(*qkv(data), beta)[0]
    with torch.profiler.profile() as profile:
        found = chunk_delta_rule(*qkv(data), beta, max_rate=2.0)[0]
    assert "wyvern::delta_rule_to_2" in {event.name for event in profile.events()}
    close(found, expected)
    refused(ValueError, "max_rate is 3", chunk_delta_rule, *qkv(data), beta, max_rate=3)


def test_no_compiler(data, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(_programs, "_programs", {})

    def missing(*args, **kwargs):
        raise ImportError("no module named wyvern._compiler")

    monkeypatch.setitem(vars(wyvern), "compile", missing)
    refused(NotImplementedError, "compiler module", chunk_delta_rule, *qkv(data), data["beta"])
